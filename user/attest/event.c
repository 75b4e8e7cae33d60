/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Findings to events: the table of kinds, and the objects that several kinds carry. Every text that
 * came from the kernel or from a guest goes out escaped; what is not known is left out.
 */
#include "user/attest/event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"

/* Time of the occurrence on the wall clock, by the distance of the two clocks at receipt and the steps between. */
static uint64_t occurrence_real_ns(const struct kw_finding *finding, const struct kw_clock *clock)
{
	const struct kw_observation *seen = finding->attributed ? finding->attributed->observation
								: NULL;

	if (!seen || seen->received_real_ns == 0 || finding->boot_ns > seen->received_boot_ns)
		return kw_clock_real_of_boot(clock, finding->boot_ns);
	return kw_clock_real_before(clock, finding->boot_ns, seen->received_boot_ns,
				    seen->received_real_ns);
}

int kw_event_make(const struct kw_finding *finding, const struct kw_clock *clock,
		  const struct kw_event_limits *limits, struct kw_event *event)
{
	kw_bytes_clear(&event->subject);
	kw_bytes_clear(&event->data);
	event->time_real_ns = occurrence_real_ns(finding, clock);
	switch (finding->kind) {
	case KW_FINDING_OOM_KILL:
		return kw_event_oom_kill(finding, clock, event);
	case KW_FINDING_OOM_INCIDENT:
		return kw_event_oom_incident(finding, clock, limits, event);
	case KW_FINDING_CGROUP:
		return kw_event_cgroup(finding, clock, event);
	case KW_FINDING_GUEST:
		return kw_event_guest(finding, clock, event);
	case KW_FINDING_GAP:
		return kw_event_gap(finding, clock, event);
	case KW_FINDING_THROTTLE:
		return kw_event_throttle(finding, clock, event);
	case KW_FINDING_PIDS:
		return kw_event_pids(finding, clock, event);
	case KW_FINDING_COUNTER_KILL:
		return kw_event_counter_kill(finding, clock, event);
	case KW_FINDING_PARITY:
		return kw_event_parity(finding, clock, event);
	case KW_FINDING_ACCOUNT:
		return kw_event_account(finding, clock, event);
	case KW_FINDING_CROSSCHECK:
		return kw_event_crosscheck(finding, clock, event);
	case KW_FINDING_SILENCE:
		return kw_event_silence(finding, clock, event);
	case KW_FINDING_HIGH:
		return kw_event_high(finding, clock, event);
	case KW_FINDING_USERSPACE_KILL:
		return kw_event_userspace_kill(finding, clock, event);
	case KW_FINDING_KIND_COUNT_:
		break;
	}
	return -EINVAL;
}

const struct kw_cell *kw_event_cell(const struct kw_finding *finding)
{
	if (finding->kind == KW_FINDING_OOM_INCIDENT && finding->incident)
		return finding->incident->has_cell ? &finding->incident->cell : NULL;
	return finding->attributed && finding->attributed->has_cell ? &finding->attributed->cell
								    : NULL;
}

void kw_event_subject(struct kw_event *event, const struct kw_cell *cell,
		      const struct kw_identity *cgroup)
{
	if (cell) {
		kw_bytes_append_string(&event->subject, "cell:");
		kw_text_append_escaped(&event->subject, cell->cell_id, strlen(cell->cell_id));
	} else if (cgroup && cgroup->known && cgroup->path[0]) {
		kw_bytes_append_string(&event->subject, "cgroup:");
		kw_text_append_escaped(&event->subject, cgroup->path, strlen(cgroup->path));
	}
}

/* enum oom_constraint (include/linux/oom.h, since 2.6.33 in this order). */
const char *kw_event_constraint_name(uint32_t constraint)
{
	static const char *const names[] = { "none", "cpuset", "memory_policy", "memcg" };

	return constraint < kw_array_size(names) ? names[constraint] : NULL;
}

void kw_event_member_cgroup(struct kw_json *json, const char *key, const struct kw_identity *cgroup)
{
	if (!cgroup->known)
		return;
	kw_json_key(json, key);
	kw_json_object(json);
	kw_json_member_string(json, "cellId", cgroup->cell_id);
	if (cgroup->v1)
		kw_json_member_u64(json, "cgroupVersion", 1);
	kw_json_member_string(json, "container", cgroup->container);
	kw_json_member_string(json, "containerId", cgroup->container_id);
	if (cgroup->id) {
		kw_json_key(json, "id");
		kw_json_id(json, cgroup->id);
	}
	kw_json_member_foreign(json, "path", cgroup->path, sizeof(cgroup->path));
	if (cgroup->truncated)
		kw_json_member_bool(json, "pathTruncated", true);
	kw_json_member_string(json, "podName", cgroup->pod_name);
	kw_json_member_string(json, "podNamespace", cgroup->pod_namespace);
	kw_json_member_foreign(json, "podUid", cgroup->pod_uid, sizeof(cgroup->pod_uid));
	kw_json_member_string(json, "qos", cgroup->qos);
	kw_json_member_string(json, "runtime", cgroup->runtime);
	kw_json_member_foreign(json, "slice", cgroup->slice, sizeof(cgroup->slice));
	kw_json_member_foreign(json, "unit", cgroup->unit, sizeof(cgroup->unit));
	kw_json_end_object(json);
}

/* Bytes as the cgroup file would have them: "max" where there is no limit. */
void kw_event_member_limit(struct kw_json *json, const char *key, uint64_t bytes)
{
	if (bytes == KW_UNLIMITED)
		kw_json_member_string(json, key, "max");
	else
		kw_json_member_u64(json, key, bytes);
}

void kw_event_members_memcg(struct kw_json *json, const struct kw_memcg_state *state)
{
	if (!(state->flags & KW_MEMCG_KNOWN))
		return;
	kw_event_member_limit(json, "highBytes", state->high_bytes);
	kw_event_member_limit(json, "maxBytes", state->max_bytes);
	kw_json_member_bool(json, "oomGroup", state->flags & KW_MEMCG_OOM_GROUP);
	if (state->flags & KW_MEMCG_SWAP_KNOWN) {
		kw_event_member_limit(json, "swapMaxBytes", state->swap_max_bytes);
		kw_json_member_u64(json, "swapUsageBytes", state->swap_usage_bytes);
	}
	kw_json_member_u64(json, "usageBytes", state->usage_bytes);
}

void kw_event_member_limit_owner(struct kw_json *json, const struct kw_oom_context *oom,
				 const struct kw_identity *owner)
{
	if (!(oom->flags & KW_OOM_OWNER_KNOWN))
		return;
	kw_json_key(json, "limitOwner");
	kw_json_object(json);
	if (oom->flags & KW_OOM_GLOBAL) {
		kw_json_key(json, "cgroup"); /* the host itself */
		kw_json_null(json);
		kw_json_end_object(json);
		return;
	}
	kw_event_member_cgroup(json, "cgroup", owner);
	kw_event_members_memcg(json, &oom->owner_state);
	kw_json_end_object(json);
}

void kw_event_member_trigger(struct kw_json *json, const struct kw_oom_context *oom,
			     const struct kw_identity *trigger)
{
	const struct kw_task_ref *task = &oom->trigger;

	if (task->tgid == 0)
		return;
	kw_json_key(json, "trigger");
	kw_json_object(json);
	kw_event_member_cgroup(json, "cgroup", trigger);
	kw_json_member_foreign(json, "comm", task->comm, sizeof(task->comm));
	if (oom->flags & KW_OOM_OWNER_KNOWN) {
		kw_json_member_u64(json, "gfpFlags", oom->gfp_flags);
		kw_json_member_i64(json, "order", oom->order);
	}
	kw_json_member_u64(json, "tgid", task->tgid);
	kw_json_member_nonzero(json, "tid", task->tid);
	kw_json_end_object(json);
}

void kw_event_member_received(struct kw_json *json, const struct kw_finding *finding,
			      const struct kw_clock *clock)
{
	const struct kw_observation *seen = finding->attributed ? finding->attributed->observation
								: NULL;
	char text[KW_RFC3339_BYTES];

	kw_clock_format(seen && seen->received_real_ns ? seen->received_real_ns
						       : kw_clock_real_ns(clock),
			text);
	kw_json_member_string(json, "hostReceivedAt", text);
}

void kw_event_member_memory_events(struct kw_json *json, const char *key,
				   const struct kw_memory_events *events)
{
	kw_json_key(json, key);
	kw_json_object(json);
	kw_json_member_u64(json, "high", events->high);
	kw_json_member_u64(json, "max", events->max);
	kw_json_member_u64(json, "oom", events->oom);
	kw_json_member_u64(json, "oomGroupKill", events->oom_group_kill);
	kw_json_member_u64(json, "oomKill", events->oom_kill);
	kw_json_end_object(json);
}

void kw_event_victim(struct kw_json *json, const struct kw_victim *victim,
		     const struct kw_identity *cgroup, const char *event_id)
{
	const struct kw_task_ref *task = &victim->task;
	bool mm = victim->flags & KW_VICTIM_MM_KNOWN;

	kw_json_object(json);
	if (mm)
		kw_json_member_u64(json, "anonRssKb", victim->anon_rss_kb);
	kw_event_member_cgroup(json, "cgroup", cgroup);
	kw_json_member_foreign(json, "comm", task->comm, sizeof(task->comm));
	kw_json_member_string(json, "eventId", event_id);
	if (mm)
		kw_json_member_u64(json, "fileRssKb", victim->file_rss_kb);
	kw_json_member_nonzero(json, "nsPid", task->ns_tgid);
	kw_json_member_i64(json, "oomScoreAdj", victim->oom_score_adj);
	kw_json_member_foreign(json, "parentComm", victim->parent_comm,
			       sizeof(victim->parent_comm));
	if (mm)
		kw_json_member_u64(json, "pgtablesKb", victim->pgtables_kb);
	kw_json_member_nonzero(json, "ppid", victim->parent_tgid);
	if (mm)
		kw_json_member_u64(json, "shmemRssKb", victim->shmem_rss_kb);
	kw_json_member_nonzero(json, "startBootNs", victim->start_boot_ns);
	if (mm)
		kw_json_member_u64(json, "swapKb", victim->swap_kb);
	kw_json_member_u64(json, "tgid", task->tgid);
	kw_json_member_nonzero(json, "tid", task->tid);
	if (mm)
		kw_json_member_u64(json, "totalVmKb", victim->total_vm_kb);
	kw_json_member_u64(json, "uid", task->uid);
	kw_json_end_object(json);
}
