// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/headroom.h"

#include "attach/log.h"
#include "attach/procfs.h"
#include "inject/cgroup.h"
#include "payloads/ring.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MB (UINT64_C(1) << 20)
// How often a living twin's group is looked at. Copying pages on write goes at about 1 GB/s, so
// this is 5 MB, well below the floor.
#define WATCH_NS 5000000

static bool read_text(const char *folder, const char *name, char *text, size_t size)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return rmr_procfs_read_small(path, text, size) == 0;
}

/** False for "max", for v1's huge number that means none, and where it cannot be read. */
static bool read_number(const char *folder, const char *name, uint64_t *ret)
{
	char text[64];

	if (!read_text(folder, name, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return false;
	*ret = strtoull(text, NULL, 10);
	return *ret < (UINT64_C(1) << 60);
}

static bool add_level(void *arg, const char *folder, bool v2)
{
	struct rmr_headroom *headroom = arg;
	uint64_t limit, group = 0;

	if (headroom->count == RMR_HEADROOM_LEVELS)
		return false;
	if (!read_number(folder, v2 ? "memory.max" : "memory.limit_in_bytes", &limit))
		return true;
	read_number(folder, "memory.oom.group", &group);
	__typeof__(headroom->level[0]) *level = &headroom->level[headroom->count++];
	snprintf(level->folder, sizeof(level->folder), "%s", folder);
	level->v2 = v2;
	level->oom_group = group != 0;
	return true;
}

void rmr_headroom_find(const char *root, pid_t pid, struct rmr_headroom *ret)
{
	char folder[512], text[256];
	unsigned long long pages = 0;

	*ret = (struct rmr_headroom){0};
	snprintf(folder, sizeof(folder), "%s/proc/%d", root, (int)pid);
	if (read_text(folder, "statm", text, sizeof(text)) &&
		sscanf(text, "%*u %llu", &pages) == 1)
		ret->rss = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	rmr_cgroup_each(root, pid, "memory", add_level, ret);
}

/** Page cache that the kernel drops before it kills anything. */
static uint64_t droppable(const char *folder, bool v2)
{
	char text[8192];
	const char *key = v2 ? "\ninactive_file " : "\ntotal_inactive_file ";

	if (!read_text(folder, "memory.stat", text, sizeof(text)))
		return 0;
	const char *found = strstr(text, key);
	return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

uint64_t rmr_headroom_left(const struct rmr_headroom *headroom, uint64_t *limit_ret)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < headroom->count; i++) {
		const char *folder = headroom->level[i].folder;
		bool v2 = headroom->level[i].v2;
		uint64_t limit, used;
		if (!read_number(folder, v2 ? "memory.max" : "memory.limit_in_bytes", &limit) ||
			!read_number(folder, v2 ? "memory.current" : "memory.usage_in_bytes", &used))
			continue;
		uint64_t cache = droppable(folder, v2);
		used -= cache < used ? cache : used;
		uint64_t left = used < limit ? limit - used : 0;
		if (left < least) {
			least = left;
			if (limit_ret)
				*limit_ret = limit;
		}
	}
	return least;
}

static bool kills_all(const struct rmr_headroom *headroom)
{
	for (unsigned i = 0; i < headroom->count; i++) {
		if (headroom->level[i].oom_group)
			return true;
	}
	return false;
}

// Ours: the walker and the ring take up to 70 MB at the largest heaps, page tables 0.2 % of the
// resident memory; the rest is for what the target writes until the watch ends the twin.
uint64_t rmr_headroom_needed(const struct rmr_headroom *headroom)
{
	uint64_t need = 32 * MB + headroom->rss / 20;

	return kills_all(headroom) ? 2 * need : need;
}

uint64_t rmr_headroom_floor(const struct rmr_headroom *headroom)
{
	return rmr_headroom_needed(headroom) / 2;
}

struct rmr_error *rmr_headroom_check(const struct rmr_headroom *headroom)
{
	uint64_t limit = 0, left = rmr_headroom_left(headroom, &limit);
	uint64_t need = rmr_headroom_needed(headroom);

	if (left >= need)
		return NULL;
	return rmr_error_hint(
		rmr_error_create(RMR_E_NO_MEMORY, 0,
			"too little memory for a twin: %" PRIu64 " MB are left of the cgroup's %" PRIu64
			" MB, %" PRIu64 " MB are needed%s",
			left / MB, limit / MB, need / MB,
			kills_all(headroom) ? " (running out would kill the whole group)" : ""),
		"--in-place needs no twin, but stops the process for the whole dump");
}

struct rmr_headroom_watch {
	struct rmr_headroom headroom;
	pthread_t thread;
	struct rmr_ring_shared *ring; /**< NULL: none */
	int pidfd;
	atomic_bool stop, ended;
};

static void beat(struct rmr_headroom_watch *watch)
{
	if (watch->ring)
		__atomic_add_fetch(&watch->ring->beat, 1, __ATOMIC_RELAXED);
}

static void *watch_main(void *arg)
{
	struct rmr_headroom_watch *watch = arg;
	uint64_t floor = rmr_headroom_floor(&watch->headroom);
	struct timespec pause = {.tv_nsec = WATCH_NS};

	while (!atomic_load(&watch->stop)) {
		beat(watch);
		uint64_t left = rmr_headroom_left(&watch->headroom, NULL);
		if (left < floor) {
			rmr_log("ending the twin: %" PRIu64 " MB left in its cgroup", left / MB);
			atomic_store(&watch->ended, true);
			syscall(SYS_pidfd_send_signal, watch->pidfd, SIGKILL, NULL, 0);
			break;
		}
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void free_watch(struct rmr_headroom_watch *watch)
{
	if (watch->ring)
		munmap(watch->ring, RMR_RING_HEAD_SIZE);
	if (watch->pidfd >= 0)
		close(watch->pidfd);
	free(watch);
}

struct rmr_headroom_watch *rmr_headroom_watch_start(const struct rmr_headroom *headroom,
	pid_t twin, int ring_fd)
{
	struct rmr_headroom_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->headroom = *headroom;
	watch->pidfd = (int)syscall(SYS_pidfd_open, twin, 0);
	void *ring = mmap(NULL, RMR_RING_HEAD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
	watch->ring = ring == MAP_FAILED ? NULL : ring;
	// Once before the twin is told to begin: remora may be stopped before the thread runs.
	beat(watch);
	if (watch->pidfd >= 0 && pthread_create(&watch->thread, NULL, watch_main, watch) == 0)
		return watch;
	free_watch(watch);
	return NULL;
}

bool rmr_headroom_watch_stop(struct rmr_headroom_watch *watch)
{
	if (!watch)
		return false;
	atomic_store(&watch->stop, true);
	pthread_join(watch->thread, NULL);
	bool ended = atomic_load(&watch->ended);
	free_watch(watch);
	return ended;
}
