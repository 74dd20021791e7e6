// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The target's memory, page by page: each page is read once and kept until it is forgotten, so that
 * many small reads cost few system calls, and those of one look agree.
 */
#ifndef RMR_ATTACH_MEMORY_H
#define RMR_ATTACH_MEMORY_H

#include "attach/target.h"

struct rmr_memory;

/** @p target must outlive it. RMR_E_NOMEM. */
struct rmr_error *rmr_memory_create(const struct rmr_target *target, struct rmr_memory **ret)
	RMR_MUST_CHECK;
void rmr_memory_destroy(struct rmr_memory *memory);

/** From now on pages are read anew. */
void rmr_memory_forget(struct rmr_memory *memory);

/** Reads exactly @p size bytes; false if any of them is not mapped, or remora is out of memory. */
bool rmr_memory_read(struct rmr_memory *memory, rmr_addr_t address, void *buffer, size_t size);

/** The 64-bit word, 32-bit word or byte at @p address; 0 if it is not mapped. */
uint64_t rmr_memory_word(struct rmr_memory *memory, rmr_addr_t address);
uint32_t rmr_memory_word32(struct rmr_memory *memory, rmr_addr_t address);
uint8_t rmr_memory_byte(struct rmr_memory *memory, rmr_addr_t address);

#endif
