// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * One process, opened and checked from outside: nothing is stopped or written here. Every refusal
 * that can be known in advance comes from rmr_target_open().
 */
#ifndef RMR_ATTACH_TARGET_H
#define RMR_ATTACH_TARGET_H

#include "attach/error.h"
#include "attach/types.h"

#include <sys/types.h>

/** The interpreter behind a PID, as its own memory tells. */
struct rmr_python {
	uint32_t hex;           /**< PY_VERSION_HEX, such as 0x030b02f0 */
	char version[32];       /**< "3.11.2" */
	bool debug;             /**< Py_DEBUG build */
	bool free_threaded;     /**< Py_GIL_DISABLED build */
	bool threads_initialized; /**< false only in 3.6 before PyEval_InitThreads: there is no GIL */
	rmr_addr_t runtime;     /**< &_PyRuntime; 0 in 3.6 */
	char file[256];         /**< the file that holds the interpreter, as the target's maps name it */
};

struct rmr_target;

/** How long remora waits for a file system that the target's files are on, where it may hang. */
struct rmr_patience {
	unsigned ms;   /**< 0 = for ever */
	int cancel_fd; /**< ends a wait with RMR_E_INTERRUPTED when it becomes readable; -1 = none */
};

/**
 * Opens @p pid: pidfd, state, permission, ELF images from memory, the interpreter. Errors:
 * RMR_E_GONE, _NOT_PYTHON, _UNSUPPORTED (PyPy, Python 2, 32-bit, free-threaded), _PERMISSION,
 * _TRACED, _STATE, RMR_E_TIMEOUT (a file system that hangs), each with a one-line reason and a hint.
 * @p patience: NULL for 5 s and no cancel.
 */
struct rmr_error *rmr_target_open(pid_t pid, const struct rmr_patience *patience,
	struct rmr_target **ret) RMR_MUST_CHECK;
/**
 * The same for one whose memory will only be read: it may be stopped, frozen or traced, and its
 * interpreter may be ending.
 */
struct rmr_error *rmr_target_open_to_read(pid_t pid, const struct rmr_patience *patience,
	struct rmr_target **ret) RMR_MUST_CHECK;
void rmr_target_close(struct rmr_target *target);

pid_t rmr_target_pid(const struct rmr_target *target);
/** The pidfd; owned by the target. Readable once the process has exited. */
int rmr_target_pidfd(const struct rmr_target *target);
const struct rmr_python *rmr_target_python(const struct rmr_target *target);

/**
 * The address of the dynamic symbol @p name: the interpreter's modules for names that start with
 * Py or _Py, otherwise the C library (libc, and libpthread before glibc 2.34). 0 if there is none.
 */
rmr_addr_t rmr_target_symbol(const struct rmr_target *target, const char *name);

/** Reads exactly @p size bytes of the target's memory. RMR_E_TARGET if any is not mapped. */
struct rmr_error *rmr_target_read(const struct rmr_target *target, rmr_addr_t address, void *buffer,
	size_t size) RMR_MUST_CHECK;

/** Writes exactly @p size bytes through /proc/PID/mem, into pages of any protection. */
struct rmr_error *rmr_target_write(const struct rmr_target *target, rmr_addr_t address,
	const void *bytes, size_t size) RMR_MUST_CHECK;

/** NULL while the process lives and is the program that was opened; else RMR_E_GONE. Zombies are gone. */
struct rmr_error *rmr_target_check(const struct rmr_target *target) RMR_MUST_CHECK;

/** True if thread @p inner (a tid in the target's own PID namespace) is still there. */
bool rmr_target_has_thread(const struct rmr_target *target, pid_t inner);

#endif
