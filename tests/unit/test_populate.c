// SPDX-License-Identifier: GPL-3.0-or-later
/* The thread that maps an index before it is asked. */
#include "cli/heap/populate.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	SIZE = (33 << 20) + 4096, /* two chunks, and a page of a third */
	DEADLINE = 30,		  /* seconds */
};

/* A mapped file of that size, all of it in memory and none of it mapped yet. */
static char *map_file(int *fd)
{
	static const char page[4096];

	*fd = memfd_create("index", MFD_CLOEXEC);
	ck_assert_int_ge(*fd, 0);
	for (off_t at = 0; at < SIZE; at += sizeof(page))
		ck_assert_int_eq(pwrite(*fd, page, sizeof(page), at), sizeof(page));
	char *data = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, *fd, 0);
	ck_assert_ptr_ne(data, MAP_FAILED);
	return data;
}

/* How many of its pages are mapped: Linux, Documentation/admin-guide/mm/pagemap.rst. */
static size_t count_mapped(const char *data)
{
	static uint64_t entries[SIZE / 4096];
	size_t count = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, entries, sizeof(entries), (off_t)((uintptr_t)data / 4096 * 8)),
		sizeof(entries));
	close(fd);
	for (size_t i = 0; i < SIZE / 4096; i++)
		count += entries[i] >> 63;
	return count;
}

START_TEST(all_of_it_is_mapped)
{
	struct rmr_populate populate = {0};
	time_t end = time(NULL) + DEADLINE;
	int fd;
	char *data = map_file(&fd);

	ck_assert_uint_eq(count_mapped(data), 0);
	if (madvise(data, 4096, 22 /* MADV_POPULATE_READ */)) {
		ck_assert_int_eq(errno, EINVAL); /* Linux before 5.14 */
	} else {
		rmr_populate_start(&populate, data, SIZE);
		while (count_mapped(data) < SIZE / 4096)
			ck_assert(time(NULL) < end);
		rmr_populate_end(&populate);
	}
	munmap(data, SIZE);
	close(fd);
}
END_TEST

START_TEST(it_ends_at_once)
{
	for (int i = 0; i < 100; i++) {
		struct rmr_populate populate = {0};
		int fd;
		char *data = map_file(&fd);
		rmr_populate_start(&populate, data, SIZE);
		/* A file that is cut meanwhile ends it, too: nothing is read by itself. */
		ck_assert_int_eq(ftruncate(fd, i % 2 ? 4096 : SIZE), 0);
		rmr_populate_end(&populate);
		rmr_populate_end(&populate);
		munmap(data, SIZE);
		close(fd);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("populate");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, all_of_it_is_mapped);
	tcase_add_test(tests, it_ends_at_once);
	suite_add_tcase(suite, tests);
	return rmr_run_suite(suite);
}
