// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/commands/dump.h"

#include "attach/cleanup.h"
#include "attach/log.h"
#include "cli/commands/commands.h"
#include "cli/commands/session.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/view/number.h"
#include "cli/view/progress.h"
#include "payloads/heap_dump/records.h"
#include "payloads/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/** One dump on its way. */
struct dumping {
	const struct rmr_dump_settings *settings;
	struct rmr_session *session;
	struct rmr_dump_header header;
	char exe[4096], cmdline[65536], host[256];
	struct rmr_dump_totals totals;
	struct rmr_progress line;
};

static const char *values_name(enum rmr_values values)
{
	switch (values) {
	case RMR_VALUES_NONE:
		return "none";
	case RMR_VALUES_FULL:
		return "full";
	default:
		return "short";
	}
}

static size_t read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	_rmr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size);
	return n < 0 ? 0 : (size_t)n;
}

/** Resident memory in bytes: the second number of /proc/PID/statm, in pages (proc(5)). */
static uint64_t resident(pid_t pid)
{
	char text[128] = "";
	unsigned long long pages = 0;

	text[read_proc(pid, "statm", text, sizeof(text) - 1)] = 0;
	if (sscanf(text, "%*u %llu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct rmr_error *fill_header(struct dumping *dumping)
{
	const struct rmr_target *target = rmr_session_target(dumping->session);
	const struct rmr_python *python = rmr_target_python(target);
	struct rmr_dump_header *header = &dumping->header;
	char path[64];

	header->pid = rmr_target_pid(target);
	header->python = python->version;
	header->hex = python->hex;
	header->build = python->debug ? "debug" : "release";
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)header->pid);
	ssize_t n = readlink(path, dumping->exe, sizeof(dumping->exe) - 1);
	header->exe = n > 0 ? dumping->exe : NULL;
	header->cmdline = dumping->cmdline;
	header->cmdline_size = read_proc(header->pid, "cmdline", dumping->cmdline,
		sizeof(dumping->cmdline));
	// Arguments may be passwords, or code.
	if (dumping->settings->values == RMR_VALUES_NONE)
		header->cmdline_size = strnlen(dumping->cmdline, header->cmdline_size);
	header->host = gethostname(dumping->host, sizeof(dumping->host) - 1) ? NULL : dumping->host;
	header->time = time(NULL);
	header->mode = dumping->settings->in_place ? "in-place" : "twin";
	header->values = values_name(dumping->settings->values);
	header->rss = resident(header->pid);
	return rmr_dump_make_id(header->id);
}

static struct rmr_error *on_progress(void *arg, const struct rmr_dump_progress *progress)
{
	struct dumping *dumping = arg;

	rmr_progress_update(&dumping->line, progress->objects, progress->expected);
	return rmr_interrupt_check();
}

/** Reads the records of a dump that was started. */
static struct rmr_error *write_records(struct dumping *dumping, struct rmr_ring *ring,
	struct rmr_dump_sink *sink, int peer_fd)
{
	struct rmr_dump_options options = {
		.format = dumping->settings->format,
		.peer_fd = peer_fd,
		.progress = on_progress,
		.progress_arg = dumping,
	};

	rmr_progress_init(&dumping->line, "dumping", false);
	dumping->line.is_estimate = true;
	struct rmr_error *err = rmr_dump_write(ring, &options, sink, &dumping->totals);
	rmr_progress_end(&dumping->line);
	return err;
}

/** The error that explains more: when the twin died, how it ended, not that its records ended. */
static struct rmr_error *choose_error(struct rmr_error *write, struct rmr_error *finish)
{
	if (!write || (write->code == RMR_E_TARGET && finish)) {
		rmr_error_destroy(write);
		return finish;
	}
	rmr_error_destroy(finish);
	return write;
}

static struct rmr_error *write_body(struct dumping *dumping, struct rmr_dump_sink *sink)
{
	struct rmr_session_dump request = {
		.values = dumping->settings->values,
		.meliae = dumping->settings->format == RMR_DUMP_MELIAE,
		.in_place = dumping->settings->in_place,
	};
	struct rmr_ring ring = {0};
	_rmr_close_ int ring_fd = -1;
	int peer_fd;

	long created = rmr_ring_create(&ring, &ring_fd);
	if (created < 0)
		return rmr_error_create(RMR_E_OS, (int)-created, "cannot make shared memory");
	struct rmr_error *err =
		rmr_session_dump_start(dumping->session, &request, ring_fd, &peer_fd);
	if (!err) {
		err = write_records(dumping, &ring, sink, peer_fd);
		rmr_ring_close(&ring);
		err = choose_error(err, rmr_session_dump_finish(dumping->session));
	}
	rmr_ring_close(&ring);
	return err;
}

static struct rmr_error *write_trailer(struct dumping *dumping, struct rmr_dump_sink *sink)
{
	struct rmr_session_cost cost;

	rmr_session_cost(dumping->session, &cost);
	struct rmr_dump_trailer trailer = {
		.stop_us = cost.stop_ns / 1000,
		.gil_us = cost.gil_hold_ns / 1000,
	};
	return rmr_dump_write_trailer(sink, dumping->settings->format, &dumping->header,
		&dumping->totals, &trailer);
}

static struct rmr_error *dump_session(struct dumping *dumping, int fd)
{
	struct rmr_dump_sink *sink;
	struct rmr_error *err = fill_header(dumping);

	if (!err)
		err = rmr_dump_sink_create(fd, dumping->settings->compression, &sink);
	if (err)
		return err;
	err = rmr_dump_write_header(sink, dumping->settings->format, &dumping->header);
	if (!err)
		err = write_body(dumping, sink);
	if (!err)
		err = write_trailer(dumping, sink);
	struct rmr_error *finish = rmr_dump_sink_finish(sink);
	rmr_dump_sink_destroy(sink);
	if (!err)
		return finish;
	rmr_error_destroy(finish);
	return err;
}

/** What the process paid, in one line. */
static void tell_cost(const struct dumping *dumping, uint64_t started)
{
	struct rmr_session_cost cost;
	struct rmr_line objects = {0};

	rmr_session_cost(dumping->session, &cost);
	rmr_number_add_count(&objects, dumping->totals.objects);
	fprintf(stderr,
		"remora: %s objects of PID %d in %.2f s; a thread stood still for %.2f ms, "
		"the GIL was held for %.1f ms\n",
		rmr_line_get(&objects), (int)dumping->header.pid, (double)(rmr_log_now() - started) / 1e9,
		(double)cost.stop_ns / 1e6, (double)cost.gil_hold_ns / 1e6);
	rmr_line_deinit(&objects);
	if (dumping->totals.tracemalloc == RMR_TRACEMALLOC_LOST)
		rmr_command_warn("tracemalloc is on, and its traces %s: the dump has none",
			dumping->settings->in_place ? "are not read in place" : "were not found");
	if (dumping->totals.partial[0])
		rmr_command_warn("the dump is partial: %s", dumping->totals.partial);
}

struct rmr_error *rmr_dump_to_fd(struct rmr_context *context, pid_t pid,
	const struct rmr_dump_settings *settings, int fd)
{
	_rmr_free_ struct dumping *dumping = calloc(1, sizeof(*dumping));
	uint64_t started = rmr_log_now();

	if (!dumping)
		return &rmr_enomem;
	dumping->settings = settings;
	struct rmr_error *err = rmr_interrupt_begin();
	if (err)
		return err;
	err = rmr_command_attach(context, pid, &dumping->session);
	if (!err) {
		err = dump_session(dumping, fd);
		if (!err)
			tell_cost(dumping, started);
		err = rmr_command_detach(context, dumping->session, err);
	}
	rmr_interrupt_end();
	return err;
}

void rmr_dump_settings_of(const struct rmr_call *call, struct rmr_dump_settings *ret)
{
	const char *values = rmr_args_value(&call->args, "values");

	*ret = (struct rmr_dump_settings){
		.values = RMR_VALUES_SHORT,
		.in_place = rmr_args_count(&call->args, "in-place") > 0,
	};
	if (values && !strcmp(values, "none"))
		ret->values = RMR_VALUES_NONE;
	else if (values && !strcmp(values, "full"))
		ret->values = RMR_VALUES_FULL;
}

/** What --compress and the ending of the file's name ask for. @p path NULL: there is no name yet. */
static struct rmr_error *choose_compression(
	const struct rmr_call *call, const char *path, enum rmr_dump_compression *ret)
{
	static const char *const words[] = {
		[RMR_DUMP_PLAIN] = "none", [RMR_DUMP_GZIP] = "gz", [RMR_DUMP_ZSTD] = "zst"};
	const char *word = rmr_args_value(&call->args, "compress");
	enum rmr_dump_compression ending =
		path ? rmr_dump_sink_compression(path) : RMR_DUMP_PLAIN;

	*ret = ending;
	for (unsigned i = 0; word && i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(word, words[i]))
			*ret = (enum rmr_dump_compression)i;
	}
	if (ending == RMR_DUMP_PLAIN || *ret == ending)
		return NULL;
	return rmr_error_create(RMR_E_USAGE, 0, "'--compress %s' does not go with the ending of %s",
		word, path);
}

/** Opens "remora-4711-20261120-132000.json"; @p name is to outlive it. */
static struct rmr_error *open_default(pid_t pid, enum rmr_dump_compression compression, char *name,
	size_t size, struct rmr_output *ret)
{
	static const char *const endings[] = {[RMR_DUMP_PLAIN] = ".json",
		[RMR_DUMP_GZIP] = ".json.gz",
		[RMR_DUMP_ZSTD] = ".json.zst"};
	time_t now = time(NULL);
	char stamp[32];
	struct tm tm;

	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
	snprintf(name, size, "remora-%d-%s", (int)pid, stamp);
	return rmr_output_open_fresh(name, endings[compression], ret);
}

struct rmr_error *rmr_command_dump(struct rmr_context *context, const struct rmr_call *call)
{
	const char *path = rmr_args_value(&call->args, "output");
	const char *format = rmr_args_value(&call->args, "format");
	struct rmr_dump_settings settings;
	struct rmr_output output;
	char name[64];

	rmr_dump_settings_of(call, &settings);
	if (format && !strcmp(format, "meliae"))
		settings.format = RMR_DUMP_MELIAE;
	struct rmr_error *err = choose_compression(call, path, &settings.compression);
	if (err)
		return err;
	if (path)
		err = rmr_output_open(path, rmr_args_count(&call->args, "force") > 0, &output);
	else
		err = open_default(call->pid, settings.compression, name, sizeof(name), &output);
	if (err)
		return err;
	err = rmr_dump_to_fd(context, call->pid, &settings, output.fd);
	if (err) {
		rmr_output_abandon(&output);
		return err;
	}
	err = rmr_output_commit(&output);
	if (!err && !path) {
		fprintf(stderr, "remora: written to %s\n", output.path);
		rmr_output_abandon(&output);
	}
	return err;
}
