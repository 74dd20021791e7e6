// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/commands/snapshot.h"

#include "attach/cleanup.h"
#include "cli/commands/dump.h"
#include "cli/heap/beside.h"
#include "cli/interrupt.h"
#include "cli/view/number.h"
#include "cli/view/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** The progress line of a load: one for each of its stages. */
struct load_progress {
	struct rmr_progress line;
	const char *stage;
	char what[128];
	const char *name;
};

static void show_load(void *arg, const char *stage, uint64_t done, uint64_t total)
{
	struct load_progress *load = arg;

	if (!load->stage || strcmp(load->stage, stage) != 0) {
		uint64_t started_ns = load->line.started_ns;
		rmr_progress_end(&load->line);
		snprintf(load->what, sizeof(load->what), "%s: %s", load->name, stage);
		rmr_progress_init(&load->line, load->what, true);
		// The half second without a line counts from the start of the first stage.
		if (load->stage)
			load->line.quiet_from_ns = started_ns;
		load->stage = stage;
	}
	rmr_progress_update(&load->line, done, total);
}

static struct rmr_error *open_process(struct rmr_context *context, struct rmr_snapshot *snapshot,
	const struct rmr_heap_options *options)
{
	const struct rmr_dump_settings defaults = {.values = RMR_VALUES_SHORT};
	_rmr_close_ int fd = -1;
	char name[32];

	struct rmr_error *err = rmr_command_pid(snapshot->name, &snapshot->pid);
	if (err)
		return err;
	fd = rmr_beside_temporary();
	if (fd < 0)
		err = rmr_error_hint(
			rmr_error_create(RMR_E_WRITE, errno, "cannot make a temporary file"),
			"set TMPDIR to a folder with room for a dump");
	if (!err)
		err = rmr_dump_to_fd(
			context, snapshot->pid, context->dump ? context->dump : &defaults, fd);
	if (err)
		return err;
	snprintf(name, sizeof(name), "PID %d", (int)snapshot->pid);
	snapshot->taken = (uint64_t)time(NULL);
	return rmr_heap_open_fd(fd, name, options, &snapshot->heap);
}

/** Seconds since the epoch of "2026-11-20T13:20:00Z", or 0. */
static uint64_t parse_time(const char *text)
{
	struct tm tm = {0};

	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	time_t seconds = timegm(&tm);
	return seconds > 0 ? (uint64_t)seconds : 0;
}

static struct rmr_error *open_heap(struct rmr_context *context, struct rmr_snapshot *snapshot)
{
	struct load_progress load = {.name = snapshot->name};
	struct rmr_heap_options options = {
		.progress = show_load,
		.progress_context = &load,
		.interrupted = &rmr_interrupt_flag,
		.often_asked = context->shell != NULL,
	};
	struct rmr_error *err = rmr_interrupt_begin();

	if (err)
		return err;
	if (rmr_args_is_digits(snapshot->name))
		err = open_process(context, snapshot, &options);
	else
		err = rmr_heap_open(snapshot->name, &options, &snapshot->heap);
	rmr_progress_end(&load.line);
	rmr_interrupt_end();
	if (err)
		return err;
	if (!snapshot->taken)
		snapshot->taken = parse_time(rmr_heap_facts(snapshot->heap)->time);
	for (size_t i = 0; i < rmr_heap_warning_count(snapshot->heap); i++)
		rmr_command_warn("%s: %s", snapshot->name, rmr_heap_warning(snapshot->heap, i));
	return NULL;
}

struct rmr_error *rmr_snapshot_open(
	struct rmr_context *context, const char *heap, struct rmr_snapshot **ret)
{
	struct rmr_snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return &rmr_enomem;
	snapshot->name = strdup(heap);
	struct rmr_error *err = snapshot->name ? open_heap(context, snapshot) : &rmr_enomem;
	if (err) {
		rmr_snapshot_close(snapshot);
		return err;
	}
	*ret = snapshot;
	return NULL;
}

void rmr_snapshot_close(struct rmr_snapshot *snapshot)
{
	if (!snapshot)
		return;
	if (snapshot->dominators)
		rmr_dominators_destroy(snapshot->dominators);
	if (snapshot->heap)
		rmr_heap_close(snapshot->heap);
	free(snapshot->name);
	free(snapshot);
}

struct rmr_error *rmr_snapshot_dominators(
	struct rmr_snapshot *snapshot, struct rmr_dominators **ret)
{
	if (!snapshot->dominators) {
		struct rmr_error *err =
			rmr_dominators_create(snapshot->heap, &snapshot->dominators);
		if (err)
			return err;
	}
	*ret = snapshot->dominators;
	return NULL;
}

struct rmr_error *rmr_snapshot_object(const struct rmr_context *context,
	const struct rmr_snapshot *snapshot, const char *word, uint32_t *ret)
{
	uint64_t address;

	struct rmr_error *err = rmr_command_address(context, word, &address);
	if (err)
		return err;
	uint32_t id = rmr_heap_find(snapshot->heap, address);
	if (id == RMR_NO_OBJECT)
		return rmr_error_hint(
			rmr_error_create(RMR_E_QUERY, 0, "no object at 0x%" PRIx64 " in %s%s",
				address, snapshot->pid ? "PID " : "", snapshot->name),
			"`objects` lists the addresses of this heap; another dump has others");
	*ret = id;
	return NULL;
}

void rmr_snapshot_age(const struct rmr_snapshot *snapshot, const char *after, struct rmr_line *text)
{
	uint64_t now = (uint64_t)time(NULL);

	/* Clocks differ, and are set. */
	if (snapshot->taken > now) {
		rmr_line_addf(text, "in the future");
	} else if (snapshot->taken) {
		rmr_number_add_duration(text, (now - snapshot->taken) * 1000000000);
		rmr_line_addf(text, "%s", after);
	}
}

void rmr_snapshot_add_name(const struct rmr_snapshot *snapshot, struct rmr_line *text)
{
	if (snapshot->pid)
		rmr_line_addf(text, "PID %d", (int)snapshot->pid);
	else
		rmr_line_add_safe(text, snapshot->name, strlen(snapshot->name));
}

static void add_origin(const struct rmr_snapshot *snapshot, struct rmr_line *line)
{
	const struct rmr_heap_facts *facts = rmr_heap_facts(snapshot->heap);

	rmr_snapshot_add_name(snapshot, line);
	if (facts->format == RMR_HEAP_MELIAE)
		rmr_line_addf(line, ": a meliae dump");
	if (facts->python) {
		rmr_line_add(line, ": Python ", 9);
		rmr_line_add_safe(line, facts->python, strlen(facts->python));
	}
	if (facts->pid && !snapshot->pid)
		rmr_line_addf(line, ", pid %" PRIu64, facts->pid);
	if (facts->cmdline) {
		rmr_line_add(line, ", ", 2);
		rmr_line_add_safe(line, facts->cmdline, strlen(facts->cmdline));
	}
}

static void add_cost(const struct rmr_snapshot *snapshot, struct rmr_line *line)
{
	const struct rmr_heap_facts *facts = rmr_heap_facts(snapshot->heap);

	if (snapshot->taken) {
		rmr_line_addf(line, "taken ");
		rmr_snapshot_age(snapshot, " ago", line);
	}
	if (facts->rss) {
		rmr_line_addf(line, "%s", line->length ? ", " : "");
		rmr_number_add_bytes(line, facts->rss);
		rmr_line_addf(line, " resident");
	}
	if (facts->stop_us) {
		rmr_line_addf(line, "%sa thread stood still for ", line->length ? "; " : "");
		rmr_number_add_duration(line, facts->stop_us * 1000);
	}
	if (facts->gil_us) {
		rmr_line_addf(line, "%sthe GIL was held for ", line->length ? ", " : "");
		rmr_number_add_duration(line, facts->gil_us * 1000);
	}
}

static void add_totals(const struct rmr_snapshot *snapshot, struct rmr_line *line)
{
	const struct rmr_heap_facts *facts = rmr_heap_facts(snapshot->heap);

	rmr_number_add_count(line, facts->objects);
	rmr_line_addf(line, " objects, ");
	rmr_number_add_count(line, facts->types);
	rmr_line_addf(line, " types, ");
	rmr_number_add_count(line, facts->references);
	rmr_line_addf(line, " references, ");
	rmr_number_add_bytes(line, facts->bytes);
	if (facts->bytes >= 1024) {
		rmr_line_addf(line, " (");
		rmr_number_add_count(line, facts->bytes);
		rmr_line_addf(line, " bytes)");
	}
	if (facts->owned) {
		rmr_line_addf(line, facts->owned < 0 ? " less " : " and ");
		rmr_number_add_bytes(line, (uint64_t)(facts->owned < 0 ? -facts->owned : facts->owned));
		rmr_line_addf(line, facts->owned < 0 ? " counted twice" : " that objects own beside it");
	}
}

static void add_fields(const struct rmr_snapshot *snapshot, struct rmr_view *view)
{
	const struct rmr_heap_facts *facts = rmr_heap_facts(snapshot->heap);
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{"pid", facts->pid},
		{"objects", facts->objects},
		{"references", facts->references},
		{"bytes", facts->bytes},
		{"absent", facts->absent},
		{"rss", facts->rss},
		{"stop_us", facts->stop_us},
		{"gil_us", facts->gil_us},
	};

	rmr_view_json_field(view, "heap", RMR_KIND_TEXT);
	rmr_view_put_text(view, snapshot->name);
	rmr_view_json_field(view, "id", RMR_KIND_TEXT);
	rmr_view_put_text(view, facts->id);
	rmr_view_json_field(view, "python", RMR_KIND_TEXT);
	rmr_view_put_text(view, facts->python);
	rmr_view_json_field(view, "time", RMR_KIND_TEXT);
	rmr_view_put_text(view, facts->time);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		rmr_view_json_field(view, numbers[i].key, RMR_KIND_COUNT);
		rmr_view_put_uint(view, numbers[i].value);
	}
	rmr_view_json_field(view, "owned", RMR_KIND_COUNT);
	rmr_view_put_int(view, facts->owned);
}

void rmr_snapshot_header(const struct rmr_snapshot *snapshot, struct rmr_view *view)
{
	struct rmr_line line = {0};

	if (rmr_view_format(view) == RMR_FORMAT_JSON) {
		add_fields(snapshot, view);
		return;
	}
	add_origin(snapshot, &line);
	rmr_view_prose(view, "", 0, rmr_line_get(&line));
	rmr_line_clear(&line);
	add_cost(snapshot, &line);
	if (line.length)
		rmr_view_prose(view, "", 0, rmr_line_get(&line));
	rmr_line_clear(&line);
	add_totals(snapshot, &line);
	rmr_view_prose(view, "", 0, rmr_line_get(&line));
	rmr_line_deinit(&line);
}
