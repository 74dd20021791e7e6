// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/summary.h"

#include "cli/heap/dominators.h"

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
