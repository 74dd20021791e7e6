// SPDX-License-Identifier: 0BSD
/* A payload in C, as a user would write it: says its arguments, and counts to the last one's number
 * by asking the interpreter. Declares the two functions of the stable ABI that it uses, so that one
 * build serves every Python. */
#include "payloads/remora_payload.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

extern void *PyLong_FromLong(long value);
extern long PyLong_AsLong(void *object);
extern void Py_DecRef(void *object);
extern void *PyEval_SaveThread(void);
extern void PyEval_RestoreThread(void *state);

static int wait_for_interrupt(const struct remora_host *host)
{
	struct timespec pause = {.tv_nsec = 10000000};
	void *state = PyEval_SaveThread();

	for (int i = 0; i < 1000 && !host->interrupted(host); i++)
		nanosleep(&pause, NULL);
	PyEval_RestoreThread(state);
	host->write(host, 2, "interrupted\n", 12);
	return 7;
}

int remora_payload(const struct remora_host *host, int argc, const char *const *argv)
{
	char text[256];
	int length = 0;

	if (host->abi != REMORA_PAYLOAD_ABI)
		return 99;
	if (argc > 1 && strcmp(argv[1], "wait") == 0) {
		host->write(host, 1, "waiting\n", 8);
		return wait_for_interrupt(host);
	}
	for (int i = 1; i < argc; i++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, "%s ", argv[i]);
	void *number = PyLong_FromLong(argc - 1);
	length += snprintf(text + length, sizeof(text) - (size_t)length, "%ld\n", PyLong_AsLong(number));
	Py_DecRef(number);
	host->write(host, 1, text, (size_t)length);
	return argc - 1;
}
