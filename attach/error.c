// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rmr_error rmr_enomem = {
	.code = RMR_E_NOMEM,
	.message = (char *)"out of memory",
};

static RMR_PRINTF(1, 0) char *format_text(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		return NULL;
	return text;
}

struct rmr_error *rmr_error_create(enum rmr_code code, int errnum, const char *format, ...)
{
	struct rmr_error *err = calloc(1, sizeof(*err));

	if (!err)
		return &rmr_enomem;
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	if (text && errnum) {
		char *full;
		if (asprintf(&full, "%s: %s", text, strerror(errnum)) < 0)
			full = NULL;
		free(text);
		text = full;
	}
	if (!text) {
		free(err);
		return &rmr_enomem;
	}
	err->code = code;
	err->errnum = errnum;
	err->message = text;
	return err;
}

struct rmr_error *rmr_error_context(struct rmr_error *err, const char *format, ...)
{
	if (!err || err == &rmr_enomem)
		return err;
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	char *full;
	if (text && asprintf(&full, "%s: %s", text, err->message) >= 0) {
		free(err->message);
		err->message = full;
	}
	free(text);
	return err;
}

struct rmr_error *rmr_error_hint(struct rmr_error *err, const char *format, ...)
{
	if (!err || err == &rmr_enomem)
		return err;
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	if (text) {
		free(err->hint);
		err->hint = text;
	}
	return err;
}

void rmr_error_destroy(struct rmr_error *err)
{
	if (!err || err == &rmr_enomem)
		return;
	free(err->message);
	free(err->hint);
	free(err);
}

bool rmr_error_catch(struct rmr_error **err, enum rmr_code code)
{
	if (!*err || (*err)->code != code)
		return false;
	rmr_error_destroy(*err);
	*err = NULL;
	return true;
}

int rmr_error_exit_status(const struct rmr_error *err)
{
	switch (err->code) {
	case RMR_E_QUERY:
	case RMR_E_PAYLOAD:
		return 1;
	case RMR_E_USAGE:
	case RMR_E_INPUT:
		return 2;
	case RMR_E_GONE:
	case RMR_E_NOT_PYTHON:
	case RMR_E_UNSUPPORTED:
	case RMR_E_PERMISSION:
	case RMR_E_TRACED:
	case RMR_E_STATE:
	case RMR_E_UNSAFE:
	case RMR_E_NO_MEMORY:
		return 3;
	case RMR_E_TIMEOUT:
		return 4;
	case RMR_E_NOMEM:
	case RMR_E_OS:
	case RMR_E_INTERRUPTED:
	case RMR_E_TARGET:
	case RMR_E_WRITE:
	case RMR_E_PROTOCOL:
		return 5;
	}
	return 5;
}
