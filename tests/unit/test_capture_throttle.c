/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* record.c on CPU throttling: a sound record is taken; each rule, broken alone, refuses it. */
#include "throttle_sample.h"

#include <errno.h>

#include "user/capture/capture.h"

static void test_sound_records_are_taken(void **state)
{
	(void)state;
	for (uint32_t phase = KW_THROTTLE_START; phase <= KW_THROTTLE_END; phase++) {
		struct kw_record_throttle record = sample_throttle(phase);
		struct kw_observation seen = {};

		assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), 0);
		assert_int_equal(seen.kind, KW_OBSERVATION_THROTTLE);
		assert_ptr_equal(seen.throttle, &record);
		assert_int_equal(seen.number, 2000);
		assert_int_equal(seen.boot_ns, 900700000000);
		assert_int_equal(seen.hook, KW_HOOK_FENTRY_THROTTLE);
	}
}

#define refuse(...)                                                                                \
	do {                                                                                       \
		struct kw_record_throttle record = sample_throttle(KW_THROTTLE_END);               \
		struct kw_throttle *throttle = &record.throttle;                                   \
		struct kw_observation seen = { .number = 77 };                                     \
		(void)throttle;                                                                    \
		__VA_ARGS__;                                                                       \
		assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), -EBADMSG);      \
		assert_int_equal(seen.number, 77);                                                 \
	} while (0)

static void test_rules(void **state)
{
	(void)state;
	refuse(record.phase = 0);
	refuse(record.phase = KW_THROTTLE_END + 1);
	refuse(record.pad = 1);
	refuse(throttle->pad = 1);
	refuse(throttle->flags = KW_THROTTLE_MORE_CPUS << 1);
	refuse(throttle->hook = KW_HOOK_KPROBE_THROTTLE);
	refuse(record.header.hook = throttle->hook = KW_HOOK_RAW_TP_MARK_VICTIM);
	refuse(throttle->episode = 0);
	refuse(throttle->episode = 1ULL << 53);
	refuse(throttle->begin_boot_ns = throttle->last_boot_ns + 1);
	refuse(memset(throttle->comm, 'a', KW_COMM_BYTES));
	refuse(memset(&throttle->cgroup, 0, sizeof(throttle->cgroup)));
	refuse(throttle->cgroup.level = 3);
	refuse(record.header.size -= 8);
}

/* Counts only ever grow: what was before cannot be more than what is. */
static void test_counts_that_shrink_are_refused(void **state)
{
	(void)state;
	refuse(throttle->before.throttles = 9);
	refuse(throttle->before.unthrottles = 8);
	refuse(throttle->before.stalled_ns = 251000001);
	refuse(throttle->before.histogram[0] = 2);
	refuse(throttle->before.histogram[KW_THROTTLE_BUCKETS - 1] = 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_sound_records_are_taken),
		support_test(test_rules),
		support_test(test_counts_that_shrink_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
