// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/agent/agent.h"

#define PY_FILE_INPUT 257 // CPython Include/compile.h, Py_file_input, 3.6 to 3.15

// inject/agent/*.py, embedded; NUL-terminated.
extern const char rmr_runner_source[], rmr_failure_source[], rmr_echo_source[],
	rmr_threads_source[];

static void text_of_error(char *text, size_t size)
{
	rmr_object *type = 0, *value = 0, *traceback = 0;

	PY(PyErr_Fetch)(&type, &value, &traceback);
	rmr_object *string = value ? PY(PyObject_Str)(value) : 0;
	const char *utf8 = string ? PY(PyUnicode_AsUTF8)(string) : 0;
	if (!utf8)
		utf8 = "an exception that cannot be printed";
	size_t length = strlen(utf8);
	if (length >= size)
		length = size - 1;
	memcpy(text, utf8, length);
	text[length] = 0;
	PY(PyErr_Clear)();
	PY(Py_DecRef)(string);
	PY(Py_DecRef)(type);
	PY(Py_DecRef)(value);
	PY(Py_DecRef)(traceback);
}

/** Puts @p value into the dict and drops our reference to it. False if it is NULL. */
static bool put(rmr_object *dict, const char *name, rmr_object *value)
{
	bool ok = value && PY(PyDict_SetItemString)(dict, name, value) == 0;

	PY(Py_DecRef)(value);
	return ok;
}

static bool put_head(rmr_object *dict, const char *name, uint32_t type, uint32_t number)
{
	struct rmr_frame head = {.type = type, .number = number};

	return put(dict, name, PY(PyBytes_FromStringAndSize)((char *)&head, sizeof(head)));
}

static bool put_bytes(rmr_object *dict, const char *name, const char *bytes, size_t size)
{
	return put(dict, name, PY(PyBytes_FromStringAndSize)(bytes, (long)size));
}

// PyDict_SetItemString interns the name: runner.py says why it has to be one of these.
static bool fill(rmr_object *dict, const struct rmr_job *job, const struct rmr_job_text *text)
{
	rmr_object *builtins = PY(PyEval_GetBuiltins)();
	bool keep = job->flags & RMR_JOB_KEEP_NAMES;

	if (keep && rmr_agent.names && rmr_agent.names_interpreter != job->interpreter)
		return false; // one interpreter's objects must not get into another
	if (keep && !rmr_agent.names) {
		rmr_agent.names = PY(PyDict_New)();
		rmr_agent.names_interpreter = job->interpreter;
	}
	return builtins && PY(PyDict_SetItemString)(dict, "__builtins__", builtins) == 0 &&
	       put_head(dict, "stdout", RMR_FRAME_STDOUT, job->frame.number) &&
	       put_head(dict, "stderr", RMR_FRAME_STDERR, job->frame.number) &&
	       put(dict, "fd", PY(PyLong_FromLong)(rmr_agent.fd)) &&
	       put(dict, "interactive", PY(PyLong_FromLong)(keep)) &&
	       put_bytes(dict, "exc_details", rmr_failure_source, strlen(rmr_failure_source)) &&
	       put_bytes(dict, "displayhook", rmr_echo_source, strlen(rmr_echo_source)) &&
	       put_bytes(dict, "thread_info", rmr_threads_source, strlen(rmr_threads_source)) &&
	       put_bytes(dict, "path", text->file, strlen(text->file)) &&
	       put_bytes(dict, "args", text->arguments, text->arguments_size) &&
	       put_bytes(dict, "source", text->source, text->source_size) &&
	       (keep ? PY(PyDict_SetItemString)(dict, "ns", rmr_agent.names) == 0
		     : put(dict, "ns", PY(PyDict_New)()));
}

/** Calls the runner's function @p name. False if it raised; the error stays set. */
static bool call(rmr_object *dict, const char *name)
{
	rmr_object *function = PY(PyDict_GetItemString)(dict, name);
	rmr_object *result = function ? PY(PyObject_CallObject)(function, 0) : 0;

	PY(Py_DecRef)(result);
	return result;
}

// The runner's outcome, left by it in `result` and `code`.
static void read_outcome(rmr_object *dict, struct rmr_done *done)
{
	rmr_object *outcome = PY(PyDict_GetItemString)(dict, "result");
	rmr_object *status = PY(PyDict_GetItemString)(dict, "code");

	if (!outcome || !status)
		return rmr_agent_error(done, 0, "the runner left no outcome");
	done->outcome = (uint32_t)PY(PyLong_AsLong)(outcome);
	done->value = (int32_t)PY(PyLong_AsLong)(status);
	PY(PyErr_Clear)();
}

static void run_in(rmr_object *dict, struct rmr_done *done)
{
	rmr_object *code = PY(Py_CompileString)(rmr_runner_source, "<unknown>", PY_FILE_INPUT);
	rmr_object *result = code ? PY(PyEval_EvalCode)(code, dict, dict) : 0;

	PY(Py_DecRef)(code);
	PY(Py_DecRef)(result);
	if (!result || !call(dict, "start")) {
		rmr_agent_error(done, 0, "");
		text_of_error(done->text, sizeof(done->text));
		return;
	}
	rmr_agent.ident = PY(PyThread_get_thread_ident)();
	rmr_agent.in_python = true;
	bool finished = call(dict, "_exec");
	rmr_agent.in_python = false;
	if (!finished)
		PY(PyErr_Clear)(); // the interrupt hit the runner itself; end() says so
	// An interrupt that came too late for the payload must not hit the clean-up. It is not taken
	// back by SetAsyncExc(ident, NULL): up to 3.12 that sets the interpreter's eval breaker, which
	// only an exception that is raised resets (Python/ceval_gil.c, UNSIGNAL_ASYNC_EXC). The program
	// would be slower by half from then on, and a traced one on 3.11 not come out of RESUME.
	if (rmr_agent.raised && !call(dict, "pause"))
		PY(PyErr_Clear)();
	rmr_agent.raised = false;
	if (!call(dict, "end")) {
		rmr_agent_error(done, 0, "");
		text_of_error(done->text, sizeof(done->text));
		return;
	}
	read_outcome(dict, done);
}

void rmr_python_run(const struct rmr_job *job, struct rmr_done *done)
{
	struct rmr_job_text text;
	struct rmr_gil gil;

	if (!rmr_agent_job_text(job, &text))
		return rmr_agent_error(done, EINVAL, "malformed job");
	if (!rmr_agent_enter(job->interpreter, &gil, done))
		return;
	rmr_object *dict = PY(PyDict_New)();
	if (dict && fill(dict, job, &text)) {
		run_in(dict, done);
	} else {
		rmr_agent_error(done, 0, "");
		text_of_error(done->text, sizeof(done->text));
	}
	// The runner's functions hold this dict and it holds them: cut, or it waits for a collection.
	// But a stream that the payload has left with somebody must go on working.
	if (dict && PY(PyDict_GetItemString)(dict, "locked") != rmr_agent_config.python._Py_TrueStruct)
		PY(PyDict_Clear)(dict);
	PY(Py_DecRef)(dict);
	rmr_agent_leave(&gil);
}

void rmr_python_forget(void)
{
	struct rmr_done done = {0};
	struct rmr_gil gil;

	if (!rmr_agent.names)
		return;
	if (!rmr_agent_take(rmr_agent.names_interpreter, &gil, &done))
		return;
	PY(Py_DecRef)(rmr_agent.names);
	rmr_agent.names = 0;
	rmr_agent_leave(&gil);
}
