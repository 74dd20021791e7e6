// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A picture of an object's neighbourhood for Graphviz: children or referrers to a depth, or paths.
 * Start node red, modules green, shades by depth, sizes in the labels, names on the edges, at most
 * so many edges a node and a box "N more".
 */
#ifndef RMR_CLI_HEAP_GRAPH_H
#define RMR_CLI_HEAP_GRAPH_H

#include "cli/heap/heap.h"

#include <stdio.h>

struct rmr_graph_options {
	bool up;
	bool path;        /**< only the shortest path from a root to the object */
	unsigned depth;   /**< 0 is 3 */
	unsigned breadth; /**< edges a node; 0 is 10 */
};

/** Writes DOT. Names are escaped: a hostile dump makes no other graph. RMR_E_WRITE. */
struct rmr_error *rmr_graph_write(const struct rmr_heap *heap, uint32_t id,
	const struct rmr_graph_options *options, FILE *out) RMR_MUST_CHECK;

#endif
