// SPDX-License-Identifier: GPL-3.0-or-later
/* The functions of this very program, by the table that its linker wrote. */
#include "attach/calls.h"
#include "attach/frame_table.h"
#include "attach/target_internal.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((noinline)) static int some_function(int n)
{
	return n * getpid() + 1;
}

/* The program itself comes first. */
static int find_header(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			*(rmr_addr_t *)arg = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
	}
	return 1;
}

START_TEST(test_find)
{
	struct rmr_target target = {.pid = getpid(), .memory = open("/proc/self/mem", O_RDONLY)};
	rmr_addr_t header = 0, function = (rmr_addr_t)(uintptr_t)some_function, start, end;

	ck_assert_int_eq(some_function(0), 1);
	dl_iterate_phdr(find_header, &header);
	ck_assert_uint_ne(header, 0);
	for (rmr_addr_t pc = function; pc < function + 8; pc++) {
		ck_assert(rmr_frame_table_find(&target, header, pc, &start, &end));
		ck_assert_uint_eq(start, function);
		ck_assert_uint_gt(end, pc);
	}
	rmr_addr_t next = end;
	ck_assert(rmr_frame_table_find(&target, header, next, &start, &end));
	ck_assert_uint_eq(start, next);
	/* Before the first, behind the last, and where there is no table. */
	ck_assert(!rmr_frame_table_find(&target, header, 16, &start, &end));
	ck_assert(!rmr_frame_table_find(&target, header, UINT64_MAX, &start, &end));
	ck_assert(!rmr_frame_table_find(&target, function, function, &start, &end));
	ck_assert(!rmr_frame_table_find(&target, 16, function, &start, &end));
	close(target.memory);
}
END_TEST

START_TEST(test_calls)
{
	ck_assert_str_eq(rmr_calls_name(SYS_epoll_wait), "epoll_wait");
	ck_assert_str_eq(rmr_calls_name(SYS_read), "read");
	ck_assert_str_eq(rmr_calls_name(SYS_clone3), "clone3");
	ck_assert_ptr_null(rmr_calls_name(-1));
	ck_assert_ptr_null(rmr_calls_name(1 << 30));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frame_table");
	TCase *tcase = tcase_create("frame_table");

	tcase_add_test(tcase, test_find);
	tcase_add_test(tcase, test_calls);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
