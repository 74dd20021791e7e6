// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Why the kernel refuses to let remora at a process, and what would allow it. */
#ifndef RMR_ATTACH_DIAGNOSE_H
#define RMR_ATTACH_DIAGNOSE_H

#include "attach/error.h"
#include "attach/types.h"

#include <sys/types.h>

/** What remora was about to do when it was refused. */
enum rmr_diagnose_step {
	RMR_DIAGNOSE_READ,  /**< to open /proc/PID/maps or mem */
	RMR_DIAGNOSE_TRACE, /**< ptrace, after reading was allowed */
};

/**
 * Names the rule by which @p pid may not be read or traced, in the order in which the kernel
 * checks: another tracer, user, dumpable, capabilities, Yama, user namespace, a security module.
 * @p root is "/proc"; ROOT/self is remora itself. @p errnum is the errno of the refusal. Returns
 * RMR_E_TRACED, RMR_E_PERMISSION, or RMR_E_GONE if the process is no longer there; never NULL.
 */
struct rmr_error *rmr_diagnose_attach(const char *root, pid_t pid, enum rmr_diagnose_step step,
				      int errnum) RMR_MUST_CHECK;

/**
 * NULL, or RMR_E_STATE if @p pid is frozen by its cgroup (docker pause, systemctl freeze): what is
 * frozen would never answer. @p cgroups is "/sys/fs/cgroup".
 */
struct rmr_error *rmr_diagnose_frozen(const char *root, const char *cgroups, pid_t pid)
	RMR_MUST_CHECK;

/** RMR_E_TRACED: "process PID is traced by TRACER (COMM)". */
struct rmr_error *rmr_diagnose_traced(const char *root, pid_t pid, pid_t tracer) RMR_MUST_CHECK;

#endif
