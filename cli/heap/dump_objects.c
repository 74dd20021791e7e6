// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_internal.h"

#include <stdlib.h>
#include <string.h>

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

char *rmr_dump_put_value(char *p, const struct rmr_dump_text *text)
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

char *rmr_dump_put_addresses(char *p, const unsigned char *from, size_t count, bool *first,
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

enum {
	SHOWN = RMR_OBJECT_IMMORTAL | RMR_OBJECT_INTERNED | RMR_OBJECT_UNTRACKED |
		RMR_OBJECT_APPROXIMATE,
};

__attribute__((noinline)) static char *put_tail_fields(char *p, const struct rmr_dump_tail *tail)
{
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
	return tail->flags & SHOWN ? put_flags(p, tail->flags) : p;
}

// Most have none of it.
static char *put_tail(char *p, const struct rmr_dump_tail *tail)
{
	if (!(tail->flags & (RMR_OBJECT_LINE | SHOWN)) &&
		!(tail->trace | (uint64_t)tail->owned | tail->shape | tail->weak))
		return p;
	return put_tail_fields(p, tail);
}

// ---- types ----

struct rmr_error *rmr_dump_objects_type(struct rmr_dump_objects *w, struct rmr_dump_cursor *c)
{
	uint64_t address = rmr_dump_next_word(c), id = (uint32_t)rmr_dump_next_word(c);
	struct rmr_dump_text name = rmr_dump_next_text(c);

	if (c->failed || id >= RMR_DUMP_MAX_TYPES)
		return rmr_dump_bad("a type");
	if (id >= w->type_room) {
		uint32_t room = w->type_room ? w->type_room : 1024;
		while (room <= id)
			room *= 2;
		struct rmr_dump_type *types = realloc(w->types, room * sizeof(*types));
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
	p = w->meliae ? rmr_dump_meliae_text(p, &name) : rmr_dump_put_text(p, &name);
	p = w->meliae ? PUT(p, ", \"size\": ") : PUT(p, ",\"size\":");
	struct rmr_dump_type *type = &w->types[id];
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

// ---- objects ----

char *rmr_dump_put_type(char *p, const char *text, size_t size)
{
	// Mostly short: whole words, both buffers have the room.
	for (size_t i = 0; i < size; i += 16)
		memcpy(p + i, text + i, 16);
	return p + size;
}

// Apart from what all objects pass through: few have one.
__attribute__((noinline)) static void read_buffer(struct rmr_dump_object *o, struct rmr_dump_cursor *c)
{
	o->buffer = rmr_dump_next_word(c);
	o->data = rmr_dump_next_word(c);
	o->base = rmr_dump_next_word(c);
}

static void read_counts(struct rmr_dump_object *o, struct rmr_dump_cursor *c)
{
	uint64_t counts = rmr_dump_next_word(c);

	o->hidden = (uint32_t)counts;
	o->keys = (uint32_t)(counts >> 32);
}

// The fields that the flags name, where there are others than the most have.
__attribute__((noinline)) static void read_rare_fields(
	struct rmr_dump_object *o, struct rmr_dump_cursor *c)
{
	unsigned flags = o->tail.flags;

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
	if (flags & RMR_OBJECT_COUNTS)
		read_counts(o, c);
	if (flags & RMR_OBJECT_LINE)
		o->tail.line = (int64_t)rmr_dump_next_word(c);
	if (flags & RMR_OBJECT_TRACE)
		o->tail.trace = rmr_dump_next_word(c);
	if (o->more_flags & RMR_OBJECT_BUFFER)
		read_buffer(o, c);
	if (flags & RMR_OBJECT_NAME)
		o->name = rmr_dump_next_text(c);
	if (flags & RMR_OBJECT_MODULE)
		o->module = rmr_dump_next_text(c);
	if (flags & RMR_OBJECT_FILE)
		o->file = rmr_dump_next_text(c);
}

static bool read_fields(struct rmr_dump_object *o, struct rmr_dump_cursor *c, const struct rmr_rec *head)
{
	const unsigned rare = RMR_OBJECT_WIDE | RMR_OBJECT_OWNED | RMR_OBJECT_WEAK | RMR_OBJECT_LINE |
		RMR_OBJECT_TRACE | RMR_OBJECT_NAME | RMR_OBJECT_MODULE | RMR_OBJECT_FILE;
	unsigned flags = head->flags;

	o->address = rmr_dump_next_word(c);
	uint64_t ids = rmr_dump_next_word(c), sizes = rmr_dump_next_word(c);
	o->type = (uint32_t)ids;
	o->size = (uint32_t)sizes;
	o->rc = sizes >> 32;
	o->more_flags = head->part;
	o->hidden = o->keys = 0;
	o->tail = (struct rmr_dump_tail){.flags = flags, .shape = (uint32_t)(ids >> 32)};
	if (__builtin_expect((flags & rare) || o->more_flags, 0)) {
		read_rare_fields(o, c);
	} else {
		if (flags & RMR_OBJECT_LEN)
			o->len = rmr_dump_next_word(c);
		if (flags & RMR_OBJECT_COUNTS)
			read_counts(o, c);
	}
	if (flags & RMR_OBJECT_VALUE)
		o->value = rmr_dump_next_text(c);
	return !c->failed;
}

__attribute__((noinline)) static char *put_buffer(char *p, const struct rmr_dump_object *o)
{
	p = PUT(p, ",\"buffer\":");
	p = rmr_dump_text_u64(p, o->buffer);
	p = PUT(p, ",\"data\":");
	p = rmr_dump_text_u64(p, o->data);
	if (o->base == o->address)
		return p;
	return o->base ? rmr_dump_text_u64(PUT(p, ",\"base\":"), o->base) : PUT(p, ",\"base\":null");
}

static char *put_names(char *p, const struct rmr_dump_object *o)
{
	unsigned flags = o->tail.flags;

	if (flags & RMR_OBJECT_NAME)
		p = rmr_dump_put_text(PUT(p, ",\"name\":"), &o->name);
	if (flags & RMR_OBJECT_MODULE)
		p = rmr_dump_put_text(PUT(p, ",\"module\":"), &o->module);
	return p;
}

static char *put_object_head(char *p, struct rmr_dump_objects *w, const struct rmr_dump_object *o,
	const struct rmr_dump_type *type)
{
	unsigned flags = o->tail.flags;

	p = PUT(p, "{\"address\":");
	p = rmr_dump_text_address(p, o->address, &w->heads);
	p = rmr_dump_put_type(p, type->text, type->size_at);
	p = rmr_dump_text_count(p, o->size, &w->smalls);
	p = PUT(p, ",\"rc\":");
	p = (int64_t)o->rc < 0 ? rmr_dump_text_i64(p, (int64_t)o->rc)
			       : rmr_dump_text_count(p, o->rc, &w->smalls);
	p = rmr_dump_put_type(p, type->text + type->size_at, type->size - type->size_at);
	if (flags & (RMR_OBJECT_NAME | RMR_OBJECT_MODULE))
		p = put_names(p, o);
	if (flags & RMR_OBJECT_LEN)
		p = rmr_dump_text_count(PUT(p, ",\"len\":"), o->len, &w->smalls);
	if (flags & RMR_OBJECT_FILE)
		p = rmr_dump_put_text(PUT(p, ",\"file\":"), &o->file);
	if (flags & RMR_OBJECT_VALUE)
		return rmr_dump_put_value(PUT(p, ",\"value\":"), &o->value);
	return o->more_flags & RMR_OBJECT_BUFFER ? put_buffer(p, o) : p;
}

static char *put_list_start(char *p, unsigned part)
{
	static const struct {
		char text[16];
		uint64_t size;
	} starts[RMR_PARTS] = {
		[RMR_PART_REFS] = {",\"refs\":[", 9},
		[RMR_PART_HIDDEN] = {",\"hidden\":[", 11},
		[RMR_PART_KEYS] = {",\"keys\":[", 9},
	};

	memcpy(p, starts[part].text, 16);
	return p + starts[part].size;
}

static char *put_list(char *p, struct rmr_dump_objects *w, struct rmr_dump_cursor *c, unsigned part,
	size_t count)
{
	p = rmr_dump_put_refs(put_list_start(p, part), &w->heads, c->at, count);
	c->at += count * 8;
	w->part = part;
	w->first_ref = !count;
	return p;
}

// The references of a record that ends with them.
static char *put_lists(char *p, struct rmr_dump_objects *w, const struct rmr_dump_object *o,
	struct rmr_dump_cursor *c, size_t refs)
{
	p = put_list(p, w, c, RMR_PART_REFS, refs);
	if (o->hidden)
		p = put_list(PUT(p, "]"), w, c, RMR_PART_HIDDEN, o->hidden);
	if (o->keys)
		p = put_list(PUT(p, "]"), w, c, RMR_PART_KEYS, o->keys);
	if (!(o->tail.flags & RMR_OBJECT_MORE))
		p = PUT(p, "]}\n");
	return p;
}

struct rmr_error *rmr_dump_objects_add(struct rmr_dump_objects *w, struct rmr_dump_cursor *c,
	const struct rmr_rec *head)
{
	struct rmr_dump_object o;
	char *line;

	if (!read_fields(&o, c, head) || o.type >= w->type_room || !w->types[o.type].text)
		return rmr_dump_bad("an object");
	size_t rest = (size_t)(c->end - c->at) / 8;
	if ((uint64_t)o.hidden + o.keys > rest)
		return rmr_dump_bad("an object's references");
	struct rmr_error *err = rmr_dump_sink_reserve(w->sink, RMR_DUMP_LINE_ROOM, &line);
	if (err)
		return err;
	w->uncounted = !rmr_dump_tally_object(w->tally, o.address, o.rc,
		head->flags & RMR_OBJECT_IMMORTAL);
	if (rest && !w->uncounted)
		rmr_dump_tally_references(w->tally, c->at, rest);
	const struct rmr_dump_type *type = &w->types[o.type];
	bool more = head->flags & RMR_OBJECT_MORE;
	bool value_goes_on = more && (head->flags & RMR_OBJECT_VALUE) && o.value.head.more &&
		o.value.head.encoding <= RMR_TEXT_UCS4;
	if ((head->flags & RMR_OBJECT_VALUE) && o.value.head.more && !value_goes_on)
		return rmr_dump_bad("a value");
	char *p;
	if (w->meliae) {
		p = rmr_dump_meliae_object(line, &o, type, c->at, rest, &w->first_ref);
	} else {
		p = put_object_head(line, w, &o, type);
		if (!value_goes_on)
			p = put_lists(put_tail(p, &o.tail), w, &o, c, rest - o.hidden - o.keys);
	}
	w->open = more;
	w->value_is_open = value_goes_on;
	if (value_goes_on) {
		w->part = RMR_PART_VALUE;
		w->tail = o.tail;
	} else if (w->meliae) {
		w->part = RMR_PART_REFS;
	}
	w->count++;
	rmr_dump_sink_commit(w->sink, (size_t)(p - line));
	return NULL;
}

static struct rmr_error *read_value_part(struct rmr_dump_objects *w, struct rmr_dump_cursor *c, bool more)
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

struct rmr_error *rmr_dump_objects_part(struct rmr_dump_objects *w, struct rmr_dump_cursor *c,
	const struct rmr_rec *head)
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
		p = put_list_start(p, head->part);
		w->first_ref = true;
	}
	w->part = head->part;
	if (!w->uncounted)
		rmr_dump_tally_references(w->tally, c->at, (size_t)(c->end - c->at) / 8);
	p = rmr_dump_put_addresses(p, c->at, (size_t)(c->end - c->at) / 8, &w->first_ref,
		w->meliae ? ", " : ",");
	if (!more)
		p = PUT(p, "]}\n");
	w->open = more;
	rmr_dump_sink_commit(w->sink, (size_t)(p - line));
	return NULL;
}

void rmr_dump_objects_deinit(struct rmr_dump_objects *w)
{
	for (uint32_t i = 0; i < w->type_room; i++)
		free(w->types[i].text);
	free(w->types);
}
