// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/build.h"

#include "attach/cleanup.h"

#include <stdlib.h>

static enum rmr_root_kind kind_of(const char *text)
{
	static const struct {
		const char *text;
		enum rmr_root_kind kind;
	} kinds[] = {
		{"interpreter", RMR_ROOT_INTERPRETER},
		{"frame", RMR_ROOT_FRAME},
		{"thread", RMR_ROOT_THREAD},
		{"static", RMR_ROOT_STATIC},
		{"interned", RMR_ROOT_INTERNED},
	};

	for (size_t i = 0; text && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!strcmp(text, kinds[i].text))
			return kinds[i].kind;
	}
	return RMR_ROOT_OTHER;
}

/* Stores the text of a key of the root's line. */
static bool store_key(struct rmr_build *build, const char *line, const char *key, uint32_t *ret)
{
	size_t size = 0;
	const char *value = rmr_json_get(line, key, &size);
	_rmr_free_ char *text = rmr_json_decode(value, size);

	return rmr_build_string(build, text, ret);
}

static uint64_t number_of(const char *line, const char *key)
{
	size_t size = 0;
	const char *value = rmr_json_get(line, key, &size);

	return rmr_json_uint(value, size, 0);
}

/* The label; of a sub-interpreter's places with its number, for each has a sys.modules. */
static bool store_label(struct rmr_build *build, const char *line, struct rmr_stored_root *root)
{
	uint64_t interpreter = number_of(line, "interpreter");
	size_t size = 0;
	const char *value = rmr_json_get(line, "label", &size);
	_rmr_free_ char *label = rmr_json_decode(value, size), *text = NULL;

	if (!label || root->kind != RMR_ROOT_INTERPRETER || !interpreter)
		return rmr_build_string(build, label, &root->label);
	return asprintf(&text, "<interpreter %llu>.%s", (unsigned long long)interpreter, label) >= 0 &&
		rmr_build_string(build, text, &root->label);
}

static bool store_root(struct rmr_build *build, const struct rmr_parsed_root *parsed,
	uint64_t first, struct rmr_stored_root *root)
{
	const char *line = build->heap->source.data + parsed->offset;

	*root = (struct rmr_stored_root){
		.line = parsed->offset,
		.first = first,
		.count = parsed->count,
		.thread = number_of(line, "thread"),
		.native = number_of(line, "native"),
		.depth = number_of(line, "depth"),
		.source_line = number_of(line, "line"),
	};
	if (!root->thread)
		root->thread = number_of(line, "ident");
	if (!store_key(build, line, "root", &root->kind_text))
		return false;
	root->kind = kind_of(root->kind_text == RMR_NO_OBJECT ? NULL
							      : build->strings + root->kind_text);
	return store_label(build, line, root) &&
		store_key(build, line, "name", &root->thread_name) &&
		store_key(build, line, "function", &root->function) &&
		store_key(build, line, "file", &root->file);
}

static int compare_rooted(const void *a, const void *b)
{
	const struct rmr_rooted *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->root > y->root) - (x->root < y->root);
}

/* Resolves the references of one chunk's roots into refs and rooted, from number first on. */
static void resolve_roots(const struct rmr_build *build, const struct rmr_directory *directory,
	const struct rmr_chunk *chunk, uint32_t root, uint64_t first, uint32_t *refs,
	struct rmr_rooted *rooted)
{
	const struct rmr_counts *counts = &build->heap->counts;
	const uint64_t *absent = build->heap->sections[RMR_SECTION_ABSENT];

	for (size_t r = 0; r < chunk->root_count; r++, root++) {
		for (uint64_t i = 0; i < chunk->roots[r].count; i++) {
			uint64_t at = chunk->roots[r].first + i;
			uint64_t address = chunk->root_references.items[at];
			uint32_t id = rmr_directory_find(directory, address);
			if (id == RMR_NO_OBJECT)
				id = (uint32_t)counts->objects +
					rmr_sorted_find(absent, counts->absent, address);
			refs[first + at] = id;
			rooted[first + at] = (struct rmr_rooted){id, root};
		}
	}
}

struct rmr_error *rmr_build_roots(struct rmr_build *build, const struct rmr_directory *directory)
{
	struct rmr_heap *heap = build->heap;
	const struct rmr_parsed *parsed = build->parsed;
	struct rmr_counts *counts = &heap->counts;
	uint32_t root = 0;
	uint64_t first = 0;

	for (size_t c = 0; c < parsed->chunk_count; c++) {
		counts->roots += parsed->chunks[c].root_count;
		counts->root_references += parsed->chunks[c].root_references.count;
	}
	struct rmr_stored_root *roots = rmr_index_section(build->writer, heap, RMR_SECTION_ROOTS,
		rmr_section_size(RMR_SECTION_ROOTS, counts));
	uint32_t *refs = rmr_index_section(build->writer, heap, RMR_SECTION_ROOT_REFS,
		rmr_section_size(RMR_SECTION_ROOT_REFS, counts));
	struct rmr_rooted *rooted = rmr_index_section(build->writer, heap, RMR_SECTION_ROOTED,
		rmr_section_size(RMR_SECTION_ROOTED, counts));
	if (!roots || !refs || !rooted)
		return &rmr_enomem;
	for (size_t c = 0; c < parsed->chunk_count; c++) {
		const struct rmr_chunk *chunk = &parsed->chunks[c];
		resolve_roots(build, directory, chunk, root, first, refs, rooted);
		for (size_t r = 0; r < chunk->root_count; r++, root++) {
			if (!store_root(build, &chunk->roots[r], first + chunk->roots[r].first,
				    &roots[root]))
				return &rmr_enomem;
		}
		first += chunk->root_references.count;
	}
	if (counts->root_references)
		qsort(rooted, counts->root_references, sizeof(*rooted), compare_rooted);
	return NULL;
}
