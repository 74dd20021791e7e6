// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dominators.h"
#include "cli/heap/heap_internal.h"
#include "cli/heap/sql.h"
#include "cli/heap/summary.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct item {
	uint64_t key; /* more comes first */
	uint32_t id;
};

struct list {
	const struct rmr_heap *heap;
	const struct rmr_dominators *dominators;
	enum rmr_sort sort;
	bool ascending;
	uint32_t *name_rank; /* of each type, by label */
	uint64_t limit;
	struct item *items; /* a heap with the last of the kept ones on top, while there is a limit */
	size_t count, room;
};

static bool comes_before(const struct item *a, const struct item *b)
{
	return a->key != b->key ? a->key > b->key : a->id < b->id;
}

static int compare_items(const void *a, const void *b)
{
	return comes_before(a, b) ? -1 : 1;
}

static uint64_t key_of(const struct list *list, uint32_t id)
{
	const struct rmr_heap *heap = list->heap;

	switch (list->sort) {
	case RMR_SORT_RETAINED:
		return rmr_dominators_retained(list->dominators, id);
	case RMR_SORT_NAME:
		return list->name_rank[heap->type[id]];
	case RMR_SORT_LEN:
		return rmr_heap_len(heap, id) + 1; /* unknown is 0 */
	case RMR_SORT_RC:
		return rmr_heap_rc(heap, id) + 1;
	case RMR_SORT_REFERRERS:
		return rmr_heap_referrers(heap, id).count;
	case RMR_SORT_CHILDREN:
		return rmr_heap_children(heap, id).count;
	case RMR_SORT_ADDRESS:
		return id;
	default:
		return rmr_heap_size(heap, id);
	}
}

static void sift_down(struct list *list, size_t at)
{
	struct item *items = list->items;

	for (;;) {
		size_t last = at;
		for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
			if (child < list->count && comes_before(&items[last], &items[child]))
				last = child;
		}
		if (last == at)
			return;
		struct item swap = items[at];
		items[at] = items[last];
		items[last] = swap;
		at = last;
	}
}

static void sift_up(struct list *list, size_t at)
{
	struct item *items = list->items;

	while (at && comes_before(&items[(at - 1) / 2], &items[at])) {
		struct item swap = items[at];
		items[at] = items[(at - 1) / 2];
		items[(at - 1) / 2] = swap;
		at = (at - 1) / 2;
	}
}

static bool list_add(struct list *list, uint32_t id)
{
	struct item item = {key_of(list, id), id};

	if (list->ascending)
		item.key = ~item.key;
	if (list->limit && list->count == list->limit) {
		if (comes_before(&item, &list->items[0])) {
			list->items[0] = item;
			sift_down(list, 0);
		}
		return true;
	}
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 256;
		struct item *items = realloc(list->items, room * sizeof(*items));
		if (!items)
			return false;
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = item;
	if (list->limit)
		sift_up(list, list->count - 1);
	return true;
}

static int compare_labels(const void *a, const void *b, void *context)
{
	const struct rmr_heap *heap = context;

	return strcmp(heap->types[*(const uint32_t *)a].label,
		heap->types[*(const uint32_t *)b].label);
}

static bool rank_names(struct list *list)
{
	uint32_t count = rmr_heap_type_count(list->heap), rank = 0;
	uint32_t *order = malloc((count + 1) * sizeof(*order));

	list->name_rank = malloc((count + 1) * sizeof(*list->name_rank));
	if (!order || !list->name_rank) {
		free(order);
		return false;
	}
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	qsort_r(order, count, sizeof(*order), compare_labels,
		(void *)(uintptr_t)list->heap);
	for (uint32_t i = 0; i < count; i++) {
		rank += i && strcmp(list->heap->types[order[i]].label,
				     list->heap->types[order[i - 1]].label) != 0;
		list->name_rank[order[i]] = rank;
	}
	free(order);
	return true;
}

/* All objects, or those of the type. */
static struct rmr_error *list_all(struct list *list, const char *name, uint64_t *total_ret)
{
	const struct rmr_heap *heap = list->heap;
	uint32_t types = rmr_heap_type_count(heap);
	bool *wanted = calloc(types + 1, sizeof(*wanted));
	bool complete = wanted != NULL;

	for (uint32_t type = 0; complete && type < types; type++)
		wanted[type] = !name || !strcmp(heap->types[type].label, name) ||
			!strcmp(heap->types[type].name, name);
	*total_ret = 0;
	for (uint32_t id = 0; complete && id < rmr_heap_count(heap); id++) {
		if (rmr_heap_is_interrupted_at(heap, id))
			complete = false;
		else if (wanted[heap->type[id]]) {
			complete = list_add(list, id);
			++*total_ret;
		}
	}
	free(wanted);
	return complete ? NULL : rmr_heap_ended(heap);
}

static struct rmr_error *list_where(struct rmr_heap *heap, struct list *list,
	const struct rmr_objects_query *query, uint64_t *total_ret)
{
	uint32_t *ids;
	uint64_t count;
	struct rmr_error *err = rmr_sql_where(heap, query->type, query->where, &ids, &count);
	bool complete = true;

	if (err)
		return err;
	for (uint64_t i = 0; complete && i < count; i++)
		complete = list_add(list, ids[i]);
	free(ids);
	*total_ret = count;
	return complete ? NULL : &rmr_enomem;
}

static struct rmr_error *no_such_type(const struct rmr_heap *heap, const char *word)
{
	struct rmr_error *err = rmr_error_create(RMR_E_QUERY, 0, "no object of type '%s'", word);

	for (uint32_t i = 0; i < rmr_heap_type_count(heap); i++) {
		if (!strcasecmp(heap->types[i].name, word) || !strcasecmp(heap->types[i].label, word))
			return rmr_error_hint(err, "did you mean '%s'?", heap->types[i].label);
	}
	return rmr_error_hint(err, "`summary` lists the types");
}

struct rmr_error *rmr_objects_list(struct rmr_heap *heap, const struct rmr_dominators *dominators,
	const struct rmr_objects_query *query, uint32_t **ids_ret, uint64_t *count_ret,
	uint64_t *total_ret)
{
	struct list list = {.heap = heap, .dominators = dominators, .sort = query->sort,
		.limit = query->limit};
	struct rmr_error *err = rmr_heap_verify(heap);

	list.ascending = query->reverse !=
		(query->sort == RMR_SORT_NAME || query->sort == RMR_SORT_ADDRESS);
	if (err)
		return err;
	if (query->sort == RMR_SORT_RETAINED && !dominators)
		return rmr_error_create(RMR_E_USAGE, 0,
			"sorting by retained size needs the dominators");
	if (query->type && rmr_heap_find_type(heap, query->type, 0) == RMR_NO_TYPE)
		return no_such_type(heap, query->type);
	uint64_t total = 0;
	if (query->sort == RMR_SORT_NAME && !rank_names(&list))
		err = &rmr_enomem;
	if (!err)
		err = query->where ? list_where(heap, &list, query, &total)
				   : list_all(&list, query->type, &total);
	uint32_t *ids = err ? NULL : malloc((list.count + 1) * sizeof(*ids));
	if (!err && !ids)
		err = &rmr_enomem;
	if (!err) {
		if (list.count)
			qsort(list.items, list.count, sizeof(*list.items), compare_items);
		for (size_t i = 0; i < list.count; i++)
			ids[i] = list.items[i].id;
		*ids_ret = ids;
		*count_ret = list.count;
		*total_ret = total;
	}
	free(list.items);
	free(list.name_rank);
	return err;
}
