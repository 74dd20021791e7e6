// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum {
	FIRST_STACK = 64 << 10,
	PUBLISH = 64 << 10, // bytes after which the reader is told
};

// ---- the record ----

uint64_t *rmr_emit_begin(struct rmr_heap_dump *w)
{
	if (unlikely(w->failed))
		return NULL;
	if (likely(w->ring->position + RMR_REC_MAX - w->ring->other <= RMR_RING_CAPACITY))
		return rmr_ring_at(w->ring);
	w->waiting = true;
	enum rmr_ring_status status = rmr_ring_reserve(w->ring, RMR_REC_MAX);
	w->waiting = false;
	if (status != RMR_RING_OK) {
		w->failed = true;
		w->status = RMR_HEAP_DUMP_CLOSED;
		return NULL;
	}
	return rmr_ring_at(w->ring);
}

void rmr_emit_end(struct rmr_heap_dump *w, uint64_t *start, uint64_t *end, unsigned kind,
	unsigned part, unsigned flags)
{
	uint64_t size = (uint64_t)((char *)end - (char *)start);

	*start = size | (uint64_t)kind << 32 | (uint64_t)part << 40 | (uint64_t)flags << 48;
	rmr_ring_advance(w->ring, size);
	if (w->ring->position - w->ring->published >= PUBLISH)
		rmr_ring_publish(w->ring);
}

static uint64_t *put_name(uint64_t *p, struct rmr_span name)
{
	if (name.size > RMR_REC_MAX_TEXT)
		name.size = RMR_REC_MAX_TEXT;
	return rmr_values_put(p, name, 0, false);
}

__attribute__((noinline)) static uint64_t *put_buffer(uint64_t *p, const struct rmr_buffer *buffer)
{
	*p++ = buffer->bytes;
	*p++ = buffer->data;
	*p++ = buffer->base;
	return p;
}

static uint64_t *put_head(uint64_t *p, const struct rmr_type_info *info, uint64_t object,
	const struct rmr_facts *f, unsigned *flags, uint32_t hidden, uint32_t keys)
{
	bool wide = (f->size | f->rc) >> 32;

	*flags = f->flags;
	p[1] = object;
	p[2] = info->id | (uint64_t)f->shape << 32;
	p[3] = (uint32_t)f->size | f->rc << 32;
	p += 4;
	if (unlikely(wide)) {
		*flags |= RMR_OBJECT_WIDE;
		*p++ = f->size;
		*p++ = f->rc;
	}
	if (f->has_len) {
		*flags |= RMR_OBJECT_LEN;
		*p++ = f->len;
	}
	if (f->owned) {
		*flags |= RMR_OBJECT_OWNED;
		*p++ = f->owned;
	}
	if (f->weak) {
		*flags |= RMR_OBJECT_WEAK;
		*p++ = f->weak;
	}
	if (hidden | keys) {
		*flags |= RMR_OBJECT_COUNTS;
		*p++ = hidden | (uint64_t)keys << 32;
	}
	if (f->has_line) {
		*flags |= RMR_OBJECT_LINE;
		*p++ = (uint64_t)f->line;
	}
	if (f->trace) {
		*flags |= RMR_OBJECT_TRACE;
		*p++ = f->trace;
	}
	if (unlikely(f->buffer))
		p = put_buffer(p, f->buffer);
	if (f->name.size) {
		*flags |= RMR_OBJECT_NAME;
		p = put_name(p, f->name);
	}
	if (f->module.size) {
		*flags |= RMR_OBJECT_MODULE;
		p = put_name(p, f->module);
	}
	if (f->file.size) {
		*flags |= RMR_OBJECT_FILE;
		p = put_name(p, f->file);
	}
	if (f->has_value) {
		*flags |= RMR_OBJECT_VALUE;
		p = rmr_values_put(p, f->value, 0, f->value_goes_on);
	}
	return p;
}

static void put_addresses(uint64_t *restrict to, const uint64_t *restrict from, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		to[i] = from[i];
}

static void put_part(struct rmr_heap_dump *w, unsigned part, const uint64_t *from, uint32_t count,
	bool more)
{
	uint64_t *start = rmr_emit_begin(w);

	if (!start)
		return;
	put_addresses(start + 1, from, count);
	rmr_emit_end(w, start, start + 1 + count, RMR_REC_PART, part,
		more ? RMR_OBJECT_MORE : 0);
}

static void count_object(struct rmr_heap_dump *w, const struct rmr_facts *f, uint64_t references)
{
	w->objects++;
	w->bytes += f->size;
	w->references += references;
}

// ---- objects without references ----

// A str or bytes whose value takes more than one record.
static void emit_long_value(struct rmr_heap_dump *w, const struct rmr_type_info *info,
	uint64_t object, struct rmr_facts *f)
{
	struct rmr_span rest = f->value;
	uint64_t *start = rmr_emit_begin(w);
	unsigned flags;

	if (!start)
		return;
	f->value.size = RMR_REC_PART_TEXT;
	f->value_goes_on = true;
	uint64_t *end = put_head(start, info, object, f, &flags, 0, 0);
	rmr_emit_end(w, start, end, RMR_REC_OBJECT, flags >> 16, flags | RMR_OBJECT_MORE);
	for (bool more = true; more;) {
		rest.data = (const char *)rest.data + RMR_REC_PART_TEXT;
		rest.size -= RMR_REC_PART_TEXT;
		struct rmr_span part = rest;
		more = rest.size > RMR_REC_PART_TEXT;
		if (more)
			part.size = RMR_REC_PART_TEXT;
		start = rmr_emit_begin(w);
		if (!start)
			return;
		end = rmr_values_put(start + 1, part, 0, more);
		rmr_emit_end(w, start, end, RMR_REC_PART, RMR_PART_VALUE,
			more ? RMR_OBJECT_MORE : 0);
		w->progress++;
	}
}

static void emit_leaf(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	struct rmr_facts f;
	unsigned flags;

	rmr_facts_get(w, info, object, &f);
	count_object(w, &f, 0);
	if (unlikely(f.value.size > RMR_REC_PART_TEXT)) {
		emit_long_value(w, info, object, &f);
		return;
	}
	uint64_t *start = rmr_emit_begin(w);
	if (!start)
		return;
	uint64_t *end = put_head(start, info, object, &f, &flags, 0, 0);
	rmr_emit_end(w, start, end, RMR_REC_OBJECT, flags >> 16, flags);
}

// ---- objects with references ----

// Where the references of the object in hand go while tp_traverse runs.
struct collector {
	const struct rmr_type_info *info;
	struct rmr_facts *facts;
	uint64_t object;
	uint64_t total;
	uint32_t base;  // of its part of the scratch
	uint32_t count; // in it now
	bool spilled;   // part of the record is written already
};

static void spill(struct rmr_heap_dump *w, struct collector *c)
{
	const uint64_t *from = w->scratch + c->base;

	if (c->spilled) {
		put_part(w, RMR_PART_REFS, from, c->count, true);
	} else {
		unsigned flags;
		uint64_t *start = rmr_emit_begin(w);
		if (start) {
			uint64_t *end = put_head(start, c->info, c->object, c->facts, &flags, 0, 0);
			put_addresses(end, from, c->count);
			rmr_emit_end(w, start, end + c->count, RMR_REC_OBJECT, flags >> 16,
				flags | RMR_OBJECT_MORE);
		}
		c->spilled = true;
	}
	c->total += c->count;
	c->count = 0;
}

static int collect_visit(uint64_t child, struct rmr_heap_dump *w)
{
	struct collector *c = w->collector;

	if (unlikely(!child))
		return 0;
	w->progress++;
	if (unlikely(c->count == RMR_REC_PART_REFS))
		spill(w, c);
	w->scratch[c->base + c->count++] = child;
	return 0;
}

static int follow_visit(uint64_t child, struct rmr_heap_dump *w)
{
	w->progress++;
	rmr_emit_child(w, child);
	return 0;
}

static int count_visit(uint64_t child, struct rmr_heap_dump *w)
{
	w->progress += child != 0;
	return 0;
}

// Whether dict_traverse() visits keys, too: if it does not, they are to be added.
static bool keys_are_visited(struct rmr_heap_dump *w, const struct rmr_dict_iter *iter,
	uint64_t dict)
{
	if (w->rt.minor >= 11)
		return iter->is_general;
	// Up to 3.10 a table that uses the general look-up function visits both; which function that
	// is shows with the first dict of each that is not empty.
	uint64_t lookup = rmr_word(iter->keys, 16);
	for (uint32_t i = 0; i < w->lookup_count; i++) {
		if (w->lookups[i][0] == lookup)
			return w->lookups[i][1];
	}
	struct rmr_dict_iter count = *iter;
	uint64_t used = 0;
	while (rmr_dict_next(&count))
		used++;
	uint64_t before = w->progress;
	struct rmr_type_info *info = rmr_types_get(w, (uintptr_t)w->api.PyDict_Type);
	if (info)
		rmr_walk_traverse(w, info, dict, count_visit);
	bool visited = w->progress - before >= 2 * used;
	if (used && w->lookup_count < 8) {
		w->lookups[w->lookup_count][0] = lookup;
		w->lookups[w->lookup_count++][1] = visited;
	}
	return visited;
}

// Starts a walk over the keys that tp_traverse left out; false if there are none.
static bool start_keys(struct rmr_heap_dump *w, uint64_t dict, struct rmr_dict_iter *iter)
{
	uint64_t keys = rmr_at(&w->rt, dict, 32);

	if (!rmr_is_readable(w, keys))
		return false;
	rmr_dict_start(w, iter, keys, rmr_at(&w->rt, dict, 40));
	return !keys_are_visited(w, iter, dict);
}

static uint32_t append_keys(struct rmr_dict_iter *iter, uint64_t *to, uint32_t room)
{
	uint32_t count = 0;

	while (count < room && rmr_dict_next(iter))
		to[count++] = iter->key;
	return count;
}

// The end of an object whose references did not fit one record.
static void finish_spilled(struct rmr_heap_dump *w, struct collector *c, bool has_keys,
	struct rmr_dict_iter *iter)
{
	uint64_t *scratch = w->scratch + c->base;

	put_part(w, RMR_PART_REFS, scratch, c->count, has_keys);
	c->total += c->count;
	while (has_keys) {
		uint32_t count = append_keys(iter, scratch, RMR_REC_PART_REFS);
		struct rmr_dict_iter ahead = *iter;
		has_keys = count == RMR_REC_PART_REFS && rmr_dict_next(&ahead);
		put_part(w, RMR_PART_KEYS, scratch, count, has_keys);
		c->total += count;
		w->progress++;
		if (w->failed)
			return;
	}
	count_object(w, c->facts, c->total);
}

static void follow_spilled(struct rmr_heap_dump *w, struct rmr_type_info *info, uint64_t object,
	bool has_keys)
{
	struct rmr_dict_iter iter;

	rmr_walk_traverse(w, info, object, follow_visit);
	if (!has_keys)
		return;
	rmr_dict_start(w, &iter, rmr_at(&w->rt, object, 32), rmr_at(&w->rt, object, 40));
	while (rmr_dict_next(&iter) && !w->failed) {
		w->progress++;
		rmr_emit_child(w, iter.key);
	}
}

// An array of objects or of records with objects: base and dtype, then the elements, in as many parts
// as it takes.
static void emit_array(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_facts *f, const struct rmr_elements *e)
{
	uint64_t *scratch = w->scratch + w->scratch_top, total;
	uint64_t count = e->count * e->offset_count;
	uint32_t fixed;
	unsigned flags;

	rmr_names_reset(w);
	rmr_names_collect(w, info, object);
	f->shape = rmr_names_match(w, scratch, 0, 1024, &fixed);
	total = fixed;
	uint64_t *start = rmr_emit_begin(w);
	if (!start)
		return;
	uint64_t *end = put_head(start, info, object, f, &flags, 0, 0);
	rmr_emit_end(w, start, end, RMR_REC_OBJECT, flags >> 16, flags | RMR_OBJECT_MORE);
	put_part(w, RMR_PART_HIDDEN, scratch, fixed, true);
	for (uint64_t i = 0; i < count && !w->failed; i += RMR_REC_PART_REFS) {
		uint64_t rest = count - i;
		uint32_t part = (uint32_t)(rest < RMR_REC_PART_REFS ? rest : RMR_REC_PART_REFS);
		uint32_t used = 0;
		for (uint32_t k = 0; k < part; k++) {
			uint64_t element = rmr_buffers_element(e, i + k);
			scratch[fixed + used] = element;
			used += element != 0; // NULL is None to numpy
		}
		put_part(w, RMR_PART_HIDDEN, scratch + fixed, used, part < rest);
		total += used;
		w->progress++;
	}
	count_object(w, f, total);
	w->scratch_top += fixed;
	for (uint32_t i = 0; i < fixed; i++)
		rmr_emit_child(w, scratch[i]);
	for (uint64_t i = 0; i < count && !w->failed; i++)
		rmr_emit_child(w, rmr_buffers_element(e, i));
	w->scratch_top -= fixed;
}

static bool names_are_wanted(const struct rmr_type_info *info)
{
	if (!info->exact)
		return true;
	return info->kind != RMR_KIND_LIST && info->kind != RMR_KIND_TUPLE &&
		info->kind != RMR_KIND_DICT && info->kind != RMR_KIND_SET &&
		info->kind != RMR_KIND_CELL;
}

static void emit_node(struct rmr_heap_dump *w, struct rmr_type_info *info, uint64_t object,
	struct rmr_facts *f)
{
	struct collector c = {.info = info, .facts = f, .object = object, .base = w->scratch_top};
	uint64_t *scratch = w->scratch + c.base;
	struct rmr_dict_iter iter = {0};
	uint32_t hidden = 0, keys = 0;

	if (rmr_types_object_is_gc(w, info, object)) {
		w->collector = &c;
		rmr_walk_traverse(w, info, object, collect_visit);
	}
	bool has_keys = info->kind == RMR_KIND_DICT && start_keys(w, object, &iter);
	if (unlikely(c.spilled)) {
		finish_spilled(w, &c, has_keys, &iter);
		follow_spilled(w, info, object, has_keys);
		return;
	}
	uint32_t count = c.count;
	if (names_are_wanted(info)) {
		rmr_names_reset(w);
		rmr_names_collect(w, info, object);
		f->shape = rmr_names_match(w, scratch, count, count + 1024, &hidden);
	}
	uint32_t all = count + hidden;
	struct rmr_dict_iter rest = iter;
	if (has_keys) {
		// Room for the keys of every dict that did not spill: as many as values, or fewer.
		uint32_t room = RMR_REC_PART_REFS + 1024 - all;
		keys = append_keys(&rest, scratch + all, room);
		if (keys > count) {
			// 3.13.0: values that lie in the instance are visited there and not here.
			hidden += keys;
			all += keys;
			keys = 0;
		} else if (w->request.values == RMR_VALUES_NONE && keys == count && info->exact) {
			f->shape = rmr_names_of_namespace(w, object, scratch + all, keys);
		}
	}
	uint64_t *start = rmr_emit_begin(w);
	if (!start)
		return;
	unsigned flags;
	uint64_t *end = put_head(start, info, object, f, &flags, hidden, keys);
	put_addresses(end, scratch, all + keys);
	rmr_emit_end(w, start, end + all + keys, RMR_REC_OBJECT, flags >> 16, flags);
	count_object(w, f, all + keys);
	w->scratch_top += all + keys;
	for (uint32_t i = 0; i < all + keys; i++)
		rmr_emit_child(w, scratch[i]);
	w->scratch_top = c.base;
}

// False if it holds no elements that are objects.
__attribute__((noinline)) static bool emit_elements(struct rmr_heap_dump *w,
	const struct rmr_type_info *info, uint64_t object, struct rmr_facts *f)
{
	struct rmr_elements elements;

	if (!rmr_buffers_elements(w, info, object, &elements))
		return false;
	emit_array(w, info, object, f, &elements);
	return true;
}

void rmr_emit(struct rmr_heap_dump *w, uint64_t object, bool tracked)
{
	struct rmr_type_info *info = rmr_types_get(w, rmr_type_of(&w->rt, object));

	if (unlikely(!info)) {
		w->faults++;
		return;
	}
	w->current_type = info->address;
	if (!tracked && unlikely(rmr_is_in_image(w, object)))
		rmr_images_note(w, info, object);
	if (info->leaf) {
		emit_leaf(w, info, object);
		return;
	}
	struct rmr_facts f;

	rmr_facts_get(w, info, object, &f);
	if (!tracked && info->traverse && rmr_types_object_is_gc(w, info, object))
		f.flags |= RMR_OBJECT_UNTRACKED;
	rmr_facts_get_more(w, info, object, &f);
	w->depth++;
	if (likely(info->kind < RMR_KIND_NDARRAY) || !emit_elements(w, info, object, &f))
		emit_node(w, info, object, &f);
	w->depth--;
}

// ---- children ----

static void put_off(struct rmr_heap_dump *w, uint64_t object)
{
	if (w->stack_count == w->stack_room) {
		void *stack = w->stack;
		if (!rmr_memory_grow(w, &stack, &w->stack_room, sizeof(*w->stack), FIRST_STACK))
			return;
		w->stack = stack;
	}
	w->stack[w->stack_count++] = object;
}

void rmr_emit_child(struct rmr_heap_dump *w, uint64_t child)
{
	if (!rmr_is_readable(w, child) || rmr_see(w, child))
		return;
	if (w->depth >= RMR_MAX_DEPTH || w->scratch_top + 2 * RMR_SCRATCH_MIN > RMR_SCRATCH) {
		put_off(w, child);
		return;
	}
	rmr_emit(w, child, false);
}

void rmr_emit_rest(struct rmr_heap_dump *w)
{
	while (w->stack_count && !w->failed)
		rmr_emit(w, w->stack[--w->stack_count], false);
}

bool rmr_emit_init(struct rmr_heap_dump *w)
{
	w->scratch = rmr_memory_map(w, RMR_SCRATCH * sizeof(*w->scratch));
	return w->scratch != NULL;
}
