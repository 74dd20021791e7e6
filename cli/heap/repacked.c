// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/repacked.h"

#include "attach/cleanup.h"
#include "attach/log.h"
#include "cli/heap/beside.h"
#include "cli/heap/dump_sink.h"
#include "cli/heap/frames.h"
#include "cli/heap/packed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	VERSION = 1,
	SIZE_MIN = 1 << 20, /* a smaller dump is unpacked in less than a tenth of a second */
};

static const char magic[8] = "rmrtext", suffix[] = "-text";

struct rmr_repacked {
	int fd;
	char *path, *temporary;
	struct rmr_dump_sink *sink;
};

static void header_init(struct rmr_repacked_header *header, const struct rmr_source *source)
{
	memset(header, 0, sizeof(*header));
	memcpy(header->magic, magic, sizeof(magic));
	header->version = VERSION;
	header->header_size = sizeof(*header);
	header->file_size = source->file_size;
	header->inode = source->inode;
	header->mtime_ns = source->mtime_ns;
	header->checksum = rmr_beside_hash(header, offsetof(struct rmr_repacked_header, checksum));
}

static char *copy_path(const char *dump, bool cache, bool make)
{
	_rmr_free_ char *index = rmr_beside_path(dump, cache, make);
	char *path;

	return index && asprintf(&path, "%s%s", index, suffix) >= 0 ? path : NULL;
}

static struct rmr_error *open_path(const struct rmr_source *source, const char *path,
	struct rmr_packed **packed_ret)
{
	_rmr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct rmr_repacked_header header, want;
	struct stat status;

	header_init(&want, source);
	if (fd < 0 || !rmr_beside_is_private(fd, &status) ||
		pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		memcmp(&header, &want, sizeof(header)) != 0)
		return NULL;
	return rmr_packed_create(fd, sizeof(header), (uint64_t)status.st_size, RMR_PACKED_ZSTD, path,
		packed_ret);
}

struct rmr_error *rmr_repacked_open(const struct rmr_source *source,
	struct rmr_packed **packed_ret, char **path_ret)
{
	struct rmr_packed *packed = NULL;
	struct rmr_error *err = NULL;

	for (int cache = 0; cache < 2 && !packed && !err; cache++) {
		_rmr_free_ char *path = copy_path(source->name, cache, false);
		if (path)
			err = open_path(source, path, &packed);
		if (packed)
			*path_ret = rmr_take(path);
	}
	*packed_ret = packed;
	return err;
}

struct rmr_repacked *rmr_repacked_create(const struct rmr_source *source)
{
	struct rmr_repacked *copy = calloc(1, sizeof(*copy));
	struct rmr_repacked_header header;

	if (!copy || source->file_size < SIZE_MIN) {
		free(copy);
		return NULL;
	}
	copy->fd = -1;
	for (int cache = 0; cache < 2 && copy->fd < 0; cache++) {
		free(copy->path);
		copy->path = copy_path(source->name, cache, true);
		if (copy->path)
			copy->fd = rmr_beside_open(copy->path, &copy->temporary);
	}
	header_init(&header, source);
	if (copy->fd < 0 || write(copy->fd, &header, sizeof(header)) != (ssize_t)sizeof(header)) {
		rmr_repacked_destroy(copy);
		return NULL;
	}
	struct rmr_error *err = rmr_dump_sink_create(copy->fd, RMR_DUMP_ZSTD, &copy->sink);
	if (err) {
		rmr_error_destroy(err);
		rmr_repacked_destroy(copy);
		return NULL;
	}
	return copy;
}

/* In pieces that end with a line, as frames should. */
bool rmr_repacked_add(struct rmr_repacked *copy, const void *text, size_t size)
{
	const char *from = text;

	while (size) {
		size_t part = size < RMR_FRAME_TEXT ? size : RMR_FRAME_TEXT;
		const char *end = memrchr(from, '\n', part);
		if (end)
			part = (size_t)(end + 1 - from);
		struct rmr_error *err = rmr_dump_sink_write(copy->sink, from, part);
		if (err) {
			rmr_log("no copy of the dump at %s: %s", copy->path, err->message);
			rmr_error_destroy(err);
			return false;
		}
		from += part;
		size -= part;
	}
	return true;
}

void rmr_repacked_commit(struct rmr_repacked *copy)
{
	struct rmr_error *err = rmr_dump_sink_finish(copy->sink);

	if (err)
		rmr_log("no copy of the dump at %s: %s", copy->path, err->message);
	else if (!rmr_beside_give_name(copy->fd, copy->temporary, copy->path))
		rmr_log("no copy of the dump at %s", copy->path);
	else
		copy->temporary[0] = '\0';
	rmr_error_destroy(err);
}

void rmr_repacked_destroy(struct rmr_repacked *copy)
{
	if (!copy)
		return;
	rmr_dump_sink_destroy(copy->sink);
	if (copy->fd >= 0)
		close(copy->fd);
	if (copy->temporary && *copy->temporary)
		unlink(copy->temporary);
	free(copy->temporary);
	free(copy->path);
	free(copy);
}
