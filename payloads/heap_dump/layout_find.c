// SPDX-License-Identifier: GPL-3.0-or-later
// The layout of the interpreter that this code runs in, checked against its own memory.
#include "payloads/freestanding.h"
#include "payloads/heap_dump/layout.h"

#define NONE RMR_NONE

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

	rt->layout = version_hex >> 24 == 3 ? rmr_layout_of(minor) : NULL;
	if (!rt->layout)
		return false;
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
