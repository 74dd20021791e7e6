// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_internal.h"

struct root {
	struct rmr_rec_root_head rec;
	struct rmr_dump_text texts[3];
};

static char *put_label(char *p, const struct root *root, unsigned kind)
{
	const struct rmr_dump_text *name = &root->texts[0];

	*p++ = '"';
	if (kind == RMR_ROOT_THREAD) {
		p = PUT(p, "<thread ");
		if (name->head.size)
			p = rmr_dump_text_string(p, name->bytes, name->head.size,
				name->head.encoding);
		else
			p = rmr_dump_text_u64(p, root->rec.ident);
		p = PUT(p, ">");
	} else if (kind == RMR_ROOT_FRAME) {
		const struct rmr_dump_text *file = &root->texts[2];
		// Only the file's last component, to keep paths short.
		size_t from = 0;
		for (size_t i = 0; file->head.encoding <= RMR_TEXT_LATIN1 && i < file->head.size; i++)
			from = file->bytes[i] == '/' ? i + 1 : from;
		p = PUT(p, "<frame ");
		p = rmr_dump_text_string(p, name->bytes, name->head.size, name->head.encoding);
		p = PUT(p, " at ");
		// Copied: the string functions read whole words from the start of a padded text.
		char copy[RMR_REC_MAX_TEXT + 8] = {0};
		size_t size = file->head.size - from;
		size = size < RMR_REC_MAX_TEXT ? size : RMR_REC_MAX_TEXT;
		memcpy(copy, file->bytes + from, size);
		p = rmr_dump_text_string(p, copy, size, file->head.encoding);
		*p++ = ':';
		p = rmr_dump_text_i64(p, root->rec.line);
		*p++ = '>';
	} else {
		p = rmr_dump_text_string(p, name->bytes, name->head.size, name->head.encoding);
	}
	*p++ = '"';
	return p;
}

static char *put_root_facts(char *p, const struct root *root, unsigned kind)
{
	p = PUT(p, ",\"interpreter\":");
	p = rmr_dump_text_u64(p, root->rec.interpreter);
	if (kind == RMR_ROOT_THREAD) {
		p = PUT(p, ",\"ident\":");
		p = rmr_dump_text_u64(p, root->rec.ident);
		p = PUT(p, ",\"native\":");
		p = rmr_dump_text_u64(p, root->rec.native);
		if (root->texts[0].head.size) {
			p = PUT(p, ",\"name\":");
			p = rmr_dump_put_text(p, &root->texts[0]);
		}
	} else if (kind == RMR_ROOT_FRAME) {
		p = PUT(p, ",\"thread\":");
		p = rmr_dump_text_u64(p, root->rec.ident);
		p = PUT(p, ",\"depth\":");
		p = rmr_dump_text_u64(p, root->rec.depth);
		p = PUT(p, ",\"function\":");
		p = rmr_dump_put_text(p, &root->texts[0]);
		p = PUT(p, ",\"file\":");
		p = rmr_dump_put_text(p, &root->texts[2]);
		p = PUT(p, ",\"line\":");
		p = rmr_dump_text_i64(p, root->rec.line);
	}
	return p;
}

// Which references the dump takes: of the words of a library's data those that explain a count, as an
// object may well have its address in places that hold no reference to it. False if none.
static bool choose(struct rmr_dump_tally *tally, unsigned kind, const unsigned char *refs,
	uint32_t count, bool *wanted)
{
	bool any = kind != RMR_ROOT_DATA;

	if (kind != RMR_ROOT_DATA)
		rmr_dump_tally_references(tally, refs, count);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t address;
		memcpy(&address, refs + i * 8, 8);
		if (kind == RMR_ROOT_INTERNED)
			rmr_dump_tally_leave_out(tally, address);
		wanted[i] = kind != RMR_ROOT_DATA || rmr_dump_tally_explain(tally, address);
		any |= wanted[i];
	}
	return any;
}

static char *put_root_refs(char *p, const unsigned char *refs, uint32_t count, const bool *wanted)
{
	struct rmr_dump_heads heads = {0};
	bool first = true;

	for (uint32_t i = 0; i < count; i++) {
		if (!wanted[i])
			continue;
		if (!first)
			*p++ = ',';
		first = false;
		p = rmr_dump_put_refs(p, &heads, refs + i * 8, 1);
	}
	return p;
}

// NULL if they make no sense.
static char *put_root_names(char *p, struct rmr_dump_cursor *c, uint32_t count, const bool *wanted)
{
	bool first = true;

	for (uint32_t i = 0; i < count; i++) {
		struct rmr_dump_text name = rmr_dump_next_text(c);
		if (c->failed)
			return NULL;
		if (!wanted[i])
			continue;
		if (!first)
			*p++ = ',';
		first = false;
		p = rmr_dump_put_name(p, &name);
	}
	return p;
}

struct rmr_error *rmr_dump_root(struct rmr_dump_sink *sink, struct rmr_dump_tally *tally,
	struct rmr_dump_cursor *c, const struct rmr_rec *head, uint64_t *left_out)
{
	static const char *const kinds[RMR_ROOTS] = {"interpreter", "thread", "frame", "static",
		"interned", "static"};
	bool wanted[RMR_REC_MAX / 8];
	struct root root;
	char *line;

	memcpy(&root.rec, c->at - sizeof(root.rec.head), sizeof(root.rec));
	c->at += sizeof(root.rec) - sizeof(root.rec.head);
	for (int i = 0; i < 3; i++) {
		root.texts[i] = rmr_dump_next_text(c);
		// Written twice, so longer ones would not fit the line's room.
		c->failed |= root.texts[i].head.size > RMR_REC_MAX_TEXT;
	}
	const unsigned char *refs = c->at;
	if (c->failed || head->part >= RMR_ROOTS ||
		root.rec.count > (size_t)(c->end - c->at) / 8)
		return rmr_dump_bad("a root");
	c->at += (size_t)root.rec.count * 8;
	if (!choose(tally, head->part, refs, root.rec.count, wanted)) {
		++*left_out;
		return NULL;
	}
	struct rmr_error *err = rmr_dump_sink_reserve(sink, RMR_DUMP_LINE_ROOM, &line);
	if (err)
		return err;
	char *p = PUT(line, "{\"root\":\"");
	p = stpcpy(p, kinds[head->part]);
	p = PUT(p, "\",\"label\":");
	p = put_label(p, &root, head->part);
	p = put_root_facts(p, &root, head->part);
	p = PUT(p, ",\"names\":[");
	p = put_root_names(p, c, root.rec.count, wanted);
	if (!p)
		return rmr_dump_bad("a root's names");
	p = PUT(p, "],\"refs\":[");
	p = put_root_refs(p, refs, root.rec.count, wanted);
	p = PUT(p, "]}\n");
	rmr_dump_sink_commit(sink, (size_t)(p - line));
	return NULL;
}
