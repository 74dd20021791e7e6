// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/json.h"

#include <stdlib.h>

static const char *fail(struct rmr_json_error *error, const char *at, const char *message)
{
	error->at = at;
	error->message = message;
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The well-formed sequences of RFC 3629, section 4: no overlong forms, no surrogates. */
static const char *scan_utf8(const char *p, struct rmr_json_error *error)
{
	const unsigned char *u = (const unsigned char *)p;
	unsigned char low = 0x80, high = 0xbf;
	int more;

	if (u[0] >= 0xc2 && u[0] <= 0xdf) {
		more = 1;
	} else if (u[0] >= 0xe0 && u[0] <= 0xef) {
		more = 2;
		if (u[0] == 0xe0)
			low = 0xa0;
		if (u[0] == 0xed)
			high = 0x9f;
	} else if (u[0] >= 0xf0 && u[0] <= 0xf4) {
		more = 3;
		if (u[0] == 0xf0)
			low = 0x90;
		if (u[0] == 0xf4)
			high = 0x8f;
	} else {
		return fail(error, p, "the text is not UTF-8");
	}
	for (int i = 1; i <= more; i++) {
		if (u[i] < low || u[i] > high)
			return fail(error, p + i, "the text is not UTF-8");
		low = 0x80;
		high = 0xbf;
	}
	return p + more + 1;
}

static const char *scan_escape(const char *p, struct rmr_json_error *error)
{
	p++;
	if (*p != 'u') {
		if (!*p || !strchr("\"\\/bfnrt", *p))
			return fail(error, p, "no such escape in a string");
		return p + 1;
	}
	p++;
	for (int i = 0; i < 4; i++, p++) {
		if (hex_value(*p) < 0)
			return fail(error, p, "\\u needs four hexadecimal digits");
	}
	return p;
}

const char *rmr_json_string(const char *p, struct rmr_json_error *error)
{
	p++;
	for (;;) {
		p = rmr_json_plain(p);
		if (*p == '"')
			return p + 1;
		if (*p == '\\')
			p = scan_escape(p, error);
		else if ((unsigned char)*p >= 0x80)
			p = scan_utf8(p, error);
		else
			return fail(error, p, "a control character or the end inside a string");
		if (!p)
			return NULL;
	}
}

const char *rmr_json_number(const char *p, struct rmr_json_error *error)
{
	if (*p == '-')
		p++;
	if (!is_digit(*p))
		return fail(error, p, "a number needs a digit here");
	if (*p == '0') {
		p++;
		if (is_digit(*p))
			return fail(error, p, "a number has no leading zero");
	}
	while (is_digit(*p))
		p++;
	if (*p == '.') {
		p++;
		if (!is_digit(*p))
			return fail(error, p, "a number needs a digit here");
		while (is_digit(*p))
			p++;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '+' || *p == '-')
			p++;
		if (!is_digit(*p))
			return fail(error, p, "a number needs a digit here");
		while (is_digit(*p))
			p++;
	}
	return p;
}

static const char *scan_word(const char *p, const char *word, struct rmr_json_error *error)
{
	for (; *word; word++, p++) {
		if (*p != *word)
			return fail(error, p, "no JSON value");
	}
	return p;
}

static const char *scan_scalar(const char *p, struct rmr_json_error *error)
{
	switch (*p) {
	case '"':
		return rmr_json_string(p, error);
	case 't':
		return scan_word(p, "true", error);
	case 'f':
		return scan_word(p, "false", error);
	case 'n':
		return scan_word(p, "null", error);
	default:
		if (*p == '-' || is_digit(*p))
			return rmr_json_number(p, error);
		return fail(error, p, "no JSON value");
	}
}

static const char *blank(const char *p, bool lines)
{
	while (*p == ' ' || *p == '\t' || *p == '\r' || (lines && *p == '\n'))
		p++;
	return p;
}

/* "key": of an object, up to its value. */
static const char *scan_key(const char *p, bool lines, struct rmr_json_error *error)
{
	p = blank(p, lines);
	if (*p != '"')
		return fail(error, p, "a key in quotes is needed here");
	p = rmr_json_string(p, error);
	if (!p)
		return NULL;
	p = blank(p, lines);
	if (*p != ':')
		return fail(error, p, "a colon is needed after a key");
	return p + 1;
}

/* Iterative: the stack is one bit a level, 1 for an object. */
static const char *scan_value(const char *p, bool lines, struct rmr_json_error *error)
{
	uint64_t stack[RMR_JSON_DEPTH / 64];
	unsigned depth = 0;

	for (;;) {
		p = blank(p, lines);
		if (*p == '[' || *p == '{') {
			bool object = *p == '{';
			if (depth == RMR_JSON_DEPTH)
				return fail(error, p, "nested too deeply");
			uint64_t bit = 1ull << (depth % 64);
			if (object)
				stack[depth / 64] |= bit;
			else
				stack[depth / 64] &= ~bit;
			depth++;
			p = blank(p + 1, lines);
			if (*p != (object ? '}' : ']')) {
				if (object && !(p = scan_key(p, lines, error)))
					return NULL;
				continue;
			}
		} else {
			p = scan_scalar(p, error);
			if (!p)
				return NULL;
			if (!depth)
				return p;
			p = blank(p, lines);
		}
		for (;;) {
			bool object = stack[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
			if (*p == ',') {
				p++;
				if (object && !(p = scan_key(p, lines, error)))
					return NULL;
				break;
			}
			if (*p != (object ? '}' : ']'))
				return fail(error, p, object ? "a comma or } is needed here"
							     : "a comma or ] is needed here");
			p++;
			if (!--depth)
				return p;
			p = blank(p, lines);
		}
	}
}

const char *rmr_json_value(const char *p, struct rmr_json_error *error)
{
	return scan_value(p, false, error);
}

bool rmr_json_is_text(const char *start, const char *end, struct rmr_json_error *error)
{
	const char *p = scan_value(start, true, error);

	if (!p)
		return false;
	p = blank(p, true);
	if (p != end) {
		fail(error, p, "nothing may follow the value");
		return false;
	}
	return true;
}

const char *rmr_json_get(const char *line, const char *key, size_t *size_ret)
{
	struct rmr_json_error error;
	size_t length = strlen(key);
	const char *found = NULL;
	const char *p = rmr_json_blank(line);

	if (*p != '{')
		return NULL;
	do {
		p = rmr_json_blank(p + 1);
		const char *name = p;
		if (*p != '"' || !(p = rmr_json_string(p, &error)))
			return found;
		bool same = (size_t)(p - name) == length + 2 && !memcmp(name + 1, key, length);
		if (!same && memchr(name, '\\', (size_t)(p - name))) {
			char *decoded = rmr_json_decode(name, (size_t)(p - name));
			same = decoded && !strcmp(decoded, key);
			free(decoded);
		}
		p = rmr_json_blank(p);
		if (*p != ':')
			return found;
		const char *value = rmr_json_blank(p + 1);
		p = rmr_json_value(value, &error);
		if (!p)
			return found;
		if (same) {
			found = value;
			*size_ret = (size_t)(p - value);
		}
		p = rmr_json_blank(p);
	} while (*p == ',');
	return found;
}

static uint32_t hex4(const char *p)
{
	uint32_t code = 0;

	for (int i = 0; i < 4; i++)
		code = code << 4 | (uint32_t)hex_value(p[i]);
	return code;
}

static const char *next_escape(const char *p, uint32_t *code_ret)
{
	static const char names[] = "bfnrt", codes[] = "\b\f\n\r\t";

	if (p[1] != 'u') {
		const char *name = strchr(names, p[1]);
		*code_ret = (uint32_t)(unsigned char)(name ? codes[name - names] : p[1]);
		return p + 2;
	}
	uint32_t code = hex4(p + 2);
	p += 6;
	if (code >= 0xd800 && code <= 0xdbff && p[0] == '\\' && p[1] == 'u') {
		uint32_t low = hex4(p + 2);
		if (low >= 0xdc00 && low <= 0xdfff) {
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
			p += 6;
		}
	}
	*code_ret = code;
	return p;
}

const char *rmr_json_next(const char *p, uint32_t *code_ret)
{
	const unsigned char *u = (const unsigned char *)p;

	if (*p == '\\')
		return next_escape(p, code_ret);
	if (u[0] < 0x80) {
		*code_ret = u[0];
		return p + 1;
	}
	if (u[0] < 0xe0) {
		*code_ret = (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
		return p + 2;
	}
	if (u[0] < 0xf0) {
		*code_ret = (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
		return p + 3;
	}
	*code_ret = (u[0] & 0x07u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
	return p + 4;
}

static char *put_utf8(char *out, uint32_t code)
{
	static const char hex[] = "0123456789abcdef";

	if (code == 0 || (code >= 0xd800 && code <= 0xdfff)) {
		*out++ = '\\';
		*out++ = 'u';
		for (int shift = 12; shift >= 0; shift -= 4)
			*out++ = hex[code >> shift & 15];
	} else if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

char *rmr_json_decode(const char *start, size_t size)
{
	if (!start || size < 2 || *start != '"')
		return NULL;
	/* No character's text is shorter than what it decodes to: \u0000 is six of both. */
	char *text = malloc(size);
	if (!text)
		return NULL;
	char *out = text;
	const char *end = start + size - 1;
	for (const char *p = start + 1; p < end;) {
		uint32_t code;
		p = rmr_json_next(p, &code);
		out = put_utf8(out, code);
	}
	*out = '\0';
	return text;
}

uint64_t rmr_json_uint(const char *start, size_t size, uint64_t otherwise)
{
	uint64_t value;
	const char *end = start ? rmr_json_digits(start, &value) : NULL;

	return end && end == start + size ? value : otherwise;
}
