// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The three line tables of code objects. Pure: built into the walker and into remora itself. The
 * table is untrusted.
 */
#ifndef RMR_PAYLOADS_HEAP_DUMP_LINES_H
#define RMR_PAYLOADS_HEAP_DUMP_LINES_H

#include <stdint.h>

/**
 * The line of the instruction at @p lasti.
 * @param minor  of Python 3: up to 9 the table is co_lnotab, in 10 the ranges of PEP 626, after that
 *               the locations of Objects/locations.md
 * @param size   bytes of @p table
 * @param first  co_firstlineno
 * @param lasti  byte offset in the bytecode; -1 before the first instruction
 * @return -1 if the instruction has no line
 */
int32_t rmr_lines_find(unsigned minor, const uint8_t *table, uint64_t size, int32_t first,
	int64_t lasti);

#endif
