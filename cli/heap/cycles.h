// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Reference cycles: strongly connected components of more than one object, and objects that refer
 * to themselves.
 */
#ifndef RMR_CLI_HEAP_CYCLES_H
#define RMR_CLI_HEAP_CYCLES_H

#include "cli/heap/heap.h"

struct rmr_dominators;

struct rmr_cycle {
	uint64_t count;      /**< objects in it */
	uint64_t bytes;
	bool garbage;        /**< no root reaches it: it waits for the collector */
	bool finalizer;      /**< one of its objects has a __del__ */
	char *types;         /**< "app.Node x 2, dict": most frequent first, at most five */
	char *ring;          /**< one shortest ring through it: "app.Node.next -> app.Node.prev" */
	uint32_t first;      /**< its lowest id */
};

struct rmr_cycles {
	uint64_t total;          /**< how many there are */
	uint64_t objects, bytes; /**< in all of them */
	uint64_t garbage, garbage_objects, garbage_bytes;
	uint64_t finalizers;     /**< garbage ones with a __del__ */
	uint64_t uncollectable;  /**< length of gc.garbage, if it was found */
	size_t count;
	struct rmr_cycle *cycles; /**< garbage first, then most bytes first; at most limit */
};

struct rmr_error *rmr_cycles_find(const struct rmr_heap *heap,
	const struct rmr_dominators *dominators, size_t limit, struct rmr_cycles **ret) RMR_MUST_CHECK;
void rmr_cycles_destroy(struct rmr_cycles *cycles);

#endif
