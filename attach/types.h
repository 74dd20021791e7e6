// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Plain types of the attach layer. */
#ifndef RMR_ATTACH_TYPES_H
#define RMR_ATTACH_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** An address in a target, never a pointer of ours. 0 = none. */
typedef uint64_t rmr_addr_t;

/** Reads exactly @p size bytes at @p address of some memory; false if any is missing. */
typedef bool (*rmr_read_fn)(void *context, rmr_addr_t address, void *buffer, size_t size);

#endif
