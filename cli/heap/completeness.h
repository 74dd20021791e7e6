// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * How complete a dump is: of the references that the reference counts tell of, how many are there.
 */
#ifndef RMR_CLI_HEAP_COMPLETENESS_H
#define RMR_CLI_HEAP_COMPLETENESS_H

#include "attach/error.h"

#include <stddef.h>
#include <stdint.h>

struct rmr_heap;

/**
 * A reference count to which nobody counted: the object is immortal, flagged so or not (CPython 3.11
 * gives static objects 999999999 and no mark: Include/internal/pycore_object.h,
 * _PyObject_IMMORTAL_REFCNT).
 */
enum { RMR_IMMORTAL_COUNT = 1 << 29 };

/**
 * Figures of mortal objects, all of them or those of a type. An immortal object's count means
 * nothing, so it is in none of them.
 */
struct rmr_completeness {
	uint64_t counted;     /**< sum of rc */
	uint64_t found;       /**< sum of min(references of objects and roots found, rc) */
	uint64_t held_by_c;   /**< objects whose rc is larger than what was found */
	uint64_t exceeded;    /**< objects with more references found than rc */
	uint64_t excess;      /**< how many more, together */
};
/** All 0 for a dump without reference counts. */
void rmr_completeness_get(const struct rmr_heap *heap, struct rmr_completeness *ret);

struct rmr_completeness_row {
	uint32_t type;
	struct rmr_completeness sums;
	uint32_t example;     /**< the object with the most unexplained references; RMR_NO_OBJECT */
	uint64_t example_missing;
};
/**
 * The types of which references are missing, most first, then those with too many. free() the rows.
 */
struct rmr_error *rmr_completeness_by_type(const struct rmr_heap *heap,
	struct rmr_completeness_row **rows_ret, size_t *count_ret) RMR_MUST_CHECK;

#endif
