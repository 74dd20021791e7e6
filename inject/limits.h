// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Limits of the target that the agent would run into: seen in advance, because a thread that cannot
 * be made is noticed too late (the borrowed thread has gone on by then, and 12 KB of it stay).
 *
 * Sources: getrlimit(2), RLIMIT_NPROC and RLIMIT_AS; kernel/fork.c, copy_process (v6.18): the first
 * does not hold for the initial namespace's root, nor with CAP_SYS_RESOURCE or CAP_SYS_ADMIN;
 * Documentation/admin-guide/cgroup-v2.rst, pids.max.
 */
#ifndef RMR_INJECT_LIMITS_H
#define RMR_INJECT_LIMITS_H

#include "attach/error.h"

#include <sys/types.h>

/**
 * NULL if process @p pid may make the threads and mappings that an attach needs, or if that cannot
 * be told; else RMR_E_STATE with the figures. @p root is "" or a folder that stands for "/" (tests).
 */
struct rmr_error *rmr_limits_check(const char *root, pid_t pid) RMR_MUST_CHECK;

#endif
