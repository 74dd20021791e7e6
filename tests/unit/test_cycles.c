// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/cycles.h"
#include "cli/heap/paths.h"

#include "cli/heap/dominators.h"
#include "tests/unit/heap_fixture.h"

static const struct rmr_cycles_options each = {.each = true}, one = {.limit = 1};

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
		assert_ok(rmr_cycles_find(heap, dominators, &each, &cycles));
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

/* The types along a shortest ring through first, a letter each, turned so that they are least. */
static void graph_ring(const struct graph *graph, const unsigned *part, unsigned first,
	char ring[GRAPH_MAX + 1])
{
	unsigned before[GRAPH_MAX], queue[GRAPH_MAX], queued = 0, last = first;
	char types[2 * GRAPH_MAX + 1] = "", turned[GRAPH_MAX + 1];
	bool seen[GRAPH_MAX] = {0}, closed = false;

	queue[queued++] = first;
	for (unsigned taken = 0; taken < queued && !closed; taken++) {
		last = queue[taken];
		for (unsigned k = 0; k < graph->count && !closed; k++) {
			closed = graph->edges[last][k] && k == first;
			if (closed || !graph->edges[last][k] || part[k] != part[first] || seen[k])
				continue;
			seen[k] = true;
			before[k] = last;
			queue[queued++] = k;
		}
	}
	ck_assert(closed);
	/* From the end to the start, so that each type goes in front. */
	for (unsigned i = last;; i = before[i]) {
		memmove(types + 1, types, strlen(types) + 1);
		types[0] = (char)('0' + i % 3);
		if (i == first)
			break;
	}
	size_t length = strlen(types);
	memcpy(types + length, types, length);
	snprintf(ring, GRAPH_MAX + 1, "%.*s", (int)length, types);
	for (size_t start = 1; start < length; start++) {
		snprintf(turned, sizeof(turned), "%.*s", (int)length, types + start);
		if (strcmp(turned, ring) < 0)
			strcpy(ring, turned);
	}
}

/* Rows by brute force: the components whose types, rings and state are told by the same words. */
START_TEST(shapes_equal_brute_force)
{
	unsigned shared = 0;

	srand(78);
	for (int round = 0; round < 400; round++) {
		struct graph graph;
		struct { char words[2 * GRAPH_MAX]; unsigned first, cycles, count; uint64_t bytes; } rows[GRAPH_MAX];
		unsigned part[GRAPH_MAX], row_count = 0;
		bool reached[GRAPH_MAX][GRAPH_MAX] = {0}, live[GRAPH_MAX] = {0};
		struct rmr_dominators *dominators;
		struct rmr_cycles *cycles;
		graph_random(&graph, 1 + (unsigned)rand() % GRAPH_MAX, (unsigned)rand() % 3, 4, 3);
		for (unsigned i = 0; i + 1 < graph.count; i += 2)
			graph.edges[i][i + 1] = graph.edges[i + 1][i] = rand() % 3 == 0;
		for (unsigned i = 0; i < graph.count; i++) {
			graph_reach(&graph, i, GRAPH_MAX, reached[i]);
			if (graph.rooted[i] || graph.extra[i])
				graph_reach(&graph, i, GRAPH_MAX, live);
		}
		for (unsigned i = 0; i < graph.count; i++) {
			part[i] = i;
			for (unsigned k = i; k--;)
				part[i] = reached[i][k] && reached[k][i] ? part[k] : part[i];
		}
		for (unsigned i = 0; i < graph.count; i++) {
			unsigned count = 0, types[3] = {0}, r = 0;
			char ring[GRAPH_MAX + 1], words[2 * GRAPH_MAX];
			uint64_t bytes = 0;
			for (unsigned k = 0; k < graph.count; k++) {
				if (part[k] != part[i])
					continue;
				count++;
				types[k % 3]++;
				bytes += graph.size[k];
			}
			if (part[i] != i || (count == 1 && !graph.edges[i][i]))
				continue;
			graph_ring(&graph, part, i, ring);
			snprintf(words, sizeof(words), "%d %u %u %u %s", live[i], types[0], types[1],
				types[2], ring);
			while (r < row_count && strcmp(rows[r].words, words))
				r++;
			if (r == row_count) {
				memset(&rows[row_count++], 0, sizeof(*rows));
				rows[r].first = i;
				strcpy(rows[r].words, words);
			}
			shared += rows[r].cycles++;
			rows[r].count += count;
			rows[r].bytes += bytes;
		}
		struct rmr_heap *heap = graph_open(&graph);
		assert_ok(rmr_dominators_create(heap, &dominators));
		assert_ok(rmr_cycles_find(heap, dominators, NULL, &cycles));
		ck_assert_uint_eq(cycles->rows, row_count);
		ck_assert_uint_eq(cycles->count, row_count);
		for (unsigned r = 0; r < row_count; r++) {
			unsigned c = 0;
			while (c < row_count && rmr_heap_address(heap, cycles->cycles[c].first) !=
				graph_address(rows[r].first))
				c++;
			ck_assert_uint_lt(c, row_count);
			ck_assert_uint_eq(cycles->cycles[c].cycles, rows[r].cycles);
			ck_assert_uint_eq(cycles->cycles[c].count, rows[r].count);
			ck_assert_uint_eq(cycles->cycles[c].bytes, rows[r].bytes);
			ck_assert(cycles->cycles[c].garbage == (rows[r].words[0] == '0'));
		}
		rmr_cycles_destroy(cycles);
		rmr_dominators_destroy(dominators);
		rmr_heap_close(heap);
	}
	ck_assert_uint_gt(shared, 100);
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
	assert_ok(rmr_cycles_find(heap, dominators, &one, &cycles));
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
	assert_ok(rmr_cycles_find(heap, dominators, &each, &cycles));
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
	tcase_add_test(tests, shapes_equal_brute_force);
	tcase_add_test(tests, ring_types_and_finalizers);
	tcase_add_test(tests, immortal_objects_are_no_garbage);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
