// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/waste.h"

#include "cli/heap/buffers.h"
#include "cli/heap/edges.h"
#include "cli/heap/json.h"
#include "cli/heap/order.h"
#include "cli/heap/parallel.h"
#include "cli/heap/reader.h"
#include "cli/heap/text.h"

#include <stdlib.h>
#include <string.h>

enum {
	SHOWN = 60,          /* characters of a value */
	ROOM_MIN = 64,       /* bytes: less room than this is not worth a line */
	PINNED_MIN = 4096,   /* bytes of a buffer that views pin */
	INSTANCES_MIN = 10,  /* so many instances make __slots__ worth while */
	INLINE_MAX = 512,    /* bytes: more than an instance's inline values can be */
	POINTER = 8,
	ROWS_SPARE = 1 << 12, /* rows beyond the limit before the least are dropped */
};

/* Objects, each with a hash of what it holds in the place of the address. */
struct keys {
	struct rmr_order_pair *items;
	size_t count, room;
};

struct waste_work {
	const struct rmr_heap *heap;
	struct rmr_edges edges;
	struct rmr_waste *waste;
	size_t limit, row_room;
	size_t first; /* row of the kind that is being found */
	struct keys strings, bytes, tuples;
	bool ended; /* no memory, or interrupted */
};

static bool goes_on(struct waste_work *work, uint32_t id)
{
	work->ended |= rmr_heap_is_interrupted_at(work->heap, id);
	return id < work->heap->counts.objects && !work->ended;
}

const char *rmr_waste_label(enum rmr_waste_kind kind)
{
	static const char *const labels[RMR_WASTE_KINDS] = {
		[RMR_WASTE_DUPLICATE_STR] = "duplicate strings",
		[RMR_WASTE_DUPLICATE_BYTES] = "duplicate bytes",
		[RMR_WASTE_DUPLICATE_TUPLE] = "duplicate tuples",
		[RMR_WASTE_EMPTY] = "empty containers",
		[RMR_WASTE_OVERALLOCATED] = "over-allocated containers",
		[RMR_WASTE_INSTANCE_DICT] = "instances with a dict",
		[RMR_WASTE_PINNED] = "buffers pinned by views",
	};

	return labels[kind];
}

static uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
	const unsigned char *bytes = data;
	uint64_t hash = 0xcbf29ce484222325 ^ seed;

	for (; size >= 8; size -= 8, bytes += 8) {
		uint64_t word;
		memcpy(&word, bytes, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	while (size--)
		hash = (hash ^ *bytes++) * 0x100000001b3;
	return hash ^ hash >> 29;
}

static void add_key(struct waste_work *work, struct keys *keys, uint64_t hash, uint32_t id)
{
	if (keys->count == keys->room) {
		size_t room = keys->room ? keys->room * 2 : 4096;
		struct rmr_order_pair *items = realloc(keys->items, room * sizeof(*items));
		if (!items) {
			work->ended = true;
			return;
		}
		keys->items = items;
		keys->room = room;
	}
	keys->items[keys->count++] = (struct rmr_order_pair){hash, id};
}

static int compare_rows(const void *a, const void *b)
{
	const struct rmr_waste_row *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return (x->example > y->example) - (x->example < y->example);
}

/* Keeps the worst rows of the kind that is being found, the worst first. */
static void cut_rows(struct waste_work *work)
{
	struct rmr_waste *waste = work->waste;
	size_t count = waste->rows - work->first;

	if (count)
		qsort(waste->row + work->first, count, sizeof(*waste->row), compare_rows);
	if (work->limit && count > work->limit)
		waste->rows = work->first + work->limit;
}

/* Counts a finding, and keeps it while it may be among the worst of its kind. */
static void add_row(struct waste_work *work, struct rmr_waste_row row)
{
	struct rmr_waste *waste = work->waste;

	waste->count[row.kind] += row.count;
	waste->bytes[row.kind] += row.bytes;
	size_t count = waste->rows - work->first;
	if (work->limit && count >= ROWS_SPARE && count - ROWS_SPARE >= work->limit)
		cut_rows(work);
	if (waste->rows == work->row_room) {
		size_t room = work->row_room ? work->row_room * 2 : 64;
		struct rmr_waste_row *rows = realloc(waste->row, room * sizeof(*rows));
		if (!rows) {
			work->ended = true;
			return;
		}
		waste->row = rows;
		work->row_room = room;
	}
	waste->row[waste->rows++] = row;
}

static void name_pinned(const struct rmr_heap *heap, const struct rmr_waste_row *row,
	struct rmr_text *text)
{
	struct rmr_buffer owner = {0};

	rmr_buffers_get(heap, row->example, &owner);
	rmr_text_put(text, " of ");
	rmr_text_bytes(text, owner.bytes);
	if (row->count > 1) {
		rmr_text_put(text, ", held only by ");
		rmr_text_count(text, row->count);
		rmr_text_put(text, " views, which show ");
		rmr_text_bytes(text, owner.bytes - row->bytes);
		rmr_text_put(text, ": ");
	} else {
		rmr_text_put(text, ", held only by ");
	}
	rmr_text_format(text, "%s at 0x%llx", rmr_heap_type_label(heap, row->view),
		(unsigned long long)rmr_heap_address(heap, row->view));
	if (row->count > 1) {
		rmr_text_put(text, " and others");
	} else {
		rmr_text_put(text, ", which shows ");
		rmr_text_bytes(text, owner.bytes - row->bytes);
	}
}

/* The texts of the rows are made when it is sure which rows stay. */
static void name_rows(struct waste_work *work)
{
	const struct rmr_heap *heap = work->heap;

	cut_rows(work);
	for (size_t i = work->first; i < work->waste->rows && !work->ended; i++) {
		work->ended |= rmr_heap_is_interrupted_at(heap, i);
		struct rmr_waste_row *row = &work->waste->row[i];
		struct rmr_text text = {0};
		uint64_t size = rmr_heap_size(heap, row->example);
		if (row->kind <= RMR_WASTE_DUPLICATE_TUPLE) {
			rmr_literal_object(heap, row->example, SHOWN, &text);
		} else {
			rmr_text_put(&text, rmr_heap_type_label(heap, row->example));
			if (row->kind == RMR_WASTE_OVERALLOCATED) {
				rmr_text_put(&text, " of length ");
				rmr_text_count(&text, rmr_heap_len(heap, row->example));
				rmr_text_put(&text, " in ");
				rmr_text_bytes(&text, size);
			} else if (row->kind == RMR_WASTE_PINNED) {
				name_pinned(heap, row, &text);
			}
		}
		row->what = rmr_text_take(&text);
		work->ended |= !row->what;
	}
	work->first = work->waste->rows;
}

static bool same_children(const struct rmr_heap *heap, uint32_t a, uint32_t b)
{
	struct rmr_ids x = rmr_heap_children(heap, a), y = rmr_heap_children(heap, b);

	return x.count == y.count && !memcmp(x.ids, y.ids, x.count * sizeof(*x.ids));
}

static bool same_value(const struct rmr_heap *heap, uint32_t a, uint32_t b)
{
	struct rmr_record x, y;

	rmr_heap_record(heap, a, &x);
	rmr_heap_record(heap, b, &y);
	return x.value.size == y.value.size && !memcmp(x.value.start, y.value.start, x.value.size);
}

/* What is in the data of the program or lives for ever cannot go. */
static bool can_go(const struct rmr_heap *heap, uint32_t id)
{
	return heap->rc[id] == RMR_NARROW_UNKNOWN || !rmr_heap_is_immortal(heap, id);
}

/*
 * Objects of one hash are equal but for an accident: those that are not are left out. One of the
 * equal ones has to stay: one that must, or the first.
 */
static void find_duplicates(struct waste_work *work, struct keys *keys, enum rmr_waste_kind kind)
{
	const struct rmr_heap *heap = work->heap;
	const struct rmr_order_pair *items = keys->items;
	size_t bytes = keys->count * sizeof(*items);
	struct rmr_order_pair *spare = rmr_block_create(bytes);

	if (spare)
		rmr_order_sort(keys->items, spare, keys->count);
	else
		work->ended = true;
	rmr_block_destroy(spare, bytes);
	for (size_t i = 0, end; i < keys->count && !work->ended; i = end) {
		work->ended |= rmr_heap_is_interrupted_at(heap, i);
		struct rmr_waste_row row = {.kind = kind, .example = items[i].index};
		uint32_t stays = row.example;
		for (end = i + 1; end < keys->count && items[end].address == items[i].address; end++) {
			uint32_t id = items[end].index;
			work->ended |= rmr_heap_is_interrupted_at(heap, end);
			if (kind == RMR_WASTE_DUPLICATE_TUPLE
					? !same_children(heap, row.example, id)
					: !same_value(heap, row.example, id))
				continue;
			uint32_t goes = can_go(heap, id) ? id : stays;
			stays = goes == id ? stays : id;
			if (!can_go(heap, goes))
				continue;
			row.count++;
			row.bytes += rmr_heap_size(heap, goes);
		}
		if (row.count)
			add_row(work, row);
	}
	name_rows(work);
}

/* True if the value is all of the string, and not only its start. */
static bool is_whole(const struct rmr_record *record)
{
	/* A JSON text has at least one byte a character: shorter than len, it was cut. */
	uint64_t characters = 0;
	const char *end = record->value.start + record->value.size - 1;
	uint32_t code;

	if (record->len == RMR_HEAP_UNKNOWN)
		return true;
	if (record->value.size < record->len + 2)
		return false;
	if (record->value.size == record->len + 2)
		return true;
	for (const char *p = record->value.start + 1; p < end; characters++)
		p = rmr_json_next(p, &code);
	return characters >= record->len;
}

static void key_values(struct waste_work *work)
{
	const struct rmr_heap *heap = work->heap;
	struct rmr_record record;

	for (uint32_t id = 0; goes_on(work, id); id++) {
		enum rmr_builtin builtin = rmr_heap_builtin(heap, id);
		struct rmr_ids ids;
		switch (builtin) {
		case RMR_BUILTIN_STR:
		case RMR_BUILTIN_BYTES:
			if (!(heap->flags[id] & RMR_FLAG_VALUE))
				break;
			rmr_heap_record(heap, id, &record);
			if (!record.value.start || *record.value.start != '"')
				break;
			if (!is_whole(&record))
				work->waste->truncated++;
			else
				add_key(work, builtin == RMR_BUILTIN_STR ? &work->strings
									 : &work->bytes,
					hash_bytes(record.value.start, record.value.size, 0), id);
			break;
		case RMR_BUILTIN_TUPLE:
			ids = rmr_heap_children(heap, id);
			if (ids.count && ids.count == rmr_heap_len(heap, id))
				add_key(work, &work->tuples,
					hash_bytes(ids.ids, ids.count * sizeof(*ids.ids), 1), id);
			break;
		default:
			break;
		}
	}
}

static bool is_container(enum rmr_builtin builtin)
{
	return builtin == RMR_BUILTIN_LIST || builtin == RMR_BUILTIN_DICT ||
		builtin == RMR_BUILTIN_SET;
}

static void find_empty(struct waste_work *work)
{
	const struct rmr_heap *heap = work->heap;
	struct rmr_waste_row rows[RMR_BUILTINS] = {0};

	for (uint32_t id = 0; goes_on(work, id); id++) {
		enum rmr_builtin builtin = rmr_heap_builtin(heap, id);
		if (!is_container(builtin) || heap->len[id])
			continue;
		struct rmr_waste_row *row = &rows[builtin];
		if (!row->count++)
			*row = (struct rmr_waste_row){.kind = RMR_WASTE_EMPTY, .count = 1,
				.example = id};
		row->bytes += rmr_heap_size(heap, id);
	}
	for (int i = 0; i < RMR_BUILTINS; i++) {
		if (rows[i].count)
			add_row(work, rows[i]);
	}
	name_rows(work);
}

/*
 * What a container of each length needs at most, as this heap shows it: no smaller one of this
 * length or more is there. No layout of any version is assumed.
 */
struct needs {
	struct need {
		uint64_t len, size;
	} *items;
	size_t count;
};

static int compare_needs(const void *a, const void *b)
{
	const struct need *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return (x->size > y->size) - (x->size < y->size);
}

static bool learn_needs(struct waste_work *work, enum rmr_builtin builtin, struct needs *needs)
{
	const struct rmr_heap *heap = work->heap;
	size_t count = 0;

	for (uint32_t id = 0; goes_on(work, id); id++)
		count += rmr_heap_builtin(heap, id) == builtin;
	needs->items = malloc((count + 1) * sizeof(*needs->items));
	needs->count = 0;
	if (!needs->items)
		return false;
	for (uint32_t id = 0; goes_on(work, id); id++) {
		if (rmr_heap_builtin(heap, id) == builtin &&
			rmr_heap_len(heap, id) != RMR_HEAP_UNKNOWN)
			needs->items[needs->count++] =
				(struct need){rmr_heap_len(heap, id), rmr_heap_size(heap, id)};
	}
	qsort(needs->items, needs->count, sizeof(*needs->items), compare_needs);
	for (size_t i = needs->count; i-- > 1;) {
		if (needs->items[i].size < needs->items[i - 1].size)
			needs->items[i - 1].size = needs->items[i].size;
	}
	return true;
}

static uint64_t need_of(const struct needs *needs, uint64_t len)
{
	size_t low = 0, high = needs->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (needs->items[middle].len < len)
			low = middle + 1;
		else
			high = middle;
	}
	return low < needs->count ? needs->items[low].size : 0;
}

static void find_room_of(struct waste_work *work, enum rmr_builtin builtin)
{
	const struct rmr_heap *heap = work->heap;
	struct needs needs = {0};

	if (!learn_needs(work, builtin, &needs)) {
		work->ended = true;
		return;
	}
	for (uint32_t id = 0; goes_on(work, id); id++) {
		uint64_t len = rmr_heap_len(heap, id), size = rmr_heap_size(heap, id);
		if (rmr_heap_builtin(heap, id) != builtin || len == RMR_HEAP_UNKNOWN || !len)
			continue;
		uint64_t need = need_of(&needs, len);
		/* Growing containers have some room; a quarter is more than that. */
		if (size >= need + ROOM_MIN && (size - need) * 4 >= size)
			add_row(work, (struct rmr_waste_row){.kind = RMR_WASTE_OVERALLOCATED,
				.count = 1, .bytes = size - need, .example = id});
	}
	free(needs.items);
}

static void find_room(struct waste_work *work)
{
	find_room_of(work, RMR_BUILTIN_LIST);
	find_room_of(work, RMR_BUILTIN_DICT);
	find_room_of(work, RMR_BUILTIN_SET);
	name_rows(work);
}

/*
 * What slots would save of an instance: its dict, or the values that Python 3.11 and later keep
 * beside it until somebody asks for the dict; and the pointers to dict and weak references
 * (Objects/typeobject.c, type_new_slots()). A slot is a pointer.
 */
static uint64_t slots_save(struct waste_work *work, uint32_t id)
{
	const struct rmr_heap *heap = work->heap;
	uint32_t dict = rmr_edges_dict_of(&work->edges, id);
	int64_t owned = rmr_heap_owned(heap, id);
	uint64_t size = owned > 0 && owned <= INLINE_MAX ? (uint64_t)owned : 0, slots;

	if (dict == RMR_NO_OBJECT) {
		slots = rmr_edges_name_count(&work->edges, id);
	} else if (rmr_heap_builtin(heap, dict) == RMR_BUILTIN_DICT) {
		size += rmr_heap_size(heap, dict);
		slots = heap->len[dict] == UINT32_MAX ? 0 : rmr_heap_len(heap, dict);
	} else {
		return 0;
	}
	return size + 2 * POINTER > POINTER * slots && size ? size + 2 * POINTER - POINTER * slots : 0;
}

/*
 * False for a class whose instances have a length in C: it cannot have __slots__ that are not empty
 * (Objects/typeobject.c, type_new()).
 */
static bool can_have_slots(const struct rmr_heap *heap, uint32_t type)
{
	uint32_t class = heap->types[type].class_id;
	struct rmr_ids bases = {0};

	if (class != RMR_NO_OBJECT)
		bases = rmr_names_mro(heap, class);
	for (uint64_t i = 0; i < bases.count; i++) {
		for (uint32_t k = 0; k < heap->counts.types; k++) {
			const char *label = heap->types[k].label;
			if (heap->types[k].class_id == bases.ids[i] && (!strcmp(label, "int") ||
				!strcmp(label, "tuple") || !strcmp(label, "bytes")))
				return false;
		}
	}
	return true;
}

static void find_instance_dicts(struct waste_work *work)
{
	const struct rmr_heap *heap = work->heap;
	uint32_t types = rmr_heap_type_count(heap);
	struct rmr_waste_row *rows = calloc((size_t)types + 1, sizeof(*rows));

	if (!rows) {
		work->ended = true;
		return;
	}
	for (uint32_t id = 0; goes_on(work, id); id++) {
		enum rmr_builtin builtin = rmr_heap_builtin(heap, id);
		const struct rmr_type *type = &heap->types[heap->type[id]];
		/* Nobody can give slots to a class of the interpreter. */
		if (builtin != RMR_BUILTIN_OTHER || type->label == type->name ||
			heap->flags[id] & (RMR_FLAG_MODULE | RMR_FLAG_BUFFER))
			continue;
		uint64_t saved = slots_save(work, id);
		if (!saved)
			continue;
		struct rmr_waste_row *row = &rows[heap->type[id]];
		row->kind = RMR_WASTE_INSTANCE_DICT;
		row->bytes += saved;
		if (!row->count++)
			row->example = id;
	}
	for (uint32_t i = 0; i < types; i++) {
		if (rows[i].count >= INSTANCES_MIN && can_have_slots(heap, i))
			add_row(work, rows[i]);
	}
	free(rows);
	name_rows(work);
}

/* A view, and whose bytes it shows. */
struct view {
	uint32_t owner, id;
	uint64_t data, bytes;
};

struct views {
	struct view *items;
	size_t count, room;
};

static int compare_views(const void *a, const void *b)
{
	const struct view *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static int compare_places(const void *a, const void *b)
{
	const struct view *x = a, *y = b;

	return (x->data > y->data) - (x->data < y->data);
}

static bool is_among(const struct view *views, size_t count, uint32_t id)
{
	struct view key = {.owner = views->owner, .id = id};

	return bsearch(&key, views, count, sizeof(*views), compare_views);
}

static bool collect_views(struct waste_work *work, struct views *views)
{
	const struct rmr_heap *heap = work->heap;
	struct rmr_buffer buffer;

	for (uint32_t id = 0; goes_on(work, id); id++) {
		if (!(heap->flags[id] & RMR_FLAG_BUFFER) || !rmr_buffers_get(heap, id, &buffer) ||
			buffer.owner == id || buffer.owner >= heap->counts.objects)
			continue;
		if (views->count == views->room) {
			size_t room = views->room ? views->room * 2 : 1024;
			struct view *items = realloc(views->items, room * sizeof(*items));
			if (!items)
				return false;
			views->items = items;
			views->room = room;
		}
		views->items[views->count++] =
			(struct view){buffer.owner, id, buffer.data, buffer.bytes};
	}
	if (views->count)
		qsort(views->items, views->count, sizeof(*views->items), compare_views);
	return !work->ended;
}

/* True if anything but these views and their dicts refers to @p id. */
static bool is_held_by_others(const struct rmr_heap *heap, uint32_t id, const struct view *views,
	size_t count, bool through_dicts)
{
	struct rmr_ids referrers = rmr_heap_referrers(heap, id);

	for (uint64_t i = 0; i < referrers.count; i++) {
		uint32_t referrer = referrers.ids[i];
		if (is_among(views, count, referrer))
			continue;
		/* `_objects` of ctypes, the `__dict__` of a numpy.memmap, which holds its mmap. */
		if (!through_dicts || rmr_heap_builtin(heap, referrer) != RMR_BUILTIN_DICT ||
			is_held_by_others(heap, referrer, views, count, false))
			return true;
	}
	return rmr_heap_is_rooted(heap, id) || rmr_heap_is_held_by_c(heap, id);
}

/* Moves the views that more than the other ones hold to the front: their number. */
static size_t outer_views(const struct rmr_heap *heap, struct view *views, size_t count)
{
	struct view *outer = malloc(count * sizeof(*outer));
	size_t kept = 0;

	for (size_t i = 0; outer && i < count; i++) {
		if (is_held_by_others(heap, views[i].id, views, count, true))
			outer[kept++] = views[i];
	}
	if (outer)
		memcpy(views, outer, kept * sizeof(*outer));
	free(outer);
	return kept;
}

/* How many different bytes the views show; of those with steps or holes at most. */
static uint64_t shown_bytes(struct view *views, size_t count)
{
	uint64_t shown = 0, end = 0;

	qsort(views, count, sizeof(*views), compare_places);
	for (size_t i = 0; i < count; i++) {
		uint64_t start = views[i].data > end ? views[i].data : end;
		uint64_t last = views[i].data + views[i].bytes;
		if (last > start) {
			shown += last - start;
			end = last;
		}
	}
	return shown;
}

/* A buffer is pinned when nothing but views refers to it, and they show less than half of it. */
static void find_pinned(struct waste_work *work)
{
	const struct rmr_heap *heap = work->heap;
	struct views views = {0};
	struct rmr_buffer owner;

	work->ended |= !collect_views(work, &views);
	for (size_t i = 0, end; i < views.count && !work->ended; i = end) {
		struct view *first = &views.items[i];
		for (end = i + 1; end < views.count && views.items[end].owner == first->owner;)
			end++;
		work->ended |= rmr_heap_is_interrupted_at(heap, i);
		if (!rmr_buffers_get(heap, first->owner, &owner) || owner.bytes < PINNED_MIN ||
			is_held_by_others(heap, first->owner, first, end - i, true))
			continue;
		uint32_t pinned = first->owner;
		size_t count = outer_views(heap, first, end - i);
		uint64_t shown = count ? shown_bytes(first, count) : owner.bytes;
		if (shown >= owner.bytes || shown * 2 >= owner.bytes)
			continue;
		add_row(work, (struct rmr_waste_row){.kind = RMR_WASTE_PINNED, .count = count,
			.bytes = owner.bytes - shown, .example = pinned, .view = first->id});
	}
	free(views.items);
	name_rows(work);
}

struct rmr_error *rmr_waste_find(const struct rmr_heap *heap, size_t limit, struct rmr_waste **ret)
{
	struct waste_work work = {.heap = heap, .limit = limit};
	struct rmr_error *err = rmr_heap_verify(heap);

	if (!err)
		err = rmr_edges_create(heap, &work.edges);
	if (err)
		return err;
	work.waste = calloc(1, sizeof(*work.waste));
	if (work.waste) {
		key_values(&work);
		find_duplicates(&work, &work.strings, RMR_WASTE_DUPLICATE_STR);
		find_duplicates(&work, &work.bytes, RMR_WASTE_DUPLICATE_BYTES);
		find_duplicates(&work, &work.tuples, RMR_WASTE_DUPLICATE_TUPLE);
		find_empty(&work);
		find_room(&work);
		find_instance_dicts(&work);
		find_pinned(&work);
	}
	free(work.strings.items);
	free(work.bytes.items);
	free(work.tuples.items);
	rmr_edges_destroy(&work.edges);
	if (!work.waste || work.ended) {
		rmr_waste_destroy(work.waste);
		return rmr_heap_ended(heap);
	}
	*ret = work.waste;
	return NULL;
}

void rmr_waste_destroy(struct rmr_waste *waste)
{
	if (!waste)
		return;
	for (size_t i = 0; i < waste->rows; i++)
		free(waste->row[i].what);
	free(waste->row);
	free(waste);
}
