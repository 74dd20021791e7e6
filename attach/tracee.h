// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * One thread under ptrace: stop, registers, system calls, detach. Tracing belongs to the calling
 * thread of remora: all of these must come from the thread that stopped the tracee, and when that
 * thread ends the kernel detaches whatever it still traces, stopped or not.
 */
#ifndef RMR_ATTACH_TRACEE_H
#define RMR_ATTACH_TRACEE_H

#include "attach/arch.h"
#include "attach/error.h"

#include <sys/types.h>

struct rmr_tracee {
	pid_t tid;
	bool stopped; /**< in a ptrace stop; false after a detach */
	int policy; /**< scheduling policy of the calling thread to go back to, or -1 */
	uint64_t since; /**< when the stop was asked for, ns of rmr_log_now() */
	uint64_t passed; /**< signals passed on by rmr_tracee_next_syscall(), bit n-1 for signal n */
};

/**
 * Seizes and stops @p tid, and waits for it at most @p timeout_us. Signals that come up meanwhile
 * are passed on. Expected errors: RMR_E_GONE (the thread ended), RMR_E_STATE (it is stopped by job
 * control; it stays so, detached), RMR_E_TIMEOUT (it sleeps uninterruptibly; it stays seized, and
 * stops later: rmr_tracee_let_go()). Refusals are diagnosed: RMR_E_PERMISSION, RMR_E_TRACED. Until the
 * detach the calling thread has real-time scheduling, where that is allowed.
 */
struct rmr_error *rmr_tracee_stop(struct rmr_tracee *tracee, pid_t pid, pid_t tid,
				  unsigned timeout_us) RMR_MUST_CHECK;

/** The same for one that may be stopped by job control: that will do, and it is so again after the
 *  detach. */
struct rmr_error *rmr_tracee_stop_any(struct rmr_tracee *tracee, pid_t pid, pid_t tid,
	unsigned timeout_us) RMR_MUST_CHECK;

/** Lets the tracee go on from its stop, if it is stopped. Every successful rmr_tracee_stop() ends so. */
void rmr_tracee_detach(struct rmr_tracee *tracee);

/**
 * For one that did not stop in time: lets it go if it has stopped by now, for nobody else would before
 * the calling thread ends. True if it is not traced any more.
 */
bool rmr_tracee_let_go(struct rmr_tracee *tracee);

struct rmr_error *rmr_tracee_get_regs(struct rmr_tracee *tracee, struct rmr_regs *ret) RMR_MUST_CHECK;
struct rmr_error *rmr_tracee_set_regs(struct rmr_tracee *tracee, const struct rmr_regs *regs)
	RMR_MUST_CHECK;

/** Floating point and vector state; *size is the room of @p buffer, then the bytes used. */
struct rmr_error *rmr_tracee_get_xstate(struct rmr_tracee *tracee, void *buffer, size_t *size)
	RMR_MUST_CHECK;
struct rmr_error *rmr_tracee_set_xstate(struct rmr_tracee *tracee, const void *buffer, size_t size)
	RMR_MUST_CHECK;

/** The signal mask, bit n-1 for signal n. */
struct rmr_error *rmr_tracee_get_mask(struct rmr_tracee *tracee, uint64_t *ret) RMR_MUST_CHECK;
struct rmr_error *rmr_tracee_set_mask(struct rmr_tracee *tracee, uint64_t mask) RMR_MUST_CHECK;

/**
 * True if @p pc is in a restartable sequence that the thread has announced: the kernel begins it anew if the
 * thread goes on there, but not if it does something else first (kernel/rseq.c, rseq_ip_fixup()).
 */
bool rmr_tracee_is_in_sequence(struct rmr_tracee *tracee, rmr_addr_t pc);

/** Where thread @p tid, a stopped tracee, has registered its struct rseq: 0 if nowhere. False if the kernel
 *  does not tell (before 5.13). */
bool rmr_tracee_find_rseq(pid_t tid, rmr_addr_t *ret);

/** Signals that wait for any thread of the tracee's process, bit n-1 for signal n. */
uint64_t rmr_tracee_shared_pending(struct rmr_tracee *tracee);

/**
 * Runs the stopped tracee to its next system call stop (entry or exit), passing signals on.
 * RMR_E_TIMEOUT: it runs on, traced (rmr_tracee_let_go(), or this once more). RMR_E_GONE: it ended.
 */
struct rmr_error *rmr_tracee_next_syscall(struct rmr_tracee *tracee, unsigned timeout_us)
	RMR_MUST_CHECK;

/** Stops a traced, running tracee again, or brings one in another kind of stop to an event stop,
 *  from where a restarted system call is restarted again. */
struct rmr_error *rmr_tracee_interrupt(struct rmr_tracee *tracee, unsigned timeout_us)
	RMR_MUST_CHECK;

/** Writes @p size bytes by ptrace alone, for kernels that restrict writes to /proc/PID/mem. */
struct rmr_error *rmr_tracee_poke(struct rmr_tracee *tracee, rmr_addr_t address, const void *bytes,
				  size_t size) RMR_MUST_CHECK;

#endif
