/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Each rule about what the host saw, where it must speak and where it must not. */
#include "claims_sim.h"

static struct claims_sim sim;

static int setup(void **state)
{
	(void)state;
	claims_open(&sim, KW_KERNEL_UNKNOWN);
	return 0;
}

static int setup_shared(void **state)
{
	(void)state;
	claims_open(&sim, KW_KERNEL_SHARED);
	return 0;
}

static int setup_own(void **state)
{
	(void)state;
	claims_open(&sim, KW_KERNEL_OWN);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	claims_close(&sim);
	return 0;
}

/* Talks and is read for a while; nothing happens. */
static void live(uint64_t seconds, uint64_t usec_per_second)
{
	uint64_t usage = sim.state.cpu_usec;

	for (uint64_t i = 0; i < seconds; i++) {
		claims_pass(&sim, SEC);
		claims_say(&sim, "process.spawned");
		usage += usec_per_second;
		if (i % 5 == 4)
			claims_read(&sim, usage, 0);
	}
}

static void nothing_is_said_of_an_honest_guest(void **state)
{
	(void)state;
	sim.state.pids_peak = 1000;
	live(300, 1000);
	assert_int_equal(sim.count, 0);
	assert_true(sim.guest.has_clock);
	assert_int_equal(sim.guest.clock.offset_ns, 900 * SEC);
	/* The state is not read at each frame. */
	assert_true(sim.looks <= 61);
}

/* ---- OOM ---- */

static void oom_claim_fits_a_kill(void **state)
{
	const struct said *said;
	char claim[40];

	(void)state;
	live(5, 0);
	claims_say(&sim, "oom.kill");
	memcpy(claim, sim.guest.id, sizeof(claim));
	claims_pass(&sim, SEC);
	claims_kill(&sim);
	assert_null(claims_verdict(&sim, "oom_claimed")); /* the host has its time */
	claims_pass(&sim, 12 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_CONFIRMED, "killed in this cell");
	said = claims_verdict(&sim, "oom_claimed");
	assert_string_equal(said->claims[0], claim);
	assert_string_equal(said->claims[1], "");
	assert_true(strlen(said->hosts[0]) > 0);
	assert_true(said->has_state);
	assert_null(claims_verdict(&sim, "oom_unsaid"));
}

/* What was said before it happened was about something else. */
static void a_kill_after_the_claim_is_another(void **state)
{
	(void)state;
	live(5, 0);
	claims_say(&sim, "oom.kill");
	claims_pass(&sim, 4 * SEC);
	claims_kill(&sim);
	claims_pass(&sim, 12 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_UNVERIFIABLE, "");
	claims_expect(&sim, "oom_unsaid", KW_CROSSCHECK_SILENT, "may have been its voice");
}

static void oom_claim_on_the_hosts_kernel_is_counted_there(void **state)
{
	(void)state;
	sim.state.pids_peak = 1000;
	live(60, 0);
	claims_say(&sim, "oom.kill");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_CONTRADICTED, "not true");
}

static void oom_claim_is_not_excluded_when_the_counter_moved(void **state)
{
	(void)state;
	live(20, 0);
	sim.state.oom_kill++;
	live(40, 0);
	sim.state.oom_kill++;
	claims_say(&sim, "oom.kill");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_UNVERIFIABLE, "nowhere near its bound");
}

static void oom_claim_is_not_excluded_soon_after_the_counter_moved(void **state)
{
	(void)state;
	sim.state.pids_peak = 1000;
	live(10, 0);
	sim.state.oom_kill++;
	live(10, 0);
	claims_say(&sim, "oom.kill");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_UNVERIFIABLE, "");
}

static void oom_claim_of_an_own_kernel_is_never_excluded(void **state)
{
	(void)state;
	live(60, 0);
	claims_say(&sim, "oom.kill");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_UNVERIFIABLE, "nowhere near its bound");
	claims_pass(&sim, 20 * SEC);
	sim.state.memory_bytes = sim.state.memory_max_bytes - 4096;
	claims_say(&sim, "oom.kill");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_UNVERIFIABLE, "memory at its bound");
	claims_pass(&sim, 20 * SEC);
	sim.state_error = -EACCES;
	claims_say(&sim, "oom.kill");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_UNVERIFIABLE, "neither supports");
	assert_false(claims_verdict(&sim, "oom_claimed")->has_state);
}

static void a_memory_without_limit_is_at_no_bound(void **state)
{
	(void)state;
	sim.state.memory_max_bytes = KW_UNLIMITED;
	sim.state.memory_bytes = UINT64_MAX - 1;
	live(2, 0);
	claims_say(&sim, "oom.kill");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_UNVERIFIABLE, "neither supports");
}

static void a_kill_that_the_guest_does_not_tell(void **state)
{
	(void)state;
	live(3, 0);
	claims_kill(&sim);
	live(9, 0);
	assert_null(claims_verdict(&sim, "oom_unsaid"));
	live(2, 0);
	claims_expect(&sim, "oom_unsaid", KW_CROSSCHECK_SILENT, "all being well");
}

static void a_kill_that_an_own_kernel_cannot_tell(void **state)
{
	(void)state;
	live(3, 0);
	claims_kill(&sim);
	live(11, 0);
	claims_expect(&sim, "oom_unsaid", KW_CROSSCHECK_SILENT, "may not know");
}

static void a_kill_that_ends_the_voice(void **state)
{
	(void)state;
	live(3, 0);
	claims_pass(&sim, SEC);
	claims_kill(&sim);
	claims_pass(&sim, 11 * SEC);
	claims_expect(&sim, "oom_unsaid", KW_CROSSCHECK_SILENT, "may have been its voice");
}

static void a_kill_that_ends_the_cell(void **state)
{
	(void)state;
	live(3, 0);
	claims_pass(&sim, SEC);
	claims_kill(&sim);
	sim.state.is_populated = false;
	claims_pass(&sim, 11 * SEC);
	claims_expect(&sim, "oom_unsaid", KW_CROSSCHECK_SILENT, "it was killed");
	assert_null(claims_verdict(&sim, "dead_speaks"));
}

static void a_kill_in_a_cell_without_a_guest_is_no_matter(void **state)
{
	(void)state;
	claims_kill(&sim);
	claims_pass(&sim, 60 * SEC);
	assert_null(claims_verdict(&sim, "oom_unsaid"));
}

/* ---- the dead ---- */

static void the_dead_do_not_speak(void **state)
{
	const struct said *said;

	(void)state;
	live(10, 0);
	claims_kill(&sim);
	sim.state.is_populated = false;
	claims_say(&sim, "process.exited"); /* sent before it died, read behind it */
	claims_pass(&sim, SEC / 2);
	claims_say(&sim, "process.exited");
	assert_null(claims_verdict(&sim, "dead_speaks"));
	live(5, 0);
	claims_expect(&sim, "dead_speaks", KW_CROSSCHECK_CONTRADICTED, "somebody else speaks");
	said = claims_verdict(&sim, "dead_speaks");
	assert_true(strlen(said->hosts[0]) > 0); /* the kill */
	assert_true(said->has_state);
	assert_int_equal(claims_count(&sim, KW_FINDING_CROSSCHECK), 1);
}

static void a_cgroup_that_is_gone_is_as_dead(void **state)
{
	struct kw_counts counts = { .is_gone = true, .path = "/cells/cell-1" };
	struct kw_observation observation = { .kind = KW_OBSERVATION_COUNTS, .counts = &counts };

	(void)state;
	live(10, 0);
	sim.state = (struct kw_state){ .is_gone = true };
	assert_int_equal(claims_observe(&sim, &observation), 0);
	live(4, 0);
	claims_expect(&sim, "dead_speaks", KW_CROSSCHECK_CONTRADICTED, "");
}

static void a_cell_that_lives_again_may_speak(void **state)
{
	(void)state;
	live(10, 0);
	sim.state.is_populated = false;
	live(6, 0);
	sim.state.is_populated = true;
	live(20, 0);
	sim.count = 0; /* what was held back has been said */
	live(60, 0);
	assert_null(claims_verdict(&sim, "dead_speaks"));
}

static void who_was_never_seen_there_may_live_elsewhere(void **state)
{
	(void)state;
	sim.state.is_populated = false;
	live(5, 0);
	claims_expect(&sim, "dead_speaks", KW_CROSSCHECK_UNVERIFIABLE, "elsewhere");
}

/* Who was never looked at while it lived has left its traces. */
static void who_used_the_cpu_or_was_killed_there_did_live_there(void **state)
{
	(void)state;
	sim.state.is_populated = false;
	claims_read(&sim, 1, 0);
	live(5, 0);
	claims_expect(&sim, "dead_speaks", KW_CROSSCHECK_CONTRADICTED, "");
	claims_close(&sim);
	claims_open(&sim, KW_KERNEL_UNKNOWN);
	sim.state.is_populated = false;
	claims_kill(&sim);
	live(5, 0);
	claims_expect(&sim, "dead_speaks", KW_CROSSCHECK_CONTRADICTED, "");
}

/* A frame counts only where the cgroup was looked at behind it. */
static void the_dead_are_looked_at_once_a_second(void **state)
{
	(void)state;
	live(10, 0);
	sim.state.is_populated = false;
	live(7, 0);
	sim.looks = 0;
	sim.count = 0;
	for (int i = 0; i < 50; i++) {
		claims_pass(&sim, SEC / 10);
		claims_say(&sim, "process.spawned");
	}
	assert_in_range(sim.looks, 4, 6);
	assert_int_equal(kw_reconcile_flush(sim.reconcile, sim.now_ns), 0);
	assert_in_range(claims_verdict(&sim, "dead_speaks")->count, 4, 10);
}

static void oom_claim_without_a_reading_is_not_excluded(void **state)
{
	(void)state;
	claims_pass(&sim, 5 * SEC);
	claims_say(&sim, "oom.killed");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "oom_claimed", KW_CROSSCHECK_UNVERIFIABLE, "");
}

static void what_cannot_be_read_judges_nobody(void **state)
{
	(void)state;
	sim.state_error = -ENOTSUP;
	live(20, 0);
	sim.state_error = 0;
	sim.state.known = 0;
	live(20, 0);
	assert_int_equal(sim.count, 0);
}

#define CASE(test, setup_function) cmocka_unit_test_setup_teardown(test, setup_function, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nothing_is_said_of_an_honest_guest, setup_shared),
		CASE(oom_claim_fits_a_kill, setup),
		CASE(a_kill_after_the_claim_is_another, setup),
		CASE(oom_claim_on_the_hosts_kernel_is_counted_there, setup_shared),
		CASE(oom_claim_is_not_excluded_when_the_counter_moved, setup_shared),
		CASE(oom_claim_is_not_excluded_soon_after_the_counter_moved, setup_shared),
		CASE(oom_claim_of_an_own_kernel_is_never_excluded, setup_own),
		CASE(a_memory_without_limit_is_at_no_bound, setup),
		CASE(a_kill_that_the_guest_does_not_tell, setup),
		CASE(a_kill_that_an_own_kernel_cannot_tell, setup_own),
		CASE(a_kill_that_ends_the_voice, setup),
		CASE(a_kill_that_ends_the_cell, setup),
		CASE(a_kill_in_a_cell_without_a_guest_is_no_matter, setup),
		CASE(the_dead_do_not_speak, setup),
		CASE(a_cgroup_that_is_gone_is_as_dead, setup),
		CASE(a_cell_that_lives_again_may_speak, setup),
		CASE(who_was_never_seen_there_may_live_elsewhere, setup),
		CASE(who_used_the_cpu_or_was_killed_there_did_live_there, setup),
		CASE(the_dead_are_looked_at_once_a_second, setup),
		CASE(oom_claim_without_a_reading_is_not_excluded, setup_shared),
		CASE(what_cannot_be_read_judges_nobody, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
