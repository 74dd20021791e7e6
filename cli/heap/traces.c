// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/traces.h"

#include "attach/cleanup.h"
#include "cli/heap/heap_internal.h"
#include "cli/heap/json.h"
#include "cli/heap/reader.h"
#include "cli/heap/text.h"

#include <stdlib.h>
#include <string.h>

uint32_t rmr_traces_count(const struct rmr_heap *heap)
{
	return (uint32_t)heap->counts.traces;
}

uint32_t rmr_traces_of(const struct rmr_heap *heap, uint32_t id)
{
	if (!heap->counts.traces || id >= heap->counts.objects)
		return RMR_NO_OBJECT;
	uint32_t trace = heap->trace[id];
	return trace < heap->counts.traces ? trace : RMR_NO_OBJECT;
}

/* One frame, ["file", line], at p: the position after it, or NULL. */
static const char *read_frame(const char *p, struct rmr_trace_frame *frame)
{
	struct rmr_json_error error;

	if (*p != '[')
		return NULL;
	p = rmr_json_blank(p + 1);
	const char *end = *p == '"' ? rmr_json_string(p, &error) : NULL;
	if (!end)
		return NULL;
	frame->file = (struct rmr_slice){p, (size_t)(end - p)};
	p = rmr_json_blank(end);
	if (*p != ',')
		return NULL;
	p = rmr_json_digits(rmr_json_blank(p + 1), &frame->line);
	p = p ? rmr_json_blank(p) : NULL;
	return p && *p == ']' ? rmr_json_blank(p + 1) : NULL;
}

bool rmr_traces_frames(const struct rmr_heap *heap, uint32_t trace,
	struct rmr_trace_frame **frames_ret, size_t *count_ret)
{
	const char *line =
		trace < heap->counts.traces ? rmr_heap_line_at(heap, heap->traces[trace]) : NULL;
	size_t size, count = 0, room = 0;
	_rmr_free_ struct rmr_trace_frame *frames = NULL;

	const char *p = line ? rmr_json_get(line, "frames", &size) : NULL;
	if (!p || *p != '[')
		return false;
	/* A frame that cannot be read ends the list. */
	for (p = rmr_json_blank(p + 1); p && *p == '['; count++) {
		if (count == room) {
			room = room ? room * 2 : 16;
			struct rmr_trace_frame *more = realloc(frames, room * sizeof(*frames));
			if (!more)
				return false;
			frames = more;
		}
		p = read_frame(p, &frames[count]);
		if (!p)
			break;
		p = *p == ',' ? rmr_json_blank(p + 1) : p;
	}
	if (!count)
		return false;
	*frames_ret = rmr_take(frames);
	*count_ret = count;
	return true;
}

char *rmr_traces_frame_text(const struct rmr_trace_frame *frame)
{
	struct rmr_text text = {0};

	rmr_literal_plain(frame->file, &text);
	rmr_text_format(&text, ":%llu", (unsigned long long)frame->line);
	return text.data;
}

char *rmr_traces_place(const struct rmr_heap *heap, uint32_t trace)
{
	_rmr_free_ struct rmr_trace_frame *frames = NULL;
	size_t count;

	return rmr_traces_frames(heap, trace, &frames, &count) ? rmr_traces_frame_text(frames) : NULL;
}
