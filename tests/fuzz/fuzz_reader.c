// SPDX-License-Identifier: GPL-3.0-or-later
/* Any bytes as a dump, and all questions about what was loaded. */
#include "tests/fuzz/exercise_heap.h"
#include "tests/fuzz/replay.h"

#include <sys/mman.h>
#include <unistd.h>

static struct rmr_heap *load(const uint8_t *data, size_t size)
{
	struct rmr_heap_options options = {.threads = 1};
	struct rmr_heap *heap = NULL;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	struct rmr_error *err = rmr_heap_open_fd(fd, "fuzz", &options, &heap);
	close(fd);
	rmr_error_destroy(err);
	return heap;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rmr_heap *heap = load(data, size);

	if (!heap)
		return 0;
	exercise_heap(heap);
	/* A part of it is the dump before. */
	struct rmr_heap *part = load(data, size / 3 * 2);
	if (part)
		exercise_two(part, heap);
	rmr_heap_close(part);
	rmr_heap_close(heap);
	return 0;
}
