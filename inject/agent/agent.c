// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/agent/agent.h"

#include <sys/stat.h>

#define DATA_KEPT (256u << 10) // bytes of buffer that stay from job to job

#define EXPORT __attribute__((visibility("default")))

EXPORT struct rmr_agent_config rmr_agent_config = {.version_hex = 1};
struct rmr_agent rmr_agent;

// Pages that are never touched cost nothing. glibc takes the static TLS of every module out of a
// stack.
char rmr_agent_stacks[2][RMR_AGENT_STACK] __attribute__((aligned(4096)));

void rmr_agent_inherit(bool image)
{
	uint64_t start = (uint64_t)rmr_agent_stacks, end = start + sizeof(rmr_agent_stacks);
	uint64_t image_end = rmr_agent.image + rmr_agent.image_size;
	int advice = image ? MADV_DOFORK : MADV_DONTFORK;

	rmr_sys(__NR_madvise, start, end - start, MADV_DOFORK);
	rmr_sys(__NR_madvise, rmr_agent.image, start - rmr_agent.image, advice);
	rmr_sys(__NR_madvise, end, image_end - end, advice);
}

uint64_t rmr_agent_now(void)
{
	struct timespec ts;

	rmr_sys(__NR_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void rmr_agent_phase(enum rmr_phase phase)
{
	__atomic_store_n(&rmr_agent.phase_start, rmr_agent_now(), __ATOMIC_RELAXED);
	__atomic_store_n(&rmr_agent.phase, phase, __ATOMIC_RELEASE);
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return rmr_sys_failed(rmr_sys(__NR_fstat, fd, &st)) ? 0 : st.st_ino;
}

bool rmr_agent_has_channel(void)
{
	return inode_of(rmr_agent.fd) == rmr_agent.inode;
}

bool rmr_agent_send_parts(const void *head, size_t head_size, const void *bytes, size_t size)
{
	struct iovec parts[2] = {{(void *)head, head_size}, {(void *)bytes, size}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	return rmr_agent_has_channel() &&
	       !rmr_sys_failed(rmr_sys_retry(__NR_sendmsg, rmr_agent.fd, &message, MSG_NOSIGNAL));
}

bool rmr_agent_send(const void *frame, size_t size)
{
	return rmr_agent_send_parts(frame, size, 0, 0);
}

void rmr_agent_lock_twin(void)
{
	while (__atomic_exchange_n(&rmr_agent.twin_lock, 1, __ATOMIC_ACQUIRE))
		rmr_sys(__NR_sched_yield);
}

void rmr_agent_unlock_twin(void)
{
	__atomic_store_n(&rmr_agent.twin_lock, 0, __ATOMIC_RELEASE);
}

void rmr_agent_error(struct rmr_done *done, long error, const char *text)
{
	size_t size = strlen(text);

	if (size >= sizeof(done->text))
		size = sizeof(done->text) - 1;
	done->outcome = RMR_OUTCOME_ERROR;
	done->value = (int32_t)(error < 0 ? -error : error);
	memcpy(done->text, text, size);
	done->text[size] = 0;
}

static bool is_finalizing(void)
{
	const struct rmr_python_api *api = &rmr_agent_config.python;

	if (api->Py_IsFinalizing)
		return PY(Py_IsFinalizing)();
	if (api->_Py_IsFinalizing)
		return PY(_Py_IsFinalizing)();
	// CPython 3.6 Python/pylifecycle.c: PyThreadState *_Py_Finalizing
	return api->_Py_Finalizing && *(void **)api->_Py_Finalizing;
}

/** The interpreter with that id; NULL if there is none. The main one's GIL is held. */
static void *find_interpreter(uint32_t id)
{
	void *interpreter = PY(PyInterpreterState_Head)();

	// 3.6 has no ids (and no way to make a sub-interpreter but from C).
	if (!rmr_agent_config.python.PyInterpreterState_GetID)
		return 0;
	while (interpreter && PY(PyInterpreterState_GetID)(interpreter) != (int64_t)id)
		interpreter = PY(PyInterpreterState_Next)(interpreter);
	return interpreter;
}

// PyGILState_Ensure knows the main interpreter only. From there a thread state of our own is
// swapped in; from 3.12 on that also exchanges the one GIL for the other where each has its own.
static bool enter_interpreter(uint32_t id, struct rmr_gil *gil, struct rmr_done *done)
{
	void *interpreter = find_interpreter(id);

	gil->state = interpreter ? PY(PyThreadState_New)(interpreter) : 0;
	if (!gil->state) {
		done->outcome = RMR_OUTCOME_NO_INTERPRETER;
		return false;
	}
	gil->main = PY(PyThreadState_Swap)(gil->state);
	return true;
}

bool rmr_agent_take(uint32_t interpreter, struct rmr_gil *gil, struct rmr_done *done)
{
	// A thread that asks for the GIL of an interpreter that is being taken down is ended (up to
	// 3.13) or parked for ever (3.14) inside the request; this check makes that window small.
	if (!PY(Py_IsInitialized)() || is_finalizing()) {
		done->outcome = RMR_OUTCOME_NOT_READY;
		return false;
	}
	*gil = (struct rmr_gil){.gil = PY(PyGILState_Ensure)()};
	if (!interpreter || enter_interpreter(interpreter, gil, done))
		return true;
	rmr_agent_leave(gil);
	return false;
}

bool rmr_agent_enter(uint32_t interpreter, struct rmr_gil *gil, struct rmr_done *done)
{
	rmr_agent_phase(RMR_PHASE_WAITING);
	uint64_t start = rmr_agent_now();
	bool taken = rmr_agent_take(interpreter, gil, done);
	done->wait_gil_ns += rmr_agent_now() - start;
	rmr_agent_phase(RMR_PHASE_RUNNING);
	if (!taken || !__atomic_load_n(&rmr_agent.cancelled, __ATOMIC_ACQUIRE))
		return taken;
	rmr_agent_leave(gil);
	done->outcome = RMR_OUTCOME_CANCELLED;
	return false;
}

void rmr_agent_leave(const struct rmr_gil *gil)
{
	if (gil->state) {
		PY(PyThreadState_Clear)(gil->state);
		PY(PyThreadState_Swap)(gil->main);
		PY(PyThreadState_Delete)(gil->state);
	}
	PY(PyGILState_Release)(gil->gil);
}

bool rmr_agent_job_text(const struct rmr_job *job, struct rmr_job_text *ret)
{
	const char *at = rmr_agent.data, *end = at + rmr_agent.data_size;
	struct rmr_job_text text = {.file = at};

	for (uint32_t i = 0; i <= job->argc; i++) {
		while (at < end && *at)
			at++;
		if (at == end)
			return false;
		at++;
		if (i == 0)
			text.arguments = at;
	}
	text.arguments_size = (size_t)(at - text.arguments);
	text.source = at;
	text.source_size = (size_t)(end - at);
	*ret = text;
	return true;
}

static void do_job(struct rmr_done *done)
{
	const struct rmr_job *job = &rmr_agent.job;
	struct rmr_gil gil;

	switch (job->kind) {
	case RMR_JOB_NOTHING:
		if (rmr_agent_enter(job->interpreter, &gil, done))
			rmr_agent_leave(&gil);
		break;
	case RMR_JOB_PYTHON:
		rmr_python_run(job, done);
		break;
	case RMR_JOB_LIBRARY:
		rmr_library_run(job, done);
		break;
	case RMR_JOB_HEAP_DUMP:
		rmr_dump_run(job, done);
		break;
	default:
		rmr_agent_error(done, EINVAL, "unknown job");
	}
}

void rmr_agent_ring(void)
{
	__atomic_add_fetch(&rmr_agent.bell, 1, __ATOMIC_RELEASE);
	rmr_sys(__NR_futex, &rmr_agent.bell, FUTEX_WAKE_PRIVATE, 2, 0, 0, 0);
}

static bool wait_for_job(void)
{
	for (;;) {
		uint32_t bell = __atomic_load_n(&rmr_agent.bell, __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&rmr_agent.job_ready, __ATOMIC_ACQUIRE))
			return true;
		if (__atomic_load_n(&rmr_agent.leaving, __ATOMIC_ACQUIRE))
			return false;
		rmr_sys(__NR_futex, &rmr_agent.bell, FUTEX_WAIT_PRIVATE, bell, 0, 0, 0);
	}
}

/** A large job's bytes are not kept for as long as the session lasts. */
static void drop_data(void)
{
	rmr_agent.data_size = 0;
	if (rmr_agent.data_room > DATA_KEPT) {
		rmr_sys(__NR_munmap, rmr_agent.data, rmr_agent.data_room);
		rmr_agent.data = 0;
		rmr_agent.data_room = 0;
	}
}

static void work(void)
{
	while (wait_for_job()) {
		struct rmr_done done = {.frame = {
			.type = RMR_FRAME_DONE,
			.number = rmr_agent.job.frame.number,
		}};
		do_job(&done);
		if (rmr_agent.job_fd >= 0)
			rmr_sys(__NR_close, rmr_agent.job_fd);
		rmr_agent.job_fd = -1;
		if (rmr_agent.maps_fd >= 0)
			rmr_sys(__NR_close, rmr_agent.maps_fd);
		rmr_agent.maps_fd = -1;
		drop_data();
		rmr_agent_phase(RMR_PHASE_IDLE);
		__atomic_store_n(&rmr_agent.job_ready, 0, __ATOMIC_RELEASE);
		rmr_agent_ring();
		rmr_agent_send(&done, sizeof(done));
	}
	rmr_agent_phase(RMR_PHASE_LEAVING);
	rmr_python_forget();
}

int rmr_agent_start_thread(char *stack, unsigned long *thread_ret, void *(*run)(void *), void *arg)
{
	const struct rmr_libc_api *libc = rmr_agent.libc;
	int (*init)(void *) = (int (*)(void *))libc->pthread_attr_init;
	int (*setstack)(void *, void *, size_t) =
		(int (*)(void *, void *, size_t))libc->pthread_attr_setstack;
	int (*destroy)(void *) = (int (*)(void *))libc->pthread_attr_destroy;
	int (*create)(unsigned long *, void *, void *(*)(void *), void *) =
		(int (*)(unsigned long *, void *, void *(*)(void *), void *))libc->pthread_create;
	long attr[16]; // glibc: sizeof(pthread_attr_t) == 56 on x86_64 (bits/pthreadtypes-arch.h)

	init(attr);
	setstack(attr, stack, RMR_AGENT_STACK);
	int error = create(thread_ret, attr, run, arg);
	destroy(attr);
	return error;
}

EXPORT int rmr_agent_main(int fd, struct rmr_boot *boot, uint64_t image, uint64_t image_size);

EXPORT int rmr_agent_main(int fd, struct rmr_boot *boot, uint64_t image, uint64_t image_size)
{
	int (*join)(unsigned long, void **) = (int (*)(unsigned long, void **))boot->libc.pthread_join;
	unsigned long monitor;

	rmr_agent.fd = fd;
	rmr_agent.worker = boot->tid;
	rmr_agent.inode = inode_of(fd);
	rmr_agent.image = image;
	rmr_agent.image_size = image_size;
	rmr_agent.libc = &boot->libc;
	rmr_agent.job_fd = -1;
	rmr_agent.maps_fd = -1;
	rmr_agent_phase(RMR_PHASE_IDLE);
	rmr_agent_inherit(false);
	int error = rmr_agent_start_thread(
		rmr_agent_stacks[0], &monitor, rmr_monitor_main, 0);
	if (error) {
		// Out of threads (EAGAIN): say so in place of the first status, and go.
		struct rmr_done done = {.frame = {.type = RMR_FRAME_DONE}};
		rmr_agent_error(&done, error, "cannot start the monitor thread");
		rmr_agent_send(&done, sizeof(done));
	} else {
		work();
		join(monitor, 0);
		if (rmr_agent.interrupter_made)
			join(rmr_agent.interrupter, 0);
	}
	if (rmr_agent.data)
		rmr_sys(__NR_munmap, rmr_agent.data, rmr_agent.data_room);
	if (rmr_agent.maps_fd >= 0) // the job that it was for never came
		rmr_sys(__NR_close, rmr_agent.maps_fd);
	if (rmr_agent_has_channel())
		rmr_sys(__NR_close, fd);
	return error;
}
