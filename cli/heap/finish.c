// SPDX-License-Identifier: GPL-3.0-or-later
/* What a heap makes of its sections when they are there: types, roots, facts, warnings. */
#include "cli/heap/heap_internal.h"

#include "attach/cleanup.h"
#include "cli/heap/json.h"
#include "cli/heap/parallel.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

static struct rmr_error *corrupt(const struct rmr_heap *heap)
{
	return rmr_error_hint(rmr_error_create(RMR_E_INPUT, 0, "the index file of %s is corrupt",
				      heap->path),
		"remove %s: it is made again", heap->index_path ? heap->index_path : "it");
}

static const char *string_at(const struct rmr_heap *heap, uint32_t offset)
{
	const char *strings = heap->sections[RMR_SECTION_STRINGS];

	/* The section ends with a NUL: any offset in it starts a string. */
	return offset < heap->section_bytes[RMR_SECTION_STRINGS] ? strings + offset : NULL;
}

/* Types of unknown module (meliae's) go by their name alone. */
static enum rmr_builtin builtin_of(const struct rmr_type *type)
{
	static const char *const names[RMR_BUILTINS] = {
		[RMR_BUILTIN_STR] = "str",
		[RMR_BUILTIN_BYTES] = "bytes",
		[RMR_BUILTIN_BYTEARRAY] = "bytearray",
		[RMR_BUILTIN_LIST] = "list",
		[RMR_BUILTIN_TUPLE] = "tuple",
		[RMR_BUILTIN_DICT] = "dict",
		[RMR_BUILTIN_SET] = "set",
		[RMR_BUILTIN_FROZENSET] = "frozenset",
		[RMR_BUILTIN_CELL] = "cell",
		[RMR_BUILTIN_MODULE] = "module",
		[RMR_BUILTIN_TYPE] = "type",
		[RMR_BUILTIN_FUNCTION] = "function",
		[RMR_BUILTIN_CODE] = "code",
		[RMR_BUILTIN_FRAME] = "frame",
		[RMR_BUILTIN_WEAKREF] = "weakref",
		[RMR_BUILTIN_MEMORYVIEW] = "memoryview",
	};

	if (type->label != type->name)
		return RMR_BUILTIN_OTHER;
	for (int i = 1; i < RMR_BUILTINS; i++) {
		if (!strcmp(type->name, names[i]))
			return (enum rmr_builtin)i;
	}
	return !strcmp(type->name, "ReferenceType") ? RMR_BUILTIN_WEAKREF : RMR_BUILTIN_OTHER;
}

static struct rmr_error *finish_types(struct rmr_heap *heap)
{
	const struct rmr_stored_type *stored = heap->sections[RMR_SECTION_TYPES];

	heap->types = calloc(heap->counts.types + 1, sizeof(*heap->types));
	heap->builtins = calloc(heap->counts.types + 1, sizeof(*heap->builtins));
	heap->kinds = calloc(heap->counts.types + 1, sizeof(*heap->kinds));
	if (!heap->types || !heap->builtins || !heap->kinds)
		return &rmr_enomem;
	for (size_t i = 0; i < heap->counts.types; i++) {
		heap->types[i] = (struct rmr_type){
			.name = string_at(heap, stored[i].name),
			.module = string_at(heap, stored[i].module),
			.label = string_at(heap, stored[i].label),
			.class_address = stored[i].class_address,
			.class_id = stored[i].class_id,
			.largest = stored[i].largest,
			.count = stored[i].count,
			.bytes = stored[i].bytes,
			.owned = stored[i].owned,
			.max_size = stored[i].max_size,
		};
		if (!heap->types[i].name || !heap->types[i].label ||
			heap->types[i].largest >= heap->counts.objects)
			return corrupt(heap);
		if (heap->types[i].class_id >= heap->counts.objects)
			heap->types[i].class_id = RMR_NO_OBJECT;
		heap->builtins[i] = (unsigned char)builtin_of(&heap->types[i]);
	}
	return NULL;
}

static const char *kind_text(enum rmr_root_kind kind)
{
	static const char *const texts[] = {
		[RMR_ROOT_INTERPRETER] = "interpreter",
		[RMR_ROOT_FRAME] = "frame",
		[RMR_ROOT_THREAD] = "thread",
		[RMR_ROOT_STATIC] = "static",
		[RMR_ROOT_INTERNED] = "interned",
		[RMR_ROOT_OTHER] = "other",
	};

	return texts[kind];
}

static struct rmr_error *finish_weak_tables(struct rmr_heap *heap)
{
	size_t count = 0;

	for (uint64_t i = 0; i < heap->counts.roots; i++)
		count += heap->roots[i].kind == RMR_ROOT_INTERNED ? heap->roots[i].refs.count : 0;
	heap->weak_tables = calloc(count + 1, sizeof(*heap->weak_tables));
	if (!heap->weak_tables)
		return &rmr_enomem;
	for (uint64_t i = 0; i < heap->counts.roots; i++) {
		const struct rmr_ids *refs = &heap->roots[i].refs;
		for (uint64_t k = 0; heap->roots[i].kind == RMR_ROOT_INTERNED && k < refs->count; k++)
			heap->weak_tables[heap->weak_table_count++] = refs->ids[k];
	}
	qsort(heap->weak_tables, count, sizeof(*heap->weak_tables), rmr_compare_numbers);
	return NULL;
}

static struct rmr_error *finish_roots(struct rmr_heap *heap)
{
	const struct rmr_stored_root *stored = heap->sections[RMR_SECTION_ROOTS];
	uint64_t references = heap->counts.root_references;

	heap->roots = calloc(heap->counts.roots + 1, sizeof(*heap->roots));
	if (!heap->roots)
		return &rmr_enomem;
	for (size_t i = 0; i < heap->counts.roots; i++) {
		if (stored[i].kind > RMR_ROOT_OTHER || stored[i].first > references ||
			stored[i].count > references - stored[i].first)
			return corrupt(heap);
		const char *text = string_at(heap, stored[i].kind_text);
		const char *label = string_at(heap, stored[i].label);
		const char *line = rmr_heap_line_at(heap, stored[i].line);
		heap->roots[i] = (struct rmr_root){
			.kind = stored[i].kind,
			.kind_text = text ? text : kind_text(stored[i].kind),
			.label = label ? label : kind_text(stored[i].kind),
			.refs = {heap->root_refs + stored[i].first, stored[i].count},
			.thread = stored[i].thread,
			.native = stored[i].native,
			.depth = stored[i].depth,
			.line = stored[i].source_line,
			.thread_name = string_at(heap, stored[i].thread_name),
			.function = string_at(heap, stored[i].function),
			.file = string_at(heap, stored[i].file),
			.text = {line, line ? strcspn(line, "\n") : 0},
		};
	}
	return finish_weak_tables(heap);
}

/* A key's text from a line of the dump, owned by the heap. */
static const char *fact_text(struct rmr_heap *heap, const char *line, const char *key)
{
	size_t size = 0, most = sizeof(heap->owned_text) / sizeof(*heap->owned_text);
	const char *value = line ? rmr_json_get(line, key, &size) : NULL;

	if (!value || heap->owned_text_count == most)
		return NULL;
	char *text = rmr_json_decode(value, size);
	if (text)
		heap->owned_text[heap->owned_text_count++] = text;
	return text;
}

static uint64_t fact_number(const char *line, const char *key)
{
	size_t size = 0;
	const char *value = line ? rmr_json_get(line, key, &size) : NULL;

	return rmr_json_uint(value, size, 0);
}

/* An array of strings, joined by spaces. */
static const char *fact_list(struct rmr_heap *heap, const char *line, const char *key)
{
	size_t size = 0, most = sizeof(heap->owned_text) / sizeof(*heap->owned_text);
	const char *value = line ? rmr_json_get(line, key, &size) : NULL;
	struct rmr_json_error error;

	if (!value || *value != '[' || heap->owned_text_count == most)
		return NULL;
	char *text = calloc(1, size + 1), *out = text;
	for (const char *p = value + 1; text && p < value + size;) {
		if (*p != '"') {
			p++;
			continue;
		}
		const char *end = rmr_json_string(p, &error);
		_rmr_free_ char *word = rmr_json_decode(p, (size_t)(end - p));
		if (word)
			out += sprintf(out, "%s%s", out == text ? "" : " ", word);
		p = end;
	}
	if (text)
		heap->owned_text[heap->owned_text_count++] = text;
	return text;
}

static void finish_facts(struct rmr_heap *heap)
{
	const struct rmr_counts *counts = &heap->counts;
	const char *header = rmr_heap_line_at(heap, counts->header);
	const char *trailer = rmr_heap_line_at(heap, counts->trailer);
	struct rmr_heap_facts *facts = &heap->facts;

	facts->format = header ? RMR_HEAP_REMORA : RMR_HEAP_MELIAE;
	if (!header && counts->no_rc < counts->objects)
		facts->format = RMR_HEAP_REMORA;
	facts->path = heap->path;
	facts->file_size = counts->data_size;
	facts->id = fact_text(heap, header, "id");
	facts->python = fact_text(heap, header, "python");
	facts->build = fact_text(heap, header, "build");
	facts->exe = fact_text(heap, header, "exe");
	facts->cmdline = fact_list(heap, header, "cmdline");
	facts->host = fact_text(heap, header, "host");
	facts->time = fact_text(heap, header, "time");
	facts->mode = fact_text(heap, header, "mode");
	facts->values = fact_text(heap, header, "values");
	facts->partial = fact_text(heap, trailer, "partial");
	facts->pid = fact_number(header, "pid");
	facts->rss = fact_number(header, "rss");
	facts->stop_us = fact_number(trailer, "stop_us");
	facts->gil_us = fact_number(trailer, "gil_us");
	facts->walk_ms = fact_number(trailer, "walk_ms");
	facts->objects = counts->objects;
	facts->absent = counts->absent;
	facts->references = counts->references;
	facts->bytes = counts->bytes;
	facts->owned = counts->owned;
	facts->types = counts->types;
	facts->roots = counts->roots;
	const char *end = fact_text(heap, trailer, "id");
	facts->complete = end && facts->id && !strcmp(end, facts->id) &&
		counts->cut == RMR_HEAP_UNKNOWN;
}

static RMR_PRINTF(2, 3) void warn(struct rmr_heap *heap, const char *format, ...)
{
	va_list args;
	char *text;

	if (heap->warning_count == heap->warning_room) {
		size_t room = heap->warning_room ? heap->warning_room * 2 : 8;
		char **grown = realloc(heap->warnings, room * sizeof(*grown));
		if (!grown)
			return;
		heap->warnings = grown;
		heap->warning_room = room;
	}
	va_start(args, format);
	if (vasprintf(&text, format, args) >= 0)
		heap->warnings[heap->warning_count++] = text;
	va_end(args);
}

static void warn_count(struct rmr_heap *heap, uint64_t count, const char *one, const char *many)
{
	if (count)
		warn(heap, "%llu %s", (unsigned long long)count, count == 1 ? one : many);
}

static void warn_end(struct rmr_heap *heap)
{
	const struct rmr_counts *counts = &heap->counts;
	const char *trailer = rmr_heap_line_at(heap, counts->trailer);

	if (counts->cut != RMR_HEAP_UNKNOWN)
		warn(heap, "cut off in the middle of its last line: what follows is missing");
	else if (counts->header != RMR_HEAP_UNKNOWN && !trailer)
		warn(heap, "cut off: it has no trailer, so what follows its last line is missing");
	else if (trailer && !heap->facts.complete)
		warn(heap, "the trailer is not of the same dump as the header");
	if (heap->facts.partial)
		warn(heap, "the dump is partial: %s", heap->facts.partial);
	if (trailer && fact_number(trailer, "objects") != counts->objects + counts->duplicates)
		warn(heap, "the trailer counts %llu objects, but there are %llu",
			(unsigned long long)fact_number(trailer, "objects"),
			(unsigned long long)(counts->objects + counts->duplicates));
}

static void finish_warnings(struct rmr_heap *heap)
{
	const struct rmr_counts *counts = &heap->counts;

	warn_end(heap);
	if (counts->headers > 1)
		warn(heap, "%llu headers: several dumps in one file are taken for one",
			(unsigned long long)counts->headers);
	warn_count(heap, counts->duplicates, "record of an address that has one already: skipped",
		"records of addresses that have one already: skipped");
	if (counts->absent_references)
		warn(heap, "%llu reference%s to %llu address%s that no record describes: absent",
			(unsigned long long)counts->absent_references,
			counts->absent_references == 1 ? "" : "s",
			(unsigned long long)counts->absent, counts->absent == 1 ? "" : "es");
	warn_count(heap, counts->brackets, "line is a mere bracket, which is no JSON: skipped",
		"lines are mere brackets, which is no JSON: skipped");
	warn_count(heap, counts->commas, "line ends with a comma, which is no JSON: ignored",
		"lines end with a comma, which is no JSON: ignored");
	warn_count(heap, counts->others, "line is no record that this version knows: skipped",
		"lines are no records that this version knows: skipped");
	warn_count(heap, counts->unknown_shapes, "object has a shape that is not in the dump",
		"objects have a shape that is not in the dump");
	if (counts->header != RMR_HEAP_UNKNOWN && counts->no_rc)
		warn_count(heap, counts->no_rc, "record has no reference count",
			"records have no reference count (are some of meliae's format?)");
	if (counts->header == RMR_HEAP_UNKNOWN && counts->no_rc &&
		counts->no_rc < counts->objects)
		warn(heap, "no header, and %llu of %llu records have no reference count",
			(unsigned long long)counts->no_rc, (unsigned long long)counts->objects);
}

struct rmr_error *rmr_heap_finish(struct rmr_heap *heap)
{
	struct rmr_error *err = finish_types(heap);

	if (!err)
		err = finish_roots(heap);
	if (err)
		return err;
	finish_facts(heap);
	finish_warnings(heap);
	return NULL;
}

struct verify {
	const struct rmr_heap *heap;
	unsigned threads;
	atomic_bool bad;
};

static bool all_below(const uint32_t *items, size_t start, size_t end, uint32_t bound)
{
	uint32_t bad = 0;

	for (size_t i = start; i < end; i++)
		bad |= items[i] >= bound;
	return !bad;
}

/* True if the offsets of the ids [start, end) never go back. */
static bool ascending(const uint64_t *base, const uint32_t *first, size_t start, size_t end)
{
	bool good = true;

	for (size_t i = start; i < end; i++)
		good &= rmr_offset(base, first, i) <= rmr_offset(base, first, i + 1);
	return good;
}

static void verify_work(void *context, unsigned number)
{
	struct verify *verify = context;
	const struct rmr_heap *heap = verify->heap;
	const struct rmr_counts *counts = &heap->counts;
	uint32_t objects = (uint32_t)counts->objects, ids = rmr_heap_id_end(heap);
	unsigned threads = verify->threads;
#define PART(total)                                                                                \
	rmr_parallel_start(total, threads, number), rmr_parallel_start(total, threads, number + 1)
	bool good = all_below(heap->type, PART(objects), (uint32_t)counts->types) &&
		all_below(heap->out, PART(counts->references), ids) &&
		all_below(heap->in, PART(counts->references), objects) &&
		all_below(heap->root_refs, PART(counts->root_references), ids) &&
		ascending(heap->out_base, heap->out_first, PART(objects)) &&
		ascending(heap->in_base, heap->in_first, PART(ids));
#undef PART
	if (!good)
		atomic_store(&verify->bad, true);
}

static bool verify_ends(const struct rmr_heap *heap)
{
	const struct rmr_counts *counts = &heap->counts;
	uint64_t ids = rmr_heap_id_end(heap);

	for (uint64_t i = 0; i < counts->root_references; i++) {
		if (heap->rooted[i].id >= ids || heap->rooted[i].root >= counts->roots ||
			(i && heap->rooted[i].id < heap->rooted[i - 1].id))
			return false;
	}
	return rmr_offset(heap->out_base, heap->out_first, 0) == 0 &&
		rmr_offset(heap->in_base, heap->in_first, 0) == 0 &&
		rmr_offset(heap->out_base, heap->out_first, counts->objects) == counts->references &&
		rmr_offset(heap->in_base, heap->in_first, ids) == counts->references;
}

struct rmr_error *rmr_heap_verify(const struct rmr_heap *heap)
{
	struct verify verify = {.heap = heap, .threads = rmr_parallel_cpus()};

	if (heap->verified || atomic_load(&heap->checked))
		return NULL;
	rmr_parallel_run(verify.threads, verify_work, &verify);
	if (atomic_load(&verify.bad) || !verify_ends(heap))
		return corrupt(heap);
	/* A note to ourselves; the heap stays what it was. */
	atomic_store(&((struct rmr_heap *)(uintptr_t)heap)->checked, true);
	return NULL;
}
