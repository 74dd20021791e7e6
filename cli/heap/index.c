// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/index.h"

#include "attach/cleanup.h"
#include "attach/log.h"
#include "cli/heap/beside.h"
#include "cli/heap/json.h"
#include "cli/heap/mapped.h"
#include "cli/heap/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	INDEX_VERSION = 6, /* raise it with every change of what a section holds */
	PAGE = 4096,       /* sections start at multiples of it; any page size up to it works */
	PAGE_MAX = 65536,
	HUGE_PAGE = 2 << 20, /* where larger sections start, so that they can be read in such */
};

static const char magic[8] = "rmrindex";

static uint64_t first_line_hash(const struct rmr_source *source)
{
	bool readable = rmr_source_need_line(source, 0);
	const char *end = readable ? memchr(source->data, '\n', source->size) : source->data;
	size_t size = end ? (size_t)(end - source->data) : source->size;

	return rmr_beside_hash(source->data, size < 65536 ? size : 65536);
}

static void header_init(struct rmr_index_header *header, const struct rmr_heap *heap)
{
	memset(header, 0, sizeof(*header));
	memcpy(header->magic, magic, sizeof(magic));
	header->version = INDEX_VERSION;
	header->header_size = sizeof(*header);
	header->file_size = heap->source.file_size;
	header->inode = heap->source.inode;
	header->mtime_ns = heap->source.mtime_ns;
	header->id = first_line_hash(&heap->source);
	header->counts = heap->counts;
}

uint64_t rmr_index_checksum(const struct rmr_index_header *header)
{
	struct rmr_index_header copy = *header;

	copy.checksum = 0;
	return rmr_beside_hash(&copy, sizeof(copy));
}

/* True if the header is of this dump, as it is now. */
static bool header_fits(const struct rmr_index_header *header, const struct rmr_heap *heap)
{
	struct rmr_index_header want;

	header_init(&want, heap);
	return !memcmp(header, &want, offsetof(struct rmr_index_header, checksum)) &&
		header->checksum == rmr_index_checksum(header);
}

static size_t page_size(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return page > PAGE ? PAGE_MAX : PAGE;
}

/* For the header, which is written last. */
static void make_room(struct rmr_index_writer *writer)
{
	writer->end = (sizeof(struct rmr_index_header) + page_size() - 1) / page_size() * page_size();
	if (writer->fd >= 0 && fallocate(writer->fd, 0, 0, (off_t)writer->end))
		rmr_index_abandon(writer);
}

void rmr_index_begin(struct rmr_index_writer *writer, const char *path)
{
	*writer = (struct rmr_index_writer){.fd = -1};
	for (int cache = 0; path && cache < 2 && writer->fd < 0; cache++) {
		free(writer->path);
		writer->path = rmr_beside_path(path, cache, true);
		if (writer->path)
			writer->fd = rmr_beside_open(writer->path, &writer->temporary);
	}
	if (path && writer->fd < 0)
		rmr_log("no index file for %s: %s", path, strerror(errno));
	make_room(writer);
}

void rmr_index_begin_unnamed(struct rmr_index_writer *writer)
{
	*writer = (struct rmr_index_writer){.fd = rmr_beside_temporary()};
	make_room(writer);
}

void rmr_index_abandon(struct rmr_index_writer *writer)
{
	if (writer->fd >= 0) {
		rmr_log("the index file %s is given up", writer->path ? writer->path : "without a name");
		if (writer->temporary)
			unlink(writer->temporary);
		close(writer->fd);
	}
	writer->fd = -1;
	free(writer->temporary);
	free(writer->path);
	writer->temporary = writer->path = NULL;
}

void *rmr_index_section(struct rmr_index_writer *writer, struct rmr_heap *heap,
	enum rmr_section section, size_t bytes)
{
	void *data = NULL;

	heap->section_bytes[section] = bytes;
	if (writer->fd >= 0 && bytes) {
		size_t align = bytes < HUGE_PAGE ? page_size() : HUGE_PAGE;
		size_t room = (bytes + page_size() - 1) / page_size() * page_size();
		writer->end = (writer->end + align - 1) / align * align;
		/* The room is had before it is mapped, so that a full disk is no SIGBUS. */
		if (fallocate(writer->fd, 0, (off_t)writer->end, (off_t)room)) {
			rmr_index_abandon(writer);
		} else {
			data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, writer->fd,
				(off_t)writer->end);
			writer->offsets[section] = writer->end;
			writer->end += room;
			if (data == MAP_FAILED) {
				data = NULL;
				rmr_index_abandon(writer);
			}
		}
	}
	if (!data)
		data = rmr_block_create(bytes);
	heap->sections[section] = data;
	return data;
}

void rmr_index_commit(struct rmr_index_writer *writer, struct rmr_heap *heap)
{
	struct rmr_index_header header;

	if (writer->fd < 0)
		return;
	if (!writer->path) { // its sections stay mapped, and nobody else will open it
		close(writer->fd);
		writer->fd = -1;
		return;
	}
	header_init(&header, heap);
	memcpy(header.offsets, writer->offsets, sizeof(header.offsets));
	for (size_t i = 0; i < RMR_SECTIONS; i++)
		header.bytes[i] = heap->section_bytes[i];
	header.checksum = rmr_index_checksum(&header);
	if (pwrite(writer->fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		!rmr_beside_give_name(writer->fd, writer->temporary, writer->path)) {
		rmr_index_abandon(writer);
		return;
	}
	close(writer->fd);
	free(writer->temporary);
	heap->index_path = writer->path;
	writer->fd = -1;
}

static bool sections_fit(const struct rmr_index_header *header, uint64_t size)
{
	for (size_t i = 0; i < RMR_SECTIONS; i++) {
		uint64_t want = rmr_section_size(i, &header->counts);
		if (header->offsets[i] > size || header->bytes[i] > size - header->offsets[i] ||
			header->offsets[i] % PAGE)
			return false;
		if (i != RMR_SECTION_STRINGS && header->bytes[i] != want)
			return false;
	}
	return true;
}

static bool counts_fit(const struct rmr_counts *counts, const struct rmr_source *source)
{
	const uint64_t most = 1ull << 56;

	return counts->objects + counts->absent < RMR_NO_OBJECT && counts->objects < RMR_NO_OBJECT &&
		counts->absent < RMR_NO_OBJECT && counts->references < most &&
		counts->types < RMR_NO_OBJECT && counts->roots < RMR_NO_OBJECT &&
		counts->root_references < most && counts->shapes < RMR_NO_OBJECT &&
		counts->traces < RMR_NO_OBJECT &&
		counts->large < RMR_NO_OBJECT && counts->large_references < most &&
		counts->data_size == source->size;
}

bool rmr_index_map(struct rmr_heap *heap, const char *path)
{
	_rmr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	struct rmr_index_header header;

	if (fd < 0 || !rmr_beside_is_private(fd, &status) ||
		pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		!header_fits(&header, heap) || !counts_fit(&header.counts, &heap->source) ||
		!sections_fit(&header, (uint64_t)status.st_size))
		return false;
	char *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return false;
	/* What is not in memory any more is read in huge pages, too. */
	madvise(data, (size_t)status.st_size, MADV_HUGEPAGE);
	rmr_mapped_add(data, (size_t)status.st_size, path);
	const char *strings = data + header.offsets[RMR_SECTION_STRINGS];
	uint64_t bytes = header.bytes[RMR_SECTION_STRINGS];
	if (bytes && strings[bytes - 1]) {
		rmr_mapped_remove(data);
		munmap(data, (size_t)status.st_size);
		return false;
	}
	heap->index = data;
	heap->index_size = (size_t)status.st_size;
	heap->counts = header.counts;
	for (size_t i = 0; i < RMR_SECTIONS; i++) {
		heap->sections[i] = data + header.offsets[i];
		heap->section_bytes[i] = header.bytes[i];
	}
	return true;
}

bool rmr_index_open(struct rmr_heap *heap)
{
	for (int cache = 0; cache < 2; cache++) {
		char *path = rmr_beside_path(heap->path, cache, false);
		if (path && rmr_index_map(heap, path)) {
			heap->index_path = path;
			return true;
		}
		free(path);
	}
	return false;
}

void rmr_index_release(struct rmr_heap *heap)
{
	if (heap->index) {
		rmr_populate_end(&heap->populate);
		rmr_mapped_remove(heap->index);
		munmap(heap->index, heap->index_size);
	} else {
		for (size_t i = 0; i < RMR_SECTIONS; i++)
			rmr_block_destroy(heap->sections[i], heap->section_bytes[i]);
	}
	heap->index = NULL;
	memset(heap->sections, 0, sizeof(heap->sections));
	free(heap->index_path);
	heap->index_path = NULL;
}

void *rmr_index_load_block(const struct rmr_heap *heap, const char *suffix, size_t bytes)
{
	_rmr_free_ char *path = NULL;
	struct stat status;
	struct rmr_index_header header;

	if (!heap->index_path || asprintf(&path, "%s%s", heap->index_path, suffix) < 0)
		return NULL;
	_rmr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t start = page_size();
	if (fd < 0 || !rmr_beside_is_private(fd, &status) || (uint64_t)status.st_size != start + bytes ||
		pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		!header_fits(&header, heap) ||
		memcmp(&header.counts, &heap->counts, sizeof(header.counts)))
		return NULL;
	void *data = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)start);
	if (data == MAP_FAILED)
		return NULL;
	rmr_mapped_add(data, bytes, path);
	return data;
}

static bool write_all(int fd, const char *data, size_t size, off_t offset)
{
	while (size) {
		ssize_t put = pwrite(fd, data, size, offset);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		data += put;
		size -= (size_t)put;
		offset += put;
	}
	return true;
}

void rmr_index_save_block(const struct rmr_heap *heap, const char *suffix, const void *block,
	size_t bytes)
{
	_rmr_free_ char *path = NULL;
	_rmr_free_ char *temporary = NULL;
	struct rmr_index_header header;

	if (!heap->index_path || asprintf(&path, "%s%s", heap->index_path, suffix) < 0)
		return;
	_rmr_close_ int fd = rmr_beside_open(path, &temporary);
	if (fd < 0)
		return;
	header_init(&header, heap);
	header.checksum = rmr_index_checksum(&header);
	if (!write_all(fd, (const char *)&header, sizeof(header), 0) ||
		!write_all(fd, block, bytes, (off_t)page_size()) ||
		!rmr_beside_give_name(fd, temporary, path)) {
		rmr_log("%s could not be written: %s", path, strerror(errno));
		unlink(temporary);
	}
}
