// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/linkmap.h"

enum { MAX_FILES = 65536 };

/* struct r_debug and the first fields of struct link_map, <link.h>: the same since glibc 2.0. */
struct loader_debug {
	int version; /* 0 until the list is there */
	rmr_addr_t first;
	rmr_addr_t function;
	int state; /* RT_CONSISTENT is 0 */
	rmr_addr_t base;
};

struct loader_file {
	rmr_addr_t bias;
	rmr_addr_t name;
	rmr_addr_t dynamic;
	rmr_addr_t next;
};

static rmr_addr_t find_in(const struct rmr_target *target, struct rmr_module *module)
{
	const struct rmr_image *image =
		module && module->executable ? rmr_target_image(target, module) : NULL;

	return image ? rmr_image_symbol(image, "_r_debug", NULL) : 0;
}

/* Only the loader has it: it knows all lists, and this is the first of them. */
static rmr_addr_t find_list(const struct rmr_target *target)
{
	rmr_addr_t found = find_in(target, rmr_target_module(target, target->loader));

	/* A program that was started through the loader has that as its main file. */
	for (size_t i = 0; !found && i < target->module_count; i++)
		found = find_in(target, &target->modules[i]);
	return found;
}

bool rmr_linkmap_is_changing(const struct rmr_target *target)
{
	rmr_addr_t list = find_in(target, rmr_target_module(target, target->loader));
	struct loader_debug debug;

	return list && rmr_target_reader((void *)(uintptr_t)target, list, &debug, sizeof(debug)) &&
	       (!debug.version || !debug.first || debug.state);
}

bool rmr_linkmap_has(const struct rmr_target *target, struct rmr_module *module)
{
	const struct rmr_image *image = rmr_target_image(target, module);
	rmr_addr_t list = find_list(target);
	struct loader_debug debug;
	struct loader_file file;

	if (!image || !list || !rmr_target_reader((void *)target, list, &debug, sizeof(debug)))
		return false;
	file.next = debug.first;
	for (int i = 0; i < MAX_FILES && file.next; i++) {
		if (!rmr_target_reader((void *)target, file.next, &file, sizeof(file)))
			return false;
		if (file.bias == rmr_image_bias(image))
			return true;
	}
	return false;
}
