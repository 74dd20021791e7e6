// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The arrays behind struct rmr_heap. They lie in memory or in the mapped index file, which is
 * untrusted: whoever follows an id or an offset from a section checks it against the counts.
 */
#ifndef RMR_CLI_HEAP_HEAP_INTERNAL_H
#define RMR_CLI_HEAP_HEAP_INTERNAL_H

#include "cli/heap/completeness.h"
#include "cli/heap/heap.h"
#include "cli/heap/populate.h"
#include "cli/heap/source.h"

#include <stdatomic.h>

enum rmr_section {
	RMR_SECTION_ADDRESS,   /**< uint64_t a object, ascending */
	RMR_SECTION_LINE,      /**< uint64_t a object: offset of its line in the dump */
	RMR_SECTION_SIZE,      /**< uint32_t a object, narrow (reader.h), as are the next four */
	RMR_SECTION_RC,
	RMR_SECTION_LEN,
	RMR_SECTION_OWNED,
	RMR_SECTION_SHAPE,     /**< index in SHAPES, or NARROW_UNKNOWN */
	RMR_SECTION_TYPE,      /**< uint32_t a object */
	RMR_SECTION_FLAGS,     /**< uint16_t a object */
	RMR_SECTION_ABSENT,    /**< uint64_t an absent address, ascending */
	RMR_SECTION_OUT_BASE,  /**< uint64_t a block of 2^16 objects */
	RMR_SECTION_OUT_FIRST, /**< uint32_t: the block's base + this is the first reference */
	RMR_SECTION_OUT,       /**< uint32_t a reference: what it refers to */
	RMR_SECTION_IN_BASE,   /**< the same for ids, absent ones too, and who refers to them */
	RMR_SECTION_IN_FIRST,
	RMR_SECTION_IN,
	RMR_SECTION_TRACE,     /**< uint32_t a object: index in TRACES, or NARROW_UNKNOWN; none: empty */
	RMR_SECTION_TRACES,    /**< uint64_t a trace: offset of its line */
	RMR_SECTION_SHAPES,    /**< uint64_t a shape: offset of its line */
	RMR_SECTION_TYPES,     /**< struct rmr_stored_type */
	RMR_SECTION_ROOTS,     /**< struct rmr_stored_root */
	RMR_SECTION_ROOT_REFS, /**< uint32_t: ids */
	RMR_SECTION_ROOTED,    /**< struct rmr_rooted, by id */
	RMR_SECTION_LARGE,     /**< struct rmr_large, by id: containers of many references */
	RMR_SECTION_LARGE_ORDER, /**< uint32_t: numbers of their references, in order of the targets */
	RMR_SECTION_STRINGS,   /**< NUL-terminated texts, the last byte of the section is NUL */
	RMR_SECTIONS,
};

/** Offsets into STRINGS; RMR_NO_OBJECT is NULL. */
struct rmr_stored_type {
	uint64_t class_address, count, bytes;
	int64_t owned;
	uint64_t max_size;
	uint32_t class_id, largest, name, module, label, reserved;
};

struct rmr_stored_root {
	uint64_t line; /**< offset in the dump */
	uint64_t first, count; /**< in ROOT_REFS */
	uint64_t thread, native, depth, source_line;
	uint32_t kind, kind_text, label, thread_name, function, file;
};

/** A reference of a root. */
struct rmr_rooted {
	uint32_t id, root;
};

/** A container with its references in LARGE_ORDER. */
struct rmr_large {
	uint64_t first;
	uint32_t id, reserved;
};

/** Counts of what is in the sections, and what was odd. All of it is in the index's header. */
struct rmr_counts {
	uint64_t objects, absent, references, types, roots, root_references, shapes, traces;
	uint64_t large, large_references;
	uint64_t bytes;
	int64_t owned;
	uint64_t data_size;       /**< bytes of JSON */
	uint64_t header, trailer; /**< offset of the line, or UNKNOWN */
	uint64_t cut;             /**< offset of the cut-off line, or UNKNOWN */
	uint64_t headers, brackets, commas, others, duplicates, absent_references, unknown_shapes;
	uint64_t no_rc;           /**< records without a reference count */
};

/** Built-in types whose instances the analyses know how to read. */
enum rmr_builtin {
	RMR_BUILTIN_OTHER,
	RMR_BUILTIN_STR,
	RMR_BUILTIN_BYTES,
	RMR_BUILTIN_BYTEARRAY,
	RMR_BUILTIN_LIST,
	RMR_BUILTIN_TUPLE,
	RMR_BUILTIN_DICT,
	RMR_BUILTIN_SET,
	RMR_BUILTIN_FROZENSET,
	RMR_BUILTIN_CELL,
	RMR_BUILTIN_MODULE,
	RMR_BUILTIN_TYPE,
	RMR_BUILTIN_FUNCTION,
	RMR_BUILTIN_CODE,
	RMR_BUILTIN_FRAME,
	RMR_BUILTIN_WEAKREF,
	RMR_BUILTIN_MEMORYVIEW,
	RMR_BUILTINS,
};

struct rmr_heap {
	struct rmr_source source;
	char *path;
	struct rmr_counts counts;
	void *sections[RMR_SECTIONS];
	size_t section_bytes[RMR_SECTIONS];
	/* How to give them back: one mapping of a whole index file, or one a section. */
	void *index;
	size_t index_size;
	char *index_path; /**< where the index lies, or NULL */
	struct rmr_populate populate; /**< of that mapping */

	/* Typed views of the sections. */
	const uint64_t *address, *line, *absent, *out_base, *in_base, *shapes, *traces;
	const uint32_t *size, *rc, *len, *owned, *shape, *type, *trace;
	const uint32_t *out_first, *out, *in_first, *in, *root_refs;
	const uint16_t *flags;
	const struct rmr_rooted *rooted;
	const struct rmr_large *large;
	const uint32_t *large_order;

	struct rmr_type *types;
	unsigned char *builtins; /**< enum rmr_builtin of each type */
	_Atomic unsigned char *kinds; /**< enum rmr_kin of each type, found when it is asked for */
	struct rmr_root *roots;
	uint32_t *weak_tables; /**< ids of the tables of interned strings, ascending */
	size_t weak_table_count;
	struct rmr_heap_facts facts;
	char **warnings;
	size_t warning_count, warning_room;
	char *owned_text[16]; /**< what facts points to */
	size_t owned_text_count;
	bool verified;        /**< built here: all of it is sound */
	atomic_bool checked;  /**< rmr_heap_verify() passed: the numbers are */
	const volatile sig_atomic_t *interrupted; /**< of the options, or NULL */
};

/** For qsort(): of uint32_t, the least first. */
static inline int rmr_compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/** True for a table of interned strings: its references are not counted, and keep nothing alive. */
static inline bool rmr_heap_is_weak_table(const struct rmr_heap *heap, uint32_t id)
{
	size_t low = 0, high = heap->weak_table_count;

	if (__builtin_expect(!high || id < heap->weak_tables[0] || id > heap->weak_tables[high - 1], 1))
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (heap->weak_tables[middle] == id)
			return true;
		if (heap->weak_tables[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/** How many references of objects are counted: none of a table of interned strings. */
uint64_t rmr_heap_counted_referrers(const struct rmr_heap *heap, uint32_t id);

/** How many objects an analysis may pass before it asks again: a millisecond or so. */
enum { RMR_INTERRUPT_STEPS = 1 << 12 };

/** True if the person wants no answer any more. To be asked now and then by whatever is long. */
static inline bool rmr_heap_is_interrupted(const struct rmr_heap *heap)
{
	return heap->interrupted && *heap->interrupted;
}

/** The same, cheap enough to ask at each @p step of a loop. */
static inline bool rmr_heap_is_interrupted_at(const struct rmr_heap *heap, uint64_t step)
{
	return !(step & (RMR_INTERRUPT_STEPS - 1)) && rmr_heap_is_interrupted(heap);
}

/** Why an analysis ended midway: it was interrupted, or else there is no memory. */
struct rmr_error *rmr_heap_ended(const struct rmr_heap *heap) RMR_MUST_CHECK;

/** Blocks of offsets: 2^16 entries share a base. */
enum { RMR_BLOCK_SHIFT = 16 };

static inline uint64_t rmr_offset(const uint64_t *base, const uint32_t *first, uint64_t index)
{
	return base[index >> RMR_BLOCK_SHIFT] + first[index];
}

/** The index of @p address among @p count ascending ones, or RMR_NO_OBJECT. */
static inline uint32_t rmr_sorted_find(const uint64_t *addresses, size_t count, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (addresses[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && addresses[low] == address ? (uint32_t)low : RMR_NO_OBJECT;
}

/** True for objects whose reference count does not count: flagged so, or too large. */
static inline bool rmr_heap_is_immortal(const struct rmr_heap *heap, uint32_t id)
{
	return heap->flags[id] & RMR_FLAG_IMMORTAL || heap->rc[id] >= RMR_IMMORTAL_COUNT;
}

/** Which built-in type @p id is an exact instance of. */
static inline enum rmr_builtin rmr_heap_builtin(const struct rmr_heap *heap, uint32_t id)
{
	uint32_t type = rmr_heap_type(heap, id);

	return type == RMR_NO_TYPE ? RMR_BUILTIN_OTHER : (enum rmr_builtin)heap->builtins[type];
}

/** The first entry of ROOTED that is of @p id, or where it would be. */
uint64_t rmr_heap_first_rooted(const struct rmr_heap *heap, uint32_t id);

struct rmr_text;
/**
 * A Python literal of the object's value: of str, bytes, numbers, None, and tuples of them; else
 * `<Type at 0x...>`. At most about @p max characters of text. @return false for the last.
 */
bool rmr_literal_object(const struct rmr_heap *heap, uint32_t id, size_t max,
	struct rmr_text *text);
/** The text of a JSON string, what cannot be printed escaped. */
void rmr_literal_plain(struct rmr_slice slice, struct rmr_text *text);

/**
 * For a dict whose references are keys and values in turns: true if a key comes first. So it is in
 * meliae's dumps of Python 2 (PyDict_Next()), while later Pythons, and so remora's dumps, have the
 * value first (Objects/dictobject.c, dict_traverse()). In meliae's, strings at one place only tell.
 */
bool rmr_names_key_first(const struct rmr_heap *heap, struct rmr_ids pairs);

/** What a type inherits its items from. */
enum rmr_kin {
	RMR_KIN_UNKNOWN, /**< nobody asked */
	RMR_KIN_OTHER,
	RMR_KIN_DICT,
	RMR_KIN_SEQUENCE, /**< list or tuple */
	RMR_KIN_DEQUE,    /**< collections.deque */
};
/** Of the object's type, a built-in one or a class of the program. */
enum rmr_kin rmr_names_kin(const struct rmr_heap *heap, uint32_t id);

/** The items of the class's __mro__, the last first; none if the dump does not have it. */
struct rmr_ids rmr_names_mro(const struct rmr_heap *heap, uint32_t class);
/** What @p dict has under a key that is a str, or RMR_NO_OBJECT. */
uint32_t rmr_names_value(const struct rmr_heap *heap, uint32_t dict, const char *key);

/** True if child number @p index is a key of a dict, whatever the dump calls it. */
bool rmr_names_is_key(const struct rmr_names *names, uint64_t index);

/**
 * The key that tells the name of child number @p index, a key of a dict or the value under one;
 * RMR_NO_OBJECT if its name is told by something else.
 */
uint32_t rmr_names_told_by(const struct rmr_names *names, uint64_t index);

/** Where the items of a container are among its references: first, first + step, ... */
struct rmr_items {
	uint64_t first, count;
	unsigned step;
};
/** The values of dicts, the items of sequences, all references of anything else. */
struct rmr_items rmr_names_items(const struct rmr_heap *heap, uint32_t id);

/** Fills @p items (malloc()ed) with the elements of the JSON array @p array: NULL for no string. */
bool rmr_names_parse(struct rmr_slice array, struct rmr_slice **items, size_t *count_ret);

/** The number of bytes that section @p section has with these counts; STRINGS: any. */
uint64_t rmr_section_size(enum rmr_section section, const struct rmr_counts *counts);

/**
 * Checks every number in the sections against the counts, once. Whole-heap analyses call it before
 * they index arrays of their own by what they find; it costs nothing for a heap that was built
 * here. RMR_E_INPUT: the index file is corrupt.
 */
struct rmr_error *rmr_heap_verify(const struct rmr_heap *heap) RMR_MUST_CHECK;

/** After the sections are there: types, roots, facts and warnings. */
struct rmr_error *rmr_heap_finish(struct rmr_heap *heap) RMR_MUST_CHECK;

/** The line at an offset of the data, NULL if it is out of bounds or no object. Untrusted. */
const char *rmr_heap_line_at(const struct rmr_heap *heap, uint64_t offset);

#endif
