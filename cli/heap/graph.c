// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/graph.h"

#include "cli/heap/branches.h"
#include "cli/heap/idset.h"
#include "cli/heap/paths.h"
#include "cli/heap/text.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 3, BREADTH = 10, LABEL_MAX = 60, NAME_MAX_SHOWN = 40 };

/* Of modules and roots. */
static const char GREEN[] = "\"0.33,0.5,0.9\"";

/* Objects in the order in which they get into the picture. */
struct picture {
	const struct rmr_heap *heap;
	FILE *out;
	struct rmr_idset depths; /* of each id in it: depth + 1 */
	uint32_t *queue;
	size_t queued, room;
	unsigned depth;
	struct rmr_idset roots;  /* those in it */
	uint64_t boxes; /* "N more" */
	bool no_memory;
};

/* The first character of valid UTF-8; returns its length. */
static size_t decode(const char *text, uint32_t *code_ret)
{
	unsigned char lead = (unsigned char)*text;
	size_t size = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4, i = 1;
	uint32_t code = size == 1 ? lead : lead & (0x7fu >> size);

	for (; i < size && ((unsigned char)text[i] & 0xc0) == 0x80; i++)
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	*code_ret = code;
	return i;
}

/* As the inside of a DOT string; what a terminal would obey is written \x1b. */
static void put_escaped(FILE *out, const char *text)
{
	struct rmr_text safe = {0};
	uint32_t code;

	while (*text) {
		text += decode(text, &code);
		rmr_text_char(&safe, code);
	}
	for (const char *p = safe.data ? safe.data : ""; *p; p++) {
		if (*p == '"' || *p == '\\')
			fputc('\\', out);
		fputc(*p, out);
	}
	rmr_text_deinit(&safe);
}

/* At most @p max bytes of text, cut between characters. */
static void put_short(FILE *out, const char *text, size_t max)
{
	size_t size = strnlen(text, max + 1);
	char *copy = strndup(text, size);

	if (!copy)
		return;
	if (size > max) {
		while (max && ((unsigned char)copy[max] & 0xc0) == 0x80)
			max--;
		copy[max] = '\0';
	}
	put_escaped(out, copy);
	if (size > max)
		fputs("...", out);
	free(copy);
}

/* White near the start, darker with the distance; the start in red, modules in green. */
static void put_colours(const struct picture *picture, uint32_t id, unsigned depth)
{
	unsigned deepest = picture->depth ? picture->depth : 1;
	unsigned value = 100 - 60 * (depth < deepest ? depth : deepest) / deepest;

	bool module = rmr_heap_builtin(picture->heap, id) == RMR_BUILTIN_MODULE;

	if (module)
		fprintf(picture->out, ", fillcolor=%s", GREEN);
	else
		fprintf(picture->out, ", fillcolor=\"0,0,0.%02u\"", value > 99 ? 99 : value);
	if (!depth)
		fputs(", fontcolor=red, color=red", picture->out);
	else if (value < 50 && !module)
		fputs(", fontcolor=white", picture->out);
}

static bool is_container(const struct rmr_heap *heap, uint32_t id)
{
	switch (rmr_heap_builtin(heap, id)) {
	case RMR_BUILTIN_LIST:
	case RMR_BUILTIN_TUPLE:
	case RMR_BUILTIN_DICT:
	case RMR_BUILTIN_SET:
	case RMR_BUILTIN_OTHER:
		return rmr_heap_len(heap, id) != RMR_HEAP_UNKNOWN;
	default:
		return false;
	}
}

static void put_object(struct picture *picture, uint32_t id, unsigned depth)
{
	const struct rmr_heap *heap = picture->heap;
	char *name = rmr_heap_describe(heap, id, LABEL_MAX);
	struct rmr_text size = {0};

	fprintf(picture->out, "  o%u [label=\"", id);
	put_short(picture->out, rmr_heap_type_label(heap, id), LABEL_MAX);
	if (name) {
		fputs("\\n", picture->out);
		put_short(picture->out, name, LABEL_MAX);
	}
	if (!rmr_heap_is_absent(heap, id)) {
		if (is_container(heap, id)) {
			uint64_t items = rmr_heap_len(heap, id);
			rmr_text_count(&size, items);
			rmr_text_put(&size, items == 1 ? " item, " : " items, ");
		}
		rmr_text_bytes(&size, rmr_heap_size(heap, id));
		rmr_text_put(&size, "\\n");
	}
	rmr_text_format(&size, "0x%llx", (unsigned long long)rmr_heap_address(heap, id));
	if (size.data)
		fprintf(picture->out, "\\n%s", size.data);
	fputc('"', picture->out);
	put_colours(picture, id, depth);
	if (rmr_heap_flags(heap, id) & RMR_FLAG_FINALIZER)
		fputs(", shape=doublecircle, color=red", picture->out);
	fputs("];\n", picture->out);
	rmr_text_deinit(&size);
	free(name);
}

static void put_box(struct picture *picture, const char *name, const char *text,
	const char *colour)
{
	fprintf(picture->out, "  %s [shape=box, fillcolor=%s, label=\"", name, colour);
	put_short(picture->out, text, LABEL_MAX);
	fputs("\"];\n", picture->out);
}

/* One box for each root, however many objects of the picture it holds. */
static void meet_root(struct picture *picture, uint32_t root)
{
	char name[16];

	if (rmr_idset_get(&picture->roots, root))
		return;
	picture->no_memory |= !rmr_idset_set(&picture->roots, root, 1);
	snprintf(name, sizeof(name), "r%u", root);
	put_box(picture, name, picture->heap->roots[root].label, GREEN);
}

static void put_edge(struct picture *picture, const char *from_to, const char *name)
{
	fprintf(picture->out, "  %s", from_to);
	if (name) {
		fputs(" [label=\"", picture->out);
		put_short(picture->out, *name == '.' ? name + 1 : name, NAME_MAX_SHOWN);
		fputs("\"]", picture->out);
	}
	fputs(";\n", picture->out);
}

/* Takes an object into the picture if it is not there yet. */
static void meet(struct picture *picture, uint32_t id, unsigned depth)
{
	if (rmr_idset_get(&picture->depths, id))
		return;
	if (picture->queued == picture->room) {
		size_t room = picture->room ? picture->room * 2 : 64;
		uint32_t *queue = realloc(picture->queue, room * sizeof(*queue));
		if (!queue) {
			picture->no_memory = true;
			return;
		}
		picture->queue = queue;
		picture->room = room;
	}
	picture->queue[picture->queued++] = id;
	picture->no_memory |= !rmr_idset_set(&picture->depths, id, depth + 1);
	put_object(picture, id, depth);
}

static void put_branch(struct picture *picture, uint32_t id, unsigned depth, bool up,
	const struct rmr_branch *branch)
{
	char edge[64];

	if (branch->id == RMR_NO_OBJECT) {
		meet_root(picture, branch->root);
		snprintf(edge, sizeof(edge), "r%u -> o%u", branch->root, id);
	} else {
		meet(picture, branch->id, depth + 1);
		snprintf(edge, sizeof(edge), "o%u -> o%u", up ? branch->id : id,
			up ? id : branch->id);
	}
	put_edge(picture, edge, branch->name);
}

static struct rmr_error *expand(struct picture *picture, uint32_t id, unsigned depth, bool up,
	unsigned breadth)
{
	struct rmr_branches branches;
	struct rmr_branch branch;
	char text[64], edge[64], name[32];
	struct rmr_error *err = rmr_branches_init(&branches, picture->heap, id, up);

	if (err)
		return err;
	for (unsigned i = 0; i < breadth && rmr_branches_next(&branches, &branch); i++) {
		put_branch(picture, id, depth, up, &branch);
		free(branch.name);
	}
	uint64_t left = rmr_branches_left(&branches);
	rmr_branches_deinit(&branches);
	if (left) {
		snprintf(text, sizeof(text), "%llu more %s%s", (unsigned long long)left,
			up ? "referrer" : "reference", left == 1 ? "" : "s");
		snprintf(name, sizeof(name), "b%llu", (unsigned long long)picture->boxes++);
		put_box(picture, name, text, "\"0,0.4,1\"");
		if (up)
			snprintf(edge, sizeof(edge), "%s -> o%u", name, id);
		else
			snprintf(edge, sizeof(edge), "o%u -> %s", id, name);
		put_edge(picture, edge, NULL);
	}
	return NULL;
}

static struct rmr_error *draw_around(struct picture *picture, uint32_t id, bool up,
	unsigned breadth)
{
	struct rmr_error *err = NULL;

	meet(picture, id, 0);
	for (size_t i = 0; !err && i < picture->queued && !picture->no_memory; i++) {
		unsigned depth = rmr_idset_get(&picture->depths, picture->queue[i]) - 1;
		if (depth < picture->depth)
			err = expand(picture, picture->queue[i], depth, up, breadth);
	}
	return err;
}

static struct rmr_error *draw_path(struct picture *picture, uint32_t id)
{
	struct rmr_paths *paths;
	struct rmr_error *err = rmr_paths_find(picture->heap, id, NULL, &paths);
	char edge[64];

	if (err)
		return err;
	const struct rmr_path *path = &paths->paths[0];
	picture->depth = (unsigned)path->count;
	for (size_t i = path->count; i--;)
		meet(picture, path->steps[i].id, (unsigned)(path->count - 1 - i));
	put_box(picture, "b0", path->start == RMR_PATH_ROOT
			? picture->heap->roots[path->root].label
			: path->start == RMR_PATH_HELD_BY_C ? "held by C code"
							    : "nothing from outside", GREEN);
	snprintf(edge, sizeof(edge), "b0 -> o%u", path->steps[0].id);
	put_edge(picture, edge, path->steps[0].name);
	for (size_t i = 1; i < path->count; i++) {
		snprintf(edge, sizeof(edge), "o%u -> o%u", path->steps[i - 1].id,
			path->steps[i].id);
		put_edge(picture, edge, path->steps[i].name);
	}
	rmr_paths_destroy(paths);
	return NULL;
}

struct rmr_error *rmr_graph_write(const struct rmr_heap *heap, uint32_t id,
	const struct rmr_graph_options *options, FILE *out)
{
	static const struct rmr_graph_options defaults;
	struct picture picture = {.heap = heap, .out = out};

	options = options ? options : &defaults;
	picture.depth = options->depth ? options->depth : DEPTH;
	fputs("digraph heap {\n"
	      "  node [shape=box, style=filled, fontname=\"sans-serif\", fontsize=10];\n"
	      "  edge [fontname=\"sans-serif\", fontsize=8];\n", out);
	struct rmr_error *err = options->path
		? draw_path(&picture, id)
		: draw_around(&picture, id, options->up,
			  options->breadth ? options->breadth : BREADTH);
	fputs("}\n", out);
	free(picture.queue);
	rmr_idset_deinit(&picture.depths);
	rmr_idset_deinit(&picture.roots);
	if (!err && picture.no_memory)
		err = &rmr_enomem;
	if (!err && (fflush(out) || ferror(out)))
		err = rmr_error_create(RMR_E_WRITE, 0, "the picture could not be written");
	return err;
}
