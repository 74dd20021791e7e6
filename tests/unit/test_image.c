// SPDX-License-Identifier: GPL-3.0-or-later
/* Files that this program itself has loaded, whole and damaged. */
#include "attach/image.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A part of our own memory, at @p base, of which some bytes are changed. */
struct view {
	rmr_addr_t base;
	const unsigned char *bytes; /* replaces memory from base on, if not NULL */
	size_t size;
	size_t reads_left;
};

static int self = -1;

static bool read_view(void *context, rmr_addr_t address, void *buffer, size_t size)
{
	struct view *view = context;

	if (view->reads_left && --view->reads_left == 0)
		return false;
	if (view->bytes && address >= view->base && address - view->base < view->size) {
		if (size > view->size - (address - view->base))
			return false;
		memcpy(buffer, view->bytes + (address - view->base), size);
		return true;
	}
	return address < INT64_MAX && pread(self, buffer, size, (off_t)address) == (ssize_t)size;
}

static rmr_addr_t base_of(void *function)
{
	Dl_info info;

	ck_assert_int_ne(dladdr(function, &info), 0);
	return (rmr_addr_t)(uintptr_t)info.dli_fbase;
}

static void open_self(void)
{
	self = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(self, 0);
}

START_TEST(test_symbols)
{
	struct view view = {.base = base_of(dlsym(RTLD_DEFAULT, "getpid"))};
	struct rmr_image *image;
	uint64_t size = 0;

	ck_assert_int_eq(rmr_image_probe(read_view, &view, view.base), RMR_IMAGE_NATIVE);
	ck_assert_ptr_null(rmr_image_create(read_view, &view, view.base, &image));
	static const char *const names[] = {"getpid", "malloc", "pthread_create", "environ",
					    "munmap", "dlopen"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		/* A sanitizer's own malloc would hide the C library's. */
		void *address = dlsym(RTLD_NEXT, names[i]);
		if (address && base_of(address) == view.base)
			ck_assert_uint_eq(rmr_image_symbol(image, names[i], NULL),
					  (uintptr_t)address);
	}
	ck_assert_uint_ne(rmr_image_symbol(image, "getpid", &size), 0);
	ck_assert_uint_gt(size, 0);
	/* An indirect function, a thread-local variable, and names that are not there. */
	ck_assert_uint_eq(rmr_image_symbol(image, "strlen", NULL), 0);
	ck_assert_uint_eq(rmr_image_symbol(image, "errno", NULL), 0);
	ck_assert_uint_eq(rmr_image_symbol(image, "no_such_symbol", NULL), 0);
	ck_assert_uint_eq(rmr_image_symbol(image, "", NULL), 0);
	ck_assert_uint_ne(rmr_image_eh_frame_hdr(image), 0);
	rmr_image_destroy(image);
}
END_TEST

static void count_version(void *context, rmr_addr_t address, uint64_t size)
{
	ck_assert_uint_ne(address, 0);
	ck_assert_uint_gt(size, 0);
	++*(unsigned *)context;
}

START_TEST(test_versions)
{
	struct view view = {.base = base_of(dlsym(RTLD_DEFAULT, "getpid"))};
	struct rmr_image *image;
	unsigned count = 0;

	ck_assert_ptr_null(rmr_image_create(read_view, &view, view.base, &image));
	rmr_image_each_version(image, "pthread_cond_timedwait", count_version, &count);
	if (rmr_image_symbol(image, "pthread_cond_timedwait", NULL))
		ck_assert_uint_ge(count, 2);
	count = 0;
	rmr_image_each_version(image, "no_such_symbol", count_version, &count);
	ck_assert_uint_eq(count, 0);
	rmr_image_destroy(image);
}
END_TEST

START_TEST(test_copy)
{
	struct view view = {.base = base_of(dlsym(RTLD_DEFAULT, "getpid"))};
	struct rmr_image *image;
	void *copy;
	size_t size;

	ck_assert_ptr_null(rmr_image_create(read_view, &view, view.base, &image));
	ck_assert_ptr_null(rmr_image_copy_file(image, read_view, &view, &copy, &size));
	ck_assert_uint_gt(size, 65536);
	const Elf64_Ehdr *header = copy;
	ck_assert_mem_eq(header->e_ident, ELFMAG, SELFMAG);
	ck_assert_uint_eq(header->e_shnum, 0);
	free(copy);
	rmr_image_destroy(image);
}
END_TEST

START_TEST(test_kinds)
{
	unsigned char bytes[4096];
	struct view view = {.base = base_of(dlsym(RTLD_DEFAULT, "getpid")), .bytes = NULL};

	ck_assert(read_view(&view, view.base, bytes, sizeof(bytes)));
	view.bytes = bytes;
	view.size = sizeof(bytes);
	bytes[EI_CLASS] = ELFCLASS32;
	ck_assert_int_eq(rmr_image_probe(read_view, &view, view.base), RMR_IMAGE_32);
	bytes[EI_CLASS] = ELFCLASS64;
	((Elf64_Ehdr *)(void *)bytes)->e_machine = EM_AARCH64;
	ck_assert_int_eq(rmr_image_probe(read_view, &view, view.base), RMR_IMAGE_FOREIGN);
	bytes[0] = 0;
	ck_assert_int_eq(rmr_image_probe(read_view, &view, view.base), RMR_IMAGE_NONE);
	view.reads_left = 1;
	ck_assert_int_eq(rmr_image_probe(read_view, &view, view.base), RMR_IMAGE_NONE);
}
END_TEST

/* Memory that is not there at the n-th read, and every header byte changed: an error or an image,
 * whose functions work. */
static void try_image(struct view *view)
{
	struct rmr_image *image;
	rmr_addr_t start, end;
	struct rmr_error *err = rmr_image_create(read_view, view, view->base, &image);

	if (err) {
		ck_assert_int_eq(err->code, RMR_E_TARGET);
		rmr_error_destroy(err);
		return;
	}
	rmr_image_symbol(image, "getpid", NULL);
	rmr_image_symbol(image, "no_such_symbol", NULL);
	rmr_image_bss(image, &start, &end);
	rmr_image_eh_frame_hdr(image);
	rmr_image_destroy(image);
}

START_TEST(test_damage)
{
	static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
	unsigned char whole[4096], bytes[4096];
	struct view view = {.base = base_of(dlsym(RTLD_DEFAULT, "getpid"))};

	for (size_t reads = 1; reads < 20; reads++) {
		view.reads_left = reads;
		try_image(&view);
	}
	view.reads_left = 0;
	ck_assert(read_view(&view, view.base, whole, sizeof(whole)));
	view.bytes = bytes;
	view.size = sizeof(bytes);
	size_t headers = sizeof(Elf64_Ehdr) + 14 * sizeof(Elf64_Phdr);
	for (size_t i = 0; i < headers; i++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			memcpy(bytes, whole, sizeof(bytes));
			bytes[i] = values[v];
			try_image(&view);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image");
	TCase *tcase = tcase_create("image");

	tcase_add_checked_fixture(tcase, open_self, NULL);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_symbols);
	tcase_add_test(tcase, test_versions);
	tcase_add_test(tcase, test_copy);
	tcase_add_test(tcase, test_kinds);
	tcase_add_test(tcase, test_damage);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
