// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/pause.h"

#include "attach/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	MAIN_NS = 50000000,   /* how long the main thread may take to wake up for a signal */
	MAIN_STEP_NS = 50000,
};

bool rmr_pause_is_spurious(const struct rmr_pause *pause)
{
	struct rmr_status status;

	if (rmr_status_read_task("/proc", pause->target->pid, pause->tracee.tid, &status))
		return false;
	return !((status.pending | status.shared_pending) & ~status.blocked & ~status.ignored);
}

/*
 * Only now that it stands still cannot it become another program by itself, whose registers would be
 * those of a program that nothing is known of. And the thread was listed before it was seized: only now
 * its number cannot be given to another's.
 */
static struct rmr_error *check_thread(const struct rmr_target *target, pid_t tid)
{
	char path[RMR_PROCFS_PATH];
	struct rmr_error *err = rmr_target_check(target);

	if (err)
		return err;
	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)target->pid, (int)tid);
	if (access(path, F_OK) == 0)
		return NULL;
	return rmr_error_create(RMR_E_GONE, 0, "thread %d is not one of process %d any more", (int)tid,
		(int)target->pid);
}

static struct rmr_error *mend(struct rmr_pause *pause)
{
	struct rmr_error *err = check_thread(pause->target, pause->tracee.tid);

	if (!err)
		err = rmr_tracee_get_regs(&pause->tracee, &pause->regs);
	if (err)
		return err;
	pause->restart = rmr_arch_restart(&pause->regs);
	if (pause->restart != RMR_RESTART_EINTR)
		return NULL;
	pause->signalled = !rmr_pause_is_spurious(pause);
	if (pause->signalled)
		return NULL;
	struct rmr_regs again = pause->regs;
	rmr_arch_reissue(&again);
	return rmr_tracee_set_regs(&pause->tracee, &again);
}

static struct rmr_error *begin(struct rmr_pause *pause, struct rmr_target *target, pid_t tid,
	struct rmr_error *(*stop)(struct rmr_tracee *, pid_t, pid_t, unsigned), unsigned timeout_us)
{
	*pause = (struct rmr_pause){
		.target = target,
		.seccomp = rmr_seccomp_mode(target->pid, tid),
	};
	struct rmr_error *err = stop(&pause->tracee, target->pid, tid, timeout_us);
	if (err)
		return err;
	target->held = true;
	err = mend(pause);
	if (err)
		rmr_pause_end(pause);
	return err;
}

struct rmr_error *rmr_pause_begin(
	struct rmr_pause *pause, struct rmr_target *target, pid_t tid, unsigned timeout_us)
{
	return begin(pause, target, tid, rmr_tracee_stop, timeout_us);
}

struct rmr_error *rmr_pause_begin_any(
	struct rmr_pause *pause, struct rmr_target *target, pid_t tid, unsigned timeout_us)
{
	return begin(pause, target, tid, rmr_tracee_stop_any, timeout_us);
}

struct rmr_error *rmr_pause_check_seccomp(
	struct rmr_pause *pause, bool old_libc, struct rmr_seccomp_limits *ret)
{
	struct rmr_target *target = pause->target;
	struct rmr_error *err = rmr_seccomp_check(
		target->pid, pause->tracee.tid, pause->seccomp, target->inner, old_libc, ret);

	if (ret->no_restart && pause->restart == RMR_RESTART_BLOCK) {
		/* Refused or not: the kernel would go on with the call by restart_syscall. */
		rmr_arch_restart_anew(&pause->regs);
		pause->restart = RMR_RESTART_AGAIN;
		struct rmr_error *failed = rmr_tracee_set_regs(&pause->tracee, &pause->regs);
		if (failed) {
			rmr_error_destroy(err);
			return failed;
		}
	}
	return err;
}

/* Signals that the main thread is about to take. */
static uint64_t of_main_thread(const struct rmr_pause *pause)
{
	struct rmr_status status;

	if (rmr_status_read("/proc", pause->target->pid, &status) || strchr("ZXTt", status.state))
		return 0;
	return ~status.blocked & ~status.ignored;
}

/*
 * A signal to the process is meant for the main thread, but until that gets a processor, any thread
 * that comes out of a stop takes it. The main thread would then wait on in its call, and Python's
 * handler, which only the main thread runs, would wait with it.
 */
static void leave_to_main_thread(struct rmr_pause *pause)
{
	uint64_t end = rmr_log_now() + MAIN_NS;

	if (!pause->tracee.stopped || pause->tracee.tid == pause->target->pid)
		return;
	while (rmr_tracee_shared_pending(&pause->tracee) && rmr_log_now() < end &&
		(rmr_tracee_shared_pending(&pause->tracee) & of_main_thread(pause)))
		nanosleep(&(struct timespec){.tv_nsec = MAIN_STEP_NS}, NULL);
}

void rmr_pause_end(struct rmr_pause *pause)
{
	leave_to_main_thread(pause);
	rmr_tracee_detach(&pause->tracee);
	pause->target->held = false;
}
