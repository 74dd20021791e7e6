// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Names of users. */
#ifndef RMR_ATTACH_USER_H
#define RMR_ATTACH_USER_H

#include <sys/types.h>

/**
 * The login name of @p uid on this machine, or NULL where it has none. Good until the next call; not
 * for several threads at once.
 */
const char *rmr_user_name(uid_t uid);

#endif
