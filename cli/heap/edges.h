// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Which references have names, fast: without reading records again, for searches that pass
 * millions of them. The text of a name is names.c's matter.
 */
#ifndef RMR_CLI_HEAP_EDGES_H
#define RMR_CLI_HEAP_EDGES_H

#include "cli/heap/heap_internal.h"

struct rmr_edges {
	const struct rmr_heap *heap;
	struct rmr_edges_shape {
		uint64_t named;  /**< bit i: name i is there, but no .__class__ or .f_back; at most 62 */
		uint32_t dict;   /**< index of the name .__dict__, or RMR_NO_OBJECT */
		bool known, many; /**< many: more than 62 names, ask names.c */
	} *shapes;
};

struct rmr_error *rmr_edges_create(const struct rmr_heap *heap, struct rmr_edges *ret)
	RMR_MUST_CHECK;
void rmr_edges_destroy(struct rmr_edges *edges);

/**
 * The index of the first reference from @p source to @p target that continues a path by a name, or
 * UINT64_MAX: neither a dict's key nor .__class__ nor .f_back does.
 */
uint64_t rmr_edges_named(struct rmr_edges *edges, uint32_t source, uint32_t target);
/** The index of the first reference from @p source to @p target of any kind, or UINT64_MAX. */
uint64_t rmr_edges_any(const struct rmr_heap *heap, uint32_t source, uint32_t target);
/** How many names its shape has that continue a path, but for .__dict__; of the first 62. */
unsigned rmr_edges_name_count(struct rmr_edges *edges, uint32_t id);
/** The dict that @p id has as its .__dict__, or RMR_NO_OBJECT. */
uint32_t rmr_edges_dict_of(struct rmr_edges *edges, uint32_t id);

#endif
