// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The tool's end of the agent's socket: frames with deadlines, and the target's death. */
#ifndef RMR_INJECT_CHANNEL_H
#define RMR_INJECT_CHANNEL_H

#include "attach/error.h"
#include "inject/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmr_channel {
	int fd;        /**< the socket, or -1; owned */
	int pidfd;     /**< of the target; borrowed */
	int cancel_fd; /**< borrowed, or -1 */
	char frame[RMR_FRAME_MAX] __attribute__((aligned(16)));
	size_t size;   /**< of the last frame received */
	int frame_fd;  /**< descriptor that came with it, or -1; take it with rmr_take_fd() */
	bool closed;   /**< the agent or the whole target was seen to be gone */
};

/**
 * Sends a frame, with a descriptor if @p fd >= 0. Waits up to @p timeout_ms (0 = for ever) for room.
 * RMR_E_TARGET if the agent is gone.
 */
struct rmr_error *rmr_channel_send(struct rmr_channel *channel, const void *frame, size_t size,
	int fd, unsigned timeout_ms) RMR_MUST_CHECK;

/** What ended a wait. */
enum rmr_channel_event {
	RMR_CHANNEL_FRAME,   /**< channel->frame, at least a struct rmr_frame */
	RMR_CHANNEL_TIMEOUT,
	RMR_CHANNEL_CANCEL,  /**< cancel_fd is readable */
	RMR_CHANNEL_CLOSED,  /**< the agent or the whole target is gone */
};

/**
 * Waits up to @p timeout_ms for a frame. A cancel comes first, then frames that are already there,
 * then the end of the agent. Fails with RMR_E_OS or RMR_E_PROTOCOL (a frame too short or too long).
 */
struct rmr_error *rmr_channel_receive(struct rmr_channel *channel, unsigned timeout_ms,
	bool look_at_cancel, enum rmr_channel_event *ret) RMR_MUST_CHECK;

#endif
