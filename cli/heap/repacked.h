// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A copy of a compressed dump that other programs made: in frames (frames.h), so that the next start
 * unpacks only what it needs. It is made while the dump is read for the first time, and lies beside
 * the index (DUMP.remora-index-text, or in the cache folder), about as large as the dump. As an
 * index it is checked against the dump's size, inode and time, and made again when it is stale.
 */
#ifndef RMR_CLI_HEAP_REPACKED_H
#define RMR_CLI_HEAP_REPACKED_H

#include "cli/heap/source.h"

/** The first bytes of the file; frames follow, and their table. */
struct rmr_repacked_header {
	char magic[8];
	uint32_t version, header_size;
	uint64_t file_size, inode, mtime_ns; /**< of the dump */
	uint64_t checksum; /**< rmr_beside_hash() of what is before */
};

/**
 * Finds the copy of the dump that @p source names.
 * @param packed_ret  NULL: there is none that fits
 * @param path_ret    where it lies; malloc()ed, must outlive *packed_ret
 * @return RMR_E_NOMEM
 */
struct rmr_error *rmr_repacked_open(const struct rmr_source *source,
	struct rmr_packed **packed_ret, char **path_ret) RMR_MUST_CHECK;

/** A copy in the making. */
struct rmr_repacked;
/** NULL if there can be none, or if the dump is so small that none is worth while. */
struct rmr_repacked *rmr_repacked_create(const struct rmr_source *source);
/** Adds text. @return false: the disk is full, or there is no memory; all that is left is destroy */
bool rmr_repacked_add(struct rmr_repacked *copy, const void *text, size_t size);
/** Gives the complete copy its name. May fail silently. */
void rmr_repacked_commit(struct rmr_repacked *copy);
/** NULL is legal. What was not committed is gone. */
void rmr_repacked_destroy(struct rmr_repacked *copy);

#endif
