// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Help and the manual page, made from the command table. */
#ifndef RMR_CLI_COMMANDS_HELP_H
#define RMR_CLI_COMMANDS_HELP_H

#include "cli/command.h"

/** `remora help COMMAND` on the context's output. */
void rmr_help_command(struct rmr_context *context, const struct rmr_command *command);
/** `remora help` on @p out: the commands, a line each. */
void rmr_help_overview(const struct rmr_context *context, FILE *out);

#endif
