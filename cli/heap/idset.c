// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/idset.h"

#include <stdlib.h>

static size_t find(const struct rmr_idset *set, uint32_t id)
{
	size_t at = (size_t)((id * 0x9e3779b97f4a7c15u) >> 32) & (set->room - 1);

	while (set->slots[at].value && set->slots[at].id != id)
		at = (at + 1) & (set->room - 1);
	return at;
}

uint32_t rmr_idset_get(const struct rmr_idset *set, uint32_t id)
{
	return set->room ? set->slots[find(set, id)].value : 0;
}

bool rmr_idset_set(struct rmr_idset *set, uint32_t id, uint32_t value)
{
	if (set->count * 2 >= set->room) {
		struct rmr_idset grown = {.room = set->room ? set->room * 2 : 64,
			.count = set->count};
		grown.slots = calloc(grown.room, sizeof(*grown.slots));
		if (!grown.slots)
			return false;
		for (size_t i = 0; i < set->room; i++) {
			if (set->slots[i].value)
				grown.slots[find(&grown, set->slots[i].id)] = set->slots[i];
		}
		free(set->slots);
		*set = grown;
	}
	size_t at = find(set, id);
	set->count += !set->slots[at].value;
	set->slots[at] = (struct rmr_idset_slot){id, value};
	return true;
}

void rmr_idset_deinit(struct rmr_idset *set)
{
	free(set->slots);
	*set = (struct rmr_idset){0};
}
