/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * oom_kill with the constraint "userspace": a memory manager has killed, before the kernel had to. It says
 * who, and how the victim's memory stood; of a limit it says nothing, because whoever decided knows why, not
 * we. Fields: docs/events.md.
 */
#include <errno.h>
#include <stdio.h>

#include "user/attest/event.h"

#define PROBE_SOURCE "host.oom"

static void member_killer(struct kw_json *json, const struct kw_task_ref *task,
			  const struct kw_identity *cgroup)
{
	kw_json_key(json, "killer");
	kw_json_object(json);
	kw_event_member_cgroup(json, "cgroup", cgroup);
	kw_json_member_foreign(json, "comm", task->comm, sizeof(task->comm));
	kw_json_member_u64(json, "tgid", task->tgid);
	kw_json_member_nonzero(json, "tid", task->tid);
	kw_json_member_u64(json, "uid", task->uid);
	kw_json_end_object(json);
}

int kw_event_userspace_kill(const struct kw_finding *finding, const struct kw_clock *clock,
			    struct kw_event *event)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_cell *cell = kw_event_cell(finding);
	const struct kw_record_userspace_kill *record;
	struct kw_json json;

	if (!whose || !whose->observation ||
	    whose->observation->kind != KW_OBSERVATION_USERSPACE_KILL)
		return -EINVAL;
	record = whose->observation->userspace_kill;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_OOM_KILL);
	kw_event_subject(event, cell, &whose->victim);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_json_member_string(&json, "cellId", cell ? cell->cell_id : NULL);
	kw_json_member_string(&json, "constraint", KW_CONSTRAINT_USERSPACE);
	kw_json_member_string(&json, "hook", kw_hook_name(record->header.hook));
	kw_event_member_received(&json, finding, clock);
	member_killer(&json, &record->killer, &whose->trigger);
	if (record->memory.flags & KW_MEMCG_KNOWN) {
		kw_json_key(&json, "memory");
		kw_json_object(&json);
		kw_event_members_memcg(&json, &record->memory);
		kw_json_end_object(&json);
	}
	kw_json_member_string(&json, "probeSource", PROBE_SOURCE);
	kw_json_member_string(&json, "runId", cell ? cell->run_id : NULL);
	kw_json_member_string(&json, "specSignatureHash", cell ? cell->spec_signature_hash : NULL);
	kw_json_key(&json, "victim");
	kw_event_victim(&json, &record->victim, &whose->victim, NULL);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
