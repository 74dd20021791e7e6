// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A strict RFC 8259 scanner for one line of text: it validates UTF-8, escapes and number grammar,
 * and treats a newline as an end, never as white space.
 *
 * All functions take a position and return the one after what they read, or NULL with the fault in
 * @p error. The buffer must be followed by at least RMR_JSON_PADDING readable bytes, the first of
 * them zero; nothing but the end of the buffer is found by that zero.
 */
#ifndef RMR_CLI_HEAP_JSON_H
#define RMR_CLI_HEAP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	RMR_JSON_PADDING = 64,
	RMR_JSON_DEPTH = 1024, /**< deepest nesting of arrays and objects */
};

struct rmr_json_error {
	const char *at;      /**< the first byte that cannot be; the end of the buffer if it was cut */
	const char *message; /**< constant text */
};

/** @p p is at the opening quote; the result is after the closing one. */
const char *rmr_json_string(const char *p, struct rmr_json_error *error);
/** @p p is at '-' or a digit. */
const char *rmr_json_number(const char *p, struct rmr_json_error *error);
/** Any value. */
const char *rmr_json_value(const char *p, struct rmr_json_error *error);

/** One whole JSON text in [start, end), newlines being white space, as the RFC has it. */
bool rmr_json_is_text(const char *start, const char *end, struct rmr_json_error *error);

/**
 * The value of @p key in the object that @p line starts with, or NULL. The line was validated
 * before. @p size_ret: length of the value's text.
 */
const char *rmr_json_get(const char *line, const char *key, size_t *size_ret);

/**
 * Decodes the string whose text (quotes included) is [start, start + size), validated before, to
 * UTF-8; a lone surrogate becomes the six characters \udXXX, NUL becomes \u0000. malloc()ed; NULL
 * when there is no memory or the text is no string.
 */
char *rmr_json_decode(const char *start, size_t size);

/** The next character of a validated string's inside: its code point (surrogates too). */
const char *rmr_json_next(const char *p, uint32_t *code_ret);

/** The unsigned integer whose text is [start, start + size), or @p otherwise. */
uint64_t rmr_json_uint(const char *start, size_t size, uint64_t otherwise);

/* The hot parts, inline. Little-endian, as every machine that remora runs on. */

static inline const char *rmr_json_blank(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\r')
		p++;
	return p;
}

static inline uint64_t rmr_json_load8(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/** The first byte at or after @p p that is a quote, a backslash, a control or not ASCII. */
__attribute__((always_inline)) static inline const char *rmr_json_plain(const char *p)
{
	const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;

	for (;; p += 8) {
		uint64_t word = rmr_json_load8(p);
		uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
		uint64_t found = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
			((word - ones * 0x20) & ~word) | word;
		found &= tops;
		if (found)
			return p + (__builtin_ctzll(found) >> 3);
	}
}

/** The number of leading ASCII digits among the 8 bytes of @p word. */
static inline unsigned rmr_json_digits8(uint64_t word)
{
	const uint64_t tops = 0x8080808080808080;
	uint64_t other = ((word + 0x4646464646464646) | (word - 0x3030303030303030) | word) & tops;

	return other ? (unsigned)__builtin_ctzll(other) >> 3 : 8;
}

/** The value of the first @p count (1 to 8) digits of @p word. */
__attribute__((always_inline)) static inline uint64_t rmr_json_value8(uint64_t word, unsigned count)
{
	word = (word - 0x3030303030303030) << (64 - 8 * count);
	word = word * 10 + (word >> 8);
	return (((word & 0x000000ff000000ff) * 0x000f424000000064) +
		       (((word >> 16) & 0x000000ff000000ff) * 0x0000271000000001)) >>
		32;
}

/**
 * An unsigned integer below 2^64 at @p p: the position after it, or NULL if there is none (a sign,
 * a fraction, an exponent, a leading zero, too large): the caller says what was wrong.
 */
__attribute__((always_inline)) static inline const char *rmr_json_digits(const char *p, uint64_t *ret)
{
	static const uint32_t powers[9] = {
		1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
	uint64_t word = rmr_json_load8(p);
	unsigned count = rmr_json_digits8(word), more = 0;

	if (!count || (*p == '0' && count > 1))
		return NULL;
	uint64_t value = rmr_json_value8(word, count);
	const char *end = p + count;
	if (count == 8) {
		word = rmr_json_load8(p + 8);
		more = rmr_json_digits8(word);
		if (more)
			value = value * powers[more] + rmr_json_value8(word, more);
		end += more;
	}
	if (more == 8) {
		for (; *end >= '0' && *end <= '9'; end++) {
			if (__builtin_mul_overflow(value, 10, &value) ||
				__builtin_add_overflow(value, (uint64_t)(*end - '0'), &value))
				return NULL;
		}
	}
	if (*end == '.' || *end == 'e' || *end == 'E')
		return NULL;
	*ret = value;
	return end;
}

#endif
