// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  What Tab offers in the shell. */
#ifndef RMR_CLI_SHELL_COMPLETE_H
#define RMR_CLI_SHELL_COMPLETE_H

#include "cli/shell/shell.h"

/**
 * The candidates for the word that starts at byte @p start of @p line and whose text so far is
 * @p word. Returns a list of malloc()ed strings that ends with NULL, malloc()ed too; or NULL, and
 * then *files_ret says if file names may stand there.
 */
char **rmr_complete_word(const struct rmr_shell *shell, const char *line, size_t start,
	const char *word, bool *files_ret);

#endif
