// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/lost.h"

#include "cli/heap/mapped.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios terminal;
static bool has_terminal;

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0) {
		// There is nobody to tell.
	}
}

// Async-signal-safe, as are the calls in it. Results that wait in buffers are dropped: they may be
// of bytes that were not there.
__attribute__((noreturn)) static void leave(
	const char *before, const char *what, const char *after, const char *hint)
{
	static atomic_flag is_leaving = ATOMIC_FLAG_INIT;

	// One thread is enough.
	while (atomic_flag_test_and_set(&is_leaving))
		pause();
	if (has_terminal && tcgetpgrp(STDIN_FILENO) == getpgrp())
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
	if (isatty(STDERR_FILENO))
		say("\r\033[K");
	say("remora: ");
	say(before);
	say(what);
	say(after);
	say("\n");
	if (hint) {
		say("hint: ");
		say(hint);
		say("\n");
	}
	_exit(2);
}

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	const char *name = rmr_mapped_name(info->si_addr);
	struct sigaction action = {.sa_handler = SIG_DFL};

	(void)context;
	if (name)
		leave("cannot read ", name, " any more: it was cut short, or its disk failed",
			"a dump must stay as it is while remora reads it");
	// A fault of our own: it comes again and ends remora as it should.
	sigaction(signal, &action, NULL);
}

static void on_lost(struct rmr_error *err)
{
	leave("", err->message, "", err->hint);
}

void rmr_lost_init(void)
{
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

	has_terminal = tcgetattr(STDIN_FILENO, &terminal) == 0;
	sigaction(SIGBUS, &action, NULL);
	rmr_mapped_lost = on_lost;
}
