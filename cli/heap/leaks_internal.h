// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  What leaks.c asks of leaks_growth.c: where the dominator tree grew; and of leaks_inside.c. */
#ifndef RMR_CLI_HEAP_LEAKS_INTERNAL_H
#define RMR_CLI_HEAP_LEAKS_INTERNAL_H

#include "cli/heap/dominators.h"
#include "cli/heap/heap_internal.h"

struct rmr_text;

/** The dumps of one process, in order of time, at least two. */
struct rmr_leak_dumps {
	struct rmr_heap *const *heaps;
	struct rmr_dominators *const *dominators;
	size_t count;
};

/** An object of the last dump whose retained size grew, and none of those below it alone did. */
struct rmr_leak_place {
	uint32_t id;
	uint64_t byte_growth;   /**< from the first dump to the last */
	uint64_t object_growth;
	bool chain;             /**< the objects below are of its own type, one behind the other */
	bool replaced;          /**< another one each time, in the same place, larger than before */
	bool late;              /**< of three dumps or more, it is in none before the last */
	bool open;              /**< a module or its dict: what is below it need not belong together */
};

/** Objects of one type that no root reaches, or threads: more in each dump than before. */
struct rmr_leak_crowd {
	enum rmr_reach reach;   /**< held by C, or unreachable; RMR_REACH_ROOT: threads */
	uint32_t type;          /**< of the last dump; of threads: number of the root that is their
	                             most frequent innermost frame, or RMR_NO_OBJECT */
	uint32_t example;       /**< id in the last dump; of threads RMR_NO_OBJECT */
	uint64_t count, retained;
	uint64_t alike;         /**< threads that are in that frame */
	uint64_t count_growth, byte_growth; /**< from the first dump to the last */
};

struct rmr_leak_growth {
	struct rmr_leak_place *places;
	size_t place_count, place_room;
	struct rmr_leak_crowd *crowds;
	size_t crowd_count;
};

/**
 * Appends what @p id dominates, by type: the three that make up most. Names what owns memory of C
 * libraries. False: no memory.
 */
bool rmr_leaks_tell_inside(const struct rmr_heap *heap, const struct rmr_dominators *tree,
	uint32_t id, struct rmr_text *text);

struct rmr_error *rmr_leaks_growth(const struct rmr_leak_dumps *dumps,
	struct rmr_leak_growth *ret) RMR_MUST_CHECK;
void rmr_leaks_growth_deinit(struct rmr_leak_growth *growth);

#endif
