/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* pids_max events: the whole text once, then what can be left out. */
#include "pids_sample.h"
#include "test_attest_findings.h"

#include "user/attest/event.h"

static struct sample sample;
static struct kw_event event;
static struct kw_record_pids record;
static struct kw_finding finding;

static int setup(void **state)
{
	(void)state;
	kw_bytes_init(&event.subject, 4096);
	kw_bytes_init(&event.data, KW_EVENT_MAX);
	sample_init(&sample);
	record = sample_pids();
	sample.observation.kind = KW_OBSERVATION_PIDS;
	sample.observation.pids = &record;
	sample.attributed.victim = sample_identity("/top/leaf", 4711);
	sample.attributed.owner = sample_identity("/top", 4710);
	finding = (struct kw_finding){ .kind = KW_FINDING_PIDS,
				       .attributed = &sample.attributed,
				       .boot_ns = SAMPLE_BOOT_NS - 300000 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kw_bytes_done(&event.subject);
	kw_bytes_done(&event.data);
	return 0;
}

static int make(void)
{
	struct kw_event_limits limits = { .victims = KW_INCIDENT_VICTIMS_MAX };

	return kw_event_make(&finding, &sample.clock, &limits, &event);
}

static void it_says_who_where_and_whose_limit(void **state)
{
	(void)state;
	assert_int_equal(make(), 0);
	assert_string_equal(event.type, "dev.cellos.events.cell.observability.host.v1.pids_max");
	assert_string_equal(event.subject.data, "cgroup:/top/leaf");
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":999999700000,\"cgroup\":{\"id\":4711,\"path\":\"/top/leaf\"},\"comm\":\"forks\",\"hook\":\"fexit/pids_can_fork\",\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"limitOwner\":{\"cgroup\":{\"id\":4710,\"path\":\"/top\"}},\"maxPids\":5,\"probeSource\":\"host.pids\",\"refusals\":5,\"refusalsTotal\":12,\"tgid\":42,\"tid\":43}");
}

static void an_owner_that_is_not_known_is_left_out(void **state)
{
	(void)state;
	sample.attributed.owner.known = false;
	sample.attributed.has_cell = true;
	sample.attributed.cell = sample_cell();
	assert_int_equal(make(), 0);
	assert_string_equal(event.subject.data, "cell:cell-7");
	assert_null(strstr(event.data.data, "limitOwner"));
	assert_null(strstr(event.data.data, "maxPids"));
	assert_non_null(strstr(event.data.data, "\"runId\":\"run-42\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_says_who_where_and_whose_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(an_owner_that_is_not_known_is_left_out, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
