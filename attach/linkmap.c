// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/linkmap.h"

enum { MAX_FILES = 65536 };

/* The first fields of struct r_debug and struct link_map, <link.h>: the same since glibc 2.0. */
struct loader_debug {
	int version;
	rmr_addr_t first;
};

struct loader_file {
	rmr_addr_t bias;
	rmr_addr_t name;
	rmr_addr_t dynamic;
	rmr_addr_t next;
};

/* Only the loader has it: it knows all lists, and this is the first of them. */
static rmr_addr_t find_list(const struct rmr_target *target)
{
	for (size_t i = 0; i < target->module_count; i++) {
		struct rmr_module *module = &target->modules[i];
		const struct rmr_image *image =
			module->executable ? rmr_target_image(target, module) : NULL;
		rmr_addr_t found = image ? rmr_image_symbol(image, "_r_debug", NULL) : 0;
		if (found)
			return found;
	}
	return 0;
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
