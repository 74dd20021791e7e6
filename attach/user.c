// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/user.h"

#include "attach/cleanup.h"

#include <pwd.h>
#include <stdio.h>

/* A static program must not load modules of another C library, as getpwuid() does for users that
 * nsswitch.conf has looked for elsewhere: it reads /etc/passwd alone. */
const char *rmr_user_name(uid_t uid)
{
#ifdef REMORA_STATIC
	_rmr_fclose_ FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *user;

	while (file && (user = fgetpwent(file))) {
		if (user->pw_uid == uid)
			return user->pw_name;
	}
	return NULL;
#else
	const struct passwd *user = getpwuid(uid);

	return user ? user->pw_name : NULL;
#endif
}
