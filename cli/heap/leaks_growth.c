// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Growth that no container of many items shows: many small containers in one place, a list of nodes
 * that refer to each other, one string that gets longer, what only C holds, what nobody holds. The
 * dominator tree of the last dump is walked from the top down along what grew most.
 */
#include "cli/heap/leaks_internal.h"

#include "attach/cleanup.h"
#include "cli/heap/edges.h"
#include "cli/heap/identity.h"
#include "cli/heap/intern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	GROWTH_MIN = 16 << 10, /* bytes: less than this is no place to name */
	GROWTH_SHARE = 10,     /* nor is less than 1/10 of what the whole heap grew by, */
	HEAP_SHARE = 500,      /* nor 1/500 of the heap */
	PASSAGE_PERCENT = 70,  /* what has so much of a node's growth is the better place */
	CROWD_MIN = 50,        /* objects more in the last dump than in the first, */
	THREADS_MIN = 10,      /* or threads */
	NODES_MAX = 10000,     /* looked at, whatever the tree is like */
	NAMES_MAX = 100000,    /* of one object, and */
	REFERRERS_MAX = 16,    /* looked at for what a place had before */
};

struct growth_work {
	const struct rmr_leak_dumps *dumps;
	const struct rmr_heap *heap;         /* the last */
	const struct rmr_dominators *tree;
	struct rmr_leak_growth *growth;
	uint64_t least;                      /* bytes */
	struct pending {
		uint32_t node;
		uint64_t growth;
	} *pending;
	size_t pending_count, pending_room, looked_at;
};

static uint64_t retained_before(const struct growth_work *work, size_t d, uint32_t node,
	uint64_t *count_ret)
{
	const struct rmr_heap *heap = work->dumps->heaps[d];
	const struct rmr_dominators *tree = work->dumps->dominators[d];
	uint32_t root = rmr_dominators_root_of(work->tree, node), other = RMR_NO_OBJECT;

	*count_ret = 0;
	if (node == rmr_dominators_top(work->tree))
		other = rmr_dominators_top(tree);
	else if (root == RMR_NO_OBJECT)
		other = rmr_identity_find(work->heap, node, heap);
	for (uint32_t r = 0; root != RMR_NO_OBJECT && r < heap->counts.roots; r++) {
		if (!strcmp(heap->roots[r].label, work->heap->roots[root].label)) {
			other = rmr_heap_id_end(heap) + r;
			break;
		}
	}
	if (other == RMR_NO_OBJECT)
		return 0;
	*count_ret = rmr_dominators_count(tree, other);
	return rmr_dominators_retained(tree, other);
}

/* By how much it grew from the first dump on; 0 if it did not grow in some interval. */
static uint64_t growth_of(const struct growth_work *work, uint32_t node, uint64_t *objects_ret)
{
	uint64_t after = rmr_dominators_retained(work->tree, node), last = after, count = 0;
	uint64_t first = after;

	*objects_ret = 0;
	for (size_t d = work->dumps->count - 1; d-- > 0;) {
		first = retained_before(work, d, node, &count);
		if (first >= after && after)
			return 0;
		after = first;
	}
	uint32_t now = rmr_dominators_count(work->tree, node);
	*objects_ret = now > count ? now - count : 0;
	return last - first;
}

static bool add_pending(struct growth_work *work, uint32_t node, uint64_t growth)
{
	if (work->pending_count == work->pending_room) {
		size_t room = work->pending_room ? work->pending_room * 2 : 64;
		struct pending *pending = realloc(work->pending, room * sizeof(*pending));
		if (!pending)
			return false;
		work->pending = pending;
		work->pending_room = room;
	}
	work->pending[work->pending_count++] = (struct pending){node, growth};
	return true;
}

/* Roots, modules and their dicts hold what has nothing to do with each other. */
static bool is_open(const struct growth_work *work, uint32_t node)
{
	const struct rmr_heap *heap = work->heap;

	if (node >= heap->counts.objects || rmr_heap_is_rooted(heap, node) ||
		rmr_heap_builtin(heap, node) == RMR_BUILTIN_MODULE)
		return true;
	struct rmr_ids referrers = {0};
	if (rmr_heap_builtin(heap, node) == RMR_BUILTIN_DICT)
		referrers = rmr_heap_referrers(heap, node);
	for (uint64_t i = 0; i < referrers.count; i++) {
		if (rmr_heap_builtin(heap, referrers.ids[i]) == RMR_BUILTIN_MODULE)
			return true;
	}
	return false;
}

/* What the reference of this name of an object leads to. */
static uint32_t follow(const struct rmr_heap *heap, uint32_t owner, const char *name)
{
	uint64_t count = rmr_heap_children(heap, owner).count;
	uint32_t found = RMR_NO_OBJECT;
	struct rmr_names *names;
	struct rmr_error *err = rmr_names_create(heap, owner, &names);

	if (err) {
		rmr_error_destroy(err);
		return RMR_NO_OBJECT;
	}
	for (uint64_t i = 0; i < count && i < NAMES_MAX && found == RMR_NO_OBJECT; i++) {
		_rmr_free_ char *text = rmr_names_text(names, i);
		if (text && !strcmp(text, name))
			found = rmr_heap_children(heap, owner).ids[i];
	}
	rmr_names_destroy(names);
	return found;
}

/* An immutable one grows by another that takes its place: that of dump @p d, or RMR_NO_OBJECT. */
static uint32_t find_replaced(const struct growth_work *work, size_t d, uint32_t node)
{
	const struct rmr_heap *heap = work->heap, *old = work->dumps->heaps[d];
	struct rmr_ids referrers = rmr_heap_referrers(heap, node);

	for (uint64_t i = 0; i < referrers.count && i < REFERRERS_MAX; i++) {
		/* Not by identity: it may have no other part of its own. */
		uint32_t owner = referrers.ids[i];
		uint32_t before = rmr_heap_find(old, rmr_heap_address(heap, owner));
		struct rmr_names *names;
		if (before >= old->counts.objects ||
			strcmp(rmr_heap_type_label(old, before), rmr_heap_type_label(heap, owner)) != 0)
			continue;
		struct rmr_error *err = rmr_names_create(heap, owner, &names);
		if (err) {
			rmr_error_destroy(err);
			continue;
		}
		_rmr_free_ char *name = rmr_names_text(names, rmr_edges_any(heap, owner, node));
		rmr_names_destroy(names);
		uint32_t found = name ? follow(old, before, name) : RMR_NO_OBJECT;
		if (found < old->counts.objects &&
			!strcmp(rmr_heap_type_label(old, found), rmr_heap_type_label(heap, node)))
			return found;
	}
	return RMR_NO_OBJECT;
}

/* By how much it is larger than the first that stood in its place; 0 if not always a larger one did. */
static uint64_t growth_by_replacement(const struct growth_work *work, uint32_t node)
{
	uint64_t last = rmr_dominators_retained(work->tree, node), after = last;

	for (size_t d = work->dumps->count - 1; d-- > 0;) {
		uint32_t old = find_replaced(work, d, node);
		uint64_t size = rmr_dominators_retained(work->dumps->dominators[d], old);
		if (old == RMR_NO_OBJECT)
			break;
		if (size >= after)
			return 0;
		after = size;
	}
	return last - after;
}

static bool add_place(struct growth_work *work, uint32_t node, uint64_t growth, bool chain)
{
	struct rmr_leak_growth *found = work->growth;
	size_t dumps = work->dumps->count;
	uint64_t objects;

	if (node >= work->heap->counts.objects)
		return true;
	if (found->place_count == found->place_room) {
		size_t room = found->place_room ? found->place_room * 2 : 16;
		struct rmr_leak_place *places = realloc(found->places, room * sizeof(*places));
		if (!places)
			return false;
		found->places = places;
		found->place_room = room;
	}
	/* That of what holds it may be less, where something else shrank. */
	uint64_t own = growth_of(work, node, &objects);
	growth = own ? own : growth;
	struct rmr_leak_place *place = &found->places[found->place_count++];
	*place = (struct rmr_leak_place){.id = node, .byte_growth = growth,
		.object_growth = objects, .chain = chain, .open = is_open(work, node)};
	if (rmr_identity_find(work->heap, node, work->dumps->heaps[dumps - 2]) != RMR_NO_OBJECT)
		return true;
	uint64_t replaced = growth_by_replacement(work, node);
	place->replaced = replaced > 0;
	place->late = !replaced && dumps > 2;
	place->byte_growth = replaced ? replaced : growth;
	return true;
}

/* A module that was imported meanwhile is no leak. */
static bool is_new_module(const struct growth_work *work, uint32_t node)
{
	return node < work->heap->counts.objects &&
		rmr_heap_builtin(work->heap, node) == RMR_BUILTIN_MODULE &&
		rmr_identity_find(work->heap, node, work->dumps->heaps[0]) == RMR_NO_OBJECT;
}

/* A node of the same type below, with but a __dict__ between them: a linked list, a tree. */
static bool is_chain(const struct growth_work *work, uint32_t node, uint32_t child)
{
	const struct rmr_heap *heap = work->heap;
	uint32_t type = rmr_heap_type(heap, node);

	if (node >= heap->counts.objects || child >= heap->counts.objects ||
		rmr_heap_builtin(heap, node) != RMR_BUILTIN_OTHER)
		return false;
	if (rmr_heap_builtin(heap, child) == RMR_BUILTIN_DICT) {
		uint32_t count;
		const uint32_t *below = rmr_dominators_subtree(work->tree, child, &count);
		for (uint32_t i = 1; i < count && i < 4; i++) {
			if (rmr_heap_type(heap, below[i]) == type)
				return true;
		}
	}
	return rmr_heap_type(heap, child) == type;
}

/* Goes on below @p node to what grew; or names it, if what grew is spread below it. */
static struct rmr_error *look_below(struct growth_work *work, uint32_t node, uint64_t growth)
{
	uint64_t count, total, explained = 0, most = 0, objects;
	uint32_t *children, best = RMR_NO_OBJECT;
	bool complete = true, open = is_open(work, node);
	struct rmr_error *err = rmr_dominators_children(work->tree, node, 0, &children, &count,
		&total);

	if (err)
		return err;
	for (uint64_t i = 0; complete && i < count; i++) {
		if (rmr_dominators_retained(work->tree, children[i]) < work->least)
			break;
		uint64_t part = growth_of(work, children[i], &objects);
		part = part < growth ? part : growth;
		explained += part;
		if (part > most) {
			most = part;
			best = children[i];
		}
		if (open && part >= work->least && !is_new_module(work, children[i]))
			complete = add_pending(work, children[i], part);
	}
	free(children);
	bool chain = best != RMR_NO_OBJECT && is_chain(work, node, best);
	bool passage = !chain && most * 100 >= growth * PASSAGE_PERCENT;
	if (complete && !open && passage)
		complete = add_pending(work, best, most);
	else if (complete && (!open || explained * 2 < growth))
		complete = add_place(work, node, growth, chain);
	return complete ? NULL : rmr_heap_ended(work->heap);
}

static struct rmr_error *find_places(struct growth_work *work)
{
	uint32_t top = rmr_dominators_top(work->tree);
	uint64_t objects, growth = growth_of(work, top, &objects);
	struct rmr_error *err = NULL;

	work->least = growth / GROWTH_SHARE > GROWTH_MIN ? growth / GROWTH_SHARE : GROWTH_MIN;
	uint64_t share = rmr_dominators_retained(work->tree, top) / HEAP_SHARE;
	work->least = work->least > share ? work->least : share;
	/* The whole may have shrunk meanwhile: what grew is looked for all the same. */
	if (!add_pending(work, top, UINT64_MAX))
		return &rmr_enomem;
	while (!err && work->pending_count && work->looked_at++ < NODES_MAX) {
		struct pending next = work->pending[--work->pending_count];
		err = rmr_heap_is_interrupted(work->heap) ? rmr_heap_ended(work->heap)
							  : look_below(work, next.node, next.growth);
	}
	return err;
}

/* What hangs on the virtual root of one dump, by type and reach. */
struct crowd_count {
	uint64_t count, retained;
	uint32_t type, example;
};

static struct rmr_error *count_crowds(const struct growth_work *work, size_t d,
	struct rmr_intern *keys, struct crowd_count **ret)
{
	const struct rmr_heap *heap = work->dumps->heaps[d];
	const struct rmr_dominators *tree = work->dumps->dominators[d];
	struct crowd_count *counts = NULL;
	uint32_t *children, number = 0;
	size_t room = 0;
	uint64_t count, total;
	struct rmr_error *err = rmr_dominators_children(tree, rmr_dominators_top(tree), 0, &children,
		&count, &total);

	if (err)
		return err;
	for (uint64_t i = 0; !err && i < count; i++) {
		enum rmr_reach reach = rmr_dominators_reach(tree, children[i]);
		if (reach == RMR_REACH_ROOT || children[i] >= heap->counts.objects)
			continue;
		char key[512];
		int size = snprintf(key, sizeof(key), "%d%s", reach,
			rmr_heap_type_label(heap, children[i]));
		if (!rmr_intern_put(keys, key, (size_t)size < sizeof(key) ? (size_t)size : sizeof(key) - 1,
			    &number))
			err = &rmr_enomem;
		if (!err && number >= room) {
			size_t more = (size_t)number * 2 + 64;
			struct crowd_count *grown = realloc(counts, more * sizeof(*grown));
			if (!grown) {
				err = &rmr_enomem;
				break;
			}
			memset(grown + room, 0, (more - room) * sizeof(*grown));
			counts = grown;
			room = more;
		}
		if (err)
			break;
		struct crowd_count *crowd = &counts[number];
		crowd->count++;
		crowd->retained += rmr_dominators_retained(tree, children[i]);
		crowd->type = rmr_heap_type(heap, children[i]);
		crowd->example = children[i];
	}
	free(children);
	/* Every number that any dump has is a valid index of each. */
	struct crowd_count *whole = err ? NULL : calloc((size_t)keys->count + 1, sizeof(*whole));
	if (!err && !whole)
		err = &rmr_enomem;
	if (whole && counts)
		memcpy(whole, counts, (keys->count < room ? keys->count : room) * sizeof(*whole));
	free(counts);
	*ret = whole;
	return err;
}

static bool compare_crowds(struct growth_work *work, const struct rmr_intern *keys,
	struct crowd_count *const *counts, const uint32_t *known)
{
	size_t last = work->dumps->count - 1;
	struct rmr_leak_growth *found = work->growth;

	found->crowds = calloc((size_t)keys->count + 2, sizeof(*found->crowds));
	for (uint32_t k = 0; found->crowds && k < keys->count; k++) {
		bool steady = true;
		for (size_t d = 0; steady && d < last; d++) {
			uint64_t before = k < known[d] ? counts[d][k].count : 0;
			uint64_t after = k < known[d + 1] ? counts[d + 1][k].count : 0;
			steady = after > before;
		}
		const struct crowd_count *now = &counts[last][k];
		const struct crowd_count first = k < known[0] ? counts[0][k]
							      : (struct crowd_count){0};
		if (!steady || k >= known[last] || now->count - first.count < CROWD_MIN ||
			now->retained < first.retained + work->least)
			continue;
		found->crowds[found->crowd_count++] = (struct rmr_leak_crowd){
			.reach = rmr_dominators_reach(work->tree, now->example), .type = now->type,
			.example = now->example, .count = now->count, .retained = now->retained,
			.count_growth = now->count - first.count,
			.byte_growth = now->retained > first.retained ? now->retained - first.retained
								      : 0};
	}
	return found->crowds != NULL;
}

static struct rmr_error *find_crowds(struct growth_work *work)
{
	size_t dumps = work->dumps->count;
	struct crowd_count **counts = calloc(dumps, sizeof(*counts));
	uint32_t *known = calloc(dumps, sizeof(*known));
	struct rmr_intern keys = {0};
	struct rmr_error *err = counts && known ? NULL : &rmr_enomem;

	for (size_t d = 0; !err && d < dumps; d++) {
		err = count_crowds(work, d, &keys, &counts[d]);
		known[d] = keys.count;
	}
	if (!err && !compare_crowds(work, &keys, counts, known))
		err = &rmr_enomem;
	for (size_t d = 0; counts && d < dumps; d++)
		free(counts[d]);
	free(counts);
	free(known);
	rmr_intern_deinit(&keys);
	return err;
}

static uint64_t count_threads(const struct rmr_heap *heap)
{
	uint64_t count = 0;

	for (uint32_t r = 0; r < heap->counts.roots; r++)
		count += heap->roots[r].kind == RMR_ROOT_THREAD;
	return count;
}

/* Where most of the threads are: the label that the most innermost frames have. */
static bool find_frame(const struct rmr_heap *heap, struct rmr_leak_crowd *crowd)
{
	uint64_t *counts = calloc((size_t)heap->counts.roots + 1, sizeof(*counts));
	struct rmr_intern labels = {0};
	bool complete = counts != NULL;

	for (uint32_t r = 0; complete && r < heap->counts.roots; r++) {
		const struct rmr_root *root = &heap->roots[r];
		uint32_t number;
		if (root->kind != RMR_ROOT_FRAME || root->depth)
			continue;
		complete = rmr_intern_put(&labels, root->label, strlen(root->label), &number);
		if (complete && ++counts[number] > crowd->alike) {
			crowd->alike = counts[number];
			crowd->type = r;
		}
	}
	rmr_intern_deinit(&labels);
	free(counts);
	return complete;
}

/* Threads that are started and never end. */
static struct rmr_error *find_threads(struct growth_work *work)
{
	size_t last = work->dumps->count - 1;
	uint64_t now = count_threads(work->heap), after = now;
	struct rmr_leak_crowd crowd = {.reach = RMR_REACH_ROOT, .type = RMR_NO_OBJECT,
		.example = RMR_NO_OBJECT, .count = now};

	for (size_t d = last; d-- > 0;) {
		uint64_t before = count_threads(work->dumps->heaps[d]);
		if (before >= after)
			return NULL;
		after = before;
	}
	crowd.count_growth = now - after;
	if (crowd.count_growth < THREADS_MIN)
		return NULL;
	if (!find_frame(work->heap, &crowd))
		return &rmr_enomem;
	for (uint32_t r = 0; r < work->heap->counts.roots; r++) {
		const struct rmr_root *root = &work->heap->roots[r];
		if (root->kind == RMR_ROOT_THREAD)
			crowd.retained += rmr_dominators_retained(work->tree,
				rmr_heap_id_end(work->heap) + r);
	}
	work->growth->crowds[work->growth->crowd_count++] = crowd;
	return NULL;
}

struct rmr_error *rmr_leaks_growth(const struct rmr_leak_dumps *dumps, struct rmr_leak_growth *ret)
{
	struct rmr_leak_growth growth = {0};
	struct growth_work work = {.dumps = dumps, .heap = dumps->heaps[dumps->count - 1],
		.tree = dumps->dominators[dumps->count - 1], .growth = &growth};

	struct rmr_error *err = find_places(&work);
	if (!err && work.heap->counts.roots)
		err = find_crowds(&work);
	if (!err && growth.crowds)
		err = find_threads(&work);
	free(work.pending);
	if (err)
		rmr_leaks_growth_deinit(&growth);
	else
		*ret = growth;
	return err;
}

void rmr_leaks_growth_deinit(struct rmr_leak_growth *growth)
{
	free(growth->places);
	free(growth->crowds);
	*growth = (struct rmr_leak_growth){0};
}
