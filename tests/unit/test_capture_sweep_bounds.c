/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The poller's bounds: descriptors, work a turn, paths, a hostile tree; and what it knows on demand. */
#include "sweep_tree.h"

static struct tree tree;

static void make_many(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/g%u", i);
		tree_make(&tree, path);
	}
}

static void a_turn_is_bounded(void **state)
{
	unsigned int turns = 0;
	int r;

	(void)state;
	tree_open(&tree, "*", 10000);
	make_many(1000);
	kw_sweep_begin_round(tree.sweep);
	do {
		unsigned int before = tree.count;

		r = kw_sweep_turn(tree.sweep, tree_say, &tree);
		assert_true(r >= 0);
		assert_true(tree.count - before <= KW_SWEEP_TURN_STEPS);
		turns++;
	} while (r > 0);
	assert_int_equal(tree.count, 1000);
	assert_true(turns >= 1000 / KW_SWEEP_TURN_STEPS);
	tree_close(&tree);
}

/* A clock that moves on by a millisecond each time somebody looks at it. */
static uint64_t slow_clock(void *context)
{
	struct support_time *time = context;

	time->boot_ns += KW_NSEC_PER_MSEC;
	return time->boot_ns;
}

static void a_turn_ends_with_its_time(void **state)
{
	unsigned int turns = 0;
	int r;

	(void)state;
	tree_open(&tree, "*", 10000);
	tree.clock.boot_ns = slow_clock;
	make_many(20);
	kw_sweep_begin_round(tree.sweep);
	do {
		unsigned int before = tree.count;

		r = kw_sweep_turn(tree.sweep, tree_say, &tree);
		assert_true(r >= 0);
		assert_true(tree.count - before <= 2);
		turns++;
	} while (r > 0);
	assert_int_equal(tree.count, 20);
	tree_close(&tree);
}

static void descriptors_keep_to_their_budget(void **state)
{
	const struct kw_counts *counts = NULL;
	struct kw_sweep_totals totals;
	unsigned int before;

	(void)state;
	tree_open(&tree, "*", 22); /* four cgroups, and not quite a fifth */
	make_many(20);
	tree_round(&tree);
	assert_int_equal(tree.count, 20);
	kw_sweep_totals(tree.sweep, &totals);
	assert_true(totals.descriptors <= 22);
	assert_true(totals.descriptors >= 16);
	assert_int_equal(totals.cgroups, 21);
	assert_true(totals.read_kept >= 4 && totals.read_kept <= 6);
	/* Whoever has none is read all the same, and takes some over when it moves again and again. */
	before = tree.count;
	for (unsigned int i = 0; i < 20; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/g%u", i);
		tree_file(&tree, path, "pids.events", "max 1\n");
	}
	tree_round(&tree);
	for (unsigned int i = 0; i < 20; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/g%u", i);
		assert_true(tree_said(&tree, before, path, &counts) >= 1);
		assert_int_equal(counts->value[KW_COUNTER_PIDS_MAX], 1);
	}
	kw_sweep_totals(tree.sweep, &totals);
	assert_true(totals.descriptors <= 22);
	tree_close(&tree);
}

static void without_any_descriptor_it_works_too(void **state)
{
	struct kw_sweep_totals totals;
	unsigned int before;

	(void)state;
	tree_open(&tree, "*", 0);
	make_many(5);
	tree_round(&tree);
	assert_int_equal(tree.count, 5);
	kw_sweep_totals(tree.sweep, &totals);
	assert_int_equal(totals.descriptors, 0);
	before = tree.count;
	tree_file(&tree, "/g3", "cpu.stat", "nr_throttled 1\n");
	tree_remove(&tree, "/g4");
	tree_round(&tree);
	assert_int_equal(tree.count, before + 2);
	tree_close(&tree);
}

static void files_may_come_and_go(void **state)
{
	const struct kw_counts *counts = NULL;
	unsigned int before;
	char path[512];

	(void)state;
	tree_open(&tree, "*", 0);
	tree_make(&tree, "/a");
	(void)snprintf(path, sizeof(path), "%s/a/pids.events", tree.root);
	assert_int_equal(unlink(path), 0);
	tree_round(&tree);
	assert_int_equal(tree_said(&tree, 0, "/a", &counts), 1);
	assert_false(counts->known & 1U << KW_COUNTER_PIDS_MAX);
	before = tree.count;
	tree_file(&tree, "/a", "pids.events", "max 4\n");
	for (unsigned int i = 0; i <= KW_SWEEP_WALK_ROUNDS; i++)
		tree_round(&tree);
	assert_int_equal(tree_said(&tree, before, "/a", &counts), 1);
	assert_int_equal(counts->value[KW_COUNTER_PIDS_MAX], 4);
	/* Refused text is not known; what it was is said once. */
	before = tree.count;
	tree_file(&tree, "/a", "pids.events", "max four\n");
	tree_round(&tree);
	assert_true(tree_said(&tree, before, "/a", &counts) >= 1);
	assert_false(counts->known & 1U << KW_COUNTER_PIDS_MAX);
	tree_close(&tree);
}

static void paths_that_are_too_long_are_counted(void **state)
{
	struct kw_sweep_totals totals;
	char name[256], *at;
	size_t depth;

	(void)state;
	tree_open(&tree, "*", 1000);
	memset(name, 'n', sizeof(name));
	name[0] = '/';
	name[250] = '\0';
	/* Six of 250 bytes: below the fourth nothing is followed. */
	at = strdup(tree.root);
	for (depth = 0; depth < 6; depth++) {
		char *deeper = NULL;

		assert_true(asprintf(&deeper, "%s%s", at, name) > 0);
		assert_int_equal(mkdir(deeper, 0755), 0);
		free(at);
		at = deeper;
	}
	free(at);
	tree_round(&tree);
	kw_sweep_totals(tree.sweep, &totals);
	assert_int_equal(totals.cgroups, 5); /* the root, and four */
	assert_int_equal(totals.too_long, 1);
	tree_close(&tree);
}

static void the_last_minute_is_kept(void **state)
{
	struct kw_history history;

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/limited");
	tree_file(&tree, "/limited", "memory.max", "1048576\n");
	tree_file(&tree, "/limited", "memory.current", "4096\n");
	tree_make(&tree, "/free");
	tree_file(&tree, "/free", "memory.max", "max\n");
	tree_file(&tree, "/free", "memory.current", "4096\n");
	tree_round(&tree);
	assert_int_equal(kw_sweep_history(tree.sweep, "/free", &history), -ENODATA);
	assert_int_equal(kw_sweep_history(tree.sweep, "/none", &history), -ENODATA);
	assert_int_equal(kw_sweep_history(tree.sweep, "/limited", &history), 0);
	assert_int_equal(history.count, 1);
	assert_int_equal(history.bytes[0], 4096);
	assert_int_equal(history.interval_ms, 5000);
	for (unsigned int i = 2; i <= 15; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "%u\n", i * 4096);
		tree_file(&tree, "/limited", "memory.current", text);
		tree_round(&tree);
	}
	assert_int_equal(kw_sweep_history(tree.sweep, "/limited", &history), 0);
	assert_int_equal(history.count, KW_HISTORY_SAMPLES);
	assert_int_equal(history.bytes[0], 4 * 4096);
	assert_int_equal(history.bytes[KW_HISTORY_SAMPLES - 1], 15 * 4096);
	assert_int_equal(history.last_boot_ns, tree.time.boot_ns);
	tree_close(&tree);
}

static void context_is_what_the_files_say(void **state)
{
	struct kw_cgroup_context context;

	(void)state;
	tree_open(&tree, "*", 1000);
	tree_make(&tree, "/a");
	tree_file(&tree, "/a", "memory.current", "8192\n");
	tree_file(&tree, "/a", "memory.max", "max\n");
	tree_file(&tree, "/a", "cpu.max", "20000 100000\n");
	tree_file(&tree, "/a", "memory.pressure",
		  "some avg10=12.34 avg60=0.00 avg300=0.00 total=77\n"
		  "full avg10=0.05 avg60=0.00 avg300=0.00 total=66\n");
	tree_file(&tree, "/a", "cpu.pressure", "some avg10=1e9 total=1\n");
	tree_round(&tree);
	assert_int_equal(kw_sweep_context(tree.sweep, "/a", &context), 0);
	assert_int_equal(context.known, KW_CONTEXT_MEMORY_CURRENT | KW_CONTEXT_MEMORY_MAX |
						KW_CONTEXT_CPU_MAX | KW_CONTEXT_MEMORY_PRESSURE);
	assert_int_equal(context.memory_current_bytes, 8192);
	assert_true(context.memory_max_bytes == UINT64_MAX);
	assert_int_equal(context.cpu_quota_usec, 20000);
	assert_int_equal(context.cpu_period_usec, 100000);
	assert_int_equal(context.memory_pressure.some_avg10, 1234);
	assert_int_equal(context.memory_pressure.some_usec, 77);
	assert_int_equal(context.memory_pressure.full_avg10, 5);
	assert_int_equal(context.memory_pressure.full_usec, 66);
	assert_int_equal(kw_sweep_context(tree.sweep, "/b", &context), -ENOENT);
	tree_close(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(a_turn_is_bounded),
		support_test(a_turn_ends_with_its_time),
		support_test(descriptors_keep_to_their_budget),
		support_test(without_any_descriptor_it_works_too),
		support_test(files_may_come_and_go),
		support_test(paths_that_are_too_long_are_counted),
		support_test(the_last_minute_is_kept),
		support_test(context_is_what_the_files_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
