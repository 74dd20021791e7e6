// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The control groups that a process is in, each with all that are above it: a limit of any counts.
 */
#ifndef RMR_INJECT_CGROUP_H
#define RMR_INJECT_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

/** One group. @p folder is its folder, valid during the call; @p v2: of the unified hierarchy. False: no
 *  more. */
typedef bool rmr_cgroup_visit(void *arg, const char *folder, bool v2);

/**
 * Visits the groups of @p pid that may limit @p controller ("memory", "pids"), each hierarchy from the
 * process's own group up to the root. @p root is "" or a folder that stands for "/" (tests). Nothing is
 * visited where it cannot be read; that a folder exists is not looked at.
 */
void rmr_cgroup_each(const char *root, pid_t pid, const char *controller, rmr_cgroup_visit *visit, void *arg);

#endif
