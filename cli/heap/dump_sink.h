// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Where the bytes of a dump go: a file descriptor, plain or compressed. Plain bytes are written by
 * the caller's thread in large blocks; compression runs on a thread of the sink's own, so that it
 * costs the writer one copy-free hand-over per block.
 */
#ifndef RMR_CLI_HEAP_DUMP_SINK_H
#define RMR_CLI_HEAP_DUMP_SINK_H

#include "attach/error.h"

#include <stddef.h>
#include <stdint.h>

struct rmr_dump_sink;

enum rmr_dump_compression {
	RMR_DUMP_PLAIN,
	RMR_DUMP_GZIP,
	RMR_DUMP_ZSTD,
};

/** What @p path's ending (.gz, .zst) asks for; anything else is RMR_DUMP_PLAIN. */
enum rmr_dump_compression rmr_dump_sink_compression(const char *path);

/**
 * A sink that writes to @p fd (a file, pipe, socket or device; stays the caller's). Blocks where
 * the descriptor does. A pipe without a reader is RMR_E_WRITE with EPIPE (the caller ignores or
 * blocks SIGPIPE).
 */
struct rmr_error *rmr_dump_sink_create(int fd, enum rmr_dump_compression compression,
	struct rmr_dump_sink **ret) RMR_MUST_CHECK;

/**
 * A buffer with room for at least @p size bytes (at most 4 MB), valid until the next call on the
 * sink. rmr_dump_sink_commit() says how many bytes of it were filled.
 */
struct rmr_error *rmr_dump_sink_reserve(struct rmr_dump_sink *sink, size_t size,
	char **buffer_ret) RMR_MUST_CHECK;

/** Takes the first @p size bytes of the buffer of the last rmr_dump_sink_reserve(). */
void rmr_dump_sink_commit(struct rmr_dump_sink *sink, size_t size);

/** reserve, copy, commit; any size. */
struct rmr_error *rmr_dump_sink_write(struct rmr_dump_sink *sink, const void *bytes,
	size_t size) RMR_MUST_CHECK;

/** Bytes that went in so far (before compression). */
uint64_t rmr_dump_sink_size(const struct rmr_dump_sink *sink);

/**
 * Writes what is left and ends the compressed stream. Nothing may follow but destroy. The caller
 * still has to fsync() and close() the descriptor, and to check both.
 */
struct rmr_error *rmr_dump_sink_finish(struct rmr_dump_sink *sink) RMR_MUST_CHECK;

/** Frees the sink, ends its thread; without finish what is left is dropped. NULL is legal. */
void rmr_dump_sink_destroy(struct rmr_dump_sink *sink);

#endif
