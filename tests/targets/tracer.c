// SPDX-License-Identifier: GPL-3.0-or-later
/* usage: tracer PID - traces PID (seized, running) until its standard input ends. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;

	if (argc != 2 || ptrace(PTRACE_SEIZE, (pid_t)strtol(argv[1], NULL, 10), 0L, 0L) != 0) {
		perror("tracer");
		return 1;
	}
	puts("READY");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
