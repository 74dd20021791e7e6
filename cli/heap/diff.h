// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * What grew between two dumps, and what survived of the second of three.
 *
 * Identity: an object of one dump and one of another are the same if address, type and, where
 * both have them, name, class address and length of an immutable are equal. An address that was
 * freed and given to an object of the same type again is taken for the same object, unless its
 * contents tell otherwise: for immutable values (str, bytes, int, float) the value is compared
 * too. Types are matched by label, paths by their text.
 */
#ifndef RMR_CLI_HEAP_DIFF_H
#define RMR_CLI_HEAP_DIFF_H

#include "cli/heap/heap.h"

struct rmr_dominators;

struct rmr_diff_row {
	const char *label;     /**< type label or path; lives as long as the diff */
	uint64_t count[3];     /**< in each dump */
	uint64_t bytes[3];
	int64_t count_change;  /**< last - first */
	int64_t bytes_change;
	uint64_t born;         /**< objects of the second dump that are not in the first */
	uint64_t gone;         /**< objects of the first that are not in the second */
	uint64_t survivors;    /**< with three dumps: born by the second, still in the third */
	uint64_t survivor_bytes;
	uint32_t example;      /**< id of the largest survivor in the last dump (with two: of the born) */
};

struct rmr_diff {
	size_t dumps; /**< 2 or 3 */
	size_t count;
	struct rmr_diff_row *rows; /**< largest growth in bytes first (with three: in survivors' bytes) */
	uint64_t objects[3], bytes[3];
	bool same_process; /**< pid, host and executable are equal: addresses can be compared */
};

enum rmr_diff_by {
	RMR_DIFF_TYPE,
	RMR_DIFF_PATH, /**< by the named path of the object that dominates, indexes as [*] */
};

struct rmr_error *rmr_diff_create(struct rmr_heap *const *heaps,
	struct rmr_dominators *const *dominators, size_t count, enum rmr_diff_by by,
	struct rmr_diff **ret) RMR_MUST_CHECK;
void rmr_diff_destroy(struct rmr_diff *diff);

#endif
