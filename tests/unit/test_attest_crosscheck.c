/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* crosscheck, agent_silenced and agent_resumed events, and the clock of a guest's: whole texts once, then
 * what is left out. */
#include "test_attest_findings.h"

#include "user/attest/event.h"

static struct sample sample;
static struct kw_event event;
static struct kw_finding finding;
static struct kw_cell cell;
static struct kw_state state_of_cell;
static struct kw_crosscheck crosscheck;
static struct kw_silence silence;

static int setup(void **state)
{
	(void)state;
	kw_bytes_init(&event.subject, 4096);
	kw_bytes_init(&event.data, KW_EVENT_MAX);
	sample_init(&sample);
	cell = sample_cell();
	state_of_cell = (struct kw_state){ .boot_ns = 77,
					   .known = 255,
					   .is_populated = true,
					   .memory_bytes = 1,
					   .memory_max_bytes = KW_UNLIMITED,
					   .cpu_usec = 2,
					   .pids = 3,
					   .pids_max = 4,
					   .pids_peak = 5,
					   .oom_kill = 6 };
	crosscheck = (struct kw_crosscheck){ .cell = &cell,
					     .rule = "missing",
					     .verdict = KW_CROSSCHECK_SILENT,
					     .words = "Words.",
					     .count = 9,
					     .first_boot_ns = 100,
					     .last_boot_ns = 200,
					     .number_name = "missingFrames",
					     .number = -3,
					     .state = &state_of_cell };
	SAMPLE_SET(crosscheck.claim_ids[0], "claim-a");
	SAMPLE_SET(crosscheck.claim_ids[1], "claim-b");
	SAMPLE_SET(crosscheck.host_ids[0], "host-a");
	silence = (struct kw_silence){ .cell = &cell,
				       .window_ns = 10000000000,
				       .since_boot_ns = 50,
				       .frames = 4,
				       .is_judged = true,
				       .cpu_known = true,
				       .cpu_usec = 11,
				       .cpu_span_ns = 12,
				       .words = "Words." };
	SAMPLE_SET(silence.frame_id, "frame-a");
	finding = (struct kw_finding){ .boot_ns = 200,
				       .crosscheck = &crosscheck,
				       .silence = &silence };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kw_bytes_done(&event.subject);
	kw_bytes_done(&event.data);
	return 0;
}

static int make(enum kw_finding_kind kind)
{
	struct kw_event_limits limits = { .victims = KW_INCIDENT_VICTIMS_MAX };

	finding.kind = kind;
	return kw_event_make(&finding, &sample.clock, &limits, &event);
}

static void a_verdict_with_all_that_it_rests_on(void **state)
{
	(void)state;
	assert_int_equal(make(KW_FINDING_CROSSCHECK), 0);
	assert_string_equal(event.type, "dev.cellos.events.cell.observability.host.v1.crosscheck");
	assert_string_equal(event.subject.data, "cell:cell-7");
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":200,\"cellId\":\"cell-7\",\"claimEvents\":[\"claim-a\",\"claim-b\"],\"count\":9,\"firstBootNs\":100,\"hostEvents\":[\"host-a\"],\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"hostState\":{\"bootNs\":77,\"cpuUsageUsec\":2,\"memoryBytes\":1,\"memoryMaxBytes\":\"max\",\"oomKill\":6,\"pids\":3,\"pidsMax\":4,\"pidsPeak\":5,\"populated\":true},\"measured\":{\"missingFrames\":-3},\"probeSource\":\"host.kwitness\",\"rule\":\"missing\",\"runId\":\"run-42\",\"specSignatureHash\":\"sha256:abcd\",\"verdict\":{\"result\":\"silent\",\"words\":\"Words.\"}}");
}

static void what_it_does_not_rest_on_is_left_out(void **state)
{
	(void)state;
	crosscheck.state = NULL;
	crosscheck.number_name = NULL;
	memset(crosscheck.claim_ids, 0, sizeof(crosscheck.claim_ids));
	memset(crosscheck.host_ids, 0, sizeof(crosscheck.host_ids));
	assert_int_equal(make(KW_FINDING_CROSSCHECK), 0);
	assert_null(strstr(event.data.data, "hostState"));
	assert_null(strstr(event.data.data, "measured"));
	assert_null(strstr(event.data.data, "Events"));
	state_of_cell = (struct kw_state){ .boot_ns = 5, .is_gone = true };
	crosscheck.state = &state_of_cell;
	assert_int_equal(make(KW_FINDING_CROSSCHECK), 0);
	assert_non_null(strstr(event.data.data, "\"hostState\":{\"bootNs\":5,\"gone\":true}"));
	crosscheck.verdict = KW_CROSSCHECK_VERDICT_COUNT_;
	assert_int_equal(make(KW_FINDING_CROSSCHECK), -EINVAL);
}

static void a_silence_begins(void **state)
{
	(void)state;
	assert_int_equal(make(KW_FINDING_SILENCE), 0);
	assert_string_equal(event.type,
			    "dev.cellos.events.cell.observability.guest.v1.agent_silenced");
	assert_string_equal(event.subject.data, "cell:cell-7");
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":200,\"cellId\":\"cell-7\",\"cpuSpanNs\":12,\"cpuUsec\":11,\"frames\":4,\"heartbeats\":false,\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"judgement\":\"quiet\",\"lastFrameEvent\":\"frame-a\",\"probeSource\":\"host.kwitness\",\"runId\":\"run-42\",\"sinceBootNs\":50,\"specSignatureHash\":\"sha256:abcd\",\"windowNs\":10000000000,\"words\":\"Words.\"}");
	silence.is_silenced = true;
	assert_int_equal(make(KW_FINDING_SILENCE), 0);
	assert_non_null(strstr(event.data.data, "\"judgement\":\"silenced\""));
	silence.is_judged = false;
	silence.cpu_known = false;
	assert_int_equal(make(KW_FINDING_SILENCE), 0);
	assert_null(strstr(event.data.data, "judgement"));
	assert_null(strstr(event.data.data, "cpu"));
}

static void a_silence_ends(void **state)
{
	(void)state;
	silence.is_over = true;
	SAMPLE_SET(silence.silence_id, "silence-a");
	assert_int_equal(make(KW_FINDING_SILENCE), 0);
	assert_string_equal(event.type,
			    "dev.cellos.events.cell.observability.guest.v1.agent_resumed");
	assert_string_equal(
		event.data.data,
		"{\"bootNs\":200,\"cellId\":\"cell-7\",\"frameEvent\":\"frame-a\",\"frames\":4,\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"probeSource\":\"host.kwitness\",\"runId\":\"run-42\",\"silencedBootNs\":50,\"silencedEvent\":\"silence-a\",\"specSignatureHash\":\"sha256:abcd\",\"words\":\"Words.\"}");
}

static void a_guests_clock_is_stamped_once_known(void **state)
{
	struct kw_guestclock_estimate clock = { .offset_ns = -5, .error_ns = 6, .delay_ns = 7 };
	struct kw_gate_message frame = { .kind = KW_GATE_FRAME, .probe_bytes = 1 };

	(void)state;
	frame.probe_source[0] = 'p';
	sample.observation.kind = KW_OBSERVATION_GUEST;
	sample.observation.guest = &frame;
	sample.attributed.has_cell = true;
	sample.attributed.cell = cell;
	finding.attributed = &sample.attributed;
	assert_int_equal(make(KW_FINDING_GUEST), 0);
	assert_null(strstr(event.data.data, "guestClock"));
	finding.guest_clock = &clock;
	assert_int_equal(make(KW_FINDING_GUEST), 0);
	assert_non_null(strstr(event.data.data,
			       "\"guestClock\":{\"delayNs\":7,\"errorNs\":6,\"offsetNs\":-5}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_verdict_with_all_that_it_rests_on, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_it_does_not_rest_on_is_left_out, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_silence_begins, setup, teardown),
		cmocka_unit_test_setup_teardown(a_silence_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(a_guests_clock_is_stamped_once_known, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
