/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kills by user space: said at once; one process, whoever tells of it, is one event. */
#include "userspace_kill_sample.h"

#include <errno.h>
#include <stdlib.h>

#include "user/reconcile/reconcile.h"

static struct kw_finding found;
static int refusal;

static int on_finding(void *context, const struct kw_finding *finding)
{
	(void)context;
	found = *finding;
	return refusal;
}

static int observe(const struct kw_record_userspace_kill *record)
{
	struct kw_reconcile_options options = { .boot_id = "5f6e2c1a-9d3b-4c77-8a10-2b1f0c9d8e7f",
						.finding = on_finding };
	cleanup(kw_reconcile_freep) struct kw_reconcile *reconcile = NULL;
	cleanup_free struct kw_attributed *attributed = calloc(1, sizeof(*attributed));
	struct kw_observation observation = { .kind = KW_OBSERVATION_USERSPACE_KILL,
					      .boot_ns = record->header.boot_ns,
					      .userspace_kill = record };

	assert_non_null(attributed);
	assert_int_equal(kw_reconcile_open(&options, &reconcile), 0);
	attributed->observation = &observation;
	return kw_reconcile_observe(reconcile, attributed);
}

static void test_ids(void **state)
{
	struct kw_record_userspace_kill record = sample_userspace_kill();
	char first[40];

	(void)state;
	assert_int_equal(observe(&record), 0);
	assert_int_equal(found.kind, KW_FINDING_USERSPACE_KILL);
	assert_int_equal(found.boot_ns, 900800000000);
	memcpy(first, found.event_id, sizeof(first));
	record.header.number++;
	assert_int_equal(observe(&record), 0);
	assert_string_equal(found.event_id, first);
	record.victim.task.tgid++;
	assert_int_equal(observe(&record), 0);
	assert_string_not_equal(found.event_id, first);
	record.victim.task.tgid--;
	record.victim.start_boot_ns++;
	assert_int_equal(observe(&record), 0);
	assert_string_not_equal(found.event_id, first);
}

static void test_a_refused_finding_is_not_finished(void **state)
{
	struct kw_record_userspace_kill record = sample_userspace_kill();

	(void)state;
	refusal = -ENOSPC;
	assert_int_equal(observe(&record), -ENOSPC);
	refusal = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_ids),
		support_test(test_a_refused_finding_is_not_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
