// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/limits.h"
#include "tests/unit/forged_root.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void make_limits(void)
{
	make_root();
	put("/proc/loadavg", "0.10 0.20 0.30 1/200 999\n");
	put("/proc/7/limits", "Limit  Soft Limit  Hard Limit  Units\n"
			      "Max stack size            8388608     unlimited   bytes\n"
			      "Max processes             unlimited   unlimited   processes\n"
			      "Max address space         unlimited   unlimited   bytes\n");
}

#define STATUS(uid, caps)                                                                          \
	"Name:\tx\nUid:\t" uid "\t" uid "\t" uid "\t" uid "\nVmSize:\t  102400 kB\nThreads:\t2\n"    \
	"CapEff:\t" caps "\n"

static void refuses(const char *text)
{
	struct rmr_error *err = rmr_limits_check(root, 7);

	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_STATE);
	ck_assert_msg(strstr(err->message, text) != NULL, "%s", err->message);
	ck_assert_ptr_nonnull(err->hint);
	rmr_error_destroy(err);
}

static void limit_processes(const char *limit)
{
	char text[256];

	snprintf(text, sizeof(text), "Max processes             %s   unlimited   processes\n", limit);
	put("/proc/7/limits", text);
}

START_TEST(test_no_limits)
{
	put("/proc/7/status", STATUS("1000", "0000000000000000"));
	ck_assert_ptr_null(rmr_limits_check(root, 7));
}
END_TEST

START_TEST(test_nothing_readable)
{
	ck_assert_ptr_null(rmr_limits_check(root, 8));
}
END_TEST

// All threads of the uid count, wherever they run; those of others do not.
START_TEST(test_processes)
{
	put("/proc/7/status", STATUS("1000", "0000000000000000"));
	put("/proc/8/status", STATUS("1000", "0000000000000000"));
	put("/proc/9/status", STATUS("1001", "0000000000000000"));
	limit_processes("7");
	ck_assert_ptr_null(rmr_limits_check(root, 7));
	limit_processes("6");
	refuses("RLIMIT_NPROC is 6, 4 are in use");
}
END_TEST

START_TEST(test_exempt_from_processes)
{
	limit_processes("1");
	put("/proc/7/status", STATUS("0", "0000000000000000"));
	ck_assert_ptr_null(rmr_limits_check(root, 7));
	put("/proc/7/status", STATUS("1000", "0000000001000000"));
	ck_assert_ptr_null(rmr_limits_check(root, 7));
	put("/proc/7/status", STATUS("1000", "0000000000000001"));
	refuses("RLIMIT_NPROC");
}
END_TEST

START_TEST(test_address_space)
{
	put("/proc/7/status", STATUS("1000", "0000000000000000")); // 100 MB
	put("/proc/7/limits", "Max stack size            8388608     unlimited   bytes\n"
			      "Max address space         121634816   unlimited   bytes\n"); // 116 MB
	ck_assert_ptr_null(rmr_limits_check(root, 7));
	put("/proc/7/limits", "Max stack size            8388608     unlimited   bytes\n"
			      "Max address space         121630720   unlimited   bytes\n");
	refuses("RLIMIT_AS is 115 MB, 100 MB are in use, 16 MB more are needed");
}
END_TEST

START_TEST(test_pids_of_any_level)
{
	put("/proc/7/status", STATUS("0", "0000000000000000"));
	put("/proc/7/cgroup", "0::/pod/app\n");
	put("/sys/fs/cgroup/pod/app/pids.max", "max\n");
	put("/sys/fs/cgroup/pod/pids.max", "12\n");
	put("/sys/fs/cgroup/pod/pids.current", "9\n");
	ck_assert_ptr_null(rmr_limits_check(root, 7));
	put("/sys/fs/cgroup/pod/pids.current", "10\n");
	refuses("pids.max is 12, 10 are in use");
}
END_TEST

START_TEST(test_pids_v1)
{
	put("/proc/7/status", STATUS("0", "0000000000000000"));
	put("/proc/7/cgroup", "5:pids:/app\n0::/\n");
	put("/sys/fs/cgroup/pids/app/pids.max", "4\n");
	put("/sys/fs/cgroup/pids/app/pids.current", "4\n");
	refuses("pids.max is 4, 4 are in use");
	// Several controllers in one hierarchy; one whose name only contains the other's is not it.
	put("/proc/7/cgroup", "5:cpu,pids:/app\n");
	refuses("pids.max is 4, 4 are in use");
	put("/proc/7/cgroup", "5:cpu,xpids:/app\n");
	ck_assert_ptr_null(rmr_limits_check(root, 7));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tcase = tcase_create("limits");

	tcase_add_checked_fixture(tcase, make_limits, remove_root);
	tcase_add_test(tcase, test_no_limits);
	tcase_add_test(tcase, test_nothing_readable);
	tcase_add_test(tcase, test_processes);
	tcase_add_test(tcase, test_exempt_from_processes);
	tcase_add_test(tcase, test_address_space);
	tcase_add_test(tcase, test_pids_of_any_level);
	tcase_add_test(tcase, test_pids_v1);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
