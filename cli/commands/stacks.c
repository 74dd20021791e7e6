// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/stacks.h"

#include "attach/calls.h"
#include "cli/commands/commands.h"
#include "cli/commands/session.h"
#include "cli/interrupt.h"
#include "cli/view/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	FRAMES = 100, /* of each stack, shown to people */
};

static const struct rmr_column thread_columns[] = {
	{"tid", NULL, RMR_KIND_ID},
	{"ident", NULL, RMR_KIND_ID},
	{"name", NULL, RMR_KIND_TEXT},
	{"comm", NULL, RMR_KIND_TEXT},
	{"interpreter", NULL, RMR_KIND_ID},
	{"state", NULL, RMR_KIND_TEXT},
	{"doing", NULL, RMR_KIND_TEXT},
	{"call", NULL, RMR_KIND_TEXT},
	{"gil", NULL, RMR_KIND_TEXT},
	{"read", NULL, RMR_KIND_TEXT},
	{"frames", NULL, RMR_KIND_TEXT},
	{"native", NULL, RMR_KIND_TEXT},
};

static const struct rmr_column frame_columns[] = {
	{"tid", NULL, RMR_KIND_ID},
	{"name", NULL, RMR_KIND_TEXT},
	{"doing", NULL, RMR_KIND_TEXT},
	{"gil", NULL, RMR_KIND_TEXT},
	{"kind", NULL, RMR_KIND_TEXT},
	{"depth", NULL, RMR_KIND_ID},
	{"file", NULL, RMR_KIND_TEXT},
	{"line", NULL, RMR_KIND_ID},
	{"function", NULL, RMR_KIND_TEXT},
	{"offset", NULL, RMR_KIND_ID},
};

static const char *doing_word(const struct rmr_stack *stack)
{
	static const char *const words[] = {
		[RMR_STACK_RUNS] = "running",
		[RMR_STACK_CALL] = "call",
		[RMR_STACK_GIL] = "gil",
		[RMR_STACK_SLEEPS] = "sleeping",
		[RMR_STACK_STOPPED] = "stopped",
	};

	return words[stack->wait];
}

static const char *read_word(const struct rmr_stack *stack)
{
	static const char *const words[] = {
		[RMR_STACK_WHOLE] = "whole",
		[RMR_STACK_CUT] = "cut",
		[RMR_STACK_CHANGED] = "changed",
	};

	return words[stack->end];
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

static const char *function_of(const struct rmr_stack_frame *frame)
{
	return frame->qualname ? frame->qualname : frame->function;
}

/* ---- for people ---- */

static void add_text(struct rmr_line *line, const char *text)
{
	rmr_line_add_safe(line, text, strlen(text));
}

static void note(struct rmr_view *view, struct rmr_line *line)
{
	rmr_view_note(view, "%s", rmr_line_get(line));
	rmr_line_clear(line);
}

static void add_call(struct rmr_line *line, long call)
{
	const char *name = rmr_calls_name(call);

	if (name)
		rmr_line_addf(line, "%s", name);
	else
		rmr_line_addf(line, "system call %ld", call);
}

static void put_heading(struct rmr_view *view, const struct rmr_stack *stack)
{
	const char *name = stack->name ? stack->name : stack->comm;
	struct rmr_line line = {0};

	rmr_line_addf(&line, "thread %d ", (int)stack->tid);
	add_text(&line, name);
	if (stack->interpreter > 0)
		rmr_line_addf(&line, " in interpreter %" PRId64, stack->interpreter);
	switch (stack->wait) {
	case RMR_STACK_RUNS:
		rmr_line_addf(&line, " runs");
		break;
	case RMR_STACK_CALL:
		rmr_line_addf(&line, " waits in ");
		add_call(&line, stack->call);
		break;
	case RMR_STACK_GIL:
		rmr_line_addf(&line, " waits for the GIL");
		break;
	case RMR_STACK_SLEEPS:
		rmr_line_addf(&line, " sleeps");
		break;
	case RMR_STACK_STOPPED:
		rmr_line_addf(&line, " is stopped");
		if (stack->call >= 0) {
			rmr_line_addf(&line, " in ");
			add_call(&line, stack->call);
		}
		break;
	}
	if (stack->holds_gil)
		rmr_line_addf(&line, ", holds the GIL");
	if (!stack->ident)
		rmr_line_addf(&line, ", is not known to Python");
	note(view, &line);
	rmr_line_deinit(&line);
}

static void put_frame(struct rmr_view *view, const struct rmr_stack_frame *frame)
{
	struct rmr_line line = {0};

	rmr_line_addf(&line, "    ");
	add_text(&line, frame->file);
	if (frame->line >= 0)
		rmr_line_addf(&line, ":%d", (int)frame->line);
	rmr_line_addf(&line, " ");
	add_text(&line, function_of(frame));
	note(view, &line);
	rmr_line_deinit(&line);
}

static void put_native(struct rmr_view *view, const struct rmr_stack_native *native)
{
	struct rmr_line line = {0};

	rmr_line_addf(&line, "    ");
	if (native->symbol)
		add_text(&line, native->symbol);
	else
		rmr_line_addf(&line, native->file ? "?" : "0x%" PRIx64, native->pc);
	if (native->file) {
		rmr_line_addf(&line, native->symbol ? "+0x%" PRIx64 " in " : " in ",
			native->offset);
		add_text(&line, base_name(native->file));
		if (!native->symbol)
			rmr_line_addf(&line, "+0x%" PRIx64, native->offset);
	}
	note(view, &line);
	rmr_line_deinit(&line);
}

/* A line of a stack as it is shown: a Python frame, or a C frame. */
struct row {
	const struct rmr_stack_frame *frame;
	const struct rmr_stack_native *native;
};

/* The rows of @p stack, at most its Python and its C frames. */
static size_t list_rows(const struct rmr_stack *stack, struct row *rows)
{
	size_t count = 0;

	if (!stack->merged) {
		for (size_t i = 0; i < stack->count; i++)
			rows[count++] = (struct row){.frame = &stack->frames[i]};
		return count;
	}
	for (size_t i = 0; i < stack->native_count; i++) {
		const struct rmr_stack_native *native = &stack->natives[i];
		if (!native->count)
			rows[count++] = (struct row){.native = native};
		for (size_t k = 0; k < native->count; k++)
			rows[count++] = (struct row){.frame = &stack->frames[native->first + k]};
	}
	return count;
}

/* The innermost three quarters of @p limit, and of the rest the outermost. */
static void put_rows(struct rmr_view *view, const struct row *rows, size_t count, uint64_t limit)
{
	size_t outer = limit && count > limit ? (size_t)(limit / 4) : 0;
	size_t inner = limit && count > limit ? (size_t)limit - outer : count;

	for (size_t i = 0; i < count && !rmr_view_failed(view); i++) {
		if (i == inner) {
			struct rmr_line line = {0};
			rmr_line_addf(&line, "    ... ");
			rmr_number_add_count(&line, count - inner - outer);
			rmr_line_addf(&line, " more (--limit 0 shows all)");
			note(view, &line);
			rmr_line_deinit(&line);
			i = count - outer;
			if (i == count)
				break;
		}
		if (rows[i].frame)
			put_frame(view, rows[i].frame);
		else
			put_native(view, rows[i].native);
	}
}

static struct rmr_error *put_stack(
	struct rmr_view *view, const struct rmr_stack *stack, uint64_t limit)
{
	struct row *rows = calloc(stack->count + stack->native_count + 1, sizeof(*rows));

	if (!rows)
		return &rmr_enomem;
	put_heading(view, stack);
	put_rows(view, rows, list_rows(stack, rows), limit);
	if (stack->end == RMR_STACK_CHANGED)
		rmr_view_note(view, "    (it changed whenever it was read: this may be wrong)");
	else if (stack->end == RMR_STACK_CUT)
		rmr_view_note(view, "    (it is deeper than remora reads: 100,000 frames, or what 10 ms "
				    "allow while it is stopped)");
	if (stack->has_natives && !stack->merged) {
		if (stack->count)
			rmr_view_note(view, "  C frames:");
		for (size_t i = 0; i < stack->native_count; i++)
			rows[i] = (struct row){.native = &stack->natives[i]};
		put_rows(view, rows, stack->native_count, limit);
	}
	if (stack->natives_guessed)
		rmr_view_note(view, "    (C frames outside of code without unwind information are "
				    "guessed)");
	else if (stack->has_natives && !stack->natives_whole)
		rmr_view_note(view, "    (C frames further out could not be found)");
	free(rows);
	return NULL;
}

static void put_summary(struct rmr_view *view, const struct rmr_target *target,
	const struct rmr_stacks *stacks)
{
	struct rmr_line line = {0};

	rmr_line_addf(&line, "PID %d, Python %s: %zu thread%s; ", (int)rmr_target_pid(target),
		rmr_target_python(target)->version, stacks->threads,
		stacks->threads == 1 ? "" : "s");
	if (stacks->stops)
		rmr_line_addf(&line, "%u stopped, the longest for %.2f ms", stacks->stops,
			(double)stacks->stop_ns / 1e6);
	else
		rmr_line_addf(&line, "none was stopped");
	note(view, &line);
	if (!stacks->up)
		rmr_view_note(view, "No interpreter is up in it: it is starting, or has ended.");
	rmr_line_deinit(&line);
}

static struct rmr_error *put_text(struct rmr_view *view, const struct rmr_target *target,
	const struct rmr_stacks *stacks, uint64_t limit)
{
	struct rmr_error *err = NULL;

	put_summary(view, target, stacks);
	for (size_t i = 0; !err && i < stacks->count && !rmr_view_failed(view); i++) {
		rmr_view_note(view, "%s", "");
		err = put_stack(view, &stacks->stacks[i], limit);
	}
	return err;
}

/* ---- JSON and CSV ---- */

static void add_json(struct rmr_line *line, const char *key, const char *text)
{
	rmr_line_addf(line, "\"%s\": ", key);
	if (text)
		rmr_line_add_json(line, text, strlen(text));
	else
		rmr_line_addf(line, "null");
}

static void add_json_frame(struct rmr_line *line, const struct rmr_stack_frame *frame)
{
	rmr_line_addf(line, "{");
	add_json(line, "file", frame->file);
	if (frame->line >= 0)
		rmr_line_addf(line, ", \"line\": %d, ", (int)frame->line);
	else
		rmr_line_addf(line, ", \"line\": null, ");
	add_json(line, "function", frame->function);
	if (frame->qualname) {
		rmr_line_addf(line, ", ");
		add_json(line, "qualname", frame->qualname);
	}
	rmr_line_addf(line, "}");
}

static void add_json_native(
	struct rmr_line *line, const struct rmr_stack *stack, const struct rmr_stack_native *native)
{
	rmr_line_addf(line, "{\"address\": %" PRIu64 ", ", native->pc);
	add_json(line, "symbol", native->symbol);
	rmr_line_addf(line, ", \"offset\": %" PRIu64 ", ", native->offset);
	add_json(line, "file", native->file);
	if (stack->merged && native->evaluates)
		rmr_line_addf(line, ", \"runs\": [%zu, %zu]", native->first,
			native->first + native->count);
	rmr_line_addf(line, "}");
}

static size_t cut(size_t count, uint64_t limit)
{
	return limit && count > limit ? (size_t)limit : count;
}

static void put_json_stack(struct rmr_view *view, const struct rmr_stack *stack, uint64_t limit)
{
	struct rmr_line line = {0};
	size_t count = cut(stack->count, limit);

	rmr_line_addf(&line, "[");
	for (size_t i = 0; i < count; i++) {
		rmr_line_addf(&line, i ? ", " : "");
		add_json_frame(&line, &stack->frames[i]);
	}
	rmr_line_addf(&line, "]");
	rmr_view_put_both(view, "", rmr_line_get(&line));
	rmr_line_clear(&line);
	if (stack->has_natives) {
		rmr_line_addf(&line, "[");
		count = cut(stack->native_count, limit);
		for (size_t i = 0; i < count; i++) {
			rmr_line_addf(&line, i ? ", " : "");
			add_json_native(&line, stack, &stack->natives[i]);
		}
		rmr_line_addf(&line, "]");
		rmr_view_put_both(view, "", rmr_line_get(&line));
	} else {
		rmr_view_put_none(view);
	}
	rmr_line_deinit(&line);
}

static void put_call(struct rmr_view *view, const struct rmr_stack *stack)
{
	struct rmr_line line = {0};

	if (stack->call >= 0)
		add_call(&line, stack->call);
	rmr_view_put_text(view, stack->call >= 0 ? rmr_line_get(&line) : NULL);
	rmr_line_deinit(&line);
}

static void put_json(struct rmr_view *view, const struct rmr_target *target,
	const struct rmr_stacks *stacks, uint64_t limit)
{
	rmr_view_json_field(view, "pid", RMR_KIND_ID);
	rmr_view_put_uint(view, (uint64_t)rmr_target_pid(target));
	rmr_view_json_field(view, "python", RMR_KIND_TEXT);
	rmr_view_put_text(view, rmr_target_python(target)->version);
	rmr_view_json_field(view, "stops", RMR_KIND_COUNT);
	rmr_view_put_uint(view, stacks->stops);
	rmr_view_json_field(view, "stop_ns", RMR_KIND_COUNT);
	rmr_view_put_uint(view, stacks->stop_ns);
	rmr_view_table(view, "threads", thread_columns,
		sizeof(thread_columns) / sizeof(*thread_columns));
	for (size_t i = 0; i < stacks->count && !rmr_view_failed(view); i++) {
		const struct rmr_stack *stack = &stacks->stacks[i];
		rmr_view_put_uint(view, (uint64_t)stack->tid);
		if (stack->ident)
			rmr_view_put_uint(view, stack->ident);
		else
			rmr_view_put_none(view);
		rmr_view_put_text(view, stack->name);
		rmr_view_put_text(view, stack->comm);
		if (stack->interpreter >= 0)
			rmr_view_put_int(view, stack->interpreter);
		else
			rmr_view_put_none(view);
		rmr_view_put_bytes(view, &stack->state, 1);
		rmr_view_put_text(view, doing_word(stack));
		put_call(view, stack);
		rmr_view_put_both(view, "", stack->holds_gil ? "true" : "false");
		rmr_view_put_text(view, read_word(stack));
		put_json_stack(view, stack, limit);
	}
	rmr_view_end_table(view, 0);
}

static void put_csv_head(struct rmr_view *view, const struct rmr_stack *stack, const char *kind,
	size_t depth)
{
	rmr_view_put_uint(view, (uint64_t)stack->tid);
	rmr_view_put_text(view, stack->name ? stack->name : stack->comm);
	if (stack->wait == RMR_STACK_CALL)
		put_call(view, stack);
	else
		rmr_view_put_text(view, doing_word(stack));
	rmr_view_put_text(view, stack->holds_gil ? "yes" : "no");
	rmr_view_put_text(view, kind);
	rmr_view_put_uint(view, depth);
}

static void put_csv(struct rmr_view *view, const struct rmr_stacks *stacks, uint64_t limit)
{
	rmr_view_table(
		view, NULL, frame_columns, sizeof(frame_columns) / sizeof(*frame_columns));
	for (size_t i = 0; i < stacks->count && !rmr_view_failed(view); i++) {
		const struct rmr_stack *stack = &stacks->stacks[i];
		for (size_t k = 0; k < cut(stack->count, limit); k++) {
			const struct rmr_stack_frame *frame = &stack->frames[k];
			put_csv_head(view, stack, "python", k);
			rmr_view_put_text(view, frame->file);
			if (frame->line >= 0)
				rmr_view_put_int(view, frame->line);
			else
				rmr_view_put_none(view);
			rmr_view_put_text(view, function_of(frame));
			rmr_view_put_none(view);
		}
		for (size_t k = 0; k < cut(stack->native_count, limit); k++) {
			const struct rmr_stack_native *native = &stack->natives[k];
			put_csv_head(view, stack, "c", k);
			rmr_view_put_text(view, native->file);
			rmr_view_put_none(view);
			rmr_view_put_text(view, native->symbol);
			rmr_view_put_uint(view, native->offset);
		}
	}
	rmr_view_end_table(view, 0);
}

/* ---- the command ---- */

static struct rmr_error *show(struct rmr_context *context, const struct rmr_call *call,
	const struct rmr_target *target, const struct rmr_stacks *stacks)
{
	struct rmr_view *view;
	uint64_t limit;

	struct rmr_error *err = rmr_command_limit(context, call, FRAMES, &limit);
	if (!err)
		err = rmr_command_view(context, call, false, &view);
	if (err)
		return err;
	switch (rmr_view_format(view)) {
	case RMR_FORMAT_TABLE:
		err = put_text(view, target, stacks, limit);
		break;
	case RMR_FORMAT_JSON:
		put_json(view, target, stacks, limit);
		break;
	case RMR_FORMAT_CSV:
		put_csv(view, stacks, limit);
		break;
	}
	return rmr_view_finish(view, err);
}

struct rmr_error *rmr_command_stacks(struct rmr_context *context, const struct rmr_call *call)
{
	const char *thread = rmr_args_value(&call->args, "thread");
	struct rmr_stacks_request request = {.native = rmr_args_count(&call->args, "native") > 0};
	struct rmr_target *target;
	struct rmr_stacks *stacks;
	uint64_t limit;

	/* What is wrong with the options is told before the process is looked at. */
	struct rmr_error *err = rmr_command_limit(context, call, FRAMES, &limit);
	if (!err && thread && rmr_args_is_digits(thread))
		err = rmr_command_pid(thread, &request.tid);
	else
		request.name = thread;
	const struct rmr_patience patience = {
		.ms = rmr_command_timeouts(context).attach_ms, .cancel_fd = rmr_interrupt_fd()};
	if (!err)
		err = rmr_target_open_to_read(call->pid, &patience, &target);
	if (err)
		return err;
	err = rmr_stacks_read(target, &request, &stacks);
	if (!err) {
		if (!stacks->all_known)
			rmr_command_warn("the list of Python's threads changed whenever it was read: "
					 "some may be missing");
		err = show(context, call, target, stacks);
		rmr_stacks_destroy(stacks);
	}
	rmr_target_close(target);
	if (err && err->code == RMR_E_TRACED && context->session)
		return rmr_error_hint(err, "`detach` first: this shell's `py` is attached to it");
	return err;
}
