// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/procs.h"

#include "attach/cleanup.h"
#include "attach/procfs.h"
#include "attach/target.h"
#include "attach/user.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char proc[] = "/proc";

enum { FILE_MS = 500 }; /* one process with a file system that hangs must not hold up the list */

struct list {
	struct rmr_proc *procs;
	size_t count;
	size_t room;
};

/* What a look at a process's files says, before anything is opened for good. */
enum look {
	LOOK_NOT_PYTHON,
	LOOK_PYTHON,
	LOOK_UNREADABLE, /* the command line decides */
};

static bool is_name_end(char c)
{
	return c == '\0' || c == '\n' || c == ' ' || c == '-' || c == '.' ||
	       isdigit((unsigned char)c);
}

/* "python3.11", "libpython3.8.so.1.0", "python", "pypy3", not "python-config.el" or "pythonista" */
static bool names_python(const char *text)
{
	static const char *const names[] = {"libpython", "python", "libpypy", "pypy"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t size = strlen(names[i]);
		if (strncmp(text, names[i], size) == 0 && is_name_end(text[size]))
			return true;
	}
	return false;
}

/* True if some mapped executable file's name is a Python's. */
static bool maps_name_python(char *text)
{
	for (char *line = text; *line;) {
		char *end = strchrnul(line, '\n');
		char *slash = memrchr(line, '/', (size_t)(end - line));
		if (slash && names_python(slash + 1))
			return true;
		line = *end ? end + 1 : end;
	}
	return false;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Kernel threads and the like have no command line: the cheapest test there is. */
static bool read_command(pid_t pid, char **text_ret, size_t *size_ret)
{
	return !rmr_procfs_read(proc, pid, "cmdline", text_ret, size_ret) && *size_ret > 0;
}

static enum look look(pid_t pid, const char *command)
{
	_rmr_free_ char *maps = NULL;
	int errnum = rmr_procfs_read(proc, pid, "maps", &maps, NULL);

	if (!errnum)
		return maps_name_python(maps) ? LOOK_PYTHON : LOOK_NOT_PYTHON;
	if (errnum == EACCES || errnum == EPERM)
		return names_python(base_name(command)) ? LOOK_UNREADABLE : LOOK_NOT_PYTHON;
	return LOOK_NOT_PYTHON;
}

/* The words, joined by spaces; what could move a terminal's cursor as '?'. */
static char *join_command(char *text, size_t size)
{
	while (size && text[size - 1] == '\0')
		size--;
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '\0')
			text[i] = ' ';
		else if (c < 0x20 || c == 0x7f)
			text[i] = '?';
	}
	return strndup(text, size);
}

static void name_user(uid_t uid, char *name, size_t size)
{
	static uid_t known;
	static char known_name[33];

	/* Most processes of a machine belong to one user. */
	if (!known_name[0] || uid != known) {
		const char *user = rmr_user_name(uid);
		if (user)
			snprintf(known_name, sizeof(known_name), "%s", user);
		else
			snprintf(known_name, sizeof(known_name), "%u", (unsigned)uid);
		known = uid;
	}
	snprintf(name, size, "%s", known_name);
}

/* Field 22 of stat is the start in clock ticks since boot; the name before may hold anything. */
static uint64_t read_age(pid_t pid)
{
	_rmr_free_ char *text = NULL;
	unsigned long long start = 0;
	struct timespec now;

	if (rmr_procfs_read(proc, pid, "stat", &text, NULL))
		return 0;
	const char *p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, "%llu", &start) != 1)
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &now);
	uint64_t started = start / (uint64_t)sysconf(_SC_CLK_TCK);
	return (uint64_t)now.tv_sec > started ? (uint64_t)now.tv_sec - started : 0;
}

/* A few words for a table's cell. */
static const char *short_reason(const struct rmr_error *err)
{
	switch (err->code) {
	case RMR_E_PERMISSION:
		return "not permitted";
	case RMR_E_TRACED:
		return "traced";
	case RMR_E_STATE:
		/* The other messages do not have the program's name in them. */
		return strstr(err->message, ") is stopped")	 ? "stopped"
		       : strstr(err->message, "is a zombie")	 ? "zombie"
		       : strstr(err->message, "is frozen by")	 ? "frozen"
								 : "starting";
	case RMR_E_NOT_PYTHON:
		return "not running";
	case RMR_E_TIMEOUT:
		return "its disk hangs";
	default:
		return NULL;
	}
}

/* "process 12 runs Python 2.7.18" -> "2.7.18", "... runs PyPy 3.9" -> "pypy 3.9" */
static void version_from_message(const char *message, char *version, size_t size)
{
	const char *python = strstr(message, " runs Python ");
	const char *pypy = strstr(message, " runs PyPy ");

	if (pypy)
		snprintf(version, size, "pypy %s", pypy + 11);
	else if (python)
		snprintf(version, size, "%.*s", (int)strcspn(python + 13, " "), python + 13);
	else
		snprintf(version, size, "?");
}

/* Frees @p err. */
static struct rmr_error *fill_refusal(struct rmr_proc *entry, struct rmr_error *err)
{
	const char *reason = short_reason(err);

	version_from_message(err->message, entry->version, sizeof(entry->version));
	if (!reason && strstr(err->message, "without GIL"))
		reason = "free-threaded";
	if (!reason)
		reason = entry->version[0] == '?'   ? "unsupported"
			 : entry->version[0] == 'p' ? "not CPython"
						    : "unsupported version";
	entry->refusal = strdup(reason);
	bool nomem = !entry->refusal || err->code == RMR_E_NOMEM;
	rmr_error_destroy(err);
	return nomem ? &rmr_enomem : NULL;
}

/* *found is false if the process turns out to be no Python, or has gone. */
static struct rmr_error *examine(struct rmr_proc *entry, enum look seen, bool *found)
{
	struct rmr_target *target;
	const struct rmr_patience patience = {.ms = FILE_MS, .cancel_fd = -1};
	struct rmr_error *err = rmr_target_open(entry->pid, &patience, &target);

	*found = true;
	if (!err) {
		snprintf(entry->version, sizeof(entry->version), "%s",
			rmr_target_python(target)->version);
		rmr_target_close(target);
		return NULL;
	}
	bool absent = err->code == RMR_E_NOT_PYTHON && !strstr(err->message, "is not running");
	if (err->code == RMR_E_GONE || (absent && seen == LOOK_PYTHON)) {
		*found = false;
		rmr_error_destroy(err);
		return NULL;
	}
	return fill_refusal(entry, err);
}

static struct rmr_error *add(struct list *list, const struct rmr_proc *entry)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 32;
		struct rmr_proc *more = realloc(list->procs, room * sizeof(*more));
		if (!more)
			return &rmr_enomem;
		list->procs = more;
		list->room = room;
	}
	list->procs[list->count++] = *entry;
	return NULL;
}

static struct rmr_error *consider(struct list *list, pid_t pid)
{
	_rmr_free_ char *command = NULL;
	size_t command_size;
	struct rmr_status status;
	bool found;

	if (!read_command(pid, &command, &command_size))
		return NULL;
	enum look seen = look(pid, command);
	if (seen == LOOK_NOT_PYTHON || rmr_status_read(proc, pid, &status))
		return NULL;
	struct rmr_proc entry = {
		.pid = pid,
		.uid = status.uid[1],
		.rss = status.rss,
		.threads = status.threads,
		.age_s = read_age(pid),
	};
	struct rmr_error *err = examine(&entry, seen, &found);
	if (err || !found)
		return err;
	name_user(entry.uid, entry.user, sizeof(entry.user));
	entry.command = join_command(command, command_size);
	err = entry.command ? add(list, &entry) : &rmr_enomem;
	if (err) {
		free(entry.command);
		free(entry.refusal);
	}
	return err;
}

static int compare_pid(const void *a, const void *b)
{
	pid_t x = ((const struct rmr_proc *)a)->pid, y = ((const struct rmr_proc *)b)->pid;

	return (x > y) - (x < y);
}

struct rmr_error *rmr_procs_list(struct rmr_proc **ret, size_t *count_ret)
{
	struct list list = {0};
	struct rmr_error *err = NULL;
	struct dirent *entry;
	DIR *dir = opendir(proc);

	if (!dir)
		return rmr_error_create(RMR_E_OS, errno, "cannot list %s", proc);
	while (!err && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 0)
			err = consider(&list, pid);
	}
	closedir(dir);
	if (err) {
		rmr_procs_free(list.procs, list.count);
		return err;
	}
	if (list.count)
		qsort(list.procs, list.count, sizeof(*list.procs), compare_pid);
	*ret = list.procs;
	*count_ret = list.count;
	return NULL;
}

void rmr_procs_free(struct rmr_proc *procs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(procs[i].refusal);
		free(procs[i].command);
	}
	free(procs);
}
