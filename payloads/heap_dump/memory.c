// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum { BLOCK_SIZE = 256 << 10, PAGE = 4096 };

struct rmr_block {
	struct rmr_block *next; // every mapping of the walk is on this list
	uint64_t mapped;
	uint64_t used;
};

static void *map_pages(uint64_t size)
{
	enum { READ_WRITE = 3, PRIVATE_ANONYMOUS_NORESERVE = 0x4022 };
	long ret = rmr_sys(__NR_mmap, 0, size, READ_WRITE, PRIVATE_ANONYMOUS_NORESERVE, -1, 0);

	return rmr_sys_failed(ret) ? NULL : (void *)ret;
}

void *rmr_memory_map(struct rmr_heap_dump *w, uint64_t size)
{
	// The list's node is in the same mapping, in front.
	uint64_t whole = (size + 64 + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	struct rmr_block *block = map_pages(whole);

	if (!block) {
		w->failed = true;
		w->status = RMR_HEAP_DUMP_NO_MEMORY;
		return NULL;
	}
	block->mapped = whole;
	block->used = whole;
	block->next = w->blocks;
	w->blocks = block;
	w->total_mapped += whole;
	return (char *)block + 64;
}

void *rmr_memory_small(struct rmr_heap_dump *w, uint64_t size)
{
	struct rmr_block *block = w->small;

	size = (size + 15) & ~UINT64_C(15);
	if (size > BLOCK_SIZE / 4)
		return rmr_memory_map(w, size);
	if (!block || block->mapped - block->used < size) {
		if (!rmr_memory_map(w, BLOCK_SIZE))
			return NULL;
		block = w->small = w->blocks;
		block->used = 64;
	}
	void *ret = (char *)block + block->used;
	block->used += size;
	return ret;
}

bool rmr_memory_grow(struct rmr_heap_dump *w, void **array, uint64_t *room, uint64_t item,
	uint64_t first)
{
	uint64_t wanted = *room ? *room * 2 : first;
	void *larger = rmr_memory_map(w, wanted * item);

	if (!larger)
		return false;
	uint64_t old = *room * item;
	if (old)
		memcpy(larger, *array, old);
	// The old pages are given back, the (empty) mapping stays on the list until the end.
	enum { DONTNEED = 4 };
	if (old >= 2 * PAGE)
		rmr_sys(__NR_madvise, ((uintptr_t)*array + PAGE) & ~(uint64_t)(PAGE - 1),
			(old - PAGE) & ~(uint64_t)(PAGE - 1), DONTNEED);
	*array = larger;
	*room = wanted;
	return true;
}

// ---- the map of readable pages ----

static bool parse_hex(const char **p, const char *end, uint64_t *ret)
{
	uint64_t value = 0;
	const char *start = *p;

	for (; *p < end; (*p)++) {
		char c = **p;
		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			break;
	}
	*ret = value;
	return *p > start;
}

static void add_range(struct rmr_heap_dump *w, uint64_t start, uint64_t end)
{
	if (w->range_count && w->ranges[w->range_count - 1].end == start) {
		w->ranges[w->range_count - 1].end = end;
		return;
	}
	if (w->range_count == w->range_room) {
		void *ranges = w->ranges;
		if (!rmr_memory_grow(w, &ranges, &w->range_room, sizeof(*w->ranges), 1024))
			return;
		w->ranges = ranges;
	}
	w->ranges[w->range_count++] = (struct rmr_range){start, end};
}

static const char *copy_name(struct rmr_heap_dump *w, const char *path, const char *end)
{
	const char *name = path;

	for (const char *c = path; c < end; c++)
		name = *c == '/' ? c + 1 : name;
	char *copy = rmr_memory_small(w, (uint64_t)(end - name) + 1);
	if (!copy)
		return "";
	memcpy(copy, name, (size_t)(end - name));
	return copy;
}

static void add_file(struct rmr_heap_dump *w, uint64_t start, const char *path, const char *end)
{
	void *files = w->files;

	if (w->file_count == w->file_room) {
		if (!rmr_memory_grow(w, &files, &w->file_room, sizeof(*w->files), 1024))
			return;
		w->files = files;
	}
	w->files[w->file_count++] = (struct rmr_file){start, copy_name(w, path, end)};
}

static bool starts_with(const char *text, const char *end, const char *prefix)
{
	size_t size = strlen(prefix);

	return (size_t)(end - text) >= size && memcmp(text, prefix, size) == 0;
}

// One line of /proc/self/maps: "start-end perms offset dev inode   path".
static void parse_line(struct rmr_heap_dump *w, const char *line, const char *end)
{
	uint64_t start, stop;

	if (!parse_hex(&line, end, &start) || line >= end || *line++ != '-' ||
		!parse_hex(&line, end, &stop) || end - line < 5 || line[1] != 'r' || stop >> 47)
		return;
	const char *path = line;
	while (path < end && *path != '/' && *path != '[')
		path++;
	if (path < end && *path == '/' && end - line > 14 && memcmp(line + 6, "00000000 ", 9) == 0)
		add_file(w, start, path, end);
	// Reading a device can block, fault or have effects; these two are memory.
	if (starts_with(path, end, "/dev/") && !starts_with(path, end, "/dev/zero") &&
		!starts_with(path, end, "/dev/shm/"))
		return;
	if (starts_with(path, end, "[v") || starts_with(path, end, "/memfd:remora-ring"))
		return;
	uint64_t own_start = w->request.own_start & ~(uint64_t)(PAGE - 1);
	uint64_t own_end = (w->request.own_end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	if (start < own_end && stop > own_start) {
		if (start < own_start)
			add_range(w, start, own_start);
		if (stop > own_end)
			add_range(w, own_end, stop);
		return;
	}
	add_range(w, start, stop);
}

static bool read_maps(struct rmr_heap_dump *w, int maps_fd)
{
	enum { BUFFER = 64 << 10 };
	char *buffer = rmr_memory_map(w, BUFFER);
	long fd = maps_fd;
	size_t have = 0;

	if (fd < 0)
		fd = rmr_sys_retry(__NR_open, "/proc/self/maps", 0x80000 /* O_CLOEXEC */, 0);
	if (!buffer || rmr_sys_failed(fd))
		return false;
	for (;;) {
		long n = rmr_sys_retry(__NR_read, fd, buffer + have, BUFFER - have);
		if (n <= 0)
			break;
		have += (size_t)n;
		size_t from = 0;
		for (size_t i = 0; i < have; i++) {
			if (buffer[i] != '\n')
				continue;
			parse_line(w, buffer + from, buffer + i);
			from = i + 1;
		}
		memmove(buffer, buffer + from, have - from);
		have -= from;
	}
	if (fd != maps_fd)
		rmr_sys(__NR_close, fd);
	return w->range_count > 0 && !w->failed;
}

bool rmr_memory_init(struct rmr_heap_dump *w, int maps_fd)
{
	w->chunks = rmr_memory_map(w, RMR_CHUNKS * sizeof(*w->chunks));
	w->spare = rmr_memory_map(w, sizeof(*w->spare));
	if (!w->chunks || !w->spare)
		return false;
	if (read_maps(w, maps_fd))
		return true;
	if (w->failed)
		return false;
	// No map: every address below 2^47 counts as readable, and the fault handler is the guard,
	// which the program itself must not get.
	if (!w->in_twin) {
		w->status = RMR_HEAP_DUMP_NO_MAPS;
		return false;
	}
	add_range(w, 65536, UINT64_C(1) << 47);
	return !w->failed;
}

struct rmr_chunk *rmr_memory_chunk(struct rmr_heap_dump *w, uint64_t index)
{
	uint64_t base = index << RMR_CHUNK_SHIFT;
	uint64_t size = UINT64_C(1) << RMR_CHUNK_SHIFT;
	uint64_t low = 0, high = w->range_count;

	while (low < high) {
		uint64_t middle = (low + high) / 2;
		if (w->ranges[middle].end <= base)
			low = middle + 1;
		else
			high = middle;
	}
	// Words that are no addresses lead to many of those where nothing is: one empty chunk serves.
	bool is_empty = low == w->range_count || w->ranges[low].start >= base + size;
	struct rmr_chunk *chunk = is_empty ? w->spare : rmr_memory_map(w, sizeof(*chunk));
	if (!chunk)
		return w->spare;
	for (; low < w->range_count && w->ranges[low].start < base + size; low++) {
		uint64_t start = w->ranges[low].start > base ? w->ranges[low].start : base;
		uint64_t end = w->ranges[low].end < base + size ? w->ranges[low].end : base + size;
		for (uint64_t page = (start - base) >> 12; page < (end - base) >> 12; page++)
			chunk->readable[page >> 6] |= UINT64_C(1) << (page & 63);
	}
	w->chunks[index & (RMR_CHUNKS - 1)] = chunk;
	return chunk;
}

bool rmr_memory_has(struct rmr_heap_dump *w, uint64_t address, uint64_t size)
{
	if (address >> 47 || size >> 46 || !address)
		return false;
	for (uint64_t page = address & ~(uint64_t)(PAGE - 1); page < address + size; page += PAGE) {
		if (!rmr_is_readable(w, page))
			return false;
	}
	return true;
}

void rmr_memory_deinit(struct rmr_heap_dump *w)
{
	while (w->blocks) {
		struct rmr_block *block = w->blocks;
		w->blocks = block->next;
		rmr_sys(__NR_munmap, block, block->mapped);
	}
}
