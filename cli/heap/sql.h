// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * SQL over the arrays: SQLite virtual tables, nothing copied.
 *
 * objects(address, type, module, size, owned, rc, len, name, value, referrers, children, retained,
 *         dominator, reach, flags, allocated, buffer, owner)   type is the plain name; dominator is an
 *         address; buffer and owner: the bytes that it shows and the address of what owns them (buffers.h)
 * refs(src, dst, name, kind)   src and dst are addresses
 * types(name, module, label, class, count, bytes, owned, largest)   largest is an address
 * roots(kind, label, name, address)   a row for each reference of a root
 * frames(thread, depth, function, file, line, label)
 *
 * Equality on address, type, src and dst is answered by the arrays. `retained`, `dominator` and
 * `reach` compute the dominators when first read. The hidden column objects.matches is equal to a
 * type's plain name and to its label.
 */
#ifndef RMR_CLI_HEAP_SQL_H
#define RMR_CLI_HEAP_SQL_H

#include "cli/heap/heap.h"

#include <sqlite3.h>

/** An in-memory database with the tables, read-only. sqlite3_close() it before the heap. */
struct rmr_error *rmr_sql_open(struct rmr_heap *heap, sqlite3 **ret) RMR_MUST_CHECK;

/**
 * The ids of the objects for which the SQL expression @p where is true, ascending. free() them.
 * @param type  NULL, or a type's name
 * @return RMR_E_QUERY with SQLite's words
 */
struct rmr_error *rmr_sql_where(struct rmr_heap *heap, const char *type, const char *where,
	uint32_t **ids_ret, uint64_t *count_ret) RMR_MUST_CHECK;

#endif
