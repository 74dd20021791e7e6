// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Lengauer and Tarjan, "A fast algorithm for finding dominators in a flowgraph" (1979), the simple
 * variant with path compression: O(m log n) whatever the graph. Everything is iterative.
 */
#include "cli/heap/dominators.h"

#include "cli/heap/heap_internal.h"
#include "cli/heap/index.h"
#include "cli/heap/parallel.h"
#include "cli/heap/depth_first.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char suffix[] = "-dominators";

/* What is kept, and saved beside the index: arrays one after the other in one block. */
struct rmr_dominators {
	const struct rmr_heap *heap;
	uint32_t nodes; /* ids, roots, the virtual root */
	void *block;
	size_t bytes;
	uint64_t *retained; /* of each node */
	uint32_t *parent;   /* of each node */
	uint32_t *position; /* of each node in preorder of the dominator tree; NO_OBJECT: not in it */
	uint32_t *node_at;  /* the node at each position */
	uint32_t *end;      /* of each position: where the part of the tree below it ends */
	uint8_t *reach;     /* of each node */
};

static void set_arrays(struct rmr_dominators *dominators)
{
	char *at = dominators->block;
	size_t nodes = dominators->nodes;

	dominators->retained = (uint64_t *)(void *)at;
	at += nodes * sizeof(uint64_t);
	dominators->parent = (uint32_t *)(void *)at;
	dominators->position = dominators->parent + nodes;
	dominators->node_at = dominators->position + nodes;
	dominators->end = dominators->node_at + nodes;
	dominators->reach = (uint8_t *)(dominators->end + nodes);
}

/*
 * The algorithm's arrays, by number in the depth-first order; number 0 stands for "none". It goes
 * from the last number to the first, and what it has passed is linked: in the forest, whose edges
 * take the place of the depth-first tree's. Clearing memory takes longer than the algorithm, so
 * that arrays share their places where one ends when the other begins.
 */
struct flow {
	const struct rmr_heap *heap;
	struct rmr_depth_first *reach;
	uint32_t count;
	uint32_t linked;    /* this number and all above it are */
	void *block;        /* semi, label, dominator */
	uint32_t *ancestor; /* the tree's parents, until one is linked */
	uint32_t *semi;     /* of those linked; that of the others is not known yet */
	uint32_t *label;    /* of those linked */
	uint32_t *bucket;   /* the same array, of the others: the first whose semi it is */
	uint32_t *dominator;
	uint32_t *bucket_next; /* the same array, until the dominator is known */
	uint32_t *path;
	size_t path_room;
	bool ended; /* no memory, or interrupted */
};

static bool path_reserve(struct flow *flow, size_t size)
{
	if (size < flow->path_room)
		return true;
	size_t room = flow->path_room ? flow->path_room * 2 : 1024;
	uint32_t *path = realloc(flow->path, room * sizeof(*path));
	if (!path) {
		flow->ended = true;
		return false;
	}
	flow->path = path;
	flow->path_room = room;
	return true;
}

/* Shortens the way from v to the root of its tree in the forest; labels keep the least semi. */
static void compress(struct flow *flow, uint32_t v)
{
	size_t size = 0;

	for (uint32_t u = v; flow->ancestor[u] >= flow->linked; u = flow->ancestor[u]) {
		if (!path_reserve(flow, size))
			return;
		flow->path[size++] = u;
	}
	while (size--) {
		uint32_t u = flow->path[size], above = flow->ancestor[u];
		if (flow->semi[flow->label[above]] < flow->semi[flow->label[u]])
			flow->label[u] = flow->label[above];
		flow->ancestor[u] = flow->ancestor[above];
	}
}

/* Of those linked, from v up: the one of the least semi. */
static uint32_t eval(struct flow *flow, uint32_t v)
{
	compress(flow, v);
	return flow->label[v];
}

/* The lesser of the semi of number w so far, and what its predecessor v makes of it. */
static inline uint32_t consider(struct flow *flow, uint32_t w, uint32_t v, uint32_t semi)
{
	/* Garbage that refers to what is alive does not keep it so. */
	if (!v || (v > flow->reach->unreachable && w <= flow->reach->unreachable))
		return semi;
	uint32_t other = v < flow->linked ? v : flow->semi[eval(flow, v)];
	return other < semi ? other : semi;
}

/* The least semidominator over all predecessors of number w. */
static uint32_t find_semi(struct flow *flow, uint32_t w)
{
	const struct rmr_heap *heap = flow->heap;
	const struct rmr_depth_first *reach = flow->reach;
	uint32_t node = reach->vertex[w], ids = rmr_heap_id_end(heap);
	uint32_t semi = flow->ancestor[w];

	if (node >= ids || reach->marks[node] & RMR_DEPTH_FIRST_ENTRY)
		return 1;
	if (reach->marks[node] & RMR_DEPTH_FIRST_FROM_NODE) {
		for (uint64_t i = rmr_heap_first_rooted(heap, node);
			i < heap->counts.root_references && heap->rooted[i].id == node; i++)
			semi = consider(flow, w, reach->number[ids + heap->rooted[i].root], semi);
	}
	struct rmr_ids referrers = rmr_heap_referrers(heap, node);
	for (uint64_t i = 0; i < referrers.count; i++)
		semi = consider(flow, w, reach->number[referrers.ids[i]], semi);
	return semi;
}

static void empty_bucket(struct flow *flow, uint32_t parent)
{
	for (uint32_t v = flow->bucket[parent], next; v; v = next) {
		uint32_t u = eval(flow, v);
		next = flow->bucket_next[v];
		flow->dominator[v] = flow->semi[u] < flow->semi[v] ? u : parent;
	}
	flow->bucket[parent] = 0;
}

static void flow_run(struct flow *flow)
{
	for (uint32_t w = flow->count; w > 1 && !flow->ended; w--) {
		uint32_t parent = flow->ancestor[w];
		flow->ended = rmr_heap_is_interrupted_at(flow->heap, w);
		if (w > 8) {
			/* What is needed a few steps later is far away in memory. */
			uint32_t node = flow->reach->vertex[w - 8];
			if (node < rmr_heap_id_end(flow->heap))
				__builtin_prefetch(&flow->heap->in_first[node]);
		}
		flow->linked = w + 1;
		uint32_t semi = find_semi(flow, w);
		flow->bucket_next[w] = flow->bucket[semi];
		flow->bucket[semi] = w;
		flow->semi[w] = semi;
		flow->label[w] = w;
		flow->linked = w;
		empty_bucket(flow, parent);
	}
	flow->dominator[1] = 0;
	if (flow->ended)
		return;
	for (uint32_t w = 2; w <= flow->count; w++) {
		uint32_t dominator = flow->dominator[w];
		if (dominator != flow->semi[w] && dominator < w)
			dominator = flow->dominator[dominator];
		/* Not so only where the referrers of an index file are not those of its references. */
		flow->dominator[w] = dominator && dominator < w ? dominator : 1;
	}
}

/* Retained sizes, and the preorder of the dominator tree, from the dominators by number. */
static void flow_finish(const struct flow *flow, struct rmr_dominators *dominators)
{
	const struct rmr_depth_first *reach = flow->reach;
	const struct rmr_heap *heap = flow->heap;
	uint32_t ids = rmr_heap_id_end(heap), count = flow->count;
	/* In arrays that are not needed any more. */
	uint64_t *sum = flow->block;
	uint32_t *size = reach->number, *next = flow->ancestor;

	for (uint32_t w = 1; w <= count; w++) {
		uint32_t node = reach->vertex[w];
		sum[w] = node < ids ? rmr_heap_size(heap, node) + rmr_heap_owned(heap, node) : 0;
		size[w] = 1;
	}
	for (uint32_t w = count; w > 1; w--) {
		sum[flow->dominator[w]] += sum[w];
		size[flow->dominator[w]] += size[w];
	}
	next[1] = 0;
	for (uint32_t w = 1; w <= count; w++) {
		uint32_t node = reach->vertex[w], above = flow->dominator[w], position = 0;
		if (w > 1) {
			position = next[above];
			next[above] += size[w];
		}
		next[w] = position + 1;
		dominators->retained[node] = sum[w];
		dominators->parent[node] = w > 1 ? reach->vertex[above] : node;
		dominators->position[node] = position;
		dominators->node_at[position] = node;
		dominators->end[position] = position + size[w];
		dominators->reach[node] = w <= reach->held ? RMR_REACH_ROOT
			: w <= reach->unreachable	   ? RMR_REACH_HELD_BY_C
							   : RMR_REACH_UNREACHABLE;
	}
}

static struct rmr_error *compute(const struct rmr_heap *heap, struct rmr_dominators *dominators)
{
	struct rmr_depth_first reach;
	struct rmr_error *err = rmr_depth_first_create(heap, &reach);

	if (err)
		return err;
	/* What a table of interned strings refers to has no predecessor in it. */
	for (size_t i = 0; i < heap->weak_table_count; i++)
		reach.number[heap->weak_tables[i]] = 0;
	struct flow flow = {.heap = heap, .reach = &reach, .count = reach.count,
		.ancestor = reach.parent};
	size_t numbers = (size_t)flow.count + 1, bytes = numbers * 3 * sizeof(uint32_t);
	flow.block = rmr_block_create(bytes);
	if (flow.block) {
		flow.semi = flow.block;
		flow.label = flow.bucket = flow.semi + numbers;
		flow.dominator = flow.bucket_next = flow.label + numbers;
		flow_run(&flow);
	}
	memset(dominators->position, 0xff, dominators->nodes * sizeof(*dominators->position));
	if (!flow.block || flow.ended)
		err = rmr_heap_ended(heap);
	else
		flow_finish(&flow, dominators);
	rmr_block_destroy(flow.block, bytes);
	free(flow.path);
	rmr_depth_first_destroy(&reach);
	return err;
}

/* A file's arrays are untrusted: positions and nodes must point at each other. */
static bool is_sound(const struct rmr_dominators *dominators)
{
	uint32_t nodes = dominators->nodes, bad = 0;

	for (uint32_t i = 0; i < nodes; i++) {
		uint32_t position = dominators->position[i];
		bad |= dominators->parent[i] >= nodes;
		bad |= position >= nodes && position != RMR_NO_OBJECT;
		bad |= dominators->node_at[i] >= nodes;
		bad |= dominators->end[i] > nodes || (dominators->end[i] && dominators->end[i] <= i);
	}
	return !bad;
}

struct rmr_error *rmr_dominators_create(const struct rmr_heap *heap, struct rmr_dominators **ret)
{
	struct rmr_error *err = rmr_heap_verify(heap);
	struct rmr_dominators *dominators = calloc(1, sizeof(*dominators));

	if (!err && !dominators)
		err = &rmr_enomem;
	if (!err && (uint64_t)rmr_heap_id_end(heap) + heap->counts.roots + 1 >= RMR_NO_OBJECT)
		err = rmr_error_create(RMR_E_INPUT, 0, "%s has too many roots", heap->path);
	if (err) {
		free(dominators);
		return err;
	}
	dominators->heap = heap;
	dominators->nodes = rmr_heap_id_end(heap) + (uint32_t)heap->counts.roots + 1;
	dominators->bytes = (size_t)dominators->nodes * (sizeof(uint64_t) + 4 * sizeof(uint32_t) + 1);
	dominators->block = rmr_index_load_block(heap, suffix, dominators->bytes);
	if (dominators->block) {
		set_arrays(dominators);
		if (is_sound(dominators)) {
			*ret = dominators;
			return NULL;
		}
		munmap(dominators->block, dominators->bytes);
	}
	dominators->block = rmr_block_create(dominators->bytes);
	err = dominators->block ? NULL : &rmr_enomem;
	if (!err) {
		set_arrays(dominators);
		err = compute(heap, dominators);
	}
	if (err) {
		rmr_dominators_destroy(dominators);
		return err;
	}
	rmr_index_save_block(heap, suffix, dominators->block, dominators->bytes);
	*ret = dominators;
	return NULL;
}

void rmr_dominators_destroy(struct rmr_dominators *dominators)
{
	if (!dominators)
		return;
	rmr_block_destroy(dominators->block, dominators->bytes);
	free(dominators);
}

uint32_t rmr_dominators_top(const struct rmr_dominators *dominators)
{
	return dominators->nodes - 1;
}

uint32_t rmr_dominators_root_of(const struct rmr_dominators *dominators, uint32_t node)
{
	uint32_t ids = rmr_heap_id_end(dominators->heap);

	return node < ids || node >= dominators->nodes - 1 ? RMR_NO_OBJECT : node - ids;
}

uint32_t rmr_dominators_parent(const struct rmr_dominators *dominators, uint32_t node)
{
	return node < dominators->nodes ? dominators->parent[node] : dominators->nodes - 1;
}

uint64_t rmr_dominators_retained(const struct rmr_dominators *dominators, uint32_t node)
{
	return node < dominators->nodes ? dominators->retained[node] : 0;
}

const uint32_t *rmr_dominators_subtree(const struct rmr_dominators *dominators, uint32_t node,
	uint32_t *count_ret)
{
	uint32_t position = node < dominators->nodes ? dominators->position[node] : RMR_NO_OBJECT;

	*count_ret = 0;
	if (position == RMR_NO_OBJECT || dominators->end[position] <= position)
		return dominators->node_at;
	*count_ret = dominators->end[position] - position;
	return dominators->node_at + position;
}

uint32_t rmr_dominators_count(const struct rmr_dominators *dominators, uint32_t node)
{
	uint32_t count;

	rmr_dominators_subtree(dominators, node, &count);
	return count;
}

bool rmr_dominators_is_above(const struct rmr_dominators *dominators, uint32_t above, uint32_t node)
{
	uint32_t start = dominators->position[above], position = dominators->position[node];

	return start != RMR_NO_OBJECT && position != RMR_NO_OBJECT && position >= start &&
		position < dominators->end[start];
}

enum rmr_reach rmr_dominators_reach(const struct rmr_dominators *dominators, uint32_t node)
{
	return node < dominators->nodes ? (enum rmr_reach)dominators->reach[node]
					: RMR_REACH_UNREACHABLE;
}

struct child {
	uint64_t retained;
	uint32_t node;
};

static int compare_children(const void *a, const void *b)
{
	const struct child *x = a, *y = b;

	if (x->retained != y->retained)
		return x->retained < y->retained ? 1 : -1;
	return (x->node > y->node) - (x->node < y->node);
}

struct rmr_error *rmr_dominators_children(const struct rmr_dominators *dominators, uint32_t node,
	uint64_t limit, uint32_t **ids_ret, uint64_t *count_ret, uint64_t *total_ret)
{
	uint32_t position = node < dominators->nodes ? dominators->position[node] : RMR_NO_OBJECT;
	uint32_t start = position == RMR_NO_OBJECT ? 0 : position + 1;
	uint32_t end = position == RMR_NO_OBJECT ? 0 : dominators->end[position];
	size_t count = 0;

	for (uint32_t p = start; p < end && dominators->end[p] > p; p = dominators->end[p])
		count++;
	struct child *children = malloc((count + 1) * sizeof(*children));
	if (!children)
		return &rmr_enomem;
	count = 0;
	for (uint32_t p = start; p < end && dominators->end[p] > p; p = dominators->end[p])
		children[count++] = (struct child){
			dominators->retained[dominators->node_at[p]], dominators->node_at[p]};
	qsort(children, count, sizeof(*children), compare_children);
	size_t shown = limit && limit < count ? limit : count;
	uint32_t *ids = malloc((shown + 1) * sizeof(*ids));
	if (!ids) {
		free(children);
		return &rmr_enomem;
	}
	for (size_t i = 0; i < shown; i++)
		ids[i] = children[i].node;
	free(children);
	*ids_ret = ids;
	*count_ret = shown;
	*total_ret = count;
	return NULL;
}

struct rmr_error *rmr_dominators_sum(const struct rmr_dominators *dominators,
	uint32_t (*group_of)(const void *context, uint32_t id), const void *context, uint32_t groups,
	uint64_t *retained)
{
	uint32_t ids = rmr_heap_id_end(dominators->heap);
	/* Where the part of the tree ends that the group's last outermost object dominates. */
	uint32_t *end = calloc((size_t)groups + 1, sizeof(*end));

	if (!end)
		return &rmr_enomem;
	for (uint32_t p = 0; p < dominators->nodes && dominators->end[p]; p++) {
		uint32_t node = dominators->node_at[p];
		uint32_t group = node < ids ? group_of(context, node) : RMR_NO_OBJECT;
		if (group >= groups || p < end[group])
			continue;
		end[group] = dominators->end[p];
		retained[group] += dominators->retained[node];
	}
	free(end);
	return NULL;
}
