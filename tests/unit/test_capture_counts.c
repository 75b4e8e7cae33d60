/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/capture/capture.h"

static uint64_t values[KW_COUNTER_COUNT_];
static uint32_t known;

static int parse(enum kw_counts_file file, const char *text)
{
	return kw_counts_parse(file, text, strlen(text), values, &known);
}

static int start(void **state)
{
	memset(values, 0, sizeof(values));
	known = 0;
	return support_count_descriptors(state);
}

static void takes_the_counters_of_its_file(void **state)
{
	(void)state;
	assert_int_equal(parse(KW_COUNTS_MEMORY_EVENTS, "low 9\nhigh 1\nmax 2\noom 3\noom_kill 4\n"
							"oom_group_kill 18446744073709551615\n"),
			 0);
	assert_int_equal(known, kw_counts_mask(KW_COUNTS_MEMORY_EVENTS));
	assert_int_equal(values[KW_COUNTER_MEMORY_HIGH], 1);
	assert_int_equal(values[KW_COUNTER_MEMORY_MAX], 2);
	assert_int_equal(values[KW_COUNTER_OOM], 3);
	assert_int_equal(values[KW_COUNTER_OOM_KILL], 4);
	assert_true(values[KW_COUNTER_OOM_GROUP_KILL] == UINT64_MAX);
	assert_int_equal(parse(KW_COUNTS_CPU_STAT, "usage_usec 5\nuser_usec 1\nnr_periods 6\n"
						   "nr_throttled 7\nthrottled_usec 8\n"),
			 0);
	assert_int_equal(values[KW_COUNTER_CPU_THROTTLED_USEC], 8);
	assert_int_equal(values[KW_COUNTER_OOM_KILL], 4); /* another file's stay */
	assert_int_equal(parse(KW_COUNTS_PIDS_EVENTS_LOCAL, "max 11"), 0);
	assert_int_equal(values[KW_COUNTER_PIDS_MAX_LOCAL], 11);
	assert_int_equal(values[KW_COUNTER_PIDS_MAX], 0);
}

static void a_key_that_is_not_there_is_not_known(void **state)
{
	(void)state;
	assert_int_equal(parse(KW_COUNTS_MEMORY_EVENTS, "oom_kill 4\noom_group_kill 1\n"), 0);
	/* As kernels before 5.17 have it. */
	assert_int_equal(parse(KW_COUNTS_MEMORY_EVENTS, "oom_kill 5\n"), 0);
	assert_int_equal(known, 1U << KW_COUNTER_OOM_KILL);
	assert_int_equal(parse(KW_COUNTS_MEMORY_EVENTS, ""), 0);
	assert_int_equal(known, 0);
}

static void a_refused_document_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(parse(KW_COUNTS_PIDS_EVENTS, "max 3\n"), 0);
	assert_int_equal(parse(KW_COUNTS_PIDS_EVENTS, "max 4\nnonsense\n"), -EBADMSG);
	assert_int_equal(parse(KW_COUNTS_PIDS_EVENTS, "max -4\n"), -EBADMSG);
	assert_int_equal(parse(KW_COUNTS_PIDS_EVENTS, "other max\nmax 4\n"), -EBADMSG);
	assert_int_equal(values[KW_COUNTER_PIDS_MAX], 3);
	assert_int_equal(known, 1U << KW_COUNTER_PIDS_MAX);
}

static void every_counter_has_one_source(void **state)
{
	uint32_t all = 0;

	(void)state;
	for (int file = 0; file < KW_COUNTS_FILE_COUNT_; file++) {
		uint32_t mask = kw_counts_mask((enum kw_counts_file)file);

		assert_int_equal(all & mask, 0);
		all |= mask;
	}
	assert_int_equal(all, (1U << KW_COUNTER_COUNT_) - 1);
	for (int counter = 0; counter < KW_COUNTER_COUNT_; counter++) {
		const char *key = NULL, *file = kw_counter_source((enum kw_counter)counter, &key);
		char text[64];

		assert_non_null(file);
		(void)snprintf(text, sizeof(text), "%s %d\n", key, 100 + counter);
		for (int i = 0; i < KW_COUNTS_FILE_COUNT_; i++) {
			if (strcmp(kw_counts_file_name((enum kw_counts_file)i), file) == 0)
				assert_int_equal(parse((enum kw_counts_file)i, text), 0);
		}
		assert_int_equal(values[counter], 100 + counter);
	}
}

static void mount_options_are_words_of_their_own(void **state)
{
	struct kw_cgroup_mount mount = { .found = false };
	char *directory = support_directory(), path[256];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/mountinfo", directory);
	assert_int_equal(kw_cgroup_mount_read(path, &mount), -ENOENT);
	support_write(directory, "mountinfo",
		      "22 1 0:20 / / rw - ext4 /dev/memory_localevents rw\n"
		      "30 22 0:26 / /sys/fs/cgroup rw,pids_localevents - cgroup2 cgroup2 "
		      "rw,nsdelegate,memory_localevents_not\n");
	assert_int_equal(kw_cgroup_mount_read(path, &mount), 0);
	assert_true(mount.found);
	assert_false(mount.memory_localevents);
	assert_false(mount.pids_localevents);
	support_write(directory, "mountinfo",
		      "30 22 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 "
		      "rw,pids_localevents,memory_localevents\n");
	assert_int_equal(kw_cgroup_mount_read(path, &mount), 0);
	assert_true(mount.memory_localevents);
	assert_true(mount.pids_localevents);
	support_remove(directory);
}

int main(void)
{
#define counts_test(function)                                                                      \
	cmocka_unit_test_setup_teardown(function, start, support_check_descriptors)
	const struct CMUnitTest tests[] = {
		counts_test(takes_the_counters_of_its_file),
		counts_test(a_key_that_is_not_there_is_not_known),
		counts_test(a_refused_document_changes_nothing),
		counts_test(every_counter_has_one_source),
		counts_test(mount_options_are_words_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
