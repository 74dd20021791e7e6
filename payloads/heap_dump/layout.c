// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/layout.h"

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
		.interp_size = NONE,
		.codecs = 56, .dict = NONE, .dict_debug = NONE, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 152, .native_id = NONE, .thread_dict = 128, .exc_info = NONE,
		.exc_value = 112, .current_exc = 80, .async_exc = 144, .profile = 64,
		.context = NONE, .frame_top = 24,
		.runtime_interpreters = NONE, .interp_next = 0, .interp_threads = 8, .gil = NONE,
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
		.interp_size = NONE,
		.codecs = 104, .dict = NONE, .dict_debug = NONE, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 176, .native_id = NONE, .thread_dict = 152, .exc_info = 144,
		.exc_value = 8, .current_exc = 88, .async_exc = 168, .profile = 72,
		.context = NONE, .frame_top = 24,
		.runtime_interpreters = 24, .interp_next = 0, .interp_threads = 8, .gil = 1264,
		.type_size = 400, .heap_type_size = 864, .ht_name = 832, .ht_module = NONE,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24, CODE_36,
		FRAME_OLD, .frame_lasti = 104, .frame_locals = 360, .frame_stacktop = 72,
		.frame_object_size = 368, .gen_frame = 16, .gen_state = NONE, .gen_name = NONE,
		.function_code = 16, .module_name = 48,
	},
	{
		.minor = 8, GC_39, .generation0 = 440,
		.interp_id = 16, .modules = 56, .modules_by_index = 64, .sysdict = 72,
		.interp_size = NONE,
		.codecs = 120, .dict = 544, .dict_debug = 544, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 176, .native_id = NONE, .thread_dict = 152, .exc_info = 144,
		.exc_value = 8, .current_exc = 88, .async_exc = 168, .profile = 72,
		.context = 240, .frame_top = 24,
		.runtime_interpreters = 32, .interp_next = 0, .interp_threads = 8, .gil = 1152,
		.type_size = 416, .heap_type_size = 880, .ht_name = 848, .ht_module = NONE,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24, CODE_38,
		FRAME_OLD, .frame_lasti = 104, .frame_locals = 360, .frame_stacktop = 72,
		.frame_object_size = 368, .gen_frame = 16, .gen_state = NONE, .gen_name = NONE,
		.function_code = 16, .module_name = 48,
	},
	{
		.minor = 9, GC_39, .generation0 = 712,
		.interp_id = 24, .modules = 856, .modules_by_index = 864, .sysdict = 872,
		.interp_size = 5656,
		.codecs = 912, .dict = 1376, .dict_debug = 1376, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 176, .native_id = NONE, .thread_dict = 152, .exc_info = 144,
		.exc_value = 8, .current_exc = 88, .async_exc = 168, .profile = 72,
		.context = 240, .frame_top = 24,
		.runtime_interpreters = 32, .interp_next = 0, .interp_threads = 8, .gil = 352,
		.type_size = 408, .heap_type_size = 880, .ht_name = 840, .ht_module = 872,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24, CODE_38,
		FRAME_OLD, .frame_lasti = 104, .frame_locals = 360, .frame_stacktop = 72,
		.frame_object_size = 368, .gen_frame = 16, .gen_state = NONE, .gen_name = NONE,
		.function_code = 16, .module_name = 48,
	},
	{
		.minor = 10, GC_39, .generation0 = 712,
		.interp_id = 24, .modules = 856, .modules_by_index = 864, .sysdict = 872,
		.interp_size = 113528,
		.codecs = 912, .dict = 1344, .dict_debug = 1344, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 176, .native_id = NONE, .thread_dict = 152, .exc_info = 144,
		.exc_value = 8, .current_exc = 88, .async_exc = 168, .profile = 72,
		.context = 240, .frame_top = 24,
		.runtime_interpreters = 32, .interp_next = 0, .interp_threads = 8, .gil = 352,
		.type_size = 408, .heap_type_size = 888, .ht_name = 848, .ht_module = 880,
		.static_stride = NONE, .static_dict = NONE, STR_36, .tuple_items = 24, CODE_38,
		FRAME_OLD, .frame_lasti = 96, .frame_locals = 352, .frame_stacktop = 80,
		.frame_object_size = 360, .gen_frame = 16, .gen_state = NONE, .gen_name = NONE,
		.function_code = 48, .module_name = 48,
	},
	{
		.minor = 11, GC_39, .generation0 = 744,
		.interp_id = 48, .modules = 888, .modules_by_index = 896, .sysdict = 904,
		.interp_size = 107752,
		.codecs = 936, .dict = 1400, .dict_debug = 1400, .interned = NONE,
		.interned_debug = NONE,
		.thread_id = 152, .native_id = 160, .thread_dict = 128, .exc_info = 120,
		.exc_value = 0, .current_exc = 96, .async_exc = 144, .profile = 80,
		.context = 224, .frame_top = 56,
		.runtime_interpreters = 40, .interp_next = 0, .interp_threads = 16, .gil = 360,
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
		.interp_size = NONE,
		.codecs = 1248, .dict = 1720, .dict_debug = 1720, .interned = 382936,
		.interned_debug = 382952,
		.thread_id = 136, .native_id = 144, .thread_dict = 112, .exc_info = 104,
		.exc_value = 0, .current_exc = 96, .async_exc = 128, .profile = 80,
		.context = 208, .frame_top = 56,
		.runtime_interpreters = 40, .interp_next = 0, .interp_threads = 72, .gil = 384,
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
		.interp_size = NONE,
		.codecs = NONE, .dict = 8448, .dict_debug = 8456, .interned = 194328,
		.interned_debug = 194344,
		.thread_id = 152, .native_id = 160, .thread_dict = 128, .exc_info = 120,
		.exc_value = 0, .current_exc = 112, .async_exc = 144, .profile = 96,
		.context = 208, .frame_top = 72,
		.runtime_interpreters = 632, .interp_next = 7264, .interp_threads = 7344, .gil = 16,
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
		.interp_size = NONE,
		.codecs = NONE, .dict = 8496, .dict_debug = 8504, .interned = 224624,
		.interned_debug = 224640,
		.thread_id = 152, .native_id = 160, .thread_dict = 128, .exc_info = 120,
		.exc_value = 0, .current_exc = 112, .async_exc = 144, .profile = 96,
		.context = 208, .frame_top = 72,
		.runtime_interpreters = 808, .interp_next = 7272, .interp_threads = 7344, .gil = 16,
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
		.interp_size = NONE,
		.codecs = NONE, .dict = 8448, .dict_debug = 8456, .interned = 224896,
		.interned_debug = 224912,
		.thread_id = 176, .native_id = 184, .thread_dict = 152, .exc_info = 144,
		.exc_value = 0, .current_exc = 136, .async_exc = 168, .profile = 120,
		.context = 232, .frame_top = 72,
		.runtime_interpreters = 936, .interp_next = 7264, .interp_threads = 7336, .gil = 16,
		.type_size = 424, .heap_type_size = 944, .ht_name = 864, .ht_module = 896,
		.static_stride = 48, .static_dict = 24, STR_312, .tuple_items = 32,
		CODE_311(68, 72), .code_bytecode = 208, .code_extra = NONE, .frame_previous = 8,
		.frame_code = 0, .frame_lasti = 56, .frame_locals = 80, .frame_globals = 24,
		.frame_dict = 40, .frame_object = 48, .frame_func = 16, .frame_owner = 74,
		.frame_stacktop = 64, .frame_object_size = 80, .gen_frame = 72, .gen_state = 67,
		.gen_name = 24, .function_code = 48, .module_name = 40,
	},
};

const struct rmr_layout *rmr_layout_of(unsigned minor)
{
	return minor < 6 || minor > 15 ? NULL : &layouts[minor - 6];
}
