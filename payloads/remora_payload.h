// SPDX-License-Identifier: 0BSD
/**
 * @file
 * Write your own payload in C: a shared object that `remora run PID payload.so ARG...` loads into a
 * running Python, calls once, and unloads. This header alone is under the 0BSD licence, so that a
 * payload may have any.
 *
 *     #include <remora_payload.h>
 *     #include <Python.h>
 *
 *     int remora_payload(const struct remora_host *host, int argc, const char *const *argv)
 *     {
 *             return host->write(host, 1, "hello\n", 6);
 *     }
 *
 *     cc -shared -fPIC $(python3-config --includes) -o payload.so payload.c
 *
 * The function runs on a thread of its own in the target, with the GIL held: the Python C API may
 * be used, and the GIL given up for long work with Py_BEGIN_ALLOW_THREADS. After it has returned
 * the object is unloaded: leave no function, type, capsule, thread or callback behind that points
 * into it. It must be built for a C library no newer than the target's.
 */
#ifndef REMORA_PAYLOAD_H
#define REMORA_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#define REMORA_PAYLOAD_ABI 1

/** What remora offers to a payload; valid during the call. New members come at the end. */
struct remora_host {
	uint32_t abi;  /**< REMORA_PAYLOAD_ABI of the remora that runs the payload */
	uint32_t size; /**< bytes of this structure there */
	/**
	 * Shows bytes on remora's standard output (stream 1) or error (2), at once. 0, or a negative
	 * errno: -EPIPE when remora is gone.
	 */
	int (*write)(const struct remora_host *host, int stream, const void *bytes, size_t size);
	/** Not 0 when the person has cancelled, or remora is gone: return soon. */
	int (*interrupted)(const struct remora_host *host);
};

/**
 * The type of the function that a payload exports under the name `remora_payload`.
 * argv[0] is the payload's name, argv[argc] is NULL. Returns remora's status: 0 = success.
 */
typedef int remora_payload_function(const struct remora_host *host, int argc,
	const char *const *argv);

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
remora_payload_function remora_payload;

#endif
