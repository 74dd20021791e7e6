// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/agent/agent.h"
#include "payloads/remora_payload.h"

#include <dlfcn.h>

#define PIECE 60000 // bytes of output in a frame
#define MOST_DOTS 64

static uint32_t number;    // of the running job
static void *thread_state; // of the thread that runs the payload

/** The calling thread's state if it holds the GIL. */
static void *current_state(void)
{
	if (rmr_agent_config.python.PyThreadState_GetUnchecked)
		return PY(PyThreadState_GetUnchecked)();
	if (rmr_agent_config.python._PyThreadState_UncheckedGet)
		return PY(_PyThreadState_UncheckedGet)();
	return 0;
}

static int send_pieces(int stream, const char *bytes, size_t size)
{
	struct rmr_frame head = {
		.type = stream == 1 ? RMR_FRAME_STDOUT : RMR_FRAME_STDERR, .number = number};

	while (size) {
		size_t piece = size < PIECE ? size : PIECE;
		if (!rmr_agent_send_parts(&head, sizeof(head), bytes, piece))
			return -EPIPE;
		bytes += piece;
		size -= piece;
	}
	return 0;
}

// Remora's output may be slow, or stopped by a pager: the program must not wait for it, so the GIL
// is given up meanwhile, where this is the thread that holds it.
static int host_write(const struct remora_host *host, int stream, const void *bytes, size_t size)
{
	(void)host;
	if (stream != 1 && stream != 2)
		return -EINVAL;
	void *state = current_state();
	bool holds = state && state == thread_state &&
		     rmr_sys(__NR_gettid) == __atomic_load_n(&rmr_agent.worker, __ATOMIC_RELAXED);
	void *saved = holds ? PY(PyEval_SaveThread)() : 0;
	int result = send_pieces(stream, bytes, size);
	if (saved)
		PY(PyEval_RestoreThread)(saved);
	return result;
}

static int host_interrupted(const struct remora_host *host)
{
	(void)host;
	return __atomic_load_n(&rmr_agent.cancelled, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&rmr_agent.leaving, __ATOMIC_ACQUIRE);
}

static void fail(struct rmr_done *done)
{
	const char *(*last_error)(void) = (const char *(*)(void))rmr_agent.libc->dlerror;
	const char *text = last_error();

	rmr_agent_error(done, 0, text ? text : "dlopen failed");
	done->outcome = RMR_OUTCOME_FAILED;
}

static char *add_text(char *at, const char *text)
{
	size_t size = strlen(text);

	memcpy(at, text, size + 1);
	return at + size;
}

static char *add_number(char *at, int number_left)
{
	char digits[12];
	int n = sizeof(digits) - 1;

	digits[n] = 0;
	do
		digits[--n] = (char)('0' + number_left % 10);
	while (number_left /= 10);
	return add_text(at, digits + n);
}

// A name that is new each time: the loader compares names before files, and an object that may not
// be unloaded (-z nodelete) would be taken for the next one.
static void path_of(int fd, char *path)
{
	path = add_text(path, "/proc/self/task/");
	path = add_number(path, rmr_agent.worker);
	path = add_text(path, "/fd/");
	for (uint32_t i = 0; i < number % MOST_DOTS; i++)
		path = add_text(path, "./");
	add_number(path, fd);
}

static void run_loaded(void *library, const struct rmr_job_text *text, uint32_t argc,
	struct rmr_done *done)
{
	void *(*find)(void *, const char *) = (void *(*)(void *, const char *))rmr_agent.libc->dlsym;
	remora_payload_function *payload =
		(remora_payload_function *)find(library, "remora_payload");
	static const char *argv[258];
	static const struct remora_host host = {
		.abi = REMORA_PAYLOAD_ABI,
		.size = sizeof(host),
		.write = host_write,
		.interrupted = host_interrupted,
	};

	if (!payload)
		return fail(done);
	argv[0] = text->file;
	for (uint32_t i = 0; i < argc; i++)
		argv[i + 1] = argv[i] + strlen(argv[i]) + 1;
	argv[argc + 1] = 0;
	done->value = payload(&host, (int)argc + 1, argv);
	done->outcome = done->value ? RMR_OUTCOME_EXIT : RMR_OUTCOME_OK;
}

// dlopen and dlclose happen with the GIL held, as in an import: then no os.fork of the program can
// fall into them and leave the loader's lock held in the child.
void rmr_library_run(const struct rmr_job *job, struct rmr_done *done)
{
	void *(*open)(const char *, int) = (void *(*)(const char *, int))rmr_agent.libc->dlopen;
	int (*close)(void *) = (int (*)(void *))rmr_agent.libc->dlclose;
	struct rmr_job_text text;
	char path[64 + 2 * MOST_DOTS];
	struct rmr_gil gil;

	if (!rmr_agent_job_text(job, &text) || job->argc > 256 || rmr_agent.job_fd < 0)
		return rmr_agent_error(done, EINVAL, "malformed job");
	if (!open || !close || !rmr_agent.libc->dlsym || !rmr_agent.libc->dlerror)
		return rmr_agent_error(done, ENOSYS, "the target has no dlopen");
	if (!rmr_agent_enter(job->interpreter, &gil, done))
		return;
	number = job->frame.number;
	thread_state = PY(PyThreadState_Get)();
	path_of(rmr_agent.job_fd, path);
	void *library = open(path, RTLD_NOW);
	if (library) {
		run_loaded(library, &text, job->argc, done);
		close(library);
	} else {
		fail(done);
	}
	rmr_agent_leave(&gil);
}
