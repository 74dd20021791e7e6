// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/agent/agent.h"
#include "payloads/remora_payload.h"

#include <dlfcn.h>

static uint32_t number; // of the running job

static int host_write(const struct remora_host *host, int stream, const void *bytes, size_t size)
{
	static char frame[RMR_FRAME_MAX] __attribute__((aligned(16)));
	struct rmr_frame *head = (struct rmr_frame *)frame;
	const char *at = bytes;

	(void)host;
	if (stream != 1 && stream != 2)
		return -EINVAL;
	while (size) {
		size_t piece = size < 60000 ? size : 60000;
		head->type = stream == 1 ? RMR_FRAME_STDOUT : RMR_FRAME_STDERR;
		head->number = number;
		memcpy(frame + sizeof(*head), at, piece);
		if (!rmr_agent_send(frame, sizeof(*head) + piece))
			return -EPIPE;
		at += piece;
		size -= piece;
	}
	return 0;
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

static void path_of(int fd, char *path)
{
	static const char folder[] = "/proc/self/fd/";
	char digits[12];
	int n = 0;

	memcpy(path, folder, sizeof(folder) - 1);
	path += sizeof(folder) - 1;
	do
		digits[n++] = (char)('0' + fd % 10);
	while (fd /= 10);
	while (n)
		*path++ = digits[--n];
	*path = 0;
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
	char path[32];
	struct rmr_gil gil;

	if (!rmr_agent_job_text(job, &text) || job->argc > 256 || rmr_agent.job_fd < 0)
		return rmr_agent_error(done, EINVAL, "malformed job");
	if (!open || !close || !rmr_agent.libc->dlsym || !rmr_agent.libc->dlerror)
		return rmr_agent_error(done, ENOSYS, "the target has no dlopen");
	if (!rmr_agent_enter(job->interpreter, &gil, done))
		return;
	number = job->frame.number;
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
