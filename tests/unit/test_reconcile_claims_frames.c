/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rules about throttling, processes and the frames themselves. */
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

static int teardown(void **state)
{
	(void)state;
	claims_close(&sim);
	return 0;
}

static void live(uint64_t seconds, uint64_t usec_per_second)
{
	uint64_t usage = sim.state.cpu_usec;

	for (uint64_t i = 0; i < seconds; i++) {
		claims_pass(&sim, SEC);
		claims_say(&sim, "heartbeat");
		usage += usec_per_second;
		if (i % 5 == 4)
			claims_read(&sim, usage, 0);
	}
}

/* ---- throttling ---- */

static void throttling_that_the_host_saw(void **state)
{
	(void)state;
	live(5, 0);
	claims_stall(&sim, KW_THROTTLE_START);
	claims_pass(&sim, SEC);
	claims_say(&sim, "cpu.throttled");
	claims_pass(&sim, SEC / 2);
	claims_say(&sim, "heartbeat");
	claims_pass(&sim, SEC / 2);
	claims_stall(&sim, KW_THROTTLE_END);
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "throttle_claimed", KW_CROSSCHECK_CONFIRMED, "by its quota");
	assert_null(claims_verdict(&sim, "throttle_unsaid"));
}

static void throttling_that_only_counters_saw(void **state)
{
	(void)state;
	claims_read(&sim, 0, 5);
	claims_say(&sim, "cpu.throttled");
	claims_pass(&sim, SEC);
	claims_read(&sim, 0, 9);
	claims_pass(&sim, 6 * SEC);
	claims_expect(&sim, "throttle_claimed", KW_CROSSCHECK_CONFIRMED, "");
}

static void throttling_that_nobody_saw(void **state)
{
	(void)state;
	claims_say(&sim, "cpu.throttled");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "throttle_claimed", KW_CROSSCHECK_UNVERIFIABLE, "own kernel");
}

static void throttling_is_excluded_where_every_stall_is_told(void **state)
{
	struct kw_lost lost = { .record_kind = KW_RECORD_THROTTLE, .count = 1 };
	struct kw_observation observation = { .kind = KW_OBSERVATION_LOST, .lost = &lost };

	(void)state;
	kw_reconcile_sees_throttling(sim.reconcile);
	claims_say(&sim, "cpu.throttled");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "throttle_claimed", KW_CROSSCHECK_CONTRADICTED, "not true");
	/* And no more when one may have been lost. */
	sim.attributed.has_cell = false;
	assert_int_equal(claims_observe(&sim, &observation), 0);
	sim.attributed.has_cell = true;
	claims_pass(&sim, 60 * SEC);
	claims_say(&sim, "cpu.throttled");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "throttle_claimed", KW_CROSSCHECK_UNVERIFIABLE, "");
}

/* A stall of a cgroup above stalls the cell. */
static void a_stall_above_the_cell_counts(void **state)
{
	(void)state;
	kw_reconcile_sees_throttling(sim.reconcile);
	sim.attributed.has_cell = false;
	(void)snprintf(sim.attributed.victim.path, sizeof(sim.attributed.victim.path), "/cells");
	claims_stall(&sim, KW_THROTTLE_START);
	sim.attributed.has_cell = true;
	claims_say(&sim, "cpu.throttled");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "throttle_claimed", KW_CROSSCHECK_CONFIRMED, "");
}

static void a_stall_beside_the_cell_does_not(void **state)
{
	(void)state;
	sim.attributed.has_cell = false;
	(void)snprintf(sim.attributed.victim.path, sizeof(sim.attributed.victim.path), "/cell");
	claims_stall(&sim, KW_THROTTLE_START);
	sim.attributed.has_cell = true;
	claims_say(&sim, "cpu.throttled");
	claims_pass(&sim, 7 * SEC);
	claims_expect(&sim, "throttle_claimed", KW_CROSSCHECK_UNVERIFIABLE, "");
}

static void a_stall_that_the_guest_does_not_show(void **state)
{
	(void)state;
	live(5, 0);
	claims_stall(&sim, KW_THROTTLE_START);
	live(1, 0);
	claims_stall(&sim, KW_THROTTLE_END);
	live(4, 0);
	claims_expect(&sim, "throttle_unsaid", KW_CROSSCHECK_SILENT, "does not know");
	assert_int_equal(claims_verdict(&sim, "throttle_unsaid")->number, 600);
}

static void a_stall_that_the_guests_clock_shows(void **state)
{
	(void)state;
	live(20, 0);
	claims_stall(&sim, KW_THROTTLE_START);
	sim.frame.guest_monotonic_ns = sim.now_ns - 900 * SEC - 80 * KW_NSEC_PER_MSEC;
	claims_say(&sim, "heartbeat");
	claims_stall(&sim, KW_THROTTLE_END);
	live(4, 0);
	claims_expect(&sim, "throttle_unsaid", KW_CROSSCHECK_CONFIRMED, "shows the stall");
	assert_in_range(claims_verdict(&sim, "throttle_unsaid")->number, 79000000, 81000000);
}

/* ---- processes ---- */

static void claim_processes(uint64_t number)
{
	static const char key[] = "processes";

	sim.frame.has |= KW_CLAIM_HAS_CLAIM;
	sim.frame.claim_count = 1;
	memcpy(sim.frame.claim[0].key, key, sizeof(key));
	sim.frame.claim[0].key_bytes = sizeof(key) - 1;
	sim.frame.claim[0].number = number;
	claims_say(&sim, "heartbeat");
}

static void work_without_a_process(void **state)
{
	(void)state;
	live(60, 500000);
	claims_expect(&sim, "no_process", KW_CROSSCHECK_SILENT, "named no process");
}

static void a_little_work_is_the_agents_own(void **state)
{
	(void)state;
	live(60, 100000);
	assert_int_equal(sim.count, 0);
}

static void work_of_a_named_process(void **state)
{
	(void)state;
	claims_say(&sim, "process.spawned");
	live(60, 500000);
	assert_int_equal(sim.count, 0);
}

static void work_and_a_claim_of_no_process(void **state)
{
	(void)state;
	claim_processes(0);
	live(60, 500000);
	claims_expect(&sim, "no_process", KW_CROSSCHECK_UNVERIFIABLE, "the VMM");
}

static void work_and_a_claim_of_no_process_on_the_hosts_kernel(void **state)
{
	(void)state;
	claim_processes(0);
	live(60, 500000);
	claims_expect(&sim, "no_process", KW_CROSSCHECK_CONTRADICTED, "hides");
}

static void more_processes_than_ever_were(void **state)
{
	(void)state;
	claim_processes(5);
	assert_int_equal(sim.count, 0);
	claims_pass(&sim, 2 * SEC);
	claim_processes(6);
	claims_expect(&sim, "too_many_processes", KW_CROSSCHECK_CONTRADICTED, "do not exist");
	assert_int_equal(claims_verdict(&sim, "too_many_processes")->number, 6);
}

static void processes_named_one_by_one(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		claims_pass(&sim, 2 * SEC);
		claims_say(&sim, "process.spawned");
		claims_say(&sim, "process.exited");
		claims_say(&sim, "process.spawned");
	}
	claims_expect(&sim, "too_many_processes", KW_CROSSCHECK_UNVERIFIABLE, "not numbered");
}

static void processes_named_one_by_one_and_numbered(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 6; i++) {
		claims_pass(&sim, 2 * SEC);
		claims_say_seq(&sim, i);
	}
	claims_expect(&sim, "too_many_processes", KW_CROSSCHECK_CONTRADICTED, "");
}

/* An execve is no other process. */
static void an_exec_is_not_counted(void **state)
{
	(void)state;
	sim.frame.has |= KW_CLAIM_HAS_CLAIM;
	sim.frame.claim_count = 1;
	memcpy(sim.frame.claim[0].key, "exec", 4);
	sim.frame.claim[0].key_bytes = 4;
	sim.frame.claim[0].number = 1;
	for (uint64_t i = 1; i <= 30; i++) {
		claims_pass(&sim, 2 * SEC);
		claims_say_seq(&sim, i);
	}
	assert_int_equal(sim.count, 0);
}

static void without_a_peak_only_the_limit_speaks(void **state)
{
	(void)state;
	sim.state.known &= ~(uint32_t)KW_STATE_PIDS_PEAK;
	claim_processes(20);
	claims_pass(&sim, 2 * SEC);
	assert_int_equal(sim.count, 0);
	claim_processes(21);
	claims_expect(&sim, "too_many_processes", KW_CROSSCHECK_UNVERIFIABLE, "pids.max");
	claims_pass(&sim, 15 * SEC);
	sim.count = 0;
	sim.state.known &= ~(uint32_t)KW_STATE_PIDS_MAX;
	claim_processes(22);
	claims_pass(&sim, 15 * SEC);
	assert_null(claims_verdict(&sim, "too_many_processes"));
}

static void a_guest_of_another_kernel_counts_for_itself(void **state)
{
	(void)state;
	claim_processes(1000);
	assert_int_equal(sim.count, 0);
}

/* ---- frames ---- */

static void a_clock_that_is_too_fast(void **state)
{
	const struct said *said;

	(void)state;
	for (uint64_t i = 0; i < 600; i++) {
		claims_pass(&sim, SEC / 10);
		sim.frame.guest_monotonic_ns = SEC + i * (SEC / 10) * 11 / 10;
		claims_say(&sim, "heartbeat");
	}
	claims_expect(&sim, "clock_rate", KW_CROSSCHECK_CONTRADICTED, "order nothing");
	said = claims_verdict(&sim, "clock_rate");
	assert_in_range(said->number, 90000000, 110000000);
	assert_true(claims_count(&sim, KW_FINDING_CROSSCHECK) < 5);
}

static void a_clock_that_runs_back_on_one_connection(void **state)
{
	(void)state;
	live(15, 0);
	assert_true(sim.guest.has_clock);
	sim.frame.guest_monotonic_ns = sim.now_ns - 900 * SEC - SEC / 2;
	claims_say(&sim, "heartbeat"); /* a little: two threads */
	assert_int_equal(sim.count, 0);
	sim.frame.guest_monotonic_ns = sim.now_ns - 903 * SEC;
	claims_say(&sim, "heartbeat");
	claims_expect(&sim, "clock_back", KW_CROSSCHECK_CONTRADICTED, "within one connection");
	assert_false(sim.guest.has_clock);
}

static void a_clock_that_begins_anew(void **state)
{
	(void)state;
	live(5, 0);
	sim.frame.connection = 2;
	sim.frame.guest_monotonic_ns = 5;
	claims_say(&sim, "heartbeat");
	claims_expect(&sim, "clock_back", KW_CROSSCHECK_UNVERIFIABLE, "no boot id");
}

static void set_boot_id(const char *boot_id)
{
	sim.frame.has |= KW_CLAIM_HAS_BOOT_ID;
	memset(sim.frame.boot_id, 0, sizeof(sim.frame.boot_id));
	memcpy(sim.frame.boot_id, boot_id, strlen(boot_id));
	sim.frame.boot_id_bytes = (uint16_t)strlen(boot_id);
}

static void a_clock_that_runs_back_in_one_boot(void **state)
{
	(void)state;
	set_boot_id("aaaa");
	live(5, 0);
	sim.frame.connection = 2;
	sim.frame.guest_monotonic_ns = 5;
	claims_say(&sim, "heartbeat");
	claims_expect(&sim, "clock_back", KW_CROSSCHECK_CONTRADICTED, "within one boot");
}

static void another_boot_and_the_first_again(void **state)
{
	(void)state;
	set_boot_id("aaaa");
	live(5, 0);
	set_boot_id("bbbb");
	sim.frame.connection = 2;
	sim.frame.guest_monotonic_ns = 5;
	claims_say(&sim, "heartbeat");
	assert_null(claims_verdict(&sim, "clock_back")); /* a boot explains it */
	claims_expect(&sim, "boot_changed", KW_CROSSCHECK_UNVERIFIABLE, "booted anew");
	set_boot_id("aaaa");
	sim.frame.connection = 1;
	claims_say(&sim, "heartbeat");
	claims_pass(&sim, 15 * SEC);
	claims_expect(&sim, "boot_changed", KW_CROSSCHECK_CONTRADICTED, "in turns");
}

static void a_number_twice(void **state)
{
	const struct said *said;
	char first[40];

	(void)state;
	claims_say_seq(&sim, 1);
	claims_say_seq(&sim, 2);
	assert_int_equal(sim.count, 0);
	claims_say_seq(&sim, 2);
	memcpy(first, sim.guest.id, sizeof(first));
	claims_expect(&sim, "repeated", KW_CROSSCHECK_CONTRADICTED, "sent again");
	said = claims_verdict(&sim, "repeated");
	assert_string_equal(said->claims[0], first);
	/* Another connection counts anew. */
	sim.count = 0;
	sim.frame.connection = 2;
	claims_say_seq(&sim, 1);
	claims_pass(&sim, 9 * SEC);
	assert_int_equal(sim.count, 0);
}

static void numbers_that_are_missing(void **state)
{
	(void)state;
	claims_say_seq(&sim, 1);
	claims_say_seq(&sim, 5);
	assert_int_equal(sim.count, 0); /* the gate has its time */
	claims_pass(&sim, 3 * SEC);
	claims_expect(&sim, "missing", KW_CROSSCHECK_SILENT, "did not send");
	assert_int_equal(claims_verdict(&sim, "missing")->number, 3);
}

static void numbers_that_the_host_has_refused(void **state)
{
	struct kw_gate_message refused = {
		.kind = KW_GATE_REFUSED, .handle = 1, .reason = KW_GATE_FLOOD, .count = 3
	};
	struct kw_observation observation = { .kind = KW_OBSERVATION_GUEST, .guest = &refused };

	(void)state;
	claims_say_seq(&sim, 1);
	claims_say_seq(&sim, 5);
	assert_int_equal(claims_observe(&sim, &observation), 0);
	claims_pass(&sim, 3 * SEC);
	assert_null(claims_verdict(&sim, "missing"));
}

static void frames_that_were_dropped(void **state)
{
	(void)state;
	sim.frame.has |= KW_CLAIM_HAS_DROPPED;
	claims_say(&sim, "heartbeat");
	assert_int_equal(sim.count, 0);
	sim.frame.dropped = 7;
	claims_say(&sim, "heartbeat");
	claims_expect(&sim, "dropped", KW_CROSSCHECK_SILENT, "dropped frames");
	assert_int_equal(claims_verdict(&sim, "dropped")->number, 7);
	claims_pass(&sim, 5 * SEC);
	claims_say(&sim, "heartbeat"); /* no more than before */
	claims_pass(&sim, 9 * SEC);
	assert_int_equal(claims_count(&sim, KW_FINDING_CROSSCHECK), 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define CASE_SHARED(test) cmocka_unit_test_setup_teardown(test, setup_shared, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(throttling_that_the_host_saw),
		CASE(throttling_that_only_counters_saw),
		CASE_SHARED(throttling_that_nobody_saw),
		CASE_SHARED(throttling_is_excluded_where_every_stall_is_told),
		CASE_SHARED(a_stall_above_the_cell_counts),
		CASE(a_stall_beside_the_cell_does_not),
		CASE(a_stall_that_the_guest_does_not_show),
		CASE(a_stall_that_the_guests_clock_shows),
		CASE(work_without_a_process),
		CASE(a_little_work_is_the_agents_own),
		CASE(work_of_a_named_process),
		CASE(work_and_a_claim_of_no_process),
		CASE_SHARED(work_and_a_claim_of_no_process_on_the_hosts_kernel),
		CASE_SHARED(more_processes_than_ever_were),
		CASE_SHARED(processes_named_one_by_one),
		CASE_SHARED(processes_named_one_by_one_and_numbered),
		CASE_SHARED(an_exec_is_not_counted),
		CASE_SHARED(without_a_peak_only_the_limit_speaks),
		CASE(a_guest_of_another_kernel_counts_for_itself),
		CASE(a_clock_that_is_too_fast),
		CASE(a_clock_that_runs_back_on_one_connection),
		CASE(a_clock_that_begins_anew),
		CASE(a_clock_that_runs_back_in_one_boot),
		CASE(another_boot_and_the_first_again),
		CASE(a_number_twice),
		CASE(numbers_that_are_missing),
		CASE(numbers_that_the_host_has_refused),
		CASE(frames_that_were_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
