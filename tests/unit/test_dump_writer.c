// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_writer.h"
#include "payloads/heap_dump/records.h"
#include "payloads/ring.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static struct rmr_ring consumer, producer;
static struct rmr_dump_sink *sink;
static int output;
static char text[1 << 20];

static void set_up(void)
{
	int fd;

	ck_assert_int_eq(rmr_ring_create(&consumer, &fd), 0);
	ck_assert_int_eq(rmr_ring_map(&producer, fd), 0);
	close(fd);
	output = memfd_create("output", MFD_CLOEXEC);
	ck_assert_int_ge(output, 0);
	ck_assert_ptr_null(rmr_dump_sink_create(output, RMR_DUMP_PLAIN, &sink));
}

static void tear_down(void)
{
	rmr_dump_sink_destroy(sink);
	rmr_ring_close(&consumer);
	rmr_ring_unmap(&producer);
	close(output);
}

// ---- making records ----

static uint64_t record[4096];
static size_t used;

static void word(uint64_t value)
{
	record[used++] = value;
}

static void start(void)
{
	used = 1;
}

static void add_text(unsigned encoding, unsigned style, bool more, const void *bytes, size_t size)
{
	struct rmr_text head = {.size = (uint32_t)size, .encoding = (uint8_t)encoding,
		.style = (uint8_t)style, .more = more};

	memcpy(&record[used++], &head, 8);
	memcpy(&record[used], bytes, size);
	used += (size + 7) / 8;
}

static void add_string(const char *string)
{
	add_text(RMR_TEXT_UTF8, 0, false, string, strlen(string));
}

static void finish(unsigned kind, unsigned part, unsigned flags)
{
	record[0] = used * 8 | (uint64_t)kind << 32 | (uint64_t)part << 40 |
		(uint64_t)flags << 48;
	ck_assert_int_eq(rmr_ring_reserve(&producer, used * 8), RMR_RING_OK);
	memcpy(rmr_ring_at(&producer), record, used * 8);
	memset(record, 0, sizeof(record));
	rmr_ring_advance(&producer, used * 8);
	rmr_ring_publish(&producer);
}

static void put_type(uint32_t id, uint64_t address, const char *name)
{
	start();
	word(address);
	word(id);
	add_string(name);
	add_string("builtins");
	finish(RMR_REC_TYPE, 0, 0);
}

static void object(uint64_t address, uint32_t type, uint32_t shape, uint32_t size, uint32_t rc)
{
	start();
	word(address);
	word(type | (uint64_t)shape << 32);
	word(size | (uint64_t)rc << 32);
}

static void put_end(uint64_t objects)
{
	start();
	word(objects);
	for (int i = 0; i < 10; i++)
		word(0);
	add_string("");
	finish(RMR_REC_END, 0, 0);
	rmr_ring_finish(&producer);
}

static struct rmr_error *write_dump(enum rmr_dump_format format)
{
	struct rmr_dump_options options = {.format = format, .peer_fd = -1, .stall_ms = 300};
	struct rmr_dump_totals totals;
	struct rmr_error *err = rmr_dump_write(&consumer, &options, sink, &totals);

	if (!err)
		err = rmr_dump_sink_finish(sink);
	ssize_t n = pread(output, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = 0;
	return err;
}

static void expect_lines(enum rmr_dump_format format, const char *lines)
{
	struct rmr_error *err = write_dump(format);

	ck_assert_msg(!err, "%s", err ? err->message : "");
	ck_assert_str_eq(text, lines);
}

// ---- right input ----

START_TEST(test_object)
{
	put_type(0, 1000, "str");
	put_type(1, 2000, "dict");
	object(4096, 0, 0, 54, 2);
	word(5);
	add_text(RMR_TEXT_LATIN1, 0, false, "a\"b\xe9\n", 5);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_LEN | RMR_OBJECT_VALUE | RMR_OBJECT_INTERNED);
	object(8192, 1, 0, 232, 1);
	word(UINT64_C(5000000000));
	word((uint64_t)-7);
	word(1);
	word(0 | (uint64_t)1 << 32);
	word(4096);
	word(4096);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_WIDE | RMR_OBJECT_LEN | RMR_OBJECT_COUNTS);
	put_end(2);
	expect_lines(RMR_DUMP_REMORA,
		"{\"address\":4096,\"type\":\"str\",\"size\":54,\"rc\":2,\"class\":1000,\"len\":5,"
		"\"value\":\"a\\\"b\xc3\xa9\\n\",\"flags\":[\"interned\"],\"refs\":[]}\n"
		"{\"address\":8192,\"type\":\"dict\",\"size\":5000000000,\"rc\":-7,\"class\":2000,"
		"\"len\":1,\"refs\":[4096],\"keys\":[4096]}\n");
}
END_TEST

START_TEST(test_all_fields)
{
	put_type(0, 1000, "code");
	start();
	word(7 | (uint64_t)3 << 32);
	add_text(RMR_TEXT_UTF8, RMR_STYLE_ATTR, false, "x", 1);
	add_text(RMR_TEXT_UTF8, RMR_STYLE_NULL, false, "", 0);
	add_text(RMR_TEXT_UTF8, RMR_STYLE_LOCAL, false, "y", 1);
	finish(RMR_REC_SHAPE, 0, 0);
	start();
	word(5 | (uint64_t)2 << 32);
	word(80);
	add_string("/srv/\"app\".py");
	word(3);
	add_text(RMR_TEXT_LATIN1, 0, false, "\xe9", 1);
	finish(RMR_REC_TRACE, 0, 0);
	object(16, 0, 7, 100, 1);
	word(4);     // owned
	word(99);    // weak
	word(2);     // hidden 2, keys 0
	word(12);    // line
	word(5);     // trace
	add_string("f");
	add_string("mod");
	add_string("/a/b.py");
	word(1);
	word(2);
	word(3);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_OWNED | RMR_OBJECT_WEAK | RMR_OBJECT_COUNTS |
			RMR_OBJECT_LINE | RMR_OBJECT_TRACE | RMR_OBJECT_NAME | RMR_OBJECT_MODULE |
			RMR_OBJECT_FILE |
			RMR_OBJECT_IMMORTAL | RMR_OBJECT_UNTRACKED | RMR_OBJECT_APPROXIMATE);
	put_end(1);
	expect_lines(RMR_DUMP_REMORA,
		"{\"shape\":7,\"names\":[\".x\",null,\"<local y>\"]}\n"
		"{\"trace\":5,\"frames\":[[\"/srv/\\\"app\\\".py\",80],[\"é\",3]]}\n"
		"{\"address\":16,\"type\":\"code\",\"size\":100,\"rc\":1,\"class\":1000,\"name\":\"f\","
		"\"module\":\"mod\",\"file\":\"/a/b.py\",\"line\":12,\"trace\":5,\"owned\":4,\"shape\":7,"
		"\"weak\":99,\"flags\":[\"immortal\",\"untracked\",\"approximate\"],\"refs\":[1],"
		"\"hidden\":[2,3]}\n");
}
END_TEST

START_TEST(test_buffers)
{
	put_type(0, 1000, "memoryview");
	object(16, 0, 0, 100, 1);
	word((uint64_t)-7); // owned
	word(5);            // trace
	word(80);           // bytes
	word(4096);         // data
	word(16);           // base: itself
	word(1);
	finish(RMR_REC_OBJECT, RMR_OBJECT_BUFFER, RMR_OBJECT_OWNED | RMR_OBJECT_TRACE);
	object(32, 0, 0, 100, 1);
	word(8);
	word(4100);
	word(16);
	add_string("name");
	finish(RMR_REC_OBJECT, RMR_OBJECT_BUFFER, RMR_OBJECT_NAME);
	object(48, 0, 3, 100, 1);
	word(0);
	word(0);
	word(0); // base: not known
	finish(RMR_REC_OBJECT, RMR_OBJECT_BUFFER, 0);
	put_end(3);
	expect_lines(RMR_DUMP_REMORA,
		"{\"address\":16,\"type\":\"memoryview\",\"size\":100,\"rc\":1,\"class\":1000,"
		"\"buffer\":80,\"data\":4096,\"trace\":5,\"owned\":-7,\"refs\":[1]}\n"
		"{\"address\":32,\"type\":\"memoryview\",\"size\":100,\"rc\":1,\"class\":1000,"
		"\"name\":\"name\",\"buffer\":8,\"data\":4100,\"base\":16,\"refs\":[]}\n"
		"{\"address\":48,\"type\":\"memoryview\",\"size\":100,\"rc\":1,\"class\":1000,"
		"\"buffer\":0,\"data\":0,\"base\":null,\"shape\":3,\"refs\":[]}\n");
}
END_TEST

START_TEST(test_parts)
{
	put_type(0, 1000, "dict");
	object(16, 0, 0, 100, 1);
	word(1);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_MORE);
	start();
	word(2);
	finish(RMR_REC_PART, RMR_PART_REFS, RMR_OBJECT_MORE);
	start();
	word(3);
	word(4);
	finish(RMR_REC_PART, RMR_PART_KEYS, RMR_OBJECT_MORE);
	start();
	word(5);
	finish(RMR_REC_PART, RMR_PART_KEYS, 0);
	object(32, 0, 0, 10, 1);
	add_text(RMR_TEXT_UCS2, 0, true, "\xac\x20", 2);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_VALUE | RMR_OBJECT_MORE | RMR_OBJECT_INTERNED);
	start();
	add_text(RMR_TEXT_UCS2, 0, false, "b\0", 2);
	finish(RMR_REC_PART, RMR_PART_VALUE, 0);
	put_end(2);
	expect_lines(RMR_DUMP_REMORA,
		"{\"address\":16,\"type\":\"dict\",\"size\":100,\"rc\":1,\"class\":1000,"
		"\"refs\":[1,2],\"keys\":[3,4,5]}\n"
		"{\"address\":32,\"type\":\"dict\",\"size\":10,\"rc\":1,\"class\":1000,"
		"\"value\":\"\xe2\x82\xac""b\",\"flags\":[\"interned\"],\"refs\":[]}\n");
}
END_TEST

/* Each line as meliae's scanner writes it (_scanner_core.c, _dump_object_to_ref_info()). */
START_TEST(test_meliae)
{
	put_type(0, 1000, "list");
	put_type(1, 1001, "str");
	put_type(2, 1002, "bool");
	put_type(3, 1003, "int");
	put_type(4, 1004, "a/b\"\x7f");
	put_type(5, 1005, "float");
	object(16, 0, 0, 100, 1);
	word(3);
	word(1);
	word(1);
	word(2);
	word(3);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_LEN | RMR_OBJECT_COUNTS);
	object(32, 1, 0, 60, 1);
	word(9);
	add_text(RMR_TEXT_LATIN1, 0, false, "\n\"\\/~\x7f\xe9 a", 9);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_LEN | RMR_OBJECT_VALUE);
	object(48, 1, 0, 60, 1);
	add_text(RMR_TEXT_UCS4, 0, false, "\x00\xf6\x01\x00\xac\x20\x00\x00\x00\xd8\x00\x00", 12);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_VALUE);
	for (unsigned truth = 0; truth < 2; truth++) {
		object(64 + truth * 16, 2, 0, 28, 1);
		add_text(truth ? RMR_TEXT_TRUE : RMR_TEXT_FALSE, 0, false, "", 0);
		finish(RMR_REC_OBJECT, 0, RMR_OBJECT_VALUE);
	}
	int64_t number = -5;
	object(96, 3, 0, 28, 1);
	add_text(RMR_TEXT_INT, 0, false, &number, 8);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_VALUE);
	object(112, 3, 0, 28, 1);
	add_text(RMR_TEXT_DIGITS, 0, false, "\1\0\0\0\1\0\0\0\1\0\0\0", 12);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_VALUE);
	double real = 1.5;
	object(128, 5, 0, 24, 1);
	add_text(RMR_TEXT_FLOAT, 0, false, &real, 8);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_VALUE);
	object(144, 4, 0, 72, 1);
	add_text(RMR_TEXT_UTF8, 0, false, "na/me", 5);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_NAME);
	put_end(9);
	expect_lines(RMR_DUMP_MELIAE,
		"{\"address\": 16, \"type\": \"list\", \"size\": 100, \"len\": 3, \"refs\": [1, 2, 3]}\n"
		"{\"address\": 32, \"type\": \"str\", \"size\": 60, \"len\": 9, "
		"\"value\": \"\\u000a\\\"\\\\\\/~\\u007f\\u00e9 a\", \"refs\": []}\n"
		"{\"address\": 48, \"type\": \"str\", \"size\": 60, "
		"\"value\": \"\\ud83d\\ude00\\u20ac\\ud800\", \"refs\": []}\n"
		"{\"address\": 64, \"type\": \"bool\", \"size\": 28, \"value\": \"False\", \"refs\": []}\n"
		"{\"address\": 80, \"type\": \"bool\", \"size\": 28, \"value\": \"True\", \"refs\": []}\n"
		"{\"address\": 96, \"type\": \"int\", \"size\": 28, \"value\": -5, \"refs\": []}\n"
		"{\"address\": 112, \"type\": \"int\", \"size\": 28, \"refs\": []}\n"
		"{\"address\": 128, \"type\": \"float\", \"size\": 24, \"refs\": []}\n"
		"{\"address\": 144, \"type\": \"a\\/b\\\"\\u007f\", \"size\": 72, \"name\": \"na\\/me\", "
		"\"refs\": []}\n");
}
END_TEST

/* Texts end after 100 characters, however the value comes. */
START_TEST(test_meliae_long)
{
	char letters[200], want[300];

	memset(letters, 'x', sizeof(letters));
	put_type(0, 1000, "str");
	object(16, 0, 0, 100, 1);
	add_text(RMR_TEXT_LATIN1, 0, false, letters, sizeof(letters));
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_VALUE);
	object(32, 0, 0, 100, 1);
	add_text(RMR_TEXT_LATIN1, 0, true, letters, sizeof(letters));
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_VALUE | RMR_OBJECT_MORE);
	start();
	add_text(RMR_TEXT_LATIN1, 0, false, letters, sizeof(letters));
	finish(RMR_REC_PART, RMR_PART_VALUE, 0);
	put_end(2);
	snprintf(want, sizeof(want), "{\"address\": 16, \"type\": \"str\", \"size\": 100, "
				     "\"value\": \"%.100s\", \"refs\": []}\n", letters);
	char *both = NULL;
	ck_assert_int_gt(asprintf(&both, "%s%s", want, want), 0);
	memcpy(both + strlen(want) + 12, "32", 2);
	expect_lines(RMR_DUMP_MELIAE, both);
	free(both);
}
END_TEST

START_TEST(test_roots)
{
	static const struct {
		unsigned kind;
		const char *texts[3];
	} roots[] = {
		{RMR_ROOT_INTERPRETER, {"sys.modules", "", ""}},
		{RMR_ROOT_THREAD, {"Main", "", ""}},
		{RMR_ROOT_FRAME, {"main", "Main", "/srv/app.py"}},
	};

	for (int i = 0; i < 3; i++) {
		start();
		word(0);  // interpreter
		word(77); // ident
		word(78); // native
		word(0 | (uint64_t)12 << 32);
		word(1);
		for (int k = 0; k < 3; k++)
			add_string(roots[i].texts[k]);
		word(4096);
		add_text(RMR_TEXT_UTF8, RMR_STYLE_ATTR, false, "x", 1);
		finish(RMR_REC_ROOT, roots[i].kind, 0);
	}
	put_end(0);
	expect_lines(RMR_DUMP_REMORA,
		"{\"root\":\"interpreter\",\"label\":\"sys.modules\",\"interpreter\":0,"
		"\"names\":[\".x\"],\"refs\":[4096]}\n"
		"{\"root\":\"thread\",\"label\":\"<thread Main>\",\"interpreter\":0,\"ident\":77,"
		"\"native\":78,\"name\":\"Main\",\"names\":[\".x\"],\"refs\":[4096]}\n"
		"{\"root\":\"frame\",\"label\":\"<frame main at app.py:12>\",\"interpreter\":0,"
		"\"thread\":77,\"depth\":0,\"function\":\"main\",\"file\":\"/srv/app.py\",\"line\":12,"
		"\"names\":[\".x\"],\"refs\":[4096]}\n");
}
END_TEST

static void put_root(unsigned kind, uint64_t to)
{
	start();
	for (int i = 0; i < 4; i++)
		word(0);
	word(1);
	for (int k = 0; k < 3; k++)
		add_string("x");
	word(to);
	add_text(RMR_TEXT_UTF8, RMR_STYLE_NULL, false, "", 0);
	finish(RMR_REC_ROOT, kind, 0);
}

// The root's reference to the table is counted, the table's own ones are not, also in a part; a word of
// data that is the table's address explains nothing.
START_TEST(test_interned)
{
	struct rmr_dump_options options = {.format = RMR_DUMP_REMORA, .peer_fd = -1, .stall_ms = 300};
	struct rmr_dump_totals totals;

	put_type(0, 1000, "dict");
	put_root(RMR_ROOT_INTERNED, 4096);
	object(4096, 0, 0, 100, 1);
	word(4128);
	word(4160);
	finish(RMR_REC_OBJECT, 0, RMR_OBJECT_MORE);
	start();
	word(4128);
	word(4160);
	finish(RMR_REC_PART, RMR_PART_KEYS, 0);
	object(4128, 0, 0, 100, 1);
	finish(RMR_REC_OBJECT, 0, 0);
	object(4160, 0, 0, 100, 1);
	finish(RMR_REC_OBJECT, 0, 0);
	object(4192, 0, 0, 100, 2);
	word(4128);
	finish(RMR_REC_OBJECT, 0, 0);
	put_root(RMR_ROOT_INTERPRETER, 4192);
	put_root(RMR_ROOT_DATA, 4096);
	put_end(4);
	ck_assert_ptr_null(rmr_dump_write(&consumer, &options, sink, &totals));
	ck_assert(totals.is_tallied);
	ck_assert_uint_eq(totals.completeness.counted, 5);
	ck_assert_uint_eq(totals.completeness.found, 3);
	ck_assert_uint_eq(totals.completeness.held_by_c, 2);
	ck_assert_uint_eq(totals.completeness.exceeded, 0);
	ck_assert_ptr_null(rmr_dump_sink_finish(sink));
	text[pread(output, text, sizeof(text) - 1, 0)] = 0;
	ck_assert_ptr_nonnull(strstr(text, "{\"root\":\"interned\""));
	ck_assert_ptr_null(strstr(text, "{\"root\":\"static\""));
}
END_TEST

START_TEST(test_header)
{
	struct rmr_dump_header header = {.id = "0123456789abcdef", .pid = 4711,
		.python = "3.11.2", .hex = 51053296, .build = "release", .exe = NULL,
		.cmdline = "python3\0a \"b\"", .cmdline_size = 14, .host = "h", .time = 0,
		.mode = "twin", .values = "none", .rss = 5};
	struct rmr_dump_totals totals = {.objects = 3, .walk_ns = 2500000, .partial = "why"};
	struct rmr_dump_trailer trailer = {.stop_us = 7, .gil_us = 8};

	ck_assert_ptr_null(rmr_dump_write_header(sink, RMR_DUMP_MELIAE, &header));
	ck_assert_ptr_null(rmr_dump_write_header(sink, RMR_DUMP_REMORA, &header));
	ck_assert_ptr_null(rmr_dump_write_trailer(sink, RMR_DUMP_REMORA, &header, &totals, &trailer));
	ck_assert_ptr_null(rmr_dump_write_trailer(sink, RMR_DUMP_MELIAE, &header, &totals, &trailer));
	ck_assert_ptr_null(rmr_dump_sink_finish(sink));
	text[pread(output, text, sizeof(text) - 1, 0)] = 0;
	ck_assert_str_eq(text,
		"{\"remora\":1,\"id\":\"0123456789abcdef\",\"pid\":4711,\"python\":\"3.11.2\","
		"\"hex\":51053296,\"build\":\"release\",\"exe\":null,"
		"\"cmdline\":[\"python3\",\"a \\\"b\\\"\"],\"host\":\"h\","
		"\"time\":\"1970-01-01T00:00:00Z\",\"mode\":\"twin\",\"values\":\"none\",\"rss\":5}\n"
		"{\"end\":true,\"id\":\"0123456789abcdef\",\"objects\":3,\"references\":0,\"bytes\":0,"
		"\"types\":0,\"roots\":0,\"shapes\":0,\"stop_us\":7,\"gil_us\":8,\"walk_ms\":2,"
		"\"partial\":\"why\"}\n");
}
END_TEST

// ---- wrong input ----

static void expect_code(enum rmr_code code)
{
	struct rmr_error *err = write_dump(RMR_DUMP_REMORA);

	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, code);
	rmr_error_destroy(err);
}

START_TEST(test_bad_records)
{
	put_type(0, 1000, "list");
	switch (_i) {
	case 0: // an unknown type
		object(16, 5, 0, 1, 1);
		finish(RMR_REC_OBJECT, 0, 0);
		break;
	case 1: // more hidden references than words
		object(16, 0, 0, 1, 1);
		word(UINT64_MAX);
		finish(RMR_REC_OBJECT, 0, RMR_OBJECT_COUNTS);
		break;
	case 2: // a text longer than the record
		object(16, 0, 0, 1, 1);
		word(0xffffffff);
		finish(RMR_REC_OBJECT, 0, RMR_OBJECT_NAME);
		break;
	case 3: // a part without an object
		start();
		finish(RMR_REC_PART, RMR_PART_REFS, 0);
		break;
	case 4: // an object inside another
		object(16, 0, 0, 1, 1);
		finish(RMR_REC_OBJECT, 0, RMR_OBJECT_MORE);
		object(32, 0, 0, 1, 1);
		finish(RMR_REC_OBJECT, 0, 0);
		break;
	case 5: // parts in the wrong order
		object(16, 0, 0, 1, 1);
		finish(RMR_REC_OBJECT, 0, RMR_OBJECT_MORE);
		start();
		finish(RMR_REC_PART, RMR_PART_KEYS, RMR_OBJECT_MORE);
		start();
		finish(RMR_REC_PART, RMR_PART_REFS, 0);
		break;
	case 6: // an id that would need endless memory
		put_type(0xfffffff0, 1000, "x");
		break;
	case 7: // a shape with more names than there are
		start();
		word(1 | (uint64_t)1000 << 32);
		finish(RMR_REC_SHAPE, 0, 0);
		break;
	case 8: // a root with more references than there are
		start();
		for (int i = 0; i < 4; i++)
			word(0);
		word(0x10000000);
		for (int i = 0; i < 3; i++)
			add_string("");
		finish(RMR_REC_ROOT, RMR_ROOT_THREAD, 0);
		break;
	case 9: // another number of objects
		put_end(3);
		break;
	case 10: // no such kind
		start();
		finish(200, 0, 0);
		break;
	case 11: // a record of no size
		memset(rmr_ring_at(&producer), 0, 16);
		rmr_ring_advance(&producer, 16);
		rmr_ring_publish(&producer);
		break;
	case 12: // a value that goes on, of a kind that cannot
		object(16, 0, 0, 1, 1);
		add_text(RMR_TEXT_INT, 0, true, "12345678", 8);
		finish(RMR_REC_OBJECT, 0, RMR_OBJECT_VALUE | RMR_OBJECT_MORE);
		break;
	}
	rmr_ring_finish(&producer);
	expect_code(RMR_E_PROTOCOL);
}
END_TEST

START_TEST(test_cut_off)
{
	put_type(0, 1000, "list");
	rmr_ring_finish(&producer);
	expect_code(RMR_E_TARGET);
}
END_TEST

START_TEST(test_silence)
{
	expect_code(RMR_E_TIMEOUT);
}
END_TEST

START_TEST(test_producer_gone)
{
	struct rmr_dump_options options = {.stall_ms = 0};
	struct rmr_dump_totals totals;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	close(ends[1]);
	options.peer_fd = ends[0];
	struct rmr_error *err = rmr_dump_write(&consumer, &options, sink, &totals);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_TARGET);
	rmr_error_destroy(err);
	close(ends[0]);
}
END_TEST

START_TEST(test_full_disk)
{
	struct rmr_dump_sink *full;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_ptr_null(rmr_dump_sink_create(fd, (enum rmr_dump_compression)_i, &full));
	struct rmr_error *err = rmr_dump_sink_write(full, "x", 1);
	if (!err)
		err = rmr_dump_sink_finish(full);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_WRITE);
	rmr_error_destroy(err);
	rmr_dump_sink_destroy(full);
	close(fd);
}
END_TEST

// What went in comes out again, over many blocks.
START_TEST(test_compression)
{
	enum { LINES = 400000, SIZE = LINES * 26 };
	struct rmr_dump_sink *packed;
	int fd = memfd_create("packed", MFD_CLOEXEC);
	char *in = malloc(SIZE + 1), *out = malloc(SIZE + 1), *p = in;

	for (int i = 0; i < LINES; i++)
		p += sprintf(p, "line %20lld\n", i * 7919LL);
	ck_assert_ptr_null(rmr_dump_sink_create(fd, (enum rmr_dump_compression)_i, &packed));
	for (size_t at = 0; at < SIZE;) {
		size_t part = at % 3000 + 1;
		part = part < SIZE - at ? part : SIZE - at;
		ck_assert_ptr_null(rmr_dump_sink_write(packed, in + at, part));
		at += part;
	}
	ck_assert_uint_eq(rmr_dump_sink_size(packed), SIZE);
	ck_assert_ptr_null(rmr_dump_sink_finish(packed));
	rmr_dump_sink_destroy(packed);
	size_t got = 0;
	if (_i == RMR_DUMP_GZIP) {
		lseek(fd, 0, SEEK_SET);
		gzFile file = gzdopen(dup(fd), "rb");
		got = (size_t)gzread(file, out, SIZE + 1);
		gzclose(file);
	} else {
		size_t size = (size_t)lseek(fd, 0, SEEK_END);
		char *bytes = malloc(size);
		ck_assert_int_eq(pread(fd, bytes, size, 0), (ssize_t)size);
		if (_i == RMR_DUMP_ZSTD) {
			got = ZSTD_decompress(out, SIZE + 1, bytes, size);
			ck_assert(!ZSTD_isError(got));
		} else {
			got = size <= SIZE ? size : 0;
			memcpy(out, bytes, got);
		}
		free(bytes);
	}
	ck_assert_uint_eq(got, SIZE);
	ck_assert_int_eq(memcmp(in, out, SIZE), 0);
	free(in);
	free(out);
	close(fd);
}
END_TEST

START_TEST(test_endings)
{
	ck_assert_int_eq(rmr_dump_sink_compression("a.jsonl"), RMR_DUMP_PLAIN);
	ck_assert_int_eq(rmr_dump_sink_compression("a"), RMR_DUMP_PLAIN);
	ck_assert_int_eq(rmr_dump_sink_compression("a.gz"), RMR_DUMP_GZIP);
	ck_assert_int_eq(rmr_dump_sink_compression("a.b.zst"), RMR_DUMP_ZSTD);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dump_writer");
	TCase *tests = tcase_create("dump_writer");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_object);
	tcase_add_test(tests, test_all_fields);
	tcase_add_test(tests, test_buffers);
	tcase_add_test(tests, test_parts);
	tcase_add_test(tests, test_meliae);
	tcase_add_test(tests, test_meliae_long);
	tcase_add_test(tests, test_roots);
	tcase_add_test(tests, test_interned);
	tcase_add_test(tests, test_header);
	tcase_add_loop_test(tests, test_bad_records, 0, 13);
	tcase_add_test(tests, test_cut_off);
	tcase_add_test(tests, test_silence);
	tcase_add_test(tests, test_producer_gone);
	tcase_add_loop_test(tests, test_full_disk, 0, 3);
	tcase_add_loop_test(tests, test_compression, 0, 3);
	tcase_add_test(tests, test_endings);
	suite_add_tcase(suite, tests);
	return rmr_run_suite(suite);
}
