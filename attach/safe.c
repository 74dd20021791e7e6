// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/safe.h"

#include "attach/arch.h"
#include "attach/frame_table.h"
#include "attach/target_internal.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

static bool is_libc(enum rmr_safe_place place)
{
	return place == RMR_PLACE_LIBC || place == RMR_PLACE_ANYTIME || place == RMR_PLACE_WAIT ||
	       place == RMR_PLACE_LOCK || place == RMR_PLACE_START;
}

static enum rmr_safe_step refuse(struct rmr_safe_walk *walk, const char *reason)
{
	walk->reason = reason;
	return RMR_STEP_UNSAFE;
}

/* The program called the C library's function at walk->last: may that function be interrupted? */
static enum rmr_safe_step leave_libc(struct rmr_safe_walk *walk)
{
	enum rmr_safe_place last = walk->last;

	walk->last = 0;
	if (walk->left_libc && last == RMR_PLACE_START)
		return RMR_STEP_ON;
	if (walk->left_libc)
		return refuse(walk, "called back by the C library");
	if (last == RMR_PLACE_ANYTIME)
		return RMR_STEP_ON;
	if (last == RMR_PLACE_WAIT && walk->waits)
		return RMR_STEP_ON;
	if (last == RMR_PLACE_LOCK && (walk->waits || walk->waits_futex))
		return RMR_STEP_ON;
	return refuse(walk, "in the C library");
}

enum rmr_safe_step rmr_safe_next(struct rmr_safe_walk *walk, enum rmr_safe_place place, bool signal)
{
	if (signal)
		return refuse(walk, "in a signal handler");
	if (is_libc(place)) {
		walk->last = place;
		return RMR_STEP_ON;
	}
	if (walk->last) {
		enum rmr_safe_step step = leave_libc(walk);
		if (step != RMR_STEP_ON)
			return step;
	}
	walk->left_libc = true;
	switch (place) {
	case RMR_PLACE_EVAL:
		return RMR_STEP_SAFE;
	case RMR_PLACE_INTERPRETER:
		walk->interpreter++;
		return walk->interpreter < RMR_SAFE_INTERPRETER_FRAMES ? RMR_STEP_ON
								       : RMR_STEP_SAFE;
	case RMR_PLACE_PROGRAM:
		return RMR_STEP_ON;
	case RMR_PLACE_LOADER:
		return refuse(walk, "in the dynamic loader");
	case RMR_PLACE_ALLOCATOR:
		return refuse(walk, "in an allocator");
	default:
		return refuse(walk, "in code of no file");
	}
}

enum rmr_safe_step rmr_safe_end(struct rmr_safe_walk *walk)
{
	/* The frames that the C library starts a thread with are outermost; a thread that has
	 * nothing else is the C library's own. */
	if (!walk->left_libc)
		return refuse(walk, "in a thread of the C library");
	return RMR_STEP_SAFE;
}

/*
 * Exported functions of glibc 2.17 to 2.43. None of them holds malloc's locks, the loader's, or the
 * list of stacks (nptl/allocatestack.c) at the places where it waits, which are what pthread_create
 * takes.
 */
static const struct {
	enum rmr_safe_place place;
	const char *name;
} functions[] = {
	{RMR_PLACE_START, "__libc_start_main"},
	{RMR_PLACE_ANYTIME, "clock_gettime"},
	{RMR_PLACE_ANYTIME, "gettimeofday"},
	{RMR_PLACE_ANYTIME, "time"},
	{RMR_PLACE_ANYTIME, "sched_yield"},
	{RMR_PLACE_ANYTIME, "getpid"},
	{RMR_PLACE_LOCK, "read"},
	{RMR_PLACE_LOCK, "write"},
	{RMR_PLACE_LOCK, "readv"},
	{RMR_PLACE_LOCK, "writev"},
	{RMR_PLACE_LOCK, "pread64"},
	{RMR_PLACE_LOCK, "pwrite64"},
	{RMR_PLACE_LOCK, "preadv64"},
	{RMR_PLACE_LOCK, "pwritev64"},
	{RMR_PLACE_LOCK, "preadv64v2"},
	{RMR_PLACE_LOCK, "pwritev64v2"},
	{RMR_PLACE_LOCK, "__read_chk"},
	{RMR_PLACE_LOCK, "__pread64_chk"},
	{RMR_PLACE_LOCK, "open64"},
	{RMR_PLACE_LOCK, "openat64"},
	{RMR_PLACE_LOCK, "__open64_2"},
	{RMR_PLACE_LOCK, "ioctl"},
	{RMR_PLACE_LOCK, "fcntl64"},
	{RMR_PLACE_LOCK, "fcntl"},
	{RMR_PLACE_LOCK, "flock"},
	{RMR_PLACE_LOCK, "lockf64"},
	{RMR_PLACE_LOCK, "fsync"},
	{RMR_PLACE_LOCK, "fdatasync"},
	{RMR_PLACE_LOCK, "msync"},
	{RMR_PLACE_LOCK, "sendfile64"},
	{RMR_PLACE_LOCK, "splice"},
	{RMR_PLACE_LOCK, "getrandom"},
	{RMR_PLACE_LOCK, "poll"},
	{RMR_PLACE_LOCK, "__poll_chk"},
	{RMR_PLACE_LOCK, "ppoll"},
	{RMR_PLACE_LOCK, "__ppoll_chk"},
	{RMR_PLACE_LOCK, "select"},
	{RMR_PLACE_LOCK, "pselect"},
	{RMR_PLACE_LOCK, "epoll_wait"},
	{RMR_PLACE_LOCK, "epoll_pwait"},
	{RMR_PLACE_LOCK, "epoll_pwait2"},
	{RMR_PLACE_LOCK, "accept"},
	{RMR_PLACE_LOCK, "accept4"},
	{RMR_PLACE_LOCK, "connect"},
	{RMR_PLACE_LOCK, "recv"},
	{RMR_PLACE_LOCK, "__recv_chk"},
	{RMR_PLACE_LOCK, "recvfrom"},
	{RMR_PLACE_LOCK, "__recvfrom_chk"},
	{RMR_PLACE_LOCK, "recvmsg"},
	{RMR_PLACE_LOCK, "recvmmsg"},
	{RMR_PLACE_LOCK, "send"},
	{RMR_PLACE_LOCK, "sendto"},
	{RMR_PLACE_LOCK, "sendmsg"},
	{RMR_PLACE_LOCK, "sendmmsg"},
	{RMR_PLACE_LOCK, "nanosleep"},
	{RMR_PLACE_LOCK, "clock_nanosleep"},
	{RMR_PLACE_LOCK, "usleep"},
	{RMR_PLACE_LOCK, "sleep"},
	{RMR_PLACE_LOCK, "pause"},
	{RMR_PLACE_LOCK, "sigsuspend"},
	{RMR_PLACE_LOCK, "sigwait"},
	{RMR_PLACE_LOCK, "sigwaitinfo"},
	{RMR_PLACE_LOCK, "sigtimedwait"},
	{RMR_PLACE_LOCK, "wait"},
	{RMR_PLACE_LOCK, "waitpid"},
	{RMR_PLACE_LOCK, "wait3"},
	{RMR_PLACE_LOCK, "wait4"},
	{RMR_PLACE_LOCK, "waitid"},
	{RMR_PLACE_LOCK, "semop"},
	{RMR_PLACE_LOCK, "semtimedop"},
	{RMR_PLACE_LOCK, "msgrcv"},
	{RMR_PLACE_LOCK, "msgsnd"},
	{RMR_PLACE_LOCK, "mq_timedreceive"},
	{RMR_PLACE_LOCK, "mq_timedsend"},
	{RMR_PLACE_LOCK, "sem_wait"},
	{RMR_PLACE_LOCK, "sem_timedwait"},
	{RMR_PLACE_LOCK, "sem_clockwait"},
	{RMR_PLACE_LOCK, "pthread_cond_wait"},
	{RMR_PLACE_LOCK, "pthread_cond_timedwait"},
	{RMR_PLACE_LOCK, "pthread_cond_clockwait"},
	{RMR_PLACE_LOCK, "pthread_mutex_lock"},
	{RMR_PLACE_LOCK, "pthread_mutex_timedlock"},
	{RMR_PLACE_LOCK, "pthread_mutex_clocklock"},
	{RMR_PLACE_LOCK, "pthread_rwlock_rdlock"},
	{RMR_PLACE_LOCK, "pthread_rwlock_wrlock"},
	{RMR_PLACE_LOCK, "pthread_rwlock_timedrdlock"},
	{RMR_PLACE_LOCK, "pthread_rwlock_timedwrlock"},
	{RMR_PLACE_LOCK, "pthread_barrier_wait"},
	{RMR_PLACE_LOCK, "pthread_join"},
	{RMR_PLACE_LOCK, "pthread_timedjoin_np"},
	{RMR_PLACE_LOCK, "pthread_clockjoin_np"},
	{RMR_PLACE_LOCK, "syscall"},
	/* These hold a stream's lock, the resolver's or their own. */
	{RMR_PLACE_WAIT, "fread"},
	{RMR_PLACE_WAIT, "fwrite"},
	{RMR_PLACE_WAIT, "fgets"},
	{RMR_PLACE_WAIT, "fgets_unlocked"},
	{RMR_PLACE_WAIT, "getc"},
	{RMR_PLACE_WAIT, "getc_unlocked"},
	{RMR_PLACE_WAIT, "__uflow"},
	{RMR_PLACE_WAIT, "__underflow"},
	{RMR_PLACE_WAIT, "__overflow"},
	{RMR_PLACE_WAIT, "fflush"},
	{RMR_PLACE_WAIT, "getline"},
	{RMR_PLACE_WAIT, "getdelim"},
	{RMR_PLACE_WAIT, "getaddrinfo"},
	{RMR_PLACE_WAIT, "getnameinfo"},
	{RMR_PLACE_WAIT, "gethostbyname_r"},
	{RMR_PLACE_WAIT, "gethostbyaddr_r"},
	{RMR_PLACE_WAIT, "system"},
	{RMR_PLACE_WAIT, "pclose"},
};

/*
 * Exported functions of CPython 3.6 to 3.15 that call Python code. (Debian's 3.14 has the
 * evaluation loop itself in many functions without a name.) The interpreter's signal handler calls
 * none.
 */
static const char *const eval_functions[] = {
	"_PyEval_EvalFrameDefault",
	"PyEval_EvalFrameEx",
	"PyEval_EvalCode",
	"_PyFunction_Vectorcall",
	"_PyObject_MakeTpCall",
	"_PyObject_FastCallDict",
	"PyVectorcall_Call",
	"PyObject_Call",
	"PyObject_CallObject",
	"PyObject_CallNoArgs",
	"PyObject_CallOneArg",
	"PyObject_Vectorcall",
	"PyObject_VectorcallMethod",
	"PyObject_CallFunction",
	"PyObject_CallFunctionObjArgs",
	"PyObject_CallMethod",
	"PyObject_CallMethodObjArgs",
	"PyObject_RichCompare",
	"PyObject_Repr",
	"PyObject_Str",
	"PyIter_Next",
};

struct range {
	rmr_addr_t start;
	rmr_addr_t end;
	enum rmr_safe_place place;
};

enum {
	FUNCTIONS = sizeof(functions) / sizeof(functions[0]),
	EVAL_FUNCTIONS = sizeof(eval_functions) / sizeof(eval_functions[0]),
	MAX_RANGES = 4 * (FUNCTIONS + EVAL_FUNCTIONS),
	MAX_SEMAPHORE_CODE = 512,
};

static const char *const semaphore_functions[] = {"sem_wait", "sem_timedwait", "sem_clockwait"};

struct rmr_safe {
	struct rmr_target *target;
	signed char *kinds; /* by module: a place, or -1 before its first frame */
	size_t range_count;
	struct range ranges[MAX_RANGES];
	enum rmr_safe_place adding;
	rmr_addr_t frame_header; /* .eh_frame_hdr of the file that is being looked at */
};

static void add_range(void *context, rmr_addr_t address, uint64_t size)
{
	struct rmr_safe *safe = context;

	if (safe->range_count == MAX_RANGES || !size)
		return;
	safe->ranges[safe->range_count++] = (struct range){address, address + size, safe->adding};
}

/* Where .eh_frame_hdr of the file mapped from @p base stands; 0 if it has none. */
static rmr_addr_t find_frame_header(const struct rmr_target *target, rmr_addr_t base)
{
	Elf64_Ehdr elf;
	Elf64_Phdr header;

	if (!rmr_target_reader((void *)(uintptr_t)target, base, &elf, sizeof(elf)))
		return 0;
	for (unsigned i = 0; i < elf.e_phnum; i++) {
		if (!rmr_target_reader((void *)(uintptr_t)target,
			    base + elf.e_phoff + i * sizeof(header), &header, sizeof(header)))
			return 0;
		if (header.p_type == PT_GNU_EH_FRAME)
			return base + header.p_vaddr;
	}
	return 0;
}

/*
 * A semaphore's wait jumps to a nameless second half (glibc nptl/sem_wait.c, __new_sem_wait_slow64),
 * where every thread stands that waits for a threading.Lock. Each word of code that reads as a jump
 * out of the function is looked at; only where a function starts is one taken.
 */
static void add_tails(void *context, rmr_addr_t address, uint64_t size)
{
	struct rmr_safe *safe = context;
	unsigned char code[MAX_SEMAPHORE_CODE];

	if (!safe->frame_header || !size || size > sizeof(code) ||
		!rmr_target_reader(safe->target, address, code, (size_t)size))
		return;
	for (size_t at = 0; at + 5 <= size; at++) {
		rmr_addr_t tail, start, end;
		if (!rmr_arch_is_jump(code + at, (size_t)size - at, address + at, &tail) ||
			(tail >= address && tail < address + size))
			continue;
		if (rmr_frame_table_find(safe->target, safe->frame_header, tail, &start, &end) &&
			start == tail && end > start)
			add_range(safe, start, end - start);
	}
}

struct rmr_error *rmr_safe_create(struct rmr_target *target, struct rmr_safe **ret)
{
	struct rmr_safe *safe = calloc(1, sizeof(*safe));
	signed char *kinds = malloc(target->module_count + 1);
	struct rmr_module *const libs[] = {target->libc, target->libc_parts[0]};

	if (!safe || !kinds) {
		free(safe);
		free(kinds);
		return &rmr_enomem;
	}
	memset(kinds, -1, target->module_count);
	safe->target = target;
	safe->kinds = kinds;
	for (size_t lib = 0; lib < 2; lib++) {
		const struct rmr_image *image =
			libs[lib] ? rmr_target_image(target, libs[lib]) : NULL;
		for (size_t i = 0; image && i < FUNCTIONS; i++) {
			safe->adding = functions[i].place;
			rmr_image_each_version(image, functions[i].name, add_range, safe);
		}
		safe->adding = RMR_PLACE_LOCK;
		safe->frame_header = image ? find_frame_header(target, libs[lib]->start) : 0;
		for (size_t i = 0; image && i < 3; i++)
			rmr_image_each_version(image, semaphore_functions[i], add_tails, safe);
	}
	safe->adding = RMR_PLACE_EVAL;
	for (size_t i = 0; i < EVAL_FUNCTIONS; i++)
		rmr_image_each_version(
			target->interpreter->image, eval_functions[i], add_range, safe);
	*ret = safe;
	return NULL;
}

void rmr_safe_destroy(struct rmr_safe *safe)
{
	if (!safe)
		return;
	free(safe->kinds);
	free(safe);
}

static enum rmr_safe_place classify(const struct rmr_safe *safe, struct rmr_module *module)
{
	const struct rmr_target *target = safe->target;

	if (module == target->libc || module == target->libc_parts[0] ||
		module == target->libc_parts[1] || strcmp(module->map->path, "[vdso]") == 0)
		return RMR_PLACE_LIBC;
	const struct rmr_image *image = rmr_target_image(target, module);
	if (!image)
		return module->hangs ? RMR_PLACE_ALLOCATOR : RMR_PLACE_UNKNOWN;
	if (rmr_image_symbol(image, "__tls_get_addr", NULL))
		return RMR_PLACE_LOADER;
	if (rmr_image_symbol(image, "malloc", NULL))
		return RMR_PLACE_ALLOCATOR;
	return module == target->interpreter ? RMR_PLACE_INTERPRETER : RMR_PLACE_PROGRAM;
}

enum rmr_safe_place rmr_safe_place(struct rmr_safe *safe, rmr_addr_t pc)
{
	struct rmr_module *module = rmr_target_module(safe->target, pc);

	if (!module)
		return RMR_PLACE_UNKNOWN;
	signed char *kind = &safe->kinds[module - safe->target->modules];
	if (*kind < 0)
		*kind = (signed char)classify(safe, module);
	if (*kind != RMR_PLACE_LIBC && module != safe->target->interpreter)
		return (enum rmr_safe_place) * kind;
	for (size_t i = 0; i < safe->range_count; i++) {
		if (pc >= safe->ranges[i].start && pc < safe->ranges[i].end)
			return safe->ranges[i].place;
	}
	return (enum rmr_safe_place) * kind;
}
