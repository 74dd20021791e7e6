// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_tally.h"

#include "tests/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 20000 };

static uint64_t random_state = 88172645463325252;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}

struct model {
	uint64_t address, rc, found;
	bool known, immortal;
};

// Dense and far apart, in the lowest chunk and in the highest.
static void place(struct model *objects)
{
	uint64_t address = 4096;

	for (int i = 0; i < OBJECTS; i++) {
		address += 16 + 8 * (next_random() % 20);
		if (next_random() % 500 == 0)
			address += (next_random() % 64) << 32;
		objects[i] = (struct model){.address = address, .known = next_random() % 50 != 0,
			.immortal = next_random() % 20 == 0};
		// So large that they are carried; balanced, mostly.
		objects[i].rc = next_random() % (next_random() % 100 ? 12 : 2000);
		if (next_random() % 200 == 0)
			objects[i].rc = UINT64_C(999999999) << next_random() % 8;
	}
	objects[OBJECTS - 1].address = (UINT64_C(1) << 47) - 16;
}

static uint64_t wanted_references(const struct model *object)
{
	uint64_t rc = object->rc < 5000 ? object->rc : 300;

	switch (next_random() % 10) {
	case 0:
		return next_random() % 400;
	case 1:
		return rc ? rc - 1 : 1;
	default:
		return rc;
	}
}

static void reckon(const struct model *objects, struct rmr_completeness *ret)
{
	*ret = (struct rmr_completeness){0};
	for (int i = 0; i < OBJECTS; i++) {
		const struct model *o = &objects[i];
		if (!o->known || o->immortal || o->rc >= RMR_IMMORTAL_COUNT)
			continue;
		ret->counted += o->rc;
		ret->found += o->found < o->rc ? o->found : o->rc;
		ret->held_by_c += o->found < o->rc;
		ret->exceeded += o->found > o->rc;
		ret->excess += o->found > o->rc ? o->found - o->rc : 0;
	}
}

// Every missing reference can be explained, and no other.
static void explain_all(struct rmr_dump_tally *tally, struct model *objects)
{
	for (int i = 0; i < OBJECTS; i++) {
		struct model *o = &objects[i];
		bool counts = o->known && !o->immortal && o->rc < RMR_IMMORTAL_COUNT;
		for (; counts && o->found < o->rc; o->found++)
			ck_assert(rmr_dump_tally_explain(tally, o->address));
		ck_assert(!rmr_dump_tally_explain(tally, o->address));
	}
}

// _i: whether what is missing is explained in the end.
START_TEST(test_random_heap)
{
	struct model *objects = calloc(OBJECTS, sizeof(*objects));
	struct rmr_dump_tally *tally = rmr_dump_tally_create();
	struct rmr_completeness got, expected;

	place(objects);
	// Some references come before the object, some after, in pieces.
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < OBJECTS; i++) {
			uint64_t refs[1024];
			uint64_t count = wanted_references(&objects[i]) / 2;
			for (uint64_t k = 0; k < count; k++)
				refs[k] = objects[i].address;
			for (uint64_t k = 0; k < count; k += 5)
				rmr_dump_tally_references(tally, (unsigned char *)(refs + k),
					count - k < 5 ? count - k : 5);
			objects[i].found += count;
		}
		for (int i = 0; round == 0 && i < OBJECTS; i++) {
			if (objects[i].known)
				rmr_dump_tally_object(tally, objects[i].address, objects[i].rc,
					objects[i].immortal);
		}
	}
	if (_i)
		explain_all(tally, objects);
	ck_assert(rmr_dump_tally_finish(tally, &got));
	reckon(objects, &expected);
	ck_assert_mem_eq(&got, &expected, sizeof(got));
	ck_assert((got.held_by_c != 0) == !_i && got.exceeded);
	rmr_dump_tally_destroy(tally);
	free(objects);
}
END_TEST

// What the target says is not trusted: no address may make it write elsewhere or use all memory.
START_TEST(test_hostile_addresses)
{
	struct rmr_dump_tally *tally = rmr_dump_tally_create();
	struct rmr_completeness got = {.counted = 7};
	const uint64_t odd[] = {0, 1, 15, 16, UINT64_MAX, UINT64_C(1) << 47, (UINT64_C(1) << 47) - 1};

	for (int i = 0; i < 1000; i++)
		rmr_dump_tally_references(tally, (const unsigned char *)odd, 7);
	for (int i = 0; i < 7; i++)
		rmr_dump_tally_object(tally, odd[i], 3, false);
	for (uint64_t address = 0; address < UINT64_C(1) << 47; address += UINT64_C(1) << 24)
		rmr_dump_tally_references(tally, (unsigned char *)&address, 1);
	ck_assert(!rmr_dump_tally_finish(tally, &got));
	ck_assert_uint_eq(got.counted, 7);
	rmr_dump_tally_destroy(tally);
}
END_TEST

// Those of tables, the references of which are not to be told; too many are too many.
START_TEST(test_left_out)
{
	struct rmr_dump_tally *tally = rmr_dump_tally_create();
	const uint64_t tables[] = {0x7000, 0x5000, 0x9000, 0x5000, 0x1000};
	struct rmr_completeness got;

	rmr_dump_tally_leave_out(NULL, 0x5000);
	ck_assert(rmr_dump_tally_object(tally, 0x5000, 1, false));
	for (int i = 0; i < 5; i++)
		rmr_dump_tally_leave_out(tally, tables[i]);
	for (uint64_t address = 0; address < 0xb000; address += 0x800) {
		bool is_table = address == 0x1000 || address == 0x5000 || address == 0x7000 || address == 0x9000;
		ck_assert(rmr_dump_tally_object(tally, address, 1, address & 0x800) != is_table);
	}
	for (uint64_t address = 1 << 20; address < 100 << 20; address += 4096)
		rmr_dump_tally_leave_out(tally, address);
	ck_assert(!rmr_dump_tally_finish(tally, &got));
	rmr_dump_tally_destroy(tally);
}
END_TEST

START_TEST(test_none)
{
	struct rmr_completeness got;
	uint64_t address = 4096;

	rmr_dump_tally_object(NULL, address, 1, false);
	rmr_dump_tally_references(NULL, (unsigned char *)&address, 1);
	ck_assert(!rmr_dump_tally_finish(NULL, &got));
	ck_assert(!rmr_dump_tally_explain(NULL, address));
	rmr_dump_tally_destroy(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dump_tally");
	TCase *tests = tcase_create("dump_tally");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, test_random_heap, 0, 2);
	tcase_add_test(tests, test_hostile_addresses);
	tcase_add_test(tests, test_left_out);
	tcase_add_test(tests, test_none);
	suite_add_tcase(suite, tests);
	return rmr_run_suite(suite);
}
