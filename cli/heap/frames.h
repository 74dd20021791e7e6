// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * How a compressed dump is cut, so that a part of it can be unpacked without the rest: into frames
 * of about half a megabyte of text, each whole by itself, that end at a line's end wherever lines are
 * shorter than that. Any zstd or gzip reads such files; what is said here lets remora find the frames.
 *
 * .zst: zstd frames, then the table of zstd's "seekable format" in a skippable frame (zstd v1.5.4,
 * contrib/seekable_format/zstd_seekable_compression_format.md): magic and size of the skippable
 * frame, packed and unpacked size of each frame, number of frames, descriptor (bit 7: entries have a
 * checksum), magic. Numbers are little endian, of 4 bytes but for the descriptor's one.
 *
 * .gz: members (RFC 1952), each with an extra field of its own ("RM", ours): packed size of the
 * member, header and trailer included, and its unpacked size.
 */
#ifndef RMR_CLI_HEAP_FRAMES_H
#define RMR_CLI_HEAP_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	RMR_FRAME_TEXT = 512 << 10, /**< bytes of text after which a frame ends with its line */
	RMR_FRAME_MAX = 64 << 20, /**< the largest frame that is read as such */

	RMR_SEEK_START = 8, /**< bytes before the entries */
	RMR_SEEK_ENTRY = 8, /**< without a checksum */
	RMR_SEEK_CHECKSUM = 4,
	RMR_SEEK_END = 9,

	RMR_MEMBER_HEADER = 24, /**< of a gzip member with nothing but our extra field */
	RMR_MEMBER_SIZES = 16,  /**< where the two sizes are in it */
};

static const uint32_t rmr_seek_magic_start = 0x184d2a5e, rmr_seek_magic_end = 0x8f92eab1;

/** The extra field's id and length, at offset 12 of the member. */
static const unsigned char rmr_member_mark[4] = {'R', 'M', 8, 0};

static inline uint32_t rmr_frames_load(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline unsigned char *rmr_frames_store(unsigned char *p, uint32_t number)
{
	for (unsigned i = 0; i < 4; i++)
		*p++ = (unsigned char)(number >> 8 * i);
	return p;
}

#endif
