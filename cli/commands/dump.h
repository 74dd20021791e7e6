// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Taking a dump of a process, for `dump` and for every HEAP that is a PID. */
#ifndef RMR_CLI_COMMANDS_DUMP_H
#define RMR_CLI_COMMANDS_DUMP_H

#include "cli/heap/dump_writer.h"
#include "payloads/heap_dump/heap_dump.h"

struct rmr_context;

struct rmr_dump_settings {
	enum rmr_values values;
	bool in_place;
	enum rmr_dump_format format;
	enum rmr_dump_compression compression;
};

/**
 * Dumps the heap of process @p pid into @p fd, which stays the caller's. Shows progress, says on
 * standard error what it cost the process, and warns of a partial dump.
 */
struct rmr_error *rmr_dump_to_fd(struct rmr_context *context, pid_t pid,
	const struct rmr_dump_settings *settings, int fd) RMR_MUST_CHECK;

/** What --values and --in-place of @p call say. */
struct rmr_call;
void rmr_dump_settings_of(const struct rmr_call *call, struct rmr_dump_settings *ret);

#endif
