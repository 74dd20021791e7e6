// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The call chain of one thread by the files' CFI (libdw), and whether that thread is at a safe
 * point for a call of pthread_create. No file is read while a thread stands still, for the file
 * system may hang: rmr_unwind_load_usual() and rmr_unwind_warm() read what will be needed, and
 * rmr_unwind_load_missing() what was missing all the same.
 */
#ifndef RMR_ATTACH_UNWIND_H
#define RMR_ATTACH_UNWIND_H

#include "attach/arch.h"
#include "attach/target.h"

struct rmr_unwind;

/** What a walk found. */
enum rmr_unwind_verdict {
	RMR_UNWIND_SAFE,
	RMR_UNWIND_UNSAFE,  /**< in the C library, the loader, an allocator, a signal handler, ... */
	RMR_UNWIND_UNKNOWN, /**< the chain broke off: code without CFI */
};

/** The target must outlive the unwinder. @p restorer: where a signal handler returns to. */
struct rmr_error *rmr_unwind_create(struct rmr_target *target, rmr_addr_t restorer,
				    struct rmr_unwind **ret) RMR_MUST_CHECK;
void rmr_unwind_destroy(struct rmr_unwind *unwind);

/** Reads the files that most stacks lead through: the interpreter's and the C library's. */
void rmr_unwind_load_usual(struct rmr_unwind *unwind);

/**
 * Walks a blocked thread that nobody stopped, by its stack pointer and program counter alone, so
 * that all files on its stack are loaded. The answer is a guess.
 */
enum rmr_unwind_verdict rmr_unwind_warm(struct rmr_unwind *unwind, rmr_addr_t pc, rmr_addr_t sp,
					long syscall);

/**
 * Walks a stopped thread. It is safe if all of this holds:
 * - it is in no system call that changes memory, threads or credentials;
 * - no frame is in the dynamic loader, in a file that exports malloc, in a signal handler, or in
 *   code without CFI;
 * - every run of frames in the C library was entered through a function of a short list of calls
 *   that wait and that hold no lock of the C library's own; what the C library's own start code is
 *   at the outer end is allowed;
 * - the walk reached the outermost frame, or a function of the interpreter that calls Python code,
 *   or very many of its other functions: what is outside that cannot be in the midst of a library's
 *   work.
 * Where the chain breaks off (just-in-time compiled code), all words of the stack are looked at, up
 * to the first return address into such a function: none before it may be a return address into
 * the C library (but for the list), the loader, an allocator, or the signal restorer.
 * RMR_UNWIND_UNKNOWN also if a file would have had to be read: see rmr_unwind_load_missing().
 * @p reason, if not NULL, is set to a constant text if it is not safe.
 */
enum rmr_unwind_verdict rmr_unwind_check(struct rmr_unwind *unwind, const struct rmr_regs *regs,
					 const char **reason);

/**
 * Reads the file for want of which the latest check broke off, and what else was on that stack. False if
 * none was missing.
 */
bool rmr_unwind_load_missing(struct rmr_unwind *unwind);

enum { RMR_UNWIND_TRACE_MAX = 200000 }; /**< frames of one thread */

/** A chain of C frames, innermost first. Zeroed is empty; pcs is freed by the owner. */
struct rmr_unwind_trace {
	rmr_addr_t *pcs; /**< of the instruction that was at work: a return address less 1 */
	size_t count, room;
	bool whole;	 /**< up to the outermost frame */
	bool guessed;	 /**< some frame is in code without CFI: what is outside of it may be wrong */
};

/**
 * Walks a thread that was stopped and has been let go since: @p regs and @p stack, @p size bytes
 * from @p start on, a multiple of 8, are what it had then.
 */
void rmr_unwind_trace(struct rmr_unwind *unwind, const struct rmr_regs *regs, rmr_addr_t start,
		      const unsigned char *stack, size_t size, struct rmr_unwind_trace *ret);

/** Where a pc is. The texts live as long as the unwinder and the target. */
struct rmr_unwind_place {
	const char *symbol; /**< the function, or NULL */
	const char *file;   /**< the file, as the target's maps name it, or NULL: in none */
	uint64_t offset;    /**< from the symbol, or from the file's first byte */
};

void rmr_unwind_symbol(struct rmr_unwind *unwind, rmr_addr_t pc, struct rmr_unwind_place *ret);

/** True if @p pc is in a function of the interpreter that calls Python code. */
bool rmr_unwind_is_in_eval(struct rmr_unwind *unwind, rmr_addr_t pc);

#endif
