// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/tracee.h"

#include "attach/diagnose.h"
#include "attach/log.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#ifndef PTRACE_GET_RSEQ_CONFIGURATION /* glibc 2.34 */
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

enum {
	SPIN_US = 60,		       /* a stop usually takes less, and sleeping would double it */
	PAUSE_NS = 1000000,	       /* where SIGCHLD is ignored, nothing wakes us */
	PEEKED = 16,		       /* signals looked at, of those that wait */
	SYSCALL_STOP = SIGTRAP | 0x80, /* with PTRACE_O_TRACESYSGOOD */
};

/* What a wait brought. */
enum stop_kind { STOP_EVENT, STOP_GROUP, STOP_SYSCALL, STOP_SIGNAL };

static struct rmr_error *gone(const struct rmr_tracee *tracee)
{
	return rmr_error_create(RMR_E_GONE, 0, "thread %d has ended", (int)tracee->tid);
}

static struct rmr_error *failed(const struct rmr_tracee *tracee, const char *what)
{
	if (errno == ESRCH)
		return gone(tracee);
	return rmr_error_create(RMR_E_OS, errno, "cannot %s thread %d", what, (int)tracee->tid);
}

/*
 * While a thread of the target stands still, remora must not wait for a processor behind whatever
 * else keeps the machine busy. On an idle one nothing is gained, and to sleep and be woken takes
 * longer than to spin: so this is for a stop that takes its time, and for all that follow it.
 */
static void go_first(struct rmr_tracee *tracee)
{
	struct sched_param first = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};
	int policy = sched_getscheduler(0);

	if ((policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE) &&
		sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first) == 0)
		tracee->policy = policy;
}

static void go_back(struct rmr_tracee *tracee)
{
	struct sched_param none = {0};

	/* Who may use real-time scheduling by RLIMIT_RTPRIO alone may not take the flag away. */
	if (tracee->policy >= 0 && sched_setscheduler(0, tracee->policy, &none) < 0)
		sched_setscheduler(0, tracee->policy | SCHED_RESET_ON_FORK, &none);
	tracee->policy = -1;
}

static enum stop_kind kind_of(int status)
{
	if (status >> 16 == PTRACE_EVENT_STOP)
		return WSTOPSIG(status) == SIGTRAP ? STOP_EVENT : STOP_GROUP;
	return WSTOPSIG(status) == SYSCALL_STOP ? STOP_SYSCALL : STOP_SIGNAL;
}

/* RMR_E_TIMEOUT, RMR_E_GONE, or the next stop; *signal is the signal of a STOP_SIGNAL. */
static struct rmr_error *wait_stop(
	struct rmr_tracee *tracee, uint64_t deadline, enum stop_kind *kind, int *signal)
{
	/* A real-time thread that spins may keep the tracee from the processor. */
	uint64_t sleep_from = rmr_log_now() + (tracee->policy < 0 ? SPIN_US * 1000u : 0);
	sigset_t sigchld;
	int status;

	sigemptyset(&sigchld);
	sigaddset(&sigchld, SIGCHLD);
	for (;;) {
		pid_t pid = waitpid(tracee->tid, &status, __WALL | WNOHANG);
		if (pid == tracee->tid)
			break;
		if (pid < 0 && errno != EINTR)
			return gone(tracee);
		uint64_t now = rmr_log_now();
		if (now >= deadline)
			return rmr_error_create(
				RMR_E_TIMEOUT, 0, "thread %d does not stop", (int)tracee->tid);
		/* Not sched_yield(): a busy machine would give this thread's turn to others. */
		if (now < sleep_from)
			continue;
		go_first(tracee);
		sigtimedwait(&sigchld, NULL, &(struct timespec){.tv_nsec = PAUSE_NS});
	}
	if (!WIFSTOPPED(status)) {
		tracee->stopped = false;
		return gone(tracee);
	}
	tracee->stopped = true;
	*signal = WSTOPSIG(status);
	*kind = kind_of(status);
	return NULL;
}

static struct rmr_error *go_on(struct rmr_tracee *tracee, int request, int signal)
{
	tracee->stopped = false;
	/* A thread that cannot be continued is being killed: the next wait tells. */
	if (ptrace((enum __ptrace_request)request, tracee->tid, NULL, (void *)(long)signal) < 0 &&
		errno != ESRCH)
		return failed(tracee, "continue");
	return NULL;
}

static uint64_t deadline_in(unsigned timeout_us)
{
	return rmr_log_now() + timeout_us * 1000ull;
}

static struct rmr_error *wait_event_stop(struct rmr_tracee *tracee, unsigned timeout_us, bool group)
{
	uint64_t deadline = deadline_in(timeout_us);
	enum stop_kind kind;
	int signal;

	for (;;) {
		struct rmr_error *err = wait_stop(tracee, deadline, &kind, &signal);
		if (err || kind == STOP_EVENT || (group && kind == STOP_GROUP))
			return err;
		if (kind == STOP_GROUP) {
			rmr_tracee_detach(tracee);
			return rmr_error_create(RMR_E_STATE, 0, "thread %d is stopped by a signal",
				(int)tracee->tid);
		}
		/* The stop has swallowed the interrupt (Linux kernel/signal.c, ptrace_stop()). */
		if (ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL) < 0)
			return failed(tracee, "stop");
		err = go_on(tracee, PTRACE_CONT, kind == STOP_SIGNAL ? signal : 0);
		if (err)
			return err;
	}
}

static struct rmr_error *seize(
	struct rmr_tracee *tracee, pid_t pid, unsigned timeout_us, bool group)
{
	pid_t tid = tracee->tid;

	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)(long)PTRACE_O_TRACESYSGOOD) < 0) {
		/* A thread that is ending may not be seized either. */
		if (errno == ESRCH || (errno == EPERM && pid != tid))
			return gone(tracee);
		return rmr_diagnose_attach("/proc", pid, RMR_DIAGNOSE_TRACE, errno);
	}
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return failed(tracee, "stop");
	return wait_event_stop(tracee, timeout_us, group);
}

static struct rmr_error *stop(
	struct rmr_tracee *tracee, pid_t pid, pid_t tid, unsigned timeout_us, bool group)
{
	tracee->tid = tid;
	tracee->stopped = false;
	tracee->policy = -1;
	tracee->passed = 0;
	tracee->since = rmr_log_now();
	struct rmr_error *err = seize(tracee, pid, timeout_us, group);
	if (err)
		go_back(tracee);
	return err;
}

struct rmr_error *rmr_tracee_stop(
	struct rmr_tracee *tracee, pid_t pid, pid_t tid, unsigned timeout_us)
{
	return stop(tracee, pid, tid, timeout_us, false);
}

struct rmr_error *rmr_tracee_stop_any(
	struct rmr_tracee *tracee, pid_t pid, pid_t tid, unsigned timeout_us)
{
	return stop(tracee, pid, tid, timeout_us, true);
}

void rmr_tracee_detach(struct rmr_tracee *tracee)
{
	if (tracee->stopped && ptrace(PTRACE_DETACH, tracee->tid, NULL, NULL) < 0)
		rmr_log("thread %d: detach: %s", (int)tracee->tid, strerror(errno));
	tracee->stopped = false;
	go_back(tracee);
}

bool rmr_tracee_let_go(struct rmr_tracee *tracee)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(tracee->tid, &status, __WALL | WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return false;
	if (pid == tracee->tid && WIFSTOPPED(status)) {
		int signal = kind_of(status) == STOP_SIGNAL ? WSTOPSIG(status) : 0;
		ptrace(PTRACE_DETACH, tracee->tid, NULL, (void *)(long)signal);
	}
	return true;
}

struct rmr_error *rmr_tracee_get_regs(struct rmr_tracee *tracee, struct rmr_regs *ret)
{
	struct iovec iov = {&ret->raw, sizeof(ret->raw)};

	if (ptrace(PTRACE_GETREGSET, tracee->tid, (void *)NT_PRSTATUS, &iov) < 0)
		return failed(tracee, "read the registers of");
	return NULL;
}

struct rmr_error *rmr_tracee_set_regs(struct rmr_tracee *tracee, const struct rmr_regs *regs)
{
	struct rmr_regs copy = *regs;
	struct iovec iov = {&copy.raw, sizeof(copy.raw)};

	if (ptrace(PTRACE_SETREGSET, tracee->tid, (void *)NT_PRSTATUS, &iov) < 0)
		return failed(tracee, "set the registers of");
	return NULL;
}

struct rmr_error *rmr_tracee_get_xstate(struct rmr_tracee *tracee, void *buffer, size_t *size)
{
	struct iovec iov = {buffer, *size};

	if (ptrace(PTRACE_GETREGSET, tracee->tid, (void *)NT_X86_XSTATE, &iov) < 0)
		return failed(tracee, "read the vector registers of");
	*size = iov.iov_len;
	return NULL;
}

struct rmr_error *rmr_tracee_set_xstate(struct rmr_tracee *tracee, const void *buffer, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)buffer, size};

	if (ptrace(PTRACE_SETREGSET, tracee->tid, (void *)NT_X86_XSTATE, &iov) < 0)
		return failed(tracee, "set the vector registers of");
	return NULL;
}

struct rmr_error *rmr_tracee_get_mask(struct rmr_tracee *tracee, uint64_t *ret)
{
	if (ptrace(PTRACE_GETSIGMASK, tracee->tid, (void *)sizeof(*ret), ret) < 0)
		return failed(tracee, "read the signal mask of");
	return NULL;
}

struct rmr_error *rmr_tracee_set_mask(struct rmr_tracee *tracee, uint64_t mask)
{
	if (ptrace(PTRACE_SETSIGMASK, tracee->tid, (void *)sizeof(mask), &mask) < 0)
		return failed(tracee, "set the signal mask of");
	return NULL;
}

static bool peek(struct rmr_tracee *tracee, rmr_addr_t address, uint64_t *ret)
{
	errno = 0;
	*ret = (uint64_t)ptrace(PTRACE_PEEKDATA, tracee->tid, (void *)address, NULL);
	return errno == 0;
}

bool rmr_tracee_find_rseq(pid_t tid, rmr_addr_t *ret)
{
	struct {
		uint64_t pointer;
		uint32_t size, signature, flags, pad;
	} rseq; /* struct ptrace_rseq_configuration of Linux 5.13 */

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof(rseq), &rseq) != (long)sizeof(rseq))
		return false;
	*ret = rseq.pointer;
	return true;
}

bool rmr_tracee_is_in_sequence(struct rmr_tracee *tracee, rmr_addr_t pc)
{
	rmr_addr_t rseq, sequence;
	uint64_t start, size;

	/* struct rseq and struct rseq_cs, linux/rseq.h */
	return rmr_tracee_find_rseq(tracee->tid, &rseq) && rseq &&
	       peek(tracee, rseq + 8, &sequence) && sequence && peek(tracee, sequence + 8, &start) && peek(tracee, sequence + 16, &size) &&
	       pc - start < size;
}

uint64_t rmr_tracee_shared_pending(struct rmr_tracee *tracee)
{
	struct __ptrace_peeksiginfo_args args = {.flags = PTRACE_PEEKSIGINFO_SHARED, .nr = PEEKED};
	siginfo_t infos[PEEKED];
	uint64_t set = 0;
	long count = ptrace(PTRACE_PEEKSIGINFO, tracee->tid, &args, infos);

	for (long i = 0; i < count; i++) {
		if (infos[i].si_signo > 0 && infos[i].si_signo <= 64)
			set |= UINT64_C(1) << (infos[i].si_signo - 1);
	}
	return set;
}

struct rmr_error *rmr_tracee_next_syscall(struct rmr_tracee *tracee, unsigned timeout_us)
{
	uint64_t deadline = deadline_in(timeout_us);
	enum stop_kind kind;
	int signal = 0;

	for (;;) {
		struct rmr_error *err = go_on(tracee, PTRACE_SYSCALL, signal);
		if (!err)
			err = wait_stop(tracee, deadline, &kind, &signal);
		if (err || kind == STOP_SYSCALL)
			return err;
		/* In a group stop it goes on, and stops by itself after the detach. */
		if (kind != STOP_SIGNAL)
			signal = 0;
		else
			tracee->passed |= UINT64_C(1) << (signal - 1);
	}
}

struct rmr_error *rmr_tracee_interrupt(struct rmr_tracee *tracee, unsigned timeout_us)
{
	if (ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL) < 0)
		return failed(tracee, "stop");
	if (tracee->stopped) {
		struct rmr_error *err = go_on(tracee, PTRACE_CONT, 0);
		if (err)
			return err;
	}
	return wait_event_stop(tracee, timeout_us, true);
}

struct rmr_error *rmr_tracee_poke(
	struct rmr_tracee *tracee, rmr_addr_t address, const void *bytes, size_t size)
{
	for (size_t done = 0; done < size; done += sizeof(long)) {
		long word = 0;
		size_t left = size - done < sizeof(word) ? size - done : sizeof(word);
		memcpy(&word, (const char *)bytes + done, left);
		if (ptrace(PTRACE_POKEDATA, tracee->tid, (void *)(address + done), (void *)word) <
			0)
			return failed(tracee, "write the memory of");
	}
	return NULL;
}
