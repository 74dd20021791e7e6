// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/json.h"

#include "tests/unit/heap_fixture.h"

/* A copy with the padding that the scanner asks for, so that a sanitizer sees what goes beyond. */
static bool is_text(const char *text, size_t size, struct rmr_json_error *error, size_t *at_ret)
{
	char *padded = calloc(1, size + RMR_JSON_PADDING);

	memcpy(padded, text, size);
	bool good = rmr_json_is_text(padded, padded + size, error);
	*at_ret = good ? size : (size_t)(error->at - padded);
	free(padded);
	return good;
}

static const char *const valid[] = {"null", "true", "false", "0", "-0", "1", "-12", "1.5", "0.25e10",
	"1E+2", "1e-2", "123456789012345678901234567890", "\"\"", "\"a\"", "\" \\\" \\\\ \\/ \\b\\f\\n\\r\\t \"",
	"\"\\u0000\\uD834\\uDD1E\"", "\"\\ud800\"", "\"\\uDFFF\\uD800\"", "\"\xc3\xa9\"",
	"\"\xe2\x82\xac\"", "\"\xf0\x9f\x98\x80\"", "\"\x7f\"", "[]", "{}", "[[]]", "[1,2,3]", " [ 1 , 2 ] ",
	"{\"a\":1,\"a\":2}", "{\"\":{}}", "\t\r\n[\n]\n", "[{\"a\":[{}]},null]", "\"\xf4\x8f\xbf\xbf\"",
	"\"\xef\xbf\xbf\""};

/* The text, and the offset of the first byte that cannot be. */
static const struct {
	const char *text;
	size_t at;
} invalid[] = {{"", 0}, {" ", 1}, {"nul", 3}, {"nulL", 3}, {"True", 0}, {"01", 1}, {"-", 1}, {"-a", 1},
	{"+1", 0}, {".5", 0}, {"1.", 2}, {"1.e5", 2}, {"1e", 2}, {"1e+", 3}, {"0x10", 1}, {"NaN", 0},
	{"Infinity", 0}, {"-Infinity", 1}, {"\"", 1}, {"\"a", 2}, {"\"\t\"", 1}, {"\"\n\"", 1},
	{"\"\\x\"", 2}, {"\"\\", 2}, {"\"\\u12", 5}, {"\"\\u12g4\"", 5}, {"\"\x80\"", 1},
	{"\"\xc0\xaf\"", 1}, {"\"\xe0\x80\xaf\"", 2}, {"\"\xed\xa0\x80\"", 2}, {"\"\xf5\x80\x80\x80\"", 1},
	{"\"\xf4\x90\x80\x80\"", 2}, {"\"\xc3", 2}, {"\"\xe2\x82\"", 3}, {"'a'", 0}, {"[", 1}, {"[1", 2},
	{"[1,", 3}, {"[1,]", 3}, {"[,1]", 1}, {"[1 2]", 3}, {"[1]]", 3}, {"]", 0}, {"{", 1}, {"{\"a\"", 4},
	{"{\"a\":", 5}, {"{\"a\":1", 6}, {"{\"a\":1,", 7}, {"{\"a\":1,}", 7}, {"{a:1}", 1},
	{"{\"a\" 1}", 5}, {"{\"a\":1 \"b\":2}", 7}, {"{1:1}", 1}, {"[1}", 2}, {"{\"a\":1]", 6}, {"1 2", 2},
	{"\xef\xbb\xbf[]", 0}, {"[]//", 2}, {"/**/[]", 0}, {"[1]x", 3}, {"[\"a", 3}, {"[tru]", 4},
	{"[-]", 2}, {"{\"a\":/}", 5}, {"[\f1]", 1}, {"[1\xc2\xa0]", 2}};

START_TEST(what_the_rfc_allows_is_read)
{
	struct rmr_json_error error = {0};
	size_t at;

	ck_assert_msg(is_text(valid[_i], strlen(valid[_i]), &error, &at), "%s", valid[_i]);
}
END_TEST

START_TEST(what_it_forbids_is_refused_where_it_is)
{
	struct rmr_json_error error = {0};
	size_t at;

	ck_assert_msg(!is_text(invalid[_i].text, strlen(invalid[_i].text), &error, &at), "%s",
		invalid[_i].text);
	ck_assert_msg(at == invalid[_i].at, "%s: at %zu", invalid[_i].text, at);
	ck_assert_ptr_nonnull(error.message);
}
END_TEST

START_TEST(zero_bytes_are_no_end)
{
	struct rmr_json_error error;
	size_t at;

	ck_assert(!is_text("[1]\0", 4, &error, &at));
	ck_assert_uint_eq(at, 3);
	ck_assert(!is_text("\"a\0b\"", 5, &error, &at));
	ck_assert_uint_eq(at, 2);
}
END_TEST

START_TEST(depth_is_finite)
{
	struct rmr_json_error error;
	char text[2 * RMR_JSON_DEPTH + 4];
	size_t at;

	memset(text, '[', RMR_JSON_DEPTH);
	memset(text + RMR_JSON_DEPTH, ']', RMR_JSON_DEPTH);
	ck_assert(is_text(text, 2 * (size_t)RMR_JSON_DEPTH, &error, &at));
	memset(text, '[', RMR_JSON_DEPTH + 1);
	memset(text + RMR_JSON_DEPTH + 1, ']', RMR_JSON_DEPTH + 1);
	ck_assert(!is_text(text, 2 * (size_t)RMR_JSON_DEPTH + 2, &error, &at));
	ck_assert_uint_eq(at, RMR_JSON_DEPTH);
}
END_TEST

START_TEST(integers_of_every_length)
{
	char text[40 + RMR_JSON_PADDING] = {0};
	uint64_t value, want = 0;

	for (int digits = 1; digits <= 20; digits++) {
		want = digits == 20 ? UINT64_MAX : want * 10 + (uint64_t)digits % 10;
		snprintf(text, sizeof(text), "%llu, 99", (unsigned long long)want);
		const char *end = rmr_json_digits(text, &value);
		ck_assert_ptr_eq(end, text + digits);
		ck_assert_uint_eq(value, want);
	}
	static const char *const none[] = {"", "a", "-1", "01", "00", "1.0", "1e3", "1E3",
		"18446744073709551616", "99999999999999999999", "123456789012345678901", "12345678.5"};
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		memset(text, 0, sizeof(text));
		strcpy(text, none[i]);
		ck_assert_msg(!rmr_json_digits(text, &value), "%s", none[i]);
	}
}
END_TEST

START_TEST(strings_are_decoded)
{
	static const struct {
		const char *json, *text;
	} cases[] = {{"\"\"", ""}, {"\"a\\nb\"", "a\nb"}, {"\"\\u00e9\xc3\xa9\"", "\xc3\xa9\xc3\xa9"},
		{"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"}, {"\"\\ud83d\"", "\\ud83d"},
		{"\"\\ude00\\ud83d\"", "\\ude00\\ud83d"}, {"\"\\ud83d\\u0041\"", "\\ud83dA"},
		{"\"\\u0000\"", "\\u0000"}, {"\"\\\\\\/\\\"\"", "\\/\""}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = rmr_json_decode(cases[i].json, strlen(cases[i].json));
		ck_assert_str_eq(text, cases[i].text);
		free(text);
	}
	ck_assert_ptr_null(rmr_json_decode("12", 2));
	ck_assert_ptr_null(rmr_json_decode(NULL, 0));
}
END_TEST

START_TEST(keys_are_found)
{
	const char line[100 + RMR_JSON_PADDING] =
		"{\"a\": 1, \"b\" : [2, {\"c\": 3}], \"\\u0064\": \"x\", \"a\": 4}";
	size_t size;

	const char *value = rmr_json_get(line, "b", &size);
	ck_assert_uint_eq(size, 13);
	ck_assert_int_eq(strncmp(value, "[2, {\"c\": 3}]", size), 0);
	/* The last of several counts, escapes in keys are seen through, inner keys are not found. */
	ck_assert_int_eq(*rmr_json_get(line, "a", &size), '4');
	ck_assert_int_eq(rmr_json_get(line, "d", &size)[1], 'x');
	ck_assert_ptr_null(rmr_json_get(line, "c", &size));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("json");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, what_the_rfc_allows_is_read, 0, sizeof(valid) / sizeof(*valid));
	tcase_add_loop_test(tests, what_it_forbids_is_refused_where_it_is, 0,
		sizeof(invalid) / sizeof(*invalid));
	tcase_add_test(tests, zero_bytes_are_no_end);
	tcase_add_test(tests, depth_is_finite);
	tcase_add_test(tests, integers_of_every_length);
	tcase_add_test(tests, strings_are_decoded);
	tcase_add_test(tests, keys_are_found);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
