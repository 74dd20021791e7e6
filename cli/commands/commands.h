// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  What each row of the command table runs; each is in the file of its name,
 *  those of the shell in cli/shell/. */
#ifndef RMR_CLI_COMMANDS_COMMANDS_H
#define RMR_CLI_COMMANDS_COMMANDS_H

#include "cli/command.h"

typedef struct rmr_error *rmr_command_function(
	struct rmr_context *context, const struct rmr_call *call);

rmr_command_function rmr_command_children;
rmr_command_function rmr_command_cycles;
rmr_command_function rmr_command_diff;
rmr_command_function rmr_command_dominators;
rmr_command_function rmr_command_dump;
rmr_command_function rmr_command_graph;
rmr_command_function rmr_command_groups;
rmr_command_function rmr_command_help;
rmr_command_function rmr_command_leaks;
rmr_command_function rmr_command_leave;
rmr_command_function rmr_command_objects;
rmr_command_function rmr_command_payloads;
rmr_command_function rmr_command_ps;
rmr_command_function rmr_command_py;
rmr_command_function rmr_command_quit;
rmr_command_function rmr_command_referrers;
rmr_command_function rmr_command_renew;
rmr_command_function rmr_command_run;
rmr_command_function rmr_command_set;
rmr_command_function rmr_command_shell;
rmr_command_function rmr_command_show;
rmr_command_function rmr_command_sql;
rmr_command_function rmr_command_stacks;
rmr_command_function rmr_command_summary;
rmr_command_function rmr_command_tree;
rmr_command_function rmr_command_waste;
rmr_command_function rmr_command_why;

#endif
