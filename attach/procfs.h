// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Files of a /proc tree. Every function takes the tree's root, "/proc" in real life and a forged
 * one in tests.
 */
#ifndef RMR_ATTACH_PROCFS_H
#define RMR_ATTACH_PROCFS_H

#include "attach/error.h"
#include "attach/types.h"

#include <sys/types.h>

/** Room for every path below a root of up to 200 bytes. */
#define RMR_PROCFS_PATH 256

/**
 * Reads a whole file, "ROOT/PID/NAME". *text_ret is NUL-terminated, freed by the caller;
 * *size_ret (may be NULL) does not count the NUL. Returns 0 or an errno; ENOMEM too.
 */
int rmr_procfs_read(const char *root, pid_t pid, const char *name, char **text_ret,
		    size_t *size_ret);

/** As above for a thread: "ROOT/PID/task/TID/NAME", into @p buffer, cut at @p size - 1 bytes. */
int rmr_procfs_read_task(const char *root, pid_t pid, pid_t tid, const char *name, char *buffer,
			 size_t size);

/** The start of any small file, as above. 0 or an errno. */
int rmr_procfs_read_small(const char *path, char *buffer, size_t size);

/** The first number in "ROOT/NAME" (such as sys/kernel/yama/ptrace_scope); -1 if there is none. */
long rmr_procfs_number(const char *root, const char *name);

/** What /proc/PID/status tells. Missing lines leave 0. */
struct rmr_status {
	char name[64];	 /**< comm, escapes as the kernel writes them */
	char state;	 /**< R S D T t Z X I */
	pid_t parent;
	pid_t tgid;
	pid_t tracer;	 /**< TracerPid, 0 = none */
	pid_t inner;	 /**< the pid in the innermost namespace (last of NSpid) */
	unsigned depth;	 /**< numbers in NSpid: 1 = remora's own namespace */
	uid_t uid[4];	 /**< real, effective, saved, file system */
	gid_t gid[4];
	unsigned threads;
	bool has_memory; /**< VmSize is there: neither kernel thread nor zombie */
	uint64_t rss;	 /**< bytes */
	uint64_t pending;	 /**< SigPnd: this thread's; bit n-1 is signal n */
	uint64_t shared_pending; /**< ShdPnd: the process's */
	uint64_t blocked;
	uint64_t ignored;
	uint64_t caught; /**< has a handler */
	uint64_t permitted; /**< CapPrm */
	uint64_t effective; /**< CapEff */
	int seccomp;	    /**< 0 none, 1 strict, 2 filter */
	uint64_t switches;  /**< how often the thread left a processor, of its own accord or not */
};

/** Pure: parses the text of a status file. Unknown and broken lines are passed over. */
void rmr_status_parse(const char *text, struct rmr_status *ret);

/** Reads "ROOT/PID/status". Returns 0 or an errno. */
int rmr_status_read(const char *root, pid_t pid, struct rmr_status *ret);

/** Reads "ROOT/PID/task/TID/status". Returns 0 or an errno. */
int rmr_status_read_task(const char *root, pid_t pid, pid_t tid, struct rmr_status *ret);

/**
 * The threads of @p pid in the kernel's order. *tids_ret is freed by the caller. Returns 0 or an
 * errno.
 */
int rmr_procfs_threads(const char *root, pid_t pid, pid_t **tids_ret, size_t *count_ret);

#endif
