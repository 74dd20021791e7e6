// SPDX-License-Identifier: GPL-3.0-or-later
/* Which thread is borrowed, and when. */
#include "attach/spawn.h"

#include "attach/borrow.h"
#include "attach/cleanup.h"
#include "attach/log.h"
#include "attach/tracer.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	DEFAULT_TIMEOUT_MS = 5000,
	LOOK_AT = 64,	/* threads looked at before each round */
	MAX_STUCK = 16, /* threads that did not stop; each costs a second */
	RESCUE_US = 500000,
	RESCUE_REACH = 64 * 1024, /* how far below the frame pthread_create's stack may reach */
	INIT_WAIT_MS = 2000,
	PAGE = 4096,
	MAIN_LAST = 16, /* more than any rank_thread() */
	MAPPINGS = 16, /* our region, the stacks of the agent's threads, its image, an arena */
};

/* A thread, and what it was doing when it was looked at from outside. */
struct candidate {
	pid_t tid;
	int rank;     /* less is better; see look() */
	bool blocked; /* in @p syscall, at @p pc and @p sp */
	long syscall;
	rmr_addr_t pc;
	rmr_addr_t sp;
};

/* One search for a thread, and the run on it. */
struct search {
	struct rmr_target *target;
	const struct rmr_borrow_job *job;
	unsigned timeout_ms;
	struct rmr_borrow_code code;
	struct rmr_maps maps;
	struct rmr_unwind *unwind;
	struct candidate candidates[LOOK_AT];
	size_t count;
	struct rmr_tracee stuck[MAX_STUCK]; /* still seized: they stop when they can */
	size_t stuck_count;
	sigset_t outside; /* the signal mask while nothing is stopped */
	bool asks; /* a thread was passed over for rmr_seccomp_is_asking() */
	struct rmr_spawn_result result;
	struct rmr_error *reason; /* why the latest thread was no good */
	struct rmr_error *err;
};

/* Blocked in a call that is restarted exactly, running, or in one that a stop may disturb. */
static int rank_thread(const struct candidate *candidate)
{
	long number = candidate->syscall;

	if (!candidate->blocked)
		return 4;
	if (rmr_arch_is_forbidden(number))
		return 8;
	if (rmr_arch_is_stop_sensitive(number))
		return 6;
	if (rmr_arch_is_wait(number) || rmr_arch_is_futex(number))
		return 0;
	return 6;
}

/* "running", "-1 SP PC" (blocked outside a call) or "NUMBER 0xARG*6 0xSP 0xPC" */
static void look(const struct rmr_target *target, pid_t tid, struct candidate *ret)
{
	char text[256];
	uint64_t args[6], sp, pc;
	long number;

	*ret = (struct candidate){.tid = tid, .syscall = -1};
	if (!rmr_procfs_read_task("/proc", target->pid, tid, "syscall", text, sizeof(text)) &&
		sscanf(text, "%ld %lx %lx %lx %lx %lx %lx %lx %lx", &number, &args[0], &args[1],
			&args[2], &args[3], &args[4], &args[5], &sp, &pc) == 9 &&
		number >= 0) {
		ret->blocked = true;
		ret->syscall = number;
		ret->sp = sp;
		ret->pc = pc;
	}
	/*
	 * A signal to the process goes to the main thread, but while that stands still to another: it
	 * then does not end the main thread's call, and Python's handler runs when that ends by itself.
	 */
	ret->rank = rank_thread(ret) + (tid == target->pid ? MAIN_LAST : 0);
}

static int compare_rank(const void *a, const void *b)
{
	return ((const struct candidate *)a)->rank - ((const struct candidate *)b)->rank;
}

static bool is_stuck(const struct search *search, pid_t tid)
{
	for (size_t i = 0; i < search->stuck_count; i++) {
		if (search->stuck[i].tid == tid)
			return true;
	}
	return false;
}

/* Those that have stopped meanwhile go on, and are candidates again. */
static void let_go(struct search *search)
{
	for (size_t i = search->stuck_count; i-- > 0;) {
		if (rmr_tracee_let_go(&search->stuck[i]))
			search->stuck[i] = search->stuck[--search->stuck_count];
	}
}

/* Fills in the candidates, best first. Of very many threads, others are looked at each round. */
static struct rmr_error *list_candidates(struct search *search, unsigned round)
{
	_rmr_free_ pid_t *tids = NULL;
	size_t count;
	bool main_only = search->job->init_threads;
	int errnum = rmr_procfs_threads("/proc", search->target->pid, &tids, &count);

	if (errnum == ENOMEM)
		return &rmr_enomem;
	if (errnum || count == 0)
		return rmr_error_create(
			RMR_E_GONE, 0, "process %d has exited", (int)search->target->pid);
	search->count = 0;
	for (size_t i = 0; i < count && search->count < LOOK_AT; i++) {
		pid_t tid = tids[(i + (size_t)round * LOOK_AT) % count];
		if (is_stuck(search, tid) || (main_only && tid != search->target->pid))
			continue;
		look(search->target, tid, &search->candidates[search->count]);
		/* One that is as good as any is enough. */
		if (search->candidates[search->count++].rank == 0)
			break;
	}
	qsort(search->candidates, search->count, sizeof(search->candidates[0]), compare_rank);
	return NULL;
}

/* True if a look from outside already tells that the thread will not do, or cannot be stopped. */
static bool is_hopeless(struct search *search, const struct candidate *candidate, bool trust)
{
	char text[512];
	const char *state;

	if (rmr_procfs_read_task(
		    "/proc", search->target->pid, candidate->tid, "stat", text, sizeof(text)))
		return true;
	state = strrchr(text, ')');
	if (!state || state[1] != ' ' || strchr("DZXTt", state[2]))
		return true;
	if (!candidate->blocked)
		return false;
	if (rmr_seccomp_is_asking(search->target->pid, candidate->tid)) {
		search->asks = true;
		return true;
	}
	/* It also loads what the real walk needs, while nothing is stopped. */
	enum rmr_unwind_verdict guess =
		rmr_unwind_warm(search->unwind, candidate->pc, candidate->sp, candidate->syscall);
	return trust && guess == RMR_UNWIND_UNSAFE;
}

/* True if the search is over: done, or failed for good. */
static bool try_thread(struct search *search, const struct candidate *candidate)
{
	struct rmr_borrow_result ret;
	struct rmr_error *err = rmr_borrow_run(search->target, &search->code, &search->maps,
		search->unwind, candidate->tid, search->job, &ret);

	search->result.tries++;
	if (ret.stop_ns > search->result.stop_ns)
		search->result.stop_ns = ret.stop_ns;
	if (!err) {
		search->result.region = ret.region;
		search->result.frame = ret.frame;
		search->result.victim = candidate->tid;
		search->result.limits = ret.limits;
		return true;
	}
	rmr_log("%s", err->message);
	switch (err->code) {
	case RMR_E_TIMEOUT:
		search->stuck[search->stuck_count++].tid = candidate->tid;
		if (search->stuck_count < MAX_STUCK)
			break;
		search->err = err;
		return true;
	case RMR_E_UNSAFE:
	case RMR_E_STATE:
	case RMR_E_GONE:
		break;
	default:
		search->err = err;
		return true;
	}
	rmr_error_destroy(search->reason);
	search->reason = err;
	return false;
}

/* A random pause, longer the more rounds there were, so as not to run in step with the target. */
static void pause_randomly(unsigned round)
{
	static unsigned seed;
	unsigned limit_us = round < 8 ? 500 : round < 64 ? 2000 : 10000;

	if (!seed)
		seed = (unsigned)rmr_log_now() | 1;
	seed = seed * 1103515245u + 12345u;
	struct timespec ts = {.tv_nsec = (long)(seed >> 8) % (long)(limit_us * 1000)};
	nanosleep(&ts, NULL);
}

/* The maps file once more: stacks come and go. */
static struct rmr_error *read_maps(struct search *search)
{
	_rmr_free_ char *text = NULL;
	size_t size;
	int errnum = rmr_procfs_read("/proc", search->target->pid, "maps", &text, &size);

	if (errnum == ENOMEM)
		return &rmr_enomem;
	if (errnum)
		return rmr_error_create(
			RMR_E_GONE, 0, "process %d has exited", (int)search->target->pid);
	rmr_maps_deinit(&search->maps);
	return rmr_maps_init(&search->maps, text, size);
}

static struct rmr_error *give_up(struct search *search)
{
	struct rmr_error *err = rmr_target_file_error(search->target);

	/* Without that file nothing could be proved. */
	if (err)
		return err;
	err = search->reason;
	search->reason = NULL;
	if (err && err->code == RMR_E_STATE)
		return rmr_error_hint(
			err, "continue it with: kill -CONT %d", (int)search->target->pid);
	if (!err) {
		err = rmr_error_create(RMR_E_UNSAFE, 0,
			search->asks ? "its threads wait for the answer of a seccomp supervisor"
				     : "every thread sleeps uninterruptibly");
	} else {
		err->code = RMR_E_UNSAFE;
	}
	err = rmr_error_context(err, "no safe point in process %d within %u ms, %u stops",
		(int)search->target->pid, search->timeout_ms, search->result.tries);
	return rmr_error_hint(err, "try again, or give it longer with --timeout");
}

static struct rmr_error *interrupted(const struct search *search)
{
	return rmr_error_create(RMR_E_INTERRUPTED, 0,
		"interrupted while looking for a safe point in process %d",
		(int)search->target->pid);
}

static struct rmr_error *search_threads(struct search *search)
{
	uint64_t deadline = rmr_log_now() + search->timeout_ms * 1000000ull;

	for (unsigned round = 0;; round++) {
		struct rmr_error *err = rmr_target_check(search->target);
		if (!err)
			err = read_maps(search);
		if (!err)
			err = list_candidates(search, round);
		if (err)
			return err;
		for (size_t i = 0; i < search->count; i++) {
			let_go(search);
			if (is_hopeless(search, &search->candidates[i], round % 4 != 3))
				continue;
			if (try_thread(search, &search->candidates[i]))
				return search->err;
			bool again = rmr_unwind_load_missing(search->unwind);
			if (rmr_tracer_admit_signals(&search->outside))
				return interrupted(search);
			if (rmr_log_now() >= deadline)
				break;
			i -= again;
		}
		if (rmr_log_now() >= deadline)
			return give_up(search);
		if (rmr_tracer_admit_signals(&search->outside))
			return interrupted(search);
		let_go(search);
		pause_randomly(round);
		let_go(search);
	}
}

static void *run_search(void *arg)
{
	struct search *search = arg;

	search->err = search_threads(search);
	return NULL;
}

/* Too few of them, and pthread_create fails after its region was mapped, which then stays behind. */
static struct rmr_error *check_mappings(const struct rmr_target *target)
{
	long most = rmr_procfs_number("/proc", "sys/vm/max_map_count");

	if (most < 0 || target->maps.count + MAPPINGS <= (size_t)most)
		return NULL;
	return rmr_error_hint(
		rmr_error_create(RMR_E_STATE, 0,
			"process %d has %zu mappings, and may have %ld: no room for a thread",
			(int)target->pid, target->maps.count, most),
		"raise the limit: sysctl vm.max_map_count");
}

static struct rmr_error *borrow_any(struct rmr_target *target, const struct rmr_borrow_job *job,
	unsigned timeout_ms, struct rmr_spawn_result *ret)
{
	_rmr_free_ struct search *search = calloc(1, sizeof(*search));

	if (!search)
		return &rmr_enomem;
	search->target = target;
	search->job = job;
	search->timeout_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS;
	struct rmr_error *err = rmr_target_lock(target);
	if (!err)
		err = check_mappings(target);
	if (!err)
		err = rmr_borrow_find_code(target, &search->code);
	if (!err)
		err = rmr_unwind_create(target, search->code.restorer, &search->unwind);
	if (!err) {
		rmr_unwind_load_usual(search->unwind);
		err = rmr_target_file_error(target);
	}
	if (!err)
		err = rmr_tracer_run(run_search, search, &search->outside);
	if (!err)
		err = search->err;
	rmr_error_destroy(search->reason);
	rmr_unwind_destroy(search->unwind);
	rmr_maps_deinit(&search->maps);
	if (err)
		return err;
	rmr_log("thread %d borrowed at try %u, held for %.3f ms; region at 0x%" PRIx64,
		(int)search->result.victim, search->result.tries,
		(double)search->result.stop_ns / 1e6, search->result.region);
	*ret = search->result;
	return NULL;
}

struct rmr_error *rmr_spawn(struct rmr_target *target, const struct rmr_spawn_request *request,
	struct rmr_spawn_result *ret)
{
	const struct rmr_borrow_job job = {
		.image = request->image,
		.image_size = request->image_size,
		.region_size = request->region_size,
		.stub_offset = request->stub_offset,
		.entry_offset = request->entry_offset,
	};

	return borrow_any(target, &job, request->timeout_ms, ret);
}

struct rescue {
	struct rmr_target *target;
	const struct rmr_spawn_result *spawned;
	rmr_addr_t restorer;
	sigset_t outside;
	bool rescued;
	struct rmr_error *err;
};

static struct rmr_error *rescue_stopped(struct rescue *rescue, struct rmr_tracee *tracee)
{
	struct rmr_regs regs;
	rmr_addr_t frame = rescue->spawned->frame;
	struct rmr_error *err = rmr_tracee_get_regs(tracee, &regs);

	if (err)
		return err;
	rmr_addr_t sp = rmr_arch_sp(&regs);
	if (!rmr_arch_is_futex(rmr_arch_syscall(&regs)) || sp > frame || frame - sp > RESCUE_REACH)
		return NULL;
	rmr_arch_jump(&regs, rescue->restorer, frame + sizeof(rmr_addr_t));
	err = rmr_tracee_set_regs(tracee, &regs);
	rescue->rescued = !err;
	return err;
}

static void *run_rescue(void *arg)
{
	struct rescue *rescue = arg;
	struct rmr_tracee tracee;

	rescue->err =
		rmr_tracee_stop(&tracee, rescue->target->pid, rescue->spawned->victim, RESCUE_US);
	if (!rescue->err) {
		rescue->err = rescue_stopped(rescue, &tracee);
		rmr_tracee_detach(&tracee);
	}
	return NULL;
}

struct rmr_error *rmr_spawn_rescue(
	struct rmr_target *target, const struct rmr_spawn_result *spawned, bool *rescued)
{
	struct rescue rescue = {.target = target, .spawned = spawned};
	struct rmr_borrow_code code;
	struct rmr_error *err = rmr_borrow_find_code(target, &code);

	rescue.restorer = code.restorer;
	if (!err)
		err = rmr_tracer_run(run_rescue, &rescue, &rescue.outside);
	if (!err)
		err = rescue.err;
	/* A thread that is no more, or does not stop, waits for no lock of ours. */
	if (!rmr_error_catch(&err, RMR_E_GONE))
		(void)rmr_error_catch(&err, RMR_E_TIMEOUT);
	if (!err)
		*rescued = rescue.rescued;
	return err;
}

struct rmr_error *rmr_spawn_init_threads(struct rmr_target *target, unsigned timeout_ms)
{
	const struct rmr_borrow_job job = {.region_size = PAGE, .init_threads = true};
	struct rmr_spawn_result result;
	unsigned char byte;

	if (target->python.threads_initialized)
		return NULL;
	struct rmr_error *err = borrow_any(target, &job, timeout_ms, &result);
	if (err)
		return err;
	/* The last thing that the thread does for us is to unmap the region. */
	for (int waited = 0; rmr_target_reader(target, result.region, &byte, 1); waited++) {
		if (waited == INIT_WAIT_MS)
			return rmr_error_create(RMR_E_TIMEOUT, 0,
				"the main thread of process %d did not start the GIL",
				(int)target->pid);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		err = rmr_target_check(target);
		if (err)
			return err;
	}
	target->python.threads_initialized = true;
	return NULL;
}
