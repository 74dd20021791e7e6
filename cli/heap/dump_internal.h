// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * What the dump writer's files share: reading a record's fields, pieces of lines.
 */
#ifndef RMR_CLI_HEAP_DUMP_INTERNAL_H
#define RMR_CLI_HEAP_DUMP_INTERNAL_H

#include "cli/heap/dump_tally.h"
#include "cli/heap/dump_text.h"
#include "cli/heap/dump_writer.h"
#include "payloads/heap_dump/records.h"

#include <stdbool.h>
#include <string.h>

enum {
	RMR_DUMP_LINE_ROOM = 2 << 20, /**< what the longest record can become: 6 bytes a byte of text */
};

/** Where a record's next field is. */
struct rmr_dump_cursor {
	const unsigned char *at, *end;
	bool failed;
};

// The next word; 0 and failed behind the end. Every word is read once: the producer could change it.
static inline uint64_t rmr_dump_next_word(struct rmr_dump_cursor *c)
{
	uint64_t word;

	if (c->end - c->at < 8) {
		c->failed = true;
		return 0;
	}
	memcpy(&word, c->at, 8);
	c->at += 8;
	return word;
}

struct rmr_dump_text {
	struct rmr_text head;
	const unsigned char *bytes;
};

static inline struct rmr_dump_text rmr_dump_next_text(struct rmr_dump_cursor *c)
{
	struct rmr_dump_text text = {.bytes = c->at};
	uint64_t word = rmr_dump_next_word(c);

	memcpy(&text.head, &word, 8);
	size_t padded = ((size_t)text.head.size + 7) & ~(size_t)7;
	if (c->failed || (size_t)(c->end - c->at) < padded ||
		text.head.encoding >= RMR_TEXT_ENCODINGS || text.head.style >= RMR_STYLES) {
		c->failed = true;
		return (struct rmr_dump_text){.bytes = c->at};
	}
	text.bytes = c->at;
	c->at += padded;
	return text;
}

static inline char *rmr_dump_put(char *p, const char *text, size_t size)
{
	memcpy(p, text, size);
	return p + size;
}

/** Appends a string literal. */
#define PUT(p, literal) rmr_dump_put(p, literal, sizeof(literal) - 1)

/** RMR_E_PROTOCOL: the records make no sense. */
struct rmr_error *rmr_dump_bad(const char *what) RMR_MUST_CHECK;

/** A text as a JSON string. */
char *rmr_dump_put_text(char *p, const struct rmr_dump_text *text);
/** The name of a reference as a JSON string or null. */
char *rmr_dump_put_name(char *p, const struct rmr_dump_text *text);
/** @p count addresses, 8 bytes each, with commas between them. */
char *rmr_dump_put_refs(char *p, struct rmr_dump_heads *heads, const unsigned char *from,
	size_t count);

/**
 * Writes the line of the ROOT record whose bytes behind its first word are at @p c.
 * @param left_out  counts the records of which nothing was worth a line
 */
struct rmr_error *rmr_dump_root(struct rmr_dump_sink *sink, struct rmr_dump_tally *tally,
	struct rmr_dump_cursor *c, const struct rmr_rec *head, uint64_t *left_out) RMR_MUST_CHECK;

#endif
