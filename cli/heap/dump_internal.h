// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * What the dump writer's files share: reading a record's fields, pieces of lines, and the lines of
 * objects, remora's (dump_objects.c) and meliae's (dump_meliae.c).
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

/** What stands between an object's value and its references. */
struct rmr_dump_tail {
	int64_t owned, line;
	uint64_t weak, trace;
	uint32_t shape;
	unsigned flags; /**< enum rmr_object_flags */
};

/** An object's record but for its references. */
struct rmr_dump_object {
	uint64_t address, size, rc, len;
	uint32_t type, hidden, keys;
	unsigned more_flags; /**< RMR_OBJECT_BUFFER */
	uint64_t buffer, data, base; /**< base 0: not known; the object's address: its own */
	struct rmr_dump_text name, module, file, value;
	struct rmr_dump_tail tail;
};

/** A type's parts of every line of its objects. */
struct rmr_dump_type {
	char *text; /**< NULL = no such id */
	uint32_t size_at; /**< text is: what precedes the size, then what precedes the class's rest */
	uint32_t size;
};

/** The lines of objects: what is kept from one record to the next. Zeroed but for the first four. */
struct rmr_dump_objects {
	struct rmr_dump_sink *sink;
	struct rmr_dump_tally *tally; /**< NULL for meliae's lines */
	bool meliae;
	uint64_t count; /**< of objects written */
	struct rmr_dump_heads heads;
	struct rmr_dump_smalls smalls;
	struct rmr_dump_type *types; /**< type_room of them, by id */
	uint32_t type_room;
	// An object whose parts are awaited.
	bool open, value_is_open, first_ref;
	bool uncounted; /**< its references are */
	unsigned part; /**< of the list that is open */
	struct rmr_dump_tail tail;
};

/** A TYPE record, whose bytes behind its first word are at @p c. */
struct rmr_error *rmr_dump_objects_type(
	struct rmr_dump_objects *w, struct rmr_dump_cursor *c) RMR_MUST_CHECK;
/** An OBJECT record. */
struct rmr_error *rmr_dump_objects_add(struct rmr_dump_objects *w, struct rmr_dump_cursor *c,
	const struct rmr_rec *head) RMR_MUST_CHECK;
/** A PART record. */
struct rmr_error *rmr_dump_objects_part(struct rmr_dump_objects *w, struct rmr_dump_cursor *c,
	const struct rmr_rec *head) RMR_MUST_CHECK;
void rmr_dump_objects_deinit(struct rmr_dump_objects *w);

/** A text as meliae has it: never longer than 100 characters. */
char *rmr_dump_meliae_text(char *p, const struct rmr_dump_text *text);
/**
 * An object's line, up to its end if no parts follow.
 * @param refs       @p count addresses, 8 bytes each: visited, hidden and keys
 * @param first_ref  set to whether no reference was written yet
 */
char *rmr_dump_meliae_object(char *p, const struct rmr_dump_object *o, const struct rmr_dump_type *type,
	const unsigned char *refs, size_t count, bool *first_ref);

/** A text as a JSON string. */
char *rmr_dump_put_text(char *p, const struct rmr_dump_text *text);
/** The name of a reference as a JSON string or null. */
char *rmr_dump_put_name(char *p, const struct rmr_dump_text *text);
/** An object's value, up to where it ends or goes on in the next record. */
char *rmr_dump_put_value(char *p, const struct rmr_dump_text *text);
/** A type's text of a line. Up to 15 bytes behind the new end may be overwritten. */
char *rmr_dump_put_type(char *p, const char *text, size_t size);
/** @p count addresses, 8 bytes each, with @p between before all but the very @p first. */
char *rmr_dump_put_addresses(char *p, const unsigned char *from, size_t count, bool *first,
	const char *between);
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
