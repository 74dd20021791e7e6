// SPDX-License-Identifier: GPL-3.0-or-later
/* One thread under ptrace: a child of the test. */
#include "attach/cleanup.h"
#include "attach/procfs.h"
#include "attach/tracee.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONG_US = 5000000, SHORT_US = 50000 };

static struct rmr_tracee tracee;
static int channel[2];
static pid_t child;

/* A child that waits in read(), and ends with the byte that it got as its status. */
static void set_up(void)
{
	unsigned char byte;

	ck_assert_int_eq(pipe(channel), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		alarm(60);
		_exit(read(channel[0], &byte, 1) == 1 ? byte : 255);
	}
	ck_assert_ptr_null(rmr_tracee_stop(&tracee, child, child, LONG_US));
	ck_assert(tracee.stopped);
}

static void tear_down(void)
{
	int status;

	ck_assert_int_eq(write(channel[1], "\7", 1), 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	close(channel[0]);
	close(channel[1]);
}

/* A wait that lasts has made it real-time, where that is allowed. */
START_TEST(the_scheduling_policy_comes_back)
{
	rmr_tracee_detach(&tracee);
	ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
	struct rmr_error *err = rmr_tracee_stop(&tracee, child, child, LONG_US);
	while (!err)
		err = rmr_tracee_next_syscall(&tracee, SHORT_US);
	ck_assert(rmr_error_catch(&err, RMR_E_TIMEOUT));
	ck_assert_ptr_null(rmr_tracee_interrupt(&tracee, LONG_US));
	rmr_tracee_detach(&tracee);
	ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
	/* A thread that cannot be stopped leaves nothing either. */
	err = rmr_tracee_stop(&tracee, getpid(), getpid(), LONG_US);
	ck_assert_ptr_nonnull(err);
	rmr_error_destroy(err);
	ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
}
END_TEST

/* The stop at the end of the interrupted call takes the interrupt with it. */
START_TEST(a_tracee_in_a_call_is_stopped_again)
{
	struct rmr_error *err = NULL;

	while (!err)
		err = rmr_tracee_next_syscall(&tracee, SHORT_US);
	ck_assert(rmr_error_catch(&err, RMR_E_TIMEOUT));
	ck_assert(!tracee.stopped);
	ck_assert_ptr_null(rmr_tracee_interrupt(&tracee, LONG_US));
	ck_assert(tracee.stopped);
	rmr_tracee_detach(&tracee);
}
END_TEST

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static char state_of(pid_t pid)
{
	struct rmr_status status;

	ck_assert_int_eq(rmr_status_read("/proc", pid, &status), 0);
	return status.state;
}

static void wait_for_state(pid_t pid, char state)
{
	for (int i = 0; i < 2000 && state_of(pid) != state; i++)
		pause_ms(5);
	ck_assert_int_eq(state_of(pid), state);
}

/** A process in vfork(), which nothing interrupts, until a byte comes through the pipe. */
static pid_t start_vforker(int *release)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		close(ends[1]);
		if (vfork() == 0) {
			(void)!read(ends[0], &byte, 1);
			_exit(0);
		}
		for (;;)
			pause();
	}
	close(ends[0]);
	*release = ends[1];
	wait_for_state(pid, 'D');
	return pid;
}

START_TEST(a_late_one_goes_on)
{
	int release;
	pid_t pid = start_vforker(&release);

	struct rmr_error *err = rmr_tracee_stop(&tracee, pid, pid, 30000);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_TIMEOUT);
	rmr_error_destroy(err);
	ck_assert(!rmr_tracee_let_go(&tracee));
	close(release);
	wait_for_state(pid, 't');
	ck_assert(rmr_tracee_let_go(&tracee));
	wait_for_state(pid, 'S');
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(a_late_one_may_end)
{
	int release;
	pid_t pid = start_vforker(&release);

	rmr_error_destroy(rmr_tracee_stop(&tracee, pid, pid, 30000));
	kill(pid, SIGKILL);
	for (int i = 0; i < 2000 && !rmr_tracee_let_go(&tracee); i++)
		pause_ms(5);
	ck_assert(rmr_tracee_let_go(&tracee));
	close(release);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tracee");
	TCase *tcase = tcase_create("child");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, the_scheduling_policy_comes_back);
	tcase_add_test(tcase, a_tracee_in_a_call_is_stopped_again);
	suite_add_tcase(suite, tcase);
	TCase *late = tcase_create("late");
	tcase_set_timeout(late, 60);
	tcase_add_test(late, a_late_one_goes_on);
	tcase_add_test(late, a_late_one_may_end);
	suite_add_tcase(suite, late);
	return rmr_run_suite(suite);
}
