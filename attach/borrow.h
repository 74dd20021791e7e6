// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Makes one thread of the target run a few instructions of ours, in a new region of memory, and go
 * on as if nothing had been. In every state that the protocol passes through, the thread would go
 * on by itself if remora died in it:
 *
 *   stopped         nothing is changed yet
 *   frame written   below the red zone of its stack: a signal frame with all that it was
 *   at restorer     its registers make it restore that frame, should it run
 *   all blocked     every signal; the frame holds the true mask
 *   mmap            its stack returns to the restorer (here, and only here, a death leaves a
 *                   mapping behind, until the next step)
 *   at munmap       its registers make it unmap the region, and then restore the frame
 *   33 open         the C library's own signal, which a thread must answer for setuid() to end
 *   at the stub     the code is complete: it runs it, and then restores the frame
 *
 * A thread that was running, or between system calls, is let go here. One in an interrupted system
 * call is followed until it restores the frame and then put back to the very stop that it was
 * taken from, because only there can the kernel go on with the call in the way that signals, which
 * may have come meanwhile, and the time that has passed ask for.
 */
#ifndef RMR_ATTACH_BORROW_H
#define RMR_ATTACH_BORROW_H

#include "attach/maps.h"
#include "attach/seccomp.h"
#include "attach/target_internal.h"
#include "attach/tracee.h"
#include "attach/unwind.h"

/** What the borrowed thread runs. */
struct rmr_borrow_job {
	const void *image;   /**< the region's first bytes; may be NULL */
	size_t image_size;
	size_t region_size;  /**< a multiple of the page size */
	size_t stub_offset;  /**< where the stub goes, after the image is written */
	size_t entry_offset; /**< for pthread_create */
	bool init_threads;   /**< the stub of rmr_spawn_init_threads(), not that of rmr_spawn() */
};

/** The addresses that the protocol needs, found before anything is stopped. */
struct rmr_borrow_code {
	rmr_addr_t syscall;  /**< a system call instruction and a return */
	rmr_addr_t restorer; /**< issues sigreturn */
	rmr_addr_t pthread_create;
	rmr_addr_t munmap;
	rmr_addr_t ensure; /**< PyGILState_Ensure and so on, for init_threads */
	rmr_addr_t init;
	rmr_addr_t release;
};

struct rmr_borrow_result {
	rmr_addr_t region;
	rmr_addr_t frame;
	uint64_t stop_ns;
	struct rmr_seccomp_limits limits; /* what the thread's seccomp filters bar */
};

/** RMR_E_UNSUPPORTED if the C library lacks something. */
struct rmr_error *rmr_borrow_find_code(const struct rmr_target *target, struct rmr_borrow_code *ret)
	RMR_MUST_CHECK;

/**
 * Stops thread @p tid, and runs @p job on it if it is at a safe point. Call it on a thread of its
 * own, with signals blocked. RMR_E_UNSAFE (with the reason), _GONE, _STATE, _TIMEOUT: another
 * thread or a later try may do; the thread runs on as before. *ret is set on success;
 * ret->stop_ns always.
 */
struct rmr_error *rmr_borrow_run(struct rmr_target *target, const struct rmr_borrow_code *code,
				 const struct rmr_maps *maps, struct rmr_unwind *unwind, pid_t tid,
				 const struct rmr_borrow_job *job, struct rmr_borrow_result *ret)
	RMR_MUST_CHECK;

#endif
