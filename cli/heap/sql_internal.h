// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The virtual tables as SQLite sees them.
 */
#ifndef RMR_CLI_HEAP_SQL_INTERNAL_H
#define RMR_CLI_HEAP_SQL_INTERNAL_H

#include "cli/heap/heap_internal.h"

#include <sqlite3.h>

struct rmr_dominators;

/** What all tables of one database share. */
struct rmr_sql_context {
	const struct rmr_heap *heap;
	struct rmr_dominators *dominators; /**< made when first asked for */
	unsigned users;
};

struct rmr_sql_table {
	const char *name;
	const sqlite3_module *module;
};
extern const struct rmr_sql_table rmr_sql_tables[];
extern const size_t rmr_sql_table_count;

#endif
