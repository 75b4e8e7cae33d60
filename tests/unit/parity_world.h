/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * A host in miniature for the property of parity: the kernel of reconcile_sim.h, a poller, a ledger that
 * takes no lines now and then, and the generator's own books. For one test file: its functions are static.
 */
#include "reconcile_sim.h"

#include "user/reconcile/room.h"

#define LEDGER_MAX 2048
#define LATE_MAX 16

/* A line of the ledger, as far as the next daemon reads it. */
struct line {
	enum { LINE_FACT, LINE_ROW, LINE_VERDICT } kind;
	struct kw_fact fact;
	struct kw_account_part part;
	struct kw_parity_row row;
	char path[KW_PATH_MAX];
};

struct world {
	struct sim sim;					 /* first: it is the callbacks' context */
	struct kw_memory_events read_total[SIM_CGROUPS]; /* what the last reading showed */
	struct kw_memory_events read_local[SIM_CGROUPS];
	bool was_read[SIM_CGROUPS];
	uint64_t next_id;
	struct line *ledger;
	size_t lines;
	/* the generator's books */
	uint64_t counted; /* by the kernel, all cgroups */
	uint64_t told;	  /* records of hooks that were read */
	int64_t duplicates;
	uint64_t group_boot_ns; /* of the last group kill */
	uint64_t hidden;	/* counted, and told by no hook, ever */
	struct sim_oom late[LATE_MAX];
	uint64_t late_boot_ns[LATE_MAX];
	int late_count;
	bool was_whole; /* a whole account was said since the first of these */
	/* what was said */
	uint64_t counter_kills;
	uint64_t late_kills;
	unsigned int extra, missed, regressed;
};

static uint64_t random_state, random_seed;

static int random_below(int bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int)(random_state % (uint64_t)bound);
}

static struct line *next_line(struct world *world, int kind)
{
	struct line *line = &world->ledger[world->lines];

	assert_true(world->lines < LEDGER_MAX);
	world->lines++;
	memset(line, 0, sizeof(*line));
	line->kind = kind;
	return line;
}

static void keep_part(struct world *world, const struct kw_account_part *part)
{
	if (part->full && part->part == 1)
		world->lines = 0;
	for (uint32_t i = 0; i < part->row_count || i == 0; i++) {
		struct line *line = next_line(world, LINE_ROW);

		line->part = *part;
		if (part->row_count == 0)
			return;
		line->row = part->rows[i];
		(void)snprintf(line->path, sizeof(line->path), "%s", part->rows[i].path);
	}
}

static void keep_verdict(struct world *world, const struct kw_parity *parity)
{
	struct line *line = next_line(world, LINE_VERDICT);

	line->row.id = parity->cgroup.id;
	line->row.gone = parity->gone;
	(void)snprintf(line->path, sizeof(line->path), "%s", parity->cgroup.path);
	for (uint32_t i = 0; i < parity->item_count; i++) {
		const struct kw_parity_item *item = &parity->items[i];

		line->row.mask |= 1U << item->counter;
		line->row.accounts[item->counter] = item->account;
		world->missed += item->verdict == KW_PARITY_MISSED;
		world->extra += item->verdict == KW_PARITY_EXTRA;
		world->regressed += item->verdict == KW_PARITY_REGRESSED;
	}
}

/* For whoever looks into one seed. */
static void trace(const struct world *world, const struct kw_finding *finding)
{
	if (!getenv("KW_TRACE"))
		return;
	print_message("%llu ", (unsigned long long)(world->sim.now_ns / KW_NSEC_PER_MSEC));
	if (finding->kind == KW_FINDING_PARITY) {
		print_message("parity %s", finding->parity->cgroup.path);
		for (uint32_t i = 0; i < finding->parity->item_count; i++) {
			const struct kw_parity_item *item = &finding->parity->items[i];
			const struct kw_parity_account *account = &item->account;

			print_message(" %s %s %llu->%llu (b%lld e%llu a%lld c%llu u%lld)",
				      kw_parity_counter_name(item->counter),
				      kw_parity_verdict_name(item->verdict),
				      (unsigned long long)item->before,
				      (unsigned long long)account->kernel, (long long)account->base,
				      (unsigned long long)account->explained,
				      (long long)account->arithmetic,
				      (unsigned long long)account->by_counter,
				      (long long)account->unexplained);
		}
	} else if (finding->kind == KW_FINDING_COUNTER_KILL) {
		print_message("counter kill %s%s %llu", finding->counter_kill->cgroup.path,
			      finding->counter_kill->below ? " below" : "",
			      (unsigned long long)finding->counter_kill->kills);
	} else if (finding->kind == KW_FINDING_OOM_KILL) {
		print_message("kill %s%s", finding->attributed->victim.path,
			      finding->of_event_id[0] ? " late" : "");
	} else if (finding->kind == KW_FINDING_OOM_INCIDENT) {
		print_message("incident %s duplicates %u", finding->incident->owner.path,
			      finding->incident->duplicates);
	} else {
		print_message("finding %d", finding->kind);
	}
	print_message("\n");
}

static int on_finding(void *context, const struct kw_finding *finding)
{
	struct world *world = context;
	struct kw_fact fact;

	if (random_below(50) == 0)
		return -ENOSPC; /* the ledger takes no lines now and then */
	trace(world, finding);
	if (finding->kind == KW_FINDING_ACCOUNT)
		keep_part(world, finding->account);
	else if (finding->kind == KW_FINDING_PARITY)
		keep_verdict(world, finding->parity);
	else if (kw_fact_of_finding(finding, &fact))
		next_line(world, LINE_FACT)->fact = fact;
	if (finding->kind == KW_FINDING_COUNTER_KILL)
		world->counter_kills += finding->counter_kill->kills;
	if (finding->kind == KW_FINDING_OOM_KILL)
		world->late_kills += finding->of_event_id[0] != '\0';
	return sim_finding(&world->sim, finding);
}

static void open_daemon(struct world *world)
{
	struct kw_reconcile_options options = {
		.boot_id = SIM_BOOT_ID, .finding = on_finding, .reader = sim_read, .context = world
	};

	assert_int_equal(kw_reconcile_open(&options, &world->sim.reconcile), 0);
	memset(world->was_read, 0, sizeof(world->was_read));
	for (size_t i = 0; i < world->lines; i++) {
		struct line *line = &world->ledger[i];

		line->row.path = line->path;
		if (line->kind == LINE_ROW)
			assert_int_equal(kw_reconcile_resume_row(world->sim.reconcile, &line->part,
								 line->path[0] ? &line->row : NULL),
					 0);
		else if (line->kind == LINE_VERDICT)
			kw_reconcile_resume_verdict(world->sim.reconcile, &line->row);
		else
			kw_reconcile_resume_fact(world->sim.reconcile, &line->fact);
	}
}

/* ---- readings ---- */

static void observe_counts(struct world *world, int at, bool gone)
{
	const struct sim_cgroup *cgroup = &world->sim.cgroups[at];
	struct kw_counts counts = { .cgroup_id = cgroup->id,
				    .boot_ns = world->sim.now_ns,
				    .is_first = !world->was_read[at],
				    .is_gone = gone,
				    .path = cgroup->path };
	struct kw_observation observation = { .kind = KW_OBSERVATION_COUNTS,
					      .boot_ns = world->sim.now_ns,
					      .received_boot_ns = world->sim.now_ns,
					      .counts = &counts };
	struct kw_attributed *attributed = calloc(1, sizeof(*attributed));

	if (!gone) {
		world->read_total[at] = cgroup->total;
		world->read_local[at] = cgroup->local;
	}
	counts.known = 1U << KW_COUNTER_OOM_KILL | 1U << KW_COUNTER_OOM_GROUP_KILL |
		       1U << KW_COUNTER_OOM_KILL_LOCAL;
	counts.value[KW_COUNTER_OOM_KILL] = world->read_total[at].oom_kill;
	counts.value[KW_COUNTER_OOM_GROUP_KILL] = world->read_total[at].oom_group_kill;
	counts.value[KW_COUNTER_OOM_KILL_LOCAL] = world->read_local[at].oom_kill;
	if (getenv("KW_TRACE"))
		print_message("%llu read %s%s local %llu all %llu\n",
			      (unsigned long long)(world->sim.now_ns / KW_NSEC_PER_MSEC),
			      counts.path, gone ? " gone" : "",
			      (unsigned long long)counts.value[KW_COUNTER_OOM_KILL_LOCAL],
			      (unsigned long long)counts.value[KW_COUNTER_OOM_KILL]);
	assert_non_null(attributed);
	attributed->observation = &observation;
	assert_int_equal(kw_reconcile_observe(world->sim.reconcile, attributed), 0);
	free(attributed);
	world->was_read[at] = !gone;
}

static void read_one(struct world *world, int at)
{
	const struct sim_cgroup *cgroup = &world->sim.cgroups[at];

	if (cgroup->gone ||
	    (world->was_read[at] &&
	     memcmp(&world->read_total[at], &cgroup->total, sizeof(cgroup->total)) == 0 &&
	     memcmp(&world->read_local[at], &cgroup->local, sizeof(cgroup->local)) == 0))
		return;
	world->sim.now_ns += 1000;
	observe_counts(world, at, false);
}

static void read_all(struct world *world)
{
	for (int i = 0; i < world->sim.count; i++)
		read_one(world, i);
}
