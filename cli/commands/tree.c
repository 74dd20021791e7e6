// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/tree.h"

#include "cli/commands/commands.h"
#include "cli/commands/object.h"
#include "cli/view/number.h"

#include <string.h>

enum {
	MAX_DEPTH = 1000,
	MAX_BREADTH = 1000000,
};

static const struct rmr_column columns[] = {
	{"name", "reference", RMR_KIND_TEXT},
	RMR_OBJECT_COLUMNS,
	{"mark", "", RMR_KIND_TEXT},
	RMR_OBJECT_VALUE_COLUMN,
	{"depth", NULL, RMR_KIND_ID},
};

enum {
	COLUMNS = sizeof(columns) / sizeof(*columns),
};

static const char *mark_word(enum rmr_tree_mark mark)
{
	switch (mark) {
	case RMR_TREE_CYCLE:
		return "cycle";
	case RMR_TREE_SEEN:
		return "seen above";
	case RMR_TREE_DEEP:
		return "...";
	case RMR_TREE_OPEN:
	case RMR_TREE_MORE:
		break;
	}
	return NULL;
}

static void put_name(struct rmr_view *view, const struct rmr_tree_row *row)
{
	struct rmr_line text = {0};

	if (rmr_view_format(view) == RMR_FORMAT_TABLE)
		rmr_line_addf(&text, "%*s", (int)(2 * row->depth), "");
	if (row->mark == RMR_TREE_MORE) {
		rmr_line_addf(&text, "... ");
		rmr_number_add_count(&text, row->more);
		rmr_line_addf(&text, " more");
	} else if (row->name) {
		rmr_line_addf(&text, "%s", row->name);
	} else if (rmr_view_format(view) == RMR_FORMAT_TABLE) {
		rmr_line_addf(&text, row->depth ? "-" : ".");
	}
	rmr_view_put_bytes(view, rmr_line_get(&text), text.length);
	rmr_line_deinit(&text);
}

static void put_row(struct rmr_view *view, const struct rmr_heap *heap,
	const struct rmr_tree_row *row, size_t column_count)
{
	bool root = row->id == RMR_NO_OBJECT && row->root != RMR_NO_OBJECT;

	put_name(view, row);
	if (row->id != RMR_NO_OBJECT)
		rmr_object_put(view, heap, row->id);
	else
		rmr_object_put_other(view, root ? "<root>" : NULL);
	rmr_view_put_text(view, mark_word(row->mark));
	if (row->id != RMR_NO_OBJECT)
		rmr_object_put_value(view, heap, row->id);
	else
		rmr_view_put_text(view, root ? rmr_heap_root(heap, row->root)->label : NULL);
	if (column_count == COLUMNS)
		rmr_view_put_uint(view, row->depth);
}

static struct rmr_error *read_options(const struct rmr_call *call, struct rmr_tree_options *ret)
{
	uint64_t depth, breadth;

	struct rmr_error *err = rmr_args_number(&call->args, "depth", 0, MAX_DEPTH, &depth);
	if (!err)
		err = rmr_args_number(&call->args, "breadth", 0, MAX_BREADTH, &breadth);
	if (err)
		return err;
	*ret = (struct rmr_tree_options){
		.up = rmr_args_count(&call->args, "up"),
		.depth = (unsigned)depth,
		.breadth = (unsigned)breadth,
	};
	return NULL;
}

struct rmr_error *rmr_command_tree(struct rmr_context *context, const struct rmr_call *call)
{
	const struct rmr_heap *heap = call->snapshot->heap;
	struct rmr_tree_options options;
	struct rmr_tree *tree;
	struct rmr_view *view;
	uint32_t id;

	struct rmr_error *err = read_options(call, &options);
	if (!err)
		err = rmr_snapshot_object(context, call->snapshot, call->args.operands[0], &id);
	if (!err)
		err = rmr_tree_create(heap, id, &options, &tree);
	if (err)
		return err;
	err = rmr_command_view(context, call, true, &view);
	if (!err) {
		// People see the depth.
		size_t count = rmr_view_format(view) == RMR_FORMAT_TABLE ? COLUMNS - 1 : COLUMNS;
		rmr_view_table(view, NULL, columns, count);
		for (size_t i = 0; i < tree->count; i++)
			put_row(view, heap, &tree->rows[i], count);
		rmr_view_end_table(view, 0);
		err = rmr_view_close(view);
	}
	rmr_tree_destroy(tree);
	return err;
}
