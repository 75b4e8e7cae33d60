/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * A cell, its guest and its host for the tests of cross-examination: frames and host evidence go in as
 * they would from attribute, a cgroup's state is what the test says, and what was said is kept.
 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/reconcile/reconcile.h"

#define SEC KW_NSEC_PER_SEC
#define SAID_MAX 64

struct said {
	enum kw_finding_kind kind;
	char id[40];
	/* CROSSCHECK */
	char rule[32];
	enum kw_crosscheck_verdict verdict;
	uint64_t count;
	int64_t number;
	bool has_state;
	char claims[2][40];
	char hosts[2][40];
	/* SILENCE */
	struct kw_silence silence;
	/* GUEST */
	bool has_clock;
	struct kw_guestclock_estimate clock;
	/* GAP */
	struct kw_gap gap;
	char words[256];
};

struct claims_sim {
	struct kw_reconcile *reconcile;
	struct kw_attributed attributed;
	struct kw_gate_message frame; /* the next one */
	struct kw_state state;
	int state_error;
	uint64_t now_ns;
	unsigned int looks;
	unsigned int events;
	int refuse;		    /* error of the finding callback, while not 0 */
	struct said said[SAID_MAX]; /* verdicts, silences and gaps */
	unsigned int count;
	struct said guest; /* the last frame's event */
};

static inline int claims_finding(void *context, const struct kw_finding *finding)
{
	struct claims_sim *sim = context;
	struct said other, *said = finding->kind == KW_FINDING_GUEST ? &sim->guest : &other;

	if (sim->refuse)
		return sim->refuse;
	if (finding->kind == KW_FINDING_CROSSCHECK || finding->kind == KW_FINDING_SILENCE ||
	    finding->kind == KW_FINDING_GAP) {
		assert_true(sim->count < SAID_MAX);
		said = &sim->said[sim->count++];
	}
	*said = (struct said){ .kind = finding->kind };
	(void)snprintf(said->id, sizeof(said->id), "event-%u", ++sim->events);
	if (finding->kind == KW_FINDING_CROSSCHECK) {
		const struct kw_crosscheck *crosscheck = finding->crosscheck;

		(void)snprintf(said->rule, sizeof(said->rule), "%s", crosscheck->rule);
		(void)snprintf(said->words, sizeof(said->words), "%s", crosscheck->words);
		assert_true(strlen(crosscheck->words) < sizeof(said->words));
		said->verdict = crosscheck->verdict;
		said->count = crosscheck->count;
		said->number = crosscheck->number;
		said->has_state = crosscheck->state;
		memcpy(said->claims, crosscheck->claim_ids, sizeof(said->claims));
		memcpy(said->hosts, crosscheck->host_ids, sizeof(said->hosts));
		assert_string_equal(crosscheck->cell->cell_id, "cell-1");
	} else if (finding->kind == KW_FINDING_SILENCE) {
		said->silence = *finding->silence;
		(void)snprintf(said->words, sizeof(said->words), "%s", finding->silence->words);
	} else if (finding->kind == KW_FINDING_GAP) {
		said->gap = *finding->gap;
	} else if (finding->guest_clock) {
		said->has_clock = true;
		said->clock = *finding->guest_clock;
	}
	kw_reconcile_said(sim->reconcile, finding, said->id);
	return 0;
}

static inline int claims_state(void *context, const char *path, struct kw_state *ret_state)
{
	struct claims_sim *sim = context;

	assert_string_equal(path, "/cells/cell-1");
	sim->looks++;
	if (sim->state_error)
		return sim->state_error;
	*ret_state = sim->state;
	ret_state->boot_ns = sim->now_ns;
	return 0;
}

/* A cell that lives and uses little. */
static inline void claims_calm(struct claims_sim *sim)
{
	sim->state = (struct kw_state){
		.known = 255,
		.is_populated = true,
		.memory_bytes = 10 << 20,
		.memory_max_bytes = 100 << 20,
		.pids = 2,
		.pids_max = 20,
		.pids_peak = 5,
	};
}

static inline void claims_open(struct claims_sim *sim, enum kw_cell_kernel kernel)
{
	struct kw_reconcile_options options = { .boot_id = "5f6e2c1a-9d3b-4c77-8a10-2b1f0c9d8e7f",
						.finding = claims_finding,
						.state = claims_state,
						.silence_ns = 10 * SEC,
						.context = sim };
	struct kw_cell *cell = &sim->attributed.cell;

	memset(sim, 0, sizeof(*sim));
	sim->now_ns = 1000 * SEC;
	claims_calm(sim);
	assert_int_equal(kw_reconcile_open(&options, &sim->reconcile), 0);
	cell->handle = 1;
	cell->kernel = kernel;
	(void)snprintf(cell->cell_id, sizeof(cell->cell_id), "cell-1");
	(void)snprintf(cell->run_id, sizeof(cell->run_id), "run-1");
	(void)snprintf(cell->cgroup_path, sizeof(cell->cgroup_path), "/cells/cell-1");
	(void)snprintf(cell->vsock_uds_base, sizeof(cell->vsock_uds_base), "/run/v.sock");
	sim->attributed.has_cell = true;
	kw_reconcile_cell(sim->reconcile, KW_CELL_ADDED, cell, sim->now_ns);
	sim->frame = (struct kw_gate_message){
		.kind = KW_GATE_FRAME, .handle = 1, .connection = 1, .content_version = 0x0101
	};
}

static inline void claims_close(struct claims_sim *sim)
{
	kw_reconcile_free(sim->reconcile);
}

static inline int claims_observe(struct claims_sim *sim, struct kw_observation *observation)
{
	int r;

	observation->received_boot_ns = sim->now_ns;
	if (observation->boot_ns == 0)
		observation->boot_ns = sim->now_ns;
	sim->attributed.observation = observation;
	r = kw_reconcile_observe(sim->reconcile, &sim->attributed);
	sim->attributed.observation = NULL;
	return r;
}

/* The next frame, as sim->frame has it; its clock is the host's less 900 s. */
static inline void claims_say(struct claims_sim *sim, const char *probe)
{
	struct kw_observation observation = { .kind = KW_OBSERVATION_GUEST, .guest = &sim->frame };

	sim->frame.received_boot_ns = sim->now_ns;
	if (sim->frame.guest_monotonic_ns == 0)
		sim->frame.guest_monotonic_ns = sim->now_ns - 900 * SEC;
	sim->frame.probe_bytes = (uint16_t)strlen(probe);
	memcpy(sim->frame.probe_source, probe, sim->frame.probe_bytes);
	assert_int_equal(claims_observe(sim, &observation), 0);
	sim->frame.guest_monotonic_ns = 0;
}

static inline void claims_say_seq(struct claims_sim *sim, uint64_t seq)
{
	sim->frame.has |= KW_CLAIM_HAS_SEQ;
	sim->frame.seq = seq;
	claims_say(sim, "process.spawned");
}

static inline void claims_pass(struct claims_sim *sim, uint64_t ns)
{
	uint64_t until = sim->now_ns + ns, deadline;

	while ((deadline = kw_reconcile_deadline(sim->reconcile)) <= until) {
		if (deadline > sim->now_ns)
			sim->now_ns = deadline;
		assert_int_equal(kw_reconcile_due(sim->reconcile, sim->now_ns), 0);
		assert_true(kw_reconcile_deadline(sim->reconcile) > sim->now_ns);
	}
	sim->now_ns = until;
}

/* The poller's reading. */
static inline void claims_read(struct claims_sim *sim, uint64_t usage_usec, uint64_t throttled_usec)
{
	struct kw_reading *reading = calloc(1, sizeof(*reading));
	struct kw_observation observation = { .kind = KW_OBSERVATION_READING, .reading = reading };
	char text[160];

	assert_non_null(reading);
	(void)snprintf(text, sizeof(text), "usage_usec %llu\nthrottled_usec %llu\n",
		       (unsigned long long)usage_usec, (unsigned long long)throttled_usec);
	assert_int_equal(kw_counters_parse(text, strlen(text), &reading->files[KW_FLAT_CPU_STAT]),
			 0);
	(void)snprintf(text, sizeof(text), "oom_kill %llu\n",
		       (unsigned long long)sim->state.oom_kill);
	assert_int_equal(
		kw_counters_parse(text, strlen(text), &reading->files[KW_FLAT_MEMORY_EVENTS]), 0);
	assert_int_equal(claims_observe(sim, &observation), 0);
	free(reading);
	sim->state.cpu_usec = usage_usec;
}

/* The host's kernel kills in the cell. */
static inline void claims_kill(struct claims_sim *sim)
{
	static uint64_t number = 5000;
	struct kw_record_oom_kill *kill = calloc(1, sizeof(*kill));
	struct kw_observation observation = { .kind = KW_OBSERVATION_OOM_KILL,
					      .number = ++number,
					      .kill = kill };

	assert_non_null(kill);
	assert_int_equal(claims_observe(sim, &observation), 0);
	free(kill);
	sim->state.oom_kill++;
}

/* A stall of half a second within one second, that has just been. */
static inline void claims_stall(struct claims_sim *sim, uint32_t phase)
{
	struct kw_record_throttle *record = calloc(1, sizeof(*record));
	struct kw_observation observation = { .kind = KW_OBSERVATION_THROTTLE, .throttle = record };

	assert_non_null(record);
	record->phase = phase;
	record->throttle.episode = 7;
	record->throttle.begin_boot_ns = sim->now_ns - SEC;
	record->throttle.last_boot_ns = sim->now_ns;
	record->throttle.totals.stalled_ns = 6 * SEC / 10;
	assert_int_equal(claims_observe(sim, &observation), 0);
	free(record);
}

/* The last verdict of rule, or NULL. */
static inline const struct said *claims_verdict(const struct claims_sim *sim, const char *rule)
{
	for (unsigned int i = sim->count; i-- > 0;)
		if (sim->said[i].kind == KW_FINDING_CROSSCHECK &&
		    strcmp(sim->said[i].rule, rule) == 0)
			return &sim->said[i];
	return NULL;
}

static inline void claims_expect(const struct claims_sim *sim, const char *rule,
				 enum kw_crosscheck_verdict verdict, const char *words)
{
	const struct said *said = claims_verdict(sim, rule);

	assert_non_null(said);
	assert_string_equal(kw_crosscheck_verdict_name(said->verdict),
			    kw_crosscheck_verdict_name(verdict));
	if (!strstr(said->words, words))
		fail_msg("\"%s\" is not in \"%s\"", words, said->words);
}

static inline unsigned int claims_count(const struct claims_sim *sim, enum kw_finding_kind kind)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < sim->count; i++)
		count += sim->said[i].kind == kind;
	return count;
}
