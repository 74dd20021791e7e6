// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/headroom.h"
#include "tests/unit/forged_root.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB (UINT64_C(1) << 20)

static struct rmr_headroom found(void)
{
	struct rmr_headroom headroom;

	rmr_headroom_find(root, 7, &headroom);
	return headroom;
}

START_TEST(test_no_limit)
{
	put("/proc/7/cgroup", "0::/app\n");
	put("/sys/fs/cgroup/app/memory.max", "max\n");
	put("/sys/fs/cgroup/app/memory.current", "1048576\n");
	struct rmr_headroom headroom = found();
	ck_assert_uint_eq(headroom.count, 0);
	ck_assert_uint_eq(rmr_headroom_left(&headroom, NULL), UINT64_MAX);
	ck_assert_ptr_null(rmr_headroom_check(&headroom));
}
END_TEST

START_TEST(test_no_cgroup)
{
	struct rmr_headroom headroom = found();
	ck_assert_uint_eq(headroom.count, 0);
}
END_TEST

// The tightest of all levels counts, and page cache that can be dropped is room.
START_TEST(test_v2_levels)
{
	uint64_t limit = 0;

	put("/proc/7/cgroup", "0::/pod/app\n");
	put("/sys/fs/cgroup/pod/app/memory.max", "1073741824\n");
	put("/sys/fs/cgroup/pod/app/memory.current", "104857600\n");
	put("/sys/fs/cgroup/pod/memory.max", "536870912\n");
	put("/sys/fs/cgroup/pod/memory.current", "524288000\n");
	put("/sys/fs/cgroup/pod/memory.stat", "anon 1\ninactive_file 104857600\nfile 2\n");
	struct rmr_headroom headroom = found();
	ck_assert_uint_eq(headroom.count, 2);
	ck_assert_uint_eq(rmr_headroom_left(&headroom, &limit), 536870912 - 524288000 + 104857600);
	ck_assert_uint_eq(limit, 536870912);
	ck_assert_ptr_null(rmr_headroom_check(&headroom));
}
END_TEST

START_TEST(test_refusal_has_the_figures)
{
	put("/proc/7/cgroup", "0::/app\n");
	put("/proc/7/statm", "1000 25600 0 0 0 0 0\n"); // 100 MB
	put("/sys/fs/cgroup/app/memory.max", "209715200\n");
	put("/sys/fs/cgroup/app/memory.current", "188743680\n");
	struct rmr_headroom headroom = found();
	ck_assert_uint_eq(rmr_headroom_needed(&headroom), 37 * MB);
	struct rmr_error *err = rmr_headroom_check(&headroom);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_NO_MEMORY);
	ck_assert_ptr_nonnull(strstr(err->message, "20 MB are left"));
	ck_assert_ptr_nonnull(strstr(err->message, "200 MB"));
	ck_assert_ptr_nonnull(strstr(err->message, "37 MB are needed"));
	ck_assert_ptr_nonnull(err->hint);
	rmr_error_destroy(err);
}
END_TEST

// Where running out kills the whole group, twice as much must be left.
START_TEST(test_oom_group)
{
	put("/proc/7/cgroup", "0::/app\n");
	put("/sys/fs/cgroup/app/memory.max", "209715200\n");
	put("/sys/fs/cgroup/app/memory.current", "157286400\n"); // 50 MB left
	struct rmr_headroom headroom = found();
	ck_assert_ptr_null(rmr_headroom_check(&headroom));
	put("/sys/fs/cgroup/app/memory.oom.group", "1\n");
	headroom = found();
	struct rmr_error *err = rmr_headroom_check(&headroom);
	ck_assert_ptr_nonnull(err);
	ck_assert_ptr_nonnull(strstr(err->message, "whole group"));
	rmr_error_destroy(err);
}
END_TEST

START_TEST(test_v1)
{
	put("/proc/7/cgroup", "9:name=systemd:/x\n4:memory:/app\n0::/\n");
	put("/sys/fs/cgroup/memory/app/memory.limit_in_bytes", "209715200\n");
	put("/sys/fs/cgroup/memory/app/memory.usage_in_bytes", "104857600\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	struct rmr_headroom headroom = found();
	ck_assert_uint_eq(headroom.count, 1);
	ck_assert_uint_eq(rmr_headroom_left(&headroom, NULL), 104857600);
}
END_TEST

// The watch ends a twin when less than the floor is left, and only then.
START_TEST(test_watch)
{
	put("/proc/7/cgroup", "0::/app\n");
	put("/sys/fs/cgroup/app/memory.max", "209715200\n");
	put("/sys/fs/cgroup/app/memory.current", "104857600\n");
	struct rmr_headroom headroom = found();
	pid_t twin = fork();
	if (twin == 0) {
		pause();
		_exit(0);
	}
	struct rmr_headroom_watch *watch = rmr_headroom_watch_start(&headroom, twin, -1);
	ck_assert_ptr_nonnull(watch);
	ck_assert(!rmr_headroom_watch_stop(watch));
	ck_assert_int_eq(waitpid(twin, NULL, WNOHANG), 0);

	put("/sys/fs/cgroup/app/memory.current", "208666624\n");
	watch = rmr_headroom_watch_start(&headroom, twin, -1);
	int status;
	ck_assert_int_eq(waitpid(twin, &status, 0), twin); // Check's time limit ends a hang
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert(rmr_headroom_watch_stop(watch));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("headroom");
	TCase *tcase = tcase_create("headroom");

	tcase_add_checked_fixture(tcase, make_root, remove_root);
	tcase_add_test(tcase, test_no_limit);
	tcase_add_test(tcase, test_no_cgroup);
	tcase_add_test(tcase, test_v2_levels);
	tcase_add_test(tcase, test_refusal_has_the_figures);
	tcase_add_test(tcase, test_oom_group);
	tcase_add_test(tcase, test_v1);
	tcase_add_test(tcase, test_watch);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
