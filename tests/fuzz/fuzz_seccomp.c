// SPDX-License-Identifier: GPL-3.0-or-later
// A target's seccomp filters: they end in finite time and read nothing but what they may.
#include "attach/seccomp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	// Of exact size, so that a read past the end is seen.
	size_t count = size / sizeof(struct sock_filter);
	struct sock_filter *code = malloc(count * sizeof(*code));
	struct rmr_seccomp seccomp;
	struct rmr_seccomp_refusal refusal;

	if (!code)
		return 0;
	if (count)
		memcpy(code, data, count * sizeof(*code));
	rmr_seccomp_init(&seccomp, 100);
	rmr_seccomp_add(&seccomp, code, count / 2);
	rmr_seccomp_add(&seccomp, code, count);
	if (rmr_seccomp_refuses(&seccomp, RMR_SECCOMP_TWIN, &refusal) &&
	    (!refusal.name || !refusal.need))
		abort();
	free(code);
	return 0;
}
