// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * One line on a terminal that tells how far long work is, at what rate, and how long it still
 * takes. Nothing is shown in the first half second, nor where standard error is no terminal.
 */
#ifndef RMR_CLI_VIEW_PROGRESS_H
#define RMR_CLI_VIEW_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct rmr_progress {
	const char *what; /**< "loading app.json": static or outliving it, safe text */
	bool bytes;	  /**< amounts are bytes, not objects */
	bool is_estimate; /**< the total is estimated */
	bool enabled;
	bool shown; /**< a line stands on the terminal */
	uint64_t started_ns;
	uint64_t quiet_from_ns; /**< nothing is shown for half a second from here */
	uint64_t drawn_ns;
};

/** Starts it. @p unit_is_bytes says how amounts are shown. */
void rmr_progress_init(struct rmr_progress *progress, const char *what, bool unit_is_bytes);
/** @p done of @p total (0 = not known); cheap, redraws ten times a second at most. */
void rmr_progress_update(struct rmr_progress *progress, uint64_t done, uint64_t total);
/** Removes the line. */
void rmr_progress_end(struct rmr_progress *progress);

#endif
