// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Memory that could be saved: duplicates, empty and over-allocated containers, needless dicts,
 * views that pin large buffers.
 */
#ifndef RMR_CLI_HEAP_WASTE_H
#define RMR_CLI_HEAP_WASTE_H

#include "cli/heap/heap.h"

enum rmr_waste_kind {
	RMR_WASTE_DUPLICATE_STR,
	RMR_WASTE_DUPLICATE_BYTES,
	RMR_WASTE_DUPLICATE_TUPLE, /**< tuples that hold the same objects */
	RMR_WASTE_EMPTY,           /**< empty list, dict, set: what they occupy */
	RMR_WASTE_OVERALLOCATED,   /**< list, dict, set: room beyond what their length needs */
	RMR_WASTE_INSTANCE_DICT,   /**< instances' __dict__ that __slots__ would save */
	RMR_WASTE_PINNED,          /**< buffers kept only by views that show less than half of them */
	RMR_WASTE_KINDS,
};
/** "duplicate strings", ... */
const char *rmr_waste_label(enum rmr_waste_kind kind);

struct rmr_waste_row {
	enum rmr_waste_kind kind;
	char *what;        /**< the value, or the type */
	uint64_t count;    /**< objects that could go or shrink */
	uint64_t bytes;    /**< what would be saved */
	uint32_t example;  /**< one of them: `why` tells the owner; PINNED: what owns the buffer */
	uint32_t view;     /**< PINNED: one of the views */
};

struct rmr_waste {
	uint64_t count[RMR_WASTE_KINDS]; /**< totals a kind, of all rows, shown or not */
	uint64_t bytes[RMR_WASTE_KINDS];
	uint64_t truncated; /**< strings and bytes not compared, as the dump has only their start */
	size_t rows;
	struct rmr_waste_row *row; /**< the worst @p limit of each kind, most bytes first */
};

struct rmr_error *rmr_waste_find(const struct rmr_heap *heap, size_t limit, struct rmr_waste **ret)
	RMR_MUST_CHECK;
void rmr_waste_destroy(struct rmr_waste *waste);

#endif
