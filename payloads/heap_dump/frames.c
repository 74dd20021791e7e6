// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/lines.h"
#include "payloads/heap_dump/walker.h"

enum {
	KIND_HIDDEN = 0x10, // Include/internal/pycore_code.h, CO_FAST_*
	KIND_CELL = 0x40,
	KIND_FREE = 0x80,
	OWNER_FRAME_OBJECT = 2, // Include/internal/pycore_frame.h, enum _frameowner
	FRAME_OBJECT_FRAME = 24,
	BYTES_DATA = 32,
	MAX_LOCALS = 4096,
};

bool rmr_frames_is_code(struct rmr_heap_dump *w, uint64_t code)
{
	return rmr_is_readable(w, code) && rmr_type_of(&w->rt, code) == (uintptr_t)w->api.PyCode_Type;
}

static bool is_tuple(struct rmr_heap_dump *w, uint64_t object)
{
	return rmr_is_readable(w, object) &&
		rmr_type_of(&w->rt, object) == (uintptr_t)w->api.PyTuple_Type;
}

// A value of 3.14 and later carries tags in its two lowest bits; a tagged int is no object.
static uint64_t untag(struct rmr_heap_dump *w, uint64_t value, bool *borrowed_ret)
{
	*borrowed_ret = false;
	if (w->rt.minor < 14)
		return value;
	if ((value & 3) == 3)
		return 0;
	*borrowed_ret = value & 1;
	return value & ~UINT64_C(3);
}

static void add_slot(struct rmr_heap_dump *w, uint64_t word, uint64_t text, unsigned style)
{
	bool borrowed;
	uint64_t value = untag(w, word, &borrowed);

	if (value && rmr_is_readable(w, value))
		rmr_names_add(w, value, (struct rmr_name){text, (uint8_t)style, false}, borrowed);
}

static void add_tuple_locals(struct rmr_heap_dump *w, uint64_t names, uint64_t locals,
	unsigned style)
{
	uint64_t count = is_tuple(w, names) ? rmr_at(&w->rt, names, 16) : 0;

	for (uint64_t i = 0; i < count && i < MAX_LOCALS; i++) {
		uint64_t name = rmr_at(&w->rt, names,
			(uint64_t)w->rt.layout->tuple_items + i * 8);
		add_slot(w, rmr_word(locals, i * 8), name, style);
	}
}

void rmr_frames_add_locals(struct rmr_heap_dump *w, uint64_t code, uint64_t locals, unsigned plain)
{
	const struct rmr_runtime *rt = &w->rt;
	const struct rmr_layout *layout = rt->layout;
	uint64_t names = rmr_at(rt, code, layout->code_varnames);

	if (rt->minor <= 10) {
		uint64_t cells = rmr_at(rt, code, layout->code_cellvars);
		uint64_t frees = rmr_at(rt, code, layout->code_freevars);
		uint64_t at = locals + 8 * (uint64_t)rmr_at32(rt, code, layout->code_nlocals);
		add_tuple_locals(w, names, locals, plain);
		add_tuple_locals(w, cells, at, RMR_STYLE_CELL);
		at += is_tuple(w, cells) ? 8 * rmr_at(rt, cells, 16) : 0;
		add_tuple_locals(w, frees, at, RMR_STYLE_CELL);
		return;
	}
	uint64_t kinds = rmr_at(rt, code, layout->code_kinds);
	uint64_t count = (uint64_t)(uint32_t)rmr_at32(rt, code, layout->code_nlocalsplus);
	if (!is_tuple(w, names) || !rmr_is_readable(w, kinds) || count > rmr_at(rt, names, 16) ||
		count > MAX_LOCALS)
		return;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t word = rmr_word(locals, i * 8);
		uint64_t name = rmr_at(rt, names, (uint64_t)layout->tuple_items + i * 8);
		bool borrowed, is_cell = rmr_at8(rt, kinds, BYTES_DATA + i) & (KIND_CELL | KIND_FREE);
		uint64_t value = untag(w, word, &borrowed);
		// Before MAKE_CELL ran, the slot of a cell variable holds the bare value.
		is_cell = is_cell && rmr_is_readable(w, value) &&
			rmr_type_of(rt, value) == (uintptr_t)w->api.PyCell_Type;
		add_slot(w, word, name, is_cell ? RMR_STYLE_CELL : plain);
	}
}

// The interpreter's frame (3.11+) that a frame object or a generator runs, or 0.
static uint64_t inner_frame(struct rmr_heap_dump *w, const struct rmr_type_info *info,
	uint64_t object)
{
	const struct rmr_layout *layout = w->rt.layout;
	if (info->kind == RMR_KIND_FRAME)
		return rmr_at(&w->rt, object, FRAME_OBJECT_FRAME);
	// Include/internal/pycore_frame.h, enum _framestate: FRAME_CLEARED is the last.
	int8_t state = (int8_t)rmr_at8(&w->rt, object, layout->gen_state);
	if (state >= (w->rt.minor >= 15 ? 5 : 4))
		return 0;
	return object + w->rt.header + (uint64_t)layout->gen_frame;
}

uint64_t rmr_frames_code(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	const struct rmr_runtime *rt = &w->rt;
	uint64_t code, frame = object + rt->header;

	if (rt->minor <= 10) {
		int32_t gen_code = rt->minor == 10 ? 24 : 32; // 3.10 has no gi_running before it
		code = rmr_at(rt, object,
			info->kind == RMR_KIND_FRAME ? rt->layout->frame_code : gen_code);
	} else {
		if (info->kind == RMR_KIND_FRAME)
			frame = rmr_at(rt, object, 24);
		else // A finished generator's frame keeps its code pointer until 3.13.
			frame += (uint64_t)rt->layout->gen_frame;
		if (!rmr_is_readable(w, frame))
			return 0;
		code = rmr_word(frame, rt->layout->frame_code);
		if (rt->minor >= 14)
			code &= ~UINT64_C(3);
	}
	return rmr_frames_is_code(w, code) ? code : 0;
}

// What lies behind the locals is the evaluation stack: a name for what is visited and has none yet,
// as the object that a coroutine awaits.
static void add_stack(struct rmr_heap_dump *w, uint64_t code, uint64_t locals)
{
	const struct rmr_layout *l = w->rt.layout;
	uint64_t size = (uint64_t)rmr_at32(&w->rt, code, l->code_stacksize), names;
	uint64_t at = locals;

	if (w->rt.minor >= 11) {
		at += 8 * (uint64_t)(uint32_t)rmr_at32(&w->rt, code, l->code_nlocalsplus);
	} else {
		at += 8 * (uint64_t)rmr_at32(&w->rt, code, l->code_nlocals);
		names = rmr_at(&w->rt, code, l->code_cellvars);
		at += is_tuple(w, names) ? 8 * rmr_at(&w->rt, names, 16) : 0;
		names = rmr_at(&w->rt, code, l->code_freevars);
		at += is_tuple(w, names) ? 8 * rmr_at(&w->rt, names, 16) : 0;
	}
	for (uint64_t i = 0; i < size && i < MAX_LOCALS; i++) {
		bool borrowed;
		uint64_t value = untag(w, rmr_word(at, i * 8), &borrowed);
		rmr_names_add(w, value, (struct rmr_name){(uintptr_t) "<stack>", RMR_STYLE_PLAIN, true},
			true);
	}
}

// The attribute that shows the code.
static const char *code_name(struct rmr_heap_dump *w, const struct rmr_type_info *info)
{
	if (info->kind == RMR_KIND_FRAME)
		return "f_code";
	if (info->address == (uintptr_t)w->api.PyGen_Type)
		return "gi_code";
	return info->address == (uintptr_t)w->api.PyCoro_Type ? "cr_code" : "ag_code";
}

void rmr_frames_collect(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	const struct rmr_runtime *rt = &w->rt;
	const struct rmr_layout *layout = rt->layout;
	uint64_t code = rmr_frames_code(w, info, object), frame;

	if (!code)
		return;
	if (rt->minor <= 10) {
		if (info->kind != RMR_KIND_FRAME)
			return;
		uint64_t locals = object + rt->header + (uint64_t)layout->frame_locals;
		rmr_frames_add_locals(w, code, locals, RMR_STYLE_ATTR);
		add_stack(w, code, locals);
		return;
	}
	frame = inner_frame(w, info, object);
	// A frame object of a frame that still runs visits none of the frame's own references.
	if (!frame || !rmr_is_readable(w, frame) ||
		(info->kind == RMR_KIND_FRAME &&
			rmr_word8(frame, layout->frame_owner) != OWNER_FRAME_OBJECT))
		return;
	const char *names[] = {info->kind == RMR_KIND_FRAME ? "f_locals" : "<locals>", "<frame object>",
		code_name(w, info), "<function>"};
	int32_t places[] = {layout->frame_dict, layout->frame_object, layout->frame_code,
		layout->frame_func};
	for (int i = 0; i < 4; i++) {
		bool borrowed;
		uint64_t value = rmr_word(frame, places[i]);
		if (i >= 2)
			value = untag(w, value, &borrowed);
		struct rmr_name name = {(uintptr_t)names[i],
			*names[i] == '<' ? RMR_STYLE_PLAIN : RMR_STYLE_ATTR, true};
		// Only as names: whether each is owned depends on the frame's state.
		rmr_names_add(w, value, name, true);
	}
	uint32_t before = w->candidate_count;
	uint64_t locals = frame + (uint64_t)layout->frame_locals;
	rmr_frames_add_locals(w, code, locals,
		info->kind == RMR_KIND_FRAME ? RMR_STYLE_ATTR : RMR_STYLE_LOCAL);
	add_stack(w, code, locals);
	// A running generator's slots are visited by its thread, not by the collector.
	for (uint32_t i = before; i < w->candidate_count; i++)
		w->candidates[i].borrowed = true;
}

int32_t rmr_frames_line(struct rmr_heap_dump *w, uint64_t code, int64_t lasti)
{
	const struct rmr_runtime *rt = &w->rt;
	uint64_t table = rmr_at(rt, code, rt->layout->code_linetable);
	int32_t first = rmr_at32(rt, code, rt->layout->code_firstlineno);

	if (!rmr_is_readable(w, table) ||
		rmr_type_of(rt, table) != (uintptr_t)w->api.PyBytes_Type)
		return -1;
	uint64_t size = rmr_at(rt, table, 16);
	const uint8_t *data = (const uint8_t *)(uintptr_t)(table + rt->header + BYTES_DATA);
	return rmr_lines_find(rt->minor, data, size, first, lasti);
}

int32_t rmr_frames_line_of(struct rmr_heap_dump *w, uint64_t object, uint64_t code)
{
	const struct rmr_layout *l = w->rt.layout;
	uint64_t frame = rmr_at(&w->rt, object, FRAME_OBJECT_FRAME);

	if (w->rt.minor <= 10) {
		int64_t last = rmr_at32(&w->rt, object, l->frame_lasti);
		return rmr_frames_line(w, code, w->rt.minor == 10 ? last * 2 : last);
	}
	if (!rmr_is_readable(w, frame))
		return -1;
	uint64_t first = code + w->rt.header + (uint64_t)l->code_bytecode;
	return rmr_frames_line(w, code, (int64_t)(rmr_word(frame, l->frame_lasti) - first));
}
