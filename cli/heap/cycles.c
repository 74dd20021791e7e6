// SPDX-License-Identifier: GPL-3.0-or-later
/* Tarjan, "Depth-first search and linear graph algorithms" (1972), iterative. */
#include "cli/heap/cycles.h"

#include "cli/heap/dominators.h"
#include "cli/heap/finalizers.h"
#include "cli/heap/parallel.h"
#include "cli/heap/text.h"

#include <stdlib.h>
#include <string.h>

enum { TYPES_SHOWN = 5, RING_MAX = 12 };

struct frame {
	uint32_t id;
	uint64_t next; /* reference number */
};

struct component {
	uint64_t count, bytes;
	uint32_t first;
	bool loop, finalizer, garbage;
};

struct cycle_work {
	const struct rmr_heap *heap;
	struct rmr_edges edges;
	bool *finalizer_types;
	uint32_t *index; /* of each object: order of its visit, 0 before */
	uint32_t *low;   /* least index that it reaches back to; then its component's number */
	uint32_t *stack;
	size_t stacked;
	struct frame *frames;
	size_t depth, room;
	uint32_t visited;
	uint64_t steps;
	struct component *components;
	size_t count, component_room;
	/* The members of component c are [first[c], first[c + 1]) of them. */
	uint32_t *members;
	uint64_t *first;
	uint32_t *before; /* of each object: find_ring()'s */
};

static const uint32_t none = RMR_NO_OBJECT;

static bool push(struct cycle_work *work, uint32_t id)
{
	if (work->depth == work->room) {
		size_t room = work->room ? work->room * 2 : 1024;
		struct frame *frames = realloc(work->frames, room * sizeof(*frames));
		if (!frames)
			return false;
		work->frames = frames;
		work->room = room;
	}
	work->index[id] = work->low[id] = ++work->visited;
	work->stack[work->stacked++] = id;
	work->frames[work->depth++] = (struct frame){id, 0};
	return true;
}

static bool has_loop(const struct rmr_heap *heap, uint32_t id)
{
	return rmr_edges_any(heap, id, id) != UINT64_MAX;
}

/*
 * Takes the component of id off the stack. Its members leave with the index RMR_NO_OBJECT, and in
 * low their component's number, or RMR_NO_OBJECT for an object that is in no cycle.
 */
static bool take_component(struct cycle_work *work, uint32_t id)
{
	const struct rmr_heap *heap = work->heap;
	bool alone = work->stack[work->stacked - 1] == id;
	uint32_t number = none, member;

	if (!alone || has_loop(heap, id)) {
		if (work->count == work->component_room) {
			size_t room = work->component_room ? work->component_room * 2 : 256;
			void *grown = realloc(work->components, room * sizeof(*work->components));
			if (!grown)
				return false;
			work->components = grown;
			work->component_room = room;
		}
		number = (uint32_t)work->count;
		work->components[work->count++] = (struct component){.first = id};
	}
	do {
		member = work->stack[--work->stacked];
		work->index[member] = none;
		work->low[member] = number;
		if (number == none)
			continue;
		struct component *component = &work->components[number];
		uint32_t type = rmr_heap_type(heap, member);
		component->count++;
		component->bytes += rmr_heap_size(heap, member);
		component->first = member < component->first ? member : component->first;
		component->finalizer |= rmr_heap_flags(heap, member) & RMR_FLAG_FINALIZER ||
			(type != RMR_NO_TYPE && work->finalizer_types[type]);
	} while (member != id);
	return true;
}

static bool search(struct cycle_work *work, uint32_t start)
{
	const struct rmr_heap *heap = work->heap;

	if (work->index[start])
		return true;
	if (!push(work, start))
		return false;
	while (work->depth) {
		if (rmr_heap_is_interrupted_at(heap, ++work->steps))
			return false;
		struct frame *frame = &work->frames[work->depth - 1];
		struct rmr_ids ids = rmr_heap_children(heap, frame->id);
		uint32_t id = frame->id;
		if (frame->next < ids.count) {
			uint32_t child = ids.ids[frame->next++];
			if (child >= heap->counts.objects)
				continue;
			if (!work->index[child]) {
				if (!push(work, child))
					return false;
			} else if (work->index[child] != none && work->index[child] < work->low[id]) {
				work->low[id] = work->index[child];
			}
			continue;
		}
		work->depth--;
		uint32_t low = work->low[id];
		if (low == work->index[id] && !take_component(work, id))
			return false;
		if (work->depth) {
			uint32_t parent = work->frames[work->depth - 1].id;
			if (low < work->low[parent])
				work->low[parent] = low;
		}
	}
	return true;
}

static int compare_cycles(const void *a, const void *b)
{
	const struct component *x = *(struct component *const *)a, *y = *(struct component *const *)b;

	if (x->garbage != y->garbage)
		return x->garbage ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return (x->first > y->first) - (x->first < y->first);
}

struct tally {
	uint32_t type;
	uint64_t count;
};

static int compare_tallies(const void *a, const void *b)
{
	const struct tally *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->type > y->type) - (x->type < y->type);
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Puts the members of the cycles in order: one pass, however many cycles there are. */
static bool list_members(struct cycle_work *work)
{
	const struct rmr_heap *heap = work->heap;
	uint64_t total = 0;

	for (size_t c = 0; c < work->count; c++)
		total += work->components[c].count;
	work->first = calloc(work->count + 2, sizeof(*work->first));
	work->members = malloc((total + 1) * sizeof(*work->members));
	if (!work->first || !work->members)
		return false;
	/* first[c + 1] is where c's next member goes: at last its end. */
	for (size_t c = 1; c < work->count; c++)
		work->first[c + 1] = work->first[c] + work->components[c - 1].count;
	for (uint32_t id = 0; id < heap->counts.objects; id++) {
		if (work->low[id] != none)
			work->members[work->first[work->low[id] + 1]++] = id;
	}
	return true;
}

/* "app.Node x 2, dict" of the component's members. */
static char *tell_types(const struct cycle_work *work, uint32_t number)
{
	const struct rmr_heap *heap = work->heap;
	const uint32_t *members = work->members + work->first[number];
	size_t count = work->first[number + 1] - work->first[number], kinds = 0, shown = 0;
	uint32_t *types = malloc((count + 1) * sizeof(*types));
	struct tally *tallies = calloc(count + 1, sizeof(*tallies));
	struct rmr_text text = {0};

	for (size_t i = 0; types && i < count; i++)
		types[i] = heap->type[members[i]];
	if (types)
		qsort(types, count, sizeof(*types), compare_numbers);
	for (size_t i = 0; types && tallies && i < count; i++) {
		if (!kinds || tallies[kinds - 1].type != types[i])
			tallies[kinds++].type = types[i];
		tallies[kinds - 1].count++;
	}
	free(types);
	if (!types || !tallies) {
		free(tallies);
		return NULL;
	}
	qsort(tallies, kinds, sizeof(*tallies), compare_tallies);
	for (; shown < kinds && shown < TYPES_SHOWN; shown++) {
		rmr_text_format(&text, "%s%s", shown ? ", " : "",
			heap->types[tallies[shown].type].label);
		if (tallies[shown].count > 1)
			rmr_text_format(&text, " x %llu",
				(unsigned long long)tallies[shown].count);
	}
	if (shown < kinds)
		rmr_text_put(&text, ", ...");
	free(tallies);
	return rmr_text_take(&text);
}

/* Breadth-first from the first member back to itself; before[] tells the way, index[] is free. */
static bool find_ring(struct cycle_work *work, const struct component *component,
	uint32_t *last_ret)
{
	uint32_t *before = work->before;
	const struct rmr_heap *heap = work->heap;
	uint32_t start = component->first, number = work->low[start];
	uint32_t *queue = work->stack; /* unused by now, and large enough */
	size_t taken = 0, queued = 0;

	queue[queued++] = start;
	while (taken < queued) {
		uint32_t id = queue[taken++];
		struct rmr_ids ids = rmr_heap_children(heap, id);
		for (uint64_t i = 0; i < ids.count; i++) {
			uint32_t child = ids.ids[i];
			if (child == start) {
				*last_ret = id;
				return true;
			}
			if (child >= heap->counts.objects || work->low[child] != number ||
				before[child] != none)
				continue;
			before[child] = id;
			queue[queued++] = child;
		}
	}
	return false;
}

static void add_link(struct cycle_work *work, uint32_t from, uint32_t to, bool first,
	struct rmr_text *text)
{
	const struct rmr_heap *heap = work->heap;
	struct rmr_names *names;
	uint64_t index = rmr_edges_named(&work->edges, from, to);

	if (index == UINT64_MAX)
		index = rmr_edges_any(heap, from, to);
	rmr_text_format(text, "%s%s", first ? "" : " -> ", rmr_heap_type_label(heap, from));
	struct rmr_error *err = rmr_names_create(heap, from, &names);
	if (err) {
		rmr_error_destroy(err);
		return;
	}
	char *name = rmr_names_text(names, index);
	rmr_text_put(text, name ? name : "");
	free(name);
	rmr_names_destroy(names);
}

static char *tell_ring(struct cycle_work *work, const struct component *component)
{
	const uint32_t *before = work->before;
	uint32_t ring[RING_MAX + 1], last, number = work->low[component->first];
	struct rmr_text text = {0};
	size_t length = 0;

	for (uint64_t i = work->first[number]; i < work->first[number + 1]; i++)
		work->before[work->members[i]] = none;
	if (find_ring(work, component, &last)) {
		/* From its end back to its start; the first RING_MAX of it are shown. */
		uint64_t total = 1, at = 0;
		for (uint32_t id = last; id != component->first; id = before[id])
			total++;
		uint64_t skip = total > RING_MAX ? total - RING_MAX - 1 : 0;
		for (uint32_t id = last;; id = before[id]) {
			if (at++ >= skip)
				ring[length++] = id;
			if (id == component->first)
				break;
		}
		/* ring[0] is the end of it, or the first that is not shown. */
		for (size_t i = length; i-- > (skip ? 1 : 0);)
			add_link(work, ring[i], i ? ring[i - 1] : component->first, i + 1 == length,
				&text);
		if (skip)
			rmr_text_format(&text, " -> ... (%llu objects)", (unsigned long long)total);
	}
	return rmr_text_take(&text);
}

/* Length of gc.garbage. */
static uint64_t uncollectable(struct cycle_work *work)
{
	const struct rmr_heap *heap = work->heap;

	for (uint32_t i = 0; i < heap->counts.roots; i++) {
		if (!strcmp(heap->roots[i].label, "gc.garbage") && heap->roots[i].refs.count) {
			uint64_t len = rmr_heap_len(heap, heap->roots[i].refs.ids[0]);
			return len == RMR_HEAP_UNKNOWN ? 0 : len;
		}
	}
	for (uint32_t id = 0; id < heap->counts.objects; id++) {
		if (rmr_heap_builtin(heap, id) != RMR_BUILTIN_MODULE)
			continue;
		char *name = rmr_heap_name(heap, id);
		bool is_gc = name && !strcmp(name, "gc");
		free(name);
		uint32_t dict = is_gc ? rmr_edges_dict_of(&work->edges, id) : none;
		uint32_t list = dict == none ? none
			: rmr_finalizers_child(heap, dict, "['garbage']");
		if (list != none && rmr_heap_len(heap, list) != RMR_HEAP_UNKNOWN)
			return rmr_heap_len(heap, list);
	}
	return 0;
}

static bool tell(struct cycle_work *work, const struct rmr_dominators *dominators, size_t limit,
	struct rmr_cycles *cycles)
{
	struct component **order = malloc((work->count + 1) * sizeof(*order));

	if (!order)
		return false;
	for (size_t i = 0; i < work->count; i++) {
		struct component *component = &work->components[i];
		order[i] = component;
		component->garbage = dominators && work->heap->counts.roots &&
			rmr_dominators_reach(dominators, component->first) == RMR_REACH_UNREACHABLE;
		cycles->total++;
		cycles->objects += component->count;
		cycles->bytes += component->bytes;
		if (!component->garbage)
			continue;
		cycles->garbage++;
		cycles->garbage_objects += component->count;
		cycles->garbage_bytes += component->bytes;
		cycles->finalizers += component->finalizer;
	}
	qsort(order, work->count, sizeof(*order), compare_cycles);
	size_t shown = limit && limit < work->count ? limit : work->count;
	cycles->cycles = calloc(shown + 1, sizeof(*cycles->cycles));
	bool complete = cycles->cycles != NULL && list_members(work);
	for (size_t i = 0; complete && i < shown; i++) {
		if (rmr_heap_is_interrupted(work->heap)) {
			complete = false;
			break;
		}
		const struct component *component = order[i];
		cycles->cycles[i] = (struct rmr_cycle){.count = component->count,
			.bytes = component->bytes, .garbage = component->garbage,
			.finalizer = component->finalizer, .first = component->first,
			.types = tell_types(work, (uint32_t)(component - work->components)),
			.ring = tell_ring(work, component)};
		cycles->count++;
		complete = cycles->cycles[i].types && cycles->cycles[i].ring;
	}
	free(order);
	cycles->uncollectable = uncollectable(work);
	return complete;
}

struct rmr_error *rmr_cycles_find(const struct rmr_heap *heap,
	const struct rmr_dominators *dominators, size_t limit, struct rmr_cycles **ret)
{
	struct cycle_work work = {.heap = heap};
	size_t bytes = (size_t)heap->counts.objects * sizeof(uint32_t);
	struct rmr_error *err = rmr_heap_verify(heap);

	if (!err)
		err = rmr_edges_create(heap, &work.edges);
	if (err)
		return err;
	struct rmr_cycles *cycles = calloc(1, sizeof(*cycles));
	work.index = rmr_block_create(bytes);
	work.low = rmr_block_create(bytes);
	work.stack = rmr_block_create(bytes);
	work.before = rmr_block_create(bytes);
	work.finalizer_types = calloc(heap->counts.types + 1, sizeof(*work.finalizer_types));
	bool complete = cycles && work.index && work.low && work.stack && work.before &&
		work.finalizer_types;
	if (complete)
		err = rmr_finalizers_find(&work.edges, work.finalizer_types);
	for (uint32_t id = 0; complete && !err && id < heap->counts.objects; id++)
		complete = search(&work, id);
	complete = complete && !err && tell(&work, dominators, limit, cycles);
	if (!complete && !err)
		err = rmr_heap_ended(heap);
	free(work.frames);
	free(work.components);
	free(work.finalizer_types);
	rmr_block_destroy(work.index, bytes);
	rmr_block_destroy(work.low, bytes);
	rmr_block_destroy(work.stack, bytes);
	rmr_block_destroy(work.before, bytes);
	free(work.first);
	free(work.members);
	rmr_edges_destroy(&work.edges);
	if (err)
		rmr_cycles_destroy(cycles);
	else
		*ret = cycles;
	return err;
}

void rmr_cycles_destroy(struct rmr_cycles *cycles)
{
	if (!cycles)
		return;
	for (size_t i = 0; cycles->cycles && i < cycles->count; i++) {
		free(cycles->cycles[i].types);
		free(cycles->cycles[i].ring);
	}
	free(cycles->cycles);
	free(cycles);
}
