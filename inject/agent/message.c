// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/agent/message.h"

#include "payloads/freestanding.h"

#include <fcntl.h>
#include <sys/socket.h>

// Room for one descriptor.
union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int rmr_message_above_standard(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	long copy = rmr_sys(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 3);
	rmr_sys(__NR_close, fd);
	return rmr_sys_failed(copy) ? -1 : (int)copy;
}

bool rmr_message_send(int channel, const void *frame, size_t size, int fd)
{
	struct iovec part = {(void *)frame, size};
	union control control = {.head = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	}};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));

	return !rmr_sys_failed(rmr_sys_retry(__NR_sendmsg, channel, &message, MSG_NOSIGNAL));
}

size_t rmr_message_receive(int channel, void *frame, size_t room, int *fd_ret)
{
	struct iovec part = {frame, room};
	union control control = {.bytes = {0}};
	// Not sizeof(control), which its padding would let hold a second one.
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int))};

	*fd_ret = -1;
	long size = rmr_sys_retry(__NR_recvmsg, channel, &message, MSG_CMSG_CLOEXEC);
	if (rmr_sys_failed(size))
		return 0;
	if (message.msg_controllen >= CMSG_LEN(sizeof(int)) &&
		control.head.cmsg_level == SOL_SOCKET && control.head.cmsg_type == SCM_RIGHTS)
		memcpy(fd_ret, CMSG_DATA(&control.head), sizeof(*fd_ret));
	*fd_ret = rmr_message_above_standard(*fd_ret);
	return (size_t)size;
}
