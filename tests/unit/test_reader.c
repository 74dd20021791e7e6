// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/buffers.h"
#include "cli/heap/record.h"

#include "tests/unit/heap_fixture.h"

#include <zlib.h>
#include <zstd.h>

static const char sample[] =
	"{\"remora\": 1, \"id\": \"ab\", \"pid\": 7, \"python\": \"3.11.2\", \"cmdline\": [\"p\", \"a b\"]}\n"
	"{\"address\": 16, \"type\": \"dict\", \"size\": 64, \"rc\": 2, \"len\": 1, \"refs\": [48], \"keys\": [32]}\n"
	"{\"shape\": 3, \"names\": [\".x\", null]}\n"
	"{\"address\": 32, \"type\": \"str\", \"size\": 50, \"rc\": 1, \"len\": 1, \"value\": \"k\", \"refs\": []}\n"
	"{\"address\": 48, \"type\": \"A\", \"size\": 56, \"rc\": 1, \"shape\": 3, \"refs\": [16, 48]}\n"
	"{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"refs\": [16]}\n"
	"{\"end\": true, \"id\": \"ab\", \"objects\": 3, \"partial\": null}\n";

static bool has_warning(const struct rmr_heap *heap, const char *part)
{
	for (size_t i = 0; i < rmr_heap_warning_count(heap); i++) {
		if (strstr(rmr_heap_warning(heap, i), part))
			return true;
	}
	return false;
}

START_TEST(sample_is_read)
{
	struct rmr_heap *heap = fixture_open(sample);
	const struct rmr_heap_facts *facts = rmr_heap_facts(heap);

	ck_assert_uint_eq(facts->objects, 3);
	ck_assert_uint_eq(facts->references, 4);
	ck_assert_uint_eq(facts->bytes, 170);
	ck_assert_uint_eq(facts->roots, 1);
	ck_assert_uint_eq(facts->pid, 7);
	ck_assert_str_eq(facts->python, "3.11.2");
	ck_assert_str_eq(facts->cmdline, "p a b");
	ck_assert_int_eq(facts->format, RMR_HEAP_REMORA);
	ck_assert(facts->complete);
	ck_assert_uint_eq(rmr_heap_warning_count(heap), 0);
	rmr_heap_close(heap);
}
END_TEST

/* Cut anywhere, it loads what is whole and says so; without an object it is no dump. */
START_TEST(cut_at_every_byte)
{
	size_t size = strlen(sample), first = (size_t)(strstr(sample, "[32]}") - sample) + 5;

	for (size_t cut = 0; cut < size; cut++) {
		struct rmr_error *err;
		struct rmr_heap *heap = fixture_try(sample, cut, &err);
		if (cut < first) {
			ck_assert_ptr_nonnull(err);
			ck_assert_int_eq(err->code, RMR_E_INPUT);
			rmr_error_destroy(err);
			continue;
		}
		ck_assert_msg(!err, "cut at %zu: %s", cut, err ? err->message : "");
		/* The newline alone may be missing. */
		ck_assert(cut == size - 1 || has_warning(heap, "cut off"));
		ck_assert(rmr_heap_facts(heap)->complete == (cut == size - 1));
		rmr_heap_close(heap);
	}
}
END_TEST

/* A trailer of another dump, as two that were written into one file leave it. */
START_TEST(other_trailer)
{
	char text[4096];
	struct rmr_error *err;

	ck_assert_uint_lt(strlen(sample), sizeof(text));
	strcpy(text, sample);
	char *end = strstr(strstr(text, "\"end\""), "\"id\"");
	ck_assert_ptr_nonnull(end);
	char *digit = strchr(strchr(end, ':'), '"') + 1;
	*digit = *digit == '0' ? '1' : '0';
	struct rmr_heap *heap = fixture_try(text, strlen(text), &err);
	ck_assert_ptr_null(err);
	ck_assert(has_warning(heap, "not of the same dump"));
	ck_assert(!rmr_heap_facts(heap)->complete);
	rmr_heap_close(heap);
}
END_TEST

/* The error names line and column. */
static const struct {
	const char *text, *place;
} faults[] = {
	{"{\"address\": 1, \"type\": \"a\", \"refs\": []}\n{\"address\": x}\n", "line 2, column 13"},
	{"{\"address\": 1, \"refs\": [1, ]}\n", "line 1, column 28"},
	{"{\"address\": 1, \"refs\": [-1]}\n", "line 1, column 25"},
	{"{\"address\": 1, \"refs\": [1.5]}\n", "line 1, column 25"},
	{"{\"address\": 18446744073709551616, \"refs\": []}\n", "line 1, column 13"},
	{"{\"address\": 1, \"refs\": 5}\n", "line 1, column 24"},
	{"{\"address\": 1}\n\n{\"address\": 2}\n", "line 2, column 1"},
	{"{\"address\": 1} x\n", "line 1, column 16"},
	{"{\"address\": 1}}\n", "line 1, column 15"},
	{"{\"address\": 1}{\"address\": 2}\n", "line 1, column 15"},
	{"[1]\n", "line 1, column 1"},
	{"hello\n", "line 1, column 1"},
	{"{\"address\": 1, \"value\": \"\x01\"}\n", "line 1, column 26"},
	{"{\"address\": 1, \"value\": \"\xff\"}\n", "line 1, column 26"},
	{"{\"address\": 01}\n", "line 1, column 14"},
	{"{\"address\": 1, \"foo\": tru}\n", "line 1, column 26"},
	{"{\"address\": 1\n}\n", "line 1, column 14"},
	{"\xef\xbb\xbf{\"address\": 1}\n", "line 1, column 1"},
	{"{\"address\": 1},,\n", "line 1, column 16"},
};

START_TEST(faults_are_located)
{
	struct rmr_error *err;
	struct rmr_heap *heap = fixture_try(faults[_i].text, strlen(faults[_i].text), &err);

	ck_assert_ptr_null(heap);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_INPUT);
	ck_assert_msg(strstr(err->message, faults[_i].place) != NULL, "%s: %s", faults[_i].text,
		err->message);
	rmr_error_destroy(err);
}
END_TEST

/* A line longer than many of the pieces that threads take, the last line of all or not. */
START_TEST(long_lines)
{
	enum { LONG = 5 << 20 };
	static const char head[] = "{\"address\": 16, \"type\": \"str\", \"size\": 50, \"value\": \"";
	static const char tail[] = "\", \"refs\": []}\n"
				   "{\"address\": 32, \"type\": \"int\", \"size\": 28, \"refs\": [16]}\n";
	size_t size = sizeof(head) - 1 + LONG, all = size + sizeof(tail) - 1;
	char *text = malloc(all + 2);

	memset(text, 'x', size);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + size, tail, sizeof(tail));
	for (int last = 0; last < 2; last++) {
		struct rmr_error *err;
		struct rmr_heap *heap =
			fixture_try(text, last ? size + strlen("\", \"refs\": []}") : all, &err);
		ck_assert_msg(!err, "%s", err ? err->message : "");
		ck_assert_uint_eq(rmr_heap_facts(heap)->objects, last ? 1 : 2);
		ck_assert_uint_eq(rmr_heap_facts(heap)->references, last ? 0 : 1);
		rmr_heap_close(heap);
	}
	struct rmr_error *err;
	memcpy(text + all, "x\n", 2);
	ck_assert_ptr_null(fixture_try(text, all + 2, &err));
	ck_assert_msg(strstr(err->message, "line 3, column 1") != NULL, "%s", err->message);
	rmr_error_destroy(err);
	free(text);
}
END_TEST

START_TEST(no_dump_at_all)
{
	static const char *const texts[] = {"", "{}\n", "{\"foo\": 1}\n", "[\n]\n", "{\"remora\": 1}\n",
		"{\"remora\": 1, \"id\""};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct rmr_error *err;
		fixture_try(texts[i], strlen(texts[i]), &err);
		ck_assert_ptr_nonnull(err);
		ck_assert_int_eq(err->code, RMR_E_INPUT);
		rmr_error_destroy(err);
	}
}
END_TEST

START_TEST(keys_in_any_order_and_unknown_ones)
{
	struct rmr_heap *heap = fixture_open(
		"{\"keys\": [3], \"x\": {\"refs\": [9]}, \"hidden\": [2], \"refs\": [1], \"size\": 5, "
		"\"type\": \"t\", \"new\": null, \"\\u0061ddress\" : 1 }\r\n"
		"\t{ \"address\":2 ,\"refs\":[ 1 ,2 ],\"refs\":[3,3],\"type\":\"t\",\"size\":1}\n"
		"{\"address\": 3, \"type\": \"t\", \"size\": null, \"rc\": -5, \"len\": 1e3, \"refs\": []}");
	uint32_t one = fixture_id(heap, 1), two = fixture_id(heap, 2), three = fixture_id(heap, 3);
	struct rmr_ids children = rmr_heap_children(heap, one);

	ck_assert_uint_eq(children.count, 3);
	ck_assert(children.ids[0] == one && children.ids[1] == two && children.ids[2] == three);
	/* The last of two arrays counts. */
	children = rmr_heap_children(heap, two);
	ck_assert_uint_eq(children.count, 2);
	ck_assert(children.ids[0] == three && children.ids[1] == three);
	ck_assert_uint_eq(rmr_heap_size(heap, three), 0);
	ck_assert_uint_eq(rmr_heap_rc(heap, three), RMR_HEAP_UNKNOWN);
	ck_assert_uint_eq(rmr_heap_len(heap, three), RMR_HEAP_UNKNOWN);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(meliae_is_read_with_its_liberties)
{
	struct rmr_heap *heap = fixture_open(
		"[\n"
		"{\"address\": 1, \"type\": \"dict\", \"size\": 280, \"len\": 1, \"refs\": [3, 2]},\n"
		"{\"address\": 2, \"type\": \"str\", \"size\": 30, \"len\": 1, \"value\": \"a\", \"refs\": []},\n"
		"{\"address\": 3, \"type\": \"bool\", \"size\": 24, \"value\": \"True\", \"refs\": []}\n"
		"]\n");
	struct rmr_names *names;
	char *text = rmr_heap_describe(heap, fixture_id(heap, 3), 10);

	ck_assert_int_eq(rmr_heap_facts(heap)->format, RMR_HEAP_MELIAE);
	ck_assert(has_warning(heap, "2 lines are mere brackets"));
	ck_assert(has_warning(heap, "2 lines end with a comma"));
	ck_assert_str_eq(text, "True");
	free(text);
	assert_ok(rmr_names_create(heap, fixture_id(heap, 1), &names));
	text = rmr_names_text(names, 0);
	ck_assert_str_eq(text, "['a']");
	free(text);
	rmr_names_destroy(names);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(duplicates_and_absent_ones_are_counted)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 5, \"type\": \"a\", \"size\": 1, \"refs\": [7, 9, 7]}\n"
		"{\"address\": 5, \"type\": \"b\", \"size\": 2, \"refs\": [5]}\n"
		"{\"root\": \"static\", \"label\": \"s\", \"refs\": [11, 5]}\n");
	uint32_t id = fixture_id(heap, 5), absent = fixture_id(heap, 7);

	ck_assert_uint_eq(rmr_heap_count(heap), 1);
	ck_assert_uint_eq(rmr_heap_facts(heap)->absent, 3);
	ck_assert_str_eq(rmr_heap_type_label(heap, id), "a");
	ck_assert_uint_eq(rmr_heap_type_count(heap), 1);
	ck_assert(rmr_heap_is_absent(heap, absent));
	ck_assert_uint_eq(rmr_heap_address(heap, absent), 7);
	ck_assert_uint_eq(rmr_heap_referrers(heap, absent).count, 2);
	ck_assert_uint_eq(rmr_heap_children(heap, absent).count, 0);
	ck_assert_str_eq(rmr_heap_type_label(heap, absent), "<absent>");
	ck_assert_uint_eq(rmr_heap_size(heap, absent), 0);
	ck_assert(rmr_heap_is_rooted(heap, fixture_id(heap, 11)));
	ck_assert(has_warning(heap, "1 record of an address"));
	ck_assert(has_warning(heap, "3 references to 3 addresses"));
	rmr_heap_close(heap);
}
END_TEST

START_TEST(large_numbers_are_kept)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 18446744073709551615, \"type\": \"a\", \"size\": 4294967294, "
		"\"rc\": 4294967295, \"len\": 4611686018427387903, \"owned\": 99999999999, \"refs\": []}\n");
	uint32_t id = fixture_id(heap, UINT64_MAX);

	ck_assert_uint_eq(rmr_heap_size(heap, id), 4294967294u);
	ck_assert_uint_eq(rmr_heap_rc(heap, id), 4294967295u);
	ck_assert_uint_eq(rmr_heap_len(heap, id), RMR_LEN_END - 1);
	ck_assert_int_eq(rmr_heap_owned(heap, id), 99999999999);
	ck_assert_uint_eq(rmr_heap_type_info(heap, 0)->bytes, 4294967294u);
	ck_assert_int_eq(rmr_heap_facts(heap)->owned, 99999999999);
	rmr_heap_close(heap);
}
END_TEST

/* Else sums overflow, and twice such a length is the number of the references. */
START_TEST(impossible_numbers_are_not_told)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 1, \"type\": \"a\", \"size\": 281474976710656, \"owned\": 9223372036854775807, \"len\": 9223372036854775809, \"refs\": []}\n"
		"{\"address\": 2, \"type\": \"a\", \"size\": 281474976710655, \"owned\": 281474976710655, \"buffer\": 281474976710656, \"refs\": []}\n"
		"{\"address\": 3, \"type\": \"a\", \"owned\": -8, \"size\": 7, \"refs\": []}\n");
	struct rmr_buffer buffer;
	uint32_t first = fixture_id(heap, 1), second = fixture_id(heap, 2);

	ck_assert_uint_eq(rmr_heap_size(heap, first), 0);
	ck_assert_int_eq(rmr_heap_owned(heap, first), 0);
	ck_assert_uint_eq(rmr_heap_len(heap, first), RMR_HEAP_UNKNOWN);
	ck_assert_uint_eq(rmr_heap_size(heap, second), RMR_BYTES_END - 1);
	ck_assert_int_eq(rmr_heap_owned(heap, second), RMR_BYTES_END - 1);
	ck_assert(!rmr_buffers_get(heap, second, &buffer));
	ck_assert_int_eq(rmr_heap_owned(heap, fixture_id(heap, 3)), -7);
	rmr_heap_close(heap);
}
END_TEST

/* Chains of bases, their ends of all kinds, and what is no number at all. */
START_TEST(buffers_have_owners)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 1, \"type\": \"bytearray\", \"size\": 10, \"buffer\": 8, \"data\": 4096, \"refs\": []}\n"
		"{\"address\": 2, \"type\": \"v\", \"size\": 10, \"buffer\": 4, \"data\": 4098, \"base\": 1, \"refs\": [1]}\n"
		"{\"address\": 3, \"type\": \"v\", \"size\": 10, \"buffer\": 2, \"data\": 4099, \"base\": 2, \"refs\": [2]}\n"
		"{\"address\": 4, \"type\": \"v\", \"size\": 10, \"buffer\": 2, \"data\": 9, \"base\": null, \"refs\": []}\n"
		"{\"address\": 5, \"type\": \"v\", \"size\": 10, \"buffer\": 2, \"data\": 9, \"base\": 4, \"refs\": []}\n"
		"{\"address\": 6, \"type\": \"v\", \"size\": 10, \"buffer\": 2, \"data\": 9, \"base\": 7, \"refs\": []}\n"
		"{\"address\": 7, \"type\": \"PyCapsule\", \"size\": 10, \"refs\": []}\n"
		"{\"address\": 8, \"type\": \"v\", \"size\": 10, \"buffer\": 2, \"data\": 9, \"base\": 99, \"refs\": [99]}\n"
		"{\"address\": 9, \"type\": \"v\", \"size\": 10, \"buffer\": 2, \"data\": 9, \"base\": 9, \"refs\": []}\n"
		"{\"address\": 10, \"type\": \"bytes\", \"size\": 40, \"len\": 7, \"refs\": []}\n"
		"{\"address\": 11, \"type\": \"v\", \"size\": 40, \"owned\": -30, \"buffer\": \"x\", \"refs\": []}\n");
	static const struct {
		uint64_t address, owner, bytes; /* owner 0: not known */
	} cases[] = {{1, 1, 8}, {2, 1, 4}, {3, 1, 2}, {4, 0, 2}, {5, 0, 2}, {6, 7, 2}, {9, 9, 2},
		{10, 10, 7}};
	struct rmr_buffer buffer;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert(rmr_buffers_get(heap, fixture_id(heap, cases[i].address), &buffer));
		ck_assert_uint_eq(buffer.bytes, cases[i].bytes);
		ck_assert_uint_eq(buffer.owner, cases[i].owner ? fixture_id(heap, cases[i].owner)
							       : (uint32_t)RMR_NO_OBJECT);
	}
	/* A base without a record. */
	ck_assert(rmr_buffers_get(heap, fixture_id(heap, 8), &buffer));
	ck_assert(rmr_heap_is_absent(heap, buffer.owner));
	ck_assert(!rmr_buffers_get(heap, fixture_id(heap, 7), &buffer));
	ck_assert(!rmr_buffers_get(heap, fixture_id(heap, 11), &buffer));
	ck_assert(!rmr_buffers_get(heap, RMR_NO_OBJECT, &buffer));
	ck_assert_int_eq(rmr_heap_owned(heap, fixture_id(heap, 11)), -30);
	ck_assert_int_eq(rmr_heap_facts(heap)->owned, -30);
	rmr_heap_close(heap);
}
END_TEST

/* Some megabytes, so that there are many chunks: the same result with any number of threads. */
static char *large_dump(size_t *size_ret)
{
	enum { OBJECTS = 40000 };
	char *text;
	FILE *out = open_memstream(&text, size_ret);

	srand(7);
	for (unsigned i = 0; i < OBJECTS; i++) {
		unsigned at = (unsigned)((i * 7919ull) % OBJECTS);
		fprintf(out, "{\"address\": %u, \"type\": \"type%u\", \"size\": %u, \"class\": %u, \"refs\": [",
			16 + at * 8, at % 50, at % 1000, 100000000 + at % 50);
		for (unsigned k = at % 5; k; k--)
			fprintf(out, "%u%s", 16 + ((unsigned)rand() % OBJECTS) * 8, k > 1 ? ", " : "");
		fprintf(out, "], \"filler\": \"%0*u\"}\n", 100 + (int)(at % 50), at);
	}
	fclose(out);
	return text;
}

START_TEST(threads_do_not_matter)
{
	size_t size;
	char *text = large_dump(&size);
	struct rmr_heap *heaps[3];
	static const unsigned threads[] = {1, 2, 5};

	for (int i = 0; i < 3; i++) {
		struct rmr_heap_options options = {.threads = threads[i]};
		int fd = fixture_file(text, size);
		assert_ok(rmr_heap_open_fd(fd, "test", &options, &heaps[i]));
		close(fd);
		ck_assert_uint_eq(rmr_heap_count(heaps[i]), 40000);
		ck_assert_uint_eq(rmr_heap_type_count(heaps[i]), 50);
	}
	for (uint32_t id = 0; id < rmr_heap_count(heaps[0]); id++) {
		struct rmr_ids a = rmr_heap_children(heaps[0], id);
		struct rmr_ids p = rmr_heap_referrers(heaps[0], id);
		for (int i = 1; i < 3; i++) {
			struct rmr_ids b = rmr_heap_children(heaps[i], id);
			struct rmr_ids q = rmr_heap_referrers(heaps[i], id);
			ck_assert(a.count == b.count && p.count == q.count);
			ck_assert(!memcmp(a.ids, b.ids, a.count * sizeof(*a.ids)));
			ck_assert(!memcmp(p.ids, q.ids, p.count * sizeof(*p.ids)));
			ck_assert_str_eq(rmr_heap_type_label(heaps[0], id),
				rmr_heap_type_label(heaps[i], id));
		}
	}
	for (int i = 0; i < 3; i++)
		rmr_heap_close(heaps[i]);
	free(text);
}
END_TEST

START_TEST(compressed_dumps_are_read)
{
	size_t size = strlen(sample);
	unsigned char packed[4096];
	struct rmr_error *err;

	size_t zstd = ZSTD_compress(packed, sizeof(packed), sample, size, 3);
	struct rmr_heap *heap = fixture_try((char *)packed, zstd, &err);
	ck_assert_ptr_null(err);
	ck_assert(rmr_heap_facts(heap)->complete);
	rmr_heap_close(heap);

	z_stream stream = {.next_in = (unsigned char *)(uintptr_t)sample, .avail_in = (unsigned)size,
		.next_out = packed, .avail_out = sizeof(packed)};
	deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
	size_t gzip = stream.total_out;
	deflateEnd(&stream);
	heap = fixture_try((char *)packed, gzip, &err);
	ck_assert_ptr_null(err);
	ck_assert_uint_eq(rmr_heap_count(heap), 3);
	rmr_heap_close(heap);
	/* One that was cut off loads as far as it goes; a corrupt one does not. */
	heap = fixture_try((char *)packed, gzip - 20, &err);
	if (err)
		rmr_error_destroy(err);
	else
		rmr_heap_close(heap);
	packed[20] ^= 0xff;
	packed[40] ^= 0xff;
	heap = fixture_try((char *)packed, gzip, &err);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_INPUT);
	rmr_error_destroy(err);
}
END_TEST

START_TEST(pipes_are_read)
{
	int ends[2];
	struct rmr_heap *heap;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], sample, strlen(sample)), (ssize_t)strlen(sample));
	close(ends[1]);
	assert_ok(rmr_heap_open_fd(ends[0], "pipe", NULL, &heap));
	close(ends[0]);
	ck_assert(rmr_heap_facts(heap)->complete);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(interrupted_load_ends)
{
	static volatile sig_atomic_t interrupted = 1;
	struct rmr_heap_options options = {.interrupted = &interrupted};
	size_t size;
	char *text = large_dump(&size);
	int fd = fixture_file(text, size);
	struct rmr_heap *heap = NULL;

	struct rmr_error *err = rmr_heap_open_fd(fd, "test", &options, &heap);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(err->code, RMR_E_INTERRUPTED);
	rmr_error_destroy(err);
	close(fd);
	free(text);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("reader");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, sample_is_read);
	tcase_add_test(tests, cut_at_every_byte);
	tcase_add_test(tests, other_trailer);
	tcase_add_loop_test(tests, faults_are_located, 0, sizeof(faults) / sizeof(*faults));
	tcase_add_test(tests, long_lines);
	tcase_add_test(tests, no_dump_at_all);
	tcase_add_test(tests, keys_in_any_order_and_unknown_ones);
	tcase_add_test(tests, meliae_is_read_with_its_liberties);
	tcase_add_test(tests, duplicates_and_absent_ones_are_counted);
	tcase_add_test(tests, large_numbers_are_kept);
	tcase_add_test(tests, impossible_numbers_are_not_told);
	tcase_add_test(tests, buffers_have_owners);
	tcase_add_test(tests, threads_do_not_matter);
	tcase_add_test(tests, compressed_dumps_are_read);
	tcase_add_test(tests, pipes_are_read);
	tcase_add_test(tests, interrupted_load_ends);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
