/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* record.c on refused forks: a sound record is taken; each rule, broken alone, refuses it. */
#include "pids_sample.h"

#include <errno.h>

#include "user/capture/capture.h"

static void test_sound_records_are_taken(void **state)
{
	struct kw_record_pids record = sample_pids();
	struct kw_observation seen = {};

	(void)state;
	assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), 0);
	assert_int_equal(seen.kind, KW_OBSERVATION_PIDS);
	assert_ptr_equal(seen.pids, &record);
	assert_int_equal(seen.hook, KW_HOOK_FENTRY_PIDS);
	/* room was made before the limit's owner could be found */
	memset(&record.refusals.owner, 0, sizeof(record.refusals.owner));
	assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), 0);
}

#define refuse(...)                                                                                \
	do {                                                                                       \
		struct kw_record_pids record = sample_pids();                                      \
		struct kw_observation seen = { .number = 77 };                                     \
		__VA_ARGS__;                                                                       \
		assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), -EBADMSG);      \
		assert_int_equal(seen.number, 77);                                                 \
	} while (0)

static void test_rules(void **state)
{
	(void)state;
	refuse(record.refusals.pad = 1);
	refuse(record.refusals.hook = KW_HOOK_KPROBE_PIDS);
	refuse(record.header.hook = record.refusals.hook = KW_HOOK_FENTRY_THROTTLE);
	refuse(record.refusals.total = 0);
	refuse(memset(&record.refusals.cgroup, 0, sizeof(record.refusals.cgroup)));
	refuse(record.refusals.cgroup.level = 1);
	refuse(record.refusals.owner.path[1] = '/');
	refuse(memset(record.refusals.task.comm, 'a', KW_COMM_BYTES));
	refuse(record.header.size -= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_sound_records_are_taken),
		support_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
