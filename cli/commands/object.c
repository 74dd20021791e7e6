// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/commands/object.h"

#include "attach/cleanup.h"
#include "cli/heap/positions.h"
#include "cli/view/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	VALUE_WIDTH = 80,    // characters of a value in a table
	VALUE_COLUMNS = 100, // columns that they take, escaped
	NAME_COLUMNS = 60,
	HOLDERS_ASKED = 10000,
};

static const struct rmr_column reference_columns[] = {
	{"name", NULL, RMR_KIND_TEXT},
	RMR_OBJECT_COLUMNS,
	{"kind", NULL, RMR_KIND_TEXT},
	RMR_OBJECT_VALUE_COLUMN,
};

enum {
	REFERENCE_COLUMNS = sizeof(reference_columns) / sizeof(*reference_columns),
};

void rmr_object_put_known(struct rmr_view *view, uint64_t value)
{
	if (value == RMR_HEAP_UNKNOWN)
		rmr_view_put_none(view);
	else
		rmr_view_put_uint(view, value);
}

/** Puts a text, for people cut to @p width columns; NULL puts nothing. */
static void put_short(struct rmr_view *view, const char *text, size_t width)
{
	struct rmr_line line = {0};

	if (!text || rmr_view_format(view) != RMR_FORMAT_TABLE) {
		rmr_view_put_text(view, text);
		return;
	}
	rmr_line_add_safe(&line, text, strlen(text));
	rmr_line_shorten(&line, 0, width);
	rmr_view_put_text(view, rmr_line_get(&line));
	rmr_line_deinit(&line);
}

/**
 * What rmr_heap_describe() says of @p id; where escapes make it wide, of a shorter piece of the value,
 * so that it is not cut twice.
 */
static char *describe(const struct rmr_heap *heap, uint32_t id)
{
	char *text = rmr_heap_describe(heap, id, VALUE_WIDTH);
	size_t width = text ? rmr_line_width(text, strlen(text)) : 0;

	if (width <= VALUE_COLUMNS)
		return text;
	char *shorter = rmr_heap_describe(heap, id, VALUE_WIDTH * VALUE_COLUMNS / (width + 8));
	if (!shorter)
		return text;
	free(text);
	return shorter;
}

void rmr_object_put_value(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id)
{
	if (rmr_heap_is_absent(heap, id)) {
		rmr_view_put_none(view);
		return;
	}
	if (rmr_view_format(view) != RMR_FORMAT_JSON) {
		_rmr_free_ char *text = describe(heap, id);
		put_short(view, text, VALUE_COLUMNS);
		return;
	}
	struct rmr_record record = {0};
	if (rmr_heap_flags(heap, id) & (RMR_FLAG_VALUE | RMR_FLAG_NAME))
		rmr_heap_record(heap, id, &record);
	struct rmr_slice slice = record.value.start ? record.value : record.name;
	struct rmr_line json = {0};
	rmr_line_add_raw_json(&json, slice.start, slice.start ? slice.size : 0);
	if (json.length)
		rmr_view_put_both(view, "", rmr_line_get(&json));
	else
		rmr_view_put_none(view);
	rmr_line_deinit(&json);
}

/** The name by which @p from refers to @p id; NULL if it has none. */
static char *name_in(const struct rmr_heap *heap, uint32_t from, uint32_t id)
{
	struct rmr_names *names;
	char *name = NULL;

	struct rmr_error *err = rmr_names_create(heap, from, &names);
	if (err) {
		rmr_error_destroy(err); // the place is an extra
		return NULL;
	}
	uint64_t at = rmr_positions_find(heap, from, id, 0);
	while (at != UINT64_MAX && !(name = rmr_names_text(names, at)))
		at = rmr_positions_find(heap, from, id, at + 1);
	rmr_names_destroy(names);
	return name;
}

/** The one object that refers to @p id, or the one that says most: a module. RMR_NO_OBJECT if there
 *  are several equal ones. */
static uint32_t find_holder(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_ids referrers = rmr_heap_referrers(heap, id);

	if (referrers.count && referrers.ids[0] == referrers.ids[referrers.count - 1])
		return referrers.ids[0];
	for (uint64_t i = 0; i < referrers.count && i < HOLDERS_ASKED; i++) {
		if (strcmp(rmr_heap_type_label(heap, referrers.ids[i]), "module") == 0)
			return referrers.ids[i];
	}
	return RMR_NO_OBJECT;
}

/** "sys.modules", if the interpreter holds @p id under that name; else NULL. */
static const char *find_label(const struct rmr_heap *heap, uint32_t id)
{
	for (uint32_t r = 0; rmr_heap_is_rooted(heap, id) && r < rmr_heap_root_count(heap); r++) {
		const struct rmr_root *root = rmr_heap_root(heap, r);
		if (root->kind == RMR_ROOT_INTERPRETER && root->refs.count &&
			root->refs.ids[0] == id)
			return root->label;
	}
	return NULL;
}

void rmr_object_put_place(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id)
{
	_rmr_free_ char *value = rmr_heap_describe(heap, id, VALUE_WIDTH);
	uint32_t from = find_holder(heap, id);

	if (value || rmr_view_format(view) != RMR_FORMAT_TABLE) {
		rmr_object_put_value(view, heap, id);
		return;
	}
	const char *label = find_label(heap, id);
	if (label || from == RMR_NO_OBJECT) {
		rmr_view_put_text(view, label);
		return;
	}
	_rmr_free_ char *holder = rmr_heap_describe(heap, from, VALUE_WIDTH);
	_rmr_free_ char *name = name_in(heap, from, id);
	struct rmr_line line = {0};
	rmr_line_addf(&line, "in %s%s", holder ? holder : rmr_heap_type_label(heap, from),
		name ? name : "");
	put_short(view, rmr_line_get(&line), VALUE_COLUMNS);
	rmr_line_deinit(&line);
}

void rmr_object_put(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id)
{
	rmr_view_put_uint(view, rmr_heap_address(heap, id));
	rmr_view_put_text(view, rmr_heap_type_label(heap, id));
	if (rmr_heap_is_absent(heap, id)) {
		rmr_view_put_none(view);
		rmr_view_put_none(view);
		return;
	}
	rmr_view_put_uint(view, rmr_heap_size(heap, id));
	rmr_object_put_known(view, rmr_heap_len(heap, id));
}

void rmr_object_put_other(struct rmr_view *view, const char *type)
{
	rmr_view_put_none(view);
	rmr_view_put_text(view, type);
	rmr_view_put_none(view);
	rmr_view_put_none(view);
}

void rmr_object_add_line(struct rmr_line *text, const struct rmr_heap *heap, uint32_t id)
{
	const char *type = rmr_heap_type_label(heap, id);
	_rmr_free_ char *value = describe(heap, id);

	rmr_line_addf(text, "0x%" PRIx64 " ", rmr_heap_address(heap, id));
	rmr_line_add_safe(text, type, strlen(type));
	if (rmr_heap_is_absent(heap, id))
		return;
	rmr_line_add(text, " ", 1);
	if (value) {
		size_t start = text->length;
		rmr_line_add_safe(text, value, strlen(value));
		rmr_line_shorten(text, start, VALUE_COLUMNS);
		rmr_line_add(text, " ", 1);
	}
	rmr_number_add_bytes(text, rmr_heap_size(heap, id));
}

static void put_kind(struct rmr_view *view, enum rmr_reference_kind kind)
{
	static const char *const words[] = {
		[RMR_REFERENCE_REF] = "ref",
		[RMR_REFERENCE_HIDDEN] = "hidden",
		[RMR_REFERENCE_KEY] = "key",
	};

	// People need the word only where it says something.
	if (kind == RMR_REFERENCE_REF && rmr_view_format(view) == RMR_FORMAT_TABLE)
		rmr_view_put_none(view);
	else
		rmr_view_put_text(view, words[kind]);
}

static void put_reference(struct rmr_view *view, const struct rmr_heap *heap,
	const struct rmr_names *names, uint64_t index, uint32_t other)
{
	_rmr_free_ char *name = rmr_names_text(names, index);

	put_short(view, name, NAME_COLUMNS);
	rmr_object_put(view, heap, other);
	put_kind(view, rmr_names_kind(names, index));
	rmr_object_put_value(view, heap, other);
}

/** True for a list or tuple whose last item was visited first, which people do not expect. */
static bool is_backwards(const struct rmr_names *names, uint64_t count)
{
	char last[32];

	if (count < 2)
		return false;
	_rmr_free_ char *first = rmr_names_text(names, 0);
	snprintf(last, sizeof(last), "[%" PRIu64 "]", count - 1);
	return first && strcmp(first, last) == 0;
}

struct rmr_error *rmr_object_put_children(struct rmr_view *view, const struct rmr_heap *heap,
	uint32_t id, const char *key, uint64_t limit)
{
	struct rmr_ids children = rmr_heap_children(heap, id);
	uint64_t shown = limit && limit < children.count ? limit : children.count;
	struct rmr_names *names;

	struct rmr_error *err = rmr_names_create(heap, id, &names);
	if (err)
		return err;
	bool backwards =
		rmr_view_format(view) == RMR_FORMAT_TABLE && is_backwards(names, children.count);
	rmr_view_table(view, key, reference_columns, REFERENCE_COLUMNS);
	for (uint64_t i = 0; i < shown && !rmr_view_failed(view); i++) {
		uint64_t index = backwards ? children.count - 1 - i : i;
		put_reference(view, heap, names, index, children.ids[index]);
	}
	rmr_view_end_table(view, children.count - shown);
	rmr_names_destroy(names);
	return NULL;
}

/** Puts the roots that refer to @p id; returns how many references that are. */
static uint64_t put_roots(
	struct rmr_view *view, const struct rmr_heap *heap, uint32_t id, uint64_t limit)
{
	uint64_t total = rmr_heap_root_references(heap, id), shown = 0;

	for (uint32_t r = 0; total && r < rmr_heap_root_count(heap); r++) {
		const struct rmr_root *root = rmr_heap_root(heap, r);
		for (uint64_t i = 0; i < root->refs.count; i++) {
			if (root->refs.ids[i] != id || (limit && shown == limit))
				continue;
			_rmr_free_ char *name = rmr_heap_root_name(heap, r, i);
			rmr_view_put_text(view, name);
			rmr_object_put_other(view, "<root>");
			rmr_view_put_text(view, root->kind_text);
			rmr_view_put_text(view, root->label);
			shown++;
		}
	}
	return shown;
}

/** Puts all references from @p from to @p id, at most @p room (0 = all); adds them to *shown. */
static struct rmr_error *put_referrer(struct rmr_view *view, const struct rmr_heap *heap,
	uint32_t from, uint32_t id, uint64_t limit, uint64_t *shown)
{
	struct rmr_names *names;

	struct rmr_error *err = rmr_names_create(heap, from, &names);
	if (err)
		return err;
	uint64_t at = rmr_positions_find(heap, from, id, 0);
	while (at != UINT64_MAX && (!limit || *shown < limit)) {
		put_reference(view, heap, names, at, from);
		++*shown;
		at = rmr_positions_find(heap, from, id, at + 1);
	}
	rmr_names_destroy(names);
	return NULL;
}

struct rmr_error *rmr_object_put_referrers(struct rmr_view *view, const struct rmr_heap *heap,
	uint32_t id, const char *key, uint64_t limit)
{
	struct rmr_ids referrers = rmr_heap_referrers(heap, id);
	uint64_t total = referrers.count + rmr_heap_root_references(heap, id);
	struct rmr_error *err = NULL;

	rmr_view_table(view, key, reference_columns, REFERENCE_COLUMNS);
	uint64_t shown = put_roots(view, heap, id, limit);
	for (uint64_t i = 0; !err && i < referrers.count && (!limit || shown < limit); i++) {
		if (rmr_view_failed(view))
			break;
		if (i == 0 || referrers.ids[i] != referrers.ids[i - 1])
			err = put_referrer(view, heap, referrers.ids[i], id, limit, &shown);
	}
	rmr_view_end_table(view, total > shown ? total - shown : 0);
	return err;
}
