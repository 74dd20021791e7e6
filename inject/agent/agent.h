// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The agent: the code that runs inside the target while remora is there. Freestanding; two threads.
 *
 * The worker is the thread P that remora made: it does one job at a time and is the only one that
 * holds the GIL. The monitor owns the reading side of the channel, never takes the GIL and never
 * allocates from the C library: it answers while the worker waits or works. When remora goes away
 * (or says LEAVE) the monitor ends the running job, and both leave.
 */
#ifndef RMR_INJECT_AGENT_H
#define RMR_INJECT_AGENT_H

#include "inject/protocol.h"
#include "payloads/freestanding.h"

// The C library's headers give types and constants only; nothing of it is called by name.
#include <errno.h>
#include <signal.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

/** Written by remora into the image before it starts. */
struct rmr_agent_config {
	struct rmr_python_api python;
	uint64_t version_hex; /**< PY_VERSION_HEX */
};

extern struct rmr_agent_config rmr_agent_config;

typedef struct rmr_object rmr_object; /**< a PyObject; never looked into here */

struct rmr_agent {
	int fd;                    /**< the agent's end of the channel */
	int32_t worker;            /**< tid of the worker */
	uint64_t inode;            /**< of the channel */
	uint64_t image, image_size;
	const struct rmr_libc_api *libc;

	// Mailbox: the monitor fills it while `job_ready` is 0, the worker empties it.
	uint32_t bell;             /**< futex, counts up whenever job_ready or leaving changes */
	uint32_t job_ready;
	struct rmr_job job;
	int job_fd;                /**< descriptor that came with the job, or -1 */
	int maps_fd;               /**< of /proc/PID/maps, for the next job, or -1 */
	char *data;                /**< mapped; data_size bytes used of data_room */
	uint64_t data_size, data_room;

	uint32_t leaving;          /**< set once: no more jobs */
	uint32_t cancelled;        /**< the running job is to end */
	uint32_t phase;            /**< enum rmr_phase */
	uint64_t phase_start;      /**< monotonic ns */
	int32_t twin;              /**< pid of the living twin, or 0; under twin_lock */
	uint32_t twin_lock;        /**< held for a system call at most */
	uint32_t interrupter_busy; /**< an interrupter thread is under way */
	unsigned long interrupter; /**< its pthread_t, to be joined if interrupter_made */
	bool interrupter_made;

	// Written and read under the GIL only.
	bool in_python;            /**< an asynchronous exception would hit the payload */
	bool raised;               /**< one was sent to it, and may not have struck yet */
	unsigned long ident;       /**< the worker's Python thread ident */
	rmr_object *names;         /**< the session's namespace (RMR_JOB_KEEP_NAMES), or NULL */
	uint32_t names_interpreter; /**< the id of the interpreter that it belongs to */
};

extern struct rmr_agent rmr_agent;

/** agent.c */
uint64_t rmr_agent_now(void);
void rmr_agent_phase(enum rmr_phase phase);
/** Wakes whichever of the two threads waits on the bell. */
void rmr_agent_ring(void);
/** Sends a frame; false when remora is gone. Never raises SIGPIPE. */
bool rmr_agent_send(const void *frame, size_t size);
/** The same in two parts, for a frame whose bytes lie elsewhere; the second may be empty. */
bool rmr_agent_send_parts(const void *head, size_t head_size, const void *bytes, size_t size);
/** True while our descriptor is our socket: a program may close all descriptors it did not open. */
bool rmr_agent_has_channel(void);
/** Locks out the other thread from looking at the twin's pid and using it. */
void rmr_agent_lock_twin(void);
void rmr_agent_unlock_twin(void);
/** What rmr_agent_leave() needs to know. */
struct rmr_gil {
	int gil;     /**< of PyGILState_Ensure */
	void *state; /**< our thread state in a sub-interpreter, or NULL */
	void *main;  /**< then: that of the main interpreter */
};

/**
 * Takes the GIL of the interpreter with that id (0 = the main one). False: done's outcome says why
 * not (not ready, no such interpreter), the GIL is not held.
 */
bool rmr_agent_take(uint32_t interpreter, struct rmr_gil *gil, struct rmr_done *done);
/** The same for the worker: tells the phases, measures the wait, gives up when cancelled. */
bool rmr_agent_enter(uint32_t interpreter, struct rmr_gil *gil, struct rmr_done *done);
void rmr_agent_leave(const struct rmr_gil *gil);

/** The stacks of the monitor and of the interrupter, in the image. */
enum { RMR_AGENT_STACK = 256 << 10 };
extern char rmr_agent_stacks[2][RMR_AGENT_STACK];

/**
 * Says whether a copy of the process gets the image (a twin needs it, a fork of the program does
 * not). The stacks it always gets: in the child of a fork the C library walks the list of all
 * threads' stacks (glibc sysdeps/nptl/fork.h, reclaim_stacks), and the list runs through them.
 */
void rmr_agent_inherit(bool image);

/**
 * pthread_create on @p stack, one of rmr_agent_stacks (so that nothing of it stays in the C library's
 * cache of stacks). The thread is to be joined. 0 or an errno.
 */
int rmr_agent_start_thread(char *stack, unsigned long *thread_ret, void *(*run)(void *), void *arg);

/** monitor.c: the body of the monitor's thread, and the thread that raises KeyboardInterrupt. */
void *rmr_monitor_main(void *unused);

/** One job each; the GIL is not held on entry nor on return. */
void rmr_python_run(const struct rmr_job *job, struct rmr_done *done);
/** Drops the session's namespace, if there is one. */
void rmr_python_forget(void);
void rmr_library_run(const struct rmr_job *job, struct rmr_done *done);
void rmr_dump_run(const struct rmr_job *job, struct rmr_done *done);

/** Splits the job's data: file name, argc arguments, the rest. False if it is malformed. */
struct rmr_job_text {
	const char *file;
	const char *arguments; /**< argc strings, each NUL-terminated */
	size_t arguments_size;
	const char *source;
	size_t source_size;
};
bool rmr_agent_job_text(const struct rmr_job *job, struct rmr_job_text *ret);

/** Sets outcome ERROR with an errno and a text. */
void rmr_agent_error(struct rmr_done *done, long error, const char *text);

#define PY(name) ((__typeof__(rmr_py_##name) *)rmr_agent_config.python.name)
int rmr_py_Py_IsInitialized(void);
int rmr_py__Py_IsFinalizing(void);
int rmr_py_Py_IsFinalizing(void);
int rmr_py_PyGILState_Ensure(void);
void rmr_py_PyGILState_Release(int);
void *rmr_py_PyThreadState_Get(void);
void *rmr_py__PyThreadState_UncheckedGet(void);
void *rmr_py_PyThreadState_GetUnchecked(void);
void *rmr_py_PyEval_SaveThread(void);
void rmr_py_PyEval_RestoreThread(void *);
void *rmr_py_PyThreadState_New(void *);
void rmr_py_PyThreadState_Clear(void *);
void rmr_py_PyThreadState_Delete(void *);
void *rmr_py_PyThreadState_Swap(void *);
void *rmr_py_PyInterpreterState_Head(void);
void *rmr_py_PyInterpreterState_Next(void *);
int64_t rmr_py_PyInterpreterState_GetID(void *);
int rmr_py_PyThreadState_SetAsyncExc(unsigned long, rmr_object *);
rmr_object *rmr_py_PyEval_GetBuiltins(void);
rmr_object *rmr_py_PyEval_EvalCode(rmr_object *, rmr_object *, rmr_object *);
rmr_object *rmr_py_Py_CompileString(const char *, const char *, int);
rmr_object *rmr_py_PyDict_New(void);
int rmr_py_PyDict_SetItemString(rmr_object *, const char *, rmr_object *);
rmr_object *rmr_py_PyDict_GetItemString(rmr_object *, const char *);
void rmr_py_PyDict_Clear(rmr_object *);
rmr_object *rmr_py_PyBytes_FromStringAndSize(const char *, long);
rmr_object *rmr_py_PyLong_FromLong(long);
long rmr_py_PyLong_AsLong(rmr_object *);
rmr_object *rmr_py_PyErr_Occurred(void);
void rmr_py_PyErr_Clear(void);
void rmr_py_PyErr_Fetch(rmr_object **, rmr_object **, rmr_object **);
rmr_object *rmr_py_PyObject_Str(rmr_object *);
const char *rmr_py_PyUnicode_AsUTF8(rmr_object *);
rmr_object *rmr_py_PyObject_CallObject(rmr_object *, rmr_object *);
void rmr_py_Py_DecRef(rmr_object *);
void rmr_py_Py_IncRef(rmr_object *);
unsigned long rmr_py_PyThread_get_thread_ident(void);

#endif
