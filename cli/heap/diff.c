// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/diff.h"

#include "attach/cleanup.h"
#include "cli/heap/dominators.h"
#include "cli/heap/heap_internal.h"
#include "cli/heap/intern.h"
#include "cli/heap/parallel.h"
#include "cli/heap/paths.h"
#include "cli/heap/text.h"

#include <stdlib.h>
#include <string.h>

enum {
	PATH_NODES = 100,   /* dominating objects that get a path */
	PATH_SHARE = 500,   /* of at least 1/500 of all bytes */
};

struct diff_work {
	struct rmr_heap *const *heaps;
	struct rmr_dominators *const *dominators;
	struct rmr_diff *diff;
	size_t row_room;
	struct rmr_intern labels; /* the number of a label is that of its row */
	uint32_t *type_rows[3];   /* of each type of each heap: its row */
	/* By path: where a row's object was found, to look it up in the other dumps. */
	struct found {
		size_t dump;
		uint32_t id;
	} *found;
	size_t found_room;
};

static struct rmr_diff_row *row_of(struct diff_work *work, const char *label, uint32_t *number_ret)
{
	struct rmr_diff *diff = work->diff;
	uint32_t number;

	if (!rmr_intern_put(&work->labels, label, strlen(label), &number))
		return NULL;
	if (number == diff->count) {
		if (diff->count == work->row_room) {
			size_t room = work->row_room ? work->row_room * 2 : 256;
			struct rmr_diff_row *rows = realloc(diff->rows, room * sizeof(*rows));
			if (!rows)
				return NULL;
			diff->rows = rows;
			work->row_room = room;
		}
		diff->rows[diff->count++] = (struct rmr_diff_row){.example = RMR_NO_OBJECT};
	}
	*number_ret = number;
	return &diff->rows[number];
}

static bool count_types(struct diff_work *work)
{
	for (size_t d = 0; d < work->diff->dumps; d++) {
		const struct rmr_heap *heap = work->heaps[d];
		uint32_t types = rmr_heap_type_count(heap);
		work->type_rows[d] = malloc(((size_t)types + 1) * sizeof(uint32_t));
		if (!work->type_rows[d])
			return false;
		for (uint32_t i = 0; i < types; i++) {
			struct rmr_diff_row *row =
				row_of(work, heap->types[i].label, &work->type_rows[d][i]);
			if (!row)
				return false;
			row->count[d] += heap->types[i].count;
			row->bytes[d] += heap->types[i].bytes;
		}
	}
	return true;
}

/* Values of immutable objects tell a new object at an old address. */
static bool same_text(const struct rmr_heap *a, uint32_t x, const struct rmr_heap *b, uint32_t y)
{
	struct rmr_record p, q;

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

/* The rule of diff.h; the addresses are equal. */
static bool same_object(const struct diff_work *work, size_t d, uint32_t x, size_t e, uint32_t y)
{
	const struct rmr_heap *a = work->heaps[d], *b = work->heaps[e];

	if (work->type_rows[d][a->type[x]] != work->type_rows[e][b->type[y]])
		return false;
	uint64_t p = a->types[a->type[x]].class_address, q = b->types[b->type[y]].class_address;
	if (p != RMR_HEAP_UNKNOWN && q != RMR_HEAP_UNKNOWN && p != q)
		return false;
	enum rmr_builtin builtin = rmr_heap_builtin(a, x);
	if ((is_immutable(builtin, a->flags[x]) || builtin == RMR_BUILTIN_TUPLE) &&
		(a->len[x] != b->len[y] || a->size[x] != b->size[y]))
		return false;
	if ((a->flags[x] ^ b->flags[y]) & (RMR_FLAG_NAME | RMR_FLAG_VALUE))
		return false;
	if (a->flags[x] & RMR_FLAG_NAME || is_immutable(builtin, a->flags[x]))
		return same_text(a, x, b, y);
	return true;
}

/* Marks in @p match, which is of heap d's ids, those that are in heap e as well. */
struct matching {
	const struct diff_work *work;
	size_t d, e;
	uint8_t *match;
	unsigned threads;
};

static void match_work(void *context, unsigned number)
{
	const struct matching *matching = context;
	const struct rmr_heap *a = matching->work->heaps[matching->d];
	const struct rmr_heap *b = matching->work->heaps[matching->e];
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
	for (uint32_t x = start; x < end; x++) {
		while (y < other && b->address[y] < a->address[x])
			y++;
		matching->match[x] = y < other && b->address[y] == a->address[x] &&
			same_object(matching->work, matching->d, x, matching->e, y);
	}
}

static uint8_t *match(const struct diff_work *work, size_t d, size_t e)
{
	struct matching matching = {.work = work, .d = d, .e = e, .threads = rmr_parallel_cpus()};

	matching.match = rmr_block_create(rmr_heap_count(work->heaps[d]));
	if (matching.match && work->diff->same_process)
		rmr_parallel_run(matching.threads, match_work, &matching);
	return matching.match;
}

static void note_example(const struct diff_work *work, struct rmr_diff_row *row, size_t d,
	uint32_t id)
{
	if (row->example == RMR_NO_OBJECT ||
		rmr_heap_size(work->heaps[d], id) > rmr_heap_size(work->heaps[d], row->example))
		row->example = id;
}

/* Born and gone between the first two dumps; with three, what of the born is in the third. */
static bool count_lives(struct diff_work *work)
{
	const struct rmr_heap *first = work->heaps[0], *second = work->heaps[1];
	uint32_t before = rmr_heap_count(first), after = rmr_heap_count(second);
	bool three = work->diff->dumps == 3;
	uint8_t *kept = match(work, 0, 1), *old = match(work, 1, 0);
	uint8_t *later = three ? match(work, 1, 2) : NULL;
	bool complete = kept && old && (!three || later);

	for (uint32_t id = 0; complete && id < before; id++) {
		if (!kept[id])
			work->diff->rows[work->type_rows[0][first->type[id]]].gone++;
	}
	for (uint32_t id = 0; complete && id < after; id++) {
		struct rmr_diff_row *row = &work->diff->rows[work->type_rows[1][second->type[id]]];
		if (old[id])
			continue;
		row->born++;
		if (three && later[id]) {
			uint32_t last = rmr_heap_find(work->heaps[2], second->address[id]);
			row->survivors++;
			row->survivor_bytes += rmr_heap_size(work->heaps[2], last);
			note_example(work, row, 2, last);
		} else if (!three) {
			note_example(work, row, 1, id);
		}
	}
	rmr_block_destroy(kept, before);
	rmr_block_destroy(old, after);
	rmr_block_destroy(later, after);
	return complete;
}

/* The expression with [*] for every index and number key: the same in each dump. */
static char *general_path(const char *path)
{
	struct rmr_text text = {0};

	for (const char *p = path; *p;) {
		size_t digits = *p == '[' ? strspn(p + 1, "0123456789") : 0;
		if (digits && p[1 + digits] == ']') {
			rmr_text_put(&text, "[*]");
			p += digits + 2;
		} else {
			rmr_text_add(&text, p++, 1);
		}
	}
	return rmr_text_take(&text);
}

static struct rmr_error *count_path(struct diff_work *work, size_t d, uint32_t node)
{
	const struct rmr_heap *heap = work->heaps[d];
	const struct rmr_dominators *dominators = work->dominators[d];
	struct rmr_paths *paths = NULL;
	_rmr_free_ char *path = NULL;
	uint32_t root = rmr_dominators_root_of(dominators, node), number;

	if (root != RMR_NO_OBJECT) {
		path = strdup(heap->roots[root].label);
	} else {
		struct rmr_error *err = rmr_paths_find(heap, node, NULL, &paths);
		if (err)
			return err;
		/* What has no name is one row, whatever address it has. */
		path = paths->paths[0].start == RMR_PATH_ROOT
			? general_path(paths->paths[0].expression)
			: strdup(rmr_heap_type_label(heap, node));
		rmr_paths_destroy(paths);
	}
	struct rmr_diff_row *row = path ? row_of(work, path, &number) : NULL;
	if (!row)
		return &rmr_enomem;
	if (number >= work->found_room) {
		size_t room = (size_t)number * 2 + 64;
		struct found *grown = realloc(work->found, room * sizeof(*grown));
		if (!grown)
			return &rmr_enomem;
		work->found = grown;
		work->found_room = room;
	}
	work->found[number] = (struct found){d, node};
	row->count[d] += rmr_dominators_count(dominators, node);
	row->bytes[d] += rmr_dominators_retained(dominators, node);
	if (d + 1 == work->diff->dumps && root == RMR_NO_OBJECT)
		row->example = node;
	return NULL;
}

/* The largest dominating objects of one dump, from the top down. */
static struct rmr_error *count_paths(struct diff_work *work, size_t d)
{
	const struct rmr_dominators *dominators = work->dominators[d];
	uint64_t least = rmr_dominators_retained(dominators, rmr_dominators_top(dominators)) /
		PATH_SHARE;
	uint32_t queue[PATH_NODES], taken = 0, queued = 1;

	queue[0] = rmr_dominators_top(dominators);
	while (taken < queued) {
		uint32_t node = queue[taken++], *children;
		uint64_t count, total;
		struct rmr_error *err = NULL;
		if (node != queue[0])
			err = count_path(work, d, node);
		if (!err)
			err = rmr_dominators_children(dominators, node, PATH_NODES, &children, &count,
				&total);
		if (err)
			return err;
		for (uint64_t i = 0; i < count && queued < PATH_NODES; i++) {
			if (rmr_dominators_retained(dominators, children[i]) > least)
				queue[queued++] = children[i];
		}
		free(children);
	}
	return NULL;
}

/*
 * What was too small for a row in one dump, but not in another: the object at the same address is
 * asked, so that the row shows its growth and not all of it.
 */
static void complete_paths(struct diff_work *work)
{
	for (size_t i = 0; i < work->diff->count && work->diff->same_process; i++) {
		struct rmr_diff_row *row = &work->diff->rows[i];
		const struct rmr_heap *from = work->heaps[work->found[i].dump];
		uint32_t id = work->found[i].id;
		for (size_t d = 0; d < work->diff->dumps; d++) {
			const struct rmr_heap *heap = work->heaps[d];
			if (row->count[d] || id >= rmr_heap_id_end(from))
				continue;
			uint32_t other = rmr_heap_find(heap, rmr_heap_address(from, id));
			if (other == RMR_NO_OBJECT || strcmp(rmr_heap_type_label(heap, other),
							      rmr_heap_type_label(from, id)) != 0)
				continue;
			row->count[d] = rmr_dominators_count(work->dominators[d], other);
			row->bytes[d] = rmr_dominators_retained(work->dominators[d], other);
		}
	}
}

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct rmr_diff_row *x = a, *y = b;
	const struct rmr_diff *diff = context;

	if (diff->dumps == 3 && x->survivor_bytes != y->survivor_bytes)
		return x->survivor_bytes < y->survivor_bytes ? 1 : -1;
	if (x->bytes_change != y->bytes_change)
		return x->bytes_change < y->bytes_change ? 1 : -1;
	if (x->count_change != y->count_change)
		return x->count_change < y->count_change ? 1 : -1;
	return strcmp(x->label, y->label);
}

static bool same_text_or_null(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_process(const struct rmr_heap *a, const struct rmr_heap *b)
{
	return a->facts.pid == b->facts.pid && same_text_or_null(a->facts.exe, b->facts.exe) &&
		same_text_or_null(a->facts.host, b->facts.host);
}

static struct rmr_error *fill(struct diff_work *work, enum rmr_diff_by by)
{
	struct rmr_diff *diff = work->diff;
	struct rmr_error *err = NULL;

	diff->same_process = true;
	for (size_t d = 0; d < diff->dumps; d++) {
		diff->objects[d] = work->heaps[d]->counts.objects;
		diff->bytes[d] = work->heaps[d]->counts.bytes;
		diff->same_process &= same_process(work->heaps[0], work->heaps[d]);
		err = err ? err : rmr_heap_verify(work->heaps[d]);
	}
	if (err)
		return err;
	if (by == RMR_DIFF_TYPE && (!count_types(work) || !count_lives(work)))
		return &rmr_enomem;
	for (size_t d = 0; by == RMR_DIFF_PATH && !err && d < diff->dumps; d++)
		err = count_paths(work, d);
	if (by == RMR_DIFF_PATH && !err)
		complete_paths(work);
	return err;
}

static struct rmr_error *label_rows(struct diff_work *work)
{
	struct rmr_diff *diff = work->diff;

	for (size_t i = 0; i < diff->count; i++) {
		struct rmr_diff_row *row = &diff->rows[i];
		row->label = strdup(rmr_intern_get(&work->labels, (uint32_t)i, NULL));
		row->count_change = (int64_t)(row->count[diff->dumps - 1] - row->count[0]);
		row->bytes_change = (int64_t)(row->bytes[diff->dumps - 1] - row->bytes[0]);
		if (!row->label)
			return &rmr_enomem;
	}
	if (diff->count)
		qsort_r(diff->rows, diff->count, sizeof(*diff->rows), compare_rows, diff);
	return NULL;
}

struct rmr_error *rmr_diff_create(struct rmr_heap *const *heaps,
	struct rmr_dominators *const *dominators, size_t count, enum rmr_diff_by by,
	struct rmr_diff **ret)
{
	struct diff_work work = {.heaps = heaps, .dominators = dominators};

	if (count < 2 || count > 3)
		return rmr_error_create(RMR_E_USAGE, 0, "diff compares two or three dumps");
	if (by == RMR_DIFF_PATH && !dominators)
		return rmr_error_create(RMR_E_USAGE, 0, "diff by path needs the dominators");
	work.diff = calloc(1, sizeof(*work.diff));
	if (!work.diff)
		return &rmr_enomem;
	work.diff->dumps = count;
	struct rmr_error *err = fill(&work, by);
	if (!err)
		err = label_rows(&work);
	for (size_t d = 0; d < 3; d++)
		free(work.type_rows[d]);
	free(work.found);
	rmr_intern_deinit(&work.labels);
	if (err)
		rmr_diff_destroy(work.diff);
	else
		*ret = work.diff;
	return err;
}

void rmr_diff_destroy(struct rmr_diff *diff)
{
	if (!diff)
		return;
	for (size_t i = 0; i < diff->count; i++)
		free((char *)(uintptr_t)diff->rows[i].label);
	free(diff->rows);
	free(diff);
}
