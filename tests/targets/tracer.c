// SPDX-License-Identifier: GPL-3.0-or-later
/* usage: tracer PID - traces PID, passing its signals on, until killed. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	pid_t pid = argc == 2 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	int status;

	if (pid <= 0 || ptrace(PTRACE_SEIZE, pid, 0L, 0L) != 0) {
		perror("tracer");
		return 1;
	}
	puts("READY");
	fflush(stdout);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		long number = status >> 16 ? 0 : WSTOPSIG(status);
		ptrace(PTRACE_CONT, pid, 0L, number);
	}
	return 0;
}
