/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * crosscheck: a verdict on a guest's word. It names its rule and the events it rests on, so that whoever
 * reads it can judge again; its words are the rule's own and hold nothing that a guest wrote.
 */
#include <errno.h>
#include <stdio.h>

#include "user/attest/event.h"

#define PROBE_SOURCE "host.kwitness"

static void member_ids(struct kw_json *json, const char *key, const char ids[2][40])
{
	if (!ids[0][0])
		return;
	kw_json_key(json, key);
	kw_json_array(json);
	for (int i = 0; i < 2; i++)
		if (ids[i][0])
			kw_json_string(json, ids[i]);
	kw_json_end_array(json);
}

static void member_limit(struct kw_json *json, const char *key, uint64_t value)
{
	if (value == KW_UNLIMITED)
		kw_json_member_string(json, key, "max");
	else
		kw_json_member_u64(json, key, value);
}

void kw_event_member_state(struct kw_json *json, const char *key, const struct kw_state *state)
{
	if (!state)
		return;
	kw_json_key(json, key);
	kw_json_object(json);
	kw_json_member_u64(json, "bootNs", state->boot_ns);
	if (state->known & KW_STATE_CPU)
		kw_json_member_u64(json, "cpuUsageUsec", state->cpu_usec);
	if (state->is_gone)
		kw_json_member_bool(json, "gone", true);
	if (state->known & KW_STATE_MEMORY)
		kw_json_member_u64(json, "memoryBytes", state->memory_bytes);
	if (state->known & KW_STATE_MEMORY_MAX)
		member_limit(json, "memoryMaxBytes", state->memory_max_bytes);
	if (state->known & KW_STATE_OOM_KILL)
		kw_json_member_u64(json, "oomKill", state->oom_kill);
	if (state->known & KW_STATE_PIDS)
		kw_json_member_u64(json, "pids", state->pids);
	if (state->known & KW_STATE_PIDS_MAX)
		member_limit(json, "pidsMax", state->pids_max);
	if (state->known & KW_STATE_PIDS_PEAK)
		kw_json_member_u64(json, "pidsPeak", state->pids_peak);
	if (state->known & KW_STATE_POPULATED)
		kw_json_member_bool(json, "populated", state->is_populated);
	kw_json_end_object(json);
}

int kw_event_crosscheck(const struct kw_finding *finding, const struct kw_clock *clock,
			struct kw_event *event)
{
	const struct kw_crosscheck *said = finding->crosscheck;
	struct kw_json json;

	if (!said || !said->cell || !kw_crosscheck_verdict_name(said->verdict))
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_CROSSCHECK);
	kw_event_subject(event, said->cell, NULL);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_json_member_string(&json, "cellId", said->cell->cell_id);
	member_ids(&json, "claimEvents", said->claim_ids);
	kw_json_member_u64(&json, "count", said->count);
	kw_json_member_u64(&json, "firstBootNs", said->first_boot_ns);
	member_ids(&json, "hostEvents", said->host_ids);
	kw_event_member_received(&json, finding, clock);
	kw_event_member_state(&json, "hostState", said->state);
	if (said->number_name) {
		kw_json_key(&json, "measured");
		kw_json_object(&json);
		kw_json_member_i64(&json, said->number_name, said->number);
		kw_json_end_object(&json);
	}
	kw_json_member_string(&json, "probeSource", PROBE_SOURCE);
	kw_json_member_string(&json, "rule", said->rule);
	kw_json_member_string(&json, "runId", said->cell->run_id);
	kw_json_member_string(&json, "specSignatureHash", said->cell->spec_signature_hash);
	kw_json_key(&json, "verdict");
	kw_json_object(&json);
	kw_json_member_string(&json, "result", kw_crosscheck_verdict_name(said->verdict));
	kw_json_member_string(&json, "words", said->words);
	kw_json_end_object(&json);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
