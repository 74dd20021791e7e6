// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Which types have a __del__, by their dicts and those of their bases.
 */
#ifndef RMR_CLI_HEAP_FINALIZERS_H
#define RMR_CLI_HEAP_FINALIZERS_H

#include "cli/heap/edges.h"

/** Sets has[type] for each type number whose instances are finalized; @p has is zeroed before. */
struct rmr_error *rmr_finalizers_find(struct rmr_edges *edges, bool *has) RMR_MUST_CHECK;
/** The object that @p id refers to by the name @p name (".x", "['k']"), or RMR_NO_OBJECT. */
uint32_t rmr_finalizers_child(const struct rmr_heap *heap, uint32_t id, const char *name);

#endif
