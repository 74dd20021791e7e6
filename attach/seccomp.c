// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/seccomp.h"

#include "attach/cleanup.h"
#include "attach/procfs.h"
#include "attach/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANY RMR_SECCOMP_ANY
#define SELF RMR_SECCOMP_SELF
#define ALL_ANY {ANY, ANY, ANY, ANY, ANY, ANY}

enum {
	/* Newer than the oldest headers. */
	GUARD_INSTALL = 102, /* MADV_GUARD_INSTALL, asm-generic/mman-common.h, Linux 6.13 */
	RSEQ_SIGNATURE = 0x53053053,
	NR_CLOSE_RANGE = 436,
	NR_CLONE3 = 435,
	NR_RSEQ = 334,

	/* sysdeps/unix/sysv/linux/createthread.c in glibc */
	THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND |
		       CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,

	READ_WRITE = PROT_READ | PROT_WRITE,
	PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS,

	FUTEX_PRIVATE = 128,
	FUTEX_REALTIME = 256,
	FUTEX_BITSET = 9, /* FUTEX_WAIT_BITSET */
};

/* What may follow from a call that fails. */
enum rule {
	NEEDED,	  /* it must pass */
	MAY_FAIL, /* an errno is handled by the caller */
	CLONE3,	  /* the C library goes on to clone at ENOSYS, and only then */
	CLONE,	  /* NEEDED if clone3 does not pass */
};

/* When it is made. */
enum condition {
	ALWAYS,
	NEW_LIBC, /* not by a glibc before 2.34 */
	RSEQ,	  /* if the borrowed thread has registered its own: then the new one must, or abort */
	DUMP,	  /* in dumps */
	TWIN,	  /* in dumps by a twin */
	AFTER_STOP, /* by the kernel, for some calls that a stop has interrupted */
};

enum { RESTART }; /* its place in the table */

/*
 * Every system call that is made in the target on remora's account: by the borrowed thread
 * (attach/borrow.c), the C library's threads and malloc, the agent and the walker. The payload's
 * own are its own affair.
 */
static const struct step {
	const char *name, *need;
	enum rule rule;
	enum condition condition;
	struct rmr_seccomp_call call;
} steps[] = {
	[RESTART] = {"restart_syscall", "stopping a thread", NEEDED, AFTER_STOP,
		     {SYS_restart_syscall, ALL_ANY}},
	/* the borrowed thread */
	{"mmap with PROT_EXEC", "its code", NEEDED, ALWAYS,
	 {SYS_mmap, {0, ANY, PROT_READ | PROT_EXEC, PRIVATE, ANY, 0}}},
	{"mmap with PROT_EXEC", "its code", NEEDED, ALWAYS,
	 {SYS_mmap, {ANY, ANY, PROT_READ | PROT_EXEC, PRIVATE | MAP_FIXED_NOREPLACE, ANY, 0}}},
	{"mmap with PROT_EXEC", "its code", NEEDED, ALWAYS,
	 {SYS_mmap, {0, ANY, PROT_READ | PROT_EXEC, PRIVATE | MAP_NORESERVE, ANY, 0}}},
	{"munmap", "leaving nothing behind", NEEDED, ALWAYS, {SYS_munmap, ALL_ANY}},
	{"rt_sigreturn", "letting a thread go on", NEEDED, ALWAYS, {SYS_rt_sigreturn, ALL_ANY}},
	/* the C library's threads, which the agent's are */
	{"mmap", "a thread's stack", NEEDED, ALWAYS,
	 {SYS_mmap, {0, ANY, PROT_NONE, PRIVATE | MAP_STACK, ANY, 0}}},
	{"mmap", "a thread's stack", NEEDED, ALWAYS,
	 {SYS_mmap, {0, ANY, READ_WRITE, PRIVATE | MAP_STACK, ANY, 0}}},
	{"mprotect", "a thread's stack", NEEDED, ALWAYS, {SYS_mprotect, {ANY, ANY, READ_WRITE}}},
	{"madvise", "a thread's stack", MAY_FAIL, NEW_LIBC, {SYS_madvise, {ANY, ANY, GUARD_INSTALL}}},
	{"madvise", "a thread's end", MAY_FAIL, ALWAYS, {SYS_madvise, {ANY, ANY, MADV_DONTNEED}}},
	{"rt_sigprocmask", "a thread's start", MAY_FAIL, ALWAYS,
	 {SYS_rt_sigprocmask, {SIG_BLOCK, ANY, ANY, 8}}},
	{"rt_sigprocmask", "a thread's start", MAY_FAIL, ALWAYS,
	 {SYS_rt_sigprocmask, {SIG_SETMASK, ANY, ANY, 8}}},
	{"clone3", "a thread", CLONE3, NEW_LIBC, {NR_CLONE3, ALL_ANY}},
	{"clone", "a thread", CLONE, ALWAYS,
	 {SYS_clone, {THREAD_FLAGS, ANY, ANY, ANY, ANY, ANY}}},
	{"set_robust_list", "a thread's start", MAY_FAIL, ALWAYS,
	 {SYS_set_robust_list, ALL_ANY}},
	{"rseq", "a thread's start", NEEDED, RSEQ, {NR_RSEQ, {ANY, ANY, 0, RSEQ_SIGNATURE}}},
	{"exit", "a thread's end", NEEDED, ALWAYS, {SYS_exit, {0}}},
	{"futex", "locks", NEEDED, ALWAYS,
	 {SYS_futex, {ANY, FUTEX_BITSET | FUTEX_REALTIME, ANY, ANY, ANY, ANY}}},
	{"futex", "locks", NEEDED, ALWAYS,
	 {SYS_futex, {ANY, FUTEX_BITSET | FUTEX_REALTIME | FUTEX_PRIVATE, ANY, ANY, ANY, ANY}}},
	{"futex", "locks", NEEDED, ALWAYS,
	 {SYS_futex, {ANY, FUTEX_BITSET | FUTEX_PRIVATE, ANY, ANY, ANY, ANY}}},
	{"futex", "locks", NEEDED, ALWAYS,
	 {SYS_futex, {ANY, FUTEX_PRIVATE /* | FUTEX_WAIT */, ANY, ANY, ANY, ANY}}},
	{"futex", "locks", NEEDED, ALWAYS, {SYS_futex, {ANY, 1 | FUTEX_PRIVATE, ANY, ANY, ANY, ANY}}},
	/* malloc */
	{"madvise", "memory", MAY_FAIL, ALWAYS, {SYS_madvise, {ANY, ANY, MADV_HUGEPAGE}}},
	{"brk", "memory", MAY_FAIL, ALWAYS, {SYS_brk, ALL_ANY}},
	{"mmap", "memory", NEEDED, ALWAYS, {SYS_mmap, {0, ANY, READ_WRITE, PRIVATE, ANY, 0}}},
	{"mmap", "memory", MAY_FAIL, ALWAYS,
	 {SYS_mmap, {ANY, ANY, PROT_NONE, PRIVATE | MAP_NORESERVE, ANY, 0}}},
	{"mmap", "memory", MAY_FAIL, ALWAYS,
	 {SYS_mmap, {ANY, ANY, PROT_NONE, PRIVATE | MAP_FIXED, ANY, 0}}},
	/* It counts the processors, and reads vm/overcommit_memory. */
	{"sched_getaffinity", "memory", MAY_FAIL, ALWAYS, {SYS_sched_getaffinity, ALL_ANY}},
	{"openat", "memory", MAY_FAIL, ALWAYS,
	 {SYS_openat, {ANY, ANY, O_RDONLY | O_CLOEXEC, ANY}}},
	{"read", "memory", MAY_FAIL, ALWAYS, {SYS_read, {ANY, ANY, ANY}}},
	/* the agent */
	{"gettid", "the agent", NEEDED, ALWAYS, {SYS_gettid, {0}}},
	{"getpid", "the agent", MAY_FAIL, ALWAYS, {SYS_getpid, {0}}},
	{"madvise", "the agent", MAY_FAIL, ALWAYS, {SYS_madvise, {ANY, ANY, MADV_DONTFORK}}},
	{"madvise", "the agent", MAY_FAIL, ALWAYS, {SYS_madvise, {ANY, ANY, MADV_DOFORK}}},
	{"mremap", "a large payload", MAY_FAIL, ALWAYS,
	 {SYS_mremap, {ANY, ANY, ANY, MREMAP_MAYMOVE}}},
	{"socketpair", "its channel", NEEDED, ALWAYS,
	 {SYS_socketpair, {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ANY}}},
	{"fcntl", "its channel", MAY_FAIL, ALWAYS, {SYS_fcntl, {ANY, F_DUPFD_CLOEXEC, ANY}}},
	{"fstat", "its channel", MAY_FAIL, ALWAYS, {SYS_fstat, {ANY, ANY}}},
	{"newfstatat", "its channel", MAY_FAIL, NEW_LIBC, {SYS_newfstatat, ALL_ANY}},
	{"ppoll", "its channel", NEEDED, ALWAYS, {SYS_ppoll, {ANY, 1, ANY, 0, 0}}},
	{"recvmsg", "its channel", NEEDED, ALWAYS, {SYS_recvmsg, {ANY, ANY, MSG_CMSG_CLOEXEC}}},
	{"sendto", "its channel", NEEDED, ALWAYS, {SYS_sendto, {ANY, ANY, ANY, MSG_NOSIGNAL, 0, 0}}},
	{"sendmsg", "its channel", NEEDED, ALWAYS, {SYS_sendmsg, {ANY, ANY, MSG_NOSIGNAL}}},
	{"write", "a payload's output", MAY_FAIL, ALWAYS, {SYS_write, {ANY, ANY, ANY}}},
	{"close", "its channel", NEEDED, ALWAYS, {SYS_close, {ANY}}},
	{"clock_gettime", "the time", NEEDED, ALWAYS, {SYS_clock_gettime, {CLOCK_MONOTONIC, ANY}}},
	{"nanosleep", "a pause", MAY_FAIL, ALWAYS, {SYS_nanosleep, {ANY, 0}}},
	{"sched_yield", "a pause", MAY_FAIL, ALWAYS, {SYS_sched_yield, {0}}},
	{"tgkill", "watching its threads", MAY_FAIL, ALWAYS,
	 {SYS_tgkill, {SELF, ANY, 0}}},
	/* a dump's twin is made, told to end, and waited for */
	{"clone", "a dump", NEEDED, TWIN, {SYS_clone, {0}}},
	{"kill", "a dump's end", MAY_FAIL, TWIN, {SYS_kill, {ANY, SIGKILL}}},
	{"waitid", "a dump's end", MAY_FAIL, TWIN,
	 {SYS_waitid, {P_PID, ANY, ANY, WNOWAIT | __WALL | WEXITED, 0}}},
	{"wait4", "a dump's end", NEEDED, TWIN, {SYS_wait4, {ANY, ANY, __WALL, 0}}},
	/* ... and what the twin does, or the agent where it dumps in place */
	{"prctl", "a dump", MAY_FAIL, TWIN, {SYS_prctl, {PR_SET_PDEATHSIG, SIGKILL}}},
	{"prctl", "a dump", MAY_FAIL, TWIN, {SYS_prctl, {PR_SET_DUMPABLE, 0}}},
	{"getppid", "a dump", MAY_FAIL, TWIN, {SYS_getppid, {0}}},
	{"rt_sigaction", "a dump", MAY_FAIL, DUMP, {SYS_rt_sigaction, {ANY, ANY, 0, 8}}},
	{"rt_sigprocmask", "a dump", MAY_FAIL, DUMP,
	 {SYS_rt_sigprocmask, {SIG_UNBLOCK, ANY, 0, 8}}},
	{"sigaltstack", "a dump", MAY_FAIL, DUMP, {SYS_sigaltstack, {ANY, 0}}},
	{"setitimer", "a dump", MAY_FAIL, DUMP, {SYS_setitimer, {0, ANY, 0}}},
	{"close_range", "a dump", MAY_FAIL, TWIN, {NR_CLOSE_RANGE, {ANY, ANY, 0}}},
	{"open", "a dump", MAY_FAIL, DUMP, {SYS_open, {ANY, O_CLOEXEC, 0}}},
	{"mmap", "a dump", MAY_FAIL, DUMP, {SYS_mmap, {0, ANY, PROT_NONE, PRIVATE, ANY, 0}}},
	{"mmap", "a dump", MAY_FAIL, DUMP,
	 {SYS_mmap, {0, ANY, READ_WRITE, PRIVATE | MAP_NORESERVE, ANY, 0}}},
	{"mmap with MAP_SHARED", "a dump", MAY_FAIL, DUMP,
	 {SYS_mmap, {ANY, ANY, READ_WRITE, MAP_SHARED | MAP_FIXED, ANY, ANY}}},
	{"poll", "a dump", MAY_FAIL, DUMP, {SYS_poll, {ANY, 1, 0}}},
	{"futex", "a dump", MAY_FAIL, DUMP, {SYS_futex, {ANY, 0 /* FUTEX_WAIT */, ANY, ANY, 0, 0}}},
	{"futex", "a dump", MAY_FAIL, DUMP, {SYS_futex, {ANY, 1 /* FUTEX_WAKE */, 1, 0, 0, 0}}},
	{"exit_group", "a dump's end", NEEDED, TWIN, {SYS_exit_group, {ANY}}},
};

enum { STEP_COUNT = sizeof(steps) / sizeof(steps[0]) };
_Static_assert((int)STEP_COUNT <= (int)RMR_SECCOMP_CALLS, "room for a verdict on each call");

/* A word of struct seccomp_data. */
static bool load(const struct rmr_seccomp_call *call, uint32_t offset, uint32_t *ret)
{
	if (offset % 4 || offset >= sizeof(struct seccomp_data))
		return false;
	if (offset == offsetof(struct seccomp_data, nr)) {
		*ret = call->number;
		return true;
	}
	if (offset == offsetof(struct seccomp_data, arch)) {
		*ret = AUDIT_ARCH_X86_64;
		return true;
	}
	if (offset < offsetof(struct seccomp_data, args))
		return false;
	offset -= (uint32_t)offsetof(struct seccomp_data, args);
	uint64_t value = call->args[offset / 8];
	if (value == ANY || value == SELF)
		return false;
	*ret = (uint32_t)(offset % 8 ? value >> 32 : value);
	return true;
}

/* False: no such operation, or a division by zero, at which the kernel kills. */
static bool calculate(uint32_t *a, uint32_t operation, uint32_t b)
{
	switch (operation) {
	case BPF_ADD:
		*a += b;
		break;
	case BPF_SUB:
		*a -= b;
		break;
	case BPF_MUL:
		*a *= b;
		break;
	case BPF_DIV:
		if (b == 0)
			return false;
		*a /= b;
		break;
	case BPF_AND:
		*a &= b;
		break;
	case BPF_OR:
		*a |= b;
		break;
	case BPF_XOR:
		*a ^= b;
		break;
	case BPF_LSH:
		*a <<= b & 31;
		break;
	case BPF_RSH:
		*a >>= b & 31;
		break;
	case BPF_NEG:
		*a = -*a;
		break;
	default:
		return false;
	}
	return true;
}

/* How many instructions a jump passes over; more than any filter has if it is none. */
static uint32_t distance(const struct sock_filter *at, uint32_t a, uint32_t x)
{
	uint32_t b = BPF_SRC(at->code) == BPF_X ? x : at->k;

	switch (BPF_OP(at->code)) {
	case BPF_JA:
		return at->k;
	case BPF_JEQ:
		return a == b ? at->jt : at->jf;
	case BPF_JGT:
		return a > b ? at->jt : at->jf;
	case BPF_JGE:
		return a >= b ? at->jt : at->jf;
	case BPF_JSET:
		return a & b ? at->jt : at->jf;
	default:
		return UINT32_MAX;
	}
}

struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
};

/* Loads, stores and moves. */
static bool move(struct machine *m, const struct sock_filter *at,
		 const struct rmr_seccomp_call *call)
{
	uint32_t *slot = at->k < BPF_MEMWORDS ? &m->memory[at->k] : NULL;

	switch (at->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return load(call, at->k, &m->a);
	case BPF_LD | BPF_W | BPF_LEN:
		m->a = sizeof(struct seccomp_data);
		return true;
	case BPF_LDX | BPF_W | BPF_LEN:
		m->x = sizeof(struct seccomp_data);
		return true;
	case BPF_LD | BPF_IMM:
		m->a = at->k;
		return true;
	case BPF_LDX | BPF_IMM:
		m->x = at->k;
		return true;
	case BPF_MISC | BPF_TAX:
		m->x = m->a;
		return true;
	case BPF_MISC | BPF_TXA:
		m->a = m->x;
		return true;
	default:
		break;
	}
	if (!slot)
		return false;
	switch (at->code) {
	case BPF_LD | BPF_MEM:
		m->a = *slot;
		return true;
	case BPF_LDX | BPF_MEM:
		m->x = *slot;
		return true;
	case BPF_ST:
		*slot = m->a;
		return true;
	case BPF_STX:
		*slot = m->x;
		return true;
	default:
		return false;
	}
}

uint32_t rmr_seccomp_run(const struct sock_filter *code, size_t count,
			 const struct rmr_seccomp_call *call)
{
	struct machine m = {0};

	/* Jumps go forward only: at most count rounds. */
	for (size_t i = 0; i < count; i++) {
		const struct sock_filter *at = &code[i];
		uint32_t b = BPF_SRC(at->code) == BPF_X ? m.x : at->k;

		switch (BPF_CLASS(at->code)) {
		case BPF_JMP:
			i += distance(at, m.a, m.x);
			break;
		case BPF_ALU:
			if (!calculate(&m.a, BPF_OP(at->code), b))
				return RMR_SECCOMP_UNKNOWN;
			break;
		case BPF_RET:
			if (at->code == (BPF_RET | BPF_K))
				return at->k;
			return at->code == (BPF_RET | BPF_A) ? m.a : RMR_SECCOMP_UNKNOWN;
		default:
			if (!move(&m, at, call))
				return RMR_SECCOMP_UNKNOWN;
			break;
		}
	}
	return RMR_SECCOMP_UNKNOWN;
}

void rmr_seccomp_init(struct rmr_seccomp *seccomp, pid_t self)
{
	seccomp->self = (uint32_t)self;
	seccomp->old_libc = false;
	seccomp->no_rseq = false;
	for (size_t i = 0; i < RMR_SECCOMP_CALLS; i++)
		seccomp->verdicts[i] = SECCOMP_RET_ALLOW;
}

static int32_t action_of(uint32_t verdict)
{
	return (int32_t)(verdict & SECCOMP_RET_ACTION_FULL);
}

void rmr_seccomp_add(struct rmr_seccomp *seccomp, const struct sock_filter *code, size_t count)
{
	for (size_t i = 0; i < STEP_COUNT; i++) {
		struct rmr_seccomp_call call = steps[i].call;
		for (size_t n = 0; n < 6; n++) {
			if (call.args[n] == SELF)
				call.args[n] = seccomp->self;
		}
		uint32_t verdict = rmr_seccomp_run(code, count, &call);
		if (action_of(verdict) <= action_of(seccomp->verdicts[i]))
			seccomp->verdicts[i] = verdict;
	}
}

static bool is_allowed(uint32_t verdict)
{
	uint32_t action = verdict & SECCOMP_RET_ACTION_FULL;

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

/* The errno that the call fails with; 0 if it does not, or if it only seems to succeed. */
static uint32_t errno_of(uint32_t verdict)
{
	if ((verdict & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO)
		return 0;
	return verdict & SECCOMP_RET_DATA;
}

bool rmr_seccomp_restarts(const struct rmr_seccomp *seccomp)
{
	return is_allowed(seccomp->verdicts[RESTART]);
}

static bool is_made(const struct rmr_seccomp *seccomp, enum condition condition,
		    enum rmr_seccomp_purpose purpose)
{
	switch (condition) {
	case NEW_LIBC:
		return !seccomp->old_libc;
	case RSEQ:
		return !seccomp->no_rseq;
	case DUMP:
		return purpose != RMR_SECCOMP_ATTACH;
	case TWIN:
		return purpose == RMR_SECCOMP_TWIN;
	case AFTER_STOP:
		return false; /* the borrower does without */
	default:
		return true;
	}
}

bool rmr_seccomp_refuses(const struct rmr_seccomp *seccomp, enum rmr_seccomp_purpose purpose,
			 struct rmr_seccomp_refusal *ret)
{
	bool has_clone3 = false;

	for (size_t i = 0; i < STEP_COUNT; i++) {
		const struct step *step = &steps[i];
		uint32_t verdict = seccomp->verdicts[i];

		if (!is_made(seccomp, step->condition, purpose))
			continue;
		if (is_allowed(verdict)) {
			has_clone3 |= step->rule == CLONE3;
			continue;
		}
		if (step->rule == MAY_FAIL && errno_of(verdict))
			continue;
		if (step->rule == CLONE3 && errno_of(verdict) == ENOSYS)
			continue;
		if (step->rule == CLONE && has_clone3)
			continue;
		*ret = (struct rmr_seccomp_refusal){step->name, step->need, verdict};
		return true;
	}
	return false;
}

/* "Seccomp_filters:" (Linux 5.9) of ROOT/PID/task/TID/status; -1 if it is not there. */
static long count_filters(const char *root, pid_t pid, pid_t tid)
{
	static const char key[] = "\nSeccomp_filters:\t";
	char text[4096];

	if (rmr_procfs_read_task(root, pid, tid, "status", text, sizeof(text)))
		return -1;
	const char *line = strstr(text, key);
	return line ? strtol(line + strlen(key), NULL, 10) : -1;
}

static bool has_same_mounts(const char *root, pid_t a, pid_t b)
{
	const pid_t pids[] = {a, b};
	char names[2][64] = {"", ""}, path[RMR_PROCFS_PATH];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%d/ns/mnt", root, (int)pids[i]);
		if (readlink(path, names[i], sizeof(names[i]) - 1) <= 0)
			return false;
	}
	return strcmp(names[0], names[1]) == 0;
}

bool rmr_seccomp_is_shared(const char *root, pid_t pid, pid_t tid)
{
	pid_t own = getpid();
	long count = count_filters(root, own, own);

	return count > 0 && count_filters(root, pid, tid) == count &&
	       count_filters(root, 1, 1) == count && has_same_mounts(root, own, pid);
}

int rmr_seccomp_mode(pid_t pid, pid_t tid)
{
	struct rmr_status status;

	return rmr_status_read_task("/proc", pid, tid, &status) ? 0 : status.seccomp;
}

struct rmr_error *rmr_seccomp_refuse(pid_t pid, const struct rmr_seccomp_refusal *refusal)
{
	const char *what;

	switch (refusal->verdict & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ERRNO:
		what = "refuses";
		break;
	case SECCOMP_RET_TRAP:
		what = "answers with a signal";
		break;
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_USER_NOTIF:
		what = "leaves to another process";
		break;
	case RMR_SECCOMP_UNKNOWN:
		what = "may not allow";
		break;
	default:
		what = "kills it for";
		break;
	}
	struct rmr_error *err = rmr_error_create(
		RMR_E_UNSUPPORTED, 0, "a seccomp filter of process %d %s %s, which remora needs for %s",
		(int)pid, what, refusal->name, refusal->need);
	return rmr_error_hint(err, "allow %s in that filter, or start the program without it",
			      refusal->name);
}

static struct rmr_error *unreadable(pid_t pid, pid_t tid, int errnum,
				    struct rmr_seccomp_limits *ret)
{
	if (rmr_seccomp_is_shared("/proc", pid, tid)) {
		ret->no_restart = false;
		return NULL;
	}
	if (errnum != EACCES)
		return rmr_error_create(RMR_E_UNSUPPORTED, 0,
					"this kernel does not show the seccomp filters of process %d, "
					"which might kill it for what remora does",
					(int)pid);
	struct rmr_error *err = rmr_error_create(
		RMR_E_PERMISSION, 0,
		"remora may not read the seccomp filters of process %d, which might kill it for what "
		"remora does",
		(int)pid);
	return rmr_error_hint(err, "run it as root with CAP_SYS_ADMIN, outside of any container");
}

bool rmr_seccomp_is_asking(pid_t pid, pid_t tid)
{
	static const char function[] = "seccomp_do_user_notification"; /* kernel/seccomp.c */
	char place[64];

	return !rmr_procfs_read_task("/proc", pid, tid, "wchan", place, sizeof(place)) &&
	       strncmp(place, function, sizeof(function) - 1) == 0;
}

/* True if the C library has not registered the thread: then it will not register new ones. */
static bool has_no_rseq(pid_t tid)
{
	rmr_addr_t rseq;

	return rmr_tracee_find_rseq(tid, &rseq) && !rseq;
}

struct rmr_error *rmr_seccomp_check(pid_t pid, pid_t tid, int mode, pid_t self, bool old_libc,
				    struct rmr_seccomp_limits *ret)
{
	*ret = (struct rmr_seccomp_limits){0};
	long count = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, 0, NULL);

	/* EINVAL without a filter; but also where the kernel cannot show it. */
	if (count < 0 && mode == SECCOMP_MODE_DISABLED)
		return NULL;
	ret->no_restart = true;
	if (mode == SECCOMP_MODE_STRICT)
		return rmr_error_create(RMR_E_UNSUPPORTED, 0, "process %d is in seccomp's strict mode",
					(int)pid);
	if (count < 0)
		return unreadable(pid, tid, errno, ret);
	_rmr_free_ struct sock_filter *code = malloc(BPF_MAXINSNS * sizeof(*code));
	if (!code)
		return &rmr_enomem;
	struct rmr_seccomp seccomp;
	struct rmr_seccomp_refusal refusal;
	rmr_seccomp_init(&seccomp, self);
	seccomp.old_libc = old_libc;
	seccomp.no_rseq = has_no_rseq(tid);
	for (long i = 0; (count = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, code)) >= 0; i++)
		rmr_seccomp_add(&seccomp, code, (size_t)count);
	if (errno != ENOENT)
		return unreadable(pid, tid, errno, ret);
	ret->no_restart = !rmr_seccomp_restarts(&seccomp);
	if (rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_ATTACH, &refusal))
		return rmr_seccomp_refuse(pid, &refusal);
	rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_DUMP, &ret->dump);
	rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &ret->twin);
	return NULL;
}
