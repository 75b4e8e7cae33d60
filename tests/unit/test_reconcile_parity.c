/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Parity, rule by rule: what is said of a counter that moved with, without and against its events. */
#include "reconcile_sim.h"

#include "user/reconcile/room.h"

#define BIT(counter) (1U << (counter))
#define WINDOW (6 * KW_NSEC_PER_SEC)

static struct sim sim;
static struct kw_parity_item items[16];
static unsigned int item_count, parities;
static struct kw_counter_kill counter_kill;
static char counter_kill_id[40];
static unsigned int counter_kills;
static char of_event_id[40];
static uint64_t file_max; /* what the reader shows of pids.events */

static int on_finding(void *context, const struct kw_finding *finding)
{
	if (finding->kind == KW_FINDING_PARITY) {
		parities++;
		item_count = finding->parity->item_count;
		memcpy(items, finding->parity->items, item_count * sizeof(items[0]));
	} else if (finding->kind == KW_FINDING_COUNTER_KILL) {
		counter_kills++;
		counter_kill = *finding->counter_kill;
		memcpy(counter_kill_id, finding->event_id, sizeof(counter_kill_id));
	} else if (finding->kind == KW_FINDING_OOM_KILL) {
		memcpy(of_event_id, finding->of_event_id, sizeof(of_event_id));
	}
	return sim_finding(context, finding);
}

static int on_read(void *context, const char *path, struct kw_reading *ret_reading)
{
	char text[64];
	int r = sim_read(context, path, ret_reading);

	(void)snprintf(text, sizeof(text), "max %llu\n", (unsigned long long)file_max);
	if (r == 0)
		r = kw_counters_parse(text, strlen(text), &ret_reading->files[KW_FLAT_PIDS_EVENTS]);
	return r;
}

static int setup(void **state)
{
	struct kw_reconcile_options options = {
		.boot_id = SIM_BOOT_ID, .finding = on_finding, .reader = on_read, .context = &sim
	};

	(void)state;
	memset(&sim, 0, sizeof(sim));
	item_count = parities = counter_kills = 0;
	of_event_id[0] = '\0';
	file_max = 0;
	sim.now_ns = 1000 * KW_NSEC_PER_SEC;
	sim.number = 1000000;
	assert_int_equal(kw_reconcile_open(&options, &sim.reconcile), 0);
	kw_reconcile_scanned(sim.reconcile);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sim_close(&sim);
	return 0;
}

static void read_counts(int at, uint32_t known, const uint64_t values[static KW_COUNTER_COUNT_],
			bool gone)
{
	struct kw_counts counts = { .cgroup_id = sim.cgroups[at].id,
				    .boot_ns = sim.now_ns,
				    .known = known,
				    .is_gone = gone,
				    .path = sim.cgroups[at].path };
	struct kw_observation observation = { .kind = KW_OBSERVATION_COUNTS,
					      .boot_ns = sim.now_ns,
					      .received_boot_ns = sim.now_ns,
					      .counts = &counts };
	static struct kw_attributed attributed;

	memcpy(counts.value, values, sizeof(counts.value));
	attributed.observation = &observation;
	assert_int_equal(kw_reconcile_observe(sim.reconcile, &attributed), 0);
	sim.now_ns += 1000;
}

static void read_memory(int at)
{
	uint64_t values[KW_COUNTER_COUNT_] = {
		[KW_COUNTER_OOM_KILL] = sim.cgroups[at].total.oom_kill,
		[KW_COUNTER_OOM_KILL_LOCAL] = sim.cgroups[at].local.oom_kill,
	};

	read_counts(at, BIT(KW_COUNTER_OOM_KILL) | BIT(KW_COUNTER_OOM_KILL_LOCAL), values, false);
}

static const struct kw_parity_item *item_of(unsigned int counter)
{
	for (unsigned int i = 0; i < item_count; i++) {
		if (items[i].counter == counter)
			return &items[i];
	}
	fail_msg("no verdict on counter %u", counter);
	return NULL;
}

static void a_kill_and_its_count_agree(void **state)
{
	struct sim_oom oom = { .victims = 1, .exact = true };
	const struct kw_parity_item *item;

	(void)state;
	(void)sim_cgroup(&sim, "/a", -1);
	read_memory(0);
	(void)sim_kill(&sim, &oom);
	read_memory(0);
	sim_pass(&sim, WINDOW);
	item = item_of(KW_COUNTER_OOM_KILL);
	assert_int_equal(item->verdict, KW_PARITY_AGREE);
	assert_int_equal(item->before, 0);
	assert_int_equal(item->account.kernel, 1);
	assert_int_equal(item->account.explained, 1);
	assert_int_equal(item->event_count, 1);
	assert_int_equal(counter_kills, 0);
}

static void nothing_is_said_where_nothing_moved(void **state)
{
	(void)state;
	(void)sim_cgroup(&sim, "/a", -1);
	read_memory(0);
	sim_pass(&sim, WINDOW);
	read_memory(0);
	sim_pass(&sim, WINDOW);
	assert_int_equal(parities, 0);
}

static void a_count_without_a_kill_is_told_by_the_counter(void **state)
{
	struct kw_parity_totals totals;

	(void)state;
	(void)sim_cgroup(&sim, "/a", -1);
	read_memory(0);
	sim_count(&sim, 0);
	sim_count(&sim, 0);
	read_memory(0);
	sim_pass(&sim, WINDOW);
	assert_int_equal(counter_kills, 1);
	assert_int_equal(counter_kill.kills, 2);
	assert_false(counter_kill.below);
	assert_int_equal(item_of(KW_COUNTER_OOM_KILL_LOCAL)->verdict, KW_PARITY_MISSED);
	assert_string_equal(item_of(KW_COUNTER_OOM_KILL)->event_ids[0], counter_kill_id);
	kw_reconcile_totals(sim.reconcile, &totals);
	assert_int_equal(totals.by_counter, 2);
	assert_int_equal(totals.kernel, 2);
}

static void a_record_that_comes_after_all_names_the_counters_event(void **state)
{
	struct sim_oom oom = { .owner = -1, .victims = 1, .unnumbered = true };
	struct kw_parity_totals totals;
	uint64_t then;

	(void)state;
	(void)sim_cgroup(&sim, "/a", -1);
	read_memory(0);
	then = sim.now_ns;
	sim_count(&sim, 0);
	sim.now_ns += 1000;
	read_memory(0);
	sim_pass(&sim, WINDOW);
	assert_int_equal(counter_kills, 1);
	sim.now_ns = then;
	assert_int_equal(sim_observe_kill(&sim, &oom, 0, ++sim.number, 0, 1), 0);
	assert_string_equal(of_event_id, counter_kill_id);
	sim.now_ns = then + 2 * WINDOW;
	read_memory(0);
	sim_pass(&sim, WINDOW);
	kw_reconcile_totals(sim.reconcile, &totals);
	assert_int_equal(totals.by_counter, 0);
	assert_int_equal(totals.by_hook, 1);
	assert_int_equal(counter_kills, 1);
}

static void a_cgroup_that_nobody_read_is_found_above(void **state)
{
	int parent, child;

	(void)state;
	parent = sim_cgroup(&sim, "/a", -1);
	child = sim_cgroup(&sim, "/a/b", parent);
	read_memory(parent);
	sim_count(&sim, child);
	sim.cgroups[child].gone = true;
	read_memory(parent);
	sim_pass(&sim, 3 * WINDOW);
	assert_int_equal(counter_kills, 1);
	assert_true(counter_kill.below);
	assert_string_equal(counter_kill.cgroup.path, "/a");
}

static void a_counter_that_fell_has_regressed(void **state)
{
	struct sim_oom oom = { .victims = 1, .exact = true };

	(void)state;
	(void)sim_cgroup(&sim, "/a", -1);
	read_memory(0);
	(void)sim_kill(&sim, &oom);
	read_memory(0);
	sim_pass(&sim, WINDOW);
	memset(&sim.cgroups[0].total, 0, sizeof(sim.cgroups[0].total));
	memset(&sim.cgroups[0].local, 0, sizeof(sim.cgroups[0].local));
	read_memory(0);
	sim_pass(&sim, WINDOW);
	assert_int_equal(item_of(KW_COUNTER_OOM_KILL)->verdict, KW_PARITY_REGRESSED);
	assert_int_equal(item_of(KW_COUNTER_OOM_KILL)->account.unexplained, 0);
	(void)sim_kill(&sim, &oom);
	read_memory(0);
	sim_pass(&sim, WINDOW);
	assert_int_equal(item_of(KW_COUNTER_OOM_KILL)->verdict, KW_PARITY_AGREE);
	assert_int_equal(counter_kills, 0);
}

/* A refused fork in /a/b by the limit of /a, as both kinds of kernel count it. */
static void observe_refusal(uint64_t count)
{
	static struct kw_record_pids record;
	static struct kw_attributed attributed;
	struct kw_observation observation = { .kind = KW_OBSERVATION_PIDS,
					      .boot_ns = sim.now_ns,
					      .received_boot_ns = sim.now_ns,
					      .pids = &record };

	record.told = record.refusals.total;
	record.refusals.total += count;
	sim_identify(&sim, 1, &record.refusals.cgroup, &attributed.victim);
	sim_identify(&sim, 0, &record.refusals.owner, &attributed.owner);
	attributed.observation = &observation;
	assert_int_equal(kw_reconcile_observe(sim.reconcile, &attributed), 0);
}

static void refused_forks_are_counted_where_the_limit_is(void **state)
{
	uint64_t values[KW_COUNTER_COUNT_] = { 0 };
	uint32_t known = BIT(KW_COUNTER_PIDS_MAX) | BIT(KW_COUNTER_PIDS_MAX_LOCAL);

	(void)state;
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_cgroup(&sim, "/a/b", 0);
	read_counts(0, known, values, false);
	read_counts(1, known, values, false);
	observe_refusal(7);
	values[KW_COUNTER_PIDS_MAX] = values[KW_COUNTER_PIDS_MAX_LOCAL] = 7;
	read_counts(0, known, values, false);
	sim_pass(&sim, WINDOW);
	assert_int_equal(item_of(KW_COUNTER_PIDS_MAX)->verdict, KW_PARITY_AGREE);
	assert_int_equal(item_of(KW_COUNTER_PIDS_MAX_LOCAL)->verdict, KW_PARITY_AGREE);
	assert_int_equal(parities, 1);
}

static void and_up_to_6_10_where_the_fork_was(void **state)
{
	uint64_t values[KW_COUNTER_COUNT_] = { 0 };

	(void)state;
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_cgroup(&sim, "/a/b", 0);
	read_counts(0, BIT(KW_COUNTER_PIDS_MAX), values, false);
	read_counts(1, BIT(KW_COUNTER_PIDS_MAX), values, false);
	observe_refusal(7);
	values[KW_COUNTER_PIDS_MAX] = 8; /* and one that no event tells */
	read_counts(1, BIT(KW_COUNTER_PIDS_MAX), values, false);
	sim_pass(&sim, 2 * WINDOW); /* the counter was behind first: one window more */
	assert_int_equal(item_of(KW_COUNTER_PIDS_MAX)->verdict, KW_PARITY_MISSED);
	assert_int_equal(item_of(KW_COUNTER_PIDS_MAX)->account.explained, 7);
	assert_int_equal(item_of(KW_COUNTER_PIDS_MAX)->account.unexplained, 1);
	assert_int_equal(counter_kills, 0);
}

static void an_event_that_did_not_move_the_counter_is_extra(void **state)
{
	uint64_t values[KW_COUNTER_COUNT_] = { 0 };

	(void)state;
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_cgroup(&sim, "/a/b", 0);
	read_counts(0, BIT(KW_COUNTER_PIDS_MAX), values, false);
	read_counts(1, BIT(KW_COUNTER_PIDS_MAX), values, false);
	observe_refusal(2);
	sim_pass(&sim, WINDOW);
	assert_int_equal(item_of(KW_COUNTER_PIDS_MAX)->verdict, KW_PARITY_EXTRA);
	assert_int_equal(item_of(KW_COUNTER_PIDS_MAX)->account.unexplained, -2);
	/* It moves after all: no move is explained twice. */
	values[KW_COUNTER_PIDS_MAX] = file_max = 2;
	read_counts(1, BIT(KW_COUNTER_PIDS_MAX), values, false);
	sim_pass(&sim, WINDOW);
	assert_int_equal(item_of(KW_COUNTER_PIDS_MAX)->verdict, KW_PARITY_LATE);
	assert_int_equal(item_of(KW_COUNTER_PIDS_MAX)->account.unexplained, 0);
}

static void observe_episode(uint32_t phase, uint64_t stalled_ns, uint32_t periods)
{
	static struct kw_record_throttle record;
	static struct kw_attributed attributed;
	struct kw_observation observation = { .kind = KW_OBSERVATION_THROTTLE,
					      .boot_ns = sim.now_ns,
					      .received_boot_ns = sim.now_ns,
					      .throttle = &record };

	memset(&record, 0, sizeof(record));
	record.phase = phase;
	record.throttle.episode = 7;
	record.throttle.totals.stalled_ns = stalled_ns;
	record.throttle.bandwidth.throttled_ns = stalled_ns;
	record.throttle.bandwidth.throttled_periods = periods;
	sim_identify(&sim, 0, &record.throttle.cgroup, &attributed.victim);
	attributed.observation = &observation;
	assert_int_equal(kw_reconcile_observe(sim.reconcile, &attributed), 0);
}

/* While an episode is under way the kernel is ahead of what was told, and that is right. */
static void throttling_is_judged_when_the_episode_is_over(void **state)
{
	uint64_t values[KW_COUNTER_COUNT_] = { 0 };
	uint32_t known = BIT(KW_COUNTER_CPU_THROTTLED) | BIT(KW_COUNTER_CPU_THROTTLED_USEC);

	(void)state;
	(void)sim_cgroup(&sim, "/a", -1);
	read_counts(0, known, values, false);
	observe_episode(KW_THROTTLE_START, 0, 0);
	values[KW_COUNTER_CPU_THROTTLED] = 4;
	values[KW_COUNTER_CPU_THROTTLED_USEC] = 70000;
	read_counts(0, known, values, false);
	sim_pass(&sim, 2 * WINDOW);
	assert_int_equal(parities, 0);
	values[KW_COUNTER_CPU_THROTTLED] = 6;
	values[KW_COUNTER_CPU_THROTTLED_USEC] = 91000;
	read_counts(0, known, values, false);
	observe_episode(KW_THROTTLE_END, 91000900, 6);
	sim_pass(&sim, WINDOW);
	assert_int_equal(item_of(KW_COUNTER_CPU_THROTTLED)->account.explained, 6);
	assert_int_equal(item_of(KW_COUNTER_CPU_THROTTLED_USEC)->account.explained, 91000);
	assert_int_equal(item_of(KW_COUNTER_CPU_THROTTLED_USEC)->account.unexplained, 0);
	values[KW_COUNTER_CPU_THROTTLED_USEC] = 95000; /* a stall that no hook saw */
	read_counts(0, known, values, false);
	sim_pass(&sim, WINDOW);
	assert_int_equal(item_of(KW_COUNTER_CPU_THROTTLED_USEC)->verdict, KW_PARITY_MISSED);
	assert_int_equal(item_of(KW_COUNTER_CPU_THROTTLED_USEC)->account.unexplained, 4000);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_kill_and_its_count_agree),
		TEST(nothing_is_said_where_nothing_moved),
		TEST(a_count_without_a_kill_is_told_by_the_counter),
		TEST(a_record_that_comes_after_all_names_the_counters_event),
		TEST(a_cgroup_that_nobody_read_is_found_above),
		TEST(a_counter_that_fell_has_regressed),
		TEST(refused_forks_are_counted_where_the_limit_is),
		TEST(and_up_to_6_10_where_the_fork_was),
		TEST(an_event_that_did_not_move_the_counter_is_extra),
		TEST(throttling_is_judged_when_the_episode_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
