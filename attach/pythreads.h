// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The interpreters of a process and their thread states, read from outside: which thread of the
 * kernel each belongs to, what Python calls it, and where the GIL is.
 */
#ifndef RMR_ATTACH_PYTHREADS_H
#define RMR_ATTACH_PYTHREADS_H

#include "attach/objects.h"

#include <sys/types.h>

enum {
	RMR_PYTHREADS_MAX = 100000,
	RMR_PYTHREADS_INTERPRETERS = 10000,
};

struct rmr_pythread {
	rmr_addr_t state;	/**< its PyThreadState */
	rmr_addr_t interpreter;
	int64_t interpreter_id;	/**< 0 is the main one */
	uint64_t ident;		/**< what threading.get_ident() says; 0 if it has not run yet */
	pid_t inner;		/**< its tid in the target's PID namespace; 0 if it is not known */
	char *name;		/**< threading.Thread.name, or NULL */
};

struct rmr_pythreads {
	struct rmr_pythread *threads;
	size_t count;
	bool whole; /**< false: the list changed whenever it was read, and threads may be missing */
};

/**
 * Checks that the interpreter keeps threads and frames where they are looked for, as far as it says
 * so itself (_Py_DebugOffsets, 3.13 and later). RMR_E_UNSUPPORTED.
 */
struct rmr_error *rmr_pythreads_check(const struct rmr_objects *objects,
	const struct rmr_target *target) RMR_MUST_CHECK;

/**
 * Lists the thread states of all interpreters. @p tids, @p count: the process's threads, by their
 * numbers in its own PID namespace. None are listed if no interpreter is up (yet, or any more).
 */
struct rmr_error *rmr_pythreads_read(const struct rmr_objects *objects,
	const struct rmr_target *target, const pid_t *tids, size_t count,
	struct rmr_pythreads *ret) RMR_MUST_CHECK;
void rmr_pythreads_deinit(struct rmr_pythreads *threads);

/** True if the GIL is held, at this moment, by @p thread. */
bool rmr_pythreads_holds_gil(const struct rmr_objects *objects, const struct rmr_target *target,
	const struct rmr_pythread *thread);

/** True if @p futex, an address that a thread waits at, is one of @p thread's GIL. Not known in
 *  3.6. */
bool rmr_pythreads_is_gil_futex(const struct rmr_objects *objects, const struct rmr_target *target,
	const struct rmr_pythread *thread, rmr_addr_t futex);

#endif
