/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The state of a cgroup, from a tree of files as the kernel would show it. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/capture/capture.h"

static struct support_time now = { 5000, 6000 };
static char *root;

static void put(const char *directory, const char *name, const char *text)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s%s", root, directory);
	(void)mkdir(path, 0700);
	support_write(path, name, text);
}

static int setup(void **state)
{
	(void)support_count_descriptors(state);
	root = support_directory();
	put("", "cgroup.controllers", "cpu memory pids\n");
	put("/a", "memory.max", "1048576\n");
	put("/a", "pids.max", "max\n");
	put("/a/b", "memory.max", "max\n");
	put("/a/b", "memory.current", "4096\n");
	put("/a/b", "pids.max", "7\n");
	put("/a/b", "pids.current", "3\n");
	put("/a/b", "pids.peak", "5\n");
	put("/a/b", "cgroup.events", "populated 1\nfrozen 0\n");
	put("/a/b", "memory.events", "oom 3\noom_kill 2\n");
	put("/a/b", "cpu.stat", "usage_usec 77\nuser_usec 70\n");
	return 0;
}

static int teardown(void **state)
{
	support_remove(root);
	return support_check_descriptors(state);
}

static int read_state(const char *path, struct kw_state *ret_state)
{
	struct kw_clock clock = support_clock(&now);

	return kw_state_read(root, path, &clock, ret_state);
}

static void all_is_read_and_the_tightest_limit_binds(void **state)
{
	struct kw_state got = { 0 };

	(void)state;
	assert_int_equal(read_state("/a/b", &got), 0);
	assert_int_equal(got.boot_ns, 5000);
	assert_false(got.is_gone);
	assert_int_equal(got.known, 255);
	assert_int_equal(got.oom_kill, 2);
	assert_true(got.is_populated);
	assert_int_equal(got.memory_bytes, 4096);
	assert_int_equal(got.memory_max_bytes, 1048576); /* the parent's */
	assert_int_equal(got.pids_max, 7);
	assert_int_equal(got.pids, 3);
	assert_int_equal(got.pids_peak, 5);
	assert_int_equal(got.cpu_usec, 77);
}

static void what_is_missing_is_not_known(void **state)
{
	struct kw_state got = { 0 };

	(void)state;
	put("/a/c", "cgroup.events", "populated 0\n");
	put("/a/c", "memory.current", "12x\n");
	put("/a/c", "pids.current", "\n");
	put("/a/c", "memory.max", "max\n");
	assert_int_equal(read_state("/a/c", &got), 0);
	assert_int_equal(got.known, KW_STATE_POPULATED | KW_STATE_MEMORY_MAX);
	assert_false(got.is_populated);
}

static void a_cgroup_that_is_gone_is_a_fact(void **state)
{
	struct kw_state got = { 0 };

	(void)state;
	assert_int_equal(read_state("/a/none", &got), 0);
	assert_true(got.is_gone);
	assert_int_equal(got.known, 0);
}

static void where_no_cgroups_are_nothing_is_said(void **state)
{
	struct kw_state got = { .pids = 4 };
	char path[600];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(read_state("/a/none", &got), -ENOTSUP);
	assert_int_equal(got.pids, 4);
}

static void the_root_and_odd_paths_are_refused(void **state)
{
	struct kw_state got = { 0 };

	(void)state;
	assert_int_equal(read_state("/", &got), -EINVAL);
	assert_int_equal(read_state("", &got), -EINVAL);
	assert_int_equal(read_state("a/b", &got), -EINVAL);
	assert_int_equal(read_state("/a/b/cpu.stat", &got), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_is_read_and_the_tightest_limit_binds, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_missing_is_not_known, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cgroup_that_is_gone_is_a_fact, setup, teardown),
		cmocka_unit_test_setup_teardown(where_no_cgroups_are_nothing_is_said, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_root_and_odd_paths_are_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
