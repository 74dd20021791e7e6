// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Which object of one dump is which object of another dump of the same process.
 *
 * The same address is necessary, and the same type (by label, and by class address where both dumps
 * tell it). An address that was freed and given to another object of that type is told by what the
 * objects are made of:
 * - str, bytes, numbers: value, length and size are equal;
 * - tuples: length and size are equal;
 * - what has a name (functions, code, modules, classes): the names are equal;
 * - containers and instances: some part that nothing else refers to is in both, at its address and
 *   with its value. Objects without parts of their own in either dump cannot be told apart: they are
 *   taken for the same.
 */
#ifndef RMR_CLI_HEAP_IDENTITY_H
#define RMR_CLI_HEAP_IDENTITY_H

#include "cli/heap/heap.h"

/** True if both dumps are of one process (PID, host, executable): addresses can be compared. */
bool rmr_identity_comparable(const struct rmr_heap *a, const struct rmr_heap *b);

/** True if object @p x of @p a is object @p y of @p b; their addresses are equal. */
bool rmr_identity_same(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b, uint32_t y);

/** The object of @p b that object @p x of @p a is, or RMR_NO_OBJECT. Both of one process. */
uint32_t rmr_identity_find(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b);

/**
 * For each object of @p a: 1 if it is in @p b too, else 0; nothing is where they are not
 * comparable. By all CPUs. Ended by rmr_block_destroy() with rmr_heap_count(a) bytes; NULL: no
 * memory, or interrupted.
 */
uint8_t *rmr_identity_match(const struct rmr_heap *a, const struct rmr_heap *b);

/**
 * The same for each object of @p b, from what rmr_identity_match() said of those of @p a: who is who
 * is the same from both sides. Ended likewise, with rmr_heap_count(b) bytes. NULL: no memory.
 */
uint8_t *rmr_identity_mirror(const struct rmr_heap *a, const struct rmr_heap *b,
	const uint8_t *match);

#endif
