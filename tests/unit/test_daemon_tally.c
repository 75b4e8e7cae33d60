/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "user/daemon/tally.h"

static struct kw_attributed killed_in(const char *unit, const char *cell)
{
	struct kw_attributed attributed = { .has_cell = cell != NULL };

	(void)snprintf(attributed.victim.unit, sizeof(attributed.victim.unit), "%s", unit);
	if (cell)
		(void)snprintf(attributed.cell.cell_id, sizeof(attributed.cell.cell_id), "%s",
			       cell);
	return attributed;
}

static void kill_in(struct kw_tally *tally, const char *unit, const char *cell)
{
	const struct kw_attributed attributed = killed_in(unit, cell);
	const struct kw_finding finding = { .kind = KW_FINDING_OOM_KILL,
					    .attributed = &attributed };

	kw_tally_finding(tally, &finding, 42);
}

struct seen {
	unsigned int names;
	uint64_t named;
	uint64_t other;
	char last[300];
};

static void see(void *context, const char *name, uint64_t kills)
{
	struct seen *seen = context;

	if (!name) {
		seen->other += kills;
		return;
	}
	seen->names++;
	seen->named += kills;
	(void)snprintf(seen->last, sizeof(seen->last), "%s", name);
}

static void kills_are_counted_by_unit_and_cell(void **state)
{
	cleanup(kw_tally_freep) struct kw_tally *tally = NULL;
	struct seen units = {}, cells = {};
	uint64_t last = 0;

	(void)state;
	assert_int_equal(kw_tally_new(&tally), 0);
	kill_in(tally, "a.service", NULL);
	kill_in(tally, "a.service", "web-7");
	kill_in(tally, "", NULL);
	kw_tally_each(tally, KW_TALLY_UNIT, see, &units);
	kw_tally_each(tally, KW_TALLY_CELL, see, &cells);
	assert_int_equal(units.names, 1);
	assert_int_equal(units.named, 2);
	assert_string_equal(units.last, "a.service");
	assert_int_equal(cells.named, 1);
	assert_string_equal(cells.last, "web-7");
	assert_int_equal(kw_tally_count(tally, KW_FINDING_OOM_KILL, &last), 3);
	assert_int_equal(last, 42);
	assert_int_equal(kw_tally_count(tally, KW_FINDING_GAP, &last), 0);
	assert_int_equal(last, 0);
}

static void names_are_bounded_and_nothing_is_lost(void **state)
{
	cleanup(kw_tally_freep) struct kw_tally *tally = NULL;
	struct seen units = {};
	char name[32];

	(void)state;
	assert_int_equal(kw_tally_new(&tally), 0);
	for (unsigned int i = 0; i < KW_TALLY_LABELS_MAX + 10; i++) {
		(void)snprintf(name, sizeof(name), "run-%u.service", i);
		kill_in(tally, name, NULL);
	}
	kill_in(tally, "run-0.service", NULL); /* known: counted by name still */
	kw_tally_each(tally, KW_TALLY_UNIT, see, &units);
	assert_int_equal(units.names, KW_TALLY_LABELS_MAX);
	assert_int_equal(units.named, KW_TALLY_LABELS_MAX + 1);
	assert_int_equal(units.other, 10);
}

static void every_kind_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < KW_FINDING_KIND_COUNT_; i++)
		assert_non_null(kw_tally_kind_name((enum kw_finding_kind)i));
	assert_null(kw_tally_kind_name(KW_FINDING_KIND_COUNT_));
}

static void losses_are_counted_by_stage(void **state)
{
	cleanup(kw_tally_freep) struct kw_tally *tally = NULL;
	struct kw_gap gap = {
		.kind = KW_GAP_LOST, .stage = "kernel", .lost_known = true, .lost = 7
	};
	const struct kw_finding finding = { .kind = KW_FINDING_GAP, .gap = &gap };
	struct seen stages = {};

	(void)state;
	assert_int_equal(kw_tally_new(&tally), 0);
	kw_tally_finding(tally, &finding, 1);
	gap.lost = 5;
	kw_tally_finding(tally, &finding, 2);
	gap.lost_known = false;
	kw_tally_finding(tally, &finding, 3);
	kw_tally_each(tally, KW_TALLY_STAGE, see, &stages);
	assert_int_equal(stages.names, 1);
	assert_int_equal(stages.named, 12);
	assert_string_equal(stages.last, "kernel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kills_are_counted_by_unit_and_cell),
		cmocka_unit_test(losses_are_counted_by_stage),
		cmocka_unit_test(names_are_bounded_and_nothing_is_lost),
		cmocka_unit_test(every_kind_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
