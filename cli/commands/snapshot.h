// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  A HEAP argument, opened: a dump file, or a process of which a dump is taken. */
#ifndef RMR_CLI_COMMANDS_SNAPSHOT_H
#define RMR_CLI_COMMANDS_SNAPSHOT_H

#include "cli/command.h"
#include "cli/heap/dominators.h"
#include "cli/heap/heap.h"

struct rmr_snapshot {
	struct rmr_heap *heap;
	char *name;	/**< what the person typed: a path or a PID; owned */
	pid_t pid;	/**< of the process it was taken from just now; 0 for a file */
	uint64_t taken; /**< CLOCK_REALTIME seconds, 0 if the dump does not tell */
	struct rmr_dominators *dominators; /**< NULL until rmr_snapshot_dominators() */
};

/**
 * Opens @p heap as DESIGN says: digits are a PID, all else is a file. Shows progress, and the
 * dump's oddities as warnings. *ret is ended by rmr_snapshot_close().
 */
struct rmr_error *rmr_snapshot_open(
	struct rmr_context *context, const char *heap, struct rmr_snapshot **ret) RMR_MUST_CHECK;
void rmr_snapshot_close(struct rmr_snapshot *snapshot);

/** The dominators, computed at the first call; they live as long as the snapshot. */
struct rmr_error *rmr_snapshot_dominators(
	struct rmr_snapshot *snapshot, struct rmr_dominators **ret) RMR_MUST_CHECK;

/** The id of the object at the address that @p word says. RMR_E_USAGE, RMR_E_QUERY. */
struct rmr_error *rmr_snapshot_object(const struct rmr_context *context,
	const struct rmr_snapshot *snapshot, const char *word, uint32_t *ret) RMR_MUST_CHECK;

/** A few lines that say which dump this is, how old, how much, how long the pause was; as notes,
 *  and as fields of a JSON view that is not single. */
void rmr_snapshot_header(const struct rmr_snapshot *snapshot, struct rmr_view *view);

/** "12 s" and @p after; "in the future" if the clock says so, or "" where the age is not known. */
void rmr_snapshot_age(const struct rmr_snapshot *snapshot, const char *after, struct rmr_line *text);
/** Appends "PID 4711", or the dump's name. */
void rmr_snapshot_add_name(const struct rmr_snapshot *snapshot, struct rmr_line *text);

#endif
