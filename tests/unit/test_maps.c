// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/maps.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char good[] =
	"00400000-00401000 r--p 00000000 fe:01 1234      /usr/bin/python3.11\n"
	"00401000-00800000 r-xp 00001000 fe:01 1234      /usr/bin/python3.11\n"
	"01000000-01021000 rw-p 00000000 00:00 0         [heap]\n"
	"7f0000000000-7f0000001000 ---p 00000000 00:00 0 \n"
	"7f0000001000-7f0000002000 rw-s 00003000 103:0a 18446 /tmp/a b (deleted)\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";

static struct rmr_error *parse(const char *text, struct rmr_maps *maps)
{
	return rmr_maps_init(maps, text, strlen(text));
}

START_TEST(test_fields)
{
	struct rmr_maps maps;

	ck_assert_ptr_null(parse(good, &maps));
	ck_assert_uint_eq(maps.count, 6);
	const struct rmr_map *text = &maps.maps[1], *file = &maps.maps[4];
	ck_assert_uint_eq(text->start, 0x401000);
	ck_assert_uint_eq(text->end, 0x800000);
	ck_assert_uint_eq(text->offset, 0x1000);
	ck_assert_uint_eq(text->flags, RMR_MAP_READ | RMR_MAP_EXEC);
	ck_assert_uint_eq(text->inode, 1234);
	ck_assert_uint_eq(text->major, 0xfe);
	ck_assert_uint_eq(text->minor, 1);
	ck_assert(!text->deleted);
	ck_assert_str_eq(rmr_maps_basename(text), "python3.11");
	ck_assert_uint_eq(file->flags, RMR_MAP_READ | RMR_MAP_WRITE | RMR_MAP_SHARED);
	ck_assert_uint_eq(file->major, 0x103);
	ck_assert(file->deleted);
	ck_assert_str_eq(file->path, "/tmp/a b");
	ck_assert_str_eq(maps.maps[2].path, "[heap]");
	ck_assert_str_eq(maps.maps[3].path, "");
	rmr_maps_deinit(&maps);
	rmr_maps_deinit(&maps);
}
END_TEST

START_TEST(test_find)
{
	struct rmr_maps maps;

	ck_assert_ptr_null(parse(good, &maps));
	ck_assert_ptr_eq(rmr_maps_find(&maps, 0x400000), &maps.maps[0]);
	ck_assert_ptr_eq(rmr_maps_find(&maps, 0x401000), &maps.maps[1]);
	ck_assert_ptr_eq(rmr_maps_find(&maps, 0x7fffff), &maps.maps[1]);
	ck_assert_ptr_null(rmr_maps_find(&maps, 0x800000));
	ck_assert_ptr_null(rmr_maps_find(&maps, 0));
	ck_assert_ptr_null(rmr_maps_find(&maps, UINT64_MAX));
	ck_assert_ptr_eq(rmr_maps_find(&maps, 0xffffffffff600fff), &maps.maps[5]);
	rmr_maps_deinit(&maps);
}
END_TEST

static const struct {
	const char *text;
	size_t count;
} edges[] = {
	{"", 0},
	{"1000-2000 r--p 00000000 00:00 0", 1},
	{"1000-2000 r--p 00000000 00:00 0\n2000-3000 r--p 00000000 00:00 0", 2},
	/* A file that is merely called so. */
	{"1000-2000 r--p 00000000 00:01 7 (deleted)\n", 1},
};

START_TEST(test_edges)
{
	struct rmr_maps maps;

	ck_assert_ptr_null(parse(edges[_i].text, &maps));
	ck_assert_uint_eq(maps.count, edges[_i].count);
	for (size_t i = 0; i < maps.count; i++)
		ck_assert(!maps.maps[i].deleted);
	rmr_maps_deinit(&maps);
}
END_TEST

/* A mapping that grew between two reads of the file. */
START_TEST(test_grown)
{
	struct rmr_maps maps;

	ck_assert_ptr_null(parse("1000-3000 r--p 00000000 00:01 7\n2000-5000 r--p 00001000 00:01 7\n"
				 "5000-6000 rw-p 00000000 00:00 0\n5000-8000 rw-p 00000000 00:00 0\n",
		&maps));
	ck_assert_uint_eq(maps.count, 4);
	ck_assert_uint_eq(maps.maps[1].start, 0x3000);
	ck_assert_uint_eq(maps.maps[1].offset, 0x2000);
	ck_assert_uint_eq(maps.maps[3].start, 0x6000);
	ck_assert_uint_eq(maps.maps[3].offset, 0);
	rmr_maps_deinit(&maps);
}
END_TEST

static const struct {
	const char *text;
	int line;
} bad[] = {
	{"\n", 1},
	{"x", 1},
	{"1000-2000", 1},
	{"1000-2000 r--p", 1},
	{"1000-2000 r--p 00000000 00:00 ", 1},
	{"1000-2000 r--q 00000000 00:00 0", 1},
	{"1000-2000 r- 00000000 00:00 0", 1},
	{"2000-1000 r--p 00000000 00:00 0", 1},
	{"1000-1000 r--p 00000000 00:00 0", 1},
	{"1000-2000 r--p 00000000 00:00 0x", 1},
	{"10000000000000000-20000000000000000 r--p 00000000 00:00 0", 1},
	{"1000-2000 r--p 00000000 100000000:00 0", 1},
	{"1000-2000 r--p 00000000 00:00 99999999999999999999", 1},
	{"1000-2000 r--p 00000000 00:00 0\n1000-2000 r--p 00000000 00:00 0\n", 2},
	{"1000-2000 r--p 00000000 00:00 0\n0800-0900 r--p 00000000 00:00 0\n", 2},
};

START_TEST(test_bad)
{
	struct rmr_maps maps = {0};
	char line[32];
	struct rmr_error *err = parse(bad[_i].text, &maps);

	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_OS);
	snprintf(line, sizeof(line), "line %d ", bad[_i].line);
	ck_assert_ptr_nonnull(strstr(err->message, line));
	ck_assert_ptr_null(maps.maps);
	rmr_error_destroy(err);
}
END_TEST

/* Every prefix and every changed byte of a good file is taken or refused, and nothing else. */
START_TEST(test_damage)
{
	struct rmr_maps maps;
	char text[sizeof(good)];

	for (size_t size = 0; size < sizeof(good); size++) {
		char *exact = malloc(size + !size);
		memcpy(exact, good, size);
		struct rmr_error *err = rmr_maps_init(&maps, exact, size);
		free(exact);
		if (!err)
			rmr_maps_deinit(&maps);
		rmr_error_destroy(err);
	}
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		static const char values[] = {'\0', '\n', ' ', '-', '0', 'f', 'z', '\xff'};
		for (size_t v = 0; v < sizeof(values); v++) {
			memcpy(text, good, sizeof(good));
			text[i] = values[v];
			struct rmr_error *err = rmr_maps_init(&maps, text, sizeof(good) - 1);
			if (!err)
				rmr_maps_deinit(&maps);
			rmr_error_destroy(err);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("maps");
	TCase *tcase = tcase_create("maps");

	tcase_add_test(tcase, test_fields);
	tcase_add_test(tcase, test_find);
	tcase_add_test(tcase, test_grown);
	tcase_add_loop_test(tcase, test_edges, 0, sizeof(edges) / sizeof(edges[0]));
	tcase_add_loop_test(tcase, test_bad, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tcase, test_damage);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
