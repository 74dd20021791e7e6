// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * One attach as an object: agent in, jobs, agent out.
 *
 * Every wait has a deadline (struct rmr_timeouts) and looks at the cancel descriptor. A session is
 * used by one thread. After an error with code RMR_E_TARGET, RMR_E_GONE, RMR_E_PROTOCOL or
 * RMR_E_TIMEOUT nothing but rmr_session_close() may be called.
 */
#ifndef RMR_INJECT_SESSION_H
#define RMR_INJECT_SESSION_H

#include "attach/target.h"
#include "payloads/heap_dump/heap_dump.h"

struct rmr_session;
struct rmr_ring;

/** How long remora waits, in milliseconds; 0 = for ever. rmr_timeouts_default() fills it. */
struct rmr_timeouts {
	unsigned attach_ms; /**< until the agent's thread answers; 5000 */
	unsigned gil_ms;    /**< until a job has the GIL; 5000 */
	unsigned silent_ms; /**< for a monitor that does not answer; 5000 */
	unsigned job_ms;    /**< for a job that runs; 0 */
};

/** The defaults, or @p seconds for all four where it is not negative (0 = for ever). */
void rmr_timeouts_default(struct rmr_timeouts *timeouts, double seconds);

struct rmr_session_options {
	struct rmr_timeouts timeouts;
	/**
	 * Becomes readable when the person presses Ctrl-C, or -1. It is not read here: one who makes
	 * it readable and leaves it so ends the running call with RMR_E_INTERRUPTED. A running job is
	 * first interrupted (KeyboardInterrupt) and given interrupt_ms to end.
	 */
	int cancel_fd;
	unsigned interrupt_ms;
};

/** What was inflicted on the target, for the summary line. */
struct rmr_session_cost {
	uint64_t stop_ns;     /**< longest ptrace stop of a thread */
	uint64_t gil_wait_ns; /**< longest wait for the GIL */
	uint64_t gil_hold_ns; /**< longest time that a heap dump held the GIL */
	unsigned tries;       /**< stops made until one was at a safe point */
};

/**
 * Attaches: opens and checks the target, starts the agent. Errors as rmr_target_open() and
 * rmr_spawn(), and RMR_E_TIMEOUT.
 */
struct rmr_error *rmr_session_open(pid_t pid, const struct rmr_session_options *options,
	struct rmr_session **ret) RMR_MUST_CHECK;

/**
 * Says goodbye and waits until the agent's thread has left the target. NULL is legal. The session
 * is gone afterwards, whatever is returned: RMR_E_TIMEOUT if the agent cannot leave yet (it waits
 * for the GIL); it then leaves by itself as soon as it can.
 */
struct rmr_error *rmr_session_close(struct rmr_session *session) RMR_MUST_CHECK;

const struct rmr_target *rmr_session_target(const struct rmr_session *session);
void rmr_session_cost(const struct rmr_session *session, struct rmr_session_cost *ret);

/** What to run. */
struct rmr_run {
	enum {
		RMR_RUN_PYTHON,
		RMR_RUN_LIBRARY, /**< a shared object with remora_payload.h's function */
	} kind;
	const char *name;       /**< file name for tracebacks and argv[0] */
	const void *bytes;      /**< Python source (any encoding that it declares), or the object */
	size_t size;
	const char *const *arguments; /**< argv[1...] */
	unsigned argument_count;      /**< at most 256 */
	unsigned interpreter;   /**< id of the sub-interpreter to run in; 0 = the main one */
	bool keep_names;        /**< Python: run in the session's namespace, show an expression's value */
	/** Output as it comes; stream is 1 or 2. An error ends the session. */
	struct rmr_error *(*output)(void *arg, int stream, const void *bytes, size_t size);
	void *output_arg;
};

/**
 * Runs a payload to its end. *status_ret is the payload's own status: 0, SystemExit's code or the
 * library's return value, 1 after an exception (whose traceback went to stream 2). Errors:
 * RMR_E_INTERRUPTED, RMR_E_TIMEOUT, RMR_E_PAYLOAD (a library that cannot be loaded), ...
 */
struct rmr_error *rmr_session_run(struct rmr_session *session, const struct rmr_run *run,
	int *status_ret) RMR_MUST_CHECK;

struct rmr_session_dump {
	enum rmr_values values;
	bool meliae;   /**< rmr_heap_dump_request.meliae */
	bool in_place; /**< no twin: the target stands still for the whole dump */
};

/**
 * Starts a heap dump. The records come through @p ring, which the caller creates
 * (rmr_ring_create()), passes with its descriptor, and reads to its end.
 * @param peer_fd_ret  hangs up (POLLHUP) when the twin, or in place the agent, is gone; the session's
 */
struct rmr_error *rmr_session_dump_start(struct rmr_session *session,
	const struct rmr_session_dump *dump, int ring_fd, int *peer_fd_ret) RMR_MUST_CHECK;

/** After the ring was read, or given up and closed: waits for the job's end, says how it ended. */
struct rmr_error *rmr_session_dump_finish(struct rmr_session *session) RMR_MUST_CHECK;

#endif
