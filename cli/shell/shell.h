// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The interactive shell: the commands of the one table, with HEAP and PID implied.
 *
 * On a process the snapshot is taken when a command first needs it, and by `dump`. The session of
 * `py` is opened at its first use and kept; then `dump` and `run` use it too.
 */
#ifndef RMR_CLI_SHELL_SHELL_H
#define RMR_CLI_SHELL_SHELL_H

#include "cli/command.h"
#include "cli/commands/dump.h"
#include "cli/commands/snapshot.h"

struct rmr_shell {
	struct rmr_context context;
	const char *target; /**< what the person typed */
	struct rmr_dump_settings dump;
	struct rmr_rows rows;
	uint64_t interpreter; /**< where `py` runs: 0 is the main one */
	bool interactive;
	bool keep_going; /**< a script goes on after a failed command */
	bool quit;
	int status; /**< of the last command that failed, 0 = none */
};

/** Makes sure that the shell of @p context has a snapshot. */
struct rmr_error *rmr_shell_snapshot(struct rmr_context *context) RMR_MUST_CHECK;

/** Leaves the process if `py` is in it. */
struct rmr_error *rmr_shell_detach(struct rmr_shell *shell) RMR_MUST_CHECK;

/** Runs all commands of a line; errors are printed, and counted in the shell. */
void rmr_shell_run_line(struct rmr_shell *shell, const char *line);

/** Reads and runs lines from a terminal, with history and completion, until it ends. */
struct rmr_error *rmr_prompt_run(struct rmr_shell *shell) RMR_MUST_CHECK;

#endif
