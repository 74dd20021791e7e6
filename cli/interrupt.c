// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/interrupt.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	PATIENCE = 3, // signals until remora ends at once
};

volatile sig_atomic_t rmr_interrupt_flag;
volatile sig_atomic_t rmr_interrupt_terminated;

static int event_fd = -1;
static unsigned depth;
static struct sigaction old_int, old_term;

static void on_signal(int signal)
{
	int saved_errno = errno;
	uint64_t one = 1;

	rmr_interrupt_terminated |= signal == SIGTERM;
	if (++rmr_interrupt_flag >= PATIENCE)
		_exit(128 + signal);
	if (write(event_fd, &one, sizeof(one)) < 0) {
		// The counter is full: it is readable already.
	}
	errno = saved_errno;
}

struct rmr_error *rmr_interrupt_begin(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	if (depth++)
		return NULL;
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0) {
		depth--;
		return rmr_error_create(RMR_E_OS, errno, "cannot make an eventfd");
	}
	rmr_interrupt_flag = 0;
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
	// One who started remora with SIGINT ignored (nohup, a script's background) meant it.
	if (old_int.sa_handler == SIG_IGN)
		sigaction(SIGINT, &old_int, NULL);
	return NULL;
}

void rmr_interrupt_end(void)
{
	if (--depth)
		return;
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	close(event_fd);
	event_fd = -1;
}

void rmr_interrupt_clear(void)
{
	uint64_t count;

	rmr_interrupt_flag = 0;
	if (event_fd >= 0 && read(event_fd, &count, sizeof(count)) < 0) {
		// It was not readable.
	}
}

int rmr_interrupt_fd(void)
{
	return event_fd;
}

struct rmr_error *rmr_interrupt_check(void)
{
	return rmr_interrupt_flag ? rmr_error_create(RMR_E_INTERRUPTED, 0, "interrupted") : NULL;
}
