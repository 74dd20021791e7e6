// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Text on its way to a person: a growing buffer, and the rules that keep foreign bytes harmless.
 * Names and values come from a process that may be hostile; nothing of theirs may move the cursor,
 * start an escape sequence or turn the reading direction.
 */
#ifndef RMR_CLI_VIEW_LINE_H
#define RMR_CLI_VIEW_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A growing string; zeroed is empty. Appending never fails loudly: see @p lost. */
struct rmr_line {
	char *bytes;   /**< NUL-terminated once anything was added, else NULL */
	size_t length; /**< bytes, without the NUL */
	size_t capacity;
	bool lost; /**< memory ran out: something was left out */
};

void rmr_line_deinit(struct rmr_line *text);
/** Empties it and keeps the memory. */
void rmr_line_clear(struct rmr_line *text);
/** The string; "" when empty. Valid until the next change. */
const char *rmr_line_get(const struct rmr_line *text);

void rmr_line_add(struct rmr_line *text, const char *bytes, size_t length);
void rmr_line_add_spaces(struct rmr_line *text, size_t count);
void rmr_line_addf(struct rmr_line *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * Appends @p bytes, UTF-8 or not, so that a terminal shows them and obeys none of them: control
 * and format characters, unassigned ones, bad UTF-8 and lone surrogates become \n, \x1b, \u202e.
 * Printable characters, the backslash included, stay as they are.
 */
void rmr_line_add_safe(struct rmr_line *text, const char *bytes, size_t length);

/** As rmr_line_add_safe(), between quotes, as Python's repr() of a str has it. */
void rmr_line_add_quoted(struct rmr_line *text, const char *bytes, size_t length);

/** Appends a JSON string with its quotes. ASCII control characters and what rmr_line_add_safe()
 *  escapes are written \uXXXX; a byte that is no UTF-8 becomes \udcXX, as Python's surrogateescape.
 */
void rmr_line_add_json(struct rmr_line *text, const char *bytes, size_t length);

/** Appends JSON text that is valid already, with what rmr_line_add_safe() would escape as \uXXXX.
 */
void rmr_line_add_raw_json(struct rmr_line *text, const char *bytes, size_t length);

/** Columns that safe text takes on a terminal. */
size_t rmr_line_width(const char *safe, size_t length);

/**
 * Shortens what was added from byte @p start on, which is safe text, to at most @p width columns
 * (at least 1) by a "…" in its middle.
 */
void rmr_line_shorten(struct rmr_line *line, size_t start, size_t width);

/**
 * Decodes one character at @p bytes (@p length > 0) into *ret; returns its length in bytes, or 0
 * if the bytes are no UTF-8. Surrogates (D800 to DFFF) decode: dumps hold lone ones.
 */
size_t rmr_line_decode(const char *bytes, size_t length, uint32_t *ret);

#endif
