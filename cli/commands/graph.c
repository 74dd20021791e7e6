// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/graph.h"

#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/snapshot.h"
#include "cli/output.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

enum {
	MAX_DEPTH = 100,
	MAX_BREADTH = 10000,
};

extern char **environ;

/** "svg", "png", "pdf" or "" (DOT) by the ending of @p path; NULL for any other. */
static const char *format_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (strcmp(path, "-") == 0 || (dot && strcmp(dot, ".dot") == 0))
		return "";
	if (dot && (!strcmp(dot, ".svg") || !strcmp(dot, ".png") || !strcmp(dot, ".pdf")))
		return dot + 1;
	return NULL;
}

/** Starts Graphviz with @p in as its input and @p out as its output. */
static struct rmr_error *start_dot(const char *format, int in, int out, pid_t *ret)
{
	char option[16];
	char *const argv[] = {(char *)"dot", option, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults;

	snprintf(option, sizeof(option), "-T%s", format);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return &rmr_enomem;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return &rmr_enomem;
	}
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	int error = posix_spawnp(ret, "dot", &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (error)
		return rmr_error_hint(
			rmr_error_create(RMR_E_OS, error, "cannot start Graphviz's dot"),
			"install graphviz, or write a .dot file");
	return NULL;
}

/** Draws the DOT text in @p source into @p out. */
static struct rmr_error *draw(const char *format, FILE *source, int out)
{
	int status;
	pid_t pid;

	rewind(source);
	struct rmr_error *err = start_dot(format, fileno(source), out, &pid);
	if (err)
		return err;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return rmr_error_create(RMR_E_OS, 0, "Graphviz's dot failed");
	return NULL;
}

static struct rmr_error *write_graph(const struct rmr_heap *heap, uint32_t id,
	const struct rmr_graph_options *options, const char *format, int fd)
{
	_rmr_fclose_ FILE *file = *format ? tmpfile() : fdopen(dup(fd), "w");

	if (!file)
		return rmr_error_create(RMR_E_WRITE, errno, "cannot write the graph");
	struct rmr_error *err = rmr_graph_write(heap, id, options, file);
	if (!err && fflush(file) != 0)
		err = rmr_error_create(RMR_E_WRITE, errno, "cannot write the graph");
	if (!err && *format)
		err = draw(format, file, fd);
	return err;
}

static struct rmr_error *read_options(const struct rmr_call *call, struct rmr_graph_options *ret)
{
	uint64_t depth, breadth;

	struct rmr_error *err = rmr_args_number(&call->args, "depth", 0, MAX_DEPTH, &depth);
	if (!err)
		err = rmr_args_number(&call->args, "breadth", 0, MAX_BREADTH, &breadth);
	if (err)
		return err;
	*ret = (struct rmr_graph_options){
		.up = rmr_args_count(&call->args, "up"),
		.path = rmr_args_count(&call->args, "path"),
		.depth = (unsigned)depth,
		.breadth = (unsigned)breadth,
	};
	return NULL;
}

struct rmr_error *rmr_command_graph(struct rmr_context *context, const struct rmr_call *call)
{
	const char *path = rmr_args_value(&call->args, "output");
	struct rmr_graph_options options;
	struct rmr_output output;
	uint32_t id;

	if (!path)
		return rmr_error_create(RMR_E_USAGE, 0, "-o FILE is missing");
	const char *format = format_of(path);
	if (!format)
		return rmr_error_create(
			RMR_E_USAGE, 0, "'%s' ends in none of .dot, .svg, .png and .pdf", path);
	struct rmr_error *err = read_options(call, &options);
	if (!err)
		err = rmr_snapshot_object(context, call->snapshot, call->args.operands[0], &id);
	if (!err)
		err = rmr_output_open(path, rmr_args_count(&call->args, "force"), &output);
	if (err)
		return err;
	fflush(context->out);
	err = write_graph(call->snapshot->heap, id, &options, format, output.fd);
	if (!err)
		return rmr_output_commit(&output);
	rmr_output_abandon(&output);
	return err;
}
