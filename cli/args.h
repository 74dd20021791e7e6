// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Words of a command line, or of a line of the shell, sorted into a command's options and operands.
 */
#ifndef RMR_CLI_ARGS_H
#define RMR_CLI_ARGS_H

#include "attach/error.h"

#include <stddef.h>
#include <stdint.h>

/** A row of an option table, which ends with a zeroed row. */
struct rmr_option {
	const char *name;  /**< without dashes: "limit" for --limit */
	char letter;	   /**< 'o' for -o, or 0 */
	const char *value; /**< what its value is called, "FILE"; the choices, "table|json|csv", are
			    *   checked; NULL: it is a switch */
	const char *help;  /**< one line */
	bool last;	   /**< all words after it and its value are operands */
};

struct rmr_given {
	const struct rmr_option *option;
	const char *value; /**< NULL for a switch */
};

struct rmr_args {
	struct rmr_given *given; /**< in order, repeated ones too */
	size_t given_count;
	const char **operands; /**< borrowed from the words */
	size_t operand_count;
};

/**
 * Sorts @p words, which must outlive *ret. @p tables are @p table_count option tables, searched in
 * order. An option is --name VALUE, --name=VALUE, -l VALUE, -lVALUE; "--" ends the options, "-" is
 * an operand. With @p stop_after > 0 so many operands end the options as well (a payload's own
 * arguments follow). RMR_E_USAGE names the wrong word and, as a hint, the likely one. *ret is
 * ended by rmr_args_deinit().
 */
struct rmr_error *rmr_args_parse(const char *const *words, size_t count,
	const struct rmr_option *const *tables, size_t table_count, size_t stop_after,
	struct rmr_args *ret) RMR_MUST_CHECK;
void rmr_args_deinit(struct rmr_args *args);

/** How often --@p name was given. */
size_t rmr_args_count(const struct rmr_args *args, const char *name);
/** The last value given to --@p name, or NULL. */
const char *rmr_args_value(const struct rmr_args *args, const char *name);
/** The value given to it the @p index-th time, from 0. */
const char *rmr_args_nth(const struct rmr_args *args, const char *name, size_t index);
/** A number 0 to @p most; @p fallback if it was not given. RMR_E_USAGE. */
struct rmr_error *rmr_args_number(const struct rmr_args *args, const char *name, uint64_t fallback,
	uint64_t most, uint64_t *ret) RMR_MUST_CHECK;
/** Seconds, fractions allowed, as milliseconds; @p what names it in the error. RMR_E_USAGE. */
struct rmr_error *rmr_args_seconds(
	const char *text, const char *what, unsigned *ret_ms) RMR_MUST_CHECK;

/** True if all of @p text are digits, and at least one. */
bool rmr_args_is_digits(const char *text);

/** How many single-character edits turn @p a into @p b; exchanged neighbours are one edit. */
unsigned rmr_args_distance(const char *a, const char *b);
/** True if @p word was probably meant to be @p candidate. */
bool rmr_args_is_close(const char *word, const char *candidate);

#endif
