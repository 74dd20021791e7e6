// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/diff.h"

#include "cli/commands/commands.h"
#include "cli/commands/heaps.h"
#include "cli/shell/shell.h"
#include "cli/view/number.h"

#include <string.h>

enum {
	ROWS = 20,
};

static const struct rmr_column two_columns[] = {
	{"type", NULL, RMR_KIND_TEXT},
	{"bytes_change", "growth", RMR_KIND_SIGNED_BYTES},
	{"bytes_before", "before", RMR_KIND_BYTES},
	{"bytes", "now", RMR_KIND_BYTES},
	{"count_change", "objects", RMR_KIND_SIGNED_COUNT},
	{"count_before", "before", RMR_KIND_COUNT},
	{"count", "now", RMR_KIND_COUNT},
	{"born", "new", RMR_KIND_COUNT},
	{"gone", NULL, RMR_KIND_COUNT},
	{"example", NULL, RMR_KIND_ADDRESS},
};

static const struct rmr_column three_columns[] = {
	{"type", NULL, RMR_KIND_TEXT},
	{"survivor_bytes", "survived", RMR_KIND_BYTES},
	{"survivors", "objects", RMR_KIND_COUNT},
	{"born", "of new", RMR_KIND_COUNT},
	{"bytes_first", "first", RMR_KIND_BYTES},
	{"bytes_second", "second", RMR_KIND_BYTES},
	{"bytes_third", "third", RMR_KIND_BYTES},
	{"bytes_change", "growth", RMR_KIND_SIGNED_BYTES},
	{"count_change", "objects", RMR_KIND_SIGNED_COUNT},
	{"example", NULL, RMR_KIND_ADDRESS},
};

enum {
	COLUMNS = sizeof(two_columns) / sizeof(*two_columns),
};
_Static_assert(sizeof(two_columns) == sizeof(three_columns), "both have as many columns");

static void put_two(struct rmr_view *view, const struct rmr_diff_row *row)
{
	rmr_view_put_int(view, row->bytes_change);
	rmr_view_put_uint(view, row->bytes[0]);
	rmr_view_put_uint(view, row->bytes[1]);
	rmr_view_put_int(view, row->count_change);
	rmr_view_put_uint(view, row->count[0]);
	rmr_view_put_uint(view, row->count[1]);
	rmr_view_put_uint(view, row->born);
	rmr_view_put_uint(view, row->gone);
}

static void put_three(struct rmr_view *view, const struct rmr_diff_row *row)
{
	rmr_view_put_uint(view, row->survivor_bytes);
	rmr_view_put_uint(view, row->survivors);
	rmr_view_put_uint(view, row->born);
	for (unsigned i = 0; i < 3; i++)
		rmr_view_put_uint(view, row->bytes[i]);
	rmr_view_put_int(view, row->bytes_change);
	rmr_view_put_int(view, row->count_change);
}

static bool is_change(const struct rmr_diff_row *row)
{
	return row->bytes_change || row->count_change || row->born || row->gone || row->survivors;
}

static void put_rows(struct rmr_view *view, const struct rmr_diff *diff,
	const struct rmr_heap *last, const struct rmr_column *columns, bool all, uint64_t limit)
{
	uint64_t shown = 0, more = 0;

	rmr_view_table(view, NULL, columns, COLUMNS);
	for (size_t i = 0; i < diff->count && !rmr_view_failed(view); i++) {
		const struct rmr_diff_row *row = &diff->rows[i];
		if (!all && !is_change(row))
			continue;
		if (limit && shown == limit) {
			more++;
			continue;
		}
		rmr_view_put_text(view, row->label);
		(diff->dumps == 2 ? put_two : put_three)(view, row);
		if (row->example == RMR_NO_OBJECT)
			rmr_view_put_none(view);
		else
			rmr_view_put_uint(view, rmr_heap_address(last, row->example));
		shown++;
	}
	rmr_view_end_table(view, more);
}

/** "a.json (3 min 2 s ago): 1,200 objects, 1.2 MiB" for each dump. */
static void put_header(
	struct rmr_view *view, const struct rmr_heaps *heaps, const struct rmr_diff *diff)
{
	struct rmr_line line = {0};

	for (size_t i = 0; i < heaps->count; i++) {
		const struct rmr_snapshot *snapshot = heaps->snapshots[i];
		rmr_line_clear(&line);
		rmr_line_add_safe(&line, snapshot->name, strlen(snapshot->name));
		if (snapshot->taken) {
			rmr_line_addf(&line, ", ");
			rmr_snapshot_age(snapshot, &line);
			rmr_line_addf(&line, " ago");
		}
		rmr_line_addf(&line, ": ");
		rmr_number_add_count(&line, diff->objects[i]);
		rmr_line_addf(&line, " objects, ");
		rmr_number_add_bytes(&line, diff->bytes[i]);
		rmr_view_note(view, "%s", rmr_line_get(&line));
	}
	rmr_line_deinit(&line);
	if (!diff->same_process)
		rmr_view_note(view,
			"Different processes: only totals can be compared, no single objects.");
	rmr_view_note(view, "%s", "");
}

/** Opens the operands; in a shell its snapshot comes last, and the one before it stands in for a
 *  missing first. */
static struct rmr_error *open_all(
	struct rmr_context *context, const struct rmr_call *call, struct rmr_heaps *heaps)
{
	size_t count = call->args.operand_count;
	struct rmr_error *err = context->shell ? rmr_shell_snapshot(context) : NULL;

	if (!err && context->shell && count == 0) {
		if (!context->previous)
			return rmr_error_hint(
				rmr_error_create(RMR_E_USAGE, 0, "there is no earlier snapshot"),
				"`dump` takes a new one of a process; or name a dump: diff OLDER");
		rmr_heaps_borrow(heaps, context->previous);
	}
	for (size_t i = 0; !err && i < count; i++)
		err = rmr_heaps_open(heaps, context, call->args.operands[i]);
	if (!err && context->shell)
		rmr_heaps_borrow(heaps, context->snapshot);
	if (!err && (heaps->count < 2 || heaps->count > 3))
		err = rmr_error_create(
			RMR_E_USAGE, 0, "it compares two heaps, or three, not %zu", heaps->count);
	return err;
}

static struct rmr_error *compare(
	struct rmr_context *context, const struct rmr_call *call, struct rmr_heaps *heaps)
{
	const char *word = rmr_args_value(&call->args, "by");
	enum rmr_diff_by by = word && strcmp(word, "path") == 0 ? RMR_DIFF_PATH : RMR_DIFF_TYPE;
	struct rmr_diff *diff;
	struct rmr_view *view;
	uint64_t limit;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err && by == RMR_DIFF_PATH)
		err = rmr_heaps_dominators(heaps);
	if (!err)
		err = rmr_diff_create(heaps->heaps, heaps->dominators, heaps->count, by, &diff);
	if (err)
		return err;
	struct rmr_column columns[COLUMNS];
	memcpy(columns, diff->dumps == 2 ? two_columns : three_columns, sizeof(columns));
	columns[0].key = by == RMR_DIFF_PATH ? "path" : "type";
	err = rmr_command_view(context, call, true, &view);
	if (!err) {
		put_header(view, heaps, diff);
		put_rows(view, diff, heaps->heaps[heaps->count - 1], columns,
			rmr_args_count(&call->args, "all"), limit);
		err = rmr_view_close(view);
	}
	rmr_diff_destroy(diff);
	return err;
}

struct rmr_error *rmr_command_diff(struct rmr_context *context, const struct rmr_call *call)
{
	struct rmr_heaps heaps;

	struct rmr_error *err = rmr_heaps_init(&heaps, call->args.operand_count + 2);
	if (err)
		return err;
	err = open_all(context, call, &heaps);
	if (!err)
		err = compare(context, call, &heaps);
	rmr_heaps_deinit(&heaps);
	return err;
}
