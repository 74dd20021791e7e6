// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The text of /proc/PID/maps as an array. Pure code; the text is untrusted. */
#ifndef RMR_ATTACH_MAPS_H
#define RMR_ATTACH_MAPS_H

#include "attach/error.h"
#include "attach/types.h"

enum {
	RMR_MAP_READ = 1,
	RMR_MAP_WRITE = 2,
	RMR_MAP_EXEC = 4,
	RMR_MAP_SHARED = 8,
};

/** One mapping, [start, end). */
struct rmr_map {
	rmr_addr_t start;
	rmr_addr_t end;
	uint64_t offset;  /**< into the file, bytes */
	uint64_t inode;	  /**< 0 = no file */
	uint32_t major;
	uint32_t minor;
	unsigned flags;	  /**< RMR_MAP_... */
	bool deleted;	  /**< the file has no name any more */
	const char *path; /**< "" if none; " (deleted)" cut off, "\\012" left as it is */
};

struct rmr_maps {
	struct rmr_map *maps; /**< by address, not overlapping */
	size_t count;
	char *text; /**< holds the paths */
};

/**
 * Parses @p size bytes of @p text. An empty text gives count 0. A line that is no mapping, an empty
 * range, or one below the line before is RMR_E_OS, with its line number; of one that overlaps the line
 * before (the target maps while the file is read) the rest is taken. The result is independent of
 * @p text.
 */
struct rmr_error *rmr_maps_init(struct rmr_maps *maps, const char *text, size_t size) RMR_MUST_CHECK;
void rmr_maps_deinit(struct rmr_maps *maps);

/** The mapping that holds @p address, or NULL. */
const struct rmr_map *rmr_maps_find(const struct rmr_maps *maps, rmr_addr_t address);

/** The last part of @p map's path. */
const char *rmr_maps_basename(const struct rmr_map *map);

#endif
