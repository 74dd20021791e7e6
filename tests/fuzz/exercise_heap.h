// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Asks a heap everything that can be asked, whatever it is made of.
 */
#ifndef RMR_TESTS_FUZZ_EXERCISE_HEAP_H
#define RMR_TESTS_FUZZ_EXERCISE_HEAP_H

#include "cli/heap/buffers.h"
#include "cli/heap/cycles.h"
#include "cli/heap/diff.h"
#include "cli/heap/dominators.h"
#include "cli/heap/graph.h"
#include "cli/heap/groups.h"
#include "cli/heap/leaks.h"
#include "cli/heap/paths.h"
#include "cli/heap/completeness.h"
#include "cli/heap/summary.h"
#include "cli/heap/tree.h"
#include "cli/heap/waste.h"

#include <stdlib.h>

/** True if there was no error; an error is dropped. */
static inline bool exercise_ok(struct rmr_error *err)
{
	rmr_error_destroy(err);
	return !err;
}

static inline void exercise_object(const struct rmr_heap *heap, uint32_t id, FILE *sink)
{
	struct rmr_ids children = rmr_heap_children(heap, id);
	struct rmr_buffer buffer;
	struct rmr_names *names;
	struct rmr_paths *paths;
	struct rmr_tree *tree;

	free(rmr_heap_describe(heap, id, 20));
	free(rmr_heap_name(heap, id));
	free(rmr_heap_value(heap, id));
	rmr_heap_is_held_by_c(heap, id);
	rmr_buffers_get(heap, id, &buffer);
	rmr_heap_type_label(heap, id);
	if (exercise_ok(rmr_names_create(heap, id, &names))) {
		for (uint64_t k = 0; k < children.count && k < 50; k++)
			free(rmr_names_text(names, k));
		rmr_names_destroy(names);
	}
	struct rmr_paths_options options = {.limit = 3};
	if (exercise_ok(rmr_paths_find(heap, id, &options, &paths)))
		rmr_paths_destroy(paths);
	for (int up = 0; up < 2; up++) {
		struct rmr_tree_options how = {.up = up};
		struct rmr_graph_options picture = {.up = up};
		if (exercise_ok(rmr_tree_create(heap, id, &how, &tree)))
			rmr_tree_destroy(tree);
		exercise_ok(rmr_graph_write(heap, id, &picture, sink));
	}
}

static inline void exercise_heap(struct rmr_heap *heap)
{
	FILE *sink = fopen("/dev/null", "w");
	struct rmr_dominators *dominators = NULL;
	struct rmr_completeness completeness;
	struct rmr_groups *groups;
	struct rmr_cycles *cycles;
	struct rmr_waste *waste;
	struct rmr_leaks *leaks;
	uint32_t end = rmr_heap_id_end(heap);

	for (uint32_t id = 0; id < end && id < 20; id++)
		exercise_object(heap, id, sink);
	for (uint32_t i = 0; i < rmr_heap_root_count(heap) && i < 20; i++)
		free(rmr_heap_root_name(heap, i, 0));
	rmr_completeness_get(heap, &completeness);
	if (exercise_ok(rmr_dominators_create(heap, &dominators))) {
		for (enum rmr_groups_by by = 0; by <= RMR_GROUPS_OWNER; by++) {
			if (exercise_ok(rmr_groups_create(heap, dominators, NULL, 0, by, &groups)))
				rmr_groups_destroy(groups);
		}
		for (int each = 0; each < 2; each++) {
			struct rmr_cycles_options rows = {.limit = 5, .each = each};
			if (exercise_ok(rmr_cycles_find(heap, dominators, &rows, &cycles)))
				rmr_cycles_destroy(cycles);
		}
		if (exercise_ok(rmr_leaks_find(&heap, &dominators, 1, 5, &leaks)))
			rmr_leaks_destroy(leaks);
		rmr_dominators_destroy(dominators);
	}
	if (exercise_ok(rmr_waste_find(heap, 3, &waste)))
		rmr_waste_destroy(waste);
	fclose(sink);
}

/** Compares two, as dumps of one process if they say so. */
static inline void exercise_two(struct rmr_heap *first, struct rmr_heap *second)
{
	struct rmr_heap *heaps[] = {first, second, second};
	struct rmr_dominators *dominators[3] = {0};
	struct rmr_leaks *leaks;
	struct rmr_diff *diff;

	if (exercise_ok(rmr_dominators_create(first, &dominators[0])) &&
		exercise_ok(rmr_dominators_create(second, &dominators[1]))) {
		dominators[2] = dominators[1];
		for (size_t count = 2; count <= 3; count++) {
			for (enum rmr_diff_by by = 0; by <= RMR_DIFF_PATH; by++) {
				struct rmr_diff_options options = {.by = by,
					.group = RMR_GROUPS_VIA, .growth = by == RMR_DIFF_GROUP};
				if (exercise_ok(rmr_diff_create(heaps, dominators, count, &options,
					    &diff)))
					rmr_diff_destroy(diff);
			}
		}
		if (exercise_ok(rmr_leaks_find(heaps, dominators, 2, 5, &leaks)))
			rmr_leaks_destroy(leaks);
	}
	rmr_dominators_destroy(dominators[0]);
	rmr_dominators_destroy(dominators[1]);
}

#endif
