// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Where among the references of an object one to a given object is. Small containers are searched
 * from the start; for one of many references that is asked for again and again, as by a shell's
 * questions about its members, a table is made.
 */
#ifndef RMR_CLI_HEAP_POSITIONS_H
#define RMR_CLI_HEAP_POSITIONS_H

#include "cli/heap/heap.h"

struct rmr_positions;

/**
 * The index of the first reference from @p source to @p target at or after index @p start, or
 * UINT64_MAX. Any thread may call it.
 */
uint64_t rmr_positions_find(const struct rmr_heap *heap, uint32_t source, uint32_t target,
	uint64_t start);

/** What a heap remembers of its large containers: at most 20 bytes a reference of theirs. */
struct rmr_positions *rmr_positions_create(void);
void rmr_positions_destroy(struct rmr_positions *positions);

#endif
