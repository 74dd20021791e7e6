// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/summary.h"

#include "cli/heap/dominators.h"
#include "cli/heap/heap_internal.h"
#include "cli/heap/parallel.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *word;
	enum rmr_sort sort;
} words[] = {
	{"bytes", RMR_SORT_BYTES},
	{"size", RMR_SORT_BYTES},
	{"count", RMR_SORT_COUNT},
	{"largest", RMR_SORT_LARGEST},
	{"retained", RMR_SORT_RETAINED},
	{"name", RMR_SORT_NAME},
	{"type", RMR_SORT_NAME},
	{"len", RMR_SORT_LEN},
	{"rc", RMR_SORT_RC},
	{"referrers", RMR_SORT_REFERRERS},
	{"children", RMR_SORT_CHILDREN},
	{"address", RMR_SORT_ADDRESS},
};

struct rmr_error *rmr_sort_parse(const char *word, enum rmr_sort *ret)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(word, words[i].word)) {
			*ret = words[i].sort;
			return NULL;
		}
	}
	return rmr_error_hint(rmr_error_create(RMR_E_USAGE, 0, "cannot sort by %s", word),
		"sort by size, count, largest, retained, name, len, rc, referrers, children or "
		"address");
}

struct row_order {
	const struct rmr_heap *heap;
	enum rmr_sort sort;
};

static uint64_t row_key(const struct row_order *order, const struct rmr_summary_row *row)
{
	const struct rmr_type *type = rmr_heap_type_info(order->heap, row->type);

	switch (order->sort) {
	case RMR_SORT_COUNT:
		return type->count;
	case RMR_SORT_LARGEST:
		return type->max_size;
	case RMR_SORT_RETAINED:
		return row->retained;
	default:
		return type->bytes;
	}
}

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct row_order *order = context;
	const struct rmr_summary_row *x = a, *y = b;
	int names = strcmp(rmr_heap_type_info(order->heap, x->type)->label,
		rmr_heap_type_info(order->heap, y->type)->label);

	if (order->sort != RMR_SORT_NAME) {
		uint64_t p = row_key(order, x), q = row_key(order, y);
		if (p != q)
			return p < q ? 1 : -1;
	}
	return names ? names : (x->type > y->type) - (x->type < y->type);
}

static uint32_t type_of(const void *context, uint32_t id)
{
	return rmr_heap_type(context, id);
}

struct rmr_error *rmr_summary_create(const struct rmr_heap *heap,
	const struct rmr_dominators *dominators, enum rmr_sort sort, struct rmr_summary_row **rows_ret,
	size_t *count_ret)
{
	uint32_t count = rmr_heap_type_count(heap);
	struct rmr_summary_row *rows = calloc(count + 1, sizeof(*rows));
	uint64_t *retained = calloc(count + 1, sizeof(*retained));
	struct rmr_error *err = rows && retained ? NULL : &rmr_enomem;

	if (!err && dominators)
		err = rmr_dominators_sum(dominators, type_of, heap, count, retained);
	for (uint32_t i = 0; !err && i < count; i++)
		rows[i] = (struct rmr_summary_row){i, retained[i]};
	free(retained);
	if (err) {
		free(rows);
		return err;
	}
	struct row_order order = {heap, sort};
	qsort_r(rows, count, sizeof(*rows), compare_rows, &order);
	*rows_ret = rows;
	*count_ret = count;
	return NULL;
}

struct complete_work {
	const struct rmr_heap *heap;
	unsigned threads;
	struct rmr_completeness parts[64];
};

static void complete_part(void *context, unsigned number)
{
	struct complete_work *work = context;
	const struct rmr_heap *heap = work->heap;
	struct rmr_completeness sum = {0};
	uint32_t count = rmr_heap_count(heap);
	uint64_t rooted = 0;
	size_t start = rmr_parallel_start(count, work->threads, number);
	size_t end = rmr_parallel_start(count, work->threads, number + 1);

	rooted = rmr_heap_first_rooted(heap, (uint32_t)start);
	for (uint32_t id = (uint32_t)start; id < end; id++) {
		uint64_t rc = rmr_heap_rc(heap, id), found = rmr_heap_referrers(heap, id).count;
		if (rc == RMR_HEAP_UNKNOWN || rmr_heap_is_immortal(heap, id))
			continue;
		while (rooted < heap->counts.root_references && heap->rooted[rooted].id < id)
			rooted++;
		if (rooted < heap->counts.root_references && heap->rooted[rooted].id == id)
			found += rmr_heap_root_references(heap, id);
		sum.references_counted += rc;
		sum.references_found += found < rc ? found : rc;
		sum.held_by_c += rc > found;
		sum.exceeded += found > rc;
	}
	work->parts[number] = sum;
}

void rmr_summary_completeness(const struct rmr_heap *heap, struct rmr_completeness *ret)
{
	struct complete_work work = {.heap = heap, .threads = rmr_parallel_cpus()};

	rmr_parallel_run(work.threads, complete_part, &work);
	*ret = (struct rmr_completeness){0};
	for (unsigned t = 0; t < work.threads; t++) {
		ret->references_counted += work.parts[t].references_counted;
		ret->references_found += work.parts[t].references_found;
		ret->held_by_c += work.parts[t].held_by_c;
		ret->exceeded += work.parts[t].exceeded;
	}
}
