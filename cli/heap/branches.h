// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The references of one object, or to it, one after the other with their names: what trees and
 * pictures show. Items of lists and tuples come in the order of their indexes, referrers once each
 * and after the roots, the one whose __dict__ the object is before the others. A dict's keys that
 * refer to nothing, strings and numbers, are left out: the names of the values tell them.
 */
#ifndef RMR_CLI_HEAP_BRANCHES_H
#define RMR_CLI_HEAP_BRANCHES_H

#include "cli/heap/heap_internal.h"

struct rmr_branches {
	const struct rmr_heap *heap;
	uint32_t id;
	bool up;
	uint64_t at;          /**< how many references were passed */
	uint64_t rooted;      /**< up: the next entry of ROOTED */
	uint32_t owner;       /**< up: whose __dict__ it is, or RMR_NO_OBJECT */
	bool owner_passed;
	struct rmr_ids ids;
	struct rmr_names *names; /**< down */
	bool backwards;
};

struct rmr_branch {
	uint32_t id;   /**< RMR_NO_OBJECT: a root */
	uint32_t root; /**< or RMR_NO_OBJECT */
	char *name;    /**< the caller's, or NULL */
};

struct rmr_error *rmr_branches_init(struct rmr_branches *branches, const struct rmr_heap *heap,
	uint32_t id, bool up) RMR_MUST_CHECK;
void rmr_branches_deinit(struct rmr_branches *branches);
/** The next one; false: there is none. @param ret  NULL to skip it cheaply */
bool rmr_branches_next(struct rmr_branches *branches, struct rmr_branch *ret);
/** How many rmr_branches_next() would still give. */
uint64_t rmr_branches_left(const struct rmr_branches *branches);

#endif
