// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/channel.h"

#include "attach/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static struct rmr_error *agent_gone(struct rmr_channel *channel)
{
	channel->closed = true;
	return rmr_error_create(RMR_E_TARGET, 0, "the agent in the target is gone");
}

struct rmr_error *rmr_channel_send(struct rmr_channel *channel, const void *frame, size_t size,
	int fd, unsigned timeout_ms)
{
	struct iovec part = {(void *)frame, size};
	union control control = {.head = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	}};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	for (;;) {
		if (sendmsg(channel->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return NULL;
		if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
			return agent_gone(channel);
		if (errno != EAGAIN && errno != EINTR)
			return rmr_error_create(RMR_E_OS, errno, "cannot send to the agent");
		struct pollfd poll_fd = {.fd = channel->fd, .events = POLLOUT};
		int ready = poll(&poll_fd, 1, timeout_ms ? (int)timeout_ms : -1);
		if (ready == 0)
			return rmr_error_create(RMR_E_TIMEOUT, 0, "the agent takes no requests");
	}
}

static struct rmr_error *receive(struct rmr_channel *channel, enum rmr_channel_event *ret)
{
	struct iovec part = {channel->frame, sizeof(channel->frame)};
	union control control = {.bytes = {0}};
	// Not sizeof(control), which its padding would let hold a second one.
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int))};

	ssize_t size = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (size == 0 || (size < 0 && errno == ECONNRESET)) {
		channel->closed = true;
		*ret = RMR_CHANNEL_CLOSED;
		return NULL;
	}
	if (size < 0)
		return rmr_error_create(RMR_E_OS, errno, "cannot receive from the agent");
	int fd = -1;
	if (message.msg_controllen >= CMSG_LEN(sizeof(int)) &&
		control.head.cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	if (channel->frame_fd >= 0)
		close(channel->frame_fd);
	channel->frame_fd = fd;
	if ((message.msg_flags & MSG_TRUNC) || (size_t)size < sizeof(struct rmr_frame))
		return rmr_error_create(RMR_E_PROTOCOL, 0, "the agent sent a frame of a wrong size");
	channel->size = (size_t)size;
	*ret = RMR_CHANNEL_FRAME;
	return NULL;
}

struct rmr_error *rmr_channel_receive(struct rmr_channel *channel, unsigned timeout_ms,
	bool look_at_cancel, enum rmr_channel_event *ret)
{
	struct pollfd fds[3] = {
		{.fd = channel->fd, .events = POLLIN},
		{.fd = channel->pidfd, .events = POLLIN},
		{.fd = look_at_cancel ? channel->cancel_fd : -1, .events = POLLIN},
	};
	uint64_t end = rmr_log_now() + timeout_ms * 1000000ull;

	for (;;) {
		uint64_t now = rmr_log_now();
		int left = now < end ? (int)((end - now + 999999) / 1000000) : 0;
		int ready = poll(fds, 3, left);
		if (ready < 0 && errno != EINTR)
			return rmr_error_create(RMR_E_OS, errno, "cannot wait for the agent");
		// Before the frames: they may come without end.
		if (ready > 0 && fds[2].revents) {
			*ret = RMR_CHANNEL_CANCEL;
			return NULL;
		}
		if (ready > 0 && fds[0].revents & POLLIN)
			return receive(channel, ret);
		// A child that the target forked meanwhile may hold the socket open: the process's own
		// end counts too.
		if (ready > 0 && (fds[0].revents || fds[1].revents)) {
			channel->closed = true;
			*ret = RMR_CHANNEL_CLOSED;
			return NULL;
		}
		if (ready == 0) {
			*ret = RMR_CHANNEL_TIMEOUT;
			return NULL;
		}
	}
}
