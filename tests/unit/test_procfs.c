// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/procfs.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(test_status)
{
	static const char text[] = "Name:\tweird: \\n name\nState:\tt (tracing stop)\nTgid:\t11\n"
				   "TracerPid:\t99\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"
				   "NSpid:\t4711\t12\t3\nVmSize:\t  100 kB\nVmRSS:\t 2048 kB\nThreads:\t51\n"
				   "SigPnd:\t0000000000000001\nShdPnd:\t8000000000000000\n"
				   "SigBlk:\tfffffffe7ffbfeff\nSigIgn:\t0000000001001000\n"
				   "SigCgt:\t0000000180000002\n"
				   "CapPrm:\t000001ffffffffff\nCapEff:\t0000000000080000\nSeccomp:\t2\n"
				   "voluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";
	struct rmr_status status;

	rmr_status_parse(text, &status);
	ck_assert_str_eq(status.name, "weird: \\n name");
	ck_assert_int_eq(status.state, 't');
	ck_assert_int_eq(status.tgid, 11);
	ck_assert_int_eq(status.tracer, 99);
	ck_assert_uint_eq(status.uid[3], 4);
	ck_assert_uint_eq(status.gid[0], 5);
	ck_assert_int_eq(status.inner, 3);
	ck_assert_uint_eq(status.depth, 3);
	ck_assert(status.has_memory);
	ck_assert_uint_eq(status.rss, 2048 * 1024);
	ck_assert_uint_eq(status.threads, 51);
	ck_assert_uint_eq(status.pending, 1);
	ck_assert_uint_eq(status.shared_pending, 1ull << 63);
	ck_assert_uint_eq(status.blocked, 0xfffffffe7ffbfeffull);
	ck_assert_uint_eq(status.ignored, 0x1001000);
	ck_assert_uint_eq(status.caught, 0x180000002);
	ck_assert_uint_eq(status.permitted, 0x1ffffffffff);
	ck_assert_uint_eq(status.effective, 0x80000);
	ck_assert_int_eq(status.seccomp, 2);
	ck_assert_uint_eq(status.switches, 42);
}
END_TEST

START_TEST(test_damaged_status)
{
	static const char *const texts[] = {"", "\n", ":", "NSpid:", "NSpid:\tx", "Uid:\n", "State:",
					    "Name:", "Threads:\t-1", "SigBlk:\tzz", "Tgid"};
	struct rmr_status status;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		rmr_status_parse(texts[i], &status);
		ck_assert_int_eq(status.tracer, 0);
		ck_assert_uint_eq(status.depth, 0);
	}
}
END_TEST

START_TEST(test_own)
{
	struct rmr_status status;
	pid_t *tids;
	size_t count, size;
	char *text;

	ck_assert_int_eq(rmr_status_read("/proc", getpid(), &status), 0);
	ck_assert_int_eq(status.tgid, getpid());
	ck_assert_uint_eq(status.uid[0], getuid());
	ck_assert_int_eq(rmr_procfs_threads("/proc", getpid(), &tids, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(tids[0], getpid());
	free(tids);
	ck_assert_int_eq(rmr_procfs_read("/proc", getpid(), "maps", &text, &size), 0);
	ck_assert_uint_eq(strlen(text), size);
	free(text);
	ck_assert_int_eq(rmr_procfs_read("/proc", getpid(), "no-such-file", &text, &size), ENOENT);
	ck_assert_int_eq(rmr_procfs_number("/proc", "no-such-file"), -1);
	ck_assert_int_gt(rmr_procfs_number("/proc", "sys/kernel/pid_max"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("procfs");
	TCase *tcase = tcase_create("procfs");

	tcase_add_test(tcase, test_status);
	tcase_add_test(tcase, test_damaged_status);
	tcase_add_test(tcase, test_own);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
