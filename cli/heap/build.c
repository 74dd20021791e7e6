// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/build.h"

#include "cli/heap/parallel.h"
#include "cli/heap/positions.h"

#include <stdlib.h>

enum { AHEAD = 16, OBJECTS_MAX = 0xfffffff0 };

/* What one thread sums up over its part of the ids. */
struct totals {
	struct rmr_stored_type *types; /* count, bytes, owned, largest, max_size */
	uint64_t no_rc, unknown_shapes, bytes;
	int64_t owned;
};

struct columns {
	struct rmr_build *build;
	struct totals totals[RMR_ORDER_PARTS];
	uint64_t *line;
	uint32_t *size, *rc, *len, *owned, *shape, *type, *degree, *trace;
	uint16_t *flags;
};

static struct rmr_error *locate_init(struct rmr_build *build)
{
	const struct rmr_parsed *parsed = build->parsed;
	size_t slots = (size_t)(parsed->objects >> RMR_BUILD_NEAR_SHIFT) + 1, chunk = 0;

	build->near = malloc(slots * sizeof(*build->near));
	if (!build->near)
		return &rmr_enomem;
	for (size_t i = 0; i < slots; i++) {
		uint64_t index = (uint64_t)i << RMR_BUILD_NEAR_SHIFT;
		while (chunk + 1 < parsed->chunk_count &&
			index >= parsed->chunks[chunk].base + parsed->chunks[chunk].count)
			chunk++;
		build->near[i] = (uint32_t)chunk;
	}
	return NULL;
}

static int compare_shapes(const void *a, const void *b)
{
	const struct rmr_parsed_shape *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Lines with a number, of all chunks: sorted, their offsets in a section. */
static struct rmr_error *merge_numbered(struct rmr_build *build, bool traces,
	struct rmr_parsed_shape **ret, uint64_t *count_ret)
{
	const struct rmr_parsed *parsed = build->parsed;
	size_t count = 0;

	for (size_t c = 0; c < parsed->chunk_count; c++)
		count += traces ? parsed->chunks[c].trace_count : parsed->chunks[c].shape_count;
	*ret = malloc((count + 1) * sizeof(**ret));
	uint64_t *offsets = rmr_index_section(build->writer, build->heap,
		traces ? RMR_SECTION_TRACES : RMR_SECTION_SHAPES, count * sizeof(*offsets));
	if (!*ret || !offsets)
		return &rmr_enomem;
	count = 0;
	for (size_t c = 0; c < parsed->chunk_count; c++) {
		const struct rmr_chunk *chunk = &parsed->chunks[c];
		size_t more = traces ? chunk->trace_count : chunk->shape_count;
		if (more)
			memcpy(*ret + count, traces ? chunk->traces : chunk->shapes,
				more * sizeof(**ret));
		count += more;
	}
	qsort(*ret, count, sizeof(**ret), compare_shapes);
	for (size_t i = 0; i < count; i++)
		offsets[i] = (*ret)[i].offset;
	*count_ret = count;
	return NULL;
}

static struct rmr_error *merge_shapes(struct rmr_build *build)
{
	struct rmr_counts *counts = &build->heap->counts;
	struct rmr_error *err = merge_numbered(build, false, &build->shapes, &counts->shapes);

	return err ? err : merge_numbered(build, true, &build->traces, &counts->traces);
}

/* Index of the line with this number, or NARROW_UNKNOWN. Numbers are mostly 0, 1, 2, ... */
static uint32_t find_number(const struct rmr_parsed_shape *lines, size_t count, uint64_t number)
{
	size_t low = 0, high = count;

	if (number < high && lines[number].number == number)
		return (uint32_t)number;
	if (number && number <= high && lines[number - 1].number == number)
		return (uint32_t)number - 1;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (lines[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && lines[low].number == number ? (uint32_t)low : RMR_NARROW_UNKNOWN;
}

/* Index of the trace of record @p local of the chunk, or NARROW_UNKNOWN. */
static uint32_t find_trace(const struct rmr_build *build, const struct rmr_chunk *chunk,
	uint32_t local)
{
	size_t low = 0, high = chunk->traced_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (chunk->traced[middle].object < local)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == chunk->traced_count || chunk->traced[low].object != local)
		return RMR_NARROW_UNKNOWN;
	return find_number(build->traces, build->heap->counts.traces, chunk->traced[low].trace);
}

/* A number that did not fit its 32 bits: read the record once more. */
static int64_t wide(const struct rmr_build *build, uint64_t line, uint32_t narrow, bool owned)
{
	struct rmr_line record;
	struct rmr_json_error error;

	if (narrow != RMR_NARROW_LARGE)
		return narrow;
	const char *p = rmr_json_blank(build->heap->source.data + line);
	if (*p != '{' || !rmr_line_scan(p, &record, NULL, &error))
		return 0;
	return owned ? record.record.owned : (int64_t)record.record.size;
}

static void columns_one(struct columns *columns, struct totals *totals, uint32_t id)
{
	struct rmr_build *build = columns->build;
	uint32_t local;
	const struct rmr_chunk *chunk = rmr_build_locate(build, build->order[id], &local);
	const struct rmr_parsed_object *object = &chunk->objects[local];
	uint64_t line = (uint64_t)(chunk->start - build->heap->source.data) + object->line;
	uint64_t degree;

	rmr_build_references_of(chunk, local, &degree);
	uint32_t type = build->type_map[chunk - build->parsed->chunks][object->type];
	uint32_t shape = object->shape;
	if (shape != RMR_NARROW_UNKNOWN) {
		shape = find_number(build->shapes, build->heap->counts.shapes, shape);
		totals->unknown_shapes += shape == RMR_NARROW_UNKNOWN;
	}
	columns->line[id] = line;
	columns->size[id] = object->size;
	columns->rc[id] = object->rc;
	columns->len[id] = object->len;
	columns->owned[id] = object->owned;
	columns->shape[id] = shape;
	columns->type[id] = type;
	columns->flags[id] = (uint16_t)object->flags;
	columns->degree[id] = (uint32_t)degree;
	if (build->heap->counts.traces)
		columns->trace[id] = find_trace(build, chunk, local);

	uint64_t size = (uint64_t)wide(build, line, object->size, false);
	int64_t owned = wide(build, line, object->owned, true);
	struct rmr_stored_type *sum = &totals->types[type];
	if (!sum->count || size > sum->max_size) {
		sum->max_size = size;
		sum->largest = id;
	}
	sum->count++;
	sum->bytes += size;
	sum->owned += owned;
	totals->bytes += size;
	totals->owned += owned;
	totals->no_rc += object->rc == RMR_NARROW_UNKNOWN;
}

static void columns_work(void *context, unsigned number)
{
	struct columns *columns = context;
	const struct rmr_build *build = columns->build;
	size_t count = build->heap->counts.objects;
	size_t end = rmr_parallel_start(count, build->threads, number + 1);

	for (size_t id = rmr_parallel_start(count, build->threads, number); id < end; id++) {
		if (rmr_heap_is_interrupted_at(build->heap, id))
			return;
		if (id + AHEAD < end) {
			uint32_t local;
			const struct rmr_chunk *chunk =
				rmr_build_locate(build, build->order[id + AHEAD], &local);
			__builtin_prefetch(&chunk->objects[local]);
			__builtin_prefetch((const char *)&chunk->objects[local + 1] + 8);
		}
		columns_one(columns, &columns->totals[number], (uint32_t)id);
	}
}

static void columns_sum(struct columns *columns)
{
	struct rmr_build *build = columns->build;
	struct rmr_counts *counts = &build->heap->counts;

	for (unsigned t = 0; t < build->threads; t++) {
		const struct totals *totals = &columns->totals[t];
		for (size_t i = 0; i < build->type_count; i++) {
			const struct rmr_stored_type *part = &totals->types[i];
			struct rmr_stored_type *sum = &build->types[i];
			if (part->count && (!sum->count || part->max_size > sum->max_size)) {
				sum->max_size = part->max_size;
				sum->largest = part->largest;
			}
			sum->count += part->count;
			sum->bytes += part->bytes;
			sum->owned += part->owned;
		}
		counts->no_rc += totals->no_rc;
		counts->unknown_shapes += totals->unknown_shapes;
		counts->bytes += totals->bytes;
		counts->owned += totals->owned;
	}
}

static bool columns_sections(struct columns *columns)
{
	struct rmr_build *build = columns->build;
	struct rmr_heap *heap = build->heap;
	bool complete = true;
	const struct {
		enum rmr_section section;
		void *column;
	} sections[] = {
		{RMR_SECTION_LINE, &columns->line},
		{RMR_SECTION_SIZE, &columns->size},
		{RMR_SECTION_RC, &columns->rc},
		{RMR_SECTION_LEN, &columns->len},
		{RMR_SECTION_OWNED, &columns->owned},
		{RMR_SECTION_SHAPE, &columns->shape},
		{RMR_SECTION_TYPE, &columns->type},
		{RMR_SECTION_FLAGS, &columns->flags},
		{RMR_SECTION_OUT_FIRST, &columns->degree},
		{RMR_SECTION_TRACE, &columns->trace},
	};

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		size_t bytes = rmr_section_size(sections[i].section, &heap->counts);
		void *data = rmr_index_section(build->writer, heap, sections[i].section, bytes);
		memcpy(sections[i].column, &data, sizeof(data));
		complete &= data != NULL;
	}
	for (unsigned t = 0; t < build->threads; t++) {
		columns->totals[t].types =
			calloc(build->type_count + 1, sizeof(*columns->totals[t].types));
		complete &= columns->totals[t].types != NULL;
	}
	return complete;
}

static struct rmr_error *fill_columns(struct rmr_build *build)
{
	struct columns *columns = calloc(1, sizeof(*columns));

	if (!columns)
		return &rmr_enomem;
	columns->build = build;
	bool complete = columns_sections(columns);
	if (complete) {
		rmr_parallel_run(build->threads, columns_work, columns);
		columns_sum(columns);
	}
	for (unsigned t = 0; t < build->threads; t++)
		free(columns->totals[t].types);
	free(columns);
	return complete ? NULL : &rmr_enomem;
}

static struct rmr_error *sort_objects(struct rmr_build *build)
{
	struct rmr_order order;
	struct rmr_heap *heap = build->heap;
	struct rmr_error *err = rmr_order_create(build->parsed, build->threads, &order);

	if (err)
		return err;
	size_t count = order.rank[order.parts];
	heap->counts.objects = count;
	heap->counts.duplicates = build->parsed->objects - count;
	for (size_t c = 0; c < build->parsed->chunk_count; c++) {
		free(build->parsed->chunks[c].address);
		build->parsed->chunks[c].address = NULL;
	}
	uint64_t *address = rmr_index_section(build->writer, heap, RMR_SECTION_ADDRESS,
		count * sizeof(*address));
	build->order = rmr_block_create(count * sizeof(*build->order));
	if (address && build->order)
		rmr_order_fill(&order, address, build->order);
	else
		err = &rmr_enomem;
	rmr_order_destroy(&order);
	return err;
}

bool rmr_build_string(struct rmr_build *build, const char *text, uint32_t *offset_ret)
{
	if (!text) {
		*offset_ret = RMR_NO_OBJECT;
		return true;
	}
	size_t size = strlen(text) + 1;
	if (build->strings_room - build->strings_size < size) {
		size_t room = (build->strings_room + size) * 2;
		char *grown = realloc(build->strings, room);
		if (!grown || room >= RMR_NO_OBJECT) {
			build->strings = grown ? grown : build->strings;
			return false;
		}
		build->strings = grown;
		build->strings_room = room;
	}
	memcpy(build->strings + build->strings_size, text, size);
	*offset_ret = (uint32_t)build->strings_size;
	build->strings_size += size;
	return true;
}

static struct rmr_error *store_strings(struct rmr_build *build)
{
	char *strings = rmr_index_section(build->writer, build->heap, RMR_SECTION_STRINGS,
		build->strings_size + 1);

	if (!strings)
		return &rmr_enomem;
	if (build->strings_size)
		memcpy(strings, build->strings, build->strings_size);
	return NULL;
}

struct rmr_error *rmr_build_go_on(const struct rmr_build *build)
{
	return rmr_heap_is_interrupted(build->heap)
		? rmr_error_create(RMR_E_INTERRUPTED, 0, "loading %s was interrupted",
			  build->heap->path)
		: NULL;
}

static struct rmr_error *run_steps(struct rmr_build *build)
{
	static struct rmr_error *(*const steps[])(struct rmr_build *build) = {locate_init,
		rmr_build_merge_types, merge_shapes, sort_objects, fill_columns,
		rmr_build_references, rmr_positions_build, rmr_build_types, store_strings};
	struct rmr_error *err = NULL;

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && !err; i++) {
		err = steps[i](build);
		if (!err)
			err = rmr_build_go_on(build);
	}
	return err;
}

struct rmr_error *rmr_build_run(struct rmr_heap *heap, struct rmr_parsed *parsed,
	struct rmr_index_writer *writer, const struct rmr_heap_options *options)
{
	struct rmr_build build = {.heap = heap, .parsed = parsed, .writer = writer,
		.threads = options->threads ? options->threads : rmr_parallel_cpus()};

	if (build.threads > RMR_ORDER_PARTS)
		build.threads = RMR_ORDER_PARTS;
	if (parsed->objects > OBJECTS_MAX)
		return rmr_error_create(RMR_E_INPUT, 0, "%s holds more than 4294967280 objects",
			heap->path);
	struct rmr_error *err = run_steps(&build);
	free(build.near);
	rmr_block_destroy(build.order, heap->counts.objects * sizeof(*build.order));
	free(build.types);
	free(build.type_names);
	for (size_t c = 0; build.type_map && c < parsed->chunk_count; c++)
		free(build.type_map[c]);
	free(build.type_map);
	free(build.shapes);
	free(build.traces);
	free(build.strings);
	return err;
}
