// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A compressed dump of three frames with bytes changed, opened with its index (which is of the dump as
 * it was, so that single frames are unpacked on demand) or without. The input: one byte, 1 for gzip
 * and 2 for the index, then a list of (offset, value), three bytes each; 0xffff and a length cut it off.
 */
#include "cli/heap/frames.h"
#include "tests/fuzz/exercise_heap.h"
#include "tests/fuzz/replay.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static const char *const pieces[] = {
	"{\"remora\": 1, \"id\": \"f\"}\n"
	"{\"shape\": 1, \"names\": [\".__dict__\", \".__class__\"]}\n"
	"{\"address\": 16, \"type\": \"dict\", \"size\": 64, \"rc\": 1, \"len\": 1, \"refs\": [32], \"keys\": [48]}\n"
	"{\"address\": 32, \"type\": \"module\", \"size\": 64, \"rc\": 1, \"name\": \"m\", \"shape\": 1, \"re",
	"fs\": [64]}\n"
	"{\"address\": 48, \"type\": \"str\", \"size\": 57, \"rc\": 1, \"len\": 1, \"value\": \"m\", \"refs\": []}\n"
	"{\"address\": 64, \"type\": \"dict\", \"size\": 64, \"rc\": 1, \"len\": 1, \"refs\": [80], \"keys\": [48]}\n",
	"{\"address\": 80, \"type\": \"A\", \"class\": 96, \"size\": 64, \"rc\": 3, \"shape\": 1, \"refs\": [112, 96]}\n"
	"{\"address\": 96, \"type\": \"type\", \"size\": 64, \"rc\": 1, \"name\": \"A\", \"module\": \"m\", \"refs\": [7]}\n"
	"{\"address\": 112, \"type\": \"list\", \"size\": 88, \"rc\": 1, \"len\": 2, \"refs\": [80, 112]}\n"
	"{\"root\": \"interpreter\", \"label\": \"sys.modules\", \"names\": [null], \"refs\": [16]}\n"
	"{\"root\": \"frame\", \"label\": \"<frame f>\", \"names\": [\".x\"], \"refs\": [112]}\n"
	"{\"end\": true, \"id\": \"f\", \"objects\": 7}\n"};

enum { PIECES = 3, ROOM = 1 << 16, ZST = 0, GZ = 1 };

static struct {
	char path[64], index[96], side[128];
	uint8_t bytes[ROOM];
	size_t size;
	struct timespec times[2];
} files[2];

static void clean_up(void)
{
	for (int i = 0; i < 2; i++) {
		unlink(files[i].path);
		unlink(files[i].index);
		unlink(files[i].side);
	}
}

static size_t pack_zstd(uint8_t *to)
{
	uint8_t table[RMR_SEEK_START + PIECES * RMR_SEEK_ENTRY + RMR_SEEK_END], *p = table;
	size_t size = 0;

	p = rmr_frames_store(p, rmr_seek_magic_start);
	p = rmr_frames_store(p, sizeof(table) - RMR_SEEK_START);
	for (int i = 0; i < PIECES; i++) {
		/* Without checksums: changes get through to the text. */
		size_t part = ZSTD_compress(to + size, ROOM - size, pieces[i], strlen(pieces[i]), 1);
		p = rmr_frames_store(p, (uint32_t)part);
		p = rmr_frames_store(p, (uint32_t)strlen(pieces[i]));
		size += part;
	}
	p = rmr_frames_store(p, PIECES);
	*p++ = 0;
	rmr_frames_store(p, rmr_seek_magic_end);
	memcpy(to + size, table, sizeof(table));
	return size + sizeof(table);
}

static size_t pack_gzip(uint8_t *to)
{
	size_t size = 0;

	for (int i = 0; i < PIECES; i++) {
		Bytef extra[sizeof(rmr_member_mark) + 8] = {0};
		gz_header header = {.os = 3, .extra = extra, .extra_len = sizeof(extra)};
		z_stream stream = {0};
		memcpy(extra, rmr_member_mark, sizeof(rmr_member_mark));
		if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK ||
			deflateSetHeader(&stream, &header) != Z_OK)
			abort();
		stream.next_in = (Bytef *)(uintptr_t)pieces[i];
		stream.avail_in = (uInt)strlen(pieces[i]);
		stream.next_out = to + size;
		stream.avail_out = (uInt)(ROOM - size);
		if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
			abort();
		rmr_frames_store(rmr_frames_store(to + size + RMR_MEMBER_SIZES, (uint32_t)stream.total_out),
			(uint32_t)strlen(pieces[i]));
		size += stream.total_out;
		deflateEnd(&stream);
	}
	return size;
}

static void store(int kind, const uint8_t *bytes, size_t size)
{
	/* Not cut first: the file stays the same one, and so does its time. */
	int fd = open(files[kind].path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)size) || pwrite(fd, bytes, size, 0) != (ssize_t)size ||
		(files[kind].times[1].tv_sec && futimens(fd, files[kind].times)))
		abort();
	close(fd);
}

static void set_up(void)
{
	atexit(clean_up);
	for (int kind = 0; kind < 2; kind++) {
		struct rmr_heap *heap;
		struct stat status;
		snprintf(files[kind].path, sizeof(files[kind].path), "/tmp/remora-fuzz-packed-%d-%d",
			(int)getpid(), kind);
		int length = snprintf(files[kind].index, sizeof(files[kind].index), "%s.remora-index",
			files[kind].path);
		int side_length = snprintf(files[kind].side, sizeof(files[kind].side), "%s-dominators",
			files[kind].index);
		if (length >= (int)sizeof(files[kind].index) || side_length >= (int)sizeof(files[kind].side))
			abort();
		files[kind].size = kind == GZ ? pack_gzip(files[kind].bytes) : pack_zstd(files[kind].bytes);
		store(kind, files[kind].bytes, files[kind].size);
		if (rmr_heap_open(files[kind].path, NULL, &heap) || rmr_heap_count(heap) != 7)
			abort();
		rmr_heap_close(heap);
		if (stat(files[kind].path, &status))
			abort();
		files[kind].times[0] = status.st_atim;
		files[kind].times[1] = status.st_mtim;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t changed[ROOM];
	struct rmr_heap *heap;

	if (!files[0].size)
		set_up();
	if (!size)
		return 0;
	int kind = data[0] & 1;
	struct rmr_heap_options options = {.threads = 1 + (data[0] & 4), .no_index = !(data[0] & 2)};
	size_t length = files[kind].size;
	memcpy(changed, files[kind].bytes, length);
	for (data++, size--; size >= 3; data += 3, size -= 3) {
		unsigned offset = data[0] | (unsigned)data[1] << 8;
		if (offset == 0xffff)
			length = files[kind].size * data[2] / 255;
		else
			changed[offset % files[kind].size] = data[2];
	}
	store(kind, changed, length);
	struct rmr_error *err = rmr_heap_open(files[kind].path, &options, &heap);
	if (!err) {
		exercise_heap(heap);
		rmr_heap_close(heap);
	}
	rmr_error_destroy(err);
	if (!options.no_index) {
		/* An index that was made of a changed file is not kept for the next. */
		unlink(files[kind].side);
		store(kind, files[kind].bytes, files[kind].size);
		if (!rmr_heap_open(files[kind].path, NULL, &heap))
			rmr_heap_close(heap);
	}
	return 0;
}
