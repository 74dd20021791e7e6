// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Small heaps for the tests of cli/heap: a dump's text into a file, and random graphs.
 */
#ifndef RMR_TESTS_HEAP_FIXTURE_H
#define RMR_TESTS_HEAP_FIXTURE_H

#include "cli/heap/heap.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define assert_ok(expression)                                                                      \
	do {                                                                                       \
		struct rmr_error *assert_err_ = (expression);                                      \
		if (assert_err_)                                                                   \
			ck_abort_msg("%s", assert_err_->message);                                  \
	} while (0)

/** Writes @p size bytes to an unlinked file; the descriptor is at its start. */
static inline int fixture_file(const char *data, size_t size)
{
	char name[] = "/tmp/remora-test-XXXXXX";
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	unlink(name);
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	return fd;
}

/** Opens a dump's text; the error, if any, goes to @p err. */
static inline struct rmr_heap *fixture_try(const char *data, size_t size, struct rmr_error **err)
{
	struct rmr_heap *heap = NULL;
	int fd = fixture_file(data, size);

	*err = rmr_heap_open_fd(fd, "test", NULL, &heap);
	close(fd);
	return heap;
}

static inline struct rmr_heap *fixture_open(const char *text)
{
	struct rmr_error *err;
	struct rmr_heap *heap = fixture_try(text, strlen(text), &err);

	if (err)
		ck_abort_msg("%s", err->message);
	return heap;
}

/** The id of the object at an address; fails if there is none. */
static inline uint32_t fixture_id(const struct rmr_heap *heap, uint64_t address)
{
	uint32_t id = rmr_heap_find(heap, address);

	ck_assert_uint_ne(id, RMR_NO_OBJECT);
	return id;
}

enum { GRAPH_MAX = 64 };

/** A random graph: object i is at address 1000 + 16 i and has a size of its own. */
struct graph {
	unsigned count;
	unsigned edges[GRAPH_MAX][GRAPH_MAX]; /**< how many references from one to the other */
	unsigned dangling[GRAPH_MAX];         /**< references to an absent address */
	unsigned rooted[GRAPH_MAX];           /**< 1: by an interpreter root, 2: by the frame */
	unsigned extra[GRAPH_MAX];            /**< references that C holds */
	uint64_t size[GRAPH_MAX];
};

static inline uint64_t graph_address(unsigned i)
{
	return 1000 + 16 * i;
}

/** A graph with the given probabilities in percent: of an edge, a root, a reference from C. */
static inline void graph_random(struct graph *graph, unsigned count, unsigned edge, unsigned root,
	unsigned held)
{
	memset(graph, 0, sizeof(*graph));
	graph->count = count;
	for (unsigned i = 0; i < count; i++) {
		graph->size[i] = 1 + (unsigned)rand() % 1000;
		graph->rooted[i] = (unsigned)rand() % 100 < root ? 1 + (unsigned)rand() % 2 : 0;
		graph->extra[i] = (unsigned)rand() % 100 < held;
		graph->dangling[i] = rand() % 20 == 0;
		for (unsigned k = 0; k < count; k++)
			graph->edges[i][k] = (unsigned)rand() % 1000 < edge * 10 ? 1u + (rand() % 8 == 0)
										 : 0;
	}
}

/** References found to an object: by others, and by roots. */
static inline unsigned graph_found(const struct graph *graph, unsigned i)
{
	unsigned found = graph->rooted[i] > 0;

	for (unsigned k = 0; k < graph->count; k++)
		found += graph->edges[k][i];
	return found;
}

static inline void graph_roots(const struct graph *graph, FILE *out, unsigned kind,
	const char *root, const char *label)
{
	const char *comma = "";

	fprintf(out, "{\"root\": \"%s\", \"label\": \"%s\", \"names\": [], \"refs\": [", root, label);
	for (unsigned i = 0; i < graph->count; i++) {
		if (graph->rooted[i] == kind) {
			fprintf(out, "%s%llu", comma, (unsigned long long)graph_address(i));
			comma = ", ";
		}
	}
	fputs("]}\n", out);
}

/** The graph as a dump, with its records in a random order. */
static inline struct rmr_heap *graph_open(const struct graph *graph)
{
	unsigned order[GRAPH_MAX];
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("{\"remora\": 1, \"id\": \"x\"}\n", out);
	for (unsigned i = 0; i < graph->count; i++) {
		unsigned at = (unsigned)rand() % (i + 1);
		order[i] = order[at];
		order[at] = i;
	}
	for (unsigned n = 0; n < graph->count; n++) {
		unsigned i = order[n];
		const char *comma = "";
		fprintf(out, "{\"address\": %llu, \"type\": \"T%u\", \"size\": %llu, \"rc\": %u, \"refs\": [",
			(unsigned long long)graph_address(i), i % 3,
			(unsigned long long)graph->size[i], graph_found(graph, i) + graph->extra[i]);
		for (unsigned k = 0; k < graph->count; k++) {
			for (unsigned e = 0; e < graph->edges[i][k]; e++) {
				fprintf(out, "%s%llu", comma,
					(unsigned long long)graph_address(k));
				comma = ", ";
			}
		}
		if (graph->dangling[i])
			fprintf(out, "%s7", comma);
		fputs("]}\n", out);
	}
	graph_roots(graph, out, 1, "interpreter", "root");
	graph_roots(graph, out, 2, "frame", "<frame f>");
	fputs("{\"end\": true, \"id\": \"x\"}\n", out);
	fclose(out);
	struct rmr_heap *heap = fixture_open(text);
	free(text);
	return heap;
}

/** Marks in @p seen what @p start reaches without passing @p without. */
static inline void graph_reach(const struct graph *graph, unsigned start, unsigned without,
	bool *seen)
{
	unsigned stack[GRAPH_MAX], depth = 0;

	if (seen[start] || start == without)
		return;
	seen[start] = true;
	stack[depth++] = start;
	while (depth) {
		unsigned i = stack[--depth];
		for (unsigned k = 0; k < graph->count; k++) {
			if (graph->edges[i][k] && !seen[k] && k != without) {
				seen[k] = true;
				stack[depth++] = k;
			}
		}
	}
}

/** main() of a test of one suite. */
#define FIXTURE_MAIN(suite)                                                                        \
	int main(void)                                                                             \
	{                                                                                          \
		return rmr_run_suite(suite);                                                       \
	}

#endif
