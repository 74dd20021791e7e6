// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/memory.h"

#include "attach/target_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	PAGE = 4096,
	BLOCK = 64,	   /* pages allocated at a time */
	FIRST_BITS = 10,
	MAX_PAGES = 65536, /* 256 MB: more than any look needs */
};

/* Open addressing; a slot holds the number of a page in the blocks, plus 1. */
struct rmr_memory {
	const struct rmr_target *target;
	uint32_t *slots;
	unsigned bits; /* of the number of slots */
	uint32_t count;
	rmr_addr_t *starts; /* of each page, or with bit 0 set if it is not mapped */
	unsigned char **blocks;
	uint32_t block_count;
};

struct rmr_error *rmr_memory_create(const struct rmr_target *target, struct rmr_memory **ret)
{
	struct rmr_memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return &rmr_enomem;
	memory->target = target;
	memory->bits = FIRST_BITS;
	memory->slots = calloc((size_t)1 << FIRST_BITS, sizeof(*memory->slots));
	memory->starts = calloc(MAX_PAGES, sizeof(*memory->starts));
	memory->blocks = calloc(MAX_PAGES / BLOCK, sizeof(*memory->blocks));
	if (!memory->slots || !memory->starts || !memory->blocks) {
		rmr_memory_destroy(memory);
		return &rmr_enomem;
	}
	*ret = memory;
	return NULL;
}

void rmr_memory_destroy(struct rmr_memory *memory)
{
	if (!memory)
		return;
	for (uint32_t i = 0; i < memory->block_count; i++)
		free(memory->blocks[i]);
	free(memory->blocks);
	free(memory->starts);
	free(memory->slots);
	free(memory);
}

void rmr_memory_forget(struct rmr_memory *memory)
{
	memset(memory->slots, 0, sizeof(*memory->slots) << memory->bits);
	memory->count = 0;
}

static unsigned char *page_bytes(const struct rmr_memory *memory, uint32_t page)
{
	return memory->blocks[page / BLOCK] + (size_t)(page % BLOCK) * PAGE;
}

static uint32_t *find_slot(const struct rmr_memory *memory, rmr_addr_t start)
{
	uint64_t mask = ((uint64_t)1 << memory->bits) - 1;
	uint64_t at = (start / PAGE * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - memory->bits);

	while (memory->slots[at] &&
		(memory->starts[memory->slots[at] - 1] & ~(rmr_addr_t)1) != start)
		at = (at + 1) & mask;
	return &memory->slots[at];
}

/* Twice as many slots, so that at most half are in use. */
static bool grow(struct rmr_memory *memory)
{
	uint32_t *slots = calloc((size_t)2 << memory->bits, sizeof(*slots));

	if (!slots)
		return false;
	free(memory->slots);
	memory->slots = slots;
	memory->bits++;
	for (uint32_t i = 0; i < memory->count; i++)
		*find_slot(memory, memory->starts[i] & ~(rmr_addr_t)1) = i + 1;
	return true;
}

/* The page that starts at @p start; NULL if it cannot be had. */
static const unsigned char *get_page(struct rmr_memory *memory, rmr_addr_t start)
{
	uint32_t *slot = find_slot(memory, start);

	if (*slot)
		return memory->starts[*slot - 1] & 1 ? NULL : page_bytes(memory, *slot - 1);
	if (memory->count == MAX_PAGES)
		return NULL;
	if (memory->count >= (uint32_t)1 << (memory->bits - 1)) {
		if (!grow(memory))
			return NULL;
		slot = find_slot(memory, start);
	}
	if (memory->count == memory->block_count * BLOCK) {
		unsigned char *block = malloc((size_t)BLOCK * PAGE);
		if (!block)
			return NULL;
		memory->blocks[memory->block_count++] = block;
	}
	uint32_t page = memory->count++;
	bool mapped = rmr_target_read_some(
			      memory->target, start, page_bytes(memory, page), PAGE) == PAGE;
	memory->starts[page] = start | !mapped;
	*slot = page + 1;
	return mapped ? page_bytes(memory, page) : NULL;
}

bool rmr_memory_read(struct rmr_memory *memory, rmr_addr_t address, void *buffer, size_t size)
{
	unsigned char *to = buffer;

	if (address > INT64_MAX || size > INT64_MAX - address)
		return false;
	while (size) {
		size_t within = (size_t)(address % PAGE);
		size_t part = PAGE - within < size ? PAGE - within : size;
		const unsigned char *page = get_page(memory, address - within);
		if (!page)
			return false;
		memcpy(to, page + within, part);
		to += part;
		address += part;
		size -= part;
	}
	return true;
}

uint64_t rmr_memory_word(struct rmr_memory *memory, rmr_addr_t address)
{
	uint64_t word;

	return rmr_memory_read(memory, address, &word, sizeof(word)) ? word : 0;
}

uint32_t rmr_memory_word32(struct rmr_memory *memory, rmr_addr_t address)
{
	uint32_t word;

	return rmr_memory_read(memory, address, &word, sizeof(word)) ? word : 0;
}

uint8_t rmr_memory_byte(struct rmr_memory *memory, rmr_addr_t address)
{
	uint8_t byte;

	return rmr_memory_read(memory, address, &byte, sizeof(byte)) ? byte : 0;
}
