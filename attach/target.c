// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/target.h"

#include "attach/cleanup.h"
#include "attach/diagnose.h"
#include "attach/files.h"
#include "attach/linkmap.h"
#include "attach/log.h"
#include "attach/program.h"
#include "attach/target_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>

static const char proc[] = "/proc";

enum {
	EXIT_MS = 1000, /* from the end of a process's memory to its own, on a busy machine */
	START_MS = 1000, /* for a program to begin: until exec and the loader are done */
	START_STEP_NS = 1000000,
	FILE_MS = 5000,
};

/* The symbols of all files of a target together: a hostile one's must not take all our memory or time. */
static const uint64_t most_table_bytes = 512u << 20;

static struct rmr_error *gone(pid_t pid)
{
	if (access("/proc/self/status", F_OK) < 0)
		return rmr_error_hint(rmr_error_create(RMR_E_PERMISSION, errno,
				"cannot look at process %d without /proc", (int)pid),
			"mount it: mount -t proc proc /proc");
	struct rmr_error *err = rmr_error_create(RMR_E_GONE, 0, "no process %d", (int)pid);

	return rmr_error_hint(err, "`remora ps` lists the Python processes");
}

static struct rmr_error *check_status(const struct rmr_status *status, pid_t pid)
{
	struct rmr_error *err;

	if (status->tgid && status->tgid != pid) {
		err = rmr_error_create(
			RMR_E_GONE, 0, "%d is a thread of process %d", (int)pid, (int)status->tgid);
		return rmr_error_hint(err, "use %d", (int)status->tgid);
	}
	if (status->state == 'Z' && status->threads > 1)
		return rmr_error_create(RMR_E_STATE, 0,
			"the main thread of process %d (%s) has ended, though others run on: remora cannot "
			"look into it",
			(int)pid, status->name);
	if (status->state == 'Z' || status->state == 'X')
		return rmr_error_create(RMR_E_STATE, 0,
			"process %d (%s) has exited: it is a zombie", (int)pid, status->name);
	if (!status->has_memory)
		return rmr_error_create(RMR_E_NOT_PYTHON, 0, "process %d (%s) is a kernel thread",
			(int)pid, status->name);
	return NULL;
}

/* Who is held by others can be read, but no code runs in it. */
static struct rmr_error *check_free(const struct rmr_status *status, pid_t pid)
{
	if (status->tracer)
		return rmr_diagnose_traced(proc, pid, status->tracer);
	if (status->state == 'T' || status->state == 't') {
		struct rmr_error *err = rmr_error_create(
			RMR_E_STATE, 0, "process %d (%s) is stopped", (int)pid, status->name);
		return rmr_error_hint(err, "continue it with: kill -CONT %d", (int)pid);
	}
	return rmr_diagnose_frozen(proc, "/sys/fs/cgroup", pid);
}

static bool is_same_file(const struct rmr_map *a, const struct rmr_map *b)
{
	return a->inode == b->inode && a->major == b->major && a->minor == b->minor;
}

/*
 * A file's first page starts a module; what follows of the same file belongs to it. A writable
 * first page is the data of a file so small that all its segments share that page.
 */
static struct rmr_error *list_modules(struct rmr_target *target)
{
	struct rmr_module *module = NULL;

	target->modules = calloc(target->maps.count + 1, sizeof(*target->modules));
	if (!target->modules)
		return &rmr_enomem;
	for (size_t i = 0; i < target->maps.count; i++) {
		const struct rmr_map *map = &target->maps.maps[i];
		bool vdso = strcmp(map->path, "[vdso]") == 0;
		bool known = module && map->inode && is_same_file(module->map, map);
		if (vdso || (map->inode && map->offset == 0 && (map->flags & RMR_MAP_READ) &&
				    !(known && (map->flags & RMR_MAP_WRITE)))) {
			module = &target->modules[target->module_count++];
			module->start = map->start;
			module->map = map;
		} else if (!known) {
			continue;
		}
		module->end = map->end;
		module->executable |= (map->flags & RMR_MAP_EXEC) != 0;
	}
	return NULL;
}

static bool read_table(void *context, rmr_addr_t address, void *buffer, size_t size)
{
	struct rmr_target *target = context;

	target->table_bytes += size;
	return target->table_bytes <= most_table_bytes &&
	       rmr_target_reader(target, address, buffer, size);
}

const struct rmr_image *rmr_target_image(const struct rmr_target *target, struct rmr_module *module)
{
	if (module->image || module->unreadable)
		return module->image;
	struct rmr_error *err = rmr_image_create(
		read_table, (void *)(uintptr_t)target, module->start, &module->image);
	if (err) {
		module->unreadable = true;
		module->hangs = module->may_hang && (target->dead_minor || target->interrupted);
		rmr_error_destroy(err);
	}
	return module->image;
}

struct rmr_module *rmr_target_module(const struct rmr_target *target, rmr_addr_t address)
{
	size_t low = 0, high = target->module_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (target->modules[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= target->modules[low - 1].end)
		return NULL;
	return &target->modules[low - 1];
}

/* "libc.so.6" or "libc-2.31.so" */
static bool is_library(const struct rmr_module *module, const char *name)
{
	const char *base = rmr_maps_basename(module->map);
	size_t size = strlen(name);

	return module->executable && strncmp(base, name, size) == 0 &&
	       (strncmp(base + size, ".so.", 4) == 0 || strncmp(base + size, "-2.", 3) == 0);
}

/*
 * Of several the one that the program itself uses: another copy, which dlmopen() has loaded, has other
 * variables for the same thread. NULL if there is none.
 */
static struct rmr_module *find_library(const struct rmr_target *target, const char *name)
{
	struct rmr_module *found = NULL;

	for (size_t i = 0; i < target->module_count; i++) {
		struct rmr_module *module = &target->modules[i];
		if (!is_library(module, name))
			continue;
		if (found && !rmr_linkmap_has(target, found))
			found = NULL;
		if (!found)
			found = module;
	}
	return found;
}

static struct rmr_error *find_libc(struct rmr_target *target)
{
	bool musl = false;
	struct rmr_error *err;

	for (size_t i = 0; i < target->module_count; i++)
		musl |= strstr(rmr_maps_basename(target->modules[i].map), "musl") != NULL;
	target->libc = find_library(target, "libc");
	target->libc_parts[0] = find_library(target, "libpthread");
	target->libc_parts[1] = find_library(target, "libdl");
	if (rmr_target_libc_symbol(target, "__libc_start_main", NULL) &&
		rmr_target_libc_symbol(target, "pthread_create", NULL))
		return NULL;
	err = rmr_error_create(RMR_E_UNSUPPORTED, 0, "process %d %s", (int)target->pid,
		musl ? "runs on musl, not on the GNU C library"
		     : "has no GNU C library with threads (static, or not glibc)");
	return rmr_error_hint(err, "remora needs a dynamically linked glibc in the target");
}

/*
 * The memory first: its descriptor stays with one program's memory, and the maps of another, or half of
 * its own, show by that (rmr_program_is_current()).
 */
static struct rmr_error *open_files(struct rmr_target *target)
{
	char path[RMR_PROCFS_PATH];
	_rmr_free_ char *text = NULL;
	size_t size;

	snprintf(path, sizeof(path), "%s/%d/mem", proc, (int)target->pid);
	target->memory = open(path, O_RDWR | O_CLOEXEC);
	if (target->memory < 0)
		return rmr_diagnose_attach(proc, target->pid, RMR_DIAGNOSE_READ, errno);
	struct rmr_error *err = rmr_program_init(target);
	if (err)
		return err;
	int errnum = rmr_procfs_read(proc, target->pid, "maps", &text, &size);
	if (errnum == ENOMEM)
		return &rmr_enomem;
	if (errnum)
		return rmr_diagnose_attach(proc, target->pid, RMR_DIAGNOSE_READ, errnum);
	return rmr_maps_init(&target->maps, text, size);
}

static void close_files(struct rmr_target *target)
{
	for (size_t i = 0; i < target->module_count; i++) {
		rmr_image_destroy(target->modules[i].image);
		free(target->modules[i].tried);
	}
	free(target->modules);
	rmr_maps_deinit(&target->maps);
	if (target->memory >= 0)
		close(target->memory);
	target->modules = NULL;
	target->module_count = 0;
	target->table_bytes = 0;
	target->interpreter = target->libc = NULL;
	target->libc_parts[0] = target->libc_parts[1] = NULL;
	target->python = (struct rmr_python){0};
	target->memory = -1;
}

static struct rmr_error *open_pidfd(struct rmr_target *target)
{
	target->pidfd = (int)syscall(SYS_pidfd_open, target->pid, 0);
	if (target->pidfd >= 0)
		return NULL;
	if (errno == ENOSYS)
		return rmr_error_hint(
			rmr_error_create(RMR_E_UNSUPPORTED, 0, "this kernel has no pidfd_open"),
			"remora needs Linux 5.6 or newer");
	if (errno != ESRCH && errno != EINVAL && errno != ENOENT)
		return rmr_error_create(
			RMR_E_OS, errno, "cannot open process %d", (int)target->pid);
	/* A thread's id is EINVAL or ENOENT. */
	struct rmr_status status;
	if (!rmr_status_read(proc, target->pid, &status) && status.tgid != target->pid) {
		struct rmr_error *err = check_status(&status, target->pid);
		if (err)
			return err;
	}
	return gone(target->pid);
}

static bool has_exited(const struct rmr_target *target, int wait_ms)
{
	struct pollfd poller = {.fd = target->pidfd, .events = POLLIN};
	int n;

	do
		n = poll(&poller, 1, wait_ms);
	while (n < 0 && errno == EINTR);
	return n != 0;
}

static struct rmr_error *exited(const struct rmr_target *target)
{
	return rmr_error_create(RMR_E_GONE, 0, "process %d has exited", (int)target->pid);
}

static struct rmr_error *replaced(const struct rmr_target *target)
{
	return rmr_error_hint(rmr_error_create(RMR_E_GONE, 0,
			"process %d has just become another program", (int)target->pid),
		"try again: its number stays the same");
}

struct rmr_error *rmr_target_check(const struct rmr_target *target)
{
	const struct rmr_module *known = target->libc ? target->libc : target->interpreter;
	struct rmr_status status;
	unsigned char byte;

	if (has_exited(target, 0))
		return exited(target);
	if (!known || (rmr_target_read_some(target, known->start, &byte, 1) == 1 &&
			      rmr_program_is_current(target)))
		return NULL;
	bool other = !rmr_status_read(proc, target->pid, &status) && status.has_memory;
	if (!other && has_exited(target, EXIT_MS))
		return exited(target);
	return replaced(target);
}

static struct rmr_error *read_program(struct rmr_target *target)
{
	struct rmr_error *err = open_files(target);

	if (!err)
		err = list_modules(target);
	if (!err)
		rmr_files_init(target);
	if (!err)
		err = rmr_python_find(target);
	if (!err)
		err = find_libc(target);
	return err;
}

/*
 * Code that a vfork()ed child runs would run in its parent's memory, while that stands still, and end in
 * the midst of it when the child starts its program.
 */
static struct rmr_error *check_own_memory(const struct rmr_target *target)
{
	struct rmr_status status;

	if (rmr_status_read(proc, target->pid, &status) ||
		!rmr_program_is_borrowed(target, status.parent))
		return NULL;
	return rmr_error_hint(rmr_error_create(RMR_E_STATE, 0,
			"process %d is about to start a program: it still runs in the memory of process %d",
			(int)target->pid, (int)status.parent),
		"use %d, or try again", (int)status.parent);
}

/*
 * NULL if what was seen of the process is of one program; else why it may not be. @p err: what was found.
 */
static struct rmr_error *check_moment(const struct rmr_target *target, const struct rmr_error *err)
{
	if (target->memory < 0 || has_exited(target, 0))
		return NULL;
	if (!rmr_program_is_current(target))
		return replaced(target);
	if (!err && !target->beginning)
		return target->read_only ? NULL : check_own_memory(target);
	if (!rmr_program_is_loading(target) && !rmr_program_has_new_files(target))
		return NULL;
	return rmr_error_hint(rmr_error_create(RMR_E_STATE, 0,
			"process %d is just starting its program", (int)target->pid),
		"try again");
}

/* Again and again, as long as the program changes while it is looked at. */
static struct rmr_error *find_program(struct rmr_target *target)
{
	uint64_t end = rmr_log_now() + START_MS * UINT64_C(1000000);

	for (;;) {
		struct rmr_error *err = read_program(target);
		struct rmr_error *moment = target->dead_minor || target->interrupted ? NULL : check_moment(target, err);
		if (!moment)
			return err;
		rmr_error_destroy(err);
		if (rmr_log_now() > end)
			return moment;
		rmr_log("%s", moment->message);
		rmr_error_destroy(moment);
		close_files(target);
		nanosleep(&(struct timespec){.tv_nsec = START_STEP_NS}, NULL);
	}
}

static struct rmr_error *open_target(struct rmr_target *target)
{
	struct rmr_status status;

	if (target->pid <= 0)
		return gone(target->pid);
	struct rmr_error *err = open_pidfd(target);
	if (err)
		return err;
	if (rmr_status_read(proc, target->pid, &status))
		return gone(target->pid);
	/* A process that is about to exit has no memory any more, nor has a kernel thread. */
	if (!status.has_memory && status.state != 'Z' && has_exited(target, EXIT_MS))
		return exited(target);
	err = check_status(&status, target->pid);
	if (!err && !target->read_only)
		err = check_free(&status, target->pid);
	if (err)
		return err;
	target->inner = status.depth ? status.inner : target->pid;
	target->nested = status.depth > 1;
	err = find_program(target);
	return err ? err : rmr_target_check(target);
}

struct rmr_error *rmr_target_file_error(struct rmr_target *target)
{
	return rmr_take(target->file_error);
}

static struct rmr_error *create(pid_t pid, const struct rmr_patience *patience, bool read_only,
	struct rmr_target **ret)
{
	struct rmr_target *target = calloc(1, sizeof(*target));

	if (!target)
		return &rmr_enomem;
	target->pid = pid;
	target->read_only = read_only;
	target->patience = patience ? *patience : (struct rmr_patience){.ms = FILE_MS, .cancel_fd = -1};
	target->pidfd = -1;
	target->memory = -1;
	struct rmr_error *err = open_target(target);
	if (target->file_error && (err || target->interrupted)) {
		rmr_error_destroy(err);
		err = rmr_target_file_error(target);
		rmr_target_close(target);
		return err;
	}
	if (err) {
		/* A process that exits while it is opened fails in odd ways. */
		struct rmr_error *now = target->pidfd >= 0 ? rmr_target_check(target) : NULL;
		rmr_target_close(target);
		if (now && err->code != RMR_E_STATE) {
			rmr_error_destroy(err);
			return now;
		}
		rmr_error_destroy(now);
		return err;
	}
	rmr_log("process %d: Python %s%s in %s, %zu files mapped", (int)pid, target->python.version,
		target->python.debug ? " (debug)" : "", target->python.file, target->module_count);
	*ret = target;
	return NULL;
}

struct rmr_error *rmr_target_open(pid_t pid, const struct rmr_patience *patience,
	struct rmr_target **ret)
{
	return create(pid, patience, false, ret);
}

struct rmr_error *rmr_target_open_to_read(pid_t pid, const struct rmr_patience *patience,
	struct rmr_target **ret)
{
	return create(pid, patience, true, ret);
}

void rmr_target_close(struct rmr_target *target)
{
	if (!target)
		return;
	close_files(target);
	rmr_error_destroy(target->file_error);
	if (target->pidfd >= 0)
		close(target->pidfd);
	free(target);
}

pid_t rmr_target_pid(const struct rmr_target *target)
{
	return target->pid;
}

int rmr_target_pidfd(const struct rmr_target *target)
{
	return target->pidfd;
}

const struct rmr_python *rmr_target_python(const struct rmr_target *target)
{
	return &target->python;
}

rmr_addr_t rmr_target_libc_symbol(
	const struct rmr_target *target, const char *name, uint64_t *size_ret)
{
	struct rmr_module *const modules[] = {
		target->libc, target->libc_parts[0], target->libc_parts[1]};

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		const struct rmr_image *image =
			modules[i] ? rmr_target_image(target, modules[i]) : NULL;
		rmr_addr_t address = image ? rmr_image_symbol(image, name, size_ret) : 0;
		if (address)
			return address;
	}
	return 0;
}

rmr_addr_t rmr_target_symbol(const struct rmr_target *target, const char *name)
{
	if (strncmp(name, "Py", 2) == 0 || strncmp(name, "_Py", 3) == 0)
		return rmr_image_symbol(target->interpreter->image, name, NULL);
	return rmr_target_libc_symbol(target, name, NULL);
}

size_t rmr_target_read_some(
	const struct rmr_target *target, rmr_addr_t address, void *buffer, size_t size)
{
	size_t done = 0;

	if (!rmr_files_try_memory(target, address, size))
		return 0;
	while (done < size && address + done <= INT64_MAX) {
		ssize_t n = pread(target->memory, (char *)buffer + done, size - done,
			(off_t)(address + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

bool rmr_target_reader(void *context, rmr_addr_t address, void *buffer, size_t size)
{
	return rmr_target_read_some(context, address, buffer, size) == size;
}

struct rmr_error *rmr_target_read(
	const struct rmr_target *target, rmr_addr_t address, void *buffer, size_t size)
{
	if (rmr_target_read_some(target, address, buffer, size) == size)
		return NULL;
	struct rmr_error *err = rmr_target_file_error((struct rmr_target *)(uintptr_t)target);
	if (!err)
		err = rmr_target_check(target);
	return err ? err
		   : rmr_error_create(RMR_E_TARGET, 0,
			     "cannot read %zu bytes at 0x%" PRIx64 " of process %d", size, address,
			     (int)target->pid);
}

struct rmr_error *rmr_target_write(
	const struct rmr_target *target, rmr_addr_t address, const void *bytes, size_t size)
{
	size_t done = 0;

	while (done < size && address + done <= INT64_MAX) {
		ssize_t n = pwrite(target->memory, (const char *)bytes + done, size - done,
			(off_t)(address + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done == size)
		return NULL;
	struct rmr_error *err = rmr_target_check(target);
	return err ? err
		   : rmr_error_create(RMR_E_TARGET, 0,
			     "cannot write %zu bytes at 0x%" PRIx64 " of process %d", size, address,
			     (int)target->pid);
}


bool rmr_target_has_thread(const struct rmr_target *target, pid_t inner)
{
	char path[RMR_PROCFS_PATH];
	struct rmr_status status;

	if (!target->nested) {
		snprintf(path, sizeof(path), "%s/%d/task/%d", proc, (int)target->pid, (int)inner);
		return access(path, F_OK) == 0;
	}
	_rmr_free_ pid_t *tids = NULL;
	size_t count;
	if (rmr_procfs_threads(proc, target->pid, &tids, &count))
		return false;
	for (size_t i = count; i-- > 0;) {
		if (!rmr_status_read_task(proc, target->pid, tids[i], &status) &&
			status.inner == inner)
			return true;
	}
	return false;
}

static bool is_file(const struct stat *st, const struct rmr_map *map)
{
	return st->st_ino == map->inode && major(st->st_dev) == map->major &&
	       minor(st->st_dev) == map->minor;
}

/*
 * Looks before it opens: in a container's own folders the path may by now lead anywhere, even to a
 * device of the host, which to open may be enough to start. @p map is NULL if the path is the kernel's.
 */
static int open_regular(const char *path, const struct rmr_map *map)
{
	char again[64];
	struct stat st;
	_rmr_close_ int seen = open(path, O_PATH | O_CLOEXEC);

	if (seen < 0 || fstat(seen, &st) < 0 || !S_ISREG(st.st_mode) || (map && !is_file(&st, map)))
		return -1;
	snprintf(again, sizeof(again), "%s/self/fd/%d", proc, seen);
	return open(again, O_RDONLY | O_CLOEXEC);
}

int rmr_target_open_file(const struct rmr_target *target, const struct rmr_module *module)
{
	char path[RMR_PROCFS_PATH + 4096];
	const struct rmr_map *map = module->map;

	if (!map->inode)
		return -1;
	snprintf(path, sizeof(path), "%s/%d/map_files/%" PRIx64 "-%" PRIx64, proc, (int)target->pid,
		map->start, map->end);
	int fd = open_regular(path, NULL);
	if (fd >= 0 || map->deleted)
		return fd;
	snprintf(path, sizeof(path), "%s/%d/root%s", proc, (int)target->pid, map->path);
	return open_regular(path, map);
}

/* The process that holds a flock on @p fd's inode, from /proc/locks; 0 if it is not visible. */
static pid_t find_holder(int fd)
{
	struct stat st;
	char line[256], want[64];
	pid_t holder = 0;
	FILE *file = fopen("/proc/locks", "re");

	if (!file || fstat(fd, &st)) {
		if (file)
			fclose(file);
		return 0;
	}
	snprintf(want, sizeof(want), " %02x:%02x:%llu ", major(st.st_dev), minor(st.st_dev),
		(unsigned long long)st.st_ino);
	while (!holder && fgets(line, sizeof(line), file)) {
		int pid;
		if (strstr(line, want) && sscanf(line, "%*s FLOCK %*s %*s %d", &pid) == 1)
			holder = pid;
	}
	fclose(file);
	return holder;
}

/*
 * The lock is on /proc/PID/mem itself: nothing in a file system, nothing left by a killed remora,
 * and nobody who may not trace the process can take it. The inode stays the same for as long as
 * somebody has the file open.
 */
struct rmr_error *rmr_target_lock(struct rmr_target *target)
{
	if (target->locked)
		return NULL;
	if (flock(target->memory, LOCK_EX | LOCK_NB) == 0) {
		target->locked = true;
		return NULL;
	}
	if (errno != EWOULDBLOCK)
		return rmr_error_create(
			RMR_E_OS, errno, "cannot lock process %d", (int)target->pid);
	pid_t holder = find_holder(target->memory);
	struct rmr_error *err =
		holder > 0 ? rmr_error_create(RMR_E_TRACED, 0,
				     "another remora (process %d) is attached to process %d",
				     (int)holder, (int)target->pid)
			   : rmr_error_create(RMR_E_TRACED, 0,
				     "another remora is attached to process %d", (int)target->pid);
	return rmr_error_hint(err, "one at a time: end that one first");
}
