// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/record.h"

#include <stdlib.h>

enum key {
	KEY_REFS, /* the order of rmr_line.arrays */
	KEY_HIDDEN,
	KEY_KEYS,
	KEY_ADDRESS,
	KEY_TYPE,
	KEY_SIZE,
	KEY_RC,
	KEY_CLASS,
	KEY_NAME,
	KEY_MODULE,
	KEY_LEN,
	KEY_VALUE,
	KEY_FILE,
	KEY_LINE,
	KEY_OWNED,
	KEY_BUFFER,
	KEY_DATA,
	KEY_BASE,
	KEY_SHAPE,
	KEY_WEAK,
	KEY_FLAGS,
	KEY_ROOT,
	KEY_NAMES,
	KEY_TRACE,
	KEY_FRAMES,
	KEY_REMORA,
	KEY_END,
	KEY_OTHER,
};

static enum key key_of(const char *text, size_t length)
{
#define IS(word) (!memcmp(text, word, sizeof(word) - 1))
	switch (length) {
	case 2:
		return IS("rc") ? KEY_RC : KEY_OTHER;
	case 3:
		return IS("len") ? KEY_LEN : IS("end") ? KEY_END : KEY_OTHER;
	case 4:
		if (IS("refs"))
			return KEY_REFS;
		if (IS("type"))
			return KEY_TYPE;
		if (IS("size"))
			return KEY_SIZE;
		if (IS("keys"))
			return KEY_KEYS;
		if (IS("name"))
			return KEY_NAME;
		if (IS("file"))
			return KEY_FILE;
		if (IS("line"))
			return KEY_LINE;
		if (IS("weak"))
			return KEY_WEAK;
		if (IS("root"))
			return KEY_ROOT;
		if (IS("data"))
			return KEY_DATA;
		return IS("base") ? KEY_BASE : KEY_OTHER;
	case 5:
		if (IS("class"))
			return KEY_CLASS;
		if (IS("value"))
			return KEY_VALUE;
		if (IS("shape"))
			return KEY_SHAPE;
		if (IS("owned"))
			return KEY_OWNED;
		if (IS("flags"))
			return KEY_FLAGS;
		if (IS("trace"))
			return KEY_TRACE;
		return IS("names") ? KEY_NAMES : KEY_OTHER;
	case 6:
		if (IS("hidden"))
			return KEY_HIDDEN;
		if (IS("module"))
			return KEY_MODULE;
		if (IS("frames"))
			return KEY_FRAMES;
		if (IS("buffer"))
			return KEY_BUFFER;
		return IS("remora") ? KEY_REMORA : KEY_OTHER;
	case 7:
		return IS("address") ? KEY_ADDRESS : KEY_OTHER;
	default:
		return KEY_OTHER;
	}
#undef IS
}

/* A key written with escapes is the same key. */
static enum key key_of_escaped(const char *start, size_t size)
{
	char *text = rmr_json_decode(start, size);
	enum key key = text ? key_of(text, strlen(text)) : KEY_OTHER;

	free(text);
	return key;
}

static bool grow(struct rmr_addresses *addresses)
{
	size_t room = addresses->room ? addresses->room * 2 : 1024;
	uint64_t *items = realloc(addresses->items, room * sizeof(*items));

	if (!items)
		return false;
	addresses->items = items;
	addresses->room = room;
	return true;
}

static const char *fail(struct rmr_json_error *error, const char *at, const char *message)
{
	error->at = at;
	error->message = message;
	return NULL;
}

/* What is wrong with the number at p, of which rmr_json_digits() would know nothing. */
static const char *fail_number(const char *p, struct rmr_json_error *error)
{
	if (*p >= '0' && *p <= '9' && !rmr_json_number(p, error))
		return NULL;
	return fail(error, p, "an address is needed here: an integer below 2^64");
}

static const char *scan_addresses(const char *p, struct rmr_addresses *addresses,
	uint64_t *count_ret, struct rmr_json_error *error)
{
	uint64_t count = 0;

	if (*p != '[')
		return fail(error, p, "an array of addresses is needed here");
	p = rmr_json_blank(p + 1);
	if (*p == ']') {
		*count_ret = 0;
		return p + 1;
	}
	for (;; p = rmr_json_blank(p + 1)) {
		uint64_t value;
		const char *end = rmr_json_digits(p, &value);
		if (!end)
			return fail_number(p, error);
		if (addresses) {
			if (addresses->count == addresses->room && !grow(addresses))
				return fail(error, p, NULL);
			addresses->items[addresses->count++] = value;
		}
		count++;
		p = *end == ',' ? end : rmr_json_blank(end);
		if (*p == ',')
			continue;
		if (*p != ']')
			return fail(error, p, "a comma or ] is needed here");
		*count_ret = count;
		return p + 1;
	}
}

static const char *scan_flags(const char *p, unsigned *flags, struct rmr_json_error *error)
{
	static const struct {
		const char *word;
		unsigned flag;
	} words[] = {
		{"\"immortal\"", RMR_FLAG_IMMORTAL},
		{"\"interned\"", RMR_FLAG_INTERNED},
		{"\"untracked\"", RMR_FLAG_UNTRACKED},
		{"\"approximate\"", RMR_FLAG_APPROXIMATE},
		{"\"finalizer\"", RMR_FLAG_FINALIZER},
	};
	const char *end = rmr_json_value(p, error);

	if (!end || *p != '[')
		return end;
	for (p++; p < end; p++) {
		if (*p != '"')
			continue;
		const char *word = p;
		p = rmr_json_string(p, error);
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
			if ((size_t)(p - word) == strlen(words[i].word) &&
				!memcmp(word, words[i].word, (size_t)(p - word)))
				*flags |= words[i].flag;
		}
		p--;
	}
	return end;
}

/* A number that need not be there: what is no integer of ours counts as not told. */
static const char *scan_number(const char *p, uint64_t *ret, struct rmr_json_error *error)
{
	const char *end = rmr_json_digits(p, ret);

	if (end)
		return end;
	*ret = RMR_HEAP_UNKNOWN;
	return rmr_json_value(p, error);
}

/* The same of what has a bound: @p end and more is not told either. */
static const char *scan_below(const char *p, uint64_t end, uint64_t *ret,
	struct rmr_json_error *error)
{
	p = scan_number(p, ret, error);
	if (*ret >= end)
		*ret = RMR_HEAP_UNKNOWN;
	return p;
}

static const char *scan_signed(const char *p, int64_t *ret, struct rmr_json_error *error)
{
	uint64_t magnitude;
	const char *end = rmr_json_digits(p + (*p == '-'), &magnitude);

	if (!end || magnitude >= RMR_BYTES_END)
		return rmr_json_value(p, error);
	*ret = *p == '-' ? -(int64_t)magnitude : (int64_t)magnitude;
	return end;
}

static const char *scan_slice(const char *p, struct rmr_slice *ret, struct rmr_json_error *error)
{
	const char *end = *p == '"' ? rmr_json_string(p, error) : rmr_json_value(p, error);

	if (end) {
		ret->start = p;
		ret->size = (size_t)(end - p);
	}
	return end;
}

static const char *scan_field(const char *p, enum key key, struct rmr_line *line,
	struct rmr_json_error *error)
{
	struct rmr_record *record = &line->record;
	const char *end;

	switch (key) {
	case KEY_ADDRESS:
		end = rmr_json_digits(p, &record->address);
		return end ? end : fail_number(p, error);
	case KEY_TYPE:
		return scan_slice(p, &record->type, error);
	case KEY_SIZE:
		return scan_below(p, RMR_BYTES_END, &record->size, error);
	case KEY_RC:
		return scan_number(p, &record->rc, error);
	case KEY_CLASS:
		return scan_number(p, &record->class_address, error);
	case KEY_NAME:
		record->flags |= RMR_FLAG_NAME;
		return scan_slice(p, &record->name, error);
	case KEY_MODULE:
		record->flags |= RMR_FLAG_MODULE;
		return scan_slice(p, &record->module, error);
	case KEY_LEN:
		return scan_below(p, RMR_LEN_END, &record->len, error);
	case KEY_VALUE:
		record->flags |= RMR_FLAG_VALUE;
		return scan_slice(p, &record->value, error);
	case KEY_FILE:
		return scan_slice(p, &record->file, error);
	case KEY_LINE:
		return scan_number(p, &record->line, error);
	case KEY_OWNED:
		return scan_signed(p, &record->owned, error);
	case KEY_BUFFER:
		record->flags |= RMR_FLAG_BUFFER;
		return scan_below(p, RMR_BYTES_END, &record->buffer, error);
	case KEY_DATA:
		return scan_number(p, &record->data, error);
	case KEY_BASE:
		return scan_number(p, &record->base, error);
	case KEY_SHAPE:
		return scan_number(p, &record->shape, error);
	case KEY_WEAK:
		record->flags |= RMR_FLAG_WEAK;
		return scan_number(p, &record->weak, error);
	case KEY_FLAGS:
		return scan_flags(p, &record->flags, error);
	case KEY_ROOT:
		return scan_slice(p, &line->root, error);
	case KEY_NAMES:
		return scan_slice(p, &line->names, error);
	case KEY_TRACE:
		return scan_number(p, &record->trace, error);
	default:
		return rmr_json_value(p, error);
	}
}

/* The arrays came twice or in another order: collect them again, in ours. */
static bool reorder(struct rmr_line *line, struct rmr_addresses *addresses, size_t first,
	struct rmr_json_error *error)
{
	uint64_t count;

	addresses->count = first;
	for (int i = 0; i < 3; i++) {
		if (line->arrays[i] && !scan_addresses(line->arrays[i], addresses, &count, error))
			return false;
	}
	return true;
}

/* Nothing has less than no memory. */
static int64_t bounded_owned(const struct rmr_record *record)
{
	int64_t size = record->size == RMR_HEAP_UNKNOWN ? 0 : (int64_t)record->size;

	return record->owned < -size ? -size : record->owned;
}

static enum rmr_line_kind kind_of(const struct rmr_line *line, uint32_t seen)
{
	if (seen & 1u << KEY_ADDRESS)
		return RMR_LINE_OBJECT;
	if (seen & 1u << KEY_ROOT)
		return RMR_LINE_ROOT;
	if (line->record.shape != RMR_HEAP_UNKNOWN && line->names.start)
		return RMR_LINE_SHAPE;
	if (line->record.trace != RMR_HEAP_UNKNOWN && seen & 1u << KEY_FRAMES)
		return RMR_LINE_TRACE;
	if (seen & 1u << KEY_REMORA)
		return RMR_LINE_HEADER;
	return seen & 1u << KEY_END ? RMR_LINE_TRAILER : RMR_LINE_OTHER;
}

static void line_init(struct rmr_line *line)
{
	memset(line, 0, sizeof(*line));
	line->record.type.start = "";
	line->record.size = RMR_HEAP_UNKNOWN;
	line->record.buffer = RMR_HEAP_UNKNOWN;
	line->record.data = RMR_HEAP_UNKNOWN;
	line->record.rc = RMR_HEAP_UNKNOWN;
	line->record.len = RMR_HEAP_UNKNOWN;
	line->record.class_address = RMR_HEAP_UNKNOWN;
	line->record.weak = RMR_HEAP_UNKNOWN;
	line->record.line = RMR_HEAP_UNKNOWN;
	line->record.shape = RMR_HEAP_UNKNOWN;
	line->record.trace = RMR_HEAP_UNKNOWN;
}

const char *rmr_line_scan(const char *p, struct rmr_line *line, struct rmr_addresses *addresses,
	struct rmr_json_error *error)
{
	uint64_t *counts[3] = {&line->record.refs, &line->record.hidden, &line->record.keys};
	size_t first = addresses ? addresses->count : 0;
	unsigned last = 0, seen = 0;
	bool disorder = false;

	line_init(line);
	p = rmr_json_blank(p + 1);
	if (*p == '}') {
		line->kind = RMR_LINE_OTHER;
		return p + 1;
	}
	for (;; p = rmr_json_blank(p + 1)) {
		if (*p != '"')
			return fail(error, p, "a key in quotes is needed here");
		const char *name = p;
		p = rmr_json_plain(p + 1);
		if (*p == '"') {
			p++;
		} else {
			p = rmr_json_string(name, error);
			if (!p)
				return NULL;
		}
		size_t length = (size_t)(p - name) - 2;
		enum key key = key_of(name + 1, length);
		if (key == KEY_OTHER && memchr(name, '\\', length + 1))
			key = key_of_escaped(name, length + 2);
		if (*p != ':')
			p = rmr_json_blank(p);
		if (*p != ':')
			return fail(error, p, "a colon is needed after a key");
		p = rmr_json_blank(p + 1);
		if (key <= KEY_KEYS) {
			disorder |= seen & 1u << key || (unsigned)key < last;
			last = key;
			line->arrays[key] = p;
			p = scan_addresses(p, addresses, counts[key], error);
		} else {
			p = scan_field(p, key, line, error);
		}
		if (!p)
			return NULL;
		seen |= 1u << key;
		p = rmr_json_blank(p);
		if (*p == ',')
			continue;
		if (*p != '}')
			return fail(error, p, "a comma or } is needed here");
		if (disorder && addresses && !reorder(line, addresses, first, error))
			return NULL;
		if (line->arrays[KEY_KEYS])
			line->record.flags |= RMR_FLAG_KEYS;
		if (line->record.hidden)
			line->record.flags |= RMR_FLAG_HIDDEN;
		line->record.owned = bounded_owned(&line->record);
		line->kind = kind_of(line, seen);
		return p + 1;
	}
}
