// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Other programs: Graphviz's dot, and what the shell's results are piped into. */
#ifndef RMR_CLI_PROGRAM_H
#define RMR_CLI_PROGRAM_H

#include "attach/error.h"

#include <sys/types.h>

/**
 * Starts argv[0], looked for in $PATH, with @p in and @p out as its standard input and output; its
 * SIGPIPE is not ignored, as remora's is. RMR_E_OS with errno: it could not be started.
 */
struct rmr_error *rmr_program_start(char *const argv[], int in, int out, pid_t *ret) RMR_MUST_CHECK;

/** Waits for its end, and returns the status that waitpid() gives. */
int rmr_program_wait(pid_t pid);

#endif
