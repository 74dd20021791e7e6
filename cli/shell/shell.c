// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/shell/shell.h"

#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/interrupt.h"
#include "cli/shell/words.h"
#include "cli/program.h"
#include "inject/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rmr_error *rmr_shell_snapshot(struct rmr_context *context)
{
	if (context->snapshot)
		return NULL;
	return rmr_snapshot_open(context, context->shell->target, &context->snapshot);
}

struct rmr_error *rmr_shell_detach(struct rmr_shell *shell)
{
	struct rmr_session *session = rmr_take(shell->context.session);

	return session ? rmr_session_close(session) : NULL;
}

/** Runs one command of a line; *next_ret is where the next one starts. */
static struct rmr_error *run_command(
	struct rmr_shell *shell, const char *line, const struct rmr_words *words, size_t *next_ret)
{
	const struct rmr_command *command = rmr_command_find(words->words[0].text, true);
	bool tail = command && command->flags & (RMR_COMMAND_TAIL | RMR_COMMAND_LINE);
	_rmr_free_ const char **texts = calloc(words->count, sizeof(*texts));
	_rmr_free_ struct rmr_tail *tails = calloc(words->count, sizeof(*tails));
	bool whole_line = command && command->flags & RMR_COMMAND_LINE;

	*next_ret = whole_line ? strlen(line) : words->next;
	if (!texts || !tails)
		return &rmr_enomem;
	if (words->unbalanced && !tail)
		return rmr_error_create(RMR_E_USAGE, 0, "a quote is not closed");
	size_t end = *next_ret - (*next_ret && !whole_line && strchr(";|", line[*next_ret - 1]));
	_rmr_free_ char *text = strndup(line, end);
	if (!text)
		return &rmr_enomem;
	for (size_t i = 0; i < words->count; i++) {
		texts[i] = words->words[i].text;
		tails[i] = (struct rmr_tail){text + words->words[i].start, words->words[i].quoted};
	}
	return rmr_command_dispatch(&shell->context, texts, words->count, tails);
}

/** Runs a command with what follows its '|' as the reader of its results, by sh(1). */
static struct rmr_error *run_piped(
	struct rmr_shell *shell, const char *line, const struct rmr_words *words, size_t *next_ret)
{
	const char *program = line + words->next;
	char *const argv[] = {(char *)"sh", (char *)"-c", (char *)program, NULL};
	struct rmr_context *context = &shell->context;
	FILE *const out = context->out;
	const struct rmr_style style = context->style;
	int ends[2];
	pid_t pid;

	*next_ret = strlen(line);
	if (!program[strspn(program, " \t")])
		return rmr_error_create(RMR_E_USAGE, 0, "a program is missing behind '|'");
	if (fflush(out) != 0 || pipe2(ends, O_CLOEXEC) != 0)
		return rmr_error_create(RMR_E_OS, errno, "cannot make a pipe");
	struct rmr_error *err = rmr_program_start(argv, ends[0], fileno(out), &pid);
	close(ends[0]);
	context->out = err ? NULL : fdopen(ends[1], "w");
	if (!context->out) {
		close(ends[1]);
		context->out = out;
		return err ? err : &rmr_enomem;
	}
	context->style.width = 0;
	context->style.bold = false;
	size_t next;
	err = run_command(shell, line, words, &next);
	errno = 0;
	if (fclose(context->out) != 0 && !err)
		err = rmr_error_create(RMR_E_WRITE, errno, "cannot write the results");
	context->out = out;
	context->style = style;
	rmr_program_wait(pid);
	// The program has read enough.
	if (err && err->code == RMR_E_WRITE && err->errnum == EPIPE)
		rmr_error_destroy(rmr_take(err));
	return err;
}

/** Runs one command and prints its error; false if the line is not to go on. */
static bool run_and_report(
	struct rmr_shell *shell, const char *line, const struct rmr_words *words, size_t *next_ret)
{
	struct rmr_context *context = &shell->context;

	context->status = context->failure_status = 0;
	rmr_interrupt_clear();
	const struct rmr_command *command = rmr_command_find(words->words[0].text, true);
	bool whole_line = command && command->flags & RMR_COMMAND_LINE;
	struct rmr_error *err = words->piped && !whole_line
		? run_piped(shell, line, words, next_ret)
		: run_command(shell, line, words, next_ret);
	errno = 0;
	if (!err && (fflush(context->out) != 0 || ferror(context->out)))
		err = rmr_error_create(RMR_E_WRITE, errno, "cannot write the results");
	if (!err && !context->status)
		return true;
	bool unwritable = err && err->code == RMR_E_WRITE && ferror(context->out);
	shell->status = err ? rmr_command_report(context, err) : context->status;
	if (unwritable && !shell->interactive)
		shell->quit = true;
	clearerr(context->out);
	shell->quit |= rmr_interrupt_terminated != 0;
	return shell->keep_going;
}

void rmr_shell_run_line(struct rmr_shell *shell, const char *line)
{
	size_t at = 0;

	while (line[at] && !shell->quit) {
		struct rmr_words words;
		size_t next = strlen(line);
		bool go_on = true;

		struct rmr_error *err = rmr_words_split(line, at, &words);
		if (err) {
			shell->status = rmr_command_report(&shell->context, err);
			return;
		}
		if (words.count)
			go_on = run_and_report(shell, line, &words, &next);
		else
			next = words.next;
		rmr_words_deinit(&words);
		if (!go_on) {
			shell->quit |= !shell->interactive;
			return;
		}
		at = next;
	}
}

/** Runs `text` line by line. */
static struct rmr_error *run_text(struct rmr_shell *shell, const char *text)
{
	_rmr_free_ char *copy = strdup(text);
	char *rest = copy;

	if (!copy)
		return &rmr_enomem;
	for (char *line; (line = strsep(&rest, "\n")) && !shell->quit;)
		rmr_shell_run_line(shell, line);
	return NULL;
}

static struct rmr_error *run_script(struct rmr_shell *shell)
{
	_rmr_free_ char *line = NULL;
	size_t capacity = 0;
	ssize_t length;

	while (!shell->quit && (length = getline(&line, &capacity, stdin)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		rmr_shell_run_line(shell, line);
	}
	if (ferror(stdin))
		return rmr_error_create(RMR_E_INPUT, errno, "cannot read standard input");
	return NULL;
}

/** Opens what the shell is about: a dump is loaded; a process is looked at, not yet touched. */
static struct rmr_error *open_target(struct rmr_shell *shell)
{
	struct rmr_context *context = &shell->context;
	struct rmr_target *target;

	if (!rmr_args_is_digits(shell->target))
		return rmr_shell_snapshot(context);
	struct rmr_error *err = rmr_command_pid(shell->target, &context->pid);
	if (!err)
		err = rmr_target_open(context->pid, NULL, &target);
	if (!err)
		rmr_target_close(target);
	return err;
}

static struct rmr_error *run_shell(struct rmr_shell *shell, const struct rmr_call *call)
{
	const char *lines = rmr_args_value(&call->args, "command");

	struct rmr_error *err = open_target(shell);
	if (!err && lines)
		err = run_text(shell, lines);
	else if (!err && shell->interactive)
		err = rmr_prompt_run(shell);
	else if (!err)
		err = run_script(shell);
	struct rmr_error *late = rmr_shell_detach(shell);
	if (!err)
		return late;
	rmr_error_destroy(late);
	return err;
}

struct rmr_error *rmr_command_shell(struct rmr_context *context, const struct rmr_call *call)
{
	struct rmr_shell shell = {
		.context = *context,
		.target = call->args.operands[0],
		.keep_going = rmr_args_count(&call->args, "keep-going"),
		.interactive = isatty(STDIN_FILENO) && !rmr_args_count(&call->args, "command"),
	};

	shell.context.shell = &shell;
	shell.context.style.rows = &shell.rows;
	shell.context.dump = &shell.dump;
	rmr_dump_settings_of(call, &shell.dump);
	struct rmr_error *err =
		rmr_args_number(&call->args, "interpreter", 0, UINT32_MAX, &shell.interpreter);
	// For the life of the shell: the session of `py` keeps the descriptor.
	if (!err)
		err = rmr_interrupt_begin();
	if (err)
		return err;
	err = run_shell(&shell, call);
	rmr_interrupt_end();
	rmr_snapshot_close(shell.context.snapshot);
	rmr_snapshot_close(shell.context.previous);
	free(shell.rows.addresses);
	// A person who leaves the shell is content; a script ends as its last failure did.
	context->status = shell.interactive ? 0 : shell.status;
	return err;
}
