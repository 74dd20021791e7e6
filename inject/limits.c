// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/limits.h"

#include "attach/procfs.h"
#include "inject/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MB (UINT64_C(1) << 20)
#define NO_LIMIT UINT64_MAX
// The worker, the monitor, and a twin or an interrupter.
#define THREADS 3
// The agent's image with its stacks, and some room; the worker's own stack comes to it. (A twin that
// has too little for its walk says so; it harms nobody.)
#define SPACE (8 * MB)
// CAP_SYS_RESOURCE 24 and CAP_SYS_ADMIN 21 (linux/capability.h).
#define EXEMPT (UINT64_C(1) << 24 | UINT64_C(1) << 21)

static bool read_text(const char *path, char *text, size_t size)
{
	return rmr_procfs_read_small(path, text, size) == 0;
}

/** The number behind @p key in the text of a file of /proc; @p base 10 or 16. */
static bool find_number(const char *text, const char *key, int base, uint64_t *ret)
{
	const char *found = strstr(text, key);

	if (!found)
		return false;
	*ret = strtoull(found + strlen(key), NULL, base);
	return true;
}

/** The soft limit in /proc/PID/limits; NO_LIMIT for "unlimited". */
static uint64_t soft_limit(const char *limits, const char *name)
{
	const char *found = strstr(limits, name);

	if (!found)
		return NO_LIMIT;
	found += strlen(name);
	found += strspn(found, " ");
	return isdigit((unsigned char)*found) ? strtoull(found, NULL, 10) : NO_LIMIT;
}

/** How many threads run under the real uid @p uid. */
static uint64_t threads_of(const char *root, uint64_t uid)
{
	char path[512], text[4096];
	uint64_t total = 0;

	snprintf(path, sizeof(path), "%s/proc", root);
	DIR *proc = opendir(path);
	struct dirent *entry;
	while (proc && (entry = readdir(proc))) {
		uint64_t owner, threads;
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%s/proc/%.16s/status", root, entry->d_name);
		if (read_text(path, text, sizeof(text)) &&
			find_number(text, "\nUid:", 10, &owner) && owner == uid &&
			find_number(text, "\nThreads:", 10, &threads))
			total += threads;
	}
	if (proc)
		closedir(proc);
	return total;
}

/** All threads of the machine: /proc/loadavg, "0.1 0.2 0.3 2/345 678". */
static uint64_t all_threads(const char *root)
{
	char path[512], text[256];
	const char *slash;

	snprintf(path, sizeof(path), "%s/proc/loadavg", root);
	if (!read_text(path, text, sizeof(text)) || !(slash = strchr(text, '/')))
		return NO_LIMIT;
	return strtoull(slash + 1, NULL, 10);
}

static struct rmr_error *no_threads(const char *limit, uint64_t used, uint64_t most)
{
	return rmr_error_hint(
		rmr_error_create(RMR_E_STATE, 0,
			"the target can make no more threads: %s is %" PRIu64 ", %" PRIu64 " are in use, "
			"%d more are needed", limit, most, used, THREADS),
		"raise the limit, or end some of its threads or processes");
}

static struct rmr_error *check_processes(const char *root, const char *status, const char *limits)
{
	uint64_t most = soft_limit(limits, "Max processes"), uid, capabilities;

	if (most == NO_LIMIT || !find_number(status, "\nUid:", 10, &uid) || uid == 0 ||
		(find_number(status, "\nCapEff:", 16, &capabilities) && (capabilities & EXEMPT)))
		return NULL;
	// Rarely worth a look at every process.
	uint64_t all = all_threads(root);
	if (all != NO_LIMIT && all + THREADS <= most)
		return NULL;
	uint64_t used = threads_of(root, uid);
	return used + THREADS <= most ? NULL : no_threads("RLIMIT_NPROC", used, most);
}

static struct rmr_error *check_space(const char *status, const char *limits)
{
	uint64_t most = soft_limit(limits, "Max address space");
	uint64_t stack = soft_limit(limits, "Max stack size"), used;

	if (most == NO_LIMIT || !find_number(status, "\nVmSize:", 10, &used))
		return NULL;
	used *= 1024;
	// glibc nptl/nptl-stack.c and pthread_getattr_default_np(3): RLIMIT_STACK, or 2 MB if unlimited.
	uint64_t need = SPACE + (stack == NO_LIMIT ? 2 * MB : stack);
	if (used + need <= most)
		return NULL;
	return rmr_error_hint(
		rmr_error_create(RMR_E_STATE, 0,
			"the target has no address space left for a thread: RLIMIT_AS is %" PRIu64
			" MB, %" PRIu64 " MB are in use, %" PRIu64 " MB more are needed",
			most / MB, used / MB, need / MB),
		"raise the limit: prlimit --as=...");
}

/** One level of a cgroup hierarchy; *arg is the refusal. */
static bool check_group(void *arg, const char *folder, bool v2)
{
	struct rmr_error **err = arg;
	char path[640], text[64];
	uint64_t most, used;

	(void)v2;
	snprintf(path, sizeof(path), "%s/pids.max", folder);
	if (!read_text(path, text, sizeof(text)) || !isdigit((unsigned char)text[0]))
		return true;
	most = strtoull(text, NULL, 10);
	snprintf(path, sizeof(path), "%s/pids.current", folder);
	if (!read_text(path, text, sizeof(text)))
		return true;
	used = strtoull(text, NULL, 10);
	if (used + THREADS > most)
		*err = no_threads("the cgroup's pids.max", used, most);
	return !*err;
}

struct rmr_error *rmr_limits_check(const char *root, pid_t pid)
{
	char path[512], status[4096], limits[4096];

	snprintf(path, sizeof(path), "%s/proc/%d/status", root, (int)pid);
	if (!read_text(path, status, sizeof(status)))
		return NULL;
	snprintf(path, sizeof(path), "%s/proc/%d/limits", root, (int)pid);
	struct rmr_error *err = NULL;
	if (read_text(path, limits, sizeof(limits))) {
		err = check_processes(root, status, limits);
		if (!err)
			err = check_space(status, limits);
	}
	if (!err)
		rmr_cgroup_each(root, pid, "pids", check_group, &err);
	return err;
}
