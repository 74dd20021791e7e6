// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A leak of a Python program is most often a container that only grows. So: containers with many
 * items of one kind, that no part of holds most of what they hold (the big drop of the dominator
 * tree); with several dumps, those that grew from each to the next.
 */
#include "cli/heap/leaks.h"

#include "attach/cleanup.h"
#include "cli/heap/edges.h"
#include "cli/heap/identity.h"
#include "cli/heap/idset.h"
#include "cli/heap/leaks_internal.h"
#include "cli/heap/paths.h"
#include "cli/heap/text.h"

#include <stdlib.h>
#include <string.h>

enum {
	ITEMS_MIN = 50,       /* one dump: fewer items are no accumulation */
	GROWTH_MIN = 10,      /* several: so many more items at the end */
	SAMPLE = 4096,        /* items whose types are counted */
	TOLD = 64,            /* candidates whose path is looked up */
	LIMIT = 10,
	DROP_PERCENT = 70,    /* what holds more of the whole than this is the better suspect */
	SHARE_MIN = 100,      /* one dump: at least 1/100 of all bytes, */
	OWN_ITEMS_MIN = 100,  /* or so many of the program's own objects */
	ITEM_WEIGHT = 64,     /* bytes that an item counts for, beyond what it holds; */
	WEAK_DIVISOR = 4,
	THREAD_WEIGHT = 16384, /* and a thread, whose stack no object shows */
	LIBRARY_DIVISOR = 50, /* the standard library's own tables are hardly ever the leak; */
	LIBRARY_ITEMS = 20,   /* if so, they grow by so many in each of several intervals, */
	LIBRARY_JUMP = 200,   /* or by so many in one */
	GROWN_TOLD = 3,       /* so many containers that grew in what is none itself are told, */
	GROWN_SHARE = 20,     /* if by at least 1/20 of the objects that came */
	SHARED_PERCENT = 50,  /* so many items that others hold as well are told */
};

struct candidate {
	uint32_t id;
	uint64_t items, retained;
	uint64_t item_growth, byte_growth;
	uint32_t type;     /* most frequent among the items */
	unsigned type_percent;
	uint64_t alike;    /* others with the same path but for indexes */
	double score;
	bool library;      /* it hangs on a module of Python's own library */
	bool garbage;      /* one object that no root reaches */
	bool place, chain, replaced, late, open; /* found by where the dominator tree grew */
	const struct rmr_leak_crowd *crowd; /* not one object but many, which no root reaches */
	char *path, *general;
};

struct leak_work {
	struct rmr_heap *const *heaps;
	struct rmr_dominators *const *dominators;
	size_t dumps;
	const struct rmr_heap *heap; /* the last */
	const struct rmr_dominators *tree;
	struct rmr_edges edges;
	uint64_t total;
	bool comparable;
	struct candidate *items;
	size_t count, room;
	struct rmr_leak_growth growth; /* comparable */
};

static bool can_grow(const struct rmr_heap *heap, uint32_t id)
{
	switch (rmr_heap_builtin(heap, id)) {
	case RMR_BUILTIN_LIST:
	case RMR_BUILTIN_DICT:
	case RMR_BUILTIN_SET:
		return true;
	case RMR_BUILTIN_OTHER:
		/* deque, OrderedDict, numpy arrays of objects, ... but no class of any metaclass */
		return !(heap->flags[id] & RMR_FLAG_MODULE);
	default:
		return false;
	}
}

/* True for a dict whose keys are its values: the interpreter's interned strings. */
static bool is_interned(const struct rmr_heap *heap, uint32_t id)
{
	struct rmr_ids ids = rmr_heap_children(heap, id);
	uint64_t len = rmr_heap_len(heap, id), same = 0;

	if (!(heap->flags[id] & RMR_FLAG_KEYS) || ids.count != 2 * len)
		return false;
	for (uint64_t i = 0; i < len; i++)
		same += ids.ids[i] == ids.ids[len + i];
	return same == len;
}

/* True for what the interpreter itself keeps: dicts of modules and classes, sys.modules. */
static bool is_furniture(struct leak_work *work, uint32_t id)
{
	const struct rmr_heap *heap = work->heap;
	struct rmr_ids referrers = rmr_heap_referrers(heap, id);
	bool only_classes = referrers.count > 0;

	for (uint64_t i = heap->counts.roots ? rmr_heap_first_rooted(heap, id) : UINT64_MAX;
		i < heap->counts.root_references && heap->rooted[i].id == id; i++) {
		enum rmr_root_kind kind = heap->roots[heap->rooted[i].root].kind;
		if (kind == RMR_ROOT_INTERPRETER || kind == RMR_ROOT_STATIC ||
			kind == RMR_ROOT_INTERNED)
			return true;
	}
	if (rmr_heap_builtin(heap, id) != RMR_BUILTIN_DICT)
		return false;
	if (!referrers.count && is_interned(heap, id))
		return true;
	for (uint64_t i = 0; i < referrers.count; i++) {
		uint32_t owner = referrers.ids[i];
		bool class = rmr_heap_flags(heap, owner) & RMR_FLAG_MODULE ||
			rmr_heap_builtin(heap, owner) == RMR_BUILTIN_TYPE;
		only_classes &= class;
		if ((class || rmr_heap_builtin(heap, owner) == RMR_BUILTIN_MODULE) &&
			rmr_edges_dict_of(&work->edges, owner) == id)
			return true;
	}
	/* tp_subclasses and the like. */
	return only_classes;
}

/* Which type most of the items are of, from a sample of them. */
static bool count_types(struct leak_work *work, struct candidate *candidate)
{
	struct rmr_idset counts = {0};
	struct rmr_ids ids = rmr_heap_children(work->heap, candidate->id);
	struct rmr_items items = rmr_names_items(work->heap, candidate->id);
	uint64_t stride = items.count / SAMPLE + 1;
	uint32_t best = 0, seen = 0;
	bool complete = true;

	candidate->type = RMR_NO_TYPE;
	for (uint64_t i = 0; complete && i < items.count; i += stride, seen++) {
		uint32_t type = rmr_heap_type(work->heap,
			ids.ids[items.first + i * items.step]);
		uint32_t count = rmr_idset_get(&counts, type) + 1;
		complete = rmr_idset_set(&counts, type, count);
		if (count > best) {
			best = count;
			candidate->type = type;
		}
	}
	candidate->type_percent = seen ? (unsigned)(100ull * best / seen) : 0;
	rmr_idset_deinit(&counts);
	return complete;
}

/* The same container in an earlier dump of the process: at the same address, of the same type. */
static uint32_t find_before(const struct leak_work *work, size_t dump, uint32_t id)
{
	const struct rmr_heap *heap = work->heaps[dump];
	uint32_t old = rmr_heap_find(heap, rmr_heap_address(work->heap, id));

	if (old == RMR_NO_OBJECT || rmr_heap_is_absent(heap, old) ||
		strcmp(rmr_heap_type_label(heap, old), rmr_heap_type_label(work->heap, id)) != 0)
		return RMR_NO_OBJECT;
	return old;
}

static uint64_t count_items(const struct rmr_heap *heap, uint32_t id)
{
	return rmr_names_items(heap, id).count;
}

/* True if it grew in every interval between two dumps; one made after the first must go on. */
static bool has_grown(const struct leak_work *work, struct candidate *candidate)
{
	uint64_t after = candidate->items, first = 0, bytes = 0;

	for (size_t d = work->dumps - 1; d-- > 0;) {
		uint32_t old = find_before(work, d, candidate->id);
		if (old == RMR_NO_OBJECT && d + 2 >= work->dumps)
			return false;
		if (old == RMR_NO_OBJECT)
			break;
		uint64_t items = count_items(work->heaps[d], old);
		if (items >= after)
			return false;
		after = first = items;
		bytes = rmr_dominators_retained(work->dominators[d], old);
	}
	candidate->item_growth = candidate->items - first;
	candidate->byte_growth = candidate->retained > bytes ? candidate->retained - bytes : 0;
	return candidate->item_growth >= GROWTH_MIN;
}

/* True if one thing that it holds holds nearly all of it: that one is the better suspect. */
static bool is_passage(const struct leak_work *work, const struct candidate *candidate)
{
	uint32_t *children = NULL;
	uint64_t count, total;
	struct rmr_error *err = rmr_dominators_children(work->tree, candidate->id, 1, &children, &count,
		&total);
	bool passage = false;

	if (err) {
		rmr_error_destroy(err);
		return false;
	}
	if (count)
		passage = rmr_dominators_retained(work->tree, children[0]) * 100 >
			candidate->retained * DROP_PERCENT;
	free(children);
	return passage;
}

static bool keep_candidate(struct leak_work *work, const struct candidate *candidate)
{
	if (work->count == work->room) {
		size_t room = work->room ? work->room * 2 : 64;
		struct candidate *items = realloc(work->items, room * sizeof(*items));
		if (!items)
			return false;
		work->items = items;
		work->room = room;
	}
	work->items[work->count++] = *candidate;
	return true;
}

static bool add_candidate(struct leak_work *work, uint32_t id)
{
	struct candidate candidate = {.id = id, .items = count_items(work->heap, id),
		.retained = rmr_dominators_retained(work->tree, id)};

	if (is_furniture(work, id))
		return true;
	if (work->comparable) {
		if (!has_grown(work, &candidate))
			return true;
		candidate.score = (double)candidate.byte_growth +
			ITEM_WEIGHT * (double)candidate.item_growth;
	} else if (is_passage(work, &candidate)) {
		return true;
	}
	if (!count_types(work, &candidate))
		return false;
	/* A set of weak references is a list of what others hold. */
	if (candidate.type != RMR_NO_TYPE && candidate.type_percent > 50 &&
		work->heap->builtins[candidate.type] == RMR_BUILTIN_WEAKREF &&
		rmr_dominators_count(work->tree, id) < candidate.items + candidate.items / 2)
		candidate.score /= WEAK_DIVISOR;
	if (!work->comparable)
		candidate.score = ((double)candidate.retained +
				ITEM_WEIGHT * (double)candidate.items) *
			candidate.type_percent / 100;
	return keep_candidate(work, &candidate);
}

/* The places where the tree grew that are not candidates already, and the crowds. */
static struct rmr_error *add_growth(struct leak_work *work)
{
	struct rmr_leak_dumps dumps = {work->heaps, work->dominators, work->dumps};
	struct rmr_error *err = rmr_leaks_growth(&dumps, &work->growth);
	size_t containers = work->count;
	bool complete = true;

	for (size_t i = 0; !err && complete && i < work->growth.place_count; i++) {
		const struct rmr_leak_place *place = &work->growth.places[i];
		struct candidate candidate = {.id = place->id, .place = true,
			.chain = place->chain, .replaced = place->replaced, .late = place->late,
			.open = place->open,
			.retained = rmr_dominators_retained(work->tree, place->id),
			.item_growth = place->object_growth, .byte_growth = place->byte_growth,
			.score = place->open ? 0 : (double)place->byte_growth, .type = RMR_NO_TYPE};
		bool known = false;
		/* It may be what is at work just now. */
		if (place->late)
			candidate.score /= LIBRARY_DIVISOR;
		for (size_t k = 0; k < containers; k++)
			known |= work->items[k].id == place->id;
		if (known)
			continue;
		if (can_grow(work->heap, place->id) && !place->chain) {
			candidate.items = count_items(work->heap, place->id);
			complete = count_types(work, &candidate);
		}
		complete = complete && keep_candidate(work, &candidate);
	}
	for (size_t i = 0; !err && complete && i < work->growth.crowd_count; i++) {
		const struct rmr_leak_crowd *crowd = &work->growth.crowds[i];
		struct candidate candidate = {.id = crowd->example, .crowd = crowd,
			.items = crowd->count, .retained = crowd->retained,
			.type = crowd->reach == RMR_REACH_ROOT ? RMR_NO_TYPE : crowd->type,
			.type_percent = 100, .item_growth = crowd->count_growth,
			.byte_growth = crowd->byte_growth, .score = (double)crowd->byte_growth};
		if (crowd->reach == RMR_REACH_ROOT)
			candidate.score = (double)crowd->count_growth * THREAD_WEIGHT;
		/* A collection may well be on its way. */
		if (crowd->reach == RMR_REACH_UNREACHABLE)
			candidate.score /= LIBRARY_DIVISOR;
		complete = keep_candidate(work, &candidate);
	}
	return err ? err : complete ? NULL : rmr_heap_ended(work->heap);
}

static bool find_candidates(struct leak_work *work)
{
	const struct rmr_heap *heap = work->heap;
	uint64_t least = work->comparable ? GROWTH_MIN : ITEMS_MIN;

	for (uint32_t id = 0; id < heap->counts.objects; id++) {
		if (rmr_heap_is_interrupted_at(heap, id))
			return false;
		if (rmr_heap_children(heap, id).count < least || !can_grow(heap, id) ||
			count_items(heap, id) < least)
			continue;
		if (!add_candidate(work, id))
			return false;
	}
	return true;
}

static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

/* True if the module's code came with Python: its __file__ tells, or that it has none. */
static bool is_library(struct leak_work *work, uint32_t module)
{
	const struct rmr_heap *heap = work->heap;
	uint32_t dict = rmr_edges_dict_of(&work->edges, module);
	_rmr_free_ char *name = rmr_heap_name(heap, module);
	_rmr_free_ char *file = NULL;

	if (dict == RMR_NO_OBJECT || (name && !strcmp(name, "__main__")))
		return false;
	struct rmr_ids ids = rmr_heap_children(heap, dict);
	struct rmr_names *names;
	struct rmr_error *err = rmr_names_create(heap, dict, &names);
	if (err) {
		rmr_error_destroy(err);
		return false;
	}
	for (uint64_t i = 0; i < ids.count && !file; i++) {
		_rmr_free_ char *text = rmr_names_text(names, i);
		if (text && !strcmp(text, "['__file__']"))
			file = rmr_heap_value(heap, ids.ids[i]);
	}
	rmr_names_destroy(names);
	if (!file)
		return true;
	const char *library = strstr(file, "/lib/python");
	return library && !strstr(library, "-packages/");
}

static bool tell_path(struct leak_work *work, struct candidate *candidate)
{
	struct rmr_paths *paths;
	struct rmr_text general = {0};

	if (candidate->crowd) {
		rmr_text_format(&general, "%d|%u", candidate->crowd->reach, candidate->type);
		candidate->general = rmr_text_take(&general);
		candidate->path = strdup(candidate->crowd->reach == RMR_REACH_UNREACHABLE
			? "<unreachable>"
			: candidate->crowd->reach == RMR_REACH_ROOT ? "<threads>" : "<held by C code>");
		return candidate->path && candidate->general;
	}
	struct rmr_error *err = rmr_paths_find(work->heap, candidate->id, NULL, &paths);

	if (err) {
		rmr_error_destroy(err);
		return false;
	}
	const struct rmr_path *path = &paths->paths[0];
	candidate->library = path->start == RMR_PATH_ROOT && path->count > 1 &&
		rmr_heap_builtin(work->heap, path->steps[1].id) == RMR_BUILTIN_MODULE &&
		is_library(work, path->steps[1].id);
	/* A collection may well be on its way. */
	candidate->garbage = path->start == RMR_PATH_UNREACHABLE && work->heap->counts.roots;
	if (candidate->library || candidate->garbage)
		candidate->score /= LIBRARY_DIVISOR;
	candidate->path = strdup(path->expression);
	bool attribute = true;
	for (size_t i = 0; i < path->count; i++) {
		const char *name = path->steps[i].name ? path->steps[i].name : "";
		/* A module's key, or an attribute's behind .__dict__, is no index. */
		rmr_text_put(&general, *name == '[' && i > 1 && !attribute ? "[*]" : name);
		attribute = !strcmp(name, ".__dict__");
	}
	if (path->start == RMR_PATH_ROOT)
		rmr_text_format(&general, "|%u", path->root);
	else
		rmr_text_format(&general, "|%d %s", path->start,
			rmr_heap_type_label(work->heap, candidate->id));
	candidate->general = rmr_text_take(&general);
	rmr_paths_destroy(paths);
	return candidate->path && candidate->general;
}

/* Do others hold most of the items, too? Their size is then not the container's. */
static bool is_shared(const struct leak_work *work, const struct candidate *candidate)
{
	struct rmr_ids ids = rmr_heap_children(work->heap, candidate->id);
	struct rmr_items items = rmr_names_items(work->heap, candidate->id);
	uint64_t stride = items.count / SAMPLE + 1, seen = 0, shared = 0;

	for (uint64_t i = 0; i < items.count; i += stride, seen++)
		shared += !rmr_dominators_is_above(work->tree, candidate->id,
			ids.ids[items.first + i * items.step]);
	return shared * 100 > seen * SHARED_PERCENT;
}

static void tell_size(const struct leak_work *work, const struct candidate *candidate,
	struct rmr_text *text)
{
	rmr_text_bytes(text, candidate->retained);
	rmr_text_format(text, " alive (%.1f%% of the heap).",
		work->total ? 100.0 * (double)candidate->retained / (double)work->total : 0);
}

/* One object: what it is, what it holds, how large that is. */
static void tell_object(const struct leak_work *work, const struct candidate *candidate,
	const char *label, struct rmr_text *text)
{
	const char *type = rmr_heap_type_label(work->heap, candidate->id);

	rmr_text_format(text, "%s, a%s %s, ", candidate->path, strchr("aeiouAEIO", *type) ? "n" : "",
		type);
	if (candidate->items >= GROWTH_MIN) {
		rmr_text_put(text, "holds ");
		rmr_text_count(text, candidate->items);
		rmr_text_put(text, " objects");
		if (candidate->type_percent > 50)
			rmr_text_format(text, ", %s of type %s",
				candidate->type_percent == 100 ? "all" : "most", label);
		rmr_text_put(text, ", and ");
	} else if (candidate->chain) {
		rmr_text_put(text, "is the first of a long chain, and ");
	}
	rmr_text_put(text, "keeps ");
	tell_size(work, candidate, text);
	if (candidate->items >= GROWTH_MIN && is_shared(work, candidate))
		rmr_text_put(text, " Others refer to most of those objects, too.");
}

static void tell_threads(const struct leak_work *work, const struct candidate *candidate,
	struct rmr_text *text)
{
	rmr_text_put(text, "The process has ");
	rmr_text_count(text, candidate->items);
	rmr_text_put(text, " threads");
	if (candidate->crowd->type != RMR_NO_OBJECT) {
		rmr_text_put(text, "; ");
		rmr_text_count(text, candidate->crowd->alike);
		rmr_text_format(text, " of them are in %s",
			work->heap->roots[candidate->crowd->type].label);
	}
	rmr_text_put(text, ". Each has a stack that no object shows.");
}

/* Many objects that no root reaches. */
static void tell_crowd(const struct leak_work *work, const struct candidate *candidate,
	const char *label, struct rmr_text *text)
{
	bool garbage = candidate->crowd->reach == RMR_REACH_UNREACHABLE;

	rmr_text_count(text, candidate->items);
	rmr_text_format(text, " objects of type %s%s keep ", label,
		garbage ? ", reached by nothing but each other," : ", held by C code only,");
	tell_size(work, candidate, text);
	if (garbage)
		rmr_text_put(text, " They wait for the garbage collector: if they stay, it is "
				   "disabled, or what they hold keeps it from freeing them.");
}

static void tell_growth(const struct leak_work *work, const struct candidate *candidate,
	struct rmr_text *text)
{
	bool is_new = !candidate->crowd && (candidate->place
		? rmr_identity_find(work->heap, candidate->id, work->heaps[0])
		: find_before(work, 0, candidate->id)) == RMR_NO_OBJECT;

	if (!candidate->item_growth && !candidate->byte_growth)
		return;
	if (candidate->replaced) {
		rmr_text_format(text, " It took the place of a smaller one%s, and keeps ",
			work->dumps > 2 ? " from dump to dump" : "");
		rmr_text_bytes(text, candidate->byte_growth);
		rmr_text_format(text, " more%s.", work->dumps > 2 ? " than the first" : "");
		return;
	}
	if (is_new && work->dumps == 2) {
		rmr_text_put(text, " It is new since the first dump.");
		return;
	}
	if (candidate->late) {
		rmr_text_put(text, " It is new since the last dump but one: whether it stays, only "
				   "another dump tells.");
		return;
	}
	rmr_text_format(text, " %s%s grew in %s: by ",
		candidate->crowd ? "Their number"
			: candidate->place && candidate->item_growth > 1 ? "What it keeps" : "It",
		is_new ? " came after the first dump and" : "",
		is_new			  ? "every interval since"
			: work->dumps > 2 ? "every interval between the dumps"
					  : "the time between the dumps");
	bool threads = candidate->crowd && candidate->crowd->reach == RMR_REACH_ROOT;
	if (threads || candidate->item_growth > 1) {
		rmr_text_count(text, candidate->item_growth);
		rmr_text_put(text, threads ? "" : " objects and ");
	}
	if (!threads)
		rmr_text_bytes(text, candidate->byte_growth);
	rmr_text_put(text, " in all.");
}

/*
 * A place that is no container of what came: which containers in it grew. Where two of them index the same
 * objects, neither keeps them alive, and only what holds both is a suspect.
 */
static void tell_grown(const struct leak_work *work, const struct candidate *place,
	struct rmr_text *text)
{
	unsigned told = 0;

	for (size_t i = 0; i < work->count && told < GROWN_TOLD; i++) {
		const struct candidate *inner = &work->items[i];
		if (!inner->path || inner->place || inner->crowd ||
			inner->item_growth * GROWN_SHARE < place->item_growth ||
			!rmr_dominators_is_above(work->tree, place->id, inner->id))
			continue;
		rmr_text_format(text, "%s%s by ", told++ ? ", " : " What grew in it: ", inner->path);
		rmr_text_count(text, inner->item_growth);
		rmr_text_put(text, " objects");
	}
	if (told)
		rmr_text_put(text, ".");
}

static char *tell_prose(const struct leak_work *work, const struct candidate *candidate)
{
	struct rmr_text text = {0};
	const char *label = candidate->type == RMR_NO_TYPE
		? "<absent>"
		: work->heap->types[candidate->type].label;

	if (candidate->crowd && candidate->crowd->reach == RMR_REACH_ROOT)
		tell_threads(work, candidate, &text);
	else if (candidate->crowd)
		tell_crowd(work, candidate, label, &text);
	else
		tell_object(work, candidate, label, &text);
	tell_growth(work, candidate, &text);
	if (candidate->place && candidate->items < GROWTH_MIN)
		tell_grown(work, candidate, &text);
	if (candidate->alike) {
		rmr_text_put(&text, " ");
		rmr_text_count(&text, candidate->alike);
		rmr_text_put(&text, candidate->alike == 1
				? " other like it hangs in the same place."
				: " others like it hang in the same place.");
	}
	if (!candidate->crowd && !rmr_leaks_tell_inside(work->heap, work->tree, candidate->id, &text))
		rmr_text_deinit(&text);
	return rmr_text_take(&text);
}

/* Is it inside of one that was chosen before, or like one but for an index? */
static bool is_covered(const struct leak_work *work, struct candidate **chosen, size_t count,
	const struct candidate *candidate)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(chosen[i]->general, candidate->general)) {
			chosen[i]->alike++;
			return true;
		}
		if (chosen[i]->crowd || candidate->crowd)
			continue;
		if (rmr_dominators_is_above(work->tree, chosen[i]->id, candidate->id))
			return true;
		/* The rest of what it grew by is not worth a second suspect. */
		if (candidate->place &&
			rmr_dominators_is_above(work->tree, candidate->id, chosen[i]->id) &&
			(candidate->open || chosen[i]->byte_growth * 2 > candidate->byte_growth))
			return true;
	}
	return false;
}

/* True for classes of the program and what it installs, not of Python's own library. */
static bool is_own_type(struct leak_work *work, uint32_t type)
{
	const struct rmr_heap *heap = work->heap;
	const char *module = type == RMR_NO_TYPE ? NULL : heap->types[type].module;

	if (!module || heap->types[type].label == heap->types[type].name)
		return false;
	for (uint32_t id = 0; id < heap->counts.objects; id++) {
		if (rmr_heap_builtin(heap, id) != RMR_BUILTIN_MODULE)
			continue;
		_rmr_free_ char *name = rmr_heap_name(heap, id);
		if (name && !strcmp(name, module))
			return !is_library(work, id);
	}
	return false;
}

/* Many of the program's objects, or of callbacks, in one place are worth a look if small, too. */
static bool is_own_crowd(struct leak_work *work, const struct candidate *candidate)
{
	/* A table of what others hold keeps nothing of it alive. */
	if (candidate->items < OWN_ITEMS_MIN || candidate->type_percent < 90 ||
		candidate->type == RMR_NO_TYPE || candidate->library || is_shared(work, candidate))
		return false;
	return !strcmp(work->heap->types[candidate->type].label, "method") ||
		is_own_type(work, candidate->type);
}

static bool is_worth_telling(struct leak_work *work, const struct candidate *candidate)
{
	if (work->comparable && candidate->garbage)
		return candidate->byte_growth * SHARE_MIN >= work->total;
	/* What comes and goes in a bounded cache is no growth. */
	if (work->comparable && candidate->library && candidate->place &&
		candidate->items >= GROWTH_MIN)
		return false;
	if (work->comparable && candidate->library)
		return work->dumps > 2 ? candidate->item_growth >= LIBRARY_ITEMS
				       : !candidate->place && candidate->item_growth >= LIBRARY_JUMP;
	if (work->comparable)
		return candidate->place || candidate->crowd ||
			candidate->score >= ITEM_WEIGHT * GROWTH_MIN;
	return (candidate->score * SHARE_MIN >= (double)work->total &&
		       candidate->retained * SHARE_MIN >= work->total) ||
		is_own_crowd(work, candidate);
}

static bool tell(struct leak_work *work, size_t limit, struct rmr_leaks *leaks)
{
	struct candidate *chosen[TOLD];
	size_t told = work->count < TOLD ? work->count : TOLD, count = 0;
	struct rmr_text text = {0};

	if (work->count)
		qsort(work->items, work->count, sizeof(*work->items), compare_candidates);
	for (size_t i = 0; i < told; i++) {
		if (rmr_heap_is_interrupted(work->heap))
			return false;
		if (!tell_path(work, &work->items[i]))
			return false;
	}
	if (told)
		qsort(work->items, told, sizeof(*work->items), compare_candidates);
	for (size_t i = 0; i < told; i++) {
		if (is_worth_telling(work, &work->items[i]) &&
			!is_covered(work, chosen, count, &work->items[i]) && count < limit)
			chosen[count++] = &work->items[i];
	}
	leaks->leaks = calloc(count + 1, sizeof(*leaks->leaks));
	for (size_t i = 0; leaks->leaks && i < count; i++) {
		const struct candidate *candidate = chosen[i];
		const char *label = candidate->type == RMR_NO_TYPE
			? "<absent>"
			: work->heap->types[candidate->type].label;
		struct rmr_leak *leak = &leaks->leaks[leaks->count++];
		*leak = (struct rmr_leak){.accumulation = candidate->id,
			.path = strdup(candidate->path), .retained = candidate->retained,
			.share = work->total ? (double)candidate->retained / (double)work->total : 0,
			.children = candidate->items, .child_type = strdup(label),
			.growth = candidate->byte_growth, .score = candidate->score,
			.prose = tell_prose(work, candidate)};
		if (!leak->path || !leak->child_type || !leak->prose)
			return false;
	}
	rmr_text_format(&text, "%zu dump%s, ", work->dumps, work->dumps == 1 ? "" : "s");
	rmr_text_count(&text, work->heap->counts.objects);
	rmr_text_format(&text, " objects%s", work->dumps == 1 ? "" : " in the last");
	if (work->dumps > 1 && !work->comparable)
		rmr_text_put(&text, ", of different processes: only the last was looked at");
	rmr_text_put(&text, "; ");
	if (count)
		rmr_text_count(&text, count);
	rmr_text_format(&text, "%s suspect%s that ", count ? "" : "no", count == 1 ? "" : "s");
	if (work->comparable)
		rmr_text_put(&text, "grew from each dump to the next.");
	else
		rmr_text_format(&text, "hold%s much. %s only a second dump tells.",
			count == 1 ? "s" : "",
			!count			? "What grows,"
				: count == 1 ? "Whether it grows, or is just a large table,"
					     : "Which of them grows, and which is just a large table,");
	leaks->prose = rmr_text_take(&text);
	return leaks->leaks && leaks->prose;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool are_comparable(const struct leak_work *work)
{
	const struct rmr_heap_facts *last = &work->heap->facts;

	for (size_t d = 0; d + 1 < work->dumps; d++) {
		const struct rmr_heap_facts *facts = &work->heaps[d]->facts;
		if (facts->pid != last->pid || !same(facts->host, last->host) ||
			!same(facts->exe, last->exe))
			return false;
	}
	return work->dumps > 1;
}

struct rmr_error *rmr_leaks_find(struct rmr_heap *const *heaps,
	struct rmr_dominators *const *dominators, size_t count, size_t limit, struct rmr_leaks **ret)
{
	struct leak_work work = {.heaps = heaps, .dominators = dominators, .dumps = count};
	struct rmr_error *err = NULL;

	if (!count)
		return rmr_error_create(RMR_E_USAGE, 0, "leaks needs a dump");
	work.heap = heaps[count - 1];
	work.tree = dominators[count - 1];
	work.total = rmr_dominators_retained(work.tree, rmr_dominators_top(work.tree));
	work.comparable = are_comparable(&work);
	for (size_t d = 0; !err && d < count; d++)
		err = rmr_heap_verify(heaps[d]);
	if (!err)
		err = rmr_edges_create(work.heap, &work.edges);
	if (err)
		return err;
	struct rmr_leaks *leaks = calloc(1, sizeof(*leaks));
	if (!leaks || !find_candidates(&work))
		err = rmr_heap_ended(work.heap);
	if (!err && work.comparable)
		err = add_growth(&work);
	if (!err && !tell(&work, limit ? limit : LIMIT, leaks))
		err = rmr_heap_ended(work.heap);
	for (size_t i = 0; i < work.count; i++) {
		free(work.items[i].path);
		free(work.items[i].general);
	}
	free(work.items);
	rmr_leaks_growth_deinit(&work.growth);
	rmr_edges_destroy(&work.edges);
	if (err)
		rmr_leaks_destroy(leaks);
	else
		*ret = leaks;
	return err;
}

void rmr_leaks_destroy(struct rmr_leaks *leaks)
{
	if (!leaks)
		return;
	for (size_t i = 0; leaks->leaks && i < leaks->count; i++) {
		free(leaks->leaks[i].path);
		free(leaks->leaks[i].child_type);
		free(leaks->leaks[i].prose);
	}
	free(leaks->leaks);
	free(leaks->prose);
	free(leaks);
}
