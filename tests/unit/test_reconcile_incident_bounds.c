/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Incidents at their bounds: records read twice, a daemon that died in between, caps, long words. */
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

static void test_read_twice(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .victims = 1 };
	uint64_t incident;

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	sim_count(&sim, 0);
	incident = ++sim.number;
	/* The ledger takes no line: the observation is not finished, and nothing was counted. */
	sim.refuse_findings = -ENOSPC;
	assert_int_equal(sim_observe_kill(&sim, &oom, incident, 500, 0, 1), -ENOSPC);
	assert_int_equal(kw_reconcile_deadline(sim.reconcile), UINT64_MAX);
	sim.refuse_findings = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(sim_observe_kill(&sim, &oom, incident, 500, 0, 1), 0);
	assert_int_equal(sim.kills, 1);
	sim.refuse_findings = -EIO;
	sim.now_ns += 2 * KW_NSEC_PER_SEC;
	assert_int_equal(kw_reconcile_due(sim.reconcile, sim.now_ns), -EIO);
	sim.refuse_findings = 0;
	assert_int_equal(kw_reconcile_due(sim.reconcile, sim.now_ns), 0);
	assert_int_equal(sim.incidents, 1);
	assert_int_equal(sim.last.kills, 1);
	sim_close(&sim);
}

static void test_resume(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .victims = 3 };
	struct kw_record_oom_end end = { .marked = 3, .counted = 3, .counters_known = 1 };
	char incident_id[40], event_id[40];

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	kw_ids_derive(SIM_BOOT_ID, "incident", 900, incident_id);
	for (uint64_t number = 901; number <= 902; number++) {
		kw_ids_derive(SIM_BOOT_ID, "record", number, event_id);
		assert_int_equal(kw_reconcile_resume(sim.reconcile, incident_id, event_id), 0);
	}
	sim.cgroups[0].total.oom_kill = 3;
	end.owner_after.oom_kill = 3;
	/* 901 was read and released before the restart, 902 was read but not released, 903 is new. */
	assert_int_equal(sim_observe_kill(&sim, &oom, 900, 902, 1, 2), 0);
	assert_int_equal(sim_observe_kill(&sim, &oom, 900, 903, 2, 3), 0);
	assert_int_equal(sim_observe_end(&sim, &oom, 900, &end), 0);
	sim_pass(&sim, SIM_SETTLED);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "1 recorded before a restart");
	assert_int_equal(sim.last.kills, 3);
	assert_int_equal(sim.last.victim_count, 2);
	sim_close(&sim);
}

static void test_caps(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .victims = 1, .no_end = true };
	struct kw_record_oom_end end = { .marked = 200, .counted = 200, .counters_known = 1 };

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	for (unsigned int i = 1; i <= KW_INCIDENTS_MAX + 5; i++) {
		(void)sim_kill(&sim, &oom);
		assert_int_equal(sim.kills, i);
	}
	assert_int_equal(sim.incidents, 5);
	sim_pass(&sim, SIM_SETTLED);
	assert_int_equal(sim.incidents, KW_INCIDENTS_MAX + 5);
	/* 200 victims: all said, 64 named in the summary. */
	end.owner_before = sim.cgroups[0].total;
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(sim_observe_kill(&sim, &oom, 9000000, 9000001 + i, 0, i), 0);
	sim.cgroups[0].total.oom_kill += 200;
	end.owner_after = sim.cgroups[0].total;
	assert_int_equal(sim_observe_end(&sim, &oom, 9000000, &end), 0);
	assert_int_equal(kw_reconcile_flush(sim.reconcile, sim.now_ns), 0);
	assert_int_equal(sim.last.kills, 200);
	assert_int_equal(sim.last.victim_count, KW_INCIDENT_VICTIMS_MAX);
	assert_int_equal(sim.last.victims_omitted, 200 - KW_INCIDENT_VICTIMS_MAX);
	assert_verdict(&sim, KW_VERDICT_EXPLAINED, 0, "200 processes were killed");
	sim_close(&sim);
}

/* The longest words anyone can provoke still fit, whole. */
static void test_words_fit(void **state)
{
	struct sim sim;
	struct sim_oom oom = { .victims = 1, .group = true };
	struct kw_record_oom_end end = { .marked = UINT32_MAX,
					 .counted = UINT32_MAX,
					 .lost = UINT32_MAX,
					 .counters_known = 1,
					 .owner_before.oom_kill = 0,
					 .owner_after.oom_kill = UINT64_MAX };

	(void)state;
	sim_open(&sim);
	(void)sim_cgroup(&sim, "/a", -1);
	for (uint64_t i = 0; i < 3; i++) {
		char id[40];

		kw_ids_derive(SIM_BOOT_ID, "incident", 50 + i, id);
		assert_int_equal(kw_reconcile_resume(sim.reconcile, id, "x"), 0);
		sim.cgroups[0].gone = i != 1;
		end.owner_before.oom_kill = i * 0x1234567890abcdefULL;
		assert_int_equal(sim_observe_kill(&sim, &oom, 50 + i, 60 + i, 0, 1), 0);
		assert_int_equal(sim_observe_end(&sim, &oom, 50 + i, &end), 0);
		assert_int_equal(kw_reconcile_flush(sim.reconcile, sim.now_ns), 0);
		assert_int_equal(sim.last.verdict, KW_VERDICT_UNEXPLAINED);
	}
	sim_close(&sim);
}
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_twice),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_words_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
