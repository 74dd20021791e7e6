// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Which program a process runs. It may replace it (exec) at any moment, also between two looks at its
 * files, and a program that was just started maps its libraries one by one.
 */
#ifndef RMR_ATTACH_PROGRAM_H
#define RMR_ATTACH_PROGRAM_H

#include "attach/target_internal.h"

/**
 * Reads what the kernel told the program at its start: target->random, ->loader and ->beginning. To be
 * called once target->memory is open.
 */
struct rmr_error *rmr_program_init(struct rmr_target *target) RMR_MUST_CHECK;

/**
 * True if the memory that was opened is still the process's. Old memory may stay readable: that of a
 * vfork() is its parent's.
 */
bool rmr_program_is_current(const struct rmr_target *target);

/** True while the kernel or the dynamic loader has not yet, or not again, brought in all files. */
bool rmr_program_is_loading(const struct rmr_target *target);

/** True if other files are mapped executable by now than target->maps says. */
bool rmr_program_has_new_files(const struct rmr_target *target);

/** True if the process lives in the memory of @p parent, as after vfork(). */
bool rmr_program_is_borrowed(const struct rmr_target *target, pid_t parent);

#endif
