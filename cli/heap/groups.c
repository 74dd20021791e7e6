// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/groups.h"

#include "cli/heap/dominators.h"
#include "cli/heap/edges.h"
#include "cli/heap/intern.h"
#include "cli/heap/parallel.h"
#include "cli/heap/text.h"
#include "cli/heap/traces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAMED_KEYS_MAX = 50, /* a dict with more entries is a table: its keys are [*] */
	SIZES = 1024,        /* most objects are smaller */
	SHAPE_WORDS = 64,
	COLLECTORS = 8,      /* threads, each of which has tables of its own */
	FEW = 16,            /* so few are sorted by insertion */
	SET_MAX = 5,         /* members of a set that a label spells out */
};

/* A reference to an object of interest: by which name or from which type. */
struct via {
	uint32_t id, what;
};

struct group_work {
	const struct rmr_heap *heap;
	const struct rmr_dominators *dominators;
	enum rmr_groups_by by;
	struct rmr_edges edges;
	const uint32_t *ids; /* NULL: all */
	uint64_t count;
	uint32_t *group;     /* of each id; RMR_NO_OBJECT: not asked for */
	struct rmr_intern keys, words;
	uint32_t item_word; /* "[*]" */
	uint32_t *trace_keys;   /* of each trace: its key + 1 */
	uint32_t size_keys[SIZES]; /* of each small size: likewise */
	uint32_t **shape_words; /* of each shape: numbers of its names, + 1; made when needed */
	uint32_t *key_words; /* of each object: the word of what is under that key, + 1; likewise */
	struct via *vias;
	size_t via_count, via_room;
};

struct rmr_error *rmr_groups_parse(const char *word, enum rmr_groups_by *ret)
{
	static const char *const words[] = {[RMR_GROUPS_TYPE] = "type", [RMR_GROUPS_MODULE] = "module",
		[RMR_GROUPS_SIZE] = "size", [RMR_GROUPS_REFERRER] = "referrer",
		[RMR_GROUPS_VIA] = "via", [RMR_GROUPS_OWNER] = "owner",
		[RMR_GROUPS_LINE] = "line"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(word, words[i])) {
			*ret = (enum rmr_groups_by)i;
			return NULL;
		}
	}
	return rmr_error_hint(rmr_error_create(RMR_E_USAGE, 0, "cannot group by %s", word),
		"group by type, module, size, referrer, via, owner or line");
}

static uint32_t id_at(const struct group_work *work, uint64_t i)
{
	return work->ids ? work->ids[i] : (uint32_t)i;
}

static bool put_text(struct group_work *work, const char *text, uint32_t *ret)
{
	return rmr_intern_put(&work->keys, text, strlen(text), ret);
}

/* The object whose __dict__ this dict is, or RMR_NO_OBJECT. */
static uint32_t dict_owner(struct group_work *work, uint32_t id)
{
	struct rmr_ids referrers = rmr_heap_referrers(work->heap, id);

	for (uint64_t i = 0; i < referrers.count; i++) {
		if (rmr_edges_dict_of(&work->edges, referrers.ids[i]) == id)
			return referrers.ids[i];
	}
	return RMR_NO_OBJECT;
}

static bool key_by_type(struct group_work *work, uint32_t id, uint32_t *ret)
{
	uint32_t owner = RMR_NO_OBJECT;
	struct rmr_text text = {0};

	if (rmr_heap_builtin(work->heap, id) == RMR_BUILTIN_DICT)
		owner = dict_owner(work, id);
	if (owner == RMR_NO_OBJECT)
		return put_text(work, rmr_heap_type_label(work->heap, id), ret);
	rmr_text_format(&text, "dict of %s", rmr_heap_type_label(work->heap, owner));
	bool complete = text.data && put_text(work, text.data, ret);
	rmr_text_deinit(&text);
	return complete;
}

static bool key_by_module(struct group_work *work, uint32_t id, uint32_t *ret)
{
	uint32_t type = rmr_heap_type(work->heap, id);
	const char *module = type == RMR_NO_TYPE ? NULL : work->heap->types[type].module;

	return put_text(work, module ? module : "<unknown>", ret);
}

static bool key_by_size(struct group_work *work, uint32_t id, uint32_t *ret)
{
	uint64_t size = rmr_heap_size(work->heap, id);
	char text[24];

	if (size < SIZES && work->size_keys[size]) {
		*ret = work->size_keys[size] - 1;
		return true;
	}
	snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
	if (!put_text(work, text, ret))
		return false;
	if (size < SIZES)
		work->size_keys[size] = *ret + 1;
	return true;
}

static bool key_by_owner(struct group_work *work, uint32_t id, uint32_t *ret)
{
	uint32_t owner = rmr_dominators_parent(work->dominators, id);
	uint32_t root = rmr_dominators_root_of(work->dominators, owner);

	if (root != RMR_NO_OBJECT)
		return put_text(work, work->heap->roots[root].label, ret);
	if (owner == rmr_dominators_top(work->dominators))
		return put_text(work, "<nothing alone>", ret);
	return put_text(work, rmr_heap_type_label(work->heap, owner), ret);
}

static bool key_by_line(struct group_work *work, uint32_t id, uint32_t *ret)
{
	uint32_t trace = rmr_traces_of(work->heap, id);

	if (trace == RMR_NO_OBJECT)
		return put_text(work, RMR_GROUPS_NOT_TRACED, ret);
	if (!work->trace_keys)
		work->trace_keys = calloc(rmr_traces_count(work->heap), sizeof(uint32_t));
	if (!work->trace_keys)
		return false;
	if (!work->trace_keys[trace]) {
		char *place = rmr_traces_place(work->heap, trace);
		bool complete = put_text(work, place ? place : "<unknown>", ret);
		free(place);
		if (!complete)
			return false;
		work->trace_keys[trace] = *ret + 1;
	}
	*ret = work->trace_keys[trace] - 1;
	return true;
}

/* Sets of names or types: collected from the side of the referrers, each read once. */

static bool add_via(struct group_work *work, uint32_t id, uint32_t what)
{
	if (work->via_count == work->via_room) {
		size_t room = work->via_room ? work->via_room * 2 : 4096;
		struct via *vias = realloc(work->vias, room * sizeof(*vias));
		if (!vias)
			return false;
		work->vias = vias;
		work->via_room = room;
	}
	work->vias[work->via_count++] = (struct via){id, what};
	return true;
}

static bool put_word(struct group_work *work, const char *text, uint32_t *ret)
{
	return rmr_intern_put(&work->words, text, strlen(text), ret);
}

/* Where the word of reference number @p index is kept, for all objects of the shape; or NULL. */
static uint32_t *shape_word(struct group_work *work, uint32_t source, uint64_t index)
{
	const struct rmr_heap *heap = work->heap;
	uint32_t shape = heap->shape[source];

	if (shape >= heap->counts.shapes || index >= SHAPE_WORDS)
		return NULL;
	if (!work->shape_words[shape])
		work->shape_words[shape] = calloc(SHAPE_WORDS, sizeof(uint32_t));
	return work->shape_words[shape] ? &work->shape_words[shape][index] : NULL;
}

/*
 * One name. That of a shape is made once for all objects of the shape, and that of what is under a
 * key once for all dicts that have the key.
 */
static bool word_of(struct group_work *work, uint32_t source, struct rmr_names **names,
	uint64_t index, uint32_t *ret)
{
	const struct rmr_heap *heap = work->heap;
	uint64_t count = rmr_heap_children(heap, source).count;
	uint32_t *shaped = shape_word(work, source, index), *kept = shaped;

	if (shaped && *shaped) {
		*ret = *shaped - 1;
		return true;
	}
	if (!*names) {
		struct rmr_error *err = rmr_names_create(heap, source, names);
		if (err) {
			rmr_error_destroy(err);
			return false;
		}
	}
	bool table = rmr_heap_len(heap, source) != RMR_HEAP_UNKNOWN && count > NAMED_KEYS_MAX;
	uint32_t key = table || shaped ? RMR_NO_OBJECT : rmr_names_told_by(*names, index);
	if (key < heap->counts.objects && !rmr_names_is_key(*names, index)) {
		kept = &work->key_words[key];
		if (*kept) {
			*ret = *kept - 1;
			return true;
		}
	}
	char *text = table && !shaped ? NULL : rmr_names_text(*names, index);
	const char *word = text;
	if (!text)
		word = rmr_names_kind(*names, index) == RMR_REFERENCE_KEY ? "<key>"
			: rmr_names_has(*names, index)			  ? "[*]"
									  : "<no name>";
	bool complete = put_word(work, word, ret);
	free(text);
	if (kept && (kept != shaped || !(rmr_heap_flags(heap, source) & RMR_FLAG_KEYS)))
		*kept = *ret + 1;
	return complete;
}

static bool add_names(struct group_work *work, uint32_t source, const uint8_t *wanted)
{
	const struct rmr_heap *heap = work->heap;
	struct rmr_ids ids = rmr_heap_children(heap, source);
	enum rmr_builtin builtin = rmr_heap_builtin(heap, source);
	bool items = (builtin == RMR_BUILTIN_LIST || builtin == RMR_BUILTIN_TUPLE) &&
		ids.count == rmr_heap_len(heap, source);
	struct rmr_names *names = NULL;
	bool complete = true;
	uint32_t word;

	for (uint64_t i = 0; complete && i < ids.count; i++) {
		if (!wanted[ids.ids[i]])
			continue;
		if (items)
			word = work->item_word;
		complete = (items || word_of(work, source, &names, i, &word)) &&
			add_via(work, ids.ids[i], word);
	}
	rmr_names_destroy(names);
	return complete;
}

static bool add_types(struct group_work *work, uint32_t source, const uint8_t *wanted)
{
	struct rmr_ids ids = rmr_heap_children(work->heap, source);
	uint32_t word = RMR_NO_OBJECT;

	for (uint64_t i = 0; i < ids.count; i++) {
		if (!wanted[ids.ids[i]])
			continue;
		if (word == RMR_NO_OBJECT && !key_by_type(work, source, &word))
			return false;
		if (!add_via(work, ids.ids[i], word))
			return false;
	}
	return true;
}

/* Threads that look at a range of the referrers each, with words of their own. */
struct collecting {
	struct group_work *work;
	const uint8_t *marks, *wanted;
	unsigned threads;
	struct group_work parts[COLLECTORS];
	uint32_t *words[COLLECTORS]; /* of each word of a part: its number in work */
	atomic_bool failed;
};

/* What the vias of each id name, by id: those of id have places [first[id], first[id + 1]). */
struct by_id {
	uint64_t *first;
	uint32_t *whats;
	size_t first_bytes, whats_bytes;
};

static bool sort_vias(const struct collecting *all, struct by_id *ret)
{
	size_t ends = rmr_heap_id_end(all->work->heap), vias = 0;

	for (unsigned t = 0; t < all->threads; t++)
		vias += all->parts[t].via_count;
	struct by_id by_id = {.first_bytes = (ends + 2) * sizeof(uint64_t),
		.whats_bytes = vias * sizeof(uint32_t)};

	by_id.first = rmr_block_create(by_id.first_bytes);
	by_id.whats = rmr_block_create(by_id.whats_bytes);
	*ret = by_id;
	if (!by_id.first || !by_id.whats)
		return false;
	/* first[id + 1] is the place of id's next one: at last its end. */
	for (unsigned t = 0; t < all->threads; t++) {
		const struct group_work *part = &all->parts[t];
		for (size_t i = 0; i < part->via_count; i++)
			by_id.first[part->vias[i].id + 2]++;
	}
	for (size_t i = 2; i < ends + 2; i++)
		by_id.first[i] += by_id.first[i - 1];
	for (unsigned t = 0; t < all->threads; t++) {
		const struct group_work *part = &all->parts[t];
		for (size_t i = 0; i < part->via_count; i++)
			by_id.whats[by_id.first[part->vias[i].id + 1]++] =
				all->words[t][part->vias[i].what];
	}
	return true;
}

/* Puts the first of each value in front, ascending; returns how many that are. */
static size_t make_set(uint32_t *whats, size_t count)
{
	size_t kept = 0;

	if (count > FEW)
		qsort(whats, count, sizeof(*whats), rmr_compare_numbers);
	for (size_t i = 1; count <= FEW && i < count; i++) {
		uint32_t what = whats[i];
		size_t at = i;
		for (; at && whats[at - 1] > what; at--)
			whats[at] = whats[at - 1];
		whats[at] = what;
	}
	for (size_t i = 0; i < count; i++) {
		if (!kept || whats[kept - 1] != whats[i])
			whats[kept++] = whats[i];
	}
	return kept;
}

static const char *word_text(const struct group_work *work, uint32_t word)
{
	return rmr_intern_get(work->by == RMR_GROUPS_VIA ? &work->words : &work->keys, word, NULL);
}

static int compare_words(const void *a, const void *b, void *context)
{
	return strcmp(word_text(context, *(const uint32_t *)a),
		word_text(context, *(const uint32_t *)b));
}

/* "app.Node, list" for a sorted set of words. */
static bool set_label(struct group_work *work, const uint32_t *set, size_t count,
	struct rmr_intern *labels, uint32_t *ret)
{
	struct rmr_text text = {0};
	uint32_t *sorted = malloc((count + 1) * sizeof(*sorted));

	if (!sorted)
		return false;
	if (count)
		memcpy(sorted, set, count * sizeof(*sorted));
	qsort_r(sorted, count, sizeof(*sorted), compare_words, work);
	for (size_t i = 0; i < count && i < SET_MAX; i++)
		rmr_text_format(&text, "%s%s", i ? ", " : "", word_text(work, sorted[i]));
	if (count > SET_MAX)
		rmr_text_format(&text, " and %zu more", count - SET_MAX);
	if (!count)
		rmr_text_put(&text, "<nothing>");
	free(sorted);
	bool complete = text.data && rmr_intern_put(labels, text.data, text.size, ret);
	rmr_text_deinit(&text);
	return complete;
}

/* A group for each different set; the keys become the labels of the sets. */
static bool group_sets(const struct collecting *all)
{
	struct group_work *work = all->work;
	struct rmr_intern sets = {0}, labels = {0};
	uint32_t *label_of = NULL;
	size_t made = 0, label_room = 0;
	struct by_id by_id;
	bool complete = sort_vias(all, &by_id);

	for (uint32_t id = 0; complete && id < rmr_heap_id_end(work->heap); id++) {
		uint32_t number = 0, *set = by_id.whats + by_id.first[id];
		complete = !rmr_heap_is_interrupted_at(work->heap, id);
		if (work->group[id] == RMR_NO_OBJECT || !complete)
			continue;
		size_t count = make_set(set, by_id.first[id + 1] - by_id.first[id]);
		complete = rmr_intern_put(&sets, set, count * sizeof(*set), &number);
		if (complete && number == made) {
			if (made == label_room) {
				label_room = label_room ? label_room * 2 : 64;
				uint32_t *grown = realloc(label_of, label_room * sizeof(*grown));
				complete = grown != NULL;
				label_of = grown ? grown : label_of;
			}
			complete = complete &&
				set_label(work, set, count, &labels, &label_of[made]);
			made++;
		}
		if (complete)
			work->group[id] = label_of[number];
	}
	rmr_block_destroy(by_id.first, by_id.first_bytes);
	rmr_block_destroy(by_id.whats, by_id.whats_bytes);
	free(label_of);
	rmr_intern_deinit(&sets);
	rmr_intern_deinit(&work->keys);
	work->keys = labels;
	return complete;
}

static struct rmr_intern *words_of(struct group_work *work)
{
	return work->by == RMR_GROUPS_VIA ? &work->words : &work->keys;
}

static void collect_work(void *context, unsigned number)
{
	struct collecting *all = context;
	struct group_work *part = &all->parts[number];
	const struct rmr_heap *heap = part->heap;
	size_t count = heap->counts.objects, key_bytes = count * sizeof(*part->key_words);
	uint32_t end = (uint32_t)rmr_parallel_start(count, all->threads, number + 1);
	bool complete = true;

	if (part->by == RMR_GROUPS_VIA) {
		part->key_words = rmr_block_create(key_bytes);
		part->shape_words = calloc(heap->counts.shapes + 1, sizeof(*part->shape_words));
		complete = part->key_words && part->shape_words &&
			put_word(part, "[*]", &part->item_word);
	}
	for (uint32_t id = (uint32_t)rmr_parallel_start(count, all->threads, number);
		complete && id < end; id++) {
		if (rmr_heap_is_interrupted_at(heap, id))
			complete = false;
		else if (all->marks[id] & 2)
			complete = part->by == RMR_GROUPS_VIA ? add_names(part, id, all->wanted)
							      : add_types(part, id, all->wanted);
	}
	for (size_t i = 0; part->shape_words && i < heap->counts.shapes; i++)
		free(part->shape_words[i]);
	free(part->shape_words);
	rmr_block_destroy(part->key_words, key_bytes);
	if (!complete)
		atomic_store(&all->failed, true);
}

/* The words of the parts become those of the whole. */
static bool merge_words(struct collecting *all)
{
	for (unsigned t = 0; t < all->threads; t++) {
		const struct rmr_intern *from = words_of(&all->parts[t]);
		all->words[t] = malloc(((size_t)from->count + 1) * sizeof(*all->words[t]));
		if (!all->words[t])
			return false;
		for (uint32_t i = 0; i < from->count; i++) {
			size_t size;
			const char *word = rmr_intern_get(from, i, &size);
			if (!rmr_intern_put(words_of(all->work), word, size, &all->words[t][i]))
				return false;
		}
	}
	return true;
}

static bool collect(struct group_work *work, const uint8_t *marks, const uint8_t *wanted)
{
	struct collecting all = {.work = work, .marks = marks, .wanted = wanted,
		.threads = rmr_parallel_cpus()};
	bool complete = true;

	if (all.threads > COLLECTORS)
		all.threads = COLLECTORS;
	for (unsigned t = 0; t < all.threads; t++) {
		all.parts[t] = (struct group_work){.heap = work->heap, .by = work->by};
		struct rmr_error *err = rmr_edges_create(work->heap, &all.parts[t].edges);
		complete &= !err;
		rmr_error_destroy(err);
	}
	if (complete)
		rmr_parallel_run(all.threads, collect_work, &all);
	complete = complete && !atomic_load(&all.failed) && merge_words(&all) && group_sets(&all);
	for (unsigned t = 0; t < all.threads; t++) {
		free(all.parts[t].vias);
		free(all.words[t]);
		rmr_intern_deinit(&all.parts[t].keys);
		rmr_intern_deinit(&all.parts[t].words);
		if (all.parts[t].edges.shapes)
			rmr_edges_destroy(&all.parts[t].edges);
	}
	return complete;
}

static bool key_by_sets(struct group_work *work)
{
	const struct rmr_heap *heap = work->heap;
	uint32_t ends = rmr_heap_id_end(heap);
	uint8_t *marks = rmr_block_create(ends); /* 1: wanted, 2: refers to one that is */
	bool complete = marks != NULL;

	if (complete && !work->ids)
		memset(marks, 1 | 2, heap->counts.objects);
	for (uint64_t i = 0; complete && work->ids && i < work->count; i++) {
		uint32_t id = work->ids[i];
		complete = !rmr_heap_is_interrupted_at(heap, i);
		struct rmr_ids referrers = rmr_heap_referrers(heap, id);
		marks[id] |= 1;
		for (uint64_t k = 0; k < referrers.count; k++)
			marks[referrers.ids[k]] |= 2;
	}
	uint8_t *wanted = complete ? rmr_block_create(ends) : NULL;
	for (uint32_t id = 0; wanted && id < ends; id++)
		wanted[id] = marks[id] & 1;
	complete = wanted && collect(work, marks, wanted);
	rmr_block_destroy(wanted, ends);
	rmr_block_destroy(marks, ends);
	return complete;
}

static bool key_all(struct group_work *work)
{
	static bool (*const by[])(struct group_work *, uint32_t, uint32_t *) = {
		[RMR_GROUPS_TYPE] = key_by_type,
		[RMR_GROUPS_MODULE] = key_by_module,
		[RMR_GROUPS_SIZE] = key_by_size,
		[RMR_GROUPS_OWNER] = key_by_owner,
		[RMR_GROUPS_LINE] = key_by_line,
	};
	bool complete = true;

	for (uint64_t i = 0; i < work->count; i++)
		work->group[id_at(work, i)] = 0;
	if (work->by == RMR_GROUPS_REFERRER || work->by == RMR_GROUPS_VIA)
		return key_by_sets(work);
	for (uint64_t i = 0; complete && i < work->count; i++)
		complete = !rmr_heap_is_interrupted_at(work->heap, i) &&
			by[work->by](work, id_at(work, i), &work->group[id_at(work, i)]);
	return complete;
}

static uint32_t group_of(const void *context, uint32_t id)
{
	return ((const uint32_t *)context)[id];
}


static int compare_groups(const void *a, const void *b, void *context)
{
	const struct rmr_group *groups = context;
	const struct rmr_group *x = &groups[*(const uint32_t *)a], *y = &groups[*(const uint32_t *)b];

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->label, y->label);
}

/* Puts the groups into their order, and the members after them. */
static bool arrange(struct group_work *work, struct rmr_groups *groups)
{
	uint32_t count = (uint32_t)groups->count;
	uint32_t *order = malloc((count + 1) * sizeof(*order));
	uint32_t *place = malloc((count + 1) * sizeof(*place));
	struct rmr_group *sorted = calloc(count + 1, sizeof(*sorted));

	groups->first = calloc(count + 2, sizeof(*groups->first));
	groups->members = malloc((work->count + 1) * sizeof(*groups->members));
	bool complete = order && place && sorted && groups->first && groups->members;
	for (uint32_t i = 0; complete && i < count; i++)
		order[i] = i;
	if (complete)
		qsort_r(order, count, sizeof(*order), compare_groups, groups->groups);
	for (uint32_t i = 0; complete && i < count; i++) {
		sorted[i] = groups->groups[order[i]];
		place[order[i]] = i;
		groups->first[i + 2] = groups->first[i + 1] + sorted[i].count;
	}
	/* first[i + 1] runs over group i's members while they are placed: then it is their end. */
	for (uint32_t id = 0; complete && id < rmr_heap_id_end(work->heap); id++) {
		if (work->group[id] != RMR_NO_OBJECT)
			groups->members[groups->first[place[work->group[id]] + 1]++] = id;
	}
	free(order);
	free(place);
	if (complete) {
		free(groups->groups);
		groups->groups = sorted;
	} else {
		free(sorted);
	}
	return complete;
}

static struct rmr_error *sum_up(struct group_work *work, struct rmr_groups *groups)
{
	uint32_t count = work->keys.count;
	uint64_t *retained = calloc((size_t)count + 1, sizeof(*retained));
	struct rmr_error *err = NULL;

	groups->count = count;
	groups->groups = calloc((size_t)count + 1, sizeof(*groups->groups));
	if (!retained || !groups->groups)
		err = &rmr_enomem;
	for (uint32_t id = 0; !err && id < rmr_heap_id_end(work->heap); id++) {
		if (work->group[id] == RMR_NO_OBJECT)
			continue;
		groups->groups[work->group[id]].count++;
		groups->groups[work->group[id]].bytes += rmr_heap_size(work->heap, id);
		groups->groups[work->group[id]].owned += rmr_heap_owned(work->heap, id);
	}
	if (!err && work->dominators)
		err = rmr_dominators_sum(work->dominators, group_of, work->group, count, retained);
	for (uint32_t i = 0; !err && i < count; i++) {
		groups->groups[i].retained = retained[i];
		groups->groups[i].label = strdup(rmr_intern_get(&work->keys, i, NULL));
		groups->objects += groups->groups[i].count;
		groups->bytes += groups->groups[i].bytes;
		if (!groups->groups[i].label)
			err = &rmr_enomem;
	}
	free(retained);
	if (!err && !arrange(work, groups))
		err = &rmr_enomem;
	/* Types of other referrers were keys too: groups without members come last. */
	while (!err && groups->count && !groups->groups[groups->count - 1].count)
		free(groups->groups[--groups->count].label);
	return err;
}

struct rmr_error *rmr_groups_create(const struct rmr_heap *heap,
	const struct rmr_dominators *dominators, const uint32_t *ids, uint64_t count,
	enum rmr_groups_by by, struct rmr_groups **ret)
{
	struct group_work work = {.heap = heap, .dominators = dominators, .by = by, .ids = ids,
		.count = ids ? count : heap->counts.objects};
	size_t bytes = (size_t)rmr_heap_id_end(heap) * sizeof(*work.group);
	struct rmr_error *err = rmr_heap_verify(heap);

	if (!err && by == RMR_GROUPS_OWNER && !dominators)
		err = rmr_error_create(RMR_E_USAGE, 0, "grouping by owner needs the dominators");
	if (!err)
		err = rmr_edges_create(heap, &work.edges);
	if (err)
		return err;
	struct rmr_groups *groups = calloc(1, sizeof(*groups));
	work.group = rmr_block_create(bytes);
	if (!groups || !work.group)
		err = &rmr_enomem;
	if (!err) {
		memset(work.group, 0xff, bytes);
		err = key_all(&work) ? sum_up(&work, groups) : rmr_heap_ended(heap);
	}
	free(work.trace_keys);
	rmr_block_destroy(work.group, bytes);
	rmr_intern_deinit(&work.keys);
	rmr_intern_deinit(&work.words);
	rmr_edges_destroy(&work.edges);
	if (err)
		rmr_groups_destroy(groups);
	else
		*ret = groups;
	return err;
}

void rmr_groups_destroy(struct rmr_groups *groups)
{
	if (!groups)
		return;
	for (size_t i = 0; groups->groups && i < groups->count; i++)
		free(groups->groups[i].label);
	free(groups->groups);
	free(groups->members);
	free(groups->first);
	free(groups);
}
