// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/sql_internal.h"

#include "cli/heap/buffers.h"
#include "cli/heap/dominators.h"
#include "cli/heap/json.h"
#include "cli/heap/text.h"
#include "cli/heap/traces.h"

#include <stdlib.h>
#include <string.h>

enum kind { OBJECTS, REFS, TYPES, ROOTS, FRAMES };

/* How a table is walked: xBestIndex chooses, xFilter obeys. */
enum plan {
	PLAN_ALL,
	PLAN_ROWID,   /* objects: one id */
	PLAN_ADDRESS, /* objects: address */
	PLAN_TYPE,    /* objects: plain name of the type */
	PLAN_MATCHES, /* objects: plain name or label */
	PLAN_SRC,     /* refs */
	PLAN_DST,
};

struct table {
	sqlite3_vtab base;
	struct rmr_sql_context *context;
	enum kind kind;
};

struct cursor {
	sqlite3_vtab_cursor base;
	enum plan plan;
	uint64_t at, end;     /* ids, types, roots; with PLAN_DST: positions among the referrers */
	uint64_t child;       /* refs, roots: which reference of the row's object */
	uint32_t target;      /* PLAN_DST */
	bool *types;          /* PLAN_TYPE, PLAN_MATCHES: which of them */
	struct rmr_names *names; /* of the object names_of */
	uint32_t names_of;
};

enum objects_column {
	OBJECTS_ADDRESS,
	OBJECTS_TYPE,
	OBJECTS_MODULE,
	OBJECTS_SIZE,
	OBJECTS_OWNED,
	OBJECTS_RC,
	OBJECTS_LEN,
	OBJECTS_NAME,
	OBJECTS_VALUE,
	OBJECTS_REFERRERS,
	OBJECTS_CHILDREN,
	OBJECTS_RETAINED,
	OBJECTS_DOMINATOR,
	OBJECTS_REACH,
	OBJECTS_FLAGS,
	OBJECTS_ALLOCATED,
	OBJECTS_BUFFER,
	OBJECTS_OWNER,
	OBJECTS_MATCHES,
};

static const char *const schemas[] = {
	[OBJECTS] = "CREATE TABLE objects(address INTEGER, type TEXT, module TEXT, size INTEGER, "
		    "owned INTEGER, rc INTEGER, len INTEGER, name TEXT, value, referrers INTEGER, "
		    "children INTEGER, retained INTEGER, dominator INTEGER, reach TEXT, flags TEXT, "
		    "allocated TEXT, buffer INTEGER, owner INTEGER, "
		    "matches HIDDEN)",
	[REFS] = "CREATE TABLE refs(src INTEGER, dst INTEGER, name TEXT, kind TEXT)",
	[TYPES] = "CREATE TABLE types(name TEXT, module TEXT, label TEXT, class INTEGER, "
		  "count INTEGER, bytes INTEGER, owned INTEGER, largest INTEGER)",
	[ROOTS] = "CREATE TABLE roots(kind TEXT, label TEXT, name TEXT, address INTEGER)",
	[FRAMES] = "CREATE TABLE frames(thread INTEGER, depth INTEGER, function TEXT, file TEXT, "
		   "line INTEGER, label TEXT)",
};

static int connect_table(sqlite3 *db, struct rmr_sql_context *context, enum kind kind,
	sqlite3_vtab **ret)
{
	int status = sqlite3_declare_vtab(db, schemas[kind]);
	struct table *table = status ? NULL : sqlite3_malloc(sizeof(*table));

	if (!table)
		return status ? status : SQLITE_NOMEM;
	*table = (struct table){.context = context, .kind = kind};
	*ret = &table->base;
	return SQLITE_OK;
}

#define CONNECT(name, kind)                                                                        \
	static int name(sqlite3 *db, void *context, int argc, const char *const *argv,             \
		sqlite3_vtab **ret, char **error)                                                  \
	{                                                                                          \
		(void)argc;                                                                        \
		(void)argv;                                                                        \
		(void)error;                                                                       \
		return connect_table(db, context, kind, ret);                                      \
	}
CONNECT(connect_objects, OBJECTS)
CONNECT(connect_refs, REFS)
CONNECT(connect_types, TYPES)
CONNECT(connect_roots, ROOTS)
CONNECT(connect_frames, FRAMES)

static int table_disconnect(sqlite3_vtab *base)
{
	sqlite3_free(base);
	return SQLITE_OK;
}

/* The plan that an equality on a column allows, or PLAN_ALL. */
static enum plan plan_of(enum kind kind, int column)
{
	if (kind == OBJECTS) {
		switch (column) {
		case -1:
			return PLAN_ROWID;
		case OBJECTS_ADDRESS:
			return PLAN_ADDRESS;
		case OBJECTS_TYPE:
			return PLAN_TYPE;
		case OBJECTS_MATCHES:
			return PLAN_MATCHES;
		default:
			return PLAN_ALL;
		}
	}
	if (kind == REFS && column >= 0 && column <= 1)
		return column ? PLAN_DST : PLAN_SRC;
	return PLAN_ALL;
}

static double cost_of(const struct table *table, enum plan plan, double *rows_ret)
{
	const struct rmr_counts *counts = &table->context->heap->counts;
	double all[] = {[OBJECTS] = (double)counts->objects, [REFS] = (double)counts->references,
		[TYPES] = (double)counts->types, [ROOTS] = (double)counts->root_references,
		[FRAMES] = (double)counts->roots};

	*rows_ret = all[table->kind];
	switch (plan) {
	case PLAN_ALL:
		return all[table->kind] * 10;
	case PLAN_ROWID:
	case PLAN_ADDRESS:
		*rows_ret = 1;
		return 1;
	case PLAN_TYPE:
	case PLAN_MATCHES:
		*rows_ret /= 10;
		return all[table->kind];
	case PLAN_SRC:
	case PLAN_DST:
		*rows_ret = 4;
		return 8;
	}
	return 0;
}

/* What EXPLAIN QUERY PLAN shows. */
static const char *plan_text(enum plan plan)
{
	switch (plan) {
	case PLAN_ALL:
		break;
	case PLAN_ROWID:
		return "rowid=?";
	case PLAN_ADDRESS:
		return "address=?";
	case PLAN_TYPE:
		return "type=?";
	case PLAN_MATCHES:
		return "matches=?";
	case PLAN_SRC:
		return "src=?";
	case PLAN_DST:
		return "dst=?";
	}
	return "all";
}

static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
	const struct table *table = (const struct table *)base;
	enum plan best = PLAN_ALL;
	double rows, best_rows, best_cost = cost_of(table, PLAN_ALL, &best_rows);
	int chosen = -1;

	for (int i = 0; i < info->nConstraint; i++) {
		const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
		enum plan plan = plan_of(table->kind, constraint->iColumn);
		if (constraint->op != SQLITE_INDEX_CONSTRAINT_EQ || plan == PLAN_ALL)
			continue;
		/* `matches` has a value only as a constraint. */
		if (!constraint->usable && plan == PLAN_MATCHES)
			return SQLITE_CONSTRAINT;
		if (!constraint->usable)
			continue;
		double cost = cost_of(table, plan, &rows);
		if (plan == PLAN_MATCHES)
			cost = -1;
		if (chosen < 0 || cost < best_cost) {
			best = plan;
			best_cost = cost;
			best_rows = rows;
			chosen = i;
		}
	}
	info->idxNum = best;
	info->idxStr = (char *)(uintptr_t)plan_text(best);
	info->estimatedCost = best == PLAN_MATCHES ? cost_of(table, best, &rows) : best_cost;
	info->estimatedRows = (sqlite3_int64)best_rows;
	if (chosen >= 0) {
		info->aConstraintUsage[chosen].argvIndex = 1;
		info->aConstraintUsage[chosen].omit = best == PLAN_MATCHES;
	}
	if (best == PLAN_ROWID || best == PLAN_ADDRESS)
		info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
	return SQLITE_OK;
}

static int table_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
	struct cursor *cursor = sqlite3_malloc(sizeof(*cursor));

	(void)base;
	if (!cursor)
		return SQLITE_NOMEM;
	memset(cursor, 0, sizeof(*cursor));
	*ret = &cursor->base;
	return SQLITE_OK;
}

static void cursor_reset(struct cursor *cursor)
{
	sqlite3_vtab_cursor base = cursor->base;

	free(cursor->types);
	rmr_names_destroy(cursor->names);
	memset(cursor, 0, sizeof(*cursor));
	cursor->base = base;
}

static int table_close(sqlite3_vtab_cursor *base)
{
	cursor_reset((struct cursor *)base);
	sqlite3_free(base);
	return SQLITE_OK;
}

static const struct table *table_of(const struct cursor *cursor)
{
	return (const struct table *)cursor->base.pVtab;
}

static const struct rmr_heap *heap_of(const struct cursor *cursor)
{
	return table_of(cursor)->context->heap;
}

/* Goes on from the place where the cursor is to the first that is a row. */
static void settle(struct cursor *cursor)
{
	const struct rmr_heap *heap = heap_of(cursor);

	switch (table_of(cursor)->kind) {
	case OBJECTS:
		while (cursor->types && cursor->at < cursor->end &&
			!cursor->types[heap->type[cursor->at]])
			cursor->at++;
		break;
	case REFS:
		if (cursor->plan != PLAN_DST) {
			while (cursor->at < cursor->end &&
				cursor->child >= rmr_heap_children(heap, (uint32_t)cursor->at).count) {
				cursor->at++;
				cursor->child = 0;
			}
			break;
		}
		for (; cursor->at < cursor->end; cursor->at++, cursor->child = 0) {
			struct rmr_ids sources = rmr_heap_referrers(heap, cursor->target);
			/* Each source once: all its references to the target are found below. */
			if (!cursor->child && cursor->at &&
				sources.ids[cursor->at] == sources.ids[cursor->at - 1])
				continue;
			struct rmr_ids ids = rmr_heap_children(heap, sources.ids[cursor->at]);
			while (cursor->child < ids.count && ids.ids[cursor->child] != cursor->target)
				cursor->child++;
			if (cursor->child < ids.count)
				break;
		}
		break;
	case ROOTS:
		while (cursor->at < cursor->end &&
			cursor->child >= heap->roots[cursor->at].refs.count) {
			cursor->at++;
			cursor->child = 0;
		}
		break;
	case FRAMES:
		while (cursor->at < cursor->end &&
			heap->roots[cursor->at].kind != RMR_ROOT_FRAME)
			cursor->at++;
		break;
	case TYPES:
		break;
	}
}

static bool choose_types(struct cursor *cursor, const char *name)
{
	const struct rmr_heap *heap = heap_of(cursor);

	cursor->types = calloc(heap->counts.types + 1, sizeof(*cursor->types));
	if (!cursor->types)
		return false;
	for (size_t i = 0; name && i < heap->counts.types; i++)
		cursor->types[i] = !strcmp(heap->types[i].name, name) ||
			(cursor->plan == PLAN_MATCHES && !strcmp(heap->types[i].label, name));
	return true;
}

static void one(struct cursor *cursor, uint64_t id, uint64_t bound)
{
	cursor->at = id;
	cursor->end = id < bound ? id + 1 : id;
}

static int table_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc,
	sqlite3_value **argv)
{
	struct cursor *cursor = (struct cursor *)base;
	const struct rmr_heap *heap = heap_of(cursor);
	uint64_t ends[] = {[OBJECTS] = heap->counts.objects, [REFS] = heap->counts.objects,
		[TYPES] = heap->counts.types, [ROOTS] = heap->counts.roots,
		[FRAMES] = heap->counts.roots};
	uint64_t number = argc ? (uint64_t)sqlite3_value_int64(argv[0]) : 0;

	(void)text;
	cursor_reset(cursor);
	cursor->plan = (enum plan)plan;
	cursor->end = ends[table_of(cursor)->kind];
	switch (cursor->plan) {
	case PLAN_ALL:
		break;
	case PLAN_ROWID:
		one(cursor, number, heap->counts.objects);
		break;
	case PLAN_ADDRESS:
	case PLAN_SRC:
		one(cursor, rmr_heap_find(heap, number), heap->counts.objects);
		break;
	case PLAN_TYPE:
	case PLAN_MATCHES:
		if (!choose_types(cursor, (const char *)sqlite3_value_text(argv[0])))
			return SQLITE_NOMEM;
		break;
	case PLAN_DST:
		cursor->target = rmr_heap_find(heap, number);
		cursor->end = rmr_heap_referrers(heap, cursor->target).count;
		break;
	}
	settle(cursor);
	return SQLITE_OK;
}

static int table_next(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)base;
	enum kind kind = table_of(cursor)->kind;

	if (kind == REFS || kind == ROOTS)
		cursor->child++;
	else
		cursor->at++;
	settle(cursor);
	return SQLITE_OK;
}

static int table_eof(sqlite3_vtab_cursor *base)
{
	const struct cursor *cursor = (const struct cursor *)base;

	return cursor->at >= cursor->end;
}

static void put_number(sqlite3_context *result, uint64_t number)
{
	if (number == RMR_HEAP_UNKNOWN)
		sqlite3_result_null(result);
	else
		sqlite3_result_int64(result, (sqlite3_int64)number);
}

static void put_text(sqlite3_context *result, const char *text)
{
	if (text)
		sqlite3_result_text(result, text, -1, SQLITE_TRANSIENT);
	else
		sqlite3_result_null(result);
}

static void put_taken(sqlite3_context *result, char *text)
{
	if (text)
		sqlite3_result_text(result, text, -1, free);
	else
		sqlite3_result_null(result);
}

/* Strings as text, integers that fit as integers, other numbers as such, the rest as JSON. */
static void put_value(sqlite3_context *result, const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_record record;

	if (!(rmr_heap_flags(heap, id) & RMR_FLAG_VALUE)) {
		sqlite3_result_null(result);
		return;
	}
	rmr_heap_record(heap, id, &record);
	if (!record.value.start || *record.value.start == 'n') {
		sqlite3_result_null(result);
		return;
	}
	char *text = rmr_heap_value(heap, id), *end;
	if (!text || *record.value.start == '"') {
		put_taken(result, text);
		return;
	}
	if (*text == 't' || *text == 'f') {
		sqlite3_result_int(result, *text == 't');
	} else if (strlen(text) < 19 && !strpbrk(text, ".eE")) {
		sqlite3_result_int64(result, strtoll(text, NULL, 10));
	} else if (strpbrk(text, ".eE")) {
		sqlite3_result_double(result, strtod(text, &end));
	} else {
		sqlite3_result_text(result, text, -1, SQLITE_TRANSIENT);
	}
	free(text);
}

static void put_flags(sqlite3_context *result, unsigned flags)
{
	struct rmr_text text = {0};

	for (unsigned flag = 1; flag <= RMR_FLAG_FINALIZER; flag <<= 1) {
		const char *name = flags & flag ? rmr_heap_flag_name(flag) : NULL;
		if (name)
			rmr_text_format(&text, "%s%s", text.size ? "," : "", name);
	}
	put_taken(result, rmr_text_take(&text));
}

/* retained, dominator, reach: computed when first asked for. */
static int put_dominance(sqlite3_context *result, struct cursor *cursor, int column)
{
	struct table *table = (struct table *)cursor->base.pVtab;
	struct rmr_sql_context *context = table->context;
	static const char *const words[] = {[RMR_REACH_ROOT] = "root",
		[RMR_REACH_HELD_BY_C] = "held by C", [RMR_REACH_UNREACHABLE] = "unreachable"};
	uint32_t id = (uint32_t)cursor->at;

	if (!context->dominators) {
		struct rmr_error *err = rmr_dominators_create(context->heap, &context->dominators);
		if (err) {
			table->base.zErrMsg = sqlite3_mprintf("%s", err->message);
			rmr_error_destroy(err);
			return SQLITE_ERROR;
		}
	}
	uint32_t parent = rmr_dominators_parent(context->dominators, id);
	if (column == OBJECTS_RETAINED)
		put_number(result, rmr_dominators_retained(context->dominators, id));
	else if (column == OBJECTS_REACH)
		put_text(result, words[rmr_dominators_reach(context->dominators, id) % 3]);
	else if (parent < rmr_heap_id_end(context->heap))
		put_number(result, rmr_heap_address(context->heap, parent));
	else
		sqlite3_result_null(result);
	return SQLITE_OK;
}

static int objects_column(sqlite3_context *result, struct cursor *cursor, int column)
{
	const struct rmr_heap *heap = heap_of(cursor);
	uint32_t id = (uint32_t)cursor->at;
	const struct rmr_type *type = &heap->types[heap->type[id]];
	struct rmr_buffer buffer;

	switch ((enum objects_column)column) {
	case OBJECTS_ADDRESS:
		put_number(result, heap->address[id]);
		break;
	case OBJECTS_TYPE:
		sqlite3_result_text(result, type->name, -1, SQLITE_STATIC);
		break;
	case OBJECTS_MODULE:
		put_text(result, type->module);
		break;
	case OBJECTS_SIZE:
		put_number(result, rmr_heap_size(heap, id));
		break;
	case OBJECTS_OWNED:
		sqlite3_result_int64(result, rmr_heap_owned(heap, id));
		break;
	case OBJECTS_RC:
		put_number(result, rmr_heap_rc(heap, id));
		break;
	case OBJECTS_LEN:
		put_number(result, rmr_heap_len(heap, id));
		break;
	case OBJECTS_NAME:
		put_taken(result, rmr_heap_flags(heap, id) & RMR_FLAG_NAME ? rmr_heap_name(heap, id)
									   : NULL);
		break;
	case OBJECTS_VALUE:
		put_value(result, heap, id);
		break;
	case OBJECTS_REFERRERS:
		put_number(result, rmr_heap_referrers(heap, id).count);
		break;
	case OBJECTS_CHILDREN:
		put_number(result, rmr_heap_children(heap, id).count);
		break;
	case OBJECTS_RETAINED:
	case OBJECTS_DOMINATOR:
	case OBJECTS_REACH:
		return put_dominance(result, cursor, column);
	case OBJECTS_FLAGS:
		put_flags(result, rmr_heap_flags(heap, id));
		break;
	case OBJECTS_ALLOCATED:
		put_taken(result, rmr_traces_place(heap, rmr_traces_of(heap, id)));
		break;
	case OBJECTS_BUFFER:
		put_number(result, rmr_buffers_get(heap, id, &buffer) ? buffer.bytes
								     : RMR_HEAP_UNKNOWN);
		break;
	case OBJECTS_OWNER:
		put_number(result, rmr_buffers_get(heap, id, &buffer) && buffer.owner != RMR_NO_OBJECT
			? rmr_heap_address(heap, buffer.owner) : RMR_HEAP_UNKNOWN);
		break;
	case OBJECTS_MATCHES:
		break;
	}
	return SQLITE_OK;
}

static int refs_column(sqlite3_context *result, struct cursor *cursor, int column)
{
	static const char *const kinds[] = {[RMR_REFERENCE_REF] = "ref",
		[RMR_REFERENCE_HIDDEN] = "hidden", [RMR_REFERENCE_KEY] = "key"};
	const struct rmr_heap *heap = heap_of(cursor);
	uint32_t source = (uint32_t)cursor->at;

	if (cursor->plan == PLAN_DST)
		source = rmr_heap_referrers(heap, cursor->target).ids[cursor->at];
	if (column == 0) {
		put_number(result, rmr_heap_address(heap, source));
		return SQLITE_OK;
	}
	if (column == 1) {
		put_number(result, rmr_heap_address(heap,
			rmr_heap_children(heap, source).ids[cursor->child]));
		return SQLITE_OK;
	}
	if (!cursor->names || cursor->names_of != source) {
		rmr_names_destroy(cursor->names);
		cursor->names = NULL;
		struct rmr_error *err = rmr_names_create(heap, source, &cursor->names);
		if (err) {
			rmr_error_destroy(err);
			return SQLITE_NOMEM;
		}
		cursor->names_of = source;
	}
	if (column == 2)
		put_taken(result, rmr_names_text(cursor->names, cursor->child));
	else
		put_text(result, kinds[rmr_names_kind(cursor->names, cursor->child)]);
	return SQLITE_OK;
}

static void types_column(sqlite3_context *result, const struct rmr_heap *heap, uint32_t number,
	int column)
{
	const struct rmr_type *type = &heap->types[number];
	const char *texts[] = {type->name, type->module, type->label};
	uint64_t numbers[] = {type->class_address, type->count, type->bytes, (uint64_t)type->owned,
		rmr_heap_address(heap, type->largest)};

	if (column < 3)
		put_text(result, texts[column]);
	else
		put_number(result, numbers[column - 3]);
}

static void roots_column(sqlite3_context *result, const struct cursor *cursor, int column)
{
	const struct rmr_heap *heap = heap_of(cursor);
	uint32_t number = (uint32_t)cursor->at;
	const struct rmr_root *root = &heap->roots[number];

	if (column < 2)
		put_text(result, column ? root->label : root->kind_text);
	else if (column == 2)
		put_taken(result, rmr_heap_root_name(heap, number, cursor->child));
	else
		put_number(result, rmr_heap_address(heap, root->refs.ids[cursor->child]));
}

static void frames_column(sqlite3_context *result, const struct rmr_root *root, int column)
{
	const char *texts[] = {root->function, root->file};

	if (column < 2)
		put_number(result, column ? root->depth : root->thread);
	else if (column < 4)
		put_text(result, texts[column - 2]);
	else if (column == 4)
		put_number(result, root->line);
	else
		put_text(result, root->label);
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *result, int column)
{
	struct cursor *cursor = (struct cursor *)base;
	const struct rmr_heap *heap = heap_of(cursor);

	switch (table_of(cursor)->kind) {
	case OBJECTS:
		return objects_column(result, cursor, column);
	case REFS:
		return refs_column(result, cursor, column);
	case TYPES:
		types_column(result, heap, (uint32_t)cursor->at, column);
		break;
	case ROOTS:
		roots_column(result, cursor, column);
		break;
	case FRAMES:
		frames_column(result, &heap->roots[cursor->at], column);
		break;
	}
	return SQLITE_OK;
}

static int table_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
	const struct cursor *cursor = (const struct cursor *)base;
	const struct rmr_heap *heap = heap_of(cursor);
	uint64_t id = cursor->at;

	if (table_of(cursor)->kind == REFS) {
		if (cursor->plan == PLAN_DST)
			id = rmr_heap_referrers(heap, cursor->target).ids[cursor->at];
		id = rmr_offset(heap->out_base, heap->out_first, id) + cursor->child;
	} else if (table_of(cursor)->kind == ROOTS) {
		id = (uint64_t)(heap->roots[cursor->at].refs.ids - heap->root_refs) + cursor->child;
	}
	*ret = (sqlite3_int64)id;
	return SQLITE_OK;
}

/* No xCreate: the tables are there without CREATE VIRTUAL TABLE. */
#define MODULE(name, connect)                                                                      \
	static const sqlite3_module name = {                                                       \
		.xConnect = connect,                                                               \
		.xBestIndex = table_best_index,                                                    \
		.xDisconnect = table_disconnect,                                                   \
		.xOpen = table_open,                                                               \
		.xClose = table_close,                                                             \
		.xFilter = table_filter,                                                           \
		.xNext = table_next,                                                               \
		.xEof = table_eof,                                                                 \
		.xColumn = table_column,                                                           \
		.xRowid = table_rowid,                                                             \
	}
MODULE(module_objects, connect_objects);
MODULE(module_refs, connect_refs);
MODULE(module_types, connect_types);
MODULE(module_roots, connect_roots);
MODULE(module_frames, connect_frames);

const struct rmr_sql_table rmr_sql_tables[] = {
	{"objects", &module_objects},
	{"refs", &module_refs},
	{"types", &module_types},
	{"roots", &module_roots},
	{"frames", &module_frames},
};
const size_t rmr_sql_table_count = sizeof(rmr_sql_tables) / sizeof(*rmr_sql_tables);
