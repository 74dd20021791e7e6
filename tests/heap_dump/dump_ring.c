// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * dump_ring RING-FD FILE VALUES [meliae]: writes a ring's records to a file, as `remora dump` does.
 * The last line of its standard output is the number of objects and the seconds taken.
 */
#include "cli/heap/dump_writer.h"
#include "payloads/ring.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct rmr_error *dump(struct rmr_ring *ring, int fd, const char *path, const char *values,
	enum rmr_dump_format format, struct rmr_dump_totals *totals)
{
	struct rmr_dump_header header = {.pid = 1, .python = "3", .build = "release",
		.mode = "twin", .values = values, .cmdline = "a\0b\"", .cmdline_size = 5};
	struct rmr_dump_options options = {.format = format, .peer_fd = -1, .stall_ms = 60000};
	struct rmr_dump_trailer trailer = {0};
	struct rmr_dump_sink *sink = NULL;

	struct rmr_error *err = rmr_dump_make_id(header.id);
	if (!err)
		err = rmr_dump_sink_create(fd, rmr_dump_sink_compression(path), &sink);
	if (!err)
		err = rmr_dump_write_header(sink, format, &header);
	if (!err)
		err = rmr_dump_write(ring, &options, sink, totals);
	if (!err)
		err = rmr_dump_write_trailer(sink, format, &header, totals, &trailer);
	if (!err)
		err = rmr_dump_sink_finish(sink);
	rmr_dump_sink_destroy(sink);
	return err;
}

int main(int argc, char **argv)
{
	struct rmr_dump_totals totals = {0};
	struct rmr_ring ring;

	if (argc < 4 || rmr_ring_map(&ring, atoi(argv[1])) < 0)
		return 2;
	int fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	double start = now();
	struct rmr_error *err = dump(&ring, fd, argv[2], argv[3],
		argc > 4 ? RMR_DUMP_MELIAE : RMR_DUMP_REMORA, &totals);
	rmr_ring_close(&ring);
	if (fd < 0 || close(fd) != 0 || err) {
		fprintf(stderr, "dump_ring: %s\n", err ? err->message : "cannot write");
		rmr_error_destroy(err);
		return 1;
	}
	printf("%llu %.3f %.3f %s\n", (unsigned long long)totals.objects, now() - start,
		(double)totals.walk_ns / 1e9, totals.partial);
	return 0;
}
