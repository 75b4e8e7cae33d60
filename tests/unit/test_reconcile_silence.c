/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Silences: when they are told, as what, and that none is told twice. */
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

/* Nothing comes but readings each second. */
static void wait_silently(uint64_t seconds, uint64_t usec_per_second)
{
	uint64_t usage = sim.state.cpu_usec;

	for (uint64_t i = 0; i < seconds; i++) {
		claims_pass(&sim, SEC);
		usage += usec_per_second;
		claims_read(&sim, usage, 0);
	}
}

static const struct said *only_silence(void)
{
	const struct said *found = NULL;

	for (unsigned int i = 0; i < sim.count; i++) {
		if (sim.said[i].kind != KW_FINDING_SILENCE)
			continue;
		assert_null(found);
		found = &sim.said[i];
	}
	assert_non_null(found);
	return found;
}

static void the_window_is_passed_strictly(void **state)
{
	(void)state;
	claims_say(&sim, "process.spawned");
	sim.now_ns += 10 * SEC;
	assert_int_equal(kw_reconcile_due(sim.reconcile, sim.now_ns), 0);
	assert_int_equal(sim.count, 0);
	assert_int_equal(kw_reconcile_deadline(sim.reconcile), sim.now_ns + 1);
	sim.now_ns++;
	assert_int_equal(kw_reconcile_due(sim.reconcile, sim.now_ns), 0);
	assert_int_equal(claims_count(&sim, KW_FINDING_SILENCE), 1);
}

static void a_fresh_cell_begins_with_its_registration(void **state)
{
	const struct said *said;

	(void)state;
	wait_silently(10, 0);
	assert_int_equal(sim.count, 0);
	wait_silently(50, 0);
	said = only_silence(); /* once */
	assert_false(said->silence.is_over);
	assert_int_equal(said->silence.since_boot_ns, 1000 * SEC);
	assert_int_equal(said->silence.frames, 0);
	assert_string_equal(said->silence.frame_id, "");
}

static void an_idle_cell_is_quiet(void **state)
{
	const struct said *said;

	(void)state;
	claims_say(&sim, "process.spawned");
	wait_silently(12, 10000);
	said = only_silence();
	assert_true(said->silence.is_judged);
	assert_false(said->silence.is_silenced);
	assert_true(said->silence.cpu_known);
	assert_in_range(said->silence.cpu_usec, 80000, 100000);
	assert_in_range(said->silence.cpu_span_ns, 8 * SEC, 10 * SEC);
	assert_string_equal(said->silence.frame_id, sim.guest.id);
	assert_int_equal(said->silence.window_ns, 10 * SEC);
	assert_null(claims_verdict(&sim, "silent_at_work"));
}

static void a_cell_at_work_is_silenced(void **state)
{
	const struct said *said;

	(void)state;
	claims_say(&sim, "process.spawned");
	wait_silently(12, 30000);
	said = only_silence();
	assert_true(said->silence.is_judged);
	assert_true(said->silence.is_silenced);
	claims_expect(&sim, "silent_at_work", KW_CROSSCHECK_SILENT, "at work");
	assert_string_equal(claims_verdict(&sim, "silent_at_work")->claims[0], said->id);
}

/* What it used before its last frame is not held against it, where a reading came in between. */
static void work_before_the_last_frame_does_not_count(void **state)
{
	(void)state;
	wait_silently(9, 900000);
	claims_say(&sim, "process.spawned");
	wait_silently(12, 0);
	assert_false(only_silence()->silence.is_silenced);
}

static void without_a_reading_since_the_one_before_counts(void **state)
{
	(void)state;
	claims_read(&sim, 5000, 0);
	claims_say(&sim, "process.spawned");
	sim.state.cpu_usec = 5005000;
	claims_pass(&sim, 11 * SEC);
	assert_true(only_silence()->silence.is_silenced);
	assert_int_equal(only_silence()->silence.cpu_usec, 5000000);
}

static void a_stalled_cell_is_silenced(void **state)
{
	(void)state;
	claims_say(&sim, "process.spawned");
	wait_silently(3, 0);
	claims_stall(&sim, KW_THROTTLE_START);
	wait_silently(9, 0);
	assert_true(only_silence()->silence.is_silenced);
	assert_non_null(strstr(only_silence()->words, "stalls"));
}

static void heartbeats_that_stop_are_silenced(void **state)
{
	(void)state;
	claims_say(&sim, "heartbeat");
	wait_silently(12, 0);
	assert_true(only_silence()->silence.is_silenced);
	assert_true(only_silence()->silence.sends_heartbeats);
	assert_non_null(strstr(only_silence()->words, "heartbeats have stopped"));
}

static void who_has_ended_is_quiet(void **state)
{
	(void)state;
	claims_say(&sim, "heartbeat");
	sim.state.is_populated = false;
	wait_silently(12, 900000);
	assert_true(only_silence()->silence.is_judged);
	assert_false(only_silence()->silence.is_silenced);
	assert_non_null(strstr(only_silence()->words, "ended"));
}

static void what_cannot_be_seen_is_not_judged(void **state)
{
	(void)state;
	sim.state_error = -EACCES;
	claims_pass(&sim, 11 * SEC);
	assert_false(only_silence()->silence.is_judged);
	assert_null(only_silence()->silence.state);
}

static void too_short_a_look_is_not_judged(void **state)
{
	(void)state;
	claims_pass(&sim, 11 * SEC);
	assert_false(only_silence()->silence.is_judged);
	assert_non_null(only_silence()->silence.state);
}

static void a_cell_has_its_own_window(void **state)
{
	(void)state;
	kw_reconcile_cell(sim.reconcile, KW_CELL_REMOVED, &sim.attributed.cell, sim.now_ns);
	sim.attributed.cell.silence_seconds = 60;
	sim.attributed.cell.handle = 2;
	kw_reconcile_cell(sim.reconcile, KW_CELL_ADDED, &sim.attributed.cell, sim.now_ns);
	claims_pass(&sim, 60 * SEC);
	assert_int_equal(sim.count, 0);
	claims_pass(&sim, 1);
	assert_int_equal(only_silence()->silence.window_ns, 60 * SEC);
}

static void a_cell_without_a_channel_is_never_silent(void **state)
{
	(void)state;
	kw_reconcile_cell(sim.reconcile, KW_CELL_REMOVED, &sim.attributed.cell, sim.now_ns);
	sim.attributed.cell.vsock_uds_base[0] = '\0';
	sim.attributed.cell.handle = 2;
	kw_reconcile_cell(sim.reconcile, KW_CELL_ADDED, &sim.attributed.cell, sim.now_ns);
	claims_pass(&sim, 3600 * SEC);
	assert_int_equal(sim.count, 0);
}

static void it_speaks_again_and_falls_silent_again(void **state)
{
	const struct said *end;
	char silence[40];

	(void)state;
	claims_pass(&sim, 11 * SEC);
	memcpy(silence, only_silence()->id, sizeof(silence));
	claims_say(&sim, "process.spawned");
	assert_int_equal(sim.count, 2);
	end = &sim.said[1];
	assert_true(end->silence.is_over);
	assert_string_equal(end->silence.silence_id, silence);
	assert_string_equal(end->silence.frame_id, sim.guest.id);
	claims_say(&sim, "process.spawned");
	assert_int_equal(sim.count, 2);
	claims_pass(&sim, 11 * SEC);
	assert_int_equal(sim.count, 3);
	assert_false(sim.said[2].silence.is_over);
}

static void what_the_ledger_does_not_take_is_told_later(void **state)
{
	(void)state;
	claims_pass(&sim, 9 * SEC);
	sim.refuse = -ENOSPC;
	sim.now_ns += 5 * SEC;
	assert_int_equal(kw_reconcile_due(sim.reconcile, sim.now_ns), -ENOSPC);
	assert_int_equal(sim.count, 0);
	sim.refuse = 0;
	claims_pass(&sim, SEC);
	(void)only_silence();
}

static void a_restart_tells_no_silence_twice(void **state)
{
	(void)state;
	kw_reconcile_cell(sim.reconcile, KW_CELL_REMOVED, &sim.attributed.cell, sim.now_ns);
	assert_int_equal(
		kw_reconcile_resume_silence(sim.reconcile, "cell-1", "run-1", "earlier", 900 * SEC),
		0);
	sim.attributed.cell.handle = 2;
	kw_reconcile_cell(sim.reconcile, KW_CELL_ADDED, &sim.attributed.cell, sim.now_ns);
	claims_pass(&sim, 60 * SEC);
	assert_int_equal(sim.count, 0);
	claims_say(&sim, "process.spawned");
	assert_true(only_silence()->silence.is_over);
	assert_string_equal(only_silence()->silence.silence_id, "earlier");
	assert_int_equal(only_silence()->silence.since_boot_ns, 900 * SEC);
	/* Once: another registration begins anew. */
	kw_reconcile_cell(sim.reconcile, KW_CELL_REMOVED, &sim.attributed.cell, sim.now_ns);
	sim.attributed.cell.handle = 3;
	kw_reconcile_cell(sim.reconcile, KW_CELL_ADDED, &sim.attributed.cell, sim.now_ns);
	sim.count = 0;
	claims_pass(&sim, 11 * SEC);
	assert_false(only_silence()->silence.is_over);
}

static void another_run_has_a_silence_of_its_own(void **state)
{
	(void)state;
	kw_reconcile_cell(sim.reconcile, KW_CELL_REMOVED, &sim.attributed.cell, sim.now_ns);
	assert_int_equal(
		kw_reconcile_resume_silence(sim.reconcile, "cell-1", "run-0", "earlier", 900 * SEC),
		0);
	sim.attributed.cell.handle = 2;
	kw_reconcile_cell(sim.reconcile, KW_CELL_ADDED, &sim.attributed.cell, sim.now_ns);
	claims_pass(&sim, 60 * SEC);
	assert_false(only_silence()->silence.is_over);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_window_is_passed_strictly),
		CASE(a_fresh_cell_begins_with_its_registration),
		CASE(an_idle_cell_is_quiet),
		CASE(a_cell_at_work_is_silenced),
		CASE(work_before_the_last_frame_does_not_count),
		CASE(without_a_reading_since_the_one_before_counts),
		CASE(a_stalled_cell_is_silenced),
		CASE(heartbeats_that_stop_are_silenced),
		CASE(who_has_ended_is_quiet),
		CASE(what_cannot_be_seen_is_not_judged),
		CASE(too_short_a_look_is_not_judged),
		CASE(a_cell_has_its_own_window),
		CASE(a_cell_without_a_channel_is_never_silent),
		CASE(it_speaks_again_and_falls_silent_again),
		CASE(what_the_ledger_does_not_take_is_told_later),
		CASE(a_restart_tells_no_silence_twice),
		CASE(another_run_has_a_silence_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
