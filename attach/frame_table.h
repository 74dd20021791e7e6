// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Where functions begin and end, symbols or not: the table in .eh_frame_hdr (LSB Core 5.0, 10.6.2; in
 * the one encoding that linkers write). A function that the compiler parted in two, the likely and the
 * unlikely code, is two functions there.
 */
#ifndef RMR_ATTACH_FRAME_TABLE_H
#define RMR_ATTACH_FRAME_TABLE_H

#include "attach/target.h"

/**
 * The function that holds @p pc, up to the next one's start. @p header: the address of the file's
 * .eh_frame_hdr. False if there is none, or it is the last one of the file.
 */
bool rmr_frame_table_find(const struct rmr_target *target, rmr_addr_t header, rmr_addr_t pc,
	rmr_addr_t *start_ret, rmr_addr_t *end_ret);

#endif
