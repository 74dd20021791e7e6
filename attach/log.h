// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The protocol log of remora's own side (never the agent's): one line a step, with the time since
 * the start in milliseconds, on standard error. Off unless REMORA_DEBUG is set or `-v` is given.
 */
#ifndef RMR_ATTACH_LOG_H
#define RMR_ATTACH_LOG_H

#include <stdbool.h>
#include <stdint.h>

void rmr_log_enable(bool on);
bool rmr_log_enabled(void);

/** Monotonic time in nanoseconds. */
uint64_t rmr_log_now(void);

/** Writes "remora: [  12.345 ms] text\n" if the log is on; keeps errno. */
void rmr_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
