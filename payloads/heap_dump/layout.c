// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/layout.h"
#include "payloads/freestanding.h"

#define NONE RMR_NONE

// What more than one version shares.
#define CODE_38                                                                                    \
	.code_filename = 104, .code_name = 112, .code_qualname = NONE, .code_firstlineno = 40,     \
	.code_flags = 36, .code_nlocals = 28, .code_stacksize = 32, .code_linetable = 120,         \
	.code_consts = 56, .code_names = 64, .code_varnames = 72, .code_freevars = 80,             \
	.code_cellvars = 88, .code_kinds = NONE, .code_nlocalsplus = NONE, .code_bytecode = 48,    \
	.code_exceptiontable = NONE, .code_extra = 144
#define CODE_36                                                                                    \
	.code_filename = 96, .code_name = 104, .code_qualname = NONE, .code_firstlineno = 36,      \
	.code_flags = 32, .code_nlocals = 24, .code_stacksize = 28, .code_linetable = 112,         \
	.code_consts = 48, .code_names = 56, .code_varnames = 64, .code_freevars = 72,             \
	.code_cellvars = 80, .code_kinds = NONE, .code_nlocalsplus = NONE, .code_bytecode = 40,    \
	.code_exceptiontable = NONE, .code_extra = 136
#define CODE_311(first, plus)                                                                      \
	.code_filename = 112, .code_name = 120, .code_qualname = 128, .code_firstlineno = first,   \
	.code_flags = 48, .code_nlocals = 80, .code_stacksize = first == 72 ? 68 : 64,             \
	.code_linetable = 136, .code_consts = 24, .code_names = 32, .code_varnames = 96,           \
	.code_freevars = NONE, .code_cellvars = NONE, .code_kinds = 104,                           \
	.code_nlocalsplus = plus, .code_exceptiontable = 40
#define STR_36                                                                                     \
	.str_ascii = 48, .str_compact = 72, .str_utf8_length = 48, .str_utf8 = 56, .str_legacy = 80
#define STR_312                                                                                    \
	.str_ascii = 40, .str_compact = 56, .str_utf8_length = 40, .str_utf8 = 48, .str_legacy = 64
#define FRAME_OLD                                                                                  \
	.frame_previous = 24, .frame_code = 32, .frame_globals = 48, .frame_dict = 56,             \
	.frame_object = NONE, .frame_func = NONE, .frame_owner = NONE
#define GC_38 .gc_head = 16, .generation_stride = 24
#define GC_39 GC_38, .permanent = 8, .collecting = 104, .garbage = 112

static const struct rmr_layout layouts[] = {
	{
		.minor = 6, .gc_head = 32, .generation_stride = 48, .generation0 = NONE,
		.permanent = NONE, .collecting = NONE, .garbage = NONE,
		.interp_id = NONE, .modules = 16, .modules_by_index = 24, .sysdict = 32,
		.codecs = 56, .dict = NONE, .dict_debug = NONE, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 152, .native_id = NONE, .thread_dict = 128, .exc_info = NONE,
		.exc_value = 112, .current_exc = 80, .async_exc = 144, .profile = 64,
		.context = NONE, .frame_top = 24,
		.type_size = 400, .heap_type_size = 864, .ht_name = 832, .ht_module = NONE,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24, CODE_36,
		FRAME_OLD, .frame_lasti = 120, .frame_locals = 376, .frame_stacktop = 72,
		.frame_object_size = 384, .gen_frame = 16, .gen_state = NONE, .gen_name = NONE,
		.function_code = 16, .module_name = 48,
	},
	{
		.minor = 7, .gc_head = 32, .generation_stride = 48, .generation0 = 496,
		.permanent = 16, .collecting = 136, .garbage = 144,
		.interp_id = 16, .modules = 40, .modules_by_index = 48, .sysdict = 56,
		.codecs = 104, .dict = NONE, .dict_debug = NONE, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 176, .native_id = NONE, .thread_dict = 152, .exc_info = 144,
		.exc_value = 8, .current_exc = 88, .async_exc = 168, .profile = 72,
		.context = NONE, .frame_top = 24,
		.type_size = 400, .heap_type_size = 864, .ht_name = 832, .ht_module = NONE,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24, CODE_36,
		FRAME_OLD, .frame_lasti = 104, .frame_locals = 360, .frame_stacktop = 72,
		.frame_object_size = 368, .gen_frame = 16, .gen_state = NONE, .gen_name = NONE,
		.function_code = 16, .module_name = 48,
	},
	{
		.minor = 8, GC_39, .generation0 = 440,
		.interp_id = 16, .modules = 56, .modules_by_index = 64, .sysdict = 72,
		.codecs = 120, .dict = 544, .dict_debug = 544, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 176, .native_id = NONE, .thread_dict = 152, .exc_info = 144,
		.exc_value = 8, .current_exc = 88, .async_exc = 168, .profile = 72,
		.context = 240, .frame_top = 24,
		.type_size = 416, .heap_type_size = 880, .ht_name = 848, .ht_module = NONE,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24, CODE_38,
		FRAME_OLD, .frame_lasti = 104, .frame_locals = 360, .frame_stacktop = 72,
		.frame_object_size = 368, .gen_frame = 16, .gen_state = NONE, .gen_name = NONE,
		.function_code = 16, .module_name = 48,
	},
	{
		.minor = 9, GC_39, .generation0 = 712,
		.interp_id = 24, .modules = 856, .modules_by_index = 864, .sysdict = 872,
		.codecs = 912, .dict = 1376, .dict_debug = 1376, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 176, .native_id = NONE, .thread_dict = 152, .exc_info = 144,
		.exc_value = 8, .current_exc = 88, .async_exc = 168, .profile = 72,
		.context = 240, .frame_top = 24,
		.type_size = 408, .heap_type_size = 880, .ht_name = 840, .ht_module = 872,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24, CODE_38,
		FRAME_OLD, .frame_lasti = 104, .frame_locals = 360, .frame_stacktop = 72,
		.frame_object_size = 368, .gen_frame = 16, .gen_state = NONE, .gen_name = NONE,
		.function_code = 16, .module_name = 48,
	},
	{
		.minor = 10, GC_39, .generation0 = 712,
		.interp_id = 24, .modules = 856, .modules_by_index = 864, .sysdict = 872,
		.codecs = 912, .dict = 1344, .dict_debug = 1344, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 176, .native_id = NONE, .thread_dict = 152, .exc_info = 144,
		.exc_value = 8, .current_exc = 88, .async_exc = 168, .profile = 72,
		.context = 240, .frame_top = 24,
		.type_size = 408, .heap_type_size = 888, .ht_name = 848, .ht_module = 880,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24, CODE_38,
		FRAME_OLD, .frame_lasti = 96, .frame_locals = 352, .frame_stacktop = 80,
		.frame_object_size = 360, .gen_frame = 16, .gen_state = NONE, .gen_name = NONE,
		.function_code = 48, .module_name = 48,
	},
	{
		.minor = 11, GC_39, .generation0 = 744,
		.interp_id = 48, .modules = 888, .modules_by_index = 896, .sysdict = 904,
		.codecs = 936, .dict = 1400, .dict_debug = 1400, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 152, .native_id = 160, .thread_dict = 128, .exc_info = 120,
		.exc_value = 0, .current_exc = 96, .async_exc = 144, .profile = 80,
		.context = 224, .frame_top = 56,
		.type_size = 408, .heap_type_size = 904, .ht_name = 848, .ht_module = 880,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24,
		CODE_311(72, 76), .code_bytecode = 184, .code_extra = NONE, .frame_previous = 48,
		.frame_code = 32, .frame_lasti = 56, .frame_locals = 72, .frame_globals = 8,
		.frame_dict = 24, .frame_object = 40, .frame_func = 0, .frame_owner = 69,
		.frame_stacktop = 64, .frame_object_size = 56, .gen_frame = 80, .gen_state = 75,
		.gen_name = 32, .function_code = 48, .module_name = 48,
	},
	{
		.minor = 12, GC_39, .generation0 = 208,
		.interp_id = 8, .modules = 944, .modules_by_index = 952, .sysdict = 352,
		.codecs = 1248, .dict = 1720, .dict_debug = 1720, .interned = 382936,
		.interned_debug = 382952,
		.thread_id = 136, .native_id = 144, .thread_dict = 112, .exc_info = 104,
		.exc_value = 0, .current_exc = 96, .async_exc = 128, .profile = 80,
		.context = 208, .frame_top = 56,
		.type_size = 416, .heap_type_size = 920, .ht_name = 856, .ht_module = 888,
		.static_stride = 40, .static_dict = 16, STR_312, .tuple_items = 24,
		CODE_311(68, 72), .code_bytecode = 192, .code_extra = NONE, .frame_previous = 8,
		.frame_code = 0, .frame_lasti = 56, .frame_locals = 72, .frame_globals = 24,
		.frame_dict = 40, .frame_object = 48, .frame_func = 16, .frame_owner = 70,
		.frame_stacktop = 64, .frame_object_size = 56, .gen_frame = 72, .gen_state = 67,
		.gen_name = 24, .function_code = 48, .module_name = 48,
	},
	{
		.minor = 13, GC_39, .generation0 = 7496,
		.interp_id = 7272, .modules = 7656, .modules_by_index = 7664, .sysdict = 7640,
		.codecs = NONE, .dict = 8448, .dict_debug = 8456, .interned = 194328,
		.interned_debug = 194344,
		.thread_id = 152, .native_id = 160, .thread_dict = 128, .exc_info = 120,
		.exc_value = 0, .current_exc = 112, .async_exc = 144, .profile = 96,
		.context = 208, .frame_top = 72,
		.type_size = 416, .heap_type_size = 928, .ht_name = 856, .ht_module = 888,
		.static_stride = 48, .static_dict = 24, STR_312, .tuple_items = 24,
		CODE_311(68, 72), .code_bytecode = 200, .code_extra = NONE, .frame_previous = 8,
		.frame_code = 0, .frame_lasti = 56, .frame_locals = 72, .frame_globals = 24,
		.frame_dict = 40, .frame_object = 48, .frame_func = 16, .frame_owner = 70,
		.frame_stacktop = 64, .frame_object_size = 72, .gen_frame = 72, .gen_state = 67,
		.gen_name = 24, .function_code = 48, .module_name = 48,
	},
	{
		.minor = 14, GC_38, .generation0 = 7664, .permanent = -160, .collecting = -64,
		.garbage = -56,
		.interp_id = 7280, .modules = 7688, .modules_by_index = 7696, .sysdict = 7672,
		.codecs = NONE, .dict = 8496, .dict_debug = 8504, .interned = 224624,
		.interned_debug = 224640,
		.thread_id = 152, .native_id = 160, .thread_dict = 128, .exc_info = 120,
		.exc_value = 0, .current_exc = 112, .async_exc = 144, .profile = 96,
		.context = 208, .frame_top = 72,
		.type_size = 416, .heap_type_size = 936, .ht_name = 856, .ht_module = 888,
		.static_stride = 48, .static_dict = 24, STR_312, .tuple_items = 32,
		CODE_311(68, 72), .code_bytecode = 208, .code_extra = NONE, .frame_previous = 8,
		.frame_code = 0, .frame_lasti = 56, .frame_locals = 80, .frame_globals = 24,
		.frame_dict = 40, .frame_object = 48, .frame_func = 16, .frame_owner = 74,
		.frame_stacktop = 64, .frame_object_size = 80, .gen_frame = 72, .gen_state = 67,
		.gen_name = 24, .function_code = 48, .module_name = 48,
	},
	{
		.minor = 15, GC_38, .generation0 = 7568, .permanent = -88, .collecting = -56,
		.garbage = -40,
		.interp_id = 7272, .modules = 7592, .modules_by_index = 7600, .sysdict = 7576,
		.codecs = NONE, .dict = 8448, .dict_debug = 8456, .interned = 224896,
		.interned_debug = 224912,
		.thread_id = 176, .native_id = 184, .thread_dict = 152, .exc_info = 144,
		.exc_value = 0, .current_exc = 136, .async_exc = 168, .profile = 120,
		.context = 232, .frame_top = 72,
		.type_size = 424, .heap_type_size = 944, .ht_name = 864, .ht_module = 896,
		.static_stride = 48, .static_dict = 24, STR_312, .tuple_items = 32,
		CODE_311(68, 72), .code_bytecode = 208, .code_extra = NONE, .frame_previous = 8,
		.frame_code = 0, .frame_lasti = 56, .frame_locals = 80, .frame_globals = 24,
		.frame_dict = 40, .frame_object = 48, .frame_func = 16, .frame_owner = 74,
		.frame_stacktop = 64, .frame_object_size = 80, .gen_frame = 72, .gen_state = 67,
		.gen_name = 24, .function_code = 48, .module_name = 40,
	},
};

static bool is_pointer(uint64_t word)
{
	return word >= 4096 && word < (UINT64_C(1) << 47) && !(word & 3);
}

static bool is_list_head(uint64_t head)
{
	if (!is_pointer(head))
		return false;
	uint64_t next = rmr_word(head, 0) & ~UINT64_C(3);
	if (!is_pointer(next))
		return false;
	return (rmr_word(next, 8) & ~UINT64_C(3)) == head;
}

// The collector's state is in the runtime up to 3.8 and in each interpreter after.
static uint64_t gc_base(const struct rmr_runtime *rt, const struct rmr_python_api *api,
	uint64_t interp)
{
	return rt->minor <= 8 ? (uintptr_t)api->_PyRuntime : interp;
}

uint64_t rmr_layout_gc_word(const struct rmr_runtime *rt, const struct rmr_python_api *api,
	uint64_t interp, int32_t offset)
{
	if (rt->minor == 6 || !gc_base(rt, api, interp))
		return 0;
	return gc_base(rt, api, interp) + (uint64_t)(int64_t)rt->generation0 +
		(uint64_t)(int64_t)offset;
}

uint64_t rmr_layout_generations(const struct rmr_runtime *rt, const struct rmr_python_api *api,
	uint64_t interp, uint64_t *permanent_ret)
{
	*permanent_ret = 0;
	if (rt->minor == 6)
		return api->_PyGC_generation0 ? *(uint64_t *)api->_PyGC_generation0 : 0;
	uint64_t base = gc_base(rt, api, interp);
	if (!base)
		return 0;
	*permanent_ret = base + (uint64_t)(int64_t)(rt->generation0 + rt->permanent);
	if (rt->incremental)
		return *permanent_ret - 3 * rt->gc_stride;
	// Never from a table: Debian's 3.13 aligns the heads to 4 bytes, so that they lie 4 bytes lower
	// than upstream's, and only this pointer tells (gchead-alignment.diff of its source package).
	return rmr_word(base, rt->generation0);
}

static bool generations_are_sound(const struct rmr_runtime *rt, const struct rmr_python_api *api,
	uint64_t interp)
{
	uint64_t permanent;
	uint64_t first = rmr_layout_generations(rt, api, interp, &permanent);

	for (int i = 0; i < 3; i++) {
		if (!is_list_head(first + (uint64_t)i * rt->gc_stride))
			return false;
	}
	return !permanent || is_list_head(permanent);
}

// sys.modules is a dict that the collector tracks: the size of the head in front of it is the one
// with which its neighbour points back at it.
static bool find_gc_head(struct rmr_runtime *rt, uint64_t modules)
{
	static const uint8_t sizes[] = {16, 24, 32};
	int hits = 0;

	for (unsigned i = 0; i < sizeof(sizes); i++) {
		uint64_t head = modules - sizes[i];
		uint64_t next = rmr_word(head, 0) & ~UINT64_C(3);
		if (!is_pointer(next) || (rmr_word(next, 8) & ~UINT64_C(3)) != head)
			continue;
		rt->gc_head = sizes[i];
		hits++;
	}
	return hits == 1;
}

// The one place in the interpreter's state where "object" and "type" follow each other at the
// table's stride. Searched around where the table lies in the builds that are known.
static bool find_static_types(struct rmr_runtime *rt, const struct rmr_python_api *api,
	uint64_t interp)
{
	uint32_t stride = (uint32_t)rt->layout->static_stride;
	uint32_t end = rt->minor == 12 ? 390000 : 200000;
	uint64_t object = (uintptr_t)api->PyBaseObject_Type;
	uint64_t type = (uintptr_t)api->PyType_Type;
	uint32_t start = rt->minor == 12 ? 370000 : 170000;

	for (uint32_t offset = start; offset < end; offset += 8) {
		if (rmr_word(interp, offset) != object)
			continue;
		// Entries are in the order in which types were made ready: object, type, ...
		if (rmr_word(interp, offset + stride) == type) {
			rt->static_types = (int32_t)offset;
			break;
		}
	}
	if (rt->static_types == NONE)
		return false;
	// Include/internal/pycore_typeobject.h, struct types_state: the extension types' table follows
	// the 200 (3.15: 203) built-in ones and two words.
	if (rt->minor >= 13)
		rt->static_ext = rt->static_types + (rt->minor == 15 ? 203 : 200) * 48 + 16;
	return true;
}

static bool str_is_sound(const struct rmr_runtime *rt, uint64_t str, const char *text)
{
	uint64_t state = (uint32_t)rmr_at32(rt, str, 32);
	size_t size = strlen(text);

	// Compact, ASCII, of 1-byte kind.
	return (state >> 2 & 7) == 1 && (state & 32) && (state & 64) &&
		rmr_at(rt, str, 16) == size &&
		memcmp((const char *)(uintptr_t)(str + rt->header) + rt->layout->str_ascii, text,
			size) == 0;
}

// Finds "sys" in sys.modules by reading the dict as the walker does.
static bool modules_are_sound(const struct rmr_runtime *rt, uint64_t modules)
{
	uint64_t keys = rmr_at(rt, modules, 32);
	uint64_t n, entry, step, key_at;

	if (!is_pointer(keys) || rmr_at(rt, modules, 40))
		return false;
	if (rt->minor <= 10) {
		uint64_t size = rmr_word(keys, 8);
		n = rmr_word(keys, 32);
		entry = keys + 40 + (size <= 0xff ? 1 : size <= 0xffff ? 2 : 4) * size;
		step = 24;
		key_at = 8;
	} else {
		n = rmr_word(keys, 24);
		entry = keys + 32 + (UINT64_C(1) << (rmr_word8(keys, 9) & 63));
		step = rmr_word8(keys, 10) ? 16 : 24;
		key_at = rmr_word8(keys, 10) ? 0 : 8;
	}
	for (uint64_t i = 0; i < n && i < 64; i++, entry += step) {
		uint64_t key = rmr_word(entry, key_at);
		if (is_pointer(key) && str_is_sound(rt, key, "sys"))
			return true;
	}
	return false;
}

static bool types_are_sound(const struct rmr_runtime *rt, const struct rmr_python_api *api)
{
	uint64_t type = (uintptr_t)api->PyType_Type;
	const char *name = (const char *)(uintptr_t)rmr_at(rt, type, RMR_TYPE_NAME);

	return name && strcmp(name, "type") == 0 &&
		rmr_at(rt, type, RMR_TYPE_BASICSIZE) ==
			(uint64_t)rt->layout->heap_type_size + rt->header &&
		(rmr_at(rt, type, RMR_TYPE_FLAGS) & RMR_TPFLAG_TYPE) &&
		rmr_at(rt, type, RMR_TYPE_BASE) == (uintptr_t)api->PyBaseObject_Type &&
		rmr_at(rt, type, RMR_TYPE_IS_GC) &&
		rmr_at(rt, (uintptr_t)api->PyTuple_Type, RMR_TYPE_BASICSIZE) ==
			(uint64_t)rt->layout->tuple_items + rt->header &&
		rmr_at(rt, (uintptr_t)api->PyUnicode_Type, RMR_TYPE_BASICSIZE) ==
			(uint64_t)rt->layout->str_legacy + rt->header;
}

// Places of the collector's fields, with the second variant of the versions that have two.
static bool find_generations(struct rmr_runtime *rt, const struct rmr_python_api *api,
	uint64_t interp)
{
	const struct rmr_layout *layout = rt->layout;

	rt->gc_stride = (uint32_t)layout->generation_stride;
	rt->generation0 = layout->generation0;
	rt->permanent = layout->permanent;
	rt->collecting = layout->collecting;
	rt->garbage = layout->garbage;
	if (rt->minor <= 7 && rt->gc_head == 24) {
		// 3.7.0 to 3.7.4, and early 3.6: PyGC_Head of 24 bytes.
		rt->gc_stride = 32;
		rt->generation0 = 432;
		rt->permanent = 8;
		rt->collecting = 112;
		rt->garbage = 120;
	}
	if (generations_are_sound(rt, api, interp))
		return true;
	// 3.14.0 to 3.14.4 have the incremental collector: young, two old lists and the permanent one
	// in the same place, and no pointer to the first.
	rt->incremental = rt->minor == 14;
	return rt->incremental && generations_are_sound(rt, api, interp);
}

bool rmr_layout_find(struct rmr_runtime *rt, const struct rmr_python_api *api, uint32_t version_hex)
{
	uint64_t type = (uintptr_t)api->PyType_Type;
	unsigned minor = version_hex >> 16 & 0xff;

	if (version_hex >> 24 != 3 || minor < 6 || minor > 15)
		return false;
	rt->layout = &layouts[minor - 6];
	rt->minor = (uint8_t)minor;
	rt->static_types = rt->static_ext = NONE;
	rt->debug = api->_Py_NegativeRefcount && api->_Py_RefTotal;
	if (minor >= 12)
		rt->debug = api->_Py_NegativeRefcount != NULL;
	if (rmr_word(type, 8) == type)
		rt->header = 0;
	else if (rmr_word(type, 24) == type && minor <= 12)
		rt->header = 16;
	else
		return false; // A free-threaded build, too.
	if (!types_are_sound(rt, api))
		return false;
	rt->set_dummy = api->_PySet_Dummy ? *(uint64_t *)api->_PySet_Dummy : 0;
	uint64_t interp = (uintptr_t)((void *(*)(void))api->PyInterpreterState_Head)();
	uint64_t modules = (uintptr_t)((void *(*)(void))api->PyImport_GetModuleDict)();
	bool found = false;
	for (uint64_t i = interp; i; ) {
		found |= rmr_word(i, rt->layout->modules) == modules;
		i = (uintptr_t)((void *(*)(void *))api->PyInterpreterState_Next)((void *)i);
	}
	return found && find_gc_head(rt, modules) && find_generations(rt, api, interp) &&
		modules_are_sound(rt, modules) &&
		(rt->layout->static_stride == NONE || find_static_types(rt, api, interp));
}
