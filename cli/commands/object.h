// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Objects in tables: the same columns wherever a command lists objects. */
#ifndef RMR_CLI_COMMANDS_OBJECT_H
#define RMR_CLI_COMMANDS_OBJECT_H

#include "cli/commands/snapshot.h"

/** Columns that rmr_object_put() fills: to be part of a command's own column list. */
#define RMR_OBJECT_COLUMNS                                                                         \
	{"address", NULL, RMR_KIND_ADDRESS}, {"type", NULL, RMR_KIND_TEXT},                        \
		{"size", NULL, RMR_KIND_BYTES},                                                    \
	{                                                                                          \
		"len", NULL, RMR_KIND_COUNT                                                        \
	}
/** The column of rmr_object_put_value(): the last one, as values are long. */
#define RMR_OBJECT_VALUE_COLUMN                                                                    \
	{                                                                                          \
		"value", NULL, RMR_KIND_TEXT                                                       \
	}

/** Puts address, type, size and len of @p id, absent ones too. */
void rmr_object_put(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id);

/** Puts the cells of rmr_object_put() for something that is no object: only a type. */
void rmr_object_put_other(struct rmr_view *view, const char *type);

/** Puts the value: in text what a person calls the object, in JSON its value or name. */
void rmr_object_put_value(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id);

/** The same, but where text has nothing to call the object by, people see where it is, if just one
 *  object, or one module, refers to it: "in <module app>.__dict__". */
void rmr_object_put_place(struct rmr_view *view, const struct rmr_heap *heap, uint32_t id);

/** Puts a number that may be RMR_HEAP_UNKNOWN. */
void rmr_object_put_known(struct rmr_view *view, uint64_t value);

/** "0x7f.. app.Node 'x' 48 B", safe. */
void rmr_object_add_line(struct rmr_line *text, const struct rmr_heap *heap, uint32_t id);

/**
 * Puts the references of @p id as a table named @p key, at most @p limit rows (0 = all): name,
 * then the object's columns.
 */
struct rmr_error *rmr_object_put_children(struct rmr_view *view, const struct rmr_heap *heap,
	uint32_t id, const char *key, uint64_t limit) RMR_MUST_CHECK;
/** The same of what refers to it; roots come first. */
struct rmr_error *rmr_object_put_referrers(struct rmr_view *view, const struct rmr_heap *heap,
	uint32_t id, const char *key, uint64_t limit) RMR_MUST_CHECK;

#endif
