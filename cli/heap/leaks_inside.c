// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/leaks_internal.h"

#include "cli/heap/text.h"

#include <stdlib.h>
#include <string.h>

bool rmr_leaks_tell_inside(const struct rmr_heap *heap, const struct rmr_dominators *tree,
	uint32_t id, struct rmr_text *text)
{
	uint32_t types = rmr_heap_type_count(heap), count;
	const uint32_t *nodes = rmr_dominators_subtree(tree, id, &count);
	uint64_t *bytes = calloc((size_t)types + 1, sizeof(*bytes));
	uint64_t *counts = calloc((size_t)types + 1, sizeof(*counts));
	uint64_t streams = 0;
	bool complete = bytes && counts;

	for (uint32_t i = 0; complete && i < count; i++) {
		uint32_t type = rmr_heap_type(heap, nodes[i]);
		if (type == RMR_NO_TYPE || nodes[i] == id)
			continue;
		counts[type]++;
		bytes[type] += rmr_heap_size(heap, nodes[i]) + rmr_heap_owned(heap, nodes[i]);
	}
	for (int shown = 0; complete && shown < 3; shown++) {
		uint32_t best = 0;
		for (uint32_t i = 1; i < types; i++)
			best = bytes[i] > bytes[best] ? i : best;
		if (!bytes[best])
			break;
		rmr_text_put(text, shown ? ", " : " Inside: ");
		rmr_text_count(text, counts[best]);
		rmr_text_format(text, " %s (", heap->types[best].label);
		rmr_text_bytes(text, bytes[best]);
		rmr_text_put(text, ")");
		bytes[best] = 0;
	}
	for (uint32_t i = 0; complete && i < types; i++) {
		if (!strcmp(heap->types[i].label, "zlib.Compress"))
			streams += counts[i];
	}
	if (complete && count > 1)
		rmr_text_put(text, ".");
	if (streams) {
		rmr_text_put(text, " The ");
		rmr_text_count(text, streams);
		rmr_text_put(text, " zlib.Compress objects among them own memory of zlib, up to "
				   "256 kB each, that no Python object shows.");
	}
	free(bytes);
	free(counts);
	return complete;
}
