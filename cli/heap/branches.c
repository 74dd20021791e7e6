// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/branches.h"

#include "cli/heap/edges.h"
#include "cli/heap/positions.h"

enum { OWNER_ASKED = 10000 };

/* The module or instance whose __dict__ it is: the most telling referrer of a dict. */
static struct rmr_error *find_owner(struct rmr_branches *branches)
{
	struct rmr_edges edges;
	struct rmr_error *err = rmr_edges_create(branches->heap, &edges);

	if (err)
		return err;
	for (uint64_t i = 0; i < branches->ids.count && i < OWNER_ASKED; i++) {
		if (rmr_edges_dict_of(&edges, branches->ids.ids[i]) == branches->id) {
			branches->owner = branches->ids.ids[i];
			break;
		}
	}
	rmr_edges_destroy(&edges);
	return NULL;
}

struct rmr_error *rmr_branches_init(struct rmr_branches *branches, const struct rmr_heap *heap,
	uint32_t id, bool up)
{
	enum rmr_builtin builtin = rmr_heap_builtin(heap, id);

	*branches = (struct rmr_branches){.heap = heap, .id = id, .up = up, .owner = RMR_NO_OBJECT};
	if (up) {
		branches->ids = rmr_heap_referrers(heap, id);
		branches->rooted = rmr_heap_first_rooted(heap, id);
		return builtin == RMR_BUILTIN_DICT ? find_owner(branches) : NULL;
	}
	branches->ids = rmr_heap_children(heap, id);
	branches->backwards = (builtin == RMR_BUILTIN_LIST || builtin == RMR_BUILTIN_TUPLE) &&
		branches->ids.count == rmr_heap_len(heap, id);
	return rmr_names_create(heap, id, &branches->names);
}

void rmr_branches_deinit(struct rmr_branches *branches)
{
	rmr_names_destroy(branches->names);
	branches->names = NULL;
}

/* The next root that refers to the object, each once. */
static bool next_root(struct rmr_branches *branches, uint32_t *root_ret)
{
	const struct rmr_heap *heap = branches->heap;

	for (;; branches->rooted++) {
		uint64_t at = branches->rooted;
		if (at >= heap->counts.root_references || heap->rooted[at].id != branches->id)
			return false;
		uint32_t root = heap->rooted[at].root;
		bool again = at && heap->rooted[at - 1].id == branches->id &&
			heap->rooted[at - 1].root == root;
		if (again || root >= heap->counts.roots)
			continue;
		*root_ret = root;
		branches->rooted++;
		return true;
	}
}

static char *root_reference_name(const struct rmr_heap *heap, uint32_t root, uint32_t id)
{
	struct rmr_ids ids = heap->roots[root].refs;

	for (uint64_t i = 0; i < ids.count; i++) {
		if (ids.ids[i] == id)
			return rmr_heap_root_name(heap, root, i);
	}
	return NULL;
}

/* The name of the first reference from source to the object that has one. */
static char *referrer_name(const struct rmr_branches *branches, uint32_t source)
{
	const struct rmr_heap *heap = branches->heap;
	struct rmr_names *names;
	struct rmr_error *err = rmr_names_create(heap, source, &names);
	char *name = NULL;

	if (err) {
		rmr_error_destroy(err);
		return NULL;
	}
	uint64_t at = rmr_positions_find(heap, source, branches->id, 0);
	while (at != UINT64_MAX && !(name = rmr_names_text(names, at)))
		at = rmr_positions_find(heap, source, branches->id, at + 1);
	rmr_names_destroy(names);
	return name;
}

static bool next_referrer(struct rmr_branches *branches, struct rmr_branch *ret)
{
	uint32_t root;

	if (next_root(branches, &root)) {
		if (ret)
			*ret = (struct rmr_branch){RMR_NO_OBJECT, root,
				root_reference_name(branches->heap, root, branches->id)};
		return true;
	}
	uint32_t source = branches->owner;
	if (source == RMR_NO_OBJECT || branches->owner_passed) {
		const uint32_t *ids = branches->ids.ids;
		while (branches->at < branches->ids.count &&
			((branches->at && ids[branches->at] == ids[branches->at - 1]) ||
				ids[branches->at] == branches->owner ||
				ids[branches->at] >= branches->heap->counts.objects))
			branches->at++;
		if (branches->at >= branches->ids.count)
			return false;
		source = ids[branches->at++];
	}
	branches->owner_passed = true;
	if (ret)
		*ret = (struct rmr_branch){source, RMR_NO_OBJECT, referrer_name(branches, source)};
	return true;
}

/* True for a key that is a mere value, and for what an index file invents. */
static bool is_left_out(const struct rmr_branches *branches, uint64_t index)
{
	const struct rmr_heap *heap = branches->heap;
	uint32_t id = branches->ids.ids[index];

	/* RMR_NO_OBJECT would be taken for a root. */
	if (id >= rmr_heap_id_end(heap))
		return true;
	return rmr_names_is_key(branches->names, index) && id < heap->counts.objects &&
		!rmr_heap_children(heap, id).count;
}

bool rmr_branches_next(struct rmr_branches *branches, struct rmr_branch *ret)
{
	if (branches->up)
		return next_referrer(branches, ret);
	uint64_t index, count = branches->ids.count;
	do {
		if (branches->at >= count)
			return false;
		index = branches->backwards ? count - 1 - branches->at : branches->at;
		branches->at++;
	} while (is_left_out(branches, index));
	if (ret)
		*ret = (struct rmr_branch){branches->ids.ids[index], RMR_NO_OBJECT,
			rmr_names_text(branches->names, index)};
	return true;
}

uint64_t rmr_branches_left(const struct rmr_branches *branches)
{
	struct rmr_branches copy = *branches;
	uint64_t left = 0;

	while (rmr_branches_next(&copy, NULL))
		left++;
	return left;
}
