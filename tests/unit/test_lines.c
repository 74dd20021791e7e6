// SPDX-License-Identifier: GPL-3.0-or-later
/* Line tables of one function, as the compilers of five versions made them, and the line of each
 * instruction, as PyCode_Addr2Line() of that version tells it. */
#include "payloads/heap_dump/lines.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdlib.h>

enum { END = -100 };

struct at {
	int32_t lasti;
	int32_t line; /* from there on, up to the next */
};

/* 3.6 */
static const uint8_t table_6[] = {
	0, 1, 6, 1, 6, 1, 18, 1, 10, 1, 2, 1, 2, 127, 0, 25, 2, 1, 10, 2, 10, 1, 2, 4,
};
static const struct at lines_6[] = {
	{0, 2}, {6, 3}, {12, 4}, {30, 5}, {40, 6}, {42, 7}, {44, 159}, {46, 160}, {56, 162},
	{66, 163}, {68, 167}, {76, END},
};
/* 3.8 */
static const uint8_t table_8[] = {
	0, 1, 6, 1, 6, 1, 2, 255, 16, 2, 8, 1, 2, 1, 2, 127, 0, 25, 2, 1, 2, 128, 0, 231, 8, 127,
	0, 28, 8, 1, 2, 4, 4, 252,
};
static const struct at lines_8[] = {
	{0, 2}, {6, 3}, {12, 4}, {14, 3}, {30, 5}, {38, 6}, {40, 7}, {42, 159}, {44, 160},
	{46, 7}, {54, 162}, {62, 163}, {64, 167}, {68, 163}, {72, END},
};
/* 3.10 */
static const uint8_t table_10[] = {
	6, 1, 6, 1, 2, 1, 8, 255, 28, 255, 8, 3, 2, 1, 2, 1, 0, 127, 2, 25, 2, 1, 0, 129, 6, 230,
	0, 127, 12, 28, 2, 1, 4, 4, 4, 252,
};
static const struct at lines_10[] = {
	{0, 2}, {6, 3}, {12, 4}, {14, 3}, {22, 2}, {50, 5}, {58, 6}, {60, 7}, {62, 159},
	{64, 160}, {66, 7}, {72, 162}, {84, 163}, {86, 167}, {90, 163}, {94, END},
};
/* 3.11 */
static const uint8_t table_11[] = {
	128, 0, 216, 9, 10, 240, 0, 2, 5, 25, 240, 0, 2, 5, 25, 240, 2, 1, 13, 25, 240, 0, 1, 13,
	25, 216, 22, 23, 240, 3, 1, 13, 25, 241, 0, 1, 13, 25, 244, 0, 1, 13, 25, 136, 1, 240, 3,
	2, 5, 25, 240, 0, 2, 5, 25, 240, 0, 2, 5, 25, 241, 0, 2, 5, 25, 244, 0, 2, 5, 25, 240, 0,
	2, 5, 25, 240, 0, 2, 5, 25, 240, 0, 2, 5, 25, 240, 0, 2, 5, 25, 240, 0, 2, 5, 25, 240, 0,
	2, 5, 25, 248, 248, 248, 240, 0, 2, 5, 25, 240, 0, 2, 5, 25, 240, 0, 2, 5, 25, 240, 0, 2,
	5, 25, 240, 6, 0, 14, 15, 240, 0, 93, 2, 5, 18, 240, 0, 93, 2, 5, 18, 136, 1, 240, 2, 92,
	2, 9, 18, 216, 12, 13, 136, 65, 240, 112, 4, 0, 17, 18, 216, 16, 17, 241, 115, 4, 89, 2,
	13, 19, 244, 0, 89, 2, 13, 19, 240, 0, 89, 2, 13, 19, 240, 118, 4, 0, 17, 18, 136, 65,
	136, 65, 248, 144, 1, 136, 65, 136, 69, 136, 69, 136, 69, 136, 69, 216, 12, 13, 240, 8, 0,
	13, 14, 136, 65, 137, 67, 140, 67, 240, 9, 4, 12, 17, 240, 0, 4, 5, 17,
};
static const struct at lines_11[] = {
	{0, 1}, {2, 2}, {8, 3}, {12, 4}, {14, 3}, {32, 2}, {64, -1}, {70, 2}, {78, 5}, {86, 6},
	{88, 7}, {92, 159}, {94, 160}, {96, 7}, {112, 162}, {118, -1}, {120, 162}, {132, 163},
	{134, 167}, {152, 163}, {156, END},
};
/* 3.13 */
static const uint8_t table_13[] = {
	128, 0, 218, 9, 10, 225, 22, 23, 243, 3, 1, 13, 25, 217, 22, 23, 144, 17, 243, 3, 0, 14,
	15, 217, 22, 23, 240, 3, 0, 9, 10, 240, 0, 1, 13, 25, 247, 3, 0, 10, 11, 243, 6, 0, 14,
	15, 136, 1, 240, 2, 92, 2, 9, 18, 217, 12, 13, 240, 112, 4, 0, 17, 18, 216, 16, 17, 244,
	115, 4, 89, 2, 13, 19, 240, 118, 4, 0, 17, 18, 138, 65, 241, 123, 4, 0, 14, 15, 240, 124,
	4, 0, 13, 14, 241, 8, 0, 13, 14, 139, 67, 240, 9, 4, 12, 17, 240, 0, 4, 5, 17, 249, 242,
	65, 5, 1, 13, 25, 247, 3, 0, 10, 11, 141, 17, 251, 240, 64, 5, 0, 17, 18, 137, 65, 250,
};
static const struct at lines_13[] = {
	{0, 1}, {2, 2}, {8, 4}, {12, 3}, {20, 4}, {26, 3}, {34, 4}, {38, 3}, {42, 2}, {58, 5},
	{68, 6}, {70, 7}, {74, 159}, {76, 160}, {78, 7}, {88, 162}, {96, 5}, {100, 163},
	{102, 167}, {114, 163}, {118, -1}, {122, 3}, {128, 2}, {156, -1}, {164, 162}, {170, -1},
	{176, END},
};

static const struct {
	unsigned minor;
	const uint8_t *table;
	size_t size;
	const struct at *lines;
} cases[] = {
	{6, table_6, sizeof(table_6), lines_6},
	{8, table_8, sizeof(table_8), lines_8},
	{10, table_10, sizeof(table_10), lines_10},
	{11, table_11, sizeof(table_11), lines_11},
	{13, table_13, sizeof(table_13), lines_13},
};

START_TEST(test_lines)
{
	const struct at *at = cases[_i].lines;

	for (int32_t lasti = 0; at[1].line != END || lasti < at[1].lasti; lasti += 2) {
		if (at[1].line != END && lasti == at[1].lasti)
			at++;
		int32_t line = rmr_lines_find(
			cases[_i].minor, cases[_i].table, cases[_i].size, 1, lasti);
		ck_assert_msg(line == at->line, "3.%u, instruction at %d: line %d, not %d",
			cases[_i].minor, lasti, line, at->line);
	}
}
END_TEST

START_TEST(test_outside)
{
	/* Not started: the function's own line, or the first that there is; beyond the end: none. */
	ck_assert_int_eq(rmr_lines_find(8, table_8, sizeof(table_8), 1, -1), 1);
	ck_assert_int_eq(rmr_lines_find(10, table_10, sizeof(table_10), 1, 100000), -1);
	ck_assert_int_eq(rmr_lines_find(11, table_11, sizeof(table_11), 1, 100000), -1);
	for (unsigned minor = 6; minor <= 15; minor++)
		rmr_lines_find(minor, NULL, 0, 1, 0);
}
END_TEST

/* Any bytes end, and end in a line or in none. */
START_TEST(test_hostile)
{
	uint8_t *table = malloc(4096);

	ck_assert_ptr_nonnull(table);
	srand((unsigned)_i);
	for (size_t i = 0; i < 4096; i++)
		table[i] = _i ? (uint8_t)rand() : 0xff;
	for (unsigned minor = 6; minor <= 15; minor++) {
		for (size_t size = 0; size < 64; size++)
			ck_assert_int_ge(
				rmr_lines_find(minor, table + 4096 - size, size, INT32_MAX, 1 << 30),
				-1);
		ck_assert_int_ge(rmr_lines_find(minor, table, 4096, INT32_MIN, INT64_MAX), -1);
	}
	free(table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lines");
	TCase *tcase = tcase_create("lines");

	tcase_add_loop_test(tcase, test_lines, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tcase, test_outside);
	tcase_add_loop_test(tcase, test_hostile, 0, 20);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
