// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum {
	CACHE_ENTRIES = 1 << 12,      // MCACHE_SIZE_EXP of Objects/typeobject.c, 3.6 to 3.15
	CACHE_ENTRY = 24,             // {unsigned version; PyObject *name; PyObject *value}
	CACHE_SIZE = CACHE_ENTRIES * CACHE_ENTRY,
	CHARACTERS = 256,
	SMALL_INTS = 262,             // -5 to 256
	BATCH = 1000,
};

static bool is_exactly(struct rmr_heap_dump *w, uint64_t object, void *type)
{
	return !(object & 7) && rmr_is_readable(w, object) &&
		rmr_type_of(&w->rt, object) == (uintptr_t)type;
}

static void add(struct rmr_heap_dump *w, uint64_t value, const char *label)
{
	if (value)
		rmr_roots_add(w, value, NULL);
	if (w->candidate_count == BATCH)
		rmr_roots_flush(w, label, 0);
}

// ---- the type attribute cache ----

// MCACHE_HASH_METHOD(): by the name's hash up to 3.9, by its address after.
static uint64_t cache_index(struct rmr_heap_dump *w, uint64_t version, uint64_t name)
{
	enum { STR_HASH = 24 };
	uint64_t key = w->rt.minor <= 9 ? rmr_at(&w->rt, name, STR_HASH) : name >> 3;

	return (version ^ key) & (CACHE_ENTRIES - 1);
}

// Each entry is empty, or has a name that belongs to this place.
static bool is_cache(struct rmr_heap_dump *w, uint64_t base)
{
	enum { ENOUGH = 16 };
	uint64_t filled = 0;

	for (uint64_t i = 0; i < CACHE_ENTRIES; i++) {
		uint64_t entry = base + i * CACHE_ENTRY;
		uint64_t version = rmr_word(entry, 0) & UINT32_MAX, name = rmr_word(entry, 8);
		if (!name || name == (uintptr_t)w->api._Py_NoneStruct)
			continue;
		if (!is_exactly(w, name, w->api.PyUnicode_Type))
			return false;
		if (version) {
			if (cache_index(w, version, name) != i)
				return false;
			filled++;
		}
	}
	return filled >= ENOUGH;
}

// Where the cache starts if the word at @p at is the name of one of its entries.
static uint64_t cache_around(struct rmr_heap_dump *w, const struct rmr_range *range, uint64_t at)
{
	uint64_t version = rmr_word(at, -8), name = rmr_word(at, 0);

	if (!version || version >> 32 || at < range->start + 8)
		return 0;
	uint64_t base = at - 8 - cache_index(w, version, name) * CACHE_ENTRY;
	if (base < range->start || base + CACHE_SIZE > range->end || !is_cache(w, base))
		return 0;
	return base;
}

static void write_cache(struct rmr_heap_dump *w, uint64_t base)
{
	static const char label[] = "<type attribute cache>";

	for (uint64_t i = 0; i < CACHE_ENTRIES; i++)
		add(w, rmr_word(base + i * CACHE_ENTRY, 8), label);
	rmr_roots_flush(w, label, 0);
}

// ---- tables of characters and small ints ----

// The number of the one character of a str or bytes object, or -1.
static int character(struct rmr_heap_dump *w, uint64_t object, bool is_str)
{
	if (!is_exactly(w, object, is_str ? w->api.PyUnicode_Type : w->api.PyBytes_Type) ||
		rmr_at(&w->rt, object, 16) != 1)
		return -1;
	if (!is_str)
		return rmr_at8(&w->rt, object, 32);
	struct rmr_span span = rmr_values_str(w, object);
	return span.size == 1 ? *(const unsigned char *)span.data : -1;
}

// 256 pointers, each NULL or to the one-character object of its number.
static uint64_t characters_around(struct rmr_heap_dump *w, const struct rmr_range *range,
	uint64_t at, bool is_str)
{
	enum { ENOUGH = 8 };
	int number = character(w, rmr_word(at, 0), is_str), found = 0;
	uint64_t base = at - 8 * (uint64_t)number;

	if (number < 0 || base < range->start || base + CHARACTERS * 8 > range->end)
		return 0;
	for (int i = 0; i < CHARACTERS; i++) {
		uint64_t word = rmr_word(base, i * 8);
		if (word && character(w, word, is_str) != i)
			return 0;
		found += word != 0;
	}
	return found >= ENOUGH ? base : 0;
}

static bool is_small_int(struct rmr_heap_dump *w, uint64_t object, int64_t value)
{
	bool negative;
	uint64_t digits;

	if (!is_exactly(w, object, w->api.PyLong_Type))
		return false;
	uint64_t count = rmr_sizes_int_digits(w, object, &negative, &digits);
	int64_t is = count == 1 ? rmr_word32(digits, 0) : count ? INT64_MAX : 0;
	return (negative ? -is : is) == value;
}

static bool are_small_ints(struct rmr_heap_dump *w, const struct rmr_range *range, uint64_t at)
{
	if (at + SMALL_INTS * 8 > range->end)
		return false;
	for (int i = 0; i < SMALL_INTS; i++) {
		if (!is_small_int(w, rmr_word(at, i * 8), i - 5))
			return false;
	}
	return true;
}

static void write_table(struct rmr_heap_dump *w, uint64_t base, int count, const char *label)
{
	for (int i = 0; i < count; i++)
		add(w, rmr_word(base, i * 8), label);
	rmr_roots_flush(w, label, 0);
}

// ---- the syntax tree's types, and OSError's subclasses by number ----

static bool is_type_named(struct rmr_heap_dump *w, uint64_t type, const char *name)
{
	if (!is_exactly(w, type, w->api.PyType_Type))
		return false;
	return rmr_values_equal(rmr_values_c_string(w, rmr_at(&w->rt, type, RMR_TYPE_NAME)), name);
}

static bool has_base(struct rmr_heap_dump *w, uint64_t type, uint64_t base)
{
	enum { DEEP = 16 };

	for (int i = 0; i < DEEP && type != base && rmr_is_readable(w, type); i++)
		type = rmr_at(&w->rt, type, RMR_TYPE_BASE);
	return type == base;
}

// Include/internal/pycore_ast_state.h: nothing but references, the first to the type "AST", in one
// piece: types, strings, and instances of AST.
static uint64_t write_ast(struct rmr_heap_dump *w, const struct rmr_range *range, uint64_t at)
{
	enum { MOST = 400, FEWEST = 100 };
	uint64_t ast = rmr_word(at, 0), count = 0, end = at;

	for (; end + 8 <= range->end && count < MOST; end += 8) {
		uint64_t word = rmr_word(end, 0);
		if (!word)
			continue;
		uint64_t type = word & 7 || !rmr_is_readable(w, word) ? 0 : rmr_type_of(&w->rt, word);
		if (type != (uintptr_t)w->api.PyType_Type &&
			type != (uintptr_t)w->api.PyUnicode_Type && !(type && has_base(w, type, ast)))
			break;
		count++;
	}
	if (count < FEWEST)
		return 0;
	for (uint64_t i = at; i < end; i += 8)
		add(w, rmr_word(i, 0), "<syntax tree types>");
	rmr_roots_flush(w, "<syntax tree types>", 0);
	return end;
}

// Objects/exceptions.c, errnomap: {errno: subclass of OSError}.
static bool is_errno_map(struct rmr_heap_dump *w, uint64_t dict)
{
	enum { FEWEST = 10 };
	struct rmr_dict_iter iter;
	int count = 0;

	// One reference: the list of free dicts lies in the same data, and those have none.
	if (rmr_at(&w->rt, dict, 0) != 1 || rmr_at(&w->rt, dict, 16) < FEWEST ||
		!rmr_is_readable(w, rmr_at(&w->rt, dict, 32)))
		return false;
	rmr_dict_start(w, &iter, rmr_at(&w->rt, dict, 32), rmr_at(&w->rt, dict, 40));
	while (rmr_dict_next(&iter)) {
		if (!is_exactly(w, iter.key, w->api.PyLong_Type) ||
			!is_exactly(w, iter.value, w->api.PyType_Type) ||
			!(rmr_at(&w->rt, iter.value, RMR_TYPE_FLAGS) & RMR_TPFLAG_BASE_EXC) ||
			rmr_at(&w->rt, iter.value, RMR_TYPE_FLAGS) & RMR_TPFLAG_HEAPTYPE)
			return false;
		count++;
	}
	return count >= FEWEST;
}

// ---- identifiers of C code ----

// struct _Py_Identifier of 3.6 to 3.9: {next, const char *string, PyObject *object}, in static data.
static bool is_identifier(struct rmr_heap_dump *w, uint64_t at)
{
	uint64_t next = rmr_word(at, -16), text = rmr_word(at, -8);

	if ((next && (next & 7 || !rmr_is_readable(w, next) || !rmr_is_in_image(w, next))) || !text)
		return false;
	struct rmr_span string = rmr_values_c_string(w, text);
	struct rmr_span object = rmr_values_str(w, rmr_word(at, 0));
	return string.size && string.size == object.size && object.encoding == RMR_TEXT_LATIN1 &&
		memcmp(string.data, object.data, string.size) == 0;
}

static void search_identifiers(struct rmr_heap_dump *w)
{
	static const char label[] = "<identifiers of C code>";

	for (uint64_t i = 0; i < w->image_count && !w->failed; i++) {
		const struct rmr_range *image = &w->images[i].range;
		uint64_t at = ((image->start + 7) & ~UINT64_C(7)) + 16;
		for (; at + 8 <= image->end; at += 8) {
			uint64_t word = rmr_word(at, 0);
			if (is_exactly(w, word, w->api.PyUnicode_Type) && is_identifier(w, at))
				add(w, word, label);
		}
	}
	rmr_roots_flush(w, label, 0);
}

// ---- all ----

// One range of C data. Each table is found by its contents.
static void search(struct rmr_heap_dump *w, const struct rmr_range *range)
{
	uint64_t found = 0;
	uint64_t at = ((range->start + 7) & ~UINT64_C(7)) + 8;

	for (; at + 8 <= range->end && !w->failed; at += 8) {
		uint64_t word = rmr_word(at, 0);
		if (word < 4096 || word & 7 || !rmr_is_readable(w, word))
			continue;
		uint64_t type = rmr_type_of(&w->rt, word);
		if (type == (uintptr_t)w->api.PyUnicode_Type) {
			if ((found = cache_around(w, range, at))) {
				write_cache(w, found);
				at = found + CACHE_SIZE - 8;
			} else if ((found = characters_around(w, range, at, true))) {
				write_table(w, found, CHARACTERS, "<one-character strings>");
				at = found + CHARACTERS * 8 - 8;
			}
		} else if (type == (uintptr_t)w->api.PyBytes_Type) {
			if ((found = characters_around(w, range, at, false))) {
				write_table(w, found, CHARACTERS, "<one-character bytes>");
				at = found + CHARACTERS * 8 - 8;
			}
		} else if (type == (uintptr_t)w->api.PyLong_Type) {
			if (are_small_ints(w, range, at)) {
				write_table(w, at, SMALL_INTS, "<small integers>");
				at += SMALL_INTS * 8 - 8;
			}
		} else if (type == (uintptr_t)w->api.PyType_Type) {
			if ((is_type_named(w, word, "ast.AST") || is_type_named(w, word, "_ast.AST")) &&
				(found = write_ast(w, range, at)))
				at = found - 8;
		} else if (type == (uintptr_t)w->api.PyDict_Type && is_errno_map(w, word)) {
			add(w, word, NULL);
			rmr_roots_flush(w, "<exceptions by errno>", 0);
		}
	}
}

// The part of the interpreter's state that holds such tables.
static struct rmr_range interpreter_range(struct rmr_heap_dump *w, uint64_t interp)
{
	enum { BEFORE_CACHE = 8 << 10 };
	const struct rmr_layout *l = w->rt.layout;

	if (l->interp_size != RMR_NONE)
		return (struct rmr_range){interp, interp + (uint64_t)l->interp_size};
	if (w->rt.static_types == RMR_NONE)
		return (struct rmr_range){0};
	// Include/internal/pycore_typeobject.h, struct types_state: the cache, a count, the types.
	uint64_t types = interp + (uint64_t)w->rt.static_types - 8;
	return (struct rmr_range){types - CACHE_SIZE - BEFORE_CACHE, types};
}

void rmr_held_write(struct rmr_heap_dump *w)
{
	uint64_t interp = (uintptr_t)((void *(*)(void))w->api.PyInterpreterState_Head)();
	struct rmr_range range;

	// Without the map of memory nothing tells which word is an address.
	if (!w->image_count)
		return;
	rmr_names_reset(w);
	while (interp) {
		range = interpreter_range(w, interp);
		if (range.start)
			search(w, &range);
		interp = (uintptr_t)((void *(*)(void *))w->api.PyInterpreterState_Next)(
			(void *)interp);
	}
	// Up to 3.10 much of it is static data of the interpreter's program or library.
	if (w->rt.minor <= 10 && rmr_images_of(w, (uintptr_t)w->api.PyType_Type, &range))
		search(w, &range);
	if (w->rt.minor <= 9)
		search_identifiers(w);
}
