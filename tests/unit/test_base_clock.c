/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static int parse(const char *text, uint64_t *ret_ns)
{
	return kw_clock_parse(text, strlen(text), ret_ns);
}

static void format_agrees_with_libc(void **state)
{
	static const uint64_t seconds[] = { 0,		951782400 /* 2000-02-29 */,  1709164799,
					    1709164800, 4107542399 /* 2100-02-28 */, 4107542400,
					    1795400000 };

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		char ours[KW_RFC3339_BYTES], theirs[64];
		time_t now = (time_t)seconds[i];
		struct tm parts;
		uint64_t back;

		kw_clock_format(seconds[i] * KW_NSEC_PER_SEC + 5, ours);
		assert_non_null(gmtime_r(&now, &parts));
		assert_true(strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.000000005Z",
				     &parts) > 0);
		assert_string_equal(ours, theirs);
		assert_int_equal(parse(ours, &back), 0);
		assert_true(back == seconds[i] * KW_NSEC_PER_SEC + 5);
	}
}

static void every_day_of_four_centuries_comes_back(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < 146097; day++) {
		char text[KW_RFC3339_BYTES];
		uint64_t back;

		kw_clock_format(day * 86400 * KW_NSEC_PER_SEC, text);
		assert_int_equal(parse(text, &back), 0);
		assert_true(back == day * 86400 * KW_NSEC_PER_SEC);
	}
}

static void zones_and_fractions(void **state)
{
	uint64_t zulu, east;

	(void)state;
	assert_int_equal(parse("2020-06-18T17:24:53Z", &zulu), 0);
	assert_int_equal(parse("2020-06-18T19:24:53+02:00", &east), 0);
	assert_true(zulu == east);
	assert_int_equal(parse("2020-06-18T19:24:53.5+02:00", &east), 0);
	assert_true(east == zulu + 500000000);
}

static void nonsense_is_refused(void **state)
{
	static const char *const bad[] = { "",
					   "2020",
					   "2020-13-01T00:00:00Z",
					   "2020-02-30T00:00:00Z",
					   "2021-02-29T00:00:00Z",
					   "2020-06-18T24:00:00Z",
					   "2020-06-18T17:24:53",
					   "2020-06-18T17:24:53.Z",
					   "2020-06-18T17:24:53.1234567890Z",
					   "2020-06-18T17:24:53Zx",
					   "1969-12-31T23:59:59Z",
					   "2020-06-18T17:24:53+2:00",
					   "9999-12-31T00:00:00Z" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t value = 42;

		assert_int_equal(parse(bad[i], &value), -EINVAL);
		assert_int_equal(value, 42);
	}
}

static void boot_time_becomes_wall_time(void **state)
{
	struct support_time time = { .boot_ns = 1000, .real_ns = 5000 };
	struct kw_clock clock = support_clock(&time);

	(void)state;
	assert_int_equal(kw_clock_real_of_boot(&clock, 400), 4400);
	assert_int_equal(kw_clock_real_of_boot(&clock, 1500), 5500);
	time.real_ns = 100;
	assert_int_equal(kw_clock_real_of_boot(&clock, 0), 0); /* never before 1970 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(format_agrees_with_libc),
		support_test(every_day_of_four_centuries_comes_back),
		support_test(zones_and_fractions),
		support_test(nonsense_is_refused),
		support_test(boot_time_becomes_wall_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
