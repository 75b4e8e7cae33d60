/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * agent_silenced and agent_resumed: what a guest did not say, with what the host saw of it meanwhile. The
 * types stand among the guest's as CellOS has them; no frame can have one of them (kw_gate_probe_is_valid()).
 */
#include <errno.h>
#include <stdio.h>

#include "user/attest/event.h"

#define PROBE_SOURCE "host.kwitness"

static void members_of_begin(struct kw_json *json, const struct kw_finding *finding,
			     const struct kw_clock *clock)
{
	const struct kw_silence *said = finding->silence;

	if (said->cpu_known) {
		kw_json_member_u64(json, "cpuSpanNs", said->cpu_span_ns);
		kw_json_member_u64(json, "cpuUsec", said->cpu_usec);
	}
	kw_json_member_u64(json, "frames", said->frames);
	kw_json_member_bool(json, "heartbeats", said->sends_heartbeats);
	kw_event_member_received(json, finding, clock);
	kw_event_member_state(json, "hostState", said->state);
	if (said->is_judged)
		kw_json_member_string(json, "judgement", said->is_silenced ? "silenced" : "quiet");
	kw_json_member_string(json, "lastFrameEvent", said->frame_id);
	kw_json_member_string(json, "probeSource", PROBE_SOURCE);
	kw_json_member_string(json, "runId", said->cell->run_id);
	kw_json_member_nonzero(json, "sinceBootNs", said->since_boot_ns);
	kw_json_member_string(json, "specSignatureHash", said->cell->spec_signature_hash);
	kw_json_member_u64(json, "windowNs", said->window_ns);
}

static void members_of_end(struct kw_json *json, const struct kw_finding *finding,
			   const struct kw_clock *clock)
{
	const struct kw_silence *said = finding->silence;

	kw_json_member_string(json, "frameEvent", said->frame_id);
	kw_json_member_u64(json, "frames", said->frames);
	kw_event_member_received(json, finding, clock);
	kw_json_member_string(json, "probeSource", PROBE_SOURCE);
	kw_json_member_string(json, "runId", said->cell->run_id);
	kw_json_member_u64(json, "silencedBootNs", said->since_boot_ns);
	kw_json_member_string(json, "silencedEvent", said->silence_id);
	kw_json_member_string(json, "specSignatureHash", said->cell->spec_signature_hash);
}

int kw_event_silence(const struct kw_finding *finding, const struct kw_clock *clock,
		     struct kw_event *event)
{
	const struct kw_silence *said = finding->silence;
	struct kw_json json;

	if (!said || !said->cell)
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s",
		       said->is_over ? KW_TYPE_AGENT_RESUMED : KW_TYPE_AGENT_SILENCED);
	kw_event_subject(event, said->cell, NULL);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_json_member_string(&json, "cellId", said->cell->cell_id);
	if (said->is_over)
		members_of_end(&json, finding, clock);
	else
		members_of_begin(&json, finding, clock);
	kw_json_member_string(&json, "words", said->words);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
