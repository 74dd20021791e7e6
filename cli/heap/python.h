// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * What Python itself makes of the steps of a path: whether an attribute or an item that is written
 * out gives the object that the reference leads to. Classes may see to it that it does not.
 */
#ifndef RMR_CLI_HEAP_PYTHON_H
#define RMR_CLI_HEAP_PYTHON_H

#include "cli/heap/edges.h"

/**
 * Is `.__dict__['x']` of @p owner, of which @p value is the value, `.x` for Python? Not where the
 * class has a descriptor of that name that comes first, nor where it makes something else of what
 * the dict holds: of a staticmethod its function, of a classmethod a method.
 * @param owner  RMR_NO_OBJECT: what a root holds
 * @param key    the name of the dict's reference, "['x']"
 * @param length_ret  the length of x, which starts at key + 2
 */
bool rmr_python_folds(struct rmr_edges *edges, uint32_t owner, uint32_t value, const char *key,
	size_t *length_ret);

/** True if Python finds what the reference @p name of @p owner (RMR_NO_OBJECT: of a root) leads to. */
bool rmr_python_finds(struct rmr_edges *edges, uint32_t owner, const char *name);

#endif
