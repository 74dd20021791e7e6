// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/objects.h"

#include <stdlib.h>
#include <string.h>

enum {
	OB_TYPE = 8,
	OB_SIZE = 16,
	BYTES_DATA = 32,
	DIGIT_BITS = 30,
	DICT_KEYS = 32, /* PyDictObject, 3.6 to 3.15 */
	DICT_VALUES = 40,
	CACHED_KEYS = 24, /* of a heap type, from ht_name on */
};

static uint64_t word(const struct rmr_objects *o, rmr_addr_t address)
{
	return rmr_memory_word(o->memory, address);
}

uint64_t rmr_objects_word(const struct rmr_objects *o, rmr_addr_t address, int32_t offset)
{
	return word(o, address + o->header + (rmr_addr_t)(int64_t)offset);
}

static uint32_t word32(const struct rmr_objects *o, rmr_addr_t address, int32_t offset)
{
	return rmr_memory_word32(o->memory, address + o->header + (rmr_addr_t)(int64_t)offset);
}

struct rmr_error *rmr_objects_init(struct rmr_objects *o, const struct rmr_target *target,
	struct rmr_memory *memory)
{
	const struct rmr_python *python = rmr_target_python(target);
	rmr_addr_t type = rmr_target_symbol(target, "PyType_Type");

	*o = (struct rmr_objects){
		.memory = memory,
		.layout = rmr_layout_of(python->hex >> 16 & 0xff),
		.str = rmr_target_symbol(target, "PyUnicode_Type"),
		.bytes = rmr_target_symbol(target, "PyBytes_Type"),
		.code = rmr_target_symbol(target, "PyCode_Type"),
		.dict = rmr_target_symbol(target, "PyDict_Type"),
		.integer = rmr_target_symbol(target, "PyLong_Type"),
	};
	/* The type of type is type: that tells how far the header is (payloads/heap_dump/layout.h). */
	rmr_addr_t found = 0;
	struct rmr_error *err =
		type ? rmr_target_read(target, type + OB_TYPE, &found, sizeof(found)) : NULL;
	if (err)
		return err;
	if (found != type)
		o->header = 16;
	if (type && o->layout && o->str && o->bytes && o->code && o->dict && o->integer &&
		rmr_objects_word(o, type, OB_TYPE) == type)
		return NULL;
	return rmr_error_create(RMR_E_UNSUPPORTED, 0, "the objects of Python %s in process %d are not "
		"laid out as remora knows them", python->version, (int)rmr_target_pid(target));
}

bool rmr_objects_is(const struct rmr_objects *o, rmr_addr_t address, rmr_addr_t type)
{
	return address >= 4096 && !(address & 7) && rmr_objects_word(o, address, OB_TYPE) == type;
}

static size_t encode(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 63));
		to[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	if (c > 0x10ffff)
		c = 0xfffd;
	if (c < 0x10000)
		return encode(to, c);
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 63));
	to[2] = (char)(0x80 | (c >> 6 & 63));
	to[3] = (char)(0x80 | (c & 63));
	return 4;
}

char *rmr_objects_text(const struct rmr_objects *o, rmr_addr_t address)
{
	enum { STATE = 32, COMPACT = 32, ASCII = 64 };

	if (!rmr_objects_is(o, address, o->str))
		return NULL;
	uint32_t state = word32(o, address, STATE), kind = state >> 2 & 7;
	uint64_t length = rmr_objects_word(o, address, OB_SIZE);
	if (kind != 1 && kind != 2 && kind != 4)
		return NULL;
	if (length > RMR_OBJECTS_TEXT)
		length = RMR_OBJECTS_TEXT;
	rmr_addr_t data = address + o->header;
	if (!(state & COMPACT))
		data = rmr_objects_word(o, address, o->layout->str_legacy - 8);
	else
		data += (rmr_addr_t)(state & ASCII ? o->layout->str_ascii : o->layout->str_compact);
	unsigned char *raw = malloc(length * kind + 1);
	char *text = malloc(length * 4 + 1);
	if (!raw || !text || !rmr_memory_read(o->memory, data, raw, length * kind)) {
		free(raw);
		free(text);
		return NULL;
	}
	size_t at = 0;
	for (uint64_t i = 0; i < length; i++) {
		uint32_t c = 0;
		memcpy(&c, raw + i * kind, kind);
		/* A NUL would end the text: shown as what it would be in UTF-8 of two bytes. */
		at += c ? encode(text + at, c) : (size_t)(memcpy(text + at, "\xef\xbf\xbd", 3), 3);
	}
	text[at] = '\0';
	free(raw);
	return text;
}

unsigned char *rmr_objects_bytes(
	const struct rmr_objects *o, rmr_addr_t address, size_t *size_ret)
{
	if (!rmr_objects_is(o, address, o->bytes))
		return NULL;
	uint64_t size = rmr_objects_word(o, address, OB_SIZE);
	if (size > RMR_OBJECTS_BYTES)
		return NULL;
	unsigned char *bytes = malloc(size + 1);
	if (!bytes || !rmr_memory_read(o->memory, address + o->header + BYTES_DATA, bytes, size)) {
		free(bytes);
		return NULL;
	}
	*size_ret = size;
	return bytes;
}

bool rmr_objects_uint(const struct rmr_objects *o, rmr_addr_t address, uint64_t *ret)
{
	enum { DIGITS = 24 };

	if (!rmr_objects_is(o, address, o->integer))
		return false;
	uint64_t size = rmr_objects_word(o, address, OB_SIZE), value = 0;
	if (o->layout->minor >= 12) {
		/* Include/cpython/longintrepr.h: the sign in the two lowest bits, 2 is negative. */
		if ((size & 3) == 2)
			return false;
		size >>= 3;
	}
	if (size > 3)
		return false;
	for (uint64_t i = 0; i < size; i++)
		value |= (uint64_t)word32(o, address, DIGITS + 4 * (int32_t)i) << DIGIT_BITS * i;
	*ret = value;
	return true;
}

/* Objects/dict-common.h and Include/internal/pycore_dict.h: indices, then the entries. */
static bool walk_keys(
	const struct rmr_objects *o, rmr_addr_t keys, rmr_addr_t values, struct rmr_objects_walk *walk)
{
	unsigned minor = o->layout->minor;

	if (keys < 4096 || keys & 7)
		return false;
	*walk = (struct rmr_objects_walk){.values = values, .step = 24, .key_at = 8, .value_at = 16};
	if (minor <= 10) {
		uint64_t size = word(o, keys + 8);
		uint64_t index = size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8;
		walk->left = word(o, keys + 32);
		walk->entry = keys + 40 + index * size;
	} else {
		walk->left = word(o, keys + 24);
		walk->entry = keys + 32 +
			(UINT64_C(1) << (rmr_memory_byte(o->memory, keys + 9) & 63));
		if (rmr_memory_byte(o->memory, keys + 10)) { /* all keys are str: no hashes */
			walk->step = 16;
			walk->key_at = 0;
			walk->value_at = 8;
		}
		if (values && minor >= 13)
			walk->values += 8; /* struct _dictvalues: four counts, then the values */
	}
	if (walk->left > RMR_OBJECTS_ITEMS)
		walk->left = RMR_OBJECTS_ITEMS;
	return true;
}

bool rmr_objects_walk_dict(
	const struct rmr_objects *o, rmr_addr_t address, struct rmr_objects_walk *walk)
{
	rmr_addr_t type = address ? rmr_objects_word(o, address, OB_TYPE) : 0;

	/* A subclass of dict will do, too. */
	if (!type || (type != o->dict && !(rmr_objects_word(o, type, RMR_TYPE_FLAGS) & RMR_TPFLAG_DICT)))
		return false;
	return walk_keys(o, rmr_objects_word(o, address, DICT_KEYS),
		rmr_objects_word(o, address, DICT_VALUES), walk);
}

bool rmr_objects_next(const struct rmr_objects *o, struct rmr_objects_walk *walk)
{
	while (walk->left) {
		rmr_addr_t entry = walk->entry;
		walk->left--;
		walk->entry += walk->step;
		walk->key = word(o, entry + walk->key_at);
		if (walk->values) {
			walk->value = word(o, walk->values);
			walk->values += 8;
		} else {
			walk->value = word(o, entry + walk->value_at);
		}
		if (walk->key && walk->value)
			return true;
	}
	return false;
}

static bool is_text(const struct rmr_objects *o, rmr_addr_t str, const char *text)
{
	/* Most keys differ in their length already. */
	if (!rmr_objects_is(o, str, o->str) || rmr_objects_word(o, str, OB_SIZE) != strlen(text))
		return false;
	char *copy = rmr_objects_text(o, str);
	bool same = copy && strcmp(copy, text) == 0;
	free(copy);
	return same;
}

static rmr_addr_t find(
	const struct rmr_objects *o, struct rmr_objects_walk *walk, const char *key)
{
	while (rmr_objects_next(o, walk)) {
		if (is_text(o, walk->key, key))
			return walk->value;
	}
	return 0;
}

rmr_addr_t rmr_objects_item(const struct rmr_objects *o, rmr_addr_t dict, const char *key)
{
	struct rmr_objects_walk walk;

	return rmr_objects_walk_dict(o, dict, &walk) ? find(o, &walk, key) : 0;
}

/* Where an instance of 3.11 and later keeps its attributes without a dict; 0 if it has a dict. */
static rmr_addr_t find_values(
	const struct rmr_objects *o, rmr_addr_t instance, rmr_addr_t type, rmr_addr_t *dict_ret)
{
	uint64_t flags = rmr_objects_word(o, type, RMR_TYPE_FLAGS);
	rmr_addr_t before = word(o, instance - 24);

	*dict_ret = 0;
	if (o->layout->minor == 11) {
		*dict_ret = before;
		return word(o, instance - 32);
	}
	if (o->layout->minor == 12) {
		if (before & 1)
			return before + 1;
		*dict_ret = before;
		return 0;
	}
	*dict_ret = before;
	rmr_addr_t inner = instance + rmr_objects_word(o, type, RMR_TYPE_BASICSIZE);
	bool valid = rmr_memory_byte(o->memory, inner + 3) == 1;
	return !before && (flags & RMR_TPFLAG_INLINE_VALUES) && valid ? inner : 0;
}

rmr_addr_t rmr_objects_attribute(
	const struct rmr_objects *o, rmr_addr_t instance, const char *name)
{
	rmr_addr_t type = instance ? rmr_objects_word(o, instance, OB_TYPE) : 0, dict;
	struct rmr_objects_walk walk;

	if (!type)
		return 0;
	if (!(rmr_objects_word(o, type, RMR_TYPE_FLAGS) & RMR_TPFLAG_MANAGED_DICT)) {
		int64_t offset = (int64_t)rmr_objects_word(o, type, RMR_TYPE_DICTOFFSET);
		dict = offset > 0 ? word(o, instance + (rmr_addr_t)offset) : 0;
		return rmr_objects_item(o, dict, name);
	}
	rmr_addr_t values = find_values(o, instance, type, &dict);
	if (!values)
		return rmr_objects_item(o, dict, name);
	rmr_addr_t keys = rmr_objects_word(o, type, o->layout->ht_name + CACHED_KEYS);
	return walk_keys(o, keys, values, &walk) ? find(o, &walk, name) : 0;
}
