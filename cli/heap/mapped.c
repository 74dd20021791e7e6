// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/mapped.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

enum {
	ENTRIES = 256, /* more mappings than that go without a name */
	NAME = 240,
};

struct mapping {
	atomic_uintptr_t start, end; /* end is 0 while the entry is free or changes */
	char name[NAME];
};

static struct mapping mappings[ENTRIES];

void (*rmr_mapped_lost)(struct rmr_error *err);

void rmr_mapped_add(const void *start, size_t size, const char *name)
{
	uintptr_t from = (uintptr_t)start, to = from + size;
	struct mapping *found = NULL;

	for (size_t i = 0; i < ENTRIES; i++) {
		struct mapping *mapping = &mappings[i];
		uintptr_t end = atomic_load(&mapping->end);
		if (end > from && atomic_load(&mapping->start) < to)
			end = 0;
		if (end)
			continue;
		atomic_store(&mapping->end, 0);
		found = mapping;
	}
	if (!found || !size)
		return;
	size_t length = strlen(name);
	if (length >= NAME)
		name += length - (NAME - 1);
	strncpy(found->name, name, NAME - 1);
	atomic_store(&found->start, from);
	atomic_store(&found->end, to);
}

void rmr_mapped_remove(const void *start)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		if (atomic_load(&mappings[i].end) &&
			atomic_load(&mappings[i].start) == (uintptr_t)start)
			atomic_store(&mappings[i].end, 0);
	}
}

const char *rmr_mapped_name(const void *address)
{
	uintptr_t at = (uintptr_t)address;

	for (size_t i = 0; i < ENTRIES; i++) {
		const struct mapping *mapping = &mappings[i];
		if (atomic_load(&mapping->end) > at && atomic_load(&mapping->start) <= at)
			return mapping->name;
	}
	return NULL;
}
