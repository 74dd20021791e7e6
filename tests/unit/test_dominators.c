// SPDX-License-Identifier: GPL-3.0-or-later
/* Dominators and retained sizes against brute force: without an object, what is not reached? */
#include "cli/heap/depth_first.h"
#include "cli/heap/dominators.h"
#include "cli/heap/summary.h"
#include "tests/unit/heap_fixture.h"

enum { NOBODY = GRAPH_MAX };

/* What roots, then C, then nothing hold. */
struct tiers {
	bool root[GRAPH_MAX], held[GRAPH_MAX], entry[GRAPH_MAX];
};

static void find_tiers(const struct graph *graph, struct tiers *tiers)
{
	memset(tiers, 0, sizeof(*tiers));
	for (unsigned i = 0; i < graph->count; i++) {
		if (graph->rooted[i]) {
			graph_reach(graph, i, NOBODY, tiers->root);
			tiers->entry[i] = true;
		}
	}
	memcpy(tiers->held, tiers->root, sizeof(tiers->held));
	for (unsigned i = 0; i < graph->count; i++) {
		if (graph->extra[i] && !tiers->root[i]) {
			graph_reach(graph, i, NOBODY, tiers->held);
			tiers->entry[i] = true;
		}
	}
}

/* One object of each source component of the rest is an entry, and no other object. */
static void check_entries(const struct graph *graph, struct tiers *tiers,
	const struct rmr_heap *heap)
{
	struct rmr_depth_first order;
	bool reached[GRAPH_MAX][GRAPH_MAX] = {0};

	assert_ok(rmr_depth_first_create(heap, &order));
	for (unsigned i = 0; i < graph->count; i++)
		graph_reach(graph, i, NOBODY, reached[i]);
	for (unsigned i = 0; i < graph->count; i++) {
		bool entry = order.marks[fixture_id(heap, graph_address(i))] & RMR_DEPTH_FIRST_ENTRY;
		if (tiers->held[i]) {
			ck_assert(entry == (tiers->entry[i] && graph->rooted[i] != 2));
			continue;
		}
		unsigned entries = 0;
		bool source = true;
		for (unsigned k = 0; k < graph->count; k++) {
			if (tiers->held[k] || !reached[k][i])
				continue;
			source &= reached[i][k];
			entries += reached[i][k] &&
				order.marks[fixture_id(heap, graph_address(k))] &
					RMR_DEPTH_FIRST_ENTRY;
		}
		ck_assert(!entry || source);
		if (source)
			ck_assert_uint_eq(entries, 1);
		tiers->entry[i] = entry;
	}
	rmr_depth_first_destroy(&order);
}

static void reach_all(const struct graph *graph, const struct tiers *tiers, unsigned without,
	bool *seen)
{
	for (unsigned i = 0; i < graph->count; i++) {
		if (tiers->entry[i])
			graph_reach(graph, i, without, seen);
	}
}

static void check_graph(const struct graph *original)
{
	struct graph graph = *original;
	struct rmr_heap *heap = graph_open(&graph);
	struct rmr_dominators *dominators;
	struct tiers tiers;
	uint64_t total = 0;

	assert_ok(rmr_dominators_create(heap, &dominators));
	find_tiers(&graph, &tiers);
	check_entries(&graph, &tiers, heap);
	/* Garbage holds nothing that is alive. */
	for (unsigned i = 0; i < graph.count; i++) {
		for (unsigned k = 0; k < graph.count; k++) {
			if (!tiers.held[i] && tiers.held[k])
				graph.edges[i][k] = 0;
		}
		total += graph.size[i];
	}
	ck_assert_uint_eq(rmr_dominators_retained(dominators, rmr_dominators_top(dominators)), total);
	for (unsigned x = 0; x < graph.count; x++) {
		uint32_t id = fixture_id(heap, graph_address(x));
		bool seen[GRAPH_MAX] = {0};
		uint64_t retained = 0;
		unsigned dominated = 0;
		reach_all(&graph, &tiers, x, seen);
		for (unsigned i = 0; i < graph.count; i++) {
			uint32_t other = fixture_id(heap, graph_address(i));
			ck_assert(rmr_dominators_is_above(dominators, id, other) == !seen[i]);
			retained += seen[i] ? 0 : graph.size[i];
			dominated += !seen[i];
		}
		ck_assert_uint_eq(rmr_dominators_retained(dominators, id), retained);
		ck_assert_uint_ge(rmr_dominators_count(dominators, id), dominated);
		enum rmr_reach want = tiers.root[x] ? RMR_REACH_ROOT
			: tiers.held[x]		    ? RMR_REACH_HELD_BY_C
						    : RMR_REACH_UNREACHABLE;
		ck_assert_int_eq(rmr_dominators_reach(dominators, id), want);
	}
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}

START_TEST(equal_brute_force_on_random_graphs)
{
	struct graph graph;

	srand(1234 + (unsigned)_i);
	for (int i = 0; i < 400; i++) {
		graph_random(&graph, 1 + (unsigned)rand() % 24, 1 + (unsigned)rand() % 15,
			(unsigned)rand() % 30, (unsigned)rand() % 15);
		check_graph(&graph);
	}
}
END_TEST

START_TEST(cycle_of_two_is_retained_by_what_leads_to_it)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 1, \"type\": \"a\", \"size\": 10, \"refs\": [2]}\n"
		"{\"address\": 2, \"type\": \"a\", \"size\": 100, \"refs\": [3]}\n"
		"{\"address\": 3, \"type\": \"a\", \"size\": 1000, \"refs\": [2]}\n");
	struct rmr_dominators *dominators;

	assert_ok(rmr_dominators_create(heap, &dominators));
	ck_assert_uint_eq(rmr_dominators_retained(dominators, fixture_id(heap, 1)), 1110);
	ck_assert_uint_eq(rmr_dominators_retained(dominators, fixture_id(heap, 2)), 1100);
	ck_assert_uint_eq(rmr_dominators_retained(dominators, fixture_id(heap, 3)), 1000);
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(long_list_is_no_matter_of_stack)
{
	enum { LENGTH = 300000 };
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct rmr_dominators *dominators;
	struct rmr_error *err;

	for (unsigned i = 1; i <= LENGTH; i++)
		fprintf(out, "{\"address\": %u, \"type\": \"n\", \"size\": 1, \"refs\": [%u, %u]}\n", i,
			i - 1, i + 1);
	fputs("{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": [1]}\n", out);
	fclose(out);
	struct rmr_heap *heap = fixture_try(text, size, &err);
	free(text);
	ck_assert_ptr_null(err);
	assert_ok(rmr_dominators_create(heap, &dominators));
	ck_assert_uint_eq(rmr_dominators_retained(dominators, fixture_id(heap, 1)), LENGTH);
	ck_assert_uint_eq(rmr_dominators_retained(dominators, fixture_id(heap, LENGTH / 2)),
		LENGTH - LENGTH / 2 + 1);
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(children_are_sorted_and_limited)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 1, \"type\": \"a\", \"size\": 1, \"refs\": [2, 3, 4]}\n"
		"{\"address\": 2, \"type\": \"b\", \"size\": 5, \"refs\": []}\n"
		"{\"address\": 3, \"type\": \"b\", \"size\": 7, \"owned\": 2, \"refs\": [5]}\n"
		"{\"address\": 4, \"type\": \"a\", \"size\": 6, \"refs\": []}\n"
		"{\"address\": 5, \"type\": \"a\", \"size\": 1, \"refs\": []}\n");
	struct rmr_dominators *dominators;
	struct rmr_summary_row *rows;
	uint32_t *ids;
	uint64_t count, total;
	size_t types;

	assert_ok(rmr_dominators_create(heap, &dominators));
	assert_ok(rmr_dominators_children(dominators, fixture_id(heap, 1), 2, &ids, &count, &total));
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(total, 3);
	ck_assert_uint_eq(rmr_heap_address(heap, ids[0]), 3);
	ck_assert_uint_eq(rmr_heap_address(heap, ids[1]), 4);
	ck_assert_uint_eq(rmr_dominators_retained(dominators, ids[0]), 10);
	free(ids);
	/* A type retains what its outermost instances do. */
	assert_ok(rmr_summary_create(heap, dominators, RMR_SORT_RETAINED, &rows, &types));
	ck_assert_uint_eq(types, 2);
	ck_assert_str_eq(rmr_heap_type_info(heap, rows[0].type)->label, "a");
	ck_assert_uint_eq(rows[0].retained, 22);
	ck_assert_uint_eq(rows[1].retained, 15);
	free(rows);
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("dominators");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, equal_brute_force_on_random_graphs, 0, 10);
	tcase_add_test(tests, cycle_of_two_is_retained_by_what_leads_to_it);
	tcase_add_test(tests, long_list_is_no_matter_of_stack);
	tcase_add_test(tests, children_are_sorted_and_limited);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
