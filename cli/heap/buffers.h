// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Whose bytes an object shows: views (memoryview, numpy arrays, ctypes objects, ...) and the objects
 * that own the memory behind them.
 */
#ifndef RMR_CLI_HEAP_BUFFERS_H
#define RMR_CLI_HEAP_BUFFERS_H

#include "cli/heap/heap.h"

struct rmr_buffer {
	uint64_t bytes; /**< how many it shows */
	uint64_t data;  /**< address of the first, or RMR_HEAP_UNKNOWN */
	uint32_t owner; /**< whose they are: the object itself, another one, or RMR_NO_OBJECT */
};

/**
 * False if the dump does not say that @p id shows bytes; of bytes objects it need not say it. The
 * owner is the end of the chain of bases: if that is no object of which the dump tells a buffer, it
 * gave the bytes away and is not known to own them (a capsule, a type of an extension).
 */
bool rmr_buffers_get(const struct rmr_heap *heap, uint32_t id, struct rmr_buffer *ret);

#endif
