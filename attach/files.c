// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/files.h"

#include "attach/cleanup.h"
#include "attach/log.h"
#include "attach/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LOOK_MS = 20,	     /* between two looks at the signals that are held off */
	MAX_COPY = 512 << 20, /* bytes */
	TYPE_SIZE = 32,
	PAGE = 4096,
	GRANULE = 16 * PAGE, /* a child reads more than it was asked for, so that fewer are needed */
};

/* The one byte that a child answers with. */
enum { DONE = 1, FAILED };

/* What it does: copies a file, or reads memory. */
struct task {
	struct rmr_module *module;
	int copy_fd; /* -1: memory, [start, end) */
	rmr_addr_t start, end;
};

/* One line of mountinfo (Documentation/filesystems/proc.rst, 3.5). */
struct mount {
	char type[TYPE_SIZE];
	char *place; /* where it is mounted */
};

/* The mount of the file's device as the target sees it. False if it sees none. */
static bool find_mount(struct rmr_target *target, const struct rmr_map *map, struct mount *ret)
{
	char device[32];
	_rmr_free_ char *text = NULL;

	if (rmr_procfs_read("/proc", target->pid, "mountinfo", &text, NULL))
		return false;
	snprintf(device, sizeof(device), "%u:%u", map->major, map->minor);
	char *next, *words;
	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		char *type = strstr(line, " - "), *place = NULL;
		if (!type)
			continue;
		*type = '\0';
		char *word = strtok_r(line, " ", &words);
		for (int field = 1; word && field < 5; field++) {
			word = strtok_r(NULL, " ", &words);
			if (field == 2 && (!word || strcmp(word, device) != 0))
				word = NULL;
			place = word;
		}
		if (!place)
			continue;
		snprintf(ret->type, sizeof(ret->type), "%.*s", (int)strcspn(type + 3, " "), type + 3);
		ret->place = strdup(place);
		return true;
	}
	return false;
}

static bool is_local(const char *type)
{
	static const char *const types[] = {"overlay", "tmpfs", "devtmpfs", "ramfs", "rootfs", "aufs",
		"btrfs", "zfs", "bcachefs", "hugetlbfs", "ecryptfs"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(type, types[i]) == 0)
			return true;
	}
	return false;
}

static bool is_on_no_disk(const struct rmr_map *map)
{
	/* Disks of this machine have a major number. */
	return map->inode && !map->major;
}

/* True unless the file is on a file system that is known to be of this machine. */
static bool may_hang(struct rmr_target *target, const struct rmr_map *map)
{
	struct mount mount = {0};

	bool local = find_mount(target, map, &mount) && is_local(mount.type);
	free(mount.place);
	return !local;
}

void rmr_files_init(struct rmr_target *target)
{
	target->may_hang = false;
	for (size_t i = 0; i < target->module_count; i++) {
		struct rmr_module *module = &target->modules[i];
		if (!is_on_no_disk(module->map))
			continue;
		/* Most are on one file system. */
		size_t k = 0;
		while (k < i && (!is_on_no_disk(target->modules[k].map) ||
					target->modules[k].map->minor != module->map->minor))
			k++;
		module->may_hang = k < i ? target->modules[k].may_hang : may_hang(target, module->map);
		target->may_hang |= module->may_hang;
	}
}

static bool copy(int from, int to)
{
	char buffer[65536];
	size_t done = 0;

	for (;;) {
		ssize_t n = read(from, buffer, sizeof(buffer));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 && done > 0;
		done += (size_t)n;
		if (done > MAX_COPY || write(to, buffer, (size_t)n) != n)
			return false;
	}
}

static bool copy_file(struct rmr_target *target, const struct task *task)
{
	_rmr_close_ int fd = rmr_target_open_file(target, task->module);

	return fd >= 0 && copy(fd, task->copy_fd);
}

static bool touch(const struct rmr_target *target, const struct task *task)
{
	char path[RMR_PROCFS_PATH], byte;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)target->pid);
	_rmr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (rmr_addr_t at = task->start; fd >= 0 && at < task->end; at += PAGE) {
		if (pread(fd, &byte, 1, (off_t)at) < 0)
			continue; /* a gap */
	}
	return fd >= 0;
}

/*
 * In the child. It keeps nothing of remora's that would be missed if it stayed: neither its output nor
 * the lock that is on the descriptor of the memory.
 */
static bool work(struct rmr_target *target, const struct task *task)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
	close(target->memory);
	return task->copy_fd >= 0 ? copy_file(target, task) : touch(target, task);
}

static pid_t start(struct rmr_target *target, const struct task *task, int answer_fd)
{
	sigset_t all, mask;
	pid_t parent = getpid();

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		char answer = work(target, task) ? DONE : FAILED;
		_exit(write(answer_fd, &answer, 1) == 1 ? 0 : 1);
	}
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	return child;
}

static struct rmr_error *no_answer(struct rmr_target *target, const struct rmr_module *module)
{
	struct mount mount = {0};
	struct rmr_error *err;
	double seconds = target->patience.ms / 1e3;

	if (find_mount(target, module->map, &mount) && mount.place) {
		err = rmr_error_hint(rmr_error_create(RMR_E_TIMEOUT, 0,
				"cannot read %s: its file system (%s on %s) gave no answer for %.1f s",
				module->map->path, mount.type, mount.place, seconds),
			"the target goes on; mend that file system, or unmount it: umount -f -l %s",
			mount.place);
	} else {
		err = rmr_error_create(RMR_E_TIMEOUT, 0,
			"cannot read %s: its file system gave no answer for %.1f s", module->map->path,
			seconds);
	}
	free(mount.place);
	return err;
}

static void set_error(struct rmr_target *target, struct rmr_error *err)
{
	rmr_error_destroy(target->file_error);
	target->file_error = err;
}

/* DONE, FAILED, or 0 with target->file_error. */
static int wait_for(struct rmr_target *target, const struct rmr_module *module, int answer_fd)
{
	struct pollfd fds[2] = {
		{.fd = answer_fd, .events = POLLIN},
		{.fd = target->patience.cancel_fd, .events = POLLIN},
	};
	uint64_t end = rmr_log_now() + target->patience.ms * UINT64_C(1000000);
	char answer;

	for (;;) {
		poll(fds, 2, LOOK_MS);
		if (fds[0].revents)
			return read(answer_fd, &answer, 1) == 1 ? answer : FAILED;
		if (fds[1].revents || rmr_tracer_is_interrupted()) {
			set_error(target, rmr_error_create(RMR_E_INTERRUPTED, 0,
				"interrupted while waiting for the file system of %s",
				module->map->path));
			return 0;
		}
		if (target->patience.ms && rmr_log_now() > end) {
			set_error(target, no_answer(target, module));
			return 0;
		}
	}
}

static bool is_dead(const struct rmr_target *target, const struct rmr_module *module)
{
	return target->interrupted || target->dead_minor == module->map->minor + 1;
}

static int ask_child(struct rmr_target *target, const struct task *task)
{
	int pair[2];

	if (is_dead(target, task->module) || pipe2(pair, O_CLOEXEC) < 0)
		return 0;
	pid_t child = start(target, task, pair[1]);
	close(pair[1]);
	int answer = child > 0 ? wait_for(target, task->module, pair[0]) : FAILED;
	close(pair[0]);
	if (answer == 0) {
		target->dead_minor = task->module->map->minor + 1;
		target->interrupted |= target->file_error->code == RMR_E_INTERRUPTED;
		rmr_log("%s; child %d is left behind", target->file_error->message, (int)child);
		kill(child, SIGKILL);
	}
	/* One that hangs may not even be killed. */
	if (child > 0)
		waitpid(child, NULL, answer ? 0 : WNOHANG);
	return answer;
}

static bool is_tried(const struct rmr_module *module, size_t granule)
{
	return module->tried[granule / 8] >> granule % 8 & 1;
}

bool rmr_files_try_memory(const struct rmr_target *target, rmr_addr_t address, size_t size)
{
	struct rmr_module *module = target->may_hang ? rmr_target_module(target, address) : NULL;

	if (!module || !module->may_hang || target->held || !size)
		return true;
	size_t all = (size_t)(module->end - module->start - 1) / GRANULE + 1;
	if (!module->tried)
		module->tried = calloc(all / 8 + 1, 1);
	size_t first = (size_t)(address - module->start) / GRANULE;
	size_t last = (size_t)(address - module->start + size - 1) / GRANULE + 1;
	if (last > all)
		last = all;
	while (first < last && module->tried && is_tried(module, first))
		first++;
	if (first >= last)
		return true;
	const struct task task = {
		.module = module,
		.copy_fd = -1,
		.start = module->start + first * GRANULE,
		.end = last == all ? module->end : module->start + last * GRANULE,
	};
	if (ask_child((struct rmr_target *)(uintptr_t)target, &task) == 0)
		return false;
	for (; module->tried && first < last; first++)
		module->tried[first / 8] |= (unsigned char)(1u << first % 8);
	return true;
}

int rmr_files_copy(struct rmr_target *target, struct rmr_module *module)
{
	_rmr_close_ int fd = memfd_create("remora-copy", MFD_CLOEXEC);
	const struct task task = {.module = module, .copy_fd = fd};

	if (fd < 0 || ask_child(target, &task) != DONE)
		return -1;
	return rmr_take_fd(fd);
}
