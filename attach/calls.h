// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Names of system calls. */
#ifndef RMR_ATTACH_CALLS_H
#define RMR_ATTACH_CALLS_H

/** The name of system call @p number, such as "epoll_wait"; NULL if it is none that was known when
 *  remora was built. */
const char *rmr_calls_name(long number);

#endif
