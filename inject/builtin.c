// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/builtin.h"

#include <string.h>

// One RMR_BUILTIN(name) for each file of payloads/python, by name; made by CMake.
#define RMR_BUILTIN(name) extern const char rmr_builtin_##name[], rmr_builtin_##name##_end[];
#include "builtins.inc"
#undef RMR_BUILTIN

enum {
#define RMR_BUILTIN(name) INDEX_##name,
#include "builtins.inc"
#undef RMR_BUILTIN
	COUNT
};

const struct rmr_builtin *rmr_builtin_list(size_t *count_ret)
{
	static struct rmr_builtin list[COUNT];

#define RMR_BUILTIN(id)                                                                            \
	list[INDEX_##id] = (struct rmr_builtin){#id, rmr_builtin_##id,                             \
		(size_t)(rmr_builtin_##id##_end - rmr_builtin_##id)};
#include "builtins.inc"
#undef RMR_BUILTIN
	*count_ret = COUNT;
	return list;
}

const struct rmr_builtin *rmr_builtin_find(const char *name)
{
	size_t count;
	const struct rmr_builtin *list = rmr_builtin_list(&count);

	for (size_t i = 0; i < count; i++) {
		if (!strcmp(list[i].name, name))
			return &list[i];
	}
	return NULL;
}

void rmr_builtin_summary(const struct rmr_builtin *builtin, char *text, size_t size)
{
	const char *start = builtin->source;
	size_t length = 0;

	if (!strncmp(start, "\"\"\"", 3)) {
		start += 3;
		length = strcspn(start, "\n");
		if (length >= 3 && !strncmp(start + length - 3, "\"\"\"", 3))
			length -= 3;
	}
	if (length >= size)
		length = size - 1;
	memcpy(text, start, length);
	text[length] = 0;
}
