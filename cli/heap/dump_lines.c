// SPDX-License-Identifier: GPL-3.0-or-later
// The first and the last line of a dump.
#include "cli/heap/dump_text.h"
#include "cli/heap/dump_writer.h"
#include "payloads/heap_dump/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "attach/cleanup.h"

struct rmr_error *rmr_dump_make_id(char id[17])
{
	uint64_t bits;

	if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits))
		return rmr_error_create(RMR_E_OS, errno, "cannot make a dump id");
	snprintf(id, 17, "%016llx", (unsigned long long)bits);
	return NULL;
}

static char *put(char *p, const char *text)
{
	return stpcpy(p, text);
}

static char *put_key_text(char *p, const char *key, const char *text)
{
	p = put(p, ",\"");
	p = put(p, key);
	p = put(p, "\":");
	return rmr_dump_text_quoted(p, text);
}

static char *put_key_number(char *p, const char *key, uint64_t number)
{
	p = put(p, ",\"");
	p = put(p, key);
	p = put(p, "\":");
	return rmr_dump_text_u64(p, number);
}

static char *put_cmdline(char *p, const char *cmdline, size_t size)
{
	bool first = true;

	p = put(p, ",\"cmdline\":[");
	for (size_t i = 0; cmdline && i < size; first = false) {
		size_t length = strnlen(cmdline + i, size - i);
		_rmr_free_ char *copy = strndup(cmdline + i, length);
		if (!first)
			*p++ = ',';
		p = rmr_dump_text_quoted(p, copy);
		i += length + 1;
	}
	return put(p, "]");
}

static size_t text_room(const char *text)
{
	return text ? strlen(text) * RMR_DUMP_TEXT_WORST : 8;
}

struct rmr_error *rmr_dump_write_header(struct rmr_dump_sink *sink, enum rmr_dump_format format,
	const struct rmr_dump_header *header)
{
	if (format != RMR_DUMP_REMORA)
		return NULL;
	size_t room = 1024 + text_room(header->python) + text_room(header->build) +
		text_room(header->exe) + text_room(header->host) + text_room(header->mode) +
		text_room(header->values) + header->cmdline_size * (RMR_DUMP_TEXT_WORST + 3);
	_rmr_free_ char *line = malloc(room);
	if (!line)
		return &rmr_enomem;
	char *p = put(line, "{\"remora\":1");
	p = put_key_text(p, "id", header->id);
	p = put_key_number(p, "pid", (uint64_t)header->pid);
	p = put_key_text(p, "python", header->python);
	p = put_key_number(p, "hex", header->hex);
	p = put_key_text(p, "build", header->build);
	p = put_key_text(p, "exe", header->exe);
	p = put_cmdline(p, header->cmdline, header->cmdline_size);
	p = put_key_text(p, "host", header->host);
	struct tm tm;
	time_t when = header->time;
	char date[40] = "";
	if (gmtime_r(&when, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	p = put_key_text(p, "time", date);
	p = put_key_text(p, "mode", header->mode);
	p = put_key_text(p, "values", header->values);
	p = put_key_number(p, "rss", header->rss);
	p = put(p, "}\n");
	return rmr_dump_sink_write(sink, line, (size_t)(p - line));
}

struct rmr_error *rmr_dump_write_trailer(struct rmr_dump_sink *sink, enum rmr_dump_format format,
	const struct rmr_dump_header *header, const struct rmr_dump_totals *totals,
	const struct rmr_dump_trailer *trailer)
{
	char line[1024 + sizeof(totals->partial) * RMR_DUMP_TEXT_WORST];

	if (format != RMR_DUMP_REMORA)
		return NULL;
	char *p = put(line, "{\"end\":true");
	p = put_key_text(p, "id", header->id);
	p = put_key_number(p, "objects", totals->objects);
	p = put_key_number(p, "references", totals->references);
	p = put_key_number(p, "bytes", totals->bytes);
	p = put_key_number(p, "types", totals->types);
	p = put_key_number(p, "roots", totals->roots);
	p = put_key_number(p, "shapes", totals->shapes);
	if (totals->tracemalloc == RMR_TRACEMALLOC_ON) {
		p = put_key_number(p, "traces", totals->traces);
		p = put_key_number(p, "traced", totals->traced);
	}
	if (totals->is_tallied) {
		p = put_key_number(p, "counted", totals->completeness.counted);
		p = put_key_number(p, "found", totals->completeness.found);
		p = put_key_number(p, "held_by_c", totals->completeness.held_by_c);
		p = put_key_number(p, "exceeded", totals->completeness.exceeded);
		p = put_key_number(p, "excess", totals->completeness.excess);
	}
	p = put_key_number(p, "stop_us", trailer->stop_us);
	p = put_key_number(p, "gil_us", trailer->gil_us);
	p = put_key_number(p, "walk_ms", totals->walk_ns / 1000000);
	p = put_key_text(p, "partial", totals->partial[0] ? totals->partial : NULL);
	p = put(p, "}\n");
	return rmr_dump_sink_write(sink, line, (size_t)(p - line));
}
