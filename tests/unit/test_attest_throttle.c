/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cpu_throttled events: the whole text once, then what can be left out. */
#include "test_attest_findings.h"
#include "throttle_sample.h"

#include "user/attest/event.h"

static struct sample sample;
static struct kw_event event;
static struct kw_record_throttle record;
static struct kw_throttled said;
static struct kw_finding finding;

static int setup(void **state)
{
	(void)state;
	kw_bytes_init(&event.subject, 4096);
	kw_bytes_init(&event.data, KW_EVENT_MAX);
	sample_init(&sample);
	record = sample_throttle(KW_THROTTLE_END);
	said = (struct kw_throttled){
		.phase = KW_THROTTLE_END,
		.begin_boot_ns = record.throttle.begin_boot_ns,
		.last_boot_ns = record.throttle.last_boot_ns,
		.throttles = 5,
		.unthrottles = 5,
		.stalled_ns = 250000999,
		.kernel_ns = 250007999,
		.histogram = { [0] = 1, [7] = 3, [10] = 2, [KW_THROTTLE_BUCKETS - 1] = 1 },
		.periods = 5,
		.throttled_periods = 4,
	};
	SAMPLE_SET(said.episode_id, "11111111-2222-8333-8444-555555555555");
	sample.observation.kind = KW_OBSERVATION_THROTTLE;
	sample.observation.throttle = &record;
	sample.attributed.victim = sample_identity("/cells/cell-7", 4711);
	finding = (struct kw_finding){ .kind = KW_FINDING_THROTTLE,
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
	assert_string_equal(event.type,
			    "dev.cellos.events.cell.observability.host.v1.cpu_throttled");
	assert_string_equal(event.subject.data, "cgroup:/cells/cell-7");
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":999999700000,\"cgroup\":{\"id\":4711,\"path\":\"/cells/cell-7\"},\"cpus\":\"0,2-3,64\",\"episode\":\"11111111-2222-8333-8444-555555555555\",\"episodeUsec\":500000,\"histogramUsec\":{\"1\":1,\"1024\":2,\"128\":3,\"inf\":1},\"hook\":\"fentry/throttle_cfs_rq\",\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"kernelStalledUsec\":250007,\"lastComm\":\"spin\",\"periodUsec\":100000,\"periods\":5,\"phase\":\"end\",\"probeSource\":\"host.cpu\",\"quotaUsec\":20000,\"stalledPermille\":125,\"stalledUsec\":250000,\"throttledPeriods\":4,\"throttles\":5,\"unexplainedUsec\":7,\"unthrottles\":5}");
}

static void what_is_not_known_is_left_out(void **state)
{
	(void)state;
	said.phase = KW_THROTTLE_START;
	said.last_boot_ns = said.begin_boot_ns;
	memset(said.histogram, 0, sizeof(said.histogram));
	memset(record.throttle.comm, 0, KW_COMM_BYTES);
	memset(record.throttle.cpus, 0, sizeof(record.throttle.cpus));
	record.throttle.flags = KW_THROTTLE_MORE_CPUS;
	assert_int_equal(make(), 0);
	assert_null(strstr(event.data.data, "lastComm"));
	assert_null(strstr(event.data.data, "\"cpus\""));
	assert_null(strstr(event.data.data, "stalledPermille"));
	assert_null(strstr(event.data.data, "unexplainedUsec"));
	assert_non_null(strstr(event.data.data, "\"cpusTruncated\":true"));
	assert_non_null(strstr(event.data.data, "\"histogramUsec\":{}"));
	assert_non_null(strstr(event.data.data, "\"phase\":\"start\""));
}

/* The limit was lifted while tasks stood still: the kernel writes "max". */
static void no_quota_is_max(void **state)
{
	(void)state;
	record.throttle.bandwidth.quota_ns = KW_UNLIMITED;
	assert_int_equal(make(), 0);
	assert_non_null(strstr(event.data.data, "\"quotaUsec\":\"max\""));
}

static void all_cpus_fit(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KW_THROTTLE_CPU_WORDS; i++)
		record.throttle.cpus[i] = 0x5555555555555555;
	assert_int_equal(make(), 0);
	assert_non_null(strstr(event.data.data, ",1020,1022\""));
	memset(record.throttle.cpus, 0xff, sizeof(record.throttle.cpus));
	assert_int_equal(make(), 0);
	assert_non_null(strstr(event.data.data, "\"cpus\":\"0-1023\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_end_says_all, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_known_is_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(no_quota_is_max, setup, teardown),
		cmocka_unit_test_setup_teardown(all_cpus_fit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
