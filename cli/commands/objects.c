// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/object.h"
#include "cli/heap/summary.h"

enum {
	ROWS = 20,
};

static const struct rmr_column columns[] = {
	RMR_OBJECT_COLUMNS,
	{"rc", NULL, RMR_KIND_COUNT},
	{"referrers", NULL, RMR_KIND_COUNT},
	RMR_OBJECT_VALUE_COLUMN,
};

static const struct rmr_column retained_columns[] = {
	RMR_OBJECT_COLUMNS,
	{"retained", NULL, RMR_KIND_BYTES},
	{"rc", NULL, RMR_KIND_COUNT},
	{"referrers", NULL, RMR_KIND_COUNT},
	RMR_OBJECT_VALUE_COLUMN,
};

enum {
	COLUMNS = sizeof(columns) / sizeof(*columns),
};

static void put_objects(struct rmr_view *view, const struct rmr_heap *heap,
	const struct rmr_dominators *dominators, const uint32_t *ids, uint64_t count)
{
	for (uint64_t i = 0; i < count && !rmr_view_failed(view); i++) {
		rmr_object_put(view, heap, ids[i]);
		if (dominators)
			rmr_view_put_uint(view, rmr_dominators_retained(dominators, ids[i]));
		rmr_object_put_known(view, rmr_heap_rc(heap, ids[i]));
		rmr_view_put_uint(view, rmr_heap_referrers(heap, ids[i]).count);
		rmr_object_put_place(view, heap, ids[i]);
	}
}

struct rmr_error *rmr_command_objects(struct rmr_context *context, const struct rmr_call *call)
{
	const char *word = rmr_args_value(&call->args, "sort");
	_rmr_free_ uint32_t *ids = NULL;
	struct rmr_dominators *dominators = NULL;
	struct rmr_view *view;
	uint64_t count, total;
	struct rmr_objects_query query = {
		.type = rmr_args_value(&call->args, "type"),
		.where = rmr_args_value(&call->args, "where"),
		.sort = RMR_SORT_BYTES,
		.reverse = rmr_args_count(&call->args, "reverse"),
	};

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &query.limit);
	if (!err && word)
		err = rmr_sort_parse(word, &query.sort);
	if (!err && query.sort == RMR_SORT_RETAINED)
		err = rmr_snapshot_dominators(call->snapshot, &dominators);
	if (!err)
		err = rmr_objects_list(
			call->snapshot->heap, dominators, &query, &ids, &count, &total);
	if (!err)
		err = rmr_command_view(context, call, true, &view);
	if (err)
		return err;
	rmr_view_table(view, NULL, dominators ? retained_columns : columns,
		dominators ? COLUMNS + 1 : COLUMNS);
	put_objects(view, call->snapshot->heap, dominators, ids, count);
	rmr_view_end_table(view, total - count);
	return rmr_view_close(view);
}
