// SPDX-License-Identifier: GPL-3.0-or-later
/* Which program a process runs: a child that stands between vfork() and exec for as long as we like. */
#include "attach/cleanup.h"
#include "attach/program.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

static char folder[] = "/tmp/remora-program-XXXXXX", fifo[64];
static pid_t child;
static struct rmr_target target;

/* posix_spawn() returns when its child has begun the program; before, that waits for the FIFO's other end. */
static void *spawn(void *unused)
{
	static char *const argv[] = {(char *)"sleep", (char *)"60", NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 9, fifo, O_RDONLY, 0);
	ck_assert_int_eq(posix_spawn(&pid, "/bin/sleep", &actions, NULL, argv, NULL), 0);
	posix_spawn_file_actions_destroy(&actions);
	return unused;
}

static bool read_first(const char *path, char *text, size_t size)
{
	return rmr_procfs_read_small(path, text, size) == 0 && text[0];
}

/* The only child that we have. */
static pid_t find_child(void)
{
	char path[64], text[64];
	_rmr_free_ pid_t *tids = NULL;
	size_t count = 0;

	ck_assert_int_eq(rmr_procfs_threads("/proc", getpid(), &tids, &count), 0);
	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)tids[i]);
		if (read_first(path, text, sizeof(text)))
			return (pid_t)atoi(text);
	}
	return 0;
}

static bool runs_sleep(void)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)child);
	return read_first(path, text, sizeof(text)) && strncmp(text, "sleep", 5) == 0;
}

static bool has_child(void)
{
	child = find_child();
	return child != 0;
}

static void wait_until(bool (*condition)(void))
{
	for (int ms = 0; !condition(); ms++) {
		ck_assert_int_lt(ms, PATIENCE_MS);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

static void open_memory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)child);
	target.pid = child;
	target.memory = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(target.memory, 0);
	ck_assert_ptr_null(rmr_program_init(&target));
	ck_assert_uint_ne(target.random, 0);
}

START_TEST(test_vfork_and_exec)
{
	pthread_t thread;
	unsigned char byte;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, spawn, NULL), 0);
	wait_until(has_child);

	open_memory();
	ck_assert(rmr_program_is_current(&target));
	ck_assert(rmr_program_is_borrowed(&target, getpid()));
	ck_assert(!rmr_program_is_borrowed(&target, getppid()));

	int other_end = open(fifo, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(other_end, 0);
	pthread_join(thread, NULL);
	wait_until(runs_sleep);
	/* What was opened is ours, and as readable as before. */
	ck_assert(rmr_target_reader(&target, target.random, &byte, 1));
	ck_assert(!rmr_program_is_current(&target));
	ck_assert(!rmr_program_is_borrowed(&target, getpid()));
	close(target.memory);

	open_memory();
	ck_assert(rmr_program_is_current(&target));
	close(target.memory);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(other_end);
	unlink(fifo);
	rmdir(folder);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("program");
	TCase *tc = tcase_create("program");

	tcase_add_test(tc, test_vfork_and_exec);
	suite_add_tcase(suite, tc);
	return rmr_run_suite(suite);
}
