// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Turns the heap walker's records (payloads/heap_dump/records.h) into a dump, as FORMAT.md says.
 *
 * A whole dump is: rmr_dump_write_header(), rmr_dump_write(), rmr_dump_write_trailer(),
 * rmr_dump_sink_finish(). With RMR_DUMP_MELIAE the header and the trailer write nothing, so the
 * caller need not care.
 *
 * The records come from the target and are not trusted: anything that makes no sense is
 * RMR_E_PROTOCOL, never a crash, and memory use is bounded by what the types and shapes need
 * (at most RMR_DUMP_MAX_TYPES, no other record is kept).
 */
#ifndef RMR_CLI_HEAP_DUMP_WRITER_H
#define RMR_CLI_HEAP_DUMP_WRITER_H

#include "attach/error.h"
#include "cli/heap/completeness.h"
#include "cli/heap/dump_sink.h"

#include <stdint.h>
#include <sys/types.h>

struct rmr_ring;

enum {
	RMR_DUMP_MAX_TYPES = 4 << 20,
};

enum rmr_dump_format {
	RMR_DUMP_REMORA, /**< FORMAT.md */
	RMR_DUMP_MELIAE, /**< meliae's lines, no header, trailer, roots or shapes */
};

/** The facts of the header line; strings are the caller's and only read. */
struct rmr_dump_header {
	char id[17];            /**< 16 hex digits, made by rmr_dump_make_id() */
	pid_t pid;
	const char *python;     /**< "3.11.2" */
	uint32_t hex;           /**< PY_VERSION_HEX */
	const char *build;      /**< "release", "debug", ... */
	const char *exe;        /**< path, or NULL where unknown */
	const char *cmdline;    /**< /proc/PID/cmdline: NUL-separated; may be NULL */
	size_t cmdline_size;
	const char *host;       /**< or NULL */
	int64_t time;           /**< seconds since the epoch */
	const char *mode;       /**< "twin" or "in-place" */
	const char *values;     /**< "none", "short" or "full" */
	uint64_t rss;           /**< bytes of the target's resident memory, 0 = unknown */
};

/** What the END record says, and what the writer counted. */
struct rmr_dump_totals {
	uint64_t objects;
	uint64_t references;
	uint64_t bytes;         /**< sum of the objects' sizes */
	uint64_t types, shapes, roots;
	uint64_t faults;        /**< objects whose references could not be read */
	uint64_t walk_ns;
	uint64_t traces, traced; /**< traces of tracemalloc, and objects that have one */
	uint64_t tracemalloc;   /**< enum rmr_tracemalloc */
	char partial[512];      /**< why the dump is partial; empty = it is complete */
	bool is_tallied;        /**< completeness is told (not of meliae's lines, nor without memory) */
	struct rmr_completeness completeness;
};

/** The facts of the trailer line that the totals do not hold. */
struct rmr_dump_trailer {
	uint64_t stop_us;       /**< the longest ptrace stop of a thread */
	uint64_t gil_us;        /**< how long the GIL was held */
};

struct rmr_dump_progress {
	uint64_t objects;       /**< written so far */
	uint64_t bytes;         /**< of output, before compression */
	uint64_t expected;      /**< about how many objects there will be in all, 0 = unknown */
};

struct rmr_dump_options {
	enum rmr_dump_format format;
	/**
	 * Hangs up (POLLHUP) when the producer is gone: a socket whose other end only it holds; or -1. Then what is in the ring is read, and a missing END record
	 * is RMR_E_TARGET.
	 */
	int peer_fd;
	/** Fails with RMR_E_TIMEOUT when no record came for so long; 0 = waits for ever. */
	unsigned stall_ms;
	/**
	 * Called about ten times a second (also while nothing comes); may be NULL. An error that it
	 * returns (RMR_E_INTERRUPTED, ...) ends the dump and is passed up.
	 */
	struct rmr_error *(*progress)(void *arg, const struct rmr_dump_progress *progress);
	void *progress_arg;
};

/** Fills @p id with 16 random hex digits and a NUL. */
struct rmr_error *rmr_dump_make_id(char id[17]) RMR_MUST_CHECK;

struct rmr_error *rmr_dump_write_header(struct rmr_dump_sink *sink, enum rmr_dump_format format,
	const struct rmr_dump_header *header) RMR_MUST_CHECK;

/**
 * Reads records from @p ring until the END record and writes their lines to @p sink. The ring stays
 * the caller's (rmr_ring_close() tells the producer to stop, after success or failure).
 * A partial dump (a faulty extension, see totals.partial) is no error.
 */
struct rmr_error *rmr_dump_write(struct rmr_ring *ring, const struct rmr_dump_options *options,
	struct rmr_dump_sink *sink, struct rmr_dump_totals *ret) RMR_MUST_CHECK;

struct rmr_error *rmr_dump_write_trailer(struct rmr_dump_sink *sink, enum rmr_dump_format format,
	const struct rmr_dump_header *header, const struct rmr_dump_totals *totals,
	const struct rmr_dump_trailer *trailer) RMR_MUST_CHECK;

#endif
