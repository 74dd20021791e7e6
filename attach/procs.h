// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The Python processes of this machine, for `remora ps`. */
#ifndef RMR_ATTACH_PROCS_H
#define RMR_ATTACH_PROCS_H

#include "attach/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rmr_proc {
	pid_t pid;
	uid_t uid;
	char user[33];      /**< login name, or the number */
	char version[32];   /**< "3.11.2", "pypy 3.9", "2.7.18", or "?" where it may not be read */
	uint64_t rss;       /**< bytes */
	unsigned threads;
	uint64_t age_s;     /**< seconds since it started */
	char *refusal;      /**< NULL if remora can attach, else why not, in a few words; owned */
	char *command;      /**< the command line, words joined by spaces, control characters as '?'; owned */
};

/** Every process that looks like a Python (by its maps, or by its command line where those may not
 *  be read), by pid. *ret is freed with rmr_procs_free(). */
struct rmr_error *rmr_procs_list(struct rmr_proc **ret, size_t *count_ret) RMR_MUST_CHECK;
void rmr_procs_free(struct rmr_proc *procs, size_t count);

#endif
