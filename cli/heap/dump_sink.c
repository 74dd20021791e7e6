// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/dump_sink.h"

#include "cli/heap/frames.h"
#include "cli/heap/parallel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum {
	BUFFER = 4 << 20,
	// 1.1 GB/s a core and a thirteenth of the size, with LITERALS packed (ZSTD_lcm_huffman), which
	// levels below 0 leave as they are. Level -3 alone: as fast, a ninth; level 1: 0.7 GB/s, a twelfth.
	ZSTD_LEVEL = -5,
	LITERALS = 1,
	GZIP_LEVEL = 1,
	SLOTS = 6, // few, so that they stay in the cache
	THREADS = 4,
};

// One frame on its way: the writer fills it, some thread packs it, some thread writes it.
struct slot {
	char *text, *packed;
	size_t size, packed_size;
	bool is_packed;
};

struct frame_size {
	uint32_t packed, text;
};

struct rmr_dump_sink {
	int fd;
	enum rmr_dump_compression compression;
	uint64_t size;
	// Frames count up from 0, and each has the slot of its number modulo SLOTS. Those below
	// written are done, those below claimed are some thread's, those below filled are waiting,
	// and the writer fills number filled.
	struct slot slots[SLOTS];
	size_t packed_room;
	uint64_t filled, claimed, written;
	bool stop, is_writing, failed;
	int errnum;      // of a failed write
	const char *why; // what else failed, or NULL: memory
	struct frame_size *frames;
	size_t frame_room;
	pthread_t threads[THREADS];
	unsigned thread_count;
	pthread_mutex_t lock;
	pthread_cond_t work, progress;
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

// ---- the packing threads ----

// What one thread packs with.
struct packer {
	ZSTD_CCtx *zstd;
	z_stream gzip;
	bool has_gzip;
};

static bool packer_init(struct packer *packer, enum rmr_dump_compression compression)
{
	*packer = (struct packer){0};
	if (compression == RMR_DUMP_GZIP) {
		packer->has_gzip = deflateInit2(&packer->gzip, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 9,
					   Z_DEFAULT_STRATEGY) == Z_OK;
		return packer->has_gzip;
	}
	packer->zstd = ZSTD_createCCtx();
	if (!packer->zstd)
		return false;
	ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_checksumFlag, 1);
	// ZSTD_c_literalCompressionMode, which zstd.h shows to static programs only: should it come to
	// mean something else, or nothing, the dump is only larger.
	ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_experimentalParam5, LITERALS);
	return true;
}

static void packer_deinit(struct packer *packer)
{
	ZSTD_freeCCtx(packer->zstd);
	if (packer->has_gzip)
		deflateEnd(&packer->gzip);
}

// NULL, or why it failed.
static const char *pack_zstd(struct packer *packer, struct slot *slot, size_t room)
{
	size_t size = ZSTD_compress2(packer->zstd, slot->packed, room, slot->text, slot->size);

	if (ZSTD_isError(size))
		return ZSTD_getErrorName(size);
	slot->packed_size = size;
	return NULL;
}

static const char *pack_gzip(struct packer *packer, struct slot *slot, size_t room)
{
	Bytef extra[sizeof(rmr_member_mark) + 8] = {0};
	gz_header header = {.os = 3 /* Unix */, .extra = extra, .extra_len = sizeof(extra)};
	z_stream *stream = &packer->gzip;

	memcpy(extra, rmr_member_mark, sizeof(rmr_member_mark));
	if (deflateReset(stream) != Z_OK || deflateSetHeader(stream, &header) != Z_OK)
		return "zlib failed";
	stream->next_in = (Bytef *)slot->text;
	stream->avail_in = (uInt)slot->size;
	stream->next_out = (Bytef *)slot->packed;
	stream->avail_out = (uInt)room;
	if (deflate(stream, Z_FINISH) != Z_STREAM_END)
		return "zlib failed";
	slot->packed_size = room - stream->avail_out;
	unsigned char *sizes = (unsigned char *)slot->packed + RMR_MEMBER_SIZES;
	sizes = rmr_frames_store(sizes, (uint32_t)slot->packed_size);
	rmr_frames_store(sizes, (uint32_t)slot->size);
	return NULL;
}

// The lock is held, as in all that follow up to run().
static void fail(struct rmr_dump_sink *sink, int errnum, const char *why)
{
	if (!sink->failed) {
		sink->failed = true;
		sink->errnum = errnum;
		sink->why = why;
	}
	pthread_cond_broadcast(&sink->progress);
	pthread_cond_broadcast(&sink->work);
}

static bool note_frame(struct rmr_dump_sink *sink, const struct slot *slot)
{
	if (sink->written == sink->frame_room) {
		size_t room = sink->frame_room ? sink->frame_room * 2 : 1024;
		struct frame_size *frames = realloc(sink->frames, room * sizeof(*frames));
		if (!frames)
			return false;
		sink->frames = frames;
		sink->frame_room = room;
	}
	sink->frames[sink->written] =
		(struct frame_size){(uint32_t)slot->packed_size, (uint32_t)slot->size};
	return true;
}

// Writes the frames whose turn it is, unless another thread is about it.
static void write_packed(struct rmr_dump_sink *sink)
{
	while (!sink->is_writing && !sink->failed && sink->written < sink->claimed) {
		struct slot *slot = &sink->slots[sink->written % SLOTS];
		if (!slot->is_packed)
			return;
		sink->is_writing = true;
		pthread_mutex_unlock(&sink->lock);
		int errnum = write_all(sink->fd, slot->packed, slot->packed_size);
		pthread_mutex_lock(&sink->lock);
		sink->is_writing = false;
		if (errnum || !note_frame(sink, slot)) {
			fail(sink, errnum, NULL);
			return;
		}
		slot->is_packed = false;
		sink->written++;
		pthread_cond_signal(&sink->progress);
	}
}

static void *run(void *arg)
{
	struct rmr_dump_sink *sink = arg;
	struct packer packer;
	bool works = packer_init(&packer, sink->compression);

	pthread_mutex_lock(&sink->lock);
	if (!works)
		fail(sink, 0, NULL);
	for (;;) {
		while (sink->claimed == sink->filled && !sink->stop && !sink->failed)
			pthread_cond_wait(&sink->work, &sink->lock);
		if (sink->claimed == sink->filled || sink->failed)
			break;
		struct slot *slot = &sink->slots[sink->claimed++ % SLOTS];
		pthread_mutex_unlock(&sink->lock);
		const char *why = sink->compression == RMR_DUMP_ZSTD
			? pack_zstd(&packer, slot, sink->packed_room)
			: pack_gzip(&packer, slot, sink->packed_room);
		pthread_mutex_lock(&sink->lock);
		slot->is_packed = true;
		if (why)
			fail(sink, 0, why);
		write_packed(sink);
	}
	pthread_mutex_unlock(&sink->lock);
	packer_deinit(&packer);
	return NULL;
}

// ---- the writer's side ----

static struct slot *filling(struct rmr_dump_sink *sink)
{
	return &sink->slots[sink->filled % SLOTS];
}

static struct rmr_error *sink_error(const struct rmr_dump_sink *sink)
{
	if (sink->errnum)
		return write_error(sink->errnum);
	if (sink->why)
		return rmr_error_create(
			RMR_E_WRITE, 0, "cannot compress the dump: %s", sink->why);
	return &rmr_enomem;
}

// Gives the filling slot to the threads, unless nothing is in it, and waits until at most @p left
// frames are on their way. A first frame may be empty: a file without any is no compressed file.
static struct rmr_error *hand_over(struct rmr_dump_sink *sink, unsigned left)
{
	struct rmr_error *err = NULL;

	pthread_mutex_lock(&sink->lock);
	if (filling(sink)->size || !sink->filled)
		sink->filled++;
	pthread_cond_signal(&sink->work);
	while (!sink->failed && sink->filled - sink->written > left)
		pthread_cond_wait(&sink->progress, &sink->lock);
	if (sink->failed)
		err = sink_error(sink);
	pthread_mutex_unlock(&sink->lock);
	if (!err)
		filling(sink)->size = 0;
	return err;
}

static struct rmr_error *flush(struct rmr_dump_sink *sink)
{
	struct slot *slot = filling(sink);

	if (!slot->size)
		return NULL;
	if (sink->compression != RMR_DUMP_PLAIN)
		return hand_over(sink, SLOTS - 1);
	int errnum = write_all(sink->fd, slot->text, slot->size);
	slot->size = 0;
	return errnum ? write_error(errnum) : NULL;
}

static struct rmr_error *start_threads(struct rmr_dump_sink *sink)
{
	unsigned count = rmr_parallel_cpus();
	sigset_t all, before;
	int errnum = 0;

	// Room is only what is touched: mostly an eighth of the text's, a seventh of that packed.
	sink->packed_room = ZSTD_compressBound(BUFFER) + RMR_MEMBER_HEADER;
	if (sink->packed_room < compressBound(BUFFER) + RMR_MEMBER_HEADER)
		sink->packed_room = compressBound(BUFFER) + RMR_MEMBER_HEADER;
	for (unsigned i = 0; i < SLOTS; i++) {
		sink->slots[i].packed = malloc(sink->packed_room);
		if (!sink->slots[i].packed)
			return &rmr_enomem;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!errnum && sink->thread_count < THREADS && sink->thread_count < count) {
		errnum = pthread_create(&sink->threads[sink->thread_count], NULL, run, sink);
		sink->thread_count += !errnum;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return sink->thread_count ? NULL
				  : rmr_error_create(RMR_E_OS, errnum, "cannot start a thread");
}

struct rmr_error *rmr_dump_sink_create(int fd, enum rmr_dump_compression compression,
	struct rmr_dump_sink **ret)
{
	struct rmr_dump_sink *sink = calloc(1, sizeof(*sink));
	bool complete = true;

	if (!sink)
		return &rmr_enomem;
	sink->fd = fd;
	sink->compression = compression;
	pthread_mutex_init(&sink->lock, NULL);
	pthread_cond_init(&sink->work, NULL);
	pthread_cond_init(&sink->progress, NULL);
	for (unsigned i = 0; i < (compression == RMR_DUMP_PLAIN ? 1 : SLOTS); i++) {
		sink->slots[i].text = malloc(BUFFER);
		complete &= sink->slots[i].text != NULL;
	}
	struct rmr_error *err = complete ? NULL : &rmr_enomem;
	if (!err && compression != RMR_DUMP_PLAIN)
		err = start_threads(sink);
	if (err) {
		rmr_dump_sink_destroy(sink);
		return err;
	}
	*ret = sink;
	return NULL;
}

struct rmr_error *rmr_dump_sink_reserve(struct rmr_dump_sink *sink, size_t size, char **buffer_ret)
{
	const struct slot *slot = filling(sink);

	if (slot->size + size > BUFFER ||
		(slot->size >= RMR_FRAME_TEXT && slot->text[slot->size - 1] == '\n')) {
		struct rmr_error *err = flush(sink);
		if (err)
			return err;
		slot = filling(sink);
	}
	*buffer_ret = slot->text + slot->size;
	return NULL;
}

void rmr_dump_sink_commit(struct rmr_dump_sink *sink, size_t size)
{
	filling(sink)->size += size;
	sink->size += size;
}

struct rmr_error *rmr_dump_sink_write(struct rmr_dump_sink *sink, const void *bytes, size_t size)
{
	const char *from = bytes;

	while (size) {
		size_t part = size < RMR_FRAME_TEXT ? size : RMR_FRAME_TEXT;
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

static struct rmr_error *write_table(struct rmr_dump_sink *sink)
{
	size_t entries = sink->written * RMR_SEEK_ENTRY;
	size_t size = RMR_SEEK_START + entries + RMR_SEEK_END;
	unsigned char *table = malloc(size), *p = table;

	if (!table)
		return &rmr_enomem;
	p = rmr_frames_store(p, rmr_seek_magic_start);
	p = rmr_frames_store(p, (uint32_t)(entries + RMR_SEEK_END));
	for (uint64_t i = 0; i < sink->written; i++) {
		p = rmr_frames_store(p, sink->frames[i].packed);
		p = rmr_frames_store(p, sink->frames[i].text);
	}
	p = rmr_frames_store(p, (uint32_t)sink->written);
	*p++ = 0; // no checksums here: zstd's own frames have them
	rmr_frames_store(p, rmr_seek_magic_end);
	int errnum = write_all(sink->fd, (const char *)table, size);
	free(table);
	return errnum ? write_error(errnum) : NULL;
}

struct rmr_error *rmr_dump_sink_finish(struct rmr_dump_sink *sink)
{
	if (sink->compression == RMR_DUMP_PLAIN)
		return flush(sink);
	struct rmr_error *err = hand_over(sink, 0);
	return !err && sink->compression == RMR_DUMP_ZSTD ? write_table(sink) : err;
}

void rmr_dump_sink_destroy(struct rmr_dump_sink *sink)
{
	if (!sink)
		return;
	pthread_mutex_lock(&sink->lock);
	sink->stop = true;
	pthread_cond_broadcast(&sink->work);
	pthread_mutex_unlock(&sink->lock);
	for (unsigned i = 0; i < sink->thread_count; i++)
		pthread_join(sink->threads[i], NULL);
	pthread_cond_destroy(&sink->progress);
	pthread_cond_destroy(&sink->work);
	pthread_mutex_destroy(&sink->lock);
	for (unsigned i = 0; i < SLOTS; i++) {
		free(sink->slots[i].text);
		free(sink->slots[i].packed);
	}
	free(sink->frames);
	free(sink);
}
