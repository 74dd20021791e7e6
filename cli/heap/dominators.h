// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Dominators and retained sizes, exact on cycles.
 *
 * An object dominates another if every path from the roots to the other leads through it; its
 * retained size is what it dominates, itself included: size and owned bytes that would be freed
 * with it. Nodes are the ids of the heap, then one node for each root (rmr_heap_id_end() + root),
 * then the virtual root that holds everything. Roots that are a mere label of one object
 * (sys.modules, static types) have no node: their objects hang on the virtual root.
 *
 * What no root reaches hangs on the virtual root too: first objects that C code holds, then one
 * object of each component that nothing refers to from outside. So every object is in the tree.
 * References from such garbage to what is reached otherwise hold nothing.
 */
#ifndef RMR_CLI_HEAP_DOMINATORS_H
#define RMR_CLI_HEAP_DOMINATORS_H

#include "cli/heap/heap.h"

struct rmr_dominators;

/** Computes them, or maps them from the file beside the index. */
struct rmr_error *rmr_dominators_create(const struct rmr_heap *heap, struct rmr_dominators **ret)
	RMR_MUST_CHECK;
void rmr_dominators_destroy(struct rmr_dominators *dominators);

/** The virtual root's node. */
uint32_t rmr_dominators_top(const struct rmr_dominators *dominators);
/** The root that @p node stands for, or RMR_NO_OBJECT if it is an object or the virtual root. */
uint32_t rmr_dominators_root_of(const struct rmr_dominators *dominators, uint32_t node);
/** The node's immediate dominator; of the virtual root: itself. */
uint32_t rmr_dominators_parent(const struct rmr_dominators *dominators, uint32_t node);
/** Bytes. Of the virtual root: all. */
uint64_t rmr_dominators_retained(const struct rmr_dominators *dominators, uint32_t node);

/** How many nodes it dominates, itself included. */
uint32_t rmr_dominators_count(const struct rmr_dominators *dominators, uint32_t node);
/** True if @p above dominates @p node, or is it. */
bool rmr_dominators_is_above(const struct rmr_dominators *dominators, uint32_t above,
	uint32_t node);
/** The nodes that @p node dominates, itself first: as long as the dominators live. */
const uint32_t *rmr_dominators_subtree(const struct rmr_dominators *dominators, uint32_t node,
	uint32_t *count_ret);

/** How an object is reached. */
enum rmr_reach {
	RMR_REACH_ROOT,        /**< from a root of the dump */
	RMR_REACH_HELD_BY_C,   /**< only from objects that C code holds */
	RMR_REACH_UNREACHABLE, /**< garbage that waits for the collector; or the dump has no roots */
};
enum rmr_reach rmr_dominators_reach(const struct rmr_dominators *dominators, uint32_t node);

/**
 * The nodes that @p node dominates immediately, largest retained size first, ties by id. free()
 * the ids. @p limit 0: all. @p total_ret: how many there are.
 */
struct rmr_error *rmr_dominators_children(const struct rmr_dominators *dominators, uint32_t node,
	uint64_t limit, uint32_t **ids_ret, uint64_t *count_ret, uint64_t *total_ret) RMR_MUST_CHECK;

/**
 * Bytes that a set of objects dominates together: the retained sizes of those that no other of the
 * set dominates. A lower bound of what would be freed with all of them.
 * @param group_of  group number of each id below rmr_heap_id_end(), or RMR_NO_OBJECT for none
 * @param retained  @p groups sums, zeroed by the caller
 */
struct rmr_error *rmr_dominators_sum(const struct rmr_dominators *dominators,
	uint32_t (*group_of)(const void *context, uint32_t id), const void *context, uint32_t groups,
	uint64_t *retained) RMR_MUST_CHECK;

#endif
