// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/object.h"
#include "cli/heap/buffers.h"
#include "cli/heap/paths.h"
#include "cli/heap/traces.h"

#include <stdlib.h>
#include <string.h>

enum {
	ROWS = 10, // of its children and of its referrers
	SHORT_VALUE = 200,
	WHOLE_VALUE = 1 << 30,
};

static void put_number(struct rmr_view *view, const char *key, enum rmr_kind kind, uint64_t value)
{
	rmr_view_field(view, key, NULL, kind);
	rmr_object_put_known(view, value);
}

/** Puts the text in a raw JSON string, decoded for people. */
static void put_slice(struct rmr_view *view, const char *key, struct rmr_slice slice)
{
	struct rmr_line json = {0}, shown = {0};

	rmr_view_field(view, key, NULL, RMR_KIND_TEXT);
	if (!slice.start) {
		rmr_view_put_none(view);
		return;
	}
	rmr_line_add_raw_json(&json, slice.start, slice.size);
	bool quoted = slice.size >= 2 && slice.start[0] == '"';
	rmr_line_add_raw_json(&shown, slice.start + quoted, slice.size - 2 * (size_t)quoted);
	rmr_view_put_both(view, rmr_line_get(&shown), rmr_line_get(&json));
	rmr_line_deinit(&json);
	rmr_line_deinit(&shown);
}

static void put_flags(struct rmr_view *view, unsigned flags)
{
	struct rmr_line shown = {0}, json = {0};

	for (unsigned bit = 0; bit < 32; bit++) {
		const char *name = flags & 1u << bit ? rmr_heap_flag_name(1u << bit) : NULL;
		if (!name)
			continue;
		rmr_line_addf(&shown, "%s%s", shown.length ? ", " : "", name);
		rmr_line_addf(&json, "%s\"%s\"", json.length ? ", " : "[", name);
	}
	if (json.length) {
		rmr_line_addf(&json, "]");
		rmr_view_field(view, "flags", NULL, RMR_KIND_TEXT);
		rmr_view_put_both(view, rmr_line_get(&shown), rmr_line_get(&json));
	}
	rmr_line_deinit(&shown);
	rmr_line_deinit(&json);
}

static void put_value(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id, bool full)
{
	rmr_view_field(view, "value", NULL, RMR_KIND_TEXT);
	if (rmr_view_format(view) == RMR_FORMAT_JSON) {
		rmr_object_put_value(view, heap, id);
		return;
	}
	_rmr_free_ char *text = rmr_heap_describe(heap, id, full ? WHOLE_VALUE : SHORT_VALUE);
	rmr_view_put_text(view, text);
}

/** The bytes that it shows, and whose they are. */
static void put_buffer(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_buffer buffer;
	struct rmr_line line = {0};

	// A bytes object is its own buffer: there is nothing to tell.
	if (!(rmr_heap_flags(heap, id) & RMR_FLAG_BUFFER) || !rmr_buffers_get(heap, id, &buffer))
		return;
	put_number(view, "buffer", RMR_KIND_BYTES, buffer.bytes);
	put_number(view, "data", RMR_KIND_ADDRESS, buffer.data);
	rmr_view_field(view, "owner", NULL, RMR_KIND_ADDRESS);
	if (rmr_view_format(view) != RMR_FORMAT_TABLE && buffer.owner == RMR_NO_OBJECT) {
		rmr_view_put_none(view);
	} else if (rmr_view_format(view) != RMR_FORMAT_TABLE) {
		rmr_view_put_uint(view, rmr_heap_address(heap, buffer.owner));
	} else {
		if (buffer.owner == RMR_NO_OBJECT)
			rmr_line_addf(&line, "not known: memory that no object of the dump owns");
		else if (buffer.owner == id)
			rmr_line_addf(&line, "itself");
		else
			rmr_line_addf(&line, "%s at 0x%llx",
				rmr_heap_type_label(heap, buffer.owner),
				(unsigned long long)rmr_heap_address(heap, buffer.owner));
		rmr_view_put_text(view, rmr_line_get(&line));
	}
	rmr_line_deinit(&line);
}

/** Where it was allocated: the frames, the innermost first, one a line for people. */
static void put_trace(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id)
{
	_rmr_free_ struct rmr_trace_frame *frames = NULL;
	struct rmr_line shown = {0}, json = {0};
	size_t count;

	if (!rmr_traces_frames(heap, rmr_traces_of(heap, id), &frames, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		_rmr_free_ char *text = rmr_traces_frame_text(&frames[i]);
		rmr_line_addf(&shown, "%s", i ? " < " : "");
		rmr_line_add_safe(&shown, text ? text : "", text ? strlen(text) : 0);
		rmr_line_addf(&json, "%s[", i ? "," : "[");
		rmr_line_add_raw_json(&json, frames[i].file.start, frames[i].file.size);
		rmr_line_addf(&json, ",%llu]", (unsigned long long)frames[i].line);
	}
	rmr_line_addf(&json, "]");
	rmr_view_field(view, "allocated", NULL, RMR_KIND_TEXT);
	rmr_view_put_both(view, rmr_line_get(&shown), rmr_line_get(&json));
	rmr_line_deinit(&shown);
	rmr_line_deinit(&json);
}

static void put_record(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id, bool full)
{
	struct rmr_record record;

	rmr_heap_record(heap, id, &record);
	put_number(view, "address", RMR_KIND_ADDRESS, record.address);
	rmr_view_field(view, "type", NULL, RMR_KIND_TEXT);
	rmr_view_put_text(view, rmr_heap_type_label(heap, id));
	if (rmr_heap_is_absent(heap, id)) {
		rmr_view_note(view, "The dump refers to this address and has no record of it.");
		return;
	}
	put_number(view, "class", RMR_KIND_ADDRESS, record.class_address);
	put_slice(view, "name", record.name);
	put_slice(view, "module", record.module);
	put_value(view, heap, id, full);
	put_slice(view, "file", record.file);
	put_number(view, "line", RMR_KIND_ID, record.line);
	put_number(view, "size", RMR_KIND_BYTES, record.size);
	if (record.owned) {
		rmr_view_field(view, "owned", NULL, RMR_KIND_BYTES);
		rmr_view_put_int(view, record.owned);
	}
	put_buffer(view, heap, id);
	put_number(view, "len", RMR_KIND_COUNT, record.len);
	put_number(view, "rc", RMR_KIND_COUNT, record.rc);
	if (rmr_heap_is_held_by_c(heap, id))
		put_number(view, "held by C", RMR_KIND_COUNT,
			record.rc - rmr_heap_counted_references(heap, id));
	put_number(view, "weak", RMR_KIND_ADDRESS, record.weak);
	put_flags(view, record.flags);
	put_trace(view, heap, id);
}

/** What dominates it, what would be freed with it, and how it is reached. */
static struct rmr_error *put_holders(
	struct rmr_view *view, const struct rmr_call *call, uint32_t id)
{
	const struct rmr_heap *heap = call->snapshot->heap;
	struct rmr_dominators *dominators;
	struct rmr_paths *paths;

	struct rmr_error *err = rmr_snapshot_dominators(call->snapshot, &dominators);
	if (err)
		return err;
	err = rmr_paths_find(heap, id, NULL, &paths);
	if (err)
		return err;
	uint32_t parent = rmr_dominators_parent(dominators, id);
	put_number(view, "retained", RMR_KIND_BYTES, rmr_dominators_retained(dominators, id));
	if (parent < rmr_heap_id_end(heap))
		put_number(view, "dominator", RMR_KIND_ADDRESS, rmr_heap_address(heap, parent));
	rmr_view_field(view, "path", NULL, RMR_KIND_TEXT);
	rmr_view_put_text(view, paths->paths[0].expression);
	rmr_paths_destroy(paths);
	return NULL;
}

static struct rmr_error *put_neighbours(
	struct rmr_view *view, const struct rmr_heap *heap, uint32_t id, uint64_t limit)
{
	uint64_t children = rmr_heap_children(heap, id).count;
	uint64_t referrers =
		rmr_heap_referrers(heap, id).count + rmr_heap_root_references(heap, id);
	bool json = rmr_view_format(view) == RMR_FORMAT_JSON;
	struct rmr_error *err = NULL;

	if (children || json) {
		rmr_view_note(view, "\nrefers to:");
		err = rmr_object_put_children(view, heap, id, "children", limit);
	}
	if (!err && (referrers || json)) {
		rmr_view_note(view, "\nreferred to by:");
		err = rmr_object_put_referrers(view, heap, id, "referrers", limit);
	}
	return err;
}

static struct rmr_error *print_raw(
	struct rmr_context *context, const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_record record;
	struct rmr_line line = {0};

	rmr_heap_record(heap, id, &record);
	if (!record.text.start)
		return rmr_error_create(RMR_E_QUERY, 0, "the dump has no record of this object");
	rmr_line_add_raw_json(&line, record.text.start, record.text.size);
	fprintf(context->out, "%s\n", rmr_line_get(&line));
	rmr_line_deinit(&line);
	return NULL;
}

struct rmr_error *rmr_command_show(struct rmr_context *context, const struct rmr_call *call)
{
	const struct rmr_heap *heap = call->snapshot->heap;
	struct rmr_view *view;
	uint64_t limit;
	uint32_t id;

	struct rmr_error *err = rmr_command_limit(context, call, ROWS, &limit);
	if (!err)
		err = rmr_snapshot_object(context, call->snapshot, call->args.operands[0], &id);
	if (!err && rmr_args_count(&call->args, "raw"))
		return print_raw(context, heap, id);
	if (!err)
		err = rmr_command_view(context, call, false, &view);
	if (err)
		return err;
	put_record(view, heap, id, rmr_args_count(&call->args, "full"));
	if (!rmr_heap_is_absent(heap, id))
		err = put_holders(view, call, id);
	if (!err)
		err = put_neighbours(view, heap, id, limit);
	return rmr_view_finish(view, err);
}
