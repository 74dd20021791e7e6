// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * How complete a dump is, reckoned while it is written: what completeness.h says of a dump that is
 * read, without reading it.
 *
 * For each object one byte holds its reference count less the references that were found: a byte for
 * every 16 bytes of the target's memory that has objects in it, so about a sixteenth of the heap.
 * Addresses come from the target: what they can make this use is bounded.
 */
#ifndef RMR_CLI_HEAP_DUMP_TALLY_H
#define RMR_CLI_HEAP_DUMP_TALLY_H

#include "cli/heap/completeness.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmr_dump_tally;

/** @return NULL if there is no memory; every function takes that, and tells nothing. */
struct rmr_dump_tally *rmr_dump_tally_create(void);
void rmr_dump_tally_destroy(struct rmr_dump_tally *tally);

/**
 * An object that counts @p rc references; @p is_immortal: by its flags, so that rc means nothing.
 * @return false for one that is left out: its references are not to be told
 */
bool rmr_dump_tally_object(struct rmr_dump_tally *tally, uint64_t address, uint64_t rc,
	bool is_immortal);
/**
 * An object whose references are not counted, a table of interned strings: to be said before it is
 * met. The tally gives up beyond some thousand of them.
 */
void rmr_dump_tally_leave_out(struct rmr_dump_tally *tally, uint64_t address);
/** References to the @p count addresses at @p from, 8 bytes each, in any alignment. */
void rmr_dump_tally_references(struct rmr_dump_tally *tally, const unsigned char *from,
	size_t count);

/**
 * True if the object at @p address counts more references than were found; then there is one more.
 * Tells the truth once everything else has been said.
 */
bool rmr_dump_tally_explain(struct rmr_dump_tally *tally, uint64_t address);

/** False if it cannot be told: memory ran out. To be called once, at the end. */
bool rmr_dump_tally_finish(struct rmr_dump_tally *tally, struct rmr_completeness *ret);

#endif
