// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/session.h"

#include "attach/cleanup.h"
#include "attach/log.h"
#include "attach/points.h"
#include "inject/agent/agent.h"
#include "inject/agent_image.h"
#include "inject/limits.h"
#include "inject/session_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// How long a new thread may take before remora looks whether its maker is stuck.
#define START_MS 500
// From the end of a target's threads, the agent's among them, to that of its memory.
#define END_MS 200
// How long the agent may take to leave when it has nothing to do.
#define LEAVE_MS 1000

void rmr_timeouts_default(struct rmr_timeouts *timeouts, double seconds)
{
	*timeouts = (struct rmr_timeouts){.attach_ms = 5000, .gil_ms = 5000, .silent_ms = 5000};
	if (seconds < 0)
		return;
	unsigned ms = seconds * 1000 > 4e9 ? 0 : (unsigned)(seconds * 1000 + 0.999);
	*timeouts = (struct rmr_timeouts){
		.attach_ms = ms, .gil_ms = ms, .silent_ms = ms, .job_ms = ms};
}

static void pause_us(unsigned us)
{
	struct timespec ts = {.tv_nsec = us * 1000L};

	nanosleep(&ts, NULL);
}

static struct rmr_error *fill_libc(const struct rmr_target *target, struct rmr_libc_api *ret)
{
	static const struct {
		const char *name;
		size_t offset;
		bool needed;
	} functions[] = {
#define FUNCTION(name, needed) {#name, offsetof(struct rmr_libc_api, name), needed}
		FUNCTION(pthread_self, true),
		FUNCTION(pthread_detach, true),
		FUNCTION(pthread_create, true),
		FUNCTION(pthread_join, true),
		FUNCTION(pthread_attr_init, true),
		FUNCTION(pthread_attr_setstack, true),
		FUNCTION(pthread_attr_destroy, true),
		FUNCTION(munmap, true),
		FUNCTION(dlopen, false),
		FUNCTION(dlsym, false),
		FUNCTION(dlclose, false),
		FUNCTION(dlerror, false),
#undef FUNCTION
	};

	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		rmr_addr_t address = rmr_target_symbol(target, functions[i].name);
		if (!address && functions[i].needed)
			return rmr_error_create(RMR_E_UNSUPPORTED, 0,
				"the target's C library has no %s", functions[i].name);
		memcpy((char *)ret + functions[i].offset, &address, sizeof(address));
	}
	return NULL;
}

static struct rmr_error *fill_python(const struct rmr_target *target, struct rmr_python_api *ret)
{
	static const struct {
		const char *name;
		bool needed;
	} symbols[] = {
#define SYMBOL(name, needed) {#name, needed},
		RMR_PYTHON_API(SYMBOL)
#undef SYMBOL
	};

	for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
		rmr_addr_t address = rmr_target_symbol(target, symbols[i].name);
		if (!address && symbols[i].needed)
			return rmr_error_create(RMR_E_UNSUPPORTED, 0,
				"the target's interpreter does not export %s", symbols[i].name);
		memcpy((char *)ret + i * sizeof(void *), &address, sizeof(address));
	}
	return NULL;
}

static struct rmr_error *spawn_boot(struct rmr_session *session)
{
	unsigned char region[RMR_BOOT_OFFSET + sizeof(struct rmr_boot)] = {0};
	struct rmr_boot boot = {.state = RMR_BOOT_NEW};
	struct rmr_error *err = fill_libc(session->target, &boot.libc);

	if (err)
		return err;
	memcpy(region, rmr_boot_bytes, (size_t)(rmr_boot_bytes_end - rmr_boot_bytes));
	memcpy(region + RMR_BOOT_OFFSET, &boot, sizeof(boot));
	struct rmr_spawn_request request = {
		.image = region,
		.image_size = sizeof(region),
		.region_size = RMR_BOOT_REGION,
		.stub_offset = RMR_BOOT_STUB_OFFSET,
		.entry_offset = 0,
		.timeout_ms = session->options.timeouts.attach_ms,
	};
	err = rmr_spawn(session->target, &request, &session->spawned);
	session->cost.stop_ns = session->spawned.stop_ns;
	session->cost.tries = session->spawned.tries;
	return err;
}

/**
 * The new thread is late: its maker may wait for a lock that it holds itself, and is then brought
 * back. NULL if it is only slow.
 */
static struct rmr_error *look_after_maker(struct rmr_session *session)
{
	bool rescued = false;
	struct rmr_error *err = rmr_spawn_rescue(session->target, &session->spawned, &rescued);

	if (err || !rescued)
		return err;
	return rmr_error_hint(rmr_error_create(RMR_E_TIMEOUT, 0,
			"the agent's thread did not start: the borrowed thread had to be freed from a lock"),
		"the target goes on; try again");
}

static struct rmr_error *did_not_start(void)
{
	return rmr_error_hint(
		rmr_error_create(RMR_E_TIMEOUT, 0, "the agent's thread did not start"),
		"the target may be out of threads or short of processor time");
}

/** Waits until the new thread has made its socket; takes remora's end of it. */
static struct rmr_error *meet_boot(struct rmr_session *session)
{
	rmr_addr_t address = session->spawned.region + RMR_BOOT_OFFSET;
	unsigned patience = session->options.timeouts.attach_ms;
	uint64_t start = rmr_log_now(), look = start + START_MS * 1000000ull;
	struct rmr_boot boot;

	for (unsigned us = 20;; us = us < 1000 ? us + us / 4 : 1000) {
		struct rmr_error *err = rmr_target_read(session->target, address, &boot,
			offsetof(struct rmr_boot, libc));
		if (err)
			return rmr_error_context(err, "the agent's thread has left again");
		if (__atomic_load_n(&boot.state, __ATOMIC_ACQUIRE) != RMR_BOOT_NEW)
			break;
		uint64_t now = rmr_log_now();
		if (patience && now > start + patience * 1000000ull)
			return did_not_start();
		if (now > look) {
			look = now + START_MS * 1000000ull;
			err = look_after_maker(session);
			if (err)
				return err;
		}
		pause_us(us);
	}
	if (boot.state != RMR_BOOT_READY)
		return rmr_error_create(RMR_E_TARGET, -boot.error, "no socket in the target");
	session->tid = boot.tid;
	_rmr_close_ int fd =
		(int)syscall(SYS_pidfd_getfd, rmr_target_pidfd(session->target), boot.fd[1], 0);
	if (fd < 0)
		return rmr_error_create(errno == ENOSYS ? RMR_E_UNSUPPORTED : RMR_E_TARGET, errno,
			"cannot take the agent's socket");
	int type = 0;
	socklen_t size = sizeof(type);
	struct stat st;
	// A program that closes all its descriptors just now may have put its own in this place.
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET ||
		fstat(fd, &st) < 0 || (boot.inode && st.st_ino != boot.inode))
		return rmr_error_create(RMR_E_TARGET, 0,
			"the target has closed the agent's socket");
	session->meeting_fd = rmr_take_fd(fd);
	rmr_points_pass(15);
	rmr_log("the agent's thread %d runs, region %#llx", boot.tid,
		(unsigned long long)session->spawned.region);
	return NULL;
}

struct rmr_error *rmr_session_check(const struct rmr_session *session, bool patient)
{
	uint64_t end = rmr_log_now() + END_MS * 1000000ull;

	for (;;) {
		struct rmr_error *err = rmr_target_check(session->target);
		if (err || !patient || rmr_log_now() > end)
			return err;
		pause_us(1000);
	}
}

/** The agent's end of the channel closed before it had answered. */
static struct rmr_error *ended_early(void)
{
	return rmr_error_hint(rmr_error_create(RMR_E_TARGET, 0,
			"the agent got no file descriptor in the target"),
		"it may have too many open files: raise its limit (RLIMIT_NOFILE)");
}

static struct rmr_error *expect_frame(struct rmr_session *session, uint32_t type, size_t size)
{
	enum rmr_channel_event event;
	struct rmr_error *err = rmr_channel_receive(&session->channel,
		session->options.timeouts.attach_ms, true, &event);

	if (err)
		return err;
	switch (event) {
	case RMR_CHANNEL_FRAME:
		break;
	case RMR_CHANNEL_TIMEOUT:
		return rmr_error_create(RMR_E_TIMEOUT, 0, "the agent does not answer");
	case RMR_CHANNEL_CANCEL:
		return rmr_error_create(RMR_E_INTERRUPTED, 0, "interrupted");
	case RMR_CHANNEL_CLOSED:
		return ended_early();
	}
	if (((struct rmr_frame *)session->channel.frame)->type != type ||
		session->channel.size != size)
		return rmr_error_create(RMR_E_PROTOCOL, 0, "the agent gave an unexpected answer");
	return NULL;
}

static struct rmr_error *write_image(struct rmr_session *session, struct rmr_agent_image *image,
	rmr_addr_t address)
{
	size_t config;
	struct rmr_error *err = rmr_agent_image_relocate(image, address);

	if (!err)
		err = rmr_agent_image_symbol(image, "rmr_agent_config", &config);
	if (err)
		return err;
	struct rmr_agent_config *place = (struct rmr_agent_config *)(image->bytes + config);
	place->version_hex = rmr_target_python(session->target)->hex;
	err = fill_python(session->target, &place->python);
	if (err)
		return err;
	return rmr_target_write(session->target, address, image->bytes, image->filled);
}

/** Makes the channel and sends the agent its end of it. */
static struct rmr_error *greet(struct rmr_session *session, const struct rmr_agent_image *image)
{
	struct rmr_hello hello = {.frame = {.type = RMR_FRAME_HELLO},
		.version = RMR_PROTOCOL_VERSION, .image_size = image->size};
	struct rmr_channel meeting = {.fd = session->meeting_fd};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return rmr_error_create(RMR_E_OS, errno, "cannot make a socket pair");
	session->channel.fd = pair[0];
	struct rmr_error *err = rmr_channel_send(&meeting, &hello, sizeof(hello), pair[1], 1000);
	close(pair[1]);
	close(rmr_take_fd(session->meeting_fd));
	rmr_points_pass(16);
	return err;
}

/** HELLO, the image, START: afterwards the agent runs. */
static struct rmr_error *start_agent(struct rmr_session *session, struct rmr_agent_image *image)
{
	struct rmr_channel *channel = &session->channel;
	struct rmr_error *err = greet(session, image);

	if (!err)
		err = expect_frame(session, RMR_FRAME_MAPPED, sizeof(struct rmr_mapped));
	if (err)
		return err;
	int64_t address = ((struct rmr_mapped *)channel->frame)->address;
	if (address < 0 && address >= -4095)
		return rmr_error_create(RMR_E_TARGET, (int)-address,
			"cannot map the agent in the target");
	size_t entry;
	err = rmr_agent_image_symbol(image, "rmr_agent_main", &entry);
	if (!err)
		err = write_image(session, image, (rmr_addr_t)address);
	rmr_points_pass(17);
	if (err)
		return err;
	struct rmr_start start = {.frame = {.type = RMR_FRAME_START},
		.data_offset = image->data_offset, .entry_offset = entry};
	rmr_log("the agent stands at %#llx, %zu bytes", (unsigned long long)address, image->filled);
	return rmr_channel_send(channel, &start, sizeof(start), -1, 1000);
}

static struct rmr_error *attach(struct rmr_session *session)
{
	struct rmr_agent_image image __attribute__((cleanup(rmr_agent_image_destroy))) = {0};
	struct rmr_error *err = rmr_agent_image_create(&image);

	if (!err)
		err = rmr_limits_check("", rmr_target_pid(session->target));
	if (!err)
		err = rmr_spawn_init_threads(session->target,
			session->options.timeouts.attach_ms);
	if (!err)
		err = spawn_boot(session);
	if (!err)
		err = meet_boot(session);
	if (!err)
		err = start_agent(session, &image);
	return err;
}

struct rmr_error *rmr_session_open(pid_t pid, const struct rmr_session_options *options,
	struct rmr_session **ret)
{
	struct rmr_session *session = calloc(1, sizeof(*session));

	if (!session)
		return &rmr_enomem;
	session->options = *options;
	session->twin_fd = -1;
	session->channel.fd = session->channel.frame_fd = session->meeting_fd = -1;
	session->channel.cancel_fd = options->cancel_fd;
	// Half of it, so that threads that do not need the file get their chance.
	const struct rmr_patience patience = {
		.ms = (options->timeouts.attach_ms + 1) / 2, .cancel_fd = options->cancel_fd};
	struct rmr_error *err = rmr_target_open(pid, &patience, &session->target);
	if (!err) {
		session->channel.pidfd = rmr_target_pidfd(session->target);
		err = attach(session);
	}
	if (err) {
		struct rmr_error *now = session->target && err->code != RMR_E_INTERRUPTED
			? rmr_session_check(session, session->channel.closed) : NULL;
		if (now) {
			rmr_error_destroy(err);
			err = now;
		}
		rmr_error_destroy(rmr_session_close(session));
		return err;
	}
	*ret = session;
	return NULL;
}

/** Waits until the agent's thread has gone. False if it is still there after @p ms. */
static bool wait_gone(struct rmr_session *session, unsigned ms)
{
	uint64_t end = rmr_log_now() + ms * 1000000ull;

	for (unsigned us = 20;; us = us < 2000 ? us + us / 4 : 2000) {
		// Before the look: what is said of the agent was so when the time was up.
		bool late = rmr_log_now() > end;
		if (!rmr_target_has_thread(session->target, session->tid))
			return true;
		struct rmr_error *err = rmr_target_check(session->target);
		if (err) {
			rmr_error_destroy(err);
			return true;
		}
		if (late)
			return false;
		pause_us(us);
	}
}

static struct rmr_error *say_goodbye(struct rmr_session *session)
{
	struct rmr_frame leave = {.type = RMR_FRAME_LEAVE};
	enum rmr_channel_event event = RMR_CHANNEL_FRAME;
	struct rmr_error *err =
		rmr_channel_send(&session->channel, &leave, sizeof(leave), -1, 100);
	rmr_points_pass(21);

	// The agent closes its end just before it unmaps itself; frames still on their way are late, and
	// a payload that prints without end sends them without end. A child that the target has forked
	// meanwhile may hold that end too: do not insist on it.
	uint64_t start = rmr_log_now(), end = start + LEAVE_MS / 2 * 1000000ull;
	for (unsigned ms = 1; !err && rmr_log_now() < end; ms *= 2) {
		do
			err = rmr_channel_receive(&session->channel, ms, false, &event);
		while (!err && event == RMR_CHANNEL_FRAME && rmr_log_now() < end);
		if (event == RMR_CHANNEL_CLOSED ||
			!rmr_target_has_thread(session->target, session->tid))
			break;
	}
	rmr_error_destroy(err);
	close(rmr_take_fd(session->channel.fd));
	rmr_points_pass(22);
	unsigned spent = (unsigned)((rmr_log_now() - start) / 1000000);
	if (wait_gone(session, spent < LEAVE_MS ? LEAVE_MS - spent : 0)) {
		rmr_log("the agent has left");
		return NULL;
	}
	err = rmr_error_create(RMR_E_TIMEOUT, 0, "the agent cannot leave the target yet");
	return rmr_error_hint(err, "it waits for the GIL or for the payload's end, and leaves by "
				   "itself as soon as it can");
}

struct rmr_error *rmr_session_close(struct rmr_session *session)
{
	struct rmr_error *err = NULL;

	if (!session)
		return NULL;
	rmr_headroom_watch_stop(session->watch);
	if (session->twin_fd >= 0)
		close(session->twin_fd);
	if (session->meeting_fd >= 0)
		close(session->meeting_fd);
	if (session->channel.fd >= 0)
		err = say_goodbye(session);
	if (session->channel.frame_fd >= 0)
		close(session->channel.frame_fd);
	rmr_target_close(session->target);
	free(session);
	return err;
}

const struct rmr_target *rmr_session_target(const struct rmr_session *session)
{
	return session->target;
}

void rmr_session_cost(const struct rmr_session *session, struct rmr_session_cost *ret)
{
	*ret = session->cost;
}
