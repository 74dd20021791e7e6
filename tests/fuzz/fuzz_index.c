// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A valid index with bytes changed: the input is a list of (offset, value), six bytes each. The
 * header's checksum is put right, so that the fuzzer gets behind it.
 */
#include "cli/heap/index.h"
#include "tests/fuzz/exercise_heap.h"
#include "tests/fuzz/replay.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char dump_text[] =
	"{\"remora\": 1, \"id\": \"f\"}\n"
	"{\"shape\": 1, \"names\": [\".__dict__\", \".__class__\"]}\n"
	"{\"address\": 16, \"type\": \"dict\", \"size\": 64, \"rc\": 1, \"len\": 1, \"refs\": [32], \"keys\": [48]}\n"
	"{\"address\": 32, \"type\": \"module\", \"size\": 64, \"rc\": 1, \"name\": \"m\", \"shape\": 1, \"refs\": [64]}\n"
	"{\"address\": 48, \"type\": \"str\", \"size\": 57, \"rc\": 1, \"len\": 1, \"value\": \"m\", \"refs\": []}\n"
	"{\"address\": 64, \"type\": \"dict\", \"size\": 64, \"rc\": 1, \"len\": 1, \"refs\": [80], \"keys\": [48]}\n"
	"{\"address\": 80, \"type\": \"A\", \"class\": 96, \"size\": 64, \"rc\": 3, \"shape\": 1, \"refs\": [112, 96]}\n"
	"{\"address\": 96, \"type\": \"type\", \"size\": 64, \"rc\": 1, \"name\": \"A\", \"module\": \"m\", \"refs\": [7]}\n"
	"{\"address\": 112, \"type\": \"list\", \"size\": 88, \"rc\": 1, \"len\": 2, \"refs\": [80, 112]}\n"
	"{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"names\": [null], \"refs\": [16]}\n"
	"{\"root\": \"frame\", \"label\": \"<frame f>\", \"names\": [\".x\"], \"refs\": [112]}\n"
	"{\"end\": true, \"id\": \"f\", \"objects\": 7}\n";

static char dump[64], index_name[96], side[128];
static uint8_t original[1 << 18], changed[1 << 18];
static size_t index_size;

static void clean_up(void)
{
	unlink(dump);
	unlink(index_name);
	unlink(side);
}

static void set_up(void)
{
	struct rmr_heap *heap;
	FILE *out;

	snprintf(dump, sizeof(dump), "/tmp/remora-fuzz-index-%d.json", (int)getpid());
	snprintf(index_name, sizeof(index_name), "%s.remora-index", dump);
	snprintf(side, sizeof(side), "%s-dominators", index_name);
	atexit(clean_up);
	out = fopen(dump, "w");
	if (!out || fputs(dump_text, out) < 0 || fclose(out))
		abort();
	struct rmr_error *err = rmr_heap_open(dump, NULL, &heap);
	if (err)
		abort();
	rmr_heap_close(heap);
	FILE *in = fopen(index_name, "r");
	if (!in)
		abort();
	index_size = fread(original, 1, sizeof(original), in);
	fclose(in);
}

static void write_index(void)
{
	int fd = open(index_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, changed, index_size) != (ssize_t)index_size)
		abort();
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rmr_index_header header;
	struct rmr_heap *heap;
	uint32_t offset;

	if (!index_size)
		set_up();
	memcpy(changed, original, index_size);
	for (; size >= 6; data += 6, size -= 6) {
		memcpy(&offset, data, sizeof(offset));
		/* Sections are a page each, with little in them: aim at where something is. */
		offset = offset % 64 * 4096 + offset / 64 % 600;
		if (offset < index_size)
			changed[offset] = data[4];
	}
	memcpy(&header, changed, sizeof(header));
	header.checksum = rmr_index_checksum(&header);
	memcpy(changed, &header, sizeof(header));
	write_index();
	unlink(side);
	struct rmr_error *err = rmr_heap_open(dump, NULL, &heap);
	if (err) {
		rmr_error_destroy(err);
		return 0;
	}
	exercise_heap(heap);
	rmr_heap_close(heap);
	return 0;
}
