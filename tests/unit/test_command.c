// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/command.h"
#include "cli/shell/words.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct rmr_option options[] = {
	{.name = "limit", .letter = 'n', .value = "N", .help = "a number"},
	{.name = "format", .value = "table|json|csv", .help = "a choice"},
	{.name = "force", .letter = 'f', .help = "a switch"},
	{.name = "code", .letter = 'c', .value = "CODE", .help = "the last one", .last = true},
	{0},
};

enum {
	MOST = 8,
};

/** Words in, options and operands out; or the error's message and hint. */
static const struct {
	const char *words[MOST];
	size_t stop_after;
	const char *operands; // joined by '|'
	const char *limit, *format, *code;
	size_t force;
	const char *message, *hint;
} lines[] = {
	{.words = {"a", "b"}, .operands = "a|b"},
	{.words = {"--limit", "3", "a"}, .operands = "a", .limit = "3"},
	{.words = {"a", "--limit=3"}, .operands = "a", .limit = "3"},
	{.words = {"-n3", "-n", "4"}, .operands = "", .limit = "4"},
	{.words = {"-fn5", "-ff"}, .operands = "", .limit = "5", .force = 3},
	{.words = {"--format", "json", "-", "--", "--limit"},
		.operands = "-|--limit",
		.format = "json"},
	{.words = {"-c", "print()", "--limit", "x"}, .operands = "--limit|x", .code = "print()"},
	{.words = {"1", "a.py", "--limit", "x"}, .stop_after = 2, .operands = "1|a.py|--limit|x"},
	{.words = {"--limit="}, .operands = "", .limit = ""},
	{.words = {"--limt", "3"},
		.message = "unknown option '--limt'",
		.hint = "did you mean '--limit'?"},
	{.words = {"--fromat", "x"},
		.message = "unknown option '--fromat'",
		.hint = "did you mean '--format'?"},
	{.words = {"--zzz"}, .message = "unknown option '--zzz'"},
	{.words = {"-x"}, .message = "unknown option '-x'"},
	{.words = {"--limit"}, .message = "option '--limit' needs a value: N"},
	{.words = {"--force=1"}, .message = "option '--force' takes no value"},
	{.words = {"--format", "xml"},
		.message = "option '--format' cannot be 'xml': it is one of table|json|csv"},
};

static void check_text(const char *got, const char *wanted)
{
	ck_assert_str_eq(got ? got : "(none)", wanted ? wanted : "(none)");
}

START_TEST(words_are_sorted)
{
	const struct rmr_option *const tables[] = {options};
	struct rmr_args args;
	size_t count = 0;

	while (count < MOST && lines[_i].words[count])
		count++;
	struct rmr_error *err =
		rmr_args_parse(lines[_i].words, count, tables, 1, lines[_i].stop_after, &args);
	if (lines[_i].message) {
		ck_assert_ptr_nonnull(err);
		ck_assert_int_eq(err->code, RMR_E_USAGE);
		ck_assert_str_eq(err->message, lines[_i].message);
		check_text(err->hint, lines[_i].hint);
		rmr_error_destroy(err);
		return;
	}
	ck_assert_ptr_null(err);
	char joined[256] = "";
	for (size_t i = 0; i < args.operand_count; i++) {
		strcat(joined, i ? "|" : "");
		strcat(joined, args.operands[i]);
	}
	ck_assert_str_eq(joined, lines[_i].operands);
	check_text(rmr_args_value(&args, "limit"), lines[_i].limit);
	check_text(rmr_args_value(&args, "format"), lines[_i].format);
	check_text(rmr_args_value(&args, "code"), lines[_i].code);
	ck_assert_uint_eq(rmr_args_count(&args, "force"), lines[_i].force);
	rmr_args_deinit(&args);
}
END_TEST

static const struct {
	const char *text;
	bool good;
	uint64_t address;
} addresses[] = {
	{"0x7f00", true, 0x7f00},
	{"0X7F00", true, 0x7f00},
	{"139637976727552", true, 139637976727552},
	{"7f0000100200", true, 0x7f0000100200},
	{"0", true, 0},
	{"18446744073709551615", true, UINT64_MAX},
	{"18446744073709551616", false, 0},
	{"0x10000000000000000", false, 0},
	{"", false, 0},
	{"0x", false, 0},
	{"-1", false, 0},
	{"12a", false, 0},
	{"zebra", false, 0},
	{"$2", true, 0xbb},
	{"$0", false, 0},
	{"$3", false, 0},
	{"$4", false, 0},
	{"$", false, 0},
};

START_TEST(addresses_in_every_form)
{
	uint64_t shown[] = {0xaa, 0xbb, 0};
	struct rmr_rows rows = {.addresses = shown, .count = 3};
	struct rmr_context context = {.style.rows = &rows};
	uint64_t address = 0;

	struct rmr_error *err = rmr_command_address(&context, addresses[_i].text, &address);
	ck_assert_int_eq(err == NULL, addresses[_i].good);
	ck_assert_uint_eq(address, addresses[_i].address);
	ck_assert_int_eq(err ? err->code : RMR_E_USAGE, RMR_E_USAGE);
	rmr_error_destroy(err);
}
END_TEST

static const struct {
	const char *text;
	bool good;
	pid_t pid;
} pids[] = {
	{"1", true, 1},
	{"4711", true, 4711},
	{"0", false, 0},
	{"-1", false, 0},
	{"", false, 0},
	{"12x", false, 0},
	{"2147483647", true, 2147483647},
	{"2147483648", false, 0},
	{"99999999999999999999", false, 0},
};

START_TEST(pids_are_digits)
{
	pid_t pid = 0;

	struct rmr_error *err = rmr_command_pid(pids[_i].text, &pid);
	ck_assert_int_eq(err == NULL, pids[_i].good);
	ck_assert_int_eq(pid, pids[_i].pid);
	rmr_error_destroy(err);
}
END_TEST

START_TEST(seconds)
{
	static const struct {
		const char *text;
		bool good;
		unsigned ms;
	} cases[] = {{"5", true, 5000}, {"0", true, 0}, {"0.25", true, 250}, {"0.0001", true, 1},
		{"", false, 0}, {"-1", false, 0}, {"1e3", false, 0}, {"nan", false, 0},
		{"5s", false, 0}, {"99999999999", false, 0}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned ms = 0;
		struct rmr_error *err = rmr_args_seconds(cases[i].text, "it", &ms);
		ck_assert_msg((err == NULL) == cases[i].good && ms == cases[i].ms, "'%s': %u",
			cases[i].text, ms);
		rmr_error_destroy(err);
	}
}
END_TEST

START_TEST(distance_counts_edits)
{
	ck_assert_uint_eq(rmr_args_distance("", ""), 0);
	ck_assert_uint_eq(rmr_args_distance("abc", ""), 3);
	ck_assert_uint_eq(rmr_args_distance("limit", "limt"), 1);
	ck_assert_uint_eq(rmr_args_distance("format", "fromat"), 1);
	ck_assert_uint_eq(rmr_args_distance("kitten", "sitting"), 3);
	ck_assert(rmr_args_is_close("sumary", "summary"));
	ck_assert(rmr_args_is_close("dom", "dominators"));
	ck_assert(!rmr_args_is_close("x", "ps"));
	ck_assert(!rmr_args_is_close("summary", "why"));
}
END_TEST

/** A line of the shell: its first command's words joined by '|', and where the next one starts. */
static const struct {
	const char *line;
	const char *words;
	size_t next;
	bool unbalanced;
	bool quoted; // the last word is
} typed[] = {
	{"objects --type dict", "objects|--type|dict", 19, false, false},
	{"  a\t b ", "a|b", 7, false, false},
	{"", "", 0, false, false},
	{"# only a comment", "", 16, false, false},
	{"a b#c # d", "a|b#c", 9, false, false},
	{"a; b", "a", 2, false, false},
	{";b", "", 1, false, false},
	{"a 'b c' \"d e\"", "a|b c|d e", 13, false, true},
	{"a 'b''c'", "a|bc", 8, false, false},
	{"a x'b c'y", "a|xb cy", 9, false, false},
	{"a \"q \\\" \\\\ \\n\"", "a|q \" \\ \\n", 14, false, true},
	{"a b\\ c\\;d", "a|b c;d", 9, false, false},
	{"a '; #'", "a|; #", 7, false, true},
	{"a ''", "a|", 4, false, true},
	{"a 'open; b", "a|open; b", 10, true, false},
	{"a b | c; d", "a|b", 5, false, false},
	{"a b|c || '|' d", "a|b|c||||||d", 14, false, false},
};

START_TEST(lines_are_split)
{
	struct rmr_words words;
	char joined[256] = "";

	ck_assert_ptr_null(rmr_words_split(typed[_i].line, 0, &words));
	for (size_t i = 0; i < words.count; i++) {
		strcat(joined, i ? "|" : "");
		strcat(joined, words.words[i].text);
	}
	ck_assert_str_eq(joined, typed[_i].words);
	ck_assert_uint_eq(words.next, typed[_i].next);
	ck_assert_int_eq(words.unbalanced, typed[_i].unbalanced);
	if (words.count)
		ck_assert_int_eq(words.words[words.count - 1].quoted, typed[_i].quoted);
	rmr_words_deinit(&words);
}
END_TEST

START_TEST(the_table_is_sound)
{
	for (const struct rmr_command *c = rmr_commands; c->name; c++) {
		ck_assert_msg(c->summary && c->operands && c->run, "%s", c->name);
		ck_assert_uint_le(c->least, c->most);
		bool shell = !(c->flags & RMR_COMMAND_OUTSIDE);
		ck_assert_ptr_eq(rmr_command_find(c->name, shell), c);
		for (const struct rmr_option *o = c->options; o && o->name; o++)
			ck_assert_msg(o->help != NULL, "%s --%s", c->name, o->name);
	}
	ck_assert_ptr_null(rmr_command_find("quit", false));
	ck_assert_ptr_null(rmr_command_find("shell", true));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("command");
	TCase *tcase = tcase_create("command");

	tcase_add_loop_test(tcase, words_are_sorted, 0, sizeof(lines) / sizeof(*lines));
	tcase_add_loop_test(
		tcase, addresses_in_every_form, 0, sizeof(addresses) / sizeof(*addresses));
	tcase_add_loop_test(tcase, pids_are_digits, 0, sizeof(pids) / sizeof(*pids));
	tcase_add_test(tcase, seconds);
	tcase_add_test(tcase, distance_counts_edits);
	tcase_add_loop_test(tcase, lines_are_split, 0, sizeof(typed) / sizeof(*typed));
	tcase_add_test(tcase, the_table_is_sound);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
