// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum { PAGE = 4096 };

// Of /usr/include/elf.h, 64-bit little endian.
struct elf_header {
	unsigned char ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

static void add_image(struct rmr_heap_dump *w, uint64_t start, uint64_t end, uint64_t base,
	const char *name)
{
	void *images = w->images;

	if (!rmr_memory_has(w, start, end - start))
		return; // Mapped elsewhere, or not at all: a file that was read, not loaded.
	if (w->image_count == w->image_room) {
		if (!rmr_memory_grow(w, &images, &w->image_room, sizeof(*w->images), 256))
			return;
		w->images = images;
	}
	w->images[w->image_count++] = (struct rmr_image){{start, end}, base, name};
	for (uint64_t page = start & ~(uint64_t)(PAGE - 1); page < end; page += PAGE) {
		struct rmr_chunk *chunk = rmr_chunk_of(w, page);
		uint64_t number = page >> 12 & ((1 << (RMR_CHUNK_SHIFT - 12)) - 1);
		chunk->image[number >> 6] |= UINT64_C(1) << (number & 63);
	}
}

static void read_file(struct rmr_heap_dump *w, uint64_t start, const char *name)
{
	enum { LOAD = 1, WRITABLE = 2, EXEC = 2, DYN = 3, CLASS64 = 2, MAX_SEGMENTS = 64 };
	const struct elf_header *header = (const void *)(uintptr_t)start;
	uint64_t base = start;

	if (!rmr_memory_has(w, start, sizeof(*header)) ||
		memcmp(header->ident, "\177ELF", 4) != 0 || header->ident[4] != CLASS64 ||
		header->phentsize != sizeof(struct elf_segment) || header->phnum > MAX_SEGMENTS ||
		(header->type != EXEC && header->type != DYN) ||
		!rmr_memory_has(w, start + header->phoff, header->phnum * sizeof(struct elf_segment)))
		return;
	const struct elf_segment *segment = (const void *)(uintptr_t)(start + header->phoff);
	for (int i = 0; i < header->phnum; i++) {
		if (segment[i].type == LOAD && segment[i].offset == 0)
			base = start - (segment[i].vaddr & ~(uint64_t)(PAGE - 1));
	}
	for (int i = 0; i < header->phnum; i++, segment++) {
		uint64_t end;
		if (segment->type == LOAD && (segment->flags & WRITABLE) && segment->memsz &&
			segment->vaddr < UINT64_C(1) << 47 && segment->memsz < UINT64_C(1) << 40 &&
			!__builtin_add_overflow(base + segment->vaddr, segment->memsz, &end))
			add_image(w, base + segment->vaddr, end, base, name);
	}
}

void rmr_images_find(struct rmr_heap_dump *w)
{
	// The same file may be mapped twice (read as data, and loaded): the one that was loaded has
	// its segments where its header says.
	for (uint64_t i = 0; i < w->file_count && !w->failed; i++)
		read_file(w, w->files[i].start, w->files[i].name);
}

bool rmr_images_of(struct rmr_heap_dump *w, uint64_t address, struct rmr_range *ret)
{
	for (uint64_t i = 0; i < w->image_count; i++) {
		const struct rmr_range *range = &w->images[i].range;
		if (address >= range->start && address < range->end) {
			*ret = *range;
			return true;
		}
	}
	return false;
}

void rmr_images_note(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	enum { LARGE = 1 << 29 };
	uint64_t rc = rmr_at(&w->rt, object, 0);
	// Objects that CPython itself made static are immortal from 3.12 on, and start with 999999999
	// references in 3.11. Types are noted always: they are roots.
	bool is_immortal = rc >= LARGE || (w->rt.minor >= 12 && (int32_t)rc < 0);
	void *statics = w->statics;

	if (is_immortal && info->kind != RMR_KIND_TYPE)
		return;
	if (w->static_count == w->static_room) {
		if (!rmr_memory_grow(w, &statics, &w->static_room, sizeof(*w->statics), 1024))
			return;
		w->statics = statics;
	}
	w->statics[w->static_count++] = object;
}
