// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/shell/complete.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/** A line of which the last word, that starts at `start`, is completed. */
static const struct {
	const char *line;
	const char *candidates; // joined by ' ', sorted as the table is; "" for none
	bool files;
} cases[] = {
	{"sum", "summary", false},
	{"d", "dump dominators diff detach", false},
	{"summary; wh", "why", false},
	{"summary | wh", "", true},
	{"zzz", "", false},
	{"objects --so", "--sort", false},
	{"objects --sort re", "retained referrers", false},
	{"objects -s re", "retained referrers", false},
	{"objects --format ", "table json csv", false},
	{"summary --li", "--limit", false},
	{"show --ti", "--timeout", false},
	{"help why", "why", false},
	{"set ", "timeout limit format exact", false},
	{"set format c", "csv", false},
	{"set exact o", "on off", false},
	{"dump -o ", "", true},
	{"diff ", "", true},
	{"run ", "", true},
	{"show ", "", false},
	{"nonsense ", "", false},
	{"sql 'SEL", "", false},
};

START_TEST(words_are_completed)
{
	struct rmr_shell shell = {0};
	const char *line = cases[_i].line;
	const char *space = strrchr(line, ' ');
	size_t start = space ? (size_t)(space + 1 - line) : 0;
	char joined[256] = "";
	bool files;

	shell.context.shell = &shell;
	char **list = rmr_complete_word(&shell, line, start, line + start, &files);
	for (size_t i = 0; list && list[i]; i++) {
		strcat(joined, i ? " " : "");
		strcat(joined, list[i]);
		free(list[i]);
	}
	free(list);
	ck_assert_str_eq(joined, cases[_i].candidates);
	ck_assert_int_eq(files, cases[_i].files);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("complete");
	TCase *tcase = tcase_create("complete");

	tcase_add_loop_test(tcase, words_are_completed, 0, sizeof(cases) / sizeof(*cases));
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
