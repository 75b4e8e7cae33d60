/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The account always balances: over random sequences of OOMs in a random order of settling, what the
 * incidents declare unexplained is what the generator hid, no more and no less. The generator keeps its
 * own books over the tree of cgroups, by index and not by path or counter.
 */
#include "reconcile_sim.h"

#define SEQUENCES 1000
#define STEPS 24

/* For each cgroup as a limit owner: what was hidden below it since it was last looked at. */
struct books {
	bool known[SIM_CGROUPS];
	bool open[SIM_CGROUPS];
	int64_t pending[SIM_CGROUPS];
	int64_t expected; /* sum over all incidents so far */
};

static uint64_t random_state;

static int random_below(int bound)
{
	/* xorshift64: the same sequences on every machine. */
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int)(random_state % (uint64_t)bound);
}

/* A count that no record tells of, outside any OOM. */
static void hide_at(struct sim *sim, struct books *books, int cgroup)
{
	sim_count(sim, cgroup);
	for (int owner = 0; owner < sim->count; owner++)
		books->pending[owner] += books->known[owner] && sim_is_in(sim, cgroup, owner);
}

static void forget_below(const struct sim *sim, struct books *books, int top)
{
	for (int i = 0; i < sim->count; i++) {
		if (top >= 0 && (i == top || !sim_is_in(sim, i, top)))
			continue;
		books->known[i] = false;
		books->pending[i] = 0;
	}
}

static int random_below_owner(const struct sim *sim, int owner)
{
	int cgroup;

	do
		cgroup = random_below(sim->count);
	while (owner >= 0 && !sim_is_in(sim, cgroup, owner));
	return cgroup;
}

static void one_oom(struct sim *sim, struct books *books, bool with_faults)
{
	struct sim_oom oom = { .owner = random_below(sim->count + 1) - 1,
			       .victims = 1 + random_below(6),
			       .group = random_below(3) == 0,
			       .exact = random_below(2) };
	int missing;

	oom.exact = oom.exact || oom.owner < 0;
	for (int i = 0; i < oom.victims; i++)
		oom.cgroup[i] = random_below_owner(sim, oom.owner);
	if (!oom.group && random_below(4) == 0)
		oom.uncounted = 1;
	if (with_faults && random_below(4) == 0 && !oom.uncounted && oom.owner >= 0)
		oom.hidden = 1 + random_below(2);
	if (with_faults && random_below(6) == 0 && !oom.uncounted)
		oom.lost = random_below(oom.victims);
	if (with_faults && random_below(6) == 0 && !oom.uncounted)
		oom.silent = random_below(oom.victims - oom.lost);
	missing = oom.lost + oom.silent;
	(void)sim_kill(sim, &oom);
	books->expected += oom.hidden + missing;
	if (oom.hidden || missing || oom.uncounted)
		forget_below(sim, books, oom.owner);
	if (oom.owner < 0)
		return;
	books->expected += books->pending[oom.owner];
	books->pending[oom.owner] = 0;
	books->known[oom.owner] = true;
	books->open[oom.owner] = true;
}

static void settle(struct sim *sim, struct books *books)
{
	sim_pass(sim, SIM_SETTLED);
	for (int i = 0; i < sim->count; i++) {
		if (books->open[i]) {
			books->expected += books->pending[i]; /* the file shows it */
			books->pending[i] = 0;
		}
		books->open[i] = false;
	}
}

static void one_sequence(bool with_faults)
{
	struct books books = { 0 };
	struct sim sim;
	int a, b;

	sim_open(&sim);
	a = sim_cgroup(&sim, "/a", -1);
	b = sim_cgroup(&sim, "/a/b", a);
	(void)sim_cgroup(&sim, "/a/b/c", b);
	(void)sim_cgroup(&sim, "/a/b2", a);
	(void)sim_cgroup(&sim, "/ab", -1);
	for (int step = 0; step < STEPS; step++) {
		int what = random_below(10);

		if (what < 6) {
			one_oom(&sim, &books, with_faults);
		} else if (what < 8 && with_faults) {
			hide_at(&sim, &books, random_below(sim.count));
		} else {
			settle(&sim, &books);
			assert_int_equal(sim.unexplained_sum, books.expected);
		}
	}
	settle(&sim, &books);
	assert_int_equal(sim.unexplained_sum, books.expected);
	if (!with_faults)
		assert_int_equal(books.expected, 0);
	sim_close(&sim);
}

static void test_balances(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEQUENCES; seed++) {
		random_state = seed * 0x9e3779b97f4a7c15ULL;
		one_sequence(seed % 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_balances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
