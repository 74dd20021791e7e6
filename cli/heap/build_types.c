// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/build.h"

#include "attach/cleanup.h"
#include "cli/heap/parallel.h"

#include <stdio.h>
#include <stdlib.h>

/* Open addressing over build->types; equality as in the reader. */
struct table {
	uint32_t *slots;
	size_t room;
};

static uint64_t hash_type(uint64_t class_address, struct rmr_slice name)
{
	uint64_t hash = class_address;

	if (class_address == RMR_HEAP_UNKNOWN) {
		hash = 0xcbf29ce484222325;
		for (size_t i = 0; i < name.size; i++)
			hash = (hash ^ (unsigned char)name.start[i]) * 0x100000001b3;
	}
	hash *= 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

static bool same_type(const struct rmr_build *build, size_t i, const struct rmr_parsed_type *type)
{
	const struct rmr_slice *name = &build->type_names[i];

	if (build->types[i].class_address != type->class_address)
		return false;
	return type->class_address != RMR_HEAP_UNKNOWN ||
		(name->size == type->name.size &&
			!memcmp(name->start, type->name.start, name->size));
}

static bool grow(struct rmr_build *build, struct table *table)
{
	size_t room = build->type_room ? build->type_room * 2 : 1024;
	void *types = realloc(build->types, room * sizeof(*build->types));

	if (!types)
		return false;
	build->types = types;
	void *names = realloc(build->type_names, room * sizeof(*build->type_names));
	if (!names)
		return false;
	build->type_names = names;
	uint32_t *slots = calloc(room * 2, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < build->type_count; i++) {
		size_t at = hash_type(build->types[i].class_address, build->type_names[i]) &
			(room * 2 - 1);
		while (slots[at])
			at = (at + 1) & (room * 2 - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(table->slots);
	table->slots = slots;
	table->room = room * 2;
	build->type_room = room;
	return true;
}

static bool add_type(struct rmr_build *build, struct table *table,
	const struct rmr_parsed_type *type, uint32_t *ret)
{
	if (build->type_count == build->type_room && !grow(build, table))
		return false;
	size_t at = hash_type(type->class_address, type->name) & (table->room - 1);
	for (; table->slots[at]; at = (at + 1) & (table->room - 1)) {
		if (same_type(build, table->slots[at] - 1, type)) {
			*ret = table->slots[at] - 1;
			return true;
		}
	}
	build->types[build->type_count] =
		(struct rmr_stored_type){.class_address = type->class_address};
	build->type_names[build->type_count] = type->name;
	table->slots[at] = (uint32_t)build->type_count + 1;
	*ret = (uint32_t)build->type_count++;
	return true;
}

struct rmr_error *rmr_build_merge_types(struct rmr_build *build)
{
	const struct rmr_parsed *parsed = build->parsed;
	struct table table = {0};
	bool complete = true;

	build->type_map = calloc(parsed->chunk_count + 1, sizeof(*build->type_map));
	if (!build->type_map)
		return &rmr_enomem;
	for (size_t c = 0; complete && c < parsed->chunk_count; c++) {
		const struct rmr_chunk *chunk = &parsed->chunks[c];
		build->type_map[c] = malloc((chunk->type_count + 1) * sizeof(**build->type_map));
		complete = build->type_map[c] != NULL;
		for (size_t i = 0; complete && i < chunk->type_count; i++)
			complete = add_type(build, &table, &chunk->types[i], &build->type_map[c][i]);
	}
	free(table.slots);
	return complete ? NULL : &rmr_enomem;
}

/* The module that the record of a type object names, or NULL. */
static char *module_of(const struct rmr_heap *heap, uint32_t class_id)
{
	const uint64_t *lines = heap->sections[RMR_SECTION_LINE];
	struct rmr_line line;
	struct rmr_json_error error;

	if (class_id == RMR_NO_OBJECT)
		return NULL;
	const char *p = rmr_json_blank(heap->source.data + lines[class_id]);
	if (!rmr_line_scan(p, &line, NULL, &error))
		return NULL;
	return rmr_json_decode(line.record.module.start, line.record.module.size);
}

static bool name_type(struct rmr_build *build, size_t i)
{
	struct rmr_stored_type *type = &build->types[i];
	const struct rmr_slice *slice = &build->type_names[i];
	_rmr_free_ char *name = rmr_json_decode(slice->start, slice->size);
	_rmr_free_ char *label = NULL;

	type->class_id = RMR_NO_OBJECT;
	if (type->class_address != RMR_HEAP_UNKNOWN)
		type->class_id = rmr_sorted_find(build->heap->sections[RMR_SECTION_ADDRESS],
			build->heap->counts.objects, type->class_address);
	_rmr_free_ char *module = module_of(build->heap, type->class_id);
	if (!rmr_build_string(build, name ? name : "?", &type->name) ||
		!rmr_build_string(build, module, &type->module))
		return false;
	type->label = type->name;
	if (!module || !*module || !strcmp(module, "builtins") || !name)
		return true;
	return asprintf(&label, "%s.%s", module, name) >= 0 &&
		rmr_build_string(build, label, &type->label);
}

static int compare_types(const void *a, const void *b)
{
	const struct rmr_stored_type *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->reserved > y->reserved) - (x->reserved < y->reserved);
}

struct renumber {
	struct rmr_build *build;
	const uint32_t *map;
};

static void renumber_work(void *context, unsigned number)
{
	const struct renumber *renumber = context;
	const struct rmr_build *build = renumber->build;
	size_t count = build->heap->counts.objects;
	uint32_t *type = build->heap->sections[RMR_SECTION_TYPE];
	size_t end = rmr_parallel_start(count, build->threads, number + 1);

	for (size_t i = rmr_parallel_start(count, build->threads, number); i < end; i++)
		type[i] = renumber->map[type[i]];
}

struct rmr_error *rmr_build_types(struct rmr_build *build)
{
	struct rmr_heap *heap = build->heap;
	size_t count = build->type_count, kept = 0;
	_rmr_free_ uint32_t *map = malloc((count + 1) * sizeof(*map));

	if (!map)
		return &rmr_enomem;
	for (size_t i = 0; i < count; i++) {
		if (!name_type(build, i))
			return &rmr_enomem;
		build->types[i].reserved = (uint32_t)i; /* the number until now */
	}
	if (count)
		qsort(build->types, count, sizeof(*build->types), compare_types);
	for (size_t i = 0; i < count; i++) {
		map[build->types[i].reserved] = (uint32_t)i;
		build->types[i].reserved = 0;
		kept += build->types[i].count > 0; /* none: all its records were duplicates */
	}
	heap->counts.types = kept;
	struct rmr_stored_type *types = rmr_index_section(build->writer, heap, RMR_SECTION_TYPES,
		kept * sizeof(*types));
	if (!types)
		return &rmr_enomem;
	/* Those without instances come last: they have neither bytes nor count. */
	if (kept)
		memcpy(types, build->types, kept * sizeof(*types));
	struct renumber renumber = {build, map};
	rmr_parallel_run(build->threads, renumber_work, &renumber);
	return NULL;
}
