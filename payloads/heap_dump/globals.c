// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum {
	BATCH = 1000,
	LARGEST = 64 << 20, // bytes of one image that are looked through
};

// True if @p word is the address of an object that was met, of a type that is known.
static bool is_object(struct rmr_heap_dump *w, uint64_t word)
{
	return rmr_is_readable(w, word) && rmr_is_seen(w, word) &&
		rmr_types_find(w, rmr_type_of(&w->rt, word));
}

// The end of the object that lies at @p at in an image, or 0: what it refers to has been told.
static uint64_t end_of_static(struct rmr_heap_dump *w, uint64_t at)
{
	if (!rmr_is_seen(w, at) || !rmr_is_readable(w, at + w->rt.header + 8))
		return 0;
	const struct rmr_type_info *info = rmr_types_find(w, rmr_type_of(&w->rt, at));
	if (!info)
		return 0;
	return at + (uint64_t)(info->kind == RMR_KIND_TYPE ? w->rt.layout->type_size + (int)w->rt.header
							   : info->basicsize);
}

static void make_label(char *label, size_t size, const char *name)
{
	static const char before[] = "<data of ";
	char *to = label + sizeof(before) - 1;

	memcpy(label, before, sizeof(before) - 1);
	while (*name && to < label + size - 2)
		*to++ = *name++;
	*to++ = '>';
	*to = 0;
}

static void search(struct rmr_heap_dump *w, const struct rmr_image *image)
{
	uint64_t at = (image->range.start + 7) & ~UINT64_C(7), end = image->range.end;
	char label[280];

	make_label(label, sizeof(label), image->name);
	for (uint64_t next; at + 8 <= end && !w->failed; at = next) {
		next = at + 8;
		uint64_t own = end_of_static(w, at);
		if (own > next) {
			next = (own + 7) & ~UINT64_C(7);
			continue;
		}
		uint64_t word = rmr_word(at, 0);
		if (word < 4096 || word & 7 || !is_object(w, word))
			continue;
		rmr_names_add(w, word,
			(struct rmr_name){at - image->base, RMR_STYLE_OFFSET, true}, false);
		if (w->candidate_count == BATCH)
			rmr_roots_flush_data(w, label);
	}
	rmr_roots_flush_data(w, label);
}

void rmr_globals_write(struct rmr_heap_dump *w)
{
	uint64_t own = (uintptr_t)w->api.PyType_Type;

	rmr_names_reset(w);
	for (uint64_t i = 0; i < w->image_count && !w->failed; i++) {
		const struct rmr_image *image = &w->images[i];
		// The interpreter's own state is read by the rules that are known of it.
		if ((own >= image->range.start && own < image->range.end) ||
			image->range.end - image->range.start > LARGEST)
			continue;
		search(w, image);
	}
}
