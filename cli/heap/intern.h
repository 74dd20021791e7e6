// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Numbers for byte strings: the first different one is 0, the next 1, and so on.
 */
#ifndef RMR_CLI_HEAP_INTERN_H
#define RMR_CLI_HEAP_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmr_intern {
	char *bytes; /**< the keys, each followed by a NUL */
	size_t size, bytes_room;
	struct rmr_intern_key {
		size_t offset, size;
		uint64_t hash;
	} *keys;
	uint32_t count, key_room;
	uint32_t *slots;
	size_t slot_room;
};

/** The number of the key, a new one if it was not there. @return false: no memory. */
bool rmr_intern_put(struct rmr_intern *intern, const void *key, size_t size, uint32_t *ret);
/** The key with that number; NUL-terminated; valid until the next put. */
const char *rmr_intern_get(const struct rmr_intern *intern, uint32_t number, size_t *size_ret);
void rmr_intern_deinit(struct rmr_intern *intern);

#endif
