// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The index file: the sections of a heap as they lie in memory, beside the dump
 * (DUMP.remora-index) or in $XDG_CACHE_HOME/remora where that folder cannot be written. Sections
 * are filled in place through a shared mapping of a temporary file, which is renamed when it is
 * complete: another remora sees the old index or the new one. Whatever goes wrong with the file,
 * memory takes its place.
 */
#ifndef RMR_CLI_HEAP_INDEX_H
#define RMR_CLI_HEAP_INDEX_H

#include "cli/heap/heap_internal.h"

/** The first bytes of an index file, and of a block beside it (offsets and bytes unused). */
struct rmr_index_header {
	char magic[8];
	uint32_t version, header_size;
	uint64_t file_size, inode, mtime_ns; /**< of the dump */
	uint64_t id;       /**< hash of the dump's first line: its id is in it */
	uint64_t checksum; /**< rmr_index_checksum() */
	struct rmr_counts counts;
	uint64_t offsets[RMR_SECTIONS], bytes[RMR_SECTIONS];
};
/** A hash of the header, with 0 for its checksum. */
uint64_t rmr_index_checksum(const struct rmr_index_header *header);

struct rmr_index_writer {
	int fd;          /**< -1: sections are plain memory */
	char *temporary; /**< name of the file until it is complete */
	char *path;
	uint64_t end;    /**< of what is in the file so far */
	uint64_t offsets[RMR_SECTIONS];
};

/** @param path  of the dump, or NULL: no file. Never fails. */
void rmr_index_begin(struct rmr_index_writer *writer, const char *path);
/** The same in a file that has no name and ends with the heap: so that its sections are no memory of
 * remora's own, but the file system's cache, which can be written out. */
void rmr_index_begin_unnamed(struct rmr_index_writer *writer);
/** Zeroed room for a section of @p heap, set in it. NULL when there is no memory. */
void *rmr_index_section(struct rmr_index_writer *writer, struct rmr_heap *heap,
	enum rmr_section section, size_t bytes);
/** Writes the header and gives the file its name; on any failure there is no file. */
void rmr_index_commit(struct rmr_index_writer *writer, struct rmr_heap *heap);
/** Ends a writer that was not committed; the heap keeps its sections. */
void rmr_index_abandon(struct rmr_index_writer *writer);

/**
 * Maps the index of the dump that @p heap has as its source and path. @return false if there is
 * none that fits; the heap is as before then.
 */
bool rmr_index_open(struct rmr_heap *heap);
/** The same from a file that the caller names (the fuzzer's way in). */
bool rmr_index_map(struct rmr_heap *heap, const char *index_path);

/** Gives the sections back. */
void rmr_index_release(struct rmr_heap *heap);

/**
 * A block that an analysis computed from the heap and keeps beside its index, under the index's
 * name with @p suffix. rmr_index_load_block() returns a private mapping of @p bytes bytes to be
 * freed by munmap(), or NULL; _save_block() may fail silently.
 */
void *rmr_index_load_block(const struct rmr_heap *heap, const char *suffix, size_t bytes);
void rmr_index_save_block(const struct rmr_heap *heap, const char *suffix, const void *block,
	size_t bytes);

#endif
