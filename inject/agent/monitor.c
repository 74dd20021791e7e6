// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/agent/agent.h"
#include "inject/agent/message.h"


static char frame[RMR_FRAME_MAX] __attribute__((aligned(16)));

// KeyboardInterrupt in the worker, raised by a thread of its own because that takes the GIL. The
// flag in_python is read under the GIL, so the exception cannot hit anything but the payload.
static void *interrupt(void *job)
{
	struct rmr_done done = {0};
	struct rmr_gil gil;

	if (rmr_agent_take(rmr_agent.job.interpreter, &gil, &done)) {
		rmr_object *exception =
			*(rmr_object **)rmr_agent_config.python.PyExc_KeyboardInterrupt;
		if (rmr_agent.in_python && rmr_agent.job.frame.number == (uint32_t)(uintptr_t)job) {
			rmr_agent.raised = true;
			PY(PyThreadState_SetAsyncExc)(rmr_agent.ident, exception);
		}
		rmr_agent_leave(&gil);
	}
	__atomic_store_n(&rmr_agent.interrupter_busy, 0, __ATOMIC_RELEASE);
	return 0;
}

static void start_interrupter(void)
{
	int (*join)(unsigned long, void **) =
		(int (*)(unsigned long, void **))rmr_agent.libc->pthread_join;

	if (__atomic_load_n(&rmr_agent.interrupter_busy, __ATOMIC_ACQUIRE))
		return;
	if (rmr_agent.interrupter_made)
		join(rmr_agent.interrupter, 0);
	rmr_agent.interrupter_busy = 1;
	rmr_agent.interrupter_made = rmr_agent_start_thread(rmr_agent_stacks[1],
		&rmr_agent.interrupter, interrupt,
		(void *)(uintptr_t)rmr_agent.job.frame.number) == 0;
	if (!rmr_agent.interrupter_made)
		rmr_agent.interrupter_busy = 0;
}

/** Ends the running job as far as it can be ended. */
static void stop_job(void)
{
	if (!__atomic_load_n(&rmr_agent.job_ready, __ATOMIC_ACQUIRE))
		return;
	__atomic_store_n(&rmr_agent.cancelled, 1, __ATOMIC_RELEASE);
	// Under the lock the twin has not been waited for: its pid is still its own.
	rmr_agent_lock_twin();
	int twin = rmr_agent.twin;
	if (twin > 0)
		rmr_sys(__NR_kill, twin, SIGKILL);
	rmr_agent_unlock_twin();
	if (twin > 0)
		return;
	// Others look at `cancelled`: a thread that would find nothing to do costs the target an arena.
	if (rmr_agent.job.kind == RMR_JOB_PYTHON &&
	    __atomic_load_n(&rmr_agent.phase, __ATOMIC_ACQUIRE) == RMR_PHASE_RUNNING)
		start_interrupter();
}

static long add_data(size_t size)
{
	uint64_t need = rmr_agent.data_size + size;

	if (need > RMR_JOB_MAX)
		return -ENOMEM;
	if (need > rmr_agent.data_room) {
		uint64_t room = (need * 2 + 65535) & ~65535ull;
		long at = rmr_agent.data
				  ? rmr_sys(__NR_mremap, rmr_agent.data, rmr_agent.data_room, room,
					    MREMAP_MAYMOVE)
				  : rmr_sys(__NR_mmap, 0, room, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (rmr_sys_failed(at))
			return at;
		rmr_agent.data = (char *)at;
		rmr_agent.data_room = room;
	}
	memcpy(rmr_agent.data + rmr_agent.data_size, frame + sizeof(struct rmr_frame), size);
	rmr_agent.data_size = need;
	return 0;
}

static void post_job(int fd)
{
	struct rmr_job *job = (struct rmr_job *)frame;
	struct rmr_done done = {.frame = {.type = RMR_FRAME_DONE, .number = job->frame.number}};

	if (__atomic_load_n(&rmr_agent.job_ready, __ATOMIC_ACQUIRE))
		rmr_agent_error(&done, EBUSY, "another job is under way");
	else if (job->data_size != rmr_agent.data_size)
		rmr_agent_error(&done, ENOMEM, "the job's data did not arrive whole");
	if (done.outcome != RMR_OUTCOME_OK) {
		if (!__atomic_load_n(&rmr_agent.job_ready, __ATOMIC_ACQUIRE))
			rmr_agent.data_size = 0;
		if (fd >= 0)
			rmr_sys(__NR_close, fd);
		rmr_agent_send(&done, sizeof(done));
		return;
	}
	rmr_agent.job = *job;
	rmr_agent.job_fd = fd;
	// Only here: what is cancelled is this job, never the next one.
	__atomic_store_n(&rmr_agent.cancelled, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&rmr_agent.job_ready, 1, __ATOMIC_RELEASE);
	rmr_agent_ring();
}

/** In 3.6 to 3.13 a thread that asks for the GIL of an interpreter that ends is ended itself. */
static bool worker_is_gone(void)
{
	return rmr_sys(__NR_tgkill, rmr_sys(__NR_getpid), rmr_agent.worker, 0) == -ESRCH;
}

/** The worker's last word, and its part of leaving; the image has to stay. */
static void speak_for_worker(void)
{
	struct rmr_done done = {
		.frame = {.type = RMR_FRAME_DONE, .number = rmr_agent.job.frame.number},
		.outcome = RMR_OUTCOME_NOT_READY,
	};

	rmr_agent.in_python = false;
	rmr_agent_send(&done, sizeof(done));
	if (rmr_agent_has_channel())
		rmr_sys(__NR_close, rmr_agent.fd);
}

static void answer_ping(uint32_t number)
{
	struct rmr_agent_status status = {
		.frame = {.type = RMR_FRAME_STATUS, .number = number},
		.phase = __atomic_load_n(&rmr_agent.phase, __ATOMIC_ACQUIRE),
		.since_ns = rmr_agent_now() -
			    __atomic_load_n(&rmr_agent.phase_start, __ATOMIC_RELAXED),
	};

	rmr_agent_send(&status, sizeof(status));
}

/** One frame. False: remora says LEAVE, or is gone, or talks nonsense. */
static bool handle_frame(void)
{
	int fd;
	size_t size = rmr_message_receive(rmr_agent.fd, frame, sizeof(frame), &fd);
	const struct rmr_frame *head = (const struct rmr_frame *)frame;

	if (size < sizeof(*head))
		return false;
	switch (head->type) {
	case RMR_FRAME_JOB_DATA:
		// A job's bytes must not move under the worker that reads them.
		if (!__atomic_load_n(&rmr_agent.job_ready, __ATOMIC_ACQUIRE))
			add_data(size - sizeof(*head));
		break;
	case RMR_FRAME_JOB:
		if (size != sizeof(struct rmr_job))
			return false;
		post_job(fd);
		return true;
	case RMR_FRAME_MAPS:
		if (rmr_agent.maps_fd >= 0 || __atomic_load_n(&rmr_agent.job_ready, __ATOMIC_ACQUIRE))
			break;
		rmr_agent.maps_fd = fd;
		return true;
	case RMR_FRAME_PING:
		answer_ping(head->number);
		break;
	case RMR_FRAME_CANCEL:
		if (head->number == rmr_agent.job.frame.number)
			stop_job();
		break;
	default:
		return false;
	}
	if (fd >= 0)
		rmr_sys(__NR_close, fd);
	return true;
}

void *rmr_monitor_main(void *unused)
{
	(void)unused;
	while (handle_frame()) {
		if (worker_is_gone()) {
			speak_for_worker();
			return 0;
		}
	}
	__atomic_store_n(&rmr_agent.leaving, 1, __ATOMIC_RELEASE);
	rmr_agent_ring();
	// A payload may catch KeyboardInterrupt: say it again until the job has ended.
	for (;;) {
		struct timespec pause = {.tv_nsec = 200000000};
		uint32_t bell = __atomic_load_n(&rmr_agent.bell, __ATOMIC_ACQUIRE);
		if (!__atomic_load_n(&rmr_agent.job_ready, __ATOMIC_ACQUIRE))
			break;
		if (worker_is_gone()) {
			speak_for_worker();
			return 0;
		}
		stop_job();
		rmr_sys(__NR_futex, &rmr_agent.bell, FUTEX_WAIT_PRIVATE, bell, &pause, 0, 0);
	}
	return 0;
}
