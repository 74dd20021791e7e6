// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"
#include "payloads/heap_dump/rules.h"

enum { FIRST_TYPES = 4096, MEMBER_SIZE = 40, MAX_FIELDS = 1024, MAX_BASES = 256 };

// ---- dicts and names of types ----

// A word of the type's entry in the interpreter's table of static types, or 0.
static uint64_t static_word(struct rmr_heap_dump *w, uint64_t interp, uint64_t type, int32_t offset)
{
	const struct rmr_runtime *rt = &w->rt;
	uint64_t stride = (uint64_t)rt->layout->static_stride;
	int32_t tables[] = {rt->static_types, rt->static_ext};

	// tp_subclasses of a static built-in type is its index in the table plus one.
	uint64_t index = rmr_at(rt, type, RMR_TYPE_SUBCLASSES) - 1;
	if (rt->static_types == RMR_NONE || index >= 210)
		return 0;
	for (int i = 0; i < 2; i++) {
		if (tables[i] == RMR_NONE)
			continue;
		uint64_t entry = interp + (uint64_t)tables[i] + index * stride;
		if (rmr_word(entry, 0) == type)
			return rmr_word(entry, offset);
	}
	return 0;
}

static uint64_t static_any(struct rmr_heap_dump *w, uint64_t type, int32_t offset)
{
	uint64_t interp = (uintptr_t)((void *(*)(void))w->api.PyInterpreterState_Head)();
	uint64_t word = 0;

	// The main interpreter is the last of the list.
	for (; interp; interp = (uintptr_t)((void *(*)(void *))w->api.PyInterpreterState_Next)(
				(void *)interp)) {
		uint64_t here = static_word(w, interp, type, offset);
		word = here ? here : word;
	}
	return word && rmr_is_readable(w, word) ? word : 0;
}

uint64_t rmr_types_subclasses(struct rmr_heap_dump *w, uint64_t type)
{
	return w->rt.minor < 12 ? 0 : static_any(w, type, w->rt.layout->static_dict + 8);
}

uint64_t rmr_types_dict(struct rmr_heap_dump *w, uint64_t type)
{
	uint64_t dict = rmr_at(&w->rt, type, RMR_TYPE_DICT);
	uint64_t flags = rmr_at(&w->rt, type, RMR_TYPE_FLAGS);

	if (w->rt.minor >= 12 && !dict && (flags & RMR_TPFLAG_STATIC_BUILTIN))
		return static_any(w, type, w->rt.layout->static_dict);
	return dict && rmr_is_readable(w, dict) ? dict : 0;
}

struct rmr_span rmr_types_name(struct rmr_heap_dump *w, uint64_t type)
{
	if (w->request.meliae) // the C name, with its module where it has one
		return rmr_values_c_string(w, rmr_at(&w->rt, type, RMR_TYPE_NAME));
	if (rmr_at(&w->rt, type, RMR_TYPE_FLAGS) & RMR_TPFLAG_HEAPTYPE) {
		uint64_t name = rmr_at(&w->rt, type, w->rt.layout->ht_name);
		struct rmr_span span = rmr_values_str(w, name);
		if (span.size)
			return span;
	}
	struct rmr_span span = rmr_values_c_string(w, rmr_at(&w->rt, type, RMR_TYPE_NAME));
	const char *text = span.data;
	for (uint64_t i = span.size; i-- > 0;) {
		if (text[i] == '.')
			return (struct rmr_span){text + i + 1, span.size - i - 1, RMR_TEXT_UTF8};
	}
	return span;
}

struct rmr_span rmr_types_module(struct rmr_heap_dump *w, uint64_t type)
{
	if (rmr_at(&w->rt, type, RMR_TYPE_FLAGS) & RMR_TPFLAG_HEAPTYPE) {
		uint64_t dict = rmr_types_dict(w, type);
		uint64_t module = dict ? rmr_values_dict_get(w, dict, "__module__") : 0;
		return module ? rmr_values_str(w, module) : (struct rmr_span){0};
	}
	struct rmr_span span = rmr_values_c_string(w, rmr_at(&w->rt, type, RMR_TYPE_NAME));
	const char *text = span.data;
	for (uint64_t i = span.size; i-- > 0;) {
		if (text[i] == '.')
			return (struct rmr_span){text, i, RMR_TEXT_UTF8};
	}
	return (struct rmr_span){"builtins", 8, RMR_TEXT_UTF8};
}

// ---- kinds ----

static void find_kind(struct rmr_heap_dump *w, struct rmr_type_info *info, uint64_t base)
{
	const struct rmr_python_api *api = &w->api;
	const struct {
		void *type;
		uint8_t kind;
	} kinds[] = {
		{api->PyBool_Type, RMR_KIND_BOOL}, {api->PyLong_Type, RMR_KIND_INT},
		{api->PyFloat_Type, RMR_KIND_FLOAT}, {api->PyUnicode_Type, RMR_KIND_STR},
		{api->PyBytes_Type, RMR_KIND_BYTES}, {api->PyByteArray_Type, RMR_KIND_BYTEARRAY},
		{api->PyList_Type, RMR_KIND_LIST}, {api->PyTuple_Type, RMR_KIND_TUPLE},
		{api->PyDict_Type, RMR_KIND_DICT}, {api->PySet_Type, RMR_KIND_SET},
		{api->PyFrozenSet_Type, RMR_KIND_SET}, {api->PyType_Type, RMR_KIND_TYPE},
		{api->PyModule_Type, RMR_KIND_MODULE}, {api->PyFunction_Type, RMR_KIND_FUNCTION},
		{api->PyCFunction_Type, RMR_KIND_BUILTIN}, {api->PyCode_Type, RMR_KIND_CODE},
		{api->PyFrame_Type, RMR_KIND_FRAME}, {api->PyGen_Type, RMR_KIND_GENERATOR},
		{api->PyCoro_Type, RMR_KIND_GENERATOR}, {api->PyAsyncGen_Type, RMR_KIND_GENERATOR},
		{api->PyCell_Type, RMR_KIND_CELL}, {api->_PyWeakref_RefType, RMR_KIND_WEAKREF},
		{api->_PyWeakref_ProxyType, RMR_KIND_WEAKREF},
		{api->_PyWeakref_CallableProxyType, RMR_KIND_WEAKREF},
		{api->PyMethodDescr_Type, RMR_KIND_DESCRIPTOR},
		{api->PyClassMethodDescr_Type, RMR_KIND_DESCRIPTOR},
		{api->PyGetSetDescr_Type, RMR_KIND_DESCRIPTOR},
		{api->PyMemberDescr_Type, RMR_KIND_DESCRIPTOR},
		{api->PyWrapperDescr_Type, RMR_KIND_DESCRIPTOR},
		{api->PyRange_Type, RMR_KIND_RANGE},
		{(void *)(uintptr_t)rmr_type_of(&w->rt, (uintptr_t)api->_Py_NoneStruct),
			RMR_KIND_NONE},
	};

	if (info->kind != RMR_KIND_OTHER)
		return;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if ((uintptr_t)kinds[i].type != base)
			continue;
		info->kind = kinds[i].kind;
		info->exact = base == info->address;
		return;
	}
}

bool rmr_types_is_c(struct rmr_heap_dump *w, uint64_t base, const char *name)
{
	struct rmr_span span = rmr_values_c_string(w, rmr_at(&w->rt, base, RMR_TYPE_NAME));
	bool dotted = false;

	if (!rmr_values_equal(span, name))
		return false;
	for (const char *c = name; *c; c++)
		dotted |= *c == '.';
	return dotted || !(rmr_at(&w->rt, base, RMR_TYPE_FLAGS) & RMR_TPFLAG_HEAPTYPE);
}

static void find_c_kind(struct rmr_heap_dump *w, struct rmr_type_info *info, uint64_t base)
{
	static const struct {
		const char *name;
		uint8_t kind;
	} kinds[] = {
		{"collections.deque", RMR_KIND_VAR}, {"frozendict", RMR_KIND_DICT},
		{"xml.etree.ElementTree.Element", RMR_KIND_ELEMENT},
		{"functools._lru_cache_wrapper", RMR_KIND_LRU_CACHE},
		{"datetime.datetime", RMR_KIND_DATETIME}, {"datetime.time", RMR_KIND_DATETIME},
	};
	struct rmr_span name = rmr_values_c_string(w, rmr_at(&w->rt, base, RMR_TYPE_NAME));

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (rmr_values_equal(name, kinds[i].name) && rmr_types_is_c(w, base, kinds[i].name))
			info->kind = kinds[i].kind;
	}
	if (info->kind == RMR_KIND_OTHER)
		info->kind = rmr_buffers_kind(w, base);
	if (info->kind == RMR_KIND_DTYPE)
		info->dtype = rmr_buffers_dtype(w, base);
}

// ---- fields ----

struct field_list {
	struct rmr_field fields[MAX_FIELDS];
	uint32_t count;
};

static void add_field(struct field_list *list, struct rmr_name name, uint64_t offset, bool borrowed)
{
	if (list->count == MAX_FIELDS || offset < 16 || offset > 1 << 20 || offset & 7)
		return;
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->fields[i].offset == offset)
			return;
	}
	list->fields[list->count++] = (struct rmr_field){name, (uint32_t)offset, borrowed};
}

// __slots__ and the T_OBJECT members of C types.
static void add_members(struct rmr_heap_dump *w, struct field_list *list, uint64_t type)
{
	enum { T_OBJECT = 6, T_OBJECT_EX = 16 };
	uint64_t member = rmr_at(&w->rt, type, RMR_TYPE_MEMBERS);

	for (int i = 0; i < MAX_FIELDS && member; i++, member += MEMBER_SIZE) {
		if (!rmr_memory_has(w, member, MEMBER_SIZE) || !rmr_word(member, 0))
			return;
		int32_t kind = rmr_word32(member, 8);
		uint64_t offset = rmr_word(member, 16);
		if (kind != T_OBJECT && kind != T_OBJECT_EX)
			continue;
		// Member offsets count from the object's start: with a longer header they include it.
		add_field(list, RMR_C_NAME(rmr_word(member, 0)), offset - w->rt.header, false);
	}
}

static void add_rules(struct rmr_heap_dump *w, struct field_list *list, uint64_t type)
{
	for (const struct rmr_rule *rule = rmr_rules; rule->type; rule++) {
		if (w->rt.minor < rule->first || w->rt.minor > rule->last ||
			!rmr_types_is_c(w, type, rule->type))
			continue;
		for (const struct rmr_rule_field *field = rule->fields; field->offset; field++) {
			struct rmr_name name = {(uintptr_t)field->name, RMR_STYLE_ATTR, true};
			if (!field->name)
				name = (struct rmr_name){0, RMR_STYLE_NULL, true};
			else if (*field->name == '<')
				name.style = RMR_STYLE_PLAIN;
			add_field(list, name, field->offset, field->borrowed);
		}
	}
}

static void add_type_fields(struct rmr_heap_dump *w, struct field_list *list)
{
	const struct rmr_layout *layout = w->rt.layout;
	const struct rmr_name none = {0, RMR_STYLE_NULL, true};

	add_field(list, RMR_C_NAME("__dict__"), RMR_TYPE_DICT, false);
	add_field(list, none, RMR_TYPE_CACHE, false);
	add_field(list, RMR_C_NAME("__mro__"), RMR_TYPE_MRO, false);
	add_field(list, RMR_C_NAME("__bases__"), RMR_TYPE_BASES, false);
	add_field(list, RMR_C_NAME("__base__"), RMR_TYPE_BASE, false);
	add_field(list, none, RMR_TYPE_SUBCLASSES, false);
	// Beyond sizeof(PyTypeObject): read of heap types only (names.c).
	if (layout->ht_module != RMR_NONE)
		add_field(list, none, (uint64_t)layout->ht_module, false);
	add_field(list, RMR_C_NAME("__name__"), (uint64_t)layout->ht_name, false);
	add_field(list, RMR_C_NAME("__slots__"), (uint64_t)layout->ht_name + 8, false);
	add_field(list, RMR_C_NAME("__qualname__"), (uint64_t)layout->ht_name + 16, false);
}

static void add_code_fields(struct rmr_heap_dump *w, struct field_list *list)
{
	const struct rmr_layout *l = w->rt.layout;
	const struct {
		int32_t offset;
		const char *name;
	} fields[] = {
		{l->code_consts, "co_consts"}, {l->code_names, "co_names"},
		{l->code_varnames, l->minor >= 11 ? "co_localsplusnames" : "co_varnames"},
		{l->code_freevars, "co_freevars"}, {l->code_cellvars, "co_cellvars"},
		{l->code_kinds, "co_localspluskinds"}, {l->code_filename, "co_filename"},
		{l->code_name, "co_name"}, {l->code_qualname, "co_qualname"},
		{l->code_linetable, l->minor >= 10 ? "co_linetable" : "co_lnotab"},
		{l->code_exceptiontable, "co_exceptiontable"},
		{l->minor <= 10 ? l->code_bytecode : RMR_NONE, "co_code"},
	};

	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].offset != RMR_NONE)
			add_field(list, RMR_C_NAME(fields[i].name), (uint64_t)fields[i].offset, false);
	}
}

// numpy's dtypes: only those of records have fields; in numpy 1.x all of them have the place.
static void add_dtype_fields(struct rmr_heap_dump *w, struct field_list *list,
	const struct rmr_type_info *info)
{
	const struct rmr_dtype_layout *dtype = info->dtype;

	add_field(list, RMR_C_NAME("metadata"), (uint64_t)dtype->metadata, false);
	if (dtype->itemsize_is_wide && !rmr_types_is_c(w, info->address, "numpy.dtypes.VoidDType"))
		return;
	add_field(list, RMR_C_NAME("names"), (uint64_t)dtype->names, false);
	add_field(list, RMR_C_NAME("fields"), (uint64_t)dtype->fields, false);
}

// Most derived first, as subtype_traverse() visits them.
static void find_fields(struct rmr_heap_dump *w, struct rmr_type_info *info)
{
	struct field_list *list = (struct field_list *)(w->scratch + w->scratch_top);
	uint64_t base = info->address;

	_Static_assert(sizeof(*list) <= RMR_SCRATCH_MIN * 8, "fits what the scratch has left");
	list->count = 0;
	if (info->kind == RMR_KIND_DTYPE)
		add_dtype_fields(w, list, info);
	for (int i = 0; base && i < MAX_BASES && rmr_is_readable(w, base); i++) {
		add_rules(w, list, base);
		if (base == (uintptr_t)w->api.PyType_Type)
			add_type_fields(w, list);
		else if (base == (uintptr_t)w->api.PyCode_Type)
			add_code_fields(w, list);
		else if (base != (uintptr_t)w->api.PyFrame_Type)
			add_members(w, list, base);
		base = rmr_at(&w->rt, base, RMR_TYPE_BASE);
	}
	// A dict that a rule names, too, is one reference: functions, classes, class methods, ...
	for (uint32_t i = 0; i < list->count; i++) {
		if ((int64_t)list->fields[i].offset + w->rt.header == info->dictoffset)
			info->dictoffset = 0;
	}
	info->fields = rmr_memory_small(w, list->count * sizeof(list->fields[0]));
	if (!info->fields)
		return;
	info->field_count = list->count;
	memcpy(info->fields, list->fields, list->count * sizeof(list->fields[0]));
}

// ---- making one ----

/** True if "type" is among the bases. */
static bool is_metatype(struct rmr_heap_dump *w, uint64_t type)
{
	for (int i = 0; i < 32 && type != (uintptr_t)w->api.PyType_Type; i++) {
		type = rmr_at(&w->rt, type, RMR_TYPE_BASE);
		if (!rmr_is_readable(w, type) || !rmr_memory_has(w, type, 400))
			return false;
	}
	return type == (uintptr_t)w->api.PyType_Type;
}

static bool is_type(struct rmr_heap_dump *w, uint64_t type)
{
	uint64_t meta = type;

	// Its own type must be a type, and so on up to "type", which is its own (as a metaclass can make
	// a class too, which then must have "type" among its bases).
	for (int i = 0; i < 8; i++) {
		if (!rmr_is_readable(w, meta) ||
			!rmr_memory_has(w, meta, (uint64_t)w->rt.layout->type_size))
			return false;
		if (rmr_type_of(&w->rt, meta) == meta)
			return is_metatype(w, meta);
		meta = rmr_type_of(&w->rt, meta);
		if (!rmr_is_readable(w, meta) || !rmr_memory_has(w, meta, 400) ||
			!(rmr_at(&w->rt, meta, RMR_TYPE_FLAGS) & RMR_TPFLAG_TYPE))
			return false;
		if (meta == (uintptr_t)w->api.PyType_Type)
			return true;
	}
	return false;
}

static void write_type(struct rmr_heap_dump *w, const struct rmr_type_info *info)
{
	uint64_t *start = rmr_emit_begin(w);

	if (!start)
		return;
	struct rmr_rec_type *rec = (struct rmr_rec_type *)start;
	rec->address = info->address;
	rec->id = info->id;
	rec->pad = 0;
	struct rmr_span texts[] = {
		rmr_types_name(w, info->address), rmr_types_module(w, info->address)};
	uint64_t *p = (uint64_t *)(rec + 1);
	for (int i = 0; i < 2; i++) {
		if (texts[i].size > RMR_REC_MAX_TEXT)
			texts[i].size = RMR_REC_MAX_TEXT;
		p = rmr_values_put(p, texts[i], 0, false);
	}
	rmr_emit_end(w, start, p, RMR_REC_TYPE, 0, 0);
}

// Bytes of the attribute values that each instance has outside of its basicsize.
static uint32_t inline_size(struct rmr_heap_dump *w, uint64_t type)
{
	uint64_t keys = rmr_at(&w->rt, type, w->rt.layout->ht_name + 24);

	if (!keys || !rmr_is_readable(w, keys))
		return 0;
	// Objects/dictobject.c, new_values() and _PyInlineValuesSize(): dk_nentries + dk_usable
	// values, and in front or behind of them a byte each and two (3.13: four) bytes of counts.
	uint64_t count = rmr_word(keys, 24) + rmr_word(keys, 16);
	uint64_t counts = w->rt.minor >= 13 ? (count + 7) / 8 + 1 : (count + 2 + 7) / 8;
	return count > 256 ? 0 : (uint32_t)(8 * (count + counts));
}

static void find_layout(struct rmr_heap_dump *w, struct rmr_type_info *info)
{
	const struct rmr_runtime *rt = &w->rt;
	uint64_t type = info->address, flags = info->flags;

	info->basicsize = (int64_t)rmr_at(rt, type, RMR_TYPE_BASICSIZE);
	info->itemsize = (int64_t)rmr_at(rt, type, RMR_TYPE_ITEMSIZE);
	info->dictoffset = (int64_t)rmr_at(rt, type, RMR_TYPE_DICTOFFSET);
	info->heap = flags & RMR_TPFLAG_HEAPTYPE;
	info->managed_dict = rt->minor >= 11 && (flags & RMR_TPFLAG_MANAGED_DICT);
	info->inline_values = rt->minor >= 13 && (flags & RMR_TPFLAG_INLINE_VALUES);
	bool head_by_type = rt->minor >= 11;
	if (flags & RMR_TPFLAG_HAVE_GC) {
		info->traverse = rmr_at(rt, type, RMR_TYPE_TRAVERSE);
		info->is_gc = rmr_at(rt, type, RMR_TYPE_IS_GC);
		info->presize = head_by_type ? 16 : rt->gc_head;
	}
	if (info->managed_dict ||
		(rt->minor >= 12 && (flags & RMR_TPFLAG_MANAGED_WEAKREF)))
		info->presize += 16;
	if (info->managed_dict)
		info->inline_size = inline_size(w, type);
	// From 3.8 on every object of a heap type owns a reference to it (bpo-35810), before only
	// those of classes made in Python (which are told by their tp_traverse or, without the
	// collector, by __slots__ = ()).
	info->own_class = info->heap && (rt->minor >= 8 || !info->traverse);
}

static bool is_leaf_kind(unsigned kind)
{
	return kind >= RMR_KIND_NONE && kind <= RMR_KIND_BYTES;
}

static struct rmr_type_info *make(struct rmr_heap_dump *w, uint64_t type)
{
	struct rmr_type_info *info = rmr_memory_small(w, sizeof(*info));

	if (!info)
		return NULL;
	info->address = type;
	info->flags = rmr_at(&w->rt, type, RMR_TYPE_FLAGS);
	info->id = (uint32_t)w->type_count++;
	uint64_t base = type;
	for (int i = 0; base && i < MAX_BASES && rmr_is_readable(w, base); i++) {
		find_kind(w, info, base);
		if (info->kind == RMR_KIND_OTHER)
			find_c_kind(w, info, base);
		base = rmr_at(&w->rt, base, RMR_TYPE_BASE);
	}
	find_layout(w, info);
	info->leaf = info->exact && is_leaf_kind(info->kind);
	rmr_sizes_find_rule(w, info);
	if (!info->leaf)
		find_fields(w, info);
	return info;
}

struct rmr_type_info *rmr_types_make(struct rmr_heap_dump *w, uint64_t type)
{
	if (!is_type(w, type))
		return NULL;
	if (w->type_count * 2 >= w->type_room) {
		struct rmr_type_info **old = w->types;
		uint64_t old_room = w->type_room;
		struct rmr_type_info **larger =
			rmr_memory_map(w, old_room * 2 * sizeof(*larger));
		if (!larger)
			return NULL;
		w->types = larger;
		w->type_room = old_room * 2;
		for (uint64_t i = 0; i < old_room; i++) {
			if (!old[i])
				continue;
			uint64_t at = rmr_hash(old[i]->address) & (w->type_room - 1);
			while (larger[at])
				at = (at + 1) & (w->type_room - 1);
			larger[at] = old[i];
		}
	}
	struct rmr_type_info *info = make(w, type);
	if (!info)
		return NULL;
	uint64_t at = rmr_hash(type) & (w->type_room - 1);
	while (w->types[at])
		at = (at + 1) & (w->type_room - 1);
	w->types[at] = info;
	write_type(w, info);
	return info;
}

bool rmr_types_init(struct rmr_heap_dump *w)
{
	w->type_room = FIRST_TYPES;
	w->types = rmr_memory_map(w, w->type_room * sizeof(*w->types));
	return w->types != NULL;
}

bool rmr_types_object_is_gc(struct rmr_heap_dump *w, const struct rmr_type_info *info,
	uint64_t object)
{
	if (!info->traverse)
		return false;
	if (!info->is_gc)
		return true;
	if (info->kind == RMR_KIND_TYPE) // type_is_gc(): static types are not the collector's
		return rmr_at(&w->rt, object, RMR_TYPE_FLAGS) & RMR_TPFLAG_HEAPTYPE;
	return ((int (*)(uint64_t))(uintptr_t)info->is_gc)(object) != 0;
}
