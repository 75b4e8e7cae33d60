/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * A kernel in miniature for the tests of reconcile: cgroups with counters that propagate as
 * memcg_memory_event() does it, OOMs that move them and emit the records the BPF programs would, and
 * files that show the counters. What the kernel did and what its records say can be set apart.
 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/reconcile/reconcile.h"

#define SIM_CGROUPS 8
#define SIM_BOOT_ID "5f6e2c1a-9d3b-4c77-8a10-2b1f0c9d8e7f"

struct sim_cgroup {
	const char *path;
	int parent; /* -1: child of the root */
	bool gone;
	bool v1;
	uint64_t id;
	struct kw_memory_events total; /* hierarchical */
	struct kw_memory_events local;
};

struct sim {
	struct sim_cgroup cgroups[SIM_CGROUPS];
	int count;
	uint64_t now_ns;
	uint64_t number;
	struct kw_reconcile *reconcile;
	int refuse_findings; /* error of the finding callback, while not 0 */
	/* what was said */
	unsigned int kills;
	unsigned int incidents;
	unsigned int gaps;
	unsigned int others;
	struct kw_incident last; /* victims: not valid */
	int64_t unexplained_sum;
	struct kw_finding last_kill;
	struct kw_finding last_finding;
	struct kw_gap last_gap;
	uint64_t lost_sum;
	const char *history_path; /* of the one cgroup whose last minute is known; NULL: none */
	uint64_t history_last_ns;
};

/* One OOM as the kernel has it, and what of it is recorded. */
struct sim_oom {
	int owner;	/* -1: the host */
	int victims;	/* marked */
	int cgroup[16]; /* of each victim */
	bool group;
	bool exact;    /* __oom_kill_process is hooked */
	int uncounted; /* of the victims, from the last: marked without count */
	int hidden;    /* counts inside, in the first victim's cgroup, that nobody marked */
	int lost;      /* records refused, from the last victim */
	int silent;    /* records missing without being counted as lost */
	bool no_end;
	bool unnumbered; /* tier tracepoint: no incident, no owner, no end */
};

static inline int sim_finding(void *context, const struct kw_finding *finding)
{
	struct sim *sim = context;

	if (sim->refuse_findings)
		return sim->refuse_findings;
	sim->last_finding = *finding;
	switch (finding->kind) {
	case KW_FINDING_OOM_KILL:
		sim->kills++;
		sim->last_kill = *finding;
		break;
	case KW_FINDING_OOM_INCIDENT:
		sim->incidents++;
		sim->last = *finding->incident;
		sim->last.victims = NULL;
		sim->unexplained_sum += finding->incident->unexplained;
		assert_true(strlen(finding->incident->words) > 0);
		assert_true(strlen(finding->incident->words) <
			    sizeof(finding->incident->words) - 1);
		break;
	case KW_FINDING_GAP:
		sim->gaps++;
		sim->last_gap = *finding->gap;
		sim->lost_sum += finding->gap->lost;
		break;
	default:
		sim->others++;
	}
	return 0;
}

static inline int sim_read(void *context, const char *path, struct kw_reading *ret_reading)
{
	struct sim *sim = context;
	struct kw_flat *flat = &ret_reading->files[KW_FLAT_MEMORY_EVENTS];
	char text[256];

	for (int i = 0; i < sim->count; i++) {
		const struct sim_cgroup *cgroup = &sim->cgroups[i];

		if (strcmp(cgroup->path, path) != 0 || cgroup->gone || cgroup->v1)
			continue;
		(void)snprintf(text, sizeof(text),
			       "low 0\nhigh 0\nmax 9\noom 1\noom_kill %llu\noom_group_kill %llu\n",
			       (unsigned long long)cgroup->total.oom_kill,
			       (unsigned long long)cgroup->total.oom_group_kill);
		ret_reading->boot_ns = sim->now_ns;
		return kw_counters_parse(text, strlen(text), flat);
	}
	return -ENOENT;
}

static inline int sim_history(void *context, const char *path, struct kw_history *ret_history)
{
	const struct sim *sim = context;

	if (!sim->history_path || strcmp(sim->history_path, path) != 0)
		return -ENODATA;
	*ret_history = (struct kw_history){ .last_boot_ns = sim->history_last_ns,
					    .count = 1,
					    .bytes = { 4096 } };
	return 0;
}

static inline void sim_open_with(struct sim *sim, uint64_t settle_ns, bool localevents)
{
	struct kw_reconcile_options options = { .boot_id = SIM_BOOT_ID,
						.settle_ns = settle_ns,
						.finding = sim_finding,
						.reader = sim_read,
						.history = sim_history,
						.context = sim,
						.memory_localevents = localevents };

	memset(sim, 0, sizeof(*sim));
	sim->now_ns = 1000 * KW_NSEC_PER_SEC;
	sim->number = 1000000;
	assert_int_equal(kw_reconcile_open(&options, &sim->reconcile), 0);
}

static inline void sim_open(struct sim *sim)
{
	sim_open_with(sim, 0, false);
}

static inline void sim_close(struct sim *sim)
{
	kw_reconcile_free(sim->reconcile);
}

static inline int sim_cgroup(struct sim *sim, const char *path, int parent)
{
	assert_true(sim->count < SIM_CGROUPS);
	sim->cgroups[sim->count] = (struct sim_cgroup){ .path = path,
							.parent = parent,
							.id = 100 + (uint64_t)sim->count };
	return sim->count++;
}

/* memcg_memory_event() */
static inline void sim_count(struct sim *sim, int cgroup)
{
	sim->cgroups[cgroup].local.oom_kill++;
	for (; cgroup >= 0; cgroup = sim->cgroups[cgroup].parent)
		sim->cgroups[cgroup].total.oom_kill++;
}

static inline void sim_count_group(struct sim *sim, int cgroup)
{
	for (; cgroup >= 0; cgroup = sim->cgroups[cgroup].parent)
		sim->cgroups[cgroup].total.oom_group_kill++;
}

static inline bool sim_is_in(const struct sim *sim, int cgroup, int ancestor)
{
	for (; cgroup >= 0; cgroup = sim->cgroups[cgroup].parent) {
		if (cgroup == ancestor)
			return true;
	}
	return false;
}

static inline void sim_identify(const struct sim *sim, int cgroup, struct kw_cgroup_ref *ret_ref,
				struct kw_identity *ret_identity)
{
	const struct sim_cgroup *from = &sim->cgroups[cgroup];

	ret_ref->id = from->id;
	ret_ref->serial = from->id * 7;
	ret_ref->flags = KW_CGROUP_KNOWN | (from->v1 ? KW_CGROUP_V1 : 0);
	ret_identity->known = true;
	ret_identity->id = from->id;
	ret_identity->v1 = from->v1;
	(void)snprintf(ret_identity->path, sizeof(ret_identity->path), "%s", from->path);
}

static inline void sim_context(const struct sim *sim, const struct sim_oom *oom, uint64_t incident,
			       struct kw_oom_context *ret_context,
			       struct kw_attributed *ret_attributed)
{
	ret_context->incident = incident;
	ret_context->trigger.tid = 77;
	ret_context->flags |= oom->group ? KW_OOM_GROUP_KILL : 0;
	ret_context->flags |= oom->exact ? KW_OOM_COUNTED_KNOWN : 0;
	if (oom->unnumbered)
		return;
	ret_context->flags |= KW_OOM_OWNER_KNOWN;
	ret_context->owner_state.flags = KW_MEMCG_KNOWN | KW_MEMCG_GROUP_KILL_KNOWN;
	if (oom->owner < 0)
		ret_context->flags |= KW_OOM_GLOBAL;
	else
		sim_identify(sim, oom->owner, &ret_context->owner, &ret_attributed->owner);
}

static inline int sim_observe_kill(struct sim *sim, const struct sim_oom *oom, uint64_t incident,
				   uint64_t number, int victim, uint64_t local)
{
	struct kw_record_oom_kill *kill = calloc(1, sizeof(*kill));
	struct kw_attributed *attributed = calloc(1, sizeof(*attributed));
	struct kw_observation observation = { .kind = KW_OBSERVATION_OOM_KILL,
					      .number = number,
					      .boot_ns = sim->now_ns,
					      .received_boot_ns = sim->now_ns + 100000,
					      .hook = oom->unnumbered
							      ? KW_HOOK_RAW_TP_MARK_VICTIM
							      : KW_HOOK_FENTRY_OOM_KILL_PROCESS,
					      .kill = kill };
	int r;

	assert_non_null(kill);
	assert_non_null(attributed);
	attributed->observation = &observation;
	sim_context(sim, oom, incident, &kill->oom, attributed);
	sim_identify(sim, oom->cgroup[victim], &kill->victim_cgroup, &attributed->victim);
	kill->victim_events_local.oom_kill = local;
	kill->victim.task.tgid = 4000 + (uint32_t)number;
	kill->member = (uint32_t)victim + 1;
	r = kw_reconcile_observe(sim->reconcile, attributed);
	free(attributed);
	free(kill);
	return r;
}

static inline int sim_observe_end(struct sim *sim, const struct sim_oom *oom, uint64_t incident,
				  const struct kw_record_oom_end *template)
{
	struct kw_record_oom_end *end = calloc(1, sizeof(*end));
	struct kw_attributed *attributed = calloc(1, sizeof(*attributed));
	struct kw_observation observation = { .kind = KW_OBSERVATION_OOM_END,
					      .number = ++sim->number,
					      .boot_ns = sim->now_ns,
					      .received_boot_ns = sim->now_ns + 100000,
					      .hook = KW_HOOK_FENTRY_OOM_KILL_PROCESS,
					      .end = end };
	int r;

	assert_non_null(end);
	assert_non_null(attributed);
	*end = *template;
	attributed->observation = &observation;
	sim_context(sim, oom, incident, &end->oom, attributed);
	end->oom.flags &= ~(__u32)KW_OOM_GROUP_KILL; /* not decided yet when the OOM begins */
	r = kw_reconcile_observe(sim->reconcile, attributed);
	free(attributed);
	free(end);
	return r;
}

/* The kernel kills; its records are read. Returns the incident's number. */
static inline uint64_t sim_kill(struct sim *sim, const struct sim_oom *oom)
{
	uint64_t incident = oom->unnumbered ? 0 : ++sim->number;
	struct kw_record_oom_end end = { .begin_boot_ns = sim->now_ns };
	uint64_t local[16] = { 0 };
	int recorded = oom->victims - oom->lost - oom->silent;

	if (oom->owner >= 0)
		end.owner_before = sim->cgroups[oom->owner].total;
	for (int i = 0; i < oom->victims; i++) {
		if (i < oom->victims - oom->uncounted) {
			sim_count(sim, oom->cgroup[i]);
			end.counted++;
		}
		local[i] = sim->cgroups[oom->cgroup[i]].local.oom_kill;
		if (i == 0 && oom->group) { /* the scan meets the chosen victim again */
			sim_count(sim, oom->cgroup[0]);
			sim_count_group(sim, oom->owner >= 0 ? oom->owner : oom->cgroup[0]);
			end.counted++;
		}
	}
	for (int i = 0; i < oom->hidden; i++)
		sim_count(sim, oom->cgroup[0]);
	end.marked = (uint32_t)oom->victims;
	end.entered = end.counted;
	end.lost = (uint32_t)oom->lost;
	end.counters_known = oom->owner >= 0;
	if (oom->owner >= 0)
		end.owner_after = sim->cgroups[oom->owner].total;
	for (int i = 0; i < recorded; i++) {
		sim->now_ns += 50000;
		assert_int_equal(sim_observe_kill(sim, oom, incident, ++sim->number, i, local[i]),
				 0);
	}
	sim->now_ns += 50000;
	if (!oom->no_end && !oom->unnumbered)
		assert_int_equal(sim_observe_end(sim, oom, incident, &end), 0);
	return incident;
}

/* Lets time pass and everything settle that is due on the way. */
static inline void sim_pass(struct sim *sim, uint64_t ns)
{
	uint64_t until = sim->now_ns + ns;
	uint64_t deadline;

	while ((deadline = kw_reconcile_deadline(sim->reconcile)) <= until) {
		if (deadline > sim->now_ns)
			sim->now_ns = deadline;
		assert_int_equal(kw_reconcile_due(sim->reconcile, sim->now_ns), 0);
		assert_true(kw_reconcile_deadline(sim->reconcile) > sim->now_ns);
	}
	sim->now_ns = until;
}

#define SIM_SETTLED (3 * KW_NSEC_PER_SEC)
