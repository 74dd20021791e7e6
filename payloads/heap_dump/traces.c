// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

/*
 * tracemalloc's tables, read in place. Modules/_tracemalloc.c (Python/tracemalloc.c from 3.13 on) and
 * Modules/hashtable.h up to 3.8, Include/internal/pycore_hashtable.h after:
 *
 *     3.6 to 3.8  table {num_buckets, entries, buckets, key_size, data_size, ...}
 *                 entry {next, key_hash, key (8 bytes, or 12 with the domain), {size, traceback}}
 *     3.9 on      table {nentries, nbuckets, buckets, ...}
 *                 entry {next, key_hash, key, value}, value -> {size, traceback}
 *     traceback   {hash, nframe (4 bytes; 3.9 on: 2, and the whole depth 2), frames}, unaligned
 *     frame       {filename, unsigned lineno}, 12 bytes, the innermost first; the file's name is a str
 *                 object, from 3.15 on a C string (seen live in 3.15.0)
 */
enum {
	FRAME_SIZE = 12,
	FRAMES = 12,
	KEY = 16,
	LOOK_AT = 32,       // entries that must be sound before a table is believed
	LONGEST_CHAIN = 10000,
	FIRST_IDS = 4096,
};

struct rmr_trace_slot {
	uint64_t traceback; // 0 = free
	uint32_t id;
};

// Frames and what follows an odd key are not aligned.
static uint64_t load(uint64_t address)
{
	uint64_t word;

	memcpy(&word, (const void *)(uintptr_t)address, sizeof(word));
	return word;
}

static bool is_readable_unaligned(struct rmr_heap_dump *w, uint64_t address, uint64_t size)
{
	return address >> 47 == 0 && rmr_memory_has(w, address & ~UINT64_C(7), size + 8);
}

static bool read_table(struct rmr_heap_dump *w, uint64_t at, struct rmr_trace_table *ret)
{
	enum { FEWEST = 16, MOST = 1 << 30 };
	bool old = w->rt.minor <= 8;

	if (at & 7 || !rmr_memory_has(w, at, 40))
		return false;
	ret->count = rmr_word(at, old ? 0 : 8);
	ret->entries = rmr_word(at, old ? 8 : 0);
	ret->buckets = rmr_word(at, 16);
	ret->value = 0;
	ret->has_domain = false;
	if (old) {
		uint64_t key = rmr_word(at, 24);
		if ((key != 8 && key != 12 && key != 16) || rmr_word(at, 32) != 16)
			return false;
		ret->value = KEY + key;
		ret->has_domain = key > 8;
	}
	return ret->count >= FEWEST && ret->count <= MOST && !(ret->count & (ret->count - 1)) &&
		ret->entries && ret->entries <= ret->count && !(ret->buckets & 7) &&
		rmr_memory_has(w, ret->buckets, ret->count * 8);
}

// _Py_HashPointer() of a block.
static uint64_t hash_of(uint64_t block)
{
	return block >> 4 | block << 60;
}

static uint32_t frames_of(struct rmr_heap_dump *w, uint64_t traceback)
{
	uint32_t count = (uint32_t)rmr_word32(traceback, 8);

	return w->rt.minor <= 8 ? count : count & 0xffff;
}

// Empty if it cannot be one.
static struct rmr_span file_of(struct rmr_heap_dump *w, uint64_t frame)
{
	uint64_t file = load(frame);

	return w->rt.minor >= 15 ? rmr_values_c_string(w, file) : rmr_values_str(w, file);
}

static bool is_traceback(struct rmr_heap_dump *w, uint64_t traceback)
{
	if (traceback & 7 || !rmr_memory_has(w, traceback, FRAMES + FRAME_SIZE))
		return false;
	uint32_t count = frames_of(w, traceback);
	return count && count <= 0xffff &&
		rmr_memory_has(w, traceback, FRAMES + (uint64_t)count * FRAME_SIZE) &&
		file_of(w, traceback + FRAMES).size != 0;
}

// The traceback of an entry, or 0.
static uint64_t entry_traceback(struct rmr_heap_dump *w, const struct rmr_trace_table *table, uint64_t entry)
{
	if (table->value)
		return load(entry + table->value + 8);
	uint64_t pair = rmr_word(entry, 24);
	return pair & 7 || !rmr_memory_has(w, pair, 16) ? 0 : rmr_word(pair, 8);
}

static bool is_entry(struct rmr_heap_dump *w, const struct rmr_trace_table *table, uint64_t bucket,
	uint64_t entry)
{
	if (entry & 7 || !is_readable_unaligned(w, entry, 48))
		return false;
	uint64_t key = rmr_word(entry, KEY), hash = rmr_word(entry, 8);
	if (!key || (hash & (table->count - 1)) != bucket)
		return false;
	// Another domain than that of Python's memory has its number in the hash.
	if (table->has_domain && rmr_word32(entry, KEY + 8) != 0)
		return true;
	return hash == hash_of(key) && is_traceback(w, entry_traceback(w, table, entry));
}

// True for the table that leads from blocks to tracebacks.
static bool is_trace_table(struct rmr_heap_dump *w, uint64_t at, struct rmr_trace_table *ret)
{
	uint64_t seen = 0;

	if (!read_table(w, at, ret))
		return false;
	for (uint64_t i = 0; i < ret->count && seen < LOOK_AT; i++) {
		uint64_t entry = rmr_word(ret->buckets, i * 8);
		if (!entry)
			continue;
		if (!is_entry(w, ret, i, entry))
			return false;
		seen++;
	}
	return seen > 0;
}

static void write_trace(struct rmr_heap_dump *w, uint32_t id, uint64_t traceback)
{
	uint64_t *start = rmr_emit_begin(w);
	uint32_t frames = frames_of(w, traceback), count = 0;

	if (!start)
		return;
	struct rmr_rec_trace *rec = (struct rmr_rec_trace *)start;
	uint64_t *p = (uint64_t *)(rec + 1);
	for (; count < frames && (p - start) * 8 < RMR_REC_MAX - RMR_REC_MAX_TEXT - 64; count++) {
		uint64_t frame = traceback + FRAMES + count * (uint64_t)FRAME_SIZE;
		struct rmr_span file = file_of(w, frame);
		uint32_t line;
		memcpy(&line, (const void *)(uintptr_t)(frame + 8), sizeof(line));
		if (file.size > RMR_REC_MAX_TEXT)
			file.size = RMR_REC_MAX_TEXT;
		*p++ = line;
		p = rmr_values_put(p, file, 0, false);
	}
	rec->id = id;
	rec->count = count;
	rmr_emit_end(w, start, p, RMR_REC_TRACE, 0, 0);
}

static uint64_t frames_size(struct rmr_heap_dump *w, uint64_t traceback)
{
	return frames_of(w, traceback) * (uint64_t)FRAME_SIZE;
}

static uint64_t frames_hash(struct rmr_heap_dump *w, uint64_t traceback)
{
	uint64_t hash = 0, end = traceback + FRAMES + frames_size(w, traceback);

	for (uint64_t frame = traceback + FRAMES; frame < end; frame += FRAME_SIZE)
		hash = rmr_hash(hash ^ load(frame) ^ load(frame + 4));
	return hash;
}

// The slot of these frames, or the free one where they belong. From 3.9 on there may be several
// tracebacks with the same frames: they differ in how much was cut off.
static struct rmr_trace_slot *find_frames(struct rmr_heap_dump *w, uint64_t traceback)
{
	uint64_t at = frames_hash(w, traceback) & (w->trace_room - 1);
	uint64_t size = frames_size(w, traceback);

	for (;; at = (at + 1) & (w->trace_room - 1)) {
		struct rmr_trace_slot *slot = &w->trace_frames[at];
		if (!slot->traceback || (frames_size(w, slot->traceback) == size &&
				memcmp((const char *)(uintptr_t)slot->traceback + FRAMES,
					(const char *)(uintptr_t)traceback + FRAMES, size) == 0))
			return slot;
	}
}

static struct rmr_trace_slot *find_traceback(struct rmr_heap_dump *w, uint64_t traceback)
{
	uint64_t at = rmr_hash(traceback) & (w->trace_room - 1);

	while (w->trace_ids[at].traceback && w->trace_ids[at].traceback != traceback)
		at = (at + 1) & (w->trace_room - 1);
	return &w->trace_ids[at];
}

static bool make_tables(struct rmr_heap_dump *w, uint64_t room)
{
	struct rmr_trace_slot *old = w->trace_ids;
	uint64_t old_room = w->trace_room;
	struct rmr_trace_slot *ids = rmr_memory_map(w, room * sizeof(*ids));
	struct rmr_trace_slot *frames = rmr_memory_map(w, room * sizeof(*frames));

	if (!ids || !frames)
		return false;
	w->trace_ids = ids;
	w->trace_frames = frames;
	w->trace_room = room;
	for (uint64_t i = 0; i < old_room; i++) {
		if (!old[i].traceback)
			continue;
		*find_traceback(w, old[i].traceback) = old[i];
		struct rmr_trace_slot *slot = find_frames(w, old[i].traceback);
		if (!slot->traceback)
			*slot = old[i];
	}
	return true;
}

static uint32_t id_of(struct rmr_heap_dump *w, uint64_t traceback)
{
	struct rmr_trace_slot *slot = find_traceback(w, traceback);

	if (slot->traceback)
		return slot->id;
	if (!is_traceback(w, traceback))
		return 0;
	if (w->tracebacks * 2 >= w->trace_room && !make_tables(w, w->trace_room * 2))
		return 0;
	struct rmr_trace_slot *same = find_frames(w, traceback);
	if (!same->traceback) {
		*same = (struct rmr_trace_slot){traceback, (uint32_t)++w->trace_count};
		write_trace(w, same->id, traceback);
	}
	*find_traceback(w, traceback) = (struct rmr_trace_slot){traceback, same->id};
	w->tracebacks++;
	return same->id;
}

static bool search(struct rmr_heap_dump *w, uint64_t near)
{
	struct rmr_range range;
	struct rmr_trace_table table;

	if (!near || !rmr_images_of(w, near, &range))
		return false;
	uint64_t at = (range.start + 7) & ~UINT64_C(7);
	for (; at + 8 <= range.end; at += 8) {
		if (is_trace_table(w, rmr_word(at, 0), &table)) {
			w->traces = table;
			return true;
		}
	}
	return false;
}

void rmr_traces_find(struct rmr_heap_dump *w)
{
	const int32_t *config = w->api._Py_tracemalloc_config;

	// 3.7 to 3.11: {initialized, tracing, max_nframe, ...}.
	if (config && !config[1])
		return;
	// Other threads may free memory of C code without the GIL, and with it change the table.
	if (!w->in_twin) {
		w->traces_are_lost = config != NULL;
		return;
	}
	// A pointer in the static data of the interpreter (from 3.12 on, in _PyRuntime). Which one, the
	// table itself tells.
	if (search(w, (uintptr_t)w->api.PyType_Type) || search(w, (uintptr_t)w->api._PyRuntime)) {
		if (!make_tables(w, FIRST_IDS))
			w->traces.count = 0;
	}
	w->traces_are_lost = config && !w->traces.count;
}

uint32_t rmr_traces_get(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	const struct rmr_trace_table *table = &w->traces;
	// As _PyTraceMalloc_GetObjectTraceback() does: by the type, not by the object.
	uint64_t block = object - info->presize, hash = hash_of(block);
	uint64_t entry = rmr_word(table->buckets, (hash & (table->count - 1)) * 8);

	for (int i = 0; i < LONGEST_CHAIN && is_readable_unaligned(w, entry, 48); i++) {
		if (rmr_word(entry, KEY) == block && rmr_word(entry, 8) == hash &&
			!(table->has_domain && rmr_word32(entry, KEY + 8) != 0)) {
			uint32_t id = id_of(w, entry_traceback(w, table, entry));
			w->traced += id != 0;
			return id;
		}
		entry = rmr_word(entry, 0);
	}
	return 0;
}
