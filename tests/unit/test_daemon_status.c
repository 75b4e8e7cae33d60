/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "user/daemon/status.h"

static const struct kw_status_costs two = {
	.counting = 1,
	.count = 2,
	.programs = {
		{ .program = "fexit_throttle", .run_count = 7, .run_time_ns = 3000000042 },
		{ .program = "raw_tp_mark_victim" },
	},
};

static void *dumped(const struct kw_status_costs *costs)
{
	json_t *object = kw_status_costs_json(costs);
	char *text = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT);

	json_decref(object);
	return text;
}

static void costs_are_told_as_the_kernel_has_counted_them(void **state)
{
	cleanup_free char *text = dumped(&two);

	(void)state;
	assert_string_equal(
		text,
		"{\"programs\":[{\"program\":\"fexit_throttle\",\"runTimeNs\":3000000042,\"runs\":7},"
		"{\"program\":\"raw_tp_mark_victim\",\"runTimeNs\":0,\"runs\":0}],"
		"\"statistics\":\"on\"}");
}

static void what_is_not_counted_is_said_to_be_so(void **state)
{
	struct kw_status_costs costs = { .counting = 0, .count = -EPERM };
	cleanup_free char *off = dumped(&costs);
	cleanup_free char *unknown = NULL;

	(void)state;
	assert_string_equal(off, "{\"programs\":null,\"statistics\":\"off\"}");
	costs.counting = -EACCES;
	costs.count = 0;
	unknown = dumped(&costs);
	assert_string_equal(unknown, "{\"programs\":[],\"statistics\":\"unknown\"}");
}

static void metrics_count_in_seconds(void **state)
{
	cleanup_bytes struct kw_bytes text;

	(void)state;
	kw_bytes_init(&text, KW_HTTP_PAGE_MAX);
	kw_metrics_write_costs(&two, &text);
	assert_int_equal(kw_bytes_error(&text), 0);
	assert_non_null(strstr(text.data, "\nkwitness_bpf_stats_enabled 1\n"));
	assert_non_null(strstr(
		text.data, "\nkwitness_bpf_program_runs_total{program=\"fexit_throttle\"} 7\n"));
	assert_non_null(strstr(
		text.data,
		"\nkwitness_bpf_program_run_seconds_total{program=\"fexit_throttle\"} 3.000000042\n"));
	assert_non_null(
		strstr(text.data,
		       "\nkwitness_bpf_program_runs_total{program=\"raw_tp_mark_victim\"} 0\n"));
}

static void metrics_that_are_not_known_are_absent(void **state)
{
	const struct kw_status_costs costs = { .counting = -EACCES, .count = -EPERM };
	cleanup_bytes struct kw_bytes text;

	(void)state;
	kw_bytes_init(&text, KW_HTTP_PAGE_MAX);
	kw_metrics_write_costs(&costs, &text);
	assert_null(strstr(text.data, "bpf_stats_enabled"));
	assert_null(strchr(text.data, '{'));
}

static void the_clock_is_told_in_seconds_and_only_when_it_is_known(void **state)
{
	const struct kw_clockwatch watch = { .steps = { .count = 3 }, .suspends = 2 };
	const struct kw_clock_sync sync = { KW_CLOCK_SYNCHRONISED, 1500 };
	cleanup_bytes struct kw_bytes text, unknown;
	json_t *object;

	(void)state;
	kw_bytes_init(&text, KW_HTTP_PAGE_MAX);
	kw_bytes_init(&unknown, KW_HTTP_PAGE_MAX);
	kw_metrics_write_clock(&watch, &sync, &text);
	assert_non_null(strstr(text.data, "\nkwitness_clock_synchronised 1\n"));
	assert_non_null(strstr(text.data, "\nkwitness_clock_max_error_seconds 0.001500000\n"));
	assert_non_null(strstr(text.data, "\nkwitness_clock_steps_total 3\n"));
	assert_non_null(strstr(text.data, "\nkwitness_suspends_total 2\n"));
	kw_metrics_write_clock(&watch, NULL, &unknown);
	assert_null(strstr(unknown.data, "synchronised"));
	assert_null(strstr(unknown.data, "max_error"));
	object = kw_status_clock_json(&watch, NULL);
	assert_string_equal(json_string_value(json_object_get(object, "state")), "unknown");
	assert_true(json_is_null(json_object_get(object, "maxErrorUsec")));
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_are_told_as_the_kernel_has_counted_them),
		cmocka_unit_test(what_is_not_counted_is_said_to_be_so),
		cmocka_unit_test(metrics_count_in_seconds),
		cmocka_unit_test(metrics_that_are_not_known_are_absent),
		cmocka_unit_test(the_clock_is_told_in_seconds_and_only_when_it_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
