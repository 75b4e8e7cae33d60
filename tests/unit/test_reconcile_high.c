/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Episodes of memory.high throttling: sums are those of the episode alone, and the same thing said twice has one id. */
#include "high_sample.h"

#include <errno.h>
#include <stdlib.h>

#include "user/reconcile/reconcile.h"

static struct kw_throttled said;
static struct kw_finding found;
static int refusal;

static int on_finding(void *context, const struct kw_finding *finding)
{
	(void)context;
	if (refusal)
		return refusal;
	found = *finding;
	said = *finding->throttled;
	return 0;
}

static int observe(const struct kw_record_high *record)
{
	struct kw_reconcile_options options = { .boot_id = "5f6e2c1a-9d3b-4c77-8a10-2b1f0c9d8e7f",
						.finding = on_finding };
	cleanup(kw_reconcile_freep) struct kw_reconcile *reconcile = NULL;
	cleanup_free struct kw_attributed *attributed = calloc(1, sizeof(*attributed));
	struct kw_observation observation = { .kind = KW_OBSERVATION_HIGH,
					      .boot_ns = record->header.boot_ns,
					      .high = record };

	assert_non_null(attributed);
	assert_int_equal(kw_reconcile_open(&options, &reconcile), 0);
	attributed->observation = &observation;
	return kw_reconcile_observe(reconcile, attributed);
}

static void test_sums_are_of_the_episode(void **state)
{
	struct kw_record_high record = sample_high(KW_THROTTLE_CONTINUE);

	(void)state;
	assert_int_equal(observe(&record), 0);
	assert_int_equal(found.kind, KW_FINDING_HIGH);
	assert_int_equal(found.boot_ns, 900700000000);
	assert_int_equal(said.phase, KW_THROTTLE_CONTINUE);
	assert_int_equal(said.throttles, 5);
	assert_int_equal(said.unthrottles, 4);
	assert_int_equal(said.stalled_ns, 250000000);
	assert_int_equal(said.histogram[16], 2);
	assert_int_equal(said.histogram[17], 1);
	assert_int_equal(said.histogram[KW_THROTTLE_BUCKETS - 1], 1);
	assert_int_equal(said.kernel_ns, 0);
}

/* The end may be said by the kernel and by the daemon: whichever record said it, it is one event. */
static void test_ids(void **state)
{
	struct kw_record_high record = sample_high(KW_THROTTLE_END);
	char end[40], episode[40];

	(void)state;
	assert_int_equal(observe(&record), 0);
	memcpy(end, found.event_id, sizeof(end));
	memcpy(episode, said.episode_id, sizeof(episode));
	record.header.number = 3000;
	assert_int_equal(observe(&record), 0);
	assert_string_equal(found.event_id, end);
	record.phase = KW_THROTTLE_START;
	assert_int_equal(observe(&record), 0);
	assert_string_not_equal(found.event_id, end);
	assert_string_equal(said.episode_id, episode);
	/* going on is said many times */
	record.phase = KW_THROTTLE_CONTINUE;
	assert_int_equal(observe(&record), 0);
	memcpy(end, found.event_id, sizeof(end));
	record.header.number = 3001;
	assert_int_equal(observe(&record), 0);
	assert_string_not_equal(found.event_id, end);
	record.high.episode++;
	assert_int_equal(observe(&record), 0);
	assert_string_not_equal(said.episode_id, episode);
}

static void test_a_refused_finding_is_not_finished(void **state)
{
	struct kw_record_high record = sample_high(KW_THROTTLE_END);

	(void)state;
	refusal = -ENOSPC;
	assert_int_equal(observe(&record), -ENOSPC);
	refusal = 0;
	record.phase = 4;
	assert_int_equal(observe(&record), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_sums_are_of_the_episode),
		support_test(test_ids),
		support_test(test_a_refused_finding_is_not_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
