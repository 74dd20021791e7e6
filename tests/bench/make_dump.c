// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Writes a dump of a heap that never was, to measure the reader and the analyses without a
 * target:  make_dump workload|list N > FILE
 *
 * workload: the shape of a real program's heap: instances with inline values and with a __dict__,
 *           slots, lists, dicts, tuples, strings, numbers; parent <-> child cycles; all of it held
 *           by sys.modules['__main__'].REGISTRY. Addresses come in pools of 4 KiB by size, as
 *           pymalloc gives them.
 * list:     one doubly linked list of N objects.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL = 4096, CLASSES = 64 };

enum type { TYPE, MODULE, DICT, LIST, TUPLE, STR, INT, FLOAT, BYTES, NODE, SLOT, REGISTRY, TYPES };
static const char *const type_names[TYPES] = {"type", "module", "dict", "list", "tuple", "str",
	"int", "float", "bytes", "Node", "Slot", "Registry"};

static uint64_t pool_next[CLASSES], pool_left[CLASSES], arena = 0x7f3a00000000;
static uint64_t classes[TYPES], objects, references, bytes;

static uint64_t allocate(unsigned size)
{
	unsigned class = (size + 15) / 16;

	if (class >= CLASSES) {
		uint64_t address = arena;
		arena += (size + 4095u) / 4096 * 4096;
		return address + 64;
	}
	if (!pool_left[class]) {
		pool_next[class] = arena + 48;
		pool_left[class] = (POOL - 48) / (class * 16);
		arena += POOL;
	}
	pool_left[class]--;
	uint64_t address = pool_next[class];
	pool_next[class] += class * 16;
	return address;
}

static void begin(uint64_t address, enum type type, unsigned size, unsigned rc)
{
	printf("{\"address\": %" PRIu64 ", \"type\": \"%s\", \"size\": %u, \"rc\": %u, \"class\": %" PRIu64,
		address, type_names[type], size, rc, classes[type]);
	objects++;
	bytes += size;
}

static void end(const char *key, const uint64_t *refs, size_t count)
{
	printf(", \"%s\": [", key);
	for (size_t i = 0; i < count; i++)
		printf(i ? ", %" PRIu64 : "%" PRIu64, refs[i]);
	putchar(']');
	references += count;
}

static uint64_t put_str(const char *text)
{
	unsigned length = (unsigned)strlen(text), size = 49 + length;
	uint64_t address = allocate(size);

	begin(address, STR, size, 1);
	printf(", \"len\": %u, \"value\": \"%s\"", length, text);
	end("refs", NULL, 0);
	puts("}");
	return address;
}

static uint64_t put_number(enum type type, double value)
{
	unsigned size = type == INT ? 28 : 24;
	uint64_t address = allocate(size);

	begin(address, type, size, 1);
	printf(type == INT ? ", \"value\": %.0f" : ", \"value\": %.17g", value);
	end("refs", NULL, 0);
	puts("}");
	return address;
}

/* A list or tuple; the items are written from the last to the first, as the collector visits. */
static uint64_t put_items(enum type type, const uint64_t *items, size_t count, uint64_t address)
{
	unsigned size = (unsigned)(56 + 8 * count);
	uint64_t *reversed = malloc((count + 1) * sizeof(*reversed));

	if (!reversed)
		abort();
	if (!address)
		address = allocate(size);
	for (size_t i = 0; i < count; i++)
		reversed[i] = items[count - 1 - i];
	begin(address, type, size, 1);
	printf(", \"len\": %zu", count);
	end("refs", reversed, count);
	puts("}");
	free(reversed);
	return address;
}

static uint64_t put_dict(const uint64_t *keys, const uint64_t *values, size_t count)
{
	unsigned size = (unsigned)(count > 5 ? 64 + 40 * count : 184);
	uint64_t address = allocate(size > 900 ? size : 64);

	begin(address, DICT, size, 1);
	printf(", \"len\": %zu", count);
	end("refs", values, count);
	end("keys", keys, count);
	puts("}");
	return address;
}

static uint64_t put_shaped(enum type type, unsigned size, unsigned shape, const uint64_t *refs,
	size_t count, uint64_t address)
{
	begin(address, type, size, 1);
	printf(", \"shape\": %u", shape);
	end("refs", refs, count);
	puts("}");
	return address;
}

struct growing {
	uint64_t *items;
	size_t count, room;
};

static void push(struct growing *growing, uint64_t item)
{
	if (growing->count == growing->room) {
		growing->room = growing->room ? growing->room * 2 : 1024;
		growing->items = realloc(growing->items, growing->room * sizeof(uint64_t));
		if (!growing->items)
			abort();
	}
	growing->items[growing->count++] = item;
}

static uint64_t module_dict, module_address, registry, modules;
static uint64_t next_node, previous_slot;
static struct growing nodes, slots, rows, names;
static uint64_t keys[8];

static void put_group(unsigned i)
{
	char text[64];
	uint64_t start = objects, node = next_node;
	double b = 100000 + i * 7.0;

	snprintf(text, sizeof(text), "node-%08u", i);
	uint64_t name = put_str(text);
	uint64_t pair1[] = {put_number(INT, b + 1), put_number(FLOAT, b / 3)};
	uint64_t pair2[] = {put_number(INT, b + 2), put_number(FLOAT, b / 7)};
	uint64_t points[] = {put_items(TUPLE, pair1, 2, 0), put_items(TUPLE, pair2, 2, 0)};
	snprintf(text, sizeof(text), "owner:%.0f", b);
	uint64_t meta_values[] = {put_str(text), put_number(INT, b + 3), put_items(LIST, points, 2, 0)};
	uint64_t meta = put_dict(keys, meta_values, 3);
	snprintf(text, sizeof(text), "tag/%u", i);
	uint64_t tag1 = put_str(text);
	snprintf(text, sizeof(text), "t%.0f", b);
	uint64_t tag_items[] = {tag1, keys[3], put_str(text), 0};
	uint64_t tags = allocate(88);
	tag_items[3] = tags;
	put_items(LIST, tag_items, i % 16 ? 3 : 4, tags);
	next_node = allocate(56);
	uint64_t parent = i % 8 == 0 || !nodes.count ? next_node : nodes.items[nodes.count - 1];
	uint64_t fields[] = {put_number(INT, b), name, put_number(FLOAT, b / 11), tags, meta, parent,
		classes[NODE]};
	if (i % 4 == 0) {
		uint64_t dict = put_dict(keys, fields, 6), both[] = {dict, classes[NODE]};
		put_shaped(NODE, 56, 2, both, 2, node);
	} else {
		put_shaped(NODE, 56, 1, fields, 7, node);
	}
	uint64_t slot_key[] = {name, put_number(INT, b + 4)};
	uint64_t payload = allocate(48);
	begin(payload, BYTES, 48, 1);
	printf(", \"len\": 15, \"value\": \"\\u0001\\u00ffabcdefghijklm\"");
	end("refs", NULL, 0);
	puts("}");
	uint64_t slot_fields[] = {put_items(TUPLE, slot_key, 2, 0), payload,
		i % 1000 && previous_slot ? previous_slot : classes[SLOT], node, classes[SLOT]};
	previous_slot = put_shaped(SLOT, 64, 3, slot_fields, 5, allocate(64));
	uint64_t array[] = {put_number(INT, b + 5), put_number(INT, b + 6), put_number(INT, b + 7), name};
	snprintf(text, sizeof(text), "\\u00e9t\\u00e9-%u", i);
	uint64_t row[] = {put_number(FLOAT, b / 13), put_number(FLOAT, b / 17), put_str(text),
		put_items(LIST, array, 4, 0)};
	push(&rows, put_dict(keys + 2, row, 4));
	push(&nodes, node);
	push(&slots, previous_slot);
	push(&names, name);
	(void)start;
}

static void put_types(void)
{
	for (int i = 0; i < TYPES; i++)
		classes[i] = i < NODE ? 0x9000a0 + 0x1a0u * (unsigned)i : allocate(1064);
	for (int i = 0; i < TYPES; i++) {
		begin(classes[i], TYPE, i < NODE ? 408 : 1064, 5);
		printf(", \"name\": \"%s\", \"module\": \"%s\"", type_names[i],
			i < NODE ? "builtins" : "__main__");
		end("refs", NULL, 0);
		puts("}");
	}
	puts("{\"shape\": 1, \"names\": [\".id\", \".name\", \".score\", \".tags\", \".meta\", "
	     "\".parent\", \".__class__\"]}");
	puts("{\"shape\": 2, \"names\": [\".__dict__\", \".__class__\"]}");
	puts("{\"shape\": 3, \"names\": [\".key\", \".payload\", \".prev\", \".node\", "
	     "\".__class__\"]}");
	puts("{\"shape\": 4, \"names\": [\".nodes\", \".slots\", \".rows\", \".index\", "
	     "\".__class__\"]}");
	puts("{\"shape\": 5, \"names\": [\".next\", \".prev\", \".__class__\"]}");
}

static void put_modules(uint64_t held)
{
	uint64_t main_keys[] = {put_str("__name__"), put_str("REGISTRY"), put_str("Node")};
	uint64_t main_values[] = {put_str("__main__"), held, classes[NODE]};
	uint64_t module_name[] = {main_values[0]};

	module_dict = put_dict(main_keys, main_values, 3);
	module_address = allocate(72);
	begin(module_address, MODULE, 72, 3);
	printf(", \"name\": \"__main__\", \"shape\": 2");
	end("refs", &module_dict, 1);
	puts("}");
	modules = put_dict(module_name, &module_address, 1);
	printf("{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"interpreter\": 0, "
	       "\"names\": [null], \"refs\": [%" PRIu64 "]}\n", modules);
	printf("{\"root\": \"frame\", \"label\": \"<frame main at workload.py:160>\", \"thread\": 1, "
	       "\"depth\": 0, \"function\": \"main\", \"file\": \"workload.py\", \"line\": 160, "
	       "\"names\": [\".cmd\"], \"refs\": [%" PRIu64 "]}\n", main_keys[0]);
	printf("{\"root\": \"static\", \"label\": \"<static type>\", \"names\": [], \"refs\": [");
	for (int i = 0; i < NODE; i++)
		printf(i ? ", %" PRIu64 : "%" PRIu64, classes[i]);
	puts("]}");
}

static void make_workload(uint64_t wanted)
{
	for (int i = 0; i < 8; i++) {
		char text[8];
		snprintf(text, sizeof(text), "k%d", i);
		keys[i] = put_str(text);
	}
	next_node = allocate(56);
	for (unsigned i = 0; objects < wanted; i++)
		put_group(i);
	put_shaped(NODE, 56, 2, &classes[NODE], 0, next_node);
	uint64_t fields[] = {put_items(LIST, nodes.items, nodes.count, 0),
		put_items(LIST, slots.items, slots.count, 0), put_items(LIST, rows.items, rows.count, 0),
		put_dict(names.items, nodes.items, nodes.count), classes[REGISTRY]};
	registry = put_shaped(REGISTRY, 56, 4, fields, 5, allocate(56));
	put_modules(registry);
}

static void make_list(uint64_t wanted)
{
	uint64_t first = allocate(56), previous = classes[NODE], here = first;

	for (uint64_t i = 0; i < wanted; i++) {
		uint64_t next = i + 1 < wanted ? allocate(56) : classes[NODE];
		uint64_t refs[] = {next, previous, classes[NODE]};
		put_shaped(NODE, 56, 5, refs, 3, here);
		previous = here;
		here = next;
	}
	put_modules(first);
}

int main(int argc, char **argv)
{
	bool list = argc == 3 && !strcmp(argv[1], "list");

	if (argc != 3 || (!list && strcmp(argv[1], "workload") != 0)) {
		fputs("usage: make_dump workload|list N > FILE\n", stderr);
		return 2;
	}
	puts("{\"remora\": 1, \"id\": \"00000000000b5e7d\", \"pid\": 1, \"python\": \"3.11.2\", "
	     "\"hex\": 51053296, \"build\": \"release\", \"exe\": \"/usr/bin/python3.11\", "
	     "\"cmdline\": [\"python3\", \"workload.py\"], \"host\": \"none\", "
	     "\"time\": \"2026-11-20T13:20:00Z\", \"mode\": \"twin\", \"values\": \"short\", \"rss\": 0}");
	put_types();
	if (list)
		make_list(strtoull(argv[2], NULL, 10));
	else
		make_workload(strtoull(argv[2], NULL, 10));
	printf("{\"end\": true, \"id\": \"00000000000b5e7d\", \"objects\": %" PRIu64
	       ", \"references\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"types\": %d, \"roots\": 3, \"shapes\": 5, \"stop_us\": 0, \"gil_us\": 0, "
	       "\"walk_ms\": 0, \"partial\": null}\n", objects, references, bytes, TYPES);
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
