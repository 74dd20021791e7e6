// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Scope guards. A guarded variable is cleaned up on every way out of its scope; rmr_take() hands
 * the value over to somebody else and disarms the guard. Never mix a guard and a goto in one
 * function.
 */
#ifndef RMR_ATTACH_CLEANUP_H
#define RMR_ATTACH_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void rmr_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void rmr_cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void rmr_cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

/** free() at the end of the scope. */
#define _rmr_free_ __attribute__((cleanup(rmr_cleanup_free)))
/** close() at the end of the scope, unless negative. */
#define _rmr_close_ __attribute__((cleanup(rmr_cleanup_close)))
/** fclose() at the end of the scope, unless NULL. */
#define _rmr_fclose_ __attribute__((cleanup(rmr_cleanup_fclose)))

/** The pointer @p p, which is set to NULL: ownership moves to the caller of this. */
#define rmr_take(p)                                                                                \
	({                                                                                         \
		__auto_type rmr_taken_ = (p);                                                      \
		(p) = NULL;                                                                        \
		rmr_taken_;                                                                        \
	})

/** The descriptor @p fd, which is set to -1. */
#define rmr_take_fd(fd)                                                                            \
	({                                                                                         \
		int rmr_taken_ = (fd);                                                             \
		(fd) = -1;                                                                         \
		rmr_taken_;                                                                        \
	})

#endif
