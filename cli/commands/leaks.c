// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/leaks.h"

#include "attach/log.h"
#include "cli/commands/commands.h"
#include "cli/commands/heaps.h"
#include "cli/commands/object.h"
#include "cli/interrupt.h"
#include "cli/shell/shell.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum {
	ROWS = 5,
	SECONDS_MS = 10000,
	SNAPSHOTS = 3,
	MAX_SNAPSHOTS = 100,
	PROSE_WIDTH = 79,
};

static const struct rmr_column columns[] = {
	{"address", NULL, RMR_KIND_ADDRESS},
	{"type", NULL, RMR_KIND_TEXT},
	{"path", NULL, RMR_KIND_TEXT},
	{"retained", NULL, RMR_KIND_BYTES},
	{"share", NULL, RMR_KIND_SHARE},
	{"children", NULL, RMR_KIND_COUNT},
	{"child_type", NULL, RMR_KIND_TEXT},
	{"growth", NULL, RMR_KIND_BYTES},
	{"score", NULL, RMR_KIND_SHARE},
	{"prose", NULL, RMR_KIND_TEXT},
};

enum {
	COLUMNS = sizeof(columns) / sizeof(*columns),
};

/** Waits until @p due_ns; RMR_E_INTERRUPTED on Ctrl-C. */
static struct rmr_error *wait_until(uint64_t due_ns)
{
	struct rmr_error *err = rmr_interrupt_begin();

	if (err)
		return err;
	for (uint64_t now; !(err = rmr_interrupt_check()) && (now = rmr_log_now()) < due_ns;) {
		struct pollfd pollfd = {.fd = rmr_interrupt_fd(), .events = POLLIN};
		if (poll(&pollfd, 1, (int)((due_ns - now) / 1000000) + 1) < 0 && errno != EINTR)
			break;
	}
	rmr_interrupt_end();
	return err;
}

/** Takes --snapshots dumps of a process over --for seconds. */
static struct rmr_error *watch(struct rmr_context *context, const struct rmr_call *call,
	const char *pid, uint64_t snapshots, struct rmr_heaps *heaps)
{
	const char *seconds = rmr_args_value(&call->args, "for");
	unsigned for_ms = SECONDS_MS;
	struct rmr_error *err = NULL;

	if (seconds)
		err = rmr_args_seconds(seconds, "option '--for'", &for_ms);
	uint64_t started = rmr_log_now();
	for (uint64_t i = 0; !err && i < snapshots; i++) {
		if (i)
			err = wait_until(
				started + (uint64_t)for_ms * 1000000 / (snapshots - 1) * i);
		if (!err)
			err = rmr_heaps_open(heaps, context, pid);
	}
	return err;
}

static void put_prose(struct rmr_view *view, const char *head, const char *prose)
{
	struct rmr_line safe = {0};

	rmr_line_add_safe(&safe, prose, strlen(prose));
	rmr_view_prose(view, head, PROSE_WIDTH, rmr_line_get(&safe));
	rmr_line_deinit(&safe);
}

static void put_story(struct rmr_view *view, const struct rmr_heap *heap,
	const struct rmr_leaks *leaks, size_t shown)
{
	if (leaks->prose)
		put_prose(view, "", leaks->prose);
	for (size_t i = 0; i < shown; i++) {
		const struct rmr_leak *leak = &leaks->leaks[i];
		struct rmr_line line = {0};
		char head[32];

		snprintf(head, sizeof(head), "%zu. ", i + 1);
		rmr_view_note(view, "%s", "");
		put_prose(view, head, leak->prose ? leak->prose : "");
		if (leak->accumulation != RMR_NO_OBJECT) {
			rmr_line_addf(&line, "%*s", (int)strlen(head), "");
			rmr_object_add_line(&line, heap, leak->accumulation);
			rmr_view_note(view, "%s", rmr_line_get(&line));
		}
		rmr_line_deinit(&line);
	}
}

static void put_table(struct rmr_view *view, const struct rmr_heap *heap,
	const struct rmr_leaks *leaks, size_t shown)
{
	rmr_view_table(view, NULL, columns, COLUMNS);
	for (size_t i = 0; i < shown; i++) {
		const struct rmr_leak *leak = &leaks->leaks[i];
		if (leak->accumulation == RMR_NO_OBJECT) {
			rmr_view_put_none(view);
			rmr_view_put_none(view);
		} else {
			rmr_view_put_uint(view, rmr_heap_address(heap, leak->accumulation));
			rmr_view_put_text(view, rmr_heap_type_label(heap, leak->accumulation));
		}
		rmr_view_put_text(view, leak->path);
		rmr_view_put_uint(view, leak->retained);
		rmr_view_put_real(view, leak->share);
		rmr_view_put_uint(view, leak->children);
		rmr_view_put_text(view, leak->child_type);
		rmr_view_put_uint(view, leak->growth);
		rmr_view_put_real(view, leak->score);
		rmr_view_put_text(view, leak->prose);
	}
	rmr_view_end_table(view, 0);
}

static struct rmr_error *tell(struct rmr_context *context, const struct rmr_call *call,
	struct rmr_heaps *heaps, uint64_t limit)
{
	const struct rmr_heap *last = heaps->heaps[heaps->count - 1];
	struct rmr_leaks *leaks;
	struct rmr_view *view;

	struct rmr_error *err = rmr_heaps_dominators(heaps);
	if (!err)
		err = rmr_leaks_find(
			heaps->heaps, heaps->dominators, heaps->count, (size_t)limit, &leaks);
	if (err)
		return err;
	err = rmr_command_view(context, call, true, &view);
	if (!err) {
		size_t shown = limit && limit < leaks->count ? (size_t)limit : leaks->count;
		if (rmr_view_format(view) == RMR_FORMAT_TABLE)
			put_story(view, last, leaks, shown);
		else
			put_table(view, last, leaks, shown);
		err = rmr_view_close(view);
	}
	rmr_leaks_destroy(leaks);
	return err;
}

static struct rmr_error *open_all(struct rmr_context *context, const struct rmr_call *call,
	uint64_t snapshots, struct rmr_heaps *heaps)
{
	const struct rmr_args *args = &call->args;
	struct rmr_error *err = context->shell ? rmr_shell_snapshot(context) : NULL;

	if (!context->shell && args->operand_count == 1 && rmr_args_is_digits(args->operands[0]))
		return watch(context, call, args->operands[0], snapshots, heaps);
	if (rmr_args_count(args, "for") || rmr_args_count(args, "snapshots"))
		return rmr_error_create(
			RMR_E_USAGE, 0, "--for and --snapshots are for a PID and nothing else");
	if (!context->shell && args->operand_count == 0)
		return rmr_error_create(RMR_E_USAGE, 0, "HEAP, a dump file or a PID, is missing");
	for (size_t i = 0; !err && i < args->operand_count; i++)
		err = rmr_heaps_open(heaps, context, args->operands[i]);
	if (!err && context->shell) {
		if (!args->operand_count && context->previous)
			rmr_heaps_borrow(heaps, context->previous);
		rmr_heaps_borrow(heaps, context->snapshot);
	}
	return err;
}

struct rmr_error *rmr_command_leaks(struct rmr_context *context, const struct rmr_call *call)
{
	uint64_t limit, snapshots;
	struct rmr_heaps heaps;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err)
		err = rmr_args_number(
			&call->args, "snapshots", SNAPSHOTS, MAX_SNAPSHOTS, &snapshots);
	if (!err && snapshots == 0)
		err = rmr_error_create(RMR_E_USAGE, 0, "option '--snapshots' needs at least 1");
	if (!err)
		err = rmr_heaps_init(&heaps, call->args.operand_count + 2 + snapshots);
	if (err)
		return err;
	err = open_all(context, call, snapshots, &heaps);
	if (!err)
		err = tell(context, call, &heaps, limit);
	rmr_heaps_deinit(&heaps);
	return err;
}
