/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sweep_tree.h"

static struct tree tree;

static void every_cgroup_is_told_once(void **state)
{
	const struct kw_counts *counts = NULL;

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/a");
	tree_make(&tree, "/a/b");
	tree_make(&tree, "/a/b/c");
	tree_file(&tree, "/a/b/c", "memory.events", "oom 3\noom_kill 2\nlow 7\n");
	tree_round(&tree);
	assert_int_equal(tree.count, 3); /* the root has no such files here */
	assert_int_equal(tree_said(&tree, 0, "/a/b/c", &counts), 1);
	assert_true(counts->is_first);
	assert_false(counts->is_gone);
	assert_int_equal(counts->value[KW_COUNTER_OOM], 3);
	assert_int_equal(counts->value[KW_COUNTER_OOM_KILL], 2);
	assert_true(counts->known & 1U << KW_COUNTER_OOM_KILL);
	assert_false(counts->known & 1U << KW_COUNTER_OOM_GROUP_KILL);
	assert_false(counts->known & 1U << KW_COUNTER_PIDS_MAX_LOCAL);
	assert_int_equal(counts->boot_ns, tree.time.boot_ns);
	for (int i = 0; i < 30; i++)
		tree_round(&tree);
	assert_int_equal(tree.count, 3);
	tree_close(&tree);
}

static void events_are_told_when_notified(void **state)
{
	const struct kw_counts *counts = NULL;
	unsigned int before;

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/a");
	tree_make(&tree, "/b");
	tree_round(&tree);
	before = tree.count;
	tree_file(&tree, "/a", "memory.events.local", "oom_kill 5\n");
	tree_file(&tree, "/a", "memory.events", "oom_kill 5\n");
	tree_notified(&tree);
	assert_true(tree_said(&tree, before, "/a", &counts) >= 1);
	assert_int_equal(counts->value[KW_COUNTER_OOM_KILL], 5);
	assert_int_equal(counts->value[KW_COUNTER_OOM_KILL_LOCAL], 5);
	assert_false(counts->is_first);
	assert_int_equal(tree_said(&tree, before, "/b", NULL), 0);
	before = tree.count;
	tree_file(&tree, "/b", "pids.events", "max 9\n");
	tree_notified(&tree);
	assert_true(tree_said(&tree, before, "/b", &counts) >= 1);
	assert_int_equal(counts->value[KW_COUNTER_PIDS_MAX], 9);
	tree_close(&tree);
}

static void time_used_alone_is_no_news(void **state)
{
	const struct kw_counts *counts = NULL;
	unsigned int before;

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/a");
	tree_round(&tree);
	before = tree.count;
	tree_file(&tree, "/a", "cpu.stat",
		  "usage_usec 99\nnr_periods 7\nnr_throttled 0\nthrottled_usec 0\n");
	tree_round(&tree);
	assert_int_equal(tree.count, before);
	tree_file(&tree, "/a", "cpu.stat",
		  "usage_usec 100\nnr_periods 8\nnr_throttled 0\nthrottled_usec 4\n");
	tree_round(&tree);
	assert_int_equal(tree_said(&tree, before, "/a", &counts), 1);
	assert_int_equal(counts->value[KW_COUNTER_CPU_USAGE_USEC], 100);
	tree_close(&tree);
}

static void cgroups_that_come_and_go_between_rounds(void **state)
{
	const struct kw_counts *counts = NULL;
	unsigned int before;

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/a");
	tree_round(&tree);
	before = tree.count;
	tree_make(&tree, "/a/new");
	tree_make(&tree, "/a/new/deep");
	tree_notified(&tree);
	assert_int_equal(tree_said(&tree, before, "/a/new/deep", &counts), 1);
	assert_true(counts->is_first);
	tree_file(&tree, "/a/new/deep", "memory.events", "oom_kill 6\n");
	tree_notified(&tree);
	before = tree.count;
	tree_remove(&tree, "/a/new");
	tree_notified(&tree);
	assert_int_equal(tree_said(&tree, before, "/a/new/deep", &counts), 1);
	assert_true(counts->is_gone);
	assert_int_equal(counts->value[KW_COUNTER_OOM_KILL], 6); /* the last that was read */
	assert_int_equal(tree_said(&tree, before, "/a/new", &counts), 1);
	assert_true(counts->is_gone);
	before = tree.count;
	for (int i = 0; i < 15; i++)
		tree_round(&tree);
	assert_int_equal(tree.count, before); /* gone once */
	tree_close(&tree);
}

static void one_that_was_made_anew_is_another(void **state)
{
	struct kw_sweep_totals totals;
	unsigned int before;
	uint64_t id;
	char from[512], to[512];

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/a");
	tree_file(&tree, "/a", "memory.events", "oom_kill 6\n");
	tree_make(&tree, "/other"); /* so that the inode of the old one is not taken again */
	tree_round(&tree);
	before = tree.count;
	id = tree.said[0].counts.cgroup_id;
	if (strcmp(tree.said[0].path, "/a") != 0)
		id = tree.said[1].counts.cgroup_id;
	(void)snprintf(from, sizeof(from), "%s/a", tree.root);
	(void)snprintf(to, sizeof(to), "%s.old", tree.root);
	assert_int_equal(rename(from, to), 0);
	tree_make(&tree, "/a");
	tree_notified(&tree);
	assert_true(tree.count >= before + 2);
	assert_true(tree.said[before].counts.is_gone);
	assert_int_equal(tree.said[before].counts.cgroup_id, id);
	assert_int_equal(tree.said[before].counts.value[KW_COUNTER_OOM_KILL], 6);
	assert_true(tree.said[before + 1].counts.is_first);
	assert_int_not_equal(tree.said[before + 1].counts.cgroup_id, id);
	assert_int_equal(tree.said[before + 1].counts.value[KW_COUNTER_OOM_KILL], 0);
	kw_sweep_totals(tree.sweep, &totals);
	assert_int_equal(totals.cgroups, 3);
	support_remove(strdup(to));
	tree_close(&tree);
}

static void what_was_refused_is_given_again(void **state)
{
	const struct kw_counts *counts = NULL;
	unsigned int before;

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/a");
	tree.time.boot_ns += 5 * KW_NSEC_PER_SEC;
	kw_sweep_begin_round(tree.sweep);
	tree.refuse = -ENOSPC;
	assert_int_equal(kw_sweep_turn(tree.sweep, tree_say, &tree), -ENOSPC);
	assert_int_equal(kw_sweep_notified(tree.sweep, tree_say, &tree), -ENOSPC);
	tree.refuse = 0;
	tree_settle(&tree);
	assert_int_equal(tree_said(&tree, 0, "/a", &counts), 1);
	assert_true(counts->is_first);
	/* Moved, refused, and gone before it could be told: told with what was read last. */
	tree.refuse = -EIO;
	tree_file(&tree, "/a", "memory.events", "oom_kill 3\n");
	assert_int_equal(kw_sweep_notified(tree.sweep, tree_say, &tree), -EIO);
	tree_remove(&tree, "/a");
	assert_int_equal(kw_sweep_notified(tree.sweep, tree_say, &tree), -EIO);
	tree.refuse = 0;
	before = tree.count;
	tree_settle(&tree);
	tree_settle(&tree);
	assert_true(tree_said(&tree, before, "/a", &counts) >= 1);
	assert_true(counts->is_gone);
	assert_int_equal(counts->value[KW_COUNTER_OOM_KILL], 3);
	before = tree.count;
	tree_round(&tree);
	assert_int_equal(tree.count, before);
	tree_close(&tree);
}

static void globs_choose_what_is_read(void **state)
{
	struct kw_sweep_options options = { .root_path = "/", .clock = &kw_clock_system };
	struct kw_sweep *sweep = NULL;

	(void)state;
	tree_open(&tree, "/x.slice/* /y*", 1000);
	tree_make(&tree, "/x.slice");
	tree_make(&tree, "/x.slice/in");
	tree_make(&tree, "/yes");
	tree_make(&tree, "/no");
	tree_make(&tree, "/no/x.slice");
	tree_round(&tree);
	assert_int_equal(tree.count, 2);
	assert_int_equal(tree_said(&tree, 0, "/x.slice/in", NULL), 1);
	assert_int_equal(tree_said(&tree, 0, "/yes", NULL), 1);
	tree_close(&tree);
	tree_open(&tree, "", 1000);
	tree_make(&tree, "/a");
	tree_round(&tree);
	assert_int_equal(tree.count, 0);
	tree_close(&tree);
	options.globs = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17";
	assert_int_equal(kw_sweep_open(&options, &sweep), -EINVAL);
	assert_null(sweep);
}

static void other_witnesses_may_tell(void **state)
{
	unsigned int before;

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/a");
	tree_round(&tree);
	before = tree.count;
	kw_sweep_appeared(tree.sweep, "/a/not/there");
	kw_sweep_appeared(tree.sweep, "/a");
	kw_sweep_appeared(tree.sweep, "");
	kw_sweep_went(tree.sweep, "/a");
	kw_sweep_went(tree.sweep, "/never/was");
	tree_notified(&tree);
	assert_int_equal(tree.count, before);
	tree_make(&tree, "/a/b");
	kw_sweep_appeared(tree.sweep, "/a/b");
	tree_notified(&tree);
	assert_int_equal(tree_said(&tree, before, "/a/b", NULL), 1);
	tree_close(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(every_cgroup_is_told_once),
		support_test(events_are_told_when_notified),
		support_test(time_used_alone_is_no_news),
		support_test(cgroups_that_come_and_go_between_rounds),
		support_test(one_that_was_made_anew_is_another),
		support_test(what_was_refused_is_given_again),
		support_test(globs_choose_what_is_read),
		support_test(other_witnesses_may_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
