// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The results of one command, written as aligned text, JSON or CSV. A command describes its
 * columns once and puts its values; the format is not its business.
 *
 * A view holds fields (one value with a name) and tables. Text shows fields as aligned lines and
 * tables with a title row. JSON is one array of objects for a view that is one table, otherwise one
 * object: fields are members, tables are arrays of objects. CSV (RFC 4180, but lines end with \n)
 * has a title row of keys; fields come as key,value rows; an empty line parts the pieces.
 * JSON and CSV have addresses in decimal, bytes as integers, shares as 0 to 1, as a dump has them.
 */
#ifndef RMR_CLI_VIEW_VIEW_H
#define RMR_CLI_VIEW_VIEW_H

#include "attach/error.h"
#include "cli/view/line.h"

#include <stdio.h>

enum rmr_format {
	RMR_FORMAT_TABLE,
	RMR_FORMAT_JSON,
	RMR_FORMAT_CSV,
};

/** What a column's values are, which decides how text shows them. */
enum rmr_kind {
	RMR_KIND_TEXT,	       /**< left-aligned; cut in the middle on a narrow terminal */
	RMR_KIND_COUNT,	       /**< 1,204,331 */
	RMR_KIND_ID,	       /**< a plain number: 4711 */
	RMR_KIND_BYTES,	       /**< 1.2 MiB, or all digits with rmr_style.exact */
	RMR_KIND_SIGNED_COUNT, /**< +12 */
	RMR_KIND_SIGNED_BYTES, /**< -1.2 MiB */
	RMR_KIND_SHARE,	       /**< 12.3%, from 0 to 1 */
	RMR_KIND_ADDRESS,      /**< 0x7f..., an object that the shell can name $1, $2, ... */
	RMR_KIND_SECONDS,      /**< whole seconds, as 3 min 20 s */
};

struct rmr_column {
	const char *key;   /**< in JSON and CSV */
	const char *title; /**< in text; NULL: the same as key */
	enum rmr_kind kind;
};

/** The addresses of the last rows shown, which the shell's $N stands for. */
struct rmr_rows {
	uint64_t *addresses;
	size_t count;
	size_t capacity;
};

/** How to write; chosen by the person, the same for every command. */
struct rmr_style {
	enum rmr_format format;
	unsigned width;	       /**< columns of the terminal; 0 = do not cut */
	bool exact;	       /**< bytes with all their digits */
	bool bold;	       /**< titles stand out (a terminal that can) */
	struct rmr_rows *rows; /**< if set, text rows with an address are numbered, and kept here */
};

struct rmr_view;

/**
 * Opens a view on @p out, which stays the caller's. @p single: it will be just one table.
 * *ret is ended by rmr_view_close(), on failure of the command too.
 */
struct rmr_error *rmr_view_open(FILE *out, const struct rmr_style *style, bool single,
	struct rmr_view **ret) RMR_MUST_CHECK;

/** Ends the document, flushes and frees. RMR_E_WRITE if anything could not be written. */
struct rmr_error *rmr_view_close(struct rmr_view *view) RMR_MUST_CHECK;
/** Frees a view whose command failed. What was already written stays written. */
void rmr_view_abandon(struct rmr_view *view);
/** rmr_view_close() unless @p err, which is returned then. */
struct rmr_error *rmr_view_finish(struct rmr_view *view, struct rmr_error *err) RMR_MUST_CHECK;

/** True once writing failed: a long listing may stop. */
bool rmr_view_failed(const struct rmr_view *view);

enum rmr_format rmr_view_format(const struct rmr_view *view);
bool rmr_view_exact(const struct rmr_view *view);

/** A line for people only: nothing in JSON and CSV. The text must be safe already. */
void rmr_view_note(struct rmr_view *view, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * The same for sentences, which go on on further lines where they do not fit into the terminal, or
 * where that is none, into @p room columns (0: as many as it takes). They start with @p head, of
 * one byte a column; the further lines are indented by its width.
 */
void rmr_view_prose(struct rmr_view *view, const char *head, unsigned room, const char *prose);

/** The next value put is a field of this name. */
void rmr_view_field(struct rmr_view *view, const char *key, const char *title, enum rmr_kind kind);
/** The same, in JSON only: what text tells with a note. */
void rmr_view_json_field(struct rmr_view *view, const char *key, enum rmr_kind kind);

/** Starts a table; until rmr_view_end_table() every @p count values put are a row. @p columns must
 *  live as long. A single view's table needs no @p key. */
void rmr_view_table(
	struct rmr_view *view, const char *key, const struct rmr_column *columns, size_t count);
/** Writes what is left of it. With @p more > 0 text says that so many rows were not shown. */
void rmr_view_end_table(struct rmr_view *view, uint64_t more);

void rmr_view_put_text(struct rmr_view *view, const char *bytes); /**< NULL puts nothing */
void rmr_view_put_bytes(struct rmr_view *view, const char *bytes, size_t length);
void rmr_view_put_uint(struct rmr_view *view, uint64_t value);
void rmr_view_put_int(struct rmr_view *view, int64_t value);
void rmr_view_put_real(struct rmr_view *view, double value);
/** A value that is not there: an empty cell, null in JSON. A field without value is not shown. */
void rmr_view_put_none(struct rmr_view *view);
/** @p shown for text, already safe, and @p json, a complete JSON value, for JSON; CSV has
 *  @p shown. */
void rmr_view_put_both(struct rmr_view *view, const char *shown, const char *json);

/** Parses "table", "json" or "csv"; false if it is none of them. */
bool rmr_format_parse(const char *name, enum rmr_format *ret);

/** The columns of the terminal that @p fd is, or 0 if it is none. */
unsigned rmr_terminal_width(int fd);

#endif
