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

/**
 * Cycles of one shape: all garbage or none, with a finalizer or without, with as many objects of
 * each type, and the types in the same order along the ring.
 */
struct rmr_cycle {
	uint64_t cycles;     /**< how many there are */
	uint64_t count;      /**< objects in all of them */
	uint64_t bytes;      /**< of all of them */
	bool garbage;        /**< no root reaches it: it waits for the collector */
	bool finalizer;      /**< one of its objects has a __del__ */
	char *types;         /**< of each, "app.Node x 2, dict": most frequent first, at most five */
	char *ring;          /**< a shortest one through first: "app.Node.next -> app.Node.prev" */
	uint32_t first;      /**< the lowest id in any of them; types and ring are of that cycle */
};

struct rmr_cycles_options {
	size_t limit; /**< rows; 0: all */
	bool each;    /**< each cycle is a row of its own */
};

struct rmr_cycles {
	uint64_t total;          /**< how many there are */
	uint64_t objects, bytes; /**< in all of them */
	uint64_t garbage, garbage_objects, garbage_bytes;
	uint64_t finalizers;     /**< garbage ones with a __del__ */
	uint64_t uncollectable;  /**< length of gc.garbage, if it was found */
	uint64_t rows;           /**< without the limit */
	size_t count;
	struct rmr_cycle *cycles; /**< garbage first, then most bytes first; at most limit */
};

/** @param options  NULL: all rows, a shape a row. */
struct rmr_error *rmr_cycles_find(const struct rmr_heap *heap,
	const struct rmr_dominators *dominators, const struct rmr_cycles_options *options,
	struct rmr_cycles **ret) RMR_MUST_CHECK;
void rmr_cycles_destroy(struct rmr_cycles *cycles);

#endif
