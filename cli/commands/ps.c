// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/procs.h"
#include "cli/commands/commands.h"

static const struct rmr_column columns[] = {
	{"pid", "PID", RMR_KIND_ID},
	{"user", "USER", RMR_KIND_TEXT},
	{"python", "PYTHON", RMR_KIND_TEXT},
	{"rss", "RSS", RMR_KIND_BYTES},
	{"threads", "THREADS", RMR_KIND_COUNT},
	{"age", "AGE", RMR_KIND_SECONDS},
	{"attach", "ATTACH", RMR_KIND_TEXT},
	{"command", "COMMAND", RMR_KIND_TEXT},
};

struct rmr_error *rmr_command_ps(struct rmr_context *context, const struct rmr_call *call)
{
	struct rmr_proc *procs;
	struct rmr_view *view;
	size_t count;
	uint64_t limit;

	struct rmr_error *err = rmr_command_limit(context, call, 0, &limit);
	if (err)
		return err;
	err = rmr_procs_list(&procs, &count);
	if (err)
		return err;
	err = rmr_command_view(context, call, true, &view);
	if (err) {
		rmr_procs_free(procs, count);
		return err;
	}
	size_t shown = limit && limit < count ? limit : count;
	rmr_view_table(view, NULL, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < shown; i++) {
		rmr_view_put_uint(view, (uint64_t)procs[i].pid);
		rmr_view_put_text(view, procs[i].user);
		rmr_view_put_text(view, procs[i].version);
		rmr_view_put_uint(view, procs[i].rss);
		rmr_view_put_uint(view, procs[i].threads);
		rmr_view_put_uint(view, procs[i].age_s);
		rmr_view_put_text(view, procs[i].refusal ? procs[i].refusal : "yes");
		rmr_view_put_text(view, procs[i].command);
	}
	rmr_view_end_table(view, count - shown);
	rmr_procs_free(procs, count);
	return rmr_view_close(view);
}
