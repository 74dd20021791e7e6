// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/identity.h"

#include "cli/heap/heap_internal.h"
#include "cli/heap/parallel.h"

#include <string.h>

enum {
	PARTS = 16, /* so many references of an object are looked at, evenly spread */
};

static bool same_text_or_null(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool rmr_identity_comparable(const struct rmr_heap *a, const struct rmr_heap *b)
{
	return a->facts.pid == b->facts.pid && same_text_or_null(a->facts.exe, b->facts.exe) &&
		same_text_or_null(a->facts.host, b->facts.host);
}

static bool same_type(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b, uint32_t y)
{
	const struct rmr_type *p = &a->types[a->type[x]], *q = &b->types[b->type[y]];

	return (p->class_address == q->class_address || p->class_address == RMR_HEAP_UNKNOWN ||
		       q->class_address == RMR_HEAP_UNKNOWN) &&
		!strcmp(p->label, q->label);
}

/* Most objects that stay have the same line in both dumps, and it need not be parsed. */
static bool same_line(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b, uint32_t y)
{
	const char *p = rmr_source_line(&a->source, a->line[x]);
	const char *q = rmr_source_line(&b->source, b->line[y]);

	if (!p || !q)
		return false;
	size_t size = (size_t)(strchrnul(p, '\n') - p);
	return !strncmp(p, q, size) && (q[size] == '\n' || !q[size]);
}

static bool same_text(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b, uint32_t y)
{
	struct rmr_record p, q;

	if (same_line(a, x, b, y))
		return true;
	rmr_heap_record(a, x, &p);
	rmr_heap_record(b, y, &q);
	return p.value.size == q.value.size && p.name.size == q.name.size &&
		(!p.value.size || !memcmp(p.value.start, q.value.start, p.value.size)) &&
		(!p.name.size || !memcmp(p.name.start, q.name.start, p.name.size));
}

static bool is_immutable(enum rmr_builtin builtin, unsigned flags)
{
	return builtin == RMR_BUILTIN_STR || builtin == RMR_BUILTIN_BYTES ||
		(builtin == RMR_BUILTIN_OTHER && flags & RMR_FLAG_VALUE);
}

/* All but the parts; the addresses are equal. */
static bool same_shell(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b, uint32_t y)
{
	enum rmr_builtin builtin = rmr_heap_builtin(a, x);
	bool immutable = is_immutable(builtin, a->flags[x]);

	if (!same_type(a, x, b, y))
		return false;
	if ((immutable || builtin == RMR_BUILTIN_TUPLE) &&
		(a->len[x] != b->len[y] || a->size[x] != b->size[y]))
		return false;
	if ((a->flags[x] ^ b->flags[y]) & (RMR_FLAG_NAME | RMR_FLAG_VALUE))
		return false;
	if (a->flags[x] & RMR_FLAG_NAME || immutable)
		return same_text(a, x, b, y);
	return true;
}

/* True if @p part is an object that nothing but @p whole refers to. */
static bool is_own_part(const struct rmr_heap *heap, uint32_t whole, uint32_t part)
{
	if (part >= heap->counts.objects || part == whole)
		return false;
	struct rmr_ids referrers = rmr_heap_referrers(heap, part);
	bool immortal = rmr_heap_rc(heap, part) != RMR_HEAP_UNKNOWN && rmr_heap_is_immortal(heap, part);
	return referrers.count == 1 && referrers.ids[0] == whole && !immortal &&
		!rmr_heap_is_rooted(heap, part);
}

enum parts {
	PARTS_NONE, /* it has no parts of its own */
	PARTS_OTHER,
	PARTS_COMMON,
};

/* Are parts of x parts of y as well? */
static enum parts compare_parts(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b,
	uint32_t y)
{
	struct rmr_ids ids = rmr_heap_children(a, x);
	uint64_t step = ids.count / PARTS + 1;
	enum parts found = PARTS_NONE;

	for (uint64_t i = 0; i < ids.count; i += step) {
		if (!is_own_part(a, x, ids.ids[i]))
			continue;
		found = PARTS_OTHER;
		uint32_t part = rmr_heap_find(b, a->address[ids.ids[i]]);
		if (part != RMR_NO_OBJECT && is_own_part(b, y, part) &&
			same_shell(a, ids.ids[i], b, part))
			return PARTS_COMMON;
	}
	return found;
}

bool rmr_identity_same(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b, uint32_t y)
{
	if (!same_shell(a, x, b, y))
		return false;
	if (a->flags[x] & RMR_FLAG_NAME || is_immutable(rmr_heap_builtin(a, x), a->flags[x]))
		return true;
	enum parts there = compare_parts(a, x, b, y);
	if (there == PARTS_COMMON)
		return true;
	/* What was added lately, or taken away, is not in the other: ask both ways. */
	enum parts back = compare_parts(b, y, a, x);
	return back == PARTS_COMMON || there == PARTS_NONE || back == PARTS_NONE;
}

uint32_t rmr_identity_find(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b)
{
	uint32_t y = x < a->counts.objects ? rmr_heap_find(b, a->address[x]) : RMR_NO_OBJECT;

	return y < b->counts.objects && rmr_identity_same(a, x, b, y) ? y : RMR_NO_OBJECT;
}

struct matching {
	const struct rmr_heap *a, *b;
	uint8_t *match;
	unsigned threads;
};

static void match_work(void *context, unsigned number)
{
	const struct matching *matching = context;
	const struct rmr_heap *a = matching->a, *b = matching->b;
	uint32_t count = rmr_heap_count(a), other = rmr_heap_count(b), y = 0;
	uint32_t start = (uint32_t)rmr_parallel_start(count, matching->threads, number);
	uint32_t end = (uint32_t)rmr_parallel_start(count, matching->threads, number + 1);

	for (uint32_t high = other; start < end && y < high;) {
		uint32_t middle = y + (high - y) / 2;
		if (b->address[middle] < a->address[start])
			y = middle + 1;
		else
			high = middle;
	}
	for (uint32_t x = start; x < end && !rmr_heap_is_interrupted_at(a, x); x++) {
		while (y < other && b->address[y] < a->address[x])
			y++;
		matching->match[x] = y < other && b->address[y] == a->address[x] &&
			rmr_identity_same(a, x, b, y);
	}
}

uint8_t *rmr_identity_match(const struct rmr_heap *a, const struct rmr_heap *b)
{
	struct matching matching = {.a = a, .b = b, .threads = rmr_parallel_cpus()};

	matching.match = rmr_block_create(rmr_heap_count(a));
	if (matching.match && rmr_identity_comparable(a, b))
		rmr_parallel_run(matching.threads, match_work, &matching);
	if (matching.match && rmr_heap_is_interrupted(a)) {
		rmr_block_destroy(matching.match, rmr_heap_count(a));
		return NULL;
	}
	return matching.match;
}

uint8_t *rmr_identity_mirror(const struct rmr_heap *a, const struct rmr_heap *b,
	const uint8_t *match)
{
	uint32_t count = rmr_heap_count(a), other = rmr_heap_count(b), x = 0;
	uint8_t *mirror = rmr_block_create(other);

	for (uint32_t y = 0; mirror && y < other; y++) {
		while (x < count && a->address[x] < b->address[y])
			x++;
		mirror[y] = x < count && a->address[x] == b->address[y] && match[x];
	}
	return mirror;
}
