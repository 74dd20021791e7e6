// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The pages of a mapped index, mapped before they are asked for: each that is not costs the first
 * question that comes to it a page fault, half of what an answer takes.
 */
#ifndef RMR_CLI_HEAP_POPULATE_H
#define RMR_CLI_HEAP_POPULATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct rmr_populate {
	char *start;
	size_t size; /**< bytes */
	pthread_t thread;
	bool started;
	atomic_bool stop;
};

/**
 * Starts a thread that maps what is in memory of the @p size bytes at @p start, at the start of a
 * page; it reads nothing from the disk. Where there is no thread, or Linux is older than 5.14,
 * nothing happens. @p populate must stay where it is, and the mapping must, until
 * rmr_populate_end().
 */
void rmr_populate_start(struct rmr_populate *populate, void *start, size_t size);

/** Ends the thread, if one was started; takes a millisecond at the most. */
void rmr_populate_end(struct rmr_populate *populate);

#endif
