/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cgroups.c: the memory, its key and its bound. */
#include "tests/unit/support.h"

#include <stdio.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/attribute/cgroups.h"

static void a_reused_id_is_another_cgroup(void **state)
{
	struct kw_cgroups *cgroups = NULL;

	(void)state;
	assert_int_equal(kw_cgroups_new(&cgroups), 0);
	assert_null(kw_cgroups_find(cgroups, 7, 100));
	kw_cgroups_learn(cgroups, 7, 100, "/first");
	kw_cgroups_learn(cgroups, 7, 200, "/second");
	assert_string_equal(kw_cgroups_find(cgroups, 7, 100), "/first");
	assert_string_equal(kw_cgroups_find(cgroups, 7, 200), "/second");
	assert_null(kw_cgroups_find(cgroups, 100, 7));
	kw_cgroups_learn(cgroups, 7, 100, "/again");
	assert_string_equal(kw_cgroups_find(cgroups, 7, 100), "/again");
	kw_cgroups_free(cgroups);
}

static void the_longest_unused_goes_first(void **state)
{
	struct kw_cgroups *cgroups = NULL;
	char path[64];

	(void)state;
	assert_int_equal(kw_cgroups_new(&cgroups), 0);
	for (uint64_t id = 0; id < KW_CGROUPS_REMEMBERED_MAX; id++) {
		(void)snprintf(path, sizeof(path), "/%llu", (unsigned long long)id);
		kw_cgroups_learn(cgroups, id, 1, path);
	}
	/* 0 is asked for, so 1 is the oldest. */
	assert_string_equal(kw_cgroups_find(cgroups, 0, 1), "/0");
	kw_cgroups_learn(cgroups, 1, 2, "/new");
	assert_null(kw_cgroups_find(cgroups, 1, 1));
	assert_string_equal(kw_cgroups_find(cgroups, 0, 1), "/0");
	assert_string_equal(kw_cgroups_find(cgroups, 2, 1), "/2");
	assert_string_equal(kw_cgroups_find(cgroups, 1, 2), "/new");
	kw_cgroups_free(cgroups);
}

static void a_path_too_long_is_not_kept(void **state)
{
	struct kw_cgroups *cgroups = NULL;
	char path[KW_PATH_MAX + 1];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[KW_PATH_MAX] = '\0';
	assert_int_equal(kw_cgroups_new(&cgroups), 0);
	kw_cgroups_learn(cgroups, 1, 1, path);
	assert_null(kw_cgroups_find(cgroups, 1, 1));
	path[KW_PATH_MAX - 1] = '\0';
	kw_cgroups_learn(cgroups, 1, 1, path);
	assert_string_equal(kw_cgroups_find(cgroups, 1, 1), path);
	kw_cgroups_free(cgroups);
}

/* rmdir is not free: until its release, records of it may come. */
static void a_removed_one_is_known_until_it_is_released(void **state)
{
	struct kw_cgroups *cgroups = NULL;

	(void)state;
	assert_int_equal(kw_cgroups_new(&cgroups), 0);
	kw_cgroups_learn(cgroups, 7, 100, "/first");
	kw_cgroups_bury(cgroups, 7, 100);
	kw_cgroups_bury(cgroups, 7, 100);
	assert_string_equal(kw_cgroups_find(cgroups, 7, 100), "/first");
	/* the id is another's now; its release, told late, does not touch that one */
	kw_cgroups_learn(cgroups, 7, 200, "/second");
	kw_cgroups_forget(cgroups, 7, 100);
	assert_null(kw_cgroups_find(cgroups, 7, 100));
	assert_string_equal(kw_cgroups_find(cgroups, 7, 200), "/second");
	kw_cgroups_forget(cgroups, 7, 100);
	kw_cgroups_bury(cgroups, 8, 1);
	kw_cgroups_free(cgroups);
}

static void removed_ones_go_first(void **state)
{
	struct kw_cgroups *cgroups = NULL;
	char path[64];

	(void)state;
	assert_int_equal(kw_cgroups_new(&cgroups), 0);
	for (uint64_t id = 0; id < KW_CGROUPS_REMEMBERED_MAX; id++) {
		(void)snprintf(path, sizeof(path), "/%llu", (unsigned long long)id);
		kw_cgroups_learn(cgroups, id, 1, path);
	}
	kw_cgroups_bury(cgroups, 9, 1);
	kw_cgroups_bury(cgroups, 5, 1);
	assert_string_equal(kw_cgroups_find(cgroups, 9, 1), "/9"); /* asking does not save it */
	kw_cgroups_learn(cgroups, 1, 2, "/a");
	assert_null(kw_cgroups_find(cgroups, 9, 1));
	assert_string_equal(kw_cgroups_find(cgroups, 5, 1), "/5");
	kw_cgroups_learn(cgroups, 2, 2, "/b");
	assert_null(kw_cgroups_find(cgroups, 5, 1));
	/* none is left: the longest unused */
	kw_cgroups_learn(cgroups, 3, 2, "/c");
	assert_null(kw_cgroups_find(cgroups, 0, 1));
	assert_string_equal(kw_cgroups_find(cgroups, 1, 1), "/1");
	kw_cgroups_free(cgroups);
}

static void a_rename_moves_what_is_below(void **state)
{
	struct kw_cgroups *cgroups = NULL;

	(void)state;
	assert_int_equal(kw_cgroups_new(&cgroups), 0);
	kw_cgroups_learn_v1(cgroups, 1, 1, "/old");
	kw_cgroups_learn_v1(cgroups, 2, 2, "/old/child");
	kw_cgroups_learn_v1(cgroups, 3, 3, "/old/child/leaf");
	kw_cgroups_learn_v1(cgroups, 4, 4, "/older/child");
	kw_cgroups_learn_v1(cgroups, 5, 5, "/old/gone");
	kw_cgroups_bury(cgroups, 5, 5);
	kw_cgroups_learn(cgroups, 6, 6, "/old/unified");
	kw_cgroups_rename_v1(cgroups, 1, 1, "/new");
	assert_string_equal(kw_cgroups_find(cgroups, 1, 1), "/new");
	assert_string_equal(kw_cgroups_find(cgroups, 2, 2), "/new/child");
	assert_string_equal(kw_cgroups_find(cgroups, 3, 3), "/new/child/leaf");
	assert_string_equal(kw_cgroups_find(cgroups, 4, 4), "/older/child");
	assert_string_equal(kw_cgroups_find(cgroups, 5, 5), "/old/gone");
	assert_string_equal(kw_cgroups_find(cgroups, 6, 6), "/old/unified");
	kw_cgroups_free(cgroups);
}

/* What cannot be known is forgotten, not guessed. */
static void a_rename_that_says_too_little_forgets(void **state)
{
	struct kw_cgroups *cgroups = NULL;
	char path[KW_PATH_MAX];

	(void)state;
	assert_int_equal(kw_cgroups_new(&cgroups), 0);
	/* the old name was never seen: it may have been any of top's children */
	kw_cgroups_learn_v1(cgroups, 1, 1, "/top");
	kw_cgroups_learn_v1(cgroups, 2, 2, "/top/a");
	kw_cgroups_learn_v1(cgroups, 3, 3, "/top/a/leaf");
	kw_cgroups_learn_v1(cgroups, 4, 4, "/other/a/leaf");
	kw_cgroups_rename_v1(cgroups, 9, 9, "/top/new");
	assert_string_equal(kw_cgroups_find(cgroups, 9, 9), "/top/new");
	assert_string_equal(kw_cgroups_find(cgroups, 2, 2), "/top/a");
	assert_null(kw_cgroups_find(cgroups, 3, 3));
	assert_string_equal(kw_cgroups_find(cgroups, 4, 4), "/other/a/leaf");
	/* the new name is not known whole */
	kw_cgroups_learn_v1(cgroups, 3, 3, "/top/a/leaf");
	kw_cgroups_rename_v1(cgroups, 2, 2, NULL);
	assert_null(kw_cgroups_find(cgroups, 2, 2));
	assert_null(kw_cgroups_find(cgroups, 3, 3));
	assert_string_equal(kw_cgroups_find(cgroups, 9, 9), "/top/new");
	/* the new path is too long for what is below */
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[KW_PATH_MAX - 3] = '\0';
	kw_cgroups_learn_v1(cgroups, 5, 5, "/other/a");
	kw_cgroups_rename_v1(cgroups, 5, 5, path);
	assert_string_equal(kw_cgroups_find(cgroups, 5, 5), path);
	assert_null(kw_cgroups_find(cgroups, 4, 4));
	kw_cgroups_free(cgroups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(a_reused_id_is_another_cgroup),
		support_test(the_longest_unused_goes_first),
		support_test(a_path_too_long_is_not_kept),
		support_test(a_removed_one_is_known_until_it_is_released),
		support_test(removed_ones_go_first),
		support_test(a_rename_moves_what_is_below),
		support_test(a_rename_that_says_too_little_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
