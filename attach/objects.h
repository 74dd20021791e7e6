// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Python objects read from outside: strings, integers, dicts, attributes. The target may run on
 * meanwhile, so everything read may be torn or hostile: types are compared, lengths and loops
 * bounded, and what makes no sense is "not there".
 */
#ifndef RMR_ATTACH_OBJECTS_H
#define RMR_ATTACH_OBJECTS_H

#include "attach/memory.h"
#include "payloads/heap_dump/layout.h"

enum {
	RMR_OBJECTS_TEXT = 4096,  /**< characters of a string that are read */
	RMR_OBJECTS_BYTES = 1 << 20, /**< longer bytes objects are "not there" */
	RMR_OBJECTS_ITEMS = 1 << 20, /**< entries of a dict that are looked at */
};

/** How to read the objects of one target. */
struct rmr_objects {
	struct rmr_memory *memory; /**< borrowed */
	const struct rmr_layout *layout;
	uint32_t header; /**< 0, or 16 where Py_TRACE_REFS puts two words before the header */
	rmr_addr_t str, bytes, code, dict, integer; /**< the types' addresses */
};

/** Finds the layout and the types of @p target. RMR_E_UNSUPPORTED if they are none that is known;
 *  RMR_E_TARGET, _GONE. */
struct rmr_error *rmr_objects_init(struct rmr_objects *objects, const struct rmr_target *target,
	struct rmr_memory *memory) RMR_MUST_CHECK;

/** True if @p address can be an object's, and its type is exactly @p type. */
bool rmr_objects_is(const struct rmr_objects *objects, rmr_addr_t address, rmr_addr_t type);

/** The word at @p offset (of a 16-byte header's layout) of an object, 0 if it is not mapped. */
uint64_t rmr_objects_word(const struct rmr_objects *objects, rmr_addr_t address, int32_t offset);

/**
 * A str as UTF-8, cut after RMR_OBJECTS_TEXT characters; lone surrogates are encoded as if they were
 * characters. Freed by the caller. NULL if it is no str, or remora is out of memory.
 */
char *rmr_objects_text(const struct rmr_objects *objects, rmr_addr_t address);

/** The content of a bytes object, *size_ret bytes, freed by the caller; NULL as above. */
unsigned char *rmr_objects_bytes(
	const struct rmr_objects *objects, rmr_addr_t address, size_t *size_ret);

/** An int from 0 to 2**64-1. */
bool rmr_objects_uint(const struct rmr_objects *objects, rmr_addr_t address, uint64_t *ret);

/** A walk over a dict's entries, or over an instance's attributes. */
struct rmr_objects_walk {
	rmr_addr_t key, value; /**< of the current entry */
	/* own */
	rmr_addr_t entry, values;
	uint64_t left;
	unsigned step, key_at, value_at;
};

/** Starts at the dict @p address; false if it is none. Then call rmr_objects_next(). */
bool rmr_objects_walk_dict(
	const struct rmr_objects *objects, rmr_addr_t address, struct rmr_objects_walk *walk);
bool rmr_objects_next(const struct rmr_objects *objects, struct rmr_objects_walk *walk);

/** The value of the string key @p key in a dict; 0 if there is none. */
rmr_addr_t rmr_objects_item(
	const struct rmr_objects *objects, rmr_addr_t dict, const char *key);

/** The attribute @p name in the instance's own dict, or beside it; 0 if there is none. */
rmr_addr_t rmr_objects_attribute(
	const struct rmr_objects *objects, rmr_addr_t instance, const char *name);

#endif
