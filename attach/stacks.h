// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The stacks of all threads, read from outside: no code runs in the target, and no GIL is needed.
 *
 * A thread that waits is not stopped. That it did not run while its frames were read is proved: it
 * was off the processor before and after, in the same system call at the same place, and the number
 * of times that it left a processor is the same. A thread that runs, or that is to show its C frames
 * (only ptrace gives all registers), is stopped while its frames and the used part of its stack are
 * copied, a fraction of a millisecond; unwinding comes after that. One that cannot be stopped, because
 * somebody else traces it, is read until two readings agree.
 */
#ifndef RMR_ATTACH_STACKS_H
#define RMR_ATTACH_STACKS_H

#include "attach/target.h"

struct rmr_stacks_request {
	bool native;	  /**< the C frames, too: RMR_E_TRACED if there is another tracer */
	pid_t tid;	  /**< only this thread, if not 0 */
	const char *name; /**< only those that Python or the kernel calls so, if not NULL */
};

/** What a thread was doing. */
enum rmr_stack_wait {
	RMR_STACK_RUNS,	   /**< or is ready to */
	RMR_STACK_CALL,	   /**< waits in a system call */
	RMR_STACK_GIL,	   /**< waits for the GIL */
	RMR_STACK_SLEEPS,  /**< waits outside of any call: for a page of memory */
	RMR_STACK_STOPPED, /**< by a signal or a debugger */
};

enum rmr_stack_end {
	RMR_STACK_WHOLE,
	RMR_STACK_CUT,	   /**< deeper than is read */
	RMR_STACK_CHANGED, /**< it changed whenever it was read: what is there may be wrong */
};

struct rmr_stack_frame {
	const char *function; /**< co_name */
	const char *qualname; /**< co_qualname; NULL before 3.11 */
	const char *file;     /**< co_filename */
	int32_t line;	      /**< -1: the instruction has none */
};

/** A C frame. */
struct rmr_stack_native {
	rmr_addr_t pc;	    /**< of the instruction at work; outside of the innermost, less 1 */
	const char *symbol; /**< or NULL */
	uint64_t offset;    /**< from the symbol, or from the file's first byte */
	const char *file;   /**< as the target's maps name it, or NULL */
	bool evaluates;	    /**< it is the interpreter's loop, which runs Python frames */
	size_t first, count; /**< which: of the stack's frames, if the stack is merged */
};

/** One thread, in one interpreter. */
struct rmr_stack {
	pid_t tid;		/**< in remora's PID namespace; 0: a thread state without a thread */
	uint64_t ident;		/**< threading.get_ident(); 0: Python does not know the thread */
	int64_t interpreter;	/**< 0: the main one; -1: Python does not know the thread, or 3.6 */
	char *name;		/**< what threading calls it, or NULL */
	char comm[64];		/**< what the kernel calls it */
	char state;		/**< R S D T t ... */
	enum rmr_stack_wait wait;
	long call;		/**< the system call's number, or -1 */
	bool holds_gil;
	enum rmr_stack_end end;
	struct rmr_stack_frame *frames; /**< innermost first */
	size_t count;
	bool has_natives;	/**< it was stopped for them; those of a thread are with its first stack */
	bool natives_whole;	/**< up to the outermost */
	bool natives_guessed;	/**< some by the frame pointer only */
	bool merged;		/**< each C frame that evaluates has its Python frames */
	struct rmr_stack_native *natives;
	size_t native_count;
};

struct rmr_stacks {
	struct rmr_stack *stacks; /**< in the kernel's order of threads */
	size_t count;
	size_t threads;		/**< of the process */
	bool up;		/**< some thread state was found: an interpreter is up */
	bool all_known;		/**< false: the list of thread states changed whenever it was read */
	unsigned stops;		/**< threads that were stopped */
	uint64_t stop_ns;	/**< the longest */
};

/**
 * Reads the stacks of @p target, which must outlive them. Errors: RMR_E_QUERY (no such thread),
 * RMR_E_GONE, _TARGET, _UNSUPPORTED, _TRACED, _INTERRUPTED.
 */
struct rmr_error *rmr_stacks_read(struct rmr_target *target,
	const struct rmr_stacks_request *request, struct rmr_stacks **ret) RMR_MUST_CHECK;
void rmr_stacks_destroy(struct rmr_stacks *stacks);

#endif
