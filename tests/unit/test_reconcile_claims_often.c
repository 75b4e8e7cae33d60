/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How often a verdict is said: never once a frame, and none is lost. */
#include "claims_sim.h"

static struct claims_sim sim;

static int setup(void **state)
{
	(void)state;
	claims_open(&sim, KW_KERNEL_UNKNOWN);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	claims_close(&sim);
	return 0;
}

static void set_boot_id(const char *boot_id)
{
	sim.frame.has |= KW_CLAIM_HAS_BOOT_ID;
	memset(sim.frame.boot_id, 0, sizeof(sim.frame.boot_id));
	memcpy(sim.frame.boot_id, boot_id, strlen(boot_id));
	sim.frame.boot_id_bytes = (uint16_t)strlen(boot_id);
}

static void the_same_is_said_ever_more_rarely(void **state)
{
	uint64_t sum = 0;

	(void)state;
	claims_say_seq(&sim, 1);
	for (int i = 0; i < 4000; i++) {
		claims_say_seq(&sim, 1);
		claims_pass(&sim, SEC / 10);
	}
	/* At once, then after 10, 20, 40, 80, 160 s. */
	assert_int_equal(claims_count(&sim, KW_FINDING_CROSSCHECK), 6);
	assert_int_equal(sim.said[0].count, 1);
	assert_in_range(sim.said[1].count, 99, 101);
	assert_in_range(sim.said[2].count, 199, 201);
	assert_string_not_equal(sim.said[1].claims[0], sim.said[1].claims[1]);
	/* Nothing is lost at the end. */
	assert_int_equal(kw_reconcile_flush(sim.reconcile, sim.now_ns), 0);
	for (unsigned int i = 0; i < sim.count; i++)
		sum += sim.said[i].count;
	assert_int_equal(sum, 4000);
}

static void alternating_verdicts_fill_no_ledger(void **state)
{
	(void)state;
	set_boot_id("aaaa");
	claims_say(&sim, "heartbeat");
	for (int i = 0; i < 1000; i++) {
		set_boot_id(i % 2 ? "aaaa" : "bbbb");
		claims_say(&sim, "heartbeat");
		claims_pass(&sim, SEC / 10);
	}
	assert_true(claims_count(&sim, KW_FINDING_CROSSCHECK) <= 11);
	claims_expect(&sim, "boot_changed", KW_CROSSCHECK_CONTRADICTED, "");
}

static void of_what_waits_the_gravest_is_said(void **state)
{
	static const char *const boots[] = { "aaaa", "bbbb", "aaaa", "cccc" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		set_boot_id(boots[i]);
		claims_say(&sim, "heartbeat");
	}
	claims_pass(&sim, 9 * SEC);
	claims_expect(&sim, "boot_changed", KW_CROSSCHECK_UNVERIFIABLE, "");
	claims_pass(&sim, 2 * SEC);
	claims_expect(&sim, "boot_changed", KW_CROSSCHECK_CONTRADICTED, "");
	assert_int_equal(claims_verdict(&sim, "boot_changed")->count, 2);
}

static void what_was_long_ago_is_news_again(void **state)
{
	(void)state;
	claims_say_seq(&sim, 1);
	claims_say_seq(&sim, 1);
	for (int i = 0; i < 700; i++) {
		claims_pass(&sim, SEC);
		claims_say(&sim, "heartbeat");
		sim.frame.has &= ~(uint32_t)KW_CLAIM_HAS_SEQ;
	}
	sim.count = 0;
	claims_say_seq(&sim, 1);
	assert_int_equal(claims_count(&sim, KW_FINDING_CROSSCHECK), 1);
}

static void what_the_ledger_does_not_take_stays_due(void **state)
{
	(void)state;
	claims_say_seq(&sim, 1);
	claims_pass(&sim, SEC);
	claims_say_seq(&sim, 5);
	sim.refuse = -ENOSPC;
	sim.now_ns += 3 * SEC;
	assert_int_equal(kw_reconcile_due(sim.reconcile, sim.now_ns), -ENOSPC);
	assert_true(kw_reconcile_deadline(sim.reconcile) <= sim.now_ns);
	sim.refuse = 0;
	claims_pass(&sim, 0);
	assert_int_equal(claims_count(&sim, KW_FINDING_CROSSCHECK), 1);
}

static void what_is_held_is_said_when_the_cell_goes(void **state)
{
	(void)state;
	claims_say_seq(&sim, 1);
	claims_say_seq(&sim, 1);
	claims_say_seq(&sim, 1);
	assert_int_equal(claims_count(&sim, KW_FINDING_CROSSCHECK), 1);
	kw_reconcile_cell(sim.reconcile, KW_CELL_REMOVED, &sim.attributed.cell, sim.now_ns);
	assert_int_equal(claims_count(&sim, KW_FINDING_CROSSCHECK), 2);
	claims_say_seq(&sim, 1); /* of nobody any more */
	assert_int_equal(claims_count(&sim, KW_FINDING_CROSSCHECK), 2);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_same_is_said_ever_more_rarely),
		CASE(alternating_verdicts_fill_no_ledger),
		CASE(of_what_waits_the_gravest_is_said),
		CASE(what_was_long_ago_is_news_again),
		CASE(what_the_ledger_does_not_take_stays_due),
		CASE(what_is_held_is_said_when_the_cell_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
