// SPDX-License-Identifier: GPL-3.0-or-later
// The bytes that the heap walker sends, taken as an enemy's.
#include "cli/heap/dump_writer.h"
#include "payloads/heap_dump/records.h"
#include "payloads/ring.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rmr_ring consumer, producer;
static int output = -1;

static void set_up(void)
{
	int fd;

	if (consumer.shared)
		return;
	if (rmr_ring_create(&consumer, &fd) < 0 || rmr_ring_map(&producer, fd) < 0)
		abort();
	close(fd);
	output = open("/dev/null", O_WRONLY | O_CLOEXEC);
}

// A valid type first, so that objects get somewhere; sizes of records are put right, so that the
// fuzzer need not find them.
static void fill(const uint8_t *data, size_t size)
{
	static const uint64_t type[] = {48 | (uint64_t)RMR_REC_TYPE << 32, 4096, 0, 1, 'x', 0};
	unsigned char *at = rmr_ring_at(&producer);

	memcpy(at, type, sizeof(type));
	at += sizeof(type);
	memcpy(at, data, size);
	for (size_t from = 0; from + 8 <= size;) {
		uint32_t length;
		memcpy(&length, at + from, 4);
		size_t rest = size - from;
		length = (length & 0x3ff8) < 8 ? 8 : length & 0x3ff8;
		length = length > rest ? (uint32_t)(rest & ~(size_t)7) : length;
		memcpy(at + from, &length, 4);
		from += length;
	}
	rmr_ring_advance(&producer, sizeof(type) + (size & ~(size_t)7));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rmr_dump_options options = {.peer_fd = -1, .stall_ms = 1};
	struct rmr_dump_sink *sink;
	struct rmr_dump_totals totals;

	set_up();
	if (size < 9 || size > RMR_REC_MAX)
		return 0;
	options.format = data[0] & 1 ? RMR_DUMP_MELIAE : RMR_DUMP_REMORA;
	consumer.shared->finished = 0;
	consumer.position = producer.position;
	consumer.shared->tail = producer.other = producer.position;
	fill(data + 1, size - 1);
	rmr_ring_finish(&producer);
	if (rmr_dump_sink_create(output, RMR_DUMP_PLAIN, &sink))
		return 0;
	rmr_error_destroy(rmr_dump_write(&consumer, &options, sink, &totals));
	rmr_dump_sink_destroy(sink);
	return 0;
}
