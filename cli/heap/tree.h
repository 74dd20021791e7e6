// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * An object's references, or its referrers, as an indented tree that ends on cycles.
 */
#ifndef RMR_CLI_HEAP_TREE_H
#define RMR_CLI_HEAP_TREE_H

#include "cli/heap/heap.h"

enum rmr_tree_mark {
	RMR_TREE_OPEN,  /**< its branches follow, or it has none */
	RMR_TREE_CYCLE, /**< it is one of its own ancestors in this tree: cut */
	RMR_TREE_SEEN,  /**< its branches were shown above: cut */
	RMR_TREE_DEEP,  /**< the depth ends here, and it has branches */
	RMR_TREE_MORE,  /**< no object: `more` further branches are not shown */
};

struct rmr_tree_row {
	unsigned depth;  /**< 0: the asked object */
	uint32_t id;     /**< RMR_NO_OBJECT for RMR_TREE_MORE, and for a root (see root) */
	uint32_t root;   /**< with `up`: a root that refers to the row above; else RMR_NO_OBJECT */
	enum rmr_tree_mark mark;
	uint64_t more;
	char *name;      /**< of the reference to (with `up`: from) this object, or NULL */
};

struct rmr_tree {
	size_t count;
	struct rmr_tree_row *rows;
};

struct rmr_tree_options {
	bool up;
	unsigned depth;   /**< levels below the first row; 0 is 3 */
	unsigned breadth; /**< branches a row; 0 is 10 */
};

struct rmr_error *rmr_tree_create(const struct rmr_heap *heap, uint32_t id,
	const struct rmr_tree_options *options, struct rmr_tree **ret) RMR_MUST_CHECK;
void rmr_tree_destroy(struct rmr_tree *tree);

#endif
