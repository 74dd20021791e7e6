// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_text.h"
#include "payloads/heap_dump/records.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

START_TEST(test_integers)
{
	struct rmr_dump_heads heads = {0};
	static struct rmr_dump_smalls smalls;
	static const uint64_t edges[] = {0, 1, 9, 10, 99, 100, 999, 1000, 99999999, 100000000, 100000001,
		9999999999999999u, 10000000000000000u, 10000000000000001u, UINT64_MAX};
	char got[64], expected[64];

	for (size_t i = 0; i < 200000; i++) {
		uint64_t n = i < sizeof(edges) / sizeof(edges[0]) ? edges[i]
							  : next_random() >> i % 64;
		*rmr_dump_text_u64(got, n) = 0;
		snprintf(expected, sizeof(expected), "%llu", (unsigned long long)n);
		ck_assert_str_eq(got, expected);
		for (int again = 0; again < 2; again++) {
			*rmr_dump_text_address(got, n, &heads) = 0;
			ck_assert_str_eq(got, expected);
			*rmr_dump_text_count(got, n, &smalls) = 0;
			ck_assert_str_eq(got, expected);
		}
		*rmr_dump_text_i64(got, (int64_t)n) = 0;
		snprintf(expected, sizeof(expected), "%lld", (long long)n);
		ck_assert_str_eq(got, expected);
	}
}
END_TEST

static const struct {
	double value;
	const char *text; // Python's repr()
} floats[] = {
	{0.0, "0.0"}, {-0.0, "-0.0"}, {1.0, "1.0"}, {-2.5, "-2.5"}, {0.1, "0.1"}, {1e16, "1e+16"},
	{1e15, "1000000000000000.0"}, {123456789012345680.0, "1.2345678901234568e+17"},
	{9999999999999998.0, "9999999999999998.0"}, {1e-4, "0.0001"}, {1e-5, "1e-05"},
	{0.00012345, "0.00012345"}, {5e-324, "5e-324"}, {2.2250738585072014e-308,
	"2.2250738585072014e-308"}, {1.7976931348623157e308, "1.7976931348623157e+308"},
	{1e22, "1e+22"}, {1e23, "1e+23"}, {3.141592653589793, "3.141592653589793"},
	{2.0 / 3, "0.6666666666666666"}, {9007199254740993.0, "9007199254740992.0"},
	{2251799813685248.5, "2251799813685248.5"}, {1e100, "1e+100"}, {1.5e-10, "1.5e-10"},
	{INFINITY, "\"inf\""}, {-INFINITY, "\"-inf\""}, {NAN, "\"nan\""},
};

START_TEST(test_floats)
{
	char got[64];

	*rmr_dump_text_float(got, floats[_i].value) = 0;
	ck_assert_str_eq(got, floats[_i].text);
}
END_TEST

// Reads back the same, and no shorter text does.
START_TEST(test_random_floats)
{
	char got[64], shorter[64];

	for (int i = 0; i < 300000; i++) {
		uint64_t bits = next_random();
		double value;
		memcpy(&value, &bits, 8);
		if (i % 2)
			value = (double)(bits >> 11) / 9007199254740992.0;
		if (!isfinite(value))
			continue;
		*rmr_dump_text_float(got, value) = 0;
		double back = strtod(got, NULL);
		ck_assert_msg(memcmp(&back, &value, 8) == 0, "%s for %.17g", got, value);
		int digits = 0;
		for (const char *p = got; *p && *p != 'e'; p++)
			digits += *p >= '0' && *p <= '9' && (digits || *p != '0');
		if (digits > 1 && digits <= 17 && !strstr(got, ".0")) {
			snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, value);
			ck_assert_msg(strtod(shorter, NULL) != value, "%s is longer than %s", got,
				shorter);
		}
	}
}
END_TEST

START_TEST(test_digits)
{
	// 2^30 * (2^30 - 1) + 5, -(2^60), and 0 in 30-bit digits.
	const uint32_t first[] = {5, (1u << 30) - 1}, second[] = {0, 0, 1}, zero[] = {0, 0};
	char got[64];

	*rmr_dump_text_digits(got, first, 2, 0) = 0;
	ck_assert_str_eq(got, "1152921503533105157");
	*rmr_dump_text_digits(got, second, 3, 1) = 0;
	ck_assert_str_eq(got, "-1152921504606846976");
	*rmr_dump_text_digits(got, zero, 2, 0) = 0;
	ck_assert_str_eq(got, "0");
}
END_TEST

static const struct {
	const char *bytes;
	size_t size;
	unsigned encoding;
	const char *json;
} strings[] = {
	{"plain text, longer than eight", 29, RMR_TEXT_LATIN1, "plain text, longer than eight"},
	{"12345678", 8, RMR_TEXT_UTF8, "12345678"},
	{"1234567\"\\", 9, RMR_TEXT_LATIN1, "1234567\\\"\\\\"},
	{"\0\n\r\t\b\f\x01\x1f", 8, RMR_TEXT_LATIN1, "\\u0000\\n\\r\\t\\b\\f\\u0001\\u001f"},
	{"\xe9t\xe9 in latin-1\x7f\x80\xff", 17, RMR_TEXT_LATIN1,
		"\xc3\xa9t\xc3\xa9 in latin-1\x7f\xc2\x80\xc3\xbf"},
	{"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d", 11, RMR_TEXT_UTF8,
		"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d"},
	{"a\xff\xc0\x80\xed\xa0\x80z", 8, RMR_TEXT_UTF8,
		"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"},
	{"\xf0\x9f", 2, RMR_TEXT_UTF8, "\xef\xbf\xbd"},
	{"\xac\x20\x41\x00\x00\xd8", 6, RMR_TEXT_UCS2, "\xe2\x82\xac""A\\ud800"},
	{"\x0d\xf4\x01\x00\xff\xff\xff\xff", 8, RMR_TEXT_UCS4, "\xf0\x9f\x90\x8d\xef\xbf\xbd"},
};

START_TEST(test_strings)
{
	char got[256];
	// The source may be read up to the next multiple of eight, and no further.
	size_t padded = (strings[_i].size + 7) & ~(size_t)7;
	char *copy = calloc(1, padded);

	memcpy(copy, strings[_i].bytes, strings[_i].size);
	*rmr_dump_text_string(got, copy, strings[_i].size, strings[_i].encoding) = 0;
	ck_assert_str_eq(got, strings[_i].json);
	free(copy);
}
END_TEST

// Every byte at every place of a word.
START_TEST(test_every_byte)
{
	char got[256], expected[256];

	for (int place = 0; place < 17; place++) {
		for (int byte = 0; byte < 128; byte++) {
			char text[24] = "abcdefghijklmnopq";
			text[place] = (char)byte;
			*rmr_dump_text_string(got, text, 17, RMR_TEXT_LATIN1) = 0;
			char one[8] = {(char)byte, 0}, *p = expected;
			p += sprintf(p, "%.*s", place, "abcdefghijklmnopq");
			static const char names[] = "btn\0fr";
			if (byte >= 8 && byte <= 13 && byte != 11)
				p += sprintf(p, "\\%c", names[byte - 8]);
			else if (byte < 32)
				p += sprintf(p, "\\u%04x", (unsigned)byte);
			else
				p += sprintf(p, "%s%s", byte == '"' || byte == '\\' ? "\\" : "", one);
			sprintf(p, "%s", &"abcdefghijklmnopq"[place + 1]);
			ck_assert_str_eq(got, expected);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dump_text");
	TCase *tests = tcase_create("dump_text");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_integers);
	tcase_add_loop_test(tests, test_floats, 0, sizeof(floats) / sizeof(floats[0]));
	tcase_add_test(tests, test_random_floats);
	tcase_add_test(tests, test_digits);
	tcase_add_loop_test(tests, test_strings, 0, sizeof(strings) / sizeof(strings[0]));
	tcase_add_test(tests, test_every_byte);
	suite_add_tcase(suite, tests);
	return rmr_run_suite(suite);
}
