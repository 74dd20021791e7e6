// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/agent_image.h"
#include "inject/protocol.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(test_layout)
{
	struct rmr_agent_image image;

	ck_assert_ptr_null(rmr_agent_image_create(&image));
	ck_assert_uint_eq(image.size % 4096, 0);
	ck_assert_uint_eq(image.data_offset % 4096, 0);
	ck_assert_uint_gt(image.data_offset, 0);
	ck_assert_uint_lt(image.data_offset, image.filled);
	ck_assert_uint_le(image.filled, image.size);
	rmr_agent_image_destroy(&image);
}
END_TEST

// What is not imported needs no C library; what is not relative could not be relocated.
START_TEST(test_imports_nothing)
{
	struct rmr_agent_image image;

	ck_assert_ptr_null(rmr_agent_image_create(&image));
	ck_assert_ptr_null(rmr_agent_image_relocate(&image, 0x7f0000000000));
	rmr_agent_image_destroy(&image);
}
END_TEST

START_TEST(test_exports)
{
	static const char *const exported[] = {"rmr_agent_main", "rmr_agent_config"};
	static const char *const hidden[] = {"rmr_agent", "rmr_python_run", "memcpy"};
	struct rmr_agent_image image;
	size_t offset;

	ck_assert_ptr_null(rmr_agent_image_create(&image));
	for (size_t i = 0; i < 2; i++) {
		ck_assert_ptr_null(rmr_agent_image_symbol(&image, exported[i], &offset));
		ck_assert_uint_lt(offset, image.size);
	}
	for (size_t i = 0; i < 3; i++) {
		struct rmr_error *err = rmr_agent_image_symbol(&image, hidden[i], &offset);
		ck_assert_msg(err != NULL, "%s is exported", hidden[i]);
		rmr_error_destroy(err);
	}
	rmr_agent_image_destroy(&image);
}
END_TEST

START_TEST(test_relocation)
{
	struct rmr_agent_image one, other;

	ck_assert_ptr_null(rmr_agent_image_create(&one));
	ck_assert_ptr_null(rmr_agent_image_create(&other));
	ck_assert_ptr_null(rmr_agent_image_relocate(&one, 0x7f0000000000));
	ck_assert_ptr_null(rmr_agent_image_relocate(&other, 0x7f0000001000));
	// Code is position-independent: only data differs.
	ck_assert_int_eq(memcmp(one.bytes, other.bytes, one.data_offset), 0);
	ck_assert_int_ne(memcmp(one.bytes + one.data_offset, other.bytes + one.data_offset,
		one.filled - one.data_offset), 0);
	rmr_agent_image_destroy(&one);
	rmr_agent_image_destroy(&other);
}
END_TEST

// The thread's last act is a jump to munmap: a call would return into what was just unmapped.
START_TEST(test_boot_leaves_by_a_jump)
{
	static const unsigned char leave[] = {
		0x48, 0x89, 0xdf,             // mov %rbx, %rdi
		0xbe, 0x00, 0x30, 0x00, 0x00, // mov $0x3000, %esi
		0x5b,                         // pop %rbx
		0xff, 0xe0,                   // jmp *%rax
	};
	size_t size = (size_t)(rmr_boot_bytes_end - rmr_boot_bytes);

	ck_assert_uint_le(size, RMR_BOOT_STUB_OFFSET);
	ck_assert_ptr_nonnull(memmem(rmr_boot_bytes, 32, leave, sizeof(leave)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("agent_image");
	TCase *tcase = tcase_create("agent_image");

	tcase_add_test(tcase, test_layout);
	tcase_add_test(tcase, test_imports_nothing);
	tcase_add_test(tcase, test_exports);
	tcase_add_test(tcase, test_relocation);
	tcase_add_test(tcase, test_boot_leaves_by_a_jump);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
