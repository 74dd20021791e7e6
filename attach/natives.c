// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/natives.h"

#include "attach/frame_table.h"
#include "attach/target_internal.h"
#include "attach/unwind.h"

#include <stdlib.h>
#include <string.h>

enum {
	STACK_MAX = 16 << 20,	  /* what is copied at most */
	STACK_UNKNOWN = 256 << 10, /* of one whose mapping is newer than the list of them */
	FIRST_BITS = 8,
	LOOP_MAX = 256 << 10,	  /* of the loop's code that is searched for jumps */
	SEEN_PARTS = 16,
	ENOUGH_JUMPS = 4,	  /* bytes that only look like a jump hardly lead to one place so often */
};

static const char loop_name[] = "_PyEval_EvalFrameDefault";

/* A pc that was looked up: searching a file's symbols takes long, and recursion asks again. */
struct known {
	rmr_addr_t pc;
	struct rmr_unwind_place place;
};

struct range {
	rmr_addr_t start, end;
	unsigned jumps;
};

struct rmr_natives {
	struct rmr_target *target;
	struct range cold; /* the part of the loop without a name */
	struct rmr_unwind *unwind;
	struct rmr_regs regs;
	unsigned char *stack;
	rmr_addr_t start;
	size_t size;
	struct rmr_unwind_trace trace;
	struct known *known; /* open addressing; pc 0 is free */
	unsigned bits;
	size_t count;
};

/*
 * Compilers put code that they take for unlikely elsewhere, of the loop often the most of it, and the
 * symbol of that part does not survive strip. It is where many jumps out of the loop lead into the
 * midst of one function.
 */
static struct range find_cold(const struct rmr_target *target)
{
	const struct rmr_image *image = target->interpreter->image;
	struct range seen[SEEN_PARTS] = {0}, best = {0};
	uint64_t size;
	rmr_addr_t loop = rmr_image_symbol(image, loop_name, &size), to;
	rmr_addr_t header = rmr_image_eh_frame_hdr(image);
	unsigned char *code = malloc(LOOP_MAX);

	if (!loop || !header || !code || size > LOOP_MAX ||
		rmr_target_read_some(target, loop, code, size) != size)
		size = 0;
	for (size_t at = 0; at < size; at++) {
		if (!rmr_arch_is_jump(code + at, size - at, loop + at, &to) ||
			(to >= loop && to < loop + size) ||
			rmr_target_module(target, to) != target->interpreter)
			continue;
		size_t i = 0;
		while (i < SEEN_PARTS && seen[i].end && (to < seen[i].start || to >= seen[i].end))
			i++;
		if (i == SEEN_PARTS)
			continue;
		if (!seen[i].end && !rmr_frame_table_find(
					    target, header, to, &seen[i].start, &seen[i].end)) {
			seen[i].end = 0;
			continue;
		}
		/* To the start of another function jumps a call that is the last of all. */
		seen[i].jumps += to != seen[i].start;
		if (seen[i].jumps > best.jumps)
			best = seen[i];
	}
	free(code);
	return best.jumps >= ENOUGH_JUMPS ? best : (struct range){0};
}

struct rmr_error *rmr_natives_create(
	struct rmr_target *target, struct rmr_natives **ret)
{
	struct rmr_natives *natives = calloc(1, sizeof(*natives));

	if (!natives)
		return &rmr_enomem;
	natives->target = target;
	natives->cold = find_cold(target);
	natives->bits = FIRST_BITS;
	natives->known = calloc((size_t)1 << FIRST_BITS, sizeof(*natives->known));
	/* Only what is used of it ever becomes memory. */
	natives->stack = malloc(STACK_MAX);
	struct rmr_error *err = natives->stack && natives->known
					? rmr_unwind_create(target, 0, &natives->unwind)
					: &rmr_enomem;
	if (err) {
		rmr_natives_destroy(natives);
		return err;
	}
	*ret = natives;
	return NULL;
}

void rmr_natives_destroy(struct rmr_natives *natives)
{
	if (!natives)
		return;
	rmr_unwind_destroy(natives->unwind);
	free(natives->trace.pcs);
	free(natives->known);
	free(natives->stack);
	free(natives);
}

void rmr_natives_copy(struct rmr_natives *natives, const struct rmr_regs *regs)
{
	rmr_addr_t sp = rmr_arch_sp(regs);
	const struct rmr_map *map = rmr_maps_find(&natives->target->maps, sp);
	size_t size = map ? (size_t)(map->end - sp) : STACK_UNKNOWN;

	natives->regs = *regs;
	natives->start = sp & ~(rmr_addr_t)7;
	natives->size = rmr_target_read_some(natives->target, natives->start, natives->stack,
		size < STACK_MAX ? size : STACK_MAX);
}

static struct known *find_slot(struct rmr_natives *natives, rmr_addr_t pc)
{
	uint64_t mask = ((uint64_t)1 << natives->bits) - 1;
	uint64_t at = pc * UINT64_C(0x9e3779b97f4a7c15) >> (64 - natives->bits);

	while (natives->known[at].pc && natives->known[at].pc != pc)
		at = (at + 1) & mask;
	return &natives->known[at];
}

static bool grow(struct rmr_natives *natives)
{
	struct known *old = natives->known;
	size_t count = (size_t)1 << natives->bits;

	natives->known = calloc(2 * count, sizeof(*old));
	if (!natives->known) {
		natives->known = old;
		return false;
	}
	natives->bits++;
	for (size_t i = 0; i < count; i++) {
		if (old[i].pc)
			*find_slot(natives, old[i].pc) = old[i];
	}
	free(old);
	return true;
}

static bool look_up(struct rmr_natives *natives, rmr_addr_t pc, struct rmr_stack_native *ret)
{
	struct known *known = find_slot(natives, pc);

	if (!known->pc && natives->count >= (size_t)1 << (natives->bits - 1)) {
		if (!grow(natives))
			return false;
		known = find_slot(natives, pc);
	}
	if (!known->pc) {
		known->pc = pc;
		natives->count++;
		rmr_unwind_symbol(natives->unwind, pc, &known->place);
	}
	*ret = (struct rmr_stack_native){
		.pc = pc,
		.symbol = known->place.symbol,
		.offset = known->place.offset,
		.file = known->place.file,
	};
	/* "_PyEval_EvalFrameDefault.cold" and the like are parts of it. */
	size_t length = sizeof(loop_name) - 1;
	ret->evaluates = ret->symbol && strncmp(ret->symbol, loop_name, length) == 0 &&
			 (ret->symbol[length] == '\0' || ret->symbol[length] == '.');
	if (pc >= natives->cold.start && pc < natives->cold.end) {
		ret->evaluates = true;
		ret->symbol = "_PyEval_EvalFrameDefault.cold"; /* as compilers name it */
		ret->offset = pc - natives->cold.start;
	}
	return true;
}

bool rmr_natives_unwind(struct rmr_natives *natives, struct rmr_stack *stack)
{
	struct rmr_unwind_trace *trace = &natives->trace;

	rmr_unwind_trace(natives->unwind, &natives->regs, natives->start, natives->stack,
		natives->size, trace);
	stack->natives = calloc(trace->count + 1, sizeof(*stack->natives));
	if (!stack->natives)
		return false;
	for (size_t i = 0; i < trace->count; i++) {
		if (trace->pcs[i] && !look_up(natives, trace->pcs[i], &stack->natives[i]))
			return false;
	}
	stack->native_count = trace->count;
	stack->has_natives = true;
	stack->natives_whole = trace->whole;
	stack->natives_guessed = trace->guessed;
	return true;
}

bool rmr_natives_merge(
	struct rmr_stack_native *natives, size_t native_count, const bool *entries, size_t count)
{
	size_t loops = 0, groups = 0, last = native_count;

	for (size_t i = 0; i < native_count; i++)
		loops += natives[i].evaluates;
	for (size_t i = 0; i < count; i++)
		groups += entries[i];
	/* The innermost loop may have just begun, or be about to end, and have no frame. */
	bool bare = loops == groups + 1 && native_count && natives[0].evaluates;
	if ((loops != groups && !bare) || (count && !entries[count - 1]))
		return false;
	for (size_t end = count; end > 0;) {
		size_t first = end - 1;
		while (first > 0 && !entries[first - 1])
			first--;
		do
			last--;
		while (!natives[last].evaluates);
		natives[last].first = first;
		natives[last].count = end - first;
		end = first;
	}
	return true;
}
