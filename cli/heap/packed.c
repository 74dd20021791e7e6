// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/packed.h"

#include "attach/cleanup.h"
#include "cli/heap/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { SPARE = 8 }; /* unpackers kept for the next frames */

enum state {
	ABSENT,
	BUSY,     /* some thread unpacks it */
	WHOLE,    /* there, and a line ends where it does */
	OPEN,     /* there; its last line goes on in the next */
	BAD,
};

struct frame {
	uint64_t packed, text; /* offsets; the next one's are the ends */
};

/* What a thread unpacks with. */
struct unpacker {
	struct unpacker *next;
	ZSTD_DCtx *zstd;
	z_stream gzip;
	bool has_gzip;
	unsigned char *input, *output; /* as large as the largest frame */
};

struct rmr_packed {
	int fd, output;
	uint64_t start; /* of the first frame */
	enum rmr_packed_kind kind;
	const char *name;
	struct frame *frames; /* count + 1 */
	size_t count, room;
	uint32_t packed_most, text_most;
	atomic_uchar *states;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct unpacker *spare;
	unsigned spare_count;
	bool has_failed; /* the rest is of the first failure */
	enum rmr_code failure;
	int errnum;
	const char *why;
};

/* ---- where the frames are ---- */

static bool read_at(int fd, void *data, size_t size, uint64_t offset, int *errnum_ret)
{
	unsigned char *to = data;

	while (size) {
		ssize_t got = pread(fd, to, size, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			*errnum_ret = got < 0 ? errno : 0;
			return false;
		}
		to += got;
		size -= (size_t)got;
		offset += (uint64_t)got;
	}
	return true;
}

static bool add_frame(struct rmr_packed *packed, uint32_t packed_size, uint32_t text_size)
{
	/* One more than there are: the end. */
	if (packed->count + 2 > packed->room) {
		size_t room = packed->room ? packed->room * 2 : 1024;
		struct frame *frames = realloc(packed->frames, room * sizeof(*frames));
		if (!frames)
			return false;
		if (!packed->room)
			frames[0] = (struct frame){packed->start, 0};
		packed->frames = frames;
		packed->room = room;
	}
	struct frame *frame = &packed->frames[packed->count++];
	frame[1] = (struct frame){frame->packed + packed_size, frame->text + text_size};
	if (packed_size > packed->packed_most)
		packed->packed_most = packed_size;
	if (text_size > packed->text_most)
		packed->text_most = text_size;
	return true;
}

/* True if the table fits the file. False with *err_ret NULL: it has none. */
static bool find_zstd(struct rmr_packed *packed, uint64_t size, struct rmr_error **err_ret)
{
	unsigned char end[RMR_SEEK_END], start[RMR_SEEK_START];
	int errnum;

	if (size < RMR_SEEK_START + RMR_SEEK_END ||
		!read_at(packed->fd, end, sizeof(end), size - sizeof(end), &errnum) ||
		rmr_frames_load(end + 5) != rmr_seek_magic_end || (end[4] & 0x7f))
		return false;
	uint64_t count = rmr_frames_load(end);
	size_t entry = RMR_SEEK_ENTRY + (end[4] ? RMR_SEEK_CHECKSUM : 0);
	uint64_t table = RMR_SEEK_START + count * entry + RMR_SEEK_END;
	if (!count || table > size || table - RMR_SEEK_START > UINT32_MAX ||
		!read_at(packed->fd, start, sizeof(start), size - table, &errnum) ||
		rmr_frames_load(start) != rmr_seek_magic_start ||
		rmr_frames_load(start + 4) != table - RMR_SEEK_START)
		return false;
	_rmr_free_ unsigned char *entries = malloc(count * entry);
	*err_ret = entries ? NULL : &rmr_enomem;
	if (!entries || !read_at(packed->fd, entries, count * entry, size - table + RMR_SEEK_START,
				&errnum))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		uint32_t packed_size = rmr_frames_load(entries + i * entry);
		uint32_t text_size = rmr_frames_load(entries + i * entry + 4);
		if (packed_size > RMR_FRAME_MAX || text_size > RMR_FRAME_MAX)
			return false;
		if (!add_frame(packed, packed_size, text_size)) {
			*err_ret = &rmr_enomem;
			return false;
		}
	}
	return packed->frames[packed->count].packed == size - table;
}

static bool find_gzip(struct rmr_packed *packed, uint64_t size, struct rmr_error **err_ret)
{
	static const unsigned char first[] = {0x1f, 0x8b, 8, 4};
	uint64_t at = packed->start;
	int errnum;

	while (at < size) {
		unsigned char header[RMR_MEMBER_HEADER];
		if (size - at < sizeof(header) ||
			!read_at(packed->fd, header, sizeof(header), at, &errnum) ||
			memcmp(header, first, sizeof(first)) || header[10] != 12 || header[11] ||
			memcmp(header + 12, rmr_member_mark, sizeof(rmr_member_mark)))
			return false;
		uint32_t packed_size = rmr_frames_load(header + RMR_MEMBER_SIZES);
		uint32_t text_size = rmr_frames_load(header + RMR_MEMBER_SIZES + 4);
		if (packed_size < sizeof(header) || packed_size > size - at ||
			packed_size > RMR_FRAME_MAX || text_size > RMR_FRAME_MAX)
			return false;
		if (!add_frame(packed, packed_size, text_size)) {
			*err_ret = &rmr_enomem;
			return false;
		}
		at += packed_size;
	}
	return packed->count > 0;
}

struct rmr_error *rmr_packed_create(int fd, uint64_t start, uint64_t size, enum rmr_packed_kind kind,
	const char *name, struct rmr_packed **ret)
{
	struct rmr_packed *packed = calloc(1, sizeof(*packed));
	struct rmr_error *err = NULL;
	bool found = false;

	if (!packed)
		return &rmr_enomem;
	pthread_mutex_init(&packed->lock, NULL);
	pthread_cond_init(&packed->changed, NULL);
	packed->start = start;
	packed->kind = kind;
	packed->name = name;
	packed->output = -1;
	packed->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (packed->fd < 0)
		err = rmr_error_create(RMR_E_OS, errno, "cannot read %s", name);
	else
		found = kind == RMR_PACKED_ZSTD ? find_zstd(packed, size, &err)
						: find_gzip(packed, size, &err);
	if (found) {
		packed->states = calloc(packed->count, sizeof(*packed->states));
		err = packed->states ? NULL : &rmr_enomem;
	}
	if (err || !found) {
		rmr_packed_destroy(packed);
		packed = NULL;
	}
	if (!err)
		*ret = packed;
	return err;
}

static void unpacker_destroy(struct unpacker *unpacker)
{
	if (!unpacker)
		return;
	ZSTD_freeDCtx(unpacker->zstd);
	if (unpacker->has_gzip)
		inflateEnd(&unpacker->gzip);
	free(unpacker->input);
	free(unpacker->output);
	free(unpacker);
}

void rmr_packed_destroy(struct rmr_packed *packed)
{
	if (!packed)
		return;
	while (packed->spare) {
		struct unpacker *next = packed->spare->next;
		unpacker_destroy(packed->spare);
		packed->spare = next;
	}
	if (packed->fd >= 0)
		close(packed->fd);
	if (packed->output >= 0)
		close(packed->output);
	pthread_cond_destroy(&packed->changed);
	pthread_mutex_destroy(&packed->lock);
	free(packed->frames);
	free(packed->states);
	free(packed);
}

uint64_t rmr_packed_size(const struct rmr_packed *packed)
{
	return packed->frames[packed->count].text;
}

void rmr_packed_set_output(struct rmr_packed *packed, int fd)
{
	packed->output = fd;
}

/* ---- one frame ---- */

static struct unpacker *unpacker_create(const struct rmr_packed *packed)
{
	struct unpacker *unpacker = calloc(1, sizeof(*unpacker));

	if (!unpacker)
		return NULL;
	unpacker->input = malloc((size_t)packed->packed_most + 1);
	unpacker->output = malloc((size_t)packed->text_most + 1);
	if (packed->kind == RMR_PACKED_ZSTD)
		unpacker->zstd = ZSTD_createDCtx();
	else
		unpacker->has_gzip = inflateInit2(&unpacker->gzip, 15 + 16) == Z_OK;
	if (!unpacker->input || !unpacker->output || (!unpacker->zstd && !unpacker->has_gzip)) {
		unpacker_destroy(unpacker);
		return NULL;
	}
	return unpacker;
}

/* NULL if just @p text bytes come out, or what is wrong. */
static const char *unpack_bytes(struct unpacker *unpacker, size_t packed, size_t text)
{
	z_stream *stream = &unpacker->gzip;
	size_t size;

	if (unpacker->zstd) {
		size = ZSTD_decompressDCtx(unpacker->zstd, unpacker->output, text + 1,
			unpacker->input, packed);
		if (ZSTD_isError(size))
			return ZSTD_getErrorName(size);
	} else {
		if (inflateReset(stream) != Z_OK)
			return "zlib failed";
		stream->next_in = unpacker->input;
		stream->avail_in = (uInt)packed;
		stream->next_out = unpacker->output;
		stream->avail_out = (uInt)text + 1;
		if (inflate(stream, Z_FINISH) != Z_STREAM_END || stream->avail_in)
			return stream->msg ? stream->msg : "a member does not end where it says";
		size = text + 1 - stream->avail_out;
	}
	return size == text ? NULL : "a frame is not as long as the table says";
}

static bool write_text(const struct rmr_packed *packed, const unsigned char *text, size_t size,
	uint64_t offset, int *errnum_ret)
{
	while (size) {
		ssize_t put = pwrite(packed->output, text, size, (off_t)offset);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0) {
			*errnum_ret = errno;
			return false;
		}
		text += put;
		size -= (size_t)put;
		offset += (uint64_t)put;
	}
	return true;
}

/* What became of it. Why it is BAD goes to the three out parameters. */
static enum state unpack_frame(const struct rmr_packed *packed, struct unpacker *unpacker,
	size_t index, enum rmr_code *failure, int *errnum, const char **why)
{
	const struct frame *frame = &packed->frames[index];
	size_t packed_size = (size_t)(frame[1].packed - frame->packed);
	size_t text_size = (size_t)(frame[1].text - frame->text);

	*failure = RMR_E_INPUT;
	if (!read_at(packed->fd, unpacker->input, packed_size, frame->packed, errnum)) {
		return BAD;
	}
	*why = unpack_bytes(unpacker, packed_size, text_size);
	if (*why)
		return BAD;
	if (!write_text(packed, unpacker->output, text_size, frame->text, errnum)) {
		*failure = RMR_E_WRITE;
		return BAD;
	}
	return text_size && unpacker->output[text_size - 1] == '\n' ? WHOLE : OPEN;
}

/* Unpacks a frame that this thread has made BUSY; the lock is held but for the work itself. */
static enum state unpack(struct rmr_packed *packed, size_t index)
{
	struct unpacker *unpacker = packed->spare;
	enum rmr_code failure = RMR_E_NOMEM;
	enum state state = BAD;
	const char *why = NULL;
	int errnum = 0;

	if (unpacker) {
		packed->spare = unpacker->next;
		packed->spare_count--;
	}
	pthread_mutex_unlock(&packed->lock);
	if (!unpacker)
		unpacker = unpacker_create(packed);
	if (unpacker)
		state = unpack_frame(packed, unpacker, index, &failure, &errnum, &why);
	pthread_mutex_lock(&packed->lock);
	if (unpacker && packed->spare_count < SPARE) {
		unpacker->next = packed->spare;
		packed->spare = unpacker;
		packed->spare_count++;
	} else {
		unpacker_destroy(unpacker);
	}
	if (state == BAD && !packed->has_failed) {
		packed->has_failed = true;
		packed->failure = failure;
		packed->errnum = errnum;
		packed->why = why;
	}
	return state;
}

/* The state of a frame after it was unpacked: WHOLE, OPEN or BAD. */
static enum state need_frame(struct rmr_packed *packed, size_t index)
{
	enum state state = atomic_load_explicit(&packed->states[index], memory_order_acquire);

	if (state >= WHOLE)
		return state;
	pthread_mutex_lock(&packed->lock);
	while (atomic_load(&packed->states[index]) == BUSY)
		pthread_cond_wait(&packed->changed, &packed->lock);
	state = atomic_load(&packed->states[index]);
	if (state == ABSENT) {
		atomic_store(&packed->states[index], BUSY);
		state = unpack(packed, index);
		atomic_store_explicit(&packed->states[index], state, memory_order_release);
		pthread_cond_broadcast(&packed->changed);
	}
	pthread_mutex_unlock(&packed->lock);
	return state;
}

/* The frame that the byte at @p offset is in; there is such a byte. */
static size_t frame_at(const struct rmr_packed *packed, uint64_t offset)
{
	size_t low = 0, high = packed->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (packed->frames[middle].text <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

bool rmr_packed_need(struct rmr_packed *packed, uint64_t start, uint64_t end)
{
	if (start >= end || start >= rmr_packed_size(packed))
		return true;
	for (size_t i = frame_at(packed, start);
		i < packed->count && packed->frames[i].text < end; i++) {
		if (need_frame(packed, i) == BAD)
			return false;
	}
	return true;
}

bool rmr_packed_need_line(struct rmr_packed *packed, uint64_t offset)
{
	for (size_t i = frame_at(packed, offset); i < packed->count; i++) {
		enum state state = need_frame(packed, i);
		if (state != OPEN)
			return state == WHOLE;
	}
	return true;
}

struct rmr_error *rmr_packed_error(struct rmr_packed *packed)
{
	pthread_mutex_lock(&packed->lock);
	enum rmr_code failure = packed->failure;
	int errnum = packed->errnum;
	const char *why = packed->why;
	pthread_mutex_unlock(&packed->lock);

	if (failure == RMR_E_NOMEM)
		return &rmr_enomem;
	if (failure == RMR_E_WRITE)
		return rmr_error_hint(rmr_error_create(RMR_E_WRITE, errnum,
					      "cannot unpack %s into a temporary file", packed->name),
			"set TMPDIR to a folder with more room");
	if (errnum)
		return rmr_error_create(RMR_E_OS, errnum, "cannot read %s", packed->name);
	if (!why)
		return rmr_error_hint(rmr_error_create(RMR_E_INPUT, 0,
					      "cannot read %s any more: it was cut short", packed->name),
			"a dump must stay as it is while remora reads it");
	return rmr_error_create(RMR_E_INPUT, 0, "%s: the compressed data is corrupt: %s",
		packed->name, why);
}
