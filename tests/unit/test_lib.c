/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/lib.h"

static void strbuf_grows(void **state)
{
	struct strbuf b = { 0 };
	char big[1000];

	memset(big, 'x', sizeof(big));
	strbuf_printf(&b, "%d-%s;", 42, "a");
	assert_string_equal(b.s, "42-a;");
	strbuf_write(&b, big, sizeof(big));
	assert_int_equal(b.len, 1005);
	strbuf_printf(&b, "%.*s", 1000, big);
	assert_int_equal(b.len, 2005);
	assert_int_equal(strlen(b.s), 2005);
	strbuf_free(&b);
	assert_null(b.s);
}

static void refcounts(void **state)
{
	struct refcount r;

	refcount_init(&r);
	refcount_get(&r);
	assert_false(refcount_put(&r));
	assert_true(refcount_try_get(&r));
	assert_false(refcount_put(&r));
	assert_true(refcount_put(&r));
	assert_false(refcount_try_get(&r));
}

static int freed;
DEFINE_FREE(count, int *, if (_p) freed++);
static void cleanup_by_scope(void **state)
{
	int x = 0;
	{
		__free(count) int *p = &x;
		__free(count) int *q = &x;
		int *moved = no_free_ptr(q);
		assert_ptr_equal(moved, &x);
		(void)p;
	}
	assert_int_equal(freed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strbuf_grows),
		cmocka_unit_test(refcounts),
		cmocka_unit_test(cleanup_by_scope),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
