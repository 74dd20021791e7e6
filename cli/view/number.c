// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/view/number.h"

#include <inttypes.h>

void rmr_number_add_count(struct rmr_line *text, uint64_t count)
{
	char digits[28], *at = digits + sizeof(digits); // 2^64 has 20 digits and 6 commas

	for (unsigned i = 0; i == 0 || count; i++, count /= 10) {
		if (i && i % 3 == 0)
			*--at = ',';
		*--at = (char)('0' + count % 10);
	}
	rmr_line_add(text, at, (size_t)(digits + sizeof(digits) - at));
}

void rmr_number_add_bytes(struct rmr_line *text, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;
	double value = (double)bytes;

	if (bytes < 1024) {
		rmr_line_addf(text, "%" PRIu64 " B", bytes);
		return;
	}
	// 1023.96 KiB would print as 1024.0 KiB: the next unit takes over a little earlier.
	while (value >= 1023.95 && unit < 6) {
		value /= 1024;
		unit++;
	}
	rmr_line_addf(text, "%.1f %s", value, units[unit]);
}

static uint64_t magnitude(int64_t n)
{
	return n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
}

void rmr_number_add_signed_count(struct rmr_line *text, int64_t count)
{
	if (count)
		rmr_line_add(text, count < 0 ? "-" : "+", 1);
	rmr_number_add_count(text, magnitude(count));
}

void rmr_number_add_signed_bytes(struct rmr_line *text, int64_t bytes)
{
	if (bytes)
		rmr_line_add(text, bytes < 0 ? "-" : "+", 1);
	rmr_number_add_bytes(text, magnitude(bytes));
}

void rmr_number_add_share(struct rmr_line *text, double share)
{
	rmr_line_addf(text, "%.1f%%", share * 100);
}

void rmr_number_add_duration(struct rmr_line *text, uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	if (ns == 0)
		rmr_line_add(text, "0 s", 3);
	else if (ns < 1000000)
		rmr_line_addf(text, "%" PRIu64 " us", ns / 1000);
	else if (ns < 1000000000)
		rmr_line_addf(text, "%.1f ms", (double)ns / 1e6);
	else if (s < 10 && ns % 1000000000)
		rmr_line_addf(text, "%.1f s", (double)ns / 1e9);
	else if (s < 60)
		rmr_line_addf(text, "%" PRIu64 " s", s);
	else if (s < 3600)
		rmr_line_addf(text, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else if (s < 86400)
		rmr_line_addf(text, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	else
		rmr_line_addf(text, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
}
