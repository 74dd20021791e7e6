// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum {
	// Objects/obmalloc.c, struct pool_header: the same from 3.6 to 3.15.
	POOL_COUNT = 0,
	POOL_FREE = 8,
	POOL_CLASS = 36,
	POOL_NEXT = 40,
	POOL_MAX_NEXT = 44,
	POOL_HEADER = 48,
	SMALL_MOST = 512, // SMALL_REQUEST_THRESHOLD
	ALIGNMENT = 16,
};

// The bytes of the allocated block of Python's own allocator that starts at @p block, or 0.
static uint64_t pool_block(struct rmr_heap_dump *w, uint64_t block)
{
	uint64_t pool_size = w->rt.minor <= 9 ? 4 << 10 : 16 << 10; // POOL_SIZE
	uint64_t pool = block & ~(pool_size - 1);

	if (block - pool < POOL_HEADER || !rmr_memory_has(w, pool, pool_size))
		return 0;
	uint64_t class = (uint32_t)rmr_word32(pool, POOL_CLASS);
	uint64_t size = (class + 1) * ALIGNMENT, next = (uint32_t)rmr_word32(pool, POOL_NEXT);
	uint64_t used = (uint32_t)rmr_word32(pool, POOL_COUNT);
	uint64_t most = (pool_size - POOL_HEADER) / size;
	if (size > SMALL_MOST || (uint32_t)rmr_word32(pool, POOL_MAX_NEXT) != pool_size - size ||
		next > pool_size || !used || used > most || block - pool >= next ||
		(block - pool - POOL_HEADER) % size)
		return 0;
	// What was given out and came back is on a list.
	uint64_t free = rmr_word(pool, POOL_FREE);
	for (uint64_t i = 0; free; i++) {
		if (free == block || i > most || free < pool + POOL_HEADER ||
			free > pool + pool_size - size || free & (ALIGNMENT - 1))
			return 0;
		free = rmr_word(free, 0);
	}
	return size;
}

// The same of malloc (glibc, malloc/malloc.c, struct malloc_chunk): the size lies before the block, and
// the chunk behind it says whether this one is in use.
static uint64_t malloc_block(struct rmr_heap_dump *w, uint64_t block)
{
	enum { PREVIOUS_IN_USE = 1, IS_MAPPED = 2, FLAGS = 7, HEADER = 16 };
	static const uint64_t most = UINT64_C(1) << 40;

	if (!rmr_memory_has(w, block - HEADER, HEADER))
		return 0;
	uint64_t word = rmr_word(block, -8), size = word & ~(uint64_t)FLAGS;
	if (word & IS_MAPPED || size & 15 || size < 32 || size > most ||
		!rmr_memory_has(w, block - HEADER + size, HEADER) ||
		!(rmr_word(block - HEADER + size, 8) & PREVIOUS_IN_USE))
		return 0;
	return size - 8;
}

// What the object's own memory is, without what it keeps elsewhere; 0: not known.
static uint64_t size_of(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	bool approximate;

	switch (info->kind) {
	case RMR_KIND_TYPE:
	case RMR_KIND_MODULE:
	case RMR_KIND_FRAME:
	case RMR_KIND_GENERATOR:
		return 0; // always on the collector's lists, or static
	case RMR_KIND_INT:
	case RMR_KIND_STR:
		return info->exact ? rmr_sizes_get(w, info, object, &approximate) : 0;
	}
	uint64_t items = info->itemsize ? rmr_at(&w->rt, object, 16) : 0;
	if (info->basicsize < 16 || info->itemsize < 0 || items >> 32)
		return 0;
	return (uint64_t)info->basicsize + items * (uint64_t)info->itemsize;
}

// True if the word that an object starts with counts references. That of a freed one is 0, or the
// address of the next on a list.
static bool is_alive(const struct rmr_heap_dump *w, uint64_t word)
{
	enum { LARGE = 1 << 29, FLAGS_SHIFT = 48, FLAGS_MOST = 15 };

	// Include/object.h: from 3.14 on 32 bits, 16 that overflow, and 16 of flags.
	if (w->rt.minor >= 14 && word >> FLAGS_SHIFT <= FLAGS_MOST)
		word &= (UINT64_C(1) << FLAGS_SHIFT) - 1;
	if (w->rt.minor >= 12 && word <= UINT32_MAX && (int32_t)word < 0)
		return true; // immortal
	return word && word < LARGE;
}

// C code that keeps a tuple of arguments for its next call may leave in it what has gone since
// (Objects/descrobject.c up to 3.7, property_descr_get()).
static bool holds_objects(struct rmr_heap_dump *w, uint64_t tuple)
{
	enum { LEN = 16, ITEMS = 24 };
	uint64_t count = rmr_at(&w->rt, tuple, LEN); // fits in the block: size_of()

	for (uint64_t i = 0; i < count; i++) {
		uint64_t item = rmr_at(&w->rt, tuple, ITEMS + i * 8);
		if (item && !rmr_is_seen(w, item) &&
			(item & 7 || !rmr_memory_has(w, item, 16) ||
				!rmr_types_find(w, rmr_type_of(&w->rt, item)) ||
				!is_alive(w, rmr_at(&w->rt, item, 0))))
			return false;
	}
	return true;
}

bool rmr_blocks_hold(struct rmr_heap_dump *w, uint64_t object)
{
	if (object & 15 || !rmr_memory_has(w, object, POOL_HEADER) || rmr_is_in_image(w, object))
		return false;
	const struct rmr_type_info *info = rmr_types_find(w, rmr_type_of(&w->rt, object));
	if (!info || info->faulted || w->rt.debug || w->rt.header ||
		!is_alive(w, rmr_at(&w->rt, object, 0)))
		return false;
	// What the collector keeps on its lists was seen; what it does not know has no next one.
	if (info->traverse && rmr_word(object, -(int64_t)w->rt.gc_head))
		return false;
	uint64_t size = size_of(w, info, object), before = info->presize;
	uint64_t block = object - before, has;
	if (!size)
		return false;
	size += before;
	has = size <= SMALL_MOST ? pool_block(w, block) : malloc_block(w, block);
	// realloc() leaves a block as it is that shrinks by less than a quarter.
	if (has < size || has > size + size / 3 + ALIGNMENT)
		return false;
	return info->kind != RMR_KIND_TUPLE || holds_objects(w, object);
}
