// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/diagnose.h"

#include "attach/cleanup.h"
#include "attach/procfs.h"
#include "attach/user.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The initial user namespace's inode: Linux include/linux/proc_ns.h, PROC_USER_INIT_INO. */
static const char initial_user_namespace[] = "user:[4026531837]";

enum { CGROUP_PATH = 4096 };

struct facts {
	pid_t pid;
	struct rmr_status target;
	struct rmr_status self;
	bool capable;	 /* remora has CAP_SYS_PTRACE, somewhere */
	bool initial_ns; /* remora is in the initial user namespace */
	bool dumpable;	 /* false: the files in /proc/PID belong to root, not to its user */
	long yama;	 /* ptrace_scope, or -1 without Yama */
};

struct rmr_error *rmr_diagnose_traced(const char *root, pid_t pid, pid_t tracer)
{
	struct rmr_status status;

	if (rmr_status_read(root, tracer, &status))
		strcpy(status.name, "not visible here");
	struct rmr_error *err =
		rmr_error_create(RMR_E_TRACED, 0, "process %d is already traced by process %d (%s)",
			(int)pid, (int)tracer, status.name);
	return rmr_error_hint(err, "a process has one tracer at a time: end that one first");
}

static int gather(const char *root, pid_t pid, struct facts *facts)
{
	char path[RMR_PROCFS_PATH], link[64];
	struct stat st;

	memset(facts, 0, sizeof(*facts));
	facts->pid = pid;
	int err = rmr_status_read(root, pid, &facts->target);
	if (err)
		return err;
	char text[8192];
	snprintf(path, sizeof(path), "%s/self/status", root);
	FILE *file = fopen(path, "re");
	size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	if (file)
		fclose(file);
	text[size] = '\0';
	rmr_status_parse(text, &facts->self);
	facts->capable = facts->self.effective >> CAP_SYS_PTRACE & 1;

	snprintf(path, sizeof(path), "%s/self/ns/user", root);
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = '\0';
	facts->initial_ns = n < 0 || strcmp(link, initial_user_namespace) == 0;

	snprintf(path, sizeof(path), "%s/%d", root, (int)pid);
	facts->dumpable = stat(path, &st) != 0 || st.st_uid == facts->target.uid[1];
	facts->yama = rmr_procfs_number(root, "sys/kernel/yama/ptrace_scope");
	return 0;
}

static bool is_same_user(const struct facts *facts)
{
	const struct rmr_status *target = &facts->target, *self = &facts->self;

	for (int i = 0; i < 3; i++) {
		if (target->uid[i] != self->uid[3] || target->gid[i] != self->gid[3])
			return false;
	}
	return true;
}

static struct rmr_error *refuse(const struct facts *facts, const char *why, const char *hint)
{
	struct rmr_error *err = rmr_error_create(
		RMR_E_PERMISSION, 0, "cannot attach to process %d: %s", (int)facts->pid, why);

	return rmr_error_hint(err, "%s", hint);
}

static struct rmr_error *refuse_user(const struct facts *facts)
{
	char why[128];
	const char *user = rmr_user_name(facts->target.uid[1]);

	snprintf(why, sizeof(why), "it runs as %s (uid %u), remora as uid %u",
		user ? user : "another user", (unsigned)facts->target.uid[1],
		(unsigned)facts->self.uid[3]);
	return refuse(facts, why,
		facts->self.uid[1] == 0 ? "remora needs the capability CAP_SYS_PTRACE for that"
					: "run remora as that user, or as root");
}

static struct rmr_error *refuse_yama(const struct facts *facts)
{
	char why[128];

	snprintf(
		why, sizeof(why), "Yama forbids it (kernel.yama.ptrace_scope is %ld)", facts->yama);
	if (facts->yama >= 3)
		return refuse(facts, why, "with the value 3 nobody may attach until the next boot");
	return refuse(facts, why, "run remora as root, or: sudo sysctl kernel.yama.ptrace_scope=0");
}

static struct rmr_error *diagnose_incapable(const struct facts *facts)
{
	if (!is_same_user(facts))
		return refuse_user(facts);
	if (!facts->dumpable)
		return refuse(facts,
			"it is not dumpable (a set-user-ID program, or PR_SET_DUMPABLE is 0)",
			"run remora as root");
	if (facts->target.permitted & ~facts->self.permitted)
		return refuse(facts, "it has capabilities that remora lacks",
			"give remora CAP_SYS_PTRACE (as root; docker: --cap-add SYS_PTRACE)");
	if (facts->yama > 0)
		return refuse_yama(facts);
	if (!facts->initial_ns)
		return refuse(facts, "it is outside remora's user namespace, or not dumpable",
			"run remora outside the container, as root");
	return refuse(facts,
		"a security module refuses, it is not dumpable, or remora lacks CAP_SYS_PTRACE",
		"run remora as root with CAP_SYS_PTRACE; see dmesg for SELinux or AppArmor");
}

struct rmr_error *rmr_diagnose_attach(
	const char *root, pid_t pid, enum rmr_diagnose_step step, int errnum)
{
	struct facts facts;

	if (errnum == ESRCH || errnum == ENOENT || gather(root, pid, &facts))
		return rmr_error_create(RMR_E_GONE, 0, "no process %d", (int)pid);
	if (facts.target.tracer)
		return rmr_diagnose_traced(root, pid, facts.target.tracer);
	if (errnum != EPERM && errnum != EACCES)
		return rmr_error_create(RMR_E_OS, errnum, "cannot attach to process %d", (int)pid);
	if (step == RMR_DIAGNOSE_TRACE && facts.self.seccomp)
		return refuse(&facts, "a seccomp filter forbids ptrace to remora itself",
			"docker: --cap-add SYS_PTRACE or --security-opt seccomp=unconfined");
	if (facts.yama >= 3)
		return refuse_yama(&facts);
	if (!facts.capable)
		return diagnose_incapable(&facts);
	if (!facts.initial_ns)
		return refuse(&facts, "it is outside remora's user namespace",
			"run remora outside the container, as root");
	return refuse(&facts, "a security module (SELinux, AppArmor, Landlock) refuses",
		"dmesg or the audit log tell which rule; run remora outside of its sandbox");
}

/* True if the file begins with @p text in some line. */
static bool has_line(const char *path, const char *text)
{
	char line[128];
	bool found = false;
	_rmr_fclose_ FILE *file = fopen(path, "re");

	while (file && !found && fgets(line, sizeof(line), file))
		found = strncmp(line, text, strlen(text)) == 0;
	return found;
}

/* One line of /proc/PID/cgroup, "4:freezer:/path" or "0::/path" (cgroup v2). */
static bool is_frozen_by(const char *cgroups, const char *line)
{
	char path[CGROUP_PATH + 256];
	const char *controllers = strchr(line, ':');
	const char *group = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!group || strlen(group) > CGROUP_PATH)
		return false;
	int size = (int)strcspn(group + 1, "\n");
	if (strncmp(controllers, ":freezer:", 9) == 0) {
		snprintf(path, sizeof(path), "%s/freezer%.*s/freezer.state", cgroups, size,
			group + 1);
		return has_line(path, "FROZEN") || has_line(path, "FREEZING");
	}
	if (strncmp(controllers, "::", 2) != 0)
		return false;
	snprintf(path, sizeof(path), "%s%.*s/cgroup.events", cgroups, size, group + 1);
	if (has_line(path, "frozen 1"))
		return true;
	snprintf(path, sizeof(path), "%s/unified%.*s/cgroup.events", cgroups, size, group + 1);
	return has_line(path, "frozen 1");
}

struct rmr_error *rmr_diagnose_frozen(const char *root, const char *cgroups, pid_t pid)
{
	_rmr_free_ char *text = NULL;
	int errnum = rmr_procfs_read(root, pid, "cgroup", &text, NULL);

	if (errnum == ENOMEM)
		return &rmr_enomem;
	for (const char *line = errnum ? "" : text; *line; line += *line == '\n') {
		if (is_frozen_by(cgroups, line)) {
			struct rmr_error *err = rmr_error_create(
				RMR_E_STATE, 0, "process %d is frozen by its cgroup", (int)pid);
			return rmr_error_hint(
				err, "thaw it first (docker unpause, systemctl thaw)");
		}
		line += strcspn(line, "\n");
	}
	return NULL;
}
