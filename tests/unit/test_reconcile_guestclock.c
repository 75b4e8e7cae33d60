/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The guest's clock: what is said of it holds for clocks and delays of every kind, and for lies. */
#include "support.h"

#include <stdlib.h>

#include "user/base/cleanup.h"
#include "user/reconcile/guestclock.h"

#define MS ((int64_t)KW_NSEC_PER_MSEC)
#define S ((int64_t)KW_NSEC_PER_SEC)

/* The same numbers on every machine. */
static uint64_t state_of_random;
static uint64_t random_below(uint64_t bound)
{
	state_of_random = state_of_random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state_of_random >> 33) % bound;
}

/* A guest whose clock shows (host - host_at_boot) * (1 + ppb / 10^9). */
struct guest {
	struct kw_guestclock clock;
	uint64_t host_at_boot_ns;
	int64_t ppb;
	uint64_t now_ns; /* host */
	uint64_t last_received_ns;
	int64_t stopped_ns; /* in all */
};

static uint64_t guest_time(const struct guest *guest)
{
	__int128 lived = (__int128)guest->now_ns - guest->host_at_boot_ns - guest->stopped_ns;

	return (uint64_t)(lived + lived * guest->ppb / 1000000000);
}

/* One frame, delayed; false: nothing is known yet. */
static bool talk(struct guest *guest, uint64_t delay_ns, struct kw_guestclock_estimate *estimate)
{
	uint64_t stamp = guest_time(guest), received = guest->now_ns + delay_ns;

	if (received < guest->last_received_ns) /* a stream keeps its order */
		received = guest->last_received_ns;
	guest->last_received_ns = received;
	kw_guestclock_observe(&guest->clock, stamp, received);
	return kw_guestclock_estimate(&guest->clock, stamp, received, estimate);
}

/* How far the time that the estimate gives for the frame's making is from the truth. */
static uint64_t missed_by(const struct guest *guest, const struct kw_guestclock_estimate *estimate)
{
	int64_t told = (int64_t)guest_time(guest) + estimate->offset_ns;

	return (uint64_t)llabs(told - (int64_t)guest->now_ns);
}

static void nothing_is_known_of_a_few_frames(void **state)
{
	struct kw_guestclock_estimate estimate;
	struct guest guest = { .host_at_boot_ns = 100, .now_ns = 50 * S };
	int64_t ppb;
	uint64_t error;

	(void)state;
	for (int i = 0; i < 3; i++, guest.now_ns += 2 * S)
		assert_false(talk(&guest, 1000, &estimate));
	assert_true(talk(&guest, 1000, &estimate));
	assert_int_equal(estimate.offset_ns, 100 + 1000); /* what all frames have in common */
	assert_int_equal(estimate.delay_ns, 0);
	/* A level line, and what an honest clock may rise in the six seconds that were seen. */
	assert_true(estimate.error_ns <= (uint64_t)(3 * MS) + 1);
	assert_true(estimate.error_ns >= (uint64_t)(2 * MS));
	assert_false(kw_guestclock_rate(&guest.clock, &ppb, &error));
}

/* Most frames come fast, some wait in queues for up to a second. */
static uint64_t any_delay(void)
{
	uint64_t delay = 20000 + random_below(200000);

	if (random_below(4) == 0)
		delay += random_below((uint64_t)(20 * MS));
	if (random_below(20) == 0)
		delay += random_below((uint64_t)S);
	return delay;
}

static void the_truth_lies_within_the_error(void **state)
{
	unsigned int known = 0, wide = 0, missed = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct guest guest = { 0 };
		uint64_t pause;

		state_of_random = seed;
		guest.host_at_boot_ns = random_below((uint64_t)(100000 * S));
		guest.now_ns = guest.host_at_boot_ns + random_below((uint64_t)(1000 * S));
		guest.ppb = (int64_t)random_below(800000) - 400000;
		pause = (uint64_t)(50 * MS) + random_below((uint64_t)(3 * S));
		for (int i = 0; i < 400; i++) {
			struct kw_guestclock_estimate estimate;

			guest.now_ns += random_below(pause);
			if (!talk(&guest, any_delay(), &estimate))
				continue;
			known++;
			wide += estimate.error_ns > (uint64_t)(200 * MS);
			/* The 20 us that every frame waits are in the offset, not in the error. */
			missed += missed_by(&guest, &estimate) > estimate.error_ns + 20000;
		}
	}
	assert_true(known > 50000);
	assert_true(wide < known / 10);
	assert_true(missed < known / 1000);
}

static void a_rate_is_told_only_where_it_is_sure(void **state)
{
	unsigned int told = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct guest guest = { .host_at_boot_ns = (uint64_t)S, .now_ns = 2 * S };

		state_of_random = seed;
		guest.ppb = (int64_t)random_below(800000) - 400000;
		for (int i = 0; i < 500; i++) {
			struct kw_guestclock_estimate estimate;
			int64_t ppb;
			uint64_t error;

			guest.now_ns += random_below((uint64_t)(500 * MS));
			(void)talk(&guest, any_delay(), &estimate);
			if (!kw_guestclock_rate(&guest.clock, &ppb, &error))
				continue;
			told++;
			/* No honest clock is called a liar. */
			assert_true((uint64_t)llabs(ppb) <= error + 500000);
		}
	}
	assert_true(told > 50000);
}

static void a_clock_that_runs_wrong_is_found(void **state)
{
	static const int64_t wrong[] = { 1000000, -1000000, 100000000, -500000000, 2000000000 };

	(void)state;
	for (size_t i = 0; i < kw_array_size(wrong); i++) {
		struct guest guest = { .host_at_boot_ns = (uint64_t)S, .now_ns = 2 * S };
		struct kw_guestclock_estimate estimate;
		uint64_t error = 0;
		int64_t ppb = 0;

		state_of_random = i;
		guest.ppb = wrong[i];
		for (int frame = 0; frame < 600; frame++, guest.now_ns += 100 * MS)
			(void)talk(&guest, 20000 + random_below(200000), &estimate);
		assert_true(kw_guestclock_rate(&guest.clock, &ppb, &error));
		assert_true((uint64_t)llabs(ppb) > error + 500000);
		assert_true(llabs(ppb - wrong[i]) <= (int64_t)error + 1000);
	}
}

/* A guest that was paused: its clock stood still, and the old offset is too small for good. */
static void a_pause_is_followed(void **state)
{
	struct guest guest = { .host_at_boot_ns = (uint64_t)S, .now_ns = 2 * S };
	struct kw_guestclock_estimate estimate = { 0 };

	(void)state;
	for (int i = 0; i < 600; i++, guest.now_ns += 100 * MS)
		(void)talk(&guest, 50000 + random_below(100000), &estimate);
	assert_true(missed_by(&guest, &estimate) <= estimate.error_ns + 50000);
	guest.now_ns += 30 * S;
	guest.stopped_ns += 30 * S;
	for (int i = 0; i < 600; i++, guest.now_ns += 100 * MS) {
		assert_true(talk(&guest, 50000 + random_below(100000), &estimate));
		assert_true(missed_by(&guest, &estimate) <= estimate.error_ns + 50000);
	}
	assert_true(estimate.error_ns < (uint64_t)MS);
}

static void hostile_stamps_overflow_nothing(void **state)
{
	static const uint64_t stamps[] = {
		0, 1, INT64_MAX, INT64_MAX - 1, UINT64_MAX, (1ULL << 63), (1ULL << 63) + 1
	};
	struct kw_guestclock clock = { 0 };
	uint64_t host = (uint64_t)S;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t stamp = stamps[random_below(kw_array_size(stamps))];
		struct kw_guestclock_estimate estimate;
		uint64_t error;
		int64_t ppb;

		host += random_below((uint64_t)(3 * S));
		kw_guestclock_observe(&clock, stamp, host);
		if (kw_guestclock_estimate(&clock, stamp, host, &estimate))
			assert_true(estimate.error_ns <= INT64_MAX);
		if (kw_guestclock_rate(&clock, &ppb, &error))
			assert_true(error <= INT64_MAX);
	}
	kw_guestclock_reset(&clock);
	assert_false(clock.is_known);
}

static void a_host_time_that_goes_back_is_left_out(void **state)
{
	struct kw_guestclock clock = { 0 };

	(void)state;
	kw_guestclock_observe(&clock, 5, 10 * (uint64_t)S);
	kw_guestclock_observe(&clock, 900, 9 * (uint64_t)S);
	assert_int_equal(clock.best.delta_ns, 10 * S - 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_of_a_few_frames),
		cmocka_unit_test(the_truth_lies_within_the_error),
		cmocka_unit_test(a_rate_is_told_only_where_it_is_sure),
		cmocka_unit_test(a_clock_that_runs_wrong_is_found),
		cmocka_unit_test(a_pause_is_followed),
		cmocka_unit_test(hostile_stamps_overflow_nothing),
		cmocka_unit_test(a_host_time_that_goes_back_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
