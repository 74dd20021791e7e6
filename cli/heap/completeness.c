// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/completeness.h"

#include "cli/heap/heap_internal.h"
#include "cli/heap/parallel.h"

#include <stdlib.h>

enum {
	MOST_THREADS = 64,
};

struct part {
	struct rmr_completeness sum;
	struct rmr_completeness_row *rows; /* by type, or NULL */
};

struct work {
	const struct rmr_heap *heap;
	unsigned threads;
	struct part parts[MOST_THREADS];
};

static void add(struct rmr_completeness *sum, uint64_t rc, uint64_t found)
{
	sum->counted += rc;
	sum->found += found < rc ? found : rc;
	sum->held_by_c += rc > found;
	sum->exceeded += found > rc;
	sum->excess += found > rc ? found - rc : 0;
}

static void add_row(struct rmr_completeness_row *row, uint32_t id, uint64_t rc, uint64_t found)
{
	add(&row->sums, rc, found);
	if (rc > found && rc - found > row->example_missing) {
		row->example_missing = rc - found;
		row->example = id;
	}
}

static void do_part(void *context, unsigned number)
{
	struct work *work = context;
	const struct rmr_heap *heap = work->heap;
	struct part *part = &work->parts[number];
	uint32_t count = rmr_heap_count(heap);
	size_t start = rmr_parallel_start(count, work->threads, number);
	size_t end = rmr_parallel_start(count, work->threads, number + 1);
	uint64_t rooted = rmr_heap_first_rooted(heap, (uint32_t)start);

	for (uint32_t id = (uint32_t)start; id < end; id++) {
		uint64_t rc = rmr_heap_rc(heap, id);
		if (rc == RMR_HEAP_UNKNOWN || rmr_heap_is_immortal(heap, id))
			continue;
		uint64_t found = rmr_heap_counted_referrers(heap, id);
		while (rooted < heap->counts.root_references && heap->rooted[rooted].id < id)
			rooted++;
		if (rooted < heap->counts.root_references && heap->rooted[rooted].id == id)
			found += rmr_heap_root_references(heap, id);
		add(&part->sum, rc, found);
		if (part->rows && rc != found)
			add_row(&part->rows[rmr_heap_type(heap, id)], id, rc, found);
	}
}

void rmr_completeness_get(const struct rmr_heap *heap, struct rmr_completeness *ret)
{
	struct work work = {.heap = heap, .threads = rmr_parallel_cpus()};

	rmr_parallel_run(work.threads, do_part, &work);
	*ret = (struct rmr_completeness){0};
	for (unsigned t = 0; t < work.threads; t++) {
		ret->counted += work.parts[t].sum.counted;
		ret->found += work.parts[t].sum.found;
		ret->held_by_c += work.parts[t].sum.held_by_c;
		ret->exceeded += work.parts[t].sum.exceeded;
		ret->excess += work.parts[t].sum.excess;
	}
}

static uint64_t missing(const struct rmr_completeness_row *row)
{
	return row->sums.counted - row->sums.found;
}

static int compare_rows(const void *a, const void *b)
{
	const struct rmr_completeness_row *x = a, *y = b;

	if (missing(x) != missing(y))
		return missing(x) < missing(y) ? 1 : -1;
	if (x->sums.excess != y->sums.excess)
		return x->sums.excess < y->sums.excess ? 1 : -1;
	return (x->type > y->type) - (x->type < y->type);
}

struct rmr_error *rmr_completeness_by_type(const struct rmr_heap *heap,
	struct rmr_completeness_row **rows_ret, size_t *count_ret)
{
	uint32_t types = rmr_heap_type_count(heap);
	struct rmr_completeness_row *rows = calloc(types + 1, sizeof(*rows));
	struct work work = {.heap = heap, .threads = 1, .parts = {{.rows = rows}}};
	size_t count = 0;

	if (!rows)
		return &rmr_enomem;
	for (uint32_t i = 0; i < types; i++)
		rows[i] = (struct rmr_completeness_row){.type = i, .example = RMR_NO_OBJECT};
	do_part(&work, 0);
	for (uint32_t i = 0; i < types; i++) {
		if (rows[i].sums.held_by_c || rows[i].sums.exceeded)
			rows[count++] = rows[i];
	}
	qsort(rows, count, sizeof(*rows), compare_rows);
	*rows_ret = rows;
	*count_ret = count;
	return NULL;
}
