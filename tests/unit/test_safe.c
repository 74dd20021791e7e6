// SPDX-License-Identifier: GPL-3.0-or-later
/* Chains of frames, innermost first, and whether a thread with them may be borrowed. */
#include "attach/safe.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <string.h>

/* P program, I interpreter, E its evaluation loop, c C library, a anytime, w wait, l lock, s start, D loader,
 * M allocator, ? no file, S program interrupted by a signal; '.' the outermost frame was reached. */
static const struct {
	char letter;
	enum rmr_safe_place place;
} letters[] = {
	{'P', RMR_PLACE_PROGRAM}, {'I', RMR_PLACE_INTERPRETER}, {'E', RMR_PLACE_EVAL},      {'c', RMR_PLACE_LIBC},
	{'a', RMR_PLACE_ANYTIME}, {'w', RMR_PLACE_WAIT},      {'l', RMR_PLACE_LOCK},
	{'s', RMR_PLACE_START},	  {'D', RMR_PLACE_LOADER},    {'M', RMR_PLACE_ALLOCATOR},
	{'?', RMR_PLACE_UNKNOWN}, {'S', RMR_PLACE_PROGRAM},
};

enum { NOWHERE, WAITS, FUTEX };

static const struct {
	const char *chain;
	int syscall;
	enum rmr_safe_step step;
	const char *reason; /* a part of it */
} chains[] = {
	/* Running code. */
	{"E", NOWHERE, RMR_STEP_SAFE, NULL},
	{"PPE", NOWHERE, RMR_STEP_SAFE, NULL},
	{"PPP.", NOWHERE, RMR_STEP_SAFE, NULL},
	{"PP", NOWHERE, RMR_STEP_ON, NULL},
	{"P?E", NOWHERE, RMR_STEP_UNSAFE, "no file"},
	{"?PE", NOWHERE, RMR_STEP_UNSAFE, "no file"},
	/* Many frames of the interpreter are as good as its evaluation loop. */
	{"IIII", NOWHERE, RMR_STEP_ON, NULL},
	{"IIIIIIIIIIIIIIIIPPPIIIIIIIIIIIIIIIII", NOWHERE, RMR_STEP_SAFE, NULL},
	{"IIISE", NOWHERE, RMR_STEP_UNSAFE, "signal handler"},
	/* In the C library, running. */
	{"cE", NOWHERE, RMR_STEP_UNSAFE, "C library"},
	{"ccPE", NOWHERE, RMR_STEP_UNSAFE, "C library"},
	{"caPE", NOWHERE, RMR_STEP_SAFE, NULL},
	{"lPE", NOWHERE, RMR_STEP_UNSAFE, "C library"},
	{"wPE", NOWHERE, RMR_STEP_UNSAFE, "C library"},
	/* Waiting: the function that the program called counts, not the inner ones. */
	{"lPE", WAITS, RMR_STEP_SAFE, NULL},
	{"cclPE", WAITS, RMR_STEP_SAFE, NULL},
	{"lcPE", WAITS, RMR_STEP_UNSAFE, "C library"},
	{"wPE", WAITS, RMR_STEP_SAFE, NULL},
	{"clPE", FUTEX, RMR_STEP_SAFE, NULL},
	{"cwPE", FUTEX, RMR_STEP_UNSAFE, "C library"},
	{"ccPE", FUTEX, RMR_STEP_UNSAFE, "C library"},
	/* The C library's start code is outermost. */
	{"lPPcc.", WAITS, RMR_STEP_SAFE, NULL},
	{"lPcsP.", WAITS, RMR_STEP_SAFE, NULL},
	{"PcsP.", NOWHERE, RMR_STEP_SAFE, NULL},
	{"ccc.", WAITS, RMR_STEP_UNSAFE, "thread of the C library"},
	{".", NOWHERE, RMR_STEP_UNSAFE, "thread of the C library"},
	{"csP.", NOWHERE, RMR_STEP_UNSAFE, "C library"},
	/* Called back, as by qsort or dl_iterate_phdr; outside the evaluation loop it is no matter. */
	{"PcP.", NOWHERE, RMR_STEP_UNSAFE, "called back"},
	{"PcPE", NOWHERE, RMR_STEP_UNSAFE, "called back"},
	{"PlPE", WAITS, RMR_STEP_UNSAFE, "called back"},
	{"PEcP.", NOWHERE, RMR_STEP_SAFE, NULL},
	/* Loader, allocators, signal handlers. */
	{"DPE", NOWHERE, RMR_STEP_UNSAFE, "loader"},
	{"PDcPE", NOWHERE, RMR_STEP_UNSAFE, "loader"},
	{"MPE", NOWHERE, RMR_STEP_UNSAFE, "allocator"},
	{"lMPE", WAITS, RMR_STEP_UNSAFE, "allocator"},
	{"PSE", NOWHERE, RMR_STEP_UNSAFE, "signal handler"},
	{"lPSE", WAITS, RMR_STEP_UNSAFE, "signal handler"},
};

static enum rmr_safe_step run(const char *chain, struct rmr_safe_walk *walk)
{
	for (; *chain; chain++) {
		if (*chain == '.')
			return rmr_safe_end(walk);
		enum rmr_safe_place place = RMR_PLACE_UNKNOWN;
		for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
			if (letters[i].letter == *chain)
				place = letters[i].place;
		}
		enum rmr_safe_step step = rmr_safe_next(walk, place, *chain == 'S');
		if (step != RMR_STEP_ON)
			return step;
	}
	return RMR_STEP_ON;
}

START_TEST(test_chain)
{
	struct rmr_safe_walk walk = {
		.waits = chains[_i].syscall == WAITS,
		.waits_futex = chains[_i].syscall == FUTEX,
	};
	enum rmr_safe_step step = run(chains[_i].chain, &walk);

	ck_assert_msg(step == chains[_i].step, "%s: %d", chains[_i].chain, step);
	if (chains[_i].reason)
		ck_assert_msg(strstr(walk.reason, chains[_i].reason) != NULL, "%s: %s",
			      chains[_i].chain, walk.reason);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("safe");
	TCase *tcase = tcase_create("safe");

	tcase_add_loop_test(tcase, test_chain, 0, sizeof(chains) / sizeof(chains[0]));
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
