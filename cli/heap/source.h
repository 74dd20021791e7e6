// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The bytes of a dump in memory: a plain file is mapped; a pipe, .gz or .zst (told by content) is
 * read into an unlinked temporary file and that is mapped. A compressed file that remora wrote is
 * unpacked piece by piece, as it is needed (packed.h): what nobody asked for reads as zeros. So is the
 * copy that is kept of any other compressed file (repacked.h), unless options say no_index.
 */
#ifndef RMR_CLI_HEAP_SOURCE_H
#define RMR_CLI_HEAP_SOURCE_H

#include "cli/heap/heap.h"

struct rmr_packed;

struct rmr_source {
	const char *name; /**< for messages; the caller's, who keeps it */
	const char *data; /**< followed by RMR_JSON_PADDING zero bytes; read-only */
	size_t size;
	size_t mapped;    /**< length of the mapping at data */
	/** What the index is checked against: the file as it lies on disk, compressed or not. */
	bool is_file;
	uint64_t file_size, inode, mtime_ns;
	struct rmr_packed *packed; /**< NULL: all of data is there */
	char *copy; /**< the file that packed is of (repacked.h), or NULL: the dump itself */
};

/**
 * @param fd    stays the caller's, and may be closed after
 * @param name  must outlive the source
 * @return RMR_E_INPUT for corrupt compression (a mere end too early is none), RMR_E_OS,
 *         RMR_E_WRITE when the temporary file has no room, RMR_E_INTERRUPTED
 */
struct rmr_error *rmr_source_open(int fd, const char *name,
	const struct rmr_heap_options *options, struct rmr_source *ret) RMR_MUST_CHECK;
void rmr_source_close(struct rmr_source *source);

/**
 * Make the bytes [start, end) of data readable, or those from @p offset to the end of a line at
 * least. Any thread may call them. @return false: rmr_source_error() tells why
 */
bool rmr_source_need(const struct rmr_source *source, uint64_t start, uint64_t end);
bool rmr_source_need_line(const struct rmr_source *source, uint64_t offset);
struct rmr_error *rmr_source_error(const struct rmr_source *source) RMR_MUST_CHECK;

/** The line at @p offset, readable to its end; NULL if there is none or it cannot be had. */
const char *rmr_source_line(const struct rmr_source *source, uint64_t offset);

#endif
