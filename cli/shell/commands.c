// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The commands that only a shell has. */
#include "cli/commands/commands.h"

#include "attach/cleanup.h"
#include "cli/commands/session.h"
#include "cli/shell/shell.h"

#include <errno.h>
#include <string.h>

struct rmr_error *rmr_command_quit(struct rmr_context *context, const struct rmr_call *call)
{
	(void)call;
	context->shell->quit = true;
	return NULL;
}

struct rmr_error *rmr_command_renew(struct rmr_context *context, const struct rmr_call *call)
{
	struct rmr_dump_settings settings, *now = &context->shell->dump, before = *now;
	struct rmr_snapshot *snapshot;

	if (rmr_args_count(&call->args, "output") || !context->pid)
		return rmr_command_dump(context, call);
	rmr_dump_settings_of(call, &settings);
	if (rmr_args_count(&call->args, "values"))
		now->values = settings.values;
	now->in_place |= settings.in_place;
	struct rmr_error *err = rmr_snapshot_open(context, context->shell->target, &snapshot);
	*now = before;
	if (err)
		return err;
	rmr_snapshot_close(context->previous);
	context->previous = context->snapshot;
	context->snapshot = snapshot;
	return NULL;
}

struct rmr_error *rmr_command_py(struct rmr_context *context, const struct rmr_call *call)
{
	struct rmr_shell *shell = context->shell;
	const char *code = call->args.operands[0];
	struct rmr_run run = {
		.kind = RMR_RUN_PYTHON,
		.name = "<py>",
		.bytes = code,
		.size = strlen(code),
		.keep_names = true,
		.interpreter = (unsigned)shell->interpreter,
	};
	int status = 0;

	if (!context->pid)
		return rmr_error_hint(
			rmr_error_create(RMR_E_QUERY, 0, "py: this shell is on a dump file"),
			"`remora shell PID` runs Python code in a process");
	struct rmr_session *session;
	struct rmr_error *err = rmr_command_attach(context, context->pid, &session);
	if (err)
		return err;
	context->session = session;
	err = rmr_command_run_in(session, &run, context->out, &status);
	err = rmr_command_detach(context, session, err);
	context->status = status != 0;
	return err;
}

struct rmr_error *rmr_command_leave(struct rmr_context *context, const struct rmr_call *call)
{
	(void)call;
	return rmr_shell_detach(context->shell);
}

static bool is_default(const char *value)
{
	return strcmp(value, "default") == 0;
}

static struct rmr_error *set_limit(struct rmr_context *context, const char *value)
{
	if (!is_default(value) && (!rmr_args_is_digits(value) || strlen(value) > 18))
		return rmr_error_create(RMR_E_USAGE, 0, "limit: '%s' is no number", value);
	context->limit_set = !is_default(value);
	context->limit = strtoull(value, NULL, 10);
	return NULL;
}

static struct rmr_error *set_format(struct rmr_context *context, const char *value)
{
	if (is_default(value))
		context->style.format = RMR_FORMAT_TABLE;
	else if (!rmr_format_parse(value, &context->style.format))
		return rmr_error_create(
			RMR_E_USAGE, 0, "format: '%s' is none of table, json and csv", value);
	return NULL;
}

static struct rmr_error *set_exact(struct rmr_context *context, const char *value)
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0 && !is_default(value))
		return rmr_error_create(RMR_E_USAGE, 0, "exact: '%s' is neither on nor off", value);
	context->style.exact = strcmp(value, "on") == 0;
	return NULL;
}

/** An open session waits as it was opened, so `py` attaches again after this. */
static struct rmr_error *set_timeout(struct rmr_context *context, const char *value)
{
	struct rmr_error *err = NULL;

	if (is_default(value))
		context->timeout_ms = RMR_TIMEOUT_UNSET;
	else
		err = rmr_args_seconds(value, "timeout", &context->timeout_ms);
	return err ? err : rmr_shell_detach(context->shell);
}

static const struct {
	const char *name;
	struct rmr_error *(*set)(struct rmr_context *context, const char *value);
} settings[] = {
	{"timeout", set_timeout},
	{"limit", set_limit},
	{"format", set_format},
	{"exact", set_exact},
};

static void show_settings(const struct rmr_context *context)
{
	static const char *const formats[] = {"table", "json", "csv"};
	FILE *out = context->out;

	if (context->timeout_ms == RMR_TIMEOUT_UNSET)
		fputs("timeout default\n", out);
	else
		fprintf(out, "timeout %g\n", context->timeout_ms / 1e3);
	if (context->limit_set)
		fprintf(out, "limit   %llu\n", (unsigned long long)context->limit);
	else
		fputs("limit   default\n", out);
	fprintf(out, "format  %s\n", formats[context->style.format]);
	fprintf(out, "exact   %s\n", context->style.exact ? "on" : "off");
}

struct rmr_error *rmr_command_set(struct rmr_context *context, const struct rmr_call *call)
{
	if (call->args.operand_count < 2) {
		show_settings(context);
		return NULL;
	}
	for (unsigned i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		if (strcmp(call->args.operands[0], settings[i].name) == 0)
			return settings[i].set(context, call->args.operands[1]);
	}
	return rmr_error_create(RMR_E_USAGE, 0,
		"no setting '%s': there are timeout, limit, format and exact",
		call->args.operands[0]);
}
