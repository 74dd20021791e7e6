// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What targets do in C, called through ctypes. Uses nothing newer than glibc 2.17, so that one build
 * runs under the C library of every interpreter that the tests fetch; starts no thread itself.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void rmr_spin(long milliseconds);
void rmr_spin_until(long signal);
long rmr_vforks(long milliseconds);
long rmr_sequences(long milliseconds, long offset);
long rmr_alarms(long milliseconds);
long rmr_hammer_malloc(long milliseconds);
long rmr_registers_check(long milliseconds);
void rmr_timed_calls(const char *name, volatile long *counters);
void rmr_timed_round(volatile long *counters);
void rmr_wait_deep(unsigned long left);
void *rmr_wait_at(volatile unsigned long place[3]);
void rmr_wait_as_stranger(void);

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/** Computes for that long; 0: for ever. */
void rmr_spin(long milliseconds)
{
	volatile unsigned long sum = 0;
	int64_t end = now_us() + milliseconds * 1000;

	do {
		for (int i = 0; i < 10000; i++)
			sum += (unsigned long)i;
	} while (milliseconds == 0 || now_us() < end);
}

/** Computes until the signal, which it blocks, is pending, and takes it. */
void rmr_spin_until(long signal)
{
	sigset_t set, pending;

	sigemptyset(&set);
	sigaddset(&set, (int)signal);
	sigprocmask(SIG_BLOCK, &set, NULL);
	do {
		rmr_spin(1);
		sigpending(&pending);
	} while (!sigismember(&pending, (int)signal));
	sigwaitinfo(&set, NULL);
}

/** Makes children by vfork for that long; returns how many ended in another way than they should. */
long rmr_vforks(long milliseconds)
{
	int64_t end = now_us() + milliseconds * 1000;
	volatile long bad = 0;

	for (volatile int n = 0; now_us() < end; n = (n + 1) % 100) {
		int status;
		pid_t pid = vfork();
		if (pid == 0)
			_exit(n + 1);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		bad += pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != n + 1;
	}
	return bad;
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

/**
 * Sleeps and computes for that long under a timer signal 1,000 times a second, which a handler in C
 * counts. Returns how many sleeps ended otherwise than early by a signal or in time, and how often no
 * signal came for 50 ms.
 */
long rmr_alarms(long milliseconds)
{
	struct itimerval every = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_alarm};
	int64_t end = now_us() + milliseconds * 1000;
	long bad = 0;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	while (now_us() < end) {
		struct timespec t = {.tv_nsec = 5000000};
		int64_t start = now_us();
		sig_atomic_t seen = alarms;
		int slept = nanosleep(&t, NULL), error = errno;

		bad += slept == 0 ? now_us() - start < 5000 : error != EINTR;
		for (int n = 0; n < 50 && alarms == seen; n++)
			rmr_spin(1);
		bad += alarms == seen;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	return bad;
}

/**
 * Does nothing for that long but allocate and free, in sizes that take the arena's lock, and checks
 * every block; returns how many were overwritten.
 */
long rmr_hammer_malloc(long milliseconds)
{
	enum { BLOCKS = 64 };
	static __thread unsigned char *blocks[BLOCKS];
	static __thread size_t sizes[BLOCKS];
	int64_t end = now_us() + milliseconds * 1000;
	unsigned int n = (unsigned int)end;
	long bad = 0;

	do {
		for (int i = 0; i < 1000; i++) {
			n = n * 1103515245 + 12345;
			unsigned int slot = n >> 8 & (BLOCKS - 1);
			unsigned char *block = blocks[slot];

			if (block && (block[0] != slot || block[sizes[slot] - 1] != slot))
				bad++;
			free(block);
			sizes[slot] = 1100 + (n >> 14 & 8191);
			block = blocks[slot] = malloc(sizes[slot]);
			block[0] = block[sizes[slot] - 1] = (unsigned char)slot;
		}
	} while (now_us() < end);
	return bad;
}

struct registers {
	uint8_t vector[16][32];
	uint64_t general[8];
	uint32_t mxcsr;
	uint16_t control; // of the x87
	uint16_t pad;
	double x87;
};

/*
 * Fills the registers from in, spins with nothing else in them, and stores them to out. Where the
 * processor has no AVX, avx is 0 and the low halves are used.
 */
static void hold_registers(const struct registers *in, struct registers *out, long rounds, int avx)
{
	asm volatile("ldmxcsr 576(%%rsi)\n fldcw 580(%%rsi)\n fldl 584(%%rsi)\n"
		     "test %%edx, %%edx\n jz 1f\n"
		     ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "vmovdqu \\r*32(%%rsi), %%ymm\\r\n .endr\n jmp 2f\n"
		     "1:\n .irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "movdqu \\r*32(%%rsi), %%xmm\\r\n .endr\n"
		     "2: mov 512(%%rsi), %%r8\n mov 520(%%rsi), %%r9\n mov 528(%%rsi), %%r10\n"
		     "mov 536(%%rsi), %%r11\n mov 544(%%rsi), %%r12\n mov 552(%%rsi), %%r13\n"
		     "mov 560(%%rsi), %%r14\n mov 568(%%rsi), %%r15\n std\n"
		     "3: dec %%rcx\n jnz 3b\n"
		     "lea -128(%%rsp), %%rsp\n pushf\n pop %%rax\n lea 128(%%rsp), %%rsp\n cld\n"
		     "mov %%r8, 512(%%rdi)\n mov %%r9, 520(%%rdi)\n"
		     "mov %%r10, 528(%%rdi)\n mov %%r11, 536(%%rdi)\n mov %%r12, 544(%%rdi)\n"
		     "mov %%r13, 552(%%rdi)\n mov %%r14, 560(%%rdi)\n mov %%r15, 568(%%rdi)\n"
		     "and $0x400, %%eax\n shr $10, %%eax\n mov %%ax, 582(%%rdi)\n"
		     "test %%edx, %%edx\n jz 4f\n"
		     ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "vmovdqu %%ymm\\r, \\r*32(%%rdi)\n .endr\n vzeroupper\n jmp 5f\n"
		     "4:\n .irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		     "movdqu %%xmm\\r, \\r*32(%%rdi)\n .endr\n"
		     "5: stmxcsr 576(%%rdi)\n fnstcw 580(%%rdi)\n fstpl 584(%%rdi)\n"
		     : "+c"(rounds)
		     : "S"(in), "D"(out), "d"(avx)
		     : "rax", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",
		     "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
		     "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

/** Holds known values in the registers for about that long; returns how often one had changed. */
long rmr_registers_check(long milliseconds)
{
	struct registers in, out;
	uint32_t mxcsr;
	uint16_t control;
	long bad = 0;
	int avx = __builtin_cpu_supports("avx");
	int64_t end = now_us() + milliseconds * 1000;

	_Static_assert(sizeof(in) == 592, "the assembler code knows the layout");
	asm volatile("stmxcsr %0\n fnstcw %1" : "=m"(mxcsr), "=m"(control));
	memset(&in, 0, sizeof(in));
	for (size_t i = 0; i < sizeof(in.vector); i++)
		in.vector[i / 32][i % 32] = (uint8_t)(i * 37 + 11);
	for (size_t i = 0; i < 8; i++)
		in.general[i] = 0x0123456789abcdefull * (i + 1);
	in.mxcsr = (mxcsr & ~0x603fu) | 0x4000; // rounds up, no exception pending
	in.control = (uint16_t)((control & ~0x0c00u) | 0x0800);
	in.x87 = 1.0 / 3.0;
	while (now_us() < end) {
		memset(&out, 0, sizeof(out));
		hold_registers(&in, &out, 200000, avx);
		in.pad = 1; // the direction flag was set
		if (!avx)
			for (size_t i = 0; i < 16; i++)
				memcpy(out.vector[i] + 16, in.vector[i] + 16, 16);
		bad += memcmp(&in, &out, sizeof(in)) != 0;
		in.pad = 0;
	}
	asm volatile("ldmxcsr %0\n fldcw %1" : : "m"(mxcsr), "m"(control));
	return bad;
}

#define TIMEOUT_MS 40

/** One system call that lasts TIMEOUT_MS; true if it ended as it must (errno is set if not). */
struct timed_call {
	const char *name;
	int (*run)(int fd); // returns 1: as it must be, 0: errno tells
	int relative;       // the kernel restarts it with a whole new timeout after a stop
};

static int epoll_fd, timer_fd, sem_id, lock_fd, partner, sockets[2];

static int call_epoll(int fd)
{
	struct epoll_event event;

	errno = 0;
	(void)fd;
	return epoll_wait(epoll_fd, &event, 1, TIMEOUT_MS) == 0;
}

static int call_epoll_infinite(int fd)
{
	struct itimerspec in = {.it_value.tv_nsec = TIMEOUT_MS * 1000000};
	struct epoll_event event;
	uint64_t ticks;
	int n;

	(void)fd;
	timerfd_settime(timer_fd, 0, &in, NULL);
	errno = 0;
	n = epoll_wait(epoll_fd, &event, 1, -1);
	return n == 1 && read(timer_fd, &ticks, 8) == 8 && ticks == 1;
}

static int call_sigtimedwait(int fd)
{
	struct timespec t = {.tv_nsec = TIMEOUT_MS * 1000000};
	sigset_t set;

	(void)fd;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &t) == -1 && errno == EAGAIN;
}

static int call_semtimedop(int fd)
{
	struct timespec t = {.tv_nsec = TIMEOUT_MS * 1000000};
	struct sembuf op = {.sem_op = -1};

	(void)fd;
	return semtimedop(sem_id, &op, 1, &t) == -1 && errno == EAGAIN;
}

static int call_recv(int fd)
{
	char byte;

	(void)fd;
	return recv(sockets[0], &byte, 1, 0) == -1 && errno == EAGAIN;
}

static int call_poll(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	errno = 0;
	return poll(&p, 1, TIMEOUT_MS) == 0;
}

static int call_select(int fd)
{
	struct timeval t = {.tv_usec = TIMEOUT_MS * 1000};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	errno = 0;
	return select(fd + 1, &set, NULL, NULL, &t) == 0;
}

static int call_nanosleep(int fd)
{
	struct timespec t = {.tv_nsec = TIMEOUT_MS * 1000000};

	(void)fd;
	errno = 0;
	return nanosleep(&t, NULL) == 0;
}

static int call_futex(int fd)
{
	struct timespec t = {.tv_nsec = TIMEOUT_MS * 1000000};
	static int word;

	(void)fd;
	return syscall(SYS_futex, &word, 128 /* FUTEX_WAIT_PRIVATE */, 0, &t, NULL, 0) == -1 &&
		errno == ETIMEDOUT;
}

static int call_read(int fd)
{
	struct itimerspec in = {.it_value.tv_nsec = TIMEOUT_MS * 1000000};
	uint64_t ticks;

	(void)fd;
	timerfd_settime(timer_fd, 0, &in, NULL);
	errno = 0;
	return read(timer_fd, &ticks, 8) == 8 && ticks == 1;
}

static int call_futex_absolute(int fd)
{
	struct timespec t;
	static int word;

	(void)fd;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += TIMEOUT_MS * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return syscall(SYS_futex, &word, 137 /* FUTEX_WAIT_BITSET_PRIVATE */, 0, &t, NULL, -1) ==
		-1 && errno == ETIMEDOUT;
}

/** A child holds the lock, and gives it up that long after it was asked to. */
static int call_flock(int fd)
{
	char byte = 1;

	(void)fd;
	if (write(partner, &byte, 1) != 1)
		return 0;
	errno = 0;
	if (flock(lock_fd, LOCK_EX) != 0)
		return 0;
	flock(lock_fd, LOCK_UN);
	// The child says that it has the lock again.
	return write(partner, &byte, 1) == 1 && read(partner, &byte, 1) == 1;
}

static const struct timed_call calls[] = {
	{"epoll_wait", call_epoll, 1},
	{"epoll_infinite", call_epoll_infinite, 0},
	{"sigtimedwait", call_sigtimedwait, 1},
	{"semtimedop", call_semtimedop, 1},
	{"recv", call_recv, 1},
	{"poll", call_poll, 0},
	{"select", call_select, 0},
	{"nanosleep", call_nanosleep, 0},
	{"futex", call_futex, 0},
	{"read", call_read, 0},
	{"futex_absolute", call_futex_absolute, 0},
	{"flock", call_flock, 0},
};

static void hold_lock(const char *path, int end)
{
	struct timespec t = {.tv_nsec = TIMEOUT_MS * 1000000};
	int fd = open(path, O_RDWR | O_CLOEXEC);
	sigset_t all;
	char byte = 0;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	do {
		flock(fd, LOCK_EX);
		if (write(end, &byte, 1) != 1 || read(end, &byte, 1) != 1)
			break;
		nanosleep(&t, NULL);
		flock(fd, LOCK_UN);
	} while (read(end, &byte, 1) == 1);
	_exit(0);
}

/** The child that holds the file's lock; it ends with its parent, which closes the pair. */
static void start_partner(void)
{
	char path[] = "/tmp/remora-lock-XXXXXX", byte;
	int pair[2];

	lock_fd = mkstemp(path);
	if (lock_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	if (fork() == 0) {
		close(pair[0]);
		hold_lock(path, pair[1]);
	}
	close(pair[1]);
	partner = pair[0];
	if (read(partner, &byte, 1) == 1)
		unlink(path);
}

enum { STOP, CALLS, EINTRS, WRONG, SHORT, LATE, LAST_ERRNO, WORST_US, DONE };

static void prepare_calls(void)
{
	struct timeval t = {.tv_usec = TIMEOUT_MS * 1000};
	struct epoll_event event = {.events = EPOLLIN};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	epoll_fd = epoll_create1(0);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, 0);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event);
	socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
	setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

static void make_call(const struct timed_call *call, volatile long *counters)
{
	int64_t start = now_us(), took;
	int good = call->run(sockets[0]), error = errno;

	took = now_us() - start;
	counters[CALLS]++;
	if (!good) {
		counters[error == EINTR ? EINTRS : WRONG]++;
		counters[LAST_ERRNO] = error;
	} else if (took < TIMEOUT_MS * 990) {
		counters[SHORT]++;
	} else if (took > TIMEOUT_MS * 1000 * (call->relative ? 3 : 2)) {
		counters[LATE]++;
	}
	if (took > counters[WORST_US])
		counters[WORST_US] = took;
}

/**
 * Makes the call @p name again and again until counters[STOP] is set, and counts: calls, EINTRs,
 * other wrong results, calls that ended early, calls that took more than twice as long.
 */
void rmr_timed_calls(const char *name, volatile long *counters)
{
	const struct timed_call *call = NULL;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			call = &calls[i];
	if (!call)
		return;
	prepare_calls();
	sem_id = semget(IPC_PRIVATE, 1, 0600);
	if (call->run == call_flock)
		start_partner();
	while (!counters[STOP])
		make_call(call, counters);
	semctl(sem_id, 0, IPC_RMID);
	counters[DONE] = 1;
}

/** Makes each call once, and counts in the same way. */
void rmr_timed_round(volatile long *counters)
{
	static int prepared;

	if (!prepared++) {
		prepare_calls();
		start_partner();
	}
	// Nobody removes it for a target that is killed: so there is one for the time of the round only.
	sem_id = semget(IPC_PRIVATE, 1, 0600);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		make_call(&calls[i], counters);
	semctl(sem_id, 0, IPC_RMID);
}

/** Makes the stack that far down be there. */
static __attribute__((noinline)) char touch(size_t size)
{
	volatile char *room = alloca(size);

	room[0] = 1;
	return room[size - 1];
}

/** Waits for ever, on the main thread, with about @p left bytes between it and its stack's limit. */
void rmr_wait_deep(unsigned long left)
{
	struct rlimit limit;
	unsigned long start, end, top = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");

	getrlimit(RLIMIT_STACK, &limit);
	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			top = end;
	}
	if (maps)
		fclose(maps);
	unsigned long here = (unsigned long)__builtin_frame_address(0);
	unsigned long bottom = top - limit.rlim_cur;
	if (!top || here < bottom + left)
		abort();
	volatile char *room = alloca(here - bottom - left);
	room[0] = touch(left > 2048 ? left - 2048 : 1);
	for (;;)
		usleep(5000);
}

/** A thread's function. Waits for ever, with place[1] bytes of stack left above the address place[0], as soon
 * as that is not 0, and sets place[2] when it is there. */
void *rmr_wait_at(volatile unsigned long place[3])
{
	while (!place[0])
		usleep(100);
	volatile char *room = alloca((unsigned long)__builtin_frame_address(0) - place[0] - place[1]);
	room[0] = 1;
	place[2] = 1;
	for (;;)
		usleep(5000u + (unsigned)room[0]);
	return NULL;
}

/** Computes for ever as a thread that the C library knows nothing of. */
void rmr_wait_as_stranger(void)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result)
		: "a"(SYS_arch_prctl), "D"(ARCH_SET_FS), "S"(0) : "rcx", "r11", "memory");
	__asm__ volatile("syscall" : "=a"(result)
		: "a"(SYS_write), "D"(1), "S"("ALONE 1\n"), "d"(8) : "rcx", "r11", "memory");
	for (;;)
		__asm__ volatile("pause");
}

/* One restartable sequence of about 0.1 ms. What the kernel left of its own note of it: 0 if the thread was
 * elsewhere meanwhile, and yet went on. */
static uint64_t run_sequence(volatile uint64_t *note)
{
	uint64_t left;

	__asm__ volatile(".pushsection .data.rmr_rseq, \"aw\"\n"
			 ".balign 32\n"
			 "9: .long 0, 0\n"
			 ".quad 1f, 3f - 1f, 5f\n"
			 ".popsection\n"
			 "0: lea 9b(%%rip), %%rax\n"
			 "mov %%rax, (%[note])\n"
			 "1: mov $200000, %%ecx\n"
			 "2: dec %%ecx\n"
			 "jnz 2b\n"
			 "mov (%[note]), %[left]\n"
			 "3: jmp 6f\n"
			 ".long 0x53053053\n" /* RSEQ_SIG, before the place to go to when it is cut off */
			 "5: jmp 0b\n"
			 "6:\n"
			 : [left] "=&r"(left)
			 : [note] "r"(note)
			 : "rax", "rcx", "memory", "cc");
	return left;
}

/**
 * How often a sequence was neither whole nor begun anew. @p offset: where struct rseq (linux/rseq.h) stands, from
 * the thread pointer on. glibc 2.35 tells it, but this file is for older ones, too, and must not name it.
 */
long rmr_sequences(long milliseconds, long offset)
{
	long bad = 0;
	char *rseq = (char *)__builtin_thread_pointer() + offset;

	for (int64_t end = now_us() + milliseconds * 1000; now_us() < end;) {
		bad += run_sequence((volatile uint64_t *)(rseq + 8)) == 0;
		/* As long outside of it, where the thread may be borrowed. */
		for (volatile long i = 0; i < 50000; i++)
			;
	}
	return bad;
}
