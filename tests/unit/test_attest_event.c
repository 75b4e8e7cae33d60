/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "test_attest_findings.h"

#include "user/attest/digest.h"
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

static void expect(const char *text)
{
	if (!strstr(event.data.data, text))
		fail_msg("not in data: %s\n%s", text, event.data.data);
}

static void expect_not(const char *text)
{
	if (strstr(event.data.data, text))
		fail_msg("in data: %s\n%s", text, event.data.data);
}

static void a_kill_names_its_cell_or_its_cgroup(void **state)
{
	struct kw_finding finding = sample_kill(&sample);

	(void)state;
	assert_int_equal(make(&finding), 0);
	assert_string_equal(event.type, "dev.cellos.events.cell.observability.host.v1.oom_kill");
	assert_string_equal(event.subject.data, "cell:cell-7");
	sample.attributed.has_cell = false;
	assert_int_equal(make(&finding), 0);
	assert_string_equal(event.subject.data, "cgroup:/cells/cell-7/%FF%25");
	expect_not("runId");
	expect_not("specSignatureHash");
	sample.attributed.victim.known = false;
	assert_int_equal(make(&finding), 0);
	assert_int_equal(event.subject.length, 0);
}

/* What the tracepoint alone saw: nothing is guessed. */
static void what_was_not_seen_is_not_said(void **state)
{
	struct kw_finding finding = sample_bare_kill(&sample);

	(void)state;
	assert_int_equal(make(&finding), 0);
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":999999700000,\"hook\":\"raw_tp/mark_victim\",\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"probeSource\":\"host.oom\",\"victim\":{\"oomScoreAdj\":0,\"tgid\":99,\"uid\":0}}");
}

static void the_host_itself_is_a_null_cgroup(void **state)
{
	struct kw_finding finding = sample_kill(&sample);

	(void)state;
	sample.kill.oom.flags = KW_OOM_OWNER_KNOWN | KW_OOM_GLOBAL;
	sample.kill.oom.constraint = 0;
	assert_int_equal(make(&finding), 0);
	expect("\"constraint\":\"none\"");
	expect("\"groupKill\":false");
	expect("\"limitOwner\":{\"cgroup\":null}");
	finding = sample_incident(&sample);
	sample.incident.oom.flags |= KW_OOM_GLOBAL;
	sample.incident.has_cell = false;
	assert_int_equal(make(&finding), 0);
	assert_string_equal(event.subject.data, "cgroup:/");
}

static void identifiers_that_readers_round_are_strings(void **state)
{
	struct kw_finding finding = sample_kill(&sample);

	(void)state;
	assert_int_equal(make(&finding), 0);
	expect("\"id\":\"18446744073709551615\"");
	expect("\"id\":4242");
	sample.kill.oom.owner_state.usage_bytes = UINT64_MAX - 1; /* a quantity: exact, a number */
	assert_int_equal(make(&finding), 0);
	expect("\"usageBytes\":18446744073709551614");
}

static void a_limit_that_is_none_is_max(void **state)
{
	struct kw_finding finding = sample_kill(&sample);

	(void)state;
	assert_int_equal(make(&finding), 0);
	expect("\"highBytes\":\"max\",\"maxBytes\":67108864");
	sample.kill.oom.owner_state.flags = KW_MEMCG_KNOWN;
	assert_int_equal(make(&finding), 0);
	expect_not("swapMaxBytes");
	sample.kill.oom.owner_state.flags = 0;
	assert_int_equal(make(&finding), 0);
	expect("\"limitOwner\":{\"cgroup\":{\"id\":4242,\"path\":\"/cells/cell-7\"}}");
}

/* time is the occurrence's, by the clocks' distance at receipt, not by today's. */
static void time_is_of_the_occurrence(void **state)
{
	struct kw_finding finding = sample_kill(&sample);

	(void)state;
	sample.time.real_ns += 3600ULL * 1000000000; /* the clock was set meanwhile */
	assert_int_equal(make(&finding), 0);
	assert_true(event.time_real_ns == SAMPLE_REAL_NS - 300000);
	finding = sample_gap(&sample, KW_GAP_STOP, "no observation");
	assert_int_equal(make(&finding), 0);
	assert_true(event.time_real_ns == SAMPLE_REAL_NS + 3600ULL * 1000000000);
}

static void an_incident_tells_the_minute_before(void **state)
{
	struct kw_finding finding = sample_incident(&sample);

	(void)state;
	assert_int_equal(make(&finding), 0);
	expect_not("\"context\"");
	sample.incident.context_known = true;
	sample.incident.context = (struct kw_cgroup_context){
		.known = KW_CONTEXT_MEMORY_PEAK | KW_CONTEXT_MEMORY_PRESSURE |
			 KW_CONTEXT_SWAP_CURRENT | KW_CONTEXT_MEMORY_CURRENT,
		.boot_ns = 78,
		.memory_peak_bytes = 8192,
		.swap_current_bytes = 1,
		.memory_pressure = { 1205, 9, 4711, 42 },
	};
	expect_not("\"history\"");
	sample.incident.history_known = true;
	sample.incident.history = (struct kw_history){
		.interval_ms = 5000, .last_boot_ns = 77, .count = 2, .bytes = { 4096, 1ULL << 40 }
	};
	assert_int_equal(make(&finding), 0);
	expect("\"context\":{\"bootNs\":78,\"memoryPeakBytes\":8192,\"memoryPressure\":{\"fullAvg10\":\"0.09\",\"fullUsec\":42,\"someAvg10\":\"12.05\",\"someUsec\":4711},\"swapBytes\":1},");
	expect("\"history\":{\"intervalMs\":5000,\"lastBootNs\":77,\"memoryCurrent\":[4096,1099511627776]}");
	sample.incident.history.count = UINT32_MAX; /* never more than there is room for */
	assert_int_equal(make(&finding), 0);
}

static void an_incident_without_counters_says_so(void **state)
{
	struct kw_finding finding = sample_incident(&sample);

	(void)state;
	sample.incident.end_known = false;
	sample.incident.end_boot_ns = 0;
	sample.incident.counters_known = false;
	sample.incident.file_known = false;
	sample.incident.verdict = KW_VERDICT_UNVERIFIED;
	SAMPLE_SET(sample.incident.words, "the cgroup was removed");
	sample.incident.victim_count = 0;
	sample.incident.victims_omitted = 2;
	assert_int_equal(make(&finding), 0);
	assert_string_equal(event.type,
			    "dev.cellos.events.cell.observability.host.v1.oom_incident");
	expect_not("\"counters\"");
	expect_not("\"kernel\"");
	expect_not("\"endBootNs\"");
	expect("\"verdict\":{\"result\":\"unverified\",\"words\":\"the cgroup was removed\"},\"victims\":[],\"victimsOmitted\":2}");
}

static void an_unexplained_move_may_be_negative(void **state)
{
	struct kw_finding finding = sample_incident(&sample);

	(void)state;
	sample.incident.verdict = KW_VERDICT_UNEXPLAINED;
	sample.incident.unexplained = -2;
	assert_int_equal(make(&finding), 0);
	expect("\"result\":\"unexplained\",\"unexplained\":-2");
}

/* Member for member what CellOS's own probe writes. */
static void a_reading_is_cellos_s(void **state)
{
	struct kw_finding finding = sample_reading(&sample);
	struct kw_flat *pids = &sample.reading.files[KW_FLAT_PIDS_EVENTS];

	(void)state;
	pids->present = true;
	pids->error = 0;
	pids->count = 1;
	SAMPLE_SET(pids->pairs[0].key, "max");
	pids->pairs[0].value = 12;
	assert_int_equal(make(&finding), 0);
	assert_string_equal(event.type, "dev.cellos.events.cell.observability.host.v1.cgroup");
	assert_string_equal(
		event.data.data,
		"{\"cellId\":\"cell-7\",\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"inputs\":{\"cgroupLeaf\":\"/sys/fs/cgroup/cells/cell-7\",\"files\":[\"memory.events\",\"cpu.stat\",\"pids.events\"]},\"output\":{\"cpu_stat\":{\"usage_usec\":18446744073709551615},\"memory_events\":{\"high\":1,\"low\":0,\"max\":2,\"oom\":3,\"oom_group_kill\":5,\"oom_kill\":4},\"pids_events\":{\"max\":12}},\"probeSource\":\"host.cgroup\",\"runId\":\"run-42\",\"specSignatureHash\":\"sha256:abcd\"}");
}

static void missing_files_are_named(void **state)
{
	struct kw_finding finding = sample_reading(&sample);

	(void)state;
	sample.reading.files[KW_FLAT_CPU_STAT].present = false;
	sample.reading.files[KW_FLAT_CPU_STAT].error = -EBADMSG;
	sample.reading.files[KW_FLAT_CPU_STAT].bad_line = 3;
	sample.reading.files[KW_FLAT_MEMORY_EVENTS].present = false;
	sample.reading.files[KW_FLAT_MEMORY_EVENTS].error = -ENOENT;
	assert_int_equal(make(&finding), 0);
	expect("{\"file\":\"cpu.stat\",\"reason\":\"flat-kv line 3 refused\"}");
	expect("\"missing\":[{\"file\":\"memory.events\",");
	expect("\"output\":{}");
	expect("\"files\":[\"memory.events\",\"cpu.stat\",\"pids.events\"]");
}

/* Keys that no kernel writes, in a file that looks like one. */
static void foreign_keys_are_escaped_and_sorted(void **state)
{
	struct kw_finding finding = sample_reading(&sample);
	struct kw_flat *cpu = &sample.reading.files[KW_FLAT_CPU_STAT];

	(void)state;
	cpu->count = 3;
	SAMPLE_SET(cpu->pairs[0].key, "\xff");
	SAMPLE_SET(cpu->pairs[1].key, "b\"");
	memset(cpu->pairs[2].key, 0xfe, KW_FLAT_KEY_BYTES); /* no NUL, every byte three */
	assert_int_equal(make(&finding), 0);
	expect("\"cpu_stat\":{\"%FE%FE%FE");
	expect(",\"%FF\":18446744073709551615,\"b\\\"\":0}");
}

static void a_guest_s_frame_is_stamped_by_the_host(void **state)
{
	struct kw_finding finding = sample_guest(&sample);

	(void)state;
	assert_int_equal(make(&finding), 0);
	assert_string_equal(event.type,
			    "dev.cellos.events.cell.observability.guest.v1.process_spawned");
	assert_string_equal(event.subject.data, "cell:cell-7");
	assert_string_equal(
		event.data.data,
		"{\"cellId\":\"cell-7\",\"channel\":\"uds\",\"contentVersion\":256,\"guestComm\":\"sh\",\"guestMonotonicNs\":\"18446744073709551615\",\"guestPid\":42,\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"probeSource\":\"process.spawned\",\"runId\":\"run-42\",\"specSignatureHash\":\"sha256:abcd\"}");
	/* A cell may have both channels: which one it was is the connection's. */
	sample.attributed.cell.vsock_cid = 33;
	assert_int_equal(make(&finding), 0);
	expect("\"channel\":\"uds\"");
	sample.frame.peer_cid = 33;
	assert_int_equal(make(&finding), 0);
	expect("\"channel\":\"cid:33\"");
}

/* A gate that was taken over cannot get anything but its fields into a line. */
static void a_guest_s_frame_is_checked_again(void **state)
{
	static const char *const bad[] = { "Process", "a b", "a\"b", "a/b", "a-b", "\xff" };
	struct kw_finding finding = sample_guest(&sample);

	(void)state;
	for (size_t i = 0; i < kw_array_size(bad); i++) {
		memcpy(sample.frame.probe_source, bad[i], strlen(bad[i]));
		sample.frame.probe_bytes = (uint16_t)strlen(bad[i]);
		assert_int_equal(make(&finding), -EINVAL);
	}
	sample.frame.probe_bytes = 0;
	assert_int_equal(make(&finding), -EINVAL);
	sample.frame.probe_bytes = KW_PROBE_SOURCE_MAX + 1;
	assert_int_equal(make(&finding), -EINVAL);
	memset(sample.frame.probe_source, 'a', KW_PROBE_SOURCE_MAX);
	sample.frame.probe_bytes = KW_PROBE_SOURCE_MAX;
	assert_int_equal(make(&finding), 0);
	sample.frame.comm_bytes = KW_GUEST_COMM_MAX + 1;
	assert_int_equal(make(&finding), -EINVAL);
	memset(sample.frame.comm, 0xff, KW_GUEST_COMM_MAX);
	sample.frame.comm_bytes = KW_GUEST_COMM_MAX;
	assert_int_equal(make(&finding), 0);
	expect("\"guestComm\":\"%FF%FF");
	sample.frame.kind = KW_GATE_REFUSED;
	assert_int_equal(make(&finding), -EINVAL);
	sample.frame.kind = KW_GATE_FRAME;
	sample.attributed.has_cell = false; /* nobody's: the channel is the identity */
	assert_int_equal(make(&finding), -EINVAL);
}

static void a_gap_says_how_much_or_null(void **state)
{
	struct kw_finding finding = sample_gap(&sample, KW_GAP_RESTART, "nobody read");

	(void)state;
	sample.gap.from_boot_ns = 5;
	sample.gap.to_boot_ns = 9;
	assert_int_equal(make(&finding), 0);
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":1000000000000,\"from\":5,\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"kind\":\"restart\",\"lost\":null,\"probeSource\":\"host.kwitness\",\"reason\":\"nobody read\",\"stage\":\"daemon\",\"to\":9}");
	assert_int_equal(event.subject.length, 0);
	SAMPLE_SET(sample.gap.boot_id, "0f0e0d0c-0b0a-4908-8706-050403020100");
	assert_int_equal(make(&finding), 0);
	expect("\"bootId\":\"0f0e0d0c-0b0a-4908-8706-050403020100\",\"bootNs\"");
	sample.gap.lost_known = true;
	sample.gap.lost = 0;
	assert_int_equal(make(&finding), 0);
	expect("\"lost\":0");
	for (int kind = 0; kind < KW_GAP_KIND_COUNT_; kind++) {
		sample.gap.kind = (enum kw_gap_kind)kind;
		assert_int_equal(make(&finding), 0);
		expect("\"kind\":\"");
	}
}

static void a_removal_brings_what_the_rest_is_verified_with(void **state)
{
	static const unsigned char first[32] = { 1 }, last[32] = { 2 };
	struct kw_tree tree = { .hash = kw_digest_pieces,
				.size = 6,
				.peaks = { [1] = { 3 }, [2] = { 4 } } };
	struct kw_gap_removed removed = { .first = 4,
					  .last = 6,
					  .reader = "forwarder",
					  .tree = &tree,
					  .first_hash = first,
					  .last_hash = last };
	struct kw_finding finding = { .kind = KW_FINDING_GAP, .gap = &sample.gap };

	(void)state;
	sample.gap = (struct kw_gap){
		.kind = KW_GAP_REMOVED, .stage = "ledger", .lost_known = true, .removed = &removed
	};
	assert_int_equal(make(&finding), 0);
	expect("\"removed\":{\"count\":3,\"firstHash\":\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"firstSequence\":4,\"lastHash\":\"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"lastSequence\":6,\"peaks\":[\"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"],\"root\":\"");
	expect("\"kind\":\"retention\",\"lost\":0,");
	removed.unread = 2;
	assert_int_equal(make(&finding), 0);
	expect("],\"reader\":\"forwarder\",\"root\":\"");
	expect("\",\"unread\":2}");
}

int main(void)
{
#define each(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		each(a_kill_names_its_cell_or_its_cgroup),
		each(what_was_not_seen_is_not_said),
		each(the_host_itself_is_a_null_cgroup),
		each(identifiers_that_readers_round_are_strings),
		each(a_limit_that_is_none_is_max),
		each(time_is_of_the_occurrence),
		each(an_incident_tells_the_minute_before),
		each(an_incident_without_counters_says_so),
		each(an_unexplained_move_may_be_negative),
		each(a_removal_brings_what_the_rest_is_verified_with),
		each(a_reading_is_cellos_s),
		each(missing_files_are_named),
		each(foreign_keys_are_escaped_and_sorted),
		each(a_guest_s_frame_is_stamped_by_the_host),
		each(a_guest_s_frame_is_checked_again),
		each(a_gap_says_how_much_or_null),
	};

	return cmocka_run_group_tests_name("attest_event", tests, NULL, NULL);
}
