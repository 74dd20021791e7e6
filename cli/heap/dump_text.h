// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * JSON text for the dump writer: numbers and strings appended to a buffer that has the room.
 * Each function returns the new end. Nothing here allocates or fails.
 */
#ifndef RMR_CLI_HEAP_DUMP_TEXT_H
#define RMR_CLI_HEAP_DUMP_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	RMR_DUMP_TEXT_NUMBER = 20, /**< bytes that an integer takes at most */
	RMR_DUMP_TEXT_FLOAT = 26,
	RMR_DUMP_TEXT_WORST = 6,   /**< bytes that one byte of a string takes at most */
};

/** Eight decimal digits of @p n < 10^8 as bytes 0 to 9, the first digit in the lowest byte. */
static inline uint64_t rmr_dump_text_digits8(uint32_t n)
{
	uint64_t merged = n / 10000 | (uint64_t)(n % 10000) << 32;
	uint64_t top = (merged * 10486 >> 20) & UINT64_C(0x7f0000007f);
	uint64_t hundreds = ((merged - 100 * top) << 16) + top;
	uint64_t tens = hundreds * 103 >> 10 & UINT64_C(0x000f000f000f000f);

	return tens + ((hundreds - 10 * tens) << 8);
}

static inline char *rmr_dump_text_small(char *p, uint32_t n)
{
	uint64_t digits = rmr_dump_text_digits8(n);
	// Leading zeros, but never the last digit.
	unsigned skip = (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) & 56;

	digits = (digits | UINT64_C(0x3030303030303030)) >> skip;
	memcpy(p, &digits, 8);
	return p + 8 - skip / 8;
}

static inline char *rmr_dump_text_eight(char *p, uint32_t n)
{
	uint64_t digits = rmr_dump_text_digits8(n) | UINT64_C(0x3030303030303030);

	memcpy(p, &digits, 8);
	return p + 8;
}

/** @p n in decimal. Up to 8 bytes behind the new end may be overwritten. */
static inline char *rmr_dump_text_u64(char *p, uint64_t n)
{
	if (n < 100000000)
		return rmr_dump_text_small(p, (uint32_t)n);
	uint64_t high = n / 100000000;
	if (high < 100000000) {
		p = rmr_dump_text_small(p, (uint32_t)high);
	} else {
		p = rmr_dump_text_small(p, (uint32_t)(high / 100000000));
		p = rmr_dump_text_eight(p, (uint32_t)(high % 100000000));
	}
	return rmr_dump_text_eight(p, (uint32_t)(n % 100000000));
}

/**
 * First digits of addresses, all but the last eight, as text. Most objects of a heap share a few of
 * them, which saves half the work. Zeroed at the start.
 */
struct rmr_dump_heads {
	struct {
		uint64_t high; /**< the number that the digits are; 0 = nothing is here yet */
		uint64_t size; /**< of the text */
		char text[24]; /**< at most 12 digits */
	} items[8];
};

/** As rmr_dump_text_u64(). Up to 16 bytes behind the new end may be overwritten. */
static inline char *rmr_dump_text_address(char *p, uint64_t n, struct rmr_dump_heads *heads)
{
	uint64_t high = n / 100000000;
	unsigned at = (unsigned)high % (sizeof(heads->items) / sizeof(heads->items[0]));

	if (__builtin_expect(high != heads->items[at].high || !high, 0)) {
		if (!high)
			return rmr_dump_text_u64(p, n);
		heads->items[at].high = high;
		heads->items[at].size =
			(uint64_t)(rmr_dump_text_u64(heads->items[at].text, high) - heads->items[at].text);
	}
	memcpy(p, heads->items[at].text, 16);
	return rmr_dump_text_eight(p + heads->items[at].size, (uint32_t)(n - high * 100000000));
}

/**
 * The numbers below a thousand as text: most sizes, counts and lengths. Made when they are first asked
 * for; zeroed at the start.
 */
struct rmr_dump_smalls {
	uint32_t texts[1000]; /**< up to three characters, in the highest byte how many; 0 = not made */
};

/** As rmr_dump_text_u64(). */
static inline char *rmr_dump_text_count(char *p, uint64_t n, struct rmr_dump_smalls *smalls)
{
	if (n >= sizeof(smalls->texts) / sizeof(smalls->texts[0]))
		return rmr_dump_text_u64(p, n);
	uint32_t text = smalls->texts[n];
	if (__builtin_expect(!text, 0)) {
		char digits[16] = "";
		uint32_t size = (uint32_t)(rmr_dump_text_small(digits, (uint32_t)n) - digits);
		memcpy(&text, digits, 4);
		text = (text & ((UINT32_C(1) << 8 * size) - 1)) | size << 24;
		smalls->texts[n] = text;
	}
	memcpy(p, &text, 4);
	return p + (text >> 24);
}

static inline char *rmr_dump_text_i64(char *p, int64_t n)
{
	if (n >= 0)
		return rmr_dump_text_u64(p, (uint64_t)n);
	*p++ = '-';
	return rmr_dump_text_u64(p, -(uint64_t)n);
}

/** As Python's repr() has it: the shortest digits that read back the same; "nan", "inf", "-inf". */
char *rmr_dump_text_float(char *p, double value);

/**
 * An int of @p count 30-bit digits, least significant first; needs 10 bytes for each and 2 more.
 * At most RMR_DUMP_TEXT_MAX_DIGITS.
 */
char *rmr_dump_text_digits(char *p, const void *digits, size_t count, int negative);
enum { RMR_DUMP_TEXT_MAX_DIGITS = 1024 };

/**
 * The inside of a JSON string (no quotes): @p size bytes of the given enum rmr_text_encoding.
 * Needs RMR_DUMP_TEXT_WORST bytes for each; @p bytes may be read up to the next multiple of 8.
 * UTF-8 that is ill-formed becomes U+FFFD, lone surrogates \\udXXX.
 */
char *rmr_dump_text_string(char *p, const void *bytes, size_t size, unsigned encoding);

/**
 * The same as meliae's scanner has it (meliae 0.4.0, _scanner_core.c, _dump_unicode()): all but
 * 0x20 to 0x7e as \\uXXXX, also in pairs, and a slash escaped. At most @p most characters.
 */
char *rmr_dump_text_meliae(char *p, const void *bytes, size_t size, unsigned encoding, size_t most);

/** A NUL-terminated UTF-8 string with its quotes; NULL is null. Needs 6 bytes a byte and 3 more. */
char *rmr_dump_text_quoted(char *p, const char *text);

#endif
