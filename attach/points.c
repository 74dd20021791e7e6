// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/points.h"

#ifdef REMORA_UNSAFE_TEST

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

void rmr_points_pass(int number)
{
	const char *at = getenv("REMORA_KILL_AT"), *with = getenv("REMORA_KILL_WITH");

	// To the process, as from outside: a thread that blocks it would take it along to its end.
	if (at && atoi(at) == number)
		kill(getpid(), with ? atoi(with) : SIGKILL);
}

bool rmr_points_is_unsafe_allowed(void)
{
	return getenv("REMORA_UNSAFE") != NULL;
}

#endif
