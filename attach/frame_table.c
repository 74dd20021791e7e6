// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/frame_table.h"

#include "attach/target_internal.h"

struct entry {
	int32_t function, frame; /* from the header on */
};

static bool read_entry(const struct rmr_target *target, rmr_addr_t table, uint32_t index,
	size_t count, struct entry *ret)
{
	return rmr_target_reader((void *)(uintptr_t)target, table + index * sizeof(*ret), ret,
		count * sizeof(*ret));
}

bool rmr_frame_table_find(const struct rmr_target *target, rmr_addr_t header, rmr_addr_t pc,
	rmr_addr_t *start_ret, rmr_addr_t *end_ret)
{
	enum { PCREL_SDATA4 = 0x1b, UDATA4 = 0x03, DATAREL_SDATA4 = 0x3b };
	struct {
		unsigned char version, frame_encoding, count_encoding, table_encoding;
		int32_t frame;
		uint32_t count;
	} head;
	struct entry entry[2];

	if (!rmr_target_reader((void *)(uintptr_t)target, header, &head, sizeof(head)) ||
		head.version != 1 || head.frame_encoding != PCREL_SDATA4 ||
		head.count_encoding != UDATA4 || head.table_encoding != DATAREL_SDATA4)
		return false;
	/* The last one that does not begin behind pc. */
	rmr_addr_t table = header + sizeof(head);
	uint32_t low = 0, high = head.count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (!read_entry(target, table, middle, 1, entry))
			return false;
		if (header + (rmr_addr_t)(int64_t)entry[0].function <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || low == head.count || !read_entry(target, table, low - 1, 2, entry))
		return false;
	*start_ret = header + (rmr_addr_t)(int64_t)entry[0].function;
	*end_ret = header + (rmr_addr_t)(int64_t)entry[1].function;
	return true;
}
