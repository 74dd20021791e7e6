// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

enum { FIRST_SHAPES = 4096, MAX_SHAPES = 1 << 20, MAX_INLINE = 256 };

struct rmr_shape_slot {
	uint64_t hash; // 0 = free
	uint32_t id;
};

bool rmr_names_init(struct rmr_heap_dump *w)
{
	w->shape_room = FIRST_SHAPES;
	w->shapes = rmr_memory_map(w, w->shape_room * sizeof(*w->shapes));
	w->candidates = rmr_memory_map(w, RMR_MAX_CANDIDATES * sizeof(*w->candidates));
	w->names = rmr_memory_map(w, RMR_MAX_SHAPE * sizeof(*w->names));
	return w->shapes && w->candidates && w->names;
}

void rmr_names_add(struct rmr_heap_dump *w, uint64_t value, struct rmr_name name, bool borrowed)
{
	if (!value || w->candidate_count == RMR_MAX_CANDIDATES)
		return;
	w->candidates[w->candidate_count++] = (struct rmr_candidate){value, name, borrowed, false};
}

// ---- what an object should hold ----

static void add_inline(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t values,
	uint64_t skip, bool borrowed)
{
	uint64_t keys = rmr_at(&w->rt, info->address, w->rt.layout->ht_name + 24);
	struct rmr_dict_iter iter;

	if (!keys || !rmr_is_readable(w, keys))
		return;
	rmr_dict_start(w, &iter, keys, 0);
	uint64_t count = rmr_dict_entries(w, keys);
	for (uint64_t i = 0; i < count && i < MAX_INLINE; i++) {
		uint64_t key = rmr_word(iter.entry + i * iter.step, iter.key_at);
		struct rmr_name name = {key, RMR_STYLE_ATTR, false};
		rmr_names_add(w, rmr_word(values, skip + i * 8), name, borrowed);
	}
}

static const struct rmr_name dict_name = {(uintptr_t) "__dict__", RMR_STYLE_ATTR, true};

// The instance's values that lie in the object, and its dict if it has one.
static void add_managed(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	const struct rmr_runtime *rt = &w->rt;
	uint64_t word = rmr_word(object, -24);

	if (rt->minor == 11) {
		uint64_t values = rmr_word(object, -32);
		if (values && rmr_is_readable(w, values))
			add_inline(w, info, values, 0, false);
		rmr_names_add(w, word, dict_name, false);
	} else if (rt->minor == 12) {
		if (word & 1)
			add_inline(w, info, word + 1, 0, false);
		else
			rmr_names_add(w, word, dict_name, false);
	} else {
		uint64_t values = object + (uint64_t)info->basicsize;
		// Once there is a dict, the values are its own and lie here all the same. Which of the
		// two visits them differs (gh-130327), so they count here only if they are visited.
		if (info->inline_values && rmr_word8(values, 3) == 1)
			add_inline(w, info, values, 8, word != 0);
		rmr_names_add(w, word, dict_name, false);
	}
}

static void add_dict(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	int64_t offset = info->dictoffset;

	if (offset < 0) {
		// Objects/object.c, _PyObject_GetDictPtr(): from the end of the variable part.
		int64_t items = (int64_t)rmr_at(&w->rt, object, 16);
		if (info->kind == RMR_KIND_INT && w->rt.minor >= 12)
			return;
		items = items < 0 ? -items : items;
		int64_t size = (info->basicsize + items * info->itemsize + 7) & ~INT64_C(7);
		offset += size;
	}
	if (offset < 16)
		return;
	rmr_names_add(w, rmr_word(object, offset), dict_name, false);
}

static bool is_static_type(struct rmr_heap_dump *w, uint64_t object)
{
	return !(rmr_at(&w->rt, object, RMR_TYPE_FLAGS) & RMR_TPFLAG_HEAPTYPE);
}

// A type's dict, bases and names; of a heap type also the keys of its instances' attributes.
static void add_type(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	const struct rmr_runtime *rt = &w->rt;
	bool is_static = is_static_type(w, object);
	uint64_t end = is_static ? (uint64_t)rt->layout->type_size : (uint64_t)info->basicsize;

	for (uint32_t i = 0; i < info->field_count; i++) {
		const struct rmr_field *field = &info->fields[i];
		uint64_t offset = field->offset;
		if (offset + 8 > end)
			continue;
		uint64_t value = rmr_at(rt, object, offset);
		// tp_subclasses of a static built-in type of 3.12+ is a number.
		if (offset == RMR_TYPE_SUBCLASSES && value < 4096)
			continue;
		if (!is_static && rmr_is_readable(w, value) == false)
			continue;
		rmr_names_add(w, value, field->name, field->borrowed);
	}
	if (is_static) {
		if (rt->minor >= 12 && !rmr_at(rt, object, RMR_TYPE_DICT))
			rmr_names_add(w, rmr_types_dict(w, object), dict_name, false);
		rmr_names_add(w, rmr_types_subclasses(w, object),
			(struct rmr_name){0, RMR_STYLE_NULL, true}, false);
		return;
	}
	uint64_t keys = rmr_at(rt, object, rt->layout->ht_name + 24);
	if (!keys || !rmr_is_readable(w, keys))
		return;
	struct rmr_dict_iter iter;
	rmr_dict_start(w, &iter, keys, 0);
	uint64_t count = rmr_dict_entries(w, keys);
	for (uint64_t i = 0; i < count && i < MAX_INLINE; i++) {
		struct rmr_name none = {0, RMR_STYLE_NULL, true};
		rmr_names_add(w, rmr_word(iter.entry + i * iter.step, iter.key_at), none, false);
	}
}

static void add_tuple_items(struct rmr_heap_dump *w, uint64_t object)
{
	enum { MAX_NAMED = 64 };
	uint64_t size = rmr_at(&w->rt, object, 16);

	if (size > MAX_NAMED)
		return;
	for (uint64_t i = size; i-- > 0;) {
		struct rmr_name name = {i, RMR_STYLE_INDEX, true};
		uint64_t offset = (uint64_t)w->rt.layout->tuple_items + i * 8;
		rmr_names_add(w, rmr_at(&w->rt, object, offset), name, false);
	}
}

static void add_list_items(struct rmr_heap_dump *w, uint64_t object)
{
	enum { MAX_NAMED = 64, ITEMS = 24 };
	uint64_t size = rmr_at(&w->rt, object, 16);
	uint64_t items = rmr_at(&w->rt, object, ITEMS);

	if (size > MAX_NAMED)
		return;
	for (uint64_t i = size; i-- > 0;) {
		struct rmr_name name = {i, RMR_STYLE_INDEX, true};
		rmr_names_add(w, rmr_word(items, i * 8), name, false);
	}
}

static void add_datetime(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	// Include/datetime.h: hastzinfo; tzinfo is the last field of both structs that have it, and
	// the short ones (without) end before it.
	enum { HAS_TZINFO = 24, TIME_TZINFO = 32, DATETIME_TZINFO = 40 };
	uint64_t base = info->address;

	if (!rmr_at8(&w->rt, object, HAS_TZINFO))
		return;
	while (base && rmr_is_readable(w, base)) {
		struct rmr_span name = rmr_values_c_string(w, rmr_at(&w->rt, base, RMR_TYPE_NAME));
		bool is_time = rmr_values_equal(name, "datetime.time");
		if (is_time || rmr_values_equal(name, "datetime.datetime")) {
			rmr_names_add(w, rmr_at(&w->rt, object,
					is_time ? TIME_TZINFO : DATETIME_TZINFO),
				RMR_C_NAME("tzinfo"), false);
			return;
		}
		base = rmr_at(&w->rt, base, RMR_TYPE_BASE);
	}
}

// Modules/_functoolsmodule.c: the entries of an lru_cache() with a limit are objects on a ring that
// owns them; tp_traverse visits only what they hold.
static void add_lru_entries(struct rmr_heap_dump *w, uint64_t object)
{
	enum { NEXT = 24, MOST = 1000 };
	const struct rmr_name none = {0, RMR_STYLE_NULL, true};
	uint64_t entry = rmr_at(&w->rt, object, NEXT), type = 0;

	for (int i = 0; i < MOST && entry != object && rmr_is_readable(w, entry); i++) {
		type = type ? type : rmr_type_of(&w->rt, entry);
		if (rmr_type_of(&w->rt, entry) != type)
			return;
		rmr_names_add(w, entry, none, false);
		entry = rmr_at(&w->rt, entry, NEXT);
	}
}

// Modules/_elementtree.c, ElementObject: what is beyond tag, text and tail lies in a block of its own,
// {attrib, length, allocated, children}. All of it is visited.
static void add_element(struct rmr_heap_dump *w, uint64_t object)
{
	enum { EXTRA = 40, LENGTH = 8, CHILDREN = 24, MAX_NAMED = 64 };
	uint64_t extra = rmr_at(&w->rt, object, EXTRA);

	if (!rmr_memory_has(w, extra, CHILDREN + 8))
		return;
	rmr_names_add(w, rmr_word(extra, 0), RMR_C_NAME("attrib"), true);
	uint64_t count = rmr_word(extra, LENGTH), children = rmr_word(extra, CHILDREN);
	if (count > MAX_NAMED || !rmr_memory_has(w, children, count * 8))
		return;
	for (uint64_t i = 0; i < count; i++)
		rmr_names_add(w, rmr_word(children, i * 8),
			(struct rmr_name){i, RMR_STYLE_INDEX, true}, true);
}

// A struct sequence (os.stat_result, time.struct_time) has more fields than items: those are members
// of the type, behind its items (Objects/structseq.c).
static bool is_beyond_items(struct rmr_heap_dump *w, const struct rmr_type_info *info,
	uint64_t object, uint64_t offset)
{
	return info->kind == RMR_KIND_TUPLE && !info->exact &&
		offset >= (uint64_t)w->rt.layout->tuple_items + rmr_at(&w->rt, object, 16) * 8;
}

static void add_fields(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	for (uint32_t i = 0; i < info->field_count; i++) {
		const struct rmr_field *field = &info->fields[i];
		if (field->offset + 8 > (uint64_t)info->basicsize &&
			!is_beyond_items(w, info, object, field->offset))
			continue;
		rmr_names_add(w, rmr_at(&w->rt, object, field->offset), field->name,
			field->borrowed);
	}
}

void rmr_names_collect(struct rmr_heap_dump *w, const struct rmr_type_info *info, uint64_t object)
{
	const struct rmr_name class_name = {(uintptr_t) "__class__", RMR_STYLE_ATTR, true};
	bool is_type = info->kind == RMR_KIND_TYPE;

	if (is_type)
		add_type(w, info, object);
	else
		add_fields(w, info, object);
	if (info->managed_dict)
		add_managed(w, info, object);
	else if (info->dictoffset && !(is_type && is_static_type(w, object)))
		add_dict(w, info, object);
	if (info->heap)
		rmr_names_add(w, info->address, class_name, !info->own_class);
	switch (info->kind) {
	case RMR_KIND_TUPLE:
		if (!info->exact)
			add_tuple_items(w, object);
		break;
	case RMR_KIND_LIST:
		if (!info->exact)
			add_list_items(w, object);
		break;
	case RMR_KIND_FRAME:
	case RMR_KIND_GENERATOR:
		rmr_frames_collect(w, info, object);
		break;
	case RMR_KIND_LRU_CACHE:
		add_lru_entries(w, object);
		break;
	case RMR_KIND_ELEMENT:
		add_element(w, object);
		break;
	case RMR_KIND_DATETIME:
		add_datetime(w, info, object);
		break;
	}
}

// ---- matching and shapes ----

static struct rmr_candidate *find_candidate(struct rmr_heap_dump *w, uint64_t value)
{
	struct rmr_candidate *all = w->candidates;
	uint32_t i = w->first_unused;

	while (i < w->candidate_count && all[i].used)
		i++;
	w->first_unused = i;
	// Nearly always the next one; the rest is searched where tp_traverse has another order.
	for (; i < w->candidate_count; i++) {
		if (!all[i].used && all[i].value == value) {
			all[i].used = true;
			return &all[i];
		}
	}
	return NULL;
}

static void write_shape(struct rmr_heap_dump *w, uint32_t id, uint32_t count)
{
	uint64_t *start = rmr_emit_begin(w);

	if (!start)
		return;
	struct rmr_rec_shape *rec = (struct rmr_rec_shape *)start;
	rec->id = id;
	uint64_t *p = (uint64_t *)(rec + 1);
	// Names are cut so that a shape always fits its record.
	uint32_t i = 0;
	for (; i < count && (p - start) * 8 < RMR_REC_MAX - RMR_REC_MAX_TEXT - 64; i++) {
		const struct rmr_name *name = &w->names[i];
		struct rmr_span span = {0};
		char digits[24];
		if (name->style == RMR_STYLE_INDEX) {
			uint64_t n = name->text;
			char *at = digits + sizeof(digits);
			do
				*--at = (char)('0' + n % 10);
			while (n /= 10);
			span = (struct rmr_span){at, (uint64_t)(digits + sizeof(digits) - at),
				RMR_TEXT_UTF8};
		} else if (name->style != RMR_STYLE_NULL) {
			span = name->is_c ? rmr_values_c_string(w, name->text)
					  : rmr_values_str(w, name->text);
		}
		if (span.size > 4096)
			span.size = 4096;
		p = rmr_values_put(p, span, name->style, false);
	}
	rec->count = i;
	rmr_emit_end(w, start, p, RMR_REC_SHAPE, 0, 0);
}

static bool grow_shapes(struct rmr_heap_dump *w)
{
	struct rmr_shape_slot *old = w->shapes;
	uint64_t old_room = w->shape_room;
	struct rmr_shape_slot *larger = rmr_memory_map(w, old_room * 2 * sizeof(*larger));

	if (!larger)
		return false;
	for (uint64_t i = 0; i < old_room; i++) {
		if (!old[i].hash)
			continue;
		uint64_t at = old[i].hash & (old_room * 2 - 1);
		while (larger[at].hash)
			at = (at + 1) & (old_room * 2 - 1);
		larger[at] = old[i];
	}
	w->shapes = larger;
	w->shape_room = old_room * 2;
	return true;
}

// The id of the sequence of names in w->names; names that are one object are one name, so a 64-bit
// hash of addresses stands for the sequence.
static uint32_t get_shape(struct rmr_heap_dump *w, uint32_t count, uint64_t hash)
{
	uint64_t at = hash & (w->shape_room - 1);

	for (; w->shapes[at].hash; at = (at + 1) & (w->shape_room - 1)) {
		if (w->shapes[at].hash == hash)
			return w->shapes[at].id;
	}
	if (w->shape_count >= MAX_SHAPES)
		return 0;
	if (w->shape_count * 2 >= w->shape_room) {
		if (!grow_shapes(w))
			return 0;
		return get_shape(w, count, hash);
	}
	uint32_t id = (uint32_t)++w->shape_count;
	w->shapes[at] = (struct rmr_shape_slot){hash, id};
	write_shape(w, id, count);
	return id;
}

static inline uint64_t mix(uint64_t hash, const struct rmr_name *name)
{
	uint64_t x = name->text ^ (uint64_t)name->style << 56 ^ (uint64_t)name->is_c << 63;

	hash = (hash ^ x) * UINT64_C(0x9fb21c651e98df25);
	return hash ^ hash >> 32;
}

uint32_t rmr_names_match(struct rmr_heap_dump *w, uint64_t *refs, uint32_t count, uint32_t room,
	uint32_t *hidden_ret)
{
	const struct rmr_name none = {0, RMR_STYLE_NULL, true};
	uint32_t named = 0, total = 0;
	uint64_t hash = UINT64_C(0x243f6a8885a308d3), named_hash = 0;

	*hidden_ret = 0;
	if (!w->candidate_count)
		return 0;
	for (uint32_t i = 0; i < count; i++, total++) {
		const struct rmr_candidate *found = find_candidate(w, refs[i]);
		const struct rmr_name *name = found ? &found->name : &none;
		if (total >= RMR_MAX_SHAPE)
			continue;
		w->names[total] = *name;
		hash = mix(hash, name);
		if (name->style != RMR_STYLE_NULL) {
			named = total + 1;
			named_hash = hash;
		}
	}
	for (uint32_t i = 0; i < w->candidate_count; i++) {
		const struct rmr_candidate *left = &w->candidates[i];
		if (left->used || left->borrowed || count + *hidden_ret >= room)
			continue;
		refs[count + (*hidden_ret)++] = left->value;
		if (total >= RMR_MAX_SHAPE)
			continue;
		w->names[total++] = left->name;
		hash = mix(hash, &left->name);
		if (left->name.style != RMR_STYLE_NULL) {
			named = total;
			named_hash = hash;
		}
	}
	return named ? get_shape(w, named, named_hash ? named_hash : 1) : 0;
}

// Letters, digits, _, - and dots only: what a name in a program or a module's name can be.
static bool is_name(struct rmr_span span)
{
	const char *text = span.data;

	if (!span.size || span.size > 200 || span.encoding != RMR_TEXT_LATIN1)
		return false;
	for (uint64_t i = 0; i < span.size; i++) {
		char c = text[i] | 32;
		if (!(c >= 'a' && c <= 'z') && !(text[i] >= '0' && text[i] <= '9') &&
			text[i] != '_' && text[i] != '.' && text[i] != '-')
			return false;
	}
	return true;
}

static bool is_sys_modules(struct rmr_heap_dump *w, uint64_t dict)
{
	uint64_t interp = (uintptr_t)((void *(*)(void))w->api.PyInterpreterState_Head)();

	while (interp && rmr_word(interp, w->rt.layout->modules) != dict)
		interp = (uintptr_t)((void *(*)(void *))w->api.PyInterpreterState_Next)(
			(void *)interp);
	return interp != 0;
}

uint32_t rmr_names_of_namespace(struct rmr_heap_dump *w, uint64_t dict, const uint64_t *keys,
	uint32_t count)
{
	enum { INTERNED = 3, STATE = 32, SPLIT = 2 };
	uint64_t table = rmr_at(&w->rt, dict, 32), hash = UINT64_C(0x13198a2e03707344);
	bool is_modules = is_sys_modules(w, dict);
	// An instance's dict shares its keys with others of its class.
	bool is_namespace = is_modules || rmr_at(&w->rt, dict, 40) ||
		(w->rt.minor >= 11 && rmr_word8(table, 10) == SPLIT);

	if (count > RMR_MAX_SHAPE || !count)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		struct rmr_span span = rmr_values_str(w, keys[i]);
		if (!is_name(span) || (!is_modules && !(rmr_at32(&w->rt, keys[i], STATE) & INTERNED)))
			return 0;
		is_namespace |= rmr_values_equal(span, "__module__") ||
			rmr_values_equal(span, "__spec__");
		w->names[i] = (struct rmr_name){keys[i], RMR_STYLE_KEY, false};
		hash = mix(hash, &w->names[i]);
	}
	return is_namespace ? get_shape(w, count, hash ? hash : 1) : 0;
}

uint64_t rmr_names_attribute(struct rmr_heap_dump *w, uint64_t object, const char *name)
{
	struct rmr_type_info *info =
		rmr_is_readable(w, object) ? rmr_types_get(w, rmr_type_of(&w->rt, object)) : NULL;
	uint64_t dict = 0;

	if (!info)
		return 0;
	rmr_names_reset(w);
	rmr_names_collect(w, info, object);
	for (uint32_t i = 0; i < w->candidate_count; i++) {
		const struct rmr_candidate *c = &w->candidates[i];
		struct rmr_span span = {0};
		if (c->name.style == RMR_STYLE_ATTR)
			span = c->name.is_c ? rmr_values_c_string(w, c->name.text)
					    : rmr_values_str(w, c->name.text);
		if (rmr_values_equal(span, name))
			return c->value;
		if (rmr_values_equal(span, "__dict__"))
			dict = c->value;
	}
	return dict ? rmr_values_dict_get(w, dict, name) : 0;
}
