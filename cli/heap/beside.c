// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/beside.h"

#include "attach/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t rmr_beside_hash(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash ^ hash >> 32;
}

char *rmr_beside_path(const char *path, bool cache, bool make)
{
	char *name;

	if (!cache)
		return asprintf(&name, "%s.remora-index", path) < 0 ? NULL : name;
	_rmr_free_ char *full = realpath(path, NULL);
	_rmr_free_ char *folder = NULL;
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int status;
	if (base && *base == '/')
		status = asprintf(&folder, "%s", base);
	else if (home && *home == '/')
		status = asprintf(&folder, "%s/.cache", home);
	else
		return NULL;
	if (!full || status < 0)
		return NULL;
	if (make) {
		mkdir(folder, 0700);
		_rmr_free_ char *own = NULL;
		if (asprintf(&own, "%s/remora", folder) >= 0)
			mkdir(own, 0700);
	}
	status = asprintf(&name, "%s/remora/%016llx.remora-index", folder,
		(unsigned long long)rmr_beside_hash(full, strlen(full)));
	return status < 0 ? NULL : name;
}

int rmr_beside_open(const char *path, char **name_ret)
{
	_rmr_free_ char *folder = strdup(path);
	char *name, *slash = folder ? strrchr(folder, '/') : NULL;

	if (!folder || asprintf(&name, "%s.XXXXXX", path) < 0)
		return -1;
	if (slash)
		slash[slash == folder] = '\0';
	int fd = open(slash ? folder : ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0) {
		free(name);
		return -1;
	}
	*name_ret = name;
	return fd;
}

bool rmr_beside_give_name(int fd, char *temporary, const char *path)
{
	char self[64];

	if (strlen(temporary) > 6 && !strcmp(temporary + strlen(temporary) - 6, "XXXXXX")) {
		/* It has none yet. rename() replaces what is there, linkat() does not. */
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		snprintf(temporary + strlen(temporary) - 6, 7, "%06x", (unsigned)getpid() & 0xffffff);
		unlink(temporary);
		if (linkat(AT_FDCWD, self, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW))
			return false;
	}
	if (!rename(temporary, path))
		return true;
	unlink(temporary);
	return false;
}

bool rmr_beside_is_private(int fd, struct stat *status)
{
	return !fstat(fd, status) && S_ISREG(status->st_mode) &&
		(status->st_uid == geteuid() || status->st_uid == 0) &&
		!(status->st_mode & (S_IWGRP | S_IWOTH));
}

int rmr_beside_temporary(void)
{
	const char *const folders[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		_rmr_free_ char *path = NULL;
		if (!folders[i] || !*folders[i] || asprintf(&path, "%s/remora-XXXXXX", folders[i]) < 0)
			continue;
		int fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
		if (fd >= 0)
			return fd;
		fd = mkostemp(path, O_CLOEXEC); /* a file system without O_TMPFILE */
		if (fd >= 0) {
			unlink(path);
			return fd;
		}
	}
	return -1;
}
