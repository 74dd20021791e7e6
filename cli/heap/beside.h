// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Files that remora keeps beside a dump (DUMP.remora-index), or in $XDG_CACHE_HOME/remora where that
 * folder cannot be written. They get their names when they are complete, so that another remora sees
 * the old one or the new one.
 */
#ifndef RMR_CLI_HEAP_BESIDE_H
#define RMR_CLI_HEAP_BESIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/** FNV-1a, folded. */
uint64_t rmr_beside_hash(const void *data, size_t size);

/**
 * DUMP.remora-index, or its place in the cache folder. malloc()ed; NULL: there is none.
 * @param make  the cache folder, if it is missing
 */
char *rmr_beside_path(const char *dump, bool cache, bool make);

/**
 * A file beside @p path without a name, so that nothing is left of it if we are killed; where the
 * file system has no such files, one with a name of its own.
 * @param name_ret  for rmr_beside_give_name(); malloc()ed
 * @return -1 if there can be none
 */
int rmr_beside_open(const char *path, char **name_ret);

/** Gives the file its name, in the place of what may be there. @return false: it has none */
bool rmr_beside_give_name(int fd, char *temporary, const char *path);

/** True if the file is ours alone: nobody else could have written it. */
bool rmr_beside_is_private(int fd, struct stat *status_ret);

/**
 * A file of mode 0600 that has no name, where $TMPDIR says or else on a disk rather than in memory.
 * @return its descriptor, or -1 with errno
 */
int rmr_beside_temporary(void);

#endif
