// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A loaded heap dump: objects, references in both directions, types and roots in compact arrays.
 *
 * Objects have ids: [0, count) in ascending order of address. Addresses that references name and
 * no record describes are *absent*; they have the ids [count, count + absent), ascending too, no
 * type, size 0 and no references. Text (names, values) stays in the mapped dump and is decoded on
 * demand. A heap is immutable once open: any thread may read it.
 */
#ifndef RMR_CLI_HEAP_HEAP_H
#define RMR_CLI_HEAP_HEAP_H

#include "attach/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmr_heap;

enum {
	RMR_NO_OBJECT = 0xffffffff, /**< no such object */
	RMR_NO_TYPE = 0xffffffff,   /**< the type of an absent object */
};

/** A number that the dump does not tell (rc, len of an object that has none). */
#define RMR_HEAP_UNKNOWN UINT64_MAX

struct rmr_heap_options {
	unsigned threads; /**< at most so many; 0: as many as there are CPUs */
	bool no_index;    /**< neither read nor write an index file */
	bool often_asked; /**< many questions will come: an index is mapped for them, by a thread */
	/** NULL, or called now and then from the calling thread; @p total may be 0 (not known) */
	void (*progress)(void *context, const char *stage, uint64_t done, uint64_t total);
	void *progress_context;
	/**
	 * NULL, or a flag that a signal handler sets: the load then ends with RMR_E_INTERRUPTED, and
	 * so does every analysis of the heap; it lives as long as the heap
	 */
	const volatile sig_atomic_t *interrupted;
};

/**
 * Opens a dump of remora or of meliae: plain, .gz or .zst (told by content), file or pipe; "-" is
 * standard input. Uses the index file of a plain or compressed regular file if it fits, writes one
 * if not; that it cannot be written is no error.
 * @param options  NULL for the defaults
 * @return RMR_E_INPUT with line and column for what is no dump, RMR_E_OS, RMR_E_INTERRUPTED
 */
struct rmr_error *rmr_heap_open(const char *path, const struct rmr_heap_options *options,
	struct rmr_heap **ret) RMR_MUST_CHECK;

/**
 * The same from an open descriptor (an unlinked temporary file, a pipe), read from its start if it
 * can seek. The descriptor stays the caller's and may be closed after; no index file is used.
 * @param name  what messages call it
 */
struct rmr_error *rmr_heap_open_fd(int fd, const char *name,
	const struct rmr_heap_options *options, struct rmr_heap **ret) RMR_MUST_CHECK;

void rmr_heap_close(struct rmr_heap *heap);

enum rmr_heap_format {
	RMR_HEAP_REMORA,
	RMR_HEAP_MELIAE, /**< no header: no rc, class, names or roots */
};

/** What the dump says of itself, and totals. Strings live as long as the heap; NULL: not told. */
struct rmr_heap_facts {
	enum rmr_heap_format format;
	const char *path;
	uint64_t file_size;  /**< bytes of JSON, decompressed */
	bool from_index;     /**< an index file was used: nothing was parsed */
	bool complete;       /**< it ends with a trailer of the header's id */
	const char *id;
	const char *python;  /**< "3.11.2" */
	const char *build;
	const char *exe;
	const char *cmdline; /**< the arguments, joined by spaces */
	const char *host;
	const char *time;
	const char *mode;
	const char *values;
	const char *partial; /**< the trailer's reason, or NULL */
	uint64_t pid;        /**< 0: not told, as for all numbers here */
	uint64_t rss;
	uint64_t stop_us;
	uint64_t gil_us;
	uint64_t walk_ms;
	uint64_t objects;
	uint64_t absent;     /**< addresses referred to without a record */
	uint64_t references; /**< refs + hidden + keys */
	uint64_t bytes;      /**< sum of sizes */
	int64_t owned;       /**< sum of what objects own beside their size */
	uint64_t types;
	uint64_t roots;
};
const struct rmr_heap_facts *rmr_heap_facts(const struct rmr_heap *heap);

/** What was odd in the dump, a sentence each: "cut off: ...", "3 duplicate addresses: ...". */
size_t rmr_heap_warning_count(const struct rmr_heap *heap);
const char *rmr_heap_warning(const struct rmr_heap *heap, size_t index);

/* Objects */

uint32_t rmr_heap_count(const struct rmr_heap *heap);
/** count + absent: ids are below it. */
uint32_t rmr_heap_id_end(const struct rmr_heap *heap);
bool rmr_heap_is_absent(const struct rmr_heap *heap, uint32_t id);
uint64_t rmr_heap_address(const struct rmr_heap *heap, uint32_t id);
/** The id at @p address, absent ones too, or RMR_NO_OBJECT. O(log n). */
uint32_t rmr_heap_find(const struct rmr_heap *heap, uint64_t address);

uint32_t rmr_heap_type(const struct rmr_heap *heap, uint32_t id);
uint64_t rmr_heap_size(const struct rmr_heap *heap, uint32_t id);
/** What it owns beside its size; negative where its size counts what another object has. */
int64_t rmr_heap_owned(const struct rmr_heap *heap, uint32_t id);
/** RMR_HEAP_UNKNOWN where the dump has none. */
uint64_t rmr_heap_rc(const struct rmr_heap *heap, uint32_t id);
uint64_t rmr_heap_len(const struct rmr_heap *heap, uint32_t id);

/** Bits of rmr_heap_flags(). */
enum rmr_heap_flag {
	RMR_FLAG_IMMORTAL = 1 << 0,
	RMR_FLAG_INTERNED = 1 << 1,
	RMR_FLAG_UNTRACKED = 1 << 2,
	RMR_FLAG_APPROXIMATE = 1 << 3,
	RMR_FLAG_WEAK = 1 << 4,   /**< a weakref: "weak" tells what to */
	RMR_FLAG_KEYS = 1 << 5,   /**< the record has keys */
	RMR_FLAG_HIDDEN = 1 << 6, /**< the record has hidden references */
	RMR_FLAG_VALUE = 1 << 7,
	RMR_FLAG_NAME = 1 << 8,
	RMR_FLAG_MODULE = 1 << 9, /**< the record has a module: it is a type object */
	RMR_FLAG_FINALIZER = 1 << 10, /**< the record says that it has a __del__ */
	RMR_FLAG_BUFFER = 1 << 11, /**< the record tells of a buffer (buffers.h) */
};
unsigned rmr_heap_flags(const struct rmr_heap *heap, uint32_t id);
/** "immortal", ...: the dump's word for one flag bit, or NULL if it is none of the dump's. */
const char *rmr_heap_flag_name(unsigned flag);

/** A piece of JSON text in the mapped dump; NULL: the key is not there. */
struct rmr_slice {
	const char *start;
	size_t size;
};

/** One record, decoded on demand. Slices are raw JSON values (a string with its quotes). */
struct rmr_record {
	uint64_t address, size, rc, len, class_address, weak, line;
	int64_t owned;
	uint64_t buffer, data;     /**< UNKNOWN: none */
	uint64_t base;             /**< 0: the object's own; UNKNOWN: not known whose */
	uint64_t trace;            /**< number of the trace of its allocation */
	uint64_t shape;            /**< RMR_HEAP_UNKNOWN: none; as are rc, len, class_address, weak, line */
	uint64_t refs, hidden, keys; /**< how many */
	unsigned flags;
	struct rmr_slice type, name, module, value, file;
	struct rmr_slice text;     /**< the whole line, without its newline */
};
/** Reads the record of @p id again. An absent id gives a record with only an address. */
void rmr_heap_record(const struct rmr_heap *heap, uint32_t id, struct rmr_record *ret);

/**
 * What a person calls the object, in at most about @p max characters: a Python literal for values
 * ('text', b'..', 42, None), `<function f>`, `<module os>`, `<code f at app.py:3>`, or NULL where
 * only type and address tell it apart. malloc()ed.
 */
char *rmr_heap_describe(const struct rmr_heap *heap, uint32_t id, size_t max);

/**
 * The record's name, and its value: a string as UTF-8 (lone surrogates as \udXXX), anything else
 * as the dump's JSON has it. malloc()ed, or NULL where the record has none.
 */
char *rmr_heap_name(const struct rmr_heap *heap, uint32_t id);
char *rmr_heap_value(const struct rmr_heap *heap, uint32_t id);

/* References */

struct rmr_ids {
	const uint32_t *ids; /**< lives as long as the heap */
	uint64_t count;
};
/** What @p id refers to: refs, then hidden, then keys, in the dump's order, duplicates kept. */
struct rmr_ids rmr_heap_children(const struct rmr_heap *heap, uint32_t id);
/** Who refers to @p id, ascending; one that refers to it twice is there twice. */
struct rmr_ids rmr_heap_referrers(const struct rmr_heap *heap, uint32_t id);

enum rmr_reference_kind {
	RMR_REFERENCE_REF,    /**< what the collector visits */
	RMR_REFERENCE_HIDDEN, /**< what it does not */
	RMR_REFERENCE_KEY,    /**< a dict's key */
};

/** The decoded names of one object's references. */
struct rmr_names;
struct rmr_error *rmr_names_create(const struct rmr_heap *heap, uint32_t id,
	struct rmr_names **ret) RMR_MUST_CHECK;
void rmr_names_destroy(struct rmr_names *names);
enum rmr_reference_kind rmr_names_kind(const struct rmr_names *names, uint64_t index);
/** True if child number @p index has a name that names it. Cheap. */
bool rmr_names_has(const struct rmr_names *names, uint64_t index);
/**
 * The text of child number @p index as it continues a path: ".attr", "[3]", "['k']"; for a dict's
 * key "<key 'k'>"; NULL where it has none. malloc()ed.
 */
char *rmr_names_text(const struct rmr_names *names, uint64_t index);

/* Types */

struct rmr_type {
	const char *name;   /**< as the dump has it: "Node" */
	const char *module; /**< NULL if not known */
	const char *label;  /**< "app.Node"; builtins and types of unknown module: the plain name */
	uint64_t class_address; /**< RMR_HEAP_UNKNOWN: not told */
	uint32_t class_id;  /**< the type object, or RMR_NO_OBJECT */
	uint32_t largest;   /**< id of the largest instance by size */
	uint64_t count;     /**< exact instances (no subclasses) */
	uint64_t bytes;
	int64_t owned;
	uint64_t max_size;  /**< size of the largest */
};
uint32_t rmr_heap_type_count(const struct rmr_heap *heap);
/** Types are ordered by bytes, most first; @p type < rmr_heap_type_count(). */
const struct rmr_type *rmr_heap_type_info(const struct rmr_heap *heap, uint32_t type);
/** "app.Node" of an object's type; "<absent>" for an absent one. Never NULL. */
const char *rmr_heap_type_label(const struct rmr_heap *heap, uint32_t id);
/**
 * The first type at or after @p from whose label or plain name is @p name, or RMR_NO_TYPE: call
 * again with the last answer + 1, as one name may have several types.
 */
uint32_t rmr_heap_find_type(const struct rmr_heap *heap, const char *name, uint32_t from);

/* Roots */

enum rmr_root_kind {
	RMR_ROOT_INTERPRETER,
	RMR_ROOT_FRAME,
	RMR_ROOT_THREAD,
	RMR_ROOT_STATIC,
	RMR_ROOT_INTERNED, /**< of tables of interned strings: they hold those weakly */
	RMR_ROOT_OTHER,    /**< a kind that this remora does not know: a root like interpreter */
};
struct rmr_root {
	enum rmr_root_kind kind;
	const char *kind_text;
	const char *label;
	struct rmr_ids refs;
	/* 0 or NULL where not told: */
	uint64_t thread;    /**< ident of the thread of a thread or frame root */
	uint64_t native;
	uint64_t depth, line;
	const char *thread_name, *function, *file;
	struct rmr_slice text; /**< the whole line */
};
uint32_t rmr_heap_root_count(const struct rmr_heap *heap);
const struct rmr_root *rmr_heap_root(const struct rmr_heap *heap, uint32_t root);
/** The name of reference number @p index of @p root, or NULL. malloc()ed. */
char *rmr_heap_root_name(const struct rmr_heap *heap, uint32_t root, uint64_t index);
/** True if a root refers to @p id directly. */
bool rmr_heap_is_rooted(const struct rmr_heap *heap, uint32_t id);
/** How many references of roots name @p id. */
uint64_t rmr_heap_root_references(const struct rmr_heap *heap, uint32_t id);
/**
 * How many references to @p id were found that its reference count counts: of objects and roots, but
 * for those of a table of interned strings.
 */
uint64_t rmr_heap_counted_references(const struct rmr_heap *heap, uint32_t id);
/**
 * True if C code holds @p id: it is mortal, and its reference count is larger than the references
 * that were found.
 */
bool rmr_heap_is_held_by_c(const struct rmr_heap *heap, uint32_t id);
/** True for what is no garbage though no root leads to it: C code holds it, or it is immortal. */
bool rmr_heap_is_kept(const struct rmr_heap *heap, uint32_t id);

#endif
