// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/cycles.h"
#include "cli/heap/paths.h"

#include "cli/heap/dominators.h"
#include "tests/unit/heap_fixture.h"

/* Components by brute force: those who reach each other. */
START_TEST(components_equal_brute_force)
{
	struct graph graph;

	srand(77);
	for (int round = 0; round < 400; round++) {
		bool reached[GRAPH_MAX][GRAPH_MAX] = {0}, live[GRAPH_MAX] = {0};
		uint64_t total = 0, objects = 0, bytes = 0, garbage = 0;
		struct rmr_dominators *dominators;
		struct rmr_cycles *cycles;
		graph_random(&graph, 1 + (unsigned)rand() % 30, (unsigned)rand() % 9, 8, 3);
		for (unsigned i = 0; i < graph.count; i++) {
			graph_reach(&graph, i, GRAPH_MAX, reached[i]);
			if (graph.rooted[i] || graph.extra[i])
				graph_reach(&graph, i, GRAPH_MAX, live);
		}
		for (unsigned i = 0; i < graph.count; i++) {
			unsigned members = 0, first = i;
			for (unsigned k = 0; k < graph.count; k++) {
				members += reached[i][k] && reached[k][i];
				if (reached[i][k] && reached[k][i] && k < first)
					first = k;
			}
			if (members == 1 && !graph.edges[i][i])
				continue;
			objects++;
			bytes += graph.size[i];
			total += first == i;
			garbage += first == i && !live[i];
		}
		struct rmr_heap *heap = graph_open(&graph);
		assert_ok(rmr_dominators_create(heap, &dominators));
		assert_ok(rmr_cycles_find(heap, dominators, 0, &cycles));
		ck_assert_uint_eq(cycles->total, total);
		ck_assert_uint_eq(cycles->objects, objects);
		ck_assert_uint_eq(cycles->bytes, bytes);
		ck_assert_uint_eq(cycles->garbage, garbage);
		ck_assert_uint_eq(cycles->count, total);
		for (size_t i = 0; i < cycles->count; i++)
			ck_assert(cycles->cycles[i].garbage == (i < garbage));
		rmr_cycles_destroy(cycles);
		rmr_dominators_destroy(dominators);
		rmr_heap_close(heap);
	}
}
END_TEST

START_TEST(ring_types_and_finalizers)
{
	struct rmr_heap *heap = fixture_open(
		"{\"shape\": 1, \"names\": [\".next\"]}\n"
		"{\"shape\": 2, \"names\": [\".__dict__\", \".__mro__\"]}\n"
		"{\"address\": 1, \"type\": \"N\", \"class\": 20, \"size\": 5, \"shape\": 1, \"refs\": [2]}\n"
		"{\"address\": 2, \"type\": \"N\", \"class\": 20, \"size\": 5, \"shape\": 1, \"refs\": [3]}\n"
		"{\"address\": 3, \"type\": \"list\", \"size\": 5, \"len\": 1, \"refs\": [1]}\n"
		"{\"address\": 20, \"type\": \"type\", \"size\": 1, \"name\": \"N\", \"module\": \"m\", \"shape\": 2, \"refs\": [22], \"hidden\": [23]}\n"
		"{\"address\": 21, \"type\": \"type\", \"size\": 1, \"name\": \"Base\", \"module\": \"m\", \"shape\": 2, \"refs\": [24]}\n"
		"{\"address\": 22, \"type\": \"dict\", \"size\": 1, \"len\": 0, \"refs\": []}\n"
		"{\"address\": 23, \"type\": \"tuple\", \"size\": 1, \"len\": 2, \"refs\": [21, 20]}\n"
		"{\"address\": 24, \"type\": \"dict\", \"size\": 1, \"len\": 1, \"refs\": [25], \"keys\": [26]}\n"
		"{\"address\": 25, \"type\": \"function\", \"size\": 1, \"refs\": []}\n"
		"{\"address\": 26, \"type\": \"str\", \"size\": 1, \"len\": 7, \"value\": \"__del__\", \"refs\": []}\n"
		"{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": [20]}\n");
	struct rmr_dominators *dominators;
	struct rmr_cycles *cycles;

	assert_ok(rmr_dominators_create(heap, &dominators));
	assert_ok(rmr_cycles_find(heap, dominators, 1, &cycles));
	ck_assert_uint_eq(cycles->total, 2); /* the class and its __mro__ are one, too */
	ck_assert_uint_eq(cycles->garbage, 1);
	ck_assert_uint_eq(cycles->finalizers, 1);
	ck_assert_uint_eq(cycles->count, 1);
	ck_assert(cycles->cycles[0].finalizer);
	ck_assert_str_eq(cycles->cycles[0].types, "m.N x 2, list");
	ck_assert_str_eq(cycles->cycles[0].ring, "m.N.next -> m.N.next -> list[0]");
	rmr_cycles_destroy(cycles);
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}
END_TEST

/* The types of C code, where the dump has no root for them (a target without /proc), are no garbage. */
START_TEST(immortal_objects_are_no_garbage)
{
	struct rmr_heap *heap = fixture_open(
		"{\"remora\": 1, \"id\": \"p\"}\n"
		"{\"address\": 1, \"type\": \"type\", \"size\": 5, \"rc\": 3221225472, \"flags\": [\"immortal\"], \"refs\": [2]}\n"
		"{\"address\": 2, \"type\": \"tuple\", \"size\": 5, \"rc\": 1, \"len\": 1, \"refs\": [1]}\n"
		"{\"address\": 3, \"type\": \"list\", \"size\": 5, \"rc\": 1, \"len\": 1, \"refs\": [3]}\n"
		"{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": []}\n");
	struct rmr_dominators *dominators;
	struct rmr_cycles *cycles;
	struct rmr_paths *paths;

	assert_ok(rmr_dominators_create(heap, &dominators));
	assert_ok(rmr_cycles_find(heap, dominators, 0, &cycles));
	ck_assert_uint_eq(cycles->total, 2);
	ck_assert_uint_eq(cycles->garbage, 1);
	ck_assert_int_eq(rmr_dominators_reach(dominators, fixture_id(heap, 2)), RMR_REACH_HELD_BY_C);
	assert_ok(rmr_paths_find(heap, fixture_id(heap, 2), NULL, &paths));
	ck_assert_int_eq(paths->paths[0].start, RMR_PATH_HELD_BY_C);
	rmr_paths_destroy(paths);
	rmr_cycles_destroy(cycles);
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("cycles");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, components_equal_brute_force);
	tcase_add_test(tests, ring_types_and_finalizers);
	tcase_add_test(tests, immortal_objects_are_no_garbage);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
