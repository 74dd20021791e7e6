// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>

enum { CPUS_MAX = 64, HUGE_FROM = 4 << 20 };

struct task {
	void (*work)(void *context, unsigned number);
	void *context;
	unsigned number;
	pthread_t thread;
	bool started;
};

unsigned rmr_parallel_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	int count = CPU_COUNT(&set);
	return count < 1 ? 1 : count > CPUS_MAX ? CPUS_MAX : (unsigned)count;
}

static void *task_run(void *argument)
{
	struct task *task = argument;

	task->work(task->context, task->number);
	return NULL;
}

void rmr_parallel_run(unsigned count, void (*work)(void *context, unsigned number), void *context)
{
	struct task tasks[CPUS_MAX];
	sigset_t all, before;

	sigfillset(&all);
	sigdelset(&all, SIGBUS); // of a dump that was cut short: cli/lost.h
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 1; i < count && i < CPUS_MAX; i++) {
		tasks[i] = (struct task){.work = work, .context = context, .number = i};
		tasks[i].started = !pthread_create(&tasks[i].thread, NULL, task_run, &tasks[i]);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	work(context, 0);
	for (unsigned i = 1; i < count; i++) {
		if (i >= CPUS_MAX || !tasks[i].started)
			work(context, i);
		else
			pthread_join(tasks[i].thread, NULL);
	}
}

void *rmr_block_create(size_t bytes)
{
	void *block = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED)
		return NULL;
	if (bytes >= HUGE_FROM)
		madvise(block, bytes, MADV_HUGEPAGE);
	return block;
}

void rmr_block_destroy(void *block, size_t bytes)
{
	if (block)
		munmap(block, bytes ? bytes : 1);
}
