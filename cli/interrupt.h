// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Ctrl-C and SIGTERM while something must be put in order first: a process that is attached, a
 * file that is half written, a shell that goes on.
 *
 * Between begin and end the signals set a flag and make a descriptor readable instead of ending
 * remora. Calls nest; only the outermost begin clears what came before. A third Ctrl-C that finds
 * the first one unheard ends remora after all: the target survives that too.
 */
#ifndef RMR_CLI_INTERRUPT_H
#define RMR_CLI_INTERRUPT_H

#include "attach/error.h"

#include <signal.h>

/** Set by a signal since the outermost begin. */
extern volatile sig_atomic_t rmr_interrupt_flag;
/** Set by SIGTERM, and not cleared: a shell leaves. */
extern volatile sig_atomic_t rmr_interrupt_terminated;

struct rmr_error *rmr_interrupt_begin(void) RMR_MUST_CHECK;
void rmr_interrupt_end(void);

/** Forgets a signal that was heard, between two commands of a shell. */
void rmr_interrupt_clear(void);

/** Readable once the flag is set, and it stays so; -1 outside begin and end. For poll() and
 *  rmr_session_options.cancel_fd. */
int rmr_interrupt_fd(void);

/** RMR_E_INTERRUPTED if the flag is set, else NULL. */
struct rmr_error *rmr_interrupt_check(void) RMR_MUST_CHECK;

#endif
