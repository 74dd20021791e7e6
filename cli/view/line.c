// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/view/line.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum {
	SOME = 32, // bytes that most formats are content with
};

void rmr_line_deinit(struct rmr_line *text)
{
	free(text->bytes);
	*text = (struct rmr_line){0};
}

void rmr_line_clear(struct rmr_line *text)
{
	text->length = 0;
	if (text->bytes)
		text->bytes[0] = '\0';
}

const char *rmr_line_get(const struct rmr_line *text)
{
	return text->bytes ? text->bytes : "";
}

/** True if @p more bytes and a NUL fit. */
static bool reserve(struct rmr_line *text, size_t more)
{
	size_t need = text->length + more + 1;

	if (need <= text->capacity)
		return true;
	size_t capacity = text->capacity ? text->capacity : 64;
	while (capacity < need)
		capacity *= 2;
	char *bytes = realloc(text->bytes, capacity);
	if (!bytes) {
		text->lost = true;
		return false;
	}
	text->bytes = bytes;
	text->capacity = capacity;
	return true;
}

void rmr_line_add(struct rmr_line *text, const char *bytes, size_t length)
{
	if (!reserve(text, length))
		return;
	if (length)
		memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

void rmr_line_add_spaces(struct rmr_line *text, size_t count)
{
	if (!reserve(text, count))
		return;
	memset(text->bytes + text->length, ' ', count);
	text->length += count;
	text->bytes[text->length] = '\0';
}

void rmr_line_addf(struct rmr_line *text, const char *format, ...)
{
	va_list args;

	if (!reserve(text, SOME))
		return;
	size_t room = text->capacity - text->length;
	va_start(args, format);
	int length = vsnprintf(text->bytes + text->length, room, format, args);
	va_end(args);
	if (length >= 0 && (size_t)length >= room) {
		// What was written of it ends where the text did.
		text->bytes[text->length] = '\0';
		if (!reserve(text, (size_t)length))
			return;
		va_start(args, format);
		vsnprintf(text->bytes + text->length, (size_t)length + 1, format, args);
		va_end(args);
	}
	text->length += length > 0 ? (size_t)length : 0;
}

size_t rmr_line_decode(const char *bytes, size_t length, uint32_t *ret)
{
	const unsigned char *b = (const unsigned char *)bytes;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t need = b[0] < 0x80   ? 1
		      : b[0] < 0xc2 ? 0
		      : b[0] < 0xe0 ? 2
		      : b[0] < 0xf0 ? 3
		      : b[0] < 0xf5 ? 4
				    : 0;

	if (!need || need > length)
		return 0;
	uint32_t c = need == 1 ? b[0] : b[0] & (0x7fu >> need);
	for (size_t i = 1; i < need; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b[i] & 0x3f);
	}
	if (c < least[need] || c > 0x10ffff)
		return 0;
	*ret = c;
	return need;
}

/** True for a character that a terminal prints and does not obey. */
static bool is_harmless(uint32_t c)
{
	if (c < 0x7f)
		return c >= 0x20;
	if (c < 0xa0 || (c >= 0xd800 && c <= 0xdfff))
		return false;
	// Soft hyphen, Arabic letter mark, zero-width and direction marks, separators, invisible
	// operators and isolates, byte order mark, interlinear marks, tags.
	if (c == 0xad || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
		(c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
		(c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff))
		return false;
	return wcwidth((wchar_t)c) >= 0;
}

/** How many of the bytes, from the first on, are characters of ASCII that stand for themselves. */
static size_t plain_length(const char *bytes, size_t length)
{
	size_t i = 0;

	while (i < length && bytes[i] >= ' ' && bytes[i] < 0x7f && bytes[i] != '"' &&
		bytes[i] != '\'' && bytes[i] != '\\')
		i++;
	return i;
}

static void add_escape(struct rmr_line *text, uint32_t c)
{
	if (c == '\n')
		rmr_line_add(text, "\\n", 2);
	else if (c == '\t')
		rmr_line_add(text, "\\t", 2);
	else if (c == '\r')
		rmr_line_add(text, "\\r", 2);
	else if (c < 0x100)
		rmr_line_addf(text, "\\x%02x", (unsigned)c);
	else if (c < 0x10000)
		rmr_line_addf(text, "\\u%04x", (unsigned)c);
	else
		rmr_line_addf(text, "\\U%08x", (unsigned)c);
}

/** Appends those that stand for themselves. @return how many they are */
static size_t add_plain(struct rmr_line *text, const char *bytes, size_t length)
{
	size_t plain = plain_length(bytes, length);

	rmr_line_add(text, bytes, plain);
	return plain;
}

static void add_guarded(struct rmr_line *text, const char *bytes, size_t length, char quote)
{
	for (size_t i = 0; (i += add_plain(text, bytes + i, length - i)) < length;) {
		uint32_t c = 0;
		size_t used = rmr_line_decode(bytes + i, length - i, &c);

		if (!used) {
			add_escape(text, (unsigned char)bytes[i]);
			i++;
			continue;
		}
		if (!is_harmless(c))
			add_escape(text, c);
		else if (quote && (c == (unsigned char)quote || c == '\\'))
			rmr_line_addf(text, "\\%c", (char)c);
		else
			rmr_line_add(text, bytes + i, used);
		i += used;
	}
}

void rmr_line_add_safe(struct rmr_line *text, const char *bytes, size_t length)
{
	add_guarded(text, bytes, length, 0);
}

void rmr_line_add_quoted(struct rmr_line *text, const char *bytes, size_t length)
{
	bool single = memchr(bytes, '\'', length) != NULL;
	char quote = single && !memchr(bytes, '"', length) ? '"' : '\'';

	rmr_line_add(text, &quote, 1);
	add_guarded(text, bytes, length, quote);
	rmr_line_add(text, &quote, 1);
}

static void add_json_escape(struct rmr_line *text, uint32_t c)
{
	if (c < 0x10000)
		rmr_line_addf(text, "\\u%04x", (unsigned)c);
	else
		rmr_line_addf(text, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
			(unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
}

void rmr_line_add_raw_json(struct rmr_line *text, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length;) {
		uint32_t c = 0;
		size_t used = rmr_line_decode(bytes + i, length - i, &c);

		if (used && is_harmless(c))
			rmr_line_add(text, bytes + i, used);
		else if (used && (c == '\t' || c == '\r' || c == '\n'))
			rmr_line_add(text, " ", 1); // between values: inside a string it is no JSON
		else
			add_json_escape(text, used ? c : 0xdc00u + (unsigned char)bytes[i]);
		i += used ? used : 1;
	}
}

void rmr_line_add_json(struct rmr_line *text, const char *bytes, size_t length)
{
	rmr_line_add(text, "\"", 1);
	for (size_t i = 0; (i += add_plain(text, bytes + i, length - i)) < length;) {
		uint32_t c = 0;
		size_t used = rmr_line_decode(bytes + i, length - i, &c);

		if (!used) {
			rmr_line_addf(text, "\\udc%02x", (unsigned char)bytes[i]);
			i++;
			continue;
		}
		if (c == '"' || c == '\\')
			rmr_line_addf(text, "\\%c", (char)c);
		else if (c == '\n')
			rmr_line_add(text, "\\n", 2);
		else if (is_harmless(c))
			rmr_line_add(text, bytes + i, used);
		else
			add_json_escape(text, c);
		i += used;
	}
	rmr_line_add(text, "\"", 1);
}

/** Length in bytes and columns of the character at @p bytes, which is safe text. */
static size_t step(const char *bytes, size_t length, size_t *columns)
{
	uint32_t c = 0;
	size_t used = rmr_line_decode(bytes, length, &c);
	int width = used ? wcwidth((wchar_t)c) : 1;

	*columns = width < 0 ? 1 : (size_t)width;
	return used ? used : 1;
}

size_t rmr_line_width(const char *safe, size_t length)
{
	size_t width = 0, columns;

	for (size_t i = 0; i < length; width += columns) {
		size_t plain = plain_length(safe + i, length - i);
		i += plain;
		columns = plain;
		if (!plain)
			i += step(safe + i, length - i, &columns);
	}
	return width;
}

void rmr_line_shorten(struct rmr_line *line, size_t start, size_t width)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	size_t length = line->length - start, columns;
	size_t total = length ? rmr_line_width(line->bytes + start, length) : 0;

	if (total <= width || !reserve(line, strlen(ellipsis)))
		return;
	char *safe = line->bytes + start;
	size_t head = width / 2, tail = width - 1 - head;
	size_t head_end = 0, used = 0;
	while (head_end < length) {
		size_t bytes = step(safe + head_end, length - head_end, &columns);
		if (used + columns > head)
			break;
		head_end += bytes;
		used += columns;
	}
	size_t tail_start = head_end, left = total - used;
	while (tail_start < length && left > tail) {
		tail_start += step(safe + tail_start, length - tail_start, &columns);
		left -= columns;
	}
	memmove(safe + head_end + 3, safe + tail_start, length - tail_start);
	memcpy(safe + head_end, ellipsis, 3);
	line->length = start + head_end + 3 + length - tail_start;
	line->bytes[line->length] = '\0';
}
