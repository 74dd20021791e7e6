// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/buffers.h"

#include "cli/heap/heap_internal.h"

enum { MAX_CHAIN = 64 };

bool rmr_buffers_get(const struct rmr_heap *heap, uint32_t id, struct rmr_buffer *ret)
{
	struct rmr_record record;

	if (id >= heap->counts.objects)
		return false;
	if (!(heap->flags[id] & RMR_FLAG_BUFFER)) {
		*ret = (struct rmr_buffer){rmr_heap_len(heap, id), RMR_HEAP_UNKNOWN, id};
		return rmr_heap_builtin(heap, id) == RMR_BUILTIN_BYTES &&
			ret->bytes != RMR_HEAP_UNKNOWN;
	}
	rmr_heap_record(heap, id, &record);
	*ret = (struct rmr_buffer){record.buffer, record.data, id};
	for (int i = 0; i < MAX_CHAIN && record.base; i++) {
		ret->owner = record.base == RMR_HEAP_UNKNOWN ? (uint32_t)RMR_NO_OBJECT
							     : rmr_heap_find(heap, record.base);
		if (ret->owner >= heap->counts.objects)
			break;
		rmr_heap_record(heap, ret->owner, &record);
	}
	return ret->bytes != RMR_HEAP_UNKNOWN;
}
