// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/tracer.h"

#include <pthread.h>

struct work {
	void *(*function)(void *);
	void *arg;
	const sigset_t *outside;
};

/* On its thread, while it runs. */
static _Thread_local const struct work *current;

static void *run(void *arg)
{
	current = arg;
	return current->function(current->arg);
}

struct rmr_error *rmr_tracer_run(void *(*function)(void *), void *arg, sigset_t *outside)
{
	/* SIGCHLD tells of stops; nothing but a fault of remora's own is to end or stop it. */
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
	struct work work = {.function = function, .arg = arg, .outside = outside};
	pthread_t thread;
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_BLOCK, &set, outside);
	int errnum = pthread_create(&thread, NULL, run, &work);
	if (!errnum)
		pthread_join(thread, NULL);
	pthread_sigmask(SIG_SETMASK, outside, NULL);
	if (errnum)
		return rmr_error_create(RMR_E_OS, errnum, "cannot start a thread of remora's own");
	return NULL;
}

static bool is_waiting(const sigset_t *pending, int signal)
{
	struct sigaction action;

	return sigismember(pending, signal) && sigaction(signal, NULL, &action) == 0 &&
	       action.sa_handler != SIG_IGN;
}

static bool is_ending(const sigset_t *pending, const sigset_t *outside)
{
	return (is_waiting(pending, SIGINT) && !sigismember(outside, SIGINT)) ||
	       (is_waiting(pending, SIGTERM) && !sigismember(outside, SIGTERM));
}

bool rmr_tracer_is_interrupted(void)
{
	sigset_t pending;

	if (!current)
		return false;
	sigpending(&pending);
	return is_ending(&pending, current->outside);
}

bool rmr_tracer_admit_signals(const sigset_t *outside)
{
	sigset_t blocked, pending;

	sigpending(&pending);
	pthread_sigmask(SIG_SETMASK, outside, &blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, NULL);
	return is_ending(&pending, outside);
}
