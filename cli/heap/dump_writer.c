// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_writer.h"

#include "attach/cleanup.h"
#include "cli/heap/dump_internal.h"
#include "payloads/ring.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	CONSUME = 256 << 10, // bytes of records after which the ring is told
	PEEK_MS = 100,
	PROGRESS_MS = 100,
};

// A type's parts of every line of its objects.
struct type_text {
	char *text; // NULL = no such id
	uint32_t size_at; // text is: what precedes the size, then what precedes the class's rest
	uint32_t size;
};

struct writer {
	const struct rmr_dump_options *options;
	struct rmr_dump_sink *sink;
	struct rmr_dump_totals *totals;
	struct rmr_dump_tally *tally; // NULL for meliae's lines
	struct rmr_dump_heads heads;
	struct type_text *types;
	uint32_t type_room;
	uint64_t objects, left_out; // left_out: roots
	uint64_t tracked, tracked_done; // of the last COUNT
	bool meliae;
	bool ended;
	// An object whose parts are awaited.
	bool open, value_is_open, first_ref;
	unsigned part; // of the list that is open
	struct tail {
		int64_t owned, line;
		uint64_t weak;
		uint64_t trace;
		uint32_t shape;
		unsigned flags;
	} tail;
};

struct rmr_error *rmr_dump_bad(const char *what)
{
	struct rmr_error *err = rmr_error_create(RMR_E_PROTOCOL, 0,
		"the heap walker's records make no sense: %s", what);

	return rmr_error_hint(err, "take the dump again; the target may have damaged the ring");
}

// ---- pieces of a line ----

char *rmr_dump_put_text(char *p, const struct rmr_dump_text *text)
{
	*p++ = '"';
	p = rmr_dump_text_string(p, text->bytes, text->head.size, text->head.encoding);
	*p++ = '"';
	return p;
}

char *rmr_dump_put_name(char *p, const struct rmr_dump_text *text)
{
	static const char *const before[RMR_STYLES] = {"", "", ".", "<local ", "<cell ", "[",
		"['", "[+0x"};
	static const char *const after[RMR_STYLES] = {"", "", "", ">", ">", "]", "']", "]"};
	unsigned style = text->head.style;

	if (style == RMR_STYLE_NULL)
		return PUT(p, "null");
	*p++ = '"';
	p = stpcpy(p, before[style]);
	p = rmr_dump_text_string(p, text->bytes, text->head.size, text->head.encoding);
	p = stpcpy(p, after[style]);
	*p++ = '"';
	return p;
}

char *rmr_dump_put_refs(char *p, struct rmr_dump_heads *heads, const unsigned char *from,
	size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t address;
		memcpy(&address, from + i * 8, 8);
		p = rmr_dump_text_address(p, address, heads);
		*p++ = ',';
	}
	return count ? p - 1 : p;
}

static char *put_value(char *p, const struct rmr_dump_text *text)
{
	int64_t integer;
	double number;

	switch (text->head.encoding) {
	case RMR_TEXT_NONE:
		return PUT(p, "null");
	case RMR_TEXT_FALSE:
		return PUT(p, "false");
	case RMR_TEXT_TRUE:
		return PUT(p, "true");
	case RMR_TEXT_INT:
		if (text->head.size < 8)
			return PUT(p, "null");
		memcpy(&integer, text->bytes, 8);
		return rmr_dump_text_i64(p, integer);
	case RMR_TEXT_FLOAT:
		if (text->head.size < 8)
			return PUT(p, "null");
		memcpy(&number, text->bytes, 8);
		return rmr_dump_text_float(p, number);
	case RMR_TEXT_DIGITS:
	case RMR_TEXT_NEGATIVE_DIGITS:
		return rmr_dump_text_digits(p, text->bytes, text->head.size / 4,
			text->head.encoding == RMR_TEXT_NEGATIVE_DIGITS);
	}
	*p++ = '"';
	p = rmr_dump_text_string(p, text->bytes, text->head.size, text->head.encoding);
	if (!text->head.more)
		*p++ = '"';
	return p;
}

// As meliae has it, a text is never longer than 100 characters.
static char *put_meliae_text(char *p, const struct rmr_dump_text *text)
{
	enum { MOST = 100 };

	*p++ = '"';
	p = rmr_dump_text_meliae(p, text->bytes, text->head.size, text->head.encoding, MOST);
	*p++ = '"';
	return p;
}

// meliae gives the values of str, bytes, bool, frames and ints that fit C's long, and of nothing else.
static char *put_meliae_value(char *p, const struct rmr_dump_text *value)
{
	switch (value->head.encoding) {
	case RMR_TEXT_NONE:
	case RMR_TEXT_FLOAT:
	case RMR_TEXT_DIGITS:
	case RMR_TEXT_NEGATIVE_DIGITS:
		return p;
	case RMR_TEXT_FALSE:
		return PUT(p, ", \"value\": \"False\"");
	case RMR_TEXT_TRUE:
		return PUT(p, ", \"value\": \"True\"");
	}
	p = PUT(p, ", \"value\": ");
	if (value->head.encoding == RMR_TEXT_INT)
		return put_value(p, value);
	return put_meliae_text(p, value);
}

static char *put_addresses(char *p, const unsigned char *from, size_t count, bool *first,
	const char *between)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t address;
		memcpy(&address, from + i * 8, 8);
		if (!*first)
			p = stpcpy(p, between);
		*first = false;
		p = rmr_dump_text_u64(p, address);
	}
	return p;
}

static char *put_flags(char *p, unsigned flags)
{
	bool first = true;
	static const struct {
		unsigned flag;
		const char *text;
	} names[] = {
		{RMR_OBJECT_IMMORTAL, "\"immortal\""},
		{RMR_OBJECT_INTERNED, "\"interned\""},
		{RMR_OBJECT_UNTRACKED, "\"untracked\""},
		{RMR_OBJECT_APPROXIMATE, "\"approximate\""},
	};

	p = PUT(p, ",\"flags\":[");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(flags & names[i].flag))
			continue;
		if (!first)
			*p++ = ',';
		first = false;
		p = stpcpy(p, names[i].text);
	}
	*p++ = ']';
	return p;
}

// What stands between an object's value and its references.
static char *put_tail(char *p, const struct tail *tail)
{
	const unsigned shown = RMR_OBJECT_IMMORTAL | RMR_OBJECT_INTERNED | RMR_OBJECT_UNTRACKED |
		RMR_OBJECT_APPROXIMATE;

	if (tail->flags & RMR_OBJECT_LINE) {
		p = PUT(p, ",\"line\":");
		p = rmr_dump_text_i64(p, tail->line);
	}
	if (tail->trace) {
		p = PUT(p, ",\"trace\":");
		p = rmr_dump_text_u64(p, tail->trace);
	}
	if (tail->owned) {
		p = PUT(p, ",\"owned\":");
		p = rmr_dump_text_i64(p, tail->owned);
	}
	if (tail->shape) {
		p = PUT(p, ",\"shape\":");
		p = rmr_dump_text_u64(p, tail->shape);
	}
	if (tail->weak) {
		p = PUT(p, ",\"weak\":");
		p = rmr_dump_text_u64(p, tail->weak);
	}
	return tail->flags & shown ? put_flags(p, tail->flags) : p;
}

// ---- types and shapes ----

static struct rmr_error *read_type(struct writer *w, struct rmr_dump_cursor *c)
{
	uint64_t address = rmr_dump_next_word(c), id = (uint32_t)rmr_dump_next_word(c);
	struct rmr_dump_text name = rmr_dump_next_text(c);

	if (c->failed || id >= RMR_DUMP_MAX_TYPES)
		return rmr_dump_bad("a type");
	if (id >= w->type_room) {
		uint32_t room = w->type_room ? w->type_room : 1024;
		while (room <= id)
			room *= 2;
		struct type_text *types = realloc(w->types, room * sizeof(*types));
		if (!types)
			return &rmr_enomem;
		memset(types + w->type_room, 0, (room - w->type_room) * sizeof(*types));
		w->types = types;
		w->type_room = room;
	}
	char *text = malloc((size_t)name.head.size * RMR_DUMP_TEXT_WORST + 128);
	if (!text)
		return &rmr_enomem;
	char *p = w->meliae ? PUT(text, ", \"type\": ") : PUT(text, ",\"type\":");
	p = w->meliae ? put_meliae_text(p, &name) : rmr_dump_put_text(p, &name);
	p = w->meliae ? PUT(p, ", \"size\": ") : PUT(p, ",\"size\":");
	struct type_text *type = &w->types[id];
	type->size_at = (uint32_t)(p - text);
	if (!w->meliae) {
		p = PUT(p, ",\"class\":");
		p = rmr_dump_text_u64(p, address);
	}
	type->size = (uint32_t)(p - text);
	free(type->text);
	type->text = text;
	return NULL;
}

// A line with a number and a list: a shape and its names, or a trace and its frames.
static struct rmr_error *read_list(struct writer *w, struct rmr_dump_cursor *c, bool is_trace)
{
	uint64_t word = rmr_dump_next_word(c);
	uint32_t count = (uint32_t)(word >> 32);
	char *line, *p;

	if (w->meliae)
		return NULL;
	struct rmr_error *err = rmr_dump_sink_reserve(w->sink, RMR_DUMP_LINE_ROOM, &line);
	if (err)
		return err;
	p = is_trace ? PUT(line, "{\"trace\":") : PUT(line, "{\"shape\":");
	p = rmr_dump_text_u64(p, (uint32_t)word);
	p = is_trace ? PUT(p, ",\"frames\":[") : PUT(p, ",\"names\":[");
	for (uint32_t i = 0; i < count; i++) {
		uint64_t number = is_trace ? rmr_dump_next_word(c) : 0;
		struct rmr_dump_text text = rmr_dump_next_text(c);
		if (c->failed)
			return rmr_dump_bad(is_trace ? "a trace" : "a shape");
		p = i ? PUT(p, ",") : p;
		if (!is_trace) {
			p = rmr_dump_put_name(p, &text);
			continue;
		}
		*p++ = '[';
		p = rmr_dump_put_text(p, &text);
		*p++ = ',';
		p = rmr_dump_text_u64(p, number);
		*p++ = ']';
	}
	p = PUT(p, "]}\n");
	rmr_dump_sink_commit(w->sink, (size_t)(p - line));
	return NULL;
}

// ---- objects ----

static char *copy_type(char *p, const char *text, size_t size)
{
	// Mostly short: whole words, the buffer has the room.
	for (size_t i = 0; i < size; i += 8)
		memcpy(p + i, text + i, 8);
	return p + size;
}

struct object {
	struct rmr_rec_object rec;
	uint64_t size, rc, len;
	uint32_t hidden, keys;
	uint64_t buffer, data, base; // base 0: not known; the object's address: its own
	struct rmr_dump_text name, module, file, value;
	struct tail tail;
};

// Apart from what all objects pass through: few have one.
__attribute__((noinline)) static void read_buffer(struct object *o, struct rmr_dump_cursor *c)
{
	o->buffer = rmr_dump_next_word(c);
	o->data = rmr_dump_next_word(c);
	o->base = rmr_dump_next_word(c);
}

// Fills @p o from a record whose fixed part is already in it.
static bool read_fields(struct object *o, struct rmr_dump_cursor *c)
{
	unsigned flags = o->rec.head.flags;

	o->size = o->rec.size;
	o->rc = o->rec.rc;
	o->tail.flags = flags;
	o->tail.shape = o->rec.shape;
	o->tail.owned = 0;
	o->tail.weak = o->tail.trace = 0;
	o->hidden = o->keys = 0;
	if (flags & RMR_OBJECT_WIDE) {
		o->size = rmr_dump_next_word(c);
		o->rc = rmr_dump_next_word(c);
	}
	if (flags & RMR_OBJECT_LEN)
		o->len = rmr_dump_next_word(c);
	if (flags & RMR_OBJECT_OWNED)
		o->tail.owned = (int64_t)rmr_dump_next_word(c);
	if (flags & RMR_OBJECT_WEAK)
		o->tail.weak = rmr_dump_next_word(c);
	if (flags & RMR_OBJECT_COUNTS) {
		uint64_t counts = rmr_dump_next_word(c);
		o->hidden = (uint32_t)counts;
		o->keys = (uint32_t)(counts >> 32);
	}
	if (flags & RMR_OBJECT_LINE)
		o->tail.line = (int64_t)rmr_dump_next_word(c);
	if (flags & RMR_OBJECT_TRACE)
		o->tail.trace = rmr_dump_next_word(c);
	if (o->rec.head.part & RMR_OBJECT_BUFFER)
		read_buffer(o, c);
	if (flags & RMR_OBJECT_NAME)
		o->name = rmr_dump_next_text(c);
	if (flags & RMR_OBJECT_MODULE)
		o->module = rmr_dump_next_text(c);
	if (flags & RMR_OBJECT_FILE)
		o->file = rmr_dump_next_text(c);
	if (flags & RMR_OBJECT_VALUE)
		o->value = rmr_dump_next_text(c);
	return !c->failed;
}

__attribute__((noinline)) static char *put_buffer(char *p, const struct object *o)
{
	p = PUT(p, ",\"buffer\":");
	p = rmr_dump_text_u64(p, o->buffer);
	p = PUT(p, ",\"data\":");
	p = rmr_dump_text_u64(p, o->data);
	if (o->base == o->rec.address)
		return p;
	return o->base ? rmr_dump_text_u64(PUT(p, ",\"base\":"), o->base) : PUT(p, ",\"base\":null");
}

static char *put_object_head(char *p, struct rmr_dump_heads *heads, const struct object *o,
	const struct type_text *type)
{
	unsigned flags = o->rec.head.flags;

	p = PUT(p, "{\"address\":");
	p = rmr_dump_text_address(p, o->rec.address, heads);
	p = copy_type(p, type->text, type->size_at);
	p = rmr_dump_text_u64(p, o->size);
	p = PUT(p, ",\"rc\":");
	p = rmr_dump_text_i64(p, (int64_t)o->rc);
	p = copy_type(p, type->text + type->size_at, type->size - type->size_at);
	if (flags & RMR_OBJECT_NAME) {
		p = PUT(p, ",\"name\":");
		p = rmr_dump_put_text(p, &o->name);
	}
	if (flags & RMR_OBJECT_MODULE) {
		p = PUT(p, ",\"module\":");
		p = rmr_dump_put_text(p, &o->module);
	}
	if (flags & RMR_OBJECT_LEN) {
		p = PUT(p, ",\"len\":");
		p = rmr_dump_text_u64(p, o->len);
	}
	if (flags & RMR_OBJECT_FILE) {
		p = PUT(p, ",\"file\":");
		p = rmr_dump_put_text(p, &o->file);
	}
	if (flags & RMR_OBJECT_VALUE) {
		p = PUT(p, ",\"value\":");
		return put_value(p, &o->value);
	}
	return o->rec.head.part & RMR_OBJECT_BUFFER ? put_buffer(p, o) : p;
}

static const char *const list_starts[RMR_PARTS] = {
	[RMR_PART_REFS] = ",\"refs\":[", [RMR_PART_HIDDEN] = ",\"hidden\":[",
	[RMR_PART_KEYS] = ",\"keys\":["};

// The references of a record that ends with them.
static char *put_lists(struct writer *w, char *p, const struct object *o, struct rmr_dump_cursor *c,
	size_t refs)
{
	size_t counts[RMR_PARTS] = {0, refs, o->hidden, o->keys};
	bool more = o->rec.head.flags & RMR_OBJECT_MORE;

	for (unsigned part = RMR_PART_REFS; part < RMR_PARTS; part++) {
		if (part > RMR_PART_REFS && !counts[part])
			continue;
		if (part > RMR_PART_REFS)
			*p++ = ']';
		p = stpcpy(p, list_starts[part]);
		p = rmr_dump_put_refs(p, &w->heads, c->at, counts[part]);
		c->at += counts[part] * 8;
		w->part = part;
	}
	w->first_ref = !counts[w->part];
	if (!more)
		p = PUT(p, "]}\n");
	return p;
}

// meliae takes a dict's references two by two, a key and its value. (A dict that does not fit into
// one record keeps its values before its keys.)
static char *put_meliae_refs(char *p, const struct object *o, const unsigned char *refs, size_t count,
	bool *first_ref)
{
	size_t visited = count - o->hidden - o->keys, plain = visited - o->keys;
	const unsigned char *hidden = refs + visited * 8, *keys = hidden + o->hidden * 8;

	if (!o->keys || o->keys > visited || (o->rec.head.flags & RMR_OBJECT_MORE))
		return put_addresses(p, refs, count, first_ref, ", ");
	for (size_t i = 0; i < o->keys; i++) {
		p = put_addresses(p, keys + i * 8, 1, first_ref, ", ");
		p = put_addresses(p, refs + (plain + i) * 8, 1, first_ref, ", ");
	}
	p = put_addresses(p, refs, plain, first_ref, ", ");
	return put_addresses(p, hidden, o->hidden, first_ref, ", ");
}

// meliae's line: keys in its order, all references in one list.
static char *put_meliae(char *p, const struct object *o, const struct type_text *type,
	struct rmr_dump_cursor *c, size_t count, bool *first_ref)
{
	unsigned flags = o->rec.head.flags;

	p = PUT(p, "{\"address\": ");
	p = rmr_dump_text_u64(p, o->rec.address);
	p = copy_type(p, type->text, type->size_at);
	p = rmr_dump_text_u64(p, o->size);
	if (flags & RMR_OBJECT_NAME) {
		p = PUT(p, ", \"name\": ");
		p = put_meliae_text(p, &o->name);
	}
	if (flags & RMR_OBJECT_LEN) {
		p = PUT(p, ", \"len\": ");
		p = rmr_dump_text_u64(p, o->len);
	}
	if (flags & RMR_OBJECT_VALUE)
		p = put_meliae_value(p, &o->value);
	if ((flags & RMR_OBJECT_MORE) && (flags & RMR_OBJECT_VALUE) && o->value.head.more)
		return p;
	*first_ref = true;
	p = PUT(p, ", \"refs\": [");
	p = put_meliae_refs(p, o, c->at, count, first_ref);
	if (!(flags & RMR_OBJECT_MORE))
		p = PUT(p, "]}\n");
	return p;
}

static struct rmr_error *read_object(struct writer *w, struct rmr_dump_cursor *c,
	const struct rmr_rec_object *rec)
{
	struct object o;
	char *line;

	o.rec = *rec;
	if (!read_fields(&o, c) || o.rec.type >= w->type_room || !w->types[o.rec.type].text)
		return rmr_dump_bad("an object");
	size_t rest = (size_t)(c->end - c->at) / 8;
	if ((uint64_t)o.hidden + o.keys > rest)
		return rmr_dump_bad("an object's references");
	struct rmr_error *err = rmr_dump_sink_reserve(w->sink, RMR_DUMP_LINE_ROOM, &line);
	if (err)
		return err;
	rmr_dump_tally_object(w->tally, o.rec.address, o.rc, o.rec.head.flags & RMR_OBJECT_IMMORTAL);
	rmr_dump_tally_references(w->tally, c->at, rest);
	const struct type_text *type = &w->types[o.rec.type];
	bool more = o.rec.head.flags & RMR_OBJECT_MORE;
	bool value_goes_on = more && (o.rec.head.flags & RMR_OBJECT_VALUE) && o.value.head.more &&
		o.value.head.encoding <= RMR_TEXT_UCS4;
	if ((o.rec.head.flags & RMR_OBJECT_VALUE) && o.value.head.more && !value_goes_on)
		return rmr_dump_bad("a value");
	char *p;
	if (w->meliae) {
		p = put_meliae(line, &o, type, c, rest, &w->first_ref);
	} else {
		p = put_object_head(line, &w->heads, &o, type);
		if (!value_goes_on) {
			p = put_tail(p, &o.tail);
			p = put_lists(w, p, &o, c, rest - o.hidden - o.keys);
		}
	}
	w->open = more;
	w->value_is_open = value_goes_on;
	if (value_goes_on) {
		w->part = RMR_PART_VALUE;
		w->tail = o.tail;
	} else if (w->meliae) {
		w->part = RMR_PART_REFS;
	}
	w->objects++;
	rmr_dump_sink_commit(w->sink, (size_t)(p - line));
	return NULL;
}

static struct rmr_error *read_value_part(struct writer *w, struct rmr_dump_cursor *c, bool more)
{
	struct rmr_dump_text text = rmr_dump_next_text(c);
	char *line;

	if (c->failed || !w->value_is_open || text.head.encoding > RMR_TEXT_UCS4 ||
		text.head.more != more)
		return rmr_dump_bad("a part of a value");
	struct rmr_error *err = rmr_dump_sink_reserve(w->sink, RMR_DUMP_LINE_ROOM, &line);
	if (err)
		return err;
	char *p = line;
	if (!w->meliae)
		p = rmr_dump_text_string(p, text.bytes, text.head.size, text.head.encoding);
	if (!more && w->meliae) {
		p = PUT(p, ", \"refs\": []}\n"); // what it has of the value stands there already
	} else if (!more) {
		*p++ = '"';
		p = put_tail(p, &w->tail);
		p = PUT(p, ",\"refs\":[]}\n");
	}
	if (!more) {
		w->value_is_open = false;
		w->open = false;
	}
	rmr_dump_sink_commit(w->sink, (size_t)(p - line));
	return NULL;
}

static struct rmr_error *read_part(struct writer *w, struct rmr_dump_cursor *c, const struct rmr_rec *head)
{
	bool more = head->flags & RMR_OBJECT_MORE;
	char *line;

	if (!w->open)
		return rmr_dump_bad("a part of no object");
	if (head->part == RMR_PART_VALUE)
		return read_value_part(w, c, more);
	if (w->value_is_open || head->part >= RMR_PARTS || head->part < w->part)
		return rmr_dump_bad("a part out of order");
	struct rmr_error *err = rmr_dump_sink_reserve(w->sink, RMR_DUMP_LINE_ROOM, &line);
	if (err)
		return err;
	char *p = line;
	if (head->part != w->part && !w->meliae) {
		*p++ = ']';
		p = stpcpy(p, list_starts[head->part]);
		w->first_ref = true;
	}
	w->part = head->part;
	rmr_dump_tally_references(w->tally, c->at, (size_t)(c->end - c->at) / 8);
	p = put_addresses(p, c->at, (size_t)(c->end - c->at) / 8, &w->first_ref,
		w->meliae ? ", " : ",");
	if (!more)
		p = PUT(p, "]}\n");
	w->open = more;
	rmr_dump_sink_commit(w->sink, (size_t)(p - line));
	return NULL;
}

// ---- the end ----

static struct rmr_error *read_end(struct writer *w, struct rmr_dump_cursor *c)
{
	struct rmr_dump_totals *t = w->totals;
	uint64_t *const fields[] = {&t->objects, &t->references, &t->bytes, &t->types, &t->shapes,
		&t->roots, &t->faults, &t->walk_ns, &t->traces, &t->traced, &t->tracemalloc};

	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		*fields[i] = rmr_dump_next_word(c);
	struct rmr_dump_text partial = rmr_dump_next_text(c);
	if (c->failed || w->open)
		return rmr_dump_bad("the end");
	if (t->objects != w->objects)
		return rmr_dump_bad("the number of objects differs");
	char text[sizeof(t->partial)] = "";
	size_t size = partial.head.size < sizeof(text) - 1 ? partial.head.size : sizeof(text) - 1;
	memcpy(text, partial.bytes, size);
	t->roots -= w->left_out < t->roots ? w->left_out : t->roots;
	if (t->faults)
		snprintf(t->partial, sizeof(t->partial), "%llu objects could not be read whole: %.400s",
			(unsigned long long)t->faults, text);
	w->ended = true;
	return NULL;
}

// ---- all records ----

static struct rmr_error *read_record(struct writer *w, const unsigned char *bytes,
	const struct rmr_rec *head)
{
	struct rmr_dump_cursor c = {bytes + sizeof(*head), bytes + head->size, false};
	struct rmr_rec_object object;

	if (w->open && head->kind != RMR_REC_PART)
		return rmr_dump_bad("an object without its end");
	switch (head->kind) {
	case RMR_REC_OBJECT:
		if (head->size < sizeof(object))
			return rmr_dump_bad("a short object");
		memcpy(&object, bytes, sizeof(object));
		object.head = *head;
		c.at = bytes + sizeof(object);
		return read_object(w, &c, &object);
	case RMR_REC_PART:
		return read_part(w, &c, head);
	case RMR_REC_TYPE:
		return read_type(w, &c);
	case RMR_REC_SHAPE:
		return read_list(w, &c, false);
	case RMR_REC_ROOT:
		if (head->size < sizeof(struct rmr_rec_root_head))
			return rmr_dump_bad("a short root");
		return w->meliae ? NULL : rmr_dump_root(w->sink, w->tally, &c, head, &w->left_out);
	case RMR_REC_TRACE:
		return read_list(w, &c, true);
	case RMR_REC_COUNT:
		w->tracked = rmr_dump_next_word(&c);
		w->tracked_done = rmr_dump_next_word(&c);
		return NULL;
	case RMR_REC_END:
		return read_end(w, &c);
	}
	return rmr_dump_bad("an unknown kind");
}

static uint64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

// How many objects it will be: the collector knows only its own, but those written so far brought the
// others with them in proportion. At first that says little: roots come before all lists.
static uint64_t expected(const struct writer *w)
{
	if (!w->tracked_done || w->tracked_done < w->tracked / 32 || w->tracked_done > w->tracked)
		return 0;
	return (uint64_t)((double)w->objects * (double)w->tracked / (double)w->tracked_done);
}

static struct rmr_error *report(struct writer *w, uint64_t *last)
{
	uint64_t now = now_ms();

	if (!w->options->progress || now - *last < PROGRESS_MS)
		return NULL;
	*last = now;
	struct rmr_dump_progress progress = {
		.objects = w->objects,
		.bytes = rmr_dump_sink_size(w->sink),
		.expected = expected(w),
	};
	return w->options->progress(w->options->progress_arg, &progress);
}

// All records in the @p size bytes; *used_ret says how many bytes they were.
static struct rmr_error *read_records(struct writer *w, const unsigned char *bytes, size_t size,
	size_t *used_ret)
{
	size_t used = 0;

	while (used < size && used < CONSUME && !w->ended) {
		struct rmr_rec head;
		if (size - used < sizeof(head))
			return rmr_dump_bad("a cut record");
		memcpy(&head, bytes + used, sizeof(head));
		if (head.size < sizeof(head) || head.size % 8 || head.size > RMR_REC_MAX ||
			head.size > size - used)
			return rmr_dump_bad("a record's size");
		struct rmr_error *err = read_record(w, bytes + used, &head);
		if (err)
			return err;
		used += head.size;
	}
	*used_ret = used;
	return NULL;
}

static bool peer_is_gone(int fd)
{
	struct pollfd poll_fd = {.fd = fd};

	return fd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

static struct rmr_error *cut_off(void)
{
	struct rmr_error *err = rmr_error_create(RMR_E_TARGET, 0,
		"the heap walker ended before the dump was complete");

	return rmr_error_hint(err, "the copy of the target may have run out of memory");
}

static struct rmr_error *read_ring(struct writer *w, struct rmr_ring *ring)
{
	uint64_t last = now_ms(), silent_since = last;
	bool peer_was_gone = false;

	while (!w->ended) {
		const void *bytes = NULL;
		size_t size = 0, used = 0;
		enum rmr_ring_status status = rmr_ring_peek(ring, &bytes, &size, PEEK_MS);
		struct rmr_error *err = report(w, &last);
		if (err)
			return err;
		switch (status) {
		case RMR_RING_OK:
			err = read_records(w, bytes, size, &used);
			if (err)
				return err;
			rmr_ring_consume(ring, used);
			silent_since = now_ms();
			continue;
		case RMR_RING_TIMEOUT:
			// One more look after the end was seen: it may have written in between.
			if (peer_was_gone)
				return cut_off();
			peer_was_gone = peer_is_gone(w->options->peer_fd);
			if (w->options->stall_ms && now_ms() - silent_since > w->options->stall_ms)
				return rmr_error_create(RMR_E_TIMEOUT, 0,
					"the heap walker wrote nothing for %u ms",
					w->options->stall_ms);
			continue;
		case RMR_RING_FINISHED:
			return cut_off();
		default:
			return rmr_dump_bad("the ring's positions");
		}
	}
	return NULL;
}

struct rmr_error *rmr_dump_write(struct rmr_ring *ring, const struct rmr_dump_options *options,
	struct rmr_dump_sink *sink, struct rmr_dump_totals *ret)
{
	struct rmr_dump_totals totals = {0};
	struct writer w = {
		.options = options,
		.sink = sink,
		.totals = &totals,
		.meliae = options->format == RMR_DUMP_MELIAE,
	};

	w.tally = w.meliae ? NULL : rmr_dump_tally_create();
	struct rmr_error *err = read_ring(&w, ring);
	totals.is_tallied = !err && rmr_dump_tally_finish(w.tally, &totals.completeness);
	rmr_dump_tally_destroy(w.tally);
	for (uint32_t i = 0; i < w.type_room; i++)
		free(w.types[i].text);
	free(w.types);
	if (!err)
		*ret = totals;
	return err;
}
