// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The thread of remora's own that stops threads of a target. */
#ifndef RMR_ATTACH_TRACER_H
#define RMR_ATTACH_TRACER_H

#include "attach/error.h"

#include <signal.h>

/**
 * Runs @p function(@p arg) on a thread of its own, with signals held off, and waits for its end, which
 * detaches all that it traced, a thread that would not stop included: in a shell that lives on
 * nothing stays seized. *outside is set, before it starts, to the signal mask while nothing is
 * stopped.
 */
struct rmr_error *rmr_tracer_run(void *(*function)(void *), void *arg, sigset_t *outside)
	RMR_MUST_CHECK;

/** Between two stops: lets signals in that came while they were held off. True if one of them is to
 *  end the work. */
bool rmr_tracer_admit_signals(const sigset_t *outside);

/** On a thread of rmr_tracer_run(): true if such a signal waits. Elsewhere false. */
bool rmr_tracer_is_interrupted(void);

#endif
