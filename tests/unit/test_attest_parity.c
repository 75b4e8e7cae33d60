/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* parity, account and counter-kill events: the whole text, and that the largest of them stay within bounds. */
#include "test_attest_findings.h"

#include "user/attest/event.h"

static struct sample sample;
static struct kw_event event;

static int setup(void **state)
{
	(void)state;
	kw_bytes_init(&event.subject, 4096);
	kw_bytes_init(&event.data, KW_EVENT_MAX);
	sample_init(&sample);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kw_bytes_done(&event.subject);
	kw_bytes_done(&event.data);
	return 0;
}

static int make(const struct kw_finding *finding)
{
	struct kw_event_limits limits = { .victims = KW_INCIDENT_VICTIMS_MAX };

	return kw_event_make(finding, &sample.clock, &limits, &event);
}

static void a_verdict_names_counter_values_and_events(void **state)
{
	struct kw_parity *parity = calloc(1, sizeof(*parity));
	struct kw_finding finding = { .kind = KW_FINDING_PARITY,
				      .boot_ns = SAMPLE_BOOT_NS,
				      .parity = parity };

	(void)state;
	assert_non_null(parity);
	parity->cgroup = sample_identity("/top", 4710);
	parity->from_boot_ns = 5;
	parity->to_boot_ns = 9;
	parity->item_count = 1;
	parity->items[0] = (struct kw_parity_item){
		.counter = KW_COUNTER_OOM_KILL,
		.verdict = KW_PARITY_MISSED,
		.before = 2,
		.account = { .kernel = 5,
			     .base = 1,
			     .explained = 2,
			     .arithmetic = 1,
			     .by_counter = 1 },
		.event_count = 1,
		.events_omitted = 3,
		.event_ids = { "id-1" },
	};
	assert_int_equal(make(&finding), 0);
	assert_string_equal(event.type, "dev.cellos.events.cell.observability.host.v1.parity");
	assert_string_equal(event.subject.data, "cgroup:/top");
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":1000000000000,\"cgroup\":{\"id\":4710,\"path\":\"/top\"},\"counters\":[{\"after\":5,\"arithmetic\":1,\"base\":1,\"before\":2,\"byCounter\":1,\"counter\":\"oomKill\",\"eventIds\":[\"id-1\"],\"eventsOmitted\":3,\"explained\":2,\"unexplained\":0,\"verdict\":\"missed\"}],\"from\":5,\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"probeSource\":\"host.cgroup\",\"to\":9}");
	free(parity);
}

static void a_counters_kill_has_no_process(void **state)
{
	struct kw_counter_kill kill = {
		.below = true, .kills = 3, .duplicates_at_most = 1, .value = 8, .to_boot_ns = 9
	};
	struct kw_finding finding = { .kind = KW_FINDING_COUNTER_KILL,
				      .boot_ns = SAMPLE_BOOT_NS,
				      .counter_kill = &kill };

	(void)state;
	kill.cgroup = sample_identity("/top", 4710);
	assert_int_equal(make(&finding), 0);
	assert_string_equal(event.type, "dev.cellos.events.cell.observability.host.v1.oom_kill");
	assert_string_equal(
		event.data.data,
		"{\"below\":true,\"bootNs\":1000000000000,\"counterValue\":8,\"duplicatesAtMost\":1,\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"kills\":3,\"probeSource\":\"host.cgroup\",\"provenance\":\"counter\",\"to\":9,\"victim\":{\"cgroup\":{\"id\":4710,\"path\":\"/top\"}}}");
}

/* The longest rows that a part may have: paths of bytes that take three each, no number short. */
static void the_longest_account_fits(void **state)
{
	static struct kw_parity_row rows[KW_ACCOUNT_ROWS_MAX];
	struct kw_account_part part = { .full = true, .complete = true, .part = 1, .rows = rows };
	struct kw_finding finding = { .kind = KW_FINDING_ACCOUNT,
				      .boot_ns = SAMPLE_BOOT_NS,
				      .account = &part };
	static char path[KW_PATH_MAX];
	size_t bytes = 0;

	(void)state;
	memset(path, 0xff, sizeof(path) - 1);
	path[0] = '/';
	while (part.row_count < KW_ACCOUNT_ROWS_MAX && bytes < KW_ACCOUNT_BYTES_MAX) {
		struct kw_parity_row *row = &rows[part.row_count++];

		row->id = UINT64_MAX;
		row->path = path;
		for (unsigned int i = 0; i < KW_COUNTER_COUNT_; i++) {
			if (!kw_parity_counter_name(i))
				continue;
			row->mask |= 1U << i;
			row->known |= 1U << i;
			row->accounts[i] = (struct kw_parity_account){
				UINT64_MAX, UINT64_MAX, UINT64_MAX, INT64_MIN,
				UINT64_MAX, INT64_MIN,	UINT64_MAX,
			};
		}
		bytes += kw_parity_row_bytes(row);
	}
	assert_true(part.row_count > 1);
	assert_int_equal(make(&finding), 0);
	assert_true(event.data.length < KW_EVENT_MAX - 4096);
	assert_true(event.data.length <= bytes + 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_verdict_names_counter_values_and_events, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_counters_kill_has_no_process, setup, teardown),
		cmocka_unit_test_setup_teardown(the_longest_account_fits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
