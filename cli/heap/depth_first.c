// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/depth_first.h"

#include "cli/heap/parallel.h"

#include <stdlib.h>
#include <string.h>

enum { AHEAD = 8 }; /* references whose numbers are fetched before they are asked for */

/* A node whose references are being followed. */
struct frame {
	const uint32_t *next, *end;
	uint32_t number;
};

struct walk {
	struct rmr_depth_first *reach;
	struct frame *frames;
	size_t depth, room;
	uint32_t *starts; /* the first ones met, and not from others, in the order met */
	size_t start_count, start_room;
	bool ended; /* no memory, or interrupted */
};

static struct rmr_ids children_of(const struct rmr_depth_first *reach, uint32_t node)
{
	const struct rmr_heap *heap = reach->heap;
	uint32_t ids = rmr_heap_id_end(heap);

	if (rmr_heap_is_weak_table(heap, node))
		return (struct rmr_ids){0};
	return node < ids ? rmr_heap_children(heap, node) : heap->roots[node - ids].refs;
}

static bool push(struct walk *walk, uint32_t node, uint32_t parent)
{
	struct rmr_depth_first *reach = walk->reach;
	struct rmr_ids ids = children_of(reach, node);

	reach->number[node] = ++reach->count;
	walk->ended |= rmr_heap_is_interrupted_at(reach->heap, reach->count);
	reach->vertex[reach->count] = node;
	reach->parent[reach->count] = parent;
	if (!ids.count)
		return true;
	for (uint64_t i = 1; i < ids.count && i < AHEAD; i++)
		__builtin_prefetch(&reach->number[ids.ids[i]]);
	if (walk->depth == walk->room) {
		size_t room = walk->room ? walk->room * 2 : 1024;
		struct frame *frames = realloc(walk->frames, room * sizeof(*frames));
		if (!frames) {
			walk->ended = true;
			return false;
		}
		walk->frames = frames;
		walk->room = room;
	}
	walk->frames[walk->depth++] =
		(struct frame){ids.ids, ids.ids + ids.count, reach->count};
	return true;
}

/* Gives numbers to the node and all that it reaches without one. */
static void visit(struct walk *walk, uint32_t start)
{
	struct rmr_depth_first *reach = walk->reach;

	if (reach->number[start] || !push(walk, start, 1))
		return;
	while (walk->depth && !walk->ended) {
		struct frame *frame = &walk->frames[walk->depth - 1];
		if (frame->next == frame->end) {
			walk->depth--;
			continue;
		}
		uint32_t node = *frame->next++;
		if (!reach->number[node])
			push(walk, node, frame->number);
	}
}

static void enter(struct walk *walk, uint32_t id)
{
	walk->reach->marks[id] |= RMR_DEPTH_FIRST_ENTRY;
}

static void visit_roots(struct walk *walk)
{
	struct rmr_depth_first *reach = walk->reach;
	const struct rmr_heap *heap = reach->heap;
	uint32_t ids = rmr_heap_id_end(heap);

	for (uint32_t r = 0; r < heap->counts.roots; r++) {
		const struct rmr_root *root = &heap->roots[r];
		for (uint64_t i = 0; i < root->refs.count; i++) {
			if (rmr_depth_first_is_node(root->kind))
				reach->marks[root->refs.ids[i]] |= RMR_DEPTH_FIRST_FROM_NODE;
			else
				enter(walk, root->refs.ids[i]);
		}
	}
	for (uint32_t r = 0; r < heap->counts.roots; r++) {
		const struct rmr_root *root = &heap->roots[r];
		if (rmr_depth_first_is_node(root->kind))
			visit(walk, ids + r);
		for (uint64_t i = 0; i < root->refs.count && !rmr_depth_first_is_node(root->kind); i++)
			visit(walk, root->refs.ids[i]);
	}
}

/* The set of them is known before the first is visited: it does not depend on their order. */
static void visit_held(struct walk *walk)
{
	struct rmr_depth_first *reach = walk->reach;
	const struct rmr_heap *heap = reach->heap;

	for (uint32_t id = 0; id < heap->counts.objects && !walk->ended; id++) {
		if (!reach->number[id] && rmr_heap_is_kept(heap, id))
			enter(walk, id);
	}
	for (uint32_t id = 0; id < heap->counts.objects && !walk->ended; id++) {
		if (reach->marks[id] & RMR_DEPTH_FIRST_ENTRY)
			visit(walk, id);
	}
}

static void note_start(struct walk *walk, uint32_t id)
{
	if (walk->start_count == walk->start_room) {
		size_t room = walk->start_room ? walk->start_room * 2 : 1024;
		uint32_t *starts = realloc(walk->starts, room * sizeof(*starts));
		if (!starts) {
			walk->ended = true;
			return;
		}
		walk->starts = starts;
		walk->start_room = room;
	}
	walk->starts[walk->start_count++] = id;
}

/* A trial: visits from id what has no number yet, and notes id as a start. */
static void try_start(struct walk *walk, uint32_t id)
{
	if (walk->reach->number[id] || walk->ended)
		return;
	note_start(walk, id);
	visit(walk, id);
}

static bool is_named(const struct rmr_heap *heap, uint32_t id, const char *name)
{
	char *own = rmr_heap_name(heap, id);
	bool same = own && !strcmp(own, name);

	free(own);
	return same;
}

/*
 * One object of each source component. In any order of starts, the first object met of a source
 * component is a start, as nothing else leads to it; and a start that is in none is reached from
 * one that was met later. So of the starts, taken from the last to the first, those that no later
 * one reaches are the answer. Modules are tried first, so that a dump without roots hangs on them.
 */
static void visit_sources(struct walk *walk)
{
	struct rmr_depth_first *reach = walk->reach;
	const struct rmr_heap *heap = reach->heap;
	uint32_t before = reach->count, ids = rmr_heap_id_end(heap);

	for (int pass = 0; pass < 2 && before < ids; pass++) {
		for (uint32_t id = 0; id < heap->counts.objects; id++) {
			if (!reach->number[id] && rmr_heap_builtin(heap, id) == RMR_BUILTIN_MODULE &&
				(pass || is_named(heap, id, "sys")))
				try_start(walk, id);
		}
	}
	for (uint32_t id = 0; id < ids; id++)
		try_start(walk, id);
	/* Take the numbers back, and give them again from the last start on. */
	for (uint32_t number = before + 1; number <= reach->count; number++)
		reach->number[reach->vertex[number]] = 0;
	reach->count = before;
	while (walk->start_count && !walk->ended) {
		uint32_t id = walk->starts[--walk->start_count];
		if (reach->number[id])
			continue;
		enter(walk, id);
		visit(walk, id);
	}
}

struct rmr_error *rmr_depth_first_create(const struct rmr_heap *heap, struct rmr_depth_first *ret)
{
	uint32_t ids = rmr_heap_id_end(heap);
	struct rmr_depth_first reach = {.heap = heap, .nodes = ids + (uint32_t)heap->counts.roots + 1};
	size_t bytes = ((size_t)reach.nodes + 1) * sizeof(uint32_t);

	reach.number = rmr_block_create(bytes);
	reach.vertex = rmr_block_create(bytes);
	reach.parent = rmr_block_create(bytes);
	reach.marks = rmr_block_create(reach.nodes);
	if (!reach.number || !reach.vertex || !reach.parent || !reach.marks) {
		rmr_depth_first_destroy(&reach);
		return &rmr_enomem;
	}
	struct walk walk = {.reach = &reach};
	reach.count = 1;
	reach.number[reach.nodes - 1] = 1;
	reach.vertex[1] = reach.nodes - 1;
	visit_roots(&walk);
	reach.held = reach.count;
	visit_held(&walk);
	reach.unreachable = reach.count;
	visit_sources(&walk);
	free(walk.frames);
	free(walk.starts);
	if (walk.ended) {
		rmr_depth_first_destroy(&reach);
		return rmr_heap_ended(heap);
	}
	*ret = reach;
	return NULL;
}

void rmr_depth_first_destroy(struct rmr_depth_first *reach)
{
	size_t bytes = ((size_t)reach->nodes + 1) * sizeof(uint32_t);

	rmr_block_destroy(reach->number, bytes);
	rmr_block_destroy(reach->vertex, bytes);
	rmr_block_destroy(reach->parent, bytes);
	rmr_block_destroy(reach->marks, reach->nodes);
}
