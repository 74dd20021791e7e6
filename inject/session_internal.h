// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  What session.c and job.c share. */
#ifndef RMR_INJECT_SESSION_INTERNAL_H
#define RMR_INJECT_SESSION_INTERNAL_H

#include "attach/spawn.h"
#include "inject/channel.h"
#include "inject/headroom.h"
#include "inject/session.h"

struct rmr_session {
	struct rmr_target *target;
	struct rmr_session_options options;
	struct rmr_spawn_result spawned;
	struct rmr_session_cost cost;
	struct rmr_channel channel;
	pid_t tid;        /**< of the agent's thread, in the target's PID namespace */
	uint32_t number;  /**< of the last job */
	bool job_runs;    /**< no DONE came yet for that job */
	int meeting_fd;   /**< remora's end of the agent's first socket pair, or -1 */
	int twin_fd;      /**< the twin's socket, or -1 */
	struct rmr_headroom_watch *watch; /**< over the living twin, or NULL */
};

/**
 * What fails in a process that ends, or becomes another program, fails in odd ways: RMR_E_GONE with that
 * reason if it is so, else NULL. @p patient: threads end first, so the rest is waited for a moment.
 */
struct rmr_error *rmr_session_check(const struct rmr_session *session, bool patient) RMR_MUST_CHECK;

#endif
