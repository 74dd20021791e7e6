// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/summary.h"

#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/snapshot.h"
#include "cli/heap/completeness.h"
#include "cli/view/number.h"

enum {
	ROWS = 20,
};

static const struct rmr_column columns[] = {
	{"type", NULL, RMR_KIND_TEXT},
	{"count", NULL, RMR_KIND_COUNT},
	{"count_share", "%", RMR_KIND_SHARE},
	{"bytes", NULL, RMR_KIND_BYTES},
	{"bytes_share", "%", RMR_KIND_SHARE},
	{"cumulative", "cum %", RMR_KIND_SHARE},
	{"owned", NULL, RMR_KIND_BYTES},
	{"largest", NULL, RMR_KIND_BYTES},
	{"retained", NULL, RMR_KIND_BYTES},
};

static const struct rmr_column unexplained_columns[] = {
	{"type", NULL, RMR_KIND_TEXT},
	{"unexplained", NULL, RMR_KIND_COUNT},
	{"unexplained_share", "%", RMR_KIND_SHARE},
	{"unexplained_objects", "in objects", RMR_KIND_COUNT},
	{"excess", "too many", RMR_KIND_COUNT},
	{"excess_objects", "in objects", RMR_KIND_COUNT},
	{"example", NULL, RMR_KIND_ADDRESS},
	{"example_unexplained", "its unexplained", RMR_KIND_COUNT},
};

enum {
	COLUMNS = sizeof(columns) / sizeof(*columns),
	OWNED = 6, // the column
	UNEXPLAINED_COLUMNS = sizeof(unexplained_columns) / sizeof(*unexplained_columns),
};

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static void put_types(struct rmr_view *view, const struct rmr_heap *heap,
	const struct rmr_summary_row *rows, size_t count, size_t shown, bool retained)
{
	const struct rmr_heap_facts *facts = rmr_heap_facts(heap);
	struct rmr_column table[COLUMNS];
	bool owned = rmr_view_format(view) != RMR_FORMAT_TABLE;
	uint64_t cumulative = 0;
	size_t used = 0;

	// For people only where a type of those shown owns something.
	for (size_t i = 0; i < shown && !owned; i++)
		owned = rmr_heap_type_info(heap, rows[i].type)->owned != 0;
	for (size_t i = 0; i < (retained ? COLUMNS : COLUMNS - 1); i++) {
		if (i != OWNED || owned)
			table[used++] = columns[i];
	}
	rmr_view_table(view, "types", table, used);
	for (size_t i = 0; i < shown; i++) {
		const struct rmr_type *type = rmr_heap_type_info(heap, rows[i].type);
		cumulative += type->bytes;
		rmr_view_put_text(view, type->label);
		rmr_view_put_uint(view, type->count);
		rmr_view_put_real(view, share(type->count, facts->objects));
		rmr_view_put_uint(view, type->bytes);
		rmr_view_put_real(view, share(type->bytes, facts->bytes));
		rmr_view_put_real(view, share(cumulative, facts->bytes));
		if (owned)
			rmr_view_put_int(view, type->owned);
		rmr_view_put_uint(view, type->max_size);
		if (retained)
			rmr_view_put_uint(view, rows[i].retained);
	}
	rmr_view_end_table(view, count - shown);
}

/** How complete the dump is: references found, of those that the reference counts tell of. */
static void put_completeness(struct rmr_view *view, const struct rmr_completeness *c)
{
	struct rmr_line line = {0};
	const struct {
		const char *key;
		uint64_t value;
	} fields[] = {
		{"references_counted", c->counted},
		{"references_found", c->found},
		{"held_by_c", c->held_by_c},
		{"exceeded", c->exceeded},
		{"excess", c->excess},
	};

	for (unsigned i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		rmr_view_json_field(view, fields[i].key, RMR_KIND_COUNT);
		rmr_view_put_uint(view, fields[i].value);
	}
	if (c->counted) {
		// Rounded down: 100% is said only of all.
		rmr_line_addf(&line, "%.2f%% of the ",
			(double)(uint64_t)(share(c->found, c->counted) * 10000) / 100);
		rmr_number_add_count(&line, c->counted);
		rmr_line_addf(&line, " counted references were found; C code holds ");
		rmr_number_add_count(&line, c->held_by_c);
		rmr_line_addf(&line, " objects; ");
		rmr_number_add_count(&line, c->exceeded);
		rmr_line_addf(&line, " have more references than are counted");
		rmr_view_prose(view, "", 0, rmr_line_get(&line));
	} else {
		rmr_view_note(view, "The dump has no reference counts.");
	}
	rmr_line_deinit(&line);
}

static struct rmr_error *put_unexplained(
	struct rmr_view *view, const struct rmr_heap *heap, uint64_t limit)
{
	_rmr_free_ struct rmr_completeness_row *rows = NULL;
	struct rmr_completeness all;
	size_t count;

	struct rmr_error *err = rmr_completeness_by_type(heap, &rows, &count);
	if (err)
		return err;
	rmr_completeness_get(heap, &all);
	put_completeness(view, &all);
	rmr_view_note(view, "%s", "");
	size_t shown = limit && limit < count ? limit : count;
	rmr_view_table(view, "unexplained", unexplained_columns, UNEXPLAINED_COLUMNS);
	for (size_t i = 0; i < shown; i++) {
		const struct rmr_completeness *sums = &rows[i].sums;
		rmr_view_put_text(view, rmr_heap_type_info(heap, rows[i].type)->label);
		rmr_view_put_uint(view, sums->counted - sums->found);
		rmr_view_put_real(
			view, share(sums->counted - sums->found, all.counted - all.found));
		rmr_view_put_uint(view, sums->held_by_c);
		rmr_view_put_uint(view, sums->excess);
		rmr_view_put_uint(view, sums->exceeded);
		if (rows[i].example == RMR_NO_OBJECT) {
			rmr_view_put_none(view);
			rmr_view_put_none(view);
		} else {
			rmr_view_put_uint(view, rmr_heap_address(heap, rows[i].example));
			rmr_view_put_uint(view, rows[i].example_missing);
		}
	}
	rmr_view_end_table(view, count - shown);
	return NULL;
}

struct rmr_error *rmr_command_summary(struct rmr_context *context, const struct rmr_call *call)
{
	const char *word = rmr_args_value(&call->args, "sort");
	_rmr_free_ struct rmr_summary_row *rows = NULL;
	const struct rmr_heap *heap = call->snapshot->heap;
	struct rmr_dominators *dominators = NULL;
	enum rmr_sort sort = RMR_SORT_BYTES;
	struct rmr_view *view;
	uint64_t limit;
	size_t count;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err && word)
		err = rmr_sort_parse(word, &sort);
	if (!err && (sort == RMR_SORT_RETAINED || rmr_args_count(&call->args, "retained")))
		err = rmr_snapshot_dominators(call->snapshot, &dominators);
	if (!err)
		err = rmr_summary_create(heap, dominators, sort, &rows, &count);
	if (!err)
		err = rmr_command_view(context, call, false, &view);
	if (err)
		return err;
	rmr_snapshot_header(call->snapshot, view);
	if (rmr_args_count(&call->args, "unexplained"))
		return rmr_view_finish(view, put_unexplained(view, heap, limit));
	rmr_view_note(view, "%s", "");
	put_types(view, heap, rows, count, limit && limit < count ? limit : count,
		dominators != NULL);
	return rmr_view_close(view);
}
