/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Cgroups that come and go: a sound record is taken (record.c), each rule, broken alone, refuses it; and the
 * poller looks at what it names (lifecycle.c). */
#include "lifecycle_sample.h"

#include <errno.h>

#include "sweep_tree.h"

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

static struct tree tree;

/* The record of "/top/leaf" is said to the poller; whether it has something to look at now. */
static bool is_looked_at(enum kw_lifecycle what, uint32_t flags)
{
	struct kw_record_lifecycle record = sample_lifecycle(what);

	record.cgroup.flags |= flags;
	assert_false(kw_sweep_waits(tree.sweep));
	kw_sweep_lifecycle(tree.sweep, &record);
	return kw_sweep_waits(tree.sweep);
}

static void test_poller_is_told(void **state)
{
	const struct kw_counts *last = NULL;

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/top");
	assert_false(is_looked_at(KW_LIFECYCLE_MKDIR, 0)); /* no round yet: it will be found */
	tree_round(&tree);
	tree_make(&tree, "/top/leaf");
	assert_false(is_looked_at(KW_LIFECYCLE_MKDIR, KW_CGROUP_V1));
	assert_false(is_looked_at(KW_LIFECYCLE_MKDIR, KW_CGROUP_TRUNCATED));
	assert_false(is_looked_at(KW_LIFECYCLE_RMDIR, 0)); /* of one that is not known */
	assert_false(is_looked_at(KW_LIFECYCLE_POPULATED, 0));
	assert_true(is_looked_at(KW_LIFECYCLE_MKDIR, 0));
	tree_notified(&tree);
	assert_int_equal(tree_said(&tree, 0, "/top/leaf", &last), 1);
	assert_true(last->is_first);
	tree_remove(&tree, "/top/leaf");
	assert_true(is_looked_at(KW_LIFECYCLE_RMDIR, 0));
	tree_notified(&tree);
	assert_int_equal(tree_said(&tree, 1, "/top/leaf", &last), 2);
	assert_true(last->is_gone);
	/* gone again before we look: nothing is said of it */
	assert_true(is_looked_at(KW_LIFECYCLE_MKDIR, 0));
	tree_notified(&tree);
	assert_int_equal(tree_said(&tree, 0, "/top/leaf", NULL), 2);
	tree_close(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_sound_records_are_taken),
		support_test(test_rules),
		support_test(test_poller_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
