// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/graph.h"

#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/snapshot.h"
#include "cli/output.h"
#include "cli/program.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

enum {
	MAX_DEPTH = 100,
	MAX_BREADTH = 10000,
};

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

/** Draws the DOT text in @p source into @p out. */
static struct rmr_error *draw(const char *format, FILE *source, int out)
{
	char option[16];
	char *const argv[] = {(char *)"dot", option, NULL};
	pid_t pid;

	snprintf(option, sizeof(option), "-T%s", format);
	rewind(source);
	struct rmr_error *err = rmr_program_start(argv, fileno(source), out, &pid);
	if (err)
		return rmr_error_hint(err, "install graphviz, or write a .dot file");
	int status = rmr_program_wait(pid);
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
	if (!err && !strcmp(path, "-"))
		return rmr_graph_write(call->snapshot->heap, id, &options, context->out);
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
