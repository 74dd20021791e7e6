// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The end of every main() of a unit test. */
#ifndef RMR_TESTS_UNIT_SUITE_H
#define RMR_TESTS_UNIT_SUITE_H

#include <check.h>
#include <stdlib.h>

/** Runs @p suite, which is freed; returns the status to exit with. */
static inline int rmr_run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
