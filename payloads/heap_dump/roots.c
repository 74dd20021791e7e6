// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum {
	MAX_FRAMES = 100000,
	MAX_THREADS = 100000,
	MAX_ROOT_REFS = 4096,
	OWNER_SHIM = 3, // 3.12+: an entry from C, without code of its own
};

struct root {
	unsigned kind;
	uint64_t interpreter, ident, native;
	uint32_t depth;
	int32_t line;
	struct rmr_span texts[3];
};

static uint64_t *put_name(struct rmr_heap_dump *w, uint64_t *p, const struct rmr_name *name)
{
	struct rmr_span span = {0};
	char digits[16], *at = digits + sizeof(digits);

	if (name->style == RMR_STYLE_OFFSET) {
		uint64_t n = name->text;
		do
			*--at = "0123456789abcdef"[n & 15];
		while (n >>= 4);
		span = (struct rmr_span){at, (uint64_t)(digits + sizeof(digits) - at), RMR_TEXT_UTF8};
	} else if (name->style != RMR_STYLE_NULL)
		span = name->is_c ? rmr_values_c_string(w, name->text)
				  : rmr_values_str(w, name->text);
	if (span.size > 32)
		span.size = span.size < 4096 ? span.size : 4096;
	return rmr_values_put(p, span, name->style, false);
}

// Writes the candidates as a root's references, then what they lead to.
static void write_root(struct rmr_heap_dump *w, const struct root *root)
{
	uint64_t *start = rmr_emit_begin(w);
	uint64_t *refs = w->scratch + w->scratch_top;
	uint32_t count = w->candidate_count < MAX_ROOT_REFS ? w->candidate_count : MAX_ROOT_REFS;

	if (!start)
		return;
	struct rmr_rec_root_head *rec = (struct rmr_rec_root_head *)start;
	rec->interpreter = root->interpreter;
	rec->ident = root->ident;
	rec->native = root->native;
	rec->depth = root->depth;
	rec->line = root->line;
	rec->pad = 0;
	uint64_t *p = (uint64_t *)(rec + 1);
	for (int i = 0; i < 3; i++) {
		struct rmr_span text = root->texts[i];
		if (text.size > RMR_REC_MAX_TEXT)
			text.size = RMR_REC_MAX_TEXT;
		p = rmr_values_put(p, text, 0, false);
	}
	// Long names are few; the addresses come first, so the count is cut before they do not fit.
	uint64_t room = (RMR_REC_MAX - (uint64_t)((char *)p - (char *)start)) / 8, used = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t *name_end = put_name(w, w->scratch + w->scratch_top + MAX_ROOT_REFS,
			&w->candidates[i].name);
		used += 1 + (uint64_t)(name_end - (w->scratch + w->scratch_top + MAX_ROOT_REFS));
		if (used >= room)
			count = i;
	}
	rec->count = count;
	for (uint32_t i = 0; i < count; i++)
		*p++ = refs[i] = w->candidates[i].value;
	for (uint32_t i = 0; i < count; i++)
		p = put_name(w, p, &w->candidates[i].name);
	rmr_emit_end(w, start, p, RMR_REC_ROOT, root->kind, 0);
	w->roots++;
	w->scratch_top += count;
	for (uint32_t i = 0; i < count; i++)
		rmr_emit_child(w, refs[i]);
	w->scratch_top -= count;
}

void rmr_roots_add(struct rmr_heap_dump *w, uint64_t value, const char *name)
{
	struct rmr_name plain = {(uintptr_t)name, name ? RMR_STYLE_PLAIN : RMR_STYLE_NULL, true};

	if (rmr_is_readable(w, value))
		rmr_names_add(w, value, plain, false);
}

// ---- interpreters ----

static void write_one(struct rmr_heap_dump *w, uint64_t id, const char *label, uint64_t value)
{
	struct root root = {.kind = RMR_ROOT_INTERPRETER, .interpreter = id, .line = -1};

	if (!rmr_is_readable(w, value))
		return;
	rmr_names_reset(w);
	rmr_roots_add(w, value, NULL);
	root.texts[0] = rmr_values_c_string(w, (uintptr_t)label);
	write_root(w, &root);
}

static void write_interpreter(struct rmr_heap_dump *w, uint64_t interp, uint64_t id)
{
	const struct rmr_layout *l = w->rt.layout;
	const struct {
		const char *label;
		int32_t offset;
	} places[] = {
		{"sys.modules", l->modules},
		{"sys.__dict__", l->sysdict},
		{"builtins.__dict__", l->sysdict + 8},
		{"<modules by index>", l->modules_by_index},
		{"<codec search path>", l->codecs},
		{"<codec search cache>", l->codecs == RMR_NONE ? RMR_NONE : l->codecs + 8},
		{"<codec error handlers>", l->codecs == RMR_NONE ? RMR_NONE : l->codecs + 16},
		{"<interpreter dict>", w->rt.debug ? l->dict_debug : l->dict},
	};

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i].offset != RMR_NONE)
			write_one(w, id, places[i].label, rmr_word(interp, places[i].offset));
	}
	uint64_t garbage = rmr_layout_gc_word(&w->rt, &w->api, interp, w->rt.garbage);
	if (garbage && (w->rt.minor >= 9 || id == 0)) {
		write_one(w, id, "gc.garbage", rmr_word(garbage, 0));
		write_one(w, id, "gc.callbacks", rmr_word(garbage, 8));
	}
	int32_t interned = w->rt.debug ? l->interned_debug : l->interned;
	if (interned == RMR_NONE)
		return;
	// Its place moves with micro versions: taken only if it is a dict that maps strings to
	// themselves.
	uint64_t dict = rmr_word(interp, interned);
	if (!rmr_is_readable(w, dict) || rmr_type_of(&w->rt, dict) != (uintptr_t)w->api.PyDict_Type)
		return;
	struct rmr_dict_iter iter;
	uint64_t keys = rmr_at(&w->rt, dict, 32);
	if (!rmr_is_readable(w, keys))
		return;
	rmr_dict_start(w, &iter, keys, 0);
	if (!rmr_dict_next(&iter) || iter.key != iter.value)
		return;
	struct root root = {.kind = RMR_ROOT_INTERNED, .interpreter = id, .line = -1};
	root.texts[0] = (struct rmr_span){"<interned strings>", 18, RMR_TEXT_UTF8};
	rmr_names_reset(w);
	rmr_roots_add(w, dict, NULL);
	write_root(w, &root);
}

// ---- threads ----

// Thread._name of the thread, from threading._active.
static struct rmr_span thread_name(struct rmr_heap_dump *w, uint64_t interp, uint64_t ident)
{
	uint64_t modules = rmr_word(interp, w->rt.layout->modules);
	uint64_t module = rmr_values_dict_get(w, modules, "threading");
	uint64_t dict = module ? rmr_names_attribute(w, module, "__dict__") : 0;
	uint64_t active = dict ? rmr_values_dict_get(w, dict, "_active") : 0;
	struct rmr_dict_iter iter;

	if (!rmr_is_readable(w, active) ||
		rmr_type_of(&w->rt, active) != (uintptr_t)w->api.PyDict_Type)
		return (struct rmr_span){0};
	rmr_dict_start(w, &iter, rmr_at(&w->rt, active, 32), rmr_at(&w->rt, active, 40));
	while (rmr_dict_next(&iter)) {
		bool negative;
		uint64_t digits, value = 0;
		if (!rmr_is_readable(w, iter.key) ||
			rmr_type_of(&w->rt, iter.key) != (uintptr_t)w->api.PyLong_Type)
			continue;
		uint64_t count = rmr_sizes_int_digits(w, iter.key, &negative, &digits);
		for (uint64_t i = 0; i < count && i < 3; i++)
			value |= (uint64_t)(uint32_t)rmr_word32(digits, i * 4) << 30 * i;
		if (value != ident)
			continue;
		uint64_t name = rmr_names_attribute(w, iter.value, "_name");
		return name ? rmr_values_str(w, name) : (struct rmr_span){0};
	}
	return (struct rmr_span){0};
}

static void write_thread(struct rmr_heap_dump *w, uint64_t thread, const struct root *base)
{
	const struct rmr_layout *l = w->rt.layout;
	struct root root = *base;

	root.kind = RMR_ROOT_THREAD;
	rmr_names_reset(w);
	rmr_roots_add(w, rmr_word(thread, l->thread_dict), "<thread dict>");
	rmr_roots_add(w, rmr_word(thread, l->current_exc), "<current exception>");
	if (w->rt.minor <= 11) {
		rmr_roots_add(w, rmr_word(thread, l->current_exc + 8), "<current exception>");
		rmr_roots_add(w, rmr_word(thread, l->current_exc + 16), "<current traceback>");
	}
	rmr_roots_add(w, rmr_word(thread, l->async_exc), "<asynchronous exception>");
	rmr_roots_add(w, rmr_word(thread, l->profile), "<profile function>");
	rmr_roots_add(w, rmr_word(thread, l->profile + 8), "<trace function>");
	if (l->context != RMR_NONE)
		rmr_roots_add(w, rmr_word(thread, l->context), "<context>");
	uint64_t item = l->exc_info == RMR_NONE ? thread + (uint64_t)l->exc_value - 8
						: rmr_word(thread, l->exc_info);
	// The stack of exceptions being handled; those of generators are in them.
	for (int i = 0; i < 1000 && rmr_is_readable(w, item); i++) {
		if (w->rt.minor >= 11) {
			rmr_roots_add(w, rmr_word(item, 0), "<handled exception>");
			item = rmr_word(item, 8);
			continue;
		}
		rmr_roots_add(w, rmr_word(item, 0), NULL);
		rmr_roots_add(w, rmr_word(item, 8), "<handled exception>");
		rmr_roots_add(w, rmr_word(item, 16), "<handled traceback>");
		item = l->exc_info == RMR_NONE ? 0 : rmr_word(item, 24);
	}
	write_root(w, &root);
}

// ---- frames ----

static void set_code(struct rmr_heap_dump *w, struct root *root, uint64_t code, int64_t lasti)
{
	root->texts[0] = rmr_values_str(w, rmr_at(&w->rt, code, w->rt.layout->code_name));
	root->texts[2] = rmr_values_str(w, rmr_at(&w->rt, code, w->rt.layout->code_filename));
	root->line = rmr_frames_line(w, code, lasti);
}

// Up to 3.10 frames are objects, which name their locals themselves.
static void write_old_frame(struct rmr_heap_dump *w, uint64_t frame, struct root *root)
{
	const struct rmr_layout *l = w->rt.layout;
	uint64_t code = rmr_at(&w->rt, frame, l->frame_code);

	if (!rmr_frames_is_code(w, code))
		return;
	int64_t lasti = rmr_at32(&w->rt, frame, l->frame_lasti);
	set_code(w, root, code, w->rt.minor == 10 ? lasti * 2 : lasti);
	rmr_names_reset(w);
	rmr_roots_add(w, frame, NULL);
	write_root(w, root);
	root->depth++;
}

static void add_stack(struct rmr_heap_dump *w, uint64_t frame, uint64_t code)
{
	const struct rmr_layout *l = w->rt.layout;
	uint64_t locals = (uint64_t)rmr_at32(&w->rt, code, l->code_nlocalsplus);
	uint64_t size = (uint64_t)rmr_at32(&w->rt, code, l->code_stacksize);
	uint64_t first = frame + (uint64_t)l->frame_locals + locals * 8, top;

	if (w->rt.minor >= 14) {
		top = rmr_word(frame, l->frame_stacktop);
	} else {
		// An index; -1 while the frame is executed.
		int32_t depth = rmr_word32(frame, l->frame_stacktop);
		top = depth < 0 ? 0 : frame + (uint64_t)l->frame_locals + (uint64_t)depth * 8;
	}
	if (top < first || top > first + size * 8)
		return;
	for (; first < top; first += 8) {
		uint64_t word = rmr_word(first, 0);
		if (w->rt.minor >= 14)
			word = (word & 3) == 3 ? 0 : word & ~UINT64_C(3);
		rmr_roots_add(w, word, "<stack>");
	}
}

static void write_new_frame(struct rmr_heap_dump *w, uint64_t frame, struct root *root)
{
	const struct rmr_layout *l = w->rt.layout;
	uint64_t mask = w->rt.minor >= 14 ? ~UINT64_C(3) : ~UINT64_C(0);
	uint64_t code = rmr_word(frame, l->frame_code) & mask;

	if (rmr_word8(frame, l->frame_owner) >= OWNER_SHIM || !rmr_frames_is_code(w, code))
		return;
	uint64_t first = code + w->rt.header + (uint64_t)l->code_bytecode;
	set_code(w, root, code, (int64_t)(rmr_word(frame, l->frame_lasti) - first));
	rmr_names_reset(w);
	rmr_frames_add_locals(w, code, frame + (uint64_t)l->frame_locals, RMR_STYLE_ATTR);
	add_stack(w, frame, code);
	rmr_roots_add(w, rmr_word(frame, l->frame_func) & mask, "<function>");
	rmr_roots_add(w, code, "<code>");
	rmr_roots_add(w, rmr_word(frame, l->frame_dict), ".f_locals");
	rmr_roots_add(w, rmr_word(frame, l->frame_object), "<frame object>");
	write_root(w, root);
	root->depth++;
}

static void write_frames(struct rmr_heap_dump *w, uint64_t thread, const struct root *base)
{
	const struct rmr_layout *l = w->rt.layout;
	struct root root = *base;
	uint64_t frame = rmr_word(thread, l->frame_top);

	root.kind = RMR_ROOT_FRAME;
	root.texts[1] = root.texts[0];
	// 3.11 and 3.12 keep the frame in a struct of the C stack, _PyCFrame.
	if (w->rt.minor == 11)
		frame = rmr_is_readable(w, frame) ? rmr_word(frame, 8) : 0;
	else if (w->rt.minor == 12)
		frame = rmr_is_readable(w, frame) ? rmr_word(frame, 0) : 0;
	for (int i = 0; i < MAX_FRAMES && rmr_is_readable(w, frame) && !w->failed; i++) {
		if (w->rt.minor <= 10)
			write_old_frame(w, frame, &root);
		else
			write_new_frame(w, frame, &root);
		frame = w->rt.minor <= 10 ? rmr_at(&w->rt, frame, l->frame_previous)
					  : rmr_word(frame, l->frame_previous);
	}
}

static uint64_t count_interpreters(const struct rmr_heap_dump *w)
{
	void *interp = ((void *(*)(void))w->api.PyInterpreterState_Head)();
	uint64_t count = 0;

	for (; interp; interp = ((void *(*)(void *))w->api.PyInterpreterState_Next)(interp))
		count++;
	return count;
}

void rmr_roots_write(struct rmr_heap_dump *w)
{
	const struct rmr_layout *l = w->rt.layout;
	const struct rmr_python_api *api = &w->api;
	uint64_t interp = (uintptr_t)((void *(*)(void))api->PyInterpreterState_Head)();
	// The list begins with the youngest and ends with the main one; 3.6 has no numbers.
	uint64_t younger = count_interpreters(w) - 1;

	for (; interp; younger--) {
		uint64_t id = l->interp_id == RMR_NONE ? younger : rmr_word(interp, l->interp_id);
		write_interpreter(w, interp, id);
		uint64_t thread = (uintptr_t)((void *(*)(void *))
				api->PyInterpreterState_ThreadHead)((void *)interp);
		for (int i = 0; i < MAX_THREADS && rmr_is_readable(w, thread); i++) {
			struct root root = {.interpreter = id, .line = -1};
			root.ident = rmr_word(thread, l->thread_id);
			root.native = l->native_id == RMR_NONE ? 0 : rmr_word(thread, l->native_id);
			if (thread != w->request.own_thread) {
				if (w->request.values != RMR_VALUES_NONE)
					root.texts[0] = thread_name(w, interp, root.ident);
				write_thread(w, thread, &root);
				write_frames(w, thread, &root);
			}
			thread = (uintptr_t)((void *(*)(void *))api->PyThreadState_Next)(
				(void *)thread);
		}
		interp = (uintptr_t)((void *(*)(void *))api->PyInterpreterState_Next)(
			(void *)interp);
	}
}

static void flush(struct rmr_heap_dump *w, unsigned kind, const char *label, uint64_t interpreter)
{
	struct root root = {.kind = kind, .interpreter = interpreter, .line = -1};

	root.texts[0] = rmr_values_c_string(w, (uintptr_t)label);
	if (w->candidate_count)
		write_root(w, &root);
	rmr_names_reset(w);
}

void rmr_roots_flush(struct rmr_heap_dump *w, const char *label, uint64_t interpreter)
{
	flush(w, RMR_ROOT_STATIC, label, interpreter);
}

void rmr_roots_flush_data(struct rmr_heap_dump *w, const char *label)
{
	flush(w, RMR_ROOT_DATA, label, 0);
}

void rmr_roots_write_static(struct rmr_heap_dump *w)
{
	enum { BATCH = 1000 };
	static const char types[] = "<static type>", objects[] = "<static object>";

	rmr_names_reset(w);
	for (uint64_t i = 0; i < w->type_room && !w->failed; i++) {
		const struct rmr_type_info *info = w->types[i];
		// Those that lie in an image are in the second list, with those of which there is no
		// instance.
		if (info && !info->heap && !rmr_is_in_image(w, info->address))
			rmr_roots_add(w, info->address, NULL);
		if (w->candidate_count == BATCH)
			rmr_roots_flush(w, types, 0);
	}
	for (int pass = 0; pass < 2; pass++) {
		// A root's references may lead to more static objects.
		for (uint64_t i = 0; i < w->static_count && !w->failed; i++) {
			uint64_t object = w->statics[i];
			bool is_type = rmr_at(&w->rt, rmr_type_of(&w->rt, object), RMR_TYPE_FLAGS) &
				RMR_TPFLAG_TYPE;
			if (is_type == (pass == 0))
				rmr_roots_add(w, object, NULL);
			if (w->candidate_count == BATCH)
				rmr_roots_flush(w, pass ? objects : types, 0);
		}
		rmr_roots_flush(w, pass ? objects : types, 0);
	}
}
