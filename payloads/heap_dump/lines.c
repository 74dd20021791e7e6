// SPDX-License-Identifier: GPL-3.0-or-later
#include "payloads/heap_dump/lines.h"

static int64_t line_lnotab(const uint8_t *table, uint64_t size, int64_t line, int64_t lasti)
{
	int64_t address = 0;

	for (uint64_t i = 0; i + 1 < size; i += 2) {
		address += table[i];
		if (address > lasti)
			break;
		line += (int8_t)table[i + 1];
	}
	return line;
}

static int64_t line_ranges(const uint8_t *table, uint64_t size, int64_t line, int64_t lasti)
{
	int64_t end = 0;

	for (uint64_t i = 0; i + 1 < size; i += 2) {
		int8_t delta = (int8_t)table[i + 1];
		end += table[i];
		if (delta != -128)
			line += delta;
		if (lasti < end)
			return delta == -128 ? -1 : line;
	}
	return -1;
}

static uint32_t read_varint(const uint8_t *table, uint64_t size, uint64_t *i)
{
	uint32_t value = 0;

	for (unsigned shift = 0; *i < size && shift < 30; shift += 6) {
		uint8_t byte = table[(*i)++];
		value |= (uint32_t)(byte & 63) << shift;
		if (!(byte & 64))
			break;
	}
	return value;
}

// Objects/locations.md: one entry a range of instructions.
static int64_t line_locations(const uint8_t *table, uint64_t size, int64_t line, int64_t lasti)
{
	int64_t end = 0;

	for (uint64_t i = 0; i < size;) {
		unsigned first = table[i++], code = first >> 3 & 15;
		int64_t at = line;
		end += 2 * ((first & 7) + 1);
		if (code == 15) {
			at = -1;
		} else if (code == 14 || code == 13) {
			uint32_t value = read_varint(table, size, &i);
			line += value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
			at = line;
			for (int n = code == 14 ? 3 : 0; n; n--)
				read_varint(table, size, &i);
		} else if (code >= 10) {
			at = line += (int64_t)code - 10;
			i += 2;
		} else {
			i++;
		}
		if (lasti < end)
			return at;
	}
	return -1;
}

int32_t rmr_lines_find(unsigned minor, const uint8_t *table, uint64_t size, int32_t first,
	int64_t lasti)
{
	int64_t line = minor <= 9    ? line_lnotab(table, size, first, lasti)
		       : minor == 10 ? line_ranges(table, size, first, lasti)
				     : line_locations(table, size, first, lasti);

	return line < 0 || line > INT32_MAX ? -1 : (int32_t)line;
}
