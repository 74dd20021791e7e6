// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Where objects were allocated: the traces that tracemalloc kept in the target. A heap without them
 * has no trace of any object.
 */
#ifndef RMR_CLI_HEAP_TRACES_H
#define RMR_CLI_HEAP_TRACES_H

#include "cli/heap/heap.h"

/** How many different traces the dump has. */
uint32_t rmr_traces_count(const struct rmr_heap *heap);
/** The trace of @p id: below the count, or RMR_NO_OBJECT. */
uint32_t rmr_traces_of(const struct rmr_heap *heap, uint32_t id);

struct rmr_trace_frame {
	struct rmr_slice file; /**< a JSON string, quotes included */
	uint64_t line;
};
/** The frames, the innermost first. free() them. False: no such trace, or no memory. */
bool rmr_traces_frames(const struct rmr_heap *heap, uint32_t trace,
	struct rmr_trace_frame **frames_ret, size_t *count_ret);

/** "file:line" of one frame. malloc()ed; NULL: no memory. */
char *rmr_traces_frame_text(const struct rmr_trace_frame *frame);
/** The innermost frame as "file:line", or NULL: no such trace, or no memory. malloc()ed. */
char *rmr_traces_place(const struct rmr_heap *heap, uint32_t trace);

#endif
