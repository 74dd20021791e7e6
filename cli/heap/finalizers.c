// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/finalizers.h"

#include "cli/heap/idset.h"

#include <stdlib.h>
#include <string.h>

enum { NO = 1, YES = 2, BASES_MAX = 64 };

uint32_t rmr_finalizers_child(const struct rmr_heap *heap, uint32_t id, const char *name)
{
	struct rmr_ids ids = rmr_heap_children(heap, id);
	struct rmr_names *names;
	uint32_t found = RMR_NO_OBJECT;
	struct rmr_error *err = rmr_names_create(heap, id, &names);

	if (err) {
		rmr_error_destroy(err);
		return RMR_NO_OBJECT;
	}
	for (uint64_t i = 0; i < ids.count && found == RMR_NO_OBJECT; i++) {
		char *text = rmr_names_text(names, i);
		if (text && !strcmp(text, name))
			found = ids.ids[i];
		free(text);
	}
	rmr_names_destroy(names);
	return found;
}

/* True if the class's own dict has a __del__. What is known is kept in the set. */
static bool own_finalizer(struct rmr_edges *edges, uint32_t class, struct rmr_idset *known)
{
	uint32_t state = rmr_idset_get(known, class);

	if (!state) {
		uint32_t dict = rmr_edges_dict_of(edges, class);
		bool has = dict != RMR_NO_OBJECT &&
			rmr_finalizers_child(edges->heap, dict, "['__del__']") != RMR_NO_OBJECT;
		state = has ? YES : NO;
		if (!rmr_idset_set(known, class, state))
			return has;
	}
	return state == YES;
}

/* The classes that a class inherits from, as its __mro__ or, without that, its __base__ tells. */
static bool inherited_finalizer(struct rmr_edges *edges, uint32_t class, struct rmr_idset *known)
{
	const struct rmr_heap *heap = edges->heap;
	uint32_t mro = rmr_finalizers_child(heap, class, ".__mro__");

	if (mro != RMR_NO_OBJECT) {
		struct rmr_ids ids = rmr_heap_children(heap, mro);
		for (uint64_t i = 0; i < ids.count; i++) {
			if (own_finalizer(edges, ids.ids[i], known))
				return true;
		}
		return false;
	}
	for (unsigned i = 0; i < BASES_MAX && class != RMR_NO_OBJECT; i++) {
		if (own_finalizer(edges, class, known))
			return true;
		class = rmr_finalizers_child(heap, class, ".__base__");
	}
	return false;
}

struct rmr_error *rmr_finalizers_find(struct rmr_edges *edges, bool *has)
{
	const struct rmr_heap *heap = edges->heap;
	struct rmr_idset known = {0};

	for (uint32_t type = 0; type < heap->counts.types; type++) {
		uint32_t class = heap->types[type].class_id;
		/* Built-in types have no __del__, and are most of them. */
		if (class == RMR_NO_OBJECT || heap->types[type].label == heap->types[type].name)
			continue;
		has[type] = own_finalizer(edges, class, &known) ||
			inherited_finalizer(edges, class, &known);
	}
	rmr_idset_deinit(&known);
	return NULL;
}
