// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/pyframes.h"

#include "attach/log.h"
#include "payloads/heap_dump/lines.h"

#include <stdlib.h>
#include <string.h>

enum {
	FIRST_BITS = 8,
	FRAME_SIZE = 80,	/* bytes of the interpreter's frame that are looked at */
	FRAME_IS_ENTRY = 68,	/* 3.11: _PyInterpreterFrame.is_entry, a bool */
	OWNER_SHIM = 3,		/* 3.12: an entry from C; 3.14: 3 and 4 */
	CHECK_TIME = 64,	/* frames between two looks at the clock */
};

void rmr_pycodes_deinit(struct rmr_pycodes *codes)
{
	for (size_t i = 0; i < codes->count; i++) {
		free(codes->codes[i]->function);
		free(codes->codes[i]->qualname);
		free(codes->codes[i]->file);
		free(codes->codes[i]->table);
		free(codes->codes[i]);
	}
	free(codes->codes);
	free(codes->slots);
	*codes = (struct rmr_pycodes){0};
}

void rmr_pyframes_deinit(struct rmr_pyframes *frames)
{
	free(frames->frames);
	*frames = (struct rmr_pyframes){0};
}

/* ---- code objects ---- */

static uint32_t *find_slot(const struct rmr_pycodes *codes, const struct rmr_pycode *like)
{
	uint64_t mask = ((uint64_t)1 << codes->bits) - 1;
	uint64_t at = like->address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - codes->bits);

	for (; codes->slots[at]; at = (at + 1) & mask) {
		const struct rmr_pycode *code = codes->codes[codes->slots[at] - 1];
		if (code->address == like->address && code->first == like->first &&
			memcmp(code->parts, like->parts, sizeof(code->parts)) == 0)
			break;
	}
	return &codes->slots[at];
}

/* Room for one more. */
static bool reserve(struct rmr_pycodes *codes)
{
	if (codes->count == codes->room) {
		size_t room = codes->room ? 2 * codes->room : 64;
		struct rmr_pycode **more = realloc(codes->codes, room * sizeof(struct rmr_pycode *));
		if (!more)
			return false;
		codes->codes = more;
		codes->room = room;
	}
	if (codes->slots && codes->count < (size_t)1 << (codes->bits - 1))
		return true;
	unsigned bits = codes->slots ? codes->bits + 1 : FIRST_BITS;
	uint32_t *slots = calloc((size_t)1 << bits, sizeof(*slots));
	if (!slots)
		return false;
	free(codes->slots);
	codes->slots = slots;
	codes->bits = bits;
	for (size_t i = 0; i < codes->count; i++)
		*find_slot(codes, codes->codes[i]) = (uint32_t)i + 1;
	return true;
}

static char *text_or_mark(const struct rmr_objects *o, rmr_addr_t str)
{
	char *text = rmr_objects_text(o, str);

	return text ? text : strdup("?");
}

/* A copy of the code object at @p address; NULL if it is none, with *failed set if out of memory. */
static struct rmr_pycode *get_code(
	const struct rmr_objects *o, rmr_addr_t address, struct rmr_pycodes *codes, bool *failed)
{
	const struct rmr_layout *l = o->layout;
	struct rmr_pycode like = {.address = address, .last_lasti = -2};

	if (!rmr_objects_is(o, address, o->code))
		return NULL;
	like.parts[0] = rmr_objects_word(o, address, l->code_name);
	like.parts[1] = rmr_objects_word(o, address, l->code_filename);
	like.parts[2] = rmr_objects_word(o, address, l->code_linetable);
	like.parts[3] =
		l->code_qualname == RMR_NONE ? 0 : rmr_objects_word(o, address, l->code_qualname);
	like.first = (int32_t)rmr_memory_word32(o->memory,
		address + o->header + (rmr_addr_t)l->code_firstlineno);
	*failed = !reserve(codes);
	if (*failed)
		return NULL;
	uint32_t *slot = find_slot(codes, &like);
	if (*slot)
		return codes->codes[*slot - 1];
	struct rmr_pycode *code = malloc(sizeof(*code));
	*failed = !code;
	if (!code)
		return NULL;
	*code = like;
	code->function = text_or_mark(o, like.parts[0]);
	code->file = text_or_mark(o, like.parts[1]);
	code->table = rmr_objects_bytes(o, like.parts[2], &code->table_size);
	code->qualname = like.parts[3] ? rmr_objects_text(o, like.parts[3]) : NULL;
	codes->codes[codes->count++] = code;
	*slot = (uint32_t)codes->count;
	return code;
}

int32_t rmr_pyframes_line(const struct rmr_objects *o, const struct rmr_pyframe *frame)
{
	struct rmr_pycode *code = frame->code;

	/* Recursion asks for the same again and again. */
	if (code->last_lasti != frame->lasti) {
		code->last_line = code->table ? rmr_lines_find(o->layout->minor, code->table,
							code->table_size, code->first,
							frame->lasti)
					      : -1;
		code->last_lasti = frame->lasti;
	}
	return code->last_line;
}

/* ---- frames ---- */

static bool add(struct rmr_pyframes *frames, const struct rmr_pyframe *frame)
{
	if (frames->count == frames->room) {
		size_t room = frames->room ? 2 * frames->room : 64;
		struct rmr_pyframe *more = realloc(frames->frames, room * sizeof(*more));
		if (!more)
			return false;
		frames->frames = more;
		frames->room = room;
	}
	frames->frames[frames->count++] = *frame;
	return true;
}

static uint64_t word_at(const unsigned char *bytes, int32_t offset)
{
	uint64_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

/* Up to 3.10: frames are objects. *next_ret is the frame outside of it. */
static enum rmr_pyframes_end read_old(const struct rmr_objects *o, rmr_addr_t address,
	struct rmr_pycodes *codes, struct rmr_pyframes *ret, rmr_addr_t *next_ret)
{
	const struct rmr_layout *l = o->layout;
	bool failed = false;
	struct rmr_pyframe frame = {.address = address, .entry = true};

	frame.code = get_code(o, rmr_objects_word(o, address, l->frame_code), codes, &failed);
	if (!frame.code)
		return failed ? RMR_PYFRAMES_NO_MEMORY : RMR_PYFRAMES_BROKEN;
	frame.lasti = (int32_t)rmr_memory_word32(
		o->memory, address + o->header + (rmr_addr_t)l->frame_lasti);
	if (l->minor == 10)
		frame.lasti *= 2; /* counted in instructions */
	*next_ret = rmr_objects_word(o, address, l->frame_previous);
	return add(ret, &frame) ? RMR_PYFRAMES_WHOLE : RMR_PYFRAMES_NO_MEMORY;
}

/* From 3.11 on: frames are on the thread's own stack of chunks, or in generators. */
static enum rmr_pyframes_end read_new(const struct rmr_objects *o, rmr_addr_t address,
	struct rmr_pycodes *codes, struct rmr_pyframes *ret, rmr_addr_t *next_ret)
{
	const struct rmr_layout *l = o->layout;
	unsigned char bytes[FRAME_SIZE];
	bool failed = false;
	struct rmr_pyframe frame = {.address = address};

	if (address & 7 || !rmr_memory_read(o->memory, address, bytes, sizeof(bytes)))
		return RMR_PYFRAMES_BROKEN;
	*next_ret = word_at(bytes, l->frame_previous);
	if (l->minor >= 12 && bytes[l->frame_owner] >= OWNER_SHIM) {
		if (ret->count)
			ret->frames[ret->count - 1].entry = true;
		return RMR_PYFRAMES_WHOLE;
	}
	rmr_addr_t code = word_at(bytes, l->frame_code);
	if (l->minor >= 14)
		code &= ~(rmr_addr_t)3; /* a tagged _PyStackRef */
	frame.code = get_code(o, code, codes, &failed);
	if (!frame.code)
		return failed ? RMR_PYFRAMES_NO_MEMORY : RMR_PYFRAMES_BROKEN;
	frame.lasti = (int64_t)(word_at(bytes, l->frame_lasti) -
				(code + o->header + (rmr_addr_t)l->code_bytecode));
	frame.entry = l->minor == 11 && bytes[FRAME_IS_ENTRY];
	return add(ret, &frame) ? RMR_PYFRAMES_WHOLE : RMR_PYFRAMES_NO_MEMORY;
}

static rmr_addr_t top_frame(const struct rmr_objects *o, rmr_addr_t thread)
{
	rmr_addr_t top =
		rmr_memory_word(o->memory, thread + (rmr_addr_t)o->layout->frame_top);

	/* 3.11 and 3.12 keep it in a struct on the C stack, _PyCFrame. */
	if (o->layout->minor == 11)
		return top ? rmr_memory_word(o->memory, top + 8) : 0;
	if (o->layout->minor == 12)
		return top ? rmr_memory_word(o->memory, top) : 0;
	return top;
}

void rmr_pyframes_read(const struct rmr_objects *o, rmr_addr_t thread, struct rmr_pycodes *codes,
	uint64_t deadline, struct rmr_pyframes *ret)
{
	rmr_addr_t address = top_frame(o, thread), trap = 0;

	ret->count = 0;
	ret->end = RMR_PYFRAMES_WHOLE;
	for (size_t i = 1; address; i++) {
		rmr_addr_t next = 0;
		if (ret->count == RMR_PYFRAMES_MAX ||
			(deadline && i % CHECK_TIME == 0 && rmr_log_now() > deadline)) {
			ret->end = RMR_PYFRAMES_CUT;
			return;
		}
		ret->end = o->layout->minor <= 10 ? read_old(o, address, codes, ret, &next)
						  : read_new(o, address, codes, ret, &next);
		if (ret->end != RMR_PYFRAMES_WHOLE)
			return;
		/* A ring of frames: each power of two sets a trap for the steps that follow. */
		if (address == trap) {
			ret->end = RMR_PYFRAMES_BROKEN;
			return;
		}
		if ((i & (i - 1)) == 0)
			trap = address;
		address = next;
	}
	if (ret->count)
		ret->frames[ret->count - 1].entry = true;
}

bool rmr_pyframes_equal(const struct rmr_pyframes *a, const struct rmr_pyframes *b)
{
	if (a->end != b->end || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (a->frames[i].address != b->frames[i].address ||
			a->frames[i].code != b->frames[i].code ||
			a->frames[i].lasti != b->frames[i].lasti)
			return false;
	}
	return true;
}
