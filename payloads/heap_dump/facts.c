// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum {
	MAX_CHARACTERS = 100,
	MAX_DIGITS_SHORT = 12, // 30-bit digits: 108 decimal digits
	MAX_DIGITS_FULL = 476, // 4300 decimal digits, Python's own limit for printing
};

static void set_small(struct rmr_facts *f, unsigned encoding, uint64_t bits, unsigned size)
{
	f->small = bits;
	f->value = (struct rmr_span){&f->small, size, (uint8_t)encoding};
	f->has_value = true;
}

static void int_value(struct rmr_heap_dump *w, uint64_t object, struct rmr_facts *f)
{
	bool negative;
	uint64_t at, count = rmr_sizes_int_digits(w, object, &negative, &at);
	unsigned limit = w->request.values == RMR_VALUES_FULL ? MAX_DIGITS_FULL : MAX_DIGITS_SHORT;
	const uint32_t *digits = (const uint32_t *)(uintptr_t)at;

	if (count <= 2) {
		int64_t value = count > 0 ? digits[0] : 0;
		value += count > 1 ? (int64_t)digits[1] << 30 : 0;
		set_small(f, RMR_TEXT_INT, (uint64_t)(negative ? -value : value), 8);
	} else if (count <= limit) {
		f->value = (struct rmr_span){digits, count * 4,
			negative ? RMR_TEXT_NEGATIVE_DIGITS : RMR_TEXT_DIGITS};
		f->has_value = true;
	}
}

// Sets the value to what the option leaves of it.
static void text_value(struct rmr_heap_dump *w, struct rmr_facts *f, struct rmr_span span)
{
	unsigned width = span.encoding == RMR_TEXT_UCS2 ? 2 : span.encoding == RMR_TEXT_UCS4 ? 4 : 1;

	if (w->request.values == RMR_VALUES_NONE || !span.data)
		return;
	if (w->request.values == RMR_VALUES_SHORT && span.size > MAX_CHARACTERS * width)
		span.size = MAX_CHARACTERS * width;
	f->value = span;
	f->has_value = true;
}

static void scalar_facts(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_facts *f)
{
	const struct rmr_runtime *rt = &w->rt;
	bool values = w->request.values != RMR_VALUES_NONE && info->exact;

	switch (info->kind) {
	case RMR_KIND_NONE:
		set_small(f, RMR_TEXT_NONE, 0, 0);
		break;
	case RMR_KIND_BOOL:
		if (values)
			set_small(f, object == (uintptr_t)w->api._Py_TrueStruct ? RMR_TEXT_TRUE
									: RMR_TEXT_FALSE, 0, 0);
		break;
	case RMR_KIND_INT:
		if (values)
			int_value(w, object, f);
		break;
	case RMR_KIND_FLOAT:
		if (values)
			set_small(f, RMR_TEXT_FLOAT, rmr_at(rt, object, 16), 8);
		break;
	case RMR_KIND_STR:
		f->len = rmr_at(rt, object, 16);
		f->has_len = true;
		if (rmr_at32(rt, object, 32) & 3)
			f->flags |= RMR_OBJECT_INTERNED;
		if (info->exact)
			text_value(w, f, rmr_values_str(w, object));
		break;
	case RMR_KIND_BYTES:
		f->len = rmr_at(rt, object, 16);
		f->has_len = true;
		if (info->exact)
			text_value(w, f, (struct rmr_span){(const char *)(uintptr_t)object +
					rt->header + 32, f->len, RMR_TEXT_LATIN1});
		break;
	}
}

__attribute__((noinline)) static void buffer_facts(struct rmr_heap_dump *w,
	const struct rmr_type_info *info, uint64_t object, struct rmr_facts *f)
{
	if (w->request.meliae || !rmr_buffers_get(w, info, object, f->size, &w->buffer))
		return;
	f->flags |= RMR_OBJECT_BUFFER << 16;
	f->buffer = &w->buffer;
	f->owned = (uint64_t)w->buffer.owned;
}

static void container_facts(struct rmr_heap_dump *w, const struct rmr_type_info *info,
	uint64_t object, struct rmr_facts *f)
{
	enum { SET_USED = 24, LEN = 16, RANGE_LEN = 40 };
	const struct rmr_runtime *rt = &w->rt;
	uint64_t length;

	switch (info->kind) {
	case RMR_KIND_ARRAY:
	case RMR_KIND_BYTEARRAY:
		buffer_facts(w, info, object, f);
		__attribute__((fallthrough));
	case RMR_KIND_VAR:
		if (w->request.meliae)
			break;
		__attribute__((fallthrough));
	case RMR_KIND_LIST:
	case RMR_KIND_TUPLE:
		f->len = rmr_at(rt, object, LEN);
		f->has_len = true;
		break;
	case RMR_KIND_DICT:
		if (w->request.meliae && !(info->flags & RMR_TPFLAG_DICT))
			break; // a frozendict: meliae asks PyDict_Check()
		f->len = rmr_at(rt, object, LEN);
		f->has_len = true;
		break;
	case RMR_KIND_SET:
		f->len = rmr_at(rt, object, SET_USED);
		f->has_len = true;
		break;
	case RMR_KIND_RANGE:
		length = rmr_at(rt, object, RANGE_LEN);
		if (!w->request.meliae && rmr_is_readable(w, length)) {
			struct rmr_facts number = {0};
			int_value(w, length, &number);
			f->len = number.small;
			f->has_len = number.value.encoding == RMR_TEXT_INT;
		}
		break;
	case RMR_KIND_MEMORYVIEW:
	case RMR_KIND_MANAGED_BUFFER:
	case RMR_KIND_PICKLE_BUFFER:
	case RMR_KIND_MMAP:
	case RMR_KIND_CDATA:
	case RMR_KIND_BYTESIO:
	case RMR_KIND_BYTESIO_EXPORT:
	case RMR_KIND_NDARRAY:
	case RMR_KIND_VOID:
		buffer_facts(w, info, object, f);
		break;
	case RMR_KIND_WEAKREF:
		f->weak = rmr_at(rt, object, 16);
		if (f->weak == (uintptr_t)w->api._Py_NoneStruct)
			f->weak = 0;
		break;
	}
	// Values that lie outside of the dict (3.11, 3.12) or behind the fixed part (3.13+).
	if (info->managed_dict) {
		uint64_t word = rmr_word(object, -24), values = rmr_word(object, -32);
		if ((rt->minor == 12 && (word & 1)) || (rt->minor == 11 && values) ||
			info->inline_values)
			f->owned += info->inline_size;
	}
}

static void code_facts(struct rmr_heap_dump *w, uint64_t code, struct rmr_facts *f, bool with_line)
{
	const struct rmr_layout *layout = w->rt.layout;

	f->name = rmr_values_str(w, rmr_at(&w->rt, code, layout->code_name));
	f->file = rmr_values_str(w, rmr_at(&w->rt, code, layout->code_filename));
	if (with_line) {
		f->line = rmr_at32(&w->rt, code, layout->code_firstlineno);
		f->has_line = true;
	}
}

static void name_facts(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_facts *f)
{
	enum { DESCR_NAME = 24, METHOD_DEF = 16 };
	const struct rmr_runtime *rt = &w->rt;
	uint64_t code, def;
	int32_t line;

	switch (info->kind) {
	case RMR_KIND_TYPE:
		f->name = rmr_types_name(w, object);
		f->module = rmr_types_module(w, object);
		break;
	case RMR_KIND_MODULE:
		f->name = rmr_values_str(w, rmr_at(rt, object, rt->layout->module_name));
		break;
	case RMR_KIND_FUNCTION:
		f->name = rmr_values_str(w, rmr_at(rt, object, rt->minor <= 9 ? 64 : 32));
		break;
	case RMR_KIND_BUILTIN:
		def = rmr_at(rt, object, METHOD_DEF);
		if (rmr_memory_has(w, def, 8))
			f->name = rmr_values_c_string(w, rmr_word(def, 0));
		break;
	case RMR_KIND_CODE:
		code_facts(w, object, f, true);
		break;
	case RMR_KIND_FRAME:
		code = rmr_frames_code(w, info, object);
		if (!code)
			break;
		code_facts(w, code, f, true);
		line = rmr_frames_line_of(w, object, code);
		f->line = line < 0 ? f->line : line;
		break;
	case RMR_KIND_GENERATOR:
		f->name = rmr_values_str(w, rmr_at(rt, object,
			rt->minor <= 9 ? 48 : rt->minor == 10 ? 40 : rt->layout->gen_name));
		break;
	case RMR_KIND_DESCRIPTOR:
		f->name = rmr_values_str(w, rmr_at(rt, object, DESCR_NAME));
		break;
	}
}

// meliae names modules, functions and types only; a frame has its function's name for a value.
static void meliae_names(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_facts *f)
{
	enum { MODULE_DICT = 16 };

	if (info->kind == RMR_KIND_MODULE) { // PyModule_GetName(): its __name__, as it is now
		uint64_t dict = rmr_at(&w->rt, object, MODULE_DICT);
		uint64_t name = dict && rmr_is_readable(w, dict)
			? rmr_values_dict_get(w, dict, "__name__") : 0;
		f->name = name ? rmr_values_str(w, name) : (struct rmr_span){0};
	}
	if (info->kind == RMR_KIND_FRAME && f->name.size) {
		f->value = f->name;
		f->has_value = true;
	}
	if (info->kind != RMR_KIND_MODULE && info->kind != RMR_KIND_FUNCTION &&
		info->kind != RMR_KIND_TYPE)
		f->name.size = 0;
	f->module.size = 0;
	f->file.size = 0;
}

static uint64_t refcount(struct rmr_heap_dump *w, uint64_t object, unsigned *flags)
{
	uint64_t word = rmr_at(&w->rt, object, 0);

	if (w->rt.minor < 12)
		return word;
	if ((int32_t)word < 0)
		*flags |= RMR_OBJECT_IMMORTAL;
	return w->rt.minor >= 14 || (int32_t)word < 0 ? (uint32_t)word : word;
}

// Field by field: the instruction for a whole block costs more than the rest of a small object.
static inline void no_facts(struct rmr_facts *f)
{
	f->owned = f->weak = 0;
	f->name.size = f->module.size = f->file.size = f->value.size = 0;
	f->buffer = NULL;
	f->has_len = f->has_line = f->has_value = f->value_goes_on = false;
	f->shape = f->trace = 0;
	f->flags = 0;
}

void rmr_facts_get(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_facts *f)
{
	bool approximate;

	no_facts(f);
	f->rc = refcount(w, object, &f->flags);
	if (unlikely(w->traces.count))
		f->trace = rmr_traces_get(w, info, object);
	f->size = rmr_sizes_get(w, info, object, &approximate);
	if (approximate)
		f->flags |= RMR_OBJECT_APPROXIMATE;
	scalar_facts(w, info, object, f);
}

void rmr_facts_get_more(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_facts *f)
{
	container_facts(w, info, object, f);
	name_facts(w, info, object, f);
	if (unlikely(w->request.meliae))
		meliae_names(w, info, object, f);
}
