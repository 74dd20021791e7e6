// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/source.h"

#include "attach/cleanup.h"
#include "cli/heap/beside.h"
#include "cli/heap/json.h"
#include "cli/heap/mapped.h"
#include "cli/heap/packed.h"
#include "cli/heap/repacked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

enum { BUFFER = 1 << 20 };

/* A decoder's work from one descriptor to another. */
struct pump {
	int in, out;
	const char *name;
	const struct rmr_heap_options *options;
	uint64_t done, total;
	unsigned char *input, *output;
	size_t have; /* bytes in input */
	struct rmr_repacked *copy; /* that is made of it, or NULL */
};

static struct rmr_error *pump_read(struct pump *pump)
{
	const struct rmr_heap_options *options = pump->options;
	ssize_t got;

	do {
		if (options->interrupted && *options->interrupted)
			return rmr_error_create(RMR_E_INTERRUPTED, 0, "reading %s was interrupted",
				pump->name);
		got = read(pump->in, pump->input, BUFFER);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return rmr_error_create(RMR_E_OS, errno, "cannot read %s", pump->name);
	pump->have = (size_t)got;
	pump->done += (uint64_t)got;
	if (options->progress)
		options->progress(options->progress_context, "reading", pump->done, pump->total);
	return NULL;
}

static void give_up_copy(struct pump *pump)
{
	rmr_repacked_destroy(pump->copy);
	pump->copy = NULL;
}

static struct rmr_error *pump_write(struct pump *pump, const unsigned char *data, size_t size)
{
	if (pump->copy && !rmr_repacked_add(pump->copy, data, size))
		give_up_copy(pump);
	while (size) {
		ssize_t put = write(pump->out, data, size);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && pump->copy) {
			/* There is room for one of them only, perhaps. */
			give_up_copy(pump);
			continue;
		}
		if (put < 0)
			return rmr_error_hint(
				rmr_error_create(RMR_E_WRITE, errno,
					"cannot unpack %s into a temporary file", pump->name),
				"set TMPDIR to a folder with more room");
		data += put;
		size -= (size_t)put;
	}
	return NULL;
}

static struct rmr_error *pump_plain(struct pump *pump)
{
	struct rmr_error *err = NULL;

	while (!err && pump->have) {
		err = pump_write(pump, pump->input, pump->have);
		if (!err)
			err = pump_read(pump);
	}
	return err;
}

static struct rmr_error *corrupt(const struct pump *pump, const char *why)
{
	return rmr_error_create(RMR_E_INPUT, 0, "%s: the compressed data is corrupt: %s", pump->name,
		why ? why : "no reason given");
}

static struct rmr_error *gzip_block(struct pump *pump, z_stream *stream)
{
	stream->next_in = pump->input;
	stream->avail_in = (uInt)pump->have;
	do {
		stream->next_out = pump->output;
		stream->avail_out = BUFFER;
		int status = inflate(stream, Z_NO_FLUSH);
		struct rmr_error *err = pump_write(pump, pump->output, BUFFER - stream->avail_out);
		if (err)
			return err;
		if (status == Z_STREAM_END) {
			/* A further member may follow, as in concatenated files. */
			inflateReset(stream);
			if (!stream->avail_in)
				return NULL;
		} else if (status == Z_BUF_ERROR) {
			return NULL;
		} else if (status != Z_OK) {
			return corrupt(pump, stream->msg);
		}
	} while (stream->avail_in || !stream->avail_out);
	return NULL;
}

static struct rmr_error *pump_gzip(struct pump *pump)
{
	z_stream stream = {0};
	struct rmr_error *err = NULL;

	if (inflateInit2(&stream, 15 + 16) != Z_OK)
		return &rmr_enomem;
	while (!err && pump->have) {
		err = gzip_block(pump, &stream);
		if (!err)
			err = pump_read(pump);
	}
	inflateEnd(&stream);
	return err;
}

static struct rmr_error *zstd_block(struct pump *pump, ZSTD_DStream *stream)
{
	ZSTD_inBuffer in = {pump->input, pump->have, 0};
	ZSTD_outBuffer out;

	do {
		out = (ZSTD_outBuffer){pump->output, BUFFER, 0};
		size_t status = ZSTD_decompressStream(stream, &out, &in);
		if (ZSTD_isError(status))
			return corrupt(pump, ZSTD_getErrorName(status));
		struct rmr_error *err = pump_write(pump, pump->output, out.pos);
		if (err)
			return err;
	} while (in.pos < in.size || out.pos == out.size);
	return NULL;
}

static struct rmr_error *pump_zstd(struct pump *pump)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	struct rmr_error *err = NULL;

	if (!stream)
		return &rmr_enomem;
	while (!err && pump->have) {
		err = zstd_block(pump, stream);
		if (!err)
			err = pump_read(pump);
	}
	ZSTD_freeDStream(stream);
	return err;
}

static int open_temporary(void)
{
	int fd = rmr_beside_temporary();

	return fd >= 0 ? fd : memfd_create("remora-dump", MFD_CLOEXEC);
}

static struct rmr_error *no_temporary(const struct pump *pump)
{
	return rmr_error_hint(rmr_error_create(RMR_E_OS, errno, "cannot make a temporary file for %s",
				      pump->name),
		"set TMPDIR to a folder with room for a dump");
}

static struct rmr_error *map_file(int fd, const char *name, struct rmr_source *source)
{
	struct stat status;

	if (fstat(fd, &status))
		return rmr_error_create(RMR_E_OS, errno, "cannot look at %s", name);
	size_t size = (size_t)status.st_size, page = (size_t)sysconf(_SC_PAGESIZE);
	size_t mapped = ((size + page - 1) / page + 1) * page;
	/* The page behind the file is the padding; the rest of its last page reads as zero. */
	void *data = mmap(NULL, mapped, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return rmr_error_create(RMR_E_OS, errno, "cannot map %s", name);
	if (size && mmap(data, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
		int errnum = errno;
		munmap(data, mapped);
		return rmr_error_create(RMR_E_OS, errnum, "cannot map %s", name);
	}
	source->data = data;
	source->size = size;
	source->mapped = mapped;
	return NULL;
}

/* A file of frames: a place for each in a temporary file, and nothing unpacked yet. */
static struct rmr_error *map_packed(const struct pump *pump, struct rmr_source *source)
{
	struct rmr_packed *packed = source->packed;
	int out = open_temporary();

	if (out < 0)
		return no_temporary(pump);
	rmr_packed_set_output(packed, out);
	if (ftruncate(out, (off_t)rmr_packed_size(packed)))
		return rmr_error_create(RMR_E_INPUT, errno, "cannot unpack %s", pump->name);
	return map_file(out, pump->name, source);
}

/* From the start to the end, into a temporary file. */
static struct rmr_error *unpack(struct pump *pump, struct rmr_error *(*unpacker)(struct pump *),
	struct rmr_source *source)
{
	_rmr_close_ int out = open_temporary();

	if (out < 0)
		return no_temporary(pump);
	pump->out = out;
	if (source->is_file && unpacker != pump_plain && !pump->options->no_index)
		pump->copy = rmr_repacked_create(source);
	struct rmr_error *err = unpacker(pump);
	if (!err && pump->copy)
		rmr_repacked_commit(pump->copy);
	give_up_copy(pump);
	return err ? err : map_file(out, pump->name, source);
}

static struct rmr_error *open_bytes(struct pump *pump, struct rmr_source *source)
{
	static const unsigned char gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
	struct rmr_error *(*unpacker)(struct pump *) = pump_plain;
	struct rmr_error *err = NULL;

	if (pump->have >= sizeof(gzip) && !memcmp(pump->input, gzip, sizeof(gzip)))
		unpacker = pump_gzip;
	else if (pump->have >= sizeof(zstd) && !memcmp(pump->input, zstd, sizeof(zstd)))
		unpacker = pump_zstd;
	if (unpacker == pump_plain && source->is_file) {
		err = map_file(pump->in, pump->name, source);
		if (!err)
			rmr_mapped_add(source->data, source->size, pump->name);
		return err;
	}
	if (unpacker != pump_plain && source->is_file)
		err = rmr_packed_create(pump->in, 0, source->file_size,
			unpacker == pump_zstd ? RMR_PACKED_ZSTD : RMR_PACKED_GZIP, pump->name,
			&source->packed);
	if (!err && unpacker != pump_plain && source->is_file && !source->packed &&
		!pump->options->no_index)
		err = rmr_repacked_open(source, &source->packed, &source->copy);
	if (err)
		return err;
	return source->packed ? map_packed(pump, source) : unpack(pump, unpacker, source);
}

struct rmr_error *rmr_source_open(int fd, const char *name, const struct rmr_heap_options *options,
	struct rmr_source *ret)
{
	struct stat status;
	struct rmr_source source = {.name = name};

	if (fstat(fd, &status))
		return rmr_error_create(RMR_E_OS, errno, "cannot look at %s", name);
	if (S_ISDIR(status.st_mode))
		return rmr_error_create(RMR_E_INPUT, 0, "%s is a folder, no dump", name);
	source.is_file = S_ISREG(status.st_mode);
	source.file_size = source.is_file ? (uint64_t)status.st_size : 0;
	source.inode = status.st_ino;
	source.mtime_ns = (uint64_t)status.st_mtim.tv_sec * 1000000000u +
		(uint64_t)status.st_mtim.tv_nsec;
	if (source.is_file && lseek(fd, 0, SEEK_SET) < 0)
		return rmr_error_create(RMR_E_OS, errno, "cannot read %s", name);

	_rmr_free_ unsigned char *input = malloc(BUFFER);
	_rmr_free_ unsigned char *output = malloc(BUFFER);
	if (!input || !output)
		return &rmr_enomem;
	struct pump pump = {.in = fd, .out = -1, .name = name, .options = options,
		.total = source.file_size, .input = input, .output = output};
	/* A pipe may give a few bytes only; four of them tell what it is. */
	struct rmr_error *err = pump_read(&pump);
	while (!err && pump.have && pump.have < 4) {
		size_t had = pump.have;
		ssize_t got = read(fd, input + had, BUFFER - had);
		if (got <= 0)
			break;
		pump.have += (size_t)got;
	}
	if (!err)
		err = open_bytes(&pump, &source);
	if (err) {
		rmr_source_close(&source);
		return err;
	}
	*ret = source;
	return NULL;
}

void rmr_source_close(struct rmr_source *source)
{
	if (source->data)
		rmr_mapped_remove(source->data);
	if (source->data)
		munmap((void *)(uintptr_t)source->data, source->mapped);
	source->data = NULL;
	rmr_packed_destroy(source->packed);
	source->packed = NULL;
	free(source->copy);
	source->copy = NULL;
}

bool rmr_source_need(const struct rmr_source *source, uint64_t start, uint64_t end)
{
	return !source->packed || rmr_packed_need(source->packed, start, end);
}

bool rmr_source_need_line(const struct rmr_source *source, uint64_t offset)
{
	return !source->packed || rmr_packed_need_line(source->packed, offset);
}

struct rmr_error *rmr_source_error(const struct rmr_source *source)
{
	struct rmr_error *err = rmr_packed_error(source->packed);

	if (source->copy && err->code == RMR_E_INPUT)
		err = rmr_error_hint(err, "remove that file: it is a copy of the dump, made again when needed");
	return err;
}

const char *rmr_source_line(const struct rmr_source *source, uint64_t offset)
{
	if (offset >= source->size)
		return NULL;
	if (rmr_source_need_line(source, offset))
		return source->data + offset;
	if (rmr_mapped_lost)
		rmr_mapped_lost(rmr_source_error(source));
	return NULL;
}
