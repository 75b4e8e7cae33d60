/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was missed is said exactly, and a guest cannot make it be said often. */
#include "reconcile_sim.h"

static int observe_guest(struct sim *sim, uint32_t handle, enum kw_gate_kind kind,
			 enum kw_gate_reason reason, uint32_t count, const char *cell)
{
	struct kw_gate_message message = { .kind = (uint16_t)kind,
					   .handle = handle,
					   .reason = reason,
					   .count = count,
					   .peer_cid = reason == KW_GATE_UNKNOWN_CID ? 43 : 0 };
	struct kw_observation observation = { .kind = KW_OBSERVATION_GUEST,
					      .boot_ns = sim->now_ns,
					      .received_boot_ns = sim->now_ns,
					      .guest = &message };
	struct kw_attributed *attributed = calloc(1, sizeof(*attributed));
	int r;

	assert_non_null(attributed);
	attributed->observation = &observation;
	attributed->has_cell = cell != NULL;
	if (cell)
		(void)snprintf(attributed->cell.cell_id, sizeof(attributed->cell.cell_id), "%s",
			       cell);
	r = kw_reconcile_observe(sim->reconcile, attributed);
	free(attributed);
	return r;
}

static void test_guest_frames(void **state)
{
	struct sim sim;

	(void)state;
	sim_open(&sim);
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_FRAME, 0, 0, "c1"), 0);
	assert_int_equal(sim.others, 1);
	assert_int_equal(sim.last_finding.kind, KW_FINDING_GUEST);
	assert_int_equal(sim.last_finding.boot_ns, sim.now_ns);
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_OPENED, 0, 0, "c1"), 0);
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_CLOSED, KW_GATE_REASON_NONE, 0, "c1"), 0);
	assert_int_equal(sim.others, 1);
	assert_int_equal(sim.gaps, 0);
	/* Nobody to say it of: not a guest event without a cell. */
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_FRAME, 0, 0, NULL), 0);
	assert_int_equal(sim.others, 1);
	assert_int_equal(sim.gaps, 1);
	assert_int_equal(sim.last_gap.lost, 1);
	assert_non_null(strstr(sim.last_gap.reason, "listener 3"));
	sim_close(&sim);
}

static void test_refusals_are_limited(void **state)
{
	struct sim sim;

	(void)state;
	sim_open(&sim);
	/* 30 s of a flood, 1,000 messages a second. */
	for (int i = 0; i < 30000; i++) {
		assert_int_equal(
			observe_guest(&sim, 3, KW_GATE_REFUSED, KW_GATE_MALFORMED, 2, "c1"), 0);
		sim_pass(&sim, KW_NSEC_PER_MSEC);
		if (i == 0)
			assert_int_equal(sim.gaps, 1); /* the first at once */
		if (i == 15000)			       /* what is held back is known to be open */
			assert_int_equal(kw_reconcile_open_losses(sim.reconcile),
					 2 * 15001 - sim.lost_sum);
	}
	assert_in_range(sim.gaps, 3, 4);
	assert_int_equal(kw_reconcile_flush(sim.reconcile, sim.now_ns), 0);
	assert_int_equal(kw_reconcile_open_losses(sim.reconcile), 0);
	assert_int_equal(sim.lost_sum, 60000); /* none is forgotten */
	assert_int_equal(sim.last_gap.kind, KW_GAP_GUEST);
	assert_true(sim.last_gap.lost_known);
	assert_non_null(strstr(sim.last_gap.reason, "cell c1: "));
	assert_non_null(strstr(sim.last_gap.reason, "(malformed)"));
	assert_int_equal(kw_reconcile_deadline(sim.reconcile), UINT64_MAX);
	sim_close(&sim);
}

static void test_refusals_apart(void **state)
{
	struct sim sim;
	unsigned int before;

	(void)state;
	sim_open(&sim);
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_REFUSED, KW_GATE_FLOOD, 5, "c1"), 0);
	assert_int_equal(observe_guest(&sim, 4, KW_GATE_REFUSED, KW_GATE_FLOOD, 5, "c2"), 0);
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_REFUSED, KW_GATE_EMPTY, 5, "c1"), 0);
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_CLOSED, KW_GATE_FLOOD, 0, "c1"), 0);
	assert_int_equal(sim.gaps, 4);
	assert_false(sim.last_gap.lost_known); /* what a closed connection would have sent */
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_REFUSED, KW_GATE_FLOOD, 7, "c1"), 0);
	assert_int_equal(sim.gaps, 4);
	assert_int_equal(kw_reconcile_deadline(sim.reconcile), sim.now_ns + 10 * KW_NSEC_PER_SEC);
	before = sim.gaps;
	sim_pass(&sim, 11 * KW_NSEC_PER_SEC);
	assert_int_equal(sim.gaps, before + 1);
	assert_int_equal(sim.last_gap.lost, 7);
	/* Quiet since: the next one is a first one again. */
	sim_pass(&sim, 30 * KW_NSEC_PER_SEC);
	before = sim.gaps;
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_REFUSED, KW_GATE_FLOOD, 1, "c1"), 0);
	assert_int_equal(sim.gaps, before + 1);
	sim_close(&sim);
}

/* Connections that no cell stands for: who tried is said, and what was lost is not known. */
static void test_unknown_peers(void **state)
{
	struct sim sim;

	(void)state;
	sim_open(&sim);
	for (int i = 0; i < 3; i++)
		assert_int_equal(observe_guest(&sim, KW_GATE_HANDLE_VSOCK, KW_GATE_REFUSED,
					       KW_GATE_UNKNOWN_CID, 2, NULL),
				 0);
	assert_int_equal(sim.gaps, 1);
	assert_false(sim.last_gap.lost_known);
	assert_string_equal(
		sim.last_gap.reason,
		"AF_VSOCK: 2 connections refused, the last from CID 43, which no cell has");
	sim_pass(&sim, 11 * KW_NSEC_PER_SEC);
	assert_int_equal(sim.gaps, 2);
	assert_non_null(strstr(sim.last_gap.reason, "4 connections refused"));
	sim_close(&sim);
}

static void test_refusals_are_bounded(void **state)
{
	struct sim sim;
	uint64_t sent = 0;

	(void)state;
	sim_open(&sim);
	for (uint32_t handle = 1; handle <= 2 * KW_GAP_COUNTS_MAX; handle++) {
		for (int i = 0; i < 3; i++, sent++)
			assert_int_equal(observe_guest(&sim, handle, KW_GATE_REFUSED,
						       KW_GATE_BAD_TEXT, 1, "c"),
					 0);
	}
	assert_int_equal(kw_reconcile_flush(sim.reconcile, sim.now_ns), 0);
	assert_int_equal(sim.lost_sum, sent);
	sim_close(&sim);
}

static void test_refused_finding(void **state)
{
	struct sim sim;

	(void)state;
	sim_open(&sim);
	sim.refuse_findings = -EIO;
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_REFUSED, KW_GATE_EMPTY, 5, "c1"), -EIO);
	sim.refuse_findings = 0;
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_REFUSED, KW_GATE_EMPTY, 5, "c1"), 0);
	assert_int_equal(sim.lost_sum, 5);
	assert_int_equal(observe_guest(&sim, 3, KW_GATE_REFUSED, KW_GATE_EMPTY, 6, "c1"), 0);
	sim.now_ns += 20 * KW_NSEC_PER_SEC;
	sim.refuse_findings = -EIO;
	assert_int_equal(kw_reconcile_due(sim.reconcile, sim.now_ns), -EIO);
	sim.refuse_findings = 0;
	assert_int_equal(kw_reconcile_due(sim.reconcile, sim.now_ns), 0);
	assert_int_equal(sim.lost_sum, 11);
	sim_close(&sim);
}

static void test_lost(void **state)
{
	static const struct {
		enum kw_lost_reason reason;
		uint64_t lost;
		const char *stage;
		const char *word;
	} cases[] = {
		{ KW_LOST_RING_FULL, 41, "kernel", "41 oom_kill records were lost" },
		{ KW_LOST_MAP_FULL, 41, "kernel", "the map was full" },
		{ KW_LOST_PATH_TRUNCATED, 0, "kernel", "nothing else is missing" },
		{ KW_LOST_MALFORMED, 41, "ring", "layout" },
		{ KW_LOST_BUDGET, 41, "kernel", "had sent its share" },
	};
	struct sim sim;

	(void)state;
	sim_open(&sim);
	for (size_t i = 0; i < kw_array_size(cases); i++) {
		struct kw_lost lost = { .record_kind = KW_RECORD_OOM_KILL,
					.reason = cases[i].reason,
					.count = 41 };
		struct kw_observation observation = { .kind = KW_OBSERVATION_LOST, .lost = &lost };
		struct kw_attributed *attributed = calloc(1, sizeof(*attributed));

		assert_non_null(attributed);
		attributed->observation = &observation;
		assert_int_equal(kw_reconcile_observe(sim.reconcile, attributed), 0);
		assert_int_equal(sim.last_gap.kind, KW_GAP_LOST);
		assert_true(sim.last_gap.lost_known);
		assert_int_equal(sim.last_gap.lost, cases[i].lost);
		assert_string_equal(sim.last_gap.stage, cases[i].stage);
		assert_non_null(strstr(sim.last_gap.reason, cases[i].word));
		free(attributed);
	}
	sim_close(&sim);
}

static void test_reading(void **state)
{
	struct sim sim;
	struct kw_reading *reading = calloc(1, sizeof(*reading));
	struct kw_attributed *attributed = calloc(1, sizeof(*attributed));
	struct kw_observation observation = { .kind = KW_OBSERVATION_READING, .reading = reading };

	(void)state;
	sim_open(&sim);
	attributed->observation = &observation;
	assert_int_equal(kw_reconcile_observe(sim.reconcile, attributed), 0);
	assert_int_equal(sim.others, 0);
	attributed->has_cell = true;
	assert_int_equal(kw_reconcile_observe(sim.reconcile, attributed), 0);
	assert_int_equal(sim.others, 1);
	assert_int_equal(sim.last_finding.kind, KW_FINDING_CGROUP);
	free(attributed);
	free(reading);
	sim_close(&sim);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < KW_GAP_KIND_COUNT_; i++) {
		assert_non_null(kw_gap_kind_name((enum kw_gap_kind)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(kw_gap_kind_name((enum kw_gap_kind)i),
						kw_gap_kind_name((enum kw_gap_kind)j));
	}
	assert_null(kw_gap_kind_name(KW_GAP_KIND_COUNT_));
	assert_string_equal(kw_gap_kind_name(KW_GAP_STOP), "stop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_frames),   cmocka_unit_test(test_refusals_are_limited),
		cmocka_unit_test(test_refusals_apart), cmocka_unit_test(test_refusals_are_bounded),
		cmocka_unit_test(test_unknown_peers),  cmocka_unit_test(test_refused_finding),
		cmocka_unit_test(test_lost),	       cmocka_unit_test(test_reading),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
