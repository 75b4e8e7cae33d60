/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/verify/scan.h"

static void expect(const char *text, const char *canonical)
{
	char out[KW_NUMBER_BYTES];

	assert_int_equal(kw_number_format(text, strlen(text), out), 0);
	assert_string_equal(out, canonical);
}

/* The RFC's own table, tests/vectors/rfc8785/numbers.txt. */
static void doubles_print_as_the_rfc_says(void **state)
{
	FILE *file = fopen("tests/vectors/rfc8785/numbers.txt", "re");
	char canonical[64], text[64];
	uint64_t bits;
	int rows = 0;

	(void)state;
	assert_non_null(file);
	while (fscanf(file, "%16" SCNx64 " %63s", &bits, canonical) == 2) {
		double value;

		memcpy(&value, &bits, sizeof(value));
		(void)snprintf(text, sizeof(text), "%.17e", value);
		expect(text, canonical);
		rows++;
	}
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rows, 25);
}

static void integers_of_64_bits_are_exact(void **state)
{
	(void)state;
	expect("18446744073709551615", "18446744073709551615");
	expect("9007199254740993", "9007199254740993");
	expect("-9223372036854775808", "-9223372036854775808");
	expect("0", "0");
	expect("-0", "0");
	/* Above 64 bits: doubles again. */
	expect("18446744073709551616", "18446744073709552000");
	expect("-9223372036854775809", "-9223372036854776000");
}

static void other_spellings_become_the_one(void **state)
{
	char out[KW_NUMBER_BYTES];

	(void)state;
	expect("1e3", "1000");
	expect("1.0", "1");
	expect("1E+2", "100");
	expect("100e-2", "1");
	expect("0.1e1", "1");
	expect("-0.0", "0");
	expect("1e-400", "0");
	expect("1e21", "1e+21");
	expect("123456789012345678901", "123456789012345680000");
	expect("0.000001", "0.000001");
	expect("0.0000001", "1e-7");
	assert_int_equal(kw_number_format("1e400", 5, out), -ERANGE);
	assert_int_equal(kw_number_format("-1e400", 6, out), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_print_as_the_rfc_says),
		cmocka_unit_test(integers_of_64_bits_are_exact),
		cmocka_unit_test(other_spellings_become_the_one),
	};

	return cmocka_run_group_tests_name("verify_number", tests, NULL, NULL);
}
