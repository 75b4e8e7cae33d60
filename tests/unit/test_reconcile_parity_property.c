/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The account of counters always balances: over random sequences of OOMs, lost and late records, counts
 * that no hook saw, cgroups that come and go, readings at any time and restarts of the daemon, every count
 * of the kernel is in the account once, by the witness that had it. The generator keeps its own books: what
 * it has counted, what of that it has told, and nothing else.
 */
#include "parity_world.h"

#define SEQUENCES 600
#define STEPS 60

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
	for (int i = random_below(3); i > 0; i--)
		remove_or_make(world);
	if (random_below(2))
		hide(world);
	/* The first round takes its time, and what is due meanwhile is judged. */
	for (int i = random_below(4); i > 0; i--) {
		read_one(world, random_below(world->sim.count));
		pass(world, (uint64_t)random_below(4000) * (uint64_t)KW_NSEC_PER_MSEC);
	}
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
