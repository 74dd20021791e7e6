// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/waste.h"

#include "cli/commands/commands.h"
#include "cli/commands/snapshot.h"
#include "cli/view/number.h"

enum {
	ROWS = 5, // of each kind
};

static const struct rmr_column total_columns[] = {
	{"kind", NULL, RMR_KIND_TEXT},
	{"bytes", "to be saved", RMR_KIND_BYTES},
	{"share", "%", RMR_KIND_SHARE},
	{"count", "objects", RMR_KIND_COUNT},
};

static const struct rmr_column row_columns[] = {
	{"kind", NULL, RMR_KIND_TEXT},
	{"bytes", "to be saved", RMR_KIND_BYTES},
	{"count", "objects", RMR_KIND_COUNT},
	{"example", NULL, RMR_KIND_ADDRESS},
	{"what", NULL, RMR_KIND_TEXT},
};

static void put_totals(
	struct rmr_view *view, const struct rmr_heap *heap, const struct rmr_waste *waste)
{
	uint64_t all = rmr_heap_facts(heap)->bytes + rmr_heap_facts(heap)->owned;

	rmr_view_table(
		view, "totals", total_columns, sizeof(total_columns) / sizeof(*total_columns));
	for (unsigned kind = 0; kind < RMR_WASTE_KINDS; kind++) {
		rmr_view_put_text(view, rmr_waste_label((enum rmr_waste_kind)kind));
		rmr_view_put_uint(view, waste->bytes[kind]);
		rmr_view_put_real(view, all ? (double)waste->bytes[kind] / (double)all : 0);
		rmr_view_put_uint(view, waste->count[kind]);
	}
	rmr_view_end_table(view, 0);
}

static void put_rows(
	struct rmr_view *view, const struct rmr_heap *heap, const struct rmr_waste *waste)
{
	rmr_view_table(view, "worst", row_columns, sizeof(row_columns) / sizeof(*row_columns));
	for (size_t i = 0; i < waste->rows && !rmr_view_failed(view); i++) {
		const struct rmr_waste_row *row = &waste->row[i];
		rmr_view_put_text(view, rmr_waste_label(row->kind));
		rmr_view_put_uint(view, row->bytes);
		rmr_view_put_uint(view, row->count);
		if (row->example == RMR_NO_OBJECT)
			rmr_view_put_none(view);
		else
			rmr_view_put_uint(view, rmr_heap_address(heap, row->example));
		rmr_view_put_text(view, row->what);
	}
	rmr_view_end_table(view, 0);
}

struct rmr_error *rmr_command_waste(struct rmr_context *context, const struct rmr_call *call)
{
	const struct rmr_heap *heap = call->snapshot->heap;
	struct rmr_waste *waste;
	struct rmr_view *view;
	uint64_t limit;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err)
		err = rmr_waste_find(heap, limit ? (size_t)limit : SIZE_MAX, &waste);
	if (err)
		return err;
	err = rmr_command_view(context, call, false, &view);
	if (!err) {
		rmr_snapshot_header(call->snapshot, view);
		rmr_view_note(view, "%s", "");
		put_totals(view, heap, waste);
		rmr_view_note(
			view, "\nThe worst of each (`why ADDRESS` tells who holds the example):");
		put_rows(view, heap, waste);
		if (waste->truncated) {
			struct rmr_line count = {0};
			rmr_number_add_count(&count, waste->truncated);
			rmr_view_note(view,
				"%s long strings could not be compared: the dump has only their "
				"start "
				"(`dump --values full` has all).",
				rmr_line_get(&count));
			rmr_line_deinit(&count);
		}
		err = rmr_view_close(view);
	}
	rmr_waste_destroy(waste);
	return err;
}
