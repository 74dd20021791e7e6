// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * One function on several threads, and large blocks of memory for them to fill.
 */
#ifndef RMR_CLI_HEAP_PARALLEL_H
#define RMR_CLI_HEAP_PARALLEL_H

#include <stddef.h>

/** How many CPUs this process may use: at least 1, at most 64. */
unsigned rmr_parallel_cpus(void);

/**
 * Calls @p work(context, 0) to work(context, count - 1), at the same time if threads can be had,
 * and returns when all are done. Number 0 runs on the calling thread. Signals stay with the caller.
 */
void rmr_parallel_run(unsigned count, void (*work)(void *context, unsigned number), void *context);

/** The first index of part @p number of @p count parts of @p total. */
static inline size_t rmr_parallel_start(size_t total, unsigned count, unsigned number)
{
	return (size_t)((__uint128_t)total * number / count);
}

/** Zeroed memory by mmap, in huge pages where that helps. NULL when there is none. */
void *rmr_block_create(size_t bytes);
void rmr_block_destroy(void *block, size_t bytes);

#endif
