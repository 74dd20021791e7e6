// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/edges.h"

#include "cli/heap/json.h"
#include "cli/heap/parallel.h"
#include "cli/heap/positions.h"
#include "cli/heap/reader.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 62 };

struct rmr_error *rmr_edges_create(const struct rmr_heap *heap, struct rmr_edges *ret)
{
	struct rmr_edges edges = {.heap = heap};

	edges.shapes = rmr_block_create(heap->counts.shapes * sizeof(*edges.shapes));
	if (!edges.shapes)
		return &rmr_enomem;
	*ret = edges;
	return NULL;
}

void rmr_edges_destroy(struct rmr_edges *edges)
{
	if (edges->shapes)
		rmr_block_destroy(edges->shapes,
			edges->heap->counts.shapes * sizeof(*edges->shapes));
	edges->shapes = NULL;
}

static bool is_name(struct rmr_slice slice, const char *name)
{
	size_t length = strlen(name);

	return slice.size == length + 2 && !memcmp(slice.start + 1, name, length);
}

static void read_shape(const struct rmr_heap *heap, uint32_t index, struct rmr_edges_shape *shape)
{
	struct rmr_slice array = {0}, *names = NULL;
	size_t count = 0;
	const char *line = rmr_heap_line_at(heap, heap->shapes[index]);

	shape->known = true;
	shape->dict = RMR_NO_OBJECT;
	if (line)
		array.start = rmr_json_get(line, "names", &array.size);
	if (!rmr_names_parse(array, &names, &count))
		return;
	shape->many = count > NAMES_MAX;
	for (size_t i = 0; i < count; i++) {
		if (!names[i].start)
			continue;
		/* A frame's callers are roots themselves: no way to its locals. */
		if (i < NAMES_MAX && !is_name(names[i], ".__class__") &&
			!is_name(names[i], ".f_back"))
			shape->named |= 1ull << i;
		if (is_name(names[i], ".__dict__"))
			shape->dict = (uint32_t)i;
	}
	free(names);
}

static const struct rmr_edges_shape *shape_of(struct rmr_edges *edges, uint32_t id)
{
	const struct rmr_heap *heap = edges->heap;
	uint32_t index = id < heap->counts.objects ? heap->shape[id] : RMR_NARROW_UNKNOWN;

	if (index >= heap->counts.shapes)
		return NULL;
	if (!edges->shapes[index].known)
		read_shape(heap, index, &edges->shapes[index]);
	return &edges->shapes[index];
}

/* The first reference to the target below @p end at a distance from start that step divides. */
static uint64_t find(const struct rmr_heap *heap, uint32_t source, uint64_t start, uint64_t end,
	unsigned step, uint32_t target)
{
	uint64_t at = rmr_positions_find(heap, source, target, start);

	while (at < end && (at - start) % step)
		at = rmr_positions_find(heap, source, target, at + 1);
	return at < end ? at : UINT64_MAX;
}

static bool leads_on(const struct rmr_names *names, uint64_t index)
{
	if (!rmr_names_has(names, index) || rmr_names_is_key(names, index))
		return false;
	char *text = rmr_names_text(names, index);
	bool leads = text && strcmp(text, ".__class__") != 0 && strcmp(text, ".f_back") != 0;
	free(text);
	return leads;
}

/* The slow way, for what the quick rules do not decide. */
static uint64_t ask_names(const struct rmr_heap *heap, uint32_t source, uint32_t target)
{
	struct rmr_names *names;
	struct rmr_error *err = rmr_names_create(heap, source, &names);

	if (err) {
		rmr_error_destroy(err);
		return UINT64_MAX;
	}
	uint64_t at = rmr_positions_find(heap, source, target, 0);
	while (at != UINT64_MAX && !leads_on(names, at))
		at = rmr_positions_find(heap, source, target, at + 1);
	rmr_names_destroy(names);
	return at;
}

uint64_t rmr_edges_named(struct rmr_edges *edges, uint32_t source, uint32_t target)
{
	const struct rmr_heap *heap = edges->heap;
	struct rmr_ids ids = rmr_heap_children(heap, source);
	const struct rmr_edges_shape *shape = shape_of(edges, source);
	unsigned flags = rmr_heap_flags(heap, source);

	enum rmr_builtin builtin = rmr_heap_builtin(heap, source);
	/* A subclass of dict, list or tuple has items behind its attributes. */
	bool items = builtin == RMR_BUILTIN_OTHER && heap->len[source] != RMR_NARROW_UNKNOWN &&
		heap->len[source] && rmr_names_kin(heap, source) != RMR_KIN_OTHER;
	if (shape) {
		if (shape->many || items || flags & RMR_FLAG_KEYS)
			return ask_names(heap, source, target);
		for (uint64_t i = 0; i < ids.count && i < NAMES_MAX; i++) {
			if (ids.ids[i] == target && shape->named >> i & 1)
				return i;
		}
		return UINT64_MAX;
	}
	uint64_t len = heap->len[source];
	switch (builtin) {
	case RMR_BUILTIN_LIST:
	case RMR_BUILTIN_TUPLE:
		return ids.count == len ? find(heap, source, 0, ids.count, 1, target)
					: ask_names(heap, source, target);
	case RMR_BUILTIN_DICT:
		if (ids.count != 2 * len || flags & RMR_FLAG_HIDDEN)
			return ask_names(heap, source, target);
		return flags & RMR_FLAG_KEYS
			? find(heap, source, 0, len, 1, target)
			: find(heap, source, rmr_names_key_first(heap, ids), ids.count, 2, target);
	case RMR_BUILTIN_CELL:
		return find(heap, source, 0, ids.count ? 1 : 0, 1, target);
	default:
		return items || flags & RMR_FLAG_KEYS ? ask_names(heap, source, target)
						      : UINT64_MAX;
	}
}

uint64_t rmr_edges_any(const struct rmr_heap *heap, uint32_t source, uint32_t target)
{
	return rmr_positions_find(heap, source, target, 0);
}

unsigned rmr_edges_name_count(struct rmr_edges *edges, uint32_t id)
{
	const struct rmr_edges_shape *shape = shape_of(edges, id);
	unsigned count = shape ? (unsigned)__builtin_popcountll(shape->named) : 0;

	return count && shape->dict < NAMES_MAX ? count - 1 : count;
}

uint32_t rmr_edges_dict_of(struct rmr_edges *edges, uint32_t id)
{
	const struct rmr_edges_shape *shape = shape_of(edges, id);
	struct rmr_ids ids = rmr_heap_children(edges->heap, id);

	if (!shape || shape->dict >= ids.count)
		return RMR_NO_OBJECT;
	return ids.ids[shape->dict];
}
