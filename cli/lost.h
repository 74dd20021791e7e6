// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * What remora does when a dump or its index is cut short, or its disk fails, while it is read: the
 * answer in hand would be wrong, so it ends at once with one line and status 2, in the shell too.
 */
#ifndef RMR_CLI_LOST_H
#define RMR_CLI_LOST_H

/** Sets it up. Call it once, before other threads start; the terminal is then as remora leaves it. */
void rmr_lost_init(void);

#endif
