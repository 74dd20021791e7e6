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
	char *temporary; /**< the name it has meanwhile, NULL = none */
	bool force;
};

/**
 * Opens the output @p path ("-" is standard output). An existing regular file is RMR_E_INPUT unless
 * @p force. End it with rmr_output_commit() or rmr_output_abandon().
 */
struct rmr_error *rmr_output_open(const char *path, bool force, struct rmr_output *ret)
	RMR_MUST_CHECK;

/** Gives the file its name and closes it. On failure nothing has that name, or what had it before. */
struct rmr_error *rmr_output_commit(struct rmr_output *output) RMR_MUST_CHECK;

/** Closes and removes what was written. */
void rmr_output_abandon(struct rmr_output *output);

#endif
