// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * What the heap walker writes to the ring and the dump writer reads: records, little endian, each a
 * multiple of 8 bytes, each at most RMR_REC_MAX. To the reader they are untrusted input.
 *
 * Order: TYPE before the first object of that type, SHAPE and TRACE before the first object that uses
 * it, the parts of an object directly after it, END last. Everything else comes in any order.
 *
 * A *text* is one header word (struct rmr_text) and its bytes, padded to 8.
 */
#ifndef RMR_PAYLOADS_HEAP_DUMP_RECORDS_H
#define RMR_PAYLOADS_HEAP_DUMP_RECORDS_H

#include <stdint.h>

enum {
	RMR_REC_MAX = 256 << 10,      /**< bytes of the largest record */
	RMR_REC_PART_REFS = 16 << 10, /**< at most so many references in one record */
	RMR_REC_PART_TEXT = 64 << 10, /**< at most so many bytes of value in one record */
	RMR_REC_MAX_TEXT = 16 << 10,  /**< bytes of any text that is no value */
};

enum rmr_rec_kind {
	RMR_REC_TYPE = 1,
	RMR_REC_SHAPE,
	RMR_REC_OBJECT,
	RMR_REC_PART,
	RMR_REC_ROOT,
	RMR_REC_COUNT, /**< how far the walk is; now and then */
	RMR_REC_END,
	RMR_REC_TRACE,
};

/** First word of every record. */
struct rmr_rec {
	uint32_t size; /**< bytes of the whole record, this word included */
	uint8_t kind;  /**< enum rmr_rec_kind */
	uint8_t part;  /**< PART: enum rmr_rec_part; ROOT: enum rmr_rec_root; OBJECT: flags */
	uint16_t flags;
};

enum rmr_text_encoding {
	RMR_TEXT_UTF8,   /**< C strings of the target; may be ill-formed */
	RMR_TEXT_LATIN1, /**< one byte a character; bytes objects too */
	RMR_TEXT_UCS2,
	RMR_TEXT_UCS4,
	RMR_TEXT_NONE,   /**< value only: None */
	RMR_TEXT_FALSE,
	RMR_TEXT_TRUE,
	RMR_TEXT_INT,    /**< value only: 8 bytes, signed */
	RMR_TEXT_DIGITS, /**< value only: an int >= 0 in 30-bit digits, 4 bytes each, least first */
	RMR_TEXT_NEGATIVE_DIGITS,
	RMR_TEXT_FLOAT,  /**< value only: 8 bytes, IEEE 754 */
	RMR_TEXT_ENCODINGS,
};

/** How a text becomes the name of a reference. */
enum rmr_text_style {
	RMR_STYLE_PLAIN, /**< as it is */
	RMR_STYLE_NULL,  /**< no name: null; the text is empty */
	RMR_STYLE_ATTR,  /**< .text */
	RMR_STYLE_LOCAL, /**< <local text> */
	RMR_STYLE_CELL,  /**< <cell text> */
	RMR_STYLE_INDEX, /**< [text] */
	RMR_STYLE_KEY,   /**< ['text'] */
	RMR_STYLE_OFFSET, /**< [+0xtext] */
	RMR_STYLES,
};

struct rmr_text {
	uint32_t size;    /**< bytes, without the padding */
	uint8_t encoding; /**< enum rmr_text_encoding */
	uint8_t style;    /**< enum rmr_text_style; 0 where the text is no reference's name */
	uint8_t more;     /**< value only: 1 = goes on in the next PART */
	uint8_t pad;
};

/** RMR_REC_TYPE: then two texts, name and module. Ids count up from 0. */
struct rmr_rec_type {
	struct rmr_rec head;
	uint64_t address;
	uint32_t id;
	uint32_t pad;
};

/** RMR_REC_SHAPE: then @c count texts. Ids count up from 1. */
struct rmr_rec_shape {
	struct rmr_rec head;
	uint32_t id;
	uint32_t count;
};

/** Flags of RMR_REC_OBJECT. Those up to VALUE say which fields follow, in this order. */
enum rmr_object_flags {
	RMR_OBJECT_WIDE = 1 << 0,   /**< uint64_t size, int64_t rc instead of the 32-bit ones */
	RMR_OBJECT_LEN = 1 << 1,    /**< uint64_t */
	RMR_OBJECT_OWNED = 1 << 2,  /**< int64_t, bytes */
	RMR_OBJECT_WEAK = 1 << 3,   /**< uint64_t, address */
	RMR_OBJECT_COUNTS = 1 << 4, /**< uint32_t hidden, uint32_t keys in this record; else both 0 */
	RMR_OBJECT_LINE = 1 << 5,   /**< int64_t */
	RMR_OBJECT_NAME = 1 << 6,   /**< text */
	RMR_OBJECT_MODULE = 1 << 7, /**< text */
	RMR_OBJECT_FILE = 1 << 8,   /**< text */
	RMR_OBJECT_VALUE = 1 << 9,  /**< text */
	RMR_OBJECT_MORE = 1 << 10,  /**< PART records follow; also a flag of PART itself */
	RMR_OBJECT_TRACE = 1 << 15, /**< uint64_t, id of a TRACE record; after LINE, before BUFFER */
	// What the dump's "flags" key says.
	RMR_OBJECT_IMMORTAL = 1 << 11,
	RMR_OBJECT_INTERNED = 1 << 12,
	RMR_OBJECT_UNTRACKED = 1 << 13,
	RMR_OBJECT_APPROXIMATE = 1 << 14,
};

/** Bits of an object's struct rmr_rec.part: more flags. */
enum {
	/** uint64_t bytes, data (address), base (the object's own address, another one's, or 0); before NAME */
	RMR_OBJECT_BUFFER = 1 << 0,
};

/**
 * RMR_REC_OBJECT: then the fields that the flags name, then references to the end of the record,
 * 8 bytes each: first refs, then hidden, then keys (the last two as many as COUNTS says).
 */
struct rmr_rec_object {
	struct rmr_rec head;
	uint64_t address;
	uint32_t type;  /**< id of a TYPE record */
	uint32_t shape; /**< id of a SHAPE record, or 0 */
	uint32_t size;  /**< bytes */
	uint32_t rc;
};

/** RMR_REC_PART: more of the object before it. Parts come in this order. */
enum rmr_rec_part {
	RMR_PART_VALUE, /**< one text that goes on; the last has more = 0 */
	RMR_PART_REFS,  /**< addresses to the end of the record */
	RMR_PART_HIDDEN,
	RMR_PART_KEYS,
	RMR_PARTS,
};

enum rmr_rec_root {
	RMR_ROOT_INTERPRETER,
	RMR_ROOT_THREAD,
	RMR_ROOT_FRAME,
	RMR_ROOT_STATIC,
	RMR_ROOT_INTERNED,
	RMR_ROOT_DATA, /**< the last of all: words of a library's data that are objects' addresses */
	RMR_ROOTS,
};

/**
 * RMR_REC_ROOT: then three texts (INTERPRETER: label; THREAD: name or empty; FRAME: function, the
 * thread's name in the second, file in the third), then @c count addresses, then @c count texts.
 */
struct rmr_rec_root_head {
	struct rmr_rec head;
	uint64_t interpreter; /**< id of the interpreter */
	uint64_t ident;       /**< THREAD, FRAME: pthread_self() of the thread */
	uint64_t native;      /**< THREAD: the kernel's id, or 0 */
	uint32_t depth;       /**< FRAME: 0 = innermost */
	int32_t line;         /**< FRAME: or -1 */
	uint32_t count;
	uint32_t pad;
};

/**
 * RMR_REC_TRACE: then @c count frames, the innermost first: a word, the line, and a text, the file.
 * Ids count up from 1.
 */
struct rmr_rec_trace {
	struct rmr_rec head;
	uint32_t id;
	uint32_t count;
};

/** RMR_REC_COUNT. */
struct rmr_rec_count {
	struct rmr_rec head;
	uint64_t tracked; /**< objects that the collector's lists hold */
	uint64_t done;    /**< those of them that were written, with what only they lead to */
};

/** Whether the target keeps traces of its allocations. */
enum rmr_tracemalloc {
	RMR_TRACEMALLOC_OFF,
	RMR_TRACEMALLOC_ON,
	RMR_TRACEMALLOC_LOST, /**< on, or in a dump without a twin perhaps on: not read */
};

/** RMR_REC_END: then one text: why the dump is partial, or empty. */
struct rmr_rec_end {
	struct rmr_rec head;
	uint64_t objects;
	uint64_t references; /**< refs + hidden + keys of the objects */
	uint64_t bytes;      /**< sum of sizes */
	uint64_t types, shapes, roots;
	uint64_t faults;     /**< objects whose references could not be read */
	uint64_t walk_ns;
	uint64_t traces, traced; /**< TRACE records, and objects that have one */
	uint64_t tracemalloc;    /**< enum rmr_tracemalloc */
};

#endif
