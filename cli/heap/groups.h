// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * heapy's partitions: objects in groups that share a property; a group can be grouped again.
 */
#ifndef RMR_CLI_HEAP_GROUPS_H
#define RMR_CLI_HEAP_GROUPS_H

#include "cli/heap/heap.h"

struct rmr_dominators;

enum rmr_groups_by {
	RMR_GROUPS_TYPE,     /**< type; a dict that is the __dict__ of something: "dict of app.Node" */
	RMR_GROUPS_MODULE,   /**< module of the type */
	RMR_GROUPS_SIZE,     /**< exact size */
	RMR_GROUPS_REFERRER, /**< the set of the referrers' types */
	RMR_GROUPS_VIA,      /**< the names through which it is referred to: ".next", "[*]", "['k']" */
	RMR_GROUPS_OWNER,    /**< the immediate dominator's type */
	RMR_GROUPS_LINE,     /**< "file:line" that allocated it, as tracemalloc saw (traces.h) */
};
/** The label of what no line allocated: tracemalloc was off then. */
#define RMR_GROUPS_NOT_TRACED "<not traced>"

struct rmr_error *rmr_groups_parse(const char *word, enum rmr_groups_by *ret) RMR_MUST_CHECK;

struct rmr_group {
	char *label;
	uint64_t count;
	uint64_t bytes;    /**< sum of sizes */
	int64_t owned;     /**< what they own beside it, as rmr_heap_owned() */
	uint64_t retained; /**< as rmr_dominators_sum(); 0 without dominators */
};

struct rmr_groups {
	size_t count;
	struct rmr_group *groups; /**< most bytes first */
	uint64_t objects, bytes;  /**< of all of them */
	uint32_t *members;        /**< ids, group after group, ascending within one */
	uint64_t *first;          /**< group g has members [first[g], first[g + 1]) */
};

/**
 * @param ids         the objects to part, or NULL for all
 * @param dominators  needed for RMR_GROUPS_OWNER and the retained bytes, else NULL
 */
struct rmr_error *rmr_groups_create(const struct rmr_heap *heap,
	const struct rmr_dominators *dominators, const uint32_t *ids, uint64_t count,
	enum rmr_groups_by by, struct rmr_groups **ret) RMR_MUST_CHECK;
void rmr_groups_destroy(struct rmr_groups *groups);

#endif
