// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/procfs.h"

#include "attach/cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int rmr_procfs_read(
	const char *root, pid_t pid, const char *name, char **text_ret, size_t *size_ret)
{
	char path[RMR_PROCFS_PATH];

	snprintf(path, sizeof(path), "%s/%d/%s", root, (int)pid, name);
	_rmr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	size_t room = 16384, size = 0;
	_rmr_free_ char *text = malloc(room);
	if (!text)
		return ENOMEM;
	for (;;) {
		ssize_t n = read(fd, text + size, room - size - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		size += (size_t)n;
		if (room - size > 4096)
			continue;
		char *more = realloc(text, room * 2);
		if (!more)
			return ENOMEM;
		text = more;
		room *= 2;
	}
	text[size] = '\0';
	*text_ret = rmr_take(text);
	if (size_ret)
		*size_ret = size;
	return 0;
}

int rmr_procfs_read_small(const char *path, char *buffer, size_t size)
{
	_rmr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	ssize_t n;
	do
		n = read(fd, buffer, size - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	buffer[n] = '\0';
	return 0;
}

int rmr_procfs_read_task(
	const char *root, pid_t pid, pid_t tid, const char *name, char *buffer, size_t size)
{
	char path[RMR_PROCFS_PATH];

	snprintf(path, sizeof(path), "%s/%d/task/%d/%s", root, (int)pid, (int)tid, name);
	return rmr_procfs_read_small(path, buffer, size);
}

long rmr_procfs_number(const char *root, const char *name)
{
	char path[RMR_PROCFS_PATH], text[64];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	if (rmr_procfs_read_small(path, text, sizeof(text)))
		return -1;
	char *end;
	long number = strtol(text, &end, 10);
	return end == text ? -1 : number;
}

static void parse_name(const char *value, char *name, size_t size)
{
	size_t n = strcspn(value, "\n");

	if (n >= size)
		n = size - 1;
	memcpy(name, value, n);
	name[n] = '\0';
}

static void parse_ids(const char *value, uint32_t ids[4])
{
	for (int i = 0; i < 4; i++) {
		char *end;
		ids[i] = (uint32_t)strtoul(value, &end, 10);
		value = end;
	}
}

/* "NSpid:\t4711\t12\n": from the reader's namespace inwards. */
static void parse_nspid(const char *value, struct rmr_status *ret)
{
	while (*value && *value != '\n') {
		char *end;
		long number = strtol(value, &end, 10);
		if (end == value)
			break;
		ret->inner = (pid_t)number;
		ret->depth++;
		value = end + strspn(end, " \t");
	}
}

static void parse_line(const char *key, size_t key_size, const char *value, struct rmr_status *ret)
{
#define IS(text) (key_size == sizeof(text) - 1 && memcmp(key, text, key_size) == 0)
	if (IS("Name"))
		parse_name(value, ret->name, sizeof(ret->name));
	else if (IS("State"))
		ret->state = *value;
	else if (IS("Tgid"))
		ret->tgid = (pid_t)strtol(value, NULL, 10);
	else if (IS("PPid"))
		ret->parent = (pid_t)strtol(value, NULL, 10);
	else if (IS("TracerPid"))
		ret->tracer = (pid_t)strtol(value, NULL, 10);
	else if (IS("NSpid"))
		parse_nspid(value, ret);
	else if (IS("Uid"))
		parse_ids(value, ret->uid);
	else if (IS("Gid"))
		parse_ids(value, ret->gid);
	else if (IS("Threads"))
		ret->threads = (unsigned)strtoul(value, NULL, 10);
	else if (IS("VmSize"))
		ret->has_memory = true;
	else if (IS("VmRSS"))
		ret->rss = strtoull(value, NULL, 10) * 1024;
	else if (IS("SigPnd"))
		ret->pending = strtoull(value, NULL, 16);
	else if (IS("ShdPnd"))
		ret->shared_pending = strtoull(value, NULL, 16);
	else if (IS("SigBlk"))
		ret->blocked = strtoull(value, NULL, 16);
	else if (IS("SigIgn"))
		ret->ignored = strtoull(value, NULL, 16);
	else if (IS("SigCgt"))
		ret->caught = strtoull(value, NULL, 16);
	else if (IS("CapPrm"))
		ret->permitted = strtoull(value, NULL, 16);
	else if (IS("CapEff"))
		ret->effective = strtoull(value, NULL, 16);
	else if (IS("Seccomp"))
		ret->seccomp = (int)strtol(value, NULL, 10);
	else if (IS("voluntary_ctxt_switches") || IS("nonvoluntary_ctxt_switches"))
		ret->switches += strtoull(value, NULL, 10);
#undef IS
}

void rmr_status_parse(const char *text, struct rmr_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	while (*text) {
		size_t line = strcspn(text, "\n");
		const char *colon = memchr(text, ':', line);
		if (colon) {
			const char *value = colon + 1;
			value += strspn(value, " \t");
			parse_line(text, (size_t)(colon - text), value, ret);
		}
		text += line;
		if (*text)
			text++;
	}
}

int rmr_status_read(const char *root, pid_t pid, struct rmr_status *ret)
{
	char path[RMR_PROCFS_PATH], text[8192];

	snprintf(path, sizeof(path), "%s/%d/status", root, (int)pid);
	int err = rmr_procfs_read_small(path, text, sizeof(text));
	if (!err)
		rmr_status_parse(text, ret);
	return err;
}

int rmr_status_read_task(const char *root, pid_t pid, pid_t tid, struct rmr_status *ret)
{
	char text[8192];
	int err = rmr_procfs_read_task(root, pid, tid, "status", text, sizeof(text));

	if (!err)
		rmr_status_parse(text, ret);
	return err;
}

int rmr_procfs_threads(const char *root, pid_t pid, pid_t **tids_ret, size_t *count_ret)
{
	char path[RMR_PROCFS_PATH];

	snprintf(path, sizeof(path), "%s/%d/task", root, (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return errno;
	size_t room = 64, count = 0;
	pid_t *tids = malloc(room * sizeof(*tids));
	struct dirent *entry;
	while (tids && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (count == room) {
			pid_t *more = realloc(tids, 2 * room * sizeof(*tids));
			if (!more)
				free(tids);
			tids = more;
			room *= 2;
		}
		if (tids)
			tids[count++] = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	closedir(dir);
	if (!tids)
		return ENOMEM;
	*tids_ret = tids;
	*count_ret = count;
	return 0;
}
