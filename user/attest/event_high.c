/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * memory_high: an episode in which tasks of a cgroup were held up because a memory.high was passed. All
 * sums are since the episode began and over all tasks, so they can exceed the time that went by. Whose
 * limit it was is as the hook found it (bpf/memhigh.bpf.c). Fields: docs/events.md.
 */
#include <errno.h>
#include <stdio.h>

#include "user/attest/event.h"

#define PROBE_SOURCE "host.memory"

/* The owner's own count is that of the episode only when it was the same owner all the time. */
static void member_high_events(struct kw_json *json, const struct kw_high *seen)
{
	if (!(seen->flags & KW_HIGH_OWNER_CHANGED) && seen->high_events >= seen->high_before)
		kw_json_member_u64(json, "highEvents", seen->high_events - seen->high_before);
}

static void high_members(struct kw_json *json, const struct kw_finding *finding,
			 const struct kw_clock *clock, const struct kw_cell *cell)
{
	const struct kw_record_high *record = finding->attributed->observation->high;
	const struct kw_identity *owner = &finding->attributed->owner;
	const struct kw_throttled *said = finding->throttled;
	const struct kw_high *seen = &record->high;
	bool has_state = owner->known && seen->owner_state.flags & KW_MEMCG_KNOWN;

	kw_json_member_u64(json, "bootNs", finding->boot_ns);
	kw_json_member_u64(json, "calls", said->throttles);
	kw_json_member_string(json, "cellId", cell ? cell->cell_id : NULL);
	kw_event_member_cgroup(json, "cgroup", &finding->attributed->victim);
	kw_json_member_u64(json, "cgroupsOver", seen->over);
	kw_json_member_string(json, "episode", said->episode_id);
	kw_json_member_u64(json, "episodeUsec", (said->last_boot_ns - said->begin_boot_ns) / 1000);
	if (has_state) {
		kw_event_member_limit(json, "highBytes", seen->owner_state.high_bytes);
		member_high_events(json, seen);
	}
	kw_event_member_histogram(json, said);
	kw_json_member_string(json, "hook", kw_hook_name(record->header.hook));
	kw_event_member_received(json, finding, clock);
	kw_json_member_foreign(json, "lastComm", seen->task.comm, sizeof(seen->task.comm));
	kw_json_member_nonzero(json, "lastTgid", seen->task.tgid);
	if (owner->known) {
		kw_json_key(json, "limitOwner");
		kw_json_object(json);
		kw_event_member_cgroup(json, "cgroup", owner);
		kw_json_end_object(json);
	}
	if (seen->flags & KW_HIGH_OWNER_CHANGED)
		kw_json_member_bool(json, "limitOwnerChanged", true);
	kw_json_member_string(json, "phase", kw_throttle_phase_name(said->phase));
	kw_json_member_string(json, "probeSource", PROBE_SOURCE);
	kw_json_member_u64(json, "returns", said->unthrottles);
	kw_json_member_string(json, "runId", cell ? cell->run_id : NULL);
	kw_json_member_string(json, "specSignatureHash", cell ? cell->spec_signature_hash : NULL);
	kw_json_member_u64(json, "stalledUsec", said->stalled_ns / 1000);
	if (has_state)
		kw_json_member_u64(json, "usageBytes", seen->owner_state.usage_bytes);
}

int kw_event_high(const struct kw_finding *finding, const struct kw_clock *clock,
		  struct kw_event *event)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_cell *cell = kw_event_cell(finding);
	struct kw_json json;

	if (!whose || !whose->observation || !finding->throttled ||
	    whose->observation->kind != KW_OBSERVATION_HIGH)
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_MEMORY_HIGH);
	kw_event_subject(event, cell, &whose->victim);
	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	high_members(&json, finding, clock, cell);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
