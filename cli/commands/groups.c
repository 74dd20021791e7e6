// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/groups.h"

#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/snapshot.h"
#include "cli/heap/summary.h"
#include "cli/view/number.h"

#include <string.h>

enum {
	ROWS = 20,
};

static const struct rmr_column columns[] = {
	{"group", NULL, RMR_KIND_TEXT},
	{"count", NULL, RMR_KIND_COUNT},
	{"count_share", "%", RMR_KIND_SHARE},
	{"bytes", NULL, RMR_KIND_BYTES},
	{"bytes_share", "%", RMR_KIND_SHARE},
	{"cumulative", "cum %", RMR_KIND_SHARE},
	{"owned", NULL, RMR_KIND_BYTES},
	{"retained", NULL, RMR_KIND_BYTES},
};

enum {
	COLUMNS = sizeof(columns) / sizeof(*columns),
	OWNED = 6, // the column
};

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static void put_groups(
	struct rmr_view *view, const struct rmr_groups *groups, uint64_t limit, bool retained)
{
	size_t shown = limit && limit < groups->count ? (size_t)limit : groups->count;
	struct rmr_column table[COLUMNS];
	bool owned = rmr_view_format(view) != RMR_FORMAT_TABLE;
	uint64_t cumulative = 0;
	size_t used = 0;

	// For people only where a group of those shown owns something.
	for (size_t i = 0; i < shown && !owned; i++)
		owned = groups->groups[i].owned != 0;
	for (size_t i = 0; i < (retained ? COLUMNS : COLUMNS - 1); i++) {
		if (i != OWNED || owned)
			table[used++] = columns[i];
	}
	rmr_view_table(view, NULL, table, used);
	for (size_t i = 0; i < shown && !rmr_view_failed(view); i++) {
		const struct rmr_group *group = &groups->groups[i];
		cumulative += group->bytes;
		rmr_view_put_text(view, group->label);
		rmr_view_put_uint(view, group->count);
		rmr_view_put_real(view, share(group->count, groups->objects));
		rmr_view_put_uint(view, group->bytes);
		rmr_view_put_real(view, share(group->bytes, groups->bytes));
		rmr_view_put_real(view, share(cumulative, groups->bytes));
		if (owned)
			rmr_view_put_int(view, group->owned);
		if (retained)
			rmr_view_put_uint(view, group->retained);
	}
	rmr_view_end_table(view, groups->count - shown);
}

/** The `index`-th --by; the last one serves all further levels. */
static struct rmr_error *by_of(const struct rmr_call *call, size_t index, enum rmr_groups_by *ret)
{
	size_t count = rmr_args_count(&call->args, "by");

	if (!count) {
		*ret = RMR_GROUPS_TYPE;
		return NULL;
	}
	return rmr_groups_parse(
		rmr_args_nth(&call->args, "by", index < count ? index : count - 1), ret);
}

static struct rmr_error *find_group(const struct rmr_groups *groups, const char *label, size_t *ret)
{
	for (size_t i = 0; i < groups->count; i++) {
		if (strcmp(groups->groups[i].label, label) == 0) {
			*ret = i;
			return NULL;
		}
	}
	return rmr_error_hint(rmr_error_create(RMR_E_QUERY, 0, "no group '%s'", label),
		"the same command without --group %s lists the groups", label);
}

/** Parts the objects, and goes down into the groups that --group names, one after the other. */
static struct rmr_error *descend(const struct rmr_call *call,
	const struct rmr_dominators *dominators, const uint32_t *ids, uint64_t count,
	struct rmr_groups **ret)
{
	const struct rmr_heap *heap = call->snapshot->heap;
	size_t levels = rmr_args_count(&call->args, "group"), g = 0;
	struct rmr_groups *groups, *below;
	enum rmr_groups_by by;

	struct rmr_error *err = by_of(call, 0, &by);
	if (!err)
		err = rmr_groups_create(heap, dominators, ids, count, by, &groups);
	if (err)
		return err;
	for (size_t level = 0; level < levels; level++) {
		err = find_group(groups, rmr_args_nth(&call->args, "group", level), &g);
		if (!err)
			err = by_of(call, level + 1, &by);
		if (!err)
			err = rmr_groups_create(heap, dominators,
				groups->members + groups->first[g],
				groups->first[g + 1] - groups->first[g], by, &below);
		rmr_groups_destroy(groups);
		if (err)
			return err;
		groups = below;
	}
	*ret = groups;
	return NULL;
}

/** The objects that --type and --where choose; *ids stays NULL for all. */
static struct rmr_error *choose(const struct rmr_call *call, uint32_t **ids, uint64_t *count)
{
	struct rmr_objects_query query = {
		.type = rmr_args_value(&call->args, "type"),
		.where = rmr_args_value(&call->args, "where"),
		.sort = RMR_SORT_ADDRESS,
	};
	uint64_t total;

	if (!query.type && !query.where)
		return NULL;
	return rmr_objects_list(call->snapshot->heap, NULL, &query, ids, count, &total);
}

static bool needs_dominators(const struct rmr_call *call)
{
	for (size_t i = 0; i < rmr_args_count(&call->args, "by"); i++) {
		if (strcmp(rmr_args_nth(&call->args, "by", i), "owner") == 0)
			return true;
	}
	return rmr_args_count(&call->args, "retained");
}

struct rmr_error *rmr_command_groups(struct rmr_context *context, const struct rmr_call *call)
{
	_rmr_free_ uint32_t *ids = NULL;
	struct rmr_dominators *dominators = NULL;
	struct rmr_line line = {0};
	struct rmr_groups *groups;
	struct rmr_view *view;
	uint64_t limit, count = 0;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err)
		err = choose(call, &ids, &count);
	if (!err && needs_dominators(call))
		err = rmr_snapshot_dominators(call->snapshot, &dominators);
	if (!err)
		err = descend(call, dominators, ids, count, &groups);
	if (err)
		return err;
	err = rmr_command_view(context, call, true, &view);
	if (!err) {
		rmr_number_add_count(&line, groups->objects);
		rmr_line_addf(&line, " objects, ");
		rmr_number_add_bytes(&line, groups->bytes);
		rmr_line_addf(&line, ", in ");
		rmr_number_add_count(&line, groups->count);
		rmr_view_note(view, "%s group%s", rmr_line_get(&line), groups->count == 1 ? "" : "s");
		rmr_line_deinit(&line);
		put_groups(view, groups, limit, rmr_args_count(&call->args, "retained"));
		if (groups->count == 1 && !strcmp(groups->groups[0].label, RMR_GROUPS_NOT_TRACED))
			rmr_view_note(view, "tracemalloc was off in the process. `remora run PID trace start` "
					    "turns it on, for what is allocated from then on.");
		err = rmr_view_close(view);
	}
	rmr_groups_destroy(groups);
	return err;
}
