// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/view/number.h"
#include "cli/view/view.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	void (*add)(struct rmr_line *line, uint64_t value);
	uint64_t value;
	const char *shown;
} numbers[] = {
	{rmr_number_add_count, 0, "0"},
	{rmr_number_add_count, 999, "999"},
	{rmr_number_add_count, 1000, "1,000"},
	{rmr_number_add_count, 1204331, "1,204,331"},
	{rmr_number_add_count, UINT64_MAX, "18,446,744,073,709,551,615"},
	{rmr_number_add_bytes, 0, "0 B"},
	{rmr_number_add_bytes, 1023, "1023 B"},
	{rmr_number_add_bytes, 1024, "1.0 KiB"},
	{rmr_number_add_bytes, 1048575, "1.0 MiB"},
	{rmr_number_add_bytes, 1258291, "1.2 MiB"},
	{rmr_number_add_bytes, UINT64_MAX, "16.0 EiB"},
	{rmr_number_add_duration, 850000, "850 us"},
	{rmr_number_add_duration, 2100000, "2.1 ms"},
	{rmr_number_add_duration, 2100000000, "2.1 s"},
	{rmr_number_add_duration, 12000000000, "12 s"},
	{rmr_number_add_duration, 200000000000, "3 min 20 s"},
	{rmr_number_add_duration, 18720000000000, "5 h 12 min"},
	{rmr_number_add_duration, 273600000000000, "3 d 4 h"},
};

START_TEST(numbers_for_people)
{
	struct rmr_line line = {0};

	numbers[_i].add(&line, numbers[_i].value);
	ck_assert_str_eq(rmr_line_get(&line), numbers[_i].shown);
	rmr_line_deinit(&line);
}
END_TEST

START_TEST(signed_numbers)
{
	struct rmr_line line = {0};

	rmr_number_add_signed_count(&line, -1204);
	rmr_line_add(&line, " ", 1);
	rmr_number_add_signed_count(&line, 0);
	rmr_line_add(&line, " ", 1);
	rmr_number_add_signed_bytes(&line, 2048);
	rmr_line_add(&line, " ", 1);
	rmr_number_add_signed_bytes(&line, INT64_MIN);
	ck_assert_str_eq(rmr_line_get(&line), "-1,204 0 +2.0 KiB -8.0 EiB");
	rmr_line_deinit(&line);
}
END_TEST

static const struct rmr_column columns[] = {
	{"address", NULL, RMR_KIND_ADDRESS},
	{"type", NULL, RMR_KIND_TEXT},
	{"size", NULL, RMR_KIND_BYTES},
	{"share", "%", RMR_KIND_SHARE},
	{"len", NULL, RMR_KIND_COUNT},
};

static void put_table(struct rmr_view *view, const char *key, uint64_t more)
{
	rmr_view_table(view, key, columns, sizeof(columns) / sizeof(*columns));
	rmr_view_put_uint(view, 0x7f00);
	rmr_view_put_text(view, "app.Node");
	rmr_view_put_uint(view, 2048);
	rmr_view_put_real(view, 0.5);
	rmr_view_put_none(view);
	rmr_view_put_uint(view, 16);
	rmr_view_put_text(view, "a,\"b\n\x1b");
	rmr_view_put_uint(view, 7);
	rmr_view_put_real(view, 0);
	rmr_view_put_uint(view, 12345);
	rmr_view_end_table(view, more);
}

/** What a view of this style prints; to be freed. */
static char *print(struct rmr_style style, bool single, uint64_t more)
{
	char *bytes;
	size_t size;
	FILE *file = open_memstream(&bytes, &size);
	struct rmr_view *view;

	ck_assert_ptr_null(rmr_view_open(file, &style, single, &view));
	rmr_view_note(view, "a note");
	if (!single) {
		rmr_view_field(view, "name", NULL, RMR_KIND_TEXT);
		rmr_view_put_text(view, "a,b");
		rmr_view_field(view, "nothing", NULL, RMR_KIND_TEXT);
		rmr_view_put_none(view);
		rmr_view_json_field(view, "pid", RMR_KIND_ID);
		rmr_view_put_uint(view, 4711);
	}
	put_table(view, "rows", more);
	ck_assert_ptr_null(rmr_view_close(view));
	fclose(file);
	return bytes;
}

static const struct {
	struct rmr_style style;
	bool single;
	const char *shown;
} prints[] = {
	{{.format = RMR_FORMAT_TABLE}, true,
		"a note\n"
		"address  type           size      %     len\n"
		"0x7f00   app.Node    2.0 KiB  50.0%\n"
		"0x10     a,\"b\\n\\x1b      7 B   0.0%  12,345\n"
		"... 1,000 more (--limit 0 shows all)\n"},
	{{.format = RMR_FORMAT_TABLE, .exact = true, .width = 40}, true,
		"a note\n"
		"address  type        size      %     len\n"
		"0x7f00   app.Node   2,048  50.0%\n"
		"0x10     a,\"b\xe2\x80\xa6\\x1b      7   0.0%  12,345\n"
		"... 1,000 more (--limit 0 shows all)\n"},
	{{.format = RMR_FORMAT_TABLE}, false,
		"a note\n"
		"name         a,b\n"
		"address  type           size      %     len\n"
		"0x7f00   app.Node    2.0 KiB  50.0%\n"
		"0x10     a,\"b\\n\\x1b      7 B   0.0%  12,345\n"
		"... 1,000 more (--limit 0 shows all)\n"},
	{{.format = RMR_FORMAT_JSON}, true,
		"[\n"
		"{\"address\": 32512, \"type\": \"app.Node\", \"size\": 2048, \"share\": 0.5, "
		"\"len\": null},\n"
		"{\"address\": 16, \"type\": \"a,\\\"b\\n\\u001b\", \"size\": 7, \"share\": 0, "
		"\"len\": 12345}\n"
		"]\n"},
	{{.format = RMR_FORMAT_JSON}, false,
		"{\"name\": \"a,b\",\n \"nothing\": null,\n \"pid\": 4711,\n \"rows\": [\n"
		"{\"address\": 32512, \"type\": \"app.Node\", \"size\": 2048, \"share\": 0.5, "
		"\"len\": null},\n"
		"{\"address\": 16, \"type\": \"a,\\\"b\\n\\u001b\", \"size\": 7, \"share\": 0, "
		"\"len\": 12345}\n"
		"]}\n"},
	{{.format = RMR_FORMAT_CSV}, true,
		"address,type,size,share,len\n"
		"32512,app.Node,2048,0.5,\n"
		"16,\"a,\"\"b\n\\x1b\",7,0,12345\n"},
	{{.format = RMR_FORMAT_CSV}, false,
		"key,value\n"
		"name,\"a,b\"\n"
		"\n"
		"address,type,size,share,len\n"
		"32512,app.Node,2048,0.5,\n"
		"16,\"a,\"\"b\n\\x1b\",7,0,12345\n"},
};

START_TEST(three_formats)
{
	char *shown = print(prints[_i].style, prints[_i].single, 1000);

	ck_assert_str_eq(shown, prints[_i].shown);
	free(shown);
}
END_TEST

START_TEST(text_is_cut_to_the_terminal)
{
	static const struct rmr_column two[] = {
		{"type", NULL, RMR_KIND_TEXT}, {"value", NULL, RMR_KIND_TEXT}};
	struct rmr_style style = {.width = 40};
	struct rmr_view *view;
	char *bytes;
	size_t size;
	FILE *file = open_memstream(&bytes, &size);

	ck_assert_ptr_null(rmr_view_open(file, &style, true, &view));
	rmr_view_table(view, NULL, two, 2);
	rmr_view_put_text(view, "collections.OrderedDict");
	rmr_view_put_text(view, "a very long value that does not fit into the line");
	rmr_view_end_table(view, 0);
	ck_assert_ptr_null(rmr_view_close(view));
	fclose(file);
	for (char *line = strtok(bytes, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_uint_le(rmr_line_width(line, strlen(line)), 40);
	free(bytes);
}
END_TEST

START_TEST(rows_are_numbered_for_the_shell)
{
	struct rmr_rows rows = {0};
	struct rmr_style style = {.rows = &rows};
	char *shown = print(style, true, 0);

	ck_assert_str_eq(shown, "a note\n"
				"    address  type           size      %     len\n"
				"$1  0x7f00   app.Node    2.0 KiB  50.0%\n"
				"$2  0x10     a,\"b\\n\\x1b      7 B   0.0%  12,345\n");
	ck_assert_uint_eq(rows.count, 2);
	ck_assert_uint_eq(rows.addresses[0], 0x7f00);
	ck_assert_uint_eq(rows.addresses[1], 0x10);
	free(rows.addresses);
	free(shown);
}
END_TEST

START_TEST(more_rows_than_a_window)
{
	static const struct rmr_column one[] = {{"n", NULL, RMR_KIND_ID}};
	struct rmr_style style = {0};
	struct rmr_view *view;
	char *bytes;
	size_t size;
	FILE *file = open_memstream(&bytes, &size);

	ck_assert_ptr_null(rmr_view_open(file, &style, true, &view));
	rmr_view_table(view, NULL, one, 1);
	for (unsigned i = 0; i < 5000; i++)
		rmr_view_put_uint(view, i);
	rmr_view_end_table(view, 0);
	ck_assert_ptr_null(rmr_view_close(view));
	fclose(file);
	char *line = strtok(bytes, "\n");
	ck_assert_str_eq(line, "  n");
	for (unsigned i = 0; i < 5000; i++) {
		line = strtok(NULL, "\n");
		ck_assert_ptr_nonnull(line);
		ck_assert_uint_eq(strtoul(line, NULL, 10), i);
	}
	ck_assert_ptr_null(strtok(NULL, "\n"));
	free(bytes);
}
END_TEST

START_TEST(a_full_disk_is_an_error)
{
	static const struct rmr_style style = {.format = RMR_FORMAT_JSON};
	struct rmr_view *view;
	FILE *file = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_null(rmr_view_open(file, &style, true, &view));
	put_table(view, NULL, 0);
	struct rmr_error *err = rmr_view_close(view);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_WRITE);
	ck_assert_int_eq(err->errnum, ENOSPC);
	rmr_error_destroy(err);
	fclose(file);
}
END_TEST

START_TEST(empty_columns_make_room)
{
	static const struct {
		unsigned width;
		const char *shown;
	} cases[] = {
		{0, "address  type      size  %  len\n0x10     app.Node  16 B\n"},
		{31, "address  type      size  %  len\n0x10     app.Node  16 B\n"},
		{30, "address  type      size  %\n0x10     app.Node  16 B\n"},
		{23, "address  type      size\n0x10     app.Node  16 B\n"},
		{21, "address  type    size\n0x10     app…de  16 B\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rmr_style style = {.width = cases[i].width};
		struct rmr_view *view;
		char *bytes;
		size_t size;
		FILE *file = open_memstream(&bytes, &size);
		ck_assert_ptr_null(rmr_view_open(file, &style, true, &view));
		rmr_view_table(view, NULL, columns, sizeof(columns) / sizeof(*columns));
		rmr_view_put_uint(view, 16);
		rmr_view_put_text(view, "app.Node");
		rmr_view_put_uint(view, 16);
		rmr_view_put_none(view);
		rmr_view_put_none(view);
		rmr_view_end_table(view, 0);
		ck_assert_ptr_null(rmr_view_close(view));
		fclose(file);
		ck_assert_str_eq(bytes, cases[i].shown);
		free(bytes);
	}
}
END_TEST

/* A query names its columns as it likes. */
START_TEST(titles_are_values_too)
{
	static const struct rmr_column odd[] = {{"a\"b,c", NULL, RMR_KIND_TEXT}, {"\x1b[31m", NULL, RMR_KIND_TEXT}};
	static const char *const shown[] = {[RMR_FORMAT_TABLE] = "a\"b,c  \\x1b[31m\n-      1\n",
		[RMR_FORMAT_JSON] = "[\n{\"a\\\"b,c\": \"-\", \"\\u001b[31m\": \"1\"}\n]\n",
		[RMR_FORMAT_CSV] = "\"a\"\"b,c\",\\x1b[31m\n-,1\n"};

	for (enum rmr_format format = RMR_FORMAT_TABLE; format <= RMR_FORMAT_CSV; format++) {
		struct rmr_style style = {.format = format};
		struct rmr_view *view;
		char *bytes;
		size_t size;
		FILE *file = open_memstream(&bytes, &size);
		ck_assert_ptr_null(rmr_view_open(file, &style, true, &view));
		rmr_view_table(view, NULL, odd, sizeof(odd) / sizeof(*odd));
		rmr_view_put_text(view, "-");
		rmr_view_put_text(view, "1");
		rmr_view_end_table(view, 0);
		ck_assert_ptr_null(rmr_view_close(view));
		fclose(file);
		ck_assert_str_eq(bytes, shown[format]);
		free(bytes);
	}
}
END_TEST

START_TEST(sentences_go_on_on_further_lines)
{
	static const struct {
		unsigned width, room;
		const char *shown;
	} cases[] = {
		{0, 0, "1. one two three f\u00fcnf alongwordthatfitsnowhere end\n"},
		{0, 12, "1. one two\n   three\n   f\u00fcnf\n   alongwordthatfitsnowhere\n   end\n"},
		{20, 12, "1. one two three\n   f\u00fcnf\n   alongwordthatfitsnowhere\n   end\n"},
		{18, 0, "1. one two three\n   f\u00fcnf\n   alongwordthatfitsnowhere\n   end\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rmr_style style = {.width = cases[i].width};
		struct rmr_view *view;
		char *bytes;
		size_t size;
		FILE *file = open_memstream(&bytes, &size);
		ck_assert_ptr_null(rmr_view_open(file, &style, true, &view));
		rmr_view_prose(view, "1. ", cases[i].room,
			"one two three f\u00fcnf alongwordthatfitsnowhere end");
		ck_assert_ptr_null(rmr_view_close(view));
		fclose(file);
		ck_assert_str_eq(bytes, cases[i].shown);
		free(bytes);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("view");
	TCase *tcase = tcase_create("view");

	setlocale(LC_CTYPE, "C.UTF-8");
	tcase_add_loop_test(tcase, numbers_for_people, 0, sizeof(numbers) / sizeof(*numbers));
	tcase_add_test(tcase, signed_numbers);
	tcase_add_loop_test(tcase, three_formats, 0, sizeof(prints) / sizeof(*prints));
	tcase_add_test(tcase, text_is_cut_to_the_terminal);
	tcase_add_test(tcase, empty_columns_make_room);
	tcase_add_test(tcase, titles_are_values_too);
	tcase_add_test(tcase, sentences_go_on_on_further_lines);
	tcase_add_test(tcase, rows_are_numbered_for_the_shell);
	tcase_add_test(tcase, more_rows_than_a_window);
	tcase_add_test(tcase, a_full_disk_is_an_error);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
