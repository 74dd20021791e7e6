// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The shell on a terminal: readline with history and completion. */
#include "attach/cleanup.h"
#include "cli/interrupt.h"
#include "cli/shell/complete.h"
#include "cli/shell/shell.h"
#include "cli/view/number.h"

#include <stdio.h>

#include <readline/history.h>
#include <readline/readline.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
	HISTORY_LINES = 5000,
};

// readline has one line at a time, and so has this file.
static const struct rmr_shell *completing;
static char **candidates;
static char *entered;
static bool has_entered;

static char *next_candidate(const char *word, int state)
{
	static size_t at;

	(void)word;
	if (state == 0)
		at = 0;
	return candidates && candidates[at] ? candidates[at++] : NULL;
}

static char **complete(const char *word, int start, int end)
{
	bool files;

	(void)end;
	candidates = rmr_complete_word(completing, rl_line_buffer, (size_t)start, word, &files);
	rl_attempted_completion_over = !files;
	if (!candidates)
		return NULL;
	char **matches = rl_completion_matches(word, next_candidate);
	free(candidates); // the strings are readline's now
	candidates = NULL;
	return matches;
}

static void on_line(char *line)
{
	// At once: the terminal is as it was before the command runs.
	rl_callback_handler_remove();
	entered = line;
	has_entered = true;
}

static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
}

/** The history file, made if it is not there; NULL if there is none. */
static char *history_path(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *path = NULL;
	int length = -1;

	if (state && *state == '/')
		length = asprintf(&path, "%s/remora/history", state);
	else if (home && *home && access(home, W_OK) == 0) // never make a home
		length = asprintf(&path, "%s/.local/state/remora/history", home);
	if (length < 0)
		return NULL;
	make_folders(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		free(path);
		return NULL;
	}
	fchmod(fd, 0600);
	close(fd);
	return path;
}

static void remember(const char *line, const char *path)
{
	const HIST_ENTRY *last =
		history_length ? history_get(history_base + history_length - 1) : NULL;

	if (!line[strspn(line, " \t")] || line[0] == ' ' || (last && strcmp(last->line, line) == 0))
		return;
	add_history(line);
	if (path)
		append_history(1, path);
}

/** "remora 4711 (12 s, attached)> ": the age is the snapshot's. */
static void make_prompt(const struct rmr_shell *shell, struct rmr_line *prompt)
{
	const struct rmr_snapshot *snapshot = shell->context.snapshot;
	const char *slash = strrchr(shell->target, '/');
	const char *name = slash && slash[1] ? slash + 1 : shell->target;

	rmr_line_clear(prompt);
	rmr_line_addf(prompt, "remora ");
	rmr_line_add_safe(prompt, name, strlen(name));
	bool aged = shell->context.pid && snapshot, attached = shell->context.session;
	if (aged || attached)
		rmr_line_addf(prompt, " (");
	if (aged)
		rmr_snapshot_age(snapshot, "", prompt);
	if (attached)
		rmr_line_addf(prompt, aged ? ", attached" : "attached");
	rmr_line_addf(prompt, aged || attached ? ")> " : "> ");
}

/** Ctrl-C on the prompt: the line is given up. */
static void drop_line(void)
{
	rmr_interrupt_clear();
	fputs("^C\n", rl_outstream);
	rl_callback_sigcleanup();
	rl_free_line_state();
	rl_replace_line("", 0);
	rl_point = rl_mark = 0;
	rl_on_new_line();
	rl_redisplay();
}

/** Reads one line into `entered`, NULL at the end of input. */
static struct rmr_error *read_line(const char *prompt)
{
	rmr_interrupt_clear();
	has_entered = false;
	entered = NULL;
	rl_callback_handler_install(prompt, on_line);
	while (!has_entered) {
		struct pollfd fds[] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = rmr_interrupt_fd(), .events = POLLIN},
		};
		if (poll(fds, 2, -1) < 0) {
			if (errno != EINTR) {
				int errnum = errno;
				rl_callback_handler_remove();
				return rmr_error_create(RMR_E_OS, errnum, "cannot wait for input");
			}
			rl_resize_terminal();
			continue;
		}
		if (rmr_interrupt_terminated) {
			rl_callback_handler_remove();
			return NULL; // without a line: the end
		}
		if (rmr_interrupt_flag)
			drop_line();
		else if (fds[0].revents)
			rl_callback_read_char();
	}
	return NULL;
}

static void on_resize(int signal)
{
	(void)signal; // it only ends the poll()
}

static void set_up(const struct rmr_shell *shell)
{
	struct sigaction action = {.sa_handler = on_resize};

	completing = shell;
	sigaction(SIGWINCH, &action, NULL);
	rl_readline_name = "remora";
	rl_catch_signals = 0;
	rl_catch_sigwinch = 0;
	rl_attempted_completion_function = complete;
	rl_basic_word_break_characters = " \t\n;";
	rl_completer_word_break_characters = (char *)" \t\n;";
	rl_completer_quote_characters = "'\"";
	rl_filename_quote_characters = " \t\n;'\"#\\";
	// A pasted script runs line by line; brackets around it would only show on odd terminals.
	rl_variable_bind("enable-bracketed-paste", "off");
	stifle_history(HISTORY_LINES);
}

struct rmr_error *rmr_prompt_run(struct rmr_shell *shell)
{
	struct rmr_line prompt = {0};
	struct rmr_error *err = NULL;
	_rmr_free_ char *path = history_path();

	set_up(shell);
	if (path)
		read_history(path);
	puts("`help` lists the commands, Ctrl-D leaves.");
	while (!shell->quit) {
		unsigned width = rmr_terminal_width(STDOUT_FILENO);
		shell->context.style.width = width;
		make_prompt(shell, &prompt);
		err = read_line(rmr_line_get(&prompt));
		if (err)
			break;
		_rmr_free_ char *line = rmr_take(entered);
		if (!line) {
			putchar('\n');
			break;
		}
		remember(line, path);
		rmr_shell_run_line(shell, line);
	}
	if (path)
		history_truncate_file(path, HISTORY_LINES);
	clear_history();
	rmr_line_deinit(&prompt);
	return err;
}
