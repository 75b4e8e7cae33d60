/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Findings as facts: what of an event moves a counter, and of which cgroup. The daemon makes the same facts
 * from the lines of a ledger (user/daemon/pipeline_resume.c), so nothing may be in a fact that is not in its event.
 */
#include <stdio.h>
#include <string.h>

#include "user/reconcile/room.h"

static void name_cgroup(const struct kw_identity *cgroup, uint64_t *ret_id,
			char ret_path[static KW_PATH_MAX])
{
	*ret_id = cgroup->known ? cgroup->id : 0;
	ret_path[0] = '\0';
	if (cgroup->known && !cgroup->truncated && !cgroup->v1)
		(void)snprintf(ret_path, KW_PATH_MAX, "%s", cgroup->path);
}

static bool of_kill(const struct kw_finding *finding, struct kw_fact *fact)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_record_oom_kill *kill = whose->observation->kill;

	if (whose->victim.v1)
		return false;
	fact->kind = KW_FACT_KILL;
	name_cgroup(&whose->victim, &fact->cgroup_id, fact->cgroup);
	name_cgroup(&whose->owner, &fact->owner_id, fact->owner);
	fact->owner_known = kill->oom.flags & KW_OOM_OWNER_KNOWN &&
			    !(kill->oom.flags & KW_OOM_GLOBAL);
	fact->is_group = kill->oom.flags & KW_OOM_GROUP_KILL;
	fact->is_unnumbered = kill->oom.incident == 0;
	fact->count = 1;
	fact->seen_oom_kill_local = kill->victim_events_local.oom_kill;
	memcpy(fact->of_event_id, finding->of_event_id, sizeof(fact->of_event_id));
	return true;
}

static bool of_counter_kill(const struct kw_finding *finding, struct kw_fact *fact)
{
	const struct kw_counter_kill *kill = finding->counter_kill;

	fact->kind = KW_FACT_COUNTER_KILL;
	name_cgroup(&kill->cgroup, &fact->cgroup_id, fact->cgroup);
	fact->is_below = kill->below;
	fact->count = kill->kills;
	fact->boot_ns = kill->to_boot_ns;
	return true;
}

static bool of_incident(const struct kw_finding *finding, struct kw_fact *fact)
{
	const struct kw_incident *said = finding->incident;

	if (said->owner.v1)
		return false;
	fact->kind = KW_FACT_INCIDENT;
	if (said->victim_count > 0)
		name_cgroup(&said->victims[0].cgroup, &fact->cgroup_id, fact->cgroup);
	name_cgroup(&said->owner, &fact->owner_id, fact->owner);
	fact->owner_known = said->oom.flags & KW_OOM_OWNER_KNOWN &&
			    !(said->oom.flags & KW_OOM_GLOBAL);
	fact->is_group = said->oom.flags & KW_OOM_GROUP_KILL;
	fact->duplicates = said->duplicates;
	if (said->end_known && said->oom.flags & KW_OOM_COUNTED_KNOWN &&
	    said->counted < said->marked)
		fact->uncounted = said->marked - said->counted;
	fact->groups_known = said->counters_known;
	if (fact->groups_known)
		fact->groups = said->after.oom_group_kill - said->before.oom_group_kill;
	return true;
}

static bool of_pids(const struct kw_finding *finding, struct kw_fact *fact)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_record_pids *record = whose->observation->pids;

	fact->kind = KW_FACT_PIDS;
	name_cgroup(&whose->victim, &fact->cgroup_id, fact->cgroup);
	name_cgroup(&whose->owner, &fact->owner_id, fact->owner);
	fact->owner_known = whose->owner.known;
	fact->count = record->refusals.total - record->told;
	return true;
}

static bool of_throttle(const struct kw_finding *finding, struct kw_fact *fact)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_throttled *said = finding->throttled;
	const struct kw_bandwidth *before =
		&whose->observation->throttle->throttle.bandwidth_before;

	fact->kind = KW_FACT_THROTTLE;
	name_cgroup(&whose->victim, &fact->cgroup_id, fact->cgroup);
	fact->phase = said->phase;
	fact->stalled_ns = said->stalled_ns;
	fact->count = said->throttled_periods;
	fact->before_known = true;
	fact->kernel_before_usec = before->throttled_ns / KW_NSEC_PER_USEC;
	fact->periods_before = before->throttled_periods;
	return true;
}

bool kw_fact_of_finding(const struct kw_finding *finding, struct kw_fact *ret_fact)
{
	memset(ret_fact, 0, sizeof(*ret_fact));
	memcpy(ret_fact->event_id, finding->event_id, sizeof(ret_fact->event_id));
	ret_fact->boot_ns = finding->boot_ns;
	switch (finding->kind) {
	case KW_FINDING_OOM_KILL:
		return of_kill(finding, ret_fact);
	case KW_FINDING_COUNTER_KILL:
		return of_counter_kill(finding, ret_fact);
	case KW_FINDING_OOM_INCIDENT:
		return of_incident(finding, ret_fact);
	case KW_FINDING_PIDS:
		return of_pids(finding, ret_fact);
	case KW_FINDING_THROTTLE:
		return of_throttle(finding, ret_fact);
	default:
		return false;
	}
}
