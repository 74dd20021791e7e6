// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The target's files on a file system that may not answer: FUSE, NFS and the like. Whoever reads such a
 * file, or memory that it is mapped to, may wait for ever, in the kernel, where no signal reaches. So a
 * child process of remora's reads it first; one that waits can be left behind.
 */
#ifndef RMR_ATTACH_FILES_H
#define RMR_ATTACH_FILES_H

#include "attach/target_internal.h"

/**
 * True if the target's memory in [@p address, @p address + @p size) can be read without a wait: a child
 * has done so where it is such a file's. What was waited for in vain is target->file_error
 * (RMR_E_TIMEOUT, RMR_E_INTERRUPTED); the rest of that file system is not asked any more. While a thread
 * stands still (target->held) nobody is asked, and it is true.
 */
bool rmr_files_try_memory(const struct rmr_target *target, rmr_addr_t address, size_t size);

/** The same for the file of a module that may hang: a copy of it, or -1. */
int rmr_files_copy(struct rmr_target *target, struct rmr_module *module);

/** To be called when the modules are listed: sets target->may_hang and each module's. */
void rmr_files_init(struct rmr_target *target);

#endif
