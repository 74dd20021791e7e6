// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/commands/commands.h"
#include "inject/builtin.h"

static const struct rmr_column columns[] = {
	{"name", "PAYLOAD", RMR_KIND_TEXT},
	{"summary", "WHAT IT DOES", RMR_KIND_TEXT},
};

struct rmr_error *rmr_command_payloads(struct rmr_context *context, const struct rmr_call *call)
{
	struct rmr_view *view;
	size_t count;
	uint64_t limit;
	const struct rmr_builtin *list = rmr_builtin_list(&count);

	struct rmr_error *err = rmr_command_limit(context, call, 0, &limit);
	if (!err)
		err = rmr_command_view(context, call, true, &view);
	if (err)
		return err;
	size_t shown = limit && limit < count ? limit : count;
	rmr_view_table(view, NULL, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < shown; i++) {
		char summary[256];
		rmr_builtin_summary(&list[i], summary, sizeof(summary));
		rmr_view_put_text(view, list[i].name);
		rmr_view_put_text(view, summary);
	}
	rmr_view_end_table(view, count - shown);
	return rmr_view_close(view);
}
