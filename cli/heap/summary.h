// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Types with their totals, and lists of objects.
 */
#ifndef RMR_CLI_HEAP_SUMMARY_H
#define RMR_CLI_HEAP_SUMMARY_H

#include "cli/heap/heap.h"

struct rmr_dominators;

enum rmr_sort {
	RMR_SORT_BYTES, /**< of an object: its size */
	RMR_SORT_COUNT, /**< types only */
	RMR_SORT_LARGEST, /**< types only */
	RMR_SORT_RETAINED,
	RMR_SORT_NAME,  /**< type label */
	RMR_SORT_LEN,   /**< objects only, as those below */
	RMR_SORT_RC,
	RMR_SORT_REFERRERS,
	RMR_SORT_CHILDREN,
	RMR_SORT_ADDRESS,
};
/** From a word of the command line ("size" is "bytes"). RMR_E_USAGE lists the words. */
struct rmr_error *rmr_sort_parse(const char *word, enum rmr_sort *ret) RMR_MUST_CHECK;

struct rmr_summary_row {
	uint32_t type;     /**< rmr_heap_type_info() has the figures */
	uint64_t retained; /**< bytes dominated by the instances together; 0 without dominators */
};
/**
 * A row for each type, sorted, most first (by name: ascending). @p dominators may be NULL unless
 * the sort needs it. free() the rows.
 */
struct rmr_error *rmr_summary_create(const struct rmr_heap *heap,
	const struct rmr_dominators *dominators, enum rmr_sort sort, struct rmr_summary_row **rows_ret,
	size_t *count_ret) RMR_MUST_CHECK;

struct rmr_objects_query {
	const char *type;  /**< NULL: all; label or plain name */
	const char *where; /**< NULL, or an SQL expression over the columns of `objects` (sql.h) */
	enum rmr_sort sort;
	bool reverse;      /**< else most first; names and addresses least first */
	uint64_t limit;    /**< 0: all */
};
/**
 * The ids that match, sorted. @p total_ret: how many match without the limit. free() the ids.
 * @param dominators  needed for RMR_SORT_RETAINED, else may be NULL
 * @return RMR_E_QUERY for a type that is not there or an expression that SQLite refuses
 */
struct rmr_error *rmr_objects_list(struct rmr_heap *heap, const struct rmr_dominators *dominators,
	const struct rmr_objects_query *query, uint32_t **ids_ret, uint64_t *count_ret,
	uint64_t *total_ret) RMR_MUST_CHECK;

#endif
