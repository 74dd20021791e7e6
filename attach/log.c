// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int enabled = -1;
static uint64_t start;

uint64_t rmr_log_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void rmr_log_enable(bool on)
{
	enabled = on;
	if (!start)
		start = rmr_log_now();
}

bool rmr_log_enabled(void)
{
	if (enabled < 0) {
		const char *env = getenv("REMORA_DEBUG");
		rmr_log_enable(env && *env && *env != '0');
	}
	return enabled > 0;
}

void rmr_log(const char *format, ...)
{
	if (!rmr_log_enabled())
		return;
	int saved = errno;
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "remora: [%9.3f ms] %s\n", (double)(rmr_log_now() - start) / 1e6, line);
	errno = saved;
}
