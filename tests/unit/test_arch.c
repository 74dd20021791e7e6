// SPDX-License-Identifier: GPL-3.0-or-later
/* Registers, stubs and the signal frame. The frame is proven by the kernel: a child returns by it. */
#include "attach/arch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rmr_regs in_call(long number, long result)
{
	struct rmr_regs regs = {0};

	regs.raw.orig_rax = (unsigned long)number;
	regs.raw.rax = (unsigned long)result;
	regs.raw.rip = 0x1002;
	regs.raw.rsp = 0x7fff0000;
	return regs;
}

static const struct {
	long number, result;
	enum rmr_restart restart;
} calls[] = {
	{SYS_read, -512, RMR_RESTART_AGAIN},
	{SYS_read, -513, RMR_RESTART_AGAIN},
	{SYS_ppoll, -514, RMR_RESTART_AGAIN},
	{SYS_poll, -516, RMR_RESTART_BLOCK},
	{SYS_epoll_wait, -EINTR, RMR_RESTART_EINTR},
	{SYS_recvfrom, -EINTR, RMR_RESTART_EINTR},
	{SYS_semtimedop, -EINTR, RMR_RESTART_EINTR},
	{SYS_close, -EINTR, RMR_RESTART_NONE},
	{SYS_nanosleep, -EINTR, RMR_RESTART_NONE},
	{SYS_read, 12, RMR_RESTART_NONE},
	{SYS_read, -EAGAIN, RMR_RESTART_NONE},
	{-1, -512, RMR_RESTART_NONE},
	{-1, -EINTR, RMR_RESTART_NONE},
};

START_TEST(test_restart)
{
	struct rmr_regs regs = in_call(calls[_i].number, calls[_i].result);

	ck_assert_int_eq(rmr_arch_restart(&regs), calls[_i].restart);
	rmr_arch_reissue(&regs);
	ck_assert_int_eq((long)regs.raw.rax, calls[_i].number);
	ck_assert_uint_eq(regs.raw.rip, 0x1000);
	ck_assert_int_eq(rmr_arch_syscall(&regs), -1);
}
END_TEST

START_TEST(test_kinds_of_calls)
{
	ck_assert(rmr_arch_is_forbidden(SYS_mmap));
	ck_assert(rmr_arch_is_forbidden(SYS_setgroups));
	ck_assert(rmr_arch_is_forbidden(SYS_clone3));
	ck_assert(!rmr_arch_is_forbidden(SYS_read));
	ck_assert(!rmr_arch_is_forbidden(-1));
	ck_assert(rmr_arch_is_wait(SYS_epoll_wait));
	ck_assert(rmr_arch_is_wait(SYS_restart_syscall));
	ck_assert(!rmr_arch_is_wait(SYS_futex));
	ck_assert(rmr_arch_is_futex(SYS_futex));
	ck_assert(!rmr_arch_is_futex(-1));
}
END_TEST

START_TEST(test_find)
{
	static const unsigned char code[] = {0x90, 0x0f, 0x05, 0x90, 0x0f, 0x05, 0xc3, 0x48, 0xc7,
					     0xc0, 0x0f, 0,    0,    0,	   0x0f, 0x05};
	/* mov 0x10(%rip), %eax */
	static const unsigned char load[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x8b, 0x05, 0x10, 0, 0, 0};
	/* mov 0x10(%rip), %rax */
	static const unsigned char wide[] = {0x48, 0x8b, 0x05, 0x10, 0, 0, 0};

	ck_assert_int_eq(rmr_arch_find_syscall(code, sizeof(code)), 4);
	ck_assert_int_eq(rmr_arch_find_syscall(code, 6), -1);
	ck_assert_int_eq(rmr_arch_find_restorer(code, sizeof(code)), 7);
	ck_assert_int_eq(rmr_arch_find_restorer(code, sizeof(code) - 1), -1);
	ck_assert_uint_eq(rmr_arch_find_load(load, sizeof(load), 0x1000), 0x1000 + 10 + 0x10);
	ck_assert_uint_eq(rmr_arch_find_load(load + 4, sizeof(load) - 4, 0x1000), 0x1000 + 6 + 0x10);
	ck_assert_uint_eq(rmr_arch_find_load(load, 9, 0x1000), 0);
	ck_assert_uint_eq(rmr_arch_find_load(wide, sizeof(wide), 0x1000), 0x1000 + 7 + 0x10);
	ck_assert_uint_eq(rmr_arch_find_load(wide, sizeof(wide) - 1, 0x1000), 0);
	ck_assert_uint_eq(rmr_arch_find_load(code, sizeof(code), 0x1000), 0);
}
END_TEST

/* The stubs' bytes run here, with functions of ours in the place of the C library's. */
static unsigned long stub_seen[4];

static long fake_create(void *thread, void *attr, void *entry, void *region)
{
	stub_seen[0] = (unsigned long)thread;
	stub_seen[1] = (unsigned long)attr;
	stub_seen[2] = (unsigned long)entry;
	stub_seen[3] = (unsigned long)region;
	return 42;
}

static int fake_ensure(void)
{
	stub_seen[0]++;
	return 77;
}

static void fake_init(void)
{
	stub_seen[1] = stub_seen[0];
}

static void fake_release(int state)
{
	stub_seen[2] = (unsigned long)state;
}

static long fake_munmap(void *address, size_t size)
{
	stub_seen[3] = (unsigned long)address + size;
	return 43;
}

START_TEST(test_stubs)
{
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	size_t size = rmr_arch_stub_create_thread(page, (uintptr_t)fake_create, 0x1111, 0x2222, 0x3333);
	ck_assert_uint_le(size, RMR_ARCH_STUB_MAX);
	ck_assert_int_eq(((long (*)(void))(uintptr_t)page)(), 42);
	ck_assert_uint_eq(stub_seen[0], 0x1111);
	ck_assert_uint_eq(stub_seen[1], 0);
	ck_assert_uint_eq(stub_seen[2], 0x2222);
	ck_assert_uint_eq(stub_seen[3], 0x3333);
	memset(stub_seen, 0, sizeof(stub_seen));
	size = rmr_arch_stub_init_threads(page, (uintptr_t)fake_ensure, (uintptr_t)fake_init,
					  (uintptr_t)fake_release, (uintptr_t)fake_munmap, 0x4000, 5);
	ck_assert_uint_le(size, 2 * RMR_ARCH_STUB_MAX);
	ck_assert_int_eq(((long (*)(void))(uintptr_t)page)(), 43);
	ck_assert_uint_eq(stub_seen[0], 1);
	ck_assert_uint_eq(stub_seen[1], 1);
	ck_assert_uint_eq(stub_seen[2], 77);
	ck_assert_uint_eq(stub_seen[3], 0x4005);
	munmap(page, 4096);
}
END_TEST

START_TEST(test_frame_layout)
{
	static struct rmr_frame frame;
	static unsigned char xstate[4096] = {[512] = 7};
	struct rmr_regs regs = in_call(-1, 0);

	for (unsigned shift = 0; shift < 64; shift++) {
		regs.raw.rsp = 0x7fff0000 + shift;
		ck_assert(rmr_arch_build_frame(&frame, &regs, 0, xstate, 2696, 0xabcdef));
		ck_assert_uint_eq(frame.address % 16, 8);
		ck_assert_uint_le(frame.scratch + 128, regs.raw.rsp - 128);
		ck_assert_uint_le(frame.address + frame.size, frame.scratch);
		ck_assert_uint_eq(frame.resume_sp, frame.address + 8);
		ck_assert_mem_eq(frame.bytes, &(uint64_t){0xabcdef}, 8);
	}
	ck_assert(!rmr_arch_build_frame(&frame, &regs, 0, xstate, 512, 0));
	ck_assert(!rmr_arch_build_frame(&frame, &regs, 0, xstate, RMR_ARCH_XSTATE_MAX + 1, 0));
}
END_TEST

extern void rmr_test_restorer(void);
__asm__(".text\nrmr_test_restorer:\n\tmov $15, %rax\n\tsyscall\n");


/*
 * A child stops; its registers are scrambled and its signals blocked, and it is sent to the
 * restorer. It must be what it was: all registers, the vector state and the mask.
 */
START_TEST(test_frame_restores)
{
	static struct rmr_frame frame;
	static unsigned char xstate[RMR_ARCH_XSTATE_MAX], after_xstate[RMR_ARCH_XSTATE_MAX];
	struct rmr_regs before, after;
	uint64_t mask = 1ull << (SIGUSR1 - 1), got, all = ~0ull;
	int status;

	volatile long *turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne((void *)turns, MAP_FAILED);
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		for (;;)
			*turns = *turns + 1;
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	/* Into the loop, and out of the system call that raise() made. */
	ck_assert_int_eq(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	while (*turns == 0)
		usleep(1000);
	kill(pid, SIGSTOP);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSTOPPED(status));

	struct iovec iov = {&before.raw, sizeof(before.raw)};
	ck_assert_int_eq(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov), 0);
	before.raw.r8 = 0x1234567890abcdef;
	before.raw.eflags |= 0x401; /* direction and carry */
	struct iovec xiov = {xstate, sizeof(xstate)};
	ck_assert_int_eq(ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &xiov), 0);
	memset(xstate + 160, 0x5a, 64); /* xmm0 to xmm3 */
	xstate[512] |= 2;
	ck_assert(rmr_arch_build_frame(&frame, &before, mask, xstate, xiov.iov_len,
				       (uintptr_t)rmr_test_restorer));
	struct iovec local = {frame.bytes, frame.size}, remote = {(void *)frame.address, frame.size};
	ck_assert_int_eq(process_vm_writev(pid, &local, 1, &remote, 1, 0), (ssize_t)frame.size);

	struct rmr_regs scrambled = before;
	memset(&scrambled.raw.r15, 0x77, 8);
	scrambled.raw.rbx = scrambled.raw.rbp = scrambled.raw.r8 = 1;
	rmr_arch_jump(&scrambled, frame.restorer, frame.resume_sp);
	iov.iov_base = &scrambled.raw;
	ck_assert_int_eq(ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &iov), 0);
	ck_assert_int_eq(ptrace(PTRACE_SETSIGMASK, pid, (void *)8, &all), 0);
	/* To the entry and then to the exit of sigreturn. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	}
	iov.iov_base = &after.raw;
	ck_assert_int_eq(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov), 0);
	xiov = (struct iovec){after_xstate, sizeof(after_xstate)};
	ck_assert_int_eq(ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &xiov), 0);
	ck_assert_int_eq(ptrace(PTRACE_GETSIGMASK, pid, (void *)8, &got), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	before.raw.orig_rax = after.raw.orig_rax;
	ck_assert_mem_eq(&after, &before, sizeof(before));
	ck_assert_mem_eq(after_xstate + 160, xstate + 160, 256);
	ck_assert_uint_eq(got, mask);
	munmap((void *)turns, sizeof(*turns));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arch");
	TCase *tcase = tcase_create("arch");

	tcase_add_loop_test(tcase, test_restart, 0, sizeof(calls) / sizeof(calls[0]));
	tcase_add_test(tcase, test_kinds_of_calls);
	tcase_add_test(tcase, test_find);
	tcase_add_test(tcase, test_stubs);
	tcase_add_test(tcase, test_frame_layout);
	tcase_add_test(tcase, test_frame_restores);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
