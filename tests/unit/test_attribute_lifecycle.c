/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* attribute.c on cgroups that come and go: what their records teach, seen in a later record without a path. */
#include "lifecycle_sample.h"

#include "user/attribute/attribute.h"

static struct kw_attribute *attribute;

static int setup(void **state)
{
	(void)state;
	return kw_attribute_open(NULL, &attribute);
}

static int teardown(void **state)
{
	(void)state;
	kw_attribute_free(attribute);
	attribute = NULL;
	return 0;
}

static void tell(const struct kw_record_lifecycle *record, struct kw_attributed *ret_attributed)
{
	struct kw_observation observation = { .kind = KW_OBSERVATION_LIFECYCLE,
					      .lifecycle = record };

	kw_attribute_observation(attribute, &observation, ret_attributed);
}

/* The path that a loss is given whose record has but the numbers; empty: none. */
static const char *path_of(uint64_t id, uint64_t serial)
{
	static struct kw_attributed attributed;
	struct kw_lost lost = { .cgroup = { .id = id,
					    .serial = serial,
					    .flags = KW_CGROUP_KNOWN | KW_CGROUP_TRUNCATED,
					    .level = 2 } };
	struct kw_observation observation = { .kind = KW_OBSERVATION_LOST, .lost = &lost };

	kw_attribute_observation(attribute, &observation, &attributed);
	return attributed.victim.path;
}

static void a_path_is_known_from_mkdir_to_release(void **state)
{
	struct kw_record_lifecycle record = sample_lifecycle(KW_LIFECYCLE_MKDIR);
	struct kw_attributed attributed;

	(void)state;
	assert_string_equal(path_of(4711, 12), "");
	tell(&record, &attributed);
	assert_string_equal(attributed.victim.path, "/top/leaf");
	assert_string_equal(path_of(4711, 12), "/top/leaf");
	record.what = KW_LIFECYCLE_RMDIR;
	tell(&record, &attributed);
	assert_string_equal(path_of(4711, 12), "/top/leaf");
	record.what = KW_LIFECYCLE_RELEASE;
	tell(&record, &attributed);
	assert_string_equal(attributed.victim.path, "/top/leaf");
	assert_string_equal(path_of(4711, 12), "");
}

static void a_reused_id_has_no_old_path(void **state)
{
	struct kw_record_lifecycle record = sample_lifecycle(KW_LIFECYCLE_MKDIR);
	struct kw_attributed attributed;

	(void)state;
	tell(&record, &attributed);
	assert_string_equal(path_of(4711, 13), "");
}

static void a_renamed_parent_is_known_in_what_is_below(void **state)
{
	struct kw_record_lifecycle leaf = sample_lifecycle(KW_LIFECYCLE_MKDIR), top = leaf;
	struct kw_attributed attributed;

	(void)state;
	leaf.cgroup.flags |= KW_CGROUP_V1;
	top.cgroup = (struct kw_cgroup_ref){ .id = 4710,
					     .serial = 11,
					     .flags = KW_CGROUP_KNOWN | KW_CGROUP_V1,
					     .level = 1,
					     .path_bytes = 4,
					     .path = "top" };
	tell(&top, &attributed);
	tell(&leaf, &attributed);
	top.what = KW_LIFECYCLE_RENAME;
	memcpy(top.cgroup.path, "new", 4);
	tell(&top, &attributed);
	assert_string_equal(attributed.victim.path, "/new");
	assert_string_equal(path_of(4710, 11), "/new");
	assert_string_equal(path_of(4711, 12), "/new/leaf");
	/* its new name is cut: neither path is known any more */
	top.cgroup.flags |= KW_CGROUP_TRUNCATED;
	top.cgroup.path_bytes = 0;
	memset(top.cgroup.path, 0, 4);
	tell(&top, &attributed);
	assert_string_equal(path_of(4710, 11), "");
	assert_string_equal(path_of(4711, 12), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_path_is_known_from_mkdir_to_release, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_reused_id_has_no_old_path, setup, teardown),
		cmocka_unit_test_setup_teardown(a_renamed_parent_is_known_in_what_is_below, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
