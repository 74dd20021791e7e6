// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_tally.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	GRANULE_SHIFT = 4, // no object is smaller
	CHUNK_SHIFT = 25,  // address space of one chunk, which is then a huge page
	CHUNK_SIZE = 1 << (CHUNK_SHIFT - GRANULE_SHIFT),
	ADDRESS_BITS = 47,
	CHUNKS = 1 << (ADDRESS_BITS - CHUNK_SHIFT),
	MOST_CHUNKS = 1 << 9, // 1 GB of bytes, for 16 GB of objects
	HUGE_CHUNKS = 16,
	MOST_LEFT_OUT = 1 << 12,
	// A byte: bit 0 says that the object is known and mortal, the others are what its count has
	// more than was found, -64 to 63. What goes beyond LIMIT is carried over to a table.
	KNOWN = 1,
	ONE = 2,
	LIMIT = 48,
};

struct carried {
	uint64_t granule; // 0 = free
	int64_t missing;
};

struct rmr_dump_tally {
	int8_t **chunks; // by number, nearly all of them NULL
	uint32_t numbers[MOST_CHUNKS]; // of those that are not
	uint32_t chunk_count;
	bool failed;
	struct rmr_completeness sums;
	uint64_t *left_out; // ascending
	size_t left_out_count;
	struct carried *carried;
	size_t carried_count, carried_room; // a power of two
};

struct rmr_dump_tally *rmr_dump_tally_create(void)
{
	struct rmr_dump_tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return NULL;
	tally->carried_room = 1024;
	tally->chunks = calloc(CHUNKS, sizeof(*tally->chunks));
	tally->carried = calloc(tally->carried_room, sizeof(*tally->carried));
	tally->failed = !tally->chunks || !tally->carried;
	return tally;
}

void rmr_dump_tally_destroy(struct rmr_dump_tally *tally)
{
	if (!tally)
		return;
	for (uint32_t i = 0; i < tally->chunk_count; i++)
		munmap(tally->chunks[tally->numbers[i]], CHUNK_SIZE);
	free(tally->chunks);
	free(tally->carried);
	free(tally->left_out);
	free(tally);
}

static int8_t *map_chunk(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	char *start = mmap(NULL, 2 * CHUNK_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (start == MAP_FAILED)
		return NULL;
	size_t before = -(uintptr_t)start & (CHUNK_SIZE - 1);
	if (before)
		munmap(start, before);
	munmap(start + before + CHUNK_SIZE, CHUNK_SIZE - before);
	return (int8_t *)(start + before);
}

// Chunks that will be full are huge pages: those beside others, and the first few in any case. Else a
// heap that lies scattered would take more memory for them than it has.
static int8_t *make_chunk(struct rmr_dump_tally *tally, uint64_t number)
{
	int8_t *chunk = tally->chunk_count < MOST_CHUNKS ? map_chunk() : NULL;
	bool beside = (number > 0 && tally->chunks[number - 1]) ||
		(number + 1 < CHUNKS && tally->chunks[number + 1]);

	if (!chunk) {
		tally->failed = true;
		return NULL;
	}
	if (beside || tally->chunk_count < HUGE_CHUNKS)
		madvise(chunk, CHUNK_SIZE, MADV_HUGEPAGE);
	tally->numbers[tally->chunk_count++] = (uint32_t)number;
	return tally->chunks[number] = chunk;
}

// The byte of the granule, or NULL.
static inline int8_t *byte_of(struct rmr_dump_tally *tally, uint64_t granule)
{
	uint64_t number = granule >> (CHUNK_SHIFT - GRANULE_SHIFT);

	if (number >= CHUNKS || !granule)
		return NULL;
	int8_t *chunk = tally->chunks[number];
	if (__builtin_expect(!chunk, 0) && !(chunk = make_chunk(tally, number)))
		return NULL;
	return chunk + (granule & (CHUNK_SIZE - 1));
}

static struct carried *find_carried(struct rmr_dump_tally *tally, uint64_t granule)
{
	size_t mask = tally->carried_room - 1;
	size_t i = (size_t)(granule * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;

	while (tally->carried[i].granule && tally->carried[i].granule != granule)
		i = (i + 1) & mask;
	return &tally->carried[i];
}

static bool grow_carried(struct rmr_dump_tally *tally)
{
	struct carried *old = tally->carried;
	size_t room = tally->carried_room;
	struct carried *larger = calloc(room * 2, sizeof(*larger));

	if (!larger)
		return false;
	tally->carried = larger;
	tally->carried_room = room * 2;
	for (size_t i = 0; i < room; i++) {
		if (old[i].granule)
			*find_carried(tally, old[i].granule) = old[i];
	}
	free(old);
	return true;
}

static void carry(struct rmr_dump_tally *tally, uint64_t granule, int64_t missing)
{
	if (tally->carried_count * 2 >= tally->carried_room && !grow_carried(tally)) {
		tally->failed = true;
		return;
	}
	struct carried *carried = find_carried(tally, granule);
	tally->carried_count += !carried->granule;
	carried->granule = granule;
	carried->missing += missing;
}

static void carry_found(struct rmr_dump_tally *tally, uint64_t granule, int8_t *byte)
{
	*byte = (int8_t)(*byte + LIMIT * ONE);
	carry(tally, granule, -LIMIT);
}

// Where the address is in the array, or belongs.
static size_t find_left_out(const struct rmr_dump_tally *tally, uint64_t address)
{
	size_t low = 0, high = tally->left_out_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (tally->left_out[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool leaves_out(const struct rmr_dump_tally *tally, uint64_t address)
{
	size_t at = find_left_out(tally, address);
	return at < tally->left_out_count && tally->left_out[at] == address;
}

void rmr_dump_tally_leave_out(struct rmr_dump_tally *tally, uint64_t address)
{
	if (!tally || tally->failed || leaves_out(tally, address))
		return;
	if (!tally->left_out)
		tally->left_out = malloc(MOST_LEFT_OUT * sizeof(*tally->left_out));
	if (!tally->left_out || tally->left_out_count == MOST_LEFT_OUT) {
		tally->failed = true;
		return;
	}
	size_t at = find_left_out(tally, address);
	uint64_t *place = tally->left_out + at;
	memmove(place + 1, place, (tally->left_out_count++ - at) * sizeof(*place));
	*place = address;
}

static inline void add_object(struct rmr_dump_tally *tally, uint64_t address, uint64_t rc,
	bool is_immortal)
{
	uint64_t granule = address >> GRANULE_SHIFT;

	if (is_immortal || rc >= RMR_IMMORTAL_COUNT)
		return;
	int8_t *byte = byte_of(tally, granule);
	if (!byte || *byte & KNOWN)
		return;
	tally->sums.counted += rc;
	if (__builtin_expect(rc >= LIMIT, 0)) {
		carry(tally, granule, (int64_t)rc);
		rc = 0;
	}
	*byte = (int8_t)((*byte + (int)rc * ONE) | KNOWN); // it was not above 0
}

bool rmr_dump_tally_object(struct rmr_dump_tally *tally, uint64_t address, uint64_t rc,
	bool is_immortal)
{
	if (!tally || tally->failed)
		return true;
	add_object(tally, address, rc, is_immortal);
	return __builtin_expect(!tally->left_out_count, 1) || !leaves_out(tally, address);
}

void rmr_dump_tally_references(struct rmr_dump_tally *tally, const unsigned char *from, size_t count)
{
	if (!tally || tally->failed)
		return;
	for (size_t i = 0; i < count; i++) {
		uint64_t address;
		memcpy(&address, from + i * 8, 8);
		int8_t *byte = byte_of(tally, address >> GRANULE_SHIFT);
		if (!byte)
			continue;
		*byte = (int8_t)(*byte - ONE);
		if (__builtin_expect(*byte < -LIMIT * ONE, 0))
			carry_found(tally, address >> GRANULE_SHIFT, byte);
	}
}

bool rmr_dump_tally_explain(struct rmr_dump_tally *tally, uint64_t address)
{
	uint64_t granule = address >> GRANULE_SHIFT;

	if (!tally || tally->failed)
		return false;
	int8_t *byte = byte_of(tally, granule);
	if (!byte || !(*byte & KNOWN) || (*byte >> 1) + find_carried(tally, granule)->missing <= 0)
		return false;
	rmr_dump_tally_references(tally, (const unsigned char *)&address, 1);
	return true;
}

static void add(struct rmr_completeness *sums, int64_t missing, uint64_t times)
{
	if (missing > 0) {
		sums->held_by_c += times;
		sums->found -= (uint64_t)missing * times;
	} else if (missing < 0) {
		sums->exceeded += times;
		sums->excess += (uint64_t)-missing * times;
	}
}

static void add_carried(struct rmr_dump_tally *tally)
{
	for (size_t i = 0; i < tally->carried_room; i++) {
		const struct carried *carried = &tally->carried[i];
		int8_t *byte = carried->granule ? byte_of(tally, carried->granule) : NULL;
		if (!byte || !(*byte & KNOWN))
			continue;
		add(&tally->sums, carried->missing + (*byte >> 1), 1);
		*byte = 0;
	}
}

// Nearly every object is explained to the last reference, and many bytes are of none: both are passed
// over in pieces.
static void add_chunk(const int8_t *chunk, uint64_t *histogram)
{
	enum { WORDS = 16 };
	const uint64_t explained = UINT64_C(0x0101010101010101) * KNOWN;

	for (size_t i = 0; i < CHUNK_SIZE; i += WORDS * 8) {
		uint64_t words[WORDS], any = 0;
		memcpy(words, chunk + i, sizeof(words));
		for (unsigned k = 0; k < WORDS; k++)
			any |= words[k];
		if (!(any & ~explained))
			continue;
		for (unsigned k = 0; k < WORDS; k++) {
			for (uint64_t word = words[k] & ~explained ? words[k] : 0; word; word >>= 8)
				histogram[word & 255]++;
		}
	}
}

bool rmr_dump_tally_finish(struct rmr_dump_tally *tally, struct rmr_completeness *ret)
{
	uint64_t histogram[256] = {0};

	if (!tally)
		return false;
	if (tally->failed)
		return false;
	tally->sums.found = tally->sums.counted;
	add_carried(tally);
	for (uint32_t i = 0; i < tally->chunk_count; i++)
		add_chunk(tally->chunks[tally->numbers[i]], histogram);
	for (int i = KNOWN; i < 256; i += 2)
		add(&tally->sums, (int8_t)i >> 1, histogram[i]);
	*ret = tally->sums;
	return true;
}
