// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * One line of a dump (FORMAT.md), scanned in one pass: numbers decoded, text left where it is.
 */
#ifndef RMR_CLI_HEAP_RECORD_H
#define RMR_CLI_HEAP_RECORD_H

#include "cli/heap/heap.h"
#include "cli/heap/json.h"

enum rmr_line_kind {
	RMR_LINE_OBJECT,
	RMR_LINE_SHAPE,
	RMR_LINE_ROOT,
	RMR_LINE_TRACE,
	RMR_LINE_HEADER,
	RMR_LINE_TRAILER,
	RMR_LINE_OTHER, /**< JSON, but no record that this version knows */
};

/**
 * Bounds, ours: no address space has so many bytes (47 or 56 bits, Linux's
 * Documentation/arch/x86/x86_64/mm.rst; no machine has more than 48 of memory), and twice a length is
 * still a number. What is not below them counts as not told, so that sums and products do not wrap.
 */
#define RMR_BYTES_END (1ull << 48)
#define RMR_LEN_END (1ull << 62)

struct rmr_line {
	enum rmr_line_kind kind;
	struct rmr_record record; /**< UNKNOWN and NULL where a key is missing; text is not set */
	struct rmr_slice root, names;
	const char *arrays[3];    /**< where refs, hidden and keys start, or NULL */
};

/** Where references are collected: address after address. */
struct rmr_addresses {
	uint64_t *items; /**< malloc()ed; the owner frees it */
	size_t count, room;
};

/**
 * Scans the object at @p p, which is at its '{'; @return the position after its '}', or NULL.
 * @param addresses  refs, then hidden, then keys are appended, in this order whatever the line's
 *                   is; NULL to count only. On failure some may have been appended.
 * Without memory, the error's message is NULL.
 */
const char *rmr_line_scan(const char *p, struct rmr_line *line, struct rmr_addresses *addresses,
	struct rmr_json_error *error);

#endif
