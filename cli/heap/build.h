// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * From scanned records to the sections of a heap: ids, columns, references both ways, types,
 * roots.
 */
#ifndef RMR_CLI_HEAP_BUILD_H
#define RMR_CLI_HEAP_BUILD_H

#include "cli/heap/index.h"
#include "cli/heap/order.h"
#include "cli/heap/reader.h"

struct rmr_build {
	struct rmr_heap *heap;
	struct rmr_parsed *parsed;
	struct rmr_index_writer *writer;
	unsigned threads;

	/* Where record number i is: its chunk is at or after near[i >> NEAR_SHIFT]. */
	uint32_t *near;
	/* The record of each id; NULL once the references are resolved. */
	uint32_t *order;
	/* Provisional types, and each chunk's types in terms of them. */
	struct rmr_stored_type *types;
	struct rmr_slice *type_names;
	uint32_t **type_map;
	size_t type_count, type_room;
	/* Shapes and traces sorted by number. */
	struct rmr_parsed_shape *shapes;
	struct rmr_parsed_shape *traces;
	/* The texts of types and roots. */
	char *strings;
	size_t strings_size, strings_room;
};

/**
 * Fills the sections of @p heap, whose source and counts of oddities are set. @p parsed is used up
 * in part; its owner still frees it.
 */
struct rmr_error *rmr_build_run(struct rmr_heap *heap, struct rmr_parsed *parsed,
	struct rmr_index_writer *writer, const struct rmr_heap_options *options) RMR_MUST_CHECK;

/* The steps that have files of their own. */

/** OUT*, ABSENT and IN*: OUT_FIRST holds each object's number of references before. */
struct rmr_error *rmr_build_references(struct rmr_build *build) RMR_MUST_CHECK;
/** ROOTS, ROOT_REFS, ROOTED. Needs the absent addresses that rmr_build_references() found. */
struct rmr_error *rmr_build_roots(struct rmr_build *build,
	const struct rmr_directory *directory) RMR_MUST_CHECK;
/** Merges the chunks' types: types, type_names, type_map. */
struct rmr_error *rmr_build_merge_types(struct rmr_build *build) RMR_MUST_CHECK;
/** Orders types by bytes, tells their names and modules; TYPES. */
struct rmr_error *rmr_build_types(struct rmr_build *build) RMR_MUST_CHECK;

/** NULL, or that the person wants no heap any more: to be asked after what is long. */
struct rmr_error *rmr_build_go_on(const struct rmr_build *build) RMR_MUST_CHECK;

/** Appends a text to the strings: its offset, or RMR_NO_OBJECT for NULL. False: no memory. */
bool rmr_build_string(struct rmr_build *build, const char *text, uint32_t *offset_ret);

enum { RMR_BUILD_NEAR_SHIFT = 10 };

/** The chunk of record number @p index, and its number in the chunk. */
static inline struct rmr_chunk *rmr_build_locate(const struct rmr_build *build, uint32_t index,
	uint32_t *local_ret)
{
	struct rmr_chunk *chunk =
		&build->parsed->chunks[build->near[index >> RMR_BUILD_NEAR_SHIFT]];

	while (index >= chunk->base + chunk->count)
		chunk++;
	*local_ret = (uint32_t)(index - chunk->base);
	return chunk;
}

/** The references of record @p local of @p chunk. */
static inline const uint64_t *rmr_build_references_of(const struct rmr_chunk *chunk, uint32_t local,
	uint64_t *count_ret)
{
	uint64_t first = chunk->objects[local].first;
	uint64_t end = local + 1 < chunk->count ? chunk->objects[local + 1].first
						: chunk->references.count;

	*count_ret = end - first;
	return end > first ? chunk->references.items + first : NULL;
}

#endif
