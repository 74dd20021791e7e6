// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The error of every fallible function of remora's own side.
 *
 * A fallible function returns `struct rmr_error *`: NULL is success, anything else is owned by the
 * caller, who passes it up, or ends it with rmr_error_destroy(). Out parameters are untouched on
 * failure. Errors are printed once, in cli/.
 */
#ifndef RMR_ATTACH_ERROR_H
#define RMR_ATTACH_ERROR_H

#include <stdbool.h>

/** What kind of failure it is. The kind decides the exit status: rmr_error_exit_status(). */
enum rmr_code {
	RMR_E_NOMEM,       /**< remora itself is out of memory */
	RMR_E_OS,          /**< a system call failed on remora's side */
	RMR_E_INTERRUPTED, /**< the person pressed Ctrl-C, or remora got SIGTERM */
	RMR_E_USAGE,       /**< wrong arguments */
	RMR_E_INPUT,       /**< a dump or another input file is unusable */
	RMR_E_QUERY,       /**< a query is well-formed but has no answer (no such object) */
	RMR_E_PAYLOAD,     /**< the payload failed: exception, non-zero status */
	RMR_E_GONE,        /**< no such process, or it exited before it was touched */
	RMR_E_NOT_PYTHON,  /**< the process is no CPython that is up and running */
	RMR_E_UNSUPPORTED, /**< a Python, kernel or build that remora cannot do */
	RMR_E_PERMISSION,  /**< the kernel refuses; the message says which rule */
	RMR_E_TRACED,      /**< another tracer holds it, or another remora */
	RMR_E_STATE,       /**< stopped, zombie, frozen */
	RMR_E_UNSAFE,      /**< no safe point was found in time */
	RMR_E_NO_MEMORY,   /**< not enough memory (cgroup, overcommit) for a twin */
	RMR_E_TIMEOUT,     /**< no answer in time */
	RMR_E_TARGET,      /**< the target died or misbehaved midway */
	RMR_E_WRITE,       /**< the disk, pipe or file failed midway */
	RMR_E_PROTOCOL,    /**< the agent's bytes make no sense */
};

struct rmr_error {
	enum rmr_code code;
	int errnum;    /**< errno of the failed call, or 0 */
	char *message; /**< one line: what failed, and why */
	char *hint;    /**< what to do, or NULL */
};

/** The error that needs no memory. rmr_error_destroy() leaves it alone. */
extern struct rmr_error rmr_enomem;

#define RMR_MUST_CHECK __attribute__((warn_unused_result))
#define RMR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/** A new error. With @p errnum != 0, ": strerror" is appended to the message. */
struct rmr_error *rmr_error_create(enum rmr_code code, int errnum, const char *format, ...)
	RMR_PRINTF(3, 4) RMR_MUST_CHECK;

/** Puts "context: " before @p err's message; returns @p err (NULL stays NULL). */
struct rmr_error *rmr_error_context(struct rmr_error *err, const char *format, ...)
	RMR_PRINTF(2, 3) RMR_MUST_CHECK;

/** Sets the hint, replacing an older one; returns @p err (NULL stays NULL). */
struct rmr_error *rmr_error_hint(struct rmr_error *err, const char *format, ...)
	RMR_PRINTF(2, 3) RMR_MUST_CHECK;

void rmr_error_destroy(struct rmr_error *err);

/**
 * True if @p *err is an error of kind @p code; then it is destroyed and @p *err set to NULL. The
 * way to handle an expected failure.
 */
bool rmr_error_catch(struct rmr_error **err, enum rmr_code code);

/** remora's exit status for this kind, as documented in README and `remora --help`: 1 to 5. */
int rmr_error_exit_status(const struct rmr_error *err);

#endif
