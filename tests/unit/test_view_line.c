// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/view/line.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *in;
	size_t length;
	const char *safe;
	const char *quoted;
	const char *json;
} cases[] = {
	{"plain", 5, "plain", "'plain'", "\"plain\""},
	{"", 0, "", "''", "\"\""},
	{"it's", 4, "it's", "\"it's\"", "\"it's\""},
	{"a'b\"c", 5, "a'b\"c", "'a\\'b\"c'", "\"a'b\\\"c\""},
	{"back\\slash", 10, "back\\slash", "'back\\\\slash'", "\"back\\\\slash\""},
	{"\x1b[31mred", 8, "\\x1b[31mred", "'\\x1b[31mred'", "\"\\u001b[31mred\""},
	{"a\nb\tc\rd", 7, "a\\nb\\tc\\rd", "'a\\nb\\tc\\rd'", "\"a\\nb\\u0009c\\u000dd\""},
	{"nul\0in", 6, "nul\\x00in", "'nul\\x00in'", "\"nul\\u0000in\""},
	{"\x7f", 1, "\\x7f", "'\\x7f'", "\"\\u007f\""},
	{"\xc2\x9b", 2, "\\x9b", "'\\x9b'", "\"\\u009b\""},	    // a C1 control: CSI
	{"\xe2\x80\xae", 3, "\\u202e", "'\\u202e'", "\"\\u202e\""}, // right-to-left override
	{"\xf3\xa0\x80\x81", 4, "\\U000e0001", "'\\U000e0001'", "\"\\udb40\\udc01\""}, // a tag
	{"\xff\xfe", 2, "\\xff\\xfe", "'\\xff\\xfe'", "\"\\udcff\\udcfe\""},
	{"\xc0\xaf", 2, "\\xc0\\xaf", "'\\xc0\\xaf'", "\"\\udcc0\\udcaf\""}, // overlong
	{"\xed\xa0\x80", 3, "\\ud800", "'\\ud800'", "\"\\ud800\""},	     // a lone surrogate
	{"\xe4\xb8\xad", 3, "\xe4\xb8\xad", "'\xe4\xb8\xad'", "\"\xe4\xb8\xad\""},
	{"\xf0\x9f\x90\x9f", 4, "\xf0\x9f\x90\x9f", "'\xf0\x9f\x90\x9f'", "\"\xf0\x9f\x90\x9f\""},
	{"cut \xe4\xb8", 6, "cut \\xe4\\xb8", "'cut \\xe4\\xb8'", "\"cut \\udce4\\udcb8\""},
};

START_TEST(foreign_bytes_are_harmless)
{
	struct rmr_line line = {0};

	rmr_line_add_safe(&line, cases[_i].in, cases[_i].length);
	ck_assert_str_eq(rmr_line_get(&line), cases[_i].safe);
	rmr_line_clear(&line);
	rmr_line_add_quoted(&line, cases[_i].in, cases[_i].length);
	ck_assert_str_eq(rmr_line_get(&line), cases[_i].quoted);
	rmr_line_clear(&line);
	rmr_line_add_json(&line, cases[_i].in, cases[_i].length);
	ck_assert_str_eq(rmr_line_get(&line), cases[_i].json);
	rmr_line_deinit(&line);
}
END_TEST

START_TEST(raw_json_stays_json)
{
	static const char raw[] = "{\"a\": \"\xc2\x9b\x7f\xff\",\t1}";
	struct rmr_line line = {0};

	rmr_line_add_raw_json(&line, raw, sizeof(raw) - 1);
	ck_assert_str_eq(rmr_line_get(&line), "{\"a\": \"\\u009b\\u007f\\udcff\", 1}");
	rmr_line_deinit(&line);
}
END_TEST

static const struct {
	const char *in;
	size_t width;
	const char *out;
	size_t columns; // of `in`
} shortened[] = {
	{"abcdefghij", 10, "abcdefghij", 10},
	{"abcdefghij", 9, "abcd\xe2\x80\xa6ghij", 10},
	{"abcdefghij", 2, "a\xe2\x80\xa6", 10},
	{"abcdefghij", 1, "\xe2\x80\xa6", 10},
	{"\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 6, "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 6},
	{"\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 5, "\xe4\xb8\xad\xe2\x80\xa6\xe4\xb8\xad", 6},
	{"", 3, "", 0},
};

START_TEST(long_text_is_cut_in_its_middle)
{
	struct rmr_line line = {0};
	size_t length = strlen(shortened[_i].in);

	ck_assert_uint_eq(rmr_line_width(shortened[_i].in, length), shortened[_i].columns);
	rmr_line_add(&line, "before", 6);
	rmr_line_add(&line, shortened[_i].in, length);
	rmr_line_shorten(&line, 6, shortened[_i].width);
	ck_assert_str_eq(rmr_line_get(&line) + 6, shortened[_i].out);
	ck_assert_uint_le(rmr_line_width(line.bytes + 6, line.length - 6), shortened[_i].width);
	rmr_line_deinit(&line);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("view line");
	TCase *tcase = tcase_create("line");

	setlocale(LC_CTYPE, "C.UTF-8");
	tcase_add_loop_test(tcase, foreign_bytes_are_harmless, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_test(tcase, raw_json_stays_json);
	tcase_add_loop_test(
		tcase, long_text_is_cut_in_its_middle, 0, sizeof(shortened) / sizeof(*shortened));
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
