// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/stacks.h"

#include "attach/diagnose.h"
#include "attach/log.h"
#include "attach/natives.h"
#include "attach/pause.h"
#include "attach/pyframes.h"
#include "attach/pythreads.h"
#include "attach/tracer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PROOFS = 5,	     /* readings of a waiting thread before it is stopped */
	READINGS = 8,	     /* of a thread that cannot be stopped, until two agree */
	STATES = 32,	     /* interpreters in which one thread has frames */
	STOP_US = 1000000,
	STOPS = 3,	     /* of a thread whose frames do not hang together */
	LATE = 16,	     /* threads that did not stop in time; each costs a second */
	READ_NS = 10000000,  /* how long a thread may stand still for a deep stack */
};

/* What the kernel says of a thread. */
struct sight {
	char text[256]; /* the file "syscall" */
	struct rmr_status status;
	bool waits;	/* it is not on a processor */
	long call;
	rmr_addr_t argument; /* the call's first */
};

struct stacks {
	struct rmr_stacks public;
	struct rmr_pycodes codes;
	struct rmr_natives *natives; /* the symbols' texts */
};

/* One reading of a process. */
struct look {
	struct rmr_target *target;
	const struct rmr_stacks_request *request;
	struct stacks *ret;
	size_t room;
	struct rmr_memory *memory;
	struct rmr_objects objects;
	struct rmr_pythreads threads;
	pid_t *tids, *inners;
	size_t count;
	bool may_stop;
	struct rmr_tracee late[LATE]; /* still seized: they stop when they can, and are let go then */
	size_t late_count;
	sigset_t outside;
	struct rmr_error *err;
	/* the thread under way */
	struct sight sight;
	const struct rmr_pythread *states[STATES];
	struct rmr_pyframes chains[STATES], again;
	bool holds[STATES];
	size_t state_count;
	enum rmr_stack_end end;
	bool has_natives;
};

/* ---- one thread ---- */

/*
 * The order matters: the kernel waits until the thread is off its processor before it tells the call,
 * and it counts the switch before that. So a thread that ran between two such looks has another count
 * in the second.
 */
static bool see(const struct look *look, pid_t tid, struct sight *ret)
{
	ret->call = -1;
	ret->argument = 0;
	ret->waits = false;
	if (!rmr_procfs_read_task("/proc", look->target->pid, tid, "syscall", ret->text,
		    sizeof(ret->text))) {
		ret->waits = ret->text[0] != 'r'; /* "running" */
		if (ret->waits &&
			sscanf(ret->text, "%ld %" SCNx64, &ret->call, &ret->argument) < 1)
			ret->waits = false;
	}
	if (rmr_status_read_task("/proc", look->target->pid, tid, &ret->status))
		return false;
	if (ret->status.state == 'R')
		ret->waits = false;
	return ret->status.state != 'Z' && ret->status.state != 'X';
}

static void read_chains(struct look *look, uint64_t deadline)
{
	for (size_t i = 0; i < look->state_count; i++) {
		rmr_pyframes_read(&look->objects, look->states[i]->state, &look->ret->codes, deadline,
			&look->chains[i]);
		look->holds[i] =
			rmr_pythreads_holds_gil(&look->objects, look->target, look->states[i]);
	}
}

/* RMR_STACK_WHOLE, _CUT, or _CHANGED if some chain did not hang together. */
static enum rmr_stack_end judge(const struct look *look)
{
	enum rmr_stack_end end = RMR_STACK_WHOLE;

	for (size_t i = 0; i < look->state_count; i++) {
		if (look->chains[i].end == RMR_PYFRAMES_BROKEN)
			return RMR_STACK_CHANGED;
		if (look->chains[i].end == RMR_PYFRAMES_CUT)
			end = RMR_STACK_CUT;
	}
	return end;
}

/* True if it is proved that the thread did not run while its frames were read. */
static bool read_waiting(struct look *look, pid_t tid)
{
	struct sight after;

	for (int i = 0; i < PROOFS; i++) {
		if (!look->sight.waits)
			return false;
		rmr_memory_forget(look->memory);
		read_chains(look, 0);
		if (!see(look, tid, &after))
			return false;
		if (after.waits && after.status.switches == look->sight.status.switches &&
			strcmp(after.text, look->sight.text) == 0) {
			look->end = judge(look);
			return look->end != RMR_STACK_CHANGED;
		}
		look->sight = after;
	}
	return false;
}

static void let_go(struct look *look)
{
	for (size_t i = look->late_count; i-- > 0;) {
		if (rmr_tracee_let_go(&look->late[i]))
			look->late[i] = look->late[--look->late_count];
	}
}

static struct rmr_error *read_stopped(struct look *look, pid_t tid)
{
	struct rmr_pause pause;
	struct rmr_seccomp_limits limits;

	/* All that does not change is known before the stop: it is the shorter. */
	rmr_memory_forget(look->memory);
	read_chains(look, 0);
	struct rmr_error *err = rmr_pause_begin_any(&pause, look->target, tid, STOP_US);
	if (err && err->code == RMR_E_TIMEOUT) {
		look->late[look->late_count++].tid = tid;
		look->may_stop = look->late_count < LATE;
	}
	if (err)
		return err;
	/* Whether they would let remora attach does not matter. */
	if (pause.restart == RMR_RESTART_BLOCK)
		rmr_error_destroy(rmr_pause_check_seccomp(&pause, false, &limits));
	rmr_memory_forget(look->memory);
	read_chains(look, rmr_log_now() + READ_NS);
	if (look->request->native)
		rmr_natives_copy(look->ret->natives, &pause.regs);
	rmr_pause_end(&pause);
	uint64_t stop_ns = rmr_log_now() - pause.tracee.since;
	look->ret->public.stops++;
	if (stop_ns > look->ret->public.stop_ns)
		look->ret->public.stop_ns = stop_ns;
	look->end = judge(look);
	look->has_natives = look->request->native;
	return NULL;
}

/* Until two readings agree. */
static void read_running(struct look *look)
{
	for (int i = 0; i < READINGS; i++) {
		bool same = true;
		rmr_memory_forget(look->memory);
		read_chains(look, 0);
		rmr_memory_forget(look->memory);
		for (size_t k = 0; same && k < look->state_count; k++) {
			rmr_pyframes_read(&look->objects, look->states[k]->state,
				&look->ret->codes, 0, &look->again);
			same = rmr_pyframes_equal(&look->chains[k], &look->again);
		}
		look->end = judge(look);
		if (same && look->end != RMR_STACK_CHANGED)
			return;
	}
	look->end = RMR_STACK_CHANGED;
}

static struct rmr_error *read_thread(struct look *look, pid_t tid)
{
	bool native = look->request->native;

	look->has_natives = false;
	/* One that sleeps uninterruptibly does not stop. */
	bool stop = look->may_stop && !(native && look->sight.status.state == 'D') &&
		    !(look->sight.waits && rmr_seccomp_is_asking(look->target->pid, tid));
	if ((!native || !stop) && read_waiting(look, tid))
		return NULL;
	if (stop) {
		struct rmr_error *err = NULL;
		look->end = RMR_STACK_CHANGED;
		/* It may have stood in the midst of a change of its own. */
		for (int i = 0; !err && look->end == RMR_STACK_CHANGED && i < STOPS; i++)
			err = read_stopped(look, tid);
		if (!err)
			return NULL;
		rmr_log("%s", err->message);
		if (err->code == RMR_E_TARGET || err->code == RMR_E_GONE ||
			(native && err->code != RMR_E_TIMEOUT))
			return err;
		if (err->code != RMR_E_TIMEOUT)
			look->may_stop = false;
		rmr_error_destroy(err);
		if (see(look, tid, &look->sight) && read_waiting(look, tid))
			return NULL;
	}
	read_running(look);
	return NULL;
}

/* ---- the result ---- */

static enum rmr_stack_wait what_it_does(const struct look *look)
{
	const struct sight *sight = &look->sight;

	if (sight->status.state == 'T' || sight->status.state == 't')
		return RMR_STACK_STOPPED;
	if (!sight->waits)
		return RMR_STACK_RUNS;
	if (sight->call < 0)
		return RMR_STACK_SLEEPS;
	for (size_t i = 0; rmr_arch_is_futex(sight->call) && i < look->state_count; i++) {
		if (rmr_pythreads_is_gil_futex(
			    &look->objects, look->target, look->states[i], sight->argument))
			return RMR_STACK_GIL;
	}
	return RMR_STACK_CALL;
}

static struct rmr_stack *add_stack(struct look *look)
{
	struct rmr_stacks *ret = &look->ret->public;

	if (ret->count == look->room) {
		size_t room = look->room ? 2 * look->room : 16;
		struct rmr_stack *more = realloc(ret->stacks, room * sizeof(*more));
		if (!more)
			return NULL;
		ret->stacks = more;
		look->room = room;
	}
	struct rmr_stack *stack = &ret->stacks[ret->count++];
	*stack = (struct rmr_stack){.interpreter = -1, .call = -1};
	return stack;
}

static bool set_python(const struct look *look, size_t index, struct rmr_stack *stack)
{
	const struct rmr_pythread *thread = look->states[index];
	const struct rmr_pyframes *chain = &look->chains[index];

	stack->ident = thread->ident;
	stack->interpreter = thread->interpreter_id;
	stack->holds_gil = look->holds[index];
	if (thread->name)
		stack->name = strdup(thread->name);
	stack->frames = malloc((chain->count + 1) * sizeof(*stack->frames));
	if (!stack->frames || (thread->name && !stack->name))
		return false;
	for (size_t i = 0; i < chain->count; i++)
		stack->frames[i] = (struct rmr_stack_frame){
			.function = chain->frames[i].code->function,
			.qualname = chain->frames[i].code->qualname,
			.file = chain->frames[i].code->file,
			.line = rmr_pyframes_line(&look->objects, &chain->frames[i]),
		};
	stack->count = chain->count;
	return chain->end != RMR_PYFRAMES_NO_MEMORY;
}

static bool set_natives(struct look *look, const struct rmr_pyframes *only, struct rmr_stack *stack)
{
	if (!rmr_natives_unwind(look->ret->natives, stack))
		return false;
	/* With the frames of several interpreters it is not known whose come where. */
	if (!only || !stack->natives_whole || look->end != RMR_STACK_WHOLE)
		return true;
	bool *entries = malloc(only->count + 1);
	if (!entries)
		return false;
	for (size_t i = 0; i < only->count; i++)
		entries[i] = only->frames[i].entry;
	stack->merged = rmr_natives_merge(stack->natives, stack->native_count, entries, only->count);
	free(entries);
	return true;
}

/* The thread's stacks: one for each interpreter in which it has frames, at least one. */
static bool add_thread(struct look *look, pid_t tid)
{
	size_t chosen[STATES], count = 0;

	for (size_t i = 0; i < look->state_count; i++) {
		if (look->chains[i].count)
			chosen[count++] = i;
	}
	if (!count && look->state_count)
		chosen[count++] = look->state_count - 1; /* the main interpreter's */
	for (size_t i = 0; i == 0 || i < count; i++) {
		struct rmr_stack *stack = add_stack(look);
		if (!stack)
			return false;
		stack->tid = tid;
		stack->state = look->sight.status.state;
		snprintf(stack->comm, sizeof(stack->comm), "%s", look->sight.status.name);
		stack->wait = what_it_does(look);
		stack->call = look->sight.waits ? look->sight.call : -1;
		stack->end = look->end;
		if (i < count && !set_python(look, chosen[i], stack))
			return false;
		if (i == 0 && look->has_natives &&
			!set_natives(look, count == 1 ? &look->chains[chosen[0]] : NULL, stack))
			return false;
	}
	return true;
}

/* ---- all threads ---- */

static void find_states(struct look *look, pid_t inner)
{
	look->state_count = 0;
	for (size_t i = 0; i < look->threads.count && look->state_count < STATES; i++) {
		if (look->threads.threads[i].inner == inner)
			look->states[look->state_count++] = &look->threads.threads[i];
	}
}

static bool is_wanted(const struct look *look, pid_t tid)
{
	const struct rmr_stacks_request *request = look->request;

	if (request->tid && tid != request->tid)
		return false;
	if (!request->name || strcmp(look->sight.status.name, request->name) == 0)
		return true;
	for (size_t i = 0; i < look->state_count; i++) {
		if (look->states[i]->name && strcmp(look->states[i]->name, request->name) == 0)
			return true;
	}
	return false;
}

static struct rmr_error *read_all(struct look *look)
{
	for (size_t i = 0; i < look->count; i++) {
		let_go(look);
		find_states(look, look->inners[i]);
		if (!see(look, look->tids[i], &look->sight) || !is_wanted(look, look->tids[i]))
			continue;
		struct rmr_error *err = read_thread(look, look->tids[i]);
		if (rmr_error_catch(&err, RMR_E_GONE))
			continue; /* it has ended */
		if (err)
			return err;
		if (!add_thread(look, look->tids[i]))
			return &rmr_enomem;
		err = rmr_target_file_error(look->target);
		if (err)
			return err;
		if (rmr_tracer_admit_signals(&look->outside))
			return rmr_error_create(
				RMR_E_INTERRUPTED, 0, "interrupted while the stacks were read");
	}
	return rmr_target_check(look->target);
}

static void *run(void *arg)
{
	struct look *look = arg;

	look->err = read_all(look);
	return NULL;
}

static struct rmr_error *list_threads(struct look *look)
{
	pid_t pid = look->target->pid;
	int errnum = rmr_procfs_threads("/proc", pid, &look->tids, &look->count);

	if (!errnum)
		look->inners = calloc(look->count + 1, sizeof(*look->inners));
	if (errnum == ENOMEM || (!errnum && !look->inners))
		return &rmr_enomem;
	if (errnum || !look->count)
		return rmr_error_create(RMR_E_GONE, 0, "process %d has exited", (int)pid);
	for (size_t i = 0; i < look->count; i++) {
		struct rmr_status status;
		look->inners[i] = look->tids[i];
		if (look->target->nested)
			look->inners[i] =
				rmr_status_read_task("/proc", pid, look->tids[i], &status)
					? 0
					: status.inner;
	}
	return rmr_pythreads_read(
		&look->objects, look->target, look->inners, look->count, &look->threads);
}

/* Threads are stopped only by one tracer at a time; without, they can still be read. */
static struct rmr_error *check_stops(struct look *look)
{
	struct rmr_status status;
	struct rmr_error *err = NULL;

	if (!rmr_status_read("/proc", look->target->pid, &status) && status.tracer)
		err = rmr_diagnose_traced("/proc", look->target->pid, status.tracer);
	if (!err)
		err = rmr_target_lock(look->target);
	look->may_stop = !err;
	if (err && err->code == RMR_E_TRACED && look->request->native)
		return rmr_error_hint(err, "without --native it can be read all the same");
	(void)rmr_error_catch(&err, RMR_E_TRACED);
	return err;
}

static struct rmr_error *prepare(struct look *look)
{
	struct rmr_error *err = rmr_memory_create(look->target, &look->memory);

	if (!err)
		err = rmr_objects_init(&look->objects, look->target, look->memory);
	if (!err)
		err = rmr_pythreads_check(&look->objects, look->target);
	if (!err)
		err = check_stops(look);
	if (!err && look->request->native)
		err = rmr_natives_create(look->target, &look->ret->natives);
	return err;
}

static struct rmr_error *no_such_thread(const struct look *look)
{
	struct rmr_error *err;

	if (look->request->tid)
		err = rmr_error_create(RMR_E_QUERY, 0, "process %d has no thread %d",
			(int)look->target->pid, (int)look->request->tid);
	else
		err = rmr_error_create(RMR_E_QUERY, 0, "process %d has no thread '%s'",
			(int)look->target->pid, look->request->name);
	return rmr_error_hint(
		err, "`remora stacks %d` shows them all", (int)look->target->pid);
}

static struct rmr_error *read_target(struct look *look)
{
	struct rmr_stacks *ret = &look->ret->public;
	struct rmr_error *err = prepare(look);

	if (!err)
		err = list_threads(look);
	if (err)
		return err;
	ret->threads = look->count;
	ret->up = look->threads.count > 0;
	ret->all_known = look->threads.whole;
	err = rmr_tracer_run(run, look, &look->outside);
	if (!err)
		err = look->err;
	if (!err && !ret->count)
		err = no_such_thread(look);
	return err;
}

struct rmr_error *rmr_stacks_read(struct rmr_target *target,
	const struct rmr_stacks_request *request, struct rmr_stacks **ret)
{
	struct look *look = calloc(1, sizeof(*look));
	struct stacks *stacks = calloc(1, sizeof(*stacks));
	struct rmr_error *err = &rmr_enomem;

	if (look && stacks) {
		look->target = target;
		look->request = request;
		look->ret = stacks;
		err = read_target(look);
	}
	if (look) {
		for (size_t i = 0; i < STATES; i++)
			rmr_pyframes_deinit(&look->chains[i]);
		rmr_pyframes_deinit(&look->again);
		rmr_pythreads_deinit(&look->threads);
		rmr_memory_destroy(look->memory);
		free(look->tids);
		free(look->inners);
	}
	free(look);
	if (err && stacks)
		rmr_stacks_destroy(&stacks->public);
	else if (!err)
		*ret = &stacks->public;
	return err;
}

void rmr_stacks_destroy(struct rmr_stacks *public)
{
	struct stacks *stacks = (struct stacks *)public;

	if (!stacks)
		return;
	for (size_t i = 0; i < public->count; i++) {
		free(public->stacks[i].name);
		free(public->stacks[i].frames);
		free(public->stacks[i].natives);
	}
	free(public->stacks);
	rmr_pycodes_deinit(&stacks->codes);
	rmr_natives_destroy(stacks->natives);
	free(stacks);
}
