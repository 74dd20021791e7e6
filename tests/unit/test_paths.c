// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/paths.h"

#include "tests/unit/heap_fixture.h"

/* sys.modules = {'app': app, 'b': b}; app.CACHE = {'k': [.., Node]}; a frame's local; a cycle. */
static const char app[] =
	"{\"remora\": 1, \"id\": \"p\"}\n"
	"{\"shape\": 1, \"names\": [\".__dict__\"]}\n"
	"{\"shape\": 2, \"names\": [\".next\", \".__class__\", null]}\n"
	"{\"address\": 1, \"type\": \"dict\", \"size\": 1, \"rc\": 1, \"len\": 2, \"refs\": [10, 20], \"keys\": [100, 101]}\n"
	"{\"address\": 10, \"type\": \"module\", \"size\": 1, \"rc\": 1, \"name\": \"app\", \"shape\": 1, \"refs\": [11]}\n"
	"{\"address\": 11, \"type\": \"dict\", \"size\": 1, \"rc\": 1, \"len\": 3, \"refs\": [30, 90, 60], \"keys\": [102, 103, 104]}\n"
	"{\"address\": 20, \"type\": \"module\", \"size\": 1, \"rc\": 1, \"name\": \"b\", \"shape\": 1, \"refs\": [21]}\n"
	"{\"address\": 21, \"type\": \"dict\", \"size\": 1, \"rc\": 1, \"len\": 1, \"refs\": [30], \"keys\": [105]}\n"
	"{\"address\": 30, \"type\": \"dict\", \"size\": 1, \"rc\": 2, \"len\": 1, \"refs\": [40], \"keys\": [106]}\n"
	"{\"address\": 40, \"type\": \"list\", \"size\": 1, \"rc\": 1, \"len\": 2, \"refs\": [50, 107]}\n"
	"{\"address\": 50, \"type\": \"Node\", \"size\": 1, \"rc\": 1, \"shape\": 2, \"refs\": [51, 90, 70]}\n"
	"{\"address\": 51, \"type\": \"Node\", \"size\": 1, \"rc\": 2, \"shape\": 2, \"refs\": [107, 90, 70]}\n"
	"{\"address\": 60, \"type\": \"weakref\", \"size\": 1, \"rc\": 1, \"weak\": 50, \"shape\": 2, \"refs\": [51]}\n"
	"{\"address\": 70, \"type\": \"int\", \"size\": 1, \"rc\": 2, \"value\": 1, \"refs\": []}\n"
	"{\"address\": 80, \"type\": \"A\", \"size\": 1, \"rc\": 1, \"shape\": 2, \"refs\": [81]}\n"
	"{\"address\": 81, \"type\": \"A\", \"size\": 1, \"rc\": 1, \"shape\": 2, \"refs\": [80]}\n"
	"{\"address\": 85, \"type\": \"C\", \"size\": 1, \"rc\": 2, \"shape\": 2, \"refs\": [86]}\n"
	"{\"address\": 86, \"type\": \"C\", \"size\": 1, \"rc\": 1, \"refs\": []}\n"
	"{\"address\": 90, \"type\": \"type\", \"size\": 1, \"rc\": 3, \"name\": \"Node\", \"module\": \"app\", \"refs\": []}\n"
	"{\"address\": 95, \"type\": \"list\", \"size\": 1, \"rc\": 1, \"len\": 1, \"refs\": [51]}\n"
	"{\"address\": 97, \"type\": \"S\", \"size\": 1, \"rc\": 1, \"refs\": []}\n"
	"{\"address\": 100, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"len\": 3, \"value\": \"app\", \"refs\": []}\n"
	"{\"address\": 101, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"len\": 1, \"value\": \"b\", \"refs\": []}\n"
	"{\"address\": 102, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"len\": 5, \"value\": \"CACHE\", \"refs\": []}\n"
	"{\"address\": 103, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"len\": 4, \"value\": \"Node\", \"refs\": []}\n"
	"{\"address\": 104, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"len\": 3, \"value\": \"w r\", \"refs\": []}\n"
	"{\"address\": 105, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"len\": 6, \"value\": \"shared\", \"refs\": []}\n"
	"{\"address\": 106, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"len\": 1, \"value\": \"k\", \"refs\": []}\n"
	"{\"address\": 107, \"type\": \"int\", \"size\": 1, \"rc\": 2, \"value\": 5, \"refs\": []}\n"
	"{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"names\": [null], \"refs\": [1]}\n"
	"{\"root\": \"frame\", \"label\": \"<frame main at app.py:12>\", \"names\": [\".todo\", \".f_globals\"], \"refs\": [95, 11]}\n"
	"{\"root\": \"static\", \"label\": \"<static type>\", \"names\": [null], \"refs\": [97]}\n"
	"{\"end\": true, \"id\": \"p\", \"objects\": 25}\n";

static const struct {
	uint64_t address;
	const char *paths[4];
	const char *avoid[2];
} cases[] = {
	{50, {"sys.modules['app'].CACHE['k'][1]", "sys.modules['b'].shared['k'][1]"}, {NULL}},
	{51, {"<frame main at app.py:12>.todo[0]", "sys.modules['app'].__dict__['w r'].next",
		     "sys.modules['b'].shared['k'][1].next"}, {NULL}},
	{51, {"<frame main at app.py:12>.todo[0]", "sys.modules['app'].CACHE['k'][1].next"}, {"weak"}},
	{51, {"sys.modules['app'].CACHE['k'][1].next"}, {"weak", "95"}},
	{51, {"sys.modules['app'].__dict__['w r'].next"}, {"list"}},
	{10, {"sys.modules['app']"}, {NULL}},
	{1, {"sys.modules"}, {NULL}},
	{11, {"sys.modules['app'].__dict__"}, {NULL}},
	{90, {"sys.modules['app'].Node"}, {NULL}},
	/* No name leads there. */
	{70, {"<frame main at app.py:12>.todo[0].<reference 3>"}, {NULL}},
	{97, {"<static type>"}, {NULL}},
	{86, {"<held by C code: C at 0x55>.next"}, {NULL}},
	{80, {"<unreachable: A at 0x50>"}, {NULL}},
};

START_TEST(paths_are_written_as_python)
{
	struct rmr_heap *heap = fixture_open(app);
	struct rmr_paths_options options = {.limit = 3, .avoid = cases[_i].avoid};
	struct rmr_paths *paths;

	while (options.avoid_count < 2 && cases[_i].avoid[options.avoid_count])
		options.avoid_count++;
	assert_ok(rmr_paths_find(heap, fixture_id(heap, cases[_i].address), &options, &paths));
	for (size_t i = 0; i < 3 && cases[_i].paths[i]; i++) {
		ck_assert_uint_gt(paths->count, i);
		ck_assert_str_eq(paths->paths[i].expression, cases[_i].paths[i]);
		ck_assert_uint_eq(rmr_heap_address(heap,
			paths->paths[i].steps[paths->paths[i].count - 1].id), cases[_i].address);
	}
	ck_assert(paths->count == 3 || !cases[_i].paths[paths->count]);
	rmr_paths_destroy(paths);
	rmr_heap_close(heap);
}
END_TEST

/* What Python itself would make of a path: the object, something else, or nothing. */
static const char python[] =
	"{\"remora\": 1, \"id\": \"p\"}\n"
	"{\"shape\": 1, \"names\": [\".__dict__\"]}\n"
	"{\"shape\": 2, \"names\": [\".__slots__\", \".__annotations__\", \".__dict__\"]}\n"
	"{\"address\": 1, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"refs\": [10], \"keys\": [100]}\n"
	"{\"address\": 10, \"type\": \"module\", \"size\": 1, \"name\": \"app\", \"shape\": 1, \"refs\": [11]}\n"
	"{\"address\": 11, \"type\": \"dict\", \"size\": 1, \"len\": 2, \"refs\": [20, 60], \"keys\": [101, 102]}\n"
	"{\"address\": 20, \"type\": \"type\", \"size\": 1, \"name\": \"A\", \"module\": \"app\", \"shape\": 2, \"refs\": [30, 31, 40]}\n"
	"{\"address\": 30, \"type\": \"tuple\", \"size\": 1, \"len\": 0, \"refs\": []}\n"
	"{\"address\": 31, \"type\": \"tuple\", \"size\": 1, \"len\": 0, \"refs\": []}\n"
	"{\"address\": 40, \"type\": \"dict\", \"size\": 1, \"len\": 3, \"refs\": [50, 51, 52], \"keys\": [103, 104, 105]}\n"
	"{\"address\": 50, \"type\": \"staticmethod\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 51, \"type\": \"list\", \"size\": 1, \"len\": 0, \"refs\": []}\n"
	"{\"address\": 52, \"type\": \"str\", \"size\": 1, \"len\": 4, \"value\": \"text\", \"refs\": []}\n"
	"{\"address\": 60, \"type\": \"dict\", \"size\": 1, \"len\": 2, \"refs\": [70, 51, 71, 106]}\n"
	"{\"address\": 70, \"type\": \"A\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 71, \"type\": \"str\", \"size\": 1, \"len\": 1, \"value\": \"v\", \"refs\": []}\n"
	"{\"address\": 100, \"type\": \"str\", \"size\": 1, \"len\": 3, \"value\": \"app\", \"refs\": []}\n"
	"{\"address\": 101, \"type\": \"str\", \"size\": 1, \"len\": 1, \"value\": \"A\", \"refs\": []}\n"
	"{\"address\": 102, \"type\": \"str\", \"size\": 1, \"len\": 1, \"value\": \"D\", \"refs\": []}\n"
	"{\"address\": 103, \"type\": \"str\", \"size\": 1, \"len\": 1, \"value\": \"s\", \"refs\": []}\n"
	"{\"address\": 104, \"type\": \"str\", \"size\": 1, \"len\": 1, \"value\": \"l\", \"refs\": []}\n"
	"{\"address\": 105, \"type\": \"str\", \"size\": 1, \"len\": 7, \"value\": \"__doc__\", \"refs\": []}\n"
	"{\"address\": 106, \"type\": \"int\", \"size\": 1, \"value\": 7, \"refs\": []}\n"
	"{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"names\": [null], \"refs\": [1]}\n";

static const struct {
	uint64_t address;
	const char *path;
	bool python;
} expressions[] = {
	{20, "sys.modules['app'].A", true},
	{51, "sys.modules['app'].A.l", true},
	{50, "sys.modules['app'].A.__dict__['s']", true},
	{52, "sys.modules['app'].A.__dict__['__doc__']", true},
	{40, "sys.modules['app'].A.__dict__", false},
	{30, "sys.modules['app'].A.<__slots__>", false},
	{31, "sys.modules['app'].A.<__annotations__>", false},
	/* A string as value of a key that is none. */
	{71, "sys.modules['app'].D[7]", true},
	{70, "sys.modules['app'].D[<list at 0x33>]", false},
};

START_TEST(python_finds_the_object)
{
	struct rmr_heap *heap = fixture_open(python);
	struct rmr_paths *paths;

	assert_ok(rmr_paths_find(heap, fixture_id(heap, expressions[_i].address), NULL, &paths));
	ck_assert_str_eq(paths->paths[0].expression, expressions[_i].path);
	ck_assert_int_eq(paths->paths[0].is_expression, expressions[_i].python);
	rmr_paths_destroy(paths);
	rmr_heap_close(heap);
}
END_TEST

/*
 * Classes that deceive: the class C of o has a property p, an item and attribute of Python code, and
 * no __dict__; the dict of o holds p and a keyword. Their names are in shapes, as --values none has it.
 */
static const char deceiving[] =
	"{\"remora\": 1, \"id\": \"p\"}\n"
	"{\"shape\": 1, \"names\": [\".__dict__\"]}\n"
	"{\"shape\": 2, \"names\": [\".__dict__\", \".__mro__\"]}\n"
	"{\"shape\": 3, \"names\": [\"['o']\", \"['d']\", \"['g']\", \"['C']\", \"['\u00e9']\", \"['l']\"]}\n"
	"{\"shape\": 4, \"names\": [\"['p']\", \"['class']\", \"['x']\"]}\n"
	"{\"shape\": 5, \"names\": [\"['p']\", \"['__getitem__']\", \"['made']\"]}\n"
	"{\"shape\": 6, \"names\": [\"['__set__']\"]}\n"
	"{\"shape\": 7, \"names\": [\"['__getattribute__']\"]}\n"
	"{\"shape\": 8, \"names\": [\"['__get__']\"]}\n"
	"{\"shape\": 9, \"names\": [\".p\", \".class\", \".x\"]}\n"
	"{\"address\": 1, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"refs\": [10], \"keys\": [100]}\n"
	"{\"address\": 10, \"type\": \"module\", \"size\": 1, \"name\": \"m\", \"shape\": 1, \"refs\": [11]}\n"
	"{\"address\": 11, \"type\": \"dict\", \"size\": 1, \"len\": 6, \"shape\": 3, \"refs\": [20, 21, 22, 30, 23, 26]}\n"
	/* o, an instance of C; d, a dict subclass; g, of a class that answers by itself; inline values. */
	"{\"address\": 20, \"type\": \"C\", \"class\": 30, \"size\": 1, \"shape\": 1, \"refs\": [24]}\n"
	"{\"address\": 21, \"type\": \"C\", \"class\": 30, \"size\": 1, \"len\": 1, \"refs\": [61], \"keys\": [100]}\n"
	"{\"address\": 22, \"type\": \"G\", \"class\": 40, \"size\": 1, \"shape\": 1, \"refs\": [25]}\n"
	"{\"address\": 23, \"type\": \"C\", \"class\": 30, \"size\": 1, \"refs\": []}\n"
	"{\"address\": 24, \"type\": \"dict\", \"size\": 1, \"len\": 3, \"shape\": 4, \"refs\": [62, 63, 64]}\n"
	"{\"address\": 25, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"shape\": 4, \"refs\": [65]}\n"
	"{\"address\": 26, \"type\": \"C\", \"class\": 30, \"size\": 1, \"shape\": 9, \"refs\": [66, 67, 68]}\n"
	"{\"address\": 30, \"type\": \"type\", \"class\": 45, \"size\": 1, \"name\": \"C\", \"module\": \"m\", \"shape\": 2, \"refs\": [31, 32]}\n"
	"{\"address\": 31, \"type\": \"dict\", \"size\": 1, \"len\": 3, \"shape\": 5, \"refs\": [33, 34, 35]}\n"
	"{\"address\": 32, \"type\": \"tuple\", \"size\": 1, \"len\": 1, \"refs\": [30]}\n"
	"{\"address\": 33, \"type\": \"property\", \"class\": 36, \"size\": 1, \"refs\": []}\n"
	"{\"address\": 34, \"type\": \"function\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 35, \"type\": \"D\", \"class\": 50, \"size\": 1, \"refs\": []}\n"
	"{\"address\": 36, \"type\": \"type\", \"class\": 45, \"size\": 1, \"name\": \"property\", \"module\": \"builtins\", \"shape\": 2, \"refs\": [37, 38]}\n"
	"{\"address\": 37, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"shape\": 6, \"refs\": [39]}\n"
	"{\"address\": 38, \"type\": \"tuple\", \"size\": 1, \"len\": 1, \"refs\": [36]}\n"
	"{\"address\": 39, \"type\": \"wrapper_descriptor\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 40, \"type\": \"type\", \"class\": 45, \"size\": 1, \"name\": \"G\", \"module\": \"m\", \"shape\": 2, \"refs\": [41, 42]}\n"
	"{\"address\": 41, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"shape\": 7, \"refs\": [34]}\n"
	"{\"address\": 42, \"type\": \"tuple\", \"size\": 1, \"len\": 1, \"refs\": [40]}\n"
	"{\"address\": 45, \"type\": \"type\", \"class\": 45, \"size\": 1, \"name\": \"type\", \"module\": \"builtins\", \"refs\": []}\n"
	"{\"address\": 50, \"type\": \"type\", \"class\": 45, \"size\": 1, \"name\": \"D\", \"module\": \"m\", \"shape\": 2, \"refs\": [51, 52]}\n"
	"{\"address\": 51, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"shape\": 8, \"refs\": [34]}\n"
	"{\"address\": 52, \"type\": \"tuple\", \"size\": 1, \"len\": 1, \"refs\": [50]}\n"
	"{\"address\": 61, \"type\": \"int\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 62, \"type\": \"int\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 63, \"type\": \"int\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 64, \"type\": \"dict\", \"size\": 1, \"len\": 2, \"refs\": [69, 70, 71, 72]}\n"
	"{\"address\": 65, \"type\": \"int\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 66, \"type\": \"int\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 67, \"type\": \"int\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 68, \"type\": \"int\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 69, \"type\": \"int\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 70, \"type\": \"float\", \"size\": 1, \"value\": \"-inf\", \"refs\": []}\n"
	"{\"address\": 71, \"type\": \"int\", \"size\": 1, \"refs\": []}\n"
	"{\"address\": 72, \"type\": \"float\", \"size\": 1, \"value\": 1e22, \"refs\": []}\n"
	"{\"address\": 100, \"type\": \"str\", \"size\": 1, \"len\": 1, \"value\": \"m\", \"refs\": []}\n"
	"{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"names\": [null], \"refs\": [1]}\n";

static const struct {
	uint64_t address;
	const char *path;
	bool python;
} deceptions[] = {
	/* The property comes first; there is no way to the dict either. */
	{62, "sys.modules['m'].o.__dict__['p']", false},
	{63, "sys.modules['m'].o.__dict__['class']", false},
	{64, "sys.modules['m'].o.x", true},
	{24, "sys.modules['m'].o.__dict__", false},
	{61, "sys.modules['m'].d['m']", false},
	{65, "sys.modules['m'].g.__dict__['p']", false},
	{33, "sys.modules['m'].C.p", true},
	{35, "sys.modules['m'].C.__dict__['made']", true},
	{23, "sys.modules['m'].__dict__['\xc3\xa9']", true},
	{66, "sys.modules['m'].l.p", false},
	{67, "sys.modules['m'].l.class", false},
	{68, "sys.modules['m'].l.x", true},
	{69, "sys.modules['m'].o.x[-inf]", false},
	{71, "sys.modules['m'].o.x[1e22]", true},
};

START_TEST(classes_deceive)
{
	struct rmr_heap *heap = fixture_open(deceiving);
	struct rmr_paths *paths;

	assert_ok(rmr_paths_find(heap, fixture_id(heap, deceptions[_i].address), NULL, &paths));
	ck_assert_str_eq(paths->paths[0].expression, deceptions[_i].path);
	ck_assert_int_eq(paths->paths[0].is_expression, deceptions[_i].python);
	rmr_paths_destroy(paths);
	rmr_heap_close(heap);
}
END_TEST

/* Each interpreter has a sys.modules: the paths of a sub-interpreter say whose. */
START_TEST(sub_interpreters_are_named)
{
	struct rmr_heap *heap = fixture_open(
		"{\"remora\": 1, \"id\": \"p\"}\n"
		"{\"address\": 1, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"refs\": [3], \"keys\": [9]}\n"
		"{\"address\": 2, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"refs\": [4], \"keys\": [9]}\n"
		"{\"address\": 3, \"type\": \"module\", \"size\": 1, \"name\": \"m\", \"refs\": []}\n"
		"{\"address\": 4, \"type\": \"module\", \"size\": 1, \"name\": \"m\", \"refs\": []}\n"
		"{\"address\": 9, \"type\": \"str\", \"size\": 1, \"len\": 1, \"value\": \"m\", \"refs\": []}\n"
		"{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"interpreter\": 1, \"names\": [null], \"refs\": [1]}\n"
		"{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"interpreter\": 0, \"names\": [null], \"refs\": [2]}\n");
	static const char *const expected[] = {"<interpreter 1>.sys.modules['m']", "sys.modules['m']"};

	for (unsigned i = 0; i < 2; i++) {
		struct rmr_paths *paths;
		assert_ok(rmr_paths_find(heap, fixture_id(heap, 3 + i), NULL, &paths));
		ck_assert_str_eq(paths->paths[0].expression, expected[i]);
		rmr_paths_destroy(paths);
	}
	rmr_heap_close(heap);
}
END_TEST

/* Up to Python 3.10 frames are objects: the root names the frame, the frame its locals. */
START_TEST(frame_objects_hold_locals)
{
	struct rmr_heap *heap = fixture_open(
		"{\"shape\": 1, \"names\": [\".f_back\", \".x\"]}\n"
		"{\"address\": 1, \"type\": \"frame\", \"size\": 1, \"shape\": 1, \"refs\": [2, 4]}\n"
		"{\"address\": 2, \"type\": \"frame\", \"size\": 1, \"shape\": 1, \"refs\": [4, 3]}\n"
		"{\"address\": 3, \"type\": \"A\", \"size\": 1, \"refs\": []}\n"
		"{\"address\": 4, \"type\": \"A\", \"size\": 1, \"refs\": []}\n"
		"{\"root\": \"frame\", \"label\": \"<frame g>\", \"names\": [null], \"refs\": [1]}\n"
		"{\"root\": \"frame\", \"label\": \"<frame f>\", \"names\": [null], \"refs\": [2]}\n");
	struct rmr_paths_options options = {.limit = 3};
	struct rmr_paths *paths;

	assert_ok(rmr_paths_find(heap, fixture_id(heap, 3), &options, &paths));
	ck_assert_uint_eq(paths->count, 1);
	ck_assert_str_eq(paths->paths[0].expression, "<frame f>.x");
	rmr_paths_destroy(paths);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(long_runs_are_told_by_their_number)
{
	enum { LENGTH = 5000 };
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct rmr_error *err;
	struct rmr_paths *paths;

	fputs("{\"shape\": 1, \"names\": [\".next\"]}\n", out);
	for (unsigned i = 1; i <= LENGTH; i++)
		fprintf(out, "{\"address\": %u, \"type\": \"n\", \"size\": 1, \"shape\": 1, \"refs\": [%u]}\n", i,
			i + 1);
	fputs("{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": [1]}\n", out);
	fclose(out);
	struct rmr_heap *heap = fixture_try(text, size, &err);
	free(text);
	ck_assert_ptr_null(err);
	assert_ok(rmr_paths_find(heap, fixture_id(heap, LENGTH), NULL, &paths));
	ck_assert_uint_eq(paths->paths[0].count, LENGTH);
	ck_assert_str_eq(paths->paths[0].expression, "r.next.next.next<4996 more of .next>");
	rmr_paths_destroy(paths);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(unknown_word_to_avoid)
{
	struct rmr_heap *heap = fixture_open(app);
	static const char *const words[] = {"Nothing", "4711", "0xzz"};

	for (size_t i = 0; i < 3; i++) {
		struct rmr_paths_options options = {.avoid = &words[i], .avoid_count = 1};
		struct rmr_paths *paths = NULL;
		struct rmr_error *err = rmr_paths_find(heap, 0, &options, &paths);
		ck_assert_ptr_nonnull(err);
		ck_assert_int_eq(err->code, RMR_E_QUERY);
		rmr_error_destroy(err);
	}
	rmr_heap_close(heap);
}
END_TEST

/* Lengths against breadth-first search from the roots, over graphs without names. */
START_TEST(paths_are_shortest)
{
	struct graph graph;

	srand(42);
	for (int round = 0; round < 200; round++) {
		unsigned distance[GRAPH_MAX], queue[GRAPH_MAX], taken = 0, queued = 0;
		graph_random(&graph, 2 + (unsigned)rand() % 40, 1 + (unsigned)rand() % 8, 10, 0);
		/* What a frame holds without a name is the last resort: only the other root. */
		for (unsigned i = 0; i < graph.count; i++)
			graph.rooted[i] = graph.rooted[i] ? 1 : 0;
		struct rmr_heap *heap = graph_open(&graph);
		for (unsigned i = 0; i < graph.count; i++) {
			distance[i] = graph.rooted[i] ? 1 : 0;
			if (graph.rooted[i])
				queue[queued++] = i;
		}
		while (taken < queued) {
			unsigned i = queue[taken++];
			for (unsigned k = 0; k < graph.count; k++) {
				if (graph.edges[i][k] && !distance[k]) {
					distance[k] = distance[i] + 1;
					queue[queued++] = k;
				}
			}
		}
		for (unsigned i = 0; i < graph.count; i++) {
			struct rmr_paths *paths;
			assert_ok(rmr_paths_find(heap, fixture_id(heap, graph_address(i)), NULL,
				&paths));
			const struct rmr_path *path = &paths->paths[0];
			ck_assert(distance[i] ? path->start == RMR_PATH_ROOT
					      : path->start == RMR_PATH_UNREACHABLE);
			if (distance[i])
				ck_assert_uint_eq(path->count, distance[i]);
			for (size_t s = 1; s < path->count; s++)
				ck_assert(graph.edges[path->steps[s - 1].id][path->steps[s].id]);
			rmr_paths_destroy(paths);
		}
		rmr_heap_close(heap);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("paths");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, paths_are_written_as_python, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_test(tests, frame_objects_hold_locals);
	tcase_add_test(tests, long_runs_are_told_by_their_number);
	tcase_add_loop_test(tests, python_finds_the_object, 0,
		sizeof(expressions) / sizeof(*expressions));
	tcase_add_loop_test(tests, classes_deceive, 0, sizeof(deceptions) / sizeof(*deceptions));
	tcase_add_test(tests, sub_interpreters_are_named);
	tcase_add_test(tests, unknown_word_to_avoid);
	tcase_add_test(tests, paths_are_shortest);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
