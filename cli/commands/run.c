// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/cleanup.h"
#include "cli/commands/commands.h"
#include "cli/commands/session.h"
#include "cli/interrupt.h"
#include "inject/builtin.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

// Larger payloads are refused by rmr_session_run() anyway.
#define PAYLOAD_MAX (200u << 20)

/** The rest of @p fd, in a buffer that the caller frees. */
static struct rmr_error *read_all(int fd, const char *name, char **ret, size_t *size_ret)
{
	size_t room = 65536, size = 0;
	_rmr_free_ char *bytes = malloc(room);

	if (!bytes)
		return &rmr_enomem;
	for (;;) {
		if (size == room) {
			char *larger = room < PAYLOAD_MAX ? realloc(bytes, room * 2) : NULL;
			if (!larger)
				return rmr_error_create(RMR_E_INPUT, 0, "%s: too large", name);
			bytes = larger;
			room *= 2;
		}
		ssize_t n = read(fd, bytes + size, room - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rmr_error_create(RMR_E_INPUT, errno, "cannot read %s", name);
		if (n == 0)
			break;
		size += (size_t)n;
	}
	*ret = rmr_take(bytes);
	*size_ret = size;
	return NULL;
}

static struct rmr_error *no_such_payload(const char *word, int error)
{
	struct rmr_error *err = rmr_error_create(RMR_E_INPUT, error, "cannot read the payload %s",
		word);

	if (error != ENOENT || strchr(word, '/') || strchr(word, '.'))
		return err;
	return rmr_error_hint(err, "`remora payloads` lists the built-in ones");
}

static bool is_library(const char *word, const char *bytes, size_t size)
{
	size_t length = strlen(word);

	return (length > 3 && !strcmp(word + length - 3, ".so")) ||
	       (size > 4 && !memcmp(bytes, "\177ELF", 4));
}

/** Finds what @p word names: '-', a file, or a built-in payload. *bytes_ret is to be freed. */
static struct rmr_error *load_payload(const char *word, struct rmr_run *run, char **bytes_ret)
{
	_rmr_close_ int fd = -1;
	bool standard_input = !strcmp(word, "-");
	const struct rmr_builtin *builtin = strchr(word, '/') ? NULL : rmr_builtin_find(word);

	run->name = standard_input ? "<stdin>" : word;
	if (!standard_input) {
		fd = open(word, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT && builtin) {
			run->bytes = builtin->source;
			run->size = builtin->size;
			return NULL;
		}
		if (fd < 0)
			return no_such_payload(word, errno);
	}
	struct rmr_error *err = read_all(standard_input ? STDIN_FILENO : fd, run->name, bytes_ret,
		&run->size);
	if (err)
		return err;
	run->bytes = *bytes_ret;
	if (!standard_input && is_library(word, *bytes_ret, run->size))
		run->kind = RMR_RUN_LIBRARY;
	return NULL;
}

static struct rmr_error *attach_and_run(struct rmr_context *context, pid_t pid,
	struct rmr_run *run, int *status_ret)
{
	struct rmr_session *session;
	struct rmr_error *err = rmr_interrupt_begin();

	if (err)
		return err;
	err = rmr_command_attach(context, pid, &session);
	if (!err) {
		err = rmr_command_run_in(session, run, context->out, status_ret);
		err = rmr_command_detach(context, session, err);
	}
	rmr_interrupt_end();
	return err;
}

struct rmr_error *rmr_command_run(struct rmr_context *context, const struct rmr_call *call)
{
	const char *code = rmr_args_value(&call->args, "code");
	bool pass_exit = rmr_args_count(&call->args, "pass-exit") > 0;
	_rmr_free_ char *bytes = NULL;
	struct rmr_run run = {.kind = RMR_RUN_PYTHON};
	size_t skip = code ? 0 : 1;
	uint64_t interpreter;
	struct rmr_error *err = rmr_args_number(&call->args, "interpreter", 0, UINT32_MAX,
		&interpreter);
	int status = 0;

	if (pass_exit)
		context->failure_status = 125;
	if (err)
		return err;
	run.interpreter = (unsigned)interpreter;
	if (call->args.operand_count < skip)
		return rmr_error_hint(rmr_error_create(RMR_E_USAGE, 0, "no payload is given"),
			"a .py or .so file, a built-in name (`remora payloads`), -c CODE, or -");
	run.arguments = call->args.operands + skip;
	run.argument_count = (unsigned)(call->args.operand_count - skip);
	if (code) {
		run.name = "<string>"; // as `python -c` says
		run.bytes = code;
		run.size = strlen(code);
	} else {
		err = load_payload(call->args.operands[0], &run, &bytes);
	}
	if (!err)
		err = attach_and_run(context, call->pid, &run, &status);
	if (err)
		return err;
	context->status = pass_exit ? status & 0xff : status != 0;
	return NULL;
}
