// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/commands/heaps.h"

#include <stdlib.h>

struct rmr_error *rmr_heaps_init(struct rmr_heaps *heaps, size_t most)
{
	*heaps = (struct rmr_heaps){
		.snapshots = calloc(most, sizeof(*heaps->snapshots)),
		.owned = calloc(most, sizeof(*heaps->owned)),
		.heaps = calloc(most, sizeof(*heaps->heaps)),
		.dominators = calloc(most, sizeof(*heaps->dominators)),
	};
	if (heaps->snapshots && heaps->owned && heaps->heaps && heaps->dominators)
		return NULL;
	rmr_heaps_deinit(heaps);
	return &rmr_enomem;
}

void rmr_heaps_deinit(struct rmr_heaps *heaps)
{
	for (size_t i = 0; i < heaps->count; i++) {
		if (heaps->owned[i])
			rmr_snapshot_close(heaps->snapshots[i]);
	}
	free(heaps->snapshots);
	free(heaps->owned);
	free(heaps->heaps);
	free(heaps->dominators);
	*heaps = (struct rmr_heaps){0};
}

void rmr_heaps_borrow(struct rmr_heaps *heaps, struct rmr_snapshot *snapshot)
{
	heaps->snapshots[heaps->count] = snapshot;
	heaps->heaps[heaps->count] = snapshot->heap;
	heaps->count++;
}

struct rmr_error *rmr_heaps_open(
	struct rmr_heaps *heaps, struct rmr_context *context, const char *word)
{
	struct rmr_snapshot *snapshot;

	struct rmr_error *err = rmr_snapshot_open(context, word, &snapshot);
	if (err)
		return err;
	heaps->owned[heaps->count] = true;
	rmr_heaps_borrow(heaps, snapshot);
	return NULL;
}

struct rmr_error *rmr_heaps_dominators(struct rmr_heaps *heaps)
{
	for (size_t i = 0; i < heaps->count; i++) {
		struct rmr_error *err =
			rmr_snapshot_dominators(heaps->snapshots[i], &heaps->dominators[i]);
		if (err)
			return err;
	}
	return NULL;
}
