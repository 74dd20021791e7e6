// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * What remora and the agent say to each other. Shared by both sides; plain types only.
 *
 * The channel is one AF_UNIX SOCK_SEQPACKET pair: a message is one frame, never split or merged.
 * Every frame starts with struct rmr_frame. Requests carry a number; replies and output carry the
 * number of the request that they belong to, so that a late reply is never taken for another's.
 * Neither side trusts the other's lengths.
 *
 * Life of an agent: boot (inject/agent/boot.c) runs on the new thread P, offers a socket pair, gets
 * HELLO with an end of the real channel, maps the image, gets START, calls the agent. The agent's monitor thread owns the
 * socket's reading side; P (the worker) does one job at a time.
 */
#ifndef RMR_INJECT_PROTOCOL_H
#define RMR_INJECT_PROTOCOL_H

#include "payloads/heap_dump/heap_dump.h"
#include "payloads/python_api.h"

#include <stdint.h>

#define RMR_PROTOCOL_VERSION 1u

/** Largest frame, header included, in bytes. Fits the kernel's default socket buffer. */
#define RMR_FRAME_MAX 65536u
/** Largest job (source text, arguments), in bytes. */
#define RMR_JOB_MAX (256u << 20)

enum rmr_frame_type {
	// remora -> boot
	RMR_FRAME_HELLO = 1,  /**< struct rmr_hello, with the channel's end as descriptor */
	RMR_FRAME_START,      /**< struct rmr_start: the image is written */
	// boot -> remora
	RMR_FRAME_MAPPED,     /**< struct rmr_mapped */
	// remora -> agent
	RMR_FRAME_JOB_DATA,   /**< bytes of the next job, in order */
	RMR_FRAME_JOB,        /**< struct rmr_job: do it with the bytes sent; may carry one descriptor */
	RMR_FRAME_PING,       /**< answered by STATUS at once, whatever the worker does */
	RMR_FRAME_CANCEL,     /**< KeyboardInterrupt in the running job, the end for a twin; a job that
				   still waits for the GIL gives up */
	RMR_FRAME_LEAVE,      /**< finish, unmap, end the thread */
	RMR_FRAME_MAPS,       /**< before a dump in place, and to a twin after GO: its /proc/PID/maps as
				   descriptor, as it may see no /proc; none if remora has none either */
	// agent -> remora
	RMR_FRAME_STATUS,     /**< struct rmr_agent_status */
	RMR_FRAME_STDOUT,     /**< bytes that the job printed */
	RMR_FRAME_STDERR,
	RMR_FRAME_TWIN,       /**< no more than that, with the twin's socket as descriptor */
	RMR_FRAME_BEGUN,      /**< no more than that: a dump in place has the GIL, and writes from now on */
	RMR_FRAME_DONE,       /**< struct rmr_done */
	// remora -> twin, on the twin's own socket
	RMR_FRAME_GO,         /**< the ring's descriptor */
};

struct rmr_frame {
	uint32_t type;   /**< enum rmr_frame_type */
	uint32_t number; /**< of the job that it belongs to; 0 = none */
};

struct rmr_hello {
	struct rmr_frame frame;
	uint32_t version; /**< RMR_PROTOCOL_VERSION */
	uint32_t reserved;
	uint64_t image_size; /**< bytes to map, a multiple of 4096 */
};

struct rmr_mapped {
	struct rmr_frame frame;
	int64_t address; /**< of the image, or -errno */
};

struct rmr_start {
	struct rmr_frame frame;
	uint64_t data_offset; /**< [data_offset, image_size) becomes read-write, the rest stays R-X */
	uint64_t entry_offset;
};

enum rmr_job_kind {
	RMR_JOB_NOTHING,  /**< take the GIL and give it back */
	RMR_JOB_PYTHON,   /**< data: file name \0, argc strings each \0, source */
	RMR_JOB_LIBRARY,  /**< the descriptor is a shared object; data as above, no source */
	RMR_JOB_HEAP_DUMP,
};

/** Flags of a job. */
enum {
	RMR_JOB_IN_PLACE = 1, /**< heap dump without a twin; the descriptor is the ring's */
	RMR_JOB_KEEP_NAMES = 2, /**< Python: run in the session's namespace, echo a lone expression */
};

struct rmr_job {
	struct rmr_frame frame; /**< frame.number: this job's number, never 0 */
	uint32_t kind;          /**< enum rmr_job_kind */
	uint32_t flags;
	uint64_t data_size;     /**< bytes sent by JOB_DATA before */
	uint32_t argc;
	uint32_t interpreter;   /**< id of the sub-interpreter to run in; 0 = the main one */
	struct rmr_heap_dump_request heap; /**< for RMR_JOB_HEAP_DUMP */
};

enum rmr_phase {
	RMR_PHASE_IDLE,
	RMR_PHASE_WAITING, /**< for the GIL */
	RMR_PHASE_RUNNING, /**< in the interpreter, the GIL held now and then */
	RMR_PHASE_TWIN,    /**< the twin works; the GIL is not held */
	RMR_PHASE_LEAVING,
};

struct rmr_agent_status {
	struct rmr_frame frame;
	uint32_t phase;     /**< enum rmr_phase */
	uint32_t reserved;
	uint64_t since_ns;  /**< how long it has been in this phase */
};

/** How a job ended. */
enum rmr_outcome {
	RMR_OUTCOME_OK,
	RMR_OUTCOME_FAILED,    /**< Python: an exception (already printed); library: see text */
	RMR_OUTCOME_EXIT,      /**< SystemExit or a library's return value: value */
	RMR_OUTCOME_INTERRUPTED,
	RMR_OUTCOME_CANCELLED, /**< gave up waiting for the GIL */
	RMR_OUTCOME_NOT_READY, /**< the interpreter is not initialised, or finalizing */
	RMR_OUTCOME_NO_INTERPRETER, /**< there is no sub-interpreter of that id */
	RMR_OUTCOME_ERROR,     /**< the agent itself failed: value is an errno, text says at what */
	RMR_OUTCOME_HEAP,      /**< heap dump failed: value is enum rmr_heap_dump_status */
	RMR_OUTCOME_TWIN_DIED, /**< value is the wait status */
};

struct rmr_done {
	struct rmr_frame frame;
	uint32_t outcome;      /**< enum rmr_outcome */
	int32_t value;
	uint64_t wait_gil_ns;  /**< how long the job waited for the GIL */
	uint64_t hold_gil_ns;  /**< heap dump: how long it held the GIL without a break */
	char text[232];        /**< NUL-terminated */
};

/** The twin's exit statuses. */
enum { RMR_TWIN_EXIT_OK = 0, RMR_TWIN_EXIT_SETUP = 100, RMR_TWIN_EXIT_HEAP = 110 };

/** The C library's functions that the agent calls; addresses. */
struct rmr_libc_api {
	void *pthread_self, *pthread_detach, *pthread_create, *pthread_join;
	void *pthread_attr_init, *pthread_attr_setstack, *pthread_attr_destroy;
	void *munmap;
	void *dlopen, *dlsym, *dlclose, *dlerror; /**< 0 where the target has none */
};

/** State word of the boot page. */
enum rmr_boot_state {
	RMR_BOOT_NEW = 0,
	RMR_BOOT_READY = 1, /**< tid and fds are valid */
	RMR_BOOT_FAILED = 2, /**< error is valid; the thread is leaving */
};

/** Offset of struct rmr_boot in the region; its page is read-only until P makes it read-write. */
#define RMR_BOOT_OFFSET 8192u
/** Where, in the region, the spawner may put its stub. */
#define RMR_BOOT_STUB_OFFSET 7936u
/** Size of the region that the borrowed thread maps. */
#define RMR_BOOT_REGION 12288u

struct rmr_boot {
	uint32_t state;  /**< enum rmr_boot_state */
	int32_t error;   /**< -errno */
	int32_t tid;     /**< of P, in the target's PID namespace */
	int32_t fd[2];   /**< the agent's end, remora's end */
	uint32_t reserved;
	uint64_t inode; /**< of remora's end; 0 if that is not known */
	struct rmr_libc_api libc;
};

#endif
