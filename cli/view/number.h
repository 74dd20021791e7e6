// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Numbers as a person reads them. Each function appends to @p text. */
#ifndef RMR_CLI_VIEW_NUMBER_H
#define RMR_CLI_VIEW_NUMBER_H

#include "cli/view/line.h"

/** 1,204,331 */
void rmr_number_add_count(struct rmr_line *text, uint64_t count);
/** 48 B, 1.2 KiB, 96.2 MiB, 1.0 TiB: three significant digits, never rounded up to 1024. */
void rmr_number_add_bytes(struct rmr_line *text, uint64_t bytes);
/** +1,204 or -3; 0 */
void rmr_number_add_signed_count(struct rmr_line *text, int64_t count);
/** +1.2 MiB or -48 B; 0 B */
void rmr_number_add_signed_bytes(struct rmr_line *text, int64_t bytes);
/** 12.3%; @p share is 0 to 1 */
void rmr_number_add_share(struct rmr_line *text, double share);
/** 850 us, 2.1 ms, 12 s, 3 min 20 s, 5 h 12 min, 3 d 4 h */
void rmr_number_add_duration(struct rmr_line *text, uint64_t nanoseconds);

#endif
