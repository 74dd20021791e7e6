// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/command.h"

#include "attach/cleanup.h"
#include "attach/log.h"
#include "cli/commands/help.h"
#include "cli/commands/snapshot.h"
#include "cli/shell/shell.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const struct rmr_option rmr_common_options[] = {
	{.name = "help", .letter = 'h', .help = "show this and exit"},
	{.name = "verbose",
		.letter = 'v',
		.help = "tell on standard error what is done, step by step"},
	{.name = "timeout",
		.value = "SECONDS",
		.help = "wait so long for a reply of the process, 0 for ever"},
	{0},
};

const struct rmr_option rmr_table_options[] = {
	{.name = "format", .value = "table|json|csv", .help = "how to write the result"},
	{.name = "exact", .help = "sizes in bytes, all digits"},
	{0},
};

const struct rmr_option rmr_limit_options[] = {
	{.name = "limit", .letter = 'n', .value = "N", .help = "show at most N rows, 0 for all (JSON and CSV: all)"},
	{0},
};

const struct rmr_command *rmr_command_find(const char *name, bool shell)
{
	for (const struct rmr_command *c = rmr_commands; c->name; c++) {
		if (strcmp(c->name, name) == 0 &&
			!(c->flags & (shell ? RMR_COMMAND_OUTSIDE : RMR_COMMAND_SHELL)))
			return c;
	}
	return NULL;
}

static struct rmr_error *unknown_command(const struct rmr_context *context, const char *name)
{
	struct rmr_error *err = rmr_error_create(RMR_E_USAGE, 0, "unknown command '%s'", name);
	bool shell = context->shell != NULL;

	if (!shell && rmr_args_is_digits(name))
		return rmr_error_hint(err, "`remora shell %s` looks into that process", name);
	for (const struct rmr_command *c = rmr_commands; c->name; c++) {
		if (!(c->flags & (shell ? RMR_COMMAND_OUTSIDE : RMR_COMMAND_SHELL)) &&
			rmr_args_is_close(name, c->name))
			return rmr_error_hint(err, "did you mean '%s'?", c->name);
	}
	return rmr_error_hint(
		err, shell ? "`help` lists the commands" : "`remora help` lists the commands");
}

/** Puts `CMD: ` before a usage error, and where to read on if it has no hint yet. */
static struct rmr_error *usage(
	const struct rmr_context *context, const struct rmr_command *command, struct rmr_error *err)
{
	if (!err || err->code != RMR_E_USAGE)
		return err;
	err = rmr_error_context(err, "%s", command->name);
	if (err->hint)
		return err;
	return rmr_error_hint(
		err, "`%shelp %s` shows its usage", context->shell ? "" : "remora ", command->name);
}

struct rmr_error *rmr_command_pid(const char *word, pid_t *ret)
{
	unsigned long value = strtoul(word, NULL, 10);

	if (!rmr_args_is_digits(word) || value == 0 || value > INT_MAX || strlen(word) > 10)
		return rmr_error_create(RMR_E_USAGE, 0, "'%s' is no PID", word);
	*ret = (pid_t)value;
	return NULL;
}

struct rmr_error *rmr_command_address(
	const struct rmr_context *context, const char *word, uint64_t *ret)
{
	const struct rmr_rows *rows = context->style.rows;
	bool hex = strncmp(word, "0x", 2) == 0 || strncmp(word, "0X", 2) == 0;
	const char *digits = hex ? word + 2 : word;

	if (word[0] == '$' && rmr_args_is_digits(word + 1)) {
		uint64_t row = strtoull(word + 1, NULL, 10);
		if (!rows)
			return rmr_error_create(RMR_E_USAGE, 0,
				"'%s' means a row of a table, in the shell only", word);
		if (row == 0 || row > rows->count || !rows->addresses[row - 1])
			return rmr_error_create(
				RMR_E_USAGE, 0, "the last table has no object '%s'", word);
		*ret = rows->addresses[row - 1];
		return NULL;
	}
	bool valid = *digits && strlen(digits) <= 20 &&
		     digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")] == '\0';
	if (!valid && !hex && strlen(digits) >= 6 &&
		digits[strspn(digits, "0123456789abcdefABCDEF")] == '\0')
		valid = hex = true;
	errno = 0;
	uint64_t value = strtoull(digits, NULL, hex ? 16 : 10);
	if (!valid || errno)
		return rmr_error_hint(rmr_error_create(RMR_E_USAGE, 0, "'%s' is no address", word),
			"an address is 0x7f... or decimal; `objects --type TYPE` lists those of a type");
	*ret = value;
	return NULL;
}

static void add_table(
	const struct rmr_option **tables, size_t *count, const struct rmr_option *more)
{
	if (more)
		tables[(*count)++] = more;
}

/** The operands in front that this context implies: 0 or 1. */
static size_t implied(const struct rmr_context *context, const struct rmr_command *command)
{
	if (command->flags & RMR_COMMAND_HEAP)
		return context->shell != NULL;
	if (command->flags & RMR_COMMAND_PID)
		return context->pid != 0;
	return 0;
}

static struct rmr_error *check_operands(
	const struct rmr_command *command, size_t front, size_t count)
{
	size_t own = count < front ? 0 : count - front;

	if (count < front)
		return rmr_error_create(RMR_E_USAGE, 0, "%s is missing",
			command->flags & RMR_COMMAND_PID ? "PID" : "HEAP, a dump file or a PID,");
	if (own < command->least)
		return rmr_error_create(RMR_E_USAGE, 0, "%s is missing", command->operands);
	if (own > command->most)
		return rmr_error_create(RMR_E_USAGE, 0, "too many arguments%s%s",
			*command->operands ? ": it takes only " : "", command->operands);
	return NULL;
}

static struct rmr_error *apply_common(struct rmr_context *context, const struct rmr_args *args)
{
	const char *timeout = rmr_args_value(args, "timeout");

	if (rmr_args_count(args, "verbose"))
		rmr_log_enable(true);
	if (timeout)
		return rmr_args_seconds(timeout, "option '--timeout'", &context->timeout_ms);
	return NULL;
}

/** Takes PID or HEAP off the front, opens it, and runs the command. */
static struct rmr_error *run(struct rmr_context *context, struct rmr_call *call, size_t front)
{
	const struct rmr_command *command = call->command;
	struct rmr_snapshot *own = NULL;
	struct rmr_error *err = NULL;
	const char *word = front ? call->args.operands[0] : NULL;

	if (front) {
		memmove(call->args.operands, call->args.operands + 1,
			call->args.operand_count * sizeof(*call->args.operands));
		call->args.operand_count--;
	}
	if (command->flags & RMR_COMMAND_PID) {
		call->pid = context->pid;
		if (word)
			err = rmr_command_pid(word, &call->pid);
	} else if (command->flags & RMR_COMMAND_HEAP) {
		err = word ? rmr_snapshot_open(context, word, &own) : rmr_shell_snapshot(context);
		call->snapshot = word ? own : context->snapshot;
	}
	if (!err)
		err = command->run(context, call);
	rmr_snapshot_close(own);
	return err;
}

static struct rmr_error *parse(const struct rmr_context *context, const struct rmr_command *command,
	const char *const *words, size_t count, bool tail, struct rmr_args *ret)
{
	const struct rmr_option *tables[4];
	size_t table_count = 0, stop_after = 0;
	size_t front = (command->flags & (RMR_COMMAND_PID | RMR_COMMAND_HEAP)) != 0;

	add_table(tables, &table_count, command->options);
	if (command->flags & RMR_COMMAND_TABLE)
		add_table(tables, &table_count, rmr_table_options);
	if (command->flags & RMR_COMMAND_LIMIT)
		add_table(tables, &table_count, rmr_limit_options);
	add_table(tables, &table_count, rmr_common_options);
	if (command->flags & RMR_COMMAND_ARGS || (context->shell && tail))
		stop_after = front - implied(context, command) + 1;
	return rmr_args_parse(words, count, tables, table_count, stop_after, ret);
}

/** What follows from the first own operand on; NULL without one. */
static const struct rmr_tail *find_tail(const struct rmr_args *args, const char *const *words,
	size_t count, const struct rmr_tail *tails)
{
	for (size_t i = 0; tails && args->operand_count && i < count; i++) {
		if (words[i] == args->operands[0])
			return &tails[i];
	}
	return NULL;
}

/** For a command that takes it, the line from the first own operand on is the only one. */
static struct rmr_error *parse_tail(const struct rmr_context *context,
	const struct rmr_command *command, const char *const *words, size_t count,
	const struct rmr_tail *tails, struct rmr_args *ret)
{
	bool takes = command->flags & (RMR_COMMAND_TAIL | RMR_COMMAND_LINE);
	struct rmr_error *err = parse(context, command, words + 1, count - 1, takes, ret);
	const struct rmr_tail *tail = err || !takes ? NULL : find_tail(ret, words, count, tails);

	if (!tail)
		return err;
	if (tail->quoted && !(command->flags & RMR_COMMAND_LINE)) {
		/* As it would be written in any other shell: options may follow. */
		rmr_args_deinit(ret);
		return parse(context, command, words + 1, count - 1, false, ret);
	}
	ret->operands[0] = tail->text;
	ret->operand_count = 1;
	return NULL;
}

struct rmr_error *rmr_command_dispatch(struct rmr_context *context, const char *const *words,
	size_t count, const struct rmr_tail *tails)
{
	const struct rmr_command *command = rmr_command_find(words[0], context->shell != NULL);
	struct rmr_call call = {.command = command};

	if (!command)
		return unknown_command(context, words[0]);
	struct rmr_error *err = parse_tail(context, command, words, count, tails, &call.args);
	if (err)
		return usage(context, command, err);
	if (rmr_args_count(&call.args, "help")) {
		rmr_help_command(context, command);
	} else {
		size_t front = (command->flags & (RMR_COMMAND_PID | RMR_COMMAND_HEAP)) != 0;
		front -= front ? implied(context, command) : 0;
		unsigned timeout_ms = context->timeout_ms;
		err = apply_common(context, &call.args);
		if (!err)
			err = check_operands(command, front, call.args.operand_count);
		if (!err)
			err = run(context, &call, front);
		context->timeout_ms = timeout_ms;
	}
	rmr_args_deinit(&call.args);
	return usage(context, command, err);
}

struct rmr_error *rmr_command_view(struct rmr_context *context, const struct rmr_call *call,
	bool single, struct rmr_view **ret)
{
	struct rmr_style style = context->style;
	const char *format = rmr_args_value(&call->args, "format");

	if (format)
		rmr_format_parse(format, &style.format);
	if (rmr_args_count(&call->args, "exact"))
		style.exact = true;
	return rmr_view_open(context->out, &style, single, ret);
}

struct rmr_error *rmr_command_limit(const struct rmr_context *context, const struct rmr_call *call,
	uint64_t fallback, uint64_t *ret)
{
	const char *name = rmr_args_value(&call->args, "format");
	enum rmr_format format = context->style.format;

	if (name)
		rmr_format_parse(name, &format);
	if (context->limit_set)
		fallback = context->limit;
	else if (format != RMR_FORMAT_TABLE)
		fallback = 0;
	return rmr_args_number(&call->args, "limit", fallback, UINT64_MAX, ret);
}

static void print_line(const char *head, const char *text)
{
	struct rmr_line line = {0};

	rmr_line_add_safe(&line, text, strlen(text));
	fprintf(stderr, "%s%s\n", head, rmr_line_get(&line));
	rmr_line_deinit(&line);
}

int rmr_command_report(const struct rmr_context *context, struct rmr_error *err)
{
	int status = rmr_error_exit_status(err);
	bool silent = (err->code == RMR_E_WRITE && err->errnum == EPIPE) ||
		      (err->code == RMR_E_INTERRUPTED && context->shell);

	fflush(context->out);
	if (!silent) {
		print_line("remora: ", err->message);
		if (err->hint)
			print_line("hint: ", err->hint);
	}
	rmr_error_destroy(err);
	return context->failure_status ? context->failure_status : status;
}

void rmr_command_warn(const char *format, ...)
{
	_rmr_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		print_line("remora: warning: ", text);
}
