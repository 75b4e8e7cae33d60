/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * oom_kill and oom_incident. Both carry the whole context of their OOM, so that each can be read
 * without the other; the incident adds what only its end can tell: all victims, the counters before
 * and after, and whether they agree.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/attest/event.h"

#define PROBE_SOURCE "host.oom"

int kw_event_oom_kill(const struct kw_finding *finding, const struct kw_clock *clock,
		      struct kw_event *event)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_record_oom_kill *record;
	const struct kw_cell *cell = kw_event_cell(finding);
	bool owner_known;
	struct kw_json json;

	if (!whose || !whose->observation || whose->observation->kind != KW_OBSERVATION_OOM_KILL)
		return -EINVAL;
	record = whose->observation->kill;
	owner_known = record->oom.flags & KW_OOM_OWNER_KNOWN;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_OOM_KILL);
	kw_event_subject(event, cell, &whose->victim);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_json_member_string(&json, "cellId", cell ? cell->cell_id : NULL);
	if (owner_known) {
		kw_json_member_string(&json, "constraint",
				      kw_event_constraint_name(record->oom.constraint));
		kw_json_member_bool(&json, "groupKill", record->oom.flags & KW_OOM_GROUP_KILL);
	}
	kw_json_member_string(&json, "hook", kw_hook_name(record->header.hook));
	kw_event_member_received(&json, finding, clock);
	kw_json_member_string(&json, "incident", finding->incident_id);
	kw_event_member_limit_owner(&json, &record->oom, &whose->owner);
	if (owner_known)
		kw_json_member_u64(&json, "limitPages", record->oom.limit_pages);
	kw_json_member_nonzero(&json, "member", record->member);
	kw_json_member_string(&json, "ofCounterEvent", finding->of_event_id);
	if (owner_known)
		kw_json_member_i64(&json, "points", record->oom.points);
	kw_json_member_string(&json, "probeSource", PROBE_SOURCE);
	kw_json_member_string(&json, "runId", cell ? cell->run_id : NULL);
	kw_json_member_string(&json, "specSignatureHash", cell ? cell->spec_signature_hash : NULL);
	kw_event_member_trigger(&json, &record->oom, &whose->trigger);
	kw_json_key(&json, "victim");
	kw_event_victim(&json, &record->victim, &whose->victim, NULL);
	/* This kill is counted in them, so 0 kills means that they were not read. */
	if (record->victim_events_local.oom_kill)
		kw_event_member_memory_events(&json, "victimEventsLocal",
					      &record->victim_events_local);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}

/* What the kernel's end record counted. */
static void member_kernel(struct kw_json *json, const struct kw_incident *incident)
{
	if (!incident->end_known)
		return;
	kw_json_key(json, "kernel");
	kw_json_object(json);
	if (incident->oom.flags & KW_OOM_COUNTED_KNOWN) {
		kw_json_member_u64(json, "counted", incident->counted);
		kw_json_member_u64(json, "entered", incident->entered);
	}
	kw_json_member_u64(json, "lost", incident->lost);
	kw_json_member_u64(json, "marked", incident->marked);
	kw_json_end_object(json);
}

/* The limit owner's memory.events, hierarchical: at the hooks, and from the file. */
static void member_counters(struct kw_json *json, const struct kw_incident *incident)
{
	if (!incident->counters_known && !incident->file_known)
		return;
	kw_json_key(json, "counters");
	kw_json_object(json);
	if (incident->counters_known) {
		kw_event_member_memory_events(json, "after", &incident->after);
		kw_event_member_memory_events(json, "before", &incident->before);
	}
	if (incident->file_known) {
		kw_event_member_memory_events(json, "file", &incident->file);
		kw_json_member_nonzero(json, "fileBootNs", incident->file_boot_ns);
	}
	kw_json_end_object(json);
}

/* The limit owner's memory.current, oldest first. */
static void member_history(struct kw_json *json, const struct kw_incident *incident)
{
	const struct kw_history *history = &incident->history;

	if (!incident->history_known)
		return;
	kw_json_key(json, "history");
	kw_json_object(json);
	kw_json_member_u64(json, "intervalMs", history->interval_ms);
	kw_json_member_u64(json, "lastBootNs", history->last_boot_ns);
	kw_json_key(json, "memoryCurrent");
	kw_json_array(json);
	for (uint32_t i = 0; i < history->count && i < KW_HISTORY_SAMPLES; i++)
		kw_json_u64(json, history->bytes[i]);
	kw_json_end_array(json);
	kw_json_end_object(json);
}

/* Hundredths of a percent as the kernel writes them: canonical JSON of ours has no fractions. */
static void member_average(struct kw_json *json, const char *key, uint32_t hundredths)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u.%02u", hundredths / 100, hundredths % 100);
	kw_json_member_string(json, key, text);
}

static void member_pressure(struct kw_json *json, const char *key,
			    const struct kw_pressure *pressure)
{
	kw_json_key(json, key);
	kw_json_object(json);
	member_average(json, "fullAvg10", pressure->full_avg10);
	kw_json_member_u64(json, "fullUsec", pressure->full_usec);
	member_average(json, "someAvg10", pressure->some_avg10);
	kw_json_member_u64(json, "someUsec", pressure->some_usec);
	kw_json_end_object(json);
}

/* How the limit owner stood when the first record was read. */
static void member_context(struct kw_json *json, const struct kw_incident *incident)
{
	const struct kw_cgroup_context *context = &incident->context;

	if (!incident->context_known || !context->known)
		return;
	kw_json_key(json, "context");
	kw_json_object(json);
	kw_json_member_u64(json, "bootNs", context->boot_ns);
	if (context->known & KW_CONTEXT_CPU_PRESSURE)
		member_pressure(json, "cpuPressure", &context->cpu_pressure);
	if (context->known & KW_CONTEXT_MEMORY_PEAK)
		kw_json_member_u64(json, "memoryPeakBytes", context->memory_peak_bytes);
	if (context->known & KW_CONTEXT_MEMORY_PRESSURE)
		member_pressure(json, "memoryPressure", &context->memory_pressure);
	if (context->known & KW_CONTEXT_SWAP_CURRENT)
		kw_json_member_u64(json, "swapBytes", context->swap_current_bytes);
	if (context->known & KW_CONTEXT_SWAP_PEAK)
		kw_json_member_u64(json, "swapPeakBytes", context->swap_peak_bytes);
	kw_json_end_object(json);
}

static void member_verdict(struct kw_json *json, const struct kw_incident *incident)
{
	kw_json_key(json, "verdict");
	kw_json_object(json);
	if (incident->verdict != KW_VERDICT_UNVERIFIED)
		kw_json_member_u64(json, "duplicates", incident->duplicates);
	kw_json_member_string(json, "result", kw_verdict_name(incident->verdict));
	if (incident->verdict != KW_VERDICT_UNVERIFIED)
		kw_json_member_i64(json, "unexplained", incident->unexplained);
	kw_json_member_string(json, "words", incident->words);
	kw_json_end_object(json);
}

static void member_victims(struct kw_json *json, const struct kw_incident *incident,
			   uint32_t victims)
{
	kw_json_key(json, "victims");
	kw_json_array(json);
	for (uint32_t i = 0; i < victims; i++)
		kw_event_victim(json, &incident->victims[i].victim, &incident->victims[i].cgroup,
				incident->victims[i].event_id);
	kw_json_end_array(json);
}

/* What is the same for every incident but the victims. */
static void incident_members(struct kw_json *json, const struct kw_finding *finding,
			     const struct kw_clock *clock, const struct kw_cell *cell)
{
	const struct kw_incident *incident = finding->incident;
	bool owner_known = incident->oom.flags & KW_OOM_OWNER_KNOWN;

	kw_json_member_nonzero(json, "beginBootNs", incident->begin_boot_ns);
	kw_json_member_u64(json, "bootNs", finding->boot_ns);
	kw_json_member_string(json, "cellId", cell ? cell->cell_id : NULL);
	if (owner_known)
		kw_json_member_string(json, "constraint",
				      kw_event_constraint_name(incident->oom.constraint));
	member_context(json, incident);
	member_counters(json, incident);
	kw_json_member_nonzero(json, "endBootNs", incident->end_boot_ns);
	if (owner_known)
		kw_json_member_bool(json, "groupKill", incident->oom.flags & KW_OOM_GROUP_KILL);
	member_history(json, incident);
	kw_json_member_string(json, "hook", kw_hook_name(incident->hook));
	kw_event_member_received(json, finding, clock);
	kw_json_member_string(json, "incident", incident->id);
	member_kernel(json, incident);
	kw_json_member_u64(json, "kills", incident->kills);
	kw_event_member_limit_owner(json, &incident->oom, &incident->owner);
	if (owner_known) {
		kw_json_member_u64(json, "limitPages", incident->oom.limit_pages);
		kw_json_member_i64(json, "points", incident->oom.points);
	}
	kw_json_member_string(json, "probeSource", PROBE_SOURCE);
	kw_json_member_string(json, "runId", cell ? cell->run_id : NULL);
	kw_json_member_string(json, "specSignatureHash", cell ? cell->spec_signature_hash : NULL);
	kw_event_member_trigger(json, &incident->oom, &incident->trigger);
	member_verdict(json, incident);
}

int kw_event_oom_incident(const struct kw_finding *finding, const struct kw_clock *clock,
			  const struct kw_event_limits *limits, struct kw_event *event)
{
	static const struct kw_identity host = { .known = true, .path = "/" };
	const struct kw_incident *incident = finding->incident;
	const struct kw_cell *cell = kw_event_cell(finding);
	uint32_t victims;
	struct kw_json json;

	if (!incident)
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_OOM_INCIDENT);
	kw_event_subject(event, cell,
			 incident->oom.flags & KW_OOM_GLOBAL ? &host : &incident->owner);
	victims = incident->victim_count < limits->victims ? incident->victim_count
							   : limits->victims;
	event->victims_omitted = incident->victims_omitted + (incident->victim_count - victims);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	incident_members(&json, finding, clock, cell);
	member_victims(&json, incident, victims);
	kw_json_member_nonzero(&json, "victimsOmitted", event->victims_omitted);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
