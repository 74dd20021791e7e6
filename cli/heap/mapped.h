// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Which files of others are mapped where. A file that somebody cuts short while it is mapped gives
 * SIGBUS to whoever reads on; with this its handler can tell which file it was (cli/lost.h).
 */
#ifndef RMR_CLI_HEAP_MAPPED_H
#define RMR_CLI_HEAP_MAPPED_H

#include "attach/error.h"

#include <stdbool.h>
#include <stddef.h>

/** Notes a mapping, in the place of any that it overlaps. @p name is copied, its end if it is long. */
void rmr_mapped_add(const void *start, size_t size, const char *name);
void rmr_mapped_remove(const void *start);

/** The name of the file at @p address, or NULL. Async-signal-safe. */
const char *rmr_mapped_name(const void *address);

/**
 * What to do when a dump that was opened cannot be read any more and there is nobody to return an
 * error to; may be called by any thread and owns the error. NULL: the text reads as nothing.
 */
extern void (*rmr_mapped_lost)(struct rmr_error *err);

#endif
