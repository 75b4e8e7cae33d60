/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* record.c on cgroups that come and go: a sound record is taken; each rule, broken alone, refuses it. */
#include "lifecycle_sample.h"

#include <errno.h>

#include "user/capture/capture.h"

static void test_sound_records_are_taken(void **state)
{
	(void)state;
	for (uint32_t what = KW_LIFECYCLE_MKDIR; what < KW_LIFECYCLE_COUNT_; what++) {
		struct kw_record_lifecycle record = sample_lifecycle(what);
		struct kw_observation seen = {};

		assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), 0);
		assert_int_equal(seen.kind, KW_OBSERVATION_LIFECYCLE);
		assert_ptr_equal(seen.lifecycle, &record);
		assert_int_equal(seen.number, 5000);
	}
}

#define refuse(...)                                                                                \
	do {                                                                                       \
		struct kw_record_lifecycle record = sample_lifecycle(KW_LIFECYCLE_MKDIR);          \
		struct kw_observation seen = { .number = 77 };                                     \
		__VA_ARGS__;                                                                       \
		assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), -EBADMSG);      \
		assert_int_equal(seen.number, 77);                                                 \
	} while (0)

static void test_rules(void **state)
{
	(void)state;
	refuse(record.what = 0);
	refuse(record.what = KW_LIFECYCLE_COUNT_);
	refuse(record.populated = 1);
	refuse(record.what = KW_LIFECYCLE_POPULATED, record.populated = 2);
	refuse(record.header.hook = KW_HOOK_RAW_TP_MARK_VICTIM);
	refuse(record.cgroup.level = 3);
	refuse(record.header.size -= 8);
	refuse(memset(&record.cgroup, 0, sizeof(record.cgroup)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_sound_records_are_taken),
		support_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
