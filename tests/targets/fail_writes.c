// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Preloaded into remora: writes to anything but the standard descriptors fail with errno
 * FAIL_WRITES once FAIL_AFTER bytes were written, as on a file system without quotas of one's own;
 * or they wait from then on until there is a file named WAIT_FOR.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t write(int fd, const void *bytes, size_t size)
{
	static atomic_size_t written;
	const char *number = getenv("FAIL_WRITES"), *after = getenv("FAIL_AFTER");
	const char *awaited = getenv("WAIT_FOR");
	struct stat status;

	if (fd > 2 && after && size > 1000 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
		atomic_fetch_add(&written, size) > strtoul(after, NULL, 10)) {
		while (awaited && access(awaited, F_OK) != 0)
			usleep(1000);
		if (number) {
			errno = atoi(number);
			return -1;
		}
	}
	return syscall(SYS_write, fd, bytes, size);
}
