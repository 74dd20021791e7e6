// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/ring.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static struct rmr_ring consumer, producer;

static void set_up(void)
{
	int fd;

	ck_assert_int_eq(rmr_ring_create(&consumer, &fd), 0);
	ck_assert_int_eq(rmr_ring_map(&producer, fd), 0);
	close(fd);
}

static void tear_down(void)
{
	rmr_ring_close(&consumer);
	rmr_ring_unmap(&producer);
}

static void put_word(uint64_t word)
{
	ck_assert_int_eq(rmr_ring_reserve(&producer, 8), RMR_RING_OK);
	memcpy(rmr_ring_at(&producer), &word, 8);
	rmr_ring_advance(&producer, 8);
}

START_TEST(test_empty)
{
	const void *bytes;
	size_t size;

	ck_assert_int_eq(rmr_ring_peek(&consumer, &bytes, &size, 0), RMR_RING_TIMEOUT);
	ck_assert_int_eq(rmr_ring_peek(&consumer, &bytes, &size, 10), RMR_RING_TIMEOUT);
	put_word(1);
	// Not visible before it is published.
	ck_assert_int_eq(rmr_ring_peek(&consumer, &bytes, &size, 0), RMR_RING_TIMEOUT);
	rmr_ring_publish(&producer);
	ck_assert_int_eq(rmr_ring_peek(&consumer, &bytes, &size, 0), RMR_RING_OK);
	ck_assert_uint_eq(size, 8);
	rmr_ring_consume(&consumer, 8);
	rmr_ring_finish(&producer);
	ck_assert_int_eq(rmr_ring_peek(&consumer, &bytes, &size, 1000), RMR_RING_FINISHED);
}
END_TEST

// A record that crosses the end of the data area is contiguous all the same.
START_TEST(test_wraps)
{
	const void *bytes;
	size_t size;
	enum { PART = 1000000 };

	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(rmr_ring_reserve(&producer, PART), RMR_RING_OK);
		memset(rmr_ring_at(&producer), i + 1, PART);
		rmr_ring_advance(&producer, PART);
		rmr_ring_publish(&producer);
		ck_assert_int_eq(rmr_ring_peek(&consumer, &bytes, &size, 0), RMR_RING_OK);
		ck_assert_uint_eq(size, PART);
		for (size_t k = 0; k < PART; k += 4999)
			ck_assert_int_eq(((const char *)bytes)[k], i + 1);
		rmr_ring_consume(&consumer, PART);
	}
}
END_TEST

enum { WORDS = 3000000 };

static void *produce(void *arg)
{
	for (uint64_t i = 0; i < WORDS; i++) {
		if (rmr_ring_reserve(&producer, 8) != RMR_RING_OK)
			return arg;
		memcpy(rmr_ring_at(&producer), &i, 8);
		rmr_ring_advance(&producer, 8);
		if (i % 1000 == 0)
			rmr_ring_publish(&producer);
	}
	rmr_ring_finish(&producer);
	return NULL;
}

// More than the ring holds, so that both sides sleep and wake each other.
START_TEST(test_two_sides)
{
	pthread_t thread;
	uint64_t next = 0;
	const void *bytes;
	size_t size;

	ck_assert_int_eq(pthread_create(&thread, NULL, produce, &consumer), 0);
	for (;;) {
		enum rmr_ring_status status = rmr_ring_peek(&consumer, &bytes, &size, 5000);
		if (status == RMR_RING_FINISHED)
			break;
		ck_assert_int_eq(status, RMR_RING_OK);
		for (size_t i = 0; i < size; i += 8, next++)
			ck_assert_uint_eq(*(const uint64_t *)((const char *)bytes + i), next);
		rmr_ring_consume(&consumer, size);
		if (next % 50000 < 1000)
			usleep(1000);
	}
	ck_assert_uint_eq(next, WORDS);
	pthread_join(thread, NULL);
}
END_TEST

// A producer that waits for room learns that nobody reads any more.
START_TEST(test_closed)
{
	pthread_t thread;
	void *closed;

	ck_assert_int_eq(pthread_create(&thread, NULL, produce, &consumer), 0);
	usleep(20000);
	rmr_ring_close(&consumer);
	pthread_join(thread, &closed);
	ck_assert_ptr_nonnull(closed);
}
END_TEST

// Nor does it wait for a remora that died without a word.
START_TEST(test_peer_gone)
{
	int ends[2];
	pthread_t thread;
	void *closed;

	ck_assert_int_eq(pipe(ends), 0);
	producer.peer_fd = ends[0];
	ck_assert_int_eq(pthread_create(&thread, NULL, produce, &consumer), 0);
	usleep(20000);
	close(ends[1]);
	pthread_join(thread, &closed);
	ck_assert_ptr_nonnull(closed);
	close(ends[0]);
}
END_TEST

START_TEST(test_hostile)
{
	static const uint64_t heads[] = {RMR_RING_CAPACITY + 1, UINT64_MAX, UINT64_MAX / 2,
		(uint64_t)RMR_RING_CAPACITY * 2};
	const void *bytes;
	size_t size;

	producer.shared->head = heads[_i];
	ck_assert_int_eq(rmr_ring_peek(&consumer, &bytes, &size, 0), RMR_RING_BROKEN);
	// Its own position is not in the shared memory.
	producer.shared->head = 16;
	producer.shared->tail = UINT64_MAX;
	ck_assert_int_eq(rmr_ring_peek(&consumer, &bytes, &size, 0), RMR_RING_OK);
	ck_assert_uint_eq(size, 16);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring");
	TCase *tests = tcase_create("ring");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_empty);
	tcase_add_test(tests, test_wraps);
	tcase_add_test(tests, test_two_sides);
	tcase_add_test(tests, test_closed);
	tcase_add_test(tests, test_peer_gone);
	tcase_add_loop_test(tests, test_hostile, 0, 4);
	suite_add_tcase(suite, tests);
	return rmr_run_suite(suite);
}
