// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Several HEAP arguments, for `diff` and `leaks`. */
#ifndef RMR_CLI_COMMANDS_HEAPS_H
#define RMR_CLI_COMMANDS_HEAPS_H

#include "cli/commands/snapshot.h"

struct rmr_heaps {
	size_t count;
	struct rmr_snapshot **snapshots;
	bool *owned; /**< opened here, so closed here */
	/** The same, as the engine takes them. */
	struct rmr_heap **heaps;
	struct rmr_dominators **dominators; /**< all NULL until rmr_heaps_dominators() */
};

/** Room for @p most heaps, none of them open. Ended by rmr_heaps_deinit(). */
struct rmr_error *rmr_heaps_init(struct rmr_heaps *heaps, size_t most) RMR_MUST_CHECK;
void rmr_heaps_deinit(struct rmr_heaps *heaps);

/** Adds a HEAP, opened as rmr_snapshot_open() does. */
struct rmr_error *rmr_heaps_open(
	struct rmr_heaps *heaps, struct rmr_context *context, const char *word) RMR_MUST_CHECK;
/** Adds a snapshot that stays somebody else's. */
void rmr_heaps_borrow(struct rmr_heaps *heaps, struct rmr_snapshot *snapshot);

/** Computes the dominators of all of them. */
struct rmr_error *rmr_heaps_dominators(struct rmr_heaps *heaps) RMR_MUST_CHECK;

#endif
