// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum { GENERATIONS = 3, HANG_TICKS = 20, ALT_STACK = 64 << 10, COUNT_EVERY = 16 << 10 };

// ---- faults ----

// The walk that the signal handlers belong to; only in the twin, where there is one thread.
static struct rmr_heap_dump *active;

struct kernel_sigaction {
	void (*handler)(int, void *, void *);
	uint64_t flags;
	void (*restorer)(void);
	uint64_t mask;
};

void rmr_walk_restorer(void);
__asm__(".text\n"
	".hidden rmr_walk_restorer\n"
	".global rmr_walk_restorer\n"
	".type rmr_walk_restorer, @function\n"
	"rmr_walk_restorer:\n"
	"	mov $15, %eax\n" // rt_sigreturn
	"	syscall\n"
	".size rmr_walk_restorer, . - rmr_walk_restorer\n");

enum { SIG_ILL = 4, SIG_TRAP = 5, SIG_ABRT = 6, SIG_BUS = 7, SIG_FPE = 8, SIG_SEGV = 11, SIG_ALRM = 14 };

static void set_action(int sig, void (*handler)(int, void *, void *))
{
	enum { SIGINFO = 4, ONSTACK = 0x08000000, NODEFER = 0x40000000, RESTORER = 0x04000000 };
	struct kernel_sigaction action = {
		.handler = handler,
		.flags = SIGINFO | ONSTACK | NODEFER | RESTORER,
		.restorer = rmr_walk_restorer,
	};

	rmr_sys(__NR_rt_sigaction, sig, &action, 0, 8);
}

static void on_signal(int sig, void *info, void *context)
{
	struct rmr_heap_dump *w = active;

	(void)info;
	(void)context;
	if (sig == SIG_ALRM) {
		// The watchdog: foreign code that visits nothing for so long hangs (on a lock of a
		// thread that the twin does not have, most likely).
		uint64_t now = w->progress + w->objects;
		w->watch_ticks = now == w->watched && !w->waiting ? w->watch_ticks + 1 : 0;
		w->watched = now;
		if (w->watch_ticks < HANG_TICKS || !w->jump)
			return;
		w->watch_ticks = 0;
		w->calls_are_off = true;
		__builtin_longjmp(w->jump->words, 1);
	}
	if (w->jump)
		__builtin_longjmp(w->jump->words, 1);
	if (w->outer_jump)
		__builtin_longjmp(w->outer_jump->words, 1);
	set_action(sig, NULL); // The fault comes again and ends the twin.
}

static void guard_against_faults(struct rmr_heap_dump *w)
{
	static const uint8_t signals[] = {SIG_ILL, SIG_TRAP, SIG_ABRT, SIG_BUS, SIG_FPE, SIG_SEGV,
		SIG_ALRM};
	enum { UNBLOCK = 1 };
	struct {
		void *base;
		int flags;
		uint64_t size;
	} stack = {rmr_memory_map(w, ALT_STACK), 0, ALT_STACK};
	struct {
		int64_t interval_sec, interval_usec, sec, usec;
	} timer = {0, 250000, 0, 250000};
	uint64_t mask = 0;

	if (!stack.base)
		return;
	active = w;
	rmr_sys(__NR_sigaltstack, &stack, 0);
	for (unsigned i = 0; i < sizeof(signals); i++) {
		set_action(signals[i], on_signal);
		mask |= UINT64_C(1) << (signals[i] - 1);
	}
	rmr_sys(__NR_rt_sigprocmask, UNBLOCK, &mask, 0, 8);
	rmr_sys(__NR_setitimer, 0, &timer, 0);
}

// A list of what went wrong, for the trailer.
static void note_fault(struct rmr_heap_dump *w, uint64_t type, const char *what)
{
	char *to = w->partial, *end = w->partial + sizeof(w->partial) - 1;

	w->faults++;
	if (*to)
		return; // The first one tells; the count tells how many.
	struct rmr_span name = rmr_types_name(w, type);
	for (uint64_t i = 0; i < name.size && i < 100; i++)
		*to++ = ((const char *)name.data)[i];
	while (*what && to < end)
		*to++ = *what++;
	*to = 0;
}

__attribute__((noinline)) bool rmr_walk_traverse(struct rmr_heap_dump *w,
	struct rmr_type_info *info, uint64_t object, int (*visit)(uint64_t, struct rmr_heap_dump *))
{
	struct rmr_jump here;
	// After the jump back only what lies in memory is what it was.
	struct rmr_heap_dump *volatile kept = w;
	struct rmr_type_info *volatile kept_info = info;
	struct rmr_jump *volatile before = w->jump;
	volatile uint32_t depth = w->depth, top = w->scratch_top;

	if (unlikely(info->faulted))
		return false;
	if (__builtin_setjmp(here.words)) {
		kept->jump = before;
		kept->depth = depth;
		kept->scratch_top = top;
		kept_info->faulted = true;
		note_fault(kept, kept_info->address, ": its tp_traverse crashed");
		return false;
	}
	w->jump = &here;
	((int (*)(uint64_t, int (*)(uint64_t, struct rmr_heap_dump *), struct rmr_heap_dump *))
		(uintptr_t)info->traverse)(object, visit, w);
	w->jump = before;
	return true;
}

__attribute__((noinline)) uint64_t rmr_walk_call_sizeof(struct rmr_heap_dump *w, uint64_t function,
	uint64_t object)
{
	struct rmr_jump here;
	struct rmr_heap_dump *volatile kept = w;
	struct rmr_jump *volatile before = w->jump;
	uint64_t size = 0;

	if (w->calls_are_off)
		return 0;
	if (__builtin_setjmp(here.words)) {
		kept->jump = before;
		kept->calls_are_off = true;
		return 0;
	}
	w->jump = &here;
	uint64_t result = ((uint64_t(*)(uint64_t, uint64_t))(uintptr_t)function)(object, 0);
	if (result && rmr_type_of(&w->rt, result) == (uintptr_t)w->api.PyLong_Type) {
		bool negative;
		uint64_t digits, count = rmr_sizes_int_digits(w, result, &negative, &digits);
		for (uint64_t i = 0; i < count && i < 3; i++)
			size |= (uint64_t)(uint32_t)rmr_word32(digits, i * 4) << 30 * i;
	}
	if (result)
		((void (*)(uint64_t))w->api.Py_DecRef)(result);
	else
		((void (*)(void))w->api.PyErr_Clear)();
	w->jump = before;
	return size;
}

// ---- the collector's lists ----

static void add_lists(struct rmr_heap_dump *w, uint64_t interp)
{
	uint64_t permanent;
	uint64_t first = rmr_layout_generations(&w->rt, &w->api, interp, &permanent);

	for (uint64_t i = 0; first && i <= GENERATIONS; i++) {
		uint64_t head = i < GENERATIONS ? first + i * w->rt.gc_stride : permanent;
		if (head && w->list_count < sizeof(w->list_heads) / sizeof(w->list_heads[0]))
			w->list_heads[w->list_count++] = head;
	}
}

static void find_lists(struct rmr_heap_dump *w)
{
	uint64_t interp = (uintptr_t)((void *(*)(void))w->api.PyInterpreterState_Head)();

	w->list_count = 0;
	while (interp) {
		add_lists(w, interp);
		if (w->rt.minor <= 8) // one collector for all interpreters
			return;
		interp = (uintptr_t)((void *(*)(void *))w->api.PyInterpreterState_Next)(
			(void *)interp);
	}
}

enum { STEPS_AHEAD = 8 };
enum { NEXT = 0, PREVIOUS = 8 }; // in the collector's head of an object

static inline uint64_t follow(uint64_t node, uint64_t link)
{
	return rmr_word(node, link) & ~UINT64_C(3);
}

// The same, and what is likely to come some steps later is on its way into the cache: after a
// collection, objects that were made in a row stand in a row on the list, equally far apart.
static inline uint64_t follow_on(uint64_t node, uint64_t link)
{
	uint64_t next = follow(node, link);

	__builtin_prefetch((void *)(next + STEPS_AHEAD * (next - node)));
	return next;
}

// False if no object can be there, or it was met already.
static inline bool mark(struct rmr_heap_dump *w, uint64_t node)
{
	uint64_t object = node + w->rt.gc_head;

	if (unlikely(!rmr_is_readable(w, object) || rmr_see(w, object)))
		return false;
	w->tracked++;
	return true;
}

// From both ends to where they meet: each step waits for memory, and so two wait at once. What is met
// from behind must lead forward to where one came from, as the walk goes forward. True if all is so;
// else *count_ret nodes were marked from behind, and from the front all before *first_ret.
static bool mark_both_ways(struct rmr_heap_dump *w, uint64_t head, uint64_t *first_ret,
	uint64_t *count_ret)
{
	uint64_t first = follow(head, NEXT), last = follow(head, PREVIOUS), behind = head, count = 0;
	bool met = first == head;

	while (!met && mark(w, first)) {
		if (first == last) {
			met = follow(last, NEXT) == behind;
			first = follow(first, NEXT);
			break;
		}
		first = follow_on(first, NEXT);
		if (!mark(w, last))
			break;
		count++;
		if (follow(last, NEXT) != behind)
			break;
		met = first == last;
		behind = last;
		last = follow_on(last, PREVIOUS);
	}
	*first_ret = first;
	*count_ret = count;
	return met;
}

// Puts everything on the lists into the set of objects seen: what is met later and is not in it is
// on no list, which saves the look into every object that a reference leads to.
static void mark_tracked(struct rmr_heap_dump *w)
{
	for (uint32_t i = 0; i < w->list_count; i++) {
		uint64_t head = w->list_heads[i], before = w->tracked, node, count;
		bool is_whole = mark_both_ways(w, head, &node, &count);
		w->list_left[i] = w->tracked - before;
		if (is_whole)
			continue;
		// It is damaged. The walk will go forward, to where it is cut here: a list must not be
		// run through twice.
		note_fault(w, (uintptr_t)w->api.PyType_Type,
			": a list of the garbage collector is damaged");
		for (uint64_t last = head; count > 0; count--) {
			last = follow(last, PREVIOUS);
			rmr_unsee(w, last + w->rt.gc_head);
			w->tracked--;
		}
		while (node != head && mark(w, node))
			node = follow(node, NEXT);
		w->list_left[i] = w->tracked - before;
	}
}

static void write_count(struct rmr_heap_dump *w)
{
	uint64_t *start = rmr_emit_begin(w);

	if (!start)
		return;
	start[1] = w->tracked;
	start[2] = w->tracked - w->left;
	rmr_emit_end(w, start, start + 3, RMR_REC_COUNT, 0, 0);
}

static void walk_lists(struct rmr_heap_dump *w)
{
	uint64_t gc = w->rt.gc_head;

	for (; w->list_index < w->list_count; w->list_index++, w->list_node = 0) {
		uint64_t head = w->list_heads[w->list_index];
		if (!w->list_node)
			w->list_node = follow(head, NEXT);
		uint64_t *left = &w->list_left[w->list_index];
		while (w->list_node != head && *left > 0 && !w->failed) {
			uint64_t node = w->list_node, next = follow(node, NEXT);
			__builtin_prefetch((void *)next);
			__builtin_prefetch((void *)(next + 64));
			w->list_node = next;
			if (node + gc >= w->request.own_start && node + gc < w->request.own_end)
				continue;
			(*left)--;
			if (unlikely(w->left-- % COUNT_EVERY == 0))
				write_count(w);
			rmr_emit(w, node + gc, true);
			if (unlikely(w->stack_count))
				rmr_emit_rest(w);
		}
	}
}

// ---- the whole ----

static uint64_t now_ns(void)
{
	struct {
		int64_t sec, nsec;
	} time = {0, 0};

	rmr_sys(__NR_clock_gettime, 1 /* CLOCK_MONOTONIC */, &time);
	return (uint64_t)time.sec * 1000000000 + (uint64_t)time.nsec;
}

static void write_end(struct rmr_heap_dump *w, uint64_t started)
{
	uint64_t *start = rmr_emit_begin(w);

	if (!start)
		return;
	struct rmr_rec_end *end = (struct rmr_rec_end *)start;
	end->objects = w->objects;
	end->references = w->references;
	end->bytes = w->bytes;
	end->types = w->type_count;
	end->shapes = w->shape_count;
	end->roots = w->roots;
	end->faults = w->faults;
	end->traces = w->trace_count;
	end->traced = w->traced;
	end->tracemalloc = w->traces_are_lost ? RMR_TRACEMALLOC_LOST
		: w->traces.count	      ? RMR_TRACEMALLOC_ON
					      : RMR_TRACEMALLOC_OFF;
	end->walk_ns = now_ns() - started;
	struct rmr_span text = {w->partial, strlen(w->partial), RMR_TEXT_UTF8};
	uint64_t *p = rmr_values_put((uint64_t *)(end + 1), text, 0, false);
	rmr_emit_end(w, start, p, RMR_REC_END, 0, 0);
}

// Type objects that nothing led to: static types, mostly. Each may bring new types.
static void write_types(struct rmr_heap_dump *w)
{
	uint64_t before;

	do {
		before = w->type_count;
		for (uint64_t i = 0; i < w->type_room && !w->failed; i++) {
			if (w->types[i])
				rmr_emit_child(w, w->types[i]->address);
		}
		rmr_emit_rest(w);
	} while (w->type_count != before && !w->failed);
}

enum phase {
	PHASE_IMAGES,
	PHASE_ROOTS,
	PHASE_LISTS,
	PHASE_HELD,
	PHASE_TYPES,
	PHASE_UNSEEN,
	PHASE_STATIC,
	PHASE_GLOBALS,
	PHASE_END,
};

static void run_phase(struct rmr_heap_dump *w, unsigned phase)
{
	switch (phase) {
	case PHASE_IMAGES:
		rmr_images_find(w);
		rmr_traces_find(w);
		break;
	case PHASE_ROOTS:
		rmr_roots_write(w);
		rmr_emit_rest(w);
		break;
	case PHASE_LISTS:
		walk_lists(w);
		break;
	case PHASE_TYPES:
		rmr_emit_rest(w);
		write_types(w);
		break;
	case PHASE_HELD:
		rmr_held_write(w);
		rmr_emit_rest(w);
		break;
	case PHASE_UNSEEN:
		rmr_globals_find(w);
		rmr_emit_rest(w);
		write_types(w);
		break;
	case PHASE_GLOBALS:
		rmr_globals_write(w);
		break;
	case PHASE_STATIC:
		rmr_roots_write_static(w);
		rmr_emit_rest(w);
		break;
	}
}

// A fault in the walker itself (memory that is no object) costs the object in hand and what only it
// leads to; the walk goes on behind it.
__attribute__((noinline)) static void run_phases(struct rmr_heap_dump *w)
{
	struct rmr_jump here;
	struct rmr_heap_dump *volatile kept = w;

	w->phase = PHASE_IMAGES;
	if (__builtin_setjmp(here.words)) {
		w = kept;
		w->depth = 0;
		w->scratch_top = 0;
		w->jump = NULL;
		note_fault(w, w->current_type, ": an object of it is damaged");
		if (w->phase != PHASE_LISTS || w->faults > 1000000)
			w->phase++;
	}
	w->outer_jump = &here;
	for (; w->phase < PHASE_END && !w->failed; w->phase++)
		run_phase(w, w->phase);
	w->outer_jump = NULL;
}

size_t rmr_heap_dump_size(void)
{
	return sizeof(struct rmr_heap_dump);
}

enum rmr_heap_dump_status rmr_heap_dump_prepare(struct rmr_heap_dump *w,
	const struct rmr_python_api *api, const struct rmr_heap_dump_request *request)
{
	w->api = *api;
	w->request = *request;
	w->prepared_pid = rmr_sys(__NR_getpid);
	if (!rmr_layout_find(&w->rt, &w->api, request->version_hex))
		return RMR_HEAP_DUMP_BAD_LAYOUT;
	uint64_t interp = (uintptr_t)((void *(*)(void))api->PyInterpreterState_Head)();
	while (interp) {
		uint64_t word = rmr_layout_gc_word(&w->rt, &w->api, interp, w->rt.collecting);
		// A finaliser or a callback let the GIL go in the middle of a collection: some objects
		// are on lists that start on a C stack.
		if (word && rmr_word32(word, 0))
			return RMR_HEAP_DUMP_COLLECTING;
		interp = (uintptr_t)((void *(*)(void *))api->PyInterpreterState_Next)(
			(void *)interp);
	}
	return RMR_HEAP_DUMP_OK;
}

enum rmr_heap_dump_status rmr_heap_dump_run(struct rmr_heap_dump *w, struct rmr_ring *ring,
	int maps_fd)
{
	uint64_t started = now_ns();

	w->ring = ring;
	w->in_twin = rmr_sys(__NR_getpid) != w->prepared_pid;
	if (!rmr_memory_init(w, maps_fd) || !rmr_types_init(w) || !rmr_names_init(w) || !rmr_emit_init(w)) {
		rmr_ring_finish(ring); // without an END record: the reader takes it as a failure
		return w->status != RMR_HEAP_DUMP_OK ? w->status : RMR_HEAP_DUMP_NO_MEMORY;
	}
	if (w->in_twin)
		guard_against_faults(w);
	find_lists(w);
	mark_tracked(w);
	w->left = w->tracked;
	write_count(w);
	run_phases(w);
	write_end(w, started);
	// Without an END record, too: a dump that was given up is read by a remora that comes back.
	rmr_ring_finish(ring);
	return w->status;
}

void rmr_heap_dump_finish(struct rmr_heap_dump *w)
{
	rmr_memory_deinit(w);
}
