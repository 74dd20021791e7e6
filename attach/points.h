// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The numbered points of the protocol, at each of which the tests end remora: 1 to 14 while a thread
 * is borrowed (borrow.c), the others while the agent is met, works and leaves (inject/). Nothing in a
 * normal build.
 */
#ifndef RMR_ATTACH_POINTS_H
#define RMR_ATTACH_POINTS_H

#include <stdbool.h>

#ifdef REMORA_UNSAFE_TEST
/** If REMORA_KILL_AT is this number, sends remora the signal REMORA_KILL_WITH (SIGKILL). */
void rmr_points_pass(int number);

/** True if REMORA_UNSAFE says that any thread may be borrowed, wherever it is. */
bool rmr_points_is_unsafe_allowed(void);
#else
static inline void rmr_points_pass(int number)
{
	(void)number;
}
static inline bool rmr_points_is_unsafe_allowed(void)
{
	return false;
}
#endif

#endif
