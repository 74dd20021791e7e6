// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/error.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

START_TEST(test_message)
{
	struct rmr_error *err = rmr_error_create(RMR_E_OS, ENOENT, "cannot open %s", "x");

	ck_assert_int_eq(err->code, RMR_E_OS);
	ck_assert_int_eq(err->errnum, ENOENT);
	ck_assert_str_eq(err->message, "cannot open x: No such file or directory");
	ck_assert_ptr_null(err->hint);
	err = rmr_error_context(err, "dump %d", 7);
	ck_assert_str_eq(err->message, "dump 7: cannot open x: No such file or directory");
	err = rmr_error_hint(err, "one");
	err = rmr_error_hint(err, "two %s", "three");
	ck_assert_str_eq(err->hint, "two three");
	rmr_error_destroy(err);
}
END_TEST

START_TEST(test_null_and_nomem)
{
	ck_assert_ptr_null(rmr_error_context(NULL, "x"));
	ck_assert_ptr_null(rmr_error_hint(NULL, "x"));
	ck_assert_ptr_eq(rmr_error_context(&rmr_enomem, "x"), &rmr_enomem);
	ck_assert_ptr_eq(rmr_error_hint(&rmr_enomem, "x"), &rmr_enomem);
	ck_assert_str_eq(rmr_enomem.message, "out of memory");
	rmr_error_destroy(&rmr_enomem);
	rmr_error_destroy(NULL);
}
END_TEST

START_TEST(test_catch)
{
	struct rmr_error *err = NULL;

	ck_assert(!rmr_error_catch(&err, RMR_E_GONE));
	err = rmr_error_create(RMR_E_GONE, 0, "gone");
	ck_assert(!rmr_error_catch(&err, RMR_E_OS));
	ck_assert_ptr_nonnull(err);
	ck_assert(rmr_error_catch(&err, RMR_E_GONE));
	ck_assert_ptr_null(err);
}
END_TEST

static const struct {
	enum rmr_code code;
	int status;
} statuses[] = {
	{RMR_E_NOMEM, 5},	{RMR_E_OS, 5},		{RMR_E_INTERRUPTED, 5},
	{RMR_E_USAGE, 2},	{RMR_E_INPUT, 2},	{RMR_E_QUERY, 1},
	{RMR_E_PAYLOAD, 1},	{RMR_E_GONE, 3},	{RMR_E_NOT_PYTHON, 3},
	{RMR_E_UNSUPPORTED, 3}, {RMR_E_PERMISSION, 3},	{RMR_E_TRACED, 3},
	{RMR_E_STATE, 3},	{RMR_E_UNSAFE, 3},	{RMR_E_NO_MEMORY, 3},
	{RMR_E_TIMEOUT, 4},	{RMR_E_TARGET, 5},	{RMR_E_WRITE, 5},
	{RMR_E_PROTOCOL, 5},
};

START_TEST(test_exit_status)
{
	struct rmr_error *err = rmr_error_create(statuses[_i].code, 0, "x");

	ck_assert_int_eq(rmr_error_exit_status(err), statuses[_i].status);
	rmr_error_destroy(err);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error");
	TCase *tcase = tcase_create("error");

	tcase_add_test(tcase, test_message);
	tcase_add_test(tcase, test_null_and_nomem);
	tcase_add_test(tcase, test_catch);
	tcase_add_loop_test(tcase, test_exit_status, 0, sizeof(statuses) / sizeof(statuses[0]));
	suite_add_tcase(suite, tcase);
	return rmr_run_suite(suite);
}
