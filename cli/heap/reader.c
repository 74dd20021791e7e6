// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/reader.h"

#include "cli/heap/parallel.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
	CHUNK_SIZE = 16 << 20,
	CHUNK_SMALL = 256 << 10,
	TYPE_SLOTS = 1 << 12,  /* to begin with; a power of two */
	CHECK_LINES = 1 << 12, /* lines between two looks at the interrupted flag */
};

struct scan {
	const struct rmr_source *source;
	const char *data, *end;
	const struct rmr_heap_options *options;
	size_t chunk_size;
	struct rmr_parsed *parsed;
	atomic_size_t next, done;
	atomic_bool stop, interrupted, unreadable;
};

/* A chunk's types by class address or name, open addressing. */
struct type_table {
	uint32_t *slots; /* index + 1 */
	size_t room;     /* a power of two */
	uint32_t last;   /* the type of the object before, as a guess */
};

/* Makes room for one more item of a growing array. */
static bool reserve(void **items, size_t count, size_t *room, size_t item)
{
	if (count < *room)
		return true;
	size_t more = *room ? *room * 2 : 64;
	void *grown = realloc(*items, more * item);
	if (!grown)
		return false;
	*items = grown;
	*room = more;
	return true;
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

static uint64_t type_hash(uint64_t class_address, struct rmr_slice name)
{
	if (class_address != RMR_HEAP_UNKNOWN)
		return mix(class_address);
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < name.size; i++)
		hash = (hash ^ (unsigned char)name.start[i]) * 0x100000001b3;
	return mix(hash);
}

static bool type_is(const struct rmr_parsed_type *type, uint64_t class_address,
	struct rmr_slice name)
{
	if (type->class_address != class_address)
		return false;
	return class_address != RMR_HEAP_UNKNOWN ||
		(type->name.size == name.size && !memcmp(type->name.start, name.start, name.size));
}

static bool table_grow(struct type_table *table, const struct rmr_chunk *chunk)
{
	size_t room = table->room ? table->room * 2 : TYPE_SLOTS;
	uint32_t *slots = calloc(room, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < chunk->type_count; i++) {
		const struct rmr_parsed_type *type = &chunk->types[i];
		size_t at = type_hash(type->class_address, type->name) & (room - 1);
		while (slots[at])
			at = (at + 1) & (room - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(table->slots);
	table->slots = slots;
	table->room = room;
	return true;
}

static bool chunk_type(struct rmr_chunk *chunk, struct type_table *table,
	const struct rmr_record *record, uint32_t *ret)
{
	if (chunk->type_count &&
		type_is(&chunk->types[table->last], record->class_address, record->type)) {
		*ret = table->last;
		return true;
	}
	if (chunk->type_count * 2 >= table->room && !table_grow(table, chunk))
		return false;
	size_t at = type_hash(record->class_address, record->type) & (table->room - 1);
	for (; table->slots[at]; at = (at + 1) & (table->room - 1)) {
		uint32_t index = table->slots[at] - 1;
		if (type_is(&chunk->types[index], record->class_address, record->type)) {
			*ret = table->last = index;
			return true;
		}
	}
	if (!reserve((void **)&chunk->types, chunk->type_count, &chunk->type_room,
		    sizeof(*chunk->types)))
		return false;
	chunk->types[chunk->type_count] =
		(struct rmr_parsed_type){record->class_address, record->type};
	table->slots[at] = (uint32_t)chunk->type_count + 1;
	*ret = table->last = (uint32_t)chunk->type_count++;
	return true;
}

static bool chunk_reserve_object(struct rmr_chunk *chunk)
{
	if (chunk->count < chunk->room)
		return true;
	size_t room = chunk->room ? chunk->room * 2 : 1024;
	void *address = realloc(chunk->address, room * sizeof(*chunk->address));
	if (!address)
		return false;
	chunk->address = address;
	void *objects = realloc(chunk->objects, room * sizeof(*chunk->objects));
	if (!objects)
		return false;
	chunk->objects = objects;
	chunk->room = room;
	return true;
}

static bool chunk_object(struct rmr_chunk *chunk, struct type_table *table, const char *start,
	const struct rmr_line *line, size_t first)
{
	const struct rmr_record *record = &line->record;
	uint32_t type;

	if (!chunk_reserve_object(chunk) || !chunk_type(chunk, table, record, &type))
		return false;
	if (record->trace != RMR_HEAP_UNKNOWN) {
		if (!reserve((void **)&chunk->traced, chunk->traced_count, &chunk->traced_room,
			    sizeof(*chunk->traced)))
			return false;
		chunk->traced[chunk->traced_count++] = (struct rmr_parsed_traced){
			(uint32_t)chunk->count, rmr_narrow(record->trace)};
	}
	chunk->address[chunk->count] = record->address;
	chunk->objects[chunk->count++] = (struct rmr_parsed_object){
		.line = (uint32_t)(start - chunk->start),
		.first = (uint32_t)first,
		.size = record->size == RMR_HEAP_UNKNOWN ? 0 : rmr_narrow(record->size),
		.rc = rmr_narrow(record->rc),
		.len = rmr_narrow(record->len),
		.owned = record->owned < 0 ? (uint32_t)RMR_NARROW_LARGE : rmr_narrow((uint64_t)record->owned),
		.shape = rmr_narrow(record->shape),
		.type = type,
		.flags = record->flags,
	};
	return true;
}

/* Takes the references from @first on out of the chunk's, as they are a root's. */
static bool chunk_root(struct rmr_chunk *chunk, uint64_t offset, size_t first)
{
	size_t count = chunk->references.count - first;
	struct rmr_addresses *to = &chunk->root_references;

	if (!reserve((void **)&chunk->roots, chunk->root_count, &chunk->root_room,
		    sizeof(*chunk->roots)))
		return false;
	while (to->room - to->count < count) {
		size_t room = to->room ? to->room * 2 : 1024;
		void *items = realloc(to->items, room * sizeof(*to->items));
		if (!items)
			return false;
		to->items = items;
		to->room = room;
	}
	if (count)
		memcpy(to->items + to->count, chunk->references.items + first,
			count * sizeof(*to->items));
	chunk->roots[chunk->root_count++] = (struct rmr_parsed_root){offset, to->count, count};
	to->count += count;
	chunk->references.count = first;
	return true;
}

static bool chunk_line(struct scan *scan, struct rmr_chunk *chunk, struct type_table *table,
	const char *start, const struct rmr_line *line, size_t first)
{
	uint64_t offset = (uint64_t)(start - scan->data);

	switch (line->kind) {
	case RMR_LINE_OBJECT:
		return chunk_object(chunk, table, start, line, first);
	case RMR_LINE_ROOT:
		return chunk_root(chunk, offset, first);
	case RMR_LINE_SHAPE:
		if (!reserve((void **)&chunk->shapes, chunk->shape_count, &chunk->shape_room,
			    sizeof(*chunk->shapes)))
			return false;
		chunk->shapes[chunk->shape_count++] =
			(struct rmr_parsed_shape){line->record.shape, offset};
		break;
	case RMR_LINE_TRACE:
		if (!reserve((void **)&chunk->traces, chunk->trace_count, &chunk->trace_room,
			    sizeof(*chunk->traces)))
			return false;
		chunk->traces[chunk->trace_count++] =
			(struct rmr_parsed_shape){line->record.trace, offset};
		break;
	case RMR_LINE_HEADER:
		if (!chunk->headers++)
			chunk->header = offset;
		break;
	case RMR_LINE_TRAILER:
		chunk->trailer = offset;
		break;
	case RMR_LINE_OTHER:
		chunk->others++;
		break;
	}
	chunk->references.count = first;
	return true;
}

/* The end of the line after its value at p: the start of the next, or NULL. */
static const char *line_end(struct scan *scan, struct rmr_chunk *chunk, const char *p)
{
	p = rmr_json_blank(p);
	if (*p == ',') {
		p = rmr_json_blank(p + 1);
		if (*p == '\n' || p == scan->end)
			chunk->commas++;
	}
	if (*p == '\n')
		return p + 1;
	if (p == scan->end)
		return p;
	chunk->error = (struct rmr_json_error){p, "nothing may follow the record on its line"};
	return NULL;
}

/* Scans the line at p; returns the next line, or NULL with the chunk's error set. */
static const char *scan_line(struct scan *scan, struct rmr_chunk *chunk, struct type_table *table,
	const char *p)
{
	const char *start = p;
	size_t first = chunk->references.count;
	struct rmr_line line;

	p = rmr_json_blank(p);
	if (*p == '[' || *p == ']') {
		const char *end = rmr_json_blank(p + 1);
		if (*end == '\n' || *end == ',' || end == scan->end) {
			chunk->brackets++;
			return line_end(scan, chunk, p + 1);
		}
	}
	if (*p != '{') {
		chunk->error = (struct rmr_json_error){p, p == scan->end || *p == '\n'
				? "the line is empty"
				: "a record is needed here: a JSON object"};
		return NULL;
	}
	p = rmr_line_scan(p, &line, &chunk->references, &chunk->error);
	if (!p) {
		chunk->no_memory = !chunk->error.message;
		chunk->references.count = first;
		return NULL;
	}
	if (!chunk_line(scan, chunk, table, start, &line, first)) {
		chunk->error = (struct rmr_json_error){p, NULL};
		chunk->no_memory = true;
		return NULL;
	}
	return line_end(scan, chunk, p);
}

static void scan_chunk(struct scan *scan, struct rmr_chunk *chunk)
{
	struct type_table table = {0};
	const char *p = chunk->start;
	unsigned lines = 0;

	while (p && p < chunk->end) {
		const char *line = p;
		p = scan_line(scan, chunk, &table, line);
		if (!p && !chunk->no_memory && chunk->error.at == scan->end) {
			/* The last line stops in its middle. */
			chunk->cut = (uint64_t)(line - scan->data);
			chunk->error.at = NULL;
		} else if (!p) {
			chunk->error_line = line;
			atomic_store(&scan->stop, true);
		}
		if (++lines % CHECK_LINES == 0) {
			if (scan->options->interrupted && *scan->options->interrupted)
				atomic_store(&scan->interrupted, true);
			if (atomic_load(&scan->interrupted))
				break;
		}
	}
	free(table.slots);
}

/* Where the first line that starts at or after position at begins; NULL: it cannot be read. */
static const char *line_start(const struct scan *scan, size_t at)
{
	if (at >= (size_t)(scan->end - scan->data))
		return scan->end;
	if (!rmr_source_need_line(scan->source, at - 1))
		return NULL;
	const char *newline =
		memchr(scan->data + at - 1, '\n', (size_t)(scan->end - scan->data) - at + 1);
	return newline ? newline + 1 : scan->end;
}

/* The lines that start in a chunk, readable. None may: a line can be longer than many chunks, and is
 * then looked through by the chunk that it starts in only. */
static bool find_chunk(struct scan *scan, struct rmr_chunk *chunk, size_t index)
{
	size_t size = (size_t)(scan->end - scan->data), at = index * scan->chunk_size;
	size_t next = at + scan->chunk_size < size ? at + scan->chunk_size : size;

	if (at) {
		if (!rmr_source_need(scan->source, at - 1, next))
			return false;
		const char *newline = memchr(scan->data + at - 1, '\n', next - at);
		if (!newline)
			return true;
		at = (size_t)(newline + 1 - scan->data);
	}
	const char *end = line_start(scan, next);
	if (!end || !rmr_source_need(scan->source, at, (uint64_t)(end - scan->data)))
		return false;
	chunk->start = scan->data + at;
	chunk->end = end;
	return true;
}

static void scan_work(void *context, unsigned number)
{
	struct scan *scan = context;
	size_t count = scan->parsed->chunk_count;

	for (;;) {
		/* A chunk that was taken is scanned, whatever is found in those behind it: the first
		 * fault is reported. */
		if (atomic_load(&scan->stop) || atomic_load(&scan->interrupted) ||
			atomic_load(&scan->unreadable))
			return;
		size_t i = atomic_fetch_add(&scan->next, 1);
		if (i >= count)
			return;
		struct rmr_chunk *chunk = &scan->parsed->chunks[i];
		if (!find_chunk(scan, chunk, i)) {
			atomic_store(&scan->unreadable, true);
			return;
		}
		if (chunk->start < chunk->end)
			scan_chunk(scan, chunk);
		size_t done = atomic_fetch_add(&scan->done, 1) + 1;
		if (!number && scan->options->progress)
			scan->options->progress(scan->options->progress_context, "loading",
				done * scan->chunk_size, count * scan->chunk_size);
	}
}

static struct rmr_error *input_error(const struct scan *scan, const char *name,
	const struct rmr_chunk *chunk)
{
	uint64_t line = 1;

	for (const char *p = scan->data; p < chunk->error_line; line++) {
		p = memchr(p, '\n', (size_t)(chunk->error_line - p));
		if (!p)
			break;
		p++;
	}
	struct rmr_error *err = rmr_error_create(RMR_E_INPUT, 0, "%s: line %llu, column %llu: %s",
		name, (unsigned long long)line,
		(unsigned long long)(chunk->error.at - chunk->error_line) + 1, chunk->error.message);
	return line > 1 ? err
			: rmr_error_hint(err, "is it a dump? `remora dump PID -o FILE` writes one");
}

static struct rmr_error *scan_result(const struct scan *scan)
{
	const char *name = scan->source->name;
	struct rmr_parsed *parsed = scan->parsed;

	if (atomic_load(&scan->interrupted))
		return rmr_error_create(RMR_E_INTERRUPTED, 0, "loading %s was interrupted", name);
	if (atomic_load(&scan->unreadable))
		return rmr_source_error(scan->source);
	for (size_t i = 0; i < parsed->chunk_count; i++) {
		struct rmr_chunk *chunk = &parsed->chunks[i];
		if (chunk->no_memory)
			return &rmr_enomem;
		if (chunk->error.at)
			return input_error(scan, name, chunk);
		if (chunk->references.count > UINT32_MAX || chunk->end - chunk->start > UINT32_MAX)
			return rmr_error_create(RMR_E_INPUT, 0,
				"%s: a line is longer than 4 GB", name);
		chunk->base = parsed->objects;
		parsed->objects += chunk->count;
		parsed->references += chunk->references.count;
	}
	return NULL;
}

struct rmr_error *rmr_reader_scan(const struct rmr_source *source,
	const struct rmr_heap_options *options, struct rmr_parsed *ret)
{
	const char *data = source->data;
	size_t size = source->size;
	struct rmr_parsed parsed = {0};
	unsigned threads = options->threads ? options->threads : rmr_parallel_cpus();
	struct scan scan = {.source = source, .data = data, .end = data + size,
		.options = options, .parsed = &parsed};

	/* Small dumps in small chunks, so that all threads have some. */
	scan.chunk_size = size / (threads * 4u);
	if (scan.chunk_size > CHUNK_SIZE)
		scan.chunk_size = CHUNK_SIZE;
	if (scan.chunk_size < CHUNK_SMALL)
		scan.chunk_size = CHUNK_SMALL;
	parsed.chunk_count = size / scan.chunk_size + 1;
	parsed.chunks = calloc(parsed.chunk_count, sizeof(*parsed.chunks));
	if (!parsed.chunks)
		return &rmr_enomem;
	for (size_t i = 0; i < parsed.chunk_count; i++) {
		parsed.chunks[i].header = parsed.chunks[i].trailer = RMR_HEAP_UNKNOWN;
		parsed.chunks[i].cut = RMR_HEAP_UNKNOWN;
		parsed.chunks[i].start = parsed.chunks[i].end = data;
	}
	rmr_parallel_run(threads, scan_work, &scan);
	struct rmr_error *err = scan_result(&scan);
	if (err) {
		rmr_reader_free(&parsed);
		return err;
	}
	*ret = parsed;
	return NULL;
}

void rmr_reader_free(struct rmr_parsed *parsed)
{
	for (size_t i = 0; i < parsed->chunk_count; i++) {
		struct rmr_chunk *chunk = &parsed->chunks[i];
		free(chunk->address);
		free(chunk->objects);
		free(chunk->references.items);
		free(chunk->types);
		free(chunk->shapes);
		free(chunk->traces);
		free(chunk->traced);
		free(chunk->roots);
		free(chunk->root_references.items);
	}
	free(parsed->chunks);
	parsed->chunks = NULL;
	parsed->chunk_count = 0;
}
