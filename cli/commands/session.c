// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/commands/session.h"

#include "cli/command.h"
#include "cli/interrupt.h"

#include <errno.h>

// How long a payload may take to end after Ctrl-C.
#define INTERRUPT_MS 5000

struct rmr_timeouts rmr_command_timeouts(const struct rmr_context *context)
{
	struct rmr_timeouts timeouts;

	rmr_timeouts_default(&timeouts,
		context->timeout_ms == RMR_TIMEOUT_UNSET ? -1 : context->timeout_ms / 1e3);
	return timeouts;
}

struct rmr_error *rmr_command_attach(struct rmr_context *context, pid_t pid,
	struct rmr_session **ret)
{
	struct rmr_session_options options = {
		.timeouts = rmr_command_timeouts(context),
		.cancel_fd = rmr_interrupt_fd(),
		.interrupt_ms = INTERRUPT_MS,
	};

	if (context->session && context->pid == pid) {
		*ret = context->session;
		return NULL;
	}
	return rmr_session_open(pid, &options, ret);
}

/** True if the session can go on after @p err. */
static bool is_usable(const struct rmr_error *err)
{
	return !err || err->code == RMR_E_INTERRUPTED || err->code == RMR_E_PAYLOAD ||
	       err->code == RMR_E_NO_MEMORY;
}

struct rmr_error *rmr_command_detach(struct rmr_context *context, struct rmr_session *session,
	struct rmr_error *err)
{
	if (session == context->session) {
		if (is_usable(err))
			return err;
		context->session = NULL;
	}
	struct rmr_error *late = rmr_session_close(session);
	if (!err)
		return late;
	if (late)
		rmr_command_warn("%s", late->message);
	rmr_error_destroy(late);
	return err;
}

static struct rmr_error *show(void *arg, int stream, const void *bytes, size_t size)
{
	FILE *out = stream == 1 ? arg : stderr;

	if (fwrite(bytes, 1, size, out) == size && fflush(out) == 0)
		return NULL;
	return rmr_error_create(RMR_E_WRITE, errno, "cannot write the payload's output");
}

struct rmr_error *rmr_command_run_in(struct rmr_session *session, struct rmr_run *run, FILE *out,
	int *status_ret)
{
	run->output = show;
	run->output_arg = out;
	return rmr_session_run(session, run, status_ret);
}
