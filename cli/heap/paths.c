// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/paths.h"

#include "attach/cleanup.h"
#include "cli/heap/edges.h"
#include "cli/heap/parallel.h"
#include "cli/heap/python.h"
#include "cli/heap/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
	LABEL_MAX = 100,
	RUN_MIN = 16,  /* so many steps of one name in a row are told by their number, */
	RUN_SHOWN = 3, /* but for the first */
};

/* A way in: where the search backwards from the object met something that starts a path. */
struct hit {
	uint32_t id;      /* the object that the path starts with */
	uint32_t module;  /* where that is sys.modules: its value, the step after; or NO_OBJECT */
	uint32_t root;
	uint64_t reference; /* of the root */
	uint64_t length;
	enum rmr_path_start start;
};

/* A breadth-first search from the object to its referrers, and theirs. */
struct search {
	const struct rmr_heap *heap;
	struct rmr_edges edges;
	uint32_t target, modules; /* modules: the dict sys.modules, or RMR_NO_OBJECT */
	uint32_t modules_root;
	size_t limit;
	uint32_t *next;   /* of each id met: the next one on the way to the target, + 1 */
	uint8_t *marks;   /* of each id: MARK_* */
	uint32_t *queue;
	size_t queued, taken, room;
	struct hit *hits;
	size_t hit_count, hit_room;
	bool ended; /* no memory, or interrupted */
	/* What to keep out. */
	bool *avoid_types;
	bool avoid_weak;
};

enum {
	MARK_ROOTED = 1, /* a root refers to it */
	MARK_MODULE = 2, /* a value of sys.modules */
	MARK_AVOID = 4,
};

static bool search_push(struct search *search, uint32_t id)
{
	if (search->queued == search->room) {
		size_t room = search->room ? search->room * 2 : 1024;
		uint32_t *queue = realloc(search->queue, room * sizeof(*queue));
		if (!queue) {
			search->ended = true;
			return false;
		}
		search->queue = queue;
		search->room = room;
	}
	search->queue[search->queued++] = id;
	return true;
}

static void search_hit(struct search *search, struct hit hit)
{
	if (search->hit_count == search->hit_room) {
		size_t room = search->hit_room ? search->hit_room * 2 : 16;
		struct hit *hits = realloc(search->hits, room * sizeof(*hits));
		if (!hits) {
			search->ended = true;
			return;
		}
		search->hits = hits;
		search->hit_room = room;
	}
	search->hits[search->hit_count++] = hit;
}

/*
 * True for what starts a path only where nothing else does: static objects, and what a frame holds
 * beside its locals (its function, its globals), which modules lead to under better names.
 */
static bool is_last_resort(const struct rmr_heap *heap, uint32_t number, uint64_t reference)
{
	const struct rmr_root *root = &heap->roots[number];

	if (root->kind != RMR_ROOT_FRAME)
		return root->kind == RMR_ROOT_STATIC;
	/* Up to 3.10, the frame is an object, and its references are the locals. */
	if (rmr_heap_builtin(heap, root->refs.ids[reference]) == RMR_BUILTIN_FRAME)
		return false;
	_rmr_free_ char *name = rmr_heap_root_name(heap, number, reference);
	return !name || *name == '<' || !strncmp(name, ".f_", 3);
}

/* Notes the roots that refer to an id, the good ones or those of the last resort. */
static void search_roots(struct search *search, uint32_t id, bool last, uint64_t length)
{
	const struct rmr_heap *heap = search->heap;

	for (uint64_t i = rmr_heap_first_rooted(heap, id);
		i < heap->counts.root_references && heap->rooted[i].id == id; i++) {
		uint32_t number = heap->rooted[i].root;
		if (number >= heap->counts.roots || (i && heap->rooted[i - 1].id == id &&
				heap->rooted[i - 1].root == number))
			continue;
		const struct rmr_root *root = &heap->roots[number];
		for (uint64_t k = 0; k < root->refs.count; k++) {
			if (root->refs.ids[k] != id || is_last_resort(heap, number, k) != last)
				continue;
			search_hit(search, (struct hit){id, RMR_NO_OBJECT, number, k,
				length, RMR_PATH_ROOT});
			break;
		}
	}
}

static bool search_avoids(const struct search *search, uint32_t id)
{
	uint32_t type = rmr_heap_type(search->heap, id);

	if (search->marks[id] & MARK_AVOID)
		return true;
	if (search->avoid_weak && (rmr_heap_flags(search->heap, id) & RMR_FLAG_WEAK ||
			rmr_heap_builtin(search->heap, id) == RMR_BUILTIN_WEAKREF))
		return true;
	return search->avoid_types && type != RMR_NO_TYPE && search->avoid_types[type];
}

/* Meets the referrers of an id that were not met before. */
static void search_expand(struct search *search, uint32_t id, bool named)
{
	struct rmr_ids referrers = rmr_heap_referrers(search->heap, id);
	uint32_t before = RMR_NO_OBJECT;

	for (uint64_t i = 0; i < referrers.count && !search->ended; i++) {
		uint32_t source = referrers.ids[i];
		if (source == before || source >= search->heap->counts.objects ||
			search->next[source])
			continue;
		before = source;
		if (rmr_heap_is_weak_table(search->heap, source))
			continue;
		search->ended |= rmr_heap_is_interrupted_at(search->heap, i);
		if (search_avoids(search, source))
			continue;
		if (named && rmr_edges_named(&search->edges, source, id) == UINT64_MAX)
			continue;
		search->next[source] = id + 1;
		search_push(search, source);
	}
}

static unsigned hit_order(const struct rmr_heap *heap, const struct hit *hit)
{
	if (hit->start != RMR_PATH_ROOT)
		return 0;
	switch (heap->roots[hit->root].kind) {
	case RMR_ROOT_INTERPRETER:
		return 0;
	case RMR_ROOT_FRAME:
		return 1;
	case RMR_ROOT_THREAD:
		return 2;
	default:
		return 3;
	}
}

/*
 * Notes what starts a path at this level. The modules of sys.modules are entries of their own: the
 * dict would be met once only, and the paths by other modules not be found.
 */
static void search_enter(struct search *search, uint32_t id, uint64_t length)
{
	if (search->marks[id] & MARK_ROOTED)
		search_roots(search, id, false, length);
	/* sys.modules['app'] is one thing to read, and its __dict__ is not seen: two steps less. */
	if (search->marks[id] & MARK_MODULE)
		search_hit(search, (struct hit){search->modules, id, search->modules_root, 0,
			length ? length - 1 : 0, RMR_PATH_ROOT});
}

/* True if no level after this one can find a path that comes before those that are wanted. */
static bool search_is_done(const struct search *search, uint64_t length)
{
	size_t sure = 0;

	for (size_t i = 0; i < search->hit_count; i++)
		sure += search->hits[i].length < length ||
			(search->hits[i].length == length &&
				!hit_order(search->heap, &search->hits[i]));
	return sure >= search->limit;
}

/* One search, level after level. */
static void search_run(struct search *search, bool named)
{
	const struct rmr_heap *heap = search->heap;

	search_push(search, search->target);
	search->next[search->target] = search->target + 1;
	for (uint64_t length = 0; search->taken < search->queued && !search->ended; length++) {
		size_t end = search->queued;
		for (size_t i = search->taken; i < end; i++)
			search_enter(search, search->queue[i], length);
		if (search_is_done(search, length))
			return;
		for (; search->taken < end && !search->ended; search->taken++) {
			uint32_t id = search->queue[search->taken];
			search->ended |= rmr_heap_is_interrupted_at(heap, search->taken);
			if (id == search->target ||
				(id != search->modules && !(search->marks[id] & MARK_MODULE)))
				search_expand(search, id, named);
		}
	}
}

/* When no root leads to it: the last resorts, then what C holds, then the object alone. */
static void search_rest(struct search *search)
{
	const struct rmr_heap *heap = search->heap;

	for (size_t i = 0; i < search->queued && !search->hit_count; i++) {
		if (search->marks[search->queue[i]] & MARK_ROOTED)
			search_roots(search, search->queue[i], true, 0);
	}
	for (size_t i = 0; i < search->queued && !search->hit_count; i++) {
		if (rmr_heap_is_kept(heap, search->queue[i]))
			search_hit(search, (struct hit){search->queue[i], RMR_NO_OBJECT,
				RMR_NO_OBJECT, 0, 0, RMR_PATH_HELD_BY_C});
	}
	/* A dump without roots: its modules are as good. */
	for (size_t i = 0; i < search->queued && !search->hit_count && !heap->counts.roots; i++) {
		if (rmr_heap_builtin(heap, search->queue[i]) == RMR_BUILTIN_MODULE)
			search_hit(search, (struct hit){search->queue[i], RMR_NO_OBJECT,
				RMR_NO_OBJECT, 0, 0, RMR_PATH_UNREACHABLE});
	}
	if (!search->hit_count)
		search_hit(search, (struct hit){search->target, RMR_NO_OBJECT, RMR_NO_OBJECT, 0,
			0, RMR_PATH_UNREACHABLE});
}

static void mark_modules(struct search *search)
{
	const struct rmr_heap *heap = search->heap;

	search->modules = RMR_NO_OBJECT;
	for (uint32_t i = 0; i < heap->counts.roots; i++) {
		const struct rmr_root *root = &heap->roots[i];
		if (root->kind != RMR_ROOT_INTERPRETER || strcmp(root->label, "sys.modules") != 0 ||
			!root->refs.count || rmr_heap_is_absent(heap, root->refs.ids[0]))
			continue;
		search->modules = root->refs.ids[0];
		search->modules_root = i;
		struct rmr_ids ids = rmr_heap_children(heap, search->modules);
		for (uint64_t k = 0; k < ids.count; k++) {
			if (rmr_heap_builtin(heap, ids.ids[k]) == RMR_BUILTIN_MODULE)
				search->marks[ids.ids[k]] |= MARK_MODULE;
		}
		return;
	}
}

static void mark_roots(struct search *search)
{
	const struct rmr_heap *heap = search->heap;

	for (uint64_t i = 0; i < heap->counts.root_references; i++) {
		uint32_t root = heap->rooted[i].root, id = heap->rooted[i].id;
		if (root < heap->counts.roots && id < rmr_heap_id_end(heap))
			search->marks[id] |= MARK_ROOTED;
	}
	mark_modules(search);
}

static struct rmr_error *avoid_word(struct search *search, const char *word)
{
	const struct rmr_heap *heap = search->heap;
	bool found = false;
	char *end;

	if (!strcmp(word, "weak")) {
		search->avoid_weak = true;
		return NULL;
	}
	if (isdigit((unsigned char)*word)) {
		uint32_t id = rmr_heap_find(heap, strtoull(word, &end, 0));
		if (!*end && id != RMR_NO_OBJECT) {
			search->marks[id] |= MARK_AVOID;
			return NULL;
		}
		return rmr_error_create(RMR_E_QUERY, 0, "nothing to avoid at address %s", word);
	}
	for (uint32_t type = 0; (type = rmr_heap_find_type(heap, word, type)) != RMR_NO_TYPE;
		type++) {
		search->avoid_types[type] = true;
		found = true;
	}
	return found ? NULL
		     : rmr_error_create(RMR_E_QUERY, 0, "no object of type '%s' to avoid", word);
}

static void search_deinit(struct search *search)
{
	size_t ids = rmr_heap_id_end(search->heap);

	rmr_edges_destroy(&search->edges);
	rmr_block_destroy(search->next, ids * sizeof(*search->next));
	rmr_block_destroy(search->marks, ids);
	free(search->queue);
	free(search->hits);
	free(search->avoid_types);
}

static struct rmr_error *search_init(struct search *search, const struct rmr_paths_options *options)
{
	const struct rmr_heap *heap = search->heap;
	size_t ids = rmr_heap_id_end(heap);
	struct rmr_error *err = rmr_edges_create(heap, &search->edges);

	search->limit = options && options->limit ? options->limit : 1;
	search->next = rmr_block_create(ids * sizeof(*search->next));
	search->marks = rmr_block_create(ids);
	search->avoid_types = calloc(heap->counts.types + 1, sizeof(*search->avoid_types));
	if (!err && (!search->next || !search->marks || !search->avoid_types))
		err = &rmr_enomem;
	if (!err)
		mark_roots(search);
	for (size_t i = 0; !err && options && i < options->avoid_count; i++)
		err = avoid_word(search, options->avoid[i]);
	return err;
}

/* Shortest first; modules, frames, threads, others at equal length; else as they were found. */
static void sort_hits(const struct search *search)
{
	for (size_t i = 1; i < search->hit_count; i++) {
		struct hit hit = search->hits[i];
		size_t at = i;
		while (at && (search->hits[at - 1].length > hit.length ||
				     (search->hits[at - 1].length == hit.length &&
					     hit_order(search->heap, &search->hits[at - 1]) >
						     hit_order(search->heap, &hit)))) {
			search->hits[at] = search->hits[at - 1];
			at--;
		}
		search->hits[at] = hit;
	}
}

static bool add_step(struct rmr_path *path, size_t *room, uint32_t id, char *name, bool has_name)
{
	if (path->count == *room) {
		size_t more = *room ? *room * 2 : 8;
		struct rmr_path_step *steps = realloc(path->steps, more * sizeof(*steps));
		if (!steps) {
			free(name);
			return false;
		}
		path->steps = steps;
		*room = more;
	}
	path->steps[path->count++] = (struct rmr_path_step){id, name, has_name};
	return true;
}

static bool is_class(const struct rmr_heap *heap, uint32_t id)
{
	return rmr_heap_flags(heap, id) & RMR_FLAG_MODULE ||
		rmr_heap_builtin(heap, id) == RMR_BUILTIN_TYPE;
}

/*
 * What a reference without a name is, where the type tells: the dict of functools.lru_cache
 * (Modules/_functoolsmodule.c, lru_cache_object.cache), the dicts of threading.local
 * (Modules/_threadmodule.c, localobject.dummies).
 */
static char *nameless_step(const struct rmr_heap *heap, uint32_t from, uint32_t to, uint64_t index)
{
	static const struct {
		const char *type, *name;
	} known[] = {{"_lru_cache_wrapper", "<cache>"}, {"_local", "<threads>"}};
	uint32_t type = rmr_heap_type(heap, from);
	char *name = NULL;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known) && type != RMR_NO_TYPE; i++) {
		if (rmr_heap_builtin(heap, to) == RMR_BUILTIN_DICT &&
			!strcmp(heap->types[type].name, known[i].type))
			return strdup(known[i].name);
	}
	if (asprintf(&name, "<reference %llu>", (unsigned long long)index + 1) < 0)
		return NULL;
	return name;
}

/*
 * Names of fields that Python shows otherwise or not at all: those of code objects since 3.11, what
 * the memoryviews of a buffer share (Objects/memoryobject.c), a
 * class's own copy of its __slots__ (ht_slots), annotations as a function has them before they are
 * asked for (Objects/funcobject.c, func_get_annotation_dict()).
 */
static bool is_internal(const struct rmr_heap *heap, uint32_t from, uint32_t to, const char *name)
{
	if (!strcmp(name, ".co_localsplusnames") || !strcmp(name, ".co_localspluskinds"))
		return true;
	if (!strcmp(name, ".managed_buffer"))
		return rmr_heap_builtin(heap, from) == RMR_BUILTIN_MEMORYVIEW;
	if (!strcmp(name, ".__slots__"))
		return is_class(heap, from);
	return !strcmp(name, ".__annotations__") && rmr_heap_builtin(heap, to) == RMR_BUILTIN_TUPLE;
}

/* ".x" as "<x>"; @p name is freed. NULL: no memory. */
static char *bracket(char *name)
{
	char *text = NULL;

	if (asprintf(&text, "<%s>", name + 1) < 0)
		text = NULL;
	free(name);
	return text;
}

/* The step from one object to the next, by the best name that there is. */
static bool step_between(struct search *search, struct rmr_path *path, size_t *room, uint32_t from,
	uint32_t to)
{
	struct rmr_names *names;
	uint64_t index = rmr_edges_named(&search->edges, from, to);

	if (index == UINT64_MAX)
		index = rmr_edges_any(search->heap, from, to);
	struct rmr_error *err = rmr_names_create(search->heap, from, &names);
	if (err) {
		rmr_error_destroy(err);
		return false;
	}
	char *name = rmr_names_text(names, index);
	bool has_name = name != NULL;
	rmr_names_destroy(names);
	if (!name)
		name = nameless_step(search->heap, from, to, index);
	else if (is_internal(search->heap, from, to, name))
		name = bracket(name);
	return name && add_step(path, room, to, name, has_name);
}

static bool add_steps(struct search *search, const struct hit *hit, struct rmr_path *path)
{
	size_t room = 0;
	char *name = NULL;

	if (hit->start == RMR_PATH_ROOT && hit->id != search->modules)
		name = rmr_heap_root_name(search->heap, hit->root, hit->reference);
	bool has_name = hit->start == RMR_PATH_ROOT;
	if (!add_step(path, &room, hit->id, name, has_name))
		return false;
	uint32_t id = hit->id;
	if (hit->module != RMR_NO_OBJECT) {
		if (!step_between(search, path, &room, id, hit->module))
			return false;
		id = hit->module;
	}
	while (id != search->target) {
		uint32_t next = search->next[id] - 1;
		if (!step_between(search, path, &room, id, next))
			return false;
		id = next;
	}
	return true;
}

static void add_start(const struct rmr_heap *heap, const struct rmr_path *path,
	struct rmr_text *text)
{
	const char *kind = path->start == RMR_PATH_HELD_BY_C ? "held by C code" : "unreachable";

	if (path->start == RMR_PATH_ROOT) {
		rmr_text_put(text, heap->roots[path->root].label);
		return;
	}
	_rmr_free_ char *name = rmr_heap_describe(heap, path->steps[0].id, LABEL_MAX);
	if (name)
		rmr_text_format(text, "<%s: %s>", kind, name);
	else
		rmr_text_format(text, "<%s: %s at 0x%llx>", kind,
			rmr_heap_type_label(heap, path->steps[0].id),
			(unsigned long long)rmr_heap_address(heap, path->steps[0].id));
}

static void add_name(const char *name, struct rmr_text *text)
{
	rmr_text_format(text, "%s%s", *name == '<' ? "." : "", name);
}

/* Is step i the one from a memoryview to what the views share, and the next one to the `.obj` of both? */
static bool is_shared_view(const struct rmr_path *path, size_t i)
{
	return i + 1 < path->count && !strcmp(path->steps[i].name, "<managed_buffer>") &&
		!strcmp(path->steps[i + 1].name, ".obj");
}

/* How many steps from step i on have its name: the nodes of a linked list. */
static size_t count_run(const struct rmr_path *path, size_t i)
{
	size_t run = 1;

	while (i + run < path->count && path->steps[i].name && path->steps[i + run].name &&
		!strcmp(path->steps[i + run].name, path->steps[i].name))
		run++;
	return run;
}

/* Is step i followed by `['x']`, and both together `.x`? */
static bool can_fold(struct search *search, const struct rmr_path *path, size_t i, size_t *length_ret)
{
	return i + 1 < path->count && !strcmp(path->steps[i].name, ".__dict__") &&
		rmr_python_folds(&search->edges, i ? path->steps[i - 1].id : RMR_NO_OBJECT,
			path->steps[i + 1].id, path->steps[i + 1].name, length_ret);
}

/* Python gives only a proxy of a class's dict, and of those of numpy's dtypes. */
static bool is_proxied(const struct rmr_heap *heap, uint32_t owner, const char *name)
{
	if (is_class(heap, owner))
		return !strcmp(name, ".__dict__");
	return !strncmp(rmr_heap_type_label(heap, owner), "numpy.dtype", 11) &&
		(!strcmp(name, ".fields") || !strcmp(name, ".metadata"));
}

static bool write_expression(struct search *search, struct rmr_path *path)
{
	const struct rmr_heap *heap = search->heap;
	struct rmr_text text = {0};
	size_t length;

	path->is_expression = path->start == RMR_PATH_ROOT;
	add_start(heap, path, &text);
	for (size_t i = 0; i < path->count; i++) {
		const char *name = path->steps[i].name;
		path->is_expression &= path->steps[i].has_name;
		if (!name || is_shared_view(path, i))
			continue;
		if (can_fold(search, path, i, &length)) {
			rmr_text_format(&text, ".%.*s", (int)length, path->steps[i + 1].name + 2);
			i++;
			continue;
		}
		if (path->is_expression)
			path->is_expression = rmr_python_finds(&search->edges,
				i ? path->steps[i - 1].id : RMR_NO_OBJECT, name);
		size_t run = count_run(path, i);
		add_name(name, &text);
		if (run < RUN_MIN)
			continue;
		for (size_t k = 1; k < RUN_SHOWN; k++)
			add_name(name, &text);
		rmr_text_format(&text, "<%zu more of %s>", run - RUN_SHOWN, name);
		path->is_expression = false;
		i += run - 1;
	}
	size_t last = path->count - 1;
	if (path->count > 1 && path->steps[last].name &&
		is_proxied(heap, path->steps[last - 1].id, path->steps[last].name))
		path->is_expression = false;
	path->expression = rmr_text_take(&text);
	return path->expression != NULL;
}

static struct rmr_error *make_paths(struct search *search, struct rmr_paths **ret)
{
	struct rmr_paths *paths = calloc(1, sizeof(*paths));
	size_t count = search->hit_count < search->limit ? search->hit_count : search->limit;

	if (!paths)
		return &rmr_enomem;
	paths->paths = calloc(count + 1, sizeof(*paths->paths));
	bool complete = paths->paths != NULL;
	for (size_t i = 0; complete && i < count; i++) {
		struct rmr_path *path = &paths->paths[paths->count++];
		path->start = search->hits[i].start;
		path->root = search->hits[i].root;
		complete = add_steps(search, &search->hits[i], path) &&
			write_expression(search, path);
	}
	if (!complete) {
		rmr_paths_destroy(paths);
		return &rmr_enomem;
	}
	*ret = paths;
	return NULL;
}

/* Forgets what the search by names met: it found nothing. */
static void search_again(struct search *search)
{
	for (size_t i = 0; i < search->queued; i++)
		search->next[search->queue[i]] = 0;
	search->queued = search->taken = search->hit_count = 0;
}

struct rmr_error *rmr_paths_find(const struct rmr_heap *heap, uint32_t id,
	const struct rmr_paths_options *options, struct rmr_paths **ret)
{
	struct search search = {.heap = heap, .target = id};

	if (id >= rmr_heap_id_end(heap))
		return rmr_error_create(RMR_E_QUERY, 0, "there is no such object");
	struct rmr_error *err = search_init(&search, options);
	if (!err) {
		search_run(&search, true);
		if (!search.hit_count && !search.ended) {
			search_again(&search);
			search_run(&search, false);
			if (!search.hit_count)
				search_rest(&search);
		}
		sort_hits(&search);
		err = search.ended ? rmr_heap_ended(heap) : make_paths(&search, ret);
	}
	search_deinit(&search);
	return err;
}

void rmr_paths_destroy(struct rmr_paths *paths)
{
	if (!paths)
		return;
	for (size_t i = 0; paths->paths && i < paths->count; i++) {
		for (size_t k = 0; k < paths->paths[i].count; k++)
			free(paths->paths[i].steps[k].name);
		free(paths->paths[i].steps);
		free(paths->paths[i].expression);
	}
	free(paths->paths);
	free(paths);
}
