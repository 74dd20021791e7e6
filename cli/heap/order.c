// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/order.h"

#include "cli/heap/parallel.h"

#include <stdlib.h>

enum {
	SAMPLES = 1024,
	DIGIT_BITS = 11,
	DIGITS = 1 << DIGIT_BITS,
	PAGE_SHIFT = 12,
	PAGE_SHIFT_MAX = 52,
};

struct sort {
	const struct rmr_parsed *parsed;
	struct rmr_order *order;
	uint64_t bounds[RMR_ORDER_PARTS]; /* part p holds addresses below bounds[p]; the last all */
	size_t counts[RMR_ORDER_PARTS][RMR_ORDER_PARTS]; /* [thread][part], then write positions */
};

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void choose_bounds(struct sort *sort)
{
	const struct rmr_parsed *parsed = sort->parsed;
	uint64_t samples[SAMPLES];
	size_t chunk = 0;

	for (size_t i = 0; i < SAMPLES; i++) {
		size_t at = rmr_parallel_start(parsed->objects, SAMPLES, (unsigned)i);
		while (at >= parsed->chunks[chunk].base + parsed->chunks[chunk].count)
			chunk++;
		samples[i] = parsed->chunks[chunk].address[at - parsed->chunks[chunk].base];
	}
	qsort(samples, SAMPLES, sizeof(*samples), compare_u64);
	for (unsigned p = 0; p + 1 < sort->order->parts; p++)
		sort->bounds[p] = samples[SAMPLES * (p + 1) / sort->order->parts];
}

static unsigned part_of(const struct sort *sort, uint64_t address)
{
	unsigned part = 0;

	while (part + 1 < sort->order->parts && address >= sort->bounds[part])
		part++;
	return part;
}

static void count_work(void *context, unsigned number)
{
	struct sort *sort = context;
	size_t chunks = sort->parsed->chunk_count, counts[RMR_ORDER_PARTS] = {0};
	size_t end = rmr_parallel_start(chunks, sort->order->parts, number + 1);

	for (size_t c = rmr_parallel_start(chunks, sort->order->parts, number); c < end; c++) {
		const struct rmr_chunk *chunk = &sort->parsed->chunks[c];
		for (size_t i = 0; i < chunk->count; i++)
			counts[part_of(sort, chunk->address[i])]++;
	}
	memcpy(sort->counts[number], counts, sizeof(counts));
}

static void scatter_work(void *context, unsigned number)
{
	struct sort *sort = context;
	size_t chunks = sort->parsed->chunk_count, *at = sort->counts[number];
	size_t end = rmr_parallel_start(chunks, sort->order->parts, number + 1);

	for (size_t c = rmr_parallel_start(chunks, sort->order->parts, number); c < end; c++) {
		const struct rmr_chunk *chunk = &sort->parsed->chunks[c];
		for (size_t i = 0; i < chunk->count; i++) {
			uint64_t address = chunk->address[i];
			sort->order->pairs[at[part_of(sort, address)]++] = (struct rmr_order_pair){
				address, (uint32_t)(chunk->base + i)};
		}
	}
}

static void radix_pass(const struct rmr_order_pair *from, struct rmr_order_pair *to, size_t count,
	unsigned shift)
{
	size_t at[DIGITS] = {0}, sum = 0;

	for (size_t i = 0; i < count; i++)
		at[from[i].address >> shift & (DIGITS - 1)]++;
	for (size_t d = 0; d < DIGITS; d++) {
		size_t here = at[d];
		at[d] = sum;
		sum += here;
	}
	for (size_t i = 0; i < count; i++)
		to[at[from[i].address >> shift & (DIGITS - 1)]++] = from[i];
}

/* Digits that all addresses share are skipped: few of the 64 bits vary. */
void rmr_order_sort(struct rmr_order_pair *pairs, struct rmr_order_pair *spare, size_t count)
{
	struct rmr_order_pair *from = pairs, *to = spare;
	uint64_t vary = 0;

	for (size_t i = 1; i < count; i++)
		vary |= from[i].address ^ from[0].address;
	while (vary) {
		unsigned shift = (unsigned)__builtin_ctzll(vary);
		radix_pass(from, to, count, shift);
		struct rmr_order_pair *swap = from;
		from = to;
		to = swap;
		vary = shift + DIGIT_BITS < 64 ? vary >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS)
					       : 0;
	}
	if (from != pairs && count)
		memcpy(to, from, count * sizeof(*from));
}

static void sort_work(void *context, unsigned number)
{
	struct rmr_order *order = ((struct sort *)context)->order;
	size_t start = order->start[number], count = order->start[number + 1] - start;
	const struct rmr_order_pair *pairs = order->pairs + start;
	size_t unique = 0;

	rmr_order_sort(order->pairs + start, order->spare + start, count);
	for (size_t i = 0; i < count; i++)
		unique += !i || pairs[i].address != pairs[i - 1].address;
	order->rank[number + 1] = unique;
}

static void sort_run(struct sort *sort)
{
	struct rmr_order *order = sort->order;
	size_t sum = 0;

	choose_bounds(sort);
	rmr_parallel_run(order->parts, count_work, sort);
	for (unsigned p = 0; p < order->parts; p++) {
		order->start[p] = sum;
		for (unsigned t = 0; t < order->parts; t++) {
			size_t here = sort->counts[t][p];
			sort->counts[t][p] = sum;
			sum += here;
		}
	}
	order->start[order->parts] = sum;
	rmr_parallel_run(order->parts, scatter_work, sort);
	rmr_parallel_run(order->parts, sort_work, sort);
	for (unsigned p = 0; p < order->parts; p++)
		order->rank[p + 1] += order->rank[p];
}

struct rmr_error *rmr_order_create(const struct rmr_parsed *parsed, unsigned threads,
	struct rmr_order *ret)
{
	struct rmr_order order = {.total = parsed->objects,
		.parts = threads < RMR_ORDER_PARTS ? threads : RMR_ORDER_PARTS};
	size_t bytes = order.total * sizeof(*order.pairs);

	order.pairs = rmr_block_create(bytes);
	order.spare = rmr_block_create(bytes);
	struct sort *sort = calloc(1, sizeof(*sort));
	if (!order.pairs || !order.spare || !sort) {
		free(sort);
		rmr_order_destroy(&order);
		return &rmr_enomem;
	}
	sort->parsed = parsed;
	sort->order = &order;
	if (order.total)
		sort_run(sort);
	free(sort);
	rmr_block_destroy(order.spare, bytes);
	order.spare = NULL;
	*ret = order;
	return NULL;
}

void rmr_order_destroy(struct rmr_order *order)
{
	rmr_block_destroy(order->pairs, order->total * sizeof(*order->pairs));
	rmr_block_destroy(order->spare, order->total * sizeof(*order->spare));
	order->pairs = order->spare = NULL;
}

struct fill {
	const struct rmr_order *order;
	uint64_t *address;
	uint32_t *index;
};

static void fill_work(void *context, unsigned number)
{
	const struct fill *fill = context;
	const struct rmr_order *order = fill->order;
	size_t rank = order->rank[number], start = order->start[number];

	for (size_t i = start; i < order->start[number + 1]; i++) {
		uint64_t address = order->pairs[i].address;
		if (i > start && address == order->pairs[i - 1].address)
			continue;
		fill->address[rank] = address;
		fill->index[rank++] = order->pairs[i].index;
	}
}

void rmr_order_fill(const struct rmr_order *order, uint64_t *address, uint32_t *index)
{
	struct fill fill = {order, address, index};

	rmr_parallel_run(order->parts, fill_work, &fill);
}

static size_t count_pages(const uint64_t *address, size_t count, unsigned shift)
{
	size_t pages = 0;

	for (size_t i = 0; i < count; i++)
		pages += !i || address[i] >> shift != address[i - 1] >> shift;
	return pages;
}

struct rmr_error *rmr_directory_create(const uint64_t *address, size_t count,
	struct rmr_directory *ret)
{
	struct rmr_directory directory = {.address = address, .shift = PAGE_SHIFT};
	size_t pages = count_pages(address, count, directory.shift), room = 16;

	/* Sparse addresses: larger pages, so that the table stays small. */
	while (pages > count / 16 + 1024 && directory.shift < PAGE_SHIFT_MAX) {
		directory.shift += 4;
		pages = count_pages(address, count, directory.shift);
	}
	while (room < pages * 2)
		room *= 2;
	directory.mask = room - 1;
	directory.pages = rmr_block_create(room * sizeof(*directory.pages));
	if (!directory.pages)
		return &rmr_enomem;
	for (size_t i = 0; i < count;) {
		uint64_t page = address[i] >> directory.shift;
		size_t slot = rmr_directory_slot(&directory, page), first = i;
		while (directory.pages[slot].count)
			slot = (slot + 1) & directory.mask;
		while (i < count && address[i] >> directory.shift == page)
			i++;
		directory.pages[slot] = (struct rmr_directory_page){
			page, (uint32_t)first, (uint32_t)(i - first)};
	}
	*ret = directory;
	return NULL;
}

void rmr_directory_destroy(struct rmr_directory *directory)
{
	rmr_block_destroy(directory->pages, (directory->mask + 1) * sizeof(*directory->pages));
	directory->pages = NULL;
}
