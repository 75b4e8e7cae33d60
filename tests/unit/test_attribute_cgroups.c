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

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(a_reused_id_is_another_cgroup),
		support_test(the_longest_unused_goes_first),
		support_test(a_path_too_long_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
