// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The Python payloads that come with remora: payloads/python/NAME.py, embedded. */
#ifndef RMR_INJECT_BUILTIN_H
#define RMR_INJECT_BUILTIN_H

#include <stddef.h>

struct rmr_builtin {
	const char *name;
	const char *source; /**< size bytes, then a NUL */
	size_t size;
};

/** All of them, by name; *count_ret of them. Static. */
const struct rmr_builtin *rmr_builtin_list(size_t *count_ret);

/** The one called @p name, or NULL. */
const struct rmr_builtin *rmr_builtin_find(const char *name);

/** Copies its summary (the first line of its docstring) into @p text, cut to @p size bytes. */
void rmr_builtin_summary(const struct rmr_builtin *builtin, char *text, size_t size);

#endif
