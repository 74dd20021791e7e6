// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A loaded ELF file, read from the memory that it was loaded to: it works for deleted and stripped
 * files and in containers. Only dynamic symbols are seen. All of it is untrusted input.
 */
#ifndef RMR_ATTACH_IMAGE_H
#define RMR_ATTACH_IMAGE_H

#include "attach/error.h"
#include "attach/types.h"

struct rmr_image;

/** What a file's first bytes say, before anything else is read. */
enum rmr_image_kind {
	RMR_IMAGE_NONE,	   /**< no ELF file */
	RMR_IMAGE_NATIVE,  /**< an ELF file of this machine */
	RMR_IMAGE_32,	   /**< a 32-bit ELF file */
	RMR_IMAGE_FOREIGN, /**< an ELF file of another architecture */
};

enum rmr_image_kind rmr_image_probe(rmr_read_fn read, void *context, rmr_addr_t base);

/**
 * Reads the dynamic symbols of the file whose first byte is loaded at @p base. RMR_E_TARGET if it
 * is not a native ELF file or its tables are out of bounds; a file without dynamic section is an
 * image without symbols.
 */
struct rmr_error *rmr_image_create(rmr_read_fn read, void *context, rmr_addr_t base,
				   struct rmr_image **ret) RMR_MUST_CHECK;
void rmr_image_destroy(struct rmr_image *image);

/**
 * The address of the defined symbol @p name, in its default version if there are several; 0 if
 * there is none, or if it is thread-local or an indirect function (STT_GNU_IFUNC). *size_ret (may
 * be NULL) is set to its st_size.
 */
rmr_addr_t rmr_image_symbol(const struct rmr_image *image, const char *name, uint64_t *size_ret);

/** Calls @p visit for every defined version of @p name that rmr_image_symbol() could return. */
void rmr_image_each_version(const struct rmr_image *image, const char *name,
			    void (*visit)(void *context, rmr_addr_t address, uint64_t size),
			    void *context);

/** Added to the file's addresses; 0 for ET_EXEC. */
rmr_addr_t rmr_image_bias(const struct rmr_image *image);

/** The zero-initialised end of the writable segment, [*start_ret, *end_ret); false if none. */
bool rmr_image_bss(const struct rmr_image *image, rmr_addr_t *start_ret, rmr_addr_t *end_ret);

/** The PT_GNU_EH_FRAME segment's address; 0 if there is none. */
rmr_addr_t rmr_image_eh_frame_hdr(const struct rmr_image *image);

/**
 * A copy of the file as far as segments hold it, for libelf's elf_memory(): the same offsets, no
 * section headers. Freed by the caller. At most 256 MB.
 */
struct rmr_error *rmr_image_copy_file(const struct rmr_image *image, rmr_read_fn read,
				      void *context, void **ret, size_t *size_ret) RMR_MUST_CHECK;

#endif
