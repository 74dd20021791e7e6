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
	GROWTH_FRONT = 5,  // columns before those of the dumps
	GROWTH_SHOWN = 8,  // dumps that a person sees
	GROWTH_COLUMNS = GROWTH_FRONT + 2 * RMR_DIFF_DUMPS_MAX,
	KEY_SIZE = 16,
};
_Static_assert(sizeof(two_columns) == sizeof(three_columns), "both have as many columns");

static void put_two(struct rmr_view *view, const struct rmr_diff_row *row)
{
	rmr_view_put_int(view, row->bytes_change);
	rmr_view_put_uint(view, row->cells[0].bytes);
	rmr_view_put_uint(view, row->cells[1].bytes);
	rmr_view_put_int(view, row->count_change);
	rmr_view_put_uint(view, row->cells[0].count);
	rmr_view_put_uint(view, row->cells[1].count);
}

static void put_three(struct rmr_view *view, const struct rmr_diff_row *row)
{
	rmr_view_put_uint(view, row->survivor_bytes);
	rmr_view_put_uint(view, row->survivors);
	rmr_view_put_uint(view, row->born);
	for (unsigned i = 0; i < 3; i++)
		rmr_view_put_uint(view, row->cells[i].bytes);
	rmr_view_put_int(view, row->bytes_change);
	rmr_view_put_int(view, row->count_change);
}

static void put_example(
	struct rmr_view *view, const struct rmr_heap *last, const struct rmr_diff_row *row)
{
	if (row->example == RMR_NO_OBJECT)
		rmr_view_put_none(view);
	else
		rmr_view_put_uint(view, rmr_heap_address(last, row->example));
}

static bool is_change(const struct rmr_diff_row *row)
{
	return row->bytes_change || row->count_change || row->born || row->gone || row->survivors ||
	       row->grew;
}

static bool has_rows(const struct rmr_diff *diff, bool all)
{
	for (size_t i = 0; i < diff->count; i++) {
		if (all || is_change(&diff->rows[i]))
			return true;
	}
	return false;
}

/** Calls @p put for the rows that are to be seen; returns how many are left out by the limit. */
static uint64_t for_rows(struct rmr_view *view, const struct rmr_diff *diff, bool all,
	uint64_t limit, void (*put)(void *context, const struct rmr_diff_row *row), void *context)
{
	uint64_t shown = 0, more = 0;

	for (size_t i = 0; i < diff->count && !rmr_view_failed(view); i++) {
		if (!all && !is_change(&diff->rows[i]))
			continue;
		if (limit && shown == limit) {
			more++;
			continue;
		}
		rmr_view_put_text(view, diff->rows[i].label);
		put(context, &diff->rows[i]);
		shown++;
	}
	return more;
}

/** What the rows are put with. */
struct rows {
	struct rmr_view *view;
	const struct rmr_diff *diff;
	const struct rmr_heap *last;
	const char *title; /**< of the labels: type, path, ... */
	struct rmr_column columns[GROWTH_COLUMNS];
	char keys[GROWTH_COLUMNS][KEY_SIZE];
	size_t count;
};

static bool is_by_path(const struct rows *rows)
{
	return strcmp(rows->title, "path") == 0;
}

static void put_lives(void *arg, const struct rmr_diff_row *row)
{
	struct rows *rows = arg;

	(rows->diff->dumps == 2 ? put_two : put_three)(rows->view, row);
	// What is new or gone below a path is not told object by object.
	if (rows->diff->dumps == 2 && !is_by_path(rows)) {
		rmr_view_put_uint(rows->view, row->born);
		rmr_view_put_uint(rows->view, row->gone);
	}
	put_example(rows->view, rows->last, row);
}

/** The dump that column @p i of @p shown ones shows: the first, the last, and some between. */
static size_t dump_of(const struct rows *rows, size_t i, size_t shown)
{
	return i * (rows->diff->dumps - 1) / (shown - 1);
}

static size_t dumps_shown(const struct rows *rows)
{
	bool person = rmr_view_format(rows->view) == RMR_FORMAT_TABLE;

	return person && rows->diff->dumps > GROWTH_SHOWN ? GROWTH_SHOWN : rows->diff->dumps;
}

static void add_growth_columns(struct rows *rows)
{
	static const struct rmr_column front[GROWTH_FRONT] = {
		{"type", NULL, RMR_KIND_TEXT},
		{"grew", NULL, RMR_KIND_COUNT},
		{"bytes_change", "growth", RMR_KIND_SIGNED_BYTES},
		{"count_change", "objects", RMR_KIND_SIGNED_COUNT},
		{"example", NULL, RMR_KIND_ADDRESS},
	};
	size_t shown = dumps_shown(rows);

	memcpy(rows->columns, front, sizeof(front));
	rows->count = is_by_path(rows) ? GROWTH_FRONT : GROWTH_FRONT - 1;
	for (unsigned counts = 0; counts < 2; counts++) {
		for (size_t i = 0; i < shown; i++) {
			char *key = rows->keys[rows->count], *title = NULL;
			size_t dump = dump_of(rows, i, shown) + 1;
			if (counts && rmr_view_format(rows->view) == RMR_FORMAT_TABLE)
				continue;
			int start = snprintf(key, KEY_SIZE, "%s_", counts ? "count" : "bytes");
			snprintf(key + start, KEY_SIZE - (size_t)start, "%zu", dump);
			title = key + start;
			rows->columns[rows->count++] = (struct rmr_column){
				key, title, counts ? RMR_KIND_COUNT : RMR_KIND_BYTES};
		}
	}
}

static void put_growth(void *arg, const struct rmr_diff_row *row)
{
	struct rows *rows = arg;
	size_t shown = dumps_shown(rows);

	rmr_view_put_uint(rows->view, row->grew);
	rmr_view_put_int(rows->view, row->bytes_change);
	rmr_view_put_int(rows->view, row->count_change);
	if (is_by_path(rows))
		put_example(rows->view, rows->last, row);
	for (size_t i = 0; i < shown; i++)
		rmr_view_put_uint(rows->view, row->cells[dump_of(rows, i, shown)].bytes);
	if (rmr_view_format(rows->view) == RMR_FORMAT_TABLE)
		return;
	for (size_t i = 0; i < shown; i++)
		rmr_view_put_uint(rows->view, row->cells[dump_of(rows, i, shown)].count);
}

static void put_rows(struct rows *rows, bool all, uint64_t limit)
{
	bool growth = rows->diff->growth;

	if (growth) {
		add_growth_columns(rows);
	} else {
		memcpy(rows->columns, rows->diff->dumps == 2 ? two_columns : three_columns,
			sizeof(two_columns));
		rows->count = COLUMNS;
	}
	if (!growth && rows->diff->dumps == 2 && is_by_path(rows)) {
		rows->columns[COLUMNS - 3] = rows->columns[COLUMNS - 1];
		rows->count = COLUMNS - 2;
	}
	rows->columns[0].key = rows->title;
	if (!has_rows(rows->diff, all) && rmr_view_format(rows->view) == RMR_FORMAT_TABLE) {
		rmr_view_note(rows->view, "Nothing grew or shrank.");
		return;
	}
	rmr_view_table(rows->view, NULL, rows->columns, rows->count);
	rmr_view_end_table(rows->view, for_rows(rows->view, rows->diff, all, limit,
					       growth ? put_growth : put_lives, rows));
}

/** "a.json (3 min 2 s ago): 1,200 objects, 1.2 MiB" for each dump. */
static void put_header(
	struct rmr_view *view, const struct rmr_heaps *heaps, const struct rmr_diff *diff)
{
	struct rmr_line line = {0};

	for (size_t i = 0; i < heaps->count; i++) {
		const struct rmr_snapshot *snapshot = heaps->snapshots[i];
		rmr_line_clear(&line);
		if (diff->growth)
			rmr_line_addf(&line, "%zu: ", i + 1);
		rmr_snapshot_add_name(snapshot, &line);
		if (snapshot->taken) {
			rmr_line_addf(&line, ", ");
			rmr_snapshot_age(snapshot, " ago", &line);
		}
		rmr_line_addf(&line, ": ");
		rmr_number_add_count(&line, diff->totals[i].count);
		rmr_line_addf(&line, " objects, ");
		rmr_number_add_bytes(&line, diff->totals[i].bytes);
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
	if (!err && heaps->count < 2)
		err = rmr_error_create(RMR_E_USAGE, 0, "it compares two heaps, or more");
	return err;
}

/** What --by and --growth ask for, of so many heaps; *title_ret names the rows. */
static struct rmr_error *read_options(const struct rmr_call *call, size_t heaps,
	struct rmr_diff_options *ret, const char **title_ret)
{
	const char *by = rmr_args_value(&call->args, "by");

	*ret = (struct rmr_diff_options){.growth = rmr_args_count(&call->args, "growth") ||
						   heaps > 3};
	*title_ret = by ? by : "type";
	if (strcmp(*title_ret, "type") == 0)
		return NULL;
	ret->by = strcmp(by, "path") == 0 ? RMR_DIFF_PATH : RMR_DIFF_GROUP;
	// Survivors are objects, and what is below a path is not told object by object.
	ret->growth |= ret->by == RMR_DIFF_PATH && heaps > 2;
	return ret->by == RMR_DIFF_PATH ? NULL : rmr_groups_parse(by, &ret->group);
}

static struct rmr_error *compare(
	struct rmr_context *context, const struct rmr_call *call, struct rmr_heaps *heaps)
{
	const struct rmr_heap *last = heaps->heaps[heaps->count - 1];
	struct rmr_diff_options options;
	struct rows rows = {.last = last};
	struct rmr_diff *diff;
	uint64_t limit;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err)
		err = read_options(call, heaps->count, &options, &rows.title);
	bool owners = !err && options.by == RMR_DIFF_GROUP && options.group == RMR_GROUPS_OWNER;
	if (!err && (options.by == RMR_DIFF_PATH || owners))
		err = rmr_heaps_dominators(heaps);
	if (!err)
		err = rmr_diff_create(
			heaps->heaps, heaps->dominators, heaps->count, &options, &diff);
	if (err)
		return err;
	rows.diff = diff;
	err = rmr_command_view(context, call, true, &rows.view);
	if (!err) {
		put_header(rows.view, heaps, diff);
		put_rows(&rows, rmr_args_count(&call->args, "all"), limit);
		err = rmr_view_close(rows.view);
	}
	rmr_diff_destroy(diff);
	return err;
}

struct rmr_error *rmr_command_diff(struct rmr_context *context, const struct rmr_call *call)
{
	struct rmr_heaps heaps;

	if (call->args.operand_count > RMR_DIFF_DUMPS_MAX - 1)
		return rmr_error_create(RMR_E_USAGE, 0, "it compares at most %d heaps",
			RMR_DIFF_DUMPS_MAX - 1);
	struct rmr_error *err = rmr_heaps_init(&heaps, call->args.operand_count + 2);
	if (err)
		return err;
	err = open_all(context, call, &heaps);
	if (!err)
		err = compare(context, call, &heaps);
	rmr_heaps_deinit(&heaps);
	return err;
}
