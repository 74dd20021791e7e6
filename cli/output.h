// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A result file that appears under its name only when it is complete. A regular file is written
 * without a name (or under a temporary one, where the file system cannot do that) with mode 0600,
 * and named at the end; devices, pipes and sockets are written directly.
 */
#ifndef RMR_CLI_OUTPUT_H
#define RMR_CLI_OUTPUT_H

#include "attach/error.h"

#include <stdbool.h>

struct rmr_output {
	int fd;
	char *path;      /**< the final name, NULL for what is written directly */
	const char *stem, *ending; /**< borrowed; not NULL: the name is theirs, with a number if need be */
	char *temporary; /**< the name it has meanwhile, NULL = none */
	bool force;
};

/**
 * Opens the output @p path ("-" is standard output). An existing regular file is RMR_E_INPUT unless
 * @p force. End it with rmr_output_commit() or rmr_output_abandon().
 */
struct rmr_error *rmr_output_open(const char *path, bool force, struct rmr_output *ret)
	RMR_MUST_CHECK;

/**
 * Opens a file that gets a new name in the current folder: STEM ENDING, or STEM-2 ENDING and so on if
 * there is such a file when it is complete. After commit the name is in output.path, to be freed by
 * rmr_output_abandon(). Both texts are the caller's until then.
 */
struct rmr_error *rmr_output_open_fresh(const char *stem, const char *ending,
	struct rmr_output *ret) RMR_MUST_CHECK;

/** Gives the file its name and closes it. On failure nothing has that name, or what had it before. */
struct rmr_error *rmr_output_commit(struct rmr_output *output) RMR_MUST_CHECK;

/** Closes and removes what was written and was not committed. */
void rmr_output_abandon(struct rmr_output *output);

#endif
