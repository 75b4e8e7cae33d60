/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* record.c on memory.high: a sound record is taken; each rule, broken alone, refuses it. */
#include "high_sample.h"

#include <errno.h>

#include "user/capture/capture.h"

static void test_sound_records_are_taken(void **state)
{
	(void)state;
	for (uint32_t phase = KW_THROTTLE_START; phase <= KW_THROTTLE_END; phase++) {
		struct kw_record_high record = sample_high(phase);
		struct kw_observation seen = {};

		assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), 0);
		assert_int_equal(seen.kind, KW_OBSERVATION_HIGH);
		assert_ptr_equal(seen.high, &record);
		assert_int_equal(seen.number, 4000);
		assert_int_equal(seen.hook, KW_HOOK_FENTRY_HIGH);
	}
}

/* None was above its limit when the handler was entered. */
static void test_an_owner_may_be_unknown(void **state)
{
	struct kw_record_high record = sample_high(KW_THROTTLE_START);
	struct kw_observation seen = {};

	(void)state;
	memset(&record.high.owner, 0, sizeof(record.high.owner));
	memset(&record.high.owner_state, 0, sizeof(record.high.owner_state));
	assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), 0);
}

#define refuse(...)                                                                                \
	do {                                                                                       \
		struct kw_record_high record = sample_high(KW_THROTTLE_END);                       \
		struct kw_high *high = &record.high;                                               \
		struct kw_observation seen = { .number = 77 };                                     \
		(void)high;                                                                        \
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
	refuse(high->flags = KW_HIGH_OWNER_CHANGED << 1);
	refuse(high->hook = KW_HOOK_KPROBE_HIGH);
	refuse(record.header.hook = high->hook = KW_HOOK_FENTRY_THROTTLE);
	refuse(high->episode = 0);
	refuse(high->episode = 1ULL << 53);
	refuse(high->begin_boot_ns = high->last_boot_ns + 1);
	refuse(memset(high->task.comm, 'a', KW_COMM_BYTES));
	refuse(memset(&high->cgroup, 0, sizeof(high->cgroup)));
	refuse(high->owner.level = 2);
	refuse(high->owner_state.pad = 1);
	refuse(high->before.throttles = 9);
	refuse(high->before.unthrottles = 8);
	refuse(high->before.stalled_ns = 251000001);
	refuse(high->before.histogram[KW_THROTTLE_BUCKETS - 1] = 2);
	refuse(record.header.size -= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_sound_records_are_taken),
		support_test(test_an_owner_may_be_unknown),
		support_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
