// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The agent's image: the shared object that is embedded in remora, laid out and relocated for an
 * address in the target. The target's own loader never sees it.
 */
#ifndef RMR_INJECT_AGENT_IMAGE_H
#define RMR_INJECT_AGENT_IMAGE_H

#include "attach/target.h"

/** The boot piece: flat code, entry at offset 0. */
extern const unsigned char rmr_boot_bytes[], rmr_boot_bytes_end[];

struct rmr_agent_image {
	unsigned char *bytes; /**< as it will stand in the target */
	size_t size;          /**< of the mapping, bytes, a multiple of 4096 */
	size_t filled;        /**< bytes that must be written; the rest is zero */
	size_t data_offset;   /**< from here on read-write, before it read-execute */
};

/** Lays the embedded image out, not yet relocated. */
struct rmr_error *rmr_agent_image_create(struct rmr_agent_image *ret) RMR_MUST_CHECK;
void rmr_agent_image_destroy(struct rmr_agent_image *image);

/** Applies the relocations for an image that stands at @p address. Once only. */
struct rmr_error *rmr_agent_image_relocate(struct rmr_agent_image *image, rmr_addr_t address) RMR_MUST_CHECK;

/** The offset of an exported symbol. */
struct rmr_error *rmr_agent_image_symbol(const struct rmr_agent_image *image, const char *name, size_t *ret)
	RMR_MUST_CHECK;

#endif
