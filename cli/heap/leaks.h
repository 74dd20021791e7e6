// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Leak suspects, in prose. Of one dump: what holds most, and where it accumulates. Of several
 * dumps of one process, in order of time: what grows from each to the next, be it a container of
 * many items, what is spread below one object, what nothing but C or nothing at all holds, or
 * threads.
 */
#ifndef RMR_CLI_HEAP_LEAKS_H
#define RMR_CLI_HEAP_LEAKS_H

#include "cli/heap/heap.h"

struct rmr_dominators;

struct rmr_leak {
	uint32_t accumulation;  /**< id in the last dump: the object that holds the many, or one of
	                             many that nothing holds; RMR_NO_OBJECT: threads */
	char *path;             /**< its path as Python writes it; <unreachable>, <held by C code> or
	                             <threads> */
	uint64_t retained;      /**< bytes */
	double share;           /**< of all bytes, 0 to 1 */
	uint64_t children;      /**< what it holds directly: how many */
	char *child_type;       /**< most frequent type among them */
	uint64_t growth;        /**< bytes from the first dump to the last; 0 with one dump */
	double score;           /**< order: larger is more probable */
	char *prose;            /**< a few sentences; one paragraph without newline */
};

struct rmr_leaks {
	size_t count;
	struct rmr_leak *leaks; /**< most probable first */
	char *prose;            /**< what was looked at, and that there is nothing to report if so */
};

struct rmr_error *rmr_leaks_find(struct rmr_heap *const *heaps,
	struct rmr_dominators *const *dominators, size_t count, size_t limit,
	struct rmr_leaks **ret) RMR_MUST_CHECK;
void rmr_leaks_destroy(struct rmr_leaks *leaks);

#endif
