// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/channel.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rmr_channel channel;
static int agent; // the other end

static void open_pair(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	channel.fd = pair[0];
	agent = pair[1];
	channel.pidfd = channel.cancel_fd = channel.frame_fd = -1;
}

static void close_pair(void)
{
	close(channel.fd);
	if (agent >= 0)
		close(agent);
	if (channel.frame_fd >= 0)
		close(channel.frame_fd);
}

static enum rmr_channel_event receive(unsigned timeout_ms)
{
	enum rmr_channel_event event;

	ck_assert_ptr_null(rmr_channel_receive(&channel, timeout_ms, true, &event));
	return event;
}

START_TEST(test_frame)
{
	struct rmr_frame frame = {.type = RMR_FRAME_STATUS, .number = 7};

	ck_assert_int_eq(send(agent, &frame, sizeof(frame), 0), sizeof(frame));
	ck_assert_int_eq(receive(1000), RMR_CHANNEL_FRAME);
	ck_assert_uint_eq(channel.size, sizeof(frame));
	ck_assert_int_eq(memcmp(channel.frame, &frame, sizeof(frame)), 0);
	ck_assert_int_eq(channel.frame_fd, -1);
}
END_TEST

START_TEST(test_timeout)
{
	ck_assert_int_eq(receive(1), RMR_CHANNEL_TIMEOUT);
}
END_TEST

START_TEST(test_closed)
{
	close(agent);
	agent = -1;
	ck_assert_int_eq(receive(1000), RMR_CHANNEL_CLOSED);
}
END_TEST

// What the agent said before it ended is still heard.
START_TEST(test_frame_before_end)
{
	struct rmr_frame frame = {.type = RMR_FRAME_DONE, .number = 1};

	ck_assert_int_eq(send(agent, &frame, sizeof(frame), 0), sizeof(frame));
	close(agent);
	agent = -1;
	ck_assert_int_eq(receive(1000), RMR_CHANNEL_FRAME);
	ck_assert_int_eq(receive(1000), RMR_CHANNEL_CLOSED);
}
END_TEST

START_TEST(test_cancel)
{
	int pair[2];

	ck_assert_int_eq(pipe(pair), 0);
	channel.cancel_fd = pair[0];
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	ck_assert_int_eq(receive(1000), RMR_CHANNEL_CANCEL);
	enum rmr_channel_event event;
	ck_assert_ptr_null(rmr_channel_receive(&channel, 1, false, &event));
	ck_assert_int_eq(event, RMR_CHANNEL_TIMEOUT);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

// A frame too short for its head, or longer than any, is nothing that an agent of ours sends.
START_TEST(test_wrong_size)
{
	static char large[RMR_FRAME_MAX + 1];
	enum rmr_channel_event event;
	struct rmr_error *err;

	ck_assert_int_eq(send(agent, large, 3, 0), 3);
	err = rmr_channel_receive(&channel, 1000, true, &event);
	ck_assert(err && err->code == RMR_E_PROTOCOL);
	rmr_error_destroy(err);
	ck_assert_int_eq(send(agent, large, sizeof(large), 0), sizeof(large));
	err = rmr_channel_receive(&channel, 1000, true, &event);
	ck_assert(err && err->code == RMR_E_PROTOCOL);
	rmr_error_destroy(err);
}
END_TEST

START_TEST(test_descriptor)
{
	struct rmr_frame frame = {.type = RMR_FRAME_TWIN, .number = 1};
	struct rmr_channel other = {.fd = agent};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_ptr_null(rmr_channel_send(&other, &frame, sizeof(frame), fd, 1000));
	close(fd);
	ck_assert_int_eq(receive(1000), RMR_CHANNEL_FRAME);
	ck_assert_int_ge(channel.frame_fd, 0);
	char byte;
	ck_assert_int_eq(read(channel.frame_fd, &byte, 1), 0);
}
END_TEST

START_TEST(test_send_to_nobody)
{
	struct rmr_frame frame = {.type = RMR_FRAME_PING};

	close(agent);
	agent = -1;
	struct rmr_error *err = rmr_channel_send(&channel, &frame, sizeof(frame), -1, 1000);
	ck_assert(err && err->code == RMR_E_TARGET);
	rmr_error_destroy(err);
}
END_TEST

START_TEST(test_send_to_the_deaf)
{
	struct rmr_frame frame = {.type = RMR_FRAME_PING};
	struct rmr_error *err = NULL;

	for (int i = 0; i < 100000 && !err; i++)
		err = rmr_channel_send(&channel, &frame, sizeof(frame), -1, 1);
	ck_assert(err && err->code == RMR_E_TIMEOUT);
	rmr_error_destroy(err);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("channel");
	TCase *tcase = tcase_create("channel");

	tcase_add_checked_fixture(tcase, open_pair, close_pair);
	tcase_add_test(tcase, test_frame);
	tcase_add_test(tcase, test_timeout);
	tcase_add_test(tcase, test_closed);
	tcase_add_test(tcase, test_frame_before_end);
	tcase_add_test(tcase, test_cancel);
	tcase_add_test(tcase, test_wrong_size);
	tcase_add_test(tcase, test_descriptor);
	tcase_add_test(tcase, test_send_to_nobody);
	tcase_add_test(tcase, test_send_to_the_deaf);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
