// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/view/progress.h"

#include "attach/log.h"
#include "cli/view/number.h"
#include "cli/view/view.h"

#include <stdio.h>
#include <unistd.h>

enum {
	QUIET_NS = 500000000,
	REDRAW_NS = 100000000,
};

void rmr_progress_init(struct rmr_progress *progress, const char *what, bool unit_is_bytes)
{
	*progress = (struct rmr_progress){
		.what = what,
		.bytes = unit_is_bytes,
		.enabled = isatty(STDERR_FILENO) && !rmr_log_enabled(),
	};
	progress->started_ns = progress->quiet_from_ns = rmr_log_now();
}

void rmr_progress_update(struct rmr_progress *progress, uint64_t done, uint64_t total)
{
	uint64_t now;

	if (!progress->enabled)
		return;
	now = rmr_log_now();
	if (now - progress->quiet_from_ns < QUIET_NS || now - progress->drawn_ns < REDRAW_NS)
		return;
	progress->drawn_ns = now;

	struct rmr_line line = {0};
	double seconds = (double)(now - progress->started_ns) / 1e9, rate = (double)done / seconds;
	void (*add)(struct rmr_line *, uint64_t) =
		progress->bytes ? rmr_number_add_bytes : rmr_number_add_count;
	rmr_line_addf(&line, "%s: ", progress->what);
	add(&line, done);
	if (total > done) {
		rmr_line_addf(&line, progress->is_estimate ? " of about " : " of ");
		add(&line, total);
	}
	if (!progress->bytes)
		rmr_line_addf(&line, " objects");
	if (total)
		rmr_line_addf(&line, " (%.0f%%)", 100.0 * (double)done / (double)total);
	if (done) {
		rmr_line_add(&line, ", ", 2);
		add(&line, (uint64_t)rate);
		rmr_line_add(&line, "/s", 2);
	}
	if (total > done && done) {
		rmr_line_add(&line, ", ", 2);
		uint64_t left = (uint64_t)((double)(total - done) / rate) + 1;
		rmr_number_add_duration(&line, left * 1000000000);
		rmr_line_add(&line, " left", 5);
	}
	unsigned width = rmr_terminal_width(STDERR_FILENO);
	rmr_line_shorten(&line, 0, width - 1);
	fprintf(stderr, "\r%s\033[K", rmr_line_get(&line));
	progress->shown = true;
	rmr_line_deinit(&line);
}

void rmr_progress_end(struct rmr_progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
