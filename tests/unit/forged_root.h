// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  A folder that stands for "/" in a test: forged files of /proc and /sys. */
#ifndef RMR_TESTS_FORGED_ROOT_H
#define RMR_TESTS_FORGED_ROOT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

/** Writes a file below the root, and the folders above it. */
static inline void put(const char *path, const char *text)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(full, 0700);
		*slash = '/';
	}
	FILE *file = fopen(full, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

/** Fixtures. */
static inline void make_root(void)
{
	strcpy(root, "/tmp/remora-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static inline void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

#endif
