/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Clocks that are set, sleep and drift: what is told, and what time it was before. */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/clockwatch.h"

#define HOUR_NS (3600 * KW_NSEC_PER_SEC)
#define BEGIN_NS (100 * KW_NSEC_PER_SEC)

/* A host whose clocks the test moves. */
struct host {
	struct kw_clock_reading now;
	struct kw_clockwatch watch;
	struct kw_clock_change change; /* the last one */
	struct kw_clock clock;
};

static uint64_t host_boot(void *context)
{
	return ((struct host *)context)->now.boot_ns;
}

static uint64_t host_real(void *context)
{
	return ((struct host *)context)->now.real_ns;
}

static void host_read(void *context, struct kw_clock_reading *ret_reading)
{
	*ret_reading = ((struct host *)context)->now;
}

static void begin(struct host *host)
{
	*host = (struct host){ .now = { .boot_ns = BEGIN_NS,
					.real_ns = 1000 * HOUR_NS,
					.monotonic_ns = BEGIN_NS,
					.error_ns = 1000,
					.sync = { KW_CLOCK_UNSYNCHRONISED, 16000000 } } };
	host->clock =
		(struct kw_clock){ host_boot, host_real, host, host_read, &host->watch.steps };
	kw_clockwatch_begin(&host->watch, &host->now);
}

static void pass(struct host *host, uint64_t ns)
{
	host->now.boot_ns += ns;
	host->now.real_ns += ns;
	host->now.monotonic_ns += ns;
}

static void set(struct host *host, int64_t by_ns)
{
	host->now.real_ns += (uint64_t)by_ns;
}

/* Looks through the clock that is injected, and accepts what is told. */
static bool look(struct host *host)
{
	struct kw_clock_reading reading;

	assert_int_equal(kw_clock_read(&host->clock, &reading), 0);
	if (!kw_clockwatch_look(&host->watch, &reading, &host->change))
		return false;
	kw_clockwatch_accept(&host->watch, &host->change);
	return true;
}

static void nothing_happens_to_a_clock_that_runs(void **state)
{
	struct host host;

	(void)state;
	begin(&host);
	for (int i = 0; i < 100000; i++) {
		pass(&host, 10 * KW_NSEC_PER_SEC);
		assert_false(look(&host));
	}
	assert_int_equal(host.watch.steps.count, 0);
}

static void steps_are_told_with_their_amount(void **state)
{
	static const int64_t amounts[] = { (int64_t)HOUR_NS, -(int64_t)HOUR_NS, 11000000,
					   -11000000 };
	struct host host;

	(void)state;
	begin(&host);
	for (size_t i = 0; i < kw_array_size(amounts); i++) {
		uint64_t from;

		pass(&host, 5 * KW_NSEC_PER_SEC);
		assert_false(look(&host));
		from = host.now.boot_ns;
		pass(&host, 3000);
		set(&host, amounts[i]);
		assert_true(look(&host));
		assert_true(host.change.is_step);
		assert_false(host.change.is_suspend || host.change.is_state);
		assert_true(host.change.step_ns == amounts[i]);
		assert_int_equal(host.change.from_boot_ns, from);
		assert_int_equal(host.change.reading.boot_ns, from + 3000);
		assert_int_equal(host.change.error_ns, 2000);
		pass(&host, 5 * KW_NSEC_PER_SEC);
		assert_false(look(&host)); /* once */
	}
	assert_int_equal(host.watch.steps.count, kw_array_size(amounts));
}

static void small_steps_add_up(void **state)
{
	struct host host;

	(void)state;
	begin(&host);
	for (int i = 0; i < 10; i++) {
		pass(&host, 2 * KW_NSEC_PER_SEC);
		set(&host, 1000000); /* a tenth of the least */
		assert_false(look(&host));
	}
	pass(&host, 2 * KW_NSEC_PER_SEC);
	set(&host, 1000000);
	assert_true(look(&host));
	assert_true(host.change.step_ns == 11000000);
	/* A reading that is not exact proves nothing. */
	begin(&host);
	host.now.error_ns = 50 * KW_NSEC_PER_MSEC;
	set(&host, 40 * (int64_t)KW_NSEC_PER_MSEC);
	assert_false(look(&host));
}

static void who_sets_it_all_the_time_is_told_of_once_a_second(void **state)
{
	struct host host;
	int told = 0;

	(void)state;
	begin(&host);
	pass(&host, KW_NSEC_PER_SEC);
	for (int i = 0; i < 1000; i++) {
		set(&host, (int64_t)KW_NSEC_PER_SEC);
		told += look(&host);
		pass(&host, 10 * KW_NSEC_PER_MSEC);
	}
	assert_int_equal(told, 10);
	pass(&host, KW_NSEC_PER_SEC);
	assert_true(look(&host));
	/* And nothing of it is lost. */
	assert_true(kw_clock_stepped_ns(&host.clock, 0, host.now.boot_ns) ==
		    1000 * (int64_t)KW_NSEC_PER_SEC);
}

static void suspends_are_told_with_their_length(void **state)
{
	struct host host;

	(void)state;
	begin(&host);
	pass(&host, KW_NSEC_PER_SEC);
	host.now.boot_ns += 8 * HOUR_NS; /* monotonic stands still */
	host.now.real_ns += 8 * HOUR_NS;
	assert_true(look(&host));
	assert_true(host.change.is_suspend);
	assert_false(host.change.is_step || host.change.is_state);
	assert_int_equal(host.change.suspended_ns, 8 * HOUR_NS);
	assert_int_equal(host.change.from_boot_ns, BEGIN_NS);
	pass(&host, 5 * KW_NSEC_PER_SEC);
	assert_false(look(&host));
	/* A clock that was wrong when it woke: both. */
	host.now.boot_ns += HOUR_NS;
	assert_true(look(&host));
	assert_true(host.change.is_suspend && host.change.is_step);
	assert_true(host.change.step_ns == -(int64_t)HOUR_NS);
	assert_int_equal(host.watch.suspends, 2);
}

static void a_state_is_told_when_it_changes(void **state)
{
	struct host host;

	(void)state;
	begin(&host);
	pass(&host, 5 * KW_NSEC_PER_SEC);
	host.now.sync = (struct kw_clock_sync){ KW_CLOCK_SYNCHRONISED, 1234 };
	assert_true(look(&host));
	assert_true(host.change.is_state);
	assert_false(host.change.is_step || host.change.is_suspend);
	pass(&host, 5 * KW_NSEC_PER_SEC);
	host.now.sync.max_error_usec = 4321; /* an error alone is no change */
	assert_false(look(&host));
	host.now.sync.state = KW_CLOCK_UNKNOWN;
	assert_true(look(&host));
	assert_string_equal(kw_clock_state_name(host.change.reading.sync.state), "unknown");
}

static void what_was_not_accepted_is_told_again(void **state)
{
	struct kw_clock_change change;
	struct host host;

	(void)state;
	begin(&host);
	pass(&host, 5 * KW_NSEC_PER_SEC);
	set(&host, -(int64_t)HOUR_NS);
	assert_true(kw_clockwatch_look(&host.watch, &host.now, &change));
	pass(&host, 5 * KW_NSEC_PER_SEC);
	assert_true(kw_clockwatch_look(&host.watch, &host.now, &change));
	assert_true(change.step_ns == -(int64_t)HOUR_NS);
	assert_int_equal(change.from_boot_ns, BEGIN_NS);
	assert_int_equal(host.watch.steps.count, 0);
}

static void what_happened_before_a_step_is_dated_by_the_clock_of_then(void **state)
{
	uint64_t before_boot, before_real, between_boot, between_real;
	struct host host;

	(void)state;
	begin(&host);
	pass(&host, KW_NSEC_PER_SEC);
	before_boot = host.now.boot_ns;
	before_real = host.now.real_ns;
	pass(&host, KW_NSEC_PER_SEC);
	assert_false(look(&host));
	set(&host, (int64_t)HOUR_NS);
	assert_true(look(&host));
	pass(&host, 5 * KW_NSEC_PER_SEC);
	between_boot = host.now.boot_ns;
	between_real = host.now.real_ns;
	pass(&host, KW_NSEC_PER_SEC);
	assert_false(look(&host));
	set(&host, -3 * (int64_t)HOUR_NS);
	assert_true(look(&host));
	pass(&host, 7 * KW_NSEC_PER_SEC);
	assert_int_equal(kw_clock_real_of_boot(&host.clock, before_boot), before_real);
	assert_int_equal(kw_clock_real_of_boot(&host.clock, between_boot), between_real);
	assert_int_equal(kw_clock_real_of_boot(&host.clock, host.now.boot_ns), host.now.real_ns);
	/* A record that was received before the second step, and is told after it. */
	assert_int_equal(kw_clock_real_before(&host.clock, before_boot, between_boot, between_real),
			 before_real);
	/* Never before 1970, whatever the steps say. */
	host.watch.steps.last[0].by_ns = INT64_MAX;
	assert_int_equal(kw_clock_real_of_boot(&host.clock, before_boot), 0);
}

static void the_oldest_of_many_steps_are_forgotten(void **state)
{
	struct host host;

	(void)state;
	begin(&host);
	for (int i = 0; i < KW_CLOCK_STEPS_MAX + 4; i++) {
		pass(&host, 2 * KW_NSEC_PER_SEC);
		set(&host, (int64_t)KW_NSEC_PER_SEC);
		assert_true(look(&host));
	}
	assert_int_equal(host.watch.steps.count, KW_CLOCK_STEPS_MAX + 4);
	assert_true(kw_clock_stepped_ns(&host.clock, 0, host.now.boot_ns) ==
		    KW_CLOCK_STEPS_MAX * (int64_t)KW_NSEC_PER_SEC);
	/* Nothing is old when so many were made within the time that counts, and each may hide another. */
	assert_int_equal(kw_clock_settled_real_ns(&host.clock, HOUR_NS), 0);
	pass(&host, 2 * HOUR_NS);
	assert_int_equal(kw_clock_settled_real_ns(&host.clock, HOUR_NS), host.now.real_ns);
}

static void a_step_forwards_counts_when_it_has_lasted(void **state)
{
	struct host host;
	uint64_t year = 8766 * HOUR_NS;

	(void)state;
	begin(&host);
	pass(&host, KW_NSEC_PER_SEC);
	set(&host, (int64_t)year);
	assert_true(look(&host));
	assert_int_equal(kw_clock_settled_real_ns(&host.clock, HOUR_NS), host.now.real_ns - year);
	pass(&host, 30 * 60 * KW_NSEC_PER_SEC);
	set(&host, -(int64_t)year); /* for a moment only */
	assert_true(look(&host));
	assert_true(kw_clock_settled_real_ns(&host.clock, HOUR_NS) <= host.now.real_ns);
	pass(&host, HOUR_NS + 1);
	assert_int_equal(kw_clock_settled_real_ns(&host.clock, HOUR_NS), host.now.real_ns);
}

static void the_kernels_clocks_are_read_at_one_moment(void **state)
{
	struct support_time time = { .boot_ns = 1, .real_ns = 2 };
	struct kw_clock fake = support_clock(&time);
	struct kw_clock_reading reading = { .boot_ns = 42 };

	(void)state;
	assert_int_equal(kw_clock_read(&fake, &reading), -EOPNOTSUPP);
	assert_int_equal(reading.boot_ns, 42);
	assert_int_equal(kw_clock_read(&kw_clock_system, &reading), 0);
	assert_true(reading.boot_ns + reading.error_ns >= reading.monotonic_ns);
	assert_true(reading.error_ns < KW_NSEC_PER_SEC);
	assert_true(reading.sync.state < KW_CLOCK_STATE_COUNT_);
	assert_true(kw_clock_boot_ns(&kw_clock_system) >= reading.boot_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_happens_to_a_clock_that_runs),
		cmocka_unit_test(steps_are_told_with_their_amount),
		cmocka_unit_test(small_steps_add_up),
		cmocka_unit_test(who_sets_it_all_the_time_is_told_of_once_a_second),
		cmocka_unit_test(suspends_are_told_with_their_length),
		cmocka_unit_test(a_state_is_told_when_it_changes),
		cmocka_unit_test(what_was_not_accepted_is_told_again),
		cmocka_unit_test(what_happened_before_a_step_is_dated_by_the_clock_of_then),
		cmocka_unit_test(the_oldest_of_many_steps_are_forgotten),
		cmocka_unit_test(a_step_forwards_counts_when_it_has_lasted),
		cmocka_unit_test(the_kernels_clocks_are_read_at_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
