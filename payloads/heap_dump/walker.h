// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The heap walker's parts among themselves; nobody else includes this.
 *
 *     walk.c    the collector's lists, the order of work, faults
 *     emit.c    one object -> one record and its children
 *     facts.c   what one object's record tells, but for its references
 *     types.c   what is known of each type      names.c  names of references, shapes
 *     sizes.c   sys.getsizeof                   values.c values, names, texts
 *     frames.c  frames and generators           roots.c  root records
 *     buffers.c who owns which bytes            traces.c tracemalloc's tables
 *     held.c    what the interpreter's own C state holds
 *     images.c  the writable data of programs and libraries
 *     globals.c what that data holds
 *     blocks.c  which memory is an object that nothing led to
 *     memory.c  mmap, the map of readable pages, the set of objects seen
 *
 * Objects are uint64_t addresses. Everything is single-threaded; all memory comes from mmap and is
 * given back by rmr_heap_dump_finish() or with the process.
 */
#ifndef RMR_PAYLOADS_HEAP_DUMP_WALKER_H
#define RMR_PAYLOADS_HEAP_DUMP_WALKER_H

#include "payloads/freestanding.h"
#include "payloads/heap_dump/heap_dump.h"
#include "payloads/heap_dump/layout.h"
#include "payloads/heap_dump/records.h"
#include "payloads/ring.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/** What an object is, subclasses included; rmr_type_info.exact tells them from the type itself. */
enum rmr_kind {
	RMR_KIND_OTHER,
	RMR_KIND_NONE,
	RMR_KIND_BOOL,
	RMR_KIND_INT,
	RMR_KIND_FLOAT,
	RMR_KIND_STR,
	RMR_KIND_BYTES,
	RMR_KIND_BYTEARRAY,
	RMR_KIND_LIST,
	RMR_KIND_TUPLE,
	RMR_KIND_DICT,
	RMR_KIND_SET,
	RMR_KIND_TYPE,
	RMR_KIND_MODULE,
	RMR_KIND_FUNCTION,
	RMR_KIND_BUILTIN,
	RMR_KIND_CODE,
	RMR_KIND_FRAME,
	RMR_KIND_GENERATOR,
	RMR_KIND_CELL,
	RMR_KIND_WEAKREF,
	RMR_KIND_DESCRIPTOR,
	RMR_KIND_DATETIME,
	RMR_KIND_RANGE,
	RMR_KIND_DTYPE, /**< numpy.dtype */
	RMR_KIND_LRU_CACHE,
	RMR_KIND_ELEMENT, /**< xml.etree.ElementTree.Element */
	RMR_KIND_VAR, /**< ob_size is the len: deque */
	// buffers.c knows their bytes, as it does a bytearray's.
	RMR_KIND_ARRAY, /**< array.array */
	RMR_KIND_MEMORYVIEW,
	RMR_KIND_MANAGED_BUFFER, /**< what the memoryviews of one buffer share */
	RMR_KIND_PICKLE_BUFFER,
	RMR_KIND_MMAP,
	RMR_KIND_CDATA, /**< all of ctypes' objects that hold data */
	RMR_KIND_BYTESIO,
	RMR_KIND_BYTESIO_EXPORT,
	RMR_KIND_NDARRAY,
	RMR_KIND_VOID, /**< numpy.void: a record, often a view of an array */
};

/** Where a numpy.dtype has what the walker reads. */
struct rmr_dtype_layout {
	int32_t itemsize, flags, subarray, fields, names, metadata;
	bool itemsize_is_wide; /**< numpy 2: 64 bits */
};

/** By which rule `__sizeof__` counts. */
enum rmr_size_rule {
	RMR_SIZE_OBJECT,
	RMR_SIZE_INT,
	RMR_SIZE_STR,
	RMR_SIZE_BYTEARRAY,
	RMR_SIZE_LIST,
	RMR_SIZE_SET,
	RMR_SIZE_DICT,
	RMR_SIZE_TYPE,
	RMR_SIZE_CODE,
	RMR_SIZE_FRAME,
	RMR_SIZE_GENERATOR,
	RMR_SIZE_CTYPE,  /**< a type object of ctypes, 3.13 and later */
	RMR_SIZE_CALL,   /**< call the type's own C function */
	RMR_SIZE_GUESS,  /**< Python code would have to run: flagged approximate */
};

/** A name of a reference. */
struct rmr_name {
	uint64_t text; /**< address of a str object, of a C string, or (INDEX, OFFSET) a number */
	uint8_t style; /**< enum rmr_text_style */
	bool is_c;     /**< text is a C string */
};

/** A place in an object that holds a reference. */
struct rmr_field {
	struct rmr_name name;
	uint32_t offset;
	bool borrowed; /**< not owned: gives its name to a reference, is none by itself */
};

/** What is known of a type; made when the first object of it is met, kept for the walk. */
struct rmr_type_info {
	uint64_t address;
	uint64_t flags;
	uint64_t traverse; /**< 0: no references by the collector */
	uint64_t is_gc;
	int64_t basicsize, itemsize;
	uint64_t sizeof_call; /**< RMR_SIZE_CALL: the C function */
	uint32_t id;
	uint32_t presize;
	uint8_t kind, size_rule;
	bool size_is_guess;
	bool exact;      /**< the built-in type itself, no subclass */
	bool leaf;       /**< exact and holds no reference at all */
	bool heap;       /**< made at run time: its objects hold a reference to it */
	bool own_class;  /**< and the collector is not told so */
	bool inline_values, managed_dict;
	bool faulted;    /**< its tp_traverse crashed: never called again */
	int64_t dictoffset;
	uint32_t inline_size; /**< bytes of inline values of each object */
	uint32_t field_count;
	struct rmr_field *fields;
	const struct rmr_dtype_layout *dtype; /**< of RMR_KIND_DTYPE */
	uint32_t stginfo, stginfo_format, stginfo_ndim; /**< of RMR_SIZE_CTYPE */
};

/** Bytes or characters that a record takes over. */
struct rmr_span {
	const void *data;
	uint64_t size; /**< bytes; 0 = nothing */
	uint8_t encoding;
};

/** A reference that is expected, with its name. */
struct rmr_candidate {
	uint64_t value;
	struct rmr_name name;
	bool borrowed, used;
};

enum {
	RMR_SCRATCH = 64 << 10,     /**< references in flight, of all levels of recursion */
	RMR_SCRATCH_MIN = RMR_REC_PART_REFS + 1024, /**< room that one more level needs */
	RMR_MAX_DEPTH = 64,
	RMR_MAX_CANDIDATES = 4096,
	RMR_MAX_SHAPE = 2048,       /**< names of one shape */
	RMR_CHUNK_SHIFT = 27,       /**< one chunk of the page map covers 128 MB */
	RMR_CHUNKS = 1 << (47 - RMR_CHUNK_SHIFT),
};

struct rmr_chunk {
	uint64_t readable[(1 << (RMR_CHUNK_SHIFT - 12)) / 64];
	uint64_t image[(1 << (RMR_CHUNK_SHIFT - 12)) / 64]; /**< data of a program or library */
	uint64_t seen[(1 << (RMR_CHUNK_SHIFT - 4)) / 64];
};

struct rmr_range {
	uint64_t start, end;
};

/** The bytes that an object shows. */
struct rmr_buffer {
	uint64_t data;  /**< address of the first */
	uint64_t bytes;
	uint64_t base;  /**< whose they are: the object itself, another one, or 0: not known */
	int64_t owned;  /**< what the object owns less what sys.getsizeof counts of it */
	bool is_in_size; /**< sys.getsizeof counts bytes beside tp_basicsize */
};

enum { RMR_MAX_OFFSETS = 64 };

/** References in the memory of an array: at each of @c offsets in each of its items. */
struct rmr_elements {
	uint64_t data, count;
	uint32_t step;
	uint32_t offset_count;
	bool too_many;
	uint32_t offsets[RMR_MAX_OFFSETS];
};

/** A file of which the start is mapped. */
struct rmr_file {
	uint64_t start;
	const char *name; /**< last part of its path */
};

/** The writable data of a program or library. */
struct rmr_image {
	struct rmr_range range;
	uint64_t base; /**< what addresses in the file are relative to */
	const char *name;
};

struct rmr_block; // memory.c

struct rmr_jump {
	void *words[5]; /**< of __builtin_setjmp */
};

/** tracemalloc's table from blocks to tracebacks (traces.c). */
struct rmr_trace_table {
	uint64_t buckets, entries;
	uint64_t count;  /**< of buckets, a power of two; 0: no table */
	uint64_t value;  /**< where in an entry size and traceback are; 0: behind a pointer */
	bool has_domain; /**< 3.6 and 3.7: the key may be followed by a domain */
};

struct rmr_heap_dump {
	struct rmr_runtime rt;
	struct rmr_python_api api;
	struct rmr_heap_dump_request request;
	struct rmr_ring *ring;
	long prepared_pid;
	bool in_twin;
	bool failed; /**< the ring was closed or memory ran out: unwind */
	enum rmr_heap_dump_status status;

	// memory.c
	struct rmr_chunk **chunks;
	struct rmr_range *ranges;
	uint64_t range_count, range_room;
	struct rmr_file *files; /**< those of which the start is mapped */
	uint64_t file_count, file_room;
	// images.c
	struct rmr_image *images;
	uint64_t image_count, image_room;
	uint64_t *statics; /**< objects met that lie in images and have a true reference count */
	uint64_t static_count, static_room;

	// globals.c
	uint64_t *places; /**< where C memory holds what may be the address of an object */
	uint64_t place_count, place_room, place_index;

	// memory.c
	struct rmr_block *blocks; /**< every mapping */
	struct rmr_block *small;  /**< the one that small allocations are cut from */
	struct rmr_chunk *spare;  /**< stands in (nothing readable) where nothing is mapped, or memory ran out */
	uint64_t total_mapped;

	// types.c
	struct rmr_type_info **types; /**< open addressing by address */
	uint64_t type_room, type_count;

	// names.c
	struct rmr_shape_slot *shapes;
	uint64_t shape_room, shape_count;
	struct rmr_candidate *candidates;
	uint32_t candidate_count;
	uint32_t first_unused;
	struct rmr_name *names; /**< of the object in hand, RMR_MAX_SHAPE */

	// traces.c
	struct rmr_trace_table traces;
	struct rmr_trace_slot *trace_ids;    /**< open addressing by traceback */
	struct rmr_trace_slot *trace_frames; /**< the same by the frames */
	uint64_t trace_room, trace_count, tracebacks;
	uint64_t traced;      /**< objects with a trace */
	bool traces_are_lost; /**< tracemalloc is (or may be) on, and its table was not read */

	// emit.c
	struct collector *collector; /**< of the object in hand */
	struct rmr_buffer buffer;    /**< of the object in hand, if it has one */
	uint64_t *scratch;
	uint32_t scratch_top;
	uint32_t depth;
	uint64_t *stack; /**< addresses put off because the recursion got too deep */
	uint64_t stack_count, stack_room;
	uint64_t lookups[8][2]; /**< 3.6 to 3.10: dk_lookup -> whether keys are visited */
	uint32_t lookup_count;

	// walk.c
	struct rmr_jump *jump;       /**< where a fault in foreign code goes on, or NULL */
	struct rmr_jump *outer_jump; /**< the same for our own code */
	uint64_t list_heads[64];
	uint64_t list_left[64]; /**< objects of each that are not yet walked */
	uint32_t list_count, list_index;
	uint64_t list_node;
	uint64_t tracked, left; /**< objects on the lists; not yet walked */
	unsigned phase;
	uint64_t current_type;
	uint64_t progress; /**< moves with every reference: the watchdog looks at it */
	uint64_t watched;
	uint32_t watch_ticks;
	bool calls_are_off; /**< a __sizeof__ hung: none is called any more */
	bool waiting; /**< for room in the ring: the watchdog keeps quiet */
	uint64_t objects, references, bytes, roots, faults;
	char partial[256];
};

// ---- memory.c ----

/** Zeroed pages, or NULL; never given back before finish. */
void *rmr_memory_map(struct rmr_heap_dump *w, uint64_t size);
/** A small zeroed allocation that lives as long as the walk; NULL sets w->failed. */
void *rmr_memory_small(struct rmr_heap_dump *w, uint64_t size);
/** Reads the memory map, from @p maps_fd or (-1) /proc/self/maps, and makes the page map. */
bool rmr_memory_init(struct rmr_heap_dump *w, int maps_fd);
void rmr_memory_deinit(struct rmr_heap_dump *w);
struct rmr_chunk *rmr_memory_chunk(struct rmr_heap_dump *w, uint64_t index);
/** Makes an array twice as large (or @p first items); false when memory ran out. */
bool rmr_memory_grow(struct rmr_heap_dump *w, void **array, uint64_t *room, uint64_t item,
	uint64_t first);

static inline struct rmr_chunk *rmr_chunk_of(struct rmr_heap_dump *w, uint64_t address)
{
	struct rmr_chunk *chunk = w->chunks[address >> RMR_CHUNK_SHIFT & (RMR_CHUNKS - 1)];

	return likely(chunk) ? chunk : rmr_memory_chunk(w, address >> RMR_CHUNK_SHIFT);
}

/** True if @p address can be an object's: aligned, and its first 16 bytes can be read. */
static inline bool rmr_is_readable(struct rmr_heap_dump *w, uint64_t address)
{
	if (unlikely(address >> 47 || address < 4096 || address & 7))
		return false;
	struct rmr_chunk *chunk = rmr_chunk_of(w, address);
	uint64_t page = address >> 12 & ((1 << (RMR_CHUNK_SHIFT - 12)) - 1);
	return chunk->readable[page >> 6] >> (page & 63) & 1;
}

/** True if @p address, which rmr_is_readable(), lies in the writable data of a program or library. */
static inline bool rmr_is_in_image(struct rmr_heap_dump *w, uint64_t address)
{
	struct rmr_chunk *chunk = rmr_chunk_of(w, address);
	uint64_t page = address >> 12 & ((1 << (RMR_CHUNK_SHIFT - 12)) - 1);

	return chunk->image[page >> 6] >> (page & 63) & 1;
}

/** True if the @p size bytes at @p address can be read. */
bool rmr_memory_has(struct rmr_heap_dump *w, uint64_t address, uint64_t size);

/** Puts @p address into the set of objects seen; true if it was there already. */
static inline bool rmr_see(struct rmr_heap_dump *w, uint64_t address)
{
	struct rmr_chunk *chunk = rmr_chunk_of(w, address);
	uint64_t granule = address >> 4 & ((1 << (RMR_CHUNK_SHIFT - 4)) - 1);
	uint64_t bit = UINT64_C(1) << (granule & 63);
	uint64_t *word = &chunk->seen[granule >> 6];

	if (*word & bit)
		return true;
	*word |= bit;
	return false;
}

/** Takes it out again. */
static inline void rmr_unsee(struct rmr_heap_dump *w, uint64_t address)
{
	struct rmr_chunk *chunk = rmr_chunk_of(w, address);
	uint64_t granule = address >> 4 & ((1 << (RMR_CHUNK_SHIFT - 4)) - 1);

	chunk->seen[granule >> 6] &= ~(UINT64_C(1) << (granule & 63));
}

static inline bool rmr_is_seen(struct rmr_heap_dump *w, uint64_t address)
{
	struct rmr_chunk *chunk = rmr_chunk_of(w, address);
	uint64_t granule = address >> 4 & ((1 << (RMR_CHUNK_SHIFT - 4)) - 1);

	return chunk->seen[granule >> 6] >> (granule & 63) & 1;
}

// ---- images.c ----

/** Finds the writable data of every ELF file that is mapped, and marks its pages. */
void rmr_images_find(struct rmr_heap_dump *w);
/** Notes an object that lies in an image: nothing frees it, and its first reference is nobody's. */
void rmr_images_note(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object);
/** The data that @p address lies in; false if it lies in none. */
bool rmr_images_of(struct rmr_heap_dump *w, uint64_t address, struct rmr_range *ret);

// ---- blocks.c ----

/**
 * True if an object of a type that is known lies at @p object, for certain: the allocator has given
 * out a block that begins there and is as long as such an object is, and it is referred to. For words
 * of C data, which may as well be the address of what was freed long ago.
 */
bool rmr_blocks_hold(struct rmr_heap_dump *w, uint64_t object);

// ---- globals.c ----

/** Writes the objects that only C memory leads to: static variables, and the state of modules. */
void rmr_globals_find(struct rmr_heap_dump *w);
/**
 * Writes a root for each library whose data holds the addresses of objects: static variables of
 * extensions, and what Cython keeps of a module; and for each module of C with memory of its own (its
 * state). Of a word nothing is known but what it holds, so that the dump takes only those that explain
 * a reference count. Comes last.
 */
void rmr_globals_write(struct rmr_heap_dump *w);

// ---- types.c ----

/** What is known of the type at @p type; NULL if that is no type. Writes its TYPE record. */
struct rmr_type_info *rmr_types_make(struct rmr_heap_dump *w, uint64_t type);

static inline uint64_t rmr_hash(uint64_t x)
{
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

static inline struct rmr_type_info *rmr_types_get(struct rmr_heap_dump *w, uint64_t type)
{
	uint64_t mask = w->type_room - 1;

	for (uint64_t i = rmr_hash(type) & mask;; i = (i + 1) & mask) {
		struct rmr_type_info *info = w->types[i];
		if (unlikely(!info))
			return rmr_types_make(w, type);
		if (likely(info->address == type))
			return info;
	}
}

/** The same, or NULL, of a type that was met before. */
static inline const struct rmr_type_info *rmr_types_find(const struct rmr_heap_dump *w, uint64_t type)
{
	uint64_t mask = w->type_room - 1;

	for (uint64_t i = rmr_hash(type) & mask; w->types[i]; i = (i + 1) & mask) {
		if (w->types[i]->address == type)
			return w->types[i];
	}
	return NULL;
}

bool rmr_types_init(struct rmr_heap_dump *w);
/**
 * True if type @p base is one that C code made with this tp_name: static, or (as a name with a dot in
 * it) a heap type of an extension module.
 */
bool rmr_types_is_c(struct rmr_heap_dump *w, uint64_t base, const char *name);
/** tp_dict, also of a static type of 3.12 or later (then the main interpreter's). */
uint64_t rmr_types_dict(struct rmr_heap_dump *w, uint64_t type);
/** The dict of subclasses of a static type of 3.12 or later, or 0. */
uint64_t rmr_types_subclasses(struct rmr_heap_dump *w, uint64_t type);
struct rmr_span rmr_types_name(struct rmr_heap_dump *w, uint64_t type);
struct rmr_span rmr_types_module(struct rmr_heap_dump *w, uint64_t type);
/** True if the collector may visit the object. */
bool rmr_types_object_is_gc(struct rmr_heap_dump *w, const struct rmr_type_info *info,
	uint64_t object);

// ---- values.c ----

struct rmr_span rmr_values_str(struct rmr_heap_dump *w, uint64_t object);
struct rmr_span rmr_values_c_string(struct rmr_heap_dump *w, uint64_t text);
/** True if @p span is the ASCII text @p text. */
bool rmr_values_equal(struct rmr_span span, const char *text);
/** Writes a text header and its bytes at @p p (room is there); returns the end. */
uint64_t *rmr_values_put(uint64_t *p, struct rmr_span span, unsigned style, bool more);
/** The value of the dict's entry with string key @p key, or 0. */
uint64_t rmr_values_dict_get(struct rmr_heap_dump *w, uint64_t dict, const char *key);

/** A walk over the entries of a dict. */
struct rmr_dict_iter {
	uint64_t keys, values, entry, end, step;
	uint64_t index;      /**< of the entry, before it is advanced over */
	uint64_t key, value; /**< of the entry reached */
	uint8_t key_at, value_at;
	bool is_general;     /**< the collector visits keys, too (3.11+) */
};

void rmr_dict_start(struct rmr_heap_dump *w, struct rmr_dict_iter *iter, uint64_t keys,
	uint64_t values);

static inline bool rmr_dict_next(struct rmr_dict_iter *iter)
{
	while (iter->entry < iter->end) {
		iter->key = rmr_word(iter->entry, iter->key_at);
		iter->value = iter->values ? rmr_word(iter->values, iter->index * 8)
					   : rmr_word(iter->entry, iter->value_at);
		iter->entry += iter->step;
		iter->index++;
		if (iter->value)
			return true;
	}
	return false;
}

/** Entries of a keys table (dk_nentries). */
uint64_t rmr_dict_entries(struct rmr_heap_dump *w, uint64_t keys);

// ---- sizes.c ----

/** sys.getsizeof(object); sets *approximate where it could not be had exactly. */
uint64_t rmr_sizes_get(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	bool *approximate);
uint64_t rmr_sizes_int_digits(struct rmr_heap_dump *w, uint64_t object, bool *negative_ret,
	uint64_t *digits_ret);
/** Finds the rule for a new type. */
void rmr_sizes_find_rule(struct rmr_heap_dump *w, struct rmr_type_info *info);
uint64_t rmr_sizes_keys(struct rmr_heap_dump *w, uint64_t keys);

// ---- buffers.c ----

/** The kind of a C type whose objects have bytes, or numpy.dtype; RMR_KIND_OTHER for all others. */
uint8_t rmr_buffers_kind(struct rmr_heap_dump *w, uint64_t type);
/** The layout of the objects of numpy.dtype, which its members tell; NULL if it is none that is known. */
const struct rmr_dtype_layout *rmr_buffers_dtype(struct rmr_heap_dump *w, uint64_t type);
/**
 * The bytes of an object of a kind that has some; false if it has none.
 * @param size  sys.getsizeof(object)
 */
bool rmr_buffers_get(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	uint64_t size, struct rmr_buffer *ret);
/**
 * The references in the memory of a numpy array or record that owns it: ndarray has no tp_traverse,
 * and a view's elements are its base's. False if there are none.
 */
bool rmr_buffers_elements(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_elements *ret);

/** Reference number @p i of all; 0 for none. */
static inline uint64_t rmr_buffers_element(const struct rmr_elements *e, uint64_t i)
{
	uint64_t item = e->offset_count == 1 ? i : i / e->offset_count, element;
	uint32_t offset = e->offsets[e->offset_count == 1 ? 0 : i % e->offset_count];

	// Items of a packed record lie anywhere.
	memcpy(&element, (const char *)(uintptr_t)e->data + item * e->step + offset, 8);
	return element;
}

// ---- names.c ----

bool rmr_names_init(struct rmr_heap_dump *w);
/** Forgets the candidates of the object before. */
static inline void rmr_names_reset(struct rmr_heap_dump *w)
{
	w->candidate_count = 0;
	w->first_unused = 0;
}
void rmr_names_add(struct rmr_heap_dump *w, uint64_t value, struct rmr_name name, bool borrowed);
/** Adds what the type's fields, dict, inline values and frame of @p object hold. */
void rmr_names_collect(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object);
/**
 * Gives the references their names and returns the shape (0 = none has one). Candidates that no
 * reference took are appended to @p refs as hidden references: *hidden_ret of them.
 */
uint32_t rmr_names_match(struct rmr_heap_dump *w, uint64_t *refs, uint32_t count, uint32_t room,
	uint32_t *hidden_ret);

#define RMR_C_NAME(string) ((struct rmr_name){(uintptr_t)(string), RMR_STYLE_ATTR, true})

/**
 * The shape of a namespace's dict (an instance's, a class's, a module's, sys.modules) whose keys are
 * @p keys, or 0 if it is none: for dumps without values, in which names stay all the same.
 */
uint32_t rmr_names_of_namespace(struct rmr_heap_dump *w, uint64_t dict, const uint64_t *keys,
	uint32_t count);
/** The instance attribute @p name of @p object, read from memory, or 0. */
uint64_t rmr_names_attribute(struct rmr_heap_dump *w, uint64_t object, const char *name);

// ---- frames.c ----

/** Adds a frame object's or generator's locals and fields as candidates. */
void rmr_frames_collect(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object);
/** The code object of a frame object or a generator, or 0. */
uint64_t rmr_frames_code(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object);
/**
 * Adds the locals of a frame of @p code whose fast locals lie at @p locals.
 * @param plain  style of a local's name: RMR_STYLE_ATTR or _LOCAL (a cell's is always _CELL)
 */
void rmr_frames_add_locals(struct rmr_heap_dump *w, uint64_t code, uint64_t locals,
	unsigned plain);
/** The line that is run at @p lasti (bytes), or -1. */
int32_t rmr_frames_line(struct rmr_heap_dump *w, uint64_t code, int64_t lasti);
/** The line where the frame object @p object of @p code is, or was when it ended; or -1. */
int32_t rmr_frames_line_of(struct rmr_heap_dump *w, uint64_t object, uint64_t code);
/** True if the object at @p code is a code object. */
bool rmr_frames_is_code(struct rmr_heap_dump *w, uint64_t code);

// ---- facts.c ----

/** What is known of an object before its record is begun. */
struct rmr_facts {
	uint64_t size, rc, len, owned, weak;
	int64_t line;
	struct rmr_span name, module, file, value;
	const struct rmr_buffer *buffer;
	uint64_t small; /**< holds the bytes of a value that is no text */
	bool has_len, has_line, has_value;
	bool value_goes_on;
	uint32_t shape, trace;
	unsigned flags; /**< IMMORTAL and what follows it; from bit 16 on those of the record's part */
};

/** What every object has; @p f needs no initial values and must not move, as it holds its value. */
void rmr_facts_get(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_facts *f);
/** What only objects with references have; @p f is of rmr_facts_get(). */
void rmr_facts_get_more(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_facts *f);

// ---- emit.c ----

/** Writes the record of @p object and those of all objects that only it leads to. */
void rmr_emit(struct rmr_heap_dump *w, uint64_t object, bool tracked);
/** Follows a reference: an object not seen yet and not on the collector's lists is written. */
void rmr_emit_child(struct rmr_heap_dump *w, uint64_t child);
/** Writes what the depth limit put off. */
void rmr_emit_rest(struct rmr_heap_dump *w);
bool rmr_emit_init(struct rmr_heap_dump *w);
/** Room for a record of RMR_REC_MAX bytes; NULL if the reader is gone. */
uint64_t *rmr_emit_begin(struct rmr_heap_dump *w);
/** Ends the record that starts at @p start and goes to @p end. */
void rmr_emit_end(struct rmr_heap_dump *w, uint64_t *start, uint64_t *end, unsigned kind,
	unsigned part, unsigned flags);

// ---- roots.c ----

void rmr_roots_write(struct rmr_heap_dump *w);
/** Adds a reference of a root to the candidates; @p name (as it is) may be NULL. */
void rmr_roots_add(struct rmr_heap_dump *w, uint64_t value, const char *name);
/** Writes the candidates as a root of kind static with this label, and forgets them. */
void rmr_roots_flush(struct rmr_heap_dump *w, const char *label, uint64_t interpreter);
/** The same of kind data. */
void rmr_roots_flush_data(struct rmr_heap_dump *w, const char *label);
/** The static types, once all types are known. */
void rmr_roots_write_static(struct rmr_heap_dump *w);

// ---- traces.c ----

/** Looks for tracemalloc's table; w->traces.count tells whether it was found. */
void rmr_traces_find(struct rmr_heap_dump *w);
/** Number of the TRACE record of where @p object was allocated, which is written; 0: not known. */
uint32_t rmr_traces_get(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object);

// ---- held.c ----

/**
 * Writes the roots that are tables and fields of the interpreter's own C state: the type attribute
 * cache, small ints, one-character strings, the syntax tree's types, ... Each is recognised by what
 * it holds, not only by its place.
 */
void rmr_held_write(struct rmr_heap_dump *w);

// ---- walk.c ----

/** Calls tp_traverse under the guard; false if it crashed (then the type is skipped from now on). */
bool rmr_walk_traverse(struct rmr_heap_dump *w, struct rmr_type_info *info, uint64_t object,
	int (*visit)(uint64_t child, struct rmr_heap_dump *w));
/** Calls a METH_NOARGS `__sizeof__` under the guard; 0 if it crashed or gave no int. */
uint64_t rmr_walk_call_sizeof(struct rmr_heap_dump *w, uint64_t function, uint64_t object);

#endif
