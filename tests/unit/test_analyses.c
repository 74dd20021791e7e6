// SPDX-License-Identifier: GPL-3.0-or-later
/* Lists, groups, trees, pictures, diffs, leaks and waste of small heaps whose answers are known. */
#include "cli/heap/completeness.h"
#include "cli/heap/cycles.h"
#include "cli/heap/diff.h"
#include "cli/heap/dominators.h"
#include "cli/heap/graph.h"
#include "cli/heap/groups.h"
#include "cli/heap/identity.h"
#include "cli/heap/leaks.h"
#include "cli/heap/parallel.h"
#include "cli/heap/paths.h"
#include "cli/heap/summary.h"
#include "cli/heap/traces.h"
#include "cli/heap/tree.h"
#include "cli/heap/waste.h"
#include "tests/unit/heap_fixture.h"

#define CLASSES                                                                                    \
	"{\"shape\": 1, \"names\": [\".__dict__\", \".__class__\"]}\n"                                \
	"{\"shape\": 2, \"names\": [\".a\", \".b\"]}\n"                                               \
	"{\"address\": 900, \"type\": \"type\", \"size\": 9, \"rc\": 3, \"name\": \"A\", \"module\": \"app\", \"refs\": []}\n" \
	"{\"address\": 901, \"type\": \"str\", \"size\": 50, \"rc\": 2, \"len\": 1, \"value\": \"x\", \"refs\": []}\n"

static const char small[] = CLASSES
	"{\"address\": 1, \"type\": \"A\", \"class\": 900, \"size\": 10, \"rc\": 2, \"shape\": 1, \"refs\": [2, 900]}\n"
	"{\"address\": 2, \"type\": \"dict\", \"size\": 20, \"rc\": 1, \"len\": 1, \"refs\": [3], \"keys\": [901]}\n"
	"{\"address\": 3, \"type\": \"list\", \"size\": 30, \"rc\": 1, \"len\": 3, \"refs\": [5, 4, 1]}\n"
	"{\"address\": 4, \"type\": \"dict\", \"size\": 40, \"rc\": 2, \"len\": 0, \"refs\": []}\n"
	"{\"address\": 5, \"type\": \"B\", \"size\": 50, \"rc\": 1, \"shape\": 2, \"refs\": [4, 5]}\n"
	"{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": [1]}\n";

START_TEST(objects_are_filtered_and_sorted)
{
	struct rmr_heap *heap = fixture_open(small);
	static const struct {
		struct rmr_objects_query query;
		uint64_t total, addresses[3];
	} cases[] = {
		{{.sort = RMR_SORT_BYTES, .limit = 2}, 7, {5, 901}},
		{{.sort = RMR_SORT_BYTES, .limit = 2, .reverse = true}, 7, {900, 1}},
		{{.type = "dict", .sort = RMR_SORT_ADDRESS}, 2, {2, 4}},
		{{.type = "app.A", .sort = RMR_SORT_LEN}, 1, {1}},
		{{.sort = RMR_SORT_REFERRERS, .limit = 3}, 7, {4, 5, 1}},
		{{.where = "len = 1 and type != 'dict'", .sort = RMR_SORT_BYTES}, 1, {901}},
		{{.type = "dict", .where = "size > 1 or 1", .sort = RMR_SORT_RC}, 2, {4, 2}},
		{{.sort = RMR_SORT_NAME, .limit = 3}, 7, {5, 1, 2}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t *ids;
		uint64_t count, total;
		assert_ok(rmr_objects_list(heap, NULL, &cases[i].query, &ids, &count, &total));
		ck_assert_uint_eq(total, cases[i].total);
		for (size_t k = 0; k < 3 && cases[i].addresses[k]; k++) {
			ck_assert_uint_gt(count, k);
			ck_assert_msg(rmr_heap_address(heap, ids[k]) == cases[i].addresses[k],
				"case %zu place %zu: %llu", i, k,
				(unsigned long long)rmr_heap_address(heap, ids[k]));
		}
		free(ids);
	}
	static const struct rmr_objects_query wrong[] = {{.type = "Nothing"}, {.where = "nosuch = 1"},
		{.where = "1; select 2"}, {.where = "1) or (1"}, {.where = ""}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		uint32_t *ids = NULL;
		uint64_t count, total;
		struct rmr_error *err = rmr_objects_list(heap, NULL, &wrong[i], &ids, &count, &total);
		if (i == 3 && !err) { /* two expressions in brackets are one expression */
			free(ids);
			continue;
		}
		ck_assert_ptr_nonnull(err);
		ck_assert_int_eq(err->code, RMR_E_QUERY);
		rmr_error_destroy(err);
	}
	rmr_heap_close(heap);
}
END_TEST

static const struct {
	enum rmr_groups_by by;
	const char *labels[6];
	uint64_t counts[6];
} group_cases[] = {
	{RMR_GROUPS_TYPE, {"B", "str", "dict", "list", "dict of app.A", "app.A"}, {1, 1, 1, 1, 1, 1}},
	{RMR_GROUPS_MODULE, {"<unknown>", "app"}, {6, 1}},
	{RMR_GROUPS_SIZE, {"50", "40", "30", "20", "10", "9"}, {2, 1, 1, 1, 1, 1}},
	{RMR_GROUPS_REFERRER, {"B, list", "dict of app.A", "app.A", "list"}, {2, 2, 2, 1}},
	{RMR_GROUPS_VIA, {".b, [*]", "<key>", ".a, [*]"}, {1, 1, 1}},
	{RMR_GROUPS_OWNER, {"list", "dict", "app.A", "<nothing alone>"}, {2, 2, 2, 1}},
};

START_TEST(groups_are_parted)
{
	struct rmr_heap *heap = fixture_open(small);
	struct rmr_dominators *dominators;
	struct rmr_groups *groups;
	uint64_t members = 0;

	assert_ok(rmr_dominators_create(heap, &dominators));
	assert_ok(rmr_groups_create(heap, dominators, NULL, 0, group_cases[_i].by, &groups));
	ck_assert_uint_eq(groups->objects, 7);
	ck_assert_uint_eq(groups->bytes, 209);
	for (size_t i = 0; i < groups->count; i++) {
		members += groups->groups[i].count;
		ck_assert_uint_eq(groups->first[i + 1] - groups->first[i], groups->groups[i].count);
		ck_assert_uint_gt(groups->groups[i].count, 0);
	}
	ck_assert_uint_eq(members, 7);
	for (size_t i = 0; i < 6 && group_cases[_i].labels[i]; i++) {
		if (!strcmp(group_cases[_i].labels[i], "<key>"))
			continue;
		ck_assert_str_eq(groups->groups[i].label, group_cases[_i].labels[i]);
		ck_assert_uint_eq(groups->groups[i].count, group_cases[_i].counts[i]);
	}
	/* One group again, by size. */
	struct rmr_groups *inner;
	assert_ok(rmr_groups_create(heap, NULL, groups->members + groups->first[0],
		groups->groups[0].count, RMR_GROUPS_SIZE, &inner));
	ck_assert_uint_eq(inner->objects, groups->groups[0].count);
	ck_assert_uint_eq(inner->bytes, groups->groups[0].bytes);
	rmr_groups_destroy(inner);
	rmr_groups_destroy(groups);
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(trees_end)
{
	struct rmr_heap *heap = fixture_open(small);
	static const struct {
		bool up;
		uint64_t address;
		unsigned breadth;
		const char *rows;
	} cases[] = {
		{false, 1, 0, "0-1 1.__dict__2 2['x']3 3[0]1C 3[1]4 3[2]5D 1.__class__900 "},
		{false, 5, 0, "0-5 1.a4 1.b5C "},
		{true, 4, 0, "0-4 1[1]3 2['x']2 3.__dict__1D 1.a5 2[2]3S 2.b5C "},
		{true, 1, 0, "0-1 1-R0 1[0]3 2['x']2 3.__dict__1C "},
		{false, 3, 1, "0-3 1[0]1 2.__dict__2 3['x']3C 2-M1 1-M2 "},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rmr_tree_options options = {.up = cases[i].up, .breadth = cases[i].breadth};
		struct rmr_tree *tree;
		char text[512] = "", *at = text;
		assert_ok(rmr_tree_create(heap, fixture_id(heap, cases[i].address), &options, &tree));
		for (size_t k = 0; k < tree->count; k++) {
			const struct rmr_tree_row *row = &tree->rows[k];
			at += sprintf(at, "%u%s", row->depth, row->name ? row->name : "-");
			if (row->mark == RMR_TREE_MORE)
				at += sprintf(at, "M%llu", (unsigned long long)row->more);
			else if (row->id == RMR_NO_OBJECT)
				at += sprintf(at, "R%u", row->root);
			else
				at += sprintf(at, "%llu%s",
					(unsigned long long)rmr_heap_address(heap, row->id),
					row->mark == RMR_TREE_CYCLE  ? "C"
					: row->mark == RMR_TREE_SEEN ? "S"
					: row->mark == RMR_TREE_DEEP ? "D"
								     : "");
			at += sprintf(at, " ");
		}
		ck_assert_str_eq(text, cases[i].rows);
		rmr_tree_destroy(tree);
	}
	rmr_heap_close(heap);
}
END_TEST

START_TEST(pictures_escape_what_is_hostile)
{
	struct rmr_heap *heap = fixture_open(
		"{\"shape\": 1, \"names\": [\".\\\"];}\\n\"]}\n"
		"{\"address\": 1, \"type\": \"a\\\"]; evil [\", \"size\": 1, \"shape\": 1, \"refs\": [2]}\n"
		"{\"address\": 2, \"type\": \"str\", \"size\": 1, \"len\": 3, \"value\": \"\\\"\\\\\\u001b\", \"refs\": []}\n"
		"{\"root\": \"frame\", \"label\": \"<frame \\\" >\", \"refs\": [1]}\n");

	for (int i = 0; i < 3; i++) {
		struct rmr_graph_options options = {.up = i == 1, .path = i == 2};
		char *text;
		size_t size;
		unsigned quotes = 0;
		FILE *out = open_memstream(&text, &size);
		assert_ok(rmr_graph_write(heap, 1, &options, out));
		fclose(out);
		/* Outside of quotes there is nothing of the dump. */
		for (size_t k = 0; k < size; k++) {
			if (text[k] == '\\' && quotes % 2) {
				k++;
				continue;
			}
			quotes += text[k] == '"';
			ck_assert(quotes % 2 || (text[k] != 'v' && text[k] != '\x1b'));
		}
		ck_assert_uint_eq(quotes % 2, 0);
		ck_assert_ptr_nonnull(strstr(text, "digraph"));
		free(text);
	}
	rmr_heap_close(heap);
}
END_TEST

START_TEST(pictures_tell_what_a_person_needs)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 16, \"type\": \"dict\", \"size\": 64, \"len\": 2, \"refs\": [32, 48], \"keys\": [64, 80]}\n"
		"{\"address\": 32, \"type\": \"list\", \"size\": 56, \"len\": 1, \"refs\": [16]}\n"
		"{\"address\": 48, \"type\": \"int\", \"size\": 28, \"value\": 7, \"refs\": []}\n"
		"{\"address\": 64, \"type\": \"str\", \"size\": 50, \"len\": 1, \"value\": \"a\", \"refs\": []}\n"
		"{\"address\": 80, \"type\": \"tuple\", \"size\": 48, \"len\": 1, \"refs\": [48]}\n"
		"{\"root\": \"frame\", \"label\": \"<frame f>\", \"refs\": [16, 32]}\n");
	struct rmr_graph_options down = {0}, up = {.up = true};
	char *text;
	size_t size;

	FILE *out = open_memstream(&text, &size);
	assert_ok(rmr_graph_write(heap, fixture_id(heap, 16), &down, out));
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "\"dict\\n2 items, 64 B\\n0x10\""));
	ck_assert_ptr_nonnull(strstr(text, "\"list\\n1 item, 56 B\\n0x20\""));
	ck_assert_ptr_nonnull(strstr(text, "\"int\\n7\\n28 B\\n0x30\""));
	/* The name tells a key that is a mere value. */
	ck_assert_ptr_nonnull(strstr(text, "\"['a']\""));
	ck_assert_ptr_null(strstr(text, "0x40"));
	ck_assert_ptr_nonnull(strstr(text, "0x50"));
	free(text);
	out = open_memstream(&text, &size);
	assert_ok(rmr_graph_write(heap, fixture_id(heap, 16), &up, out));
	fclose(out);
	/* A root is one box, whatever it holds. */
	const char *box = strstr(text, "\"<frame f>\"");
	ck_assert_ptr_nonnull(box);
	ck_assert_ptr_null(strstr(box + 1, "\"<frame f>\""));
	free(text);
	rmr_heap_close(heap);
}
END_TEST

/* A dump of a process with a list that has @items items, one str each, from address 5000 on. */
static struct rmr_heap *growing(unsigned items, unsigned skip, const char *pid)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fprintf(out, "{\"remora\": 1, \"id\": \"%u\", \"pid\": %s}\n", items, pid);
	fputs("{\"shape\": 1, \"names\": [\".__dict__\"]}\n", out);
	fputs("{\"address\": 16, \"type\": \"dict\", \"size\": 64, \"rc\": 1, \"len\": 1, \"refs\": [32], \"keys\": [48]}\n"
	      "{\"address\": 32, \"type\": \"module\", \"size\": 64, \"rc\": 1, \"name\": \"__main__\", \"shape\": 1, \"refs\": [64]}\n"
	      "{\"address\": 48, \"type\": \"str\", \"size\": 57, \"rc\": 1, \"len\": 8, \"value\": \"__main__\", \"refs\": []}\n"
	      "{\"address\": 64, \"type\": \"dict\", \"size\": 64, \"rc\": 1, \"len\": 1, \"refs\": [80], \"keys\": [96]}\n"
	      "{\"address\": 96, \"type\": \"str\", \"size\": 54, \"rc\": 1, \"len\": 5, \"value\": \"CACHE\", \"refs\": []}\n", out);
	fprintf(out, "{\"address\": 80, \"type\": \"list\", \"size\": %u, \"rc\": 1, \"len\": %u, \"refs\": [", 56 + 8 * items,
		items);
	for (unsigned i = items; i-- > 0;)
		fprintf(out, "%u%s", 5000 + 64 * (i + skip), i ? ", " : "");
	fputs("]}\n", out);
	for (unsigned i = 0; i < items; i++)
		fprintf(out, "{\"address\": %u, \"type\": \"str\", \"size\": 100, \"rc\": 1, \"len\": 6, "
			     "\"value\": \"s%05u\", \"refs\": []}\n", 5000 + 64 * (i + skip), i + skip);
	fputs("{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"names\": [null], \"refs\": [16]}\n", out);
	fprintf(out, "{\"end\": true, \"id\": \"%u\", \"objects\": %u}\n", items, items + 6);
	fclose(out);
	struct rmr_heap *heap = fixture_open(text);
	free(text);
	return heap;
}

static const struct rmr_diff_options by_type = {.by = RMR_DIFF_TYPE};
static const struct rmr_diff_options by_path = {.by = RMR_DIFF_PATH};

START_TEST(growth_is_found)
{
	struct rmr_heap *heaps[3] = {growing(100, 0, "5"), growing(150, 0, "5"), growing(170, 20, "5")};
	struct rmr_dominators *dominators[3];
	struct rmr_diff *diff;
	struct rmr_leaks *leaks;

	for (int i = 0; i < 3; i++)
		assert_ok(rmr_dominators_create(heaps[i], &dominators[i]));
	assert_ok(rmr_diff_create(heaps, NULL, 2, &by_type, &diff));
	ck_assert(diff->same_process);
	ck_assert_str_eq(diff->rows[0].label, "str");
	ck_assert_int_eq(diff->rows[0].count_change, 50);
	ck_assert_int_eq(diff->rows[0].bytes_change, 5000);
	ck_assert_uint_eq(diff->rows[0].born, 50);
	ck_assert_uint_eq(diff->rows[0].gone, 0);
	rmr_diff_destroy(diff);
	/* Of the 50 born by the second dump, all are in the third; the first 20 of all are gone. */
	assert_ok(rmr_diff_create(heaps, NULL, 3, &by_type, &diff));
	ck_assert_str_eq(diff->rows[0].label, "str");
	ck_assert_uint_eq(diff->rows[0].survivors, 50);
	ck_assert_uint_eq(diff->rows[0].survivor_bytes, 5000);
	rmr_diff_destroy(diff);
	assert_ok(rmr_diff_create(heaps, dominators, 2, &by_path, &diff));
	bool found = false;
	for (size_t i = 0; i < diff->count; i++) {
		if (!strcmp(diff->rows[i].label, "sys.modules['__main__'].CACHE")) {
			found = true;
			ck_assert_int_eq(diff->rows[i].bytes_change, 5000 + 8 * 50);
		}
	}
	ck_assert(found);
	rmr_diff_destroy(diff);
	assert_ok(rmr_leaks_find(heaps, dominators, 3, 0, &leaks));
	ck_assert_uint_eq(leaks->count, 1);
	ck_assert_str_eq(leaks->leaks[0].path, "sys.modules['__main__'].CACHE");
	ck_assert_uint_eq(leaks->leaks[0].children, 170);
	ck_assert_str_eq(leaks->leaks[0].child_type, "str");
	ck_assert_ptr_nonnull(strstr(leaks->leaks[0].prose, "by 70 objects"));
	rmr_leaks_destroy(leaks);
	/* What shrank in between is no leak. */
	struct rmr_heap *back[3] = {heaps[0], heaps[2], heaps[1]};
	struct rmr_dominators *trees[3] = {dominators[0], dominators[2], dominators[1]};
	assert_ok(rmr_leaks_find(back, trees, 3, 0, &leaks));
	ck_assert_uint_eq(leaks->count, 0);
	rmr_leaks_destroy(leaks);
	for (int i = 0; i < 3; i++) {
		rmr_dominators_destroy(dominators[i]);
		rmr_heap_close(heaps[i]);
	}
}
END_TEST

START_TEST(reused_addresses_are_told_apart)
{
	/* The same addresses, but other strings at them; and another process altogether. */
	struct rmr_heap *heaps[2] = {
		fixture_open("{\"address\": 8, \"type\": \"str\", \"size\": 9, \"len\": 1, \"value\": \"a\", \"refs\": []}\n"
			     "{\"address\": 16, \"type\": \"A\", \"size\": 9, \"refs\": []}\n"
			     "{\"address\": 24, \"type\": \"A\", \"size\": 9, \"refs\": []}\n"),
		fixture_open("{\"address\": 8, \"type\": \"str\", \"size\": 9, \"len\": 1, \"value\": \"b\", \"refs\": []}\n"
			     "{\"address\": 16, \"type\": \"A\", \"size\": 9, \"refs\": []}\n"
			     "{\"address\": 24, \"type\": \"B\", \"size\": 9, \"refs\": []}\n")};
	struct rmr_diff *diff;

	assert_ok(rmr_diff_create(heaps, NULL, 2, &by_type, &diff));
	for (size_t i = 0; i < diff->count; i++) {
		const struct rmr_diff_row *row = &diff->rows[i];
		bool b = !strcmp(row->label, "B"), str = !strcmp(row->label, "str");
		ck_assert_uint_eq(row->born, b || str);
		ck_assert_uint_eq(row->gone, !b);
	}
	rmr_diff_destroy(diff);
	rmr_heap_close(heaps[0]);
	rmr_heap_close(heaps[1]);
	struct rmr_heap *others[2] = {growing(10, 0, "5"), growing(10, 0, "6")};
	assert_ok(rmr_diff_create(others, NULL, 2, &by_type, &diff));
	ck_assert(!diff->same_process);
	ck_assert_uint_eq(diff->rows[0].count_change, 0);
	rmr_diff_destroy(diff);
	rmr_heap_close(others[0]);
	rmr_heap_close(others[1]);
}
END_TEST

START_TEST(steady_growth_comes_first)
{
	static const struct rmr_diff_options growth = {.by = RMR_DIFF_TYPE, .growth = true};
	static const struct rmr_diff_options by_module = {.by = RMR_DIFF_GROUP,
		.group = RMR_GROUPS_SIZE};
	static const struct {
		unsigned items;
		unsigned junk;
	} steps[4] = {{100, 0}, {101, 900}, {102, 0}, {103, 800}};
	struct rmr_heap *heaps[4];
	struct rmr_diff *diff;

	for (int d = 0; d < 4; d++) {
		char *text;
		size_t size;
		struct rmr_error *err;
		FILE *out = open_memstream(&text, &size);
		for (unsigned i = 0; i < steps[d].items; i++)
			fprintf(out, "{\"address\": %u, \"type\": \"Few\", \"size\": 10, \"refs\": []}\n", 8 + 8 * i);
		for (unsigned i = 0; i < steps[d].junk; i++)
			fprintf(out, "{\"address\": %u, \"type\": \"Many\", \"size\": 10, \"refs\": []}\n", 8008 + 8 * i);
		fclose(out);
		heaps[d] = fixture_try(text, size, &err);
		ck_assert_ptr_null(err);
		free(text);
	}
	assert_ok(rmr_diff_create(heaps, NULL, 4, &growth, &diff));
	ck_assert_uint_eq(diff->count, 2);
	ck_assert_str_eq(diff->rows[0].label, "Few");
	ck_assert_uint_eq(diff->rows[0].grew, 3);
	ck_assert_int_eq(diff->rows[0].bytes_change, 30);
	ck_assert_uint_eq(diff->rows[0].cells[2].count, 102);
	ck_assert_str_eq(diff->rows[1].label, "Many");
	ck_assert_uint_eq(diff->rows[1].grew, 2);
	ck_assert_int_eq(diff->rows[1].count_change, 800);
	rmr_diff_destroy(diff);
	struct rmr_error *err = rmr_diff_create(heaps, NULL, 4, &by_type, &diff);
	ck_assert(err && err->code == RMR_E_USAGE);
	rmr_error_destroy(err);
	assert_ok(rmr_diff_create(heaps, NULL, 2, &by_module, &diff));
	ck_assert_uint_eq(diff->count, 1);
	ck_assert_str_eq(diff->rows[0].label, "10");
	ck_assert_uint_eq(diff->rows[0].born, 901);
	ck_assert_uint_eq(diff->rows[0].gone, 0);
	rmr_diff_destroy(diff);
	for (int d = 0; d < 4; d++)
		rmr_heap_close(heaps[d]);
}
END_TEST

/* Object 8 of both dumps, with its parts; a part that both lines describe is shared by them. */
#define PART(address, value)                                                                       \
	"{\"address\": " #address ", \"type\": \"str\", \"size\": 50, \"len\": 1, \"value\": \"" value    \
	"\", \"refs\": []}\n"
#define WHOLE(refs) "{\"address\": 8, \"type\": \"A\", \"size\": 9, \"refs\": [" refs "]}\n"
#define OTHER(refs) "{\"address\": 16, \"type\": \"B\", \"size\": 9, \"refs\": [" refs "]}\n"

static const struct {
	const char *before, *after;
	bool same;
} identities[] = {
	/* one part of two stays */
	{WHOLE("24, 32") PART(24, "a") PART(32, "b"), WHOLE("24, 40") PART(24, "a") PART(40, "c"), true},
	/* all are others; at the same addresses, too */
	{WHOLE("24") PART(24, "a"), WHOLE("32") PART(32, "a"), false},
	{WHOLE("24") PART(24, "a"), WHOLE("24") PART(24, "b"), false},
	/* what others refer to says nothing */
	{WHOLE("24") OTHER("24") PART(24, "a"), WHOLE("24") OTHER("24") PART(24, "a"), true},
	{WHOLE("24, 32") OTHER("24") PART(24, "a") PART(32, "b"),
		WHOLE("24, 40") OTHER("24") PART(24, "a") PART(40, "c"), false},
	/* without parts in one of them nobody can tell */
	{WHOLE(""), WHOLE("24") PART(24, "a"), true},
	{WHOLE("24") PART(24, "a"), WHOLE(""), true},
	/* an instance that was taken for another type's */
	{WHOLE(""), "{\"address\": 8, \"type\": \"B\", \"size\": 9, \"refs\": []}\n", false},
};

START_TEST(identity_looks_at_the_parts)
{
	struct rmr_heap *before = fixture_open(identities[_i].before);
	struct rmr_heap *after = fixture_open(identities[_i].after);
	uint32_t x = fixture_id(before, 8), y = fixture_id(after, 8);
	uint8_t *match = rmr_identity_match(before, after);

	ck_assert_int_eq(rmr_identity_same(before, x, after, y), identities[_i].same);
	ck_assert_int_eq(rmr_identity_same(after, y, before, x), identities[_i].same);
	ck_assert_uint_eq(rmr_identity_find(before, x, after), identities[_i].same ? y : RMR_NO_OBJECT);
	ck_assert_int_eq(match[x], identities[_i].same);
	rmr_block_destroy(match, rmr_heap_count(before));
	rmr_heap_close(before);
	rmr_heap_close(after);
}
END_TEST

/* A list that only grew, or only shrank, is the same however little of it is left. */
START_TEST(identity_of_what_grew)
{
	struct rmr_heap *few = growing(3, 0, "5"), *many = growing(3000, 0, "5");

	for (uint32_t id = 0; id < rmr_heap_count(few); id++) {
		ck_assert_uint_ne(rmr_identity_find(few, id, many), RMR_NO_OBJECT);
		uint32_t other = rmr_heap_find(many, rmr_heap_address(few, id));
		ck_assert_uint_eq(rmr_identity_find(many, other, few), id);
	}
	rmr_heap_close(few);
	rmr_heap_close(many);
}
END_TEST

START_TEST(one_dump_names_the_accumulation)
{
	struct rmr_heap *heap = growing(500, 0, "5");
	struct rmr_dominators *dominators;
	struct rmr_leaks *leaks;

	assert_ok(rmr_dominators_create(heap, &dominators));
	assert_ok(rmr_leaks_find(&heap, &dominators, 1, 0, &leaks));
	ck_assert_uint_eq(leaks->count, 1);
	ck_assert_str_eq(leaks->leaks[0].path, "sys.modules['__main__'].CACHE");
	ck_assert_uint_eq(leaks->leaks[0].retained, 500 * 100 + 56 + 8 * 500);
	rmr_leaks_destroy(leaks);
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(waste_is_counted)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct rmr_error *err;
	struct rmr_waste *waste;

	fputs(CLASSES, out);
	for (int i = 0; i < 4; i++)
		fprintf(out, "{\"address\": %d, \"type\": \"str\", \"size\": 60, \"len\": 4, \"value\": \"%s\", \"refs\": []}\n",
			1000 + i, i < 3 ? "same" : "othe");
	fputs("{\"address\": 1010, \"type\": \"str\", \"size\": 900, \"len\": 851, \"value\": \"cut\", \"refs\": []}\n"
	      "{\"address\": 1020, \"type\": \"tuple\", \"size\": 56, \"len\": 2, \"refs\": [1000, 1001]}\n"
	      "{\"address\": 1021, \"type\": \"tuple\", \"size\": 56, \"len\": 2, \"refs\": [1000, 1001]}\n"
	      "{\"address\": 1022, \"type\": \"tuple\", \"size\": 56, \"len\": 2, \"refs\": [1001, 1000]}\n"
	      "{\"address\": 1030, \"type\": \"list\", \"size\": 56, \"len\": 0, \"refs\": []}\n"
	      "{\"address\": 1031, \"type\": \"list\", \"size\": 64, \"len\": 1, \"refs\": [1000]}\n"
	      "{\"address\": 1032, \"type\": \"list\", \"size\": 864, \"len\": 1, \"refs\": [1000]}\n"
	      "{\"address\": 1040, \"type\": \"bytes\", \"size\": 100000, \"len\": 99967, \"value\": \"cut\", \"refs\": []}\n"
	      /* Held by a view of 16 bytes of it, which a list holds, through a managed buffer. */
	      "{\"address\": 1041, \"type\": \"memoryview\", \"size\": 200, \"buffer\": 16, \"data\": 5000, \"base\": 1040, \"refs\": [1042]}\n"
	      "{\"address\": 1042, \"type\": \"managedbuffer\", \"size\": 200, \"buffer\": 99967, \"data\": 4990, \"base\": 1040, \"refs\": [1040]}\n"
	      "{\"address\": 1043, \"type\": \"tuple\", \"size\": 56, \"len\": 1, \"refs\": [1041]}\n"
	      /* Two views that share bytes, of which one holds the other. */
	      "{\"address\": 1050, \"type\": \"ndarray\", \"size\": 80112, \"buffer\": 80000, \"data\": 200000, \"refs\": []}\n"
	      "{\"address\": 1051, \"type\": \"ndarray\", \"size\": 112, \"buffer\": 70000, \"data\": 200000, \"base\": 1050, \"refs\": [1050]}\n"
	      "{\"address\": 1052, \"type\": \"ndarray\", \"size\": 112, \"buffer\": 100, \"data\": 200000, \"base\": 1051, \"refs\": [1051]}\n"
	      "{\"address\": 1053, \"type\": \"ndarray\", \"size\": 112, \"buffer\": 80, \"data\": 200050, \"base\": 1050, \"refs\": [1050]}\n"
	      "{\"address\": 1054, \"type\": \"tuple\", \"size\": 64, \"len\": 2, \"refs\": [1052, 1053]}\n"
	      /* Not pinned: held by itself, too; shown for the most; nobody knows how large. */
	      "{\"address\": 1060, \"type\": \"bytearray\", \"size\": 80057, \"buffer\": 80000, \"data\": 400000, \"refs\": []}\n"
	      "{\"address\": 1061, \"type\": \"memoryview\", \"size\": 112, \"buffer\": 10, \"data\": 400000, \"base\": 1060, \"refs\": [1060]}\n"
	      "{\"address\": 1062, \"type\": \"bytearray\", \"size\": 80057, \"buffer\": 80000, \"data\": 600000, \"refs\": []}\n"
	      "{\"address\": 1063, \"type\": \"memoryview\", \"size\": 112, \"buffer\": 40000, \"data\": 600000, \"base\": 1062, \"refs\": [1062]}\n"
	      "{\"address\": 1064, \"type\": \"PyCapsule\", \"size\": 80057, \"refs\": []}\n"
	      "{\"address\": 1065, \"type\": \"ndarray\", \"size\": 112, \"buffer\": 40, \"data\": 800000, \"base\": 1064, \"refs\": [1064]}\n"
	      "{\"address\": 1066, \"type\": \"tuple\", \"size\": 64, \"len\": 4, \"refs\": [1060, 1061, 1063, 1065]}\n", out);
	for (int i = 0; i < 12; i++)
		fprintf(out, "{\"address\": %d, \"type\": \"A\", \"class\": 900, \"size\": 48, \"shape\": 1, \"refs\": [%d, 900]}\n"
			     "{\"address\": %d, \"type\": \"dict\", \"size\": 104, \"len\": 1, \"refs\": [901], \"keys\": [901]}\n",
			2000 + 2 * i, 2001 + 2 * i, 2001 + 2 * i);
	fputs("{\"address\": 902, \"type\": \"type\", \"size\": 9, \"name\": \"V\", \"module\": \"app\", \"refs\": []}\n",
		out);
	for (int i = 0; i < 12; i++)
		fprintf(out, "{\"address\": %d, \"type\": \"V\", \"class\": 902, \"size\": 56, \"owned\": 48, \"shape\": 2, \"refs\": [901, 901]}\n",
			3000 + i);
	fclose(out);
	struct rmr_heap *heap = fixture_try(text, size, &err);
	ck_assert_ptr_null(err);
	free(text);
	assert_ok(rmr_waste_find(heap, 5, &waste));
	ck_assert_uint_eq(waste->count[RMR_WASTE_DUPLICATE_STR], 2);
	ck_assert_uint_eq(waste->bytes[RMR_WASTE_DUPLICATE_STR], 120);
	ck_assert_uint_eq(waste->count[RMR_WASTE_DUPLICATE_TUPLE], 1);
	ck_assert_uint_eq(waste->truncated, 2);
	ck_assert_uint_eq(waste->count[RMR_WASTE_EMPTY], 1);
	ck_assert_uint_eq(waste->bytes[RMR_WASTE_EMPTY], 56);
	ck_assert_uint_eq(waste->count[RMR_WASTE_OVERALLOCATED], 1);
	ck_assert_uint_eq(waste->bytes[RMR_WASTE_OVERALLOCATED], 800);
	/* With a dict: 104 + 2 pointers - 1 slot; with inline values: 48 + 2 pointers - 2 slots. */
	ck_assert_uint_eq(waste->count[RMR_WASTE_INSTANCE_DICT], 12 + 12);
	ck_assert_uint_eq(waste->bytes[RMR_WASTE_INSTANCE_DICT], 12 * (104 + 16 - 8) + 12 * (48 + 16 - 16));
	ck_assert_uint_eq(waste->count[RMR_WASTE_PINNED], 1 + 2);
	ck_assert_uint_eq(waste->bytes[RMR_WASTE_PINNED], 99967 - 16 + 80000 - 130);
	ck_assert_str_eq(waste->row[waste->rows - 2].what,
		"bytes of 97.6 KiB, held only by memoryview at 0x411, which shows 16 B");
	ck_assert_str_eq(waste->row[waste->rows - 1].what,
		"ndarray of 78.1 KiB, held only by 2 views, which show 130 B: ndarray at 0x41c and others");
	for (size_t i = 0; i < waste->rows; i++)
		ck_assert_ptr_nonnull(waste->row[i].what);
	ck_assert_str_eq(waste->row[0].what, "'same'");
	rmr_waste_destroy(waste);
	rmr_heap_close(heap);
}
END_TEST

/* What lives for ever cannot be saved, and no slots can be given to a subclass of int. */
START_TEST(waste_is_what_can_be_saved)
{
	static const char forever[] = "\"rc\": 3221225472, \"flags\": [\"immortal\"], ";
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct rmr_error *err;
	struct rmr_waste *waste;

	fputs("{\"remora\": 1, \"id\": \"p\"}\n"
	      "{\"shape\": 1, \"names\": [\".__dict__\"]}\n"
	      "{\"shape\": 2, \"names\": [\".__mro__\"]}\n", out);
	/* Of two that can go and one that cannot, both; of two that cannot, none; of two that can, one. */
	for (int i = 0; i < 7; i++)
		fprintf(out, "{\"address\": %d, \"type\": \"str\", \"size\": %d, %s\"len\": 1, \"value\": \"%c\", \"refs\": []}\n",
			1000 + i, 50 + i, i == 1 || i == 3 || i == 4 ? forever : "\"rc\": 1, ",
			i < 3 ? 'a' : i < 5 ? 'b' : 'c');
	fputs("{\"address\": 900, \"type\": \"type\", \"size\": 9, \"name\": \"int\", \"module\": \"builtins\", \"refs\": []}\n"
	      "{\"address\": 901, \"type\": \"type\", \"size\": 9, \"name\": \"I\", \"module\": \"m\", \"shape\": 2, \"refs\": [902]}\n"
	      "{\"address\": 902, \"type\": \"tuple\", \"size\": 9, \"len\": 2, \"refs\": [900, 901]}\n"
	      "{\"address\": 903, \"type\": \"int\", \"class\": 900, \"size\": 28, \"value\": 7, \"refs\": []}\n", out);
	for (int i = 0; i < 50; i++)
		fprintf(out, "{\"address\": %d, \"type\": \"I\", \"class\": 901, \"size\": 48, \"shape\": 1, \"refs\": [%d]}\n"
			     "{\"address\": %d, \"type\": \"dict\", \"size\": 104, \"len\": 1, \"refs\": [903], \"keys\": [1000]}\n",
			2000 + 2 * i, 2001 + 2 * i, 2001 + 2 * i);
	fclose(out);
	struct rmr_heap *heap = fixture_try(text, size, &err);
	ck_assert_ptr_null(err);
	free(text);
	assert_ok(rmr_waste_find(heap, 5, &waste));
	ck_assert_uint_eq(waste->count[RMR_WASTE_DUPLICATE_STR], 3);
	ck_assert_uint_eq(waste->bytes[RMR_WASTE_DUPLICATE_STR], 50 + 52 + 56);
	ck_assert_uint_eq(waste->count[RMR_WASTE_INSTANCE_DICT], 0);
	rmr_waste_destroy(waste);
	rmr_heap_close(heap);
}
END_TEST

/* A list of so many nodes that each analysis looks at the flag now and then. */
static struct rmr_heap *open_chain(unsigned count, const struct rmr_heap_options *options)
{
	struct rmr_heap *heap;
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("{\"remora\": 1, \"id\": \"x\"}\n", out);
	for (unsigned i = 1; i <= count; i++)
		fprintf(out, "{\"address\": %u, \"type\": \"T\", \"size\": 1, \"refs\": [%u]}\n", i,
			i % count + 1);
	fputs("{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": [1]}\n", out);
	fclose(out);
	int fd = fixture_file(text, size);
	free(text);
	assert_ok(rmr_heap_open_fd(fd, "test", options, &heap));
	close(fd);
	return heap;
}

START_TEST(all_can_be_interrupted)
{
	static volatile sig_atomic_t flag;
	struct rmr_heap_options options = {.interrupted = &flag};
	struct rmr_objects_query query = {.sort = RMR_SORT_BYTES};
	struct rmr_heap *heap = open_chain(20000, &options), *heaps[] = {heap, heap};
	struct rmr_dominators *dominators, *both[2], *unused;
	struct rmr_groups *groups;
	struct rmr_cycles *cycles;
	struct rmr_leaks *leaks;
	struct rmr_waste *waste;
	struct rmr_paths *paths;
	struct rmr_diff *diff;
	uint64_t count, total;
	uint32_t *ids;

	assert_ok(rmr_dominators_create(heap, &dominators));
	both[0] = both[1] = dominators;
	flag = 1;
	struct rmr_error *errors[] = {
		rmr_dominators_create(heap, &unused),
		rmr_paths_find(heap, 19999, NULL, &paths),
		rmr_groups_create(heap, NULL, NULL, 0, RMR_GROUPS_TYPE, &groups),
		rmr_groups_create(heap, NULL, NULL, 0, RMR_GROUPS_REFERRER, &groups),
		rmr_cycles_find(heap, NULL, NULL, &cycles),
		rmr_waste_find(heap, 0, &waste),
		rmr_objects_list(heap, NULL, &query, &ids, &count, &total),
		rmr_leaks_find(heaps, both, 2, 0, &leaks),
		rmr_diff_create(heaps, both, 2, &by_type, &diff),
	};
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		ck_assert_msg(errors[i] && errors[i]->code == RMR_E_INTERRUPTED, "number %zu", i);
		rmr_error_destroy(errors[i]);
	}
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(traces_are_read)
{
	struct rmr_heap *heap = fixture_open(
		"{\"trace\": 1, \"frames\": [[\"/a \\u00e9.py\", 12], [\"/b.py\", 3]]}\n"
		"{\"trace\": 9, \"frames\": [[\"/c.py\", 1]]}\n"
		"{\"trace\": 4, \"frames\": [[\"/odd.py\"]]}\n"
		"{\"address\": 1, \"type\": \"a\", \"size\": 5, \"trace\": 9, \"refs\": []}\n"
		"{\"address\": 2, \"type\": \"a\", \"size\": 1, \"refs\": []}\n"
		"{\"address\": 3, \"type\": \"a\", \"size\": 3, \"trace\": 1, \"refs\": []}\n"
		"{\"address\": 4, \"type\": \"a\", \"size\": 3, \"trace\": 1, \"refs\": []}\n"
		"{\"address\": 5, \"type\": \"a\", \"size\": 2, \"trace\": 77, \"refs\": []}\n"
		"{\"address\": 6, \"type\": \"a\", \"size\": 4, \"trace\": 4, \"refs\": []}\n");
	static const char *const labels[] = {"/a \u00e9.py:12", "/c.py:1", "<unknown>", "<not traced>"};
	static const uint64_t bytes[] = {6, 5, 4, 3};
	struct rmr_trace_frame *frames;
	struct rmr_groups *groups;
	size_t count;

	ck_assert_uint_eq(rmr_traces_count(heap), 3);
	ck_assert_uint_eq(rmr_traces_of(heap, rmr_heap_find(heap, 2)), RMR_NO_OBJECT);
	ck_assert_uint_eq(rmr_traces_of(heap, rmr_heap_find(heap, 5)), RMR_NO_OBJECT);
	ck_assert(rmr_traces_frames(heap, rmr_traces_of(heap, rmr_heap_find(heap, 4)), &frames, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(frames[1].line, 3);
	free(frames);
	ck_assert(!rmr_traces_frames(heap, rmr_traces_of(heap, rmr_heap_find(heap, 6)), &frames, &count));
	ck_assert(!rmr_traces_frames(heap, RMR_NO_OBJECT, &frames, &count));
	assert_ok(rmr_groups_create(heap, NULL, NULL, 0, RMR_GROUPS_LINE, &groups));
	ck_assert_uint_eq(groups->count, 4);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_str_eq(groups->groups[i].label, labels[i]);
		ck_assert_uint_eq(groups->groups[i].bytes, bytes[i]);
	}
	rmr_groups_destroy(groups);
	rmr_heap_close(heap);
}
END_TEST

START_TEST(completeness_is_measured)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 1, \"type\": \"a\", \"size\": 1, \"rc\": 3, \"refs\": [2, 2]}\n"
		"{\"address\": 2, \"type\": \"a\", \"size\": 1, \"rc\": 1, \"refs\": []}\n"
		"{\"address\": 3, \"type\": \"a\", \"size\": 1, \"rc\": 4294967295, \"flags\": [\"immortal\"], \"refs\": []}\n"
		"{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": [1]}\n");
	struct rmr_completeness completeness;

	rmr_completeness_get(heap, &completeness);
	ck_assert_uint_eq(completeness.counted, 4);
	ck_assert_uint_eq(completeness.found, 2);
	ck_assert_uint_eq(completeness.held_by_c, 1);
	ck_assert_uint_eq(completeness.exceeded, 1);
	rmr_heap_close(heap);
}
END_TEST

/* The interpreter holds the table; the table holds its strings without a count, and keeps none alive. */
START_TEST(interned_strings_are_held_weakly)
{
	struct rmr_heap *heap = fixture_open(
		"{\"address\": 1, \"type\": \"dict\", \"size\": 9, \"rc\": 1, \"refs\": [2, 3, 4], \"keys\": [2, 3, 4]}\n"
		"{\"address\": 2, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"refs\": []}\n"
		"{\"address\": 3, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"refs\": []}\n"
		"{\"address\": 4, \"type\": \"str\", \"size\": 1, \"rc\": 1, \"refs\": []}\n"
		"{\"address\": 5, \"type\": \"list\", \"size\": 1, \"rc\": 1, \"refs\": [3]}\n"
		"{\"address\": 6, \"type\": \"list\", \"size\": 1, \"rc\": 1, \"refs\": [4, 6]}\n"
		"{\"root\": \"interned\", \"label\": \"<interned strings>\", \"refs\": [1]}\n"
		"{\"root\": \"interpreter\", \"label\": \"r\", \"refs\": [5]}\n");
	static const enum rmr_path_start starts[] = {
		RMR_PATH_ROOT, RMR_PATH_HELD_BY_C, RMR_PATH_ROOT, RMR_PATH_UNREACHABLE};
	struct rmr_completeness completeness;
	struct rmr_dominators *dominators;
	struct rmr_paths *paths;

	rmr_completeness_get(heap, &completeness);
	ck_assert_uint_eq(completeness.counted, 6);
	ck_assert_uint_eq(completeness.found, 5);
	ck_assert_uint_eq(completeness.held_by_c, 1);
	ck_assert_uint_eq(completeness.exceeded, 0);
	for (uint32_t id = 0; id < 4; id++) {
		assert_ok(rmr_paths_find(heap, id, NULL, &paths));
		ck_assert_uint_eq(paths->count, 1);
		ck_assert_int_eq(paths->paths[0].start, starts[id]);
		rmr_paths_destroy(paths);
	}
	assert_ok(rmr_dominators_create(heap, &dominators));
	ck_assert_uint_eq(rmr_dominators_retained(dominators, 0), 9);
	ck_assert_uint_eq(rmr_dominators_parent(dominators, 2), 4);
	ck_assert_uint_eq(rmr_dominators_parent(dominators, 3), 5);
	rmr_dominators_destroy(dominators);
	rmr_heap_close(heap);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("analyses");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, objects_are_filtered_and_sorted);
	tcase_add_loop_test(tests, groups_are_parted, 0, sizeof(group_cases) / sizeof(*group_cases));
	tcase_add_test(tests, trees_end);
	tcase_add_test(tests, pictures_escape_what_is_hostile);
	tcase_add_test(tests, pictures_tell_what_a_person_needs);
	tcase_add_test(tests, growth_is_found);
	tcase_add_test(tests, steady_growth_comes_first);
	tcase_add_loop_test(tests, identity_looks_at_the_parts, 0,
		sizeof(identities) / sizeof(*identities));
	tcase_add_test(tests, identity_of_what_grew);
	tcase_add_test(tests, reused_addresses_are_told_apart);
	tcase_add_test(tests, one_dump_names_the_accumulation);
	tcase_add_test(tests, waste_is_counted);
	tcase_add_test(tests, waste_is_what_can_be_saved);
	tcase_add_test(tests, completeness_is_measured);
	tcase_add_test(tests, interned_strings_are_held_weakly);
	tcase_add_test(tests, traces_are_read);
	tcase_add_test(tests, all_can_be_interrupted);
	suite_add_tcase(suite, tests);
	return suite;
}

FIXTURE_MAIN(make_suite())
