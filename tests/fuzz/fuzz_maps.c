// SPDX-License-Identifier: GPL-3.0-or-later
// The text of a target's maps and status files.
#include "attach/maps.h"
#include "attach/procfs.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rmr_maps maps;
	struct rmr_status status;
	struct rmr_error *err = rmr_maps_init(&maps, (const char *)data, size);

	if (!err) {
		for (size_t i = 0; i < maps.count; i++) {
			const struct rmr_map *map = &maps.maps[i];
			if (rmr_maps_find(&maps, map->start) != map || !rmr_maps_basename(map) ||
			    rmr_maps_find(&maps, map->end - 1) != map)
				abort();
		}
		rmr_maps_deinit(&maps);
	}
	rmr_error_destroy(err);
	char *text = strndup((const char *)data, size);
	if (text)
		rmr_status_parse(text, &status);
	free(text);
	return 0;
}
