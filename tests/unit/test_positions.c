// SPDX-License-Identifier: GPL-3.0-or-later
/* Where references are among those of large containers, against passing them one by one. */
#include "cli/heap/positions.h"
#include "tests/unit/heap_fixture.h"

enum { CONTAINERS = 300, ROUNDS = 20000, SEEDS = 3 };

static unsigned targets_of(unsigned container)
{
	return container % 3 == 0 ? 2 : container % 3 == 1 ? 100 : 100000;
}

/* Containers of about the size from which on tables are made, with equal references and without. */
static struct rmr_heap *open_containers(void)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (unsigned c = 0; c < CONTAINERS; c++) {
		unsigned count = 3900 + (unsigned)rand() % 400;
		fprintf(out, "{\"address\": %u, \"type\": \"list\", \"size\": 1, \"refs\": [", 1 + c);
		for (unsigned i = 0; i < count; i++)
			fprintf(out, "%s%u", i ? "," : "",
				1 + (unsigned)rand() % (CONTAINERS + targets_of(c)));
		fputs("]}\n", out);
	}
	fclose(out);
	struct rmr_heap *heap = fixture_open(text);
	free(text);
	return heap;
}

static uint64_t pass(const struct rmr_heap *heap, uint32_t source, uint32_t target, uint64_t start)
{
	struct rmr_ids ids = rmr_heap_children(heap, source);

	for (uint64_t i = start; i < ids.count; i++) {
		if (ids.ids[i] == target)
			return i;
	}
	return UINT64_MAX;
}

START_TEST(references_are_found_in_order)
{
	srand(1 + (unsigned)_i);
	struct rmr_heap *heap = open_containers();
	uint32_t some = 1 + (unsigned)rand() % CONTAINERS; 

	for (unsigned n = 0; n < ROUNDS; n++) {
		uint32_t source = (unsigned)rand() % (n % 2 ? some : CONTAINERS);
		uint32_t target = (unsigned)rand() % rmr_heap_id_end(heap);
		struct rmr_ids ids = rmr_heap_children(heap, source);
		if (n % 3)
			target = ids.ids[(uint64_t)(unsigned)rand() % ids.count];
		uint64_t start = n % 5 ? 0 : (unsigned)rand() % (ids.count + 2);
		for (int k = 0; k < 4 && start != UINT64_MAX; k++) {
			uint64_t found = rmr_positions_find(heap, source, target, start);
			ck_assert_msg(found == pass(heap, source, target, start),
				"seed %d round %u: %u to %u from %llu", 1 + _i, n, source, target,
				(unsigned long long)start);
			start = found == UINT64_MAX ? found : found + 1;
		}
	}
	ck_assert_uint_eq(rmr_positions_find(heap, rmr_heap_id_end(heap), 0, 0), UINT64_MAX);
	rmr_heap_close(heap);
}
END_TEST

static Suite *positions_suite(void)
{
	Suite *suite = suite_create("positions");
	TCase *tcase = tcase_create("positions");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, references_are_found_in_order, 0, SEEDS);
	suite_add_tcase(suite, tcase);
	return suite;
}

FIXTURE_MAIN(positions_suite())
