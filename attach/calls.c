// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/calls.h"

#include <stddef.h>

static const char *const names[] = {
#include "calls.inc"
};

const char *rmr_calls_name(long number)
{
	return number >= 0 && (size_t)number < sizeof(names) / sizeof(names[0]) ? names[number]
										: NULL;
}
