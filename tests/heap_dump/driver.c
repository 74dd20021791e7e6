// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Runs the heap walker inside the interpreter that loaded this object (ctypes.PyDLL, so that the
 * GIL is held), without any injection: what the agent does, for tests of the walker alone. Needs
 * no C library, so that one object serves every interpreter.
 */
#include "payloads/freestanding.h"
#include "payloads/heap_dump/heap_dump.h"
#include "payloads/ring.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT const char *rmr_test_name(int index);
EXPORT int rmr_test_ring(void);
EXPORT int rmr_test_dump(int fd, const struct rmr_python_api *api, unsigned version_hex,
	unsigned values, int in_place);
EXPORT long rmr_test_pause(void);

/** Where a test puts addresses of objects, as an extension does with its static variables. */
EXPORT void *rmr_test_data[4];

static long pause_us;

/** Name of the n-th field of struct rmr_python_api, NULL behind the last. */
const char *rmr_test_name(int index)
{
#define NAME(name, need) #name,
	static const char *const names[] = {RMR_PYTHON_API(NAME) NULL};

	return names[index];
}

/** A new ring's descriptor. */
int rmr_test_ring(void)
{
	struct rmr_ring ring;
	int fd;

	if (rmr_ring_create(&ring, &fd) < 0)
		return -1;
	rmr_ring_unmap(&ring);
	return fd;
}

/** How long the last dump's preparation and clone took in the interpreter, in us. */
long rmr_test_pause(void)
{
	return pause_us;
}

static long now_us(void)
{
	struct {
		int64_t sec, nsec;
	} time;

	rmr_sys(__NR_clock_gettime, 1, &time);
	return time.sec * 1000000 + time.nsec / 1000;
}

static int run(struct rmr_heap_dump *state, int fd)
{
	struct rmr_ring ring;

	if (rmr_ring_map(&ring, fd) < 0)
		return 100;
	int status = rmr_heap_dump_run(state, &ring, -1);
	rmr_ring_unmap(&ring);
	return status;
}

/** The status of the walk: enum rmr_heap_dump_status, or 128 + signal of the twin. */
int rmr_test_dump(int fd, const struct rmr_python_api *api, unsigned version_hex, unsigned values,
	int in_place)
{
	enum { SIG_CHLD = 17, READ_WRITE = 3, PRIVATE_ANONYMOUS = 0x22 };
	struct rmr_heap_dump_request request = {.values = values, .version_hex = version_hex};
	long start = now_us();
	struct rmr_heap_dump *state = (void *)rmr_sys(__NR_mmap, 0, rmr_heap_dump_size(),
		READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
	int status = rmr_heap_dump_prepare(state, api, &request);

	if (status == RMR_HEAP_DUMP_OK && in_place) {
		status = run(state, fd);
		pause_us = now_us() - start;
	} else if (status == RMR_HEAP_DUMP_OK) {
		long pid = rmr_sys(__NR_clone, SIG_CHLD, 0, 0, 0, 0);
		if (pid == 0) {
			int end = run(state, fd);
			rmr_sys(__NR_exit_group, end);
		}
		pause_us = now_us() - start;
		int end = 0;
		rmr_sys_retry(__NR_wait4, pid, &end, 0, 0);
		status = end & 127 ? 128 + (end & 127) : end >> 8 & 255;
	}
	rmr_heap_dump_finish(state);
	rmr_sys(__NR_munmap, state, rmr_heap_dump_size());
	return status;
}
