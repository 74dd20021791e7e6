// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum {
	BATCH = 1000,
	LARGEST = 64 << 20, // bytes of one image that are looked through
};

// The end of the object that was met at @p at in an image, or 0: what it refers to has been told.
__attribute__((noinline)) static uint64_t end_of_static(struct rmr_heap_dump *w, uint64_t at)
{
	if (!rmr_is_readable(w, at + w->rt.header + 8))
		return 0;
	const struct rmr_type_info *info = rmr_types_find(w, rmr_type_of(&w->rt, at));
	if (!info)
		return 0;
	return at + (uint64_t)(info->kind == RMR_KIND_TYPE ? w->rt.layout->type_size + (int)w->rt.header
							   : info->basicsize);
}

static void make_label(char *label, size_t size, const char *before, struct rmr_span name)
{
	char *to = label, *end = label + size - 2;

	while (*before)
		*to++ = *before++;
	for (uint64_t i = 0; i < name.size && to < end; i++)
		*to++ = ((const char *)name.data)[i];
	*to++ = '>';
	*to = 0;
}

enum pass {
	PASS_FIND, // notes the places, writes the objects that nothing else leads to
	PASS_WRITE,
};

// The interpreter's own table of interned strings (up to 3.11 a static variable): what it holds is not
// counted.
static bool is_interned_table(struct rmr_heap_dump *w, uint64_t dict)
{
	struct rmr_dict_iter iter;

	if (rmr_type_of(&w->rt, dict) != (uintptr_t)w->api.PyDict_Type)
		return false;
	uint64_t keys = rmr_at(&w->rt, dict, 32);
	if (!rmr_is_readable(w, keys))
		return true; // no dict either
	rmr_dict_start(w, &iter, keys, rmr_at(&w->rt, dict, 40));
	return rmr_dict_next(&iter) && iter.key == iter.value;
}

// Notes the place at @p at if it holds the address of an object, which is written if nothing else led to
// it.
__attribute__((noinline)) static void look_at(struct rmr_heap_dump *w, uint64_t at, uint64_t word)
{
	void *places = w->places;

	if (!rmr_types_find(w, rmr_type_of(&w->rt, word)))
		return;
	if (!rmr_is_seen(w, word) && rmr_blocks_hold(w, word) && !is_interned_table(w, word))
		rmr_emit_child(w, word);
	if (w->place_count == w->place_room) {
		if (!rmr_memory_grow(w, &places, &w->place_room, sizeof(*w->places), 4096))
			return;
		w->places = places;
	}
	w->places[w->place_count++] = at;
}

// Looks through a piece of C memory.
static void find(struct rmr_heap_dump *w, const struct rmr_range *range)
{
	static const uint64_t in_chunk = (UINT64_C(1) << RMR_CHUNK_SHIFT) - 1;
	uint64_t at = (range->start + 7) & ~UINT64_C(7), chunk_end = 0, own;
	const uint64_t *seen = NULL;

	for (; at + 8 <= range->end; at += 8) {
		uint64_t word = rmr_word(at, 0), granule = (at & in_chunk) >> 4;
		if (unlikely(at >= chunk_end)) {
			seen = rmr_chunk_of(w, at)->seen;
			chunk_end = (at | in_chunk) + 1;
		}
		if (unlikely(seen[granule >> 6] >> (granule & 63) & 1) &&
			(own = end_of_static(w, at)) > at + 8)
			at = ((own + 7) & ~UINT64_C(7)) - 8;
		else if (word && !(word & 7) && rmr_is_readable(w, word))
			look_at(w, at, word);
	}
}

// Writes a root of what was found in it; @p base is what the names count from.
static void write(struct rmr_heap_dump *w, const struct rmr_range *range, uint64_t base,
	const char *label)
{
	for (; w->place_index < w->place_count && !w->failed; w->place_index++) {
		uint64_t at = w->places[w->place_index], word = rmr_word(at, 0);
		if (at < range->start || at >= range->end)
			break;
		if (!rmr_is_seen(w, word))
			continue;
		rmr_names_add(w, word, (struct rmr_name){at - base, RMR_STYLE_OFFSET, true}, false);
		if (w->candidate_count == BATCH)
			rmr_roots_flush_data(w, label);
	}
	rmr_roots_flush_data(w, label);
}

static void search_images(struct rmr_heap_dump *w, enum pass pass)
{
	char label[280];

	for (uint64_t i = 0; i < w->image_count && !w->failed; i++) {
		const struct rmr_image *image = &w->images[i];
		if (image->range.end - image->range.start > LARGEST)
			continue;
		if (pass == PASS_FIND) {
			find(w, &image->range);
			continue;
		}
		make_label(label, sizeof(label), "<data of ",
			(struct rmr_span){image->name, strlen(image->name), RMR_TEXT_UTF8});
		write(w, &image->range, image->base, label);
	}
}

// ---- modules' state ----

// Include/moduleobject.h, struct PyModuleDef; Include/internal/pycore_moduleobject.h.
static bool state_of(struct rmr_heap_dump *w, uint64_t module, struct rmr_range *ret)
{
	enum { DEF_SIZE = 56, DEF = 24, STATE = 32, STATE_315 = 24, TOKEN_315 = 88, IS_DEF_315 = 48 };
	bool new = w->rt.minor >= 15;

	if (!rmr_is_readable(w, module) ||
		rmr_type_of(&w->rt, module) != (uintptr_t)w->api.PyModule_Type)
		return false;
	uint64_t def = rmr_at(&w->rt, module, new ? TOKEN_315 : DEF);
	uint64_t state = rmr_at(&w->rt, module, new ? STATE_315 : STATE);
	if ((new && !rmr_at8(&w->rt, module, IS_DEF_315)) || !state ||
		!rmr_memory_has(w, def, DEF_SIZE + 8 + w->rt.header))
		return false;
	uint64_t size = rmr_at(&w->rt, def, DEF_SIZE);
	if (size > LARGEST || !rmr_memory_has(w, state, size))
		return false;
	*ret = (struct rmr_range){state, state + size};
	return true;
}

static void search_modules(struct rmr_heap_dump *w, enum pass pass)
{
	uint64_t interp = (uintptr_t)((void *(*)(void))w->api.PyInterpreterState_Head)();
	char label[280];

	for (; interp; interp = (uintptr_t)((void *(*)(void *))w->api.PyInterpreterState_Next)(
			       (void *)interp)) {
		uint64_t modules = rmr_word(interp, w->rt.layout->modules);
		struct rmr_dict_iter iter;
		struct rmr_range state;
		if (!rmr_is_readable(w, modules) ||
			rmr_type_of(&w->rt, modules) != (uintptr_t)w->api.PyDict_Type)
			continue;
		rmr_dict_start(w, &iter, rmr_at(&w->rt, modules, 32), rmr_at(&w->rt, modules, 40));
		while (rmr_dict_next(&iter) && !w->failed) {
			if (!state_of(w, iter.value, &state))
				continue;
			if (pass == PASS_FIND) {
				find(w, &state);
				continue;
			}
			uint64_t name = rmr_at(&w->rt, iter.value, w->rt.layout->module_name);
			make_label(label, sizeof(label), "<state of ", rmr_values_str(w, name));
			write(w, &state, state.start, label);
		}
	}
}

void rmr_globals_find(struct rmr_heap_dump *w)
{
	search_modules(w, PASS_FIND);
	search_images(w, PASS_FIND);
}

void rmr_globals_write(struct rmr_heap_dump *w)
{
	rmr_names_reset(w);
	search_modules(w, PASS_WRITE);
	search_images(w, PASS_WRITE);
}
