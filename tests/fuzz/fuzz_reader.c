// SPDX-License-Identifier: GPL-3.0-or-later
/* Any bytes as a dump, and all questions about what was loaded. */
#include "tests/fuzz/exercise_heap.h"
#include "tests/fuzz/replay.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rmr_heap_options options = {.threads = 1};
	struct rmr_heap *heap;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	struct rmr_error *err = rmr_heap_open_fd(fd, "fuzz", &options, &heap);
	close(fd);
	if (err) {
		rmr_error_destroy(err);
		return 0;
	}
	exercise_heap(heap);
	rmr_heap_close(heap);
	return 0;
}
