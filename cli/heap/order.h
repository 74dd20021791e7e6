// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Records in the order of their addresses, and the way back from an address to its rank.
 */
#ifndef RMR_CLI_HEAP_ORDER_H
#define RMR_CLI_HEAP_ORDER_H

#include "cli/heap/reader.h"

enum { RMR_ORDER_PARTS = 64 };

struct rmr_order_pair {
	uint64_t address;
	uint32_t index; /**< the record's number in the dump */
} __attribute__((packed));

/** Sorts by address, or whatever 64 bits; equal ones stay as they are. @p spare is as large. */
void rmr_order_sort(struct rmr_order_pair *pairs, struct rmr_order_pair *spare, size_t count);

/** All records sorted by address, then by their place in the dump. */
struct rmr_order {
	struct rmr_order_pair *pairs, *spare;
	size_t total;
	unsigned parts; /**< threads, each of which sorts a range of addresses */
	size_t start[RMR_ORDER_PARTS + 1]; /**< of the parts in pairs */
	size_t rank[RMR_ORDER_PARTS + 1];  /**< the same without duplicates; [parts]: how many */
};

struct rmr_error *rmr_order_create(const struct rmr_parsed *parsed, unsigned threads,
	struct rmr_order *ret) RMR_MUST_CHECK;
/** Writes the distinct addresses and for each the number of its first record. */
void rmr_order_fill(const struct rmr_order *order, uint64_t *address, uint32_t *index);
void rmr_order_destroy(struct rmr_order *order);

/** Finds ids by address: a hash of pages, then a search in the page. */
struct rmr_directory {
	const uint64_t *address;
	struct rmr_directory_page {
		uint64_t page;
		uint32_t first, count; /**< count 0: the slot is free */
	} *pages;
	size_t mask;
	unsigned shift; /**< bits of an address within a page */
};

struct rmr_error *rmr_directory_create(const uint64_t *address, size_t count,
	struct rmr_directory *ret) RMR_MUST_CHECK;
void rmr_directory_destroy(struct rmr_directory *directory);

static inline size_t rmr_directory_slot(const struct rmr_directory *directory, uint64_t page)
{
	return (size_t)((page * 0x9e3779b97f4a7c15) >> 20) & directory->mask;
}

/** The rank of @p address, or RMR_NO_OBJECT. */
static inline uint32_t rmr_directory_find(const struct rmr_directory *directory, uint64_t address)
{
	uint64_t page = address >> directory->shift;
	size_t slot = rmr_directory_slot(directory, page);

	for (;; slot = (slot + 1) & directory->mask) {
		if (!directory->pages[slot].count)
			return RMR_NO_OBJECT;
		if (directory->pages[slot].page == page)
			break;
	}
	const uint64_t *low = directory->address + directory->pages[slot].first;
	for (uint32_t count = directory->pages[slot].count; count > 1;) {
		uint32_t half = count / 2;
		low = low[half] <= address ? low + half : low;
		count -= half;
	}
	return *low == address ? (uint32_t)(low - directory->address) : RMR_NO_OBJECT;
}

#endif
