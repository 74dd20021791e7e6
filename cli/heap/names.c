// SPDX-License-Identifier: GPL-3.0-or-later
/* The names of references, by the rules of FORMAT.md. */
#include "cli/heap/heap_internal.h"

#include "attach/cleanup.h"
#include "cli/heap/json.h"
#include "cli/heap/reader.h"
#include "cli/heap/text.h"

#include <stdlib.h>

enum { KEY_MAX = 100, PAIRS_ASKED = 8 };

struct rmr_names {
	const struct rmr_heap *heap;
	struct rmr_ids children;
	uint64_t refs, hidden, keys;
	struct rmr_slice *shape; /* names of refs, then hidden */
	size_t shape_count;
	enum {
		NAMES_NONE,
		NAMES_ITEMS, /* list, tuple: from the last to the first */
		NAMES_KEYS,  /* refs[i] has the key keys[i] */
		NAMES_PAIRS, /* a value and a key in turns */
		NAMES_CELL,
	} rule;
	bool key_first; /* PAIRS */
};

bool rmr_names_parse(struct rmr_slice array, struct rmr_slice **items, size_t *count_ret)
{
	struct rmr_json_error error;
	struct rmr_slice *list = NULL;
	size_t count = 0, room = 0;

	if (!array.start || *array.start != '[')
		return true;
	const char *p = rmr_json_blank(array.start + 1);
	while (*p != ']') {
		const char *end = rmr_json_value(p, &error);
		if (!end)
			break;
		if (count == room) {
			room = room ? room * 2 : 16;
			struct rmr_slice *grown = realloc(list, room * sizeof(*grown));
			if (!grown) {
				free(list);
				return false;
			}
			list = grown;
		}
		list[count++] = *p == '"' ? (struct rmr_slice){p, (size_t)(end - p)}
					  : (struct rmr_slice){NULL, 0};
		p = rmr_json_blank(end);
		if (*p == ',')
			p = rmr_json_blank(p + 1);
	}
	*items = list;
	*count_ret = count;
	return true;
}

static bool read_shape(struct rmr_names *names, uint32_t id)
{
	const struct rmr_heap *heap = names->heap;
	struct rmr_slice array = {0};

	if (id >= heap->counts.objects || heap->shape[id] >= heap->counts.shapes)
		return true;
	const char *line = rmr_heap_line_at(heap, heap->shapes[heap->shape[id]]);
	if (line)
		array.start = rmr_json_get(line, "names", &array.size);
	return rmr_names_parse(array, &names->shape, &names->shape_count);
}

bool rmr_names_key_first(const struct rmr_heap *heap, struct rmr_ids pairs)
{
	for (uint64_t i = 0; i + 1 < pairs.count && i < 2 * (uint64_t)PAIRS_ASKED; i += 2) {
		bool first = rmr_heap_builtin(heap, pairs.ids[i]) == RMR_BUILTIN_STR;
		bool second = rmr_heap_builtin(heap, pairs.ids[i + 1]) == RMR_BUILTIN_STR;
		if (first != second)
			return first;
	}
	return heap->facts.format == RMR_HEAP_MELIAE;
}

static void choose_rule(struct rmr_names *names, uint32_t id, uint64_t len)
{
	switch (rmr_heap_builtin(names->heap, id)) {
	case RMR_BUILTIN_LIST:
	case RMR_BUILTIN_TUPLE:
		if (names->refs == len)
			names->rule = NAMES_ITEMS;
		break;
	case RMR_BUILTIN_CELL:
		names->rule = NAMES_CELL;
		break;
	case RMR_BUILTIN_DICT:
		if (!names->keys && len != RMR_HEAP_UNKNOWN && names->refs == 2 * len)
			names->rule = NAMES_PAIRS;
		names->key_first = names->rule == NAMES_PAIRS &&
			rmr_names_key_first(names->heap, names->children);
		break;
	default:
		break;
	}
	if (names->keys)
		names->rule = NAMES_KEYS;
}

/*
 * How many refs, hidden and keys there are. The record tells, which may be megabytes of text; where
 * its kind leaves no choice, it is not read.
 */
static void count_kinds(struct rmr_names *names, uint32_t id)
{
	const struct rmr_heap *heap = names->heap;
	unsigned flags = rmr_heap_flags(heap, id);
	uint64_t count = names->children.count;
	struct rmr_record record;

	if (!(flags & (RMR_FLAG_HIDDEN | RMR_FLAG_KEYS))) {
		names->refs = count;
		return;
	}
	if (!(flags & RMR_FLAG_HIDDEN) && rmr_heap_builtin(heap, id) == RMR_BUILTIN_DICT &&
		count == 2 * rmr_heap_len(heap, id)) {
		names->refs = names->keys = count / 2;
		return;
	}
	rmr_heap_record(heap, id, &record);
	names->refs = record.refs;
	names->hidden = record.hidden;
	names->keys = record.keys;
}

struct rmr_error *rmr_names_create(const struct rmr_heap *heap, uint32_t id,
	struct rmr_names **ret)
{
	struct rmr_names *names = calloc(1, sizeof(*names));

	if (!names)
		return &rmr_enomem;
	names->heap = heap;
	names->children = rmr_heap_children(heap, id);
	count_kinds(names, id);
	/* An index that is not of these lines: no names. */
	if (names->refs + names->hidden + names->keys != names->children.count)
		names->refs = names->hidden = names->keys = 0;
	if (!read_shape(names, id)) {
		free(names);
		return &rmr_enomem;
	}
	choose_rule(names, id, rmr_heap_len(heap, id));
	*ret = names;
	return NULL;
}

void rmr_names_destroy(struct rmr_names *names)
{
	if (!names)
		return;
	free(names->shape);
	free(names);
}

enum rmr_reference_kind rmr_names_kind(const struct rmr_names *names, uint64_t index)
{
	if (index < names->refs)
		return RMR_REFERENCE_REF;
	return index < names->refs + names->hidden ? RMR_REFERENCE_HIDDEN : RMR_REFERENCE_KEY;
}

bool rmr_names_has(const struct rmr_names *names, uint64_t index)
{
	if (index < names->shape_count && names->shape[index].start)
		return true;
	switch (names->rule) {
	case NAMES_ITEMS:
	case NAMES_PAIRS:
		return index < names->refs;
	case NAMES_KEYS:
		return index < names->keys || index >= names->refs + names->hidden;
	case NAMES_CELL:
		return index == 0;
	case NAMES_NONE:
		break;
	}
	return false;
}

static void add_key(const struct rmr_names *names, uint64_t key, const char *before,
	const char *after, struct rmr_text *text)
{
	rmr_text_put(text, before);
	rmr_literal_object(names->heap, names->children.ids[key], KEY_MAX, text);
	rmr_text_put(text, after);
}

char *rmr_names_text(const struct rmr_names *names, uint64_t index)
{
	struct rmr_text text = {0};

	if (!rmr_names_has(names, index) || index >= names->children.count)
		return NULL;
	if (index < names->shape_count && names->shape[index].start) {
		rmr_literal_plain(names->shape[index], &text);
		return rmr_text_take(&text);
	}
	uint64_t keys = names->refs + names->hidden;
	switch (names->rule) {
	case NAMES_ITEMS:
		rmr_text_format(&text, "[%llu]", (unsigned long long)(names->refs - 1 - index));
		break;
	case NAMES_PAIRS:
		if ((index % 2 == 0) == names->key_first)
			add_key(names, index, "<key ", ">", &text);
		else
			add_key(names, index ^ 1, "[", "]", &text);
		break;
	case NAMES_KEYS:
		if (index >= keys)
			add_key(names, index, "<key ", ">", &text);
		else
			add_key(names, keys + index, "[", "]", &text);
		break;
	case NAMES_CELL:
		rmr_text_put(&text, ".cell_contents");
		break;
	case NAMES_NONE:
		break;
	}
	return rmr_text_take(&text);
}

char *rmr_heap_root_name(const struct rmr_heap *heap, uint32_t root, uint64_t index)
{
	struct rmr_slice array = {0}, *items = NULL;
	struct rmr_text text = {0};
	size_t count = 0;

	if (root >= heap->counts.roots || !heap->roots[root].text.start)
		return NULL;
	array.start = rmr_json_get(heap->roots[root].text.start, "names", &array.size);
	if (!rmr_names_parse(array, &items, &count) || index >= count || !items[index].start) {
		free(items);
		return NULL;
	}
	rmr_literal_plain(items[index], &text);
	free(items);
	return rmr_text_take(&text);
}
