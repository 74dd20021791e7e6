// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/cleanup.h"
#include "attach/log.h"
#include "attach/points.h"
#include "attach/procfs.h"
#include "inject/session_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// How often the monitor is asked while a job runs.
#define PING_MS 200
// Bytes of a job in one frame.
#define PIECE (RMR_FRAME_MAX - sizeof(struct rmr_frame))

/** One wait for a job's end. */
struct wait {
	const struct rmr_run *run; /**< for its output; NULL for other jobs */
	bool stop_at_dump;         /**< return when the twin says hello, or a dump in place begins */
	uint64_t start;            /**< all times: rmr_log_now() */
	uint64_t heard;            /**< of the monitor */
	uint64_t interrupted;      /**< 0 = not yet */
	struct rmr_agent_status status;
	struct rmr_done done;
};

static uint64_t ms_since(uint64_t then)
{
	return (rmr_log_now() - then) / 1000000;
}

static struct rmr_error *send_control(struct rmr_session *session, uint32_t type)
{
	struct rmr_frame frame = {.type = type, .number = session->number};

	return rmr_channel_send(&session->channel, &frame, sizeof(frame), -1, 1000);
}

/** @p err, or, if the target has come to its end, that. In one that is about to, no thread starts. */
static struct rmr_error *explain_end(struct rmr_session *session, struct rmr_error *err)
{
	if (!err || (!session->channel.closed && err->code != RMR_E_NO_MEMORY))
		return err;
	session->job_runs &= !session->channel.closed;
	struct rmr_error *reason = rmr_session_check(session, true);
	if (!reason)
		return err;
	rmr_error_destroy(err);
	err = rmr_error_create(RMR_E_TARGET, 0, "the job was cut off: %s", reason->message);
	rmr_error_destroy(reason);
	return err;
}

/** The target's text goes to a terminal: no control characters. */
static void make_harmless(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

/** A frame of the job; *ended_ret says that the wait is over. */
static struct rmr_error *handle_frame(struct rmr_session *session, struct wait *wait,
	bool *ended_ret)
{
	struct rmr_channel *channel = &session->channel;
	const struct rmr_frame *frame = (const struct rmr_frame *)channel->frame;

	if (frame->type == RMR_FRAME_STATUS && channel->size == sizeof(wait->status)) {
		memcpy(&wait->status, frame, sizeof(wait->status));
		return NULL;
	}
	// Number 0: the agent itself has failed. Another number: a late answer.
	if (frame->number != session->number && !(frame->type == RMR_FRAME_DONE && !frame->number))
		return NULL;
	switch (frame->type) {
	case RMR_FRAME_STDOUT:
	case RMR_FRAME_STDERR:
		if (!wait->run || !wait->run->output)
			return NULL;
		return wait->run->output(wait->run->output_arg,
			frame->type == RMR_FRAME_STDOUT ? 1 : 2, frame + 1,
			channel->size - sizeof(*frame));
	case RMR_FRAME_TWIN:
		*ended_ret = wait->stop_at_dump && channel->frame_fd >= 0 &&
			     channel->size == sizeof(*frame);
		return NULL;
	case RMR_FRAME_BEGUN:
		*ended_ret = wait->stop_at_dump && channel->size == sizeof(*frame);
		return NULL;
	case RMR_FRAME_DONE:
		if (channel->size != sizeof(wait->done))
			break;
		memcpy(&wait->done, frame, sizeof(wait->done));
		wait->done.text[sizeof(wait->done.text) - 1] = 0;
		make_harmless(wait->done.text);
		session->job_runs = false;
		if (wait->done.wait_gil_ns > session->cost.gil_wait_ns)
			session->cost.gil_wait_ns = wait->done.wait_gil_ns;
		if (wait->done.hold_gil_ns > session->cost.gil_hold_ns)
			session->cost.gil_hold_ns = wait->done.hold_gil_ns;
		rmr_log("job %u ended: outcome %u, value %d, waited %.3f ms for the GIL",
			frame->number, wait->done.outcome, wait->done.value,
			(double)wait->done.wait_gil_ns / 1e6);
		rmr_points_pass(20);
		*ended_ret = true;
		return NULL;
	default:
		break;
	}
	return rmr_error_create(RMR_E_PROTOCOL, 0, "the agent sent a frame that makes no sense");
}

/** NULL while there is reason to wait on. */
static struct rmr_error *check_deadlines(struct rmr_session *session, struct wait *wait)
{
	const struct rmr_timeouts *timeouts = &session->options.timeouts;
	uint64_t in_phase = wait->status.since_ns / 1000000;
	struct rmr_error *err;

	if (wait->interrupted && ms_since(wait->interrupted) > session->options.interrupt_ms) {
		err = rmr_error_create(RMR_E_INTERRUPTED, 0,
			"interrupted, but the job in the target has not ended yet");
		return rmr_error_hint(err, "it is told again and again to end, and the agent "
					   "leaves then");
	}
	if (timeouts->silent_ms && ms_since(wait->heard) > timeouts->silent_ms) {
		err = rmr_error_create(RMR_E_TIMEOUT, 0, "the agent gave no sign of life for %.1f s",
			timeouts->silent_ms / 1e3);
		return rmr_error_hint(err, "the target may be frozen or short of processor time");
	}
	if (wait->status.phase == RMR_PHASE_WAITING && timeouts->gil_ms &&
		in_phase > timeouts->gil_ms) {
		rmr_error_destroy(send_control(session, RMR_FRAME_CANCEL));
		err = rmr_error_create(RMR_E_TIMEOUT, 0, "the GIL was not free within %.1f s",
			timeouts->gil_ms / 1e3);
		return rmr_error_hint(err, "C code in the target holds it; --timeout waits longer, "
					   "0 for ever");
	}
	if (wait->status.phase != RMR_PHASE_WAITING && timeouts->job_ms &&
		ms_since(wait->start) > timeouts->job_ms) {
		rmr_error_destroy(send_control(session, RMR_FRAME_CANCEL));
		return rmr_error_create(RMR_E_TIMEOUT, 0, "the job did not end within %.1f s",
			timeouts->job_ms / 1e3);
	}
	return NULL;
}

static struct rmr_error *wait_for_job(struct rmr_session *session, struct wait *wait)
{
	bool ended = false;

	wait->start = wait->heard = rmr_log_now();
	while (!ended) {
		enum rmr_channel_event event;
		struct rmr_error *err = rmr_channel_receive(&session->channel, PING_MS,
			!wait->interrupted, &event);
		if (err)
			return err;
		switch (event) {
		case RMR_CHANNEL_FRAME:
			wait->heard = rmr_log_now();
			err = handle_frame(session, wait, &ended);
			// A job that prints without end must not outlive its time.
			if (!err && !ended && (session->options.timeouts.job_ms || wait->interrupted))
				err = check_deadlines(session, wait);
			break;
		case RMR_CHANNEL_TIMEOUT:
			err = check_deadlines(session, wait);
			if (!err)
				err = send_control(session, RMR_FRAME_PING);
			break;
		case RMR_CHANNEL_CANCEL:
			rmr_log("interrupting the job");
			wait->interrupted = rmr_log_now();
			err = send_control(session, RMR_FRAME_CANCEL);
			break;
		case RMR_CHANNEL_CLOSED:
			return rmr_error_create(
				RMR_E_TARGET, 0, "the agent in the target has ended");
		}
		if (err)
			return err;
	}
	return NULL;
}

static const char *heap_failure(int status)
{
	switch (status) {
	case RMR_HEAP_DUMP_BAD_LAYOUT:
		return "the interpreter is laid out like no version that remora knows";
	case RMR_HEAP_DUMP_COLLECTING:
		return "a garbage collection in the target does not end";
	case RMR_HEAP_DUMP_NO_MAPS:
		return "the process's memory map cannot be read: a dump in place would not be safe";
	case RMR_HEAP_DUMP_NO_MEMORY:
		return "no memory for the walker in the target";
	case RMR_HEAP_DUMP_CLOSED:
		return "the dump was given up: for 10 s remora stood still, or could not write";
	default:
		return "the walker failed";
	}
}

static struct rmr_error *twin_failure(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return rmr_error_hint(rmr_error_create(RMR_E_TARGET, 0,
				"the twin was killed (out of memory?)"),
			"the target goes on; free memory or use --in-place");
	if (WIFSIGNALED(status))
		return rmr_error_create(RMR_E_TARGET, 0, "the twin died of signal %d",
			WTERMSIG(status));
	return rmr_error_create(RMR_E_TARGET, 0, "the twin could not be set up");
}

/** What a finished job means; NULL for those with a status of their own. */
static struct rmr_error *outcome_error(const struct wait *wait)
{
	const struct rmr_done *done = &wait->done;

	switch (done->outcome) {
	case RMR_OUTCOME_OK:
	case RMR_OUTCOME_EXIT:
		return NULL;
	case RMR_OUTCOME_FAILED:
		return done->text[0] ? rmr_error_create(RMR_E_PAYLOAD, 0, "%s", done->text) : NULL;
	case RMR_OUTCOME_INTERRUPTED:
	case RMR_OUTCOME_CANCELLED:
		return rmr_error_create(RMR_E_INTERRUPTED, 0, "interrupted");
	case RMR_OUTCOME_NOT_READY:
		return rmr_error_create(RMR_E_STATE, 0,
			"the interpreter is not up: it starts or ends just now");
	case RMR_OUTCOME_NO_INTERPRETER:
		return rmr_error_hint(rmr_error_create(RMR_E_QUERY, 0,
				"the target has no such interpreter"),
			"0 is the main interpreter; others count up as they are made");
	case RMR_OUTCOME_ERROR:
		if (done->value == ENOMEM || done->value == EAGAIN)
			return rmr_error_hint(rmr_error_create(RMR_E_NO_MEMORY, done->value,
					"in the target: %s", done->text),
				"memory, overcommit or process limits of the target are reached");
		return rmr_error_create(RMR_E_TARGET, done->value, "in the target: %s", done->text);
	case RMR_OUTCOME_HEAP:
		return rmr_error_create(RMR_E_TARGET, 0, "%s", heap_failure(done->value));
	case RMR_OUTCOME_TWIN_DIED:
		return wait->interrupted ? rmr_error_create(RMR_E_INTERRUPTED, 0, "interrupted")
					 : twin_failure(done->value);
	default:
		return rmr_error_create(RMR_E_PROTOCOL, 0, "the job ended in an unknown way");
	}
}

static struct rmr_error *send_data(struct rmr_session *session, const void *bytes, size_t size)
{
	char frame[RMR_FRAME_MAX];
	struct rmr_frame head = {.type = RMR_FRAME_JOB_DATA, .number = session->number};

	memcpy(frame, &head, sizeof(head));
	while (size) {
		size_t piece = size < PIECE ? size : PIECE;
		memcpy(frame + sizeof(head), bytes, piece);
		struct rmr_error *err = rmr_channel_send(&session->channel, frame,
			sizeof(head) + piece, -1, session->options.timeouts.silent_ms);
		if (err)
			return err;
		bytes = (const char *)bytes + piece;
		size -= piece;
	}
	return NULL;
}

static struct rmr_error *send_text(struct rmr_session *session, const struct rmr_run *run,
	bool with_source, struct rmr_job *job)
{
	size_t size = strlen(run->name) + 1;
	struct rmr_error *err = send_data(session, run->name, size);

	for (unsigned i = 0; !err && i < run->argument_count; i++) {
		size_t length = strlen(run->arguments[i]) + 1;
		err = send_data(session, run->arguments[i], length);
		size += length;
	}
	if (!err && with_source) {
		err = send_data(session, run->bytes, run->size);
		size += run->size;
	}
	job->data_size = size;
	job->argc = run->argument_count;
	return err;
}

static struct rmr_error *send_job(struct rmr_session *session, const struct rmr_job *job, int fd)
{
	session->job_runs = true;
	rmr_log("job %u of kind %u", job->frame.number, job->kind);
	struct rmr_error *err = rmr_channel_send(&session->channel, job, sizeof(*job), fd,
		session->options.timeouts.silent_ms);
	rmr_points_pass(18);
	return err;
}

static struct rmr_error *library_file(const struct rmr_run *run, int *ret)
{
	_rmr_close_ int fd = memfd_create("remora-payload", MFD_CLOEXEC);

	if (fd < 0)
		return rmr_error_create(RMR_E_OS, errno, "cannot make a memory file");
	for (size_t done = 0; done < run->size;) {
		ssize_t n = write(fd, (const char *)run->bytes + done, run->size - done);
		if (n < 0)
			return rmr_error_create(RMR_E_OS, errno, "cannot copy the payload");
		done += (size_t)n;
	}
	*ret = rmr_take_fd(fd);
	return NULL;
}

struct rmr_error *rmr_session_run(struct rmr_session *session, const struct rmr_run *run,
	int *status_ret)
{
	struct rmr_job job = {
		.frame = {.type = RMR_FRAME_JOB, .number = ++session->number},
		.kind = run->kind == RMR_RUN_PYTHON ? RMR_JOB_PYTHON : RMR_JOB_LIBRARY,
		.flags = run->keep_names ? RMR_JOB_KEEP_NAMES : 0,
		.interpreter = run->interpreter,
	};
	_rmr_close_ int fd = -1;
	struct rmr_error *err = NULL;

	if (run->argument_count > 256)
		return rmr_error_create(RMR_E_USAGE, 0, "more than 256 arguments");
	if (run->size > RMR_JOB_MAX / 2)
		return rmr_error_create(RMR_E_INPUT, 0, "the payload is larger than %u MB",
			RMR_JOB_MAX / 2 >> 20);
	if (run->kind == RMR_RUN_LIBRARY)
		err = library_file(run, &fd);
	if (!err)
		err = send_text(session, run, run->kind == RMR_RUN_PYTHON, &job);
	if (!err)
		err = send_job(session, &job, fd);
	struct wait wait = {.run = run};
	if (!err)
		err = wait_for_job(session, &wait);
	if (!err)
		err = outcome_error(&wait);
	err = explain_end(session, err);
	if (err && run->kind == RMR_RUN_LIBRARY && strstr(err->message, "/proc/self/task/"))
		err = rmr_error_hint(err, "where the target sees no /proc (a bare chroot) no C payload "
					  "can be loaded; a Python payload can be run");
	if (err)
		return err;
	*status_ret = wait.done.outcome == RMR_OUTCOME_FAILED ? 1 : wait.done.value;
	return NULL;
}

/**
 * The twin's pid, from the kernel: who made the socket that came. What the target says of it is not
 * asked, or it could make remora end any process. 0 if it is no child of the target.
 */
static pid_t twin_pid(const struct rmr_session *session)
{
	struct ucred made_by;
	socklen_t size = sizeof(made_by);
	struct rmr_status status;

	if (getsockopt(session->twin_fd, SOL_SOCKET, SO_PEERCRED, &made_by, &size) < 0 ||
		made_by.pid <= 0 || rmr_status_read("/proc", made_by.pid, &status))
		return 0;
	return status.parent == rmr_target_pid(session->target) ? made_by.pid : 0;
}

/** The first that the kernel ends when memory runs out is the twin; and before that, the watch. */
static void guard_twin(struct rmr_session *session, const struct rmr_headroom *headroom, pid_t outer,
	int ring_fd)
{
	char path[64];

	if (!outer) {
		rmr_log("the twin's pid is not known");
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", outer);
	_rmr_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1000", 4) != 4)
		rmr_log("twin %d: cannot set oom_score_adj: %s", outer, strerror(errno));
	session->watch = rmr_headroom_watch_start(headroom, outer, ring_fd);
	rmr_log("the twin is PID %d", outer);
	rmr_points_pass(19);
}

/**
 * What is mapped where is read by the walker itself, when it stands still, but through a file of ours: in a
 * bare chroot there is no /proc. Where we see none, or not that process's (@p pid 0), it looks for its own.
 */
static struct rmr_error *send_maps(struct rmr_channel *channel, uint32_t number, pid_t pid)
{
	struct rmr_frame frame = {.type = RMR_FRAME_MAPS, .number = number};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	_rmr_close_ int fd = pid ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		rmr_log("%s is not to be had", path);
	return rmr_channel_send(channel, &frame, sizeof(frame), fd, 1000);
}

struct rmr_error *rmr_session_dump_start(struct rmr_session *session,
	const struct rmr_session_dump *dump, int ring_fd, int *peer_fd_ret)
{
	struct rmr_job job = {
		.frame = {.type = RMR_FRAME_JOB, .number = ++session->number},
		.kind = RMR_JOB_HEAP_DUMP,
		.flags = dump->in_place ? RMR_JOB_IN_PLACE : 0,
		.heap = {.values = dump->values,
			.meliae = dump->meliae,
			.version_hex = rmr_target_python(session->target)->hex},
	};
	const struct rmr_seccomp_limits *limits = &session->spawned.limits;
	const struct rmr_seccomp_refusal *refusal = dump->in_place ? &limits->dump : &limits->twin;
	struct rmr_headroom headroom;
	struct rmr_error *err = NULL;

	if (refusal->name) {
		err = rmr_seccomp_refuse(rmr_target_pid(session->target), refusal);
		return limits->dump.name ? err : rmr_error_hint(err, "use --in-place");
	}
	if (!dump->in_place) {
		rmr_headroom_find("", rmr_target_pid(session->target), &headroom);
		err = rmr_headroom_check(&headroom);
	}
	if (!err && dump->in_place)
		err = send_maps(&session->channel, session->number, rmr_target_pid(session->target));
	if (!err)
		err = send_job(session, &job, dump->in_place ? ring_fd : -1);
	struct wait wait = {.stop_at_dump = true};
	if (!err)
		err = wait_for_job(session, &wait);
	if (!err && !session->job_runs)
		err = outcome_error(&wait);
	if (err)
		return explain_end(session, err);
	if (!session->job_runs)
		return rmr_error_create(RMR_E_PROTOCOL, 0, "the dump ended before it began");
	if (dump->in_place) {
		*peer_fd_ret = session->channel.fd;
		return NULL;
	}
	session->twin_fd = rmr_take_fd(session->channel.frame_fd);
	pid_t twin = twin_pid(session);
	guard_twin(session, &headroom, twin, ring_fd);
	struct rmr_channel to_twin = {.fd = session->twin_fd};
	struct rmr_frame go = {.type = RMR_FRAME_GO, .number = session->number};
	err = rmr_channel_send(&to_twin, &go, sizeof(go), ring_fd, 1000);
	if (!err)
		err = send_maps(&to_twin, session->number, twin);
	if (!err) {
		*peer_fd_ret = session->twin_fd;
		return NULL;
	}
	// It has ended: the agent tells why.
	struct rmr_error *end = rmr_session_dump_finish(session);
	rmr_error_destroy(end ? err : NULL);
	return end ? end : err;
}

struct rmr_error *rmr_session_dump_finish(struct rmr_session *session)
{
	struct wait wait = {0};
	struct rmr_error *err = wait_for_job(session, &wait);

	if (session->twin_fd >= 0)
		close(rmr_take_fd(session->twin_fd));
	if (rmr_headroom_watch_stop(rmr_take(session->watch))) {
		rmr_error_destroy(err);
		return rmr_error_hint(rmr_error_create(RMR_E_NO_MEMORY, 0,
				"the twin was ended: the cgroup's memory ran short"),
			"the target goes on; free memory, or use --in-place");
	}
	return err ? explain_end(session, err) : outcome_error(&wait);
}
