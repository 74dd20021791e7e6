// SPDX-License-Identifier: GPL-3.0-or-later
/* Compressed dumps: unpacked frame by frame as they are asked for, and harmless when hostile. */
#include "cli/heap/dump_sink.h"
#include "cli/heap/frames.h"
#include "tests/unit/heap_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

enum { OBJECTS = 60000, LONG_LINE = 300000 };

static char folder[] = "/tmp/remora-packed-XXXXXX";
static char dump[64], index_name[96];
static char *text;
static size_t text_size;

/* Several frames, one of which is a line of its own that is longer than two. */
static void write_text(void)
{
	FILE *out = open_memstream(&text, &text_size);

	fputs("{\"remora\": 1, \"id\": \"p\"}\n{\"shape\": 1, \"names\": [\".next\"]}\n", out);
	for (unsigned i = 1; i <= OBJECTS; i++) {
		fprintf(out, "{\"address\": %u, \"type\": \"t%u\", \"size\": %u, \"rc\": 1, \"shape\": 1, "
			     "\"value\": \"number %u\", \"refs\": [%u]}\n", i * 8, i % 5, i, i, i * 8 + 8);
		if (i != OBJECTS / 2)
			continue;
		fprintf(out, "{\"address\": 4, \"type\": \"list\", \"size\": 1, \"rc\": 1, \"len\": %u, \"refs\": [8", LONG_LINE);
		for (unsigned n = 1; n < LONG_LINE; n++)
			fprintf(out, ", %u", n % OBJECTS * 8 + 8);
		fprintf(out, "]}\n");
	}
	fprintf(out, "{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": [4]}\n");
	fprintf(out, "{\"end\": true, \"id\": \"p\", \"objects\": %u}\n", OBJECTS + 1);
	fclose(out);
}

static void write_dump(enum rmr_dump_compression compression)
{
	struct rmr_dump_sink *sink;
	int fd = open(dump, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_ok(rmr_dump_sink_create(fd, compression, &sink));
	/* As the dump writer does it: a long line in pieces. */
	for (size_t at = 0; at < text_size;) {
		const char *end = memchr(text + at, '\n', text_size - at);
		size_t size = (size_t)(end + 1 - (text + at));
		size = size < 5000 ? size : 5000;
		assert_ok(rmr_dump_sink_write(sink, text + at, size));
		at += size;
	}
	assert_ok(rmr_dump_sink_finish(sink));
	rmr_dump_sink_destroy(sink);
	close(fd);
}

static unsigned char *read_dump(size_t *size_ret)
{
	struct stat status;
	int fd = open(dump, O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(fstat(fd, &status), 0);
	unsigned char *bytes = malloc((size_t)status.st_size);
	ck_assert_int_eq(read(fd, bytes, (size_t)status.st_size), status.st_size);
	close(fd);
	*size_ret = (size_t)status.st_size;
	return bytes;
}

static void store_dump(const void *bytes, size_t size)
{
	int fd = open(dump, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(dump, sizeof(dump), "%s/d", folder);
	snprintf(index_name, sizeof(index_name), "%s.remora-index", dump);
	write_text();
}

static void teardown(void)
{
	free(text);
	unlink(dump);
	unlink(index_name);
	rmdir(folder);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
}

static void check_object(const struct rmr_heap *heap, uint32_t number)
{
	uint32_t id = rmr_heap_find(heap, number * 8);
	char *value = rmr_heap_value(heap, id), want[32];

	snprintf(want, sizeof(want), "number %u", number);
	ck_assert_str_eq(value, want);
	free(value);
}

static void check_all(const struct rmr_heap *heap)
{
	struct rmr_record record;

	ck_assert_uint_eq(rmr_heap_count(heap), OBJECTS + 1);
	ck_assert(rmr_heap_facts(heap)->complete);
	ck_assert_uint_eq(rmr_heap_facts(heap)->file_size, text_size);
	ck_assert_uint_eq(rmr_heap_warning_count(heap), 1); /* the last .next is absent */
	for (uint32_t number = OBJECTS; number; number -= 1)
		check_object(heap, number);
	rmr_heap_record(heap, rmr_heap_find(heap, 4), &record);
	ck_assert_uint_eq(record.refs, LONG_LINE);
}

/* _i: enum rmr_dump_compression */
START_TEST(loads_and_opens_again)
{
	struct rmr_heap *heap;

	write_dump((enum rmr_dump_compression)_i);
	assert_ok(rmr_heap_open(dump, NULL, &heap));
	ck_assert(!rmr_heap_facts(heap)->from_index);
	check_all(heap);
	rmr_heap_close(heap);
	assert_ok(rmr_heap_open(dump, NULL, &heap));
	ck_assert(rmr_heap_facts(heap)->from_index);
	check_all(heap);
	rmr_heap_close(heap);
}
END_TEST

/* With an index only the frames are unpacked that a question needs: the others may be damaged. */
START_TEST(unpacks_what_is_asked_for)
{
	struct rmr_heap *heap;
	struct rmr_record record;
	struct timespec times[2];
	struct stat status;
	size_t size;

	write_dump((enum rmr_dump_compression)_i);
	assert_ok(rmr_heap_open(dump, NULL, &heap));
	rmr_heap_close(heap);
	unsigned char *bytes = read_dump(&size);
	ck_assert_int_eq(stat(dump, &status), 0);
	int fd = open(dump, O_RDWR | O_CLOEXEC);
	bytes[size / 2] ^= 0x55;
	ck_assert_int_eq(pwrite(fd, bytes + size / 2, 1, (off_t)(size / 2)), 1);
	times[0] = status.st_atim;
	times[1] = status.st_mtim;
	ck_assert_int_eq(futimens(fd, times), 0);
	close(fd);
	assert_ok(rmr_heap_open(dump, NULL, &heap));
	ck_assert(rmr_heap_facts(heap)->from_index);
	check_object(heap, 1);
	check_object(heap, OBJECTS);
	/* What cannot be read is told as nothing, and as an error. */
	unsigned lost = 0;
	for (uint32_t id = 0; id < rmr_heap_count(heap); id++) {
		rmr_heap_record(heap, id, &record);
		lost += !record.text.start;
	}
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_lt(lost, OBJECTS / 2);
	rmr_heap_close(heap);
	free(bytes);
}
END_TEST

/* Any change of one byte, and any cut, gives the same dump, a cut one, or an error. */
START_TEST(damage_is_harmless)
{
	size_t size;

	write_dump((enum rmr_dump_compression)_i);
	unsigned char *bytes = read_dump(&size);
	struct rmr_heap_options options = {.no_index = true};
	for (unsigned round = 0; round < 120; round++) {
		struct rmr_heap *heap;
		size_t length = size;
		/* Most of them in the table at the end and in the first member's header. */
		size_t at = round < 60 ? size - 1 - round : round < 90 ? round - 60 : round * 7919u % size;
		unsigned char before = bytes[at];
		bytes[at] = (unsigned char)(before + 1 + round % 254);
		if (round % 5 == 4)
			length = size - round * 37 % size;
		store_dump(bytes, length);
		struct rmr_error *err = rmr_heap_open(dump, &options, &heap);
		if (!err) {
			ck_assert_uint_le(rmr_heap_count(heap), OBJECTS + 1);
			rmr_heap_close(heap);
		}
		rmr_error_destroy(err);
		bytes[at] = before;
	}
	free(bytes);
}
END_TEST

/* A table that lies about a frame's length is found out. */
START_TEST(table_that_lies)
{
	struct rmr_heap *heap;
	size_t size;

	write_dump(RMR_DUMP_ZSTD);
	unsigned char *bytes = read_dump(&size);
	unsigned char *last = bytes + size - RMR_SEEK_END - 4;
	for (int more = -1; more <= 1; more += 2) {
		rmr_frames_store(last, rmr_frames_load(last) + (uint32_t)more * 10);
		store_dump(bytes, size);
		struct rmr_error *err = rmr_heap_open(dump, NULL, &heap);
		ck_assert_ptr_nonnull(err);
		ck_assert_int_eq(err->code, RMR_E_INPUT);
		ck_assert_ptr_nonnull(strstr(err->message, "corrupt"));
		rmr_error_destroy(err);
		rmr_frames_store(last, rmr_frames_load(last) - (uint32_t)more * 10);
	}
	/* Terabytes that are not there: nothing is allocated for them. */
	rmr_frames_store(last, UINT32_MAX);
	store_dump(bytes, size);
	assert_ok(rmr_heap_open(dump, NULL, &heap)); /* no table then: read from the start */
	check_all(heap);
	rmr_heap_close(heap);
	free(bytes);
}
END_TEST

/* Files of other programs: one frame or member, and several without a table. */
START_TEST(foreign_files)
{
	size_t room = ZSTD_compressBound(text_size) + 1000, half = text_size / 3;
	struct rmr_heap *heap;
	char *packed = malloc(room);

	for (int pieces = 1; pieces <= 2; pieces++) {
		size_t first = pieces == 2 ? half : text_size;
		size_t size = ZSTD_compress(packed, room, text, first, 1);
		size += ZSTD_compress(packed + size, room - size, text + first, text_size - first, 1);
		store_dump(packed, size);
		assert_ok(rmr_heap_open(dump, NULL, &heap));
		check_all(heap);
		rmr_heap_close(heap);
		assert_ok(rmr_heap_open(dump, NULL, &heap));
		ck_assert(rmr_heap_facts(heap)->from_index);
		check_all(heap);
		rmr_heap_close(heap);
		unlink(dump);
		for (int i = 0; i < pieces; i++) {
			gzFile out = gzopen(dump, "ab1");
			gzwrite(out, text + (i ? half : 0),
				(unsigned)(i ? text_size - half : first));
			gzclose(out);
		}
		assert_ok(rmr_heap_open(dump, NULL, &heap));
		check_all(heap);
		rmr_heap_close(heap);
	}
	free(packed);
}
END_TEST

static Suite *packed_suite(void)
{
	Suite *suite = suite_create("packed");
	TCase *tests = tcase_create("packed");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, loads_and_opens_again, RMR_DUMP_PLAIN, RMR_DUMP_ZSTD + 1);
	tcase_add_loop_test(tests, unpacks_what_is_asked_for, RMR_DUMP_GZIP, RMR_DUMP_ZSTD + 1);
	tcase_add_loop_test(tests, damage_is_harmless, RMR_DUMP_GZIP, RMR_DUMP_ZSTD + 1);
	tcase_add_test(tests, table_that_lies);
	tcase_add_test(tests, foreign_files);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(packed_suite())
