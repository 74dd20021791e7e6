// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The heap walker, as the agent calls it: prepare in the target under the GIL, then run in the
 * reader twin (or, for --in-place, at once in the target, the GIL still held).
 *
 * rmr_heap_dump_run() allocates only by mmap, takes no lock, writes no reference count and calls
 * no function of the interpreter but tp_traverse and tp_is_gc of types that the rules of
 * CPython's layouts allow.
 */
#ifndef RMR_PAYLOADS_HEAP_DUMP_H
#define RMR_PAYLOADS_HEAP_DUMP_H

#include "payloads/python_api.h"

#include <stddef.h>
#include <stdint.h>

struct rmr_ring;

/** How much of an object's value is written. */
enum rmr_values {
	RMR_VALUES_NONE,  /**< no string, bytes, number, local value or dict key content */
	RMR_VALUES_SHORT, /**< str and bytes: the first 100 characters */
	RMR_VALUES_FULL,
};

/** What remora asks for; part of the agent's protocol, so of fixed size and without pointers. */
struct rmr_heap_dump_request {
	uint32_t values;         /**< enum rmr_values */
	uint32_t version_hex;    /**< PY_VERSION_HEX of the target, as remora read it */
	uint64_t own_thread;     /**< address of the agent's PyThreadState: not dumped */
	uint64_t own_start;      /**< [own_start, own_end): the agent's image and stacks */
	uint64_t own_end;
	uint64_t meliae;         /**< 1: names, lengths and values as meliae's scanner has them */
	uint64_t reserved[3];
};

/** The walker's state; opaque bytes in the caller's storage (static in the agent's image). */
struct rmr_heap_dump;

/** Size of the walker's state in bytes. */
size_t rmr_heap_dump_size(void);

/** Why rmr_heap_dump_prepare() or _run() failed. */
enum rmr_heap_dump_status {
	RMR_HEAP_DUMP_OK,
	RMR_HEAP_DUMP_BAD_LAYOUT, /**< the interpreter is not laid out as any version known */
	RMR_HEAP_DUMP_COLLECTING, /**< a collection is under way: release the GIL and try again */
	RMR_HEAP_DUMP_NO_MEMORY,  /**< mmap failed */
	RMR_HEAP_DUMP_CLOSED,     /**< the reader of the ring went away */
	RMR_HEAP_DUMP_NO_MAPS,    /**< in place, and the memory map cannot be read */
};

/**
 * Checks the layouts and collects what only the target itself can tell. The GIL is held.
 * @param state  rmr_heap_dump_size() bytes, zeroed, 16-byte aligned
 */
enum rmr_heap_dump_status rmr_heap_dump_prepare(struct rmr_heap_dump *state,
	const struct rmr_python_api *api, const struct rmr_heap_dump_request *request);

/**
 * Walks every object once and writes records (records.h) to @p ring, the last of them the END
 * record. Runs in the twin, on a stack of at least 256 KB.
 * @param maps_fd  /proc/PID/maps of this process, open for reading; -1: it is opened here
 */
enum rmr_heap_dump_status rmr_heap_dump_run(struct rmr_heap_dump *state, struct rmr_ring *ring,
	int maps_fd);

/** Frees what prepare mapped. The GIL is held; in the target (after the twin was made). */
void rmr_heap_dump_finish(struct rmr_heap_dump *state);

#endif
