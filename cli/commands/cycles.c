// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/cycles.h"

#include "cli/commands/commands.h"
#include "cli/commands/snapshot.h"
#include "cli/view/number.h"

enum {
	ROWS = 20,
};

static const struct rmr_column columns[] = {
	{"address", "in it", RMR_KIND_ADDRESS},
	{"cycles", NULL, RMR_KIND_COUNT},
	{"count", "objects", RMR_KIND_COUNT},
	{"bytes", NULL, RMR_KIND_BYTES},
	{"state", NULL, RMR_KIND_TEXT},
	{"types", NULL, RMR_KIND_TEXT},
	{"ring", NULL, RMR_KIND_TEXT},
};

static void add_amount(struct rmr_line *line, uint64_t cycles, uint64_t objects, uint64_t bytes)
{
	rmr_number_add_count(line, cycles);
	rmr_line_addf(line, cycles == 1 ? " cycle of " : " cycles of ");
	rmr_number_add_count(line, objects);
	rmr_line_addf(line, " objects, ");
	rmr_number_add_bytes(line, bytes);
}

static void put_header(struct rmr_view *view, const struct rmr_cycles *cycles)
{
	struct rmr_line line = {0};

	add_amount(&line, cycles->total, cycles->objects, cycles->bytes);
	rmr_view_prose(view, "", 0, rmr_line_get(&line));
	rmr_line_clear(&line);
	rmr_line_addf(&line, "garbage that waits for the collector: ");
	add_amount(&line, cycles->garbage, cycles->garbage_objects, cycles->garbage_bytes);
	rmr_line_addf(&line, "; with a finalizer: ");
	rmr_number_add_count(&line, cycles->finalizers);
	rmr_view_prose(view, "", 0, rmr_line_get(&line));
	if (cycles->uncollectable) {
		rmr_line_clear(&line);
		rmr_number_add_count(&line, cycles->uncollectable);
		rmr_view_note(view, "uncollectable objects in gc.garbage: %s", rmr_line_get(&line));
	}
	rmr_line_deinit(&line);
}

static void put_rows(
	struct rmr_view *view, const struct rmr_heap *heap, const struct rmr_cycles *cycles)
{
	rmr_view_table(view, NULL, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < cycles->count && !rmr_view_failed(view); i++) {
		const struct rmr_cycle *cycle = &cycles->cycles[i];
		rmr_view_put_uint(view, rmr_heap_address(heap, cycle->first));
		rmr_view_put_uint(view, cycle->cycles);
		rmr_view_put_uint(view, cycle->count);
		rmr_view_put_uint(view, cycle->bytes);
		rmr_view_put_text(view, !cycle->garbage	   ? "alive"
					: cycle->finalizer ? "garbage, finalizer"
							   : "garbage");
		rmr_view_put_text(view, cycle->types);
		rmr_view_put_text(view, cycle->ring);
	}
	rmr_view_end_table(view, cycles->rows - cycles->count);
}

struct rmr_error *rmr_command_cycles(struct rmr_context *context, const struct rmr_call *call)
{
	struct rmr_dominators *dominators;
	struct rmr_cycles *cycles;
	struct rmr_view *view;
	uint64_t limit;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err)
		err = rmr_snapshot_dominators(call->snapshot, &dominators);
	if (err)
		return err;
	struct rmr_cycles_options options = {
		.limit = (size_t)limit,
		.each = rmr_args_count(&call->args, "each"),
	};
	err = rmr_cycles_find(call->snapshot->heap, dominators, &options, &cycles);
	if (err)
		return err;
	err = rmr_command_view(context, call, true, &view);
	if (!err) {
		put_header(view, cycles);
		put_rows(view, call->snapshot->heap, cycles);
		err = rmr_view_close(view);
	}
	rmr_cycles_destroy(cycles);
	return err;
}
