// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_internal.h"

char *rmr_dump_meliae_text(char *p, const struct rmr_dump_text *text)
{
	enum { MOST = 100 };

	*p++ = '"';
	p = rmr_dump_text_meliae(p, text->bytes, text->head.size, text->head.encoding, MOST);
	*p++ = '"';
	return p;
}

// meliae gives the values of str, bytes, bool, frames and ints that fit C's long, and of nothing else.
static char *put_value(char *p, const struct rmr_dump_text *value)
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
		return rmr_dump_put_value(p, value);
	return rmr_dump_meliae_text(p, value);
}

// meliae takes a dict's references two by two, a key and its value. (A dict that does not fit into
// one record keeps its values before its keys.)
static char *put_refs(char *p, const struct rmr_dump_object *o, const unsigned char *refs, size_t count,
	bool *first_ref)
{
	size_t visited = count - o->hidden - o->keys, plain = visited - o->keys;
	const unsigned char *hidden = refs + visited * 8, *keys = hidden + o->hidden * 8;

	if (!o->keys || o->keys > visited || (o->tail.flags & RMR_OBJECT_MORE))
		return rmr_dump_put_addresses(p, refs, count, first_ref, ", ");
	for (size_t i = 0; i < o->keys; i++) {
		p = rmr_dump_put_addresses(p, keys + i * 8, 1, first_ref, ", ");
		p = rmr_dump_put_addresses(p, refs + (plain + i) * 8, 1, first_ref, ", ");
	}
	p = rmr_dump_put_addresses(p, refs, plain, first_ref, ", ");
	return rmr_dump_put_addresses(p, hidden, o->hidden, first_ref, ", ");
}

// meliae's line: keys in its order, all references in one list.
char *rmr_dump_meliae_object(char *p, const struct rmr_dump_object *o, const struct rmr_dump_type *type,
	const unsigned char *refs, size_t count, bool *first_ref)
{
	unsigned flags = o->tail.flags;

	p = PUT(p, "{\"address\": ");
	p = rmr_dump_text_u64(p, o->address);
	p = rmr_dump_put_type(p, type->text, type->size_at);
	p = rmr_dump_text_u64(p, o->size);
	if (flags & RMR_OBJECT_NAME) {
		p = PUT(p, ", \"name\": ");
		p = rmr_dump_meliae_text(p, &o->name);
	}
	if (flags & RMR_OBJECT_LEN) {
		p = PUT(p, ", \"len\": ");
		p = rmr_dump_text_u64(p, o->len);
	}
	if (flags & RMR_OBJECT_VALUE)
		p = put_value(p, &o->value);
	if ((flags & RMR_OBJECT_MORE) && (flags & RMR_OBJECT_VALUE) && o->value.head.more)
		return p;
	*first_ref = true;
	p = PUT(p, ", \"refs\": [");
	p = put_refs(p, o, refs, count, first_ref);
	if (!(flags & RMR_OBJECT_MORE))
		p = PUT(p, "]}\n");
	return p;
}
