// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Where among the references of an object one to a given object is. Small containers are searched
 * from the start; for those of many references the index has a table.
 */
#ifndef RMR_CLI_HEAP_POSITIONS_H
#define RMR_CLI_HEAP_POSITIONS_H

#include "cli/heap/heap.h"

struct rmr_build;

/**
 * The index of the first reference from @p source to @p target at or after index @p start, or
 * UINT64_MAX. Any thread may call it.
 */
uint64_t rmr_positions_find(const struct rmr_heap *heap, uint32_t source, uint32_t target,
	uint64_t start);

/** The tables: LARGE and LARGE_ORDER. A step of a build, after OUT. */
struct rmr_error *rmr_positions_build(struct rmr_build *build) RMR_MUST_CHECK;

#endif
