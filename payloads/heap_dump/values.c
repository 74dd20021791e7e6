// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/walker.h"

struct rmr_span rmr_values_str(struct rmr_heap_dump *w, uint64_t object)
{
	static const uint8_t encodings[] = {
		[1] = RMR_TEXT_LATIN1, [2] = RMR_TEXT_UCS2, [4] = RMR_TEXT_UCS4};
	const struct rmr_runtime *rt = &w->rt;
	const struct rmr_layout *layout = rt->layout;

	if (!rmr_is_readable(w, object))
		return (struct rmr_span){0};
	uint64_t type = rmr_type_of(rt, object);
	if (type != (uintptr_t)w->api.PyUnicode_Type &&
		(!rmr_is_readable(w, type) ||
			!(rmr_at(rt, type, RMR_TYPE_FLAGS) & RMR_TPFLAG_UNICODE)))
		return (struct rmr_span){0};
	uint32_t state = (uint32_t)rmr_at32(rt, object, 32), kind = state >> 2 & 7;
	if (kind != 1 && kind != 2 && kind != 4)
		return (struct rmr_span){0}; // A legacy string that was never made ready.
	uint64_t size = rmr_at(rt, object, 16) * kind, data;
	if (!(state & 32))
		data = rmr_at(rt, object, layout->str_legacy - 8);
	else
		data = object + rt->header +
			(uint64_t)(state & 64 ? layout->str_ascii : layout->str_compact);
	if (!data)
		return (struct rmr_span){0};
	return (struct rmr_span){(const void *)(uintptr_t)data, size, encodings[kind]};
}

struct rmr_span rmr_values_c_string(struct rmr_heap_dump *w, uint64_t text)
{
	uint64_t size = 0;

	// The walker's own literals lie in the agent's image, which counts as unreadable.
	if (text >= w->request.own_start && text < w->request.own_end)
		return (struct rmr_span){(const void *)(uintptr_t)text,
			strlen((const char *)(uintptr_t)text), RMR_TEXT_UTF8};
	while (size < RMR_REC_MAX_TEXT) {
		uint64_t address = text + size;
		// Once for each page.
		if ((size == 0 || !(address & 4095)) &&
			(address >> 47 || !rmr_is_readable(w, address & ~UINT64_C(7))))
			break;
		if (!rmr_word8(address, 0))
			break;
		size++;
	}
	return (struct rmr_span){(const void *)(uintptr_t)text, size, RMR_TEXT_UTF8};
}

bool rmr_values_equal(struct rmr_span span, const char *text)
{
	const char *data = span.data;
	uint64_t i = 0;

	if (span.encoding != RMR_TEXT_UTF8 && span.encoding != RMR_TEXT_LATIN1)
		return false;
	for (; i < span.size && text[i]; i++) {
		if (data[i] != text[i])
			return false;
	}
	return i == span.size && !text[i];
}

uint64_t *rmr_values_put(uint64_t *p, struct rmr_span span, unsigned style, bool more)
{
	struct rmr_text *text = (struct rmr_text *)p;
	uint64_t words = (span.size + 7) / 8;

	*text = (struct rmr_text){
		.size = (uint32_t)span.size,
		.encoding = span.encoding,
		.style = (uint8_t)style,
		.more = more,
	};
	p++;
	if (span.size <= 128) {
		// The last word is read bytewise: what follows the text may be an unmapped page.
		const unsigned char *from = span.data;
		uint64_t i = 0;
		for (; i + 8 <= span.size; i += 8)
			*p++ = *(const uint64_t *)(from + i);
		if (i < span.size) {
			uint64_t last = 0;
			for (unsigned shift = 0; i < span.size; i++, shift += 8)
				last |= (uint64_t)from[i] << shift;
			*p++ = last;
		}
		return p;
	}
	p[words - 1] = 0;
	memcpy(p, span.data, span.size);
	return p + words;
}

// ---- dicts ----

void rmr_dict_start(struct rmr_heap_dump *w, struct rmr_dict_iter *iter, uint64_t keys,
	uint64_t values)
{
	*iter = (struct rmr_dict_iter){.keys = keys, .values = values};
	if (w->rt.minor <= 10) {
		// Objects/dict-common.h, struct _dictkeysobject: indices, then entries {hash, key, value}.
		uint64_t size = rmr_word(keys, 8);
		uint64_t index = size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8;
		iter->entry = keys + 40 + index * size;
		iter->step = 24;
		iter->key_at = 8;
		iter->value_at = 16;
	} else {
		iter->entry = keys + 32 + (UINT64_C(1) << (rmr_word8(keys, 9) & 63));
		iter->is_general = rmr_word8(keys, 10) == 0;
		iter->step = iter->is_general ? 24 : 16;
		iter->key_at = iter->is_general ? 8 : 0;
		iter->value_at = iter->is_general ? 16 : 8;
		if (values && w->rt.minor >= 13)
			iter->values += 8; // struct _dictvalues: four bytes of counts, then the values
	}
	iter->end = iter->entry + iter->step * rmr_dict_entries(w, keys);
}

uint64_t rmr_dict_entries(struct rmr_heap_dump *w, uint64_t keys)
{
	return rmr_word(keys, w->rt.minor <= 10 ? 32 : 24);
}

uint64_t rmr_values_dict_get(struct rmr_heap_dump *w, uint64_t dict, const char *key)
{
	struct rmr_dict_iter iter;
	uint64_t type = rmr_is_readable(w, dict) ? rmr_type_of(&w->rt, dict) : 0;

	if (!rmr_is_readable(w, type) ||
		!(rmr_at(&w->rt, type, RMR_TYPE_FLAGS) & RMR_TPFLAG_DICT))
		return 0;
	uint64_t keys = rmr_at(&w->rt, dict, 32);
	if (!rmr_is_readable(w, keys))
		return 0;
	rmr_dict_start(w, &iter, keys, rmr_at(&w->rt, dict, 40));
	while (rmr_dict_next(&iter)) {
		if (iter.key && rmr_values_equal(rmr_values_str(w, iter.key), key))
			return iter.value;
	}
	return 0;
}
