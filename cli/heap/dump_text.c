// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_text.h"
#include "payloads/heap_dump/records.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

// ---- floats: Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2020) ----

enum { POW_MIN = -292, POW_MAX = 324, LIMBS = 40 };

struct u128 {
	uint64_t high, low;
};

/* Made when first asked for: all of them take 28 million instructions, a dump asks for some twenty. */
static struct u128 powers[POW_MAX - POW_MIN + 1];
static atomic_bool is_made[POW_MAX - POW_MIN + 1];
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

// A natural number, least significant limb first.
struct natural {
	uint32_t limb[LIMBS];
};

static void natural_times(struct natural *n, uint32_t by)
{
	uint64_t carry = 0;

	for (int i = 0; i < LIMBS; i++) {
		carry += (uint64_t)n->limb[i] * by;
		n->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

static int natural_bits(const struct natural *n)
{
	for (int i = LIMBS; i-- > 0;) {
		if (n->limb[i])
			return 32 * i + 32 - __builtin_clz(n->limb[i]);
	}
	return 0;
}

static bool natural_bit(const struct natural *n, int bit)
{
	return bit >= 0 && (n->limb[bit / 32] >> bit % 32 & 1);
}

// a - b if that is not negative.
static bool natural_subtract(struct natural *a, const struct natural *b)
{
	for (int i = LIMBS; i-- > 0;) {
		if (a->limb[i] != b->limb[i]) {
			if (a->limb[i] < b->limb[i])
				return false;
			break;
		}
	}
	int64_t borrow = 0;
	for (int i = 0; i < LIMBS; i++) {
		int64_t difference = (int64_t)a->limb[i] - b->limb[i] + borrow;
		a->limb[i] = (uint32_t)difference;
		borrow = difference >> 32;
	}
	return true;
}

static void add_one(struct u128 *g)
{
	if (++g->low == 0)
		g->high++;
}

static void shift_in(struct u128 *g, bool bit)
{
	g->high = g->high << 1 | g->low >> 63;
	g->low = g->low << 1 | bit;
}

// The 128 highest bits of 10^k, rounded up: what the algorithm multiplies with.
static struct u128 power_up(const struct natural *n)
{
	struct u128 g = {0, 0};
	int bits = natural_bits(n);
	bool rest = false;

	for (int i = 0; i < 128; i++)
		shift_in(&g, natural_bit(n, bits - 1 - i));
	for (int i = 0; i < bits - 128; i++)
		rest |= natural_bit(n, i);
	if (rest)
		add_one(&g);
	return g;
}

// The 128 highest bits of 10^-k, rounded up; n = 10^k. The quotient of 2^x and n, bit by bit.
static struct u128 power_down(const struct natural *n)
{
	struct natural remainder = {0};
	struct u128 g = {0, 0};
	int bits = natural_bits(n);

	// 2^(bits-1) <= n, and n is no power of two for k > 0, so the first quotient bit is next.
	remainder.limb[(bits - 1) / 32] = UINT32_C(1) << (bits - 1) % 32;
	for (int i = 0; i < 128; i++) {
		natural_times(&remainder, 2);
		shift_in(&g, natural_subtract(&remainder, n));
	}
	if (natural_bits(&remainder))
		add_one(&g);
	return g;
}

static struct u128 make_power(int k)
{
	struct natural n = {{1}};

	for (int i = k < 0 ? -k : k; i > 0; i--)
		natural_times(&n, 10);
	return k < 0 ? power_down(&n) : power_up(&n);
}

// The 128 highest bits of 10^k, rounded up.
static struct u128 power_of_ten(int k)
{
	int i = k - POW_MIN;

	if (!atomic_load_explicit(&is_made[i], memory_order_acquire)) {
		pthread_mutex_lock(&making);
		if (!atomic_load_explicit(&is_made[i], memory_order_relaxed))
			powers[i] = make_power(k);
		atomic_store_explicit(&is_made[i], true, memory_order_release);
		pthread_mutex_unlock(&making);
	}
	return powers[i];
}

static uint64_t round_to_odd(struct u128 g, uint64_t cp)
{
	unsigned __int128 x = (unsigned __int128)g.low * cp;
	unsigned __int128 y = (unsigned __int128)g.high * cp + (uint64_t)(x >> 64);

	return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

// The shortest decimal in the rounding interval of bits: digits * 10^*k_ret.
static uint64_t shortest(uint64_t bits, int *k_ret)
{
	uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
	int exponent = (int)(bits >> 52 & 2047);
	uint64_t c = exponent ? fraction | UINT64_C(1) << 52 : fraction;
	int q = (exponent ? exponent : 1) - 1075;

	if (q <= 0 && q > -53 && (c & ((UINT64_C(1) << -q) - 1)) == 0) {
		*k_ret = 0;
		return c >> -q;
	}
	bool even = c % 2 == 0, closer = fraction == 0 && exponent > 1;
	int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
	int h = q + (-k * 1741647 >> 19) + 1;
	struct u128 g = power_of_ten(-k);
	uint64_t below = round_to_odd(g, (4 * c - 2 + closer) << h);
	uint64_t at = round_to_odd(g, (4 * c) << h);
	uint64_t above = round_to_odd(g, (4 * c + 2) << h);
	uint64_t lower = below + !even, upper = above - !even;
	uint64_t s = at / 4;
	if (s >= 10) {
		uint64_t sp = s / 10;
		bool up_inside = lower <= 40 * sp, wp_inside = 40 * sp + 40 <= upper;
		if (up_inside != wp_inside) {
			*k_ret = k + 1;
			return sp + wp_inside;
		}
	}
	*k_ret = k;
	bool u_inside = lower <= 4 * s, w_inside = 4 * s + 4 <= upper;
	if (u_inside != w_inside)
		return s + w_inside;
	uint64_t middle = 4 * s + 2;
	return s + (at > middle || (at == middle && (s & 1)));
}

static char *put(char *p, const char *text, size_t size)
{
	memcpy(p, text, size);
	return p + size;
}

char *rmr_dump_text_float(char *p, double value)
{
	uint64_t bits;
	char digits[32];
	int k;

	memcpy(&bits, &value, 8);
	if (isnan(value))
		return put(p, "\"nan\"", 5);
	if (isinf(value))
		return value < 0 ? put(p, "\"-inf\"", 6) : put(p, "\"inf\"", 5);
	if (bits >> 63)
		*p++ = '-';
	if (bits << 1 == 0)
		return put(p, "0.0", 3);
	uint64_t decimal = shortest(bits & ~(UINT64_C(1) << 63), &k);
	while (decimal % 10 == 0) {
		decimal /= 10;
		k++;
	}
	int count = (int)(rmr_dump_text_u64(digits, decimal) - digits);
	int point = count + k; // digits before the decimal point
	if (point > 16 || point < -3) {
		*p++ = digits[0];
		if (count > 1) {
			*p++ = '.';
			p = put(p, digits + 1, (size_t)count - 1);
		}
		*p++ = 'e';
		*p++ = point - 1 < 0 ? '-' : '+';
		unsigned e = (unsigned)(point - 1 < 0 ? 1 - point : point - 1);
		if (e < 10)
			*p++ = '0';
		return rmr_dump_text_u64(p, e);
	}
	if (point <= 0) {
		p = put(p, "0.000", (size_t)(2 - point));
		return put(p, digits, (size_t)count);
	}
	if (point >= count) {
		p = put(p, digits, (size_t)count);
		p = put(p, "0000000000000000", (size_t)(point - count));
		return put(p, ".0", 2);
	}
	p = put(p, digits, (size_t)point);
	*p++ = '.';
	return put(p, digits + point, (size_t)(count - point));
}

// ---- ints ----

char *rmr_dump_text_digits(char *p, const void *digits, size_t count, int negative)
{
	// Base 10^9, least significant first; each 30-bit digit makes at most one more and a bit.
	uint32_t parts[RMR_DUMP_TEXT_MAX_DIGITS + RMR_DUMP_TEXT_MAX_DIGITS / 64 + 8];
	size_t used = 0;

	if (count > RMR_DUMP_TEXT_MAX_DIGITS)
		count = RMR_DUMP_TEXT_MAX_DIGITS;
	for (size_t i = count; i-- > 0;) {
		uint32_t digit;
		memcpy(&digit, (const char *)digits + 4 * i, 4);
		uint64_t carry = digit & ((UINT32_C(1) << 30) - 1);
		for (size_t j = 0; j < used; j++) {
			carry += (uint64_t)parts[j] << 30;
			parts[j] = (uint32_t)(carry % 1000000000);
			carry /= 1000000000;
		}
		while (carry) {
			parts[used++] = (uint32_t)(carry % 1000000000);
			carry /= 1000000000;
		}
	}
	if (negative)
		*p++ = '-';
	if (!used) {
		*p++ = '0';
		return p;
	}
	p = rmr_dump_text_u64(p, parts[--used]);
	while (used-- > 0) {
		*p++ = (char)('0' + parts[used] / 100000000);
		p = rmr_dump_text_eight(p, parts[used] % 100000000);
	}
	return p;
}

// ---- strings ----

static const char hex[] = "0123456789abcdef";

static char *put_escape(char *p, unsigned unit)
{
	char text[6] = {'\\', 'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15],
		hex[unit & 15]};

	return put(p, text, 6);
}

// One character below U+0080.
static inline char *put_ascii(char *p, unsigned c)
{
	static const char shorts[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
		['\r'] = 'r'};

	if (c >= 32 && c != '"' && c != '\\') {
		*p++ = (char)c;
		return p;
	}
	if (c < 32 && !shorts[c])
		return put_escape(p, c);
	*p++ = '\\';
	*p++ = c < 32 ? shorts[c] : (char)c;
	return p;
}

static char *put_character(char *p, uint32_t c)
{
	if (c < 0x80)
		return put_ascii(p, c);
	if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
	} else if (c >= 0xd800 && c < 0xe000) {
		return put_escape(p, c);
	} else if (c < 0x10000) {
		*p++ = (char)(0xe0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 63));
	} else if (c < 0x110000) {
		*p++ = (char)(0xf0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 63));
		*p++ = (char)(0x80 | (c >> 6 & 63));
	} else {
		return put_character(p, 0xfffd);
	}
	*p++ = (char)(0x80 | (c & 63));
	return p;
}

// True if none of the eight bytes needs more than to be copied.
static inline bool is_plain(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';

	// Exact only for bytes below 0x80; those above are caught by themselves.
	uint64_t hits = word | (word - ones * 32) | (quote - ones) | (slash - ones);
	return (hits & high) == 0;
}

// Takes over plain bytes as long as they come by eights; the source is padded to a multiple of 8.
static inline size_t copy_plain(char **p, const unsigned char *bytes, size_t from, size_t size)
{
	while (from < size) {
		uint64_t word;
		if (from + 8 > size)
			break;
		memcpy(&word, bytes + from, 8);
		if (!is_plain(word))
			break;
		memcpy(*p, &word, 8);
		*p += 8;
		from += 8;
	}
	return from;
}

static char *put_latin1(char *p, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size;) {
		i = copy_plain(&p, bytes, i, size);
		for (size_t end = i + 8 < size ? i + 8 : size; i < end; i++)
			p = put_character(p, bytes[i]);
	}
	return p;
}

// The character at bytes[*i], moving *i; U+FFFD for what is ill-formed.
static uint32_t next_utf8(const unsigned char *bytes, size_t size, size_t *i)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned first = bytes[(*i)++];
	unsigned count = first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
	uint32_t c = first;

	if (first < 0x80)
		return c;
	if (count == 1 || first >= 0xf8)
		return 0xfffd;
	c &= 0x7fu >> count;
	for (unsigned n = 1; n < count; n++) {
		if (*i >= size || (bytes[*i] & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (bytes[(*i)++] & 63);
	}
	return c < least[count] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c;
}

static char *put_utf8(char *p, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size;) {
		i = copy_plain(&p, bytes, i, size);
		for (size_t end = i + 8 < size ? i + 8 : size; i < end;)
			p = put_character(p, next_utf8(bytes, size, &i));
	}
	return p;
}

char *rmr_dump_text_string(char *p, const void *bytes, size_t size, unsigned encoding)
{
	const unsigned char *from = bytes;

	switch (encoding) {
	case RMR_TEXT_UTF8:
		return put_utf8(p, from, size);
	case RMR_TEXT_LATIN1:
		return put_latin1(p, from, size);
	case RMR_TEXT_UCS2:
		for (size_t i = 0; i + 2 <= size; i += 2)
			p = put_character(p, (uint32_t)(from[i] | from[i + 1] << 8));
		return p;
	case RMR_TEXT_UCS4:
		for (size_t i = 0; i + 4 <= size; i += 4) {
			uint32_t c;
			memcpy(&c, from + i, 4);
			p = put_character(p, c);
		}
		return p;
	}
	return p;
}

static char *put_meliae(char *p, uint32_t c)
{
	if (c >= 0x20 && c <= 0x7e) {
		if (c == '"' || c == '\\' || c == '/')
			*p++ = '\\';
		*p++ = (char)c;
		return p;
	}
	if (c < 0x10000)
		return put_escape(p, c);
	if (c > 0x10ffff)
		return put_escape(p, 0xfffd);
	p = put_escape(p, 0xd800 + ((c - 0x10000) >> 10));
	return put_escape(p, 0xdc00 + ((c - 0x10000) & 0x3ff));
}

char *rmr_dump_text_meliae(char *p, const void *bytes, size_t size, unsigned encoding, size_t most)
{
	const unsigned char *from = bytes;
	size_t step = encoding == RMR_TEXT_UCS2 ? 2 : encoding == RMR_TEXT_UCS4 ? 4 : 1;

	for (size_t i = 0, count = 0; i + step <= size && count < most; count++) {
		uint32_t c = 0;
		if (encoding == RMR_TEXT_UTF8) {
			c = next_utf8(from, size, &i);
		} else {
			memcpy(&c, from + i, step); // little endian, as the records are
			i += step;
		}
		p = put_meliae(p, c);
	}
	return p;
}

char *rmr_dump_text_quoted(char *p, const char *text)
{
	if (!text)
		return put(p, "null", 4);
	*p++ = '"';
	p = put_utf8(p, (const unsigned char *)text, strlen(text));
	*p++ = '"';
	return p;
}
