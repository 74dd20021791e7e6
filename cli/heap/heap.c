// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/heap_internal.h"

#include "attach/cleanup.h"
#include "attach/log.h"
#include "cli/heap/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

uint64_t rmr_section_size(enum rmr_section section, const struct rmr_counts *counts)
{
	uint64_t ids = counts->objects + counts->absent;

	switch (section) {
	case RMR_SECTION_ADDRESS:
	case RMR_SECTION_LINE:
		return counts->objects * sizeof(uint64_t);
	case RMR_SECTION_SIZE:
	case RMR_SECTION_RC:
	case RMR_SECTION_LEN:
	case RMR_SECTION_OWNED:
	case RMR_SECTION_SHAPE:
	case RMR_SECTION_TYPE:
		return counts->objects * sizeof(uint32_t);
	case RMR_SECTION_FLAGS:
		return counts->objects * sizeof(uint16_t);
	case RMR_SECTION_ABSENT:
		return counts->absent * sizeof(uint64_t);
	case RMR_SECTION_OUT_BASE:
		return ((counts->objects >> RMR_BLOCK_SHIFT) + 1) * sizeof(uint64_t);
	case RMR_SECTION_OUT_FIRST:
		return (counts->objects + 1) * sizeof(uint32_t);
	case RMR_SECTION_IN_BASE:
		return ((ids >> RMR_BLOCK_SHIFT) + 1) * sizeof(uint64_t);
	case RMR_SECTION_IN_FIRST:
		return (ids + 1) * sizeof(uint32_t);
	case RMR_SECTION_OUT:
	case RMR_SECTION_IN:
		return counts->references * sizeof(uint32_t);
	case RMR_SECTION_TRACE:
		return counts->traces ? counts->objects * sizeof(uint32_t) : 0;
	case RMR_SECTION_TRACES:
		return counts->traces * sizeof(uint64_t);
	case RMR_SECTION_SHAPES:
		return counts->shapes * sizeof(uint64_t);
	case RMR_SECTION_TYPES:
		return counts->types * sizeof(struct rmr_stored_type);
	case RMR_SECTION_ROOTS:
		return counts->roots * sizeof(struct rmr_stored_root);
	case RMR_SECTION_ROOT_REFS:
		return counts->root_references * sizeof(uint32_t);
	case RMR_SECTION_ROOTED:
		return counts->root_references * sizeof(struct rmr_rooted);
	case RMR_SECTION_LARGE:
		return counts->large * sizeof(struct rmr_large);
	case RMR_SECTION_LARGE_ORDER:
		return counts->large_references * sizeof(uint32_t);
	case RMR_SECTION_STRINGS:
	case RMR_SECTIONS:
		break;
	}
	return 0;
}

enum { UNNAMED_FROM = 64 << 20 }; /* bytes of a dump from which memory is worth a file */

/* What the chunks saw, in the counts. */
static void count_oddities(struct rmr_heap *heap, const struct rmr_parsed *parsed)
{
	struct rmr_counts *counts = &heap->counts;

	counts->header = counts->trailer = counts->cut = RMR_HEAP_UNKNOWN;
	counts->data_size = heap->source.size;
	for (size_t c = 0; c < parsed->chunk_count; c++) {
		const struct rmr_chunk *chunk = &parsed->chunks[c];
		if (counts->header == RMR_HEAP_UNKNOWN)
			counts->header = chunk->header;
		if (chunk->trailer != RMR_HEAP_UNKNOWN)
			counts->trailer = chunk->trailer;
		if (chunk->cut != RMR_HEAP_UNKNOWN)
			counts->cut = chunk->cut;
		counts->headers += chunk->headers;
		counts->brackets += chunk->brackets;
		counts->commas += chunk->commas;
		counts->others += chunk->others;
	}
}

/* @param is_named  false: the dump has no name, and is opened this once */
static struct rmr_error *load(
	struct rmr_heap *heap, bool is_named, const struct rmr_heap_options *options)
{
	struct rmr_parsed parsed;
	struct rmr_index_writer writer;

	if (!heap->source.size)
		return rmr_error_create(RMR_E_INPUT, 0, "%s is empty: no heap dump", heap->path);
	struct rmr_error *err = rmr_reader_scan(&heap->source, options, &parsed);
	if (err)
		return err;
	rmr_log("%s: %llu records scanned", heap->path, (unsigned long long)parsed.objects);
	count_oddities(heap, &parsed);
	if (!parsed.objects) {
		rmr_reader_free(&parsed);
		return rmr_error_create(RMR_E_INPUT, 0, "%s holds no object: no heap dump",
			heap->path);
	}
	if (!is_named && heap->source.size >= UNNAMED_FROM)
		rmr_index_begin_unnamed(&writer);
	else
		rmr_index_begin(&writer,
			options->no_index || !heap->source.is_file ? NULL : heap->path);
	err = rmr_build_run(heap, &parsed, &writer, options);
	if (err)
		rmr_index_abandon(&writer);
	else
		rmr_index_commit(&writer, heap);
	rmr_log("%s: built", heap->path);
	rmr_reader_free(&parsed);
	heap->verified = true;
	return err;
}

static void set_views(struct rmr_heap *heap)
{
	heap->address = heap->sections[RMR_SECTION_ADDRESS];
	heap->line = heap->sections[RMR_SECTION_LINE];
	heap->absent = heap->sections[RMR_SECTION_ABSENT];
	heap->out_base = heap->sections[RMR_SECTION_OUT_BASE];
	heap->in_base = heap->sections[RMR_SECTION_IN_BASE];
	heap->shapes = heap->sections[RMR_SECTION_SHAPES];
	heap->traces = heap->sections[RMR_SECTION_TRACES];
	heap->trace = heap->sections[RMR_SECTION_TRACE];
	heap->size = heap->sections[RMR_SECTION_SIZE];
	heap->rc = heap->sections[RMR_SECTION_RC];
	heap->len = heap->sections[RMR_SECTION_LEN];
	heap->owned = heap->sections[RMR_SECTION_OWNED];
	heap->shape = heap->sections[RMR_SECTION_SHAPE];
	heap->type = heap->sections[RMR_SECTION_TYPE];
	heap->out_first = heap->sections[RMR_SECTION_OUT_FIRST];
	heap->out = heap->sections[RMR_SECTION_OUT];
	heap->in_first = heap->sections[RMR_SECTION_IN_FIRST];
	heap->in = heap->sections[RMR_SECTION_IN];
	heap->root_refs = heap->sections[RMR_SECTION_ROOT_REFS];
	heap->flags = heap->sections[RMR_SECTION_FLAGS];
	heap->rooted = heap->sections[RMR_SECTION_ROOTED];
	heap->large = heap->sections[RMR_SECTION_LARGE];
	heap->large_order = heap->sections[RMR_SECTION_LARGE_ORDER];
}

static struct rmr_error *open_heap(struct rmr_heap *heap, int fd, bool indexed,
	const struct rmr_heap_options *options)
{
	struct rmr_heap_options own = *options;

	own.no_index |= !indexed;
	struct rmr_error *err = rmr_source_open(fd, heap->path, &own, &heap->source);
	if (err)
		return err;
	heap->facts.from_index = !own.no_index && heap->source.is_file && rmr_index_open(heap);
	if (!heap->facts.from_index)
		err = load(heap, indexed, &own);
	if (err)
		return err;
	set_views(heap);
	return rmr_heap_finish(heap);
}

static struct rmr_error *open_named(int fd, const char *name, bool indexed,
	const struct rmr_heap_options *options, struct rmr_heap **ret)
{
	static const struct rmr_heap_options defaults;
	struct rmr_heap *heap = calloc(1, sizeof(*heap));

	if (!heap)
		return &rmr_enomem;
	heap->path = strdup(name);
	heap->interrupted = options ? options->interrupted : NULL;
	struct rmr_error *err = &rmr_enomem;
	if (heap->path)
		err = open_heap(heap, fd, indexed, options ? options : &defaults);
	if (err) {
		rmr_heap_close(heap);
		return err;
	}
	if (options && options->often_asked && heap->index)
		rmr_populate_start(&heap->populate, heap->index, heap->index_size);
	*ret = heap;
	return NULL;
}

struct rmr_error *rmr_heap_open(const char *path, const struct rmr_heap_options *options,
	struct rmr_heap **ret)
{
	if (!strcmp(path, "-"))
		return open_named(STDIN_FILENO, "standard input", false, options, ret);
	_rmr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return rmr_error_create(RMR_E_INPUT, errno, "cannot open %s", path);
	return open_named(fd, path, true, options, ret);
}

struct rmr_error *rmr_heap_open_fd(int fd, const char *name,
	const struct rmr_heap_options *options, struct rmr_heap **ret)
{
	return open_named(fd, name, false, options, ret);
}

struct rmr_error *rmr_heap_ended(const struct rmr_heap *heap)
{
	return rmr_heap_is_interrupted(heap)
		? rmr_error_create(RMR_E_INTERRUPTED, 0, "interrupted")
		: &rmr_enomem;
}

void rmr_heap_close(struct rmr_heap *heap)
{
	if (!heap)
		return;
	rmr_index_release(heap);
	rmr_source_close(&heap->source);
	free(heap->types);
	free(heap->builtins);
	free((void *)heap->kinds);
	free(heap->roots);
	free(heap->weak_tables);
	for (size_t i = 0; i < heap->warning_count; i++)
		free(heap->warnings[i]);
	free(heap->warnings);
	for (size_t i = 0; i < heap->owned_text_count; i++)
		free(heap->owned_text[i]);
	free(heap->path);
	free(heap);
}

const struct rmr_heap_facts *rmr_heap_facts(const struct rmr_heap *heap)
{
	return &heap->facts;
}

size_t rmr_heap_warning_count(const struct rmr_heap *heap)
{
	return heap->warning_count;
}

const char *rmr_heap_warning(const struct rmr_heap *heap, size_t index)
{
	return heap->warnings[index];
}

uint32_t rmr_heap_count(const struct rmr_heap *heap)
{
	return (uint32_t)heap->counts.objects;
}

uint32_t rmr_heap_id_end(const struct rmr_heap *heap)
{
	return (uint32_t)(heap->counts.objects + heap->counts.absent);
}

bool rmr_heap_is_absent(const struct rmr_heap *heap, uint32_t id)
{
	return id >= heap->counts.objects;
}

uint64_t rmr_heap_address(const struct rmr_heap *heap, uint32_t id)
{
	if (id < heap->counts.objects)
		return heap->address[id];
	return id < rmr_heap_id_end(heap) ? heap->absent[id - heap->counts.objects] : 0;
}

uint32_t rmr_heap_find(const struct rmr_heap *heap, uint64_t address)
{
	uint32_t id = rmr_sorted_find(heap->address, heap->counts.objects, address);

	if (id != RMR_NO_OBJECT)
		return id;
	id = rmr_sorted_find(heap->absent, heap->counts.absent, address);
	return id == RMR_NO_OBJECT ? id : (uint32_t)heap->counts.objects + id;
}

uint32_t rmr_heap_type(const struct rmr_heap *heap, uint32_t id)
{
	uint32_t type = id < heap->counts.objects ? heap->type[id] : RMR_NO_TYPE;

	return type < heap->counts.types ? type : RMR_NO_TYPE;
}

uint64_t rmr_heap_size(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_record record;

	if (id >= heap->counts.objects)
		return 0;
	if (heap->size[id] < RMR_NARROW_LARGE)
		return heap->size[id];
	rmr_heap_record(heap, id, &record);
	return record.size;
}

int64_t rmr_heap_owned(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_record record;

	if (id >= heap->counts.objects)
		return 0;
	if (heap->owned[id] < RMR_NARROW_LARGE)
		return heap->owned[id];
	rmr_heap_record(heap, id, &record);
	return record.owned;
}

uint64_t rmr_heap_rc(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_record record;

	if (id >= heap->counts.objects || heap->rc[id] == RMR_NARROW_UNKNOWN)
		return RMR_HEAP_UNKNOWN;
	if (heap->rc[id] < RMR_NARROW_LARGE)
		return heap->rc[id];
	rmr_heap_record(heap, id, &record);
	return record.rc;
}

uint64_t rmr_heap_len(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_record record;

	if (id >= heap->counts.objects || heap->len[id] == RMR_NARROW_UNKNOWN)
		return RMR_HEAP_UNKNOWN;
	if (heap->len[id] < RMR_NARROW_LARGE)
		return heap->len[id];
	rmr_heap_record(heap, id, &record);
	return record.len;
}

unsigned rmr_heap_flags(const struct rmr_heap *heap, uint32_t id)
{
	return id < heap->counts.objects ? heap->flags[id] : 0;
}

const char *rmr_heap_flag_name(unsigned flag)
{
	switch (flag) {
	case RMR_FLAG_IMMORTAL:
		return "immortal";
	case RMR_FLAG_INTERNED:
		return "interned";
	case RMR_FLAG_UNTRACKED:
		return "untracked";
	case RMR_FLAG_APPROXIMATE:
		return "approximate";
	case RMR_FLAG_FINALIZER:
		return "finalizer";
	default:
		return NULL;
	}
}

/* The references [first, first + 1) of an offset table, held within what there is. */
static struct rmr_ids ids_of(const struct rmr_heap *heap, const uint64_t *base,
	const uint32_t *first, const uint32_t *ids, uint64_t index)
{
	uint64_t start = rmr_offset(base, first, index), end = rmr_offset(base, first, index + 1);

	if (end > heap->counts.references)
		end = heap->counts.references;
	if (start > end)
		start = end;
	return (struct rmr_ids){ids + start, end - start};
}

struct rmr_ids rmr_heap_children(const struct rmr_heap *heap, uint32_t id)
{
	if (id >= heap->counts.objects)
		return (struct rmr_ids){heap->out, 0};
	return ids_of(heap, heap->out_base, heap->out_first, heap->out, id);
}

struct rmr_ids rmr_heap_referrers(const struct rmr_heap *heap, uint32_t id)
{
	if (id >= rmr_heap_id_end(heap))
		return (struct rmr_ids){heap->in, 0};
	return ids_of(heap, heap->in_base, heap->in_first, heap->in, id);
}

const char *rmr_heap_line_at(const struct rmr_heap *heap, uint64_t offset)
{
	struct rmr_json_error error;

	const char *p = rmr_source_line(&heap->source, offset);

	if (!p)
		return NULL;
	p = rmr_json_blank(p);
	/* The lines of a dump that was scanned are sound; those of an index may point anywhere. */
	if (*p != '{' || (!heap->verified && !rmr_json_value(p, &error)))
		return NULL;
	return p;
}

void rmr_heap_record(const struct rmr_heap *heap, uint32_t id, struct rmr_record *ret)
{
	struct rmr_line line;
	struct rmr_json_error error;

	*ret = (struct rmr_record){.address = rmr_heap_address(heap, id), .rc = RMR_HEAP_UNKNOWN,
		.len = RMR_HEAP_UNKNOWN, .class_address = RMR_HEAP_UNKNOWN,
		.weak = RMR_HEAP_UNKNOWN, .line = RMR_HEAP_UNKNOWN, .shape = RMR_HEAP_UNKNOWN,
		.buffer = RMR_HEAP_UNKNOWN, .data = RMR_HEAP_UNKNOWN};
	const char *p = id < heap->counts.objects
		? rmr_source_line(&heap->source, heap->line[id]) : NULL;
	if (!p)
		return;
	p = rmr_json_blank(p);
	const char *end = *p == '{' ? rmr_line_scan(p, &line, NULL, &error) : NULL;
	if (!end)
		return;
	*ret = line.record;
	ret->text = (struct rmr_slice){p, (size_t)(end - p)};
	if (ret->size == RMR_HEAP_UNKNOWN)
		ret->size = 0;
}

uint32_t rmr_heap_type_count(const struct rmr_heap *heap)
{
	return (uint32_t)heap->counts.types;
}

const struct rmr_type *rmr_heap_type_info(const struct rmr_heap *heap, uint32_t type)
{
	return &heap->types[type];
}

const char *rmr_heap_type_label(const struct rmr_heap *heap, uint32_t id)
{
	uint32_t type = rmr_heap_type(heap, id);

	return type == RMR_NO_TYPE ? "<absent>" : heap->types[type].label;
}

uint32_t rmr_heap_find_type(const struct rmr_heap *heap, const char *name, uint32_t from)
{
	for (uint32_t i = from; i < heap->counts.types; i++) {
		if (!strcmp(heap->types[i].label, name) || !strcmp(heap->types[i].name, name))
			return i;
	}
	return RMR_NO_TYPE;
}

uint32_t rmr_heap_root_count(const struct rmr_heap *heap)
{
	return (uint32_t)heap->counts.roots;
}

const struct rmr_root *rmr_heap_root(const struct rmr_heap *heap, uint32_t root)
{
	return &heap->roots[root];
}

uint64_t rmr_heap_first_rooted(const struct rmr_heap *heap, uint32_t id)
{
	uint64_t low = 0, high = heap->counts.root_references;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (heap->rooted[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t rmr_heap_root_references(const struct rmr_heap *heap, uint32_t id)
{
	uint64_t count = 0;

	for (uint64_t i = rmr_heap_first_rooted(heap, id);
		i < heap->counts.root_references && heap->rooted[i].id == id; i++)
		count += heap->rooted[i].root < heap->counts.roots;
	return count;
}

bool rmr_heap_is_rooted(const struct rmr_heap *heap, uint32_t id)
{
	return rmr_heap_root_references(heap, id) > 0;
}

uint64_t rmr_heap_counted_referrers(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_ids referrers = rmr_heap_referrers(heap, id);
	uint64_t count = referrers.count;

	for (uint64_t i = 0; heap->weak_table_count && i < referrers.count; i++)
		count -= rmr_heap_is_weak_table(heap, referrers.ids[i]);
	return count;
}

uint64_t rmr_heap_counted_references(const struct rmr_heap *heap, uint32_t id)
{
	return rmr_heap_counted_referrers(heap, id) + rmr_heap_root_references(heap, id);
}

bool rmr_heap_is_held_by_c(const struct rmr_heap *heap, uint32_t id)
{
	if (id >= heap->counts.objects || heap->rc[id] == RMR_NARROW_UNKNOWN ||
		rmr_heap_is_immortal(heap, id))
		return false;
	return heap->rc[id] > rmr_heap_counted_references(heap, id);
}

bool rmr_heap_is_kept(const struct rmr_heap *heap, uint32_t id)
{
	return rmr_heap_is_held_by_c(heap, id) || (id < heap->counts.objects &&
		heap->rc[id] != RMR_NARROW_UNKNOWN && rmr_heap_is_immortal(heap, id));
}
