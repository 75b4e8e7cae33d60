/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* record.c on kills by user space: a sound record is taken; each rule, broken alone, refuses it. */
#include "userspace_kill_sample.h"

#include <errno.h>

#include "user/capture/capture.h"

static void a_sound_record_is_taken(void **state)
{
	struct kw_record_userspace_kill record = sample_userspace_kill();
	struct kw_observation seen = {};

	(void)state;
	assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), 0);
	assert_int_equal(seen.kind, KW_OBSERVATION_USERSPACE_KILL);
	assert_ptr_equal(seen.userspace_kill, &record);
	assert_int_equal(seen.number, 6000);
	assert_string_equal(kw_hook_name(seen.hook), "raw_tp/signal_generate");
}

/* A host without the memory controller on v2, a killer whose cgroup could not be read. */
static void what_is_not_known_may_be_missing(void **state)
{
	struct kw_record_userspace_kill record = sample_userspace_kill();
	struct kw_observation seen = {};

	(void)state;
	memset(&record.memory, 0, sizeof(record.memory));
	memset(&record.killer_cgroup, 0, sizeof(record.killer_cgroup));
	memset(&record.victim_cgroup, 0, sizeof(record.victim_cgroup));
	assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), 0);
}

#define refuse(...)                                                                                \
	do {                                                                                       \
		struct kw_record_userspace_kill record = sample_userspace_kill();                  \
		struct kw_observation seen = { .number = 77 };                                     \
		__VA_ARGS__;                                                                       \
		assert_int_equal(kw_record_decode(&record, sizeof(record), &seen), -EBADMSG);      \
		assert_int_equal(seen.number, 77);                                                 \
	} while (0)

static void rules(void **state)
{
	(void)state;
	refuse(record.header.size--);
	refuse(record.header.hook = KW_HOOK_RAW_TP_MARK_VICTIM);
	refuse(memset(record.killer.comm, 'a', KW_COMM_BYTES));
	refuse(memset(record.victim.task.comm, 'a', KW_COMM_BYTES));
	refuse(record.victim.total_vm_kb = 1);
	refuse(record.victim.flags = KW_VICTIM_EVENTS_KNOWN << 1);
	refuse(record.memory.flags = 0);
	refuse(record.memory.pad = 1);
	refuse(record.killer_cgroup.path_bytes = sizeof(record.killer_cgroup.path) + 1);
	refuse(record.victim_cgroup.level = 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_record_is_taken),
		cmocka_unit_test(what_is_not_known_may_be_missing),
		cmocka_unit_test(rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
