// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/positions.h"

#include "cli/heap/build.h"
#include "cli/heap/heap_internal.h"
#include "cli/heap/parallel.h"

#include <stdlib.h>
#include <string.h>

enum {
	LARGE = 1 << 12, /* references: fewer are passed in a microsecond */
	STRIDE = 32,
	DIGIT_BITS = 11,
	DIGITS = 1 << DIGIT_BITS,
	PASSES = 3, /* odd; 3 digits have all bits of an id */
};

/* A stride at a time, which the compiler makes a few instructions of. */
static uint64_t scan(const uint32_t *ids, uint64_t start, uint64_t end, uint32_t target)
{
	for (; start + STRIDE <= end; start += STRIDE) {
		unsigned hits = 0;
		for (unsigned i = 0; i < STRIDE; i++)
			hits |= ids[start + i] == target;
		if (hits)
			break;
	}
	while (start < end && ids[start] != target)
		start++;
	return start < end ? start : UINT64_MAX;
}

static bool is_large(uint64_t count)
{
	return count >= LARGE && count <= UINT32_MAX;
}

/* The order of a large container's references, or NULL: it has none, or the index is corrupt. */
static const uint32_t *order_of(const struct rmr_heap *heap, uint32_t source, uint64_t count)
{
	uint64_t low = 0, high = heap->counts.large, all = heap->counts.large_references;

	if (!is_large(count))
		return NULL;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (heap->large[middle].id < source)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == heap->counts.large || heap->large[low].id != source ||
		heap->large[low].first > all || count > all - heap->large[low].first)
		return NULL;
	return heap->large_order + heap->large[low].first;
}

uint64_t rmr_positions_find(const struct rmr_heap *heap, uint32_t source, uint32_t target,
	uint64_t start)
{
	struct rmr_ids ids = rmr_heap_children(heap, source);
	const uint32_t *order = order_of(heap, source, ids.count);
	uint64_t low = 0, high = ids.count;

	if (start >= ids.count)
		return UINT64_MAX;
	while (order && low < high) {
		uint64_t middle = low + (high - low) / 2;
		uint32_t at = order[middle];
		if (at >= ids.count)
			order = NULL;
		else if (ids.ids[at] < target || (ids.ids[at] == target && at < start))
			low = middle + 1;
		else
			high = middle;
	}
	if (!order)
		return scan(ids.ids, start, ids.count, target);
	if (low == ids.count || order[low] >= ids.count || ids.ids[order[low]] != target)
		return UINT64_MAX;
	return order[low];
}

struct sort {
	const struct rmr_heap *heap;
	const struct rmr_large *large;
	const uint64_t *out_base;
	const uint32_t *out_first, *out;
	uint32_t *order;
	atomic_uint_least64_t next; /* the container that nobody sorts yet */
	atomic_bool no_memory;
};

/* A pass of a radix sort: from NULL, which is 0, 1, 2, ..., to @p to. */
static void sort_pass(const uint32_t *ids, uint32_t count, unsigned shift, const uint32_t *from,
	uint32_t *to)
{
	uint32_t starts[DIGITS] = {0}, sum = 0;

	for (uint32_t i = 0; i < count; i++)
		starts[ids[i] >> shift & (DIGITS - 1)]++;
	for (unsigned digit = 0; digit < DIGITS; digit++) {
		uint32_t here = starts[digit];
		starts[digit] = sum;
		sum += here;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = from ? from[i] : i;
		to[starts[ids[at] >> shift & (DIGITS - 1)]++] = at;
	}
}

static void sort_work(void *context, unsigned number)
{
	struct sort *sort = context;
	uint64_t i;

	(void)number;
	while ((i = atomic_fetch_add(&sort->next, 1)) < sort->heap->counts.large) {
		const struct rmr_large *large = &sort->large[i];
		uint64_t edge = rmr_offset(sort->out_base, sort->out_first, large->id);
		const uint32_t *ids = sort->out + edge;
		uint32_t count = (uint32_t)(rmr_offset(sort->out_base, sort->out_first,
						    (uint64_t)large->id + 1) - edge);
		uint32_t *order = sort->order + large->first;
		size_t bytes = count * sizeof(*order);
		uint32_t *other = rmr_block_create(bytes);
		if (!other) {
			atomic_store(&sort->no_memory, true);
			return;
		}
		const uint32_t *from = NULL;
		for (unsigned pass = 0; pass < PASSES; pass++) {
			uint32_t *to = pass % 2 ? other : order;
			if (rmr_heap_is_interrupted(sort->heap))
				break;
			sort_pass(ids, count, pass * DIGIT_BITS, from, to);
			from = to;
		}
		rmr_block_destroy(other, bytes);
	}
}

/* The large containers, malloc()ed, and their counts. NULL: no memory. */
static struct rmr_large *list_large(struct rmr_heap *heap)
{
	const uint64_t *base = heap->sections[RMR_SECTION_OUT_BASE];
	const uint32_t *first = heap->sections[RMR_SECTION_OUT_FIRST];
	struct rmr_counts *counts = &heap->counts;
	uint64_t start = 0, room = 64;
	struct rmr_large *list = malloc(room * sizeof(*list));

	for (size_t id = 0; list && id < counts->objects; id++) {
		uint64_t end = rmr_offset(base, first, id + 1), count = end - start;
		start = end;
		if (!is_large(count))
			continue;
		if (counts->large == room) {
			room *= 2;
			struct rmr_large *grown = realloc(list, room * sizeof(*list));
			if (!grown)
				free(list);
			list = grown;
			if (!list)
				break;
		}
		list[counts->large++] = (struct rmr_large){.id = (uint32_t)id,
			.first = counts->large_references};
		counts->large_references += count;
	}
	return list;
}

struct rmr_error *rmr_positions_build(struct rmr_build *build)
{
	struct rmr_heap *heap = build->heap;
	struct sort sort = {.heap = heap, .out_base = heap->sections[RMR_SECTION_OUT_BASE],
		.out_first = heap->sections[RMR_SECTION_OUT_FIRST],
		.out = heap->sections[RMR_SECTION_OUT]};

	struct rmr_large *list = list_large(heap);
	if (!list)
		return &rmr_enomem;
	struct rmr_large *large = rmr_index_section(build->writer, heap, RMR_SECTION_LARGE,
		rmr_section_size(RMR_SECTION_LARGE, &heap->counts));
	sort.order = rmr_index_section(build->writer, heap, RMR_SECTION_LARGE_ORDER,
		rmr_section_size(RMR_SECTION_LARGE_ORDER, &heap->counts));
	if (large)
		memcpy(large, list, heap->counts.large * sizeof(*large));
	free(list);
	if (!large || !sort.order)
		return &rmr_enomem;
	sort.large = large;
	rmr_parallel_run(build->threads, sort_work, &sort);
	return atomic_load(&sort.no_memory) ? &rmr_enomem : NULL;
}
