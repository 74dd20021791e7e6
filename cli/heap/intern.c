// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/intern.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_key(const void *key, size_t size)
{
	const unsigned char *bytes = key;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash ^ hash >> 29;
}

static bool grow_slots(struct rmr_intern *intern)
{
	size_t room = intern->slot_room ? intern->slot_room * 2 : 256;
	uint32_t *slots = calloc(room, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t i = 0; i < intern->count; i++) {
		size_t at = intern->keys[i].hash & (room - 1);
		while (slots[at])
			at = (at + 1) & (room - 1);
		slots[at] = i + 1;
	}
	free(intern->slots);
	intern->slots = slots;
	intern->slot_room = room;
	return true;
}

static bool reserve(struct rmr_intern *intern, size_t size)
{
	if (intern->count == intern->key_room) {
		uint32_t room = intern->key_room ? intern->key_room * 2 : 128;
		void *keys = realloc(intern->keys, room * sizeof(*intern->keys));
		if (!keys)
			return false;
		intern->keys = keys;
		intern->key_room = room;
	}
	if (intern->bytes_room - intern->size <= size) {
		size_t room = (intern->size + size) * 2 + 64;
		char *bytes = realloc(intern->bytes, room);
		if (!bytes)
			return false;
		intern->bytes = bytes;
		intern->bytes_room = room;
	}
	return true;
}

bool rmr_intern_put(struct rmr_intern *intern, const void *key, size_t size, uint32_t *ret)
{
	uint64_t hash = hash_key(key, size);

	if ((size_t)intern->count * 2 >= intern->slot_room && !grow_slots(intern))
		return false;
	size_t at = hash & (intern->slot_room - 1);
	for (; intern->slots[at]; at = (at + 1) & (intern->slot_room - 1)) {
		const struct rmr_intern_key *old = &intern->keys[intern->slots[at] - 1];
		if (old->hash == hash && old->size == size &&
			!memcmp(intern->bytes + old->offset, key, size)) {
			*ret = intern->slots[at] - 1;
			return true;
		}
	}
	if (!reserve(intern, size))
		return false;
	if (size)
		memcpy(intern->bytes + intern->size, key, size);
	intern->bytes[intern->size + size] = '\0';
	intern->keys[intern->count] = (struct rmr_intern_key){intern->size, size, hash};
	intern->size += size + 1;
	intern->slots[at] = intern->count + 1;
	*ret = intern->count++;
	return true;
}

const char *rmr_intern_get(const struct rmr_intern *intern, uint32_t number, size_t *size_ret)
{
	if (size_ret)
		*size_ret = intern->keys[number].size;
	return intern->bytes + intern->keys[number].offset;
}

void rmr_intern_deinit(struct rmr_intern *intern)
{
	free(intern->bytes);
	free(intern->keys);
	free(intern->slots);
	*intern = (struct rmr_intern){0};
}
