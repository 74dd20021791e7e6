// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/cgroup.h"

#include "attach/procfs.h"

#include <stdio.h>
#include <string.h>

/** True if @p controllers, "cpu,cpuacct", names @p controller. */
static bool has_controller(const char *controllers, const char *controller)
{
	size_t size = strlen(controller);

	for (const char *at = controllers; *at; at += *at == ',') {
		size_t length = strcspn(at, ",");
		if (length == size && memcmp(at, controller, size) == 0)
			return true;
		at += length;
	}
	return false;
}

/** The group @p path of the hierarchy at @p base, and all above it. False: no more is wanted. */
static bool visit_levels(const char *base, const char *path, bool v2, rmr_cgroup_visit *visit, void *arg)
{
	char folder[480];
	size_t least = strlen(base);

	if (snprintf(folder, sizeof(folder), "%s%s", base, strcmp(path, "/") ? path : "") >=
		(int)sizeof(folder))
		return true;
	for (;;) {
		if (!visit(arg, folder, v2))
			return false;
		char *slash = strrchr(folder, '/');
		if (!slash || (size_t)(slash - folder) < least)
			return true;
		*slash = 0;
	}
}

void rmr_cgroup_each(const char *root, pid_t pid, const char *controller, rmr_cgroup_visit *visit, void *arg)
{
	char path[512], text[4096], *saved;

	snprintf(path, sizeof(path), "%s/proc/%d/cgroup", root, (int)pid);
	if (rmr_procfs_read_small(path, text, sizeof(text)))
		return;
	// "0::/path" is v2; "5:memory:/path", or "5:cpu,memory:/path", is v1 (cgroups(7)).
	bool more = true;
	for (char *line = strtok_r(text, "\n", &saved); line && more; line = strtok_r(NULL, "\n", &saved)) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!group)
			continue;
		*controllers++ = *group++ = 0;
		bool v2 = !strcmp(line, "0") && !*controllers;
		if (v2) {
			// Where both hierarchies are in use, v2 has a folder of its own.
			snprintf(path, sizeof(path), "%s/sys/fs/cgroup", root);
			more = visit_levels(path, group, true, visit, arg);
			snprintf(path, sizeof(path), "%s/sys/fs/cgroup/unified", root);
			more = more && visit_levels(path, group, true, visit, arg);
		} else if (has_controller(controllers, controller)) {
			snprintf(path, sizeof(path), "%s/sys/fs/cgroup/%s", root, controller);
			more = visit_levels(path, group, false, visit, arg);
		}
	}
}
