// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/sql.h"

#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/snapshot.h"
#include "cli/interrupt.h"

#include <string.h>

enum {
	ROWS = 100,
	CHECK_STEPS = 10000, // virtual machine steps between looks at Ctrl-C
};

static int look_for_interrupt(void *arg)
{
	(void)arg;
	return rmr_interrupt_flag != 0;
}

/** How people see a column: as its name says, which is that of the tables unless changed by AS. */
static enum rmr_kind kind_of(const char *name)
{
	static const struct {
		const char *name;
		enum rmr_kind kind;
	} known[] = {
		{"address", RMR_KIND_ADDRESS},
		{"src", RMR_KIND_ADDRESS},
		{"dst", RMR_KIND_ADDRESS},
		{"class", RMR_KIND_ADDRESS},
		{"dominator", RMR_KIND_ADDRESS},
		{"size", RMR_KIND_BYTES},
		{"owned", RMR_KIND_BYTES},
		{"buffer", RMR_KIND_BYTES},
		{"owner", RMR_KIND_ADDRESS},
		{"bytes", RMR_KIND_BYTES},
		{"retained", RMR_KIND_BYTES},
		{"largest", RMR_KIND_BYTES},
		{"line", RMR_KIND_ID},
		{"thread", RMR_KIND_ID},
		{"depth", RMR_KIND_ID},
	};
	const char *bare = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
	static const char *const sums[] = {"sum(", "max(", "min(", "total("};
	char inner[32];

	for (unsigned i = 0; i < sizeof(sums) / sizeof(*sums); i++) {
		size_t length = strlen(sums[i]);
		if (strncasecmp(name, sums[i], length) == 0 &&
			strlen(name) < length + sizeof(inner)) {
			snprintf(inner, sizeof(inner), "%.*s", (int)strcspn(name + length, ")"),
				name + length);
			bare = inner;
		}
	}
	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcasecmp(bare, known[i].name) == 0)
			return known[i].kind;
	}
	return RMR_KIND_COUNT;
}

static struct rmr_error *query_error(sqlite3 *db)
{
	if (sqlite3_errcode(db) == SQLITE_INTERRUPT)
		return rmr_error_create(RMR_E_INTERRUPTED, 0, "interrupted");
	if (sqlite3_errcode(db) == SQLITE_NOMEM)
		return &rmr_enomem;
	return rmr_error_create(RMR_E_QUERY, 0, "%s", sqlite3_errmsg(db));
}

/** The columns of the result, with the types of its first row, which was stepped to if @p row. */
static struct rmr_error *describe(sqlite3_stmt *statement, bool row, struct rmr_column **ret)
{
	int count = sqlite3_column_count(statement);
	struct rmr_column *columns = calloc((size_t)count, sizeof(*columns));

	if (!columns)
		return &rmr_enomem;
	for (int i = 0; i < count; i++) {
		const char *name = sqlite3_column_name(statement, i);
		int type = row ? sqlite3_column_type(statement, i) : SQLITE_TEXT;
		columns[i].key = name ? name : "";
		columns[i].kind = type == SQLITE_INTEGER || type == SQLITE_NULL
					  ? kind_of(columns[i].key)
					  : RMR_KIND_TEXT;
	}
	*ret = columns;
	return NULL;
}

static void put_value(
	struct rmr_view *view, sqlite3_stmt *statement, int column, enum rmr_kind kind)
{
	char number[32];

	switch (sqlite3_column_type(statement, column)) {
	case SQLITE_NULL:
		rmr_view_put_none(view);
		break;
	case SQLITE_INTEGER:
		if (kind == RMR_KIND_ADDRESS || sqlite3_column_int64(statement, column) >= 0)
			rmr_view_put_uint(view, (uint64_t)sqlite3_column_int64(statement, column));
		else
			rmr_view_put_int(view, sqlite3_column_int64(statement, column));
		break;
	case SQLITE_FLOAT:
		snprintf(number, sizeof(number), "%.10g", sqlite3_column_double(statement, column));
		rmr_view_put_both(view, number, strpbrk(number, "in") ? "null" : number);
		break;
	default:
		rmr_view_put_bytes(view, (const char *)sqlite3_column_blob(statement, column),
			(size_t)sqlite3_column_bytes(statement, column));
	}
}

static struct rmr_error *put_rows(sqlite3 *db, sqlite3_stmt *statement, struct rmr_view *view,
	const struct rmr_column *columns, int step, uint64_t limit)
{
	int count = sqlite3_column_count(statement);
	uint64_t shown = 0, more = 0;

	rmr_view_table(view, NULL, columns, (size_t)count);
	while (step == SQLITE_ROW && !rmr_view_failed(view)) {
		if (limit && shown == limit) {
			more++;
		} else {
			for (int i = 0; i < count; i++)
				put_value(view, statement, i, columns[i].kind);
			shown++;
		}
		step = sqlite3_step(statement);
	}
	rmr_view_end_table(view, more);
	return step == SQLITE_ROW || step == SQLITE_DONE ? NULL : query_error(db);
}

static struct rmr_error *answer(struct rmr_context *context, const struct rmr_call *call,
	sqlite3 *db, sqlite3_stmt *statement, uint64_t limit)
{
	_rmr_free_ struct rmr_column *columns = NULL;
	struct rmr_view *view;
	int step = sqlite3_step(statement);

	if (step != SQLITE_ROW && step != SQLITE_DONE)
		return query_error(db);
	if (sqlite3_column_count(statement) == 0)
		return NULL;
	struct rmr_error *err = describe(statement, step == SQLITE_ROW, &columns);
	if (!err)
		err = rmr_command_view(context, call, true, &view);
	if (err)
		return err;
	return rmr_view_finish(view, put_rows(db, statement, view, columns, step, limit));
}

static struct rmr_error *run_query(
	struct rmr_context *context, const struct rmr_call *call, sqlite3 *db)
{
	const char *text = call->args.operands[0];
	sqlite3_stmt *statement = NULL;
	struct rmr_error *err;
	uint64_t limit;

	err = rmr_command_limit(context, call, ROWS, &limit);
	if (err)
		return err;
	sqlite3_progress_handler(db, CHECK_STEPS, look_for_interrupt, NULL);
	if (sqlite3_prepare_v2(db, text, -1, &statement, &text) != SQLITE_OK)
		err = rmr_error_hint(
			query_error(db), "`help sql` lists the tables and their columns");
	else if (!statement)
		err = rmr_error_create(RMR_E_USAGE, 0, "the query is empty");
	else if (text[strspn(text, " \t\r\n;")])
		err = rmr_error_create(RMR_E_USAGE, 0, "one query at a time");
	else
		err = answer(context, call, db, statement, limit);
	sqlite3_finalize(statement);
	return err;
}

struct rmr_error *rmr_command_sql(struct rmr_context *context, const struct rmr_call *call)
{
	sqlite3 *db;

	struct rmr_error *err = rmr_sql_open(call->snapshot->heap, &db);
	if (err)
		return err;
	err = rmr_interrupt_begin();
	if (!err) {
		err = run_query(context, call, db);
		rmr_interrupt_end();
	}
	sqlite3_close(db);
	return err;
}
