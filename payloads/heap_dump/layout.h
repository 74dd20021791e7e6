// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Where CPython 3.6 to 3.15 (x86_64, with the GIL) keep what the walker reads: one row a minor
 * version. Offsets "in an object" are for a 16-byte header; builds with Py_TRACE_REFS before 3.13
 * have 16 bytes more in front of it, which rmr_at() adds.
 *
 * Every number was compiled from that version's headers (offsetof), release and debug, and compared
 * with the answer of a live interpreter. rmr_layout_find() checks those that can differ between
 * builds against the running interpreter and refuses what it does not recognise.
 */
#ifndef RMR_PAYLOADS_HEAP_DUMP_LAYOUT_H
#define RMR_PAYLOADS_HEAP_DUMP_LAYOUT_H

#include "payloads/python_api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RMR_NONE = -1 }; /**< an offset that this version does not have */

// Fields of PyTypeObject: the same from 3.6 to 3.15 (Include/cpython/object.h).
enum {
	RMR_TYPE_NAME = 24,
	RMR_TYPE_BASICSIZE = 32,
	RMR_TYPE_ITEMSIZE = 40,
	RMR_TYPE_FLAGS = 168,
	RMR_TYPE_TRAVERSE = 184,
	RMR_TYPE_WEAKLISTOFFSET = 208,
	RMR_TYPE_MEMBERS = 240,
	RMR_TYPE_BASE = 256,
	RMR_TYPE_DICT = 264,
	RMR_TYPE_DICTOFFSET = 288,
	RMR_TYPE_IS_GC = 328,
	RMR_TYPE_BASES = 336,
	RMR_TYPE_MRO = 344,
	RMR_TYPE_CACHE = 352,
	RMR_TYPE_SUBCLASSES = 360,
	RMR_TYPE_WEAKLIST = 368,
};

// tp_flags bits (Include/object.h); those with a version mean something else, or nothing, before it.
#define RMR_TPFLAG_STATIC_BUILTIN (UINT64_C(1) << 1) // 3.12
#define RMR_TPFLAG_INLINE_VALUES (UINT64_C(1) << 2)  // 3.13
#define RMR_TPFLAG_MANAGED_WEAKREF (UINT64_C(1) << 3) // 3.12
#define RMR_TPFLAG_MANAGED_DICT (UINT64_C(1) << 4)   // 3.11, unused before
#define RMR_TPFLAG_HEAPTYPE (UINT64_C(1) << 9)
#define RMR_TPFLAG_HAVE_GC (UINT64_C(1) << 14)
#define RMR_TPFLAG_LONG (UINT64_C(1) << 24)
#define RMR_TPFLAG_LIST (UINT64_C(1) << 25)
#define RMR_TPFLAG_TUPLE (UINT64_C(1) << 26)
#define RMR_TPFLAG_BYTES (UINT64_C(1) << 27)
#define RMR_TPFLAG_UNICODE (UINT64_C(1) << 28)
#define RMR_TPFLAG_DICT (UINT64_C(1) << 29)
#define RMR_TPFLAG_BASE_EXC (UINT64_C(1) << 30)
#define RMR_TPFLAG_TYPE (UINT64_C(1) << 31)

/** One minor version. Offsets in bytes, RMR_NONE = not there. */
struct rmr_layout {
	uint8_t minor;
	// Garbage collector. Heads are in the runtime for 3.7 and 3.8, in the interpreter after.
	int16_t gc_head;           /**< sizeof(PyGC_Head) */
	int16_t generation_stride; /**< from one list head to the next */
	int32_t generation0;       /**< where the pointer to the first head is */
	int32_t permanent;         /**< from generation0's own place to the permanent head */
	int32_t collecting;        /**< from generation0's own place to the int */
	int32_t garbage;           /**< from generation0's own place to gc.garbage; callbacks +8 */
	// PyInterpreterState.
	int32_t interp_id, modules, modules_by_index, sysdict, codecs, dict, dict_debug;
	int32_t interned, interned_debug;
	int32_t interp_size;       /**< of the whole, where tables of objects are in it up to 3.11 */
	// PyThreadState.
	int32_t thread_id, native_id, thread_dict, exc_info, exc_value, current_exc, async_exc;
	int32_t profile, context, frame_top;
	// What only a reader from outside needs: the head of the list of interpreters in the runtime, the
	// next one and the first thread state in the interpreter, and the GIL (struct
	// _gil_runtime_state): up to 3.11 it is in the runtime, after that the interpreter points to it.
	int32_t runtime_interpreters, interp_next, interp_threads, gil;
	// Sizes of type objects.
	int32_t type_size, heap_type_size, ht_name, ht_module;
	// Static types' table in the interpreter (3.12+).
	int32_t static_stride, static_dict;
	// str.
	int32_t str_ascii, str_compact, str_utf8_length, str_utf8, str_legacy;
	int32_t tuple_items;
	// code.
	int32_t code_filename, code_name, code_qualname, code_firstlineno, code_flags, code_nlocals;
	int32_t code_stacksize, code_linetable, code_consts, code_names, code_varnames;
	int32_t code_freevars, code_cellvars, code_kinds, code_nlocalsplus, code_bytecode;
	int32_t code_exceptiontable, code_extra;
	// Frames: of the frame object up to 3.10, of the interpreter's frame after.
	int32_t frame_previous, frame_code, frame_lasti, frame_locals, frame_globals, frame_dict;
	int32_t frame_object, frame_func, frame_owner, frame_stacktop, frame_object_size;
	// Generators.
	int32_t gen_frame, gen_state, gen_name;
	int32_t function_code;     /**< of PyFunctionObject: tells which of two layouts it is */
	int32_t module_name;       /**< md_name */
};

/** What was found in the running interpreter. */
struct rmr_runtime {
	const struct rmr_layout *layout;
	uint8_t minor;
	bool debug;
	bool incremental;       /**< the collector of 3.14.0 to 3.14.4 */
	uint32_t header;        /**< 0, or 16 with Py_TRACE_REFS */
	uint32_t gc_head;       /**< 16, 24 or 32 */
	uint32_t gc_stride;
	int32_t generation0, permanent, collecting, garbage;
	int32_t static_types;   /**< in the interpreter: the table of static built-in types */
	int32_t static_ext;     /**< and of static extension types, or RMR_NONE */
	uint64_t set_dummy;     /**< key of deleted entries of sets */
};

/** The word at @p offset of an object. */
#define rmr_at(rt, object, offset)                                                                 \
	(*(const uint64_t *)((uintptr_t)(object) + (rt)->header + (uintptr_t)(offset)))
#define rmr_at32(rt, object, offset)                                                               \
	(*(const int32_t *)((uintptr_t)(object) + (rt)->header + (uintptr_t)(offset)))
#define rmr_at8(rt, object, offset)                                                                \
	(*(const uint8_t *)((uintptr_t)(object) + (rt)->header + (uintptr_t)(offset)))
/** The word at @p offset of anything that is no object (interpreter, thread, frame of 3.11+). */
#define rmr_word(address, offset)                                                                  \
	(*(const uint64_t *)((uintptr_t)(address) + (uintptr_t)(offset)))
#define rmr_word32(address, offset)                                                                \
	(*(const int32_t *)((uintptr_t)(address) + (uintptr_t)(offset)))
#define rmr_word8(address, offset)                                                                 \
	(*(const uint8_t *)((uintptr_t)(address) + (uintptr_t)(offset)))

static inline uint64_t rmr_type_of(const struct rmr_runtime *rt, uint64_t object)
{
	return rmr_at(rt, object, 8);
}

/** The row of 3.@p minor, or NULL if it is none that is known. Pure. */
const struct rmr_layout *rmr_layout_of(unsigned minor);

/**
 * Finds the layout of the running interpreter. The GIL is held.
 * @param version_hex  PY_VERSION_HEX
 * @return false if it is none that is known
 */
bool rmr_layout_find(struct rmr_runtime *rt, const struct rmr_python_api *api,
	uint32_t version_hex);

/** The first list head of @p interp's collector (3.6: the only one), or 0. */
uint64_t rmr_layout_generations(const struct rmr_runtime *rt, const struct rmr_python_api *api,
	uint64_t interp, uint64_t *permanent_ret);

/** Address of the collector's "collecting" int for @p interp, or 0 where it cannot be had. */
uint64_t rmr_layout_gc_word(const struct rmr_runtime *rt, const struct rmr_python_api *api,
	uint64_t interp, int32_t offset);

#endif
