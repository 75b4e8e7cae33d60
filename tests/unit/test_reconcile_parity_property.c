/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The account of counters always balances: over random sequences of OOMs, lost and late records, counts
 * that no hook saw, cgroups that come and go, readings at any time and restarts of the daemon, every count
 * of the kernel is in the account once, by the witness that had it. The generator keeps its own books: what
 * it has counted, what of that it has told, and nothing else.
 */
#include "reconcile_sim.h"

#include "user/reconcile/room.h"

#define SEQUENCES 600
#define STEPS 60
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

/* ---- what happens ---- */

static bool is_alive(const struct world *world, int at)
{
	for (; at >= 0; at = world->sim.cgroups[at].parent) {
		if (world->sim.cgroups[at].gone)
			return false;
	}
	return true;
}

static int random_alive(struct world *world, int owner)
{
	int at;

	do
		at = random_below(world->sim.count);
	while (!is_alive(world, at) || (owner >= 0 && !sim_is_in(&world->sim, at, owner)));
	return at;
}

/* Until it is taken: the record waits in the ring while the ledger takes no lines. */
static void observe_kill(struct world *world, const struct sim_oom *oom, uint64_t incident,
			 int victim, uint64_t local)
{
	uint64_t number = ++world->sim.number;
	int r;

	do
		r = sim_observe_kill(&world->sim, oom, incident, number, victim, local);
	while (r == -ENOSPC);
	assert_int_equal(r, 0);
	world->told++;
}

static void one_oom(struct world *world)
{
	struct sim *sim = &world->sim;
	struct sim_oom oom = { .owner = random_alive(world, -1), .exact = true };
	uint64_t incident = ++sim->number, local[16];
	struct kw_record_oom_end end = { .begin_boot_ns = sim->now_ns, .counters_known = 1 };
	bool no_end = random_below(8) == 0;

	oom.group = random_below(4) == 0 && !no_end;
	oom.victims = oom.group ? 1 + random_below(5) : 1;
	end.owner_before = sim->cgroups[oom.owner].total;
	for (int i = 0; i < oom.victims; i++) {
		oom.cgroup[i] = random_alive(world, oom.owner);
		sim_count(sim, oom.cgroup[i]);
		world->counted++;
		local[i] = sim->cgroups[oom.cgroup[i]].local.oom_kill;
		if (i == 0 && oom.group) {
			sim_count(sim, oom.cgroup[0]);
			sim_count_group(sim, oom.owner);
			world->counted++;
			world->duplicates++;
			world->group_boot_ns = sim->now_ns;
		}
	}
	end.marked = (uint32_t)oom.victims;
	end.counted = (uint32_t)oom.victims + oom.group;
	end.owner_after = sim->cgroups[oom.owner].total;
	if (random_below(3) == 0)
		read_one(world, random_below(sim->count));
	for (int i = 0; i < oom.victims; i++) {
		sim->now_ns += 50000;
		/* Without its first record a group kill's duplicate has no place. */
		if (random_below(8) == 0 && !(oom.group && i == 0)) {
			world->hidden++;
			end.lost++;
			continue;
		}
		observe_kill(world, &oom, incident, i, local[i]);
	}
	sim->now_ns += 50000;
	while (!no_end && sim_observe_end(sim, &oom, incident, &end) == -ENOSPC)
		;
}

/* The kernel counts, and the record comes long after. */
static void begin_late(struct world *world)
{
	struct sim_oom oom = { .owner = -1, .victims = 1, .unnumbered = true };

	if (world->late_count == LATE_MAX)
		return;
	oom.cgroup[0] = random_alive(world, -1);
	sim_count(&world->sim, oom.cgroup[0]);
	world->counted++;
	if (world->late_count == 0)
		world->was_whole = false;
	world->late_boot_ns[world->late_count] = world->sim.now_ns;
	world->late[world->late_count++] = oom;
}

static void end_late(struct world *world)
{
	uint64_t now = world->sim.now_ns;

	for (int i = 0; i < world->late_count; i++) {
		int at = world->late[i].cgroup[0];

		/* Boot time of the record, the time of its reading now. */
		world->sim.now_ns = world->late_boot_ns[i];
		observe_kill(world, &world->late[i], 0, 0,
			     world->sim.cgroups[at].local.oom_kill ? 1 : 0);
		world->sim.now_ns = now;
	}
	world->late_count = 0;
}

static void hide(struct world *world)
{
	sim_count(&world->sim, random_alive(world, -1));
	world->counted++;
	world->hidden++;
}

static void pass(struct world *world, uint64_t ns)
{
	struct sim *sim = &world->sim;
	uint64_t until = sim->now_ns + ns, deadline;

	while ((deadline = kw_reconcile_deadline(sim->reconcile)) <= until) {
		int r;

		if (deadline > sim->now_ns)
			sim->now_ns = deadline;
		r = kw_reconcile_due(sim->reconcile, sim->now_ns);
		assert_true(r == 0 || r == -ENOSPC);
	}
	sim->now_ns = until;
}

/* A leaf is removed; the poller may have read it, before the last counts or not at all. */
static void remove_or_make(struct world *world)
{
	struct sim_cgroup *cgroup;
	int at;

	do
		at = random_below(world->sim.count);
	while (world->sim.cgroups[at].parent < 0);
	cgroup = &world->sim.cgroups[at];
	for (int i = 0; i < world->sim.count; i++) {
		if (world->sim.cgroups[i].parent == at && !world->sim.cgroups[i].gone)
			return;
	}
	if (!is_alive(world, cgroup->parent))
		return;
	for (int i = 0; i < world->late_count; i++) {
		if (world->late[i].cgroup[0] == at)
			return;
	}
	if (cgroup->gone) {
		cgroup->id = ++world->next_id;
		memset(&cgroup->total, 0, sizeof(cgroup->total));
		memset(&cgroup->local, 0, sizeof(cgroup->local));
		cgroup->gone = false;
		world->was_read[at] = false;
		return;
	}
	cgroup->gone = true;
	if (world->was_read[at])
		observe_counts(world, at, true);
}

static void account(struct world *world, bool full)
{
	int r;

	do
		r = kw_reconcile_account(world->sim.reconcile, world->sim.now_ns, full);
	while (r == -ENOSPC);
	assert_int_equal(r, 0);
	world->was_whole = true;
}

/* Killed: what was not in the ledger is forgotten. */
static void restart(struct world *world)
{
	struct kw_parity_totals before, after;

	/* That a group kill counted twice is known from its incident: let that be told. */
	if (world->sim.now_ns - world->group_boot_ns < 3 * KW_NSEC_PER_SEC)
		pass(world, 3 * KW_NSEC_PER_SEC);
	/* The next daemon knows counters' events behind the last whole account (docs/parity.md). */
	if (world->was_whole)
		end_late(world);
	kw_reconcile_totals(world->sim.reconcile, &before);
	kw_reconcile_free(world->sim.reconcile);
	open_daemon(world);
	kw_reconcile_totals(world->sim.reconcile, &after);
	assert_int_equal(after.by_hook, before.by_hook);
	assert_int_equal(after.duplicates, before.duplicates);
	assert_int_equal(after.by_counter, before.by_counter);
	assert_int_equal(after.unexplained, before.unexplained);
	if (random_below(2))
		begin_late(world); /* while nobody watched, or nearly */
	read_all(world);
	kw_reconcile_scanned(world->sim.reconcile);
}

/* What is open when nothing should be. */
static void print_open(const struct world *world)
{
	const struct kw_page *page;

	TAILQ_FOREACH (page, &world->sim.reconcile->parity->books->pages, list) {
		const struct kw_parity_account *local =
			&page->books[KW_COUNTER_OOM_KILL_LOCAL].account;

		print_message(
			"%s id %llu%s ahead %lld: kernel %llu (b%lld e%llu a%lld c%llu u%lld)\n",
			page->path, (unsigned long long)page->id, page->gone ? " gone" : "",
			(long long)kw_book_ahead(page, KW_COUNTER_OOM_KILL_LOCAL),
			(unsigned long long)local->kernel, (long long)local->base,
			(unsigned long long)local->explained, (long long)local->arithmetic,
			(unsigned long long)local->by_counter, (long long)local->unexplained);
	}
}

static void check(struct world *world)
{
	struct kw_parity_totals totals;

	/* Twice: an ancestor waits for those below it. */
	for (int i = 0; i < 4; i++) {
		pass(world, 30 * KW_NSEC_PER_SEC);
		read_all(world);
	}
	pass(world, 60 * KW_NSEC_PER_SEC);
	kw_reconcile_totals(world->sim.reconcile, &totals);
	if (totals.by_hook != world->told || totals.duplicates != world->duplicates ||
	    totals.by_counter != world->hidden || totals.unexplained != 0 || totals.faults != 0 ||
	    totals.pending != 0 || world->extra != 0) {
		print_open(world);
		print_message(
			"seed %llu: hook %llu of %llu, duplicates %lld of %lld, counter %llu of %llu, unexplained %lld, faults %llu, pending %lld, extra %u, late %llu\n",
			(unsigned long long)random_seed, (unsigned long long)totals.by_hook,
			(unsigned long long)world->told, (long long)totals.duplicates,
			(long long)world->duplicates, (unsigned long long)totals.by_counter,
			(unsigned long long)world->hidden, (long long)totals.unexplained,
			(unsigned long long)totals.faults, (long long)totals.pending, world->extra,
			(unsigned long long)world->late_kills);
	}
	assert_int_equal(totals.by_hook, world->told);
	assert_int_equal(totals.duplicates, world->duplicates);
	assert_int_equal(totals.by_counter, world->hidden);
	assert_int_equal(totals.unexplained, 0);
	assert_int_equal(totals.faults, 0);
	assert_int_equal(totals.kernel, world->counted);
	assert_int_equal(world->counter_kills - world->late_kills, world->hidden);
	assert_int_equal(world->extra, 0);
}

static void one_step(struct world *world)
{
	switch (random_below(12)) {
	case 0:
	case 1:
	case 2:
		one_oom(world);
		return;
	case 3:
		hide(world);
		return;
	case 4:
		begin_late(world);
		return;
	case 5:
		end_late(world);
		return;
	case 6:
		read_one(world, random_below(world->sim.count));
		return;
	case 7:
		read_all(world);
		return;
	case 8:
		remove_or_make(world);
		return;
	case 9:
		account(world, random_below(4) == 0);
		return;
	case 10:
		if (random_below(4) == 0)
			restart(world);
		return;
	default:
		pass(world, (uint64_t)random_below(9000) * (uint64_t)KW_NSEC_PER_MSEC);
	}
}

static void one_sequence(void)
{
	struct world *world = calloc(1, sizeof(*world));
	int a, b;

	assert_non_null(world);
	world->ledger = calloc(LEDGER_MAX, sizeof(*world->ledger));
	assert_non_null(world->ledger);
	world->next_id = 1000;
	world->sim.now_ns = 1000 * KW_NSEC_PER_SEC;
	world->sim.number = 1000000;
	a = sim_cgroup(&world->sim, "/a", -1);
	b = sim_cgroup(&world->sim, "/a/b", a);
	(void)sim_cgroup(&world->sim, "/a/b/c", b);
	(void)sim_cgroup(&world->sim, "/a/b2", a);
	(void)sim_cgroup(&world->sim, "/ab", -1);
	open_daemon(world);
	read_all(world);
	kw_reconcile_scanned(world->sim.reconcile);
	account(world, true);
	for (int step = 0; step < STEPS; step++) {
		one_step(world);
		if (step % 20 == 19) {
			end_late(world);
			check(world);
		}
	}
	kw_reconcile_free(world->sim.reconcile);
	free(world->ledger);
	free(world);
}

static void test_balances(void **state)
{
	const char *only = getenv("KW_SEED");

	(void)state;
	for (random_seed = 1; random_seed <= SEQUENCES; random_seed++) {
		if (only)
			random_seed = (uint64_t)strtoull(only, NULL, 10);
		random_state = random_seed * 0x9e3779b97f4a7c15ULL;
		one_sequence();
		if (only)
			return;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_balances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
