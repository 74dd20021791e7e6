// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/program.h"

#include "attach/cleanup.h"
#include "attach/linkmap.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char proc[] = "/proc";

enum { RANDOM_SIZE = 16 }; /* bytes at AT_RANDOM: fs/binfmt_elf.c, k_rand_bytes */

struct rmr_error *rmr_program_init(struct rmr_target *target)
{
	_rmr_free_ char *text = NULL;
	size_t size = 0;

	target->random = target->loader = 0;
	int errnum = rmr_procfs_read(proc, target->pid, "auxv", &text, &size);
	if (errnum == ENOMEM)
		return &rmr_enomem;
	/* The kernel writes it last of all (fs/binfmt_elf.c, create_elf_tables()). */
	target->beginning = !errnum && (size < sizeof(Elf32_auxv_t) || memcmp(text, "\0\0\0", 4) == 0);
	for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= size; at += sizeof(Elf64_auxv_t)) {
		Elf64_auxv_t entry;
		memcpy(&entry, text + at, sizeof(entry));
		if (entry.a_type == AT_RANDOM)
			target->random = entry.a_un.a_val;
		else if (entry.a_type == AT_BASE)
			target->loader = entry.a_un.a_val;
	}
	return NULL;
}

bool rmr_program_is_current(const struct rmr_target *target)
{
	unsigned char known[RANDOM_SIZE], now[RANDOM_SIZE];
	char path[RMR_PROCFS_PATH];

	if (!target->random)
		return true;
	snprintf(path, sizeof(path), "%s/%d/mem", proc, (int)target->pid);
	_rmr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	/* One that has given up its rights runs on as the same program. */
	if (fd < 0)
		return true;
	return rmr_target_reader((void *)(uintptr_t)target, target->random, known, sizeof(known)) &&
	       pread(fd, now, sizeof(now), (off_t)target->random) == (ssize_t)sizeof(now) &&
	       memcmp(known, now, sizeof(now)) == 0;
}

bool rmr_program_is_loading(const struct rmr_target *target)
{
	return target->beginning || (target->loader && rmr_linkmap_is_changing(target));
}

static const struct rmr_map *next_file(const struct rmr_maps *maps, size_t *at)
{
	while (*at < maps->count) {
		const struct rmr_map *map = &maps->maps[(*at)++];
		if ((map->flags & RMR_MAP_EXEC) && map->inode)
			return map;
	}
	return NULL;
}

bool rmr_program_has_new_files(const struct rmr_target *target)
{
	_rmr_free_ char *text = NULL;
	struct rmr_maps maps = {0};
	size_t size, i = 0, k = 0;
	const struct rmr_map *before, *now;

	if (rmr_procfs_read(proc, target->pid, "maps", &text, &size))
		return false;
	struct rmr_error *err = rmr_maps_init(&maps, text, size);
	if (err) {
		rmr_error_destroy(err);
		return false;
	}
	do {
		before = next_file(&target->maps, &i);
		now = next_file(&maps, &k);
	} while (before && now && before->start == now->start && before->inode == now->inode);
	rmr_maps_deinit(&maps);
	return before || now;
}

bool rmr_program_is_borrowed(const struct rmr_target *target, pid_t parent)
{
	return parent > 0 && syscall(SYS_kcmp, target->pid, parent, KCMP_VM, 0, 0) == 0;
}
