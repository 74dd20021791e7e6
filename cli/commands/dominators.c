// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dominators.h"

#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/object.h"

#include <string.h>

enum {
	ROWS = 20,     // on the first level
	DEEP_ROWS = 5, // of each object below
	MAX_DEPTH = 100,
};

static const struct rmr_column columns[] = {
	{"retained", NULL, RMR_KIND_BYTES},
	{"share", "%", RMR_KIND_SHARE},
	RMR_OBJECT_COLUMNS,
	{"reach", "", RMR_KIND_TEXT},
	RMR_OBJECT_VALUE_COLUMN,
	{"depth", NULL, RMR_KIND_ID},
};

enum {
	COLUMNS = sizeof(columns) / sizeof(*columns),
};

/** A listing under way. */
struct listing {
	struct rmr_view *view;
	const struct rmr_heap *heap;
	const struct rmr_dominators *dominators;
	uint64_t depth;
	size_t columns;
};

static const char *reach_word(enum rmr_reach reach)
{
	static const char *const words[] = {
		[RMR_REACH_ROOT] = NULL,
		[RMR_REACH_HELD_BY_C] = "held by C",
		[RMR_REACH_UNREACHABLE] = "unreachable",
	};

	return words[reach];
}

/** The type, indented by its level for people; or the label of a root. */
static void put_type(const struct listing *listing, uint32_t node, uint64_t level)
{
	uint32_t root = rmr_dominators_root_of(listing->dominators, node);
	struct rmr_line text = {0};

	if (rmr_view_format(listing->view) == RMR_FORMAT_TABLE)
		rmr_line_addf(&text, "%*s", (int)(2 * level), "");
	rmr_line_addf(&text, "%s",
		root == RMR_NO_OBJECT ? rmr_heap_type_label(listing->heap, node) : "<root>");
	rmr_view_put_bytes(listing->view, rmr_line_get(&text), text.length);
	rmr_line_deinit(&text);
}

static void put_node(const struct listing *listing, uint32_t node, uint64_t level)
{
	const struct rmr_dominators *dominators = listing->dominators;
	uint64_t retained = rmr_dominators_retained(dominators, node);
	uint64_t all = rmr_dominators_retained(dominators, rmr_dominators_top(dominators));
	uint32_t root = rmr_dominators_root_of(dominators, node);
	struct rmr_view *view = listing->view;

	rmr_view_put_uint(view, retained);
	rmr_view_put_real(view, all ? (double)retained / (double)all : 0);
	if (root == RMR_NO_OBJECT) {
		rmr_view_put_uint(view, rmr_heap_address(listing->heap, node));
		put_type(listing, node, level);
		rmr_view_put_uint(view, rmr_heap_size(listing->heap, node));
		rmr_object_put_known(view, rmr_heap_len(listing->heap, node));
	} else {
		rmr_view_put_none(view);
		put_type(listing, node, level);
		rmr_view_put_none(view);
		rmr_view_put_none(view);
	}
	rmr_view_put_text(view, reach_word(rmr_dominators_reach(dominators, node)));
	if (root == RMR_NO_OBJECT)
		rmr_object_put_place(view, listing->heap, node);
	else
		rmr_view_put_text(view, rmr_heap_root(listing->heap, root)->label);
	if (listing->columns == COLUMNS)
		rmr_view_put_uint(view, level);
}

/** Puts what @p node dominates, to the listing's depth. The depth is bounded by MAX_DEPTH. */
static struct rmr_error *put_below(const struct listing *listing, uint32_t node, uint64_t level,
	uint64_t limit, uint64_t *total_ret)
{
	_rmr_free_ uint32_t *ids = NULL;
	uint64_t count, total;

	struct rmr_error *err =
		rmr_dominators_children(listing->dominators, node, limit, &ids, &count, &total);
	if (err)
		return err;
	for (uint64_t i = 0; !err && i < count && !rmr_view_failed(listing->view); i++) {
		put_node(listing, ids[i], level);
		if (level + 1 < listing->depth)
			err = put_below(listing, ids[i], level + 1,
				limit && limit < DEEP_ROWS ? limit : DEEP_ROWS, NULL);
	}
	if (total_ret)
		*total_ret = total - count;
	return err;
}

static struct rmr_error *put_listing(struct listing *listing, uint32_t node, uint64_t limit)
{
	uint64_t more = 0;

	listing->columns =
		rmr_view_format(listing->view) == RMR_FORMAT_TABLE ? COLUMNS - 1 : COLUMNS;
	rmr_view_table(listing->view, NULL, columns, listing->columns);
	struct rmr_error *err = put_below(listing, node, 0, limit, &more);
	rmr_view_end_table(listing->view, more);
	return err;
}

struct rmr_error *rmr_command_dominators(struct rmr_context *context, const struct rmr_call *call)
{
	struct listing listing = {.heap = call->snapshot->heap};
	struct rmr_dominators *dominators;
	struct rmr_line line = {0};
	uint32_t node = RMR_NO_OBJECT;
	uint64_t limit;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err)
		err = rmr_args_number(&call->args, "depth", 1, MAX_DEPTH, &listing.depth);
	if (!err && call->args.operand_count)
		err = rmr_snapshot_object(context, call->snapshot, call->args.operands[0], &node);
	if (!err)
		err = rmr_snapshot_dominators(call->snapshot, &dominators);
	if (!err)
		err = rmr_command_view(context, call, true, &listing.view);
	if (err)
		return err;
	listing.dominators = dominators;
	if (node == RMR_NO_OBJECT) {
		node = rmr_dominators_top(dominators);
	} else {
		rmr_object_add_line(&line, listing.heap, node);
		rmr_view_note(listing.view, "%s", rmr_line_get(&line));
		rmr_line_deinit(&line);
	}
	return rmr_view_finish(listing.view, put_listing(&listing, node, limit));
}
