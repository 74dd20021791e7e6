// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Where a frame is, and which chains of frames are a safe point (the rule is told in unwind.h).
 * The walk itself is pure code.
 */
#ifndef RMR_ATTACH_SAFE_H
#define RMR_ATTACH_SAFE_H

#include "attach/target.h"

enum rmr_safe_place {
	RMR_PLACE_UNKNOWN,   /**< in no file */
	RMR_PLACE_PROGRAM,   /**< any other file */
	RMR_PLACE_INTERPRETER, /**< in another function of the interpreter's file */
	RMR_PLACE_EVAL,	     /**< in a function of the interpreter that calls Python code */
	RMR_PLACE_LIBC,	     /**< in the C library, in no function of the list; in the vdso */
	RMR_PLACE_ANYTIME,   /**< in a C library function that takes no lock */
	RMR_PLACE_WAIT,	     /**< in one that may hold locks, but not while it waits for a file or time */
	RMR_PLACE_LOCK,	     /**< in one that holds none of the C library's locks while it waits */
	RMR_PLACE_START,     /**< in the one that calls main() */
	RMR_PLACE_LOADER,    /**< in the dynamic loader */
	RMR_PLACE_ALLOCATOR, /**< in a file that exports malloc, not the C library */
};

/** The state of a walk from the innermost frame outwards. Begin with all zeros but the kind. */
struct rmr_safe_walk {
	bool waits;	  /**< the thread is in a system call that waits for a file, time, child */
	bool waits_futex; /**< ... for a futex */
	/* own */
	enum rmr_safe_place last; /**< the frame before, if that was in the C library; else 0 */
	bool left_libc;		  /**< some frame was outside the C library */
	unsigned interpreter;	  /**< frames in the interpreter's file */
	const char *reason;
};

enum rmr_safe_step {
	RMR_STEP_ON,   /**< nothing against it so far */
	RMR_STEP_SAFE, /**< proven, no more frames needed */
	RMR_STEP_UNSAFE,
};

/** So many frames in the interpreter's file prove as much as one RMR_PLACE_EVAL: the only functions
 *  of it that run in the midst of the C library are signal handlers, which are not that deep. */
enum { RMR_SAFE_INTERPRETER_FRAMES = 32 };

/** The next frame outwards; @p signal: it was interrupted by a signal that the next inner frame
 *  handles. */
enum rmr_safe_step rmr_safe_next(struct rmr_safe_walk *walk, enum rmr_safe_place place, bool signal);

/** After the outermost frame: RMR_STEP_SAFE or _UNSAFE. */
enum rmr_safe_step rmr_safe_end(struct rmr_safe_walk *walk);

struct rmr_safe;

/** Looks up the functions of the list. The target must outlive the result. */
struct rmr_error *rmr_safe_create(struct rmr_target *target, struct rmr_safe **ret) RMR_MUST_CHECK;
void rmr_safe_destroy(struct rmr_safe *safe);

/** Where @p pc is; for a return address pass it less 1. Reads a file's symbols at its first frame. */
enum rmr_safe_place rmr_safe_place(struct rmr_safe *safe, rmr_addr_t pc);

#endif
