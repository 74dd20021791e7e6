// SPDX-License-Identifier: GPL-3.0-or-later
/* Sorting by address, the directory of addresses, and the small containers of cli/heap. */
#include "cli/heap/idset.h"
#include "cli/heap/intern.h"
#include "cli/heap/order.h"
#include "cli/heap/text.h"
#include "tests/unit/heap_fixture.h"

enum { CHUNKS = 7, MOST = 3000 };

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Addresses of many kinds: clustered, sparse, equal, extreme. */
static uint64_t random_address(int kind)
{
	uint64_t wild = ((uint64_t)(unsigned)rand() << 33) ^ ((uint64_t)(unsigned)rand() << 11) ^
		(unsigned)rand();

	switch (kind) {
	case 0:
		return 0x7f0000000000 + (wild & 0xffff0);
	case 1:
		return wild;
	case 2:
		return wild & 0xff;
	case 3:
		return wild & 1 ? UINT64_MAX - (wild & 0xfff) : wild & 0xfff;
	default:
		return 42;
	}
}

START_TEST(records_are_sorted_and_found)
{
	struct rmr_chunk chunks[CHUNKS];
	static uint64_t all[CHUNKS * MOST], sorted[CHUNKS * MOST], address[CHUNKS * MOST];
	static uint32_t index[CHUNKS * MOST];
	struct rmr_parsed parsed = {.chunks = chunks, .chunk_count = CHUNKS};
	struct rmr_order order;
	struct rmr_directory directory;
	size_t total = 0, unique = 0;

	srand(10 + (unsigned)_i);
	memset(chunks, 0, sizeof(chunks));
	for (int c = 0; c < CHUNKS; c++) {
		chunks[c].base = total;
		chunks[c].count = (size_t)rand() % MOST;
		chunks[c].address = all + total;
		for (size_t i = 0; i < chunks[c].count; i++)
			all[total++] = random_address(_i % 5);
	}
	parsed.objects = total;
	memcpy(sorted, all, total * sizeof(*all));
	qsort(sorted, total, sizeof(*sorted), compare);
	for (size_t i = 0; i < total; i++) {
		if (!i || sorted[i] != sorted[i - 1])
			sorted[unique++] = sorted[i];
	}
	assert_ok(rmr_order_create(&parsed, 1 + (unsigned)_i % 4, &order));
	ck_assert_uint_eq(order.rank[order.parts], unique);
	rmr_order_fill(&order, address, index);
	rmr_order_destroy(&order);
	for (size_t i = 0; i < unique; i++) {
		ck_assert_uint_eq(address[i], sorted[i]);
		ck_assert_uint_eq(all[index[i]], sorted[i]);
		for (uint32_t k = 0; k < index[i] && total < 2000; k++)
			ck_assert(all[k] != sorted[i]); /* the first record of several */
	}
	assert_ok(rmr_directory_create(address, unique, &directory));
	for (size_t i = 0; i < unique; i++)
		ck_assert_uint_eq(rmr_directory_find(&directory, address[i]), i);
	for (int i = 0; i < 1000; i++) {
		uint64_t wanted = random_address(rand() % 5);
		bool there = bsearch(&wanted, sorted, unique, sizeof(*sorted), compare) != NULL;
		ck_assert((rmr_directory_find(&directory, wanted) != RMR_NO_OBJECT) == there);
	}
	rmr_directory_destroy(&directory);
}
END_TEST

START_TEST(interned_keys_have_one_number)
{
	struct rmr_intern intern = {0};
	char key[32];
	uint32_t number;
	size_t size;

	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 5000; i++) {
			int length = snprintf(key, sizeof(key), "key %u", i * 7919 % 5000);
			ck_assert(rmr_intern_put(&intern, key, (size_t)length, &number));
			ck_assert(round ? number < 5000 : number == i);
			ck_assert_str_eq(rmr_intern_get(&intern, number, &size), key);
			ck_assert_uint_eq(size, (size_t)length);
		}
	}
	ck_assert(rmr_intern_put(&intern, "a\0b", 3, &number));
	ck_assert(rmr_intern_put(&intern, "a\0c", 3, &number));
	ck_assert_uint_eq(intern.count, 5002);
	ck_assert(rmr_intern_put(&intern, "", 0, &number));
	ck_assert_uint_eq(number, 5002);
	rmr_intern_deinit(&intern);
}
END_TEST

START_TEST(id_sets_keep_what_they_are_told)
{
	struct rmr_idset set = {0};

	ck_assert_uint_eq(rmr_idset_get(&set, 3), 0);
	for (uint32_t i = 0; i < 3000; i++)
		ck_assert(rmr_idset_set(&set, i * 65536, i + 1));
	for (uint32_t i = 0; i < 3000; i++) {
		ck_assert_uint_eq(rmr_idset_get(&set, i * 65536), i + 1);
		ck_assert_uint_eq(rmr_idset_get(&set, i * 65536 + 1), 0);
	}
	ck_assert(rmr_idset_set(&set, 65536, 9));
	ck_assert_uint_eq(rmr_idset_get(&set, 65536), 9);
	rmr_idset_deinit(&set);
}
END_TEST

START_TEST(bytes_are_told_as_in_the_tables)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {1536, "1.5 KiB"},
		{1048575, "1.0 MiB"}, {5000000000, "4.7 GiB"}, {UINT64_MAX, "16.0 EiB"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rmr_text text = {0};
		rmr_text_bytes(&text, cases[i].bytes);
		ck_assert_str_eq(text.data, cases[i].text);
		rmr_text_deinit(&text);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("order");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, records_are_sorted_and_found, 0, 40);
	tcase_add_test(tests, interned_keys_have_one_number);
	tcase_add_test(tests, id_sets_keep_what_they_are_told);
	tcase_add_test(tests, bytes_are_told_as_in_the_tables);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
