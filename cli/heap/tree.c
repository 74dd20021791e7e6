// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/tree.h"

#include "cli/heap/branches.h"
#include "cli/heap/idset.h"

#include <stdlib.h>

enum { DEPTH = 3, BREADTH = 10, OPEN = 1, DONE = 2 };

/* An object whose branches are being listed. */
struct level {
	struct rmr_branches branches;
	unsigned shown;
};

struct walk {
	const struct rmr_heap *heap;
	bool up;
	unsigned depth, breadth;
	struct rmr_tree *tree;
	size_t row_room;
	struct level *levels;
	size_t level_count, level_room;
	struct rmr_idset seen;
};

static struct rmr_tree_row *add_row(struct walk *walk, unsigned depth, uint32_t id)
{
	struct rmr_tree *tree = walk->tree;

	if (tree->count == walk->row_room) {
		size_t room = walk->row_room ? walk->row_room * 2 : 64;
		struct rmr_tree_row *rows = realloc(tree->rows, room * sizeof(*rows));
		if (!rows)
			return NULL;
		tree->rows = rows;
		walk->row_room = room;
	}
	tree->rows[tree->count] =
		(struct rmr_tree_row){.depth = depth, .id = id, .root = RMR_NO_OBJECT};
	return &tree->rows[tree->count++];
}

static struct rmr_error *add_level(struct walk *walk, uint32_t id)
{
	if (walk->level_count == walk->level_room) {
		size_t room = walk->level_room ? walk->level_room * 2 : 16;
		struct level *levels = realloc(walk->levels, room * sizeof(*levels));
		if (!levels)
			return &rmr_enomem;
		walk->levels = levels;
		walk->level_room = room;
	}
	struct level *level = &walk->levels[walk->level_count];
	struct rmr_error *err = rmr_branches_init(&level->branches, walk->heap, id, walk->up);
	if (err)
		return err;
	level->shown = 0;
	walk->level_count++;
	return rmr_idset_set(&walk->seen, id, OPEN) ? NULL : &rmr_enomem;
}

static bool has_branches(const struct walk *walk, uint32_t id)
{
	if (!walk->up)
		return rmr_heap_children(walk->heap, id).count > 0;
	return rmr_heap_referrers(walk->heap, id).count || rmr_heap_is_rooted(walk->heap, id);
}

/* A row for an object; a level for its branches, unless they are cut. @p name is taken over. */
static struct rmr_error *visit(struct walk *walk, uint32_t id, char *name)
{
	struct rmr_tree_row *row = add_row(walk, (unsigned)walk->level_count, id);
	uint32_t state = rmr_idset_get(&walk->seen, id);

	if (!row) {
		free(name);
		return &rmr_enomem;
	}
	row->name = name;
	if (state == OPEN)
		row->mark = RMR_TREE_CYCLE;
	else if (!has_branches(walk, id))
		row->mark = RMR_TREE_OPEN;
	else if (state == DONE)
		row->mark = RMR_TREE_SEEN;
	else if (walk->level_count >= walk->depth)
		row->mark = RMR_TREE_DEEP;
	else
		return add_level(walk, id);
	return NULL;
}

static struct rmr_error *close_level(struct walk *walk)
{
	struct level *level = &walk->levels[walk->level_count - 1];
	uint64_t left = rmr_branches_left(&level->branches);
	uint32_t id = level->branches.id;

	if (left) {
		struct rmr_tree_row *row =
			add_row(walk, (unsigned)walk->level_count, RMR_NO_OBJECT);
		if (!row)
			return &rmr_enomem;
		row->mark = RMR_TREE_MORE;
		row->more = left;
	}
	rmr_branches_deinit(&level->branches);
	walk->level_count--;
	return rmr_idset_set(&walk->seen, id, DONE) ? NULL : &rmr_enomem;
}

static struct rmr_error *run(struct walk *walk, uint32_t start)
{
	struct rmr_error *err = visit(walk, start, NULL);

	while (!err && walk->level_count) {
		struct level *level = &walk->levels[walk->level_count - 1];
		struct rmr_branch branch;
		if (level->shown == walk->breadth ||
			!rmr_branches_next(&level->branches, &branch)) {
			err = close_level(walk);
			continue;
		}
		level->shown++;
		if (branch.id != RMR_NO_OBJECT) {
			err = visit(walk, branch.id, branch.name);
			continue;
		}
		struct rmr_tree_row *row =
			add_row(walk, (unsigned)walk->level_count, RMR_NO_OBJECT);
		if (!row) {
			free(branch.name);
			return &rmr_enomem;
		}
		row->root = branch.root;
		row->name = branch.name;
	}
	return err;
}

struct rmr_error *rmr_tree_create(const struct rmr_heap *heap, uint32_t id,
	const struct rmr_tree_options *options, struct rmr_tree **ret)
{
	struct walk walk = {.heap = heap, .depth = DEPTH, .breadth = BREADTH};

	if (options) {
		walk.up = options->up;
		walk.depth = options->depth ? options->depth : DEPTH;
		walk.breadth = options->breadth ? options->breadth : BREADTH;
	}
	walk.tree = calloc(1, sizeof(*walk.tree));
	struct rmr_error *err = walk.tree ? run(&walk, id) : &rmr_enomem;
	while (walk.level_count)
		rmr_branches_deinit(&walk.levels[--walk.level_count].branches);
	free(walk.levels);
	rmr_idset_deinit(&walk.seen);
	if (err)
		rmr_tree_destroy(walk.tree);
	else
		*ret = walk.tree;
	return err;
}

void rmr_tree_destroy(struct rmr_tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->count; i++)
		free(tree->rows[i].name);
	free(tree->rows);
	free(tree);
}
