/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * handover.c: an OOM that the programs of two builds have both seen is told once, whatever part of it each
 * of them has.
 */
#include "tests/unit/support.h"

#include <stdlib.h>

#include "user/capture/hooks.h"

#define FROM 1000U

static struct kw_hooks *begin(void **state)
{
	struct kw_hooks *hooks = calloc(1, sizeof(*hooks));

	assert_non_null(hooks);
	assert_int_equal(kw_handover_begin(hooks, FROM), 0);
	*state = hooks;
	return hooks;
}

static int end(void **state)
{
	kw_handover_free(*state);
	free(*state);
	return 0;
}

static struct kw_record_oom_kill kill_of(uint32_t tid, uint64_t start, uint64_t incident)
{
	return (struct kw_record_oom_kill){
		.oom.incident = incident,
		.victim = { .task.tid = tid, .start_boot_ns = start },
	};
}

static void tell_kill(struct kw_handover *handover, uint64_t at, uint32_t tid, uint64_t start,
		      uint64_t incident)
{
	struct kw_record_oom_kill kill = kill_of(tid, start, incident);

	kw_handover_told(handover, &(struct kw_observation){ .kind = KW_OBSERVATION_OOM_KILL,
							     .boot_ns = at,
							     .kill = &kill });
}

static void tell_end(struct kw_handover *handover, uint64_t from, uint64_t to, uint64_t incident)
{
	struct kw_record_oom_end record = { .begin_boot_ns = from, .oom.incident = incident };

	kw_handover_told(handover, &(struct kw_observation){ .kind = KW_OBSERVATION_OOM_END,
							     .boot_ns = to,
							     .end = &record });
}

/* Returns whether it is news; *incident becomes the number it is told under. */
static bool is_kill_news(struct kw_handover *handover, uint32_t tid, uint64_t start,
			 uint64_t *incident)
{
	struct kw_record_oom_kill kill = kill_of(tid, start, *incident);
	struct kw_observation observation = { .kind = KW_OBSERVATION_OOM_KILL,
					      .boot_ns = FROM + 50,
					      .kill = &kill };
	bool is_news = kw_handover_is_news(handover, &observation);

	*incident = observation.kill->oom.incident;
	return is_news;
}

static bool is_end_news(struct kw_handover *handover, uint64_t from, uint64_t to,
			uint64_t *incident)
{
	struct kw_record_oom_end record = { .begin_boot_ns = from, .oom.incident = *incident };
	struct kw_observation observation = { .kind = KW_OBSERVATION_OOM_END,
					      .boot_ns = to,
					      .end = &record };
	bool is_news = kw_handover_is_news(handover, &observation);

	*incident = observation.end->oom.incident;
	return is_news;
}

static void a_kill_and_its_end_are_told_once(void **state)
{
	struct kw_handover *handover = begin(state)->handover;
	uint64_t incident = 71;

	tell_kill(handover, FROM + 10, 5, 7, 11);
	tell_end(handover, FROM + 8, FROM + 20, 11);
	assert_false(is_kill_news(handover, 5, 7, &incident));
	assert_false(is_end_news(handover, FROM + 9, FROM + 21, &incident));
}

static void an_end_the_old_ones_missed_has_the_old_number(void **state)
{
	struct kw_handover *handover = begin(state)->handover;
	uint64_t incident = 71;

	tell_kill(handover, FROM + 10, 5, 7, 11);
	assert_false(is_kill_news(handover, 5, 7, &incident));
	incident = 71;
	assert_true(is_kill_news(handover, 6, 7, &incident)); /* the second of a group kill */
	assert_int_equal(incident, 11);
	incident = 71;
	assert_true(is_end_news(handover, FROM + 9, FROM + 30, &incident));
	assert_int_equal(incident, 11);
}

static void another_oom_is_news(void **state)
{
	struct kw_handover *handover = begin(state)->handover;
	uint64_t incident = 72;

	tell_kill(handover, FROM + 10, 5, 7, 11);
	tell_end(handover, FROM + 8, FROM + 20, 11);
	assert_true(is_kill_news(handover, 5, 8, &incident)); /* the thread id was used again */
	assert_int_equal(incident, 72);
	assert_true(is_end_news(handover, FROM + 21, FROM + 30, &incident));
	assert_int_equal(incident, 72);
}

static void what_was_before_the_overlap_is_not_remembered(void **state)
{
	struct kw_handover *handover = begin(state)->handover;
	uint64_t incident = 71;

	tell_kill(handover, FROM - 1, 5, 7, 11);
	assert_true(is_kill_news(handover, 5, 7, &incident));
}

static void it_is_over_some_time_after_the_old_ring_is(void **state)
{
	struct kw_handover *handover = begin(state)->handover;

	assert_false(kw_handover_is_over(handover, UINT64_MAX));
	kw_handover_close(handover, FROM + 100);
	assert_false(kw_handover_is_over(handover, FROM + KW_NSEC_PER_SEC));
	assert_true(kw_handover_is_over(handover, FROM + 100 * KW_NSEC_PER_SEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_kill_and_its_end_are_told_once, end),
		cmocka_unit_test_teardown(an_end_the_old_ones_missed_has_the_old_number, end),
		cmocka_unit_test_teardown(another_oom_is_news, end),
		cmocka_unit_test_teardown(what_was_before_the_overlap_is_not_remembered, end),
		cmocka_unit_test_teardown(it_is_over_some_time_after_the_old_ring_is, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
