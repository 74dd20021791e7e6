// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A map from ids to small numbers, for walks that see few of the heap's objects.
 */
#ifndef RMR_CLI_HEAP_IDSET_H
#define RMR_CLI_HEAP_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmr_idset {
	struct rmr_idset_slot {
		uint32_t id, value; /**< value 0: the slot is free */
	} *slots;
	size_t room, count;
};

/** The id's number, 0 if it has none. */
uint32_t rmr_idset_get(const struct rmr_idset *set, uint32_t id);
/** Sets it to @p value, which is not 0. @return false: no memory. */
bool rmr_idset_set(struct rmr_idset *set, uint32_t id, uint32_t value);
void rmr_idset_deinit(struct rmr_idset *set);

#endif
