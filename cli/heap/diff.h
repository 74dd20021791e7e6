// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * What changed between two dumps, what survived of the second of three, and what grew steadily
 * over any number of them: by type, by group or by path.
 *
 * Single objects are told apart by identity.h. Rows are matched by label: types and groups by
 * name, paths by their text.
 */
#ifndef RMR_CLI_HEAP_DIFF_H
#define RMR_CLI_HEAP_DIFF_H

#include "cli/heap/groups.h"
#include "cli/heap/heap.h"

struct rmr_dominators;

enum {
	RMR_DIFF_DUMPS_MAX = 100,
};

/** One row in one dump. */
struct rmr_diff_cell {
	uint64_t count; /**< objects; by path: what the object at the path dominates */
	uint64_t bytes; /**< their sizes; by path: the retained size */
};

struct rmr_diff_row {
	const char *label;     /**< type, group or path; lives as long as the diff */
	struct rmr_diff_cell *cells; /**< of each dump */
	int64_t count_change;  /**< last - first */
	int64_t bytes_change;
	size_t grew;           /**< in how many of the intervals between the dumps: in bytes, or in count
	                            without getting smaller */
	uint64_t born;         /**< objects of the second dump that are not in the first */
	uint64_t gone;         /**< objects of the first that are not in the second */
	uint64_t survivors;    /**< with three dumps: born by the second, still in the third */
	uint64_t survivor_bytes;
	uint32_t example;      /**< id of the largest survivor in the last dump (with two: of the born);
	                            by path: the object at the path */
};

struct rmr_diff {
	size_t dumps;
	size_t count;
	struct rmr_diff_row *rows;
	struct rmr_diff_cell *totals; /**< of each dump */
	bool same_process; /**< pid, host and executable are equal: addresses can be compared */
	bool growth;       /**< as it was asked for */
};

enum rmr_diff_by {
	RMR_DIFF_TYPE,
	RMR_DIFF_GROUP, /**< by a partition of groups.h */
	RMR_DIFF_PATH,  /**< by the named path of the object that dominates, indexes as [*] */
};

struct rmr_diff_options {
	enum rmr_diff_by by;
	enum rmr_groups_by group; /**< of RMR_DIFF_GROUP */
	/**
	 * Rows in the order of steady growth, those first that grew in every interval, and no lives
	 * of single objects. The only way to compare more than three dumps.
	 */
	bool growth;
};

/**
 * Largest growth in bytes first; with three dumps and no options->growth, survivors' bytes first.
 * @param dominators  NULL unless by path, or by the owners of groups.h
 * @param count       of dumps, in order of time: 2 to RMR_DIFF_DUMPS_MAX
 */
struct rmr_error *rmr_diff_create(struct rmr_heap *const *heaps,
	struct rmr_dominators *const *dominators, size_t count,
	const struct rmr_diff_options *options, struct rmr_diff **ret) RMR_MUST_CHECK;
void rmr_diff_destroy(struct rmr_diff *diff);

#endif
