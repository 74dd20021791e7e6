// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/populate.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 // include/uapi/asm-generic/mman-common.h, Linux 5.14
#endif

enum {
	CHUNK = 16 << 20,
	PAGES_MOST = CHUNK / 4096,
};

static bool is_in_memory(void *start, size_t size)
{
	unsigned char there[PAGES_MOST];
	size_t pages = (size + (size_t)sysconf(_SC_PAGESIZE) - 1) / (size_t)sysconf(_SC_PAGESIZE);

	if (mincore(start, size, there))
		return false;
	for (size_t i = 0; i < pages; i++) {
		if (!(there[i] & 1))
			return false;
	}
	return true;
}

static void *populate_all(void *context)
{
	struct rmr_populate *populate = context;

	for (size_t at = 0; at < populate->size && !atomic_load(&populate->stop); at += CHUNK) {
		size_t left = populate->size - at, size = left < CHUNK ? left : CHUNK;
		if (is_in_memory(populate->start + at, size) &&
			madvise(populate->start + at, size, MADV_POPULATE_READ))
			break;
	}
	return NULL;
}

void rmr_populate_start(struct rmr_populate *populate, void *start, size_t size)
{
	sigset_t all, before;

	populate->start = start;
	populate->size = size;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	populate->started = !pthread_create(&populate->thread, NULL, populate_all, populate);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void rmr_populate_end(struct rmr_populate *populate)
{
	if (!populate->started)
		return;
	atomic_store(&populate->stop, true);
	pthread_join(populate->thread, NULL);
	populate->started = false;
}
