// SPDX-License-Identifier: GPL-3.0-or-later
/* Tarjan, "Depth-first search and linear graph algorithms" (1972), iterative. */
#include "cli/heap/cycles.h"

#include "cli/heap/dominators.h"
#include "cli/heap/finalizers.h"
#include "cli/heap/intern.h"
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

/* A row: the cycles of one shape. */
struct shape {
	uint64_t cycles, count, bytes;
	struct component *example; /* the one with the lowest id */
};

struct tally {
	uint32_t type;
	uint64_t count;
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
	/* Of the component that was looked at last: its types, and the ring from its end to its start. */
	struct tally *tallies;
	uint64_t *of_type; /* of each type: 0 but within tally() */
	size_t kinds;
	uint32_t *ring;
	uint64_t ring_length;
	struct rmr_intern signatures;
	uint32_t *signature;
	size_t signature_room;
	struct shape *shapes;
	size_t shape_count;
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

static int compare_shapes(const void *a, const void *b)
{
	const struct shape *x = a, *y = b;

	if (x->example->garbage != y->example->garbage)
		return x->example->garbage ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return (x->example->first > y->example->first) - (x->example->first < y->example->first);
}

static int compare_tallies(const void *a, const void *b)
{
	const struct tally *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->type > y->type) - (x->type < y->type);
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

/* The types of the component's members, the most frequent first. @return false: interrupted. */
static bool tally(struct cycle_work *work, uint32_t number)
{
	const uint32_t *types = work->heap->type;
	uint64_t end = work->first[number + 1];

	work->kinds = 0;
	for (uint64_t i = work->first[number]; i < end; i++) {
		uint32_t type = types[work->members[i]];
		if (rmr_heap_is_interrupted_at(work->heap, i))
			return false;
		if (!work->of_type[type]++)
			work->tallies[work->kinds++].type = type;
	}
	for (size_t i = 0; i < work->kinds; i++) {
		work->tallies[i].count = work->of_type[work->tallies[i].type];
		work->of_type[work->tallies[i].type] = 0;
	}
	qsort(work->tallies, work->kinds, sizeof(*work->tallies), compare_tallies);
	return true;
}

/* "app.Node x 2, dict" */
static char *tell_types(const struct cycle_work *work)
{
	struct rmr_text text = {0};
	size_t shown = 0;

	for (; shown < work->kinds && shown < TYPES_SHOWN; shown++) {
		const struct tally *kind = &work->tallies[shown];
		rmr_text_format(&text, "%s%s", shown ? ", " : "", work->heap->types[kind->type].label);
		if (kind->count > 1)
			rmr_text_format(&text, " x %llu", (unsigned long long)kind->count);
	}
	if (shown < work->kinds)
		rmr_text_put(&text, ", ...");
	return rmr_text_take(&text);
}

/* Breadth-first from the first member back to itself; before[] tells the way. */
static bool search_ring(struct cycle_work *work, const struct component *component,
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
		if (rmr_heap_is_interrupted_at(heap, taken))
			return false;
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

/* @return false: interrupted */
static bool find_ring(struct cycle_work *work, const struct component *component)
{
	uint32_t last, number = work->low[component->first];

	work->ring_length = 0;
	for (uint64_t i = work->first[number]; i < work->first[number + 1]; i++)
		work->before[work->members[i]] = none;
	if (!search_ring(work, component, &last))
		return false;
	for (uint32_t id = last; id != component->first; id = work->before[id])
		work->ring[work->ring_length++] = id;
	work->ring[work->ring_length++] = component->first;
	return true;
}

/* Where the least of all rotations of the ring's types starts. */
static size_t least_rotation(const struct cycle_work *work)
{
	const uint32_t *ring = work->ring, *type = work->heap->type;
	size_t n = work->ring_length, i = 0, j = 1, same = 0;

	while (i < n && j < n && same < n) {
		uint32_t a = type[ring[(i + same) % n]], b = type[ring[(j + same) % n]];
		if (a == b) {
			same++;
			continue;
		}
		*(a > b ? &i : &j) += same + 1;
		j += i == j;
		same = 0;
	}
	return i < j ? i : j;
}

/* The number of the component's shape: equal ones have equal signatures. */
static bool find_shape(struct cycle_work *work, const struct component *component, uint32_t *ret)
{
	if (!tally(work, (uint32_t)(component - work->components)) || !find_ring(work, component))
		return false;
	size_t n = work->ring_length, start = least_rotation(work), used = 0;
	size_t size = 1 + n + 3 * work->kinds;
	if (size > work->signature_room) {
		uint32_t *grown = realloc(work->signature, 2 * size * sizeof(*grown));
		if (!grown)
			return false;
		work->signature = grown;
		work->signature_room = 2 * size;
	}
	work->signature[used++] = component->garbage * 2 + component->finalizer;
	for (size_t i = 0; i < work->kinds; i++) {
		work->signature[used++] = work->tallies[i].type;
		memcpy(&work->signature[used], &work->tallies[i].count, sizeof(uint64_t));
		used += 2;
	}
	for (size_t i = 0; i < n; i++)
		work->signature[used++] = work->heap->type[work->ring[(start + i) % n]];
	return rmr_intern_put(&work->signatures, work->signature, used * sizeof(*work->signature),
		ret);
}

/* The components by shape, or each for itself. */
static bool find_shapes(struct cycle_work *work, bool each)
{
	for (size_t i = 0; i < work->count; i++) {
		struct component *component = &work->components[i];
		uint32_t number = (uint32_t)i;
		if (rmr_heap_is_interrupted_at(work->heap, i) ||
			(!each && !find_shape(work, component, &number)))
			return false;
		struct shape *shape = &work->shapes[number];
		if (number == work->shape_count) {
			*shape = (struct shape){.example = component};
			work->shape_count++;
		}
		if (component->first < shape->example->first)
			shape->example = component;
		shape->cycles++;
		shape->count += component->count;
		shape->bytes += component->bytes;
	}
	qsort(work->shapes, work->shape_count, sizeof(*work->shapes), compare_shapes);
	return true;
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

/* The first RING_MAX links of the ring. */
static char *tell_ring(struct cycle_work *work)
{
	uint64_t n = work->ring_length, end = n > RING_MAX ? n - RING_MAX : 0;
	struct rmr_text text = {0};

	for (uint64_t i = n; i-- > end;)
		add_link(work, work->ring[i], work->ring[i ? i - 1 : n - 1], i + 1 == n, &text);
	if (end)
		rmr_text_format(&text, " -> ... (%llu objects)", (unsigned long long)n);
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

static void count(struct cycle_work *work, const struct rmr_dominators *dominators,
	struct rmr_cycles *cycles)
{
	for (size_t i = 0; i < work->count; i++) {
		struct component *component = &work->components[i];
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
	cycles->uncollectable = uncollectable(work);
}

static bool tell(struct cycle_work *work, size_t limit, struct rmr_cycles *cycles)
{
	size_t shown = limit && limit < work->shape_count ? limit : work->shape_count;

	cycles->rows = work->shape_count;
	cycles->cycles = calloc(shown + 1, sizeof(*cycles->cycles));
	if (!cycles->cycles)
		return false;
	for (size_t i = 0; i < shown; i++) {
		const struct shape *shape = &work->shapes[i];
		const struct component *example = shape->example;
		struct rmr_cycle *cycle = &cycles->cycles[i];
		*cycle = (struct rmr_cycle){.cycles = shape->cycles, .count = shape->count,
			.bytes = shape->bytes, .garbage = example->garbage,
			.finalizer = example->finalizer, .first = example->first};
		cycles->count++;
		if (!tally(work, (uint32_t)(example - work->components)) || !find_ring(work, example))
			return false;
		cycle->types = tell_types(work);
		cycle->ring = tell_ring(work);
		if (!cycle->types || !cycle->ring)
			return false;
	}
	return true;
}

/* What is needed once the components are known. */
static bool prepare(struct cycle_work *work)
{
	size_t types = work->heap->counts.types + 1;

	work->shapes = calloc(work->count + 1, sizeof(*work->shapes));
	work->tallies = calloc(types, sizeof(*work->tallies));
	work->of_type = calloc(types, sizeof(*work->of_type));
	work->ring = work->index; /* unused by now, and large enough */
	return work->shapes && work->tallies && work->of_type && list_members(work);
}

static void work_deinit(struct cycle_work *work, size_t bytes)
{
	free(work->frames);
	free(work->components);
	free(work->finalizer_types);
	rmr_block_destroy(work->index, bytes);
	rmr_block_destroy(work->low, bytes);
	rmr_block_destroy(work->stack, bytes);
	rmr_block_destroy(work->before, bytes);
	free(work->first);
	free(work->members);
	free(work->shapes);
	free(work->tallies);
	free(work->of_type);
	free(work->signature);
	rmr_intern_deinit(&work->signatures);
	rmr_edges_destroy(&work->edges);
}

struct rmr_error *rmr_cycles_find(const struct rmr_heap *heap,
	const struct rmr_dominators *dominators, const struct rmr_cycles_options *options,
	struct rmr_cycles **ret)
{
	static const struct rmr_cycles_options defaults;
	struct cycle_work work = {.heap = heap};
	size_t bytes = (size_t)heap->counts.objects * sizeof(uint32_t);
	struct rmr_error *err = rmr_heap_verify(heap);

	options = options ? options : &defaults;
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
	complete = complete && !err && prepare(&work);
	if (complete) {
		count(&work, dominators, cycles);
		complete = find_shapes(&work, options->each) && tell(&work, options->limit, cycles);
	}
	if (!complete && !err)
		err = rmr_heap_ended(heap);
	work_deinit(&work, bytes);
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
