// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Frames that carry a descriptor, by raw system calls. */
#ifndef RMR_INJECT_MESSAGE_H
#define RMR_INJECT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * @p fd, or its copy above 2 (then @p fd is closed): where the program has closed its standard
 * descriptors, what it writes there must go on failing. -1 if there is no room in the table.
 */
int rmr_message_above_standard(int fd);

/** Sends one frame with @p fd; false when the other side is gone. Never raises SIGPIPE. */
bool rmr_message_send(int channel, const void *frame, size_t size, int fd);

/**
 * Receives one frame of at most @p room bytes. *fd_ret is the descriptor that came with it (closed
 * on exec; the caller's) or -1.
 * @return its size; 0 when the other side is gone
 */
size_t rmr_message_receive(int channel, void *frame, size_t room, int *fd_ret);

#endif
