// SPDX-License-Identifier: GPL-3.0-or-later
// The heap dump's two ways: in a twin (a copy-on-write copy of the process, made while the GIL is
// held), or in place.
#include "inject/agent/agent.h"
#include "inject/agent/message.h"
#include "payloads/ring.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>


// How long a collection may keep the walker waiting, and in which steps.
#define COLLECTING_TRIES 2000
#define COLLECTING_STEP_NS 1000000

// The largest walker state that any build has had, with room (checked at run time).
static char walker[2 << 20] __attribute__((aligned(4096)));

// The program's handlers must not run in the copy: they would act on what the copy shares with the
// program (pipes, files). Every signal is blocked here, but a fault would still call a handler.
static void default_signals(void)
{
	struct {
		unsigned long handler, flags, restorer, mask;
	} action = {0};
	unsigned long all = ~0ul;

	for (int signal = 1; signal <= 64; signal++)
		rmr_sys(__NR_rt_sigaction, signal, &action, 0, 8);
	rmr_sys(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
}

static void close_all_but(int keep)
{
	if (keep > 0)
		rmr_sys(__NR_close_range, 0, keep - 1, 0);
	rmr_sys(__NR_close_range, keep + 1, ~0u, 0);
}

/** A frame of that type from remora, which may have been stopped just now; false: none came. */
static bool take(int socket, uint32_t type, int *fd_ret)
{
	struct pollfd poll = {.fd = socket, .events = POLLIN};
	struct timespec patience = {.tv_sec = RMR_RING_PATIENCE_MS / 1000};
	struct rmr_frame frame;

	*fd_ret = -1;
	return rmr_sys_retry(__NR_ppoll, &poll, 1, &patience, 0, 0) == 1 &&
	       rmr_message_receive(socket, &frame, sizeof(frame), fd_ret) == sizeof(frame) &&
	       frame.type == type;
}

/** The twin's whole life. Nothing here allocates by the C library, locks, or counts a reference. */
__attribute__((noreturn)) static void twin_main(const struct rmr_job *job, int parent)
{
	int status = RMR_TWIN_EXIT_SETUP, pair[2];

	// When the agent's thread ends, so does the twin: and that ends when remora is gone.
	rmr_sys(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (rmr_sys(__NR_getppid) != parent)
		rmr_sys(__NR_exit_group, status);
	default_signals();

	// First room in the table: the program's may be full.
	close_all_but(rmr_agent.fd);
	struct rmr_frame hello = {.type = RMR_FRAME_TWIN, .number = job->frame.number};
	if (rmr_sys_failed(rmr_sys(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) ||
		!rmr_message_send(rmr_agent.fd, &hello, sizeof(hello), pair[1]))
		rmr_sys(__NR_exit_group, status);
	close_all_but(pair[0]);
	// remora has by now set oom_score_adj, which it may not once the twin is not dumpable.
	int fd, maps_fd = -1;
	bool told = take(pair[0], RMR_FRAME_GO, &fd) && take(pair[0], RMR_FRAME_MAPS, &maps_fd);
	rmr_sys(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	struct rmr_ring ring;
	if (!told) {
		status = RMR_TWIN_EXIT_HEAP + RMR_HEAP_DUMP_CLOSED;
	} else if (fd >= 0 && !rmr_sys_failed(rmr_ring_map(&ring, fd))) {
		rmr_sys(__NR_close, fd);
		ring.peer_fd = pair[0];
		int heap = (int)rmr_heap_dump_run((struct rmr_heap_dump *)walker, &ring,
			maps_fd);
		status = heap == RMR_HEAP_DUMP_OK ? RMR_TWIN_EXIT_OK : RMR_TWIN_EXIT_HEAP + heap;
	}
	for (;;)
		rmr_sys(__NR_exit_group, status);
}

static void wait_for_twin(long twin, struct rmr_done *done)
{
	int status = 0;

	rmr_agent_lock_twin();
	rmr_agent.twin = (int32_t)twin;
	rmr_agent_unlock_twin();
	rmr_agent_phase(RMR_PHASE_TWIN);
	if (__atomic_load_n(&rmr_agent.leaving, __ATOMIC_ACQUIRE) ||
		__atomic_load_n(&rmr_agent.cancelled, __ATOMIC_ACQUIRE))
		rmr_sys(__NR_kill, twin, SIGKILL);
	// Not reaped at once: until the monitor cannot use the pid any more, it must stay the twin's.
	siginfo_t info;
	rmr_sys_retry(__NR_waitid, P_PID, twin, &info, WNOWAIT | __WALL | WEXITED, 0);
	rmr_agent_lock_twin();
	rmr_agent.twin = 0;
	rmr_agent_unlock_twin();
	rmr_sys_retry(__NR_wait4, twin, &status, __WALL, 0);
	if ((status & 0x7f) != 0 || (status >> 8) == RMR_TWIN_EXIT_SETUP) {
		done->outcome = RMR_OUTCOME_TWIN_DIED;
		done->value = status;
	} else if (status >> 8) {
		done->outcome = RMR_OUTCOME_HEAP;
		done->value = (status >> 8) - RMR_TWIN_EXIT_HEAP;
	}
}

/** Takes the GIL when no collection is under way, and prepares the walker. */
static bool enter_prepared(const struct rmr_job *job, struct rmr_gil *gil, uint64_t *held_since,
	struct rmr_done *done)
{
	struct rmr_heap_dump_request request = job->heap;

	for (int tries = 0; tries < COLLECTING_TRIES; tries++) {
		memset(walker, 0, rmr_heap_dump_size());
		if (!rmr_agent_enter(0, gil, done))
			return false;
		*held_since = rmr_agent_now();
		request.own_thread = (uint64_t)PY(PyThreadState_Get)();
		request.own_start = rmr_agent.image;
		request.own_end = rmr_agent.image + rmr_agent.image_size;
		enum rmr_heap_dump_status status = rmr_heap_dump_prepare(
			(struct rmr_heap_dump *)walker, &rmr_agent_config.python, &request);
		if (status == RMR_HEAP_DUMP_OK)
			return true;
		rmr_agent_leave(gil);
		done->outcome = RMR_OUTCOME_HEAP;
		done->value = status;
		if (status != RMR_HEAP_DUMP_COLLECTING)
			return false;
		struct timespec pause = {.tv_nsec = COLLECTING_STEP_NS};
		rmr_sys(__NR_nanosleep, &pause, 0);
	}
	return false;
}

static void dump_in_place(struct rmr_done *done)
{
	struct rmr_ring ring;
	long error = rmr_ring_map(&ring, rmr_agent.job_fd);

	if (rmr_sys_failed(error))
		return rmr_agent_error(done, error, "cannot map the ring");
	ring.peer_fd = rmr_agent.fd;
	ring.urgent = true; // the program stands still until this has been written
	struct rmr_frame begun = {.type = RMR_FRAME_BEGUN, .number = rmr_agent.job.frame.number};
	rmr_agent_send(&begun, sizeof(begun));
	enum rmr_heap_dump_status status =
		rmr_heap_dump_run((struct rmr_heap_dump *)walker, &ring, rmr_agent.maps_fd);
	rmr_ring_unmap(&ring);
	if (status != RMR_HEAP_DUMP_OK) {
		done->outcome = RMR_OUTCOME_HEAP;
		done->value = status;
	}
}

void rmr_dump_run(const struct rmr_job *job, struct rmr_done *done)
{
	bool in_place = job->flags & RMR_JOB_IN_PLACE;
	uint64_t held_since;
	long twin = 0;
	struct rmr_gil gil;

	if (rmr_heap_dump_size() > sizeof(walker))
		return rmr_agent_error(done, 12, "the walker's state is too large");
	int self = (int)rmr_sys(__NR_getpid);
	if (!enter_prepared(job, &gil, &held_since, done))
		return;
	done->outcome = RMR_OUTCOME_OK;
	done->value = 0;
	if (in_place) {
		dump_in_place(done);
	} else {
		rmr_agent_inherit(true);
		// No flags, exit signal 0: no SIGCHLD, and wait() of the program does not see it.
		twin = rmr_sys(__NR_clone, 0, 0, 0, 0, 0);
		if (twin == 0)
			twin_main(job, self);
		rmr_agent_inherit(false);
	}
	rmr_heap_dump_finish((struct rmr_heap_dump *)walker);
	done->hold_gil_ns = rmr_agent_now() - held_since;
	rmr_agent_leave(&gil);
	if (rmr_sys_failed(twin))
		rmr_agent_error(done, twin, "cannot make a twin");
	else if (!in_place)
		wait_for_twin(twin, done);
}
