// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/log.h"
#include "cli/command.h"
#include "cli/commands/help.h"
#include "cli/lost.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Character widths need a UTF-8 locale; where none is set, C.UTF-8 serves, as for Python. */
static void set_locale(void)
{
	if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

/**
 * In the place of a closed standard stream, what can neither be read nor written: else the next file that
 * is opened, the target's memory perhaps, would get what is printed.
 */
static void hold_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH) != fd)
			abort();
	}
}

static void init_context(struct rmr_context *context)
{
	const char *term = getenv("TERM");
	bool terminal = isatty(STDOUT_FILENO);

	*context = (struct rmr_context){
		.out = stdout,
		.timeout_ms = RMR_TIMEOUT_UNSET,
		.style.width = rmr_terminal_width(STDOUT_FILENO),
		.style.bold = terminal && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0,
	};
}

/** Options before the command; *at_ret is the index of the command's name. */
static struct rmr_error *parse_front(
	struct rmr_context *context, int argc, char **argv, int *at_ret, bool *done_ret)
{
	const char *timeout = getenv("REMORA_IPC_TIMEOUT");
	struct rmr_error *err = NULL;
	int at = 1;

	if (timeout && *timeout)
		err = rmr_args_seconds(timeout, "REMORA_IPC_TIMEOUT", &context->timeout_ms);
	for (; !err && at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--version") == 0 || strcmp(argv[at], "-V") == 0) {
			puts("remora " REMORA_VERSION);
			*done_ret = true;
			return NULL;
		}
		if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
			rmr_help_overview(context, stdout);
			*done_ret = true;
			return NULL;
		}
		if (strcmp(argv[at], "--verbose") == 0 || strcmp(argv[at], "-v") == 0)
			rmr_log_enable(true);
		else if (strcmp(argv[at], "--timeout") == 0 && at + 1 < argc)
			err = rmr_args_seconds(
				argv[++at], "option '--timeout'", &context->timeout_ms);
		else if (strncmp(argv[at], "--timeout=", 10) == 0)
			err = rmr_args_seconds(
				argv[at] + 10, "option '--timeout'", &context->timeout_ms);
		else
			err = rmr_error_hint(
				rmr_error_create(RMR_E_USAGE, 0,
					"unknown option '%s' before the command", argv[at]),
				"`remora help` shows the usage; a command's own options follow its "
				"name");
	}
	*at_ret = at;
	return err;
}

static struct rmr_error *run(struct rmr_context *context, int argc, char **argv)
{
	bool done = false;
	int at = 1;

	struct rmr_error *err = parse_front(context, argc, argv, &at, &done);
	if (err || done)
		return err;
	if (at == argc)
		return rmr_error_hint(rmr_error_create(RMR_E_USAGE, 0, "no command given"),
			"`remora help` lists the commands, `remora ps` the processes");
	return rmr_command_dispatch(
		context, (const char *const *)argv + at, (size_t)(argc - at), NULL);
}

int main(int argc, char **argv)
{
	struct rmr_context context;

	hold_standard_streams();
	set_locale();
	// A reader that goes away is a write error like any other.
	signal(SIGPIPE, SIG_IGN);
	// As is a file that grows beyond what `ulimit -f` allows: EFBIG.
	signal(SIGXFSZ, SIG_IGN);
	// One whose parent ignores it could not wait for its children.
	signal(SIGCHLD, SIG_DFL);
	rmr_lost_init();
	init_context(&context);
	struct rmr_error *err = run(&context, argc, argv);
	errno = 0;
	if (!err && (fflush(stdout) != 0 || ferror(stdout)))
		err = rmr_error_create(RMR_E_WRITE, errno, "cannot write the results");
	return err ? rmr_command_report(&context, err) : context.status;
}
