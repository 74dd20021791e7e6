// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct rmr_text *text, size_t size)
{
	if (text->failed)
		return false;
	if (text->room - text->size > size)
		return true;
	size_t room = (text->size + size) * 2 + 32;
	char *grown = realloc(text->data, room);
	if (!grown) {
		text->failed = true;
		return false;
	}
	text->data = grown;
	text->room = room;
	return true;
}

void rmr_text_add(struct rmr_text *text, const char *data, size_t size)
{
	if (!reserve(text, size))
		return;
	if (size)
		memcpy(text->data + text->size, data, size);
	text->size += size;
	text->data[text->size] = '\0';
}

void rmr_text_put(struct rmr_text *text, const char *string)
{
	rmr_text_add(text, string, strlen(string));
}

void rmr_text_format(struct rmr_text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size < 0 || !reserve(text, (size_t)size))
		return;
	va_start(args, format);
	vsnprintf(text->data + text->size, text->room - text->size, format, args);
	va_end(args);
	text->size += (size_t)size;
}

/* Control, format, separator, surrogate and private characters that Python's repr() escapes. */
static bool is_printable(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {{0, 0x1f}, {0x7f, 0xa0}, {0xad, 0xad}, {0x600, 0x605}, {0x61c, 0x61c},
		{0x180e, 0x180e}, {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},
		{0xd800, 0xf8ff}, {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xe0000, 0x10ffff}};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		if (code >= ranges[i].first && code <= ranges[i].last)
			return false;
	}
	return true;
}

void rmr_text_char(struct rmr_text *text, uint32_t code)
{
	char bytes[4];

	if (!is_printable(code)) {
		rmr_text_format(text, code < 0x100 ? "\\x%02x"
				: code < 0x10000   ? "\\u%04x"
						   : "\\U%08x",
			code);
		return;
	}
	if (code < 0x80) {
		bytes[0] = (char)code;
		rmr_text_add(text, bytes, 1);
	} else if (code < 0x800) {
		bytes[0] = (char)(0xc0 | code >> 6);
		bytes[1] = (char)(0x80 | (code & 0x3f));
		rmr_text_add(text, bytes, 2);
	} else if (code < 0x10000) {
		bytes[0] = (char)(0xe0 | code >> 12);
		bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (code & 0x3f));
		rmr_text_add(text, bytes, 3);
	} else {
		bytes[0] = (char)(0xf0 | code >> 18);
		bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
		bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[3] = (char)(0x80 | (code & 0x3f));
		rmr_text_add(text, bytes, 4);
	}
}

void rmr_text_count(struct rmr_text *text, uint64_t count)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);

	for (int i = 0; i < length; i++)
		rmr_text_format(text, "%s%c", i && (length - i) % 3 == 0 ? "," : "", digits[i]);
}

void rmr_text_bytes(struct rmr_text *text, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1023.95 && unit < 6; unit++)
		value /= 1024;
	rmr_text_format(text, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

char *rmr_text_take(struct rmr_text *text)
{
	if (!text->data && !text->failed)
		rmr_text_add(text, "", 0);
	char *data = text->data;
	if (text->failed) {
		free(data);
		data = NULL;
	}
	*text = (struct rmr_text){0};
	return data;
}

void rmr_text_deinit(struct rmr_text *text)
{
	free(text->data);
	*text = (struct rmr_text){0};
}
