// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/sql.h"

#include "attach/cleanup.h"
#include "cli/heap/dominators.h"
#include "cli/heap/heap_internal.h"
#include "cli/heap/sql_internal.h"

#include <stdlib.h>
#include <string.h>

/* Only what reads: no file is attached, created or loaded by a query. */
static int authorize(void *context, int action, const char *a, const char *b, const char *c,
	const char *d)
{
	(void)context;
	(void)a;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return b && !sqlite3_stricmp(b, "load_extension") ? SQLITE_DENY : SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

static void context_release(void *argument)
{
	struct rmr_sql_context *context = argument;

	if (--context->users)
		return;
	rmr_dominators_destroy(context->dominators);
	free(context);
}

static struct rmr_error *sql_error(sqlite3 *db, const char *what)
{
	return rmr_error_create(RMR_E_QUERY, 0, "%s: %s", what, sqlite3_errmsg(db));
}

struct rmr_error *rmr_sql_open(struct rmr_heap *heap, sqlite3 **ret)
{
	struct rmr_error *err = rmr_heap_verify(heap);
	sqlite3 *db = NULL;

	if (err)
		return err;
	if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, NULL)) {
		sqlite3_close(db);
		return &rmr_enomem;
	}
	struct rmr_sql_context *context = calloc(1, sizeof(*context));
	if (!context) {
		sqlite3_close(db);
		return &rmr_enomem;
	}
	context->heap = heap;
	context->users = 1;
	int status = SQLITE_OK;
	for (size_t i = 0; i < rmr_sql_table_count && !status; i++) {
		context->users++;
		/* SQLite calls the destructor on failure, too. */
		status = sqlite3_create_module_v2(db, rmr_sql_tables[i].name,
			rmr_sql_tables[i].module, context, context_release);
	}
	context_release(context);
	/* Connecting declares a table, which the authorizer would refuse. */
	if (!status)
		status = sqlite3_exec(db,
			"SELECT 1 FROM objects, refs, types, roots, frames LIMIT 0", NULL, NULL, NULL);
	if (!status)
		status = sqlite3_set_authorizer(db, authorize, NULL);
	if (status) {
		err = sql_error(db, "SQLite");
		sqlite3_close(db);
		return err;
	}
	*ret = db;
	return NULL;
}

static struct rmr_error *collect(sqlite3 *db, sqlite3_stmt *statement, uint32_t **ids_ret,
	uint64_t *count_ret)
{
	_rmr_free_ uint32_t *ids = malloc(1024 * sizeof(*ids));
	uint64_t count = 0, room = 1024;
	int status;

	if (!ids)
		return &rmr_enomem;
	while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
		if (count == room) {
			uint32_t *grown = realloc(ids, 2 * room * sizeof(*ids));
			if (!grown)
				return &rmr_enomem;
			ids = grown;
			room *= 2;
		}
		ids[count++] = (uint32_t)sqlite3_column_int64(statement, 0);
	}
	if (status != SQLITE_DONE)
		return sql_error(db, "--where");
	*ids_ret = rmr_take(ids);
	*count_ret = count;
	return NULL;
}

struct rmr_error *rmr_sql_where(struct rmr_heap *heap, const char *type, const char *where,
	uint32_t **ids_ret, uint64_t *count_ret)
{
	_rmr_free_ char *query = NULL;
	sqlite3_stmt *statement = NULL;
	const char *tail;
	sqlite3 *db;
	struct rmr_error *err = rmr_sql_open(heap, &db);

	if (err)
		return err;
	/* The newline ends a comment in the expression. */
	if (asprintf(&query, "SELECT rowid FROM objects WHERE (%s\n)%s", where,
		    type ? " AND matches = ?1" : "") < 0)
		err = &rmr_enomem;
	if (!err && sqlite3_prepare_v2(db, query, -1, &statement, &tail))
		err = rmr_error_hint(sql_error(db, "--where"),
			"`help objects` lists the columns; texts are in single quotes");
	if (!err && (*tail || !statement))
		err = rmr_error_create(RMR_E_QUERY, 0, "--where: one SQL expression is needed");
	if (!err && type)
		sqlite3_bind_text(statement, 1, type, -1, SQLITE_STATIC);
	if (!err)
		err = collect(db, statement, ids_ret, count_ret);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return err;
}
