// SPDX-License-Identifier: GPL-3.0-or-later
/* References both ways against brute force, names by the rules of the format, and texts. */
#include "cli/heap/edges.h"
#include "tests/unit/heap_fixture.h"

START_TEST(references_equal_the_graph)
{
	struct graph graph;

	srand(99);
	for (int round = 0; round < 300; round++) {
		graph_random(&graph, 1 + (unsigned)rand() % 40, 1 + (unsigned)rand() % 20, 20, 10);
		struct rmr_heap *heap = graph_open(&graph);
		ck_assert_uint_eq(rmr_heap_count(heap), graph.count);
		for (unsigned i = 0; i < graph.count; i++) {
			unsigned to[GRAPH_MAX] = {0}, from[GRAPH_MAX] = {0}, absent = 0;
			uint32_t id = fixture_id(heap, graph_address(i));
			struct rmr_ids children = rmr_heap_children(heap, id);
			struct rmr_ids referrers = rmr_heap_referrers(heap, id);
			ck_assert_uint_eq(id, i); /* ascending by address */
			for (uint64_t k = 0; k < children.count; k++) {
				if (rmr_heap_is_absent(heap, children.ids[k]))
					absent++;
				else
					to[children.ids[k]]++;
			}
			for (uint64_t k = 0; k < referrers.count; k++) {
				ck_assert(!k || referrers.ids[k] >= referrers.ids[k - 1]);
				from[referrers.ids[k]]++;
			}
			ck_assert_uint_eq(absent, graph.dangling[i]);
			for (unsigned k = 0; k < graph.count; k++) {
				ck_assert_uint_eq(to[k], graph.edges[i][k]);
				ck_assert_uint_eq(from[k], graph.edges[k][i]);
			}
			ck_assert(rmr_heap_is_rooted(heap, id) == (graph.rooted[i] > 0));
			ck_assert(rmr_heap_is_held_by_c(heap, id) == (graph.extra[i] > 0));
			ck_assert_uint_eq(rmr_heap_size(heap, id), graph.size[i]);
		}
		rmr_heap_close(heap);
	}
}
END_TEST

START_TEST(sparse_addresses_are_found)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct rmr_error *err;
	uint64_t step = 0x0003ffffffffffff;

	for (uint64_t i = 1; i < 5000; i++)
		fprintf(out, "{\"address\": %llu, \"type\": \"t\", \"size\": 1, \"refs\": [%llu, %llu]}\n",
			(unsigned long long)(i * step), (unsigned long long)((5000 - i) * step),
			(unsigned long long)(i * step + 1));
	fclose(out);
	struct rmr_heap *heap = fixture_try(text, size, &err);
	ck_assert_ptr_null(err);
	free(text);
	for (uint32_t i = 1; i < 5000; i++) {
		uint32_t id = fixture_id(heap, i * step);
		ck_assert_uint_eq(rmr_heap_children(heap, id).ids[0],
			fixture_id(heap, (5000 - i) * step));
		ck_assert(rmr_heap_is_absent(heap, rmr_heap_children(heap, id).ids[1]));
	}
	rmr_heap_close(heap);
}
END_TEST

static const char named[] =
	"{\"shape\": 0, \"names\": [\".a\", null, \".__class__\", \".__dict__\"]}\n"
	"{\"address\": 10, \"type\": \"A\", \"size\": 1, \"shape\": 0, \"refs\": [20, 21], \"hidden\": [30, 40]}\n"
	"{\"address\": 20, \"type\": \"list\", \"size\": 1, \"len\": 3, \"refs\": [53, 52, 51]}\n"
	"{\"address\": 21, \"type\": \"tuple\", \"size\": 1, \"len\": 2, \"refs\": [52, 51]}\n"
	"{\"address\": 22, \"type\": \"list\", \"size\": 1, \"len\": 5, \"refs\": [51]}\n"
	"{\"address\": 30, \"type\": \"type\", \"size\": 1, \"name\": \"A\", \"module\": \"app\", \"refs\": []}\n"
	"{\"address\": 40, \"type\": \"dict\", \"size\": 1, \"len\": 4, \"refs\": [10, 10, 10, 10], \"keys\": [51, 52, 21, 60]}\n"
	"{\"address\": 41, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"refs\": [10, 51]}\n"
	"{\"address\": 42, \"type\": \"cell\", \"size\": 1, \"refs\": [10]}\n"
	"{\"address\": 43, \"type\": \"set\", \"size\": 1, \"len\": 1, \"refs\": [51]}\n"
	"{\"shape\": 1, \"names\": [\".x\"]}\n"
	"{\"shape\": 2, \"names\": [null, \".__mro__\"]}\n"
	"{\"shape\": 3, \"names\": [\".x\", \".__class__\"]}\n"
	"{\"address\": 44, \"type\": \"D\", \"size\": 1, \"len\": 2, \"class\": 62, \"shape\": 3, \"refs\": [53, 62, 10, 10], \"keys\": [51, 52]}\n"
	"{\"address\": 45, \"type\": \"D\", \"size\": 1, \"len\": 2, \"class\": 62, \"shape\": 1, \"refs\": [53, 70, 51, 71, 52]}\n"
	"{\"address\": 46, \"type\": \"D\", \"size\": 1, \"len\": 1, \"class\": 62, \"refs\": [51, 70, 51]}\n"
	"{\"address\": 47, \"type\": \"L\", \"size\": 1, \"len\": 2, \"class\": 63, \"shape\": 1, \"refs\": [53, 71, 70]}\n"
	"{\"address\": 62, \"type\": \"type\", \"size\": 1, \"name\": \"D\", \"module\": \"app\", \"shape\": 2, \"refs\": [70, 64]}\n"
	"{\"address\": 63, \"type\": \"type\", \"size\": 1, \"name\": \"L\", \"module\": \"app\", \"shape\": 2, \"refs\": [70, 65]}\n"
	"{\"address\": 64, \"type\": \"tuple\", \"size\": 1, \"len\": 2, \"refs\": [66, 62]}\n"
	"{\"address\": 65, \"type\": \"tuple\", \"size\": 1, \"len\": 2, \"refs\": [67, 63]}\n"
	"{\"address\": 66, \"type\": \"type\", \"size\": 1, \"name\": \"dict\", \"module\": \"builtins\", \"refs\": []}\n"
	"{\"address\": 67, \"type\": \"type\", \"size\": 1, \"name\": \"list\", \"module\": \"builtins\", \"refs\": []}\n"
	"{\"address\": 48, \"type\": \"dict\", \"size\": 1, \"len\": 0, \"class\": 66, \"refs\": []}\n"
	"{\"address\": 49, \"type\": \"list\", \"size\": 1, \"len\": 0, \"class\": 67, \"refs\": []}\n"
	"{\"address\": 51, \"type\": \"str\", \"size\": 1, \"len\": 4, \"value\": \"it's\", \"refs\": []}\n"
	"{\"address\": 52, \"type\": \"int\", \"size\": 1, \"value\": -7, \"refs\": []}\n"
	"{\"address\": 53, \"type\": \"bytes\", \"size\": 1, \"len\": 3, \"value\": \"a\\u00ff\\n\", \"refs\": []}\n"
	"{\"address\": 54, \"type\": \"str\", \"size\": 1, \"len\": 900, \"value\": \"start\", \"refs\": []}\n"
	"{\"address\": 55, \"type\": \"float\", \"size\": 1, \"value\": \"nan\", \"refs\": []}\n"
	"{\"address\": 56, \"type\": \"NoneType\", \"size\": 1, \"value\": null, \"refs\": []}\n"
	"{\"address\": 57, \"type\": \"bool\", \"size\": 1, \"value\": true, \"refs\": []}\n"
	"{\"address\": 58, \"type\": \"str\", \"size\": 1, \"len\": 3, \"value\": \"\\u001b[m\\ud800\", \"refs\": []}\n"
	"{\"address\": 60, \"type\": \"K\", \"size\": 1, \"class\": 61, \"refs\": []}\n"
	"{\"address\": 61, \"type\": \"type\", \"size\": 1, \"name\": \"K\", \"module\": \"app\", \"refs\": []}\n"
	"{\"address\": 70, \"type\": \"module\", \"size\": 1, \"name\": \"os\", \"refs\": []}\n"
	"{\"address\": 71, \"type\": \"code\", \"size\": 1, \"name\": \"f\", \"file\": \"a.py\", \"line\": 3, \"refs\": []}\n";

static const struct {
	uint64_t address;
	const char *names[6];
} name_cases[] = {
	{10, {".a", NULL, ".__class__", ".__dict__"}},
	{20, {"[2]", "[1]", "[0]"}},
	{21, {"[1]", "[0]"}},
	{22, {NULL}},
	{40, {"[\"it's\"]", "[-7]", "[(\"it's\", -7)]", "[<app.K at 0x3c>]", "<key \"it's\">", "<key -7>"}},
	{41, {"[\"it's\"]", "<key \"it's\">"}},
	{42, {".cell_contents"}},
	{43, {NULL}},
	/* Subclasses: attributes, then the items. */
	{44, {".x", ".__class__", "[\"it's\"]", "[-7]", "<key \"it's\">", "<key -7>"}},
	{45, {".x", "[\"it's\"]", "<key \"it's\">", "[-7]", "<key -7>"}},
	{46, {NULL, "[\"it's\"]", "<key \"it's\">"}},
	{47, {".x", "[1]", "[0]"}},
};

START_TEST(names_follow_the_format)
{
	struct rmr_heap *heap = fixture_open(named);
	struct rmr_names *names;
	uint32_t id = fixture_id(heap, name_cases[_i].address);
	uint64_t count = rmr_heap_children(heap, id).count;

	assert_ok(rmr_names_create(heap, id, &names));
	for (uint64_t k = 0; k < count && k < 6; k++) {
		char *text = rmr_names_text(names, k);
		ck_assert_pstr_eq(text, name_cases[_i].names[k]);
		ck_assert(rmr_names_has(names, k) == (text != NULL));
		free(text);
	}
	ck_assert_ptr_null(rmr_names_text(names, count));
	rmr_names_destroy(names);
	rmr_heap_close(heap);
}
END_TEST

/* The quick answers must be those of the names. */
START_TEST(quick_edges_agree_with_the_names)
{
	struct rmr_heap *heap = fixture_open(named);
	struct rmr_edges edges;

	assert_ok(rmr_edges_create(heap, &edges));
	for (uint32_t id = 0; id < rmr_heap_count(heap); id++) {
		struct rmr_ids ids = rmr_heap_children(heap, id);
		struct rmr_names *names;
		assert_ok(rmr_names_create(heap, id, &names));
		for (uint64_t k = 0; k < ids.count; k++) {
			uint64_t want = UINT64_MAX;
			for (uint64_t i = 0; i < ids.count && want == UINT64_MAX; i++) {
				char *text = rmr_names_text(names, i);
				if (text && ids.ids[i] == ids.ids[k] && *text != '<' &&
					strcmp(text, ".__class__") != 0)
					want = i;
				free(text);
			}
			ck_assert_uint_eq(rmr_edges_named(&edges, id, ids.ids[k]), want);
		}
		rmr_names_destroy(names);
	}
	ck_assert_uint_eq(rmr_edges_dict_of(&edges, fixture_id(heap, 10)), fixture_id(heap, 40));
	ck_assert_uint_eq(rmr_edges_dict_of(&edges, fixture_id(heap, 20)), RMR_NO_OBJECT);
	rmr_edges_destroy(&edges);
	rmr_heap_close(heap);
}
END_TEST

static const struct {
	uint64_t address;
	const char *text;
} describe_cases[] = {
	{51, "\"it's\""}, {52, "-7"}, {53, "b'a\\xff\\n'"}, {54, "'start'..."}, {55, "nan"}, {56, "None"},
	{57, "True"}, {58, "'\\x1b[m\\ud800'"}, {60, NULL}, {61, "<class app.K>"}, {70, "<module os>"},
	{71, "<code f at a.py:3>"},
};

START_TEST(objects_are_described)
{
	struct rmr_heap *heap = fixture_open(named);
	char *text = rmr_heap_describe(heap, fixture_id(heap, describe_cases[_i].address), 40);

	ck_assert_pstr_eq(text, describe_cases[_i].text);
	free(text);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(types_of_one_name_stay_apart)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 1, \"type\": \"A\", \"size\": 5, \"class\": 8, \"refs\": []}\n"
		"{\"address\": 2, \"type\": \"A\", \"size\": 7, \"class\": 9, \"refs\": []}\n"
		"{\"address\": 3, \"type\": \"A\", \"size\": 9, \"class\": 9, \"refs\": []}\n"
		"{\"address\": 8, \"type\": \"type\", \"size\": 1, \"name\": \"A\", \"module\": \"x\", \"refs\": []}\n"
		"{\"address\": 9, \"type\": \"type\", \"size\": 1, \"name\": \"A\", \"module\": \"y\", \"refs\": []}\n");
	uint32_t first = rmr_heap_find_type(heap, "A", 0);
	const struct rmr_type *type = rmr_heap_type_info(heap, first);

	ck_assert_uint_eq(rmr_heap_type_count(heap), 3);
	ck_assert_str_eq(type->label, "y.A");
	ck_assert_uint_eq(type->count, 2);
	ck_assert_uint_eq(type->bytes, 16);
	ck_assert_uint_eq(rmr_heap_address(heap, type->largest), 3);
	ck_assert_uint_eq(rmr_heap_address(heap, type->class_id), 9);
	ck_assert_uint_ne(rmr_heap_find_type(heap, "A", first + 1), RMR_NO_TYPE);
	ck_assert_uint_eq(rmr_heap_find_type(heap, "x.A", 0), rmr_heap_type(heap, 0));
	ck_assert_uint_eq(rmr_heap_find_type(heap, "z.A", 0), RMR_NO_TYPE);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(roots_tell_what_they_are)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 1, \"type\": \"a\", \"size\": 1, \"rc\": 3, \"refs\": []}\n"
		"{\"root\": \"frame\", \"label\": \"<frame f>\", \"refs\": [1, 1], \"names\": [null, \".x\"], "
		"\"thread\": 5, \"depth\": 2, \"function\": \"f\", \"file\": \"a.py\", \"line\": 12}\n"
		"{\"root\": \"interned\", \"label\": \"<interned strings>\", \"refs\": [1]}\n"
		"{\"root\": \"novel\", \"label\": \"n\", \"refs\": []}\n");
	const struct rmr_root *root = rmr_heap_root(heap, 0);

	ck_assert_uint_eq(rmr_heap_root_count(heap), 3);
	ck_assert_int_eq(root->kind, RMR_ROOT_FRAME);
	ck_assert_uint_eq(root->thread, 5);
	ck_assert_uint_eq(root->depth, 2);
	ck_assert_uint_eq(root->line, 12);
	ck_assert_str_eq(root->function, "f");
	ck_assert_ptr_null(rmr_heap_root_name(heap, 0, 0));
	char *name = rmr_heap_root_name(heap, 0, 1);
	ck_assert_str_eq(name, ".x");
	free(name);
	ck_assert_int_eq(rmr_heap_root(heap, 2)->kind, RMR_ROOT_OTHER);
	ck_assert_str_eq(rmr_heap_root(heap, 2)->kind_text, "novel");
	ck_assert_uint_eq(rmr_heap_root_references(heap, 0), 3);
	ck_assert(!rmr_heap_is_held_by_c(heap, 0));
	rmr_heap_close(heap);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("heap");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, references_equal_the_graph);
	tcase_add_test(tests, sparse_addresses_are_found);
	tcase_add_loop_test(tests, names_follow_the_format, 0,
		sizeof(name_cases) / sizeof(*name_cases));
	tcase_add_test(tests, quick_edges_agree_with_the_names);
	tcase_add_loop_test(tests, objects_are_described, 0,
		sizeof(describe_cases) / sizeof(*describe_cases));
	tcase_add_test(tests, types_of_one_name_stay_apart);
	tcase_add_test(tests, roots_tell_what_they_are);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
