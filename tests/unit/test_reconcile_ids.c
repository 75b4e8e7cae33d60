/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Derived ids, against bytes that another program made. */
#include "support.h"

#include <string.h>

#include "user/reconcile/reconcile.h"

#define BOOT "5f6e2c1a-9d3b-4c77-8a10-2b1f0c9d8e7f"

static void test_known(void **state)
{
	char id[40];

	(void)state;
	/* printf '5f6e2c1a-9d3b-4c77-8a10-2b1f0c9d8e7f\0record\0001234567' | sha256sum, the version's
	 * and the variant's bits set by hand. */
	kw_ids_derive(BOOT, "record", 1234567, id);
	assert_string_equal(id, "ea33bd4c-2427-8071-a7f2-c7a88543ea75");
	kw_ids_derive(BOOT, "incident", UINT64_MAX, id);
	assert_string_equal(id, "deb96861-d744-83c9-a9b5-26ea3555c618");
}

static void test_shape(void **state)
{
	char id[40], other[40];

	(void)state;
	for (uint64_t number = 0; number < 1000; number++) {
		kw_ids_derive(BOOT, "record", number, id);
		assert_int_equal(strlen(id), 36);
		assert_int_equal(id[14], '8'); /* RFC 9562 section 5.8 */
		assert_non_null(strchr("89ab", id[19]));
		kw_ids_derive(BOOT, "incident", number, other);
		assert_string_not_equal(id, other);
		kw_ids_derive(BOOT, "record", number + 1, other);
		assert_string_not_equal(id, other);
	}
	/* Where one part ends and the next begins counts. */
	kw_ids_derive("ab", "c", 1, id);
	kw_ids_derive("a", "bc", 1, other);
	assert_string_not_equal(id, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
