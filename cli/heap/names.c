// SPDX-License-Identifier: GPL-3.0-or-later
/* The names of references, by the rules of FORMAT.md. */
#include "cli/heap/heap_internal.h"

#include "attach/cleanup.h"
#include "cli/heap/json.h"
#include "cli/heap/reader.h"
#include "cli/heap/text.h"

#include <stdlib.h>
#include <string.h>

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
		NAMES_DEQUE, /* from the first to the last */
		NAMES_KEYS,  /* refs[first + i] has the key keys[i] */
		NAMES_PAIRS, /* a value and a key in turns */
		NAMES_CELL,
	} rule;
	uint64_t first;  /* ITEMS, DEQUE, KEYS, PAIRS: the first reference that has such a name */
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
	if (heap->facts.format != RMR_HEAP_MELIAE)
		return false;
	for (uint64_t i = 0; i + 1 < pairs.count && i < 2 * (uint64_t)PAIRS_ASKED; i += 2) {
		bool first = rmr_heap_builtin(heap, pairs.ids[i]) == RMR_BUILTIN_STR;
		bool second = rmr_heap_builtin(heap, pairs.ids[i + 1]) == RMR_BUILTIN_STR;
		if (first != second)
			return first;
	}
	return true;
}

/* What C code gives the objects of the type itself. */
static enum rmr_kin own_kin(const struct rmr_heap *heap, uint32_t type)
{
	switch ((enum rmr_builtin)heap->builtins[type]) {
	case RMR_BUILTIN_DICT:
		return RMR_KIN_DICT;
	case RMR_BUILTIN_LIST:
	case RMR_BUILTIN_TUPLE:
		return RMR_KIN_SEQUENCE;
	case RMR_BUILTIN_OTHER:
		if (!strcmp(heap->types[type].label, "frozendict"))
			return RMR_KIN_DICT;
		return strcmp(heap->types[type].label, "collections.deque") ? RMR_KIN_OTHER
									    : RMR_KIN_DEQUE;
	default:
		return RMR_KIN_OTHER;
	}
}

static enum rmr_kin kin_of_class(const struct rmr_heap *heap, uint32_t class)
{
	for (uint32_t type = 0; type < heap->counts.types; type++) {
		if (heap->types[type].class_id == class)
			return own_kin(heap, type);
	}
	return RMR_KIN_OTHER;
}

/* The class's shape alone is asked: any other name may ask for a class. */
struct rmr_ids rmr_names_mro(const struct rmr_heap *heap, uint32_t class)
{
	static const char name[] = "\".__mro__\"";
	struct rmr_names names = {.heap = heap};
	struct rmr_ids ids = rmr_heap_children(heap, class), bases = {0};

	if (!read_shape(&names, class))
		return bases;
	for (size_t i = 0; i < names.shape_count && i < ids.count; i++) {
		if (names.shape[i].size == strlen(name) &&
			!memcmp(names.shape[i].start, name, strlen(name)))
			bases = rmr_heap_children(heap, ids.ids[i]);
	}
	free(names.shape);
	return bases;
}

static enum rmr_kin inherited_kin(const struct rmr_heap *heap, uint32_t type)
{
	struct rmr_ids ids = rmr_names_mro(heap, heap->types[type].class_id);
	enum rmr_kin kin = RMR_KIN_OTHER;

	for (uint64_t i = 0; i < ids.count && kin == RMR_KIN_OTHER; i++)
		kin = kin_of_class(heap, ids.ids[i]);
	return kin;
}

enum rmr_kin rmr_names_kin(const struct rmr_heap *heap, uint32_t id)
{
	uint32_t type = rmr_heap_type(heap, id);

	if (type == RMR_NO_TYPE)
		return RMR_KIN_OTHER;
	unsigned char kin = atomic_load(&heap->kinds[type]);
	if (kin != RMR_KIN_UNKNOWN)
		return (enum rmr_kin)kin;
	kin = (unsigned char)own_kin(heap, type);
	if (kin == RMR_KIN_OTHER && heap->builtins[type] == RMR_BUILTIN_OTHER)
		kin = (unsigned char)inherited_kin(heap, type);
	/* A note to ourselves: the answer is the same whoever finds it. */
	atomic_store(&heap->kinds[type], kin);
	return (enum rmr_kin)kin;
}

/* A class's own attributes come before what it inherits: the items are the last of refs. */
static void choose_rule(struct rmr_names *names, uint32_t id, uint64_t len)
{
	const struct rmr_heap *heap = names->heap;
	enum rmr_builtin builtin = rmr_heap_builtin(heap, id);
	bool exact = builtin != RMR_BUILTIN_OTHER;

	if (names->keys) {
		names->rule = NAMES_KEYS;
		names->first = names->refs > names->keys ? names->refs - names->keys : 0;
		return;
	}
	if (builtin == RMR_BUILTIN_CELL) {
		names->rule = NAMES_CELL;
		return;
	}
	if (len == RMR_HEAP_UNKNOWN || !len || len > names->refs)
		return;
	enum rmr_kin kin = rmr_names_kin(heap, id);
	if (kin == RMR_KIN_SEQUENCE && (!exact || names->refs == len)) {
		names->rule = NAMES_ITEMS;
		names->first = names->refs - len;
	}
	if (kin == RMR_KIN_DEQUE) {
		names->rule = NAMES_DEQUE;
		names->first = names->refs - len;
	}
	if (kin == RMR_KIN_DICT && (exact ? names->refs == 2 * len : names->refs >= 2 * len)) {
		names->rule = NAMES_PAIRS;
		names->first = names->refs - 2 * len;
		names->key_first = rmr_names_key_first(heap,
			(struct rmr_ids){names->children.ids + names->first, 2 * len});
	}
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
	case NAMES_DEQUE:
	case NAMES_PAIRS:
		return index >= names->first && index < names->refs;
	case NAMES_KEYS:
		return (index >= names->first && index < names->first + names->keys &&
			       index < names->refs) ||
			index >= names->refs + names->hidden;
	case NAMES_CELL:
		return index == 0;
	case NAMES_NONE:
		break;
	}
	return false;
}

bool rmr_names_is_key(const struct rmr_names *names, uint64_t index)
{
	if (names->rule == NAMES_PAIRS && index >= names->first && index < names->refs)
		return ((index - names->first) % 2 == 0) == names->key_first;
	return rmr_names_kind(names, index) == RMR_REFERENCE_KEY;
}

/* The key whose value reference number @p index is, or RMR_NO_OBJECT. */
static uint32_t key_of(const struct rmr_names *names, uint64_t index)
{
	const uint32_t *ids = names->children.ids;

	if (index < names->first || index >= names->refs)
		return RMR_NO_OBJECT;
	if (names->rule == NAMES_KEYS)
		return ids[names->refs + names->hidden + index - names->first];
	if (names->rule == NAMES_PAIRS && !rmr_names_is_key(names, index))
		return ids[names->key_first ? index - 1 : index + 1];
	return RMR_NO_OBJECT;
}

uint32_t rmr_names_told_by(const struct rmr_names *names, uint64_t index)
{
	if (index >= names->children.count || (index < names->shape_count && names->shape[index].start))
		return RMR_NO_OBJECT;
	if (names->rule != NAMES_KEYS && names->rule != NAMES_PAIRS)
		return RMR_NO_OBJECT;
	return rmr_names_is_key(names, index) ? names->children.ids[index] : key_of(names, index);
}

static bool is_string(const struct rmr_heap *heap, uint32_t id, const char *text)
{
	if (id == RMR_NO_OBJECT || rmr_heap_builtin(heap, id) != RMR_BUILTIN_STR ||
		rmr_heap_len(heap, id) != strlen(text))
		return false;
	_rmr_free_ char *value = rmr_heap_value(heap, id);
	return value && !strcmp(value, text);
}

static bool is_shape_key(struct rmr_slice name, const char *key)
{
	struct rmr_text text = {0};

	rmr_literal_plain(name, &text);
	_rmr_free_ char *plain = rmr_text_take(&text);
	size_t length = strlen(key);
	return plain && strlen(plain) == length + 4 && !strncmp(plain, "['", 2) &&
		!memcmp(plain + 2, key, length) && !strcmp(plain + 2 + length, "']");
}

uint32_t rmr_names_value(const struct rmr_heap *heap, uint32_t dict, const char *key)
{
	struct rmr_names *names;
	uint32_t found = RMR_NO_OBJECT;
	struct rmr_error *err = rmr_names_create(heap, dict, &names);

	if (err) {
		rmr_error_destroy(err);
		return found;
	}
	for (uint64_t i = 0; i < names->refs && found == RMR_NO_OBJECT; i++) {
		bool shaped = i < names->shape_count && names->shape[i].start;
		if (shaped ? is_shape_key(names->shape[i], key)
			   : is_string(heap, key_of(names, i), key))
			found = names->children.ids[i];
	}
	rmr_names_destroy(names);
	return found;
}

struct rmr_items rmr_names_items(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_names names = {.heap = heap, .children = rmr_heap_children(heap, id)};
	struct rmr_items items = {0, names.children.count, 1};

	count_kinds(&names, id);
	if (names.refs + names.hidden + names.keys != names.children.count)
		return items;
	choose_rule(&names, id, rmr_heap_len(heap, id));
	switch (names.rule) {
	case NAMES_ITEMS:
	case NAMES_DEQUE:
		items = (struct rmr_items){names.first, names.refs - names.first, 1};
		break;
	case NAMES_KEYS:
		items = (struct rmr_items){names.first,
			names.keys < names.refs ? names.keys : names.refs, 1};
		break;
	case NAMES_PAIRS:
		items = (struct rmr_items){names.first + names.key_first,
			(names.refs - names.first) / 2, 2};
		break;
	default:
		break;
	}
	return items;
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
	case NAMES_DEQUE:
		rmr_text_format(&text, "[%llu]", (unsigned long long)(index - names->first));
		break;
	case NAMES_PAIRS:
		if (rmr_names_is_key(names, index))
			add_key(names, index, "<key ", ">", &text);
		else
			add_key(names, names->key_first ? index - 1 : index + 1, "[", "]", &text);
		break;
	case NAMES_KEYS:
		if (index >= keys)
			add_key(names, index, "<key ", ">", &text);
		else
			add_key(names, keys + index - names->first, "[", "]", &text);
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
