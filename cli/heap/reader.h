// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * From the text of a dump to its records, by several threads: each takes chunks of lines. Nothing
 * is resolved yet: references are addresses, types and shapes are as each chunk numbers them.
 */
#ifndef RMR_CLI_HEAP_READER_H
#define RMR_CLI_HEAP_READER_H

#include "cli/heap/record.h"
#include "cli/heap/source.h"

/** Numbers of 32 bits: these two stand for "not told" and "larger or negative: see the record". */
enum {
	RMR_NARROW_UNKNOWN = 0xffffffff,
	RMR_NARROW_LARGE = 0xfffffffe,
};

static inline uint32_t rmr_narrow(uint64_t value)
{
	if (value == RMR_HEAP_UNKNOWN)
		return RMR_NARROW_UNKNOWN;
	return value < RMR_NARROW_LARGE ? (uint32_t)value : RMR_NARROW_LARGE;
}

struct rmr_parsed_object {
	uint32_t line;  /**< offset of its line in the chunk */
	uint32_t first; /**< its first reference in the chunk's addresses; the next one's ends them */
	uint32_t size, rc, len, owned; /**< narrow */
	uint32_t shape; /**< number of the shape, narrow */
	uint32_t type;  /**< index in the chunk's types */
	uint32_t flags;
};

struct rmr_parsed_type {
	uint64_t class_address; /**< or UNKNOWN: then the text of the name tells types apart */
	struct rmr_slice name;
};

struct rmr_parsed_shape {
	uint64_t number, offset; /**< of its line, from the start of the dump */
};

/** An object that has a trace. */
struct rmr_parsed_traced {
	uint32_t object; /**< its number in the chunk; ascending */
	uint32_t trace;  /**< number of the trace, narrow */
};

struct rmr_parsed_root {
	uint64_t offset;       /**< of its line, from the start of the dump */
	uint64_t first, count; /**< in the chunk's root addresses */
};

struct rmr_chunk {
	const char *start, *end;
	uint64_t *address; /**< of each object */
	struct rmr_parsed_object *objects;
	size_t count, room;
	uint64_t base; /**< number of objects in the chunks before */
	struct rmr_addresses references;
	struct rmr_parsed_type *types;
	size_t type_count, type_room;
	struct rmr_parsed_shape *shapes;
	size_t shape_count, shape_room;
	struct rmr_parsed_shape *traces;
	size_t trace_count, trace_room;
	struct rmr_parsed_traced *traced;
	size_t traced_count, traced_room;
	struct rmr_parsed_root *roots;
	size_t root_count, root_room;
	struct rmr_addresses root_references;
	uint64_t header, trailer; /**< offset in the dump of the first and last, or UNKNOWN */
	uint64_t headers, brackets, commas, others;
	uint64_t cut;             /**< offset of the line that is cut off, or UNKNOWN */
	bool no_memory;
	struct rmr_json_error error; /**< at: NULL if there is none */
	const char *error_line;
};

struct rmr_parsed {
	struct rmr_chunk *chunks;
	size_t chunk_count;
	uint64_t objects;    /**< duplicates included */
	uint64_t references;
};

/** Scans the whole text, unpacking it on the way. RMR_E_INPUT, RMR_E_INTERRUPTED, RMR_E_WRITE. */
struct rmr_error *rmr_reader_scan(const struct rmr_source *source,
	const struct rmr_heap_options *options, struct rmr_parsed *ret) RMR_MUST_CHECK;
void rmr_reader_free(struct rmr_parsed *parsed);

#endif
