// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_writer.h"

#include "attach/cleanup.h"
#include "cli/heap/dump_internal.h"
#include "payloads/ring.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	CONSUME = 256 << 10, // bytes of records after which the ring is told
	PEEK_MS = 100,
	PROGRESS_MS = 100,
};

struct writer {
	const struct rmr_dump_options *options;
	struct rmr_dump_totals *totals;
	struct rmr_dump_objects objects;
	uint64_t left_out; // roots
	uint64_t tracked, tracked_done; // of the last COUNT
	bool ended;
};

struct rmr_error *rmr_dump_bad(const char *what)
{
	struct rmr_error *err = rmr_error_create(RMR_E_PROTOCOL, 0,
		"the heap walker's records make no sense: %s", what);

	return rmr_error_hint(err, "take the dump again; the target may have damaged the ring");
}

// ---- shapes and traces ----

// A line with a number and a list: a shape and its names, or a trace and its frames.
static struct rmr_error *read_list(struct writer *w, struct rmr_dump_cursor *c, bool is_trace)
{
	uint64_t word = rmr_dump_next_word(c);
	uint32_t count = (uint32_t)(word >> 32);
	char *line, *p;

	if (w->objects.meliae)
		return NULL;
	struct rmr_error *err = rmr_dump_sink_reserve(w->objects.sink, RMR_DUMP_LINE_ROOM, &line);
	if (err)
		return err;
	p = is_trace ? PUT(line, "{\"trace\":") : PUT(line, "{\"shape\":");
	p = rmr_dump_text_u64(p, (uint32_t)word);
	p = is_trace ? PUT(p, ",\"frames\":[") : PUT(p, ",\"names\":[");
	for (uint32_t i = 0; i < count; i++) {
		uint64_t number = is_trace ? rmr_dump_next_word(c) : 0;
		struct rmr_dump_text text = rmr_dump_next_text(c);
		if (c->failed)
			return rmr_dump_bad(is_trace ? "a trace" : "a shape");
		p = i ? PUT(p, ",") : p;
		if (!is_trace) {
			p = rmr_dump_put_name(p, &text);
			continue;
		}
		*p++ = '[';
		p = rmr_dump_put_text(p, &text);
		*p++ = ',';
		p = rmr_dump_text_u64(p, number);
		*p++ = ']';
	}
	p = PUT(p, "]}\n");
	rmr_dump_sink_commit(w->objects.sink, (size_t)(p - line));
	return NULL;
}

// ---- the end ----

static struct rmr_error *read_end(struct writer *w, struct rmr_dump_cursor *c)
{
	struct rmr_dump_totals *t = w->totals;
	uint64_t *const fields[] = {&t->objects, &t->references, &t->bytes, &t->types, &t->shapes,
		&t->roots, &t->faults, &t->walk_ns, &t->traces, &t->traced, &t->tracemalloc};

	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		*fields[i] = rmr_dump_next_word(c);
	struct rmr_dump_text partial = rmr_dump_next_text(c);
	if (c->failed || w->objects.open)
		return rmr_dump_bad("the end");
	if (t->objects != w->objects.count)
		return rmr_dump_bad("the number of objects differs");
	char text[sizeof(t->partial)] = "";
	size_t size = partial.head.size < sizeof(text) - 1 ? partial.head.size : sizeof(text) - 1;
	memcpy(text, partial.bytes, size);
	t->roots -= w->left_out < t->roots ? w->left_out : t->roots;
	if (t->faults)
		snprintf(t->partial, sizeof(t->partial), "%llu objects could not be read whole: %.400s",
			(unsigned long long)t->faults, text);
	w->ended = true;
	return NULL;
}

// ---- all records ----

static struct rmr_error *read_record(struct writer *w, const unsigned char *bytes,
	const struct rmr_rec *head)
{
	struct rmr_dump_cursor c = {bytes + sizeof(*head), bytes + head->size, false};

	if (w->objects.open && head->kind != RMR_REC_PART)
		return rmr_dump_bad("an object without its end");
	switch (head->kind) {
	case RMR_REC_OBJECT:
		return rmr_dump_objects_add(&w->objects, &c, head);
	case RMR_REC_PART:
		return rmr_dump_objects_part(&w->objects, &c, head);
	case RMR_REC_TYPE:
		return rmr_dump_objects_type(&w->objects, &c);
	case RMR_REC_SHAPE:
		return read_list(w, &c, false);
	case RMR_REC_ROOT:
		if (head->size < sizeof(struct rmr_rec_root_head))
			return rmr_dump_bad("a short root");
		return w->objects.meliae ? NULL : rmr_dump_root(w->objects.sink, w->objects.tally, &c, head, &w->left_out);
	case RMR_REC_TRACE:
		return read_list(w, &c, true);
	case RMR_REC_COUNT:
		w->tracked = rmr_dump_next_word(&c);
		w->tracked_done = rmr_dump_next_word(&c);
		return NULL;
	case RMR_REC_END:
		return read_end(w, &c);
	}
	return rmr_dump_bad("an unknown kind");
}

static uint64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

// How many objects it will be: the collector knows only its own, but those written so far brought the
// others with them in proportion. At first that says little: roots come before all lists.
static uint64_t expected(const struct writer *w)
{
	if (!w->tracked_done || w->tracked_done < w->tracked / 32 || w->tracked_done > w->tracked)
		return 0;
	return (uint64_t)((double)w->objects.count * (double)w->tracked / (double)w->tracked_done);
}

static struct rmr_error *report(struct writer *w, uint64_t *last)
{
	uint64_t now = now_ms();

	if (!w->options->progress || now - *last < PROGRESS_MS)
		return NULL;
	*last = now;
	struct rmr_dump_progress progress = {
		.objects = w->objects.count,
		.bytes = rmr_dump_sink_size(w->objects.sink),
		.expected = expected(w),
	};
	return w->options->progress(w->options->progress_arg, &progress);
}

// All records in the @p size bytes; *used_ret says how many bytes they were.
static struct rmr_error *read_records(struct writer *w, const unsigned char *bytes, size_t size,
	size_t *used_ret)
{
	size_t used = 0;

	while (used < size && used < CONSUME && !w->ended) {
		struct rmr_rec head;
		if (size - used < sizeof(head))
			return rmr_dump_bad("a cut record");
		memcpy(&head, bytes + used, sizeof(head));
		if (head.size < sizeof(head) || head.size % 8 || head.size > RMR_REC_MAX ||
			head.size > size - used)
			return rmr_dump_bad("a record's size");
		struct rmr_error *err = read_record(w, bytes + used, &head);
		if (err)
			return err;
		used += head.size;
	}
	*used_ret = used;
	return NULL;
}

static bool peer_is_gone(int fd)
{
	struct pollfd poll_fd = {.fd = fd};

	return fd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

static struct rmr_error *cut_off(void)
{
	struct rmr_error *err = rmr_error_create(RMR_E_TARGET, 0,
		"the heap walker ended before the dump was complete");

	return rmr_error_hint(err, "the copy of the target may have run out of memory");
}

static struct rmr_error *read_ring(struct writer *w, struct rmr_ring *ring)
{
	uint64_t last = now_ms(), silent_since = last;
	bool peer_was_gone = false;

	while (!w->ended) {
		const void *bytes = NULL;
		size_t size = 0, used = 0;
		enum rmr_ring_status status = rmr_ring_peek(ring, &bytes, &size, PEEK_MS);
		struct rmr_error *err = report(w, &last);
		if (err)
			return err;
		switch (status) {
		case RMR_RING_OK:
			err = read_records(w, bytes, size, &used);
			if (err)
				return err;
			rmr_ring_consume(ring, used);
			silent_since = now_ms();
			continue;
		case RMR_RING_TIMEOUT:
			// One more look after the end was seen: it may have written in between.
			if (peer_was_gone)
				return cut_off();
			peer_was_gone = peer_is_gone(w->options->peer_fd);
			if (w->options->stall_ms && now_ms() - silent_since > w->options->stall_ms)
				return rmr_error_create(RMR_E_TIMEOUT, 0,
					"the heap walker wrote nothing for %u ms",
					w->options->stall_ms);
			continue;
		case RMR_RING_FINISHED:
			return cut_off();
		default:
			return rmr_dump_bad("the ring's positions");
		}
	}
	return NULL;
}

struct rmr_error *rmr_dump_write(struct rmr_ring *ring, const struct rmr_dump_options *options,
	struct rmr_dump_sink *sink, struct rmr_dump_totals *ret)
{
	struct rmr_dump_totals totals = {0};
	struct writer w = {
		.options = options,
		.totals = &totals,
		.objects = {.sink = sink, .meliae = options->format == RMR_DUMP_MELIAE},
	};

	if (!w.objects.meliae)
		w.objects.tally = rmr_dump_tally_create();
	struct rmr_error *err = read_ring(&w, ring);
	totals.is_tallied = !err && rmr_dump_tally_finish(w.objects.tally, &totals.completeness);
	rmr_dump_tally_destroy(w.objects.tally);
	rmr_dump_objects_deinit(&w.objects);
	if (!err)
		*ret = totals;
	return err;
}
