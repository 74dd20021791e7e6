// SPDX-License-Identifier: GPL-3.0-or-later
/* Objects as a person writes them in Python, from the values and names in their records. */
#include "cli/heap/heap_internal.h"

#include "attach/cleanup.h"
#include "cli/heap/json.h"
#include "cli/heap/text.h"

enum { TUPLE_DEPTH = 4, TUPLE_ITEMS = 8, TYPE_MAX = 200 };

void rmr_literal_plain(struct rmr_slice slice, struct rmr_text *text)
{
	if (!slice.start || slice.size < 2 || *slice.start != '"')
		return;
	const char *end = slice.start + slice.size - 1;
	for (const char *p = slice.start + 1; p < end;) {
		uint32_t code;
		p = rmr_json_next(p, &code);
		rmr_text_char(text, code);
	}
}

/* What repr() gives; bytes are characters below 256. `...` follows when it is not all. */
static void add_string(struct rmr_slice slice, bool bytes, uint64_t len, size_t max,
	struct rmr_text *text)
{
	const char *start = slice.start + 1, *end = slice.start + slice.size - 1;
	bool single = false, two = false;
	uint64_t shown = 0;
	uint32_t code;

	for (const char *p = start; p < end;) {
		p = rmr_json_next(p, &code);
		single |= code == '\'';
		two |= code == '"';
	}
	char quote = single && !two ? '"' : '\'';
	rmr_text_format(text, "%s%c", bytes ? "b" : "", quote);
	const char *p = start;
	for (; p < end && shown < max; shown++) {
		p = rmr_json_next(p, &code);
		if (code == (uint32_t)quote || code == '\\')
			rmr_text_format(text, "\\%c", (char)code);
		else if (code == '\n' || code == '\r' || code == '\t')
			rmr_text_put(text, code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t");
		else if (code < 0x20 || code == 0x7f || (bytes && code >= 0x7f))
			rmr_text_format(text, "\\x%02x", code);
		else
			rmr_text_char(text, code);
	}
	rmr_text_format(text, "%c", quote);
	if (p < end || (len != RMR_HEAP_UNKNOWN && shown < len))
		rmr_text_put(text, "...");
}

static bool add_value(const struct rmr_heap *heap, uint32_t id, const struct rmr_record *record,
	size_t max, struct rmr_text *text)
{
	const struct rmr_slice *value = &record->value;
	enum rmr_builtin builtin = rmr_heap_builtin(heap, id);
	uint32_t type = rmr_heap_type(heap, id);

	if (!value->start || type == RMR_NO_TYPE)
		return false;
	switch (*value->start) {
	case 'n':
		rmr_text_put(text, "None");
		return true;
	case 't':
		rmr_text_put(text, "True");
		return true;
	case 'f':
		rmr_text_put(text, "False");
		return true;
	case '[':
	case '{':
		return false;
	case '"':
		break;
	default:
		rmr_text_add(text, value->start, value->size < max ? value->size : max);
		if (value->size > max)
			rmr_text_put(text, "...");
		return true;
	}
	const char *name = heap->types[type].name;
	/* meliae writes "True"; nan and inf are strings too. */
	if (!strcmp(name, "bool") || !strcmp(name, "float"))
		rmr_literal_plain(*value, text);
	else
		add_string(*value, builtin == RMR_BUILTIN_BYTES || builtin == RMR_BUILTIN_BYTEARRAY,
			record->len, max, text);
	return true;
}

static bool add_object(const struct rmr_heap *heap, uint32_t id, size_t max, unsigned depth,
	struct rmr_text *text);

static bool add_tuple(const struct rmr_heap *heap, uint32_t id, size_t max, unsigned depth,
	struct rmr_text *text)
{
	struct rmr_ids items = rmr_heap_children(heap, id);
	bool whole = true;

	rmr_text_put(text, "(");
	for (uint64_t i = 0; i < items.count && i < TUPLE_ITEMS; i++) {
		/* The collector visits the last item first. */
		whole &= add_object(heap, items.ids[items.count - 1 - i], max, depth - 1, text);
		rmr_text_put(text, items.count == 1 ? "," : i + 1 < items.count ? ", " : "");
	}
	if (items.count > TUPLE_ITEMS) {
		rmr_text_put(text, "...");
		whole = false;
	}
	rmr_text_put(text, ")");
	return whole;
}

/* Recursion is bounded by TUPLE_DEPTH. */
static bool add_object(const struct rmr_heap *heap, uint32_t id, size_t max, unsigned depth,
	struct rmr_text *text)
{
	struct rmr_record record;

	if (rmr_heap_flags(heap, id) & RMR_FLAG_VALUE) {
		rmr_heap_record(heap, id, &record);
		if (add_value(heap, id, &record, max, text))
			return true;
	}
	if (depth && rmr_heap_builtin(heap, id) == RMR_BUILTIN_TUPLE &&
		rmr_heap_children(heap, id).count == rmr_heap_len(heap, id))
		return add_tuple(heap, id, max, depth, text);
	char *name = rmr_heap_describe(heap, id, max);
	if (name)
		rmr_text_put(text, name);
	else
		rmr_text_format(text, "<%.*s at 0x%llx>", TYPE_MAX, rmr_heap_type_label(heap, id),
			(unsigned long long)rmr_heap_address(heap, id));
	free(name);
	return false;
}

bool rmr_literal_object(const struct rmr_heap *heap, uint32_t id, size_t max, struct rmr_text *text)
{
	return add_object(heap, id, max, TUPLE_DEPTH, text);
}

/* The word before a name: <module os>, <class app.Node>, <function f>. */
static void add_named(const struct rmr_heap *heap, uint32_t id, const struct rmr_record *record,
	size_t max, struct rmr_text *text)
{
	enum rmr_builtin builtin = rmr_heap_builtin(heap, id);
	bool class = builtin == RMR_BUILTIN_TYPE || record->flags & RMR_FLAG_MODULE;
	struct rmr_slice name = record->name, file = record->file;
	struct rmr_text module = {0};

	rmr_text_format(text, "<%.*s ", TYPE_MAX, class ? "class" : rmr_heap_type_label(heap, id));
	rmr_literal_plain(record->module, &module);
	if (module.data && *module.data && strcmp(module.data, "builtins") != 0)
		rmr_text_format(text, "%.*s.", TYPE_MAX, module.data);
	rmr_text_deinit(&module);
	if (name.size > max + 2) {
		/* Cut between characters of the JSON text: an escape is ASCII, at most 12 long. */
		struct rmr_text whole = {0};
		rmr_literal_plain(name, &whole);
		size_t cut = whole.size < max ? whole.size : max;
		while (whole.data && cut && ((unsigned char)whole.data[cut] & 0xc0) == 0x80)
			cut--;
		rmr_text_add(text, whole.data ? whole.data : "", cut);
		rmr_text_put(text, "...");
		rmr_text_deinit(&whole);
	} else {
		rmr_literal_plain(name, text);
	}
	if (file.start && *file.start == '"') {
		rmr_text_put(text, " at ");
		rmr_literal_plain(file, text);
		if (record->line != RMR_HEAP_UNKNOWN)
			rmr_text_format(text, ":%llu", (unsigned long long)record->line);
	}
	rmr_text_put(text, ">");
}

char *rmr_heap_describe(const struct rmr_heap *heap, uint32_t id, size_t max)
{
	struct rmr_text text = {0};
	struct rmr_record record;

	/* A record that has neither may be megabytes of references. */
	if (!(rmr_heap_flags(heap, id) & (RMR_FLAG_VALUE | RMR_FLAG_NAME)))
		return NULL;
	rmr_heap_record(heap, id, &record);
	if (add_value(heap, id, &record, max, &text))
		return rmr_text_take(&text);
	if (record.name.start && *record.name.start == '"') {
		add_named(heap, id, &record, max, &text);
		return rmr_text_take(&text);
	}
	rmr_text_deinit(&text);
	return NULL;
}

static char *decode(struct rmr_slice slice)
{
	if (!slice.start)
		return NULL;
	return *slice.start == '"' ? rmr_json_decode(slice.start, slice.size)
				   : strndup(slice.start, slice.size);
}

char *rmr_heap_name(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_record record;

	if (!(rmr_heap_flags(heap, id) & RMR_FLAG_NAME))
		return NULL;
	rmr_heap_record(heap, id, &record);
	return decode(record.name);
}

char *rmr_heap_value(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_record record;

	if (!(rmr_heap_flags(heap, id) & RMR_FLAG_VALUE))
		return NULL;
	rmr_heap_record(heap, id, &record);
	return decode(record.value);
}
