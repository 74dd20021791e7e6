// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

// ---- which rule ----

static unsigned rule_of_owner(struct rmr_heap_dump *w, uint64_t owner)
{
	const struct rmr_python_api *api = &w->api;
	const struct {
		void *type;
		uint8_t rule;
	} rules[] = {
		{api->PyBaseObject_Type, RMR_SIZE_OBJECT}, {api->PyLong_Type, RMR_SIZE_INT},
		{api->PyUnicode_Type, RMR_SIZE_STR}, {api->PyByteArray_Type, RMR_SIZE_BYTEARRAY},
		{api->PyList_Type, RMR_SIZE_LIST}, {api->PySet_Type, RMR_SIZE_SET},
		{api->PyFrozenSet_Type, RMR_SIZE_SET}, {api->PyDict_Type, RMR_SIZE_DICT},
		{api->PyType_Type, RMR_SIZE_TYPE}, {api->PyCode_Type, RMR_SIZE_CODE},
		{api->PyFrame_Type, RMR_SIZE_FRAME}, {api->PyGen_Type, RMR_SIZE_GENERATOR},
		{api->PyCoro_Type, RMR_SIZE_GENERATOR}, {api->PyAsyncGen_Type, RMR_SIZE_GENERATOR},
	};

	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if ((uintptr_t)rules[i].type == owner)
			return rules[i].rule;
	}
	return RMR_SIZE_GUESS;
}

// The C function behind a method_descriptor that takes no arguments, or 0.
static uint64_t descriptor_call(struct rmr_heap_dump *w, uint64_t method)
{
	enum { METH_NOARGS = 4, DESCR_METHOD = 40 };

	if (!rmr_is_readable(w, method) ||
		rmr_type_of(&w->rt, method) != (uintptr_t)w->api.PyMethodDescr_Type)
		return 0;
	uint64_t def = rmr_at(&w->rt, method, DESCR_METHOD);
	if (!rmr_memory_has(w, def, 32) || rmr_word32(def, 16) != METH_NOARGS)
		return 0;
	return rmr_word(def, 8);
}

static bool is_c_method(struct rmr_heap_dump *w, uint64_t method)
{
	return rmr_is_readable(w, method) &&
		rmr_type_of(&w->rt, method) == (uintptr_t)w->api.PyMethodDescr_Type;
}

// Modules/_ctypes/ctypes.h, StgInfo (3.13 on), which lies behind the type object of each of ctypes'
// types; _ctypes.c, CType_Type: its __sizeof__ has a calling convention that cannot be used here. The
// size of the struct tells which of the two it is: 3.14 added pointer_type.
static const struct {
	uint16_t size, format, ndim;
} stginfos[] = {{160, 136, 144}, {176, 144, 152}};

// True if @p owner, whose __sizeof__ the type has, is ctypes' metatype and its struct is known.
static bool is_ctypes(struct rmr_heap_dump *w, struct rmr_type_info *info, uint64_t owner)
{
	const struct rmr_runtime *rt = &w->rt;
	uint64_t type_size = rmr_at(rt, (uintptr_t)w->api.PyType_Type, RMR_TYPE_BASICSIZE);

	if (rt->minor < 13 || !rmr_types_is_c(w, owner, "_ctypes.CType_Type") ||
		rmr_at(rt, owner, RMR_TYPE_BASE) != (uintptr_t)w->api.PyType_Type)
		return false;
	// PyObject_GetTypeData(): behind the base's struct, aligned as max_align_t is.
	info->stginfo = (uint32_t)((type_size + 15) & ~UINT64_C(15));
	uint64_t size = rmr_at(rt, owner, RMR_TYPE_BASICSIZE) - info->stginfo;
	for (unsigned i = 0; i < sizeof(stginfos) / sizeof(stginfos[0]); i++) {
		if (size != stginfos[i].size)
			continue;
		info->stginfo_format = info->stginfo + stginfos[i].format;
		info->stginfo_ndim = info->stginfo + stginfos[i].ndim;
		return true;
	}
	return false;
}

void rmr_sizes_find_rule(struct rmr_heap_dump *w, struct rmr_type_info *info)
{
	const struct rmr_runtime *rt = &w->rt;
	uint64_t mro = rmr_at(rt, info->address, RMR_TYPE_MRO);
	bool is_python = false;

	info->size_rule = RMR_SIZE_GUESS;
	if (!rmr_is_readable(w, mro) || rmr_type_of(rt, mro) != (uintptr_t)w->api.PyTuple_Type)
		return;
	uint64_t count = rmr_at(rt, mro, 16);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t owner = rmr_at(rt, mro, (uint64_t)rt->layout->tuple_items + i * 8);
		if (!rmr_is_readable(w, owner))
			return;
		uint64_t dict = rmr_types_dict(w, owner);
		uint64_t method = dict ? rmr_values_dict_get(w, dict, "__sizeof__") : 0;
		if (!method)
			continue;
		info->size_rule = (uint8_t)rule_of_owner(w, owner);
		if (info->size_rule == RMR_SIZE_GUESS) {
			info->sizeof_call = descriptor_call(w, method);
			// A method written in Python is never called: what it adds is not known,
			// the rule of the next class is.
			if (!info->sizeof_call && !is_c_method(w, method)) {
				is_python = true;
				continue;
			}
			info->size_rule = info->sizeof_call ? RMR_SIZE_CALL
				: is_ctypes(w, info, owner) ? RMR_SIZE_CTYPE : RMR_SIZE_GUESS;
		}
		break;
	}
	if (info->size_rule == RMR_SIZE_GENERATOR && rt->minor <= 10)
		info->size_rule = RMR_SIZE_OBJECT;
	info->size_is_guess = is_python || info->size_rule == RMR_SIZE_GUESS;
}

// ---- the rules ----

uint64_t rmr_sizes_int_digits(struct rmr_heap_dump *w, uint64_t object, bool *negative_ret,
	uint64_t *digits_ret)
{
	const struct rmr_runtime *rt = &w->rt;

	*digits_ret = object + rt->header + 24;
	if (rt->minor >= 12) {
		// Include/cpython/longintrepr.h: sign in the two lowest bits of lv_tag, digits from bit 3.
		uint64_t tag = rmr_at(rt, object, 16);
		*negative_ret = (tag & 3) == 2;
		return tag >> 3;
	}
	int64_t size = (int64_t)rmr_at(rt, object, 16);
	*negative_ret = size < 0;
	return (uint64_t)(size < 0 ? -size : size);
}

static uint64_t size_int(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	bool negative;
	uint64_t digits, count = rmr_sizes_int_digits(w, object, &negative, &digits);

	if (w->rt.minor >= 12)
		return (uint64_t)info->basicsize + (uint64_t)info->itemsize * (count ? count : 1);
	if (w->rt.minor == 11 && !count)
		count = 1;
	// int.__sizeof__ counts from offsetof(PyLongObject, ob_digit), whatever a subclass adds.
	return w->rt.header + 24 + (uint64_t)info->itemsize * count;
}

static uint64_t size_str(struct rmr_heap_dump *w, uint64_t object)
{
	const struct rmr_runtime *rt = &w->rt;
	const struct rmr_layout *layout = rt->layout;
	uint32_t state = (uint32_t)rmr_at32(rt, object, 32);
	uint64_t length = rmr_at(rt, object, 16), kind = state >> 2 & 7, size, header = rt->header;
	bool compact = state & 32, ascii = state & 64;
	uint64_t start = object + header, data;

	if (compact && ascii) {
		size = header + (uint64_t)layout->str_ascii + length + 1;
		data = start + (uint64_t)layout->str_ascii;
	} else if (compact) {
		size = header + (uint64_t)layout->str_compact + (length + 1) * kind;
		data = start + (uint64_t)layout->str_compact;
	} else {
		size = header + (uint64_t)layout->str_legacy;
		data = rmr_at(rt, object, layout->str_legacy - 8);
		if (data)
			size += (length + 1) * kind;
	}
	if (!(compact && ascii)) {
		uint64_t utf8 = rmr_at(rt, object, layout->str_utf8);
		if (utf8 && utf8 != data)
			size += rmr_at(rt, object, layout->str_utf8_length) + 1;
	}
	if (rt->minor <= 11) {
		uint64_t wstr = rmr_at(rt, object, 40);
		if (wstr && wstr != data)
			size += 4 * (1 + (compact && ascii ? length : rmr_at(rt, object, 64)));
	}
	return size;
}

uint64_t rmr_sizes_keys(struct rmr_heap_dump *w, uint64_t keys)
{
	if (w->rt.minor <= 10) {
		uint64_t size = rmr_word(keys, 8);
		uint64_t index = size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8;
		return 40 + index * size + 24 * (2 * size / 3);
	}
	// usable = USABLE_FRACTION(size): DK_SIZE * 2 / 3.
	uint64_t size = UINT64_C(1) << (rmr_word8(keys, 8) & 63);
	return 32 + (UINT64_C(1) << (rmr_word8(keys, 9) & 63)) +
		2 * size / 3 * (rmr_word8(keys, 10) ? 16 : 24);
}

static uint64_t size_dict(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	const struct rmr_runtime *rt = &w->rt;
	uint64_t keys = rmr_at(rt, object, 32), size = (uint64_t)info->basicsize;

	if (rmr_at(rt, object, 40)) {
		if (rt->minor <= 10)
			size += 8 * (2 * rmr_word(keys, 8) / 3);
		else
			size += 8 * (rmr_word(keys, 24) + rmr_word(keys, 16));
	}
	if (rmr_word(keys, 0) == 1)
		size += rmr_sizes_keys(w, keys);
	return size;
}

static uint64_t size_type(struct rmr_heap_dump *w, uint64_t object)
{
	const struct rmr_layout *layout = w->rt.layout;

	if (!(rmr_at(&w->rt, object, RMR_TYPE_FLAGS) & RMR_TPFLAG_HEAPTYPE))
		return (uint64_t)layout->type_size + w->rt.header;
	uint64_t keys = rmr_at(&w->rt, object, layout->ht_name + 24);
	return (uint64_t)layout->heap_type_size + w->rt.header +
		(keys && rmr_is_readable(w, keys) ? rmr_sizes_keys(w, keys) : 0);
}

static uint64_t size_code(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	const struct rmr_runtime *rt = &w->rt;
	const struct rmr_layout *layout = rt->layout;
	uint64_t size = (uint64_t)info->basicsize, extra;

	if (rt->minor <= 10) {
		uint64_t cells = rmr_at(rt, object, layout->code_cellvars);
		uint64_t code = rmr_at(rt, object, layout->code_bytecode);
		// co_cell2arg follows co_cellvars; co_opcache is new in 3.8.
		if (rmr_at(rt, object, layout->code_cellvars + 8) && cells)
			size += 8 * rmr_at(rt, cells, 16);
		if (rt->minor >= 8 && rmr_at(rt, object, 160))
			size += rmr_at(rt, code, 16) / 2 + 32 * (uint64_t)rmr_at8(rt, object, 172);
		extra = rmr_at(rt, object, layout->code_extra);
	} else {
		// co_extra is the word before the flexible end's fixed fields; only debuggers use it.
		size += 2 * rmr_at(rt, object, 16);
		size = (size + 7) & ~UINT64_C(7);
		extra = 0;
	}
	if (extra && rmr_memory_has(w, extra, 8))
		size += 16 + 8 * (rmr_word(extra, 0) - 1);
	return size;
}

static uint64_t code_slots(struct rmr_heap_dump *w, uint64_t code)
{
	const struct rmr_runtime *rt = &w->rt;
	const struct rmr_layout *layout = rt->layout;

	if (!code)
		return 0;
	uint64_t slots = (uint64_t)rmr_at32(rt, code, layout->code_stacksize);
	if (rt->minor >= 11)
		return slots + (uint64_t)rmr_at32(rt, code, layout->code_nlocalsplus);
	return slots + (uint64_t)rmr_at32(rt, code, layout->code_nlocals) +
		rmr_at(rt, rmr_at(rt, code, layout->code_cellvars), 16) +
		rmr_at(rt, rmr_at(rt, code, layout->code_freevars), 16);
}

static uint64_t size_frame(struct rmr_heap_dump *w, const struct rmr_type_info *info,
	uint64_t object)
{
	const struct rmr_layout *layout = w->rt.layout;
	uint64_t slots = code_slots(w, rmr_frames_code(w, info, object));

	// The struct ends with one item: of f_localsplus up to 3.10, of _f_frame_data after.
	uint64_t fixed = (uint64_t)layout->frame_object_size + w->rt.header - 8;
	if (w->rt.minor <= 10)
		return fixed + 8 * slots;
	return fixed + (uint64_t)layout->frame_locals + 8 * slots;
}

static uint64_t size_generator(struct rmr_heap_dump *w, const struct rmr_type_info *info,
	uint64_t object)
{
	const struct rmr_layout *layout = w->rt.layout;

	return (uint64_t)(layout->gen_frame + layout->frame_locals) + w->rt.header +
		8 * code_slots(w, rmr_frames_code(w, info, object));
}

static uint64_t size_object(struct rmr_heap_dump *w, const struct rmr_type_info *info,
	uint64_t object)
{
	uint64_t size = (uint64_t)info->basicsize;

	if (info->itemsize > 0) {
		int64_t items = (int64_t)rmr_at(&w->rt, object, 16);
		if (info->kind == RMR_KIND_INT || info->kind == RMR_KIND_BOOL) {
			bool negative;
			uint64_t digits;
			items = (int64_t)rmr_sizes_int_digits(w, object, &negative, &digits);
		}
		size += (uint64_t)(info->itemsize * items);
	}
	return size;
}

static uint64_t size_set(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	enum { MASK = 32, TABLE = 40, SMALL_TABLE = 64 };
	uint64_t size = (uint64_t)info->basicsize;

	if (rmr_at(&w->rt, object, TABLE) != object + w->rt.header + SMALL_TABLE)
		size += 16 * (rmr_at(&w->rt, object, MASK) + 1);
	return size;
}

// What CType_Type.__sizeof__ adds to object's: the format, the types of the fields, the shape.
__attribute__((noinline)) static uint64_t size_ctype(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	enum { INITIALIZED = 0, LENGTH = 24, ELEMENTS = 48 };
	const struct rmr_runtime *rt = &w->rt;
	uint64_t format = rmr_at(rt, object, info->stginfo_format), size = 0;

	if (!rmr_at32(rt, object, info->stginfo + INITIALIZED))
		return 0;
	if (format) {
		uint64_t length = 0;
		while (rmr_memory_has(w, format + length, 1) && rmr_word8(format, length))
			length++;
		size += length + 1;
	}
	if (rmr_at(rt, object, info->stginfo + ELEMENTS))
		size += 8 * (rmr_at(rt, object, info->stginfo + LENGTH) + 1);
	return size + 8 * (uint64_t)(int64_t)rmr_at32(rt, object, info->stginfo_ndim);
}

uint64_t rmr_sizes_get(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	bool *approximate)
{
	const struct rmr_runtime *rt = &w->rt;
	uint64_t presize = info->presize;
	uint64_t size;

	*approximate = info->size_is_guess;
	if (info->is_gc) {
		// Python/sysmodule.c, _PySys_GetSizeOf(): who asks tp_is_gc and who asks the type.
		if (rt->minor <= 10 && !rmr_types_object_is_gc(w, info, object))
			presize = 0;
		else if (rt->minor >= 13 && info->address == (uintptr_t)w->api.PyType_Type &&
			!(rmr_at(rt, object, RMR_TYPE_FLAGS) & RMR_TPFLAG_HEAPTYPE))
			presize = 0;
	}
	switch (info->size_rule) {
	case RMR_SIZE_INT:
		return presize + size_int(w, info, object);
	case RMR_SIZE_STR:
		return presize + size_str(w, object);
	case RMR_SIZE_BYTEARRAY:
		size = presize + (uint64_t)info->basicsize + rmr_at(rt, object, 24);
		return size + (rt->minor >= 15 && rmr_at(rt, object, 24) ? 33 : 0);
	case RMR_SIZE_LIST:
		return presize + (uint64_t)info->basicsize + 8 * rmr_at(rt, object, 32);
	case RMR_SIZE_SET:
		return presize + size_set(w, info, object);
	case RMR_SIZE_DICT:
		return presize + size_dict(w, info, object);
	case RMR_SIZE_TYPE:
		return presize + size_type(w, object);
	case RMR_SIZE_CODE:
		return presize + size_code(w, info, object);
	case RMR_SIZE_FRAME:
		return presize + size_frame(w, info, object);
	case RMR_SIZE_GENERATOR:
		return presize + size_generator(w, info, object);
	case RMR_SIZE_CTYPE:
		presize += size_ctype(w, info, object);
		break;
	case RMR_SIZE_CALL:
		size = rmr_walk_call_sizeof(w, info->sizeof_call, object);
		if (size)
			return presize + size;
		*approximate = true;
		break;
	}
	return presize + size_object(w, info, object);
}
