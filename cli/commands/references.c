// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/commands/commands.h"
#include "cli/commands/object.h"

enum {
	ROWS = 20,
};

static struct rmr_error *list(struct rmr_context *context, const struct rmr_call *call,
	struct rmr_error *(*put)(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id,
		const char *key, uint64_t limit))
{
	struct rmr_line line = {0};
	struct rmr_view *view;
	uint64_t limit;
	uint32_t id;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err)
		err = rmr_snapshot_object(context, call->snapshot, call->args.operands[0], &id);
	if (!err)
		err = rmr_command_view(context, call, true, &view);
	if (err)
		return err;
	rmr_object_add_line(&line, call->snapshot->heap, id);
	rmr_view_note(view, "%s", rmr_line_get(&line));
	rmr_line_deinit(&line);
	return rmr_view_finish(view, put(view, call->snapshot->heap, id, NULL, limit));
}

struct rmr_error *rmr_command_children(struct rmr_context *context, const struct rmr_call *call)
{
	return list(context, call, rmr_object_put_children);
}

struct rmr_error *rmr_command_referrers(struct rmr_context *context, const struct rmr_call *call)
{
	return list(context, call, rmr_object_put_referrers);
}
