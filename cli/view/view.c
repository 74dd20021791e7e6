// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/view/view.h"

#include "attach/cleanup.h"
#include "cli/view/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
	WINDOW = 1000,	   // rows that are held back to find the widths of the columns
	MIN_TEXT = 6,	   // a text column is not cut below this
	MAX_ROWS = 100000, // addresses that $N can name
};

static const size_t LEFT_OUT = SIZE_MAX; // the width of a column that is not shown

/** One value on its way; which member counts is told by what. */
struct value {
	enum { NONE, TEXT, UINT, INT, REAL, BOTH } what;
	const char *bytes;
	size_t length;
	uint64_t u;
	int64_t i;
	double real;
	const char *json;
};

/** A cell of a text table that waits for its widths: a piece of the view's cells buffer. */
struct cell {
	size_t start;
	size_t length;
};

struct rmr_view {
	FILE *out;
	struct rmr_style style;
	bool single;
	bool started; // something of the document is out (JSON needs a comma, CSV an empty line)
	int write_errno;
	bool lost; // memory ran out

	struct rmr_column field; // of the value that comes next, unless in a table
	bool field_shown;
	bool fields_open; // CSV: the key,value title is out

	const struct rmr_column *columns; // NULL: not in a table
	size_t column_count;
	size_t at; // column of the next value
	uint64_t row_count;
	bool numbered;
	bool renumbered;      // an earlier table of this view has numbers
	uint64_t row_address; // the first one of this row, 0 = none
	size_t *widths;	      // of the shown columns
	bool widths_known;
	struct rmr_line cells;
	struct cell *waiting; // WINDOW rows of shown columns
	size_t waiting_count;
	struct rmr_line line;
};

struct rmr_error *rmr_view_open(
	FILE *out, const struct rmr_style *style, bool single, struct rmr_view **ret)
{
	struct rmr_view *view = calloc(1, sizeof(*view));

	if (!view)
		return &rmr_enomem;
	view->out = out;
	view->style = *style;
	view->single = single;
	if (style->format == RMR_FORMAT_JSON && !single)
		fputc('{', out);
	*ret = view;
	return NULL;
}

void rmr_view_abandon(struct rmr_view *view)
{
	if (!view)
		return;
	rmr_line_deinit(&view->cells);
	rmr_line_deinit(&view->line);
	free(view->waiting);
	free(view->widths);
	free(view);
}

struct rmr_error *rmr_view_close(struct rmr_view *view)
{
	if (view->style.format == RMR_FORMAT_JSON && !view->single)
		fputs("}\n", view->out);
	errno = 0;
	bool bad = fflush(view->out) != 0 || ferror(view->out);
	int errnum = view->write_errno ? view->write_errno : errno;
	bool lost = view->lost || view->cells.lost || view->line.lost;

	rmr_view_abandon(view);
	if (bad)
		return rmr_error_create(RMR_E_WRITE, errnum, "cannot write the results");
	return lost ? &rmr_enomem : NULL;
}

struct rmr_error *rmr_view_finish(struct rmr_view *view, struct rmr_error *err)
{
	if (!err)
		return rmr_view_close(view);
	rmr_view_abandon(view);
	return err;
}

bool rmr_view_failed(const struct rmr_view *view)
{
	return ferror(view->out) != 0;
}

enum rmr_format rmr_view_format(const struct rmr_view *view)
{
	return view->style.format;
}

bool rmr_view_exact(const struct rmr_view *view)
{
	return view->style.exact;
}

static void write_out(struct rmr_view *view, const char *bytes, size_t length)
{
	if (length && fwrite(bytes, 1, length, view->out) != length && !view->write_errno)
		view->write_errno = errno;
}

/** Writes the line buffer and empties it. */
static void write_line(struct rmr_view *view)
{
	write_out(view, rmr_line_get(&view->line), view->line.length);
	rmr_line_clear(&view->line);
}

void rmr_view_note(struct rmr_view *view, const char *format, ...)
{
	va_list args;

	if (view->style.format != RMR_FORMAT_TABLE)
		return;
	va_start(args, format);
	vfprintf(view->out, format, args);
	va_end(args);
	fputc('\n', view->out);
}

void rmr_view_prose(struct rmr_view *view, const char *head, unsigned room, const char *prose)
{
	struct rmr_line *line = &view->line;
	size_t indent = strlen(head), used = indent;

	if (view->style.format != RMR_FORMAT_TABLE)
		return;
	room = view->style.width ? view->style.width : room;
	rmr_line_add(line, head, indent);
	for (const char *at = prose; *at; at += strspn(at, " ")) {
		size_t length = strcspn(at, " "), width = rmr_line_width(at, length);
		if (room && used > indent && used + 1 + width > room) {
			rmr_line_add(line, "\n", 1);
			rmr_line_add_spaces(line, indent);
			used = indent;
		} else if (used > indent) {
			rmr_line_add(line, " ", 1);
			used++;
		}
		rmr_line_add(line, at, length);
		used += width;
		at += length;
	}
	rmr_line_add(line, "\n", 1);
	write_line(view);
}

/** Appends the value as text shows it; false if it is not there. */
static bool add_shown(struct rmr_line *text, const struct rmr_style *style, enum rmr_kind kind,
	const struct value *value)
{
	int64_t i = value->what == UINT ? (int64_t)value->u : value->i;

	if (value->what == NONE)
		return false;
	if (value->what == TEXT) {
		rmr_line_add_safe(text, value->bytes, value->length);
		return true;
	}
	if (value->what == BOTH) {
		rmr_line_add(text, value->bytes, value->length);
		return true;
	}
	switch (kind) {
	case RMR_KIND_ID:
	case RMR_KIND_TEXT:
		rmr_line_addf(text, "%" PRId64, i);
		break;
	case RMR_KIND_COUNT:
		if (value->what == INT)
			rmr_number_add_signed_count(text, i);
		else
			rmr_number_add_count(text, value->u);
		break;
	case RMR_KIND_BYTES:
		if (value->what == INT && i < 0)
			rmr_line_addf(text, "-");
		(style->exact ? rmr_number_add_count : rmr_number_add_bytes)(text,
			value->what != INT ? value->u : i < 0 ? -(uint64_t)i : (uint64_t)i);
		break;
	case RMR_KIND_SIGNED_COUNT:
		rmr_number_add_signed_count(text, i);
		break;
	case RMR_KIND_SIGNED_BYTES:
		(style->exact ? rmr_number_add_signed_count : rmr_number_add_signed_bytes)(text, i);
		break;
	case RMR_KIND_SHARE:
		rmr_number_add_share(text, value->real);
		break;
	case RMR_KIND_ADDRESS:
		rmr_line_addf(text, "0x%" PRIx64, value->u);
		break;
	case RMR_KIND_SECONDS:
		rmr_number_add_duration(text, value->u * 1000000000);
		break;
	}
	return true;
}

static void add_json(struct rmr_line *text, const struct value *value)
{
	switch (value->what) {
	case NONE:
		rmr_line_add(text, "null", 4);
		break;
	case TEXT:
		rmr_line_add_json(text, value->bytes, value->length);
		break;
	case UINT:
		rmr_line_addf(text, "%" PRIu64, value->u);
		break;
	case INT:
		rmr_line_addf(text, "%" PRId64, value->i);
		break;
	case REAL:
		rmr_line_addf(text, "%.6g", value->real);
		break;
	case BOTH:
		rmr_line_addf(text, "%s", value->json);
		break;
	}
}

static void add_csv_text(struct rmr_line *text, const char *bytes, size_t length)
{
	bool quote = false;

	if (!length)
		return; // bytes may be NULL
	for (size_t i = 0; i < length && !quote; i++)
		quote = strchr("\",\r\n", bytes[i]) != NULL;
	if (quote)
		rmr_line_add(text, "\"", 1);
	// Line ends are legal inside quotes; other control characters are not for a terminal.
	for (size_t i = 0, from = 0; i <= length; i++) {
		if (i < length && bytes[i] != '\n' && bytes[i] != '"')
			continue;
		rmr_line_add_safe(text, bytes + from, i - from);
		if (i < length)
			rmr_line_add(
				text, bytes[i] == '"' ? "\"\"" : "\n", bytes[i] == '"' ? 2 : 1);
		from = i + 1;
	}
	if (quote)
		rmr_line_add(text, "\"", 1);
}

static void add_csv(struct rmr_line *text, const struct value *value)
{
	if (value->what == TEXT || value->what == BOTH)
		add_csv_text(text, value->bytes, value->length);
	else if (value->what != NONE)
		add_json(text, value);
}

// Fields

void rmr_view_field(struct rmr_view *view, const char *key, const char *title, enum rmr_kind kind)
{
	view->field = (struct rmr_column){.key = key, .title = title, .kind = kind};
	view->field_shown = true;
}

void rmr_view_json_field(struct rmr_view *view, const char *key, enum rmr_kind kind)
{
	rmr_view_field(view, key, NULL, kind);
	view->field_shown = view->style.format == RMR_FORMAT_JSON;
}

static void put_field(struct rmr_view *view, const struct value *value)
{
	const struct rmr_column *field = &view->field;
	struct rmr_line *line = &view->line;

	if (!view->field_shown)
		return;
	if (view->style.format == RMR_FORMAT_JSON) {
		rmr_line_add(line, view->started ? ",\n " : "", view->started ? 3 : 0);
		rmr_line_add_json(line, field->key, strlen(field->key));
		rmr_line_add(line, ": ", 2);
		add_json(line, value);
	} else if (value->what == NONE) {
		return;
	} else if (view->style.format == RMR_FORMAT_CSV) {
		if (!view->fields_open)
			rmr_line_addf(line, "%skey,value\n", view->started ? "\n" : "");
		view->fields_open = true;
		rmr_line_addf(line, "%s,", field->key);
		add_csv(line, value);
		rmr_line_add(line, "\n", 1);
	} else {
		rmr_line_addf(line, "%-12s ", field->title ? field->title : field->key);
		add_shown(line, &view->style, field->kind, value);
		rmr_line_add(line, "\n", 1);
	}
	view->started = true;
	write_line(view);
}

// Tables

static bool is_left(enum rmr_kind kind)
{
	return kind == RMR_KIND_TEXT || kind == RMR_KIND_ADDRESS;
}

static void start_json_table(struct rmr_view *view, const char *key)
{
	struct rmr_line *line = &view->line;

	if (!view->single) {
		rmr_line_add(line, view->started ? ",\n " : "", view->started ? 3 : 0);
		rmr_line_add_json(line, key, strlen(key));
		rmr_line_add(line, ": ", 2);
	}
	rmr_line_add(line, "[", 1);
	write_line(view);
}

static void start_csv_table(struct rmr_view *view)
{
	struct rmr_line *line = &view->line;

	rmr_line_add(line, "\n", view->started ? 1 : 0);
	for (size_t i = 0; i < view->column_count; i++) {
		const char *key = view->columns[i].key;
		rmr_line_add(line, ",", i ? 1 : 0);
		add_csv_text(line, key, strlen(key));
	}
	rmr_line_add(line, "\n", 1);
	write_line(view);
}

/** Room for a window of rows and their widths; false if there is no memory. */
static bool reserve_window(struct rmr_view *view)
{
	size_t count = view->column_count + view->numbered;

	free(view->waiting);
	free(view->widths);
	/* Not cleared: that took longer than a short table. */
	view->waiting = reallocarray(NULL, WINDOW * count, sizeof(*view->waiting));
	view->widths = calloc(count, sizeof(*view->widths));
	return view->waiting && view->widths;
}

void rmr_view_table(
	struct rmr_view *view, const char *key, const struct rmr_column *columns, size_t count)
{
	bool has_address = false;

	for (size_t i = 0; i < count; i++)
		has_address |= columns[i].kind == RMR_KIND_ADDRESS;
	view->columns = columns;
	view->column_count = count;
	view->at = 0;
	view->row_count = 0;
	view->fields_open = false;
	view->widths_known = false;
	view->waiting_count = 0;
	view->numbered = has_address && view->style.rows && view->style.format == RMR_FORMAT_TABLE;
	if (view->numbered && !view->renumbered) {
		view->style.rows->count = 0;
		view->renumbered = true;
	}
	if (view->style.format == RMR_FORMAT_TABLE && !reserve_window(view)) {
		view->lost = true;
		return;
	}
	if (view->style.format == RMR_FORMAT_JSON)
		start_json_table(view, key);
	else if (view->style.format == RMR_FORMAT_CSV)
		start_csv_table(view);
	view->started = true;
}

static void keep_row(struct rmr_view *view)
{
	struct rmr_rows *rows = view->style.rows;

	if (rows->count == rows->capacity && rows->capacity < MAX_ROWS) {
		size_t capacity = rows->capacity ? rows->capacity * 2 : 64;
		uint64_t *more = realloc(rows->addresses, capacity * sizeof(*more));
		if (!more)
			return;
		rows->addresses = more;
		rows->capacity = capacity;
	}
	if (rows->count < rows->capacity)
		rows->addresses[rows->count++] = view->row_address;
}

/** The title of text column @p i, the number column first where there is one. */
static const struct rmr_column *shown_column(const struct rmr_view *view, size_t i)
{
	static const struct rmr_column number = {.key = "", .title = "", .kind = RMR_KIND_COUNT};

	if (!view->numbered)
		return &view->columns[i];
	return i ? &view->columns[i - 1] : &number;
}

static size_t shown_count(const struct rmr_view *view)
{
	return view->column_count + view->numbered;
}

static void add_title(struct rmr_line *text, const struct rmr_column *column)
{
	const char *title = column->title ? column->title : column->key;

	rmr_line_add_safe(text, title, strlen(title));
}

/** Leaves out column @p i if no row has anything in it; returns how much narrower that is. */
static size_t leave_out(struct rmr_view *view, size_t i)
{
	size_t count = shown_count(view), width = view->widths[i];

	for (size_t k = i; k < view->waiting_count; k += count) {
		if (view->waiting[k].length)
			return 0;
	}
	view->widths[i] = LEFT_OUT;
	return width + 2;
}

/**
 * Makes the row fit into the terminal: leaves empty columns out, where @p whole, all rows, are
 * there to tell, and then takes from the widest text columns.
 */
static void fit_widths(struct rmr_view *view, bool whole)
{
	size_t count = shown_count(view), total = 2 * (count - 1);

	for (size_t i = 0; i < count; i++)
		total += view->widths[i];
	for (size_t i = count; whole && i-- > 1 && view->style.width && total > view->style.width;)
		total -= leave_out(view, i);
	while (view->style.width && total > view->style.width) {
		size_t widest = count;
		for (size_t i = 0; i < count; i++) {
			if (shown_column(view, i)->kind == RMR_KIND_TEXT &&
				view->widths[i] > MIN_TEXT && view->widths[i] != LEFT_OUT &&
				(widest == count || view->widths[i] > view->widths[widest]))
				widest = i;
		}
		if (widest == count)
			break;
		view->widths[widest]--;
		total--;
	}
}

/** Appends a cell, cut and padded, to the line. */
static void add_padded(struct rmr_view *view, size_t i, const char *bytes, size_t length)
{
	struct rmr_line *line = &view->line;
	const struct rmr_column *column = shown_column(view, i);
	size_t room = view->widths[i], width = rmr_line_width(bytes, length);
	bool last = i + 1 == shown_count(view);

	if (room == LEFT_OUT)
		return;
	if (i)
		rmr_line_add(line, "  ", 2);
	if (!is_left(column->kind) && width < room)
		rmr_line_add_spaces(line, room - width);
	size_t start = line->length;
	rmr_line_add(line, bytes, length);
	if (column->kind == RMR_KIND_TEXT && width > room && view->style.width) {
		rmr_line_shorten(line, start, room);
	} else if (is_left(column->kind) && width < room && !last) {
		rmr_line_add_spaces(line, room - width);
	}
}

static void end_padded_line(struct rmr_view *view)
{
	while (view->line.length && view->line.bytes[view->line.length - 1] == ' ')
		view->line.length--;
	rmr_line_add(&view->line, "\n", 1);
	write_line(view);
}

static void write_titles(struct rmr_view *view)
{
	struct rmr_line title = {0};

	if (view->style.bold)
		write_out(view, "\033[1m", 4);
	for (size_t i = 0; i < shown_count(view); i++) {
		rmr_line_clear(&title);
		add_title(&title, shown_column(view, i));
		add_padded(view, i, rmr_line_get(&title), title.length);
	}
	rmr_line_deinit(&title);
	if (view->style.bold)
		rmr_line_add(&view->line, "\033[0m", 4);
	end_padded_line(view);
}

/** Writes the rows that waited; the first time the widths come from them. @p last: all are there. */
static void write_waiting(struct rmr_view *view, bool last)
{
	size_t count = shown_count(view);

	if (!view->widths_known) {
		for (size_t i = 0; i < count; i++) {
			add_title(&view->line, shown_column(view, i));
			view->widths[i] =
				rmr_line_width(rmr_line_get(&view->line), view->line.length);
			rmr_line_clear(&view->line);
		}
		for (size_t k = 0; k < view->waiting_count; k++) {
			const struct cell *cell = &view->waiting[k];
			size_t width = rmr_line_width(
				rmr_line_get(&view->cells) + cell->start, cell->length);
			if (width > view->widths[k % count])
				view->widths[k % count] = width;
		}
		fit_widths(view, last);
		view->widths_known = true;
		write_titles(view);
	}
	for (size_t k = 0; k < view->waiting_count; k++) {
		const struct cell *cell = &view->waiting[k];
		add_padded(view, k % count, rmr_line_get(&view->cells) + cell->start, cell->length);
		if (k % count == count - 1)
			end_padded_line(view);
	}
	view->waiting_count = 0;
	rmr_line_clear(&view->cells);
}

static void add_cell(struct rmr_view *view, size_t start)
{
	view->waiting[view->waiting_count++] = (struct cell){start, view->cells.length - start};
}

static void put_cell(struct rmr_view *view, const struct value *value)
{
	const struct rmr_column *column = &view->columns[view->at];
	size_t start = view->cells.length;

	if (view->numbered && view->at == 0) {
		view->row_address = 0;
		if (view->style.rows->count < MAX_ROWS)
			rmr_line_addf(&view->cells, "$%zu", view->style.rows->count + 1);
		add_cell(view, start);
		start = view->cells.length;
	}
	add_shown(&view->cells, &view->style, column->kind, value);
	add_cell(view, start);
	if (column->kind == RMR_KIND_ADDRESS && value->what == UINT && !view->row_address)
		view->row_address = value->u;
	if (view->at + 1 < view->column_count)
		return;
	if (view->numbered)
		keep_row(view);
	size_t row = shown_count(view);
	if (view->waiting_count + row > (size_t)WINDOW * row)
		write_waiting(view, false);
}

static void put_json_cell(struct rmr_view *view, const struct value *value)
{
	struct rmr_line *line = &view->line;
	const char *key = view->columns[view->at].key;

	if (view->at == 0)
		rmr_line_addf(line, "%s{", view->row_count ? ",\n" : "\n");
	else
		rmr_line_add(line, ", ", 2);
	rmr_line_add_json(line, key, strlen(key));
	rmr_line_add(line, ": ", 2);
	add_json(line, value);
	if (view->at + 1 == view->column_count) {
		rmr_line_add(line, "}", 1);
		write_line(view);
	}
}

static void put_csv_cell(struct rmr_view *view, const struct value *value)
{
	if (view->at)
		rmr_line_add(&view->line, ",", 1);
	add_csv(&view->line, value);
	if (view->at + 1 == view->column_count) {
		rmr_line_add(&view->line, "\n", 1);
		write_line(view);
	}
}

static void put(struct rmr_view *view, const struct value *value)
{
	if (view->lost)
		return;
	if (!view->columns) {
		put_field(view, value);
		return;
	}
	if (view->style.format == RMR_FORMAT_JSON)
		put_json_cell(view, value);
	else if (view->style.format == RMR_FORMAT_CSV)
		put_csv_cell(view, value);
	else
		put_cell(view, value);
	if (++view->at == view->column_count) {
		view->at = 0;
		view->row_count++;
	}
}

void rmr_view_end_table(struct rmr_view *view, uint64_t more)
{
	if (view->lost)
		return;
	if (view->style.format == RMR_FORMAT_JSON) {
		rmr_line_addf(&view->line, "%s]%s", view->row_count ? "\n" : "",
			view->single ? "\n" : "");
		write_line(view);
	} else if (view->style.format == RMR_FORMAT_TABLE) {
		write_waiting(view, true);
		if (more) {
			rmr_line_add(&view->line, "... ", 4);
			rmr_number_add_count(&view->line, more);
			rmr_line_addf(&view->line, " more (--limit 0 shows all)\n");
			write_line(view);
		}
	}
	view->columns = NULL;
}

void rmr_view_put_text(struct rmr_view *view, const char *bytes)
{
	if (bytes)
		rmr_view_put_bytes(view, bytes, strlen(bytes));
	else
		rmr_view_put_none(view);
}

void rmr_view_put_bytes(struct rmr_view *view, const char *bytes, size_t length)
{
	put(view, &(struct value){.what = TEXT, .bytes = bytes, .length = length});
}

void rmr_view_put_uint(struct rmr_view *view, uint64_t value)
{
	put(view, &(struct value){.what = UINT, .u = value});
}

void rmr_view_put_int(struct rmr_view *view, int64_t value)
{
	put(view, &(struct value){.what = INT, .i = value});
}

void rmr_view_put_real(struct rmr_view *view, double value)
{
	put(view, &(struct value){.what = REAL, .real = value});
}

void rmr_view_put_none(struct rmr_view *view)
{
	put(view, &(struct value){.what = NONE});
}

void rmr_view_put_both(struct rmr_view *view, const char *shown, const char *json)
{
	put(view, &(struct value){
			  .what = BOTH, .bytes = shown, .length = strlen(shown), .json = json});
}

bool rmr_format_parse(const char *name, enum rmr_format *ret)
{
	static const char *const names[] = {"table", "json", "csv"};

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum rmr_format)i;
			return true;
		}
	}
	return false;
}

unsigned rmr_terminal_width(int fd)
{
	struct winsize size;

	if (!isatty(fd))
		return 0;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
		return size.ws_col;
	return 80;
}
