/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * gap: what was, or may have been, missed. `lost` is a number only where it is exact; null says that
 * nobody can know.
 */
#include <errno.h>
#include <stdio.h>

#include "user/attest/event.h"

int kw_event_gap(const struct kw_finding *finding, const struct kw_clock *clock,
		 struct kw_event *event)
{
	const struct kw_gap *gap = finding->gap;
	const struct kw_cell *cell = kw_event_cell(finding);
	struct kw_json json;

	if (!gap)
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_GAP);
	kw_event_subject(event, cell, NULL);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_string(&json, "bootId", gap->boot_id);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_json_member_string(&json, "cellId", cell ? cell->cell_id : NULL);
	if (gap->kind == KW_GAP_LOST && finding->attributed)
		kw_event_member_cgroup(&json, "cgroup", &finding->attributed->victim);
	kw_json_member_nonzero(&json, "from", gap->from_boot_ns);
	kw_event_member_received(&json, finding, clock);
	kw_json_member_string(&json, "kind", kw_gap_kind_name(gap->kind));
	kw_json_key(&json, "lost");
	if (gap->lost_known)
		kw_json_u64(&json, gap->lost);
	else
		kw_json_null(&json);
	kw_json_member_string(&json, "probeSource", "host.kwitness");
	kw_json_member_string(&json, "reason", gap->reason);
	kw_json_member_string(&json, "runId", cell ? cell->run_id : NULL);
	kw_json_member_string(&json, "specSignatureHash", cell ? cell->spec_signature_hash : NULL);
	kw_json_member_string(&json, "stage", gap->stage);
	kw_json_member_nonzero(&json, "to", gap->to_boot_ns);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
