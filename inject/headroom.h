// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * How much memory is left for a twin: it is a guest in the target's memory cgroup, and every page
 * that the target writes while the twin lives is there twice.
 *
 * Sources: kernel Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.current,
 * memory.stat's inactive_file, memory.oom.group), cgroup-v1/memory.rst.
 */
#ifndef RMR_INJECT_HEADROOM_H
#define RMR_INJECT_HEADROOM_H

#include "attach/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { RMR_HEADROOM_LEVELS = 16 };

/** The limits above one process. */
struct rmr_headroom {
	unsigned count;
	struct {
		char folder[512];
		bool v2;
		bool oom_group; /**< running out of memory here kills every process of the group */
	} level[RMR_HEADROOM_LEVELS];
	uint64_t rss;           /**< of the target, bytes */
};

/**
 * Finds the limits of @p pid. @p root is "" or a folder that stands for "/" (tests). No limit, or
 * none that can be read, is count 0.
 */
void rmr_headroom_find(const char *root, pid_t pid, struct rmr_headroom *ret);

/** Bytes left under the tightest limit (page cache that can be dropped counts as left);
 *  UINT64_MAX without a limit. *limit_ret, if not NULL, is that limit. */
uint64_t rmr_headroom_left(const struct rmr_headroom *headroom, uint64_t *limit_ret);

/** Bytes that must be left before a twin is made. */
uint64_t rmr_headroom_needed(const struct rmr_headroom *headroom);

/** Bytes at which a living twin is ended. */
uint64_t rmr_headroom_floor(const struct rmr_headroom *headroom);

/**
 * A thread that looks every few milliseconds and sends SIGKILL to the twin when less than the floor
 * is left; and that tells the twin, by the beat in the ring of @p ring_fd (-1: none), that remora runs.
 * NULL (and no thread) where there is no memory for the watch.
 */
struct rmr_headroom_watch;
struct rmr_headroom_watch *rmr_headroom_watch_start(const struct rmr_headroom *headroom,
	pid_t twin, int ring_fd);
/** Ends the watch; true if it has ended the twin. NULL is legal. */
bool rmr_headroom_watch_stop(struct rmr_headroom_watch *watch);

/** NULL if there is room for a twin; else RMR_E_NO_MEMORY with the figures. */
struct rmr_error *rmr_headroom_check(const struct rmr_headroom *headroom) RMR_MUST_CHECK;

#endif
