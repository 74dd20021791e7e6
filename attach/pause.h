// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * One thread stopped so that it goes on as if nothing had been: what a stop does to the system call
 * that it was in is undone. To be used on a thread that rmr_tracer_run() started.
 */
#ifndef RMR_ATTACH_PAUSE_H
#define RMR_ATTACH_PAUSE_H

#include "attach/seccomp.h"
#include "attach/target_internal.h"
#include "attach/tracee.h"

struct rmr_pause {
	struct rmr_target *target;
	struct rmr_tracee tracee;
	struct rmr_regs regs; /**< as it was stopped; those of an EINTR that the stop made, too */
	enum rmr_restart restart;
	bool signalled; /**< its system call returned EINTR, and that for a signal: let it go */
	int seccomp;	/**< its mode before the stop */
};

/**
 * Stops @p tid as rmr_tracee_stop() does, and reads its registers. An EINTR that no signal caused is
 * taken back at once: whatever comes, the call is issued again. Errors as rmr_tracee_stop()'s, and
 * RMR_E_GONE if the process has become another program, or the number is by now that of a
 * thread of another process; then the thread is let go.
 */
struct rmr_error *rmr_pause_begin(struct rmr_pause *pause, struct rmr_target *target, pid_t tid,
	unsigned timeout_us) RMR_MUST_CHECK;

/** As rmr_pause_begin(), and it may be stopped by job control: it is so again at the end. */
struct rmr_error *rmr_pause_begin_any(struct rmr_pause *pause, struct rmr_target *target, pid_t tid,
	unsigned timeout_us) RMR_MUST_CHECK;

/**
 * What its filters bar (rmr_seccomp_check()); needed before the end if it is RMR_RESTART_BLOCK. Where
 * they kill for restart_syscall, or may do so, the call is made one that is issued anew, refused or
 * not.
 */
struct rmr_error *rmr_pause_check_seccomp(struct rmr_pause *pause, bool old_libc,
	struct rmr_seccomp_limits *ret) RMR_MUST_CHECK;

/** True if no signal waits that could have been the cause of an EINTR. */
bool rmr_pause_is_spurious(const struct rmr_pause *pause);

/** Lets it go on. */
void rmr_pause_end(struct rmr_pause *pause);

#endif
