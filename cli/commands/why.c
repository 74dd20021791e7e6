// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/paths.h"

#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/object.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_PATHS = 1000,
};

static const struct rmr_column path_columns[] = {
	{"path", NULL, RMR_KIND_ID},
	{"expression", NULL, RMR_KIND_TEXT},
	{"start", NULL, RMR_KIND_TEXT},
	{"steps", NULL, RMR_KIND_COUNT},
	{"python", NULL, RMR_KIND_TEXT},
};

static const struct rmr_column step_columns[] = {
	{"path", NULL, RMR_KIND_ID},
	{"name", NULL, RMR_KIND_TEXT},
	RMR_OBJECT_COLUMNS,
	RMR_OBJECT_VALUE_COLUMN,
};

enum {
	PATH_COLUMNS = sizeof(path_columns) / sizeof(*path_columns),
	STEP_COLUMNS = sizeof(step_columns) / sizeof(*step_columns),
};

static const char *start_word(enum rmr_path_start start)
{
	static const char *const words[] = {
		[RMR_PATH_ROOT] = "root",
		[RMR_PATH_HELD_BY_C] = "held by C",
		[RMR_PATH_UNREACHABLE] = "unreachable",
	};

	return words[start];
}

static const char *root_label(const struct rmr_heap *heap, const struct rmr_path *path)
{
	if (path->start == RMR_PATH_ROOT)
		return rmr_heap_root(heap, path->root)->label;
	return path->start == RMR_PATH_HELD_BY_C ? "<held by C code>" : "<no root>";
}

static void put_steps(struct rmr_view *view, const struct rmr_heap *heap,
	const struct rmr_path *path, size_t number, bool with_number)
{
	for (size_t i = 0; i < path->count; i++) {
		const char *name = path->steps[i].name;
		if (with_number)
			rmr_view_put_uint(view, number);
		rmr_view_put_text(
			view, i == 0 && (!name || !*name) ? root_label(heap, path) : name);
		rmr_object_put(view, heap, path->steps[i].id);
		rmr_object_put_value(view, heap, path->steps[i].id);
	}
}

/** What goes round nothing is no answer to --avoid. */
static size_t count_shown(const struct rmr_paths *paths, bool avoided)
{
	return avoided && paths->paths[0].start == RMR_PATH_UNREACHABLE ? 0 : paths->count;
}

/** For JSON and CSV: the paths, then the steps of all of them. */
static void put_tables(struct rmr_view *view, const struct rmr_heap *heap,
	const struct rmr_paths *paths, uint32_t id, size_t shown)
{
	rmr_view_json_field(view, "address", RMR_KIND_ADDRESS);
	rmr_view_put_uint(view, rmr_heap_address(heap, id));
	rmr_view_json_field(view, "type", RMR_KIND_TEXT);
	rmr_view_put_text(view, rmr_heap_type_label(heap, id));
	rmr_view_table(view, "paths", path_columns, PATH_COLUMNS);
	for (size_t i = 0; i < shown; i++) {
		rmr_view_put_uint(view, i + 1);
		rmr_view_put_text(view, paths->paths[i].expression);
		rmr_view_put_text(view, start_word(paths->paths[i].start));
		rmr_view_put_uint(view, paths->paths[i].count);
		rmr_view_put_both(view, paths->paths[i].is_expression ? "true" : "false",
			paths->paths[i].is_expression ? "true" : "false");
	}
	rmr_view_end_table(view, 0);
	rmr_view_table(view, "steps", step_columns, STEP_COLUMNS);
	for (size_t i = 0; i < shown; i++)
		put_steps(view, heap, &paths->paths[i], i + 1, true);
	rmr_view_end_table(view, 0);
}

/** For people: each path's expression, then its objects. */
static void put_story(struct rmr_view *view, const struct rmr_heap *heap,
	const struct rmr_paths *paths, uint32_t id, bool steps, bool avoided)
{
	struct rmr_line line = {0};

	rmr_object_add_line(&line, heap, id);
	rmr_view_note(view, "%s", rmr_line_get(&line));
	if (paths->paths[0].start != RMR_PATH_ROOT && avoided)
		rmr_view_note(view, "No path from a root goes round what is to be avoided.");
	for (size_t i = 0; i < count_shown(paths, avoided); i++) {
		const struct rmr_path *path = &paths->paths[i];
		if (path->start == RMR_PATH_HELD_BY_C)
			rmr_view_note(
				view, "No path from a root; C code holds the start of this one:");
		else if (path->start == RMR_PATH_UNREACHABLE)
			rmr_view_note(view, "%s What refers to it:",
				rmr_heap_root_count(heap) ? "No root reaches it: it is garbage "
							    "that waits for the collector."
							  : "The dump has no roots.");
		rmr_line_clear(&line);
		if (path->expression)
			rmr_line_add_safe(&line, path->expression, strlen(path->expression));
		rmr_view_note(view, "%s%s", steps && i ? "\n" : "", rmr_line_get(&line));
		if (!steps)
			continue;
		rmr_view_table(view, NULL, step_columns + 1, STEP_COLUMNS - 1);
		put_steps(view, heap, path, i + 1, false);
		rmr_view_end_table(view, 0);
	}
	rmr_line_deinit(&line);
}

static struct rmr_error *find(const struct rmr_call *call, uint32_t id, struct rmr_paths **ret)
{
	struct rmr_paths_options options = {.avoid_count = rmr_args_count(&call->args, "avoid")};
	uint64_t limit;

	struct rmr_error *err = rmr_args_number(&call->args, "paths", 1, MAX_PATHS, &limit);
	if (err)
		return err;
	options.limit = limit;
	const char **avoid = calloc(options.avoid_count + 1, sizeof(*avoid));
	if (!avoid)
		return &rmr_enomem;
	for (size_t i = 0; i < options.avoid_count; i++)
		avoid[i] = rmr_args_nth(&call->args, "avoid", i);
	options.avoid = avoid;
	err = rmr_paths_find(call->snapshot->heap, id, &options, ret);
	free(avoid);
	return err;
}

struct rmr_error *rmr_command_why(struct rmr_context *context, const struct rmr_call *call)
{
	const struct rmr_heap *heap = call->snapshot->heap;
	struct rmr_paths *paths;
	struct rmr_view *view;
	uint32_t id;

	struct rmr_error *err =
		rmr_snapshot_object(context, call->snapshot, call->args.operands[0], &id);
	if (!err)
		err = find(call, id, &paths);
	if (err)
		return err;
	err = rmr_command_view(context, call, false, &view);
	if (!err) {
		bool avoided = rmr_args_count(&call->args, "avoid");
		if (rmr_view_format(view) == RMR_FORMAT_TABLE)
			put_story(view, heap, paths, id, !rmr_args_count(&call->args, "brief"),
				avoided);
		else
			put_tables(view, heap, paths, id, count_shown(paths, avoided));
		err = rmr_view_close(view);
	}
	rmr_paths_destroy(paths);
	return err;
}
