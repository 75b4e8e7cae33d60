/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whatever a guest says, and whatever the host sees meanwhile: verdicts stay few, nothing overflows, and
 * what is due is said. Each six bytes are one thing that happens: what, how much later, and two values.
 */
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/reconcile/reconcile.h"

#define RULES 14 /* of docs/crosscheck.md */

struct run {
	struct kw_reconcile *reconcile;
	uint64_t begin_ns;
	uint64_t now_ns;
	uint64_t verdicts;
	struct kw_state state;
};

static int on_finding(void *context, const struct kw_finding *finding)
{
	struct run *run = context;

	if (finding->kind == KW_FINDING_CROSSCHECK) {
		run->verdicts++;
		fuzz_assert(finding->crosscheck->count > 0);
		fuzz_assert(kw_crosscheck_verdict_name(finding->crosscheck->verdict));
		fuzz_assert(finding->crosscheck->words);
	}
	if (finding->guest_clock)
		fuzz_assert(finding->guest_clock->error_ns <= INT64_MAX &&
			    finding->guest_clock->delay_ns <= INT64_MAX);
	kw_reconcile_said(run->reconcile, finding, "00000000-0000-8000-8000-000000000000");
	return 0;
}

static int on_state(void *context, const char *path, struct kw_state *ret_state)
{
	const struct run *run = context;

	(void)path;
	*ret_state = run->state;
	ret_state->boot_ns = run->now_ns;
	return 0;
}

/* Small numbers, and those at the ends of their ranges. */
static uint64_t number(uint8_t byte)
{
	return byte < 128   ? byte
	       : byte < 192 ? UINT64_MAX - (byte - 128U)
			    : (1ULL << 63) - 32 + (byte - 192U);
}

static void make_frame(const uint8_t *bytes, struct kw_gate_message *frame)
{
	static const char *const probes[] = { "heartbeat",  "process.spawned", "process.exited",
					      "oom.killed", "cpu.throttled",   "x" };
	const char *probe = probes[bytes[2] % 6];

	frame->kind = (uint16_t)(bytes[2] % 16 == 15 ? KW_GATE_REFUSED : KW_GATE_FRAME);
	frame->handle = 1;
	frame->connection = 1 + bytes[3] % 11;
	frame->reason = frame->kind == KW_GATE_REFUSED ? KW_GATE_FLOOD : 0;
	frame->count = frame->kind == KW_GATE_REFUSED ? 1 + bytes[4] : 0;
	frame->guest_monotonic_ns = number(bytes[4]) * (bytes[3] & 1 ? KW_NSEC_PER_SEC : 1);
	frame->probe_bytes = (uint16_t)strlen(probe);
	memcpy(frame->probe_source, probe, frame->probe_bytes);
	frame->has = bytes[3] >> 4;
	frame->seq = number(bytes[5]);
	frame->dropped = number(bytes[4]);
	frame->boot_id_bytes = (uint16_t)(bytes[5] % (KW_BOOT_ID_MAX + 1));
	memset(frame->boot_id, 'a' + bytes[4] % 3, frame->boot_id_bytes);
	frame->claim_count = 1;
	frame->claim[0].key_bytes = 9;
	memcpy(frame->claim[0].key, "processes", 9);
	frame->claim[0].number = number(bytes[5]);
}

static void happen(struct run *run, struct kw_attributed *attributed, const uint8_t *bytes)
{
	static struct kw_reading reading;
	struct kw_gate_message frame = { 0 };
	struct kw_record_oom_kill kill = { 0 };
	struct kw_record_throttle throttle = { .phase = KW_THROTTLE_START + bytes[2] % 3U };
	struct kw_observation observation = { .number = run->now_ns,
					      .boot_ns = run->now_ns,
					      .received_boot_ns = run->now_ns };

	switch (bytes[0] % 5) {
	case 0:
	case 1:
		make_frame(bytes, &frame);
		frame.received_boot_ns = run->now_ns;
		observation.kind = KW_OBSERVATION_GUEST;
		observation.guest = &frame;
		break;
	case 2:
		reading.files[KW_FLAT_CPU_STAT] =
			(struct kw_flat){ .present = true,
					  .count = 2,
					  .pairs = { { "usage_usec", number(bytes[2]) },
						     { "throttled_usec", number(bytes[3]) } } };
		observation.kind = KW_OBSERVATION_READING;
		observation.reading = &reading;
		break;
	case 3:
		observation.kind = KW_OBSERVATION_THROTTLE;
		throttle.throttle.begin_boot_ns = number(bytes[3]);
		throttle.throttle.last_boot_ns = number(bytes[4]);
		throttle.throttle.totals.stalled_ns = number(bytes[5]);
		observation.throttle = &throttle;
		break;
	default:
		observation.kind = KW_OBSERVATION_OOM_KILL;
		observation.kill = &kill;
	}
	attributed->observation = &observation;
	fuzz_assert(kw_reconcile_observe(run->reconcile, attributed) == 0);
	run->state.known = bytes[4];
	run->state.is_populated = bytes[5] & 1;
	run->state.is_gone = bytes[5] == 2;
	run->state.pids_peak = number(bytes[3]);
	run->state.cpu_usec = number(bytes[2]);
}

static void open_run(struct run *run, struct kw_attributed *attributed, uint8_t kernel)
{
	struct kw_reconcile_options options = { .boot_id = "boot",
						.finding = on_finding,
						.state = on_state,
						.silence_ns = 10 * KW_NSEC_PER_SEC,
						.context = run };

	run->begin_ns = 1000 * KW_NSEC_PER_SEC;
	run->now_ns = run->begin_ns;
	fuzz_assert(kw_reconcile_open(&options, &run->reconcile) == 0);
	attributed->has_cell = true;
	attributed->cell.handle = 1;
	attributed->cell.kernel = (enum kw_cell_kernel)(kernel % 3);
	(void)snprintf(attributed->cell.cgroup_path, sizeof(attributed->cell.cgroup_path), "/a");
	(void)snprintf(attributed->cell.vsock_uds_base, sizeof(attributed->cell.vsock_uds_base),
		       "/b");
	kw_reconcile_cell(run->reconcile, KW_CELL_ADDED, &attributed->cell, run->now_ns);
	if (kernel & 4)
		kw_reconcile_sees_throttling(run->reconcile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kw_attributed attributed;
	struct run run = { 0 };

	if (size < 1)
		return 0;
	memset(&attributed, 0, sizeof(attributed));
	open_run(&run, &attributed, data[0]);
	for (size_t at = 1; at + 6 <= size; at += 6) {
		run.now_ns += data[at + 1] * (KW_NSEC_PER_SEC / 8);
		happen(&run, &attributed, data + at);
		if (kw_reconcile_deadline(run.reconcile) <= run.now_ns) {
			fuzz_assert(kw_reconcile_due(run.reconcile, run.now_ns) == 0);
			fuzz_assert(kw_reconcile_deadline(run.reconcile) > run.now_ns);
		}
	}
	/* One a rule each ten seconds at most. */
	fuzz_assert(run.verdicts <=
		    RULES * (1 + (run.now_ns - run.begin_ns) / KW_CROSSCHECK_WAIT_NS));
	fuzz_assert(kw_reconcile_flush(run.reconcile, run.now_ns) == 0);
	kw_reconcile_free(run.reconcile);
	return 0;
}
