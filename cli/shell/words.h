// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  A line of the shell, split into words as sh(1) does, without its expansions. */
#ifndef RMR_CLI_SHELL_WORDS_H
#define RMR_CLI_SHELL_WORDS_H

#include "attach/error.h"

#include <stddef.h>

struct rmr_word {
	char *text;   /**< without its quotes */
	size_t start; /**< where it starts in the line, with its quotes */
	bool quoted;  /**< it is one quoted string and nothing else */
};

/** One command of a line. */
struct rmr_words {
	struct rmr_word *words;
	size_t count;
	size_t next;	 /**< in the line: behind the ';' or '|' that ended it, or the line's end */
	bool piped;	 /**< a '|' ended it */
	bool unbalanced; /**< a quote was not closed; the last word is the rest of the line */
};

/**
 * Splits @p line from byte @p start on, up to a ';', or a '#' or '|' (but not '||', which is SQL's)
 * that starts a word, or its end. 'text'
 * is literal; in "text" a backslash quotes " and itself; elsewhere it quotes any character. *ret is
 * ended by rmr_words_deinit().
 */
struct rmr_error *rmr_words_split(
	const char *line, size_t start, struct rmr_words *ret) RMR_MUST_CHECK;
void rmr_words_deinit(struct rmr_words *words);

#endif
