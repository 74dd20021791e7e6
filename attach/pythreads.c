// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/pythreads.h"

#include "attach/arch.h"

#include <stdlib.h>
#include <string.h>

enum {
	/* struct _ts: the same in 3.6 to 3.15 */
	THREAD_PREVIOUS = 0,
	THREAD_NEXT = 8,
	THREAD_INTERPRETER = 16,
	/* struct _gil_runtime_state (Include/internal/pycore_gil.h), 3.7 to 3.15 */
	GIL_HOLDER = 8,
	GIL_LOCKED = 16,
	GIL_CONDITION = 32, /* the first of four locks and conditions */
	GIL_SIZE = 208,
	TRIES = 8,
	/*
	 * Where glibc's struct pthread, whose address pthread_self() is, keeps the tid: found by the
	 * target's own threads, and this is tried first (2.17 to 2.43).
	 */
	DESCRIPTOR_TID = 720,
	DESCRIPTOR_SEARCHED = 1024,
};

/* ---- _Py_DebugOffsets ---- */

/* Which word of it says what (Include/internal/pycore_debug_offsets.h), and where remora looks. */
struct offset {
	unsigned char at[3]; /* in 3.13, 3.14, 3.15 */
	size_t field;	     /* of struct rmr_layout */
};

#define FIELD(name) offsetof(struct rmr_layout, name)
static const struct offset offsets[] = {
	{{5, 5, 5}, FIELD(runtime_interpreters)},
	{{8, 8, 8}, FIELD(interp_next)},
	{{9, 9, 9}, FIELD(interp_threads)},
	{{14, 15, 15}, FIELD(gil)},
	{{23, 26, 26}, FIELD(frame_top)},
	{{24, 27, 30}, FIELD(thread_id)},
	{{25, 28, 31}, FIELD(native_id)},
	{{29, 32, 40}, FIELD(frame_previous)},
	{{30, 33, 41}, FIELD(frame_code)},
	{{31, 34, 42}, FIELD(frame_lasti)},
	{{33, 36, 44}, FIELD(frame_owner)},
	{{35, 40, 48}, FIELD(code_filename)},
	{{36, 41, 49}, FIELD(code_name)},
	{{37, 42, 50}, FIELD(code_qualname)},
	{{38, 43, 51}, FIELD(code_linetable)},
	{{39, 44, 52}, FIELD(code_firstlineno)},
};

struct rmr_error *rmr_pythreads_check(
	const struct rmr_objects *o, const struct rmr_target *target)
{
	const struct rmr_python *python = rmr_target_python(target);
	unsigned minor = o->layout->minor;
	uint64_t words[64];

	if (minor < 13)
		return NULL;
	struct rmr_error *err = rmr_target_read(target, python->runtime, words, sizeof(words));
	if (err)
		return err;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		int32_t known;
		memcpy(&known, (const char *)o->layout + offsets[i].field, sizeof(known));
		if (words[offsets[i].at[minor - 13]] != (uint64_t)known)
			return rmr_error_create(RMR_E_UNSUPPORTED, 0,
				"Python %s in process %d is a build whose threads and frames are not "
				"laid out as remora knows them",
				python->version, (int)rmr_target_pid(target));
	}
	return NULL;
}

/* ---- interpreters ---- */

/* 3.6 has no _PyRuntime: PyInterpreterState_Head() loads the static interp_head. */
static rmr_addr_t old_head(const struct rmr_objects *o, const struct rmr_target *target)
{
	unsigned char code[16];
	rmr_addr_t function = rmr_target_symbol(target, "PyInterpreterState_Head");

	if (!function || !rmr_memory_read(o->memory, function, code, sizeof(code)))
		return 0;
	rmr_addr_t variable = rmr_arch_find_load(code, sizeof(code), function);
	return variable ? rmr_memory_word(o->memory, variable) : 0;
}

static rmr_addr_t first_interpreter(const struct rmr_objects *o, const struct rmr_target *target)
{
	if (o->layout->minor == 6)
		return old_head(o, target);
	return rmr_memory_word(o->memory, rmr_target_python(target)->runtime +
						  (rmr_addr_t)o->layout->runtime_interpreters);
}

/* Adds an interpreter's threads; false if its list does not hang together. */
static bool add_threads(const struct rmr_objects *o, rmr_addr_t interpreter, int64_t id,
	struct rmr_pythreads *ret, size_t *room)
{
	rmr_addr_t previous = 0;
	rmr_addr_t state = rmr_memory_word(
		o->memory, interpreter + (rmr_addr_t)o->layout->interp_threads);

	while (state) {
		if (state & 7 || ret->count >= RMR_PYTHREADS_MAX ||
			rmr_memory_word(o->memory, state + THREAD_PREVIOUS) != previous ||
			rmr_memory_word(o->memory, state + THREAD_INTERPRETER) != interpreter)
			return false;
		if (ret->count == *room) {
			size_t more = *room ? 2 * *room : 64;
			struct rmr_pythread *threads =
				realloc(ret->threads, more * sizeof(*threads));
			if (!threads)
				return false;
			ret->threads = threads;
			*room = more;
		}
		ret->threads[ret->count++] = (struct rmr_pythread){
			.state = state,
			.interpreter = interpreter,
			.interpreter_id = id,
			.ident = rmr_memory_word(
				o->memory, state + (rmr_addr_t)o->layout->thread_id),
		};
		previous = state;
		state = rmr_memory_word(o->memory, state + THREAD_NEXT);
	}
	return true;
}

/* True if nothing changed while it was read, as far as can be seen. */
static bool add_interpreters(const struct rmr_objects *o, const struct rmr_target *target,
	struct rmr_pythreads *ret, size_t *room)
{
	const struct rmr_layout *l = o->layout;
	rmr_addr_t interpreter = first_interpreter(o, target);

	ret->count = 0;
	for (int i = 0; interpreter; i++) {
		if (interpreter & 7 || i == RMR_PYTHREADS_INTERPRETERS)
			return false;
		rmr_addr_t next =
			rmr_memory_word(o->memory, interpreter + (rmr_addr_t)l->interp_next);
		/* The newest is the first of the list, and the main one the last. */
		int64_t id = !next ? 0
			     : l->interp_id == RMR_NONE
				     ? -1
				     : (int64_t)rmr_memory_word(o->memory,
					       interpreter + (rmr_addr_t)l->interp_id);
		if (!add_threads(o, interpreter, id, ret, room))
			return false;
		interpreter = next;
	}
	return true;
}

/* ---- which is which ---- */

static bool is_tid(const pid_t *tids, size_t count, pid_t tid)
{
	for (size_t i = 0; i < count; i++) {
		if (tids[i] == tid)
			return true;
	}
	return false;
}

static pid_t descriptor_tid(const struct rmr_objects *o, uint64_t ident, unsigned offset)
{
	return ident < 4096 || ident & 7
		       ? 0
		       : (pid_t)rmr_memory_word32(o->memory, ident + offset);
}

/* How many thread states lead to a thread of the process, if the tid is at @p offset. */
static size_t count_hits(const struct rmr_objects *o, const struct rmr_pythreads *threads,
	const pid_t *tids, size_t count, unsigned offset)
{
	size_t hits = 0;

	for (size_t i = 0; i < threads->count && i < 64; i++) {
		pid_t tid = descriptor_tid(o, threads->threads[i].ident, offset);
		hits += tid > 0 && is_tid(tids, count, tid);
	}
	return hits;
}

static void find_tids(const struct rmr_objects *o, const pid_t *tids, size_t count,
	struct rmr_pythreads *threads)
{
	unsigned best = DESCRIPTOR_TID;
	size_t most = count_hits(o, threads, tids, count, best);

	for (unsigned offset = 0; !most && offset < DESCRIPTOR_SEARCHED; offset += 4) {
		size_t hits = count_hits(o, threads, tids, count, offset);
		if (hits > most) {
			most = hits;
			best = offset;
		}
	}
	for (size_t i = 0; i < threads->count; i++) {
		struct rmr_pythread *thread = &threads->threads[i];
		pid_t tid = descriptor_tid(o, thread->ident, best);
		/* The other source, in 3.11 and later, may be stale in a child of a fork. */
		if (!is_tid(tids, count, tid) && o->layout->native_id != RMR_NONE)
			tid = (pid_t)rmr_memory_word(o->memory,
				thread->state + (rmr_addr_t)o->layout->native_id);
		thread->inner = is_tid(tids, count, tid) ? tid : 0;
	}
}

/* threading._active: {ident: Thread} */
static void find_names(
	const struct rmr_objects *o, rmr_addr_t interpreter, struct rmr_pythreads *threads)
{
	enum { MODULE_DICT = 16 };
	struct rmr_objects_walk walk;
	rmr_addr_t modules =
		rmr_memory_word(o->memory, interpreter + (rmr_addr_t)o->layout->modules);
	rmr_addr_t module = rmr_objects_item(o, modules, "threading");
	rmr_addr_t dict = module ? rmr_objects_word(o, module, MODULE_DICT) : 0;
	rmr_addr_t active = rmr_objects_item(o, dict, "_active");

	if (!rmr_objects_walk_dict(o, active, &walk))
		return;
	while (rmr_objects_next(o, &walk)) {
		uint64_t ident;
		if (!rmr_objects_uint(o, walk.key, &ident))
			continue;
		for (size_t i = 0; i < threads->count; i++) {
			struct rmr_pythread *thread = &threads->threads[i];
			if (thread->ident == ident && thread->interpreter == interpreter &&
				!thread->name)
				thread->name = rmr_objects_text(
					o, rmr_objects_attribute(o, walk.value, "_name"));
		}
	}
}

struct rmr_error *rmr_pythreads_read(const struct rmr_objects *o, const struct rmr_target *target,
	const pid_t *tids, size_t count, struct rmr_pythreads *ret)
{
	struct rmr_pythreads threads = {0};
	size_t room = 0;

	for (int i = 0; !threads.whole && i < TRIES; i++) {
		rmr_memory_forget(o->memory);
		threads.whole = add_interpreters(o, target, &threads, &room);
	}
	find_tids(o, tids, count, &threads);
	for (size_t i = 0; i < threads.count; i++) {
		if (i == 0 || threads.threads[i].interpreter != threads.threads[i - 1].interpreter)
			find_names(o, threads.threads[i].interpreter, &threads);
	}
	struct rmr_error *err = rmr_target_check(target);
	if (err) {
		rmr_pythreads_deinit(&threads);
		return err;
	}
	*ret = threads;
	return NULL;
}

void rmr_pythreads_deinit(struct rmr_pythreads *threads)
{
	for (size_t i = 0; i < threads->count; i++)
		free(threads->threads[i].name);
	free(threads->threads);
	*threads = (struct rmr_pythreads){0};
}

/* ---- the GIL ---- */

static rmr_addr_t find_gil(const struct rmr_objects *o, const struct rmr_target *target,
	const struct rmr_pythread *thread)
{
	rmr_addr_t offset = (rmr_addr_t)o->layout->gil;

	if (o->layout->gil == RMR_NONE)
		return 0;
	return o->layout->minor <= 11 ? rmr_target_python(target)->runtime + offset
				      : rmr_memory_word(o->memory, thread->interpreter + offset);
}

bool rmr_pythreads_holds_gil(const struct rmr_objects *o, const struct rmr_target *target,
	const struct rmr_pythread *thread)
{
	rmr_addr_t gil = find_gil(o, target, thread);

	if (o->layout->minor == 6) {
		rmr_addr_t current = rmr_target_symbol(target, "_PyThreadState_Current");
		return current && rmr_memory_word(o->memory, current) == thread->state;
	}
	return gil && rmr_memory_word32(o->memory, gil + GIL_LOCKED) == 1 &&
	       rmr_memory_word(o->memory, gil + GIL_HOLDER) == thread->state;
}

bool rmr_pythreads_is_gil_futex(const struct rmr_objects *o, const struct rmr_target *target,
	const struct rmr_pythread *thread, rmr_addr_t futex)
{
	rmr_addr_t gil = find_gil(o, target, thread);

	return gil && futex >= gil + GIL_CONDITION && futex < gil + GIL_SIZE;
}
