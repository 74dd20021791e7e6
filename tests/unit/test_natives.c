// SPDX-License-Identifier: GPL-3.0-or-later
/* Which C frame runs which Python frames. */
#include "attach/natives.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* Innermost first. natives: E the loop, c another C frame. frames: e a frame with which the loop was
 * entered, i one that it called by itself. runs: for each E "first-end", or NULL: not merged. */
static const struct {
	const char *natives, *frames, *runs;
} cases[] = {
	{"", "", ""},
	{"cc", "", ""},
	{"cEc", "e", "0-1 "},
	{"cEc", "iie", "0-3 "},
	{"ccEcEcc", "eie", "0-1 1-3 "},
	{"EE", "iee", "0-2 2-3 "},
	/* The innermost loop has just begun, or is about to end. */
	{"EcEc", "ie", "0-0 0-2 "},
	{"E", "", "0-0 "},
	/* A part of the loop without a name; a frame that the loop has not taken over. */
	{"ccc", "e", NULL},
	{"cEc", "ee", NULL},
	{"cEcEc", "e", NULL},
	/* Cut short. */
	{"cEc", "ei", NULL},
};

START_TEST(test_merge)
{
	struct rmr_stack_native natives[16] = {0};
	bool entries[16] = {0};
	size_t native_count = strlen(cases[_i].natives), count = strlen(cases[_i].frames);
	char got[128] = "";

	for (size_t i = 0; i < native_count; i++)
		natives[i].evaluates = cases[_i].natives[i] == 'E';
	for (size_t i = 0; i < count; i++)
		entries[i] = cases[_i].frames[i] == 'e';
	bool merged = rmr_natives_merge(natives, native_count, entries, count);
	ck_assert_msg(merged == (cases[_i].runs != NULL), "%s %s: %d", cases[_i].natives,
		cases[_i].frames, merged);
	if (!merged)
		return;
	for (size_t i = 0; i < native_count; i++) {
		size_t length = strlen(got);
		if (natives[i].evaluates)
			snprintf(got + length, sizeof(got) - length, "%zu-%zu ", natives[i].first,
				natives[i].first + natives[i].count);
		else
			ck_assert_uint_eq(natives[i].count, 0);
	}
	ck_assert_str_eq(got, cases[_i].runs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("natives");
	TCase *tcase = tcase_create("natives");

	tcase_add_loop_test(tcase, test_merge, 0, sizeof(cases) / sizeof(cases[0]));
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
