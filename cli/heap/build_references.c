// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/build.h"
#include "cli/heap/parallel.h"

#include <stdlib.h>

enum { AHEAD = 12 };

/* References to addresses that no record describes, as one thread met them. */
struct absentees {
	uint64_t *edges, *addresses;
	size_t count, room;
	bool no_memory;
};

struct resolve {
	struct rmr_build *build;
	struct rmr_directory directory;
	const uint64_t *out_base;
	const uint32_t *out_first;
	uint32_t *out;
	struct absentees absentees[RMR_ORDER_PARTS];
};

/*
 * Turns counts into starts: @p first[i] becomes the sum of those before it in its block of 2^16,
 * @p base the sums of the blocks before. @return false if a block has 2^32 references or more.
 */
static bool prefix(uint32_t *first, uint64_t *base, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i <= count; i++) {
		if (!(i & ((1u << RMR_BLOCK_SHIFT) - 1)))
			base[i >> RMR_BLOCK_SHIFT] = sum;
		uint64_t within = sum - base[i >> RMR_BLOCK_SHIFT];
		if (within > UINT32_MAX)
			return false;
		uint32_t here = i < count ? first[i] : 0;
		first[i] = (uint32_t)within;
		sum += here;
	}
	return true;
}

static void note_absent(struct absentees *absentees, uint64_t edge, uint64_t address)
{
	if (absentees->count == absentees->room) {
		size_t room = absentees->room ? absentees->room * 2 : 1024;
		uint64_t *edges = realloc(absentees->edges, room * sizeof(*edges));
		if (edges)
			absentees->edges = edges;
		uint64_t *addresses = realloc(absentees->addresses, room * sizeof(*addresses));
		if (addresses)
			absentees->addresses = addresses;
		if (!edges || !addresses) {
			absentees->no_memory = true;
			return;
		}
		absentees->room = room;
	}
	absentees->edges[absentees->count] = edge;
	absentees->addresses[absentees->count++] = address;
}

/* Two stages ahead: the record's references first, then the pages that they are in. */
static void look_ahead(const struct resolve *resolve, size_t id, size_t end)
{
	const struct rmr_build *build = resolve->build;
	uint32_t local;
	uint64_t count;

	if (id + 2 * AHEAD >= end)
		return;
	const struct rmr_chunk *chunk =
		rmr_build_locate(build, build->order[id + 2 * AHEAD], &local);
	__builtin_prefetch(&chunk->objects[local].first);
	chunk = rmr_build_locate(build, build->order[id + AHEAD], &local);
	const uint64_t *addresses = rmr_build_references_of(chunk, local, &count);
	if (count) {
		__builtin_prefetch(addresses);
		chunk = rmr_build_locate(build, build->order[id + AHEAD / 2], &local);
		addresses = rmr_build_references_of(chunk, local, &count);
		for (uint64_t k = 0; k < count && k < 4; k++)
			__builtin_prefetch(&resolve->directory.pages[rmr_directory_slot(
				&resolve->directory, addresses[k] >> resolve->directory.shift)]);
	}
}

static void resolve_work(void *context, unsigned number)
{
	struct resolve *resolve = context;
	const struct rmr_build *build = resolve->build;
	size_t objects = build->heap->counts.objects;
	size_t end = rmr_parallel_start(objects, build->threads, number + 1);

	for (size_t id = rmr_parallel_start(objects, build->threads, number); id < end; id++) {
		uint32_t local;
		uint64_t count;
		if (rmr_heap_is_interrupted_at(build->heap, id))
			return;
		look_ahead(resolve, id, end);
		const struct rmr_chunk *chunk = rmr_build_locate(build, build->order[id], &local);
		const uint64_t *addresses = rmr_build_references_of(chunk, local, &count);
		uint64_t edge = rmr_offset(resolve->out_base, resolve->out_first, id);
		for (uint64_t k = 0; k < count; k++, edge++) {
			uint32_t target = rmr_directory_find(&resolve->directory, addresses[k]);
			resolve->out[edge] = target;
			if (target == RMR_NO_OBJECT)
				note_absent(&resolve->absentees[number], edge, addresses[k]);
		}
	}
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* All absent addresses, of objects' references and of roots', sorted and without duplicates. */
static struct rmr_error *collect_absent(struct resolve *resolve, uint64_t **ret, size_t *count_ret)
{
	struct rmr_build *build = resolve->build;
	size_t total = 0, count = 0, unique = 0;

	for (unsigned t = 0; t < build->threads; t++) {
		if (resolve->absentees[t].no_memory)
			return &rmr_enomem;
		total += resolve->absentees[t].count;
	}
	build->heap->counts.absent_references = total;
	for (size_t c = 0; c < build->parsed->chunk_count; c++)
		total += build->parsed->chunks[c].root_references.count;
	uint64_t *all = malloc((total + 1) * sizeof(*all));
	if (!all)
		return &rmr_enomem;
	for (unsigned t = 0; t < build->threads; t++) {
		const struct absentees *absentees = &resolve->absentees[t];
		if (absentees->count)
			memcpy(all + count, absentees->addresses,
				absentees->count * sizeof(*all));
		count += absentees->count;
	}
	for (size_t c = 0; c < build->parsed->chunk_count; c++) {
		const struct rmr_addresses *roots = &build->parsed->chunks[c].root_references;
		for (size_t i = 0; i < roots->count; i++) {
			if (rmr_directory_find(&resolve->directory, roots->items[i]) ==
				RMR_NO_OBJECT)
				all[count++] = roots->items[i];
		}
	}
	qsort(all, count, sizeof(*all), compare_u64);
	for (size_t i = 0; i < count; i++) {
		if (!i || all[i] != all[i - 1])
			all[unique++] = all[i];
	}
	*ret = all;
	*count_ret = unique;
	return NULL;
}

/* Gives ids to the absent addresses and sets the references to them. */
static struct rmr_error *place_absent(struct resolve *resolve)
{
	struct rmr_build *build = resolve->build;
	struct rmr_counts *counts = &build->heap->counts;
	uint64_t *addresses;
	size_t count;
	struct rmr_error *err = collect_absent(resolve, &addresses, &count);

	if (err)
		return err;
	if (counts->objects + count >= RMR_NO_OBJECT) {
		free(addresses);
		return rmr_error_create(RMR_E_INPUT, 0, "%s names more than 4294967295 addresses",
			build->heap->path);
	}
	counts->absent = count;
	uint64_t *section = rmr_index_section(build->writer, build->heap, RMR_SECTION_ABSENT,
		count * sizeof(*section));
	if (section && count)
		memcpy(section, addresses, count * sizeof(*section));
	free(addresses);
	if (!section)
		return &rmr_enomem;
	for (unsigned t = 0; t < build->threads; t++) {
		const struct absentees *absentees = &resolve->absentees[t];
		for (size_t i = 0; i < absentees->count; i++)
			resolve->out[absentees->edges[i]] = (uint32_t)counts->objects +
				rmr_sorted_find(section, count, absentees->addresses[i]);
	}
	return NULL;
}

struct invert {
	const struct rmr_build *build;
	const uint64_t *out_base, *in_base;
	const uint32_t *out_first, *out;
	uint32_t *in_first, *in;
	size_t ids;
	uint32_t *at; /* of each id: how many of its referrers are written */
};

/* Each thread looks at all references and takes those whose target is in its part of the ids. */
static void count_work(void *context, unsigned number)
{
	struct invert *invert = context;
	unsigned threads = invert->build->threads;
	uint32_t low = (uint32_t)rmr_parallel_start(invert->ids, threads, number);
	uint32_t span = (uint32_t)rmr_parallel_start(invert->ids, threads, number + 1) - low;
	uint64_t references = invert->build->heap->counts.references;

	for (uint64_t e = 0; e < references; e++) {
		uint32_t target = invert->out[e];
		if (target - low < span)
			invert->at[target]++;
	}
}

static void invert_work(void *context, unsigned number)
{
	struct invert *invert = context;
	unsigned threads = invert->build->threads;
	uint32_t low = (uint32_t)rmr_parallel_start(invert->ids, threads, number);
	uint32_t span = (uint32_t)rmr_parallel_start(invert->ids, threads, number + 1) - low;
	const struct rmr_heap *heap = invert->build->heap;
	size_t objects = heap->counts.objects;
	uint64_t e = 0;

	for (size_t id = 0; id < objects && !rmr_heap_is_interrupted_at(heap, id); id++) {
		uint64_t end = rmr_offset(invert->out_base, invert->out_first, id + 1);
		for (; e < end; e++) {
			uint32_t target = invert->out[e];
			if (target - low < span)
				invert->in[rmr_offset(invert->in_base, invert->in_first, target) +
					invert->at[target]++] = (uint32_t)id;
		}
	}
}

static struct rmr_error *too_many(const struct rmr_build *build)
{
	return rmr_error_create(RMR_E_INPUT, 0,
		"%s: more than 4294967295 references in a row of 65536 objects", build->heap->path);
}

static struct rmr_error *invert_run(struct rmr_build *build)
{
	struct rmr_heap *heap = build->heap;
	const struct rmr_counts *counts = &heap->counts;
	struct invert invert = {.build = build, .ids = counts->objects + counts->absent,
		.out_base = heap->sections[RMR_SECTION_OUT_BASE],
		.out_first = heap->sections[RMR_SECTION_OUT_FIRST],
		.out = heap->sections[RMR_SECTION_OUT]};

	uint64_t *in_base = rmr_index_section(build->writer, heap, RMR_SECTION_IN_BASE,
		rmr_section_size(RMR_SECTION_IN_BASE, counts));
	invert.in_first = rmr_index_section(build->writer, heap, RMR_SECTION_IN_FIRST,
		rmr_section_size(RMR_SECTION_IN_FIRST, counts));
	invert.in = rmr_index_section(build->writer, heap, RMR_SECTION_IN,
		rmr_section_size(RMR_SECTION_IN, counts));
	size_t bytes = (invert.ids + 1) * sizeof(*invert.at);
	invert.at = rmr_block_create(bytes);
	if (!in_base || !invert.in_first || !invert.in || !invert.at) {
		rmr_block_destroy(invert.at, bytes);
		return &rmr_enomem;
	}
	invert.in_base = in_base;
	rmr_parallel_run(build->threads, count_work, &invert);
	memcpy(invert.in_first, invert.at, bytes);
	bool fits = prefix(invert.in_first, in_base, invert.ids);
	if (fits) {
		memset(invert.at, 0, bytes);
		rmr_parallel_run(build->threads, invert_work, &invert);
	}
	rmr_block_destroy(invert.at, bytes);
	if (!fits)
		return too_many(build);
	return rmr_build_go_on(build);
}

static struct rmr_error *resolve_run(struct resolve *resolve)
{
	struct rmr_build *build = resolve->build;
	struct rmr_heap *heap = build->heap;
	struct rmr_counts *counts = &heap->counts;
	uint32_t *first = heap->sections[RMR_SECTION_OUT_FIRST];
	uint64_t *base = rmr_index_section(build->writer, heap, RMR_SECTION_OUT_BASE,
		rmr_section_size(RMR_SECTION_OUT_BASE, counts));

	if (!base)
		return &rmr_enomem;
	if (!prefix(first, base, counts->objects))
		return too_many(build);
	counts->references = rmr_offset(base, first, counts->objects);
	resolve->out_base = base;
	resolve->out_first = first;
	resolve->out = rmr_index_section(build->writer, heap, RMR_SECTION_OUT,
		rmr_section_size(RMR_SECTION_OUT, counts));
	if (!resolve->out)
		return &rmr_enomem;
	rmr_parallel_run(build->threads, resolve_work, resolve);
	struct rmr_error *err = rmr_build_go_on(build);
	return err ? err : place_absent(resolve);
}

/* The records' numbers and raw references are not needed any more. */
static void drop_records(struct rmr_build *build)
{
	for (size_t c = 0; c < build->parsed->chunk_count; c++) {
		struct rmr_chunk *chunk = &build->parsed->chunks[c];
		free(chunk->objects);
		free(chunk->references.items);
		chunk->objects = NULL;
		chunk->references.items = NULL;
	}
	rmr_block_destroy(build->order, build->heap->counts.objects * sizeof(*build->order));
	build->order = NULL;
}

struct rmr_error *rmr_build_references(struct rmr_build *build)
{
	const struct rmr_heap *heap = build->heap;
	struct resolve *resolve = calloc(1, sizeof(*resolve));

	if (!resolve)
		return &rmr_enomem;
	resolve->build = build;
	struct rmr_error *err = rmr_directory_create(heap->sections[RMR_SECTION_ADDRESS],
		heap->counts.objects, &resolve->directory);
	if (!err)
		err = resolve_run(resolve);
	if (!err) {
		drop_records(build);
		err = rmr_build_roots(build, &resolve->directory);
	}
	if (resolve->directory.pages)
		rmr_directory_destroy(&resolve->directory);
	for (unsigned t = 0; t < RMR_ORDER_PARTS; t++) {
		free(resolve->absentees[t].edges);
		free(resolve->absentees[t].addresses);
	}
	free(resolve);
	return err ? err : invert_run(build);
}
