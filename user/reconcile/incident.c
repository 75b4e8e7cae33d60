/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kills to incidents. The hooks number each OOM and close it with a record of its own; out_of_memory()
 * runs under oom_lock (mm/oom_kill.c, 6.12), so once a record of a later OOM is read, nothing more comes
 * of an earlier one, and an end record that is still missing then was lost. Where no hook gives a number
 * (tier tracepoint) each kill is an incident of its own, but for the kills of one group kill, which are
 * grouped by inference: same trigger, close in time, memory.oom.group set for each.
 */
#include <errno.h>
#include <string.h>

#include "user/reconcile/room.h"

/* Kills of one memory.oom.group kill: one scan of the cgroup's tasks, well below this apart. */
#define GROUP_WINDOW_NS (100 * KW_NSEC_PER_MSEC)
/* How long an incident without its end record stays open after its last kill. */
#define NO_END_NS KW_NSEC_PER_SEC

void kw_incident_free(struct kw_open_incident *open)
{
	if (!open)
		return;
	free(open->said.victims);
	free(open);
}
KW_DEFINE_CLEANUP(struct kw_open_incident *, kw_incident_free)

static uint64_t later(uint64_t left, uint64_t right)
{
	return left > right ? left : right;
}

static struct kw_open_incident *find_numbered(struct kw_reconcile *reconcile, uint64_t number)
{
	struct kw_open_incident *open;

	TAILQ_FOREACH (open, &reconcile->incidents, list) {
		if (open->numbered && open->said.number == number)
			return open;
	}
	return NULL;
}

static struct kw_open_incident *find_group(struct kw_reconcile *reconcile,
					   const struct kw_observation *observation)
{
	const struct kw_oom_context *oom = &observation->kill->oom;
	struct kw_open_incident *open;

	if (!(oom->flags & KW_OOM_GROUP_KILL) || oom->trigger.tid == 0)
		return NULL;
	TAILQ_FOREACH (open, &reconcile->incidents, list) {
		if (!open->numbered && open->said.oom.flags & KW_OOM_GROUP_KILL &&
		    open->said.oom.trigger.tid == oom->trigger.tid &&
		    observation->boot_ns >= open->last_kill_boot_ns &&
		    observation->boot_ns - open->last_kill_boot_ns <= GROUP_WINDOW_NS)
			return open;
	}
	return NULL;
}

/* A record of OOM number was read: earlier ones whose end was not seen have lost it. */
static void close_before(struct kw_reconcile *reconcile, uint64_t number, uint64_t now)
{
	struct kw_open_incident *open;

	TAILQ_FOREACH (open, &reconcile->incidents, list) {
		if (!open->numbered || open->state != KW_INCIDENT_OPEN ||
		    open->said.number >= number)
			continue;
		kw_incident_account_no_end(reconcile, open);
		if (open->deadline_boot_ns > now + reconcile->options.settle_ns)
			open->deadline_boot_ns = now + reconcile->options.settle_ns;
	}
}

static uint32_t count_earlier(const struct kw_reconcile *reconcile, const char *incident_id)
{
	uint32_t count = 0;

	for (size_t i = 0; i < reconcile->earlier_count; i++)
		count += strcmp(reconcile->earlier[i].incident_id, incident_id) == 0;
	return count;
}

/* Whether the daemon before this one has recorded the event already; asked once. */
static bool take_earlier(struct kw_reconcile *reconcile, const char *event_id)
{
	for (size_t i = 0; i < reconcile->earlier_count; i++) {
		if (strcmp(reconcile->earlier[i].event_id, event_id) != 0)
			continue;
		reconcile->earlier[i] = reconcile->earlier[--reconcile->earlier_count];
		return true;
	}
	return false;
}

static void remember_context(struct kw_open_incident *open, const struct kw_attributed *attributed,
			     const struct kw_oom_context *oom)
{
	struct kw_incident *said = &open->said;
	/* Only the kills say so: whether it is one is not decided yet when the OOM begins. */
	uint32_t group_kill = said->oom.flags & KW_OOM_GROUP_KILL;

	said->oom = *oom;
	said->oom.flags |= group_kill;
	said->owner = attributed->owner;
	said->trigger = attributed->trigger;
	if (attributed->has_cell && !said->has_cell) {
		said->has_cell = true;
		said->cell = attributed->cell;
	}
}

/* Asked for when the incident begins: by the time it settles the cgroup may have been removed. */
static void ask_history(const struct kw_reconcile *reconcile, struct kw_open_incident *open)
{
	const struct kw_identity *owner = &open->said.owner;
	struct kw_history *history = &open->said.history;

	if (!reconcile->options.history || !owner->known || owner->truncated || owner->v1 ||
	    open->said.oom.flags & KW_OOM_GLOBAL)
		return;
	/* One that goes on after the OOM began (its record waited) is not the minute before. */
	open->said.history_known =
		reconcile->options.history(reconcile->options.context, owner->path, history) == 0 &&
		history->last_boot_ns <= open->said.begin_boot_ns;
	/* Read now, and said to be: for how long it has been under pressure, and what it swapped. */
	if (reconcile->options.cgroup_context)
		open->said.context_known =
			reconcile->options.cgroup_context(reconcile->options.context, owner->path,
							  &open->said.context) == 0;
}

/* Begins an incident; at the cap the oldest is settled first. */
static int begin(struct kw_reconcile *reconcile, const struct kw_attributed *attributed,
		 const struct kw_oom_context *oom, bool numbered,
		 struct kw_open_incident **ret_open)
{
	const struct kw_observation *observation = attributed->observation;
	cleanup(kw_incident_freep) struct kw_open_incident *open = NULL;
	int r;

	if (reconcile->incident_count >= KW_INCIDENTS_MAX) {
		r = kw_incident_settle(reconcile, TAILQ_FIRST(&reconcile->incidents),
				       observation->received_boot_ns, false);
		if (r < 0)
			return r;
	}
	open = calloc(1, sizeof(*open));
	if (!open)
		return -ENOMEM;
	open->numbered = numbered;
	open->said.number = numbered && oom->incident ? oom->incident : observation->number;
	kw_ids_derive(reconcile->options.boot_id, "incident", open->said.number, open->said.id);
	open->said.hook = observation->hook;
	open->said.begin_boot_ns = observation->boot_ns;
	open->earlier_kills = count_earlier(reconcile, open->said.id);
	open->said.kills = open->earlier_kills;
	remember_context(open, attributed, oom);
	ask_history(reconcile, open);
	TAILQ_INSERT_TAIL(&reconcile->incidents, open, list);
	reconcile->incident_count++;
	*ret_open = take_ptr(open);
	return 0;
}

static bool has_victim(const struct kw_open_incident *open, const char *event_id)
{
	for (uint32_t i = 0; i < open->said.victim_count; i++) {
		if (strcmp(open->said.victims[i].event_id, event_id) == 0)
			return true;
	}
	return false;
}

/* Room for one more victim: 1, 4, 16, 64. Without it the victim is counted and not named. */
static bool make_room(struct kw_open_incident *open)
{
	uint32_t capacity = open->victims_capacity ? open->victims_capacity * 4 : 1;
	void *victims;

	if (open->said.victim_count < open->victims_capacity)
		return true;
	if (capacity > KW_INCIDENT_VICTIMS_MAX)
		return false;
	victims = reallocarray(open->said.victims, capacity, sizeof(*open->said.victims));
	if (!victims)
		return false;
	open->said.victims = victims;
	open->victims_capacity = capacity;
	return true;
}

static void add_victim(struct kw_open_incident *open, const struct kw_attributed *attributed,
		       const char *event_id)
{
	struct kw_incident_victim *victim;

	if (!make_room(open)) {
		open->said.victims_omitted++;
		return;
	}
	victim = &open->said.victims[open->said.victim_count++];
	memcpy(victim->event_id, event_id, sizeof(victim->event_id));
	victim->victim = attributed->observation->kill->victim;
	victim->cgroup = attributed->victim;
}

/* Where no limit owner is seen, the victims' own counters are what is left to check against. */
static void add_local(struct kw_reconcile *reconcile, struct kw_open_incident *open,
		      const struct kw_attributed *attributed)
{
	const struct kw_record_oom_kill *kill = attributed->observation->kill;
	const struct kw_cgroup_ref *cgroup = &kill->victim_cgroup;
	const char *path = attributed->victim.truncated ? "" : attributed->victim.path;
	uint64_t before;
	int64_t moved;
	bool known;

	if (open->said.kills > 1 &&
	    (cgroup->id != open->local_cgroup.id || cgroup->serial != open->local_cgroup.serial))
		open->local_several = true;
	open->local_cgroup = *cgroup;
	/* The counter is moved before mark_victim fires (__oom_kill_process(), mm/oom_kill.c, 6.12): a
	 * counter of 0 was not read, or the kill was one of those that are not counted. */
	if (!(cgroup->flags & KW_CGROUP_KNOWN) || kill->victim_events_local.oom_kill == 0) {
		open->local_unknown = true;
		return;
	}
	known = kw_account_local(reconcile->account, cgroup, &before);
	moved = kw_account_local_moved(reconcile->account, cgroup, path,
				       kill->victim_events_local.oom_kill);
	open->local_moved += moved;
	/* Should limit owners be seen as well (hooks of several tiers), theirs moved too. */
	if (known && moved > 0 && path[0] != '\0')
		kw_account_raise(reconcile->account, path, NULL, (uint64_t)moved);
	else
		kw_account_forget_around(reconcile->account, path);
}

static void add_kill(struct kw_reconcile *reconcile, struct kw_open_incident *open,
		     const struct kw_attributed *attributed, const char *event_id)
{
	const struct kw_observation *observation = attributed->observation;

	if (open->earlier_kills > 0 && take_earlier(reconcile, event_id))
		open->earlier_kills--; /* counted with those before the restart; now known in full */
	else
		open->said.kills++;
	add_victim(open, attributed, event_id);
	if (!open->said.has_cell && attributed->has_cell) {
		open->said.has_cell = true;
		open->said.cell = attributed->cell;
	}
	open->last_kill_boot_ns = observation->boot_ns;
	open->inferred = !open->numbered && open->said.kills > 1;
	if (open->numbered)
		kw_account_forget_local(reconcile->account, &observation->kill->victim_cgroup);
	else
		add_local(reconcile, open, attributed);
	if (open->state != KW_INCIDENT_ENDED)
		open->deadline_boot_ns =
			later(observation->received_boot_ns, observation->boot_ns) + NO_END_NS;
}

static void drop_if_empty(struct kw_reconcile *reconcile, struct kw_open_incident *open)
{
	if (open->said.kills > open->earlier_kills || open->state != KW_INCIDENT_OPEN)
		return;
	TAILQ_REMOVE(&reconcile->incidents, open, list);
	reconcile->incident_count--;
	kw_incident_free(open);
}

int kw_incident_kill(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	const struct kw_observation *observation = attributed->observation;
	const struct kw_oom_context *oom = &observation->kill->oom;
	struct kw_finding finding = { .kind = KW_FINDING_OOM_KILL,
				      .attributed = attributed,
				      .boot_ns = observation->boot_ns };
	bool numbered = oom->incident != 0;
	struct kw_open_incident *open;
	int r;

	kw_ids_derive(reconcile->options.boot_id, "record", observation->number, finding.event_id);
	if (numbered)
		close_before(reconcile, oom->incident, observation->received_boot_ns);
	open = numbered ? find_numbered(reconcile, oom->incident)
			: find_group(reconcile, observation);
	if (open && has_victim(open, finding.event_id))
		return 0; /* the same record read twice */
	if (!open) {
		r = begin(reconcile, attributed, oom, numbered, &open);
		if (r < 0)
			return r;
	}
	memcpy(finding.incident_id, open->said.id, sizeof(finding.incident_id));
	kw_parity_before_kill(reconcile, &finding);
	r = kw_reconcile_say(reconcile, &finding);
	if (r < 0) {
		drop_if_empty(reconcile, open);
		return r;
	}
	add_kill(reconcile, open, attributed, finding.event_id);
	return 0;
}

int kw_incident_end(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	const struct kw_observation *observation = attributed->observation;
	const struct kw_record_oom_end *end = observation->end;
	uint64_t number = end->oom.incident ? end->oom.incident : observation->number;
	struct kw_open_incident *open;
	struct kw_incident *said;
	int r;

	close_before(reconcile, number, observation->received_boot_ns);
	open = find_numbered(reconcile, number);
	if (open && open->state == KW_INCIDENT_ENDED)
		return 0; /* the same record read twice */
	if (!open) {
		r = begin(reconcile, attributed, &end->oom, true, &open);
		if (r < 0)
			return r;
	}
	said = &open->said;
	remember_context(open, attributed, &end->oom);
	said->hook = observation->hook;
	said->begin_boot_ns = end->begin_boot_ns;
	said->end_boot_ns = observation->boot_ns;
	said->end_known = true;
	said->marked = end->marked;
	said->entered = end->entered;
	said->counted = end->counted;
	said->lost = end->lost;
	said->counters_known = end->counters_known;
	said->before = end->owner_before;
	said->after = end->owner_after;
	open->state = KW_INCIDENT_ENDED;
	open->deadline_boot_ns = later(observation->received_boot_ns, observation->boot_ns) +
				 reconcile->options.settle_ns;
	kw_incident_account_end(reconcile, open);
	return 0;
}
