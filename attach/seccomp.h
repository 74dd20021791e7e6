// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Foretells what a thread's seccomp filters say to the system calls that remora makes the target
 * do: a filter may kill the program for a call that it never makes by itself. The thread's filters
 * are read while it is stopped, and run here.
 *
 * Kernel facts (kernel/seccomp.c, 5.6 to 6.18): a filter is classic BPF of at most 4096
 * instructions over struct seccomp_data; all of a thread's filters run, and the action with the
 * least value, as a signed number, wins; among equals that of the newest filter. New threads and
 * children have the filters of their maker.
 */
#ifndef RMR_ATTACH_SECCOMP_H
#define RMR_ATTACH_SECCOMP_H

#include "attach/error.h"
#include "attach/types.h"

#include <linux/filter.h>
#include <sys/types.h>

enum {
	RMR_SECCOMP_CALLS = 96, /**< room for the calls that remora makes the target do */

	/**
	 * No kernel's action: the filter asks for what is not known in advance, or is not valid.
	 * Less than all but those that kill.
	 */
	RMR_SECCOMP_UNKNOWN = 0x00020000,
};

/** As an argument of a call: its value is not known in advance. */
#define RMR_SECCOMP_ANY UINT64_C(0xa4ea4ea4ea4ea4ea)
/** As an argument of a call: the target's pid in its own namespace. */
#define RMR_SECCOMP_SELF UINT64_C(0x5e1f5e1f5e1f5e1f)

struct rmr_seccomp_call {
	uint32_t number; /**< of x86_64 */
	uint64_t args[6];
};

/** Runs one filter. Returns its SECCOMP_RET_* with the data, or RMR_SECCOMP_UNKNOWN. */
uint32_t rmr_seccomp_run(const struct sock_filter *code, size_t count,
			 const struct rmr_seccomp_call *call);

/** What all filters seen so far say to each of remora's calls. */
struct rmr_seccomp {
	uint32_t self; /**< the target's pid in its own namespace */
	bool old_libc; /**< the C library does not call clone3 (glibc before 2.34) */
	bool no_rseq;  /**< it does not call rseq, which must not fail once it has not failed */
	uint32_t verdicts[RMR_SECCOMP_CALLS];
};

/** No filters yet; a new C library that calls rseq. */
void rmr_seccomp_init(struct rmr_seccomp *seccomp, pid_t self);

/** One filter more; the oldest come first. */
void rmr_seccomp_add(struct rmr_seccomp *seccomp, const struct sock_filter *code, size_t count);

/** The first of remora's calls that the filters do not let pass. */
struct rmr_seccomp_refusal {
	const char *name; /**< of the call */
	const char *need; /**< what remora needs it for */
	uint32_t verdict;
};

enum rmr_seccomp_purpose {
	RMR_SECCOMP_ATTACH, /**< and to run payloads */
	RMR_SECCOMP_DUMP,   /**< that, and to dump in place */
	RMR_SECCOMP_TWIN,   /**< that, and to dump by a twin */
};

/** True if restart_syscall passes, which the kernel makes by itself. */
bool rmr_seccomp_restarts(const struct rmr_seccomp *seccomp);

/** True, with *ret set, if some call that is needed for @p purpose would not pass. */
bool rmr_seccomp_refuses(const struct rmr_seccomp *seccomp, enum rmr_seccomp_purpose purpose,
			 struct rmr_seccomp_refusal *ret);

/** The error that tells it: RMR_E_UNSUPPORTED. */
struct rmr_error *rmr_seccomp_refuse(pid_t pid, const struct rmr_seccomp_refusal *refusal)
	RMR_MUST_CHECK;

/** What the filters bar besides; a name is NULL where they bar nothing. */
struct rmr_seccomp_limits {
	bool no_restart; /**< restart_syscall, by which the kernel goes on with some calls after a stop */
	struct rmr_seccomp_refusal dump; /**< a dump in place */
	struct rmr_seccomp_refusal twin;
};

/**
 * True if the thread has the very filters that remora itself runs under: those of the container
 * that both are in. That is so if its process 1, a forebear of both, has as many, and the mount
 * namespace is the same. @p root: of /proc.
 */
bool rmr_seccomp_is_shared(const char *root, pid_t pid, pid_t tid);

/** The thread's mode, as its status tells: 0 none, 1 strict, 2 filter. Read it before the stop. */
int rmr_seccomp_mode(pid_t pid, pid_t tid);

/**
 * Checks the stopped thread @p tid, whose mode was @p mode before the stop; to be called by its
 * tracer before anything is changed in it. @p self, @p old_libc: see struct rmr_seccomp.
 * RMR_E_UNSUPPORTED, naming the call, if a filter does not let it pass; RMR_E_PERMISSION if the
 * filters cannot be read. *ret is always set.
 */
struct rmr_error *rmr_seccomp_check(pid_t pid, pid_t tid, int mode, pid_t self, bool old_libc,
				    struct rmr_seccomp_limits *ret) RMR_MUST_CHECK;

/**
 * True if the thread waits for a supervisor's answer (SECCOMP_RET_USER_NOTIF). To stop it would be to ask
 * a second time: the supervisor might do twice what it does for it.
 */
bool rmr_seccomp_is_asking(pid_t pid, pid_t tid);

#endif
