// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/sql.h"

#include "tests/unit/heap_fixture.h"

static const char small[] =
	"{\"shape\": 1, \"names\": [\".a\", \".b\"]}\n"
	"{\"address\": 1, \"type\": \"A\", \"class\": 9, \"size\": 10, \"rc\": 1, \"shape\": 1, \"refs\": [2, 2], \"hidden\": [3]}\n"
	"{\"address\": 2, \"type\": \"str\", \"size\": 20, \"rc\": 2, \"len\": 3, \"value\": \"abc\", \"refs\": [], \"flags\": [\"interned\"]}\n"
	"{\"address\": 3, \"type\": \"int\", \"size\": 28, \"rc\": 1, \"value\": 7, \"refs\": []}\n"
	"{\"address\": 4, \"type\": \"int\", \"size\": 28, \"rc\": 1, \"value\": 8, \"owned\": 4, \"buffer\": 16, \"data\": 5, \"base\": 3, \"refs\": []}\n"
	"{\"address\": 9, \"type\": \"type\", \"size\": 5, \"rc\": 1, \"name\": \"A\", \"module\": \"m\", \"refs\": [3]}\n"
	"{\"root\": \"frame\", \"label\": \"<frame f>\", \"names\": [\".x\"], \"refs\": [1], \"thread\": 4, \"depth\": 0, \"function\": \"f\", \"file\": \"a.py\", \"line\": 3}\n"
	"{\"root\": \"static\", \"label\": \"<static type>\", \"names\": [null], \"refs\": [9]}\n";

static const struct {
	const char *query, *rows;
} cases[] = {
	{"select address from objects order by 1", "1;2;3;4;9;"},
	{"select address, type, module, size, owned, rc, len, name, value from objects where address = 2",
		"2|str|-|20|0|2|3|-|abc;"},
	{"select module, type from objects where address = 1", "m|A;"},
	{"select address, buffer, owner from objects where buffer is not null", "4|16|3;"},
	{"select value + 1 from objects where type = 'int'", "8;9;"},
	{"select count(*), sum(size) from objects where type = 'int' and size > 5", "2|56;"},
	{"select address from objects where matches = 'm.A'", "1;"},
	{"select address from objects where matches = 'A'", "1;"},
	{"select address from objects where type = 'nothing'", ""},
	{"select address from objects where address = 77", ""},
	{"select referrers, children, flags from objects where address = 2", "2|0|interned;"},
	{"select retained, dominator, reach from objects where address = 2", "20|1|root;"},
	{"select retained, dominator, reach from objects where address = 3", "28|-|root;"},
	{"select reach, retained from objects where address = 4", "held by C|32;"},
	{"select src, dst, name, kind from refs", "1|2|.a|ref;1|2|.b|ref;1|3|-|hidden;9|3|-|ref;"},
	{"select name from refs where src = 1 and dst = 2", ".a;.b;"},
	{"select src, kind from refs where dst = 3", "1|hidden;9|ref;"},
	{"select src from refs where dst = 4", ""},
	{"select o.address from refs r join objects o on o.address = r.src where r.dst = 3 order by 1", "1;9;"},
	{"select label, count, bytes, largest from types where name = 'int'", "int|2|56|3;"},
	{"select label from types where module = 'm'", "m.A;"},
	{"select kind, label, name, address from roots", "frame|<frame f>|.x|1;static|<static type>|-|9;"},
	{"select thread, depth, function, file, line, label from frames", "4|0|f|a.py|3|<frame f>;"},
	{"select count(*) from objects a, objects b", "25;"},
	{"with recursive n(i) as (select 1 union all select i + 1 from n where i < 3) select i from n", "1;2;3;"},
};

static int add_row(void *context, int count, char **values, char **names)
{
	char *text = context;

	(void)names;
	for (int i = 0; i < count; i++) {
		strcat(text, values[i] ? values[i] : "-");
		strcat(text, i + 1 < count ? "|" : ";");
	}
	return 0;
}

START_TEST(queries_are_answered)
{
	struct rmr_heap *heap = fixture_open(small);
	char text[1024] = "", *error = NULL;
	sqlite3 *db;

	assert_ok(rmr_sql_open(heap, &db));
	ck_assert_msg(!sqlite3_exec(db, cases[_i].query, add_row, text, &error), "%s", error);
	ck_assert_str_eq(text, cases[_i].rows);
	sqlite3_close(db);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(only_reading_is_allowed)
{
	static const char *const queries[] = {"attach '/tmp/x.db' as x", "create table t(a)",
		"create temp table t(a)", "delete from objects", "insert into types values (1)",
		"pragma journal_mode = wal", "select load_extension('x')", "vacuum into '/tmp/y.db'"};
	struct rmr_heap *heap = fixture_open(small);
	sqlite3 *db;

	assert_ok(rmr_sql_open(heap, &db));
	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++)
		ck_assert_msg(sqlite3_exec(db, queries[i], NULL, NULL, NULL) != SQLITE_OK, "%s",
			queries[i]);
	sqlite3_close(db);
	rmr_heap_close(heap);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("sql");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, queries_are_answered, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_test(tests, only_reading_is_allowed);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
