// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/positions.h"

#include "cli/heap/heap_internal.h"
#include "cli/heap/parallel.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	LARGE = 1 << 12, /* references: fewer are passed in a microsecond */
	PATIENCE = 8,    /* passing so often takes about as long as making a table */
	SLOT_BITS = 8,
	SLOTS = 1 << SLOT_BITS,
	STRIDE = 32,
};

static const uint32_t none = UINT32_MAX;

/* A large container that was asked for; another one with the same slot takes its place. */
struct slot {
	uint32_t id;
	unsigned asked;
	uint32_t *first; /* hash table: index of the first reference to each target; or NULL */
	uint32_t *next;  /* of each reference: index of the next one to the same target */
	size_t bytes;    /* of both, which are one block */
	unsigned bits;   /* of a place in first */
};

struct rmr_positions {
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
};

static void forget(struct slot *slot)
{
	rmr_block_destroy(slot->first, slot->bytes);
	*slot = (struct slot){0};
}

struct rmr_positions *rmr_positions_create(void)
{
	struct rmr_positions *positions = calloc(1, sizeof(*positions));

	if (positions)
		pthread_mutex_init(&positions->lock, NULL);
	return positions;
}

void rmr_positions_destroy(struct rmr_positions *positions)
{
	if (!positions)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		forget(&positions->slots[i]);
	pthread_mutex_destroy(&positions->lock);
	free(positions);
}

/* A stride at a time, which the compiler makes a few instructions of. */
static uint64_t scan(const uint32_t *ids, uint64_t start, uint64_t end, uint32_t target)
{
	for (; start + STRIDE <= end; start += STRIDE) {
		unsigned hits = 0;
		for (unsigned i = 0; i < STRIDE; i++)
			hits |= ids[start + i] == target;
		if (hits)
			break;
	}
	while (start < end && ids[start] != target)
		start++;
	return start < end ? start : UINT64_MAX;
}

/* Where first has the reference to the target, or would have it. */
static uint32_t *place_of(const struct slot *slot, const uint32_t *ids, uint32_t target)
{
	uint32_t mask = (1u << slot->bits) - 1;
	uint32_t at = target * 0x9e3779b1u >> (32 - slot->bits);

	while (slot->first[at] != none && ids[slot->first[at]] != target)
		at = (at + 1) & mask;
	return &slot->first[at];
}

static void make_table(struct slot *slot, struct rmr_ids ids)
{
	unsigned bits = 1;

	while (ids.count > 1ull << bits >> 1 && bits < 32)
		bits++;
	if (bits == 32)
		return;
	slot->bits = bits;
	slot->bytes = sizeof(uint32_t) * ((1ull << bits) + ids.count);
	slot->first = rmr_block_create(slot->bytes);
	if (!slot->first)
		return;
	slot->next = slot->first + (1ull << bits);
	memset(slot->first, 0xff, sizeof(*slot->first) << bits);
	for (uint32_t i = (uint32_t)ids.count; i-- > 0;) {
		uint32_t *place = place_of(slot, ids.ids, ids.ids[i]);
		slot->next[i] = *place;
		*place = i;
	}
}

static uint64_t search(const struct slot *slot, const uint32_t *ids, uint32_t target,
	uint64_t start)
{
	/* Who has found one and looks for the next need not begin at the first. */
	uint32_t at = start && ids[start - 1] == target ? slot->next[start - 1]
							: *place_of(slot, ids, target);

	while (at != none && at < start)
		at = slot->next[at];
	return at == none ? UINT64_MAX : at;
}

uint64_t rmr_positions_find(const struct rmr_heap *heap, uint32_t source, uint32_t target,
	uint64_t start)
{
	struct rmr_ids ids = rmr_heap_children(heap, source);
	struct rmr_positions *positions = heap->positions;

	if (start >= ids.count)
		return UINT64_MAX;
	if (ids.count < LARGE || !positions)
		return scan(ids.ids, start, ids.count, target);
	pthread_mutex_lock(&positions->lock);
	struct slot *slot = &positions->slots[source * 0x9e3779b1u >> (32 - SLOT_BITS)];
	if (slot->id != source)
		forget(slot);
	slot->id = source;
	if (slot->asked <= PATIENCE && slot->asked++ == PATIENCE)
		make_table(slot, ids);
	uint64_t found = slot->first ? search(slot, ids.ids, target, start)
				     : scan(ids.ids, start, ids.count, target);
	pthread_mutex_unlock(&positions->lock);
	return found;
}
