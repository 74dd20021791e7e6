// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/output.h"

#include "attach/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
	MAX_NUMBER = 1000, // names that are tried
};

static struct rmr_error *exists(const char *path)
{
	return rmr_error_hint(rmr_error_create(RMR_E_INPUT, 0, "%s exists already", path),
		"-f overwrites it");
}

/** A new name beside @p path; *ret is to be freed. */
static struct rmr_error *temporary_name(const char *path, char **ret)
{
	_rmr_free_ char *copy = strdup(path), *copy2 = strdup(path);

	if (!copy || !copy2)
		return &rmr_enomem;
	if (asprintf(ret, "%s/.%s.XXXXXX", dirname(copy), basename(copy2)) < 0)
		return &rmr_enomem;
	return NULL;
}

static struct rmr_error *open_new(const char *path, struct rmr_output *output)
{
	_rmr_free_ char *copy = strdup(path);

	output->path = strdup(path);
	if (!copy || !output->path)
		return &rmr_enomem;
	// A file without a name cannot be left behind, even by SIGKILL.
	output->fd = open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (output->fd >= 0)
		return NULL;
	struct rmr_error *err = temporary_name(path, &output->temporary);
	if (err)
		return err;
	output->fd = mkostemp(output->temporary, O_CLOEXEC);
	if (output->fd >= 0)
		return NULL;
	int error = errno;
	free(rmr_take(output->temporary));
	return rmr_error_create(RMR_E_WRITE, error, "cannot create %s", path);
}

struct rmr_error *rmr_output_open(const char *path, bool force, struct rmr_output *ret)
{
	struct rmr_output output = {.fd = -1, .force = force};
	struct stat st;
	struct rmr_error *err = NULL;

	if (!strcmp(path, "-")) {
		// main() has put a descriptor of O_PATH where it was closed.
		int flags = fcntl(STDOUT_FILENO, F_GETFL);
		if (flags >= 0 && flags & O_PATH)
			errno = EBADF;
		else
			output.fd = dup(STDOUT_FILENO);
		if (output.fd < 0)
			return rmr_error_create(RMR_E_WRITE, errno, "cannot use standard output");
	} else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		output.fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (output.fd < 0)
			return rmr_error_create(RMR_E_WRITE, errno, "cannot open %s", path);
	} else if (lstat(path, &st) == 0 && !force) {
		return exists(path);
	} else {
		// A link to a file stays one: what it leads to is replaced.
		_rmr_free_ char *real = realpath(path, NULL);
		err = open_new(real ? real : path, &output);
	}
	if (err) {
		rmr_output_abandon(&output);
		return err;
	}
	*ret = output;
	return NULL;
}

static char *numbered(const struct rmr_output *output, unsigned number)
{
	char *name;
	int length = number == 1
		? asprintf(&name, "%s%s", output->stem, output->ending)
		: asprintf(&name, "%s-%u%s", output->stem, number, output->ending);

	return length < 0 ? NULL : name;
}

struct rmr_error *rmr_output_open_fresh(
	const char *stem, const char *ending, struct rmr_output *ret)
{
	struct rmr_output output = {.fd = -1, .stem = stem, .ending = ending};
	_rmr_free_ char *name = numbered(&output, 1);

	if (!name)
		return &rmr_enomem;
	struct rmr_error *err = open_new(name, &output);
	if (err)
		rmr_output_abandon(&output);
	else
		*ret = output;
	return err;
}

/** True for what may be replaced: a regular file or nothing. */
static bool is_replaceable(const char *path)
{
	struct stat st;

	return stat(path, &st) != 0 || S_ISREG(st.st_mode);
}

static struct rmr_error *give_name(struct rmr_output *output)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", output->fd);
	if (!output->temporary && !output->force) {
		if (linkat(AT_FDCWD, self, AT_FDCWD, output->path, AT_SYMLINK_FOLLOW) == 0)
			return NULL;
		if (errno == EEXIST)
			return exists(output->path);
		return rmr_error_create(RMR_E_WRITE, errno, "cannot create %s", output->path);
	}
	if (!output->temporary) {
		// To replace a file it takes a name of its own first.
		struct rmr_error *err = temporary_name(output->path, &output->temporary);
		int fd = err ? -1 : mkostemp(output->temporary, O_CLOEXEC);
		if (err)
			return err;
		if (fd >= 0)
			close(fd);
		unlink(output->temporary);
		if (linkat(AT_FDCWD, self, AT_FDCWD, output->temporary, AT_SYMLINK_FOLLOW) < 0)
			return rmr_error_create(RMR_E_WRITE, errno, "cannot create %s",
				output->temporary);
	}
	if (output->force && !is_replaceable(output->path))
		return rmr_error_create(RMR_E_WRITE, 0,
			"%s is no regular file any more: it is left alone", output->path);
	if (renameat2(AT_FDCWD, output->temporary, AT_FDCWD, output->path,
		    output->force ? 0 : RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return exists(output->path);
		return rmr_error_create(RMR_E_WRITE, errno, "cannot create %s", output->path);
	}
	free(rmr_take(output->temporary));
	return NULL;
}

/** Tries names until one is free. */
static struct rmr_error *give_fresh_name(struct rmr_output *output)
{
	struct rmr_error *err = NULL;

	for (unsigned number = 1; number < MAX_NUMBER; number++) {
		free(rmr_take(output->path));
		output->path = numbered(output, number);
		if (!output->path)
			return &rmr_enomem;
		rmr_error_destroy(err);
		err = give_name(output);
		if (!err || err->code != RMR_E_INPUT) // it is there already
			break;
	}
	return err;
}

static struct rmr_error *commit_name(struct rmr_output *output)
{
	if (output->stem)
		return give_fresh_name(output);
	return output->path ? give_name(output) : NULL;
}

struct rmr_error *rmr_output_commit(struct rmr_output *output)
{
	struct rmr_error *err = NULL;

	// Some file systems tell of a full disk only when a descriptor is closed; the name comes after.
	int copy = fcntl(output->fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0 || close(copy) < 0)
		err = rmr_error_create(RMR_E_WRITE, errno, "cannot write the output");
	else
		err = commit_name(output);
	close(rmr_take_fd(output->fd));
	if (err || !output->stem)
		rmr_output_abandon(output);
	return err;
}

void rmr_output_abandon(struct rmr_output *output)
{
	if (output->fd >= 0)
		close(rmr_take_fd(output->fd));
	if (output->temporary)
		unlink(output->temporary);
	free(rmr_take(output->temporary));
	free(rmr_take(output->path));
}
