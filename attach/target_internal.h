// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The inside of struct rmr_target, for the files of this folder. */
#ifndef RMR_ATTACH_TARGET_INTERNAL_H
#define RMR_ATTACH_TARGET_INTERNAL_H

#include "attach/image.h"
#include "attach/maps.h"
#include "attach/procfs.h"
#include "attach/target.h"

/** A file that is loaded into the target. */
struct rmr_module {
	rmr_addr_t start;	  /**< of its first byte */
	rmr_addr_t end;		  /**< of its last mapping */
	const struct rmr_map *map; /**< its first mapping */
	struct rmr_image *image;  /**< NULL until rmr_target_image() read it */
	bool unreadable;	  /**< rmr_target_image() failed before */
	bool hangs;		  /**< ... because its file system hangs: it may be anything */
	bool may_hang;		  /**< it is on a file system that may (attach/files.h) */
	unsigned char *tried;	  /**< a bit for each part that a child has read; NULL = none */
	bool executable;	  /**< some mapping of it is */
};

struct rmr_target {
	pid_t pid;
	pid_t inner; /**< the target's pid in its own namespace */
	bool nested; /**< that namespace is not remora's */
	int pidfd;
	int memory; /**< /proc/PID/mem */
	rmr_addr_t random; /**< AT_RANDOM: 16 bytes that no two programs share, or 0 */
	rmr_addr_t loader; /**< AT_BASE: where the dynamic loader starts, or 0 */
	bool beginning;	   /**< the kernel had told the program nothing yet */
	struct rmr_maps maps;
	struct rmr_module *modules;
	size_t module_count;
	uint64_t table_bytes; /**< what was read for their images, together */
	struct rmr_module *interpreter; /**< the file with the interpreter */
	struct rmr_module *libc;
	struct rmr_module *libc_parts[2]; /**< libpthread and libdl before glibc 2.34, or NULL */
	struct rmr_python python;
	struct rmr_patience patience;
	bool may_hang; /**< some module's may_hang */
	bool held;     /**< a thread of it stands still */
	struct rmr_error *file_error; /**< of a file system that hangs (attach/files.h), or NULL */
	uint32_t dead_minor;  /**< 1 + its minor number (the major one is 0); 0 = none */
	bool interrupted;     /**< no file system is asked any more */
	bool read_only; /**< opened to be read */
	bool locked; /**< this remora holds the lock against others */
};

/** An rmr_read_fn whose context is a struct rmr_target. */
bool rmr_target_reader(void *target, rmr_addr_t address, void *buffer, size_t size);

/** Reads up to @p size bytes; returns how many there were before the first gap. */
size_t rmr_target_read_some(const struct rmr_target *target, rmr_addr_t address, void *buffer,
			    size_t size);

/** The module that holds @p address, or NULL. */
struct rmr_module *rmr_target_module(const struct rmr_target *target, rmr_addr_t address);

/** The module's symbols, read at the first call; NULL if it is no readable ELF file. */
const struct rmr_image *rmr_target_image(const struct rmr_target *target, struct rmr_module *module);

/**
 * The address of @p name in the C library: libc, libpthread, libdl, in this order; 0 if there is
 * none. *size_ret may be NULL.
 */
rmr_addr_t rmr_target_libc_symbol(const struct rmr_target *target, const char *name,
				  uint64_t *size_ret);

/**
 * Opens the file of @p module on disk, checked to be the very file; -1 if that cannot be had (then
 * use rmr_image_copy_file()).
 */
int rmr_target_open_file(const struct rmr_target *target, const struct rmr_module *module);

/**
 * Takes the lock that keeps two remoras off one target; held until rmr_target_close().
 * RMR_E_TRACED, naming the other remora, if it is taken.
 */
struct rmr_error *rmr_target_lock(struct rmr_target *target) RMR_MUST_CHECK;

/** Takes target->file_error: the caller's now. NULL if no file system hung. */
struct rmr_error *rmr_target_file_error(struct rmr_target *target) RMR_MUST_CHECK;

/** Finds the interpreter among the modules and fills in target->python (attach/python.c). */
struct rmr_error *rmr_python_find(struct rmr_target *target) RMR_MUST_CHECK;

#endif
