// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Attaching from a command: options of the context, and the line that tells the cost. */
#ifndef RMR_CLI_COMMANDS_SESSION_H
#define RMR_CLI_COMMANDS_SESSION_H

#include "inject/session.h"

#include <stdbool.h>
#include <stdio.h>

struct rmr_context;

/** As --timeout and `set timeout` say. */
struct rmr_timeouts rmr_command_timeouts(const struct rmr_context *context);

/**
 * Attaches to @p pid with the context's timeouts, or takes the session that a shell keeps with it.
 * rmr_interrupt_begin() was called: Ctrl-C goes to the running job.
 */
struct rmr_error *rmr_command_attach(struct rmr_context *context, pid_t pid,
	struct rmr_session **ret) RMR_MUST_CHECK;

/**
 * Leaves the target, unless a shell keeps the session and @p err left it usable. Of two errors
 * @p err, which came first, is returned, and the other one is a warning.
 */
struct rmr_error *rmr_command_detach(struct rmr_context *context, struct rmr_session *session,
	struct rmr_error *err) RMR_MUST_CHECK;

/** Runs @p run with its output going to @p out (stream 1) and standard error (2), at once. */
struct rmr_error *rmr_command_run_in(struct rmr_session *session, struct rmr_run *run, FILE *out,
	int *status_ret) RMR_MUST_CHECK;

#endif
