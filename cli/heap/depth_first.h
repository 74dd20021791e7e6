// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A depth-first order of everything, from a virtual root: what the roots of the dump reach, then
 * what only objects held by C reach, then one object of each component that nothing refers to from
 * outside, and what it reaches.
 */
#ifndef RMR_CLI_HEAP_DEPTH_FIRST_H
#define RMR_CLI_HEAP_DEPTH_FIRST_H

#include "cli/heap/heap_internal.h"

/** Marks of ids. */
enum {
	RMR_DEPTH_FIRST_ENTRY = 1,     /**< the virtual root refers to it */
	RMR_DEPTH_FIRST_FROM_NODE = 2, /**< a root that is a node of its own refers to it */
};

struct rmr_depth_first {
	const struct rmr_heap *heap;
	uint32_t nodes;   /**< ids, then roots, then the virtual root */
	uint32_t count;   /**< how many have a number: they have 1 to count; the virtual root is 1 */
	uint32_t held;    /**< numbers above are reached only from what C holds */
	uint32_t unreachable; /**< numbers above are garbage */
	uint32_t *number; /**< of each node; 0: none (a root that is no node) */
	uint32_t *vertex; /**< the node with each number */
	uint32_t *parent; /**< of each number: the number before it in the depth-first tree */
	uint8_t *marks;   /**< of each id */
};

/** The heap is verified. */
struct rmr_error *rmr_depth_first_create(const struct rmr_heap *heap, struct rmr_depth_first *ret)
	RMR_MUST_CHECK;
void rmr_depth_first_destroy(struct rmr_depth_first *reach);

/** True if a root of this kind is a node of its own, and not a mere label of its object. */
static inline bool rmr_depth_first_is_node(enum rmr_root_kind kind)
{
	return kind == RMR_ROOT_FRAME || kind == RMR_ROOT_THREAD || kind == RMR_ROOT_OTHER;
}

#endif
