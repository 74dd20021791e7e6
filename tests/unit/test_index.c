// SPDX-License-Identifier: GPL-3.0-or-later
/* The index file: written, used, rebuilt when stale, and harmless when it is hostile. */
#include "cli/heap/dominators.h"
#include "cli/heap/paths.h"
#include "tests/unit/heap_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static char folder[] = "/tmp/remora-index-XXXXXX";
static char dump[64], index_name[96], side[128];

static void write_file(const char *name, const char *data, size_t size)
{
	FILE *out = fopen(name, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(data, 1, size, out), size);
	fclose(out);
}

static void write_dump(unsigned objects)
{
	FILE *out = fopen(dump, "w");

	fprintf(out, "{\"remora\": 1, \"id\": \"%u\"}\n", objects);
	fputs("{\"shape\": 1, \"names\": [\".next\", \".other\"]}\n", out);
	for (unsigned i = 1; i <= objects; i++)
		fprintf(out, "{\"address\": %u, \"type\": \"t%u\", \"size\": %u, \"rc\": 1, \"shape\": 1, "
			     "\"refs\": [%u, %u]}\n", i * 8, i % 5, i, i * 8 + 8, i * 4 / 8 * 8);
	fprintf(out, "{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": [8, 16]}\n");
	fprintf(out, "{\"end\": true, \"id\": \"%u\", \"objects\": %u}\n", objects, objects);
	fclose(out);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(dump, sizeof(dump), "%s/d.json", folder);
	snprintf(index_name, sizeof(index_name), "%s.remora-index", dump);
	snprintf(side, sizeof(side), "%s-dominators", index_name);
	write_dump(200);
}

static void teardown(void)
{
	unlink(dump);
	unlink(index_name);
	unlink(side);
	rmdir(folder);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
}

static struct rmr_heap *open_dump(void)
{
	struct rmr_heap *heap;

	assert_ok(rmr_heap_open(dump, NULL, &heap));
	return heap;
}

static void compare(const struct rmr_heap *a, const struct rmr_heap *b)
{
	ck_assert_uint_eq(rmr_heap_id_end(a), rmr_heap_id_end(b));
	ck_assert_uint_eq(rmr_heap_type_count(a), rmr_heap_type_count(b));
	for (uint32_t id = 0; id < rmr_heap_id_end(a); id++) {
		struct rmr_ids x = rmr_heap_children(a, id), y = rmr_heap_children(b, id);
		struct rmr_ids p = rmr_heap_referrers(a, id), q = rmr_heap_referrers(b, id);
		ck_assert_uint_eq(rmr_heap_address(a, id), rmr_heap_address(b, id));
		ck_assert_uint_eq(rmr_heap_size(a, id), rmr_heap_size(b, id));
		ck_assert_str_eq(rmr_heap_type_label(a, id), rmr_heap_type_label(b, id));
		ck_assert(x.count == y.count && !memcmp(x.ids, y.ids, x.count * 4));
		ck_assert(p.count == q.count && !memcmp(p.ids, q.ids, p.count * 4));
	}
	for (uint32_t i = 0; i < rmr_heap_root_count(a); i++)
		ck_assert_str_eq(rmr_heap_root(a, i)->label, rmr_heap_root(b, i)->label);
}

START_TEST(second_start_uses_it)
{
	struct stat status;
	struct rmr_heap *first = open_dump(), *second = open_dump();
	struct rmr_dominators *a, *b;

	ck_assert(!rmr_heap_facts(first)->from_index);
	ck_assert(rmr_heap_facts(second)->from_index);
	ck_assert_int_eq(stat(index_name, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	compare(first, second);
	ck_assert(rmr_heap_facts(second)->complete);
	assert_ok(rmr_dominators_create(first, &a));
	assert_ok(rmr_dominators_create(second, &b));
	for (uint32_t id = 0; id < rmr_heap_id_end(first); id++) {
		ck_assert_uint_eq(rmr_dominators_retained(a, id), rmr_dominators_retained(b, id));
		ck_assert_uint_eq(rmr_dominators_parent(a, id), rmr_dominators_parent(b, id));
	}
	rmr_dominators_destroy(a);
	rmr_dominators_destroy(b);
	rmr_heap_close(first);
	rmr_heap_close(second);
}
END_TEST

START_TEST(changed_dump_is_read_again)
{
	rmr_heap_close(open_dump());
	write_dump(100);
	struct rmr_heap *heap = open_dump();
	ck_assert(!rmr_heap_facts(heap)->from_index);
	ck_assert_uint_eq(rmr_heap_count(heap), 100);
	rmr_heap_close(heap);
	heap = open_dump();
	ck_assert(rmr_heap_facts(heap)->from_index);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(index_of_others_is_not_trusted)
{
	rmr_heap_close(open_dump());
	ck_assert_int_eq(chmod(index_name, 0666), 0);
	struct rmr_heap *heap = open_dump();
	ck_assert(!rmr_heap_facts(heap)->from_index);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(no_index_leaves_no_file)
{
	struct rmr_heap_options options = {.no_index = true};
	struct rmr_heap *heap;

	assert_ok(rmr_heap_open(dump, &options, &heap));
	rmr_heap_close(heap);
	ck_assert_int_ne(access(index_name, F_OK), 0);
}
END_TEST

/* Everything that looks at the whole heap or at one object. Errors are fine, crashes are not. */
static void exercise(struct rmr_heap *heap)
{
	struct rmr_dominators *dominators = NULL;
	struct rmr_error *err = rmr_dominators_create(heap, &dominators);

	if (err)
		rmr_error_destroy(err);
	rmr_dominators_destroy(dominators);
	for (uint32_t id = 0; id < rmr_heap_id_end(heap); id += 7) {
		struct rmr_ids children = rmr_heap_children(heap, id);
		struct rmr_names *names;
		free(rmr_heap_describe(heap, id, 40));
		rmr_heap_type_label(heap, id);
		rmr_heap_is_held_by_c(heap, id);
		assert_ok(rmr_names_create(heap, id, &names));
		for (uint64_t k = 0; k < children.count && k < 20; k++) {
			free(rmr_names_text(names, k));
			rmr_heap_type_label(heap, children.ids[k]);
		}
		rmr_names_destroy(names);
	}
	for (uint32_t id = 0; id < rmr_heap_id_end(heap); id += 50) {
		struct rmr_paths *paths = NULL;
		err = rmr_paths_find(heap, id, NULL, &paths);
		if (err)
			rmr_error_destroy(err);
		rmr_paths_destroy(paths);
	}
}

START_TEST(corrupt_index_does_no_harm)
{
	rmr_heap_close(open_dump());
	FILE *in = fopen(index_name, "r");
	static char original[1 << 20], broken[1 << 20];
	size_t size = fread(original, 1, sizeof(original), in);
	fclose(in);
	ck_assert_uint_lt(size, sizeof(original));

	srand(5);
	for (int round = 0; round < 400; round++) {
		memcpy(broken, original, size);
		/* Past the header, whose checksum finds all changes. */
		for (int i = 0; i < 8; i++)
			broken[4096 + (size_t)rand() % (size - 4096)] = (char)rand();
		write_file(index_name, broken, size);
		ck_assert_int_eq(chmod(index_name, 0600), 0);
		struct rmr_heap *heap = NULL;
		struct rmr_error *err = rmr_heap_open(dump, NULL, &heap);
		if (err) {
			rmr_error_destroy(err);
			continue;
		}
		exercise(heap);
		rmr_heap_close(heap);
	}
	for (int round = 0; round < 200; round++) {
		memcpy(broken, original, size);
		broken[(size_t)rand() % 700] ^= (char)(1 + rand() % 255);
		size_t cut = round % 2 ? size : (size_t)rand() % size;
		write_file(index_name, broken, cut);
		struct rmr_heap *heap = open_dump();
		ck_assert_uint_eq(rmr_heap_count(heap), 200);
		rmr_heap_close(heap);
	}
}
END_TEST

START_TEST(read_only_folder_uses_the_cache)
{
	char cache[128], command[256];

	snprintf(cache, sizeof(cache), "%s/cache", folder);
	setenv("XDG_CACHE_HOME", cache, 1);
	/* root may write everywhere: a folder of /proc is one where nobody can. */
	int fd = open(dump, O_RDONLY);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct rmr_heap *heap;
	assert_ok(rmr_heap_open(path, NULL, &heap));
	ck_assert(!rmr_heap_facts(heap)->from_index);
	rmr_heap_close(heap);
	assert_ok(rmr_heap_open(path, NULL, &heap));
	ck_assert(rmr_heap_facts(heap)->from_index);
	rmr_heap_close(heap);
	close(fd);
	snprintf(command, sizeof(command), "rm -r %s", cache);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* A large dump without a name (that of a PID) has its index in a file, which has no name either. */
START_TEST(unnamed_dump_has_an_unnamed_index)
{
	struct rmr_heap *heap;
	char line[512];
	bool is_mapped = false;

	write_dump(800000); /* 70 MB */
	ck_assert_int_eq(setenv("TMPDIR", folder, 1), 0);
	int fd = open(dump, O_RDONLY | O_CLOEXEC);
	unlink(dump);
	assert_ok(rmr_heap_open_fd(fd, "a process", NULL, &heap));
	close(fd);
	ck_assert(!rmr_heap_facts(heap)->from_index);
	ck_assert_uint_eq(rmr_heap_count(heap), 800000);
	ck_assert_uint_eq(rmr_heap_find(heap, 8 * 800000), 799999);
	FILE *maps = fopen("/proc/self/maps", "r");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		is_mapped |= strstr(line, " rw-s ") && strstr(line, folder) && strstr(line, "(deleted)");
	fclose(maps);
	ck_assert(is_mapped);
	ck_assert_int_eq(rmdir(folder), 0); /* nothing is in it */
	rmr_heap_close(heap);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	unsetenv("TMPDIR");
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("index");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, second_start_uses_it);
	tcase_add_test(tests, changed_dump_is_read_again);
	tcase_add_test(tests, index_of_others_is_not_trusted);
	tcase_add_test(tests, no_index_leaves_no_file);
	tcase_add_test(tests, corrupt_index_does_no_harm);
	tcase_add_test(tests, read_only_folder_uses_the_cache);
	tcase_add_test(tests, unnamed_dump_has_an_unnamed_index);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
