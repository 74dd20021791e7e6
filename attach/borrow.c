// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/borrow.h"

#include "attach/cleanup.h"
#include "attach/log.h"
#include "attach/pause.h"
#include "attach/points.h"
#include "attach/program.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum {
	STOP_US = 1000000,
	CALL_US = 2000000, /* for mmap: the kernel may have to wait for other threads' faults */
	/*
	 * How long a thread is followed through pthread_create: on a busy machine, or in a cgroup that
	 * has used up its time, it may get a processor late. One that must answer a setuid() loop only
	 * gets slower by being traced.
	 */
	FOLLOW_US = 1000000,
	FOLLOW_STEP_US = 20000,
	CALL_STACK = 12 * 1024, /* what pthread_create may use, below the frame */
	STACK_GAP = 1 << 20,	/* a stack does not grow nearer to another mapping: mm/mmap.c */
	NEAR = 8 * 1024,
	LOW_START = 1 << 20, /* well above vm.mmap_min_addr */
	LOW_END = 4 << 20,
	SIGSETXID = 33, /* glibc's own, for setuid() in all threads: a thread must answer it */
};

/* While it makes a system call of ours; from then on, and in the new thread. */
static const uint64_t all_signals = ~0ull, all_but_setxid = ~(1ull << (SIGSETXID - 1));

/* One thread under way. */
struct borrow {
	struct rmr_target *target;
	const struct rmr_borrow_code *code;
	const struct rmr_borrow_job *job;
	struct rmr_pause pause;
	bool changed; /* registers, mask or stack are not what they were */
	uint64_t mask;
	size_t xstate_size;
	unsigned char xstate[RMR_ARCH_XSTATE_MAX];
	struct rmr_frame frame;
};

typedef ptrdiff_t (*find_fn)(const unsigned char *code, size_t size);

static rmr_addr_t find_in(
	const struct rmr_target *target, find_fn find, rmr_addr_t start, rmr_addr_t end)
{
	size_t size = (size_t)(end - start);
	_rmr_free_ unsigned char *code = malloc(size);

	if (!code)
		return 0;
	size = rmr_target_read_some(target, start, code, size);
	ptrdiff_t at = find(code, size);
	return at < 0 ? 0 : start + (rmr_addr_t)at;
}

/* Near a function that should have it next to it, else anywhere in the C library's code. */
static rmr_addr_t find_code(const struct rmr_target *target, find_fn find, const char *near)
{
	rmr_addr_t around = rmr_target_libc_symbol(target, near, NULL);
	const struct rmr_map *map = around ? rmr_maps_find(&target->maps, around) : NULL;

	if (map && (map->flags & RMR_MAP_EXEC)) {
		rmr_addr_t start = around - map->start > NEAR ? around - NEAR : map->start;
		rmr_addr_t end = map->end - around > NEAR ? around + NEAR : map->end;
		rmr_addr_t found = find_in(target, find, start, end);
		if (found)
			return found;
	}
	for (size_t i = 0; i < target->maps.count; i++) {
		map = &target->maps.maps[i];
		if (!(map->flags & RMR_MAP_EXEC) || map->start < target->libc->start ||
			map->end > target->libc->end)
			continue;
		rmr_addr_t found = find_in(target, find, map->start, map->end);
		if (found)
			return found;
	}
	return 0;
}

struct rmr_error *rmr_borrow_find_code(const struct rmr_target *target, struct rmr_borrow_code *ret)
{
	ret->syscall = find_code(target, rmr_arch_find_syscall, "getpid");
	ret->restorer = find_code(target, rmr_arch_find_restorer, "sigaction");
	ret->pthread_create = rmr_target_libc_symbol(target, "pthread_create", NULL);
	ret->munmap = rmr_target_libc_symbol(target, "munmap", NULL);
	ret->ensure = rmr_target_symbol(target, "PyGILState_Ensure");
	ret->init = rmr_target_symbol(target, "PyEval_InitThreads");
	ret->release = rmr_target_symbol(target, "PyGILState_Release");
	if (!ret->syscall || !ret->restorer || !ret->pthread_create || !ret->munmap)
		return rmr_error_create(RMR_E_UNSUPPORTED, 0,
			"the C library of process %d is not one that remora knows",
			(int)target->pid);
	return NULL;
}

static struct rmr_error *unsafe(const struct borrow *b, const char *reason)
{
	return rmr_error_create(RMR_E_UNSAFE, 0, "thread %d is %s", (int)b->pause.tracee.tid, reason);
}

/* Down to where the stack @p map reaches, or would grow when the thread touches it. */
static rmr_addr_t stack_bottom(
	const struct borrow *b, const struct rmr_maps *maps, const struct rmr_map *map)
{
	struct rlimit limit;
	rmr_addr_t bottom = map > maps->maps ? map[-1].end + STACK_GAP : 0;

	if (strcmp(map->path, "[stack]") != 0 ||
		prlimit(b->target->pid, RLIMIT_STACK, NULL, &limit) < 0)
		return map->start;
	if (limit.rlim_cur < map->end && map->end - limit.rlim_cur > bottom)
		bottom = map->end - limit.rlim_cur;
	return bottom < map->start ? bottom : map->start;
}

/* Room for the frame, where our write does not make the stack grow, and for pthread_create. */
static bool has_stack(const struct borrow *b, const struct rmr_maps *maps)
{
	const struct rmr_map *map = rmr_maps_find(maps, rmr_arch_sp(&b->pause.regs));
	rmr_addr_t end = b->frame.address - CALL_STACK;
	unsigned char byte;

	if (!map || !(map->flags & RMR_MAP_WRITE) || b->frame.address < map->start ||
		b->frame.address - stack_bottom(b, maps, map) < CALL_STACK)
		return false;
	/* From glibc 2.42 on the guard at a stack's end is not to be seen in the maps. */
	return end < map->start || rmr_target_read_some(b->target, end, &byte, 1) == 1;
}

/* A thread without the GIL of 3.6 is safe only where it does not touch the thread state. */
static bool is_between_switches(const struct borrow *b, struct rmr_unwind *unwind)
{
	long number = rmr_arch_syscall(&b->pause.regs);

	return rmr_arch_is_wait(number) || rmr_arch_is_futex(number) ||
	       rmr_unwind_is_in_eval(unwind, rmr_arch_pc(&b->pause.regs));
}

static struct rmr_error *check_safe(struct borrow *b, struct rmr_unwind *unwind)
{
	const char *reason;

	if (rmr_points_is_unsafe_allowed())
		return NULL;
	if (rmr_unwind_check(unwind, &b->pause.regs, &reason) != RMR_UNWIND_SAFE)
		return unsafe(b, reason);
	if (rmr_tracee_is_in_sequence(&b->pause.tracee, rmr_arch_pc(&b->pause.regs)))
		return unsafe(b, "in a restartable sequence");
	if (b->job->init_threads && !is_between_switches(b, unwind))
		return unsafe(b, "switching threads");
	return NULL;
}

/* Puts everything back at an event stop, then lets the thread go. */
static void put_back(struct borrow *b)
{
	struct rmr_regs regs = b->pause.regs;
	struct rmr_error *err = rmr_tracee_set_xstate(&b->pause.tracee, b->xstate, b->xstate_size);

	if (!err)
		err = rmr_tracee_set_mask(&b->pause.tracee, b->mask);
	rmr_points_pass(13);
	if (b->pause.restart == RMR_RESTART_EINTR && rmr_pause_is_spurious(&b->pause))
		rmr_arch_reissue(&regs);
	if (!err)
		err = rmr_tracee_set_regs(&b->pause.tracee, &regs);
	rmr_points_pass(14);
	rmr_error_destroy(err);
	rmr_pause_end(&b->pause);
}

/* From any stop to an event stop with nothing run in between; then puts everything back. */
static void return_exactly(struct borrow *b)
{
	struct rmr_regs regs = b->pause.regs;

	rmr_arch_jump(&regs, b->frame.restorer, b->frame.resume_sp);
	/*
	 * What a call's entry stop is left with. To skip it by -1 will not do: seccomp filters get
	 * to see that number, and those that list what they allow kill for it.
	 */
	regs.raw.orig_rax = SYS_gettid;
	regs.raw.rax = 0;
	struct rmr_error *err = rmr_tracee_set_regs(&b->pause.tracee, &regs);
	rmr_points_pass(11);
	if (!err)
		err = rmr_tracee_interrupt(&b->pause.tracee, STOP_US);
	rmr_points_pass(12);
	if (err) {
		/* It restores the frame by itself. */
		rmr_error_destroy(err);
		rmr_tracee_detach(&b->pause.tracee);
		return;
	}
	put_back(b);
}

static struct rmr_error *write_stack(
	struct borrow *b, rmr_addr_t address, const void *bytes, size_t size)
{
	struct rmr_error *err = rmr_target_write(b->target, address, bytes, size);

	if (!rmr_error_catch(&err, RMR_E_TARGET))
		return err;
	return rmr_tracee_poke(&b->pause.tracee, address, bytes, size);
}

/* Everything up to the point where the thread would go on by the frame. */
static struct rmr_error *install_frame(struct borrow *b, const struct rmr_maps *maps)
{
	struct rmr_regs resumed = b->pause.regs;

	if (b->pause.restart == RMR_RESTART_AGAIN || b->pause.restart == RMR_RESTART_EINTR)
		rmr_arch_reissue(&resumed);
	else if (b->pause.restart == RMR_RESTART_BLOCK)
		rmr_arch_complete(&resumed, -EINTR);
	struct rmr_error *err = rmr_tracee_get_mask(&b->pause.tracee, &b->mask);
	if (err)
		return err;
	b->xstate_size = sizeof(b->xstate);
	err = rmr_tracee_get_xstate(&b->pause.tracee, b->xstate, &b->xstate_size);
	if (err)
		return err;
	if (!rmr_arch_build_frame(
		    &b->frame, &resumed, b->mask, b->xstate, b->xstate_size, b->code->restorer))
		return rmr_error_create(RMR_E_UNSUPPORTED, 0,
			"this processor's vector state has an unknown size (%zu)", b->xstate_size);
	if (!has_stack(b, maps))
		return unsafe(b, "short of stack");
	b->changed = true;
	err = write_stack(b, b->frame.address, b->frame.bytes, b->frame.size);
	rmr_points_pass(1);
	if (err)
		return err;
	rmr_arch_jump(&resumed, b->frame.restorer, b->frame.resume_sp);
	err = rmr_tracee_set_regs(&b->pause.tracee, &resumed);
	rmr_points_pass(2);
	if (!err)
		err = rmr_tracee_set_mask(&b->pause.tracee, all_signals);
	rmr_points_pass(3);
	return err;
}

/*
 * Where to map: below all that the kernel chooses by itself (it goes down from the top, and
 * programs without PIE begin at 4 MB), so that nobody else maps there meanwhile. 0 if there is no
 * room.
 */
static rmr_addr_t choose_address(const struct rmr_maps *maps, size_t size)
{
	for (rmr_addr_t start = LOW_END - size; start >= LOW_START; start -= size) {
		size_t i = 0;
		while (i < maps->count &&
			(maps->maps[i].end <= start || maps->maps[i].start >= start + size))
			i++;
		if (i == maps->count)
			return start;
	}
	return 0;
}

/*
 * mmap by the thread itself. No signal handler can run meanwhile: all are blocked. It returns into
 * munmap, whose first two arguments are those of mmap with a fixed address: if remora dies right
 * after the call, the thread frees the region by itself.
 */
static struct rmr_error *call_mmap(struct borrow *b, rmr_addr_t address, rmr_addr_t *ret)
{
	const uint64_t args[6] = {address, b->job->region_size, PROT_READ | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | (address ? MAP_FIXED_NOREPLACE : 0), (uint64_t)-1, 0};
	rmr_addr_t sp = address ? b->frame.address - sizeof(address) : b->frame.address;
	struct rmr_regs regs = b->pause.regs;
	struct rmr_error *err = NULL;

	if (address)
		err = write_stack(b, sp, &b->code->munmap, sizeof(b->code->munmap));
	rmr_arch_prepare_syscall(&regs, b->code->syscall, sp, rmr_arch_nr_mmap(), args);
	if (!err)
		err = rmr_tracee_set_regs(&b->pause.tracee, &regs);
	rmr_points_pass(4);
	if (!err)
		err = rmr_tracee_next_syscall(&b->pause.tracee, CALL_US);
	if (!err)
		err = rmr_tracee_get_regs(&b->pause.tracee, &regs);
	rmr_points_pass(5);
	if (!err && !rmr_arch_is_at(&regs, b->code->syscall, rmr_arch_nr_mmap()))
		err = rmr_error_create(
			RMR_E_TARGET, 0, "thread %d does not call mmap", (int)b->pause.tracee.tid);
	if (!err)
		err = rmr_tracee_next_syscall(&b->pause.tracee, CALL_US);
	if (!err)
		err = rmr_tracee_get_regs(&b->pause.tracee, &regs);
	rmr_points_pass(6);
	if (err)
		return err;
	int64_t result = rmr_arch_result(&regs);
	if (result < 0 && result > -4096)
		return rmr_error_create(RMR_E_TARGET, (int)-result,
			"process %d cannot map %zu bytes", (int)b->target->pid,
			b->job->region_size);
	*ret = (rmr_addr_t)result;
	return NULL;
}

/* The region at an address of ours, or, where that does not work, of the kernel's choice. */
static struct rmr_error *map_region(struct borrow *b, const struct rmr_maps *maps, rmr_addr_t *ret)
{
	rmr_addr_t address = choose_address(maps, b->job->region_size);
	struct rmr_error *err = call_mmap(b, address, ret);

	if (!address || !err || err->errnum != EEXIST)
		return err;
	rmr_error_destroy(err);
	return call_mmap(b, 0, ret);
}

static struct rmr_error *write_region(struct borrow *b, rmr_addr_t region)
{
	const struct rmr_borrow_job *job = b->job;
	const struct rmr_borrow_code *code = b->code;
	unsigned char stub[2 * RMR_ARCH_STUB_MAX];
	size_t stub_size;
	struct rmr_error *err = NULL;

	if (job->init_threads)
		stub_size = rmr_arch_stub_init_threads(stub, code->ensure, code->init,
			code->release, code->munmap, region, job->region_size);
	else
		stub_size = rmr_arch_stub_create_thread(stub, code->pthread_create,
			b->frame.scratch, region + job->entry_offset, region);
	if (job->image_size)
		err = rmr_target_write(b->target, region, job->image, job->image_size);
	if (rmr_error_catch(&err, RMR_E_TARGET))
		err = rmr_tracee_poke(&b->pause.tracee, region, job->image, job->image_size);
	if (err)
		return err;
	err = rmr_target_write(b->target, region + job->stub_offset, stub, stub_size);
	if (rmr_error_catch(&err, RMR_E_TARGET))
		err = rmr_tracee_poke(&b->pause.tracee, region + job->stub_offset, stub, stub_size);
	return err;
}

/*
 * The frame makes the thread issue its call anew, but by now a signal may wait whose handler will run
 * before that. Some calls would have ended by it: such a thread is not to sleep on, as if nobody had
 * called.
 */
static struct rmr_error *tell_of_signals(struct borrow *b)
{
	struct rmr_regs now, again = b->pause.regs, ended = b->pause.regs;
	struct rmr_status status;

	if (!rmr_arch_ends_by_handler(&ended) ||
		rmr_status_read_task("/proc", b->target->pid, b->pause.tracee.tid, &status) ||
		!((status.pending | status.shared_pending) & ~b->mask & status.caught))
		return NULL;
	rmr_arch_reissue(&again);
	rmr_arch_complete(&ended, -EINTR);
	struct rmr_error *err = rmr_tracee_get_regs(&b->pause.tracee, &now);
	if (err)
		return err;
	/* It may have restored the frame already. */
	if (rmr_arch_sp(&now) == rmr_arch_sp(&again) && rmr_arch_pc(&now) == rmr_arch_pc(&again))
		return rmr_tracee_set_regs(&b->pause.tracee, &ended);
	if (!rmr_arch_build_frame(
		    &b->frame, &ended, b->mask, b->xstate, b->xstate_size, b->code->restorer))
		return NULL;
	return write_stack(b, b->frame.address, b->frame.bytes, b->frame.size);
}

/* True if it may be followed further: one with a restart block has more to lose than time. */
static bool is_patient(const struct borrow *b, uint64_t deadline)
{
	return rmr_log_now() < deadline &&
	       (b->pause.restart == RMR_RESTART_BLOCK ||
		       !(b->pause.tracee.passed & ~all_but_setxid));
}

/*
 * Follows a thread that was in a system call until it is about to restore the frame. If it takes
 * too long (the C library's locks are busy), it is left to the frame: a signal that comes before the
 * thread restores it is handled, but does not end the call.
 */
static void follow(struct borrow *b)
{
	struct rmr_regs regs;
	uint64_t deadline = rmr_log_now() + FOLLOW_US * UINT64_C(1000);
	struct rmr_error *err = NULL;

	while (!err) {
		err = rmr_tracee_next_syscall(&b->pause.tracee, FOLLOW_STEP_US);
		if (err && err->code == RMR_E_TIMEOUT && is_patient(b, deadline)) {
			(void)rmr_error_catch(&err, RMR_E_TIMEOUT);
			continue;
		}
		if (!err)
			err = rmr_tracee_get_regs(&b->pause.tracee, &regs);
		rmr_points_pass(10);
		if (err)
			break;
		if (rmr_arch_syscall(&regs) == rmr_arch_nr_sigreturn() &&
			rmr_arch_sp(&regs) == b->frame.resume_sp) {
			return_exactly(b);
			return;
		}
		if (rmr_log_now() > deadline)
			err = rmr_error_create(RMR_E_TIMEOUT, 0, "thread %d is slow to return",
				(int)b->pause.tracee.tid);
	}
	if (rmr_error_catch(&err, RMR_E_TIMEOUT) && !b->pause.tracee.stopped)
		err = rmr_tracee_interrupt(&b->pause.tracee, STOP_US);
	if (!err && b->pause.tracee.stopped)
		err = tell_of_signals(b);
	rmr_error_destroy(err);
	rmr_tracee_detach(&b->pause.tracee);
	/* Only now: whoever reads this may let us wait. */
	rmr_log("thread %d was left to return by itself", (int)b->pause.tracee.tid);
}

static struct rmr_error *run_job(
	struct borrow *b, const struct rmr_maps *maps, struct rmr_borrow_result *ret)
{
	rmr_addr_t region = 0;
	struct rmr_regs regs = b->pause.regs;
	struct rmr_error *err = map_region(b, maps, &region);

	if (err) {
		if (b->pause.tracee.stopped)
			return_exactly(b);
		return err;
	}
	rmr_arch_call(&regs, b->code->munmap, b->frame.address, region, b->job->region_size);
	err = rmr_tracee_set_regs(&b->pause.tracee, &regs);
	rmr_points_pass(7);
	if (!err)
		err = write_region(b, region);
	rmr_points_pass(8);
	/* Opened before the jump: a setuid() that waits for this thread may hold the lock that
	 * pthread_create waits for. */
	if (!err)
		err = rmr_tracee_set_mask(&b->pause.tracee, all_but_setxid);
	if (!err) {
		rmr_arch_jump(&regs, region + b->job->stub_offset, b->frame.address);
		err = rmr_tracee_set_regs(&b->pause.tracee, &regs);
	}
	rmr_points_pass(9);
	if (err) {
		/* It unmaps the region and restores the frame. */
		rmr_tracee_detach(&b->pause.tracee);
		return err;
	}
	ret->region = region;
	ret->frame = b->frame.address;
	if (b->pause.restart == RMR_RESTART_NONE && b->pause.tracee.tid == b->target->pid)
		rmr_tracee_detach(&b->pause.tracee);
	else
		follow(b);
	return NULL;
}

/*
 * A thread that the C library has not made cannot run its functions: an emulator's, whose registers
 * are not the program's (valgrind maps the program's files as they are), or a bare clone's.
 */
static struct rmr_error *check_libc_thread(const struct borrow *b)
{
	rmr_addr_t pointer = rmr_arch_thread_pointer(&b->pause.regs), self;

	if (pointer && rmr_target_read_some(b->target, pointer + RMR_ARCH_THREAD_SELF, &self,
			       sizeof(self)) == sizeof(self) && self == pointer)
		return NULL;
	if (b->pause.tracee.tid != b->target->pid)
		return unsafe(b, "not one of the C library's");
	if (rmr_program_is_loading(b->target))
		return unsafe(b, "in a program that is just starting");
	return rmr_error_create(RMR_E_UNSUPPORTED, 0, "process %d runs in an emulator, such as valgrind",
		(int)b->target->pid);
}

static struct rmr_error *borrow_stopped(struct borrow *b, const struct rmr_maps *maps,
	struct rmr_unwind *unwind, struct rmr_borrow_result *ret)
{
	/* From glibc 2.34 on it is there. */
	bool old_libc = rmr_target_module(b->target, b->code->pthread_create) != b->target->libc;

	if (b->pause.signalled)
		return unsafe(b, "about to handle a signal");
	struct rmr_error *err = rmr_pause_check_seccomp(&b->pause, old_libc, &ret->limits);
	if (!err)
		err = check_libc_thread(b);
	if (!err)
		err = check_safe(b, unwind);
	if (err)
		return err;
	err = install_frame(b, maps);
	if (!err)
		return run_job(b, maps, ret);
	if (b->changed)
		put_back(b);
	return err;
}

struct rmr_error *rmr_borrow_run(struct rmr_target *target, const struct rmr_borrow_code *code,
	const struct rmr_maps *maps, struct rmr_unwind *unwind, pid_t tid,
	const struct rmr_borrow_job *job, struct rmr_borrow_result *ret)
{
	_rmr_free_ struct borrow *b = calloc(1, sizeof(*b));

	ret->stop_ns = 0;
	if (!b)
		return &rmr_enomem;
	b->target = target;
	b->code = code;
	b->job = job;
	struct rmr_error *err = rmr_pause_begin(&b->pause, target, tid, STOP_US);
	if (!err) {
		err = borrow_stopped(b, maps, unwind, ret);
		rmr_pause_end(&b->pause);
	}
	ret->stop_ns = rmr_log_now() - b->pause.tracee.since;
	return err;
}
