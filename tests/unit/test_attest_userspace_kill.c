/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* oom_kill events of kills by user space: the whole text once, then what can be left out. */
#include "userspace_kill_sample.h"
#include "test_attest_findings.h"

#include "user/attest/event.h"

static struct sample sample;
static struct kw_event event;
static struct kw_record_userspace_kill record;
static struct kw_finding finding;

static int setup(void **state)
{
	(void)state;
	kw_bytes_init(&event.subject, 4096);
	kw_bytes_init(&event.data, KW_EVENT_MAX);
	sample_init(&sample);
	record = sample_userspace_kill();
	sample.observation.kind = KW_OBSERVATION_USERSPACE_KILL;
	sample.observation.userspace_kill = &record;
	sample.attributed.victim = sample_identity("/top/leaf", 4711);
	sample.attributed.trigger = sample_identity("/system.slice/systemd-oomd.service", 4710);
	finding = (struct kw_finding){ .kind = KW_FINDING_USERSPACE_KILL,
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

static void it_says_who_killed_whom(void **state)
{
	(void)state;
	assert_int_equal(make(), 0);
	assert_string_equal(event.type, "dev.cellos.events.cell.observability.host.v1.oom_kill");
	assert_string_equal(event.subject.data, "cgroup:/top/leaf");
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":999999700000,\"constraint\":\"userspace\",\"hook\":\"raw_tp/signal_generate\",\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"killer\":{\"cgroup\":{\"id\":4710,\"path\":\"/system.slice/systemd-oomd.service\"},\"comm\":\"systemd-oomd\",\"tgid\":400,\"tid\":400,\"uid\":998},\"memory\":{\"highBytes\":8192,\"maxBytes\":\"max\",\"oomGroup\":false,\"usageBytes\":4096},\"probeSource\":\"host.oom\",\"victim\":{\"cgroup\":{\"id\":4711,\"path\":\"/top/leaf\"},\"comm\":\"hog\",\"oomScoreAdj\":0,\"startBootNs\":12345,\"tgid\":77,\"tid\":77,\"uid\":0}}");
}

static void memory_that_is_not_known_is_left_out(void **state)
{
	(void)state;
	memset(&record.memory, 0, sizeof(record.memory));
	sample.attributed.has_cell = true;
	sample.attributed.cell = sample_cell();
	assert_int_equal(make(), 0);
	assert_string_equal(event.subject.data, "cell:cell-7");
	assert_null(strstr(event.data.data, "\"memory\""));
	assert_non_null(strstr(event.data.data, "\"runId\":\"run-42\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_says_who_killed_whom, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_that_is_not_known_is_left_out, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
