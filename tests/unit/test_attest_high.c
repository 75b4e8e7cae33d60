/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* memory_high events: the whole text once, then what can be left out. */
#include "high_sample.h"
#include "test_attest_findings.h"

#include "user/attest/event.h"

static struct sample sample;
static struct kw_event event;
static struct kw_record_high record;
static struct kw_throttled said;
static struct kw_finding finding;

static int setup(void **state)
{
	(void)state;
	kw_bytes_init(&event.subject, 4096);
	kw_bytes_init(&event.data, KW_EVENT_MAX);
	sample_init(&sample);
	record = sample_high(KW_THROTTLE_END);
	said = (struct kw_throttled){
		.phase = KW_THROTTLE_END,
		.begin_boot_ns = record.high.begin_boot_ns,
		.last_boot_ns = record.high.last_boot_ns,
		.throttles = 5,
		.unthrottles = 4,
		.stalled_ns = 250000999,
		.histogram = { [7] = 3, [KW_THROTTLE_BUCKETS - 1] = 1 },
	};
	SAMPLE_SET(said.episode_id, "11111111-2222-8333-8444-555555555555");
	sample.observation.kind = KW_OBSERVATION_HIGH;
	sample.observation.high = &record;
	sample.attributed.victim = sample_identity("/top/leaf", 4711);
	sample.attributed.owner = sample_identity("/top", 4710);
	finding = (struct kw_finding){ .kind = KW_FINDING_HIGH,
				       .attributed = &sample.attributed,
				       .boot_ns = SAMPLE_BOOT_NS - 300000,
				       .throttled = &said };
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

static void an_end_says_all(void **state)
{
	(void)state;
	assert_int_equal(make(), 0);
	assert_string_equal(event.type, "dev.cellos.events.cell.observability.host.v1.memory_high");
	assert_string_equal(event.subject.data, "cgroup:/top/leaf");
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":999999700000,\"calls\":5,\"cgroup\":{\"id\":4711,\"path\":\"/top/leaf\"},\"cgroupsOver\":1,\"episode\":\"11111111-2222-8333-8444-555555555555\",\"episodeUsec\":500000,\"highBytes\":67108864,\"highEvents\":9,\"histogramUsec\":{\"128\":3,\"inf\":1},\"hook\":\"fentry/mem_cgroup_handle_over_high\",\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"lastComm\":\"hog\",\"lastTgid\":42,\"limitOwner\":{\"cgroup\":{\"id\":4710,\"path\":\"/top\"}},\"phase\":\"end\",\"probeSource\":\"host.memory\",\"returns\":4,\"stalledUsec\":250000,\"usageBytes\":67112960}");
}

/* None was above its memory.high when the handler was entered: nothing is said of a limit. */
static void an_owner_that_is_not_known_is_left_out(void **state)
{
	(void)state;
	sample.attributed.owner.known = false;
	sample.attributed.has_cell = true;
	sample.attributed.cell = sample_cell();
	assert_int_equal(make(), 0);
	assert_string_equal(event.subject.data, "cell:cell-7");
	assert_null(strstr(event.data.data, "limitOwner"));
	assert_null(strstr(event.data.data, "highBytes"));
	assert_null(strstr(event.data.data, "highEvents"));
	assert_null(strstr(event.data.data, "usageBytes"));
}

/* The count of one owner is not that of an episode which had several. */
static void several_owners_have_no_common_count(void **state)
{
	(void)state;
	record.high.flags = KW_HIGH_OWNER_CHANGED;
	assert_int_equal(make(), 0);
	assert_null(strstr(event.data.data, "highEvents"));
	assert_non_null(strstr(event.data.data, "\"limitOwnerChanged\":true"));
	assert_non_null(strstr(event.data.data, "\"limitOwner\":{"));
}

/* The limit was lifted between the look at it and the reading of it. */
static void no_limit_is_max(void **state)
{
	(void)state;
	record.high.owner_state.high_bytes = KW_UNLIMITED;
	assert_int_equal(make(), 0);
	assert_non_null(strstr(event.data.data, "\"highBytes\":\"max\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_end_says_all, setup, teardown),
		cmocka_unit_test_setup_teardown(an_owner_that_is_not_known_is_left_out, setup,
						teardown),
		cmocka_unit_test_setup_teardown(several_owners_have_no_common_count, setup,
						teardown),
		cmocka_unit_test_setup_teardown(no_limit_is_max, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
