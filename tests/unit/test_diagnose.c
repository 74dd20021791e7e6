// SPDX-License-Identifier: GPL-3.0-or-later
/* Each rule by which the kernel may refuse, on a forged /proc. */
#include "attach/diagnose.h"
#include "tests/unit/forged_root.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A status file of @p uid, whose capabilities are @p caps. */
static void put_status(const char *who, const char *name, unsigned uid, const char *caps,
		       const char *more)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/%s/status", who);
	snprintf(text, sizeof(text),
		 "Name:\t%s\nState:\tS (sleeping)\nTgid:\t7\nUid:\t%u\t%u\t%u\t%u\n"
		 "Gid:\t%u\t%u\t%u\t%u\nCapPrm:\t%s\nCapEff:\t%s\n%s",
		 name, uid, uid, uid, uid, uid, uid, uid, uid, caps, caps, more);
	put(path, text);
}

static void put_namespace(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/self/ns", root);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	strcat(path, "/user");
	ck_assert_int_eq(symlink(name, path), 0);
}

#define NO_CAPS "0000000000000000"
#define PTRACE_CAP "0000000000080000"

/* The forged /proc/7 belongs to whoever runs this test: that is what a dumpable process looks like. */
static const struct {
	const char *name;
	unsigned target_uid; /* 0 = whoever runs this */
	unsigned self_uid;
	const char *target_caps;
	const char *self_caps;
	const char *yama;     /* NULL = not in the kernel */
	const char *user_ns;  /* NULL = the initial one */
	const char *self_more;
	enum rmr_diagnose_step step;
	const char *message; /* a part of it */
	const char *hint;
} rules[] = {
	{"other user", 4000000001, 4000000002, NO_CAPS, NO_CAPS, NULL, NULL, "", RMR_DIAGNOSE_READ,
	 "it runs as another user (uid 4000000001), remora as uid 4000000002", "as root"},
	{"root without capability", 4000000001, 0, NO_CAPS, NO_CAPS, NULL, NULL, "",
	 RMR_DIAGNOSE_READ, "uid 4000000001", "CAP_SYS_PTRACE"},
	{"not dumpable", 4000000002, 4000000002, NO_CAPS, NO_CAPS, NULL, NULL, "",
	 RMR_DIAGNOSE_READ, "not dumpable", "as root"},
	{"capabilities", 0, 0, PTRACE_CAP, NO_CAPS, NULL, NULL, "", RMR_DIAGNOSE_READ,
	 "capabilities that remora lacks", "CAP_SYS_PTRACE"},
	{"yama 1", 0, 0, NO_CAPS, NO_CAPS, "1\n", NULL, "", RMR_DIAGNOSE_READ,
	 "kernel.yama.ptrace_scope is 1", "sysctl kernel.yama.ptrace_scope=0"},
	{"yama 2", 0, 0, NO_CAPS, NO_CAPS, "2\n", NULL, "", RMR_DIAGNOSE_TRACE,
	 "kernel.yama.ptrace_scope is 2", "sysctl"},
	{"yama 3, capable", 0, 0, NO_CAPS, PTRACE_CAP, "3\n", NULL, "", RMR_DIAGNOSE_READ,
	 "kernel.yama.ptrace_scope is 3", "next boot"},
	{"yama 0", 0, 0, NO_CAPS, NO_CAPS, "0\n", NULL, "", RMR_DIAGNOSE_READ, "security module",
	 "dmesg"},
	{"user namespace", 0, 0, NO_CAPS, PTRACE_CAP, NULL, "user:[4026532999]", "",
	 RMR_DIAGNOSE_READ, "outside remora's user namespace", "outside the container"},
	{"user namespace, no capability", 0, 0, NO_CAPS, NO_CAPS, NULL, "user:[4026532999]", "",
	 RMR_DIAGNOSE_READ, "user namespace", "outside the container"},
	{"own seccomp filter", 0, 0, NO_CAPS, PTRACE_CAP, NULL, NULL, "Seccomp:\t2\n",
	 RMR_DIAGNOSE_TRACE, "seccomp filter forbids ptrace to remora", "seccomp=unconfined"},
	{"own seccomp filter, but it cannot be read", 0, 0, NO_CAPS, PTRACE_CAP, NULL, NULL,
	 "Seccomp:\t2\n", RMR_DIAGNOSE_READ, "security module", "dmesg"},
	{"security module", 0, 0, NO_CAPS, PTRACE_CAP, "1\n", "user:[4026531837]", "",
	 RMR_DIAGNOSE_READ, "security module", "dmesg"},
};

START_TEST(test_rule)
{
	unsigned own = getuid();
	unsigned target = rules[_i].target_uid ? rules[_i].target_uid : own;
	unsigned self = rules[_i].self_uid ? rules[_i].self_uid : 0;

	if (!rules[_i].target_uid)
		self = own;
	put_status("7", "python3", target, rules[_i].target_caps, "");
	put_status("self", "remora", self, rules[_i].self_caps, rules[_i].self_more);
	if (rules[_i].yama)
		put("/sys/kernel/yama/ptrace_scope", rules[_i].yama);
	if (rules[_i].user_ns)
		put_namespace(rules[_i].user_ns);
	struct rmr_error *err = rmr_diagnose_attach(root, 7, rules[_i].step, EPERM);
	ck_assert_int_eq(err->code, RMR_E_PERMISSION);
	ck_assert_msg(strstr(err->message, rules[_i].message) != NULL, "%s: %s", rules[_i].name,
		      err->message);
	ck_assert_ptr_nonnull(strstr(err->message, "process 7"));
	ck_assert_ptr_null(strchr(err->message, '\n'));
	ck_assert_msg(strstr(err->hint, rules[_i].hint) != NULL, "%s: %s", rules[_i].name, err->hint);
	rmr_error_destroy(err);
}
END_TEST

START_TEST(test_traced)
{
	put_status("7", "python3", getuid(), NO_CAPS, "TracerPid:\t12\n");
	put_status("12", "gdb", getuid(), NO_CAPS, "");
	put_status("self", "remora", getuid(), PTRACE_CAP, "");
	struct rmr_error *err = rmr_diagnose_attach(root, 7, RMR_DIAGNOSE_TRACE, EPERM);
	ck_assert_int_eq(err->code, RMR_E_TRACED);
	ck_assert_str_eq(err->message, "process 7 is already traced by process 12 (gdb)");
	ck_assert_ptr_nonnull(err->hint);
	rmr_error_destroy(err);
}
END_TEST

START_TEST(test_gone)
{
	struct rmr_error *err = rmr_diagnose_attach(root, 7, RMR_DIAGNOSE_READ, EACCES);

	ck_assert_int_eq(err->code, RMR_E_GONE);
	rmr_error_destroy(err);
	put_status("7", "python3", getuid(), NO_CAPS, "");
	err = rmr_diagnose_attach(root, 7, RMR_DIAGNOSE_TRACE, ESRCH);
	ck_assert_int_eq(err->code, RMR_E_GONE);
	rmr_error_destroy(err);
	err = rmr_diagnose_attach(root, 7, RMR_DIAGNOSE_READ, EMFILE);
	ck_assert_int_eq(err->code, RMR_E_OS);
	rmr_error_destroy(err);
}
END_TEST

static const struct {
	const char *cgroup;
	const char *path; /* of the file that tells */
	const char *text;
	bool frozen;
} freezers[] = {
	{"0::/app\n", "/cg/app/cgroup.events", "populated 1\nfrozen 1\n", true},
	{"0::/app\n", "/cg/app/cgroup.events", "populated 1\nfrozen 0\n", false},
	{"0::/app\n", "/cg/other/cgroup.events", "frozen 1\n", false},
	{"4:memory:/a\n3:freezer:/docker/x\n0::/\n", "/cg/freezer/docker/x/freezer.state",
	 "FROZEN\n", true},
	{"3:freezer:/docker/x", "/cg/freezer/docker/x/freezer.state", "FREEZING\n", true},
	{"3:freezer:/docker/x\n", "/cg/freezer/docker/x/freezer.state", "THAWED\n", false},
	{"3:freezer:/\n0::/app\n", "/cg/unified/app/cgroup.events", "frozen 1\n", true},
	{"", "/cg/cgroup.events", "frozen 1\n", false},
	{"nonsense\n:\n::\n0::\n", "/cg/x", "", false},
};

START_TEST(test_frozen)
{
	char cgroups[128];

	put("/7/cgroup", freezers[_i].cgroup);
	put(freezers[_i].path, freezers[_i].text);
	snprintf(cgroups, sizeof(cgroups), "%s/cg", root);
	struct rmr_error *err = rmr_diagnose_frozen(root, cgroups, 7);
	ck_assert_int_eq(err != NULL, freezers[_i].frozen);
	if (err)
		ck_assert_int_eq(err->code, RMR_E_STATE);
	rmr_error_destroy(err);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diagnose");
	TCase *tcase = tcase_create("diagnose");

	tcase_add_checked_fixture(tcase, make_root, remove_root);
	tcase_add_loop_test(tcase, test_rule, 0, sizeof(rules) / sizeof(rules[0]));
	tcase_add_test(tcase, test_traced);
	tcase_add_test(tcase, test_gone);
	tcase_add_loop_test(tcase, test_frozen, 0, sizeof(freezers) / sizeof(freezers[0]));
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
