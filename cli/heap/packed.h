// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A compressed dump whose frames (frames.h) can be unpacked one by one: each goes, when it is first
 * needed, to its place in an unlinked file that is as long as the whole text and mapped by the
 * caller. What nobody asks for is never unpacked, and what was is the page cache's, not ours.
 *
 * All functions but create and destroy may be called by any thread at any time. The file is
 * untrusted: a frame that is not what the table says fails, for good.
 */
#ifndef RMR_CLI_HEAP_PACKED_H
#define RMR_CLI_HEAP_PACKED_H

#include "attach/error.h"

#include <stdbool.h>
#include <stdint.h>

struct rmr_packed;

enum rmr_packed_kind {
	RMR_PACKED_GZIP,
	RMR_PACKED_ZSTD,
};

/**
 * Finds the frames of a file.
 * @param fd    a regular file of @p size bytes; stays the caller's and may be closed after
 * @param start where the first frame is
 * @param name  for messages; must outlive it
 * @param ret   NULL if the file has no table of frames, or one that does not fit: then it is to be
 *              read from the start to the end, as any other
 * @return RMR_E_NOMEM, RMR_E_OS
 */
struct rmr_error *rmr_packed_create(int fd, uint64_t start, uint64_t size, enum rmr_packed_kind kind,
	const char *name, struct rmr_packed **ret) RMR_MUST_CHECK;
/** NULL is legal. */
void rmr_packed_destroy(struct rmr_packed *packed);

/** Bytes of text, unpacked or not. */
uint64_t rmr_packed_size(const struct rmr_packed *packed);

/** Where the text goes: a file of rmr_packed_size() bytes, taken over. Before any need. */
void rmr_packed_set_output(struct rmr_packed *packed, int fd);

/** Unpacks what overlaps [start, end). @return false: rmr_packed_error() tells why */
bool rmr_packed_need(struct rmr_packed *packed, uint64_t start, uint64_t end);

/** Unpacks from @p offset (below the size) to the end of a line at least. */
bool rmr_packed_need_line(struct rmr_packed *packed, uint64_t offset);

/** Why the first frame that failed did so: RMR_E_INPUT, RMR_E_WRITE (the temporary file's room). */
struct rmr_error *rmr_packed_error(struct rmr_packed *packed) RMR_MUST_CHECK;

#endif
