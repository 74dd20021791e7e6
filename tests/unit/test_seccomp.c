// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/seccomp.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define NUMBER LOAD(0)
#define ARG(n) LOAD(16 + 8 * (n))
#define ARG_HIGH(n) LOAD(20 + 8 * (n))
#define KILL SECCOMP_RET_KILL_PROCESS
#define ALLOW SECCOMP_RET_ALLOW
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)

static const struct rmr_seccomp_call call = {
	SYS_socketpair, {AF_UNIX, 0x1122334455667788, RMR_SECCOMP_ANY, 4, 5, 6}};

/* What a program of one load or calculation leaves in A. */
#define RESULT(...)                                                                                \
	({                                                                                         \
		const struct sock_filter code_[] = {__VA_ARGS__, BPF_STMT(BPF_RET | BPF_A, 0)};    \
		rmr_seccomp_run(code_, COUNT(code_), &call);                                       \
	})

START_TEST(test_loads)
{
	ck_assert_uint_eq(RESULT(NUMBER), SYS_socketpair);
	ck_assert_uint_eq(RESULT(LOAD(4)), AUDIT_ARCH_X86_64);
	ck_assert_uint_eq(RESULT(ARG(0)), AF_UNIX);
	ck_assert_uint_eq(RESULT(ARG(1)), 0x55667788);
	ck_assert_uint_eq(RESULT(ARG_HIGH(1)), 0x11223344);
	ck_assert_uint_eq(RESULT(ARG(5)), 6);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0)), 64);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0),
				 BPF_STMT(BPF_MISC | BPF_TXA, 0)), 64);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_LD | BPF_IMM, 7), BPF_STMT(BPF_ST, 15),
				 BPF_STMT(BPF_LDX | BPF_MEM, 15), BPF_STMT(BPF_LD | BPF_IMM, 3),
				 BPF_STMT(BPF_STX, 0), BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
				 BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | BPF_MEM, 0),
				 BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0)), 3);
}
END_TEST

START_TEST(test_unknown)
{
	ck_assert_uint_eq(RESULT(ARG(2)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(ARG_HIGH(2)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(LOAD(8)), RMR_SECCOMP_UNKNOWN); /* the instruction pointer */
	ck_assert_uint_eq(RESULT(LOAD(64)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(LOAD(2)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(LOAD(0xfffffffc)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_LD | BPF_MEM, 16)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_ST, 0xffffffff)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_RET | BPF_X, 0)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_STMT(0xffff, 0)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(rmr_seccomp_run(NULL, 0, &call), RMR_SECCOMP_UNKNOWN);
	/* Runs off the end, at once and by jumps. */
	ck_assert_uint_eq(rmr_seccomp_run((struct sock_filter[]){NUMBER}, 1, &call),
			  RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_JMP | BPF_JA, 1)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff)), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 255, 255)),
			  RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_JMP | 0xf0, 0)), RMR_SECCOMP_UNKNOWN);
}
END_TEST

static uint32_t calculate(uint16_t operation, uint32_t a, uint32_t b)
{
	const struct sock_filter by_constant[] = {BPF_STMT(BPF_LD | BPF_IMM, a),
						  BPF_STMT(BPF_ALU | operation | BPF_K, b),
						  BPF_STMT(BPF_RET | BPF_A, 0)};
	const struct sock_filter by_register[] = {
		BPF_STMT(BPF_LD | BPF_IMM, a), BPF_STMT(BPF_LDX | BPF_IMM, b),
		BPF_STMT(BPF_ALU | operation | BPF_X, 0), BPF_STMT(BPF_RET | BPF_A, 0)};
	uint32_t ret = rmr_seccomp_run(by_constant, COUNT(by_constant), &call);

	ck_assert_uint_eq(rmr_seccomp_run(by_register, COUNT(by_register), &call), ret);
	return ret;
}

START_TEST(test_arithmetic)
{
	ck_assert_uint_eq(calculate(BPF_ADD, 0xffffffff, 2), 1);
	ck_assert_uint_eq(calculate(BPF_SUB, 1, 2), 0xffffffff);
	ck_assert_uint_eq(calculate(BPF_MUL, 0x10001, 0x10001), 0x20001);
	ck_assert_uint_eq(calculate(BPF_DIV, 0xfffffffe, 2), 0x7fffffff);
	ck_assert_uint_eq(calculate(BPF_DIV, 1, 0), RMR_SECCOMP_UNKNOWN);
	ck_assert_uint_eq(calculate(BPF_AND, 0xff0, 0x1ff), 0x1f0);
	ck_assert_uint_eq(calculate(BPF_OR, 0xf00, 0xf), 0xf0f);
	ck_assert_uint_eq(calculate(BPF_XOR, 0xff, 0xf), 0xf0);
	ck_assert_uint_eq(calculate(BPF_LSH, 3, 31), 0x80000000);
	ck_assert_uint_eq(calculate(BPF_RSH, 0x80000000, 31), 1);
	ck_assert_uint_eq(calculate(BPF_NEG, 1, 0), 0xffffffff);
	ck_assert_uint_eq(calculate(BPF_MOD, 7, 4), RMR_SECCOMP_UNKNOWN); /* no kernel takes it */
}
END_TEST

static bool jumps(uint16_t operation, uint32_t a, uint32_t b)
{
	const struct sock_filter by_constant[] = {
		BPF_STMT(BPF_LD | BPF_IMM, a), BPF_JUMP(BPF_JMP | operation | BPF_K, b, 1, 0), RETURN(0),
		RETURN(1)};
	const struct sock_filter by_register[] = {
		BPF_STMT(BPF_LD | BPF_IMM, a), BPF_STMT(BPF_LDX | BPF_IMM, b),
		BPF_JUMP(BPF_JMP | operation | BPF_X, 0, 1, 0), RETURN(0), RETURN(1)};
	uint32_t ret = rmr_seccomp_run(by_constant, COUNT(by_constant), &call);

	ck_assert_uint_eq(rmr_seccomp_run(by_register, COUNT(by_register), &call), ret);
	ck_assert_uint_le(ret, 1);
	return ret;
}

START_TEST(test_jumps)
{
	ck_assert(jumps(BPF_JEQ, 5, 5) && !jumps(BPF_JEQ, 5, 6));
	ck_assert(jumps(BPF_JGT, 0xffffffff, 1) && !jumps(BPF_JGT, 5, 5));
	ck_assert(jumps(BPF_JGE, 5, 5) && !jumps(BPF_JGE, 5, 0x80000000));
	ck_assert(jumps(BPF_JSET, 6, 2) && !jumps(BPF_JSET, 6, 9));
	ck_assert_uint_eq(RESULT(BPF_STMT(BPF_LD | BPF_IMM, 3), BPF_STMT(BPF_JMP | BPF_JA, 1),
				 RETURN(9)), 3);
}
END_TEST

/* A filter that answers one call by @p verdict and lets the others pass. */
static void add_for(struct rmr_seccomp *seccomp, uint32_t number, uint32_t verdict)
{
	const struct sock_filter code[] = {NUMBER, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
					   RETURN(verdict), RETURN(ALLOW)};

	rmr_seccomp_add(seccomp, code, COUNT(code));
}

/* The name of the call that a single such filter makes remora refuse; "" if it does not. */
static const char *refused(uint32_t number, uint32_t verdict)
{
	struct rmr_seccomp seccomp;
	struct rmr_seccomp_refusal refusal;

	rmr_seccomp_init(&seccomp, 100);
	add_for(&seccomp, number, verdict);
	if (!rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal))
		return "";
	ck_assert_uint_eq(refusal.verdict, verdict);
	ck_assert_ptr_nonnull(refusal.need);
	return refusal.name;
}

START_TEST(test_verdicts)
{
	static const uint32_t bad[] = {KILL, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, 0x7fc00000,
				       SECCOMP_RET_TRACE, SECCOMP_RET_ERRNO, RMR_SECCOMP_UNKNOWN,
				       0x12340000};

	for (size_t i = 0; i < COUNT(bad); i++) {
		ck_assert_str_eq(refused(SYS_socketpair, bad[i]), "socketpair");
		ck_assert_str_eq(refused(SYS_madvise, bad[i]), "madvise");
		ck_assert_str_eq(refused(435, bad[i]), "clone3");
		ck_assert_str_eq(refused(SYS_clone, bad[i]), "clone");
		ck_assert_str_eq(refused(SYS_ptrace, bad[i]), "");
	}
	ck_assert_str_eq(refused(SYS_socketpair, REFUSE), "socketpair");
	ck_assert_str_eq(refused(SYS_madvise, REFUSE), "");
	ck_assert_str_eq(refused(334, REFUSE), "rseq");
	ck_assert_str_eq(refused(435, REFUSE), "clone3");
	ck_assert_str_eq(refused(435, SECCOMP_RET_ERRNO | ENOSYS), "");
	ck_assert_str_eq(refused(SYS_clone, REFUSE), "clone");
	ck_assert_str_eq(refused(SYS_socketpair, SECCOMP_RET_LOG), "");
	ck_assert_str_eq(refused(SYS_socketpair, ALLOW | 1), "");
}
END_TEST

START_TEST(test_clone)
{
	struct rmr_seccomp seccomp;
	struct rmr_seccomp_refusal refusal;

	rmr_seccomp_init(&seccomp, 100);
	add_for(&seccomp, SYS_clone, REFUSE);
	ck_assert(!rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_ATTACH, &refusal));
	ck_assert(!rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_DUMP, &refusal));
	ck_assert(rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));
	add_for(&seccomp, 435, SECCOMP_RET_ERRNO | ENOSYS);
	ck_assert(rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_ATTACH, &refusal));
	ck_assert_str_eq(refusal.name, "clone");

	/* An old C library never calls clone3. */
	rmr_seccomp_init(&seccomp, 100);
	add_for(&seccomp, 435, KILL);
	seccomp.old_libc = true;
	ck_assert(!rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));
	add_for(&seccomp, SYS_clone, REFUSE);
	ck_assert(rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));

	rmr_seccomp_init(&seccomp, 100);
	add_for(&seccomp, SYS_open, KILL);
	ck_assert(!rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_ATTACH, &refusal));
	ck_assert(rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_DUMP, &refusal));

	rmr_seccomp_init(&seccomp, 100);
	ck_assert(rmr_seccomp_restarts(&seccomp));
	add_for(&seccomp, SYS_restart_syscall, REFUSE);
	ck_assert(!rmr_seccomp_restarts(&seccomp));
	ck_assert(!rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));

	/* One that could not register rseq does not try again. */
	rmr_seccomp_init(&seccomp, 100);
	add_for(&seccomp, 334, KILL);
	seccomp.no_rseq = true;
	ck_assert(!rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));
}
END_TEST

START_TEST(test_strictest)
{
	static const uint32_t order[] = {KILL, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, REFUSE};
	struct rmr_seccomp_refusal refusal;
	struct rmr_seccomp seccomp;

	for (size_t i = 0; i + 1 < COUNT(order); i++) {
		for (int swapped = 0; swapped < 2; swapped++) {
			rmr_seccomp_init(&seccomp, 100);
			add_for(&seccomp, SYS_close, order[i + (size_t)swapped]);
			add_for(&seccomp, SYS_close, order[i + 1 - (size_t)swapped]);
			add_for(&seccomp, SYS_close, SECCOMP_RET_LOG);
			ck_assert(rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));
			ck_assert_uint_eq(refusal.verdict, order[i]);
		}
	}
	/* Among equals the newest counts. */
	rmr_seccomp_init(&seccomp, 100);
	add_for(&seccomp, 435, REFUSE);
	add_for(&seccomp, 435, SECCOMP_RET_ERRNO | ENOSYS);
	ck_assert(!rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));
}
END_TEST

START_TEST(test_arguments)
{
	/* As systemd's MemoryDenyWriteExecute, and a filter of namespaces: nothing of ours. */
	static const struct sock_filter harmless[] = {
		NUMBER,
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 4),
		ARG(2),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 1),
		RETURN(KILL),
		NUMBER,
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		ARG(0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x7e020000, 0, 1),
		RETURN(KILL),
		RETURN(ALLOW)};
	/* Only AF_INET, and only signals to oneself. */
	static const struct sock_filter family[] = {
		NUMBER,
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socketpair, 0, 3),
		ARG(0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
		RETURN(KILL),
		RETURN(ALLOW)};
	static const struct sock_filter self[] = {
		NUMBER,
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 5),
		ARG_HIGH(0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2),
		ARG(0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 100, 1, 0),
		RETURN(KILL),
		RETURN(ALLOW)};
	struct rmr_seccomp_refusal refusal;
	struct rmr_seccomp seccomp;

	rmr_seccomp_init(&seccomp, 100);
	rmr_seccomp_add(&seccomp, harmless, COUNT(harmless));
	rmr_seccomp_add(&seccomp, self, COUNT(self));
	ck_assert(!rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));
	rmr_seccomp_add(&seccomp, family, COUNT(family));
	ck_assert(rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));
	ck_assert_str_eq(refusal.name, "socketpair");
	rmr_seccomp_init(&seccomp, 101);
	rmr_seccomp_add(&seccomp, self, COUNT(self));
	ck_assert(rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal));
	ck_assert_str_eq(refusal.name, "tgkill");
}
END_TEST

static char root[64];

static void forge(pid_t pid, const char *status, const char *mounts)
{
	char path[192];

	snprintf(path, sizeof(path), "mkdir -p %s/%d/task/%d %s/%d/ns", root, (int)pid, (int)pid, root,
		 (int)pid);
	ck_assert_int_eq(system(path), 0);
	snprintf(path, sizeof(path), "%s/%d/task/%d/status", root, (int)pid, (int)pid);
	FILE *file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fputs(status, file);
	fclose(file);
	snprintf(path, sizeof(path), "%s/%d/ns/mnt", root, (int)pid);
	unlink(path);
	ck_assert_int_eq(symlink(mounts, path), 0);
}

START_TEST(test_shared)
{
	static const char two[] = "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t2\nEnd:\t1\n";
	static const char one[] = "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\nEnd:\t1\n";
	static const char none[] = "Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\nEnd:\t1\n";
	static const char old[] = "Name:\tx\nSeccomp:\t2\n";
	pid_t own = getpid(), other = own + 1;
	char command[128];

	strcpy(root, "/tmp/test_seccomp.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	forge(1, one, "mnt:[1]");
	forge(own, one, "mnt:[1]");
	forge(other, one, "mnt:[1]");
	ck_assert(rmr_seccomp_is_shared(root, other, other));
	forge(other, one, "mnt:[2]");
	ck_assert(!rmr_seccomp_is_shared(root, other, other));
	forge(other, two, "mnt:[1]");
	ck_assert(!rmr_seccomp_is_shared(root, other, other));
	forge(own, two, "mnt:[1]");
	ck_assert(!rmr_seccomp_is_shared(root, other, other));
	forge(1, none, "mnt:[1]");
	forge(own, none, "mnt:[1]");
	forge(other, none, "mnt:[1]");
	ck_assert(!rmr_seccomp_is_shared(root, other, other));
	forge(1, old, "mnt:[1]");
	forge(own, old, "mnt:[1]");
	forge(other, old, "mnt:[1]");
	ck_assert(!rmr_seccomp_is_shared(root, other, other));
	ck_assert(!rmr_seccomp_is_shared(root, other + 1, other + 1));
	snprintf(command, sizeof(command), "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seccomp");
	TCase *tcase = tcase_create("seccomp");

	tcase_add_test(tcase, test_loads);
	tcase_add_test(tcase, test_unknown);
	tcase_add_test(tcase, test_arithmetic);
	tcase_add_test(tcase, test_jumps);
	tcase_add_test(tcase, test_verdicts);
	tcase_add_test(tcase, test_clone);
	tcase_add_test(tcase, test_strictest);
	tcase_add_test(tcase, test_arguments);
	tcase_add_test(tcase, test_shared);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
