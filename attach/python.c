// SPDX-License-Identifier: GPL-3.0-or-later
/* Finds the interpreter among the loaded files and reads what it is. */
#include "attach/arch.h"
#include "attach/cleanup.h"
#include "attach/target_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OLDEST = 0x0306,
	NEWEST = 0x030f,
	MAX_BSS = 16 * 1024 * 1024,
};

static const char supported[] = "remora works with CPython 3.6 to 3.15";

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Modules in the order in which an interpreter is likely: 0 first, -1 never. */
static int rank(const struct rmr_module *module)
{
	const char *name = rmr_maps_basename(module->map);

	if (!module->executable || name[0] == '[')
		return -1;
	if (has_prefix(name, "libpython"))
		return 0;
	if (has_prefix(name, "python"))
		return 1;
	return 2;
}

static bool has_symbol(const struct rmr_image *image, const char *name)
{
	return rmr_image_symbol(image, name, NULL) != 0;
}

static struct rmr_module *find_interpreter(const struct rmr_target *target)
{
	struct rmr_module *python2 = NULL;

	for (int want = 0; want <= 2; want++) {
		for (size_t i = 0; i < target->module_count; i++) {
			struct rmr_module *module = &target->modules[i];
			if (rank(module) != want)
				continue;
			const struct rmr_image *image = rmr_target_image(target, module);
			if (!image || !has_symbol(image, "Py_IsInitialized"))
				continue;
			if (!has_symbol(image, "Py_InitModule4_64"))
				return module;
			python2 = module;
		}
	}
	return python2;
}

/*
 * "3.8.18" or "3.13.0rc2+", followed by @p end: PY_VERSION (Include/patchlevel.h). Gives the hex
 * form too; false if @p text is something else.
 */
static bool parse_version(const char *text, char end, struct rmr_python *python)
{
	char *p;
	unsigned long major = strtoul(text, &p, 10);

	if (p == text || *p++ != '.' || !isdigit((unsigned char)*p))
		return false;
	unsigned long minor = strtoul(p, &p, 10);
	if (*p++ != '.' || !isdigit((unsigned char)*p))
		return false;
	unsigned long micro = strtoul(p, &p, 10);
	unsigned level = 0xf;
	unsigned long serial = 0;
	if (*p == 'a' || *p == 'b' || *p == 'c' || has_prefix(p, "rc")) {
		level = *p == 'a' ? 0xa : *p == 'b' ? 0xb : 0xc;
		serial = strtoul(p + (*p == 'r' ? 2 : 1), &p, 10);
	}
	size_t size = (size_t)(p - text);
	if (*p == '+')
		p++;
	if (*p != end || major > 9 || minor > 99 || micro > 255 || serial > 15 ||
		size >= sizeof(python->version))
		return false;
	memcpy(python->version, text, size);
	python->version[size] = '\0';
	python->hex = (uint32_t)(major << 24 | minor << 16 | micro << 8 | level << 4 | serial);
	return true;
}

static void format_version(struct rmr_python *python)
{
	uint32_t hex = python->hex;
	char suffix[8] = "";
	unsigned level = hex >> 4 & 0xf;

	if (level != 0xf)
		snprintf(suffix, sizeof(suffix), "%s%u",
			level == 0xa   ? "a"
			: level == 0xb ? "b"
				       : "rc",
			hex & 0xf);
	snprintf(python->version, sizeof(python->version), "%u.%u.%u%s", hex >> 24,
		hex >> 16 & 0xff, hex >> 8 & 0xff, suffix);
}

/*
 * Before 3.11 no data symbol holds the version. Py_GetVersion() keeps its text "3.8.18 (main, ..."
 * in a static array of 250 bytes, thus aligned to 32, filled when sys is made (Python/getversion.c,
 * 3.6 to 3.10).
 */
static bool find_version_text(
	const struct rmr_target *target, const struct rmr_image *image, struct rmr_python *python)
{
	rmr_addr_t start, end;

	if (!rmr_image_bss(image, &start, &end) || end - start > MAX_BSS)
		return false;
	start &= ~(rmr_addr_t)31;
	size_t size = (size_t)(end - start);
	_rmr_free_ char *bss = calloc(1, size + 1);
	if (!bss || !rmr_target_reader((void *)target, start, bss, size))
		return false;
	for (size_t i = 0; i + 16 < size; i += 32) {
		if ((bss[i] == '2' || bss[i] == '3') && bss[i + 1] == '.' &&
			parse_version(bss + i, ' ', python))
			return true;
	}
	return false;
}

static struct rmr_error *not_running(const struct rmr_target *target)
{
	struct rmr_error *err = rmr_error_create(RMR_E_NOT_PYTHON, 0,
		"the Python interpreter in process %d is not running", (int)target->pid);

	return rmr_error_hint(err, "it is starting up or shutting down: try again");
}

/* 3.13+: _PyRuntime begins with _Py_DebugOffsets (Include/internal/pycore_debug_offsets.h). */
struct debug_offsets {
	char cookie[8];
	uint64_t version;
	uint64_t free_threaded;
	uint64_t runtime_size;
	uint64_t runtime_finalizing;
	uint64_t runtime_interpreters_head;
};

static struct rmr_error *check_running(
	const struct rmr_target *target, const struct debug_offsets *offsets)
{
	uint64_t finalizing, head;
	rmr_addr_t runtime = target->python.runtime;

	if (target->read_only || offsets->runtime_finalizing > 65536 ||
		offsets->runtime_interpreters_head > 65536)
		return NULL;
	struct rmr_error *err = rmr_target_read(
		target, runtime + offsets->runtime_finalizing, &finalizing, sizeof(finalizing));
	if (!err)
		err = rmr_target_read(
			target, runtime + offsets->runtime_interpreters_head, &head, sizeof(head));
	if (!err && (finalizing || !head))
		err = not_running(target);
	return err;
}

static struct rmr_error *find_version(struct rmr_target *target, const struct rmr_image *image)
{
	struct rmr_python *python = &target->python;
	rmr_addr_t symbol = rmr_image_symbol(image, "Py_Version", NULL);
	struct debug_offsets offsets;

	if (symbol) {
		uint64_t hex; /* unsigned long */
		struct rmr_error *err = rmr_target_read(target, symbol, &hex, sizeof(hex));
		if (err)
			return err;
		python->hex = (uint32_t)hex;
		format_version(python);
	} else if (!find_version_text(target, image, python)) {
		return not_running(target);
	}
	if (python->hex < 0x030d0000)
		return NULL;
	/* Without it nothing tells whether there is a GIL. */
	if (!python->runtime)
		return rmr_error_create(RMR_E_UNSUPPORTED, 0,
			"Python %s of process %d does not export _PyRuntime", python->version,
			(int)target->pid);
	struct rmr_error *err = rmr_target_read(target, python->runtime, &offsets, sizeof(offsets));
	if (err)
		return err;
	if (memcmp(offsets.cookie, "xdebugpy", 8) != 0)
		return rmr_error_create(RMR_E_UNSUPPORTED, 0,
			"_PyRuntime of Python %s does not begin as it should", python->version);
	python->free_threaded = offsets.free_threaded != 0;
	return check_running(target, &offsets);
}

/*
 * 3.6 alone starts without a GIL. PyEval_ThreadsInitialized() loads the static gil_locked, which is
 * -1 until then (Python/ceval_gil.h, gil_created). Not recognised: false, which costs a call that
 * does nothing.
 */
static bool is_gil_there(const struct rmr_target *target, const struct rmr_image *image)
{
	unsigned char code[16];
	int32_t locked;
	rmr_addr_t function = rmr_image_symbol(image, "PyEval_ThreadsInitialized", NULL);

	if (!function || !rmr_target_reader((void *)target, function, code, sizeof(code)))
		return false;
	rmr_addr_t variable = rmr_arch_find_load(code, sizeof(code), function);
	if (!variable || !rmr_target_reader((void *)target, variable, &locked, sizeof(locked)))
		return false;
	return locked >= 0;
}

static struct rmr_error *unsupported(const struct rmr_target *target, const char *what)
{
	struct rmr_error *err = rmr_error_create(
		RMR_E_UNSUPPORTED, 0, "process %d runs %s", (int)target->pid, what);

	return rmr_error_hint(err, "%s", supported);
}

/* Why there is no interpreter: PyPy, 32 bits, or something that is not Python at all. */
static struct rmr_error *explain_absence(const struct rmr_target *target)
{
	char text[32];

	for (size_t i = 0; i < target->module_count; i++) {
		const struct rmr_module *module = &target->modules[i];
		const char *name = rmr_maps_basename(module->map);
		if (!has_prefix(name, "libpypy") && !has_prefix(name, "pypy"))
			continue;
		/* libpypy3.9-c.so */
		const char *version = strstr(name, "pypy") + 4;
		snprintf(text, sizeof(text), "PyPy %.*s", (int)strspn(version, "0123456789."),
			version);
		return unsupported(target, text);
	}
	for (size_t i = 0; i < target->module_count; i++) {
		const struct rmr_module *module = &target->modules[i];
		if (!module->executable || module->map->path[0] != '/')
			continue;
		switch (rmr_image_probe(rmr_target_reader, (void *)target, module->start)) {
		case RMR_IMAGE_32:
			return unsupported(target, "a 32-bit program");
		case RMR_IMAGE_FOREIGN:
			return unsupported(target, "a program of another architecture");
		default:
			break;
		}
	}
	struct rmr_error *err = rmr_error_create(
		RMR_E_NOT_PYTHON, 0, "process %d is not a Python interpreter", (int)target->pid);
	return rmr_error_hint(err, "`remora ps` lists the Python processes");
}

static struct rmr_error *check_version(struct rmr_target *target)
{
	const struct rmr_python *python = &target->python;
	char text[64];

	if (python->hex >> 16 < OLDEST || python->hex >> 16 > NEWEST) {
		snprintf(text, sizeof(text), "Python %s", python->version);
		return unsupported(target, text);
	}
	if (python->free_threaded) {
		snprintf(text, sizeof(text), "Python %s without GIL", python->version);
		struct rmr_error *err = unsupported(target, text);
		return rmr_error_hint(err, "free-threaded builds are not supported yet");
	}
	return NULL;
}

struct rmr_error *rmr_python_find(struct rmr_target *target)
{
	struct rmr_python *python = &target->python;
	struct rmr_module *module = find_interpreter(target);

	if (!module)
		return explain_absence(target);
	const struct rmr_image *image = rmr_target_image(target, module);
	target->interpreter = module;
	snprintf(python->file, sizeof(python->file), "%s", module->map->path);
	if (has_symbol(image, "Py_InitModule4_64")) {
		bool found = find_version_text(target, image, python);
		char text[64];
		snprintf(text, sizeof(text), "Python %s", found ? python->version : "2");
		return unsupported(target, text);
	}
	python->runtime = rmr_image_symbol(image, "_PyRuntime", NULL);
	python->threads_initialized = true;
	struct rmr_error *err = find_version(target, image);
	if (err)
		return err;
	python->debug =
		has_symbol(image, "_Py_NegativeRefcount") || has_symbol(image, "_Py_RefTotal");
	if (python->hex >> 16 == 0x0306)
		python->threads_initialized = is_gil_there(target, image);
	return check_version(target);
}
