// SPDX-License-Identifier: GPL-3.0-or-later
/* Objects and frames as CPython lays them out, made in this process's own memory, and read as if it
 * were a target: sound ones, and such as a running or hostile target may show. */
#include "attach/log.h"
#include "attach/pyframes.h"
#include "attach/target_internal.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 1024, FRAMES = 64 };

static struct rmr_target target;
static struct rmr_memory *memory;
static struct rmr_objects objects;
static struct rmr_pycodes codes;
static struct rmr_pyframes chain;
static char types[4][SIZE];
static unsigned char *made[FRAMES * 4];
static size_t made_count;

static rmr_addr_t address_of(const void *pointer)
{
	return (rmr_addr_t)(uintptr_t)pointer;
}

static void setup(void)
{
	target = (struct rmr_target){.pid = getpid(), .memory = open("/proc/self/mem", O_RDONLY)};
	ck_assert_int_ge(target.memory, 0);
	ck_assert_ptr_null(rmr_memory_create(&target, &memory));
	objects = (struct rmr_objects){
		.memory = memory,
		.str = address_of(types[0]),
		.bytes = address_of(types[1]),
		.code = address_of(types[2]),
		.dict = address_of(types[3]),
	};
}

static void teardown(void)
{
	rmr_pyframes_deinit(&chain);
	rmr_pycodes_deinit(&codes);
	rmr_memory_destroy(memory);
	close(target.memory);
	while (made_count)
		free(made[--made_count]);
}

static unsigned char *make(rmr_addr_t type)
{
	unsigned char *object = calloc(1, SIZE);

	ck_assert_ptr_nonnull(object);
	made[made_count++] = object;
	memcpy(object + 8, &type, sizeof(type));
	return object;
}

static void put(unsigned char *object, int32_t offset, uint64_t value)
{
	memcpy(object + offset, &value, sizeof(value));
}

static void put32(unsigned char *object, int32_t offset, uint32_t value)
{
	memcpy(object + offset, &value, sizeof(value));
}

/* A compact str of @p length characters of @p kind bytes. */
static unsigned char *make_str(const void *text, size_t length, unsigned kind, bool ascii)
{
	unsigned char *str = make(objects.str);
	int32_t data = ascii ? objects.layout->str_ascii : objects.layout->str_compact;

	put(str, 16, length);
	put32(str, 32, kind << 2 | 32 | (ascii ? 64 : 0));
	memcpy(str + data, text, length * kind);
	return str;
}

static unsigned char *make_code(const char *name, int32_t first)
{
	const struct rmr_layout *l = objects.layout;
	unsigned char *code = make(objects.code), *table = make(objects.bytes);
	/* 10 bytes at the first line, all others 2 further. */
	static const unsigned char old[] = {10, 2, 200, 0}, ranges[] = {10, 0, 200, 2},
				   locations[] = {0x80 | 13 << 3 | 4, 0, 0x80 | 12 << 3 | 7, 0, 0};

	put(table, 16, l->minor <= 10 ? sizeof(old) : sizeof(locations));
	memcpy(table + 32, l->minor <= 9 ? old : l->minor == 10 ? ranges : locations,
		l->minor <= 10 ? sizeof(old) : sizeof(locations));
	put(code, l->code_name, address_of(make_str(name, strlen(name), 1, true)));
	put(code, l->code_filename, address_of(make_str("file.py", 7, 1, true)));
	put(code, l->code_linetable, address_of(table));
	put32(code, l->code_firstlineno, (uint32_t)first);
	return code;
}

/* A frame of @p code at byte @p lasti, called by @p previous. */
static unsigned char *make_frame(
	const unsigned char *code, int32_t lasti, const unsigned char *previous)
{
	const struct rmr_layout *l = objects.layout;
	unsigned char *frame = make(0);

	put(frame, l->frame_previous, address_of(previous));
	if (l->minor <= 10) {
		put(frame, l->frame_code, address_of(code));
		put32(frame, l->frame_lasti, (uint32_t)(l->minor == 10 ? lasti / 2 : lasti));
	} else {
		put(frame, l->frame_code, address_of(code) | (l->minor >= 14));
		put(frame, l->frame_lasti,
			address_of(code) + (uint64_t)l->code_bytecode + (uint64_t)lasti);
	}
	return frame;
}

/* A thread state whose innermost frame is @p frame. */
static rmr_addr_t make_thread(const unsigned char *frame)
{
	unsigned char *thread = make(0), *between = make(0);
	unsigned minor = objects.layout->minor;

	put(between, minor == 11 ? 8 : 0, address_of(frame));
	put(thread, objects.layout->frame_top,
		minor == 11 || minor == 12 ? address_of(between) : address_of(frame));
	return address_of(thread);
}

static void read_chain(rmr_addr_t thread, uint64_t deadline)
{
	rmr_memory_forget(memory);
	rmr_pyframes_read(&objects, thread, &codes, deadline, &chain);
}

static void start(int minor)
{
	objects.layout = rmr_layout_of((unsigned)minor);
	ck_assert_ptr_nonnull(objects.layout);
}

START_TEST(test_chain)
{
	start(_i);
	unsigned char *outer = make_code("outer", 10), *inner = make_code("inner", 20);
	unsigned char *frame = make_frame(outer, 4, NULL);
	frame = make_frame(inner, 20, frame);
	frame = make_frame(inner, 4, frame);

	read_chain(make_thread(frame), 0);
	ck_assert_int_eq(chain.end, RMR_PYFRAMES_WHOLE);
	ck_assert_uint_eq(chain.count, 3);
	ck_assert_str_eq(chain.frames[0].code->function, "inner");
	ck_assert_str_eq(chain.frames[2].code->function, "outer");
	ck_assert_str_eq(chain.frames[0].code->file, "file.py");
	ck_assert_ptr_eq(chain.frames[0].code, chain.frames[1].code);
	ck_assert_int_eq(rmr_pyframes_line(&objects, &chain.frames[0]), 20);
	ck_assert_int_eq(rmr_pyframes_line(&objects, &chain.frames[1]), 22);
	ck_assert_int_eq(rmr_pyframes_line(&objects, &chain.frames[2]), 10);
	ck_assert(chain.frames[2].entry);
	ck_assert_int_eq(chain.frames[0].entry, _i <= 10);
}
END_TEST

/* From 3.12 on an entry from C has a frame of its own, which is not shown. */
START_TEST(test_shim)
{
	start(_i);
	unsigned char *code = make_code("function", 1);
	unsigned char *frame = make_frame(code, 4, NULL);
	frame = make_frame(code, 4, frame);
	frame = make_frame(NULL, 0, frame);
	frame[objects.layout->frame_owner] = 3;
	frame = make_frame(code, 4, frame);
	frame = make_frame(code, 4, frame);

	read_chain(make_thread(frame), 0);
	ck_assert_int_eq(chain.end, RMR_PYFRAMES_WHOLE);
	ck_assert_uint_eq(chain.count, 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(chain.frames[i].entry, i == 1 || i == 3);
}
END_TEST

START_TEST(test_broken)
{
	start(_i);
	unsigned char *code = make_code("function", 1), *frame = make_frame(code, 4, NULL);

	/* An own caller; a ring of two behind others. */
	put(frame, objects.layout->frame_previous, address_of(frame));
	read_chain(make_thread(frame), 0);
	ck_assert_int_eq(chain.end, RMR_PYFRAMES_BROKEN);
	unsigned char *ring = make_frame(code, 4, NULL), *other = make_frame(code, 4, ring);
	put(ring, objects.layout->frame_previous, address_of(other));
	for (int i = 0; i < 5; i++)
		other = make_frame(code, 4, other);
	read_chain(make_thread(other), 0);
	ck_assert_int_eq(chain.end, RMR_PYFRAMES_BROKEN);
	/* Callers and code that are none. */
	static const rmr_addr_t wild[] = {8, 0x1001, UINT64_MAX - 7, INT64_MAX - 7, 0xdddddddddddddddd};
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		put(frame, objects.layout->frame_previous, wild[i]);
		read_chain(make_thread(frame), 0);
		ck_assert_int_eq(chain.end, RMR_PYFRAMES_BROKEN);
		put(frame, objects.layout->frame_previous, 0);
		put(frame, objects.layout->frame_code, wild[i]);
		read_chain(make_thread(frame), 0);
		ck_assert_int_eq(chain.end, RMR_PYFRAMES_BROKEN);
		put(frame, objects.layout->frame_code, address_of(code));
	}
	read_chain(make_thread(make_frame(make(objects.str), 0, NULL)), 0);
	ck_assert_int_eq(chain.end, RMR_PYFRAMES_BROKEN);
	read_chain(make_thread(NULL), 0);
	ck_assert_int_eq(chain.end, RMR_PYFRAMES_WHOLE);
	ck_assert_uint_eq(chain.count, 0);
}
END_TEST

START_TEST(test_cut)
{
	start(_i);
	static unsigned char many[RMR_PYFRAMES_MAX + 10][512] __attribute__((aligned(8)));
	unsigned char *code = make_code("function", 1);
	unsigned char *model = make_frame(code, 4, NULL);

	for (size_t i = 0; i < RMR_PYFRAMES_MAX + 10; i++) {
		memcpy(many[i], model, sizeof(many[i]));
		put(many[i], objects.layout->frame_previous, i ? address_of(many[i - 1]) : 0);
	}
	rmr_addr_t thread = make_thread(many[RMR_PYFRAMES_MAX + 9]);
	read_chain(thread, 0);
	ck_assert_int_eq(chain.end, RMR_PYFRAMES_CUT);
	ck_assert_uint_eq(chain.count, RMR_PYFRAMES_MAX);
	read_chain(thread, rmr_log_now());
	ck_assert_int_eq(chain.end, RMR_PYFRAMES_CUT);
	ck_assert_uint_lt(chain.count, 1000);
	read_chain(make_thread(many[RMR_PYFRAMES_MAX - 1]), 0);
	ck_assert_int_eq(chain.end, RMR_PYFRAMES_WHOLE);
}
END_TEST

/* Another code object at the same address is another one. */
START_TEST(test_reuse)
{
	start(_i);
	unsigned char *code = make_code("before", 1);
	rmr_addr_t thread = make_thread(make_frame(code, 4, NULL));

	read_chain(thread, 0);
	ck_assert_str_eq(chain.frames[0].code->function, "before");
	put(code, objects.layout->code_name, address_of(make_str("after", 5, 1, true)));
	read_chain(thread, 0);
	ck_assert_str_eq(chain.frames[0].code->function, "after");
	/* Neither is what is no str, and a line table that is none. */
	put(code, objects.layout->code_name, address_of(make(objects.bytes)));
	put(code, objects.layout->code_linetable, 0x10);
	read_chain(thread, 0);
	ck_assert_str_eq(chain.frames[0].code->function, "?");
	ck_assert_int_eq(rmr_pyframes_line(&objects, &chain.frames[0]), -1);
}
END_TEST

static char *read_text(const unsigned char *str)
{
	rmr_memory_forget(memory);
	return rmr_objects_text(&objects, address_of(str));
}

START_TEST(test_text)
{
	start(_i);
	static const uint16_t two[] = {'a', 0x65e5, 0xd800, 0};
	static const uint32_t four[] = {0x1f40d, 0xffffffff, 'z'};
	char *text = read_text(make_str("R\xfc", 2, 1, false));

	ck_assert_str_eq(text, "R\xc3\xbc");
	free(text);
	text = read_text(make_str(two, 4, 2, false));
	ck_assert_str_eq(text, "a\xe6\x97\xa5\xed\xa0\x80\xef\xbf\xbd");
	free(text);
	text = read_text(make_str(four, 3, 4, false));
	ck_assert_str_eq(text, "\xf0\x9f\x90\x8d\xef\xbf\xbdz");
	free(text);
	/* An absurd length, and a kind that is none. */
	unsigned char *str = make_str("abc", 3, 1, true);
	put(str, 16, UINT64_MAX);
	text = read_text(str);
	ck_assert(!text || strlen(text) <= 4 * RMR_OBJECTS_TEXT);
	free(text);
	put(str, 16, 3);
	put32(str, 32, 3 << 2 | 32 | 64);
	ck_assert_ptr_null(read_text(str));
	size_t size;
	unsigned char *bytes = make(objects.bytes);
	put(bytes, 16, UINT64_MAX);
	rmr_memory_forget(memory);
	ck_assert_ptr_null(rmr_objects_bytes(&objects, address_of(bytes), &size));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pyframes");
	TCase *tcase = tcase_create("pyframes");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_chain, 6, 16);
	tcase_add_loop_test(tcase, test_shim, 12, 16);
	tcase_add_loop_test(tcase, test_broken, 6, 16);
	tcase_add_loop_test(tcase, test_cut, 6, 16);
	tcase_add_loop_test(tcase, test_reuse, 6, 16);
	tcase_add_loop_test(tcase, test_text, 6, 16);
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
