/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* pids_max: forks that were refused, who tried, and whose limit it was. Fields: docs/events.md. */
#include <errno.h>
#include <stdio.h>

#include "user/attest/event.h"

#define PROBE_SOURCE "host.pids"

int kw_event_pids(const struct kw_finding *finding, const struct kw_clock *clock,
		  struct kw_event *event)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_cell *cell = kw_event_cell(finding);
	const struct kw_refusals *refusals;
	const struct kw_record_pids *record;
	struct kw_json json;

	if (!whose || !whose->observation || whose->observation->kind != KW_OBSERVATION_PIDS)
		return -EINVAL;
	record = whose->observation->pids;
	refusals = &record->refusals;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_PIDS_MAX);
	kw_event_subject(event, cell, &whose->victim);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_json_member_string(&json, "cellId", cell ? cell->cell_id : NULL);
	kw_event_member_cgroup(&json, "cgroup", &whose->victim);
	kw_json_member_foreign(&json, "comm", refusals->task.comm, sizeof(refusals->task.comm));
	kw_json_member_string(&json, "hook", kw_hook_name(record->header.hook));
	kw_event_member_received(&json, finding, clock);
	if (whose->owner.known) {
		kw_json_key(&json, "limitOwner");
		kw_json_object(&json);
		kw_event_member_cgroup(&json, "cgroup", &whose->owner);
		kw_json_end_object(&json);
		kw_json_member_u64(&json, "maxPids", refusals->max_pids);
	}
	kw_json_member_string(&json, "probeSource", PROBE_SOURCE);
	kw_json_member_u64(&json, "refusals", refusals->total - record->told);
	kw_json_member_u64(&json, "refusalsTotal", refusals->total);
	kw_json_member_string(&json, "runId", cell ? cell->run_id : NULL);
	kw_json_member_string(&json, "specSignatureHash", cell ? cell->spec_signature_hash : NULL);
	kw_json_member_nonzero(&json, "tgid", refusals->task.tgid);
	kw_json_member_nonzero(&json, "tid", refusals->task.tid);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
