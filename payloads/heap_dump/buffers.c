// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum {
	MAX_DIMENSIONS = 64, // NPY_MAXDIMS of numpy 2; 32 before
	MAX_NESTING = 16,    // of dtypes in dtypes
};

// ---- which types ----

// The offset of member @p name of a type, without the header; 0 if it has none. *type_ret: its T_*.
static uint64_t member_offset(struct rmr_heap_dump *w, uint64_t type, const char *name, int32_t *type_ret)
{
	enum { MEMBER_SIZE = 40, MAX_MEMBERS = 64 };
	uint64_t member = rmr_at(&w->rt, type, RMR_TYPE_MEMBERS);

	for (int i = 0; i < MAX_MEMBERS && member; i++, member += MEMBER_SIZE) {
		if (!rmr_memory_has(w, member, MEMBER_SIZE) || !rmr_word(member, 0))
			return 0;
		if (!rmr_values_equal(rmr_values_c_string(w, rmr_word(member, 0)), name))
			continue;
		*type_ret = rmr_word32(member, 8);
		return rmr_word(member, 16) - w->rt.header;
	}
	return 0;
}

// Modules/_ctypes/ctypes.h, CDataObject.
enum { C_PTR = 16, C_NEEDSFREE = 24, C_BASE = 32, C_SIZE = 40, C_OBJECTS = 64 };

static bool is_cdata(struct rmr_heap_dump *w, uint64_t type)
{
	int32_t kind;

	return member_offset(w, type, "_b_base_", &kind) == C_BASE &&
		member_offset(w, type, "_b_needsfree_", &kind) == C_NEEDSFREE &&
		member_offset(w, type, "_objects", &kind) == C_OBJECTS;
}

uint8_t rmr_buffers_kind(struct rmr_heap_dump *w, uint64_t type)
{
	static const struct {
		const char *name;
		uint8_t kind;
		uint16_t first, last; // tp_basicsize of the layouts that are known
	} kinds[] = {
		{"array.array", RMR_KIND_ARRAY, 64, 64},
		{"memoryview", RMR_KIND_MEMORYVIEW, 144, 160},
		{"managedbuffer", RMR_KIND_MANAGED_BUFFER, 112, 128},
		{"pickle.PickleBuffer", RMR_KIND_PICKLE_BUFFER, 104, 112},
		{"mmap.mmap", RMR_KIND_MMAP, 72, 88},
		{"_ctypes._CData", RMR_KIND_CDATA, 96, 112},
		{"_io.BytesIO", RMR_KIND_BYTESIO, 64, 72},
		{"_io._BytesIOBuffer", RMR_KIND_BYTESIO_EXPORT, 24, 32},
		{"numpy.ndarray", RMR_KIND_NDARRAY, 80, 128},
		{"numpy.void", RMR_KIND_VOID, 56, 80},
		{"numpy.dtype", RMR_KIND_DTYPE, 80, 128},
	};
	enum { ARRAY_WEAKLIST = 72 };
	uint64_t size = rmr_at(&w->rt, type, RMR_TYPE_BASICSIZE) - w->rt.header;
	struct rmr_span name = rmr_values_c_string(w, rmr_at(&w->rt, type, RMR_TYPE_NAME));

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!rmr_values_equal(name, kinds[i].name) || !rmr_types_is_c(w, type, kinds[i].name))
			continue;
		if (size < kinds[i].first || size > kinds[i].last ||
			(kinds[i].kind == RMR_KIND_CDATA && !is_cdata(w, type)) ||
			(kinds[i].kind == RMR_KIND_DTYPE && !rmr_buffers_dtype(w, type)) ||
			(kinds[i].kind == RMR_KIND_NDARRAY &&
				rmr_at(&w->rt, type, RMR_TYPE_WEAKLISTOFFSET) - w->rt.header !=
					ARRAY_WEAKLIST))
			return RMR_KIND_OTHER;
		return kinds[i].kind;
	}
	return RMR_KIND_OTHER;
}

// ---- numpy's dtypes ----

// numpy/_core/include/numpy/ndarraytypes.h: PyArray_Descr of 1.x, _PyArray_LegacyDescr of 2.x.
static const struct rmr_dtype_layout dtype_1 = {
	.itemsize = 32, .flags = 27, .subarray = 40, .fields = 48, .names = 56, .metadata = 72};
static const struct rmr_dtype_layout dtype_2 = {.itemsize = 40, .itemsize_is_wide = true, .flags = 32,
	.subarray = 88, .fields = 96, .names = 104, .metadata = 56};

const struct rmr_dtype_layout *rmr_buffers_dtype(struct rmr_heap_dump *w, uint64_t type)
{
	enum { T_INT = 1 };
	int32_t kind = 0;
	uint64_t offset = member_offset(w, type, "itemsize", &kind);

	if (offset == (uint64_t)dtype_1.itemsize && kind == T_INT)
		return &dtype_1;
	return offset == (uint64_t)dtype_2.itemsize && kind != T_INT ? &dtype_2 : NULL;
}

// The layout of the dtype object @p descr; NULL if it is none.
static const struct rmr_dtype_layout *layout_of(struct rmr_heap_dump *w, uint64_t descr)
{
	enum { DTYPE_MIN = 80 };

	if (!rmr_is_readable(w, descr) || !rmr_memory_has(w, descr, DTYPE_MIN + w->rt.header))
		return NULL;
	const struct rmr_type_info *info = rmr_types_get(w, rmr_type_of(&w->rt, descr));
	return info && info->kind == RMR_KIND_DTYPE ? info->dtype : NULL;
}

static uint64_t itemsize(struct rmr_heap_dump *w, const struct rmr_dtype_layout *layout, uint64_t descr)
{
	if (layout->itemsize_is_wide)
		return rmr_at(&w->rt, descr, layout->itemsize);
	return (uint64_t)(uint32_t)rmr_at32(&w->rt, descr, layout->itemsize);
}

// ---- numpy's arrays and records ----

// ndarraytypes.h, PyArrayObject_fields; arrayscalars.h, PyVoidScalarObject.
enum { DATA = 16, ND = 24, DIMENSIONS = 32, BASE = 48, DESCR = 56, FLAGS = 64 };
enum { VOID_ITEMSIZE = 16, VOID_DATA = 24, VOID_DESCR = 32, VOID_FLAGS = 40, VOID_BASE = 48 };
enum { OWNDATA = 4 };

static bool array_count(struct rmr_heap_dump *w, uint64_t array, uint64_t *count_ret)
{
	uint64_t dimensions = rmr_at(&w->rt, array, DIMENSIONS), count = 1;
	int32_t nd = rmr_at32(&w->rt, array, ND);

	if (nd < 0 || nd > MAX_DIMENSIONS ||
		(nd && !rmr_memory_has(w, dimensions, 8 * (uint64_t)nd)))
		return false;
	for (int32_t i = 0; i < nd; i++) {
		if (__builtin_mul_overflow(count, rmr_word(dimensions, i * 8), &count))
			return false;
	}
	*count_ret = count;
	return true;
}

static bool array_buffer(struct rmr_heap_dump *w, uint64_t array, struct rmr_buffer *b)
{
	uint64_t descr = rmr_at(&w->rt, array, DESCR), count;
	const struct rmr_dtype_layout *layout = layout_of(w, descr);

	if (!layout || !array_count(w, array, &count) ||
		__builtin_mul_overflow(count, itemsize(w, layout, descr), &b->bytes))
		return false;
	b->data = rmr_at(&w->rt, array, DATA);
	b->base = rmr_at32(&w->rt, array, FLAGS) & OWNDATA ? array : rmr_at(&w->rt, array, BASE);
	return true;
}

static void void_buffer(struct rmr_heap_dump *w, uint64_t object, struct rmr_buffer *b)
{
	b->bytes = rmr_at(&w->rt, object, VOID_ITEMSIZE);
	b->data = rmr_at(&w->rt, object, VOID_DATA);
	b->base = rmr_at32(&w->rt, object, VOID_FLAGS) & OWNDATA ? object
								 : rmr_at(&w->rt, object, VOID_BASE);
	// numpy.generic.__sizeof__ counts the bytes of a view, too.
	b->owned = b->base == object ? (int64_t)b->bytes : 0;
	b->is_in_size = true;
}

// ---- elements that are objects ----

static void add_offset(struct rmr_elements *e, uint64_t offset)
{
	for (uint32_t i = 0; i < e->offset_count; i++) {
		if (e->offsets[i] == offset) // a title: a second key of the same field
			return;
	}
	if (e->offset_count < RMR_MAX_OFFSETS)
		e->offsets[e->offset_count++] = (uint32_t)offset;
	else
		e->too_many = true;
}

static void find_offsets(struct rmr_heap_dump *w, struct rmr_elements *e, uint64_t descr, uint64_t at,
	unsigned depth);

static void find_in_fields(struct rmr_heap_dump *w, struct rmr_elements *e, uint64_t fields, uint64_t at,
	unsigned depth)
{
	const struct rmr_runtime *rt = &w->rt;
	struct rmr_dict_iter iter;

	if (!rmr_is_readable(w, fields) || rmr_type_of(rt, fields) != (uintptr_t)w->api.PyDict_Type ||
		!rmr_is_readable(w, rmr_at(rt, fields, 32)))
		return;
	rmr_dict_start(w, &iter, rmr_at(rt, fields, 32), rmr_at(rt, fields, 40));
	while (rmr_dict_next(&iter)) { // (dtype, offset[, title])
		bool negative;
		uint64_t digits;
		if (!rmr_is_readable(w, iter.value) ||
			rmr_type_of(rt, iter.value) != (uintptr_t)w->api.PyTuple_Type ||
			rmr_at(rt, iter.value, 16) < 2)
			continue;
		uint64_t descr = rmr_at(rt, iter.value, rt->layout->tuple_items);
		uint64_t number = rmr_at(rt, iter.value, rt->layout->tuple_items + 8);
		if (!rmr_is_readable(w, number) ||
			rmr_type_of(rt, number) != (uintptr_t)w->api.PyLong_Type)
			continue;
		uint64_t count = rmr_sizes_int_digits(w, number, &negative, &digits);
		uint64_t offset = count ? (uint64_t)(uint32_t)rmr_word32(digits, 0) : 0;
		if (count <= 1 && !negative)
			find_offsets(w, e, descr, at + offset, depth + 1);
	}
}

// Where an item of dtype @p descr that starts at @p at has references.
static void find_offsets(struct rmr_heap_dump *w, struct rmr_elements *e, uint64_t descr, uint64_t at,
	unsigned depth)
{
	enum { TYPE_NUM = 28, NPY_OBJECT = 17, NPY_VOID = 20, HAS_REFERENCES = 1 };
	const struct rmr_runtime *rt = &w->rt;
	const struct rmr_dtype_layout *layout = layout_of(w, descr);

	if (!layout || depth > MAX_NESTING)
		return;
	int32_t number = rmr_at32(rt, descr, TYPE_NUM);
	if (number == NPY_OBJECT)
		add_offset(e, at);
	if (number != NPY_VOID || !(rmr_at8(rt, descr, layout->flags) & HAS_REFERENCES) ||
		!rmr_memory_has(w, descr, (uint64_t)layout->names + 8))
		return;
	uint64_t subarray = rmr_at(rt, descr, layout->subarray);
	if (!subarray || !rmr_memory_has(w, subarray, 16)) {
		find_in_fields(w, e, rmr_at(rt, descr, layout->fields), at, depth);
		return;
	}
	// PyArray_ArrayDescr: the dtype of its items, then its shape.
	uint64_t base = rmr_word(subarray, 0);
	const struct rmr_dtype_layout *inner = layout_of(w, base);
	uint64_t step = inner ? itemsize(w, inner, base) : 0;
	uint64_t count = step ? itemsize(w, layout, descr) / step : 0;
	for (uint64_t i = 0; i < count && !e->too_many; i++) {
		uint32_t before = e->offset_count;
		find_offsets(w, e, base, at + i * step, depth + 1);
		if (e->offset_count == before)
			return;
	}
}

bool rmr_buffers_elements(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_elements *e)
{
	bool is_array = info->kind == RMR_KIND_NDARRAY;
	uint64_t descr = rmr_at(&w->rt, object, is_array ? DESCR : VOID_DESCR), bytes;
	const struct rmr_dtype_layout *layout = layout_of(w, descr);

	if (!layout || !(rmr_at32(&w->rt, object, is_array ? FLAGS : VOID_FLAGS) & OWNDATA))
		return false;
	e->data = rmr_at(&w->rt, object, is_array ? DATA : VOID_DATA);
	uint64_t step = itemsize(w, layout, descr);
	e->step = (uint32_t)step;
	e->count = 1;
	if (is_array && !array_count(w, object, &e->count))
		return false;
	if (!e->count || !step || step >> 32 || __builtin_mul_overflow(e->count, step, &bytes))
		return false;
	e->offset_count = 0;
	e->too_many = false;
	find_offsets(w, e, descr, 0, 0);
	for (uint32_t i = 0; i < e->offset_count; i++) {
		if ((uint64_t)e->offsets[i] + 8 > step)
			return false;
	}
	return e->offset_count && !e->too_many && rmr_memory_has(w, e->data, bytes);
}

// ---- the standard library's ----

// Modules/arraymodule.c: arrayobject, struct arraydescr.
static bool array_array_buffer(struct rmr_heap_dump *w, uint64_t object, struct rmr_buffer *b)
{
	enum { SIZE = 16, ITEMS = 24, ARRAY_DESCR = 40, ITEMSIZE = 4 };
	uint64_t descr = rmr_at(&w->rt, object, ARRAY_DESCR);

	if (!rmr_memory_has(w, descr, 8))
		return false;
	b->data = rmr_at(&w->rt, object, ITEMS);
	b->bytes = rmr_at(&w->rt, object, SIZE) * (uint64_t)(uint32_t)rmr_word32(descr, ITEMSIZE);
	b->base = object;
	return true;
}

// Objects/memoryobject.c: PyMemoryViewObject, _PyManagedBufferObject; Include/cpython/pybuffer.h (or
// object.h): Py_buffer. A view that was released shows nothing.
static bool view_buffer(struct rmr_heap_dump *w, uint64_t object, unsigned flags, unsigned view,
	struct rmr_buffer *b)
{
	enum { BUF = 0, OBJ = 8, LEN = 16, RELEASED = 1 };

	if (flags && rmr_at32(&w->rt, object, flags) & RELEASED)
		return false;
	b->data = rmr_at(&w->rt, object, view + BUF);
	b->bytes = rmr_at(&w->rt, object, view + LEN);
	b->base = rmr_at(&w->rt, object, view + OBJ);
	return flags || b->base; // a PickleBuffer has no flag: it loses the object
}

// Modules/mmapmodule.c, mmap_object. The pages of a file are not the process's own.
static bool mmap_buffer(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_buffer *b)
{
	enum { MAP = 16, SIZE = 24, FD_OLD = 52, FD = 56, TRACKFD = 60, TRACKFD_NEW = 76 };
	uint64_t base = info->address;

	b->data = rmr_at(&w->rt, object, MAP);
	b->bytes = rmr_at(&w->rt, object, SIZE);
	b->base = object;
	while (base && !rmr_types_is_c(w, base, "mmap.mmap"))
		base = rmr_at(&w->rt, base, RMR_TYPE_BASE);
	if (!base || !b->data)
		return false;
	// 72 bytes: up to 3.7; 80: exports is a Py_ssize_t, 3.13: trackfd; 88: 3.14.8; 80 again: 3.15.0.
	uint64_t size = rmr_at(&w->rt, base, RMR_TYPE_BASICSIZE) - w->rt.header;
	bool is_file = rmr_at32(&w->rt, object, size == 72 ? FD_OLD : FD) != -1;
	if (w->rt.minor >= 13) // mmap(fd, trackfd=False) keeps no descriptor
		is_file |= !rmr_at8(&w->rt, object,
			size == 80 && w->rt.minor >= 14 ? TRACKFD_NEW : TRACKFD);
	b->owned = is_file ? 0 : (int64_t)b->bytes;
	return true;
}

// The memoryview that from_buffer() keeps: alone, or in the dict under the key for index -1.
static uint64_t ctypes_source(struct rmr_heap_dump *w, uint64_t object, const struct rmr_buffer *b)
{
	uint64_t kept = rmr_at(&w->rt, object, C_OBJECTS);
	struct rmr_buffer view;

	if (kept && rmr_is_readable(w, kept) &&
		rmr_type_of(&w->rt, kept) == (uintptr_t)w->api.PyDict_Type)
		kept = rmr_values_dict_get(w, kept, "ffffffff");
	if (!kept || !rmr_is_readable(w, kept))
		return 0;
	const struct rmr_type_info *info = rmr_types_get(w, rmr_type_of(&w->rt, kept));
	if (!info || info->kind != RMR_KIND_MEMORYVIEW || !rmr_buffers_get(w, info, kept, 0, &view))
		return 0;
	return b->data >= view.data && b->data - view.data <= view.bytes ? kept : 0;
}

static void ctypes_buffer(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	struct rmr_buffer *b)
{
	b->data = rmr_at(&w->rt, object, C_PTR);
	b->bytes = rmr_at(&w->rt, object, C_SIZE);
	b->base = rmr_at(&w->rt, object, C_BASE);
	if (!b->base && rmr_at32(&w->rt, object, C_NEEDSFREE)) {
		b->base = object;
		bool inside = b->data >= object && b->data < object + (uint64_t)info->basicsize;
		b->owned = inside ? 0 : (int64_t)b->bytes;
	} else if (!b->base) {
		b->base = ctypes_source(w, object, b);
	}
}

// Modules/_io/bytesio.c, bytesio: its buffer is a bytes object of its own.
static bool bytesio_buffer(struct rmr_heap_dump *w, uint64_t object, struct rmr_buffer *b)
{
	enum { BUF = 16, STRING_SIZE = 32, BYTES_DATA = 32 };

	b->base = rmr_at(&w->rt, object, BUF);
	if (!b->base || !rmr_is_readable(w, b->base) ||
		!(rmr_at(&w->rt, rmr_type_of(&w->rt, b->base), RMR_TYPE_FLAGS) & RMR_TPFLAG_BYTES))
		return false;
	b->data = b->base + w->rt.header + BYTES_DATA;
	b->bytes = rmr_at(&w->rt, object, STRING_SIZE);
	b->is_in_size = true; // counted where nobody else has it, and by the bytes object itself
	return true;
}

// _io._BytesIOBuffer, what BytesIO.getbuffer() is a view of.
static bool bytesio_export(struct rmr_heap_dump *w, uint64_t object, struct rmr_buffer *b)
{
	enum { SOURCE = 16, BYTESIO_SIZE = 64 };
	uint64_t source = rmr_at(&w->rt, object, SOURCE);

	if (!rmr_is_readable(w, source) || !rmr_memory_has(w, source, BYTESIO_SIZE) ||
		!bytesio_buffer(w, source, b))
		return false;
	b->base = source;
	b->is_in_size = false;
	return true;
}

// Objects/bytearrayobject.h, PyByteArrayObject.
static void bytearray_buffer(struct rmr_heap_dump *w, uint64_t object, struct rmr_buffer *b)
{
	enum { SIZE = 16, START = 40 };

	b->data = rmr_at(&w->rt, object, START);
	b->bytes = rmr_at(&w->rt, object, SIZE);
	b->base = object;
}

bool rmr_buffers_get(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object,
	uint64_t size, struct rmr_buffer *b)
{
	enum { VIEW_FLAGS = 40, VIEW = 56, MANAGED_FLAGS = 16, MANAGED = 32, PICKLE_VIEW = 16 };
	bool has = true;

	*b = (struct rmr_buffer){0};
	switch (info->kind) {
	case RMR_KIND_BYTEARRAY:
		bytearray_buffer(w, object, b);
		break;
	case RMR_KIND_ARRAY:
		has = array_array_buffer(w, object, b);
		break;
	case RMR_KIND_MEMORYVIEW:
		has = view_buffer(w, object, VIEW_FLAGS, VIEW, b);
		break;
	case RMR_KIND_MANAGED_BUFFER:
		has = view_buffer(w, object, MANAGED_FLAGS, MANAGED, b);
		break;
	case RMR_KIND_PICKLE_BUFFER:
		has = view_buffer(w, object, 0, PICKLE_VIEW, b);
		break;
	case RMR_KIND_MMAP:
		has = mmap_buffer(w, info, object, b);
		break;
	case RMR_KIND_CDATA:
		ctypes_buffer(w, info, object, b);
		break;
	case RMR_KIND_BYTESIO:
		has = bytesio_buffer(w, object, b);
		break;
	case RMR_KIND_BYTESIO_EXPORT:
		has = bytesio_export(w, object, b);
		break;
	case RMR_KIND_NDARRAY:
		has = array_buffer(w, object, b);
		break;
	case RMR_KIND_VOID:
		void_buffer(w, object, b);
		break;
	default:
		return false;
	}
	if (b->is_in_size && size)
		b->owned -= (int64_t)(size - info->presize - (uint64_t)info->basicsize);
	return has && !(b->bytes >> 62);
}
