// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum {
	BUFFER = 4 << 20,
	FLUSH = 1 << 20, // a plain block is written when it is so long
	ZSTD_LEVEL = -3, // costs some 40 % more time than no compression; level 1 more, for a smaller file
	GZIP_LEVEL = 1,
	OUTPUT = 1 << 20,
};

struct block {
	char *bytes;
	size_t size;
};

struct rmr_dump_sink {
	int fd;
	enum rmr_dump_compression compression;
	uint64_t size;
	struct block filling; // the writer's
	// Compression: the writer fills one block while the thread compresses the other.
	bool has_thread, stop, is_last, busy;
	int thread_errnum;      // of a failed write
	const char *thread_why; // what failed, or NULL
	struct block working;   // the thread's while busy
	char *output;
	ZSTD_CStream *zstd;
	z_stream gzip;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

enum rmr_dump_compression rmr_dump_sink_compression(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && strcmp(dot, ".zst") == 0)
		return RMR_DUMP_ZSTD;
	if (dot && strcmp(dot, ".gz") == 0)
		return RMR_DUMP_GZIP;
	return RMR_DUMP_PLAIN;
}

// 0, or an errno.
static int write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

static struct rmr_error *write_error(int errnum)
{
	struct rmr_error *err = rmr_error_create(RMR_E_WRITE, errnum, "cannot write the dump");

	if (errnum == ENOSPC || errnum == EDQUOT)
		return rmr_error_hint(err, "write it elsewhere, or compressed (-o FILE.zst)");
	return err;
}

// ---- the compressing thread ----

static bool compress_zstd(struct rmr_dump_sink *sink, bool last)
{
	ZSTD_inBuffer in = {sink->working.bytes, sink->working.size, 0};
	size_t left;

	do {
		ZSTD_outBuffer out = {sink->output, OUTPUT, 0};
		left = ZSTD_compressStream2(sink->zstd, &out, &in,
			last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left)) {
			sink->thread_why = ZSTD_getErrorName(left);
			return false;
		}
		sink->thread_errnum = write_all(sink->fd, sink->output, out.pos);
		if (sink->thread_errnum)
			return false;
	} while (last ? left != 0 : in.pos < in.size);
	return true;
}

static bool compress_gzip(struct rmr_dump_sink *sink, bool last)
{
	int status;

	sink->gzip.next_in = (Bytef *)sink->working.bytes;
	sink->gzip.avail_in = (uInt)sink->working.size;
	do {
		sink->gzip.next_out = (Bytef *)sink->output;
		sink->gzip.avail_out = OUTPUT;
		status = deflate(&sink->gzip, last ? Z_FINISH : Z_NO_FLUSH);
		if (status == Z_STREAM_ERROR) {
			sink->thread_why = "zlib failed";
			return false;
		}
		sink->thread_errnum =
			write_all(sink->fd, sink->output, OUTPUT - sink->gzip.avail_out);
		if (sink->thread_errnum)
			return false;
	} while (last ? status != Z_STREAM_END : sink->gzip.avail_out == 0);
	return true;
}

static void *run(void *arg)
{
	struct rmr_dump_sink *sink = arg;
	bool works = true;

	pthread_mutex_lock(&sink->lock);
	for (;;) {
		while (!sink->busy && !sink->stop)
			pthread_cond_wait(&sink->changed, &sink->lock);
		if (!sink->busy)
			break;
		bool last = sink->is_last;
		pthread_mutex_unlock(&sink->lock);
		if (works)
			works = sink->compression == RMR_DUMP_ZSTD ? compress_zstd(sink, last)
								   : compress_gzip(sink, last);
		pthread_mutex_lock(&sink->lock);
		sink->busy = false;
		pthread_cond_broadcast(&sink->changed);
	}
	pthread_mutex_unlock(&sink->lock);
	return NULL;
}

// Waits until the thread is idle and says what it met.
static struct rmr_error *wait_idle(struct rmr_dump_sink *sink)
{
	pthread_mutex_lock(&sink->lock);
	while (sink->busy)
		pthread_cond_wait(&sink->changed, &sink->lock);
	int errnum = sink->thread_errnum;
	const char *why = sink->thread_why;
	pthread_mutex_unlock(&sink->lock);
	if (errnum)
		return write_error(errnum);
	if (why)
		return rmr_error_create(RMR_E_WRITE, 0, "cannot compress the dump: %s", why);
	return NULL;
}

static struct rmr_error *hand_over(struct rmr_dump_sink *sink, bool last)
{
	struct rmr_error *err = wait_idle(sink);

	if (err)
		return err;
	pthread_mutex_lock(&sink->lock);
	struct block block = sink->working;
	sink->working = sink->filling;
	sink->filling = block;
	sink->filling.size = 0;
	sink->is_last = last;
	sink->busy = true;
	pthread_cond_broadcast(&sink->changed);
	pthread_mutex_unlock(&sink->lock);
	return NULL;
}

// ---- the writer's side ----

static struct rmr_error *flush(struct rmr_dump_sink *sink)
{
	if (!sink->filling.size)
		return NULL;
	if (sink->compression != RMR_DUMP_PLAIN)
		return hand_over(sink, false);
	int errnum = write_all(sink->fd, sink->filling.bytes, sink->filling.size);
	sink->filling.size = 0;
	return errnum ? write_error(errnum) : NULL;
}

static struct rmr_error *start_compression(struct rmr_dump_sink *sink)
{
	sink->working.bytes = malloc(BUFFER);
	sink->output = malloc(OUTPUT);
	if (!sink->working.bytes || !sink->output)
		return &rmr_enomem;
	if (sink->compression == RMR_DUMP_ZSTD) {
		sink->zstd = ZSTD_createCStream();
		if (!sink->zstd)
			return &rmr_enomem;
		ZSTD_CCtx_setParameter(sink->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
		ZSTD_CCtx_setParameter(sink->zstd, ZSTD_c_checksumFlag, 1);
	} else if (deflateInit2(&sink->gzip, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 9,
			   Z_DEFAULT_STRATEGY) != Z_OK) {
		return &rmr_enomem;
	}
	int errnum = pthread_create(&sink->thread, NULL, run, sink);
	if (errnum)
		return rmr_error_create(RMR_E_OS, errnum, "cannot start a thread");
	sink->has_thread = true;
	return NULL;
}

struct rmr_error *rmr_dump_sink_create(int fd, enum rmr_dump_compression compression,
	struct rmr_dump_sink **ret)
{
	struct rmr_dump_sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return &rmr_enomem;
	sink->fd = fd;
	sink->compression = compression;
	pthread_mutex_init(&sink->lock, NULL);
	pthread_cond_init(&sink->changed, NULL);
	sink->filling.bytes = malloc(BUFFER);
	struct rmr_error *err = sink->filling.bytes ? NULL : &rmr_enomem;
	if (!err && compression != RMR_DUMP_PLAIN)
		err = start_compression(sink);
	if (err) {
		rmr_dump_sink_destroy(sink);
		return err;
	}
	*ret = sink;
	return NULL;
}

struct rmr_error *rmr_dump_sink_reserve(struct rmr_dump_sink *sink, size_t size, char **buffer_ret)
{
	if (sink->filling.size >= FLUSH || sink->filling.size + size > BUFFER) {
		struct rmr_error *err = flush(sink);
		if (err)
			return err;
	}
	*buffer_ret = sink->filling.bytes + sink->filling.size;
	return NULL;
}

void rmr_dump_sink_commit(struct rmr_dump_sink *sink, size_t size)
{
	sink->filling.size += size;
	sink->size += size;
}

struct rmr_error *rmr_dump_sink_write(struct rmr_dump_sink *sink, const void *bytes, size_t size)
{
	const char *from = bytes;

	while (size) {
		size_t part = size < FLUSH ? size : FLUSH;
		char *to;
		struct rmr_error *err = rmr_dump_sink_reserve(sink, part, &to);
		if (err)
			return err;
		memcpy(to, from, part);
		rmr_dump_sink_commit(sink, part);
		from += part;
		size -= part;
	}
	return NULL;
}

uint64_t rmr_dump_sink_size(const struct rmr_dump_sink *sink)
{
	return sink->size;
}

struct rmr_error *rmr_dump_sink_finish(struct rmr_dump_sink *sink)
{
	if (sink->compression == RMR_DUMP_PLAIN)
		return flush(sink);
	struct rmr_error *err = hand_over(sink, true);
	return err ? err : wait_idle(sink);
}

void rmr_dump_sink_destroy(struct rmr_dump_sink *sink)
{
	if (!sink)
		return;
	if (sink->has_thread) {
		pthread_mutex_lock(&sink->lock);
		sink->stop = true;
		pthread_cond_broadcast(&sink->changed);
		pthread_mutex_unlock(&sink->lock);
		pthread_join(sink->thread, NULL);
	}
	if (sink->zstd)
		ZSTD_freeCStream(sink->zstd);
	if (sink->compression == RMR_DUMP_GZIP)
		deflateEnd(&sink->gzip);
	pthread_cond_destroy(&sink->changed);
	pthread_mutex_destroy(&sink->lock);
	free(sink->filling.bytes);
	free(sink->working.bytes);
	free(sink->output);
	free(sink);
}
