/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Verdicts on single OOMs, each as the kernel was measured to behave or as it must not. */
#include "reconcile_sim.h"

static void assert_verdict(const struct sim *sim, enum kw_verdict verdict, int64_t unexplained,
			   const char *word)
{
	if (sim->last.verdict != verdict || sim->last.unexplained != unexplained ||
	    !strstr(sim->last.words, word))
		print_error("%s, %lld: %s\n", kw_verdict_name(sim->last.verdict),
			    (long long)sim->last.unexplained, sim->last.words);
	assert_int_equal(sim->last.verdict, verdict);
	assert_int_equal(sim->last.unexplained, unexplained);
	assert_non_null(strstr(sim->last.words, word));
}

static void test_single(void **state)
{
	struct sim sim;
	uint64_t number;
	char expected[40];
	int a;

	(void)state;
	sim_open(&sim);
	a = sim_cgroup(&sim, "/a", -1);
	number = sim_kill(&sim, &(struct sim_oom){
					.owner = a, .victims = 1, .cgroup = { a }, .exact = true });
	assert_int_equal(sim.kills, 1); /* said at once, the incident not yet */
	assert_int_equal(sim.incidents, 0);
	kw_ids_derive(SIM_BOOT_ID, "incident", number, expected);
	assert_string_equal(sim.last_kill.incident_id, expected);
	kw_ids_derive(SIM_BOOT_ID, "record", number + 1, expected);
	assert_string_equal(sim.last_kill.event_id, expected);
	/* 200 ms after the end record was received, not before. */
	assert_int_equal(kw_reconcile_deadline(sim.reconcile), sim.now_ns + 100000 + 200000000);
	sim_pass(&sim, 190 * KW_NSEC_PER_MSEC);
	assert_int_equal(sim.incidents, 0);
	sim_pass(&sim, 11 * KW_NSEC_PER_MSEC);
	assert_int_equal(sim.incidents, 1);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "1 process was killed, oom_kill moved by 1");
	assert_string_equal(sim.last.id, sim.last_kill.incident_id);
	assert_string_equal(sim.last_finding.event_id, sim.last.id);
	assert_true(sim.last.file_known);
	assert_int_equal(sim.last.file.oom_kill, 1);
	assert_int_equal(sim.last.file.max, 9);
	assert_int_equal(sim.last.victim_count, 1);
	assert_int_equal(kw_reconcile_deadline(sim.reconcile), UINT64_MAX);
	sim_close(&sim);
}

/* Measured on 6.1 and 6.12: 4 processes in a group kill, 5 counts. */
static void test_group(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .victims = 4, .group = true, .exact = true };

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "moved by 5: a group kill counts");
	assert_int_equal(sim.last.duplicates, 1);
	assert_int_equal(sim.last.kills, 4);
	/* The same without __oom_kill_process hooked: the counters alone say it. */
	oom.exact = false;
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "moved by 5: a group kill counts");
	assert_int_equal(sim.last.duplicates, 1);
	/* One count more than a group kill can bring. */
	oom.hidden = 1;
	for (int exact = 0; exact <= 1; exact++) {
		oom.exact = exact;
		(void)sim_kill(&sim, &oom);
		sim_pass(&sim, SIM_SETTLED);
		assert_verdict(&sim, KW_VERDICT_UNEXPLAINED, 1, "1 move has no recorded kill");
		assert_int_equal(sim.last.duplicates, 1);
	}
	sim_close(&sim);
}

/* Counted twice without a group kill: nothing in the kernel does that. */
static void test_duplicate_without_group(void **state)
{
	struct sim sim;

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &(struct sim_oom){ .victims = 1, .hidden = 1 });
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNEXPLAINED, 1, "1 move has no recorded kill");
	assert_int_equal(sim.last.duplicates, 0);
	sim_close(&sim);
}

static void test_nested(void **state)
{
	struct sim sim;
	int a, b, c;

	(void)state;
	sim_open(&sim);
	a = sim_cgroup(&sim, "/a", -1);
	b = sim_cgroup(&sim, "/a/b", a);
	c = sim_cgroup(&sim, "/a/bc", a); /* no child of /a/b, though the text begins alike */
	/* In turn: limits of parent, child and sister, victims below them; each account must follow. */
	for (int i = 0; i < 12; i++) {
		struct sim_oom oom = { .owner = i % 3, .victims = 1 + i % 4, .group = i % 4 == 3 };

		for (int j = 0; j < oom.victims; j++)
			oom.cgroup[j] = oom.owner == a ? (j % 2 ? b : c) : oom.owner;
		(void)sim_kill(&sim, &oom);
		if (i % 2)
			sim_pass(&sim, SIM_SETTLED);
	}
	sim_pass(&sim, SIM_SETTLED);
	assert_int_equal(sim.incidents, 12);
	assert_int_equal(sim.unexplained_sum, 0);
	assert_int_equal(sim.last.verdict, KW_VERDICT_EXPLAINED);
	sim_close(&sim);
}

static void test_removed(void **state)
{
	struct sim sim;

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &(struct sim_oom){ .victims = 2 });
	sim.cgroups[0].gone = true;
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "the cgroup was removed before");
	assert_false(sim.last.file_known);
	/* Another cgroup has taken its place: its file says nothing about this OOM. */
	sim.cgroups[0].gone = false;
	sim.cgroups[0].total.oom_kill = 7;
	(void)sim_kill(&sim, &(struct sim_oom){ .victims = 1 });
	sim.cgroups[0].total.oom_kill = 0;
	sim_pass(&sim, SIM_SETTLED);
	assert_non_null(strstr(sim.last.words, "another cgroup has its path"));
	sim_close(&sim);
}

static void test_lost(void **state)
{
	struct sim sim;

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &(struct sim_oom){ .victims = 5, .lost = 2 });
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNEXPLAINED, 2, "(2 records were lost)");
	assert_int_equal(sim.last.lost, 2);
	assert_int_equal(sim.last.kills, 3);
	/* One lost and declared, one missing that nobody owned up to. */
	(void)sim_kill(&sim, &(struct sim_oom){ .victims = 5, .lost = 1, .silent = 1 });
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNEXPLAINED, 2, "(1 record was lost)");
	sim_close(&sim);
}

static void test_marked_without_count(void **state)
{
	struct sim sim;

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	for (int exact = 0; exact <= 1; exact++) {
		(void)sim_kill(&sim,
			       &(struct sim_oom){ .victims = 1, .uncounted = 1, .exact = exact });
		sim_pass(&sim, SIM_SETTLED);
		assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "1 victim was exiting already");
	}
	/* Nothing was marked at all: the victim had no memory left. Still an OOM. */
	(void)sim_kill(&sim, &(struct sim_oom){ .victims = 0 });
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "no kill was recorded, oom_kill moved by 0");
	sim_close(&sim);
}

static void test_between(void **state)
{
	struct sim sim;
	int a, b;

	(void)state;
	sim_open(&sim);
	a = sim_cgroup(&sim, "/a", -1);
	b = sim_cgroup(&sim, "/a/b", a);
	(void)sim_kill(&sim, &(struct sim_oom){ .owner = a, .victims = 1, .cgroup = { b } });
	sim_pass(&sim, SIM_SETTLED);
	assert_int_equal(sim.last.unexplained, 0);
	/* A kill of the child's own limit explains the parent's move … */
	(void)sim_kill(&sim, &(struct sim_oom){ .owner = b, .victims = 1, .cgroup = { b } });
	/* … and two that nobody saw do not. */
	sim_pass(&sim, SIM_SETTLED);
	sim_count(&sim, b);
	sim_count(&sim, b);
	(void)sim_kill(&sim, &(struct sim_oom){ .owner = a, .victims = 1, .cgroup = { b } });
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNEXPLAINED, 2,
		       "before it oom_kill moved by 2 without a kill seen");
	/* Said once. */
	(void)sim_kill(&sim, &(struct sim_oom){ .owner = a, .victims = 1, .cgroup = { b } });
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "1 process was killed");
	sim_close(&sim);
}

static void test_file_ahead(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .victims = 1 };

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &oom);
	sim_count(&sim, 0); /* killed, and no record will come */
	sim_pass(&sim, 300 * KW_NSEC_PER_MSEC);
	assert_int_equal(sim.incidents, 0); /* a second look first */
	sim_pass(&sim, 200 * KW_NSEC_PER_MSEC);
	assert_verdict(&sim, KW_VERDICT_UNEXPLAINED, 1,
		       "after it memory.events moved by 1 without a kill seen");
	assert_int_equal(sim.last.file.oom_kill, 2);
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "1 process was killed"); /* said once */
	sim_close(&sim);
}

/* The file is read between a kill and the reading of its record: no reason to be alarmed. */
static void test_file_races(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .victims = 1 };
	struct kw_record_oom_end end = { .marked = 1, .counted = 1, .counters_known = 1 };
	uint64_t incident;

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &oom);
	end.owner_before = sim.cgroups[0].total;
	sim_count(&sim, 0);
	end.owner_after = sim.cgroups[0].total;
	sim_pass(&sim, 210 * KW_NSEC_PER_MSEC); /* the file shows 2, one record was read */
	assert_int_equal(sim.incidents, 0);
	incident = ++sim.number;
	assert_int_equal(sim_observe_kill(&sim, &oom, incident, ++sim.number, 0, 2), 0);
	assert_int_equal(sim_observe_end(&sim, &oom, incident, &end), 0);
	sim_pass(&sim, SIM_SETTLED);
	assert_int_equal(sim.incidents, 2);
	assert_int_equal(sim.unexplained_sum, 0);
	sim_close(&sim);
}

static void test_global(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .owner = -1, .victims = 1, .exact = true };

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &(struct sim_oom){ .owner = 0, .victims = 1 });
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "1 process was killed, oom_kill moved by 1");
	/* It moved /a as well, and /a's account knows. */
	(void)sim_kill(&sim, &(struct sim_oom){ .owner = 0, .victims = 1 });
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "1 process was killed");
	oom.exact = false;
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNVERIFIED, 0, "the host itself was out of memory");
	/* What cannot be checked can still be seen to be missing. */
	oom.victims = 3;
	oom.silent = 1;
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNEXPLAINED, 1, "1 move has no recorded kill");
	sim_close(&sim);
}

static void test_no_hierarchy(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .victims = 1 };

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	sim.cgroups[0].v1 = true;
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNVERIFIED, 0, "cgroup v1 has no memory.events");
	oom.exact = true;
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "1 process was killed");
	sim_close(&sim);

	sim_open_with(&sim, 0, true);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &(struct sim_oom){ .victims = 1 });
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNVERIFIED, 0, "memory_localevents");
	sim_close(&sim);
}

static void test_no_end(void **state)
{
	struct sim sim;
	struct sim_oom lost = { .victims = 2, .no_end = true };

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &lost);
	sim_pass(&sim, 900 * KW_NSEC_PER_MSEC);
	assert_int_equal(sim.incidents, 0);
	sim_pass(&sim, 200 * KW_NSEC_PER_MSEC);
	assert_int_equal(sim.incidents, 1); /* 1 s after its last kill */
	assert_verdict(&sim, KW_VERDICT_UNVERIFIED, 0, "the record of its end was lost");
	/* Its moves are not known exactly, so the next one is not blamed for them. */
	(void)sim_kill(&sim, &(struct sim_oom){ .victims = 1 });
	(void)sim_kill(&sim, &lost);
	(void)sim_kill(&sim, &(struct sim_oom){ .victims = 1 });
	sim_pass(&sim, SIM_SETTLED);
	assert_int_equal(sim.incidents, 4);
	assert_int_equal(sim.unexplained_sum, 0);
	sim_close(&sim);
}

static void test_tracepoint(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .owner = -1, .victims = 1, .unnumbered = true };
	struct sim_oom group = { .owner = -1, .victims = 4, .unnumbered = true, .group = true };

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	(void)sim_kill(&sim, &oom);
	(void)sim_kill(&sim,
		       &oom); /* same trigger, same moment, no group kill: an OOM of its own */
	sim_pass(&sim, SIM_SETTLED);
	assert_int_equal(sim.incidents, 2);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "1 process was killed, oom_kill moved by 1");
	(void)sim_kill(&sim, &group);
	sim_pass(&sim, SIM_SETTLED);
	assert_int_equal(sim.incidents, 3);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "that these kills are one OOM was inferred");
	assert_int_equal(sim.last.kills, 4);
	assert_int_equal(sim.last.duplicates, 1);
	/* More than 100 ms apart: two OOMs. */
	group.victims = 1;
	(void)sim_kill(&sim, &group);
	sim_pass(&sim, 101 * KW_NSEC_PER_MSEC);
	(void)sim_kill(&sim, &group);
	sim_pass(&sim, SIM_SETTLED);
	assert_int_equal(sim.incidents, 5);
	/* Only one of them in a group kill: two OOMs as well. */
	(void)sim_kill(&sim, &group);
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_int_equal(sim.incidents, 7);
	/* Kills nobody saw, before one and after one. */
	sim_count(&sim, 0);
	sim_count(&sim, 0);
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNEXPLAINED, 2, "2 moves have no recorded kill");
	(void)sim_kill(&sim, &oom);
	sim_count(&sim, 0);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNEXPLAINED, 1, "1 move has no recorded kill");
	sim.cgroups[0].v1 = true;
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_UNVERIFIED, 0, "cgroup v1");
	sim_close(&sim);
}

/* Records with and without a number, as when a hook came or went: no false alarm on either side. */
static void test_mixed(void **state)
{
	struct sim sim;
	int a, b, c;

	(void)state;
	sim_open(&sim);
	a = sim_cgroup(&sim, "/a", -1);
	b = sim_cgroup(&sim, "/a/b", a);
	c = sim_cgroup(&sim, "/a/c", a);
	for (int i = 0; i < 24; i++) {
		struct sim_oom oom = { .owner = i % 2 ? a : b,
				       .victims = 1 + i % 3,
				       .group = i % 3 == 2,
				       .cgroup = { b, b, b },
				       .unnumbered = i % 5 == 1 || i % 5 == 2 };

		if (oom.unnumbered)
			oom.owner = -1;
		(void)sim_kill(&sim, &oom);
		sim_pass(&sim, SIM_SETTLED);
		assert_int_equal(sim.unexplained_sum, 0);
	}
	/* The parent's own OOM lies between two kills of the child that have no number. */
	for (int i = 0; i < 4; i++) {
		struct sim_oom oom = { .owner = i % 2 ? a : -1,
				       .victims = 1,
				       .cgroup = { i % 2 ? c : b },
				       .unnumbered = !(i % 2) };

		(void)sim_kill(&sim, &oom);
		sim_pass(&sim, SIM_SETTLED);
		assert_int_equal(sim.unexplained_sum, 0);
	}
	sim_close(&sim);
}

/* The limit owner's, from before: not the victim's, not one that goes on into the OOM, not the host's. */
static void test_history(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .victims = 1, .exact = true };
	int owner, victim;

	(void)state;
	sim_open(&sim);
	owner = sim_cgroup(&sim, "/a", -1);
	victim = sim_cgroup(&sim, "/a/b", owner);
	oom.owner = owner;
	oom.cgroup[0] = victim;
	sim.history_path = "/a";
	sim.history_last_ns = sim.now_ns - KW_NSEC_PER_SEC;
	(void)sim_kill(&sim, &oom);
	sim.history_path = NULL; /* removed before it settles */
	sim_pass(&sim, SIM_SETTLED);
	assert_true(sim.last.history_known);
	assert_int_equal(sim.last.history.bytes[0], 4096);

	sim.history_path = "/a/b";
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_false(sim.last.history_known);

	sim.history_path = "/a";
	sim.history_last_ns = sim.now_ns + KW_NSEC_PER_SEC;
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_false(sim.last.history_known);

	sim.history_path = "/";
	sim.history_last_ns = 1;
	oom.owner = -1;
	(void)sim_kill(&sim, &oom);
	sim_pass(&sim, SIM_SETTLED);
	assert_false(sim.last.history_known);
	assert_int_equal(sim.incidents, 4);
	sim_close(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_duplicate_without_group),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_marked_without_count),
		cmocka_unit_test(test_between),
		cmocka_unit_test(test_file_ahead),
		cmocka_unit_test(test_file_races),
		cmocka_unit_test(test_global),
		cmocka_unit_test(test_no_hierarchy),
		cmocka_unit_test(test_no_end),
		cmocka_unit_test(test_tracepoint),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
