// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Starts one ordinary thread in the target, without harm: one thread is stopped at a proven safe
 * point, maps a small region, calls pthread_create by a tail jump, and goes on by a real sigreturn
 * (attach/borrow.h has the steps). If remora dies at any instant the target goes on.
 *
 * The new thread is born with every signal blocked but the C library's own 33 (and 32), which it
 * must leave so: a setuid() anywhere in the target waits for its answer. Its own raw system calls
 * may therefore return EINTR.
 */
#ifndef RMR_ATTACH_SPAWN_H
#define RMR_ATTACH_SPAWN_H

#include "attach/seccomp.h"
#include "attach/target.h"

/** What to put into the region, and where the new thread starts. */
struct rmr_spawn_request {
	const void *image;   /**< position-independent code and constants, copied to the region's start */
	size_t image_size;   /**< bytes */
	size_t region_size;  /**< bytes, a multiple of 4096, more than image_size; mapped R-X, private */
	size_t stub_offset;  /**< where, in the region, the spawner may put its own stub (64 bytes free) */
	size_t entry_offset; /**< the thread starts as `void *entry(void *region)` */
	unsigned timeout_ms; /**< how long to look for a safe point; 0 = 5000 */
};

struct rmr_spawn_result {
	rmr_addr_t region;   /**< the region's address; the new thread owns it and must unmap it */
	rmr_addr_t frame;    /**< the borrowed thread's saved state, for rmr_spawn_rescue() */
	pid_t victim;        /**< the thread that was borrowed (tid in remora's namespace) */
	uint64_t stop_ns;    /**< longest time that any thread was held: from before the stop was asked
				for until it ran its own code again, or was let go into pthread_create */
	unsigned tries;      /**< stops made until one was at a safe point */
	struct rmr_seccomp_limits limits; /**< what the new thread's seccomp filters bar */
};

/**
 * Makes the target run `pthread_create(..., entry, region)`. When this returns success the victim
 * runs its own code again (or is about to leave pthread_create); the new thread may not have
 * started yet. Errors: RMR_E_UNSAFE (no safe point in time; the message says what was in the way),
 * _GONE, _TARGET, _PERMISSION, _STATE, _TRACED (another tracer, or another remora).
 * Ctrl-C (SIGINT, SIGTERM) is held off while a thread is stopped, and then ends the search with
 * RMR_E_INTERRUPTED (or remora, if it has no handler). The first call takes the lock
 * against other remoras, until rmr_target_close().
 */
struct rmr_error *rmr_spawn(struct rmr_target *target, const struct rmr_spawn_request *request,
	struct rmr_spawn_result *ret) RMR_MUST_CHECK;

/**
 * For a thread that did not start within 0.5 s: if the victim waits inside our pthread_create for
 * a lock, it is brought back to the program, and the region stays behind. *rescued says if it was.
 */
struct rmr_error *rmr_spawn_rescue(struct rmr_target *target, const struct rmr_spawn_result *spawned,
	bool *rescued) RMR_MUST_CHECK;

/**
 * CPython 3.6 before PyEval_InitThreads has no GIL: makes the main thread, at a safe point, call
 * PyGILState_Ensure, PyEval_InitThreads, PyGILState_Release. A no-op for every other target.
 */
struct rmr_error *rmr_spawn_init_threads(struct rmr_target *target, unsigned timeout_ms) RMR_MUST_CHECK;

#endif
