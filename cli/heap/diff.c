// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/diff.h"

#include "attach/cleanup.h"
#include "cli/heap/dominators.h"
#include "cli/heap/heap_internal.h"
#include "cli/heap/identity.h"
#include "cli/heap/intern.h"
#include "cli/heap/parallel.h"
#include "cli/heap/paths.h"
#include "cli/heap/text.h"

#include <stdlib.h>
#include <string.h>

enum {
	PATH_NODES = 200,   /* dominating objects of a dump that get a path */
	PATH_SHARE = 500,   /* of at least 1/500 of all bytes */
};

struct diff_work {
	struct rmr_heap *const *heaps;
	struct rmr_dominators *const *dominators;
	const struct rmr_diff_options *options;
	struct rmr_diff *diff;
	size_t row_room;
	struct rmr_intern labels; /* the number of a label is that of its row */
	/* The row of each object of the first two dumps, of each type where that is enough. */
	uint32_t *rows[2];
	/* By path: where a row's object was found, to look it up in the other dumps. */
	struct found {
		size_t dump;
		uint32_t id;
	} *found;
	size_t found_room;
};

static bool reserve_row(struct diff_work *work)
{
	struct rmr_diff *diff = work->diff;

	if (diff->count < work->row_room)
		return true;
	size_t room = work->row_room ? work->row_room * 2 : 256;
	struct rmr_diff_row *rows = realloc(diff->rows, room * sizeof(*rows));
	if (!rows)
		return false;
	diff->rows = rows;
	work->row_room = room;
	return true;
}

static struct rmr_diff_row *row_of(struct diff_work *work, const char *label, uint32_t *number_ret)
{
	struct rmr_diff *diff = work->diff;
	uint32_t number;

	if (!reserve_row(work) || !rmr_intern_put(&work->labels, label, strlen(label), &number))
		return NULL;
	if (number == diff->count) {
		struct rmr_diff_row row = {.example = RMR_NO_OBJECT,
			.cells = calloc(diff->dumps, sizeof(*row.cells))};
		if (!row.cells)
			return NULL;
		diff->rows[diff->count++] = row;
	}
	*number_ret = number;
	return &diff->rows[number];
}

static struct rmr_error *count_types(struct diff_work *work, size_t d)
{
	const struct rmr_heap *heap = work->heaps[d];
	uint32_t types = rmr_heap_type_count(heap), number;
	uint32_t *rows = malloc(((size_t)types + 1) * sizeof(*rows));

	if (!rows)
		return &rmr_enomem;
	for (uint32_t i = 0; i < types; i++) {
		struct rmr_diff_row *row = row_of(work, heap->types[i].label, &number);
		if (!row) {
			free(rows);
			return &rmr_enomem;
		}
		row->cells[d].count += heap->types[i].count;
		row->cells[d].bytes += heap->types[i].bytes;
		rows[i] = number;
	}
	if (d < 2)
		work->rows[d] = rows;
	else
		free(rows);
	return NULL;
}

static bool add_groups(struct diff_work *work, size_t d, const struct rmr_groups *groups)
{
	uint32_t number, *rows = NULL;

	if (d < 2) {
		work->rows[d] = malloc(((size_t)rmr_heap_count(work->heaps[d]) + 1) * sizeof(*rows));
		rows = work->rows[d];
		if (!rows)
			return false;
	}
	for (size_t g = 0; g < groups->count; g++) {
		const struct rmr_group *group = &groups->groups[g];
		struct rmr_diff_row *row = row_of(work, group->label, &number);
		if (!row)
			return false;
		row->cells[d].count += group->count;
		row->cells[d].bytes += group->bytes;
		for (uint64_t i = groups->first[g]; rows && i < groups->first[g + 1]; i++)
			rows[groups->members[i]] = number;
	}
	return true;
}

/* Two dumps at a time: more would take more memory. */
enum { ABREAST = 2 };

struct abreast {
	const struct diff_work *work;
	size_t first;
	struct rmr_groups *groups[ABREAST];
	struct rmr_error *err[ABREAST];
};

static void group_work(void *context, unsigned number)
{
	struct abreast *abreast = context;
	const struct diff_work *work = abreast->work;
	size_t d = abreast->first + number;

	abreast->err[number] = rmr_groups_create(work->heaps[d],
		work->dominators ? work->dominators[d] : NULL, NULL, 0, work->options->group,
		&abreast->groups[number]);
}

static struct rmr_error *count_groups(struct diff_work *work, size_t d)
{
	struct abreast abreast = {.work = work, .first = d};
	unsigned count = d + ABREAST <= work->diff->dumps ? ABREAST : 1;
	struct rmr_error *err = NULL;

	rmr_parallel_run(count, group_work, &abreast);
	for (unsigned i = 0; i < count; i++) {
		if (!err && !abreast.err[i] && !add_groups(work, d + i, abreast.groups[i]))
			err = &rmr_enomem;
		rmr_groups_destroy(abreast.groups[i]);
		if (err)
			rmr_error_destroy(abreast.err[i]);
		else
			err = abreast.err[i];
	}
	return err;
}

static struct rmr_diff_row *row_of_object(const struct diff_work *work, size_t d, uint32_t id)
{
	uint32_t at = work->options->by == RMR_DIFF_TYPE ? work->heaps[d]->type[id] : id;

	return &work->diff->rows[work->rows[d][at]];
}

static void note_example(const struct diff_work *work, struct rmr_diff_row *row, size_t d,
	uint32_t id)
{
	if (row->example == RMR_NO_OBJECT ||
		rmr_heap_size(work->heaps[d], id) > rmr_heap_size(work->heaps[d], row->example))
		row->example = id;
}

/* Born and gone between the first two dumps; with three, what of the born is in the third. */
static struct rmr_error *count_lives(struct diff_work *work)
{
	const struct rmr_heap *first = work->heaps[0], *second = work->heaps[1];
	const struct rmr_heap *third = work->diff->dumps == 3 ? work->heaps[2] : NULL;
	uint32_t before = rmr_heap_count(first), after = rmr_heap_count(second);
	uint8_t *kept = rmr_identity_match(first, second);
	uint8_t *old = kept ? rmr_identity_mirror(first, second, kept) : NULL;
	uint8_t *later = third ? rmr_identity_match(second, third) : NULL;
	bool complete = kept && old && (!third || later);

	for (uint32_t id = 0; complete && id < before; id++) {
		if (!kept[id])
			row_of_object(work, 0, id)->gone++;
	}
	for (uint32_t id = 0; complete && id < after; id++) {
		if (old[id])
			continue;
		struct rmr_diff_row *row = row_of_object(work, 1, id);
		row->born++;
		if (third && later[id]) {
			uint32_t last = rmr_heap_find(third, second->address[id]);
			row->survivors++;
			row->survivor_bytes += rmr_heap_size(third, last);
			note_example(work, row, 2, last);
		} else if (!third) {
			note_example(work, row, 1, id);
		}
	}
	rmr_block_destroy(kept, before);
	rmr_block_destroy(old, after);
	rmr_block_destroy(later, after);
	return complete ? NULL : rmr_heap_ended(first);
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

static struct rmr_error *name_path(const struct diff_work *work, size_t d, uint32_t node,
	char **ret)
{
	const struct rmr_heap *heap = work->heaps[d];
	uint32_t root = rmr_dominators_root_of(work->dominators[d], node);
	struct rmr_paths *paths;

	if (root != RMR_NO_OBJECT) {
		*ret = strdup(heap->roots[root].label);
		return *ret ? NULL : &rmr_enomem;
	}
	struct rmr_error *err = rmr_paths_find(heap, node, NULL, &paths);
	if (err)
		return err;
	/* What has no name is one row, whatever address it has. */
	*ret = paths->paths[0].start == RMR_PATH_ROOT ? general_path(paths->paths[0].expression)
						      : strdup(rmr_heap_type_label(heap, node));
	rmr_paths_destroy(paths);
	return *ret ? NULL : &rmr_enomem;
}

static struct rmr_error *count_path(struct diff_work *work, size_t d, uint32_t node)
{
	const struct rmr_dominators *dominators = work->dominators[d];
	_rmr_free_ char *path = NULL;
	uint32_t number;

	struct rmr_error *err = name_path(work, d, node, &path);
	if (err)
		return err;
	struct rmr_diff_row *row = row_of(work, path, &number);
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
	row->cells[d].count += rmr_dominators_count(dominators, node);
	row->cells[d].bytes += rmr_dominators_retained(dominators, node);
	if (d + 1 == work->diff->dumps && node < rmr_heap_count(work->heaps[d]))
		row->example = node;
	return NULL;
}

/* The largest dominating objects of one dump, the largest first. */
static struct rmr_error *count_paths(struct diff_work *work, size_t d)
{
	const struct rmr_dominators *dominators = work->dominators[d];
	uint64_t least = rmr_dominators_retained(dominators, rmr_dominators_top(dominators)) /
		PATH_SHARE;
	uint32_t queue[PATH_NODES], taken = 0, queued = 1;

	queue[0] = rmr_dominators_top(dominators);
	while (taken < queued) {
		uint32_t largest = taken, *children;
		uint64_t count, total;
		struct rmr_error *err = NULL;
		for (uint32_t i = taken; i < queued; i++) {
			if (rmr_dominators_retained(dominators, queue[i]) >
				rmr_dominators_retained(dominators, queue[largest]))
				largest = i;
		}
		uint32_t node = queue[largest];
		queue[largest] = queue[taken];
		queue[taken++] = node;
		if (taken > 1)
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

/* What was too small for a row in one dump, but not in another, is looked up there. */
static void complete_paths(struct diff_work *work)
{
	for (size_t i = 0; i < work->diff->count && work->diff->same_process; i++) {
		struct rmr_diff_row *row = &work->diff->rows[i];
		const struct rmr_heap *from = work->heaps[work->found[i].dump];
		for (size_t d = 0; d < work->diff->dumps; d++) {
			if (row->cells[d].count)
				continue;
			uint32_t id = rmr_identity_find(from, work->found[i].id, work->heaps[d]);
			if (id == RMR_NO_OBJECT)
				continue;
			row->cells[d].count = rmr_dominators_count(work->dominators[d], id);
			row->cells[d].bytes = rmr_dominators_retained(work->dominators[d], id);
		}
	}
}

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct rmr_diff_row *x = a, *y = b;
	const struct rmr_diff *diff = context;
	bool steady = x->grew + 1 == diff->dumps, other = y->grew + 1 == diff->dumps;

	if (diff->growth && steady != other)
		return steady ? -1 : 1;
	if (x->survivor_bytes != y->survivor_bytes)
		return x->survivor_bytes < y->survivor_bytes ? 1 : -1;
	if (x->bytes_change != y->bytes_change)
		return x->bytes_change < y->bytes_change ? 1 : -1;
	if (x->count_change != y->count_change)
		return x->count_change < y->count_change ? 1 : -1;
	return strcmp(x->label, y->label);
}

static struct rmr_error *count_all(struct diff_work *work)
{
	struct rmr_diff *diff = work->diff;
	struct rmr_error *err = NULL;

	diff->same_process = true;
	for (size_t d = 0; !err && d < diff->dumps; d++) {
		diff->totals[d] = (struct rmr_diff_cell){work->heaps[d]->counts.objects,
			work->heaps[d]->counts.bytes};
		diff->same_process &= rmr_identity_comparable(work->heaps[0], work->heaps[d]);
		err = rmr_heap_verify(work->heaps[d]);
	}
	for (size_t d = 0; !err && d < diff->dumps; d++) {
		switch (work->options->by) {
		case RMR_DIFF_TYPE:
			err = count_types(work, d);
			break;
		case RMR_DIFF_GROUP:
			err = d % ABREAST ? NULL : count_groups(work, d);
			break;
		case RMR_DIFF_PATH:
			err = count_paths(work, d);
			break;
		}
	}
	if (!err && work->options->by == RMR_DIFF_PATH)
		complete_paths(work);
	else if (!err && !diff->growth)
		err = count_lives(work);
	return err;
}

static struct rmr_error *finish_rows(struct diff_work *work)
{
	struct rmr_diff *diff = work->diff;

	for (size_t i = 0; i < diff->count; i++) {
		struct rmr_diff_row *row = &diff->rows[i];
		const struct rmr_diff_cell *first = row->cells, *last = &row->cells[diff->dumps - 1];
		row->label = strdup(rmr_intern_get(&work->labels, (uint32_t)i, NULL));
		row->count_change = (int64_t)(last->count - first->count);
		row->bytes_change = (int64_t)(last->bytes - first->bytes);
		for (const struct rmr_diff_cell *cell = first; cell < last; cell++)
			row->grew += cell[1].bytes > cell->bytes ||
				(cell[1].bytes == cell->bytes && cell[1].count > cell->count);
		if (!row->label)
			return &rmr_enomem;
	}
	if (diff->count)
		qsort_r(diff->rows, diff->count, sizeof(*diff->rows), compare_rows, diff);
	return NULL;
}

static struct rmr_error *check(size_t count, const struct rmr_diff_options *options,
	struct rmr_dominators *const *dominators)
{
	if (count < 2 || count > RMR_DIFF_DUMPS_MAX)
		return rmr_error_create(RMR_E_USAGE, 0, "diff compares 2 to %d dumps",
			RMR_DIFF_DUMPS_MAX);
	if (count > 3 && !options->growth)
		return rmr_error_create(RMR_E_USAGE, 0, "more than three dumps show growth only");
	if (!dominators && (options->by == RMR_DIFF_PATH ||
			(options->by == RMR_DIFF_GROUP && options->group == RMR_GROUPS_OWNER)))
		return rmr_error_create(RMR_E_USAGE, 0, "diff by path and by owner need the dominators");
	return NULL;
}

struct rmr_error *rmr_diff_create(struct rmr_heap *const *heaps,
	struct rmr_dominators *const *dominators, size_t count,
	const struct rmr_diff_options *options, struct rmr_diff **ret)
{
	struct diff_work work = {.heaps = heaps, .dominators = dominators, .options = options};

	struct rmr_error *err = check(count, options, dominators);
	if (err)
		return err;
	work.diff = calloc(1, sizeof(*work.diff));
	if (!work.diff)
		return &rmr_enomem;
	work.diff->dumps = count;
	work.diff->growth = options->growth;
	work.diff->totals = calloc(count, sizeof(*work.diff->totals));
	err = work.diff->totals ? count_all(&work) : &rmr_enomem;
	if (!err)
		err = finish_rows(&work);
	free(work.rows[0]);
	free(work.rows[1]);
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
	for (size_t i = 0; i < diff->count; i++) {
		free((char *)(uintptr_t)diff->rows[i].label);
		free(diff->rows[i].cells);
	}
	free(diff->rows);
	free(diff->totals);
	free(diff);
}
