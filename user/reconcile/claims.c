/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cross-examination: what a guest claims against what the host sees, cell by cell. An observation is taken
 * down (witness.c) when it has been said itself, judged at once or when the other side had time for its
 * word (rules.c), and the verdict said: when it is another one at once, the same again ever more rarely,
 * with the number of its occurrences, so that a guest cannot fill the ledger with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/reconcile/room.h"
#include "user/reconcile/witness.h"

/* A cgroup whose cell is suspected is read so often at most. */
#define LOOK_NS KW_NSEC_PER_SEC

int kw_claims_new(struct kw_claims **ret_claims)
{
	struct kw_claims *claims = calloc(1, sizeof(*claims));

	if (!claims)
		return -ENOMEM;
	claims->next_boot_ns = UINT64_MAX;
	*ret_claims = claims;
	return 0;
}

void kw_claims_free(struct kw_claims *claims)
{
	struct kw_witnessed *cell, *next;

	if (!claims)
		return;
	HASH_ITER (hh, claims->cells, cell, next)
		kw_witness_remove(claims, cell);
	free(claims->earlier);
	free(claims);
}

void kw_claims_wake(struct kw_claims *claims, uint64_t boot_ns)
{
	if (boot_ns < claims->next_boot_ns)
		claims->next_boot_ns = boot_ns;
}

bool kw_claims_look(struct kw_reconcile *reconcile, struct kw_witnessed *cell, uint64_t now,
		    uint64_t max_age_ns)
{
	struct kw_state state;

	if (!reconcile->options.state || !cell->cell.cgroup_path[0])
		return false;
	if (cell->has_state && cell->state.boot_ns + max_age_ns > now)
		return true;
	if (reconcile->options.state(reconcile->options.context, cell->cell.cgroup_path, &state) <
	    0) {
		cell->has_state = false;
		cell->empty_since_boot_ns = 0;
		return false;
	}
	kw_witness_state(cell, &state);
	return true;
}

/* ---- what is to be said ---- */

static const struct kw_mark *mark_at(const struct kw_witnessed *cell, size_t offset)
{
	static const struct kw_mark none;

	return offset ? (const struct kw_mark *)((const char *)cell + offset) : &none;
}

static void remember(struct kw_mark *first, struct kw_mark *last, const struct kw_mark *mark,
		     bool is_first)
{
	if (is_first)
		*first = *mark;
	*last = *mark;
}

/* Of what waits to be said, the graver counts. */
static unsigned int gravity(const struct kw_rule_row *row)
{
	static const unsigned int gravities[] = {
		[KW_CROSSCHECK_CONFIRMED] = 1,
		[KW_CROSSCHECK_UNVERIFIABLE] = 2,
		[KW_CROSSCHECK_SILENT] = 3,
		[KW_CROSSCHECK_CONTRADICTED] = 4,
	};

	return row ? gravities[row->verdict] : 0;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void hold(struct kw_claims *claims, struct kw_witnessed *cell, const struct kw_rule_row *row,
		 uint64_t now)
{
	struct kw_verdict_held *held = cell->held[row->rule];
	bool is_first;

	if (!held) {
		held = calloc(1, sizeof(*held));
		if (!held)
			return; /* it will be judged again when it happens again */
		cell->held[row->rule] = held;
	}
	if (held->said && now > held->last_boot_ns + KW_CROSSCHECK_WAIT_MAX_NS)
		held->said = NULL; /* long ago: it is news again */
	is_first = held->count == 0;
	if (is_first)
		held->first_boot_ns = now;
	held->last_boot_ns = now;
	held->count++;
	if (is_first || gravity(row) >= gravity(held->due)) {
		held->due = row;
		if (row->number_name)
			memcpy(&held->number, (const char *)cell + row->number,
			       sizeof(held->number));
		remember(&held->first_claim, &held->last_claim, mark_at(cell, row->claim),
			 is_first);
		remember(&held->first_host, &held->last_host, mark_at(cell, row->host), is_first);
		held->has_state = cell->has_state;
		held->state = cell->state;
	}
	if (!held->said)
		held->next_boot_ns = now;
	else if (held->due != held->said)
		held->next_boot_ns = later(now, held->said_boot_ns + KW_CROSSCHECK_WAIT_NS);
	else
		held->next_boot_ns = later(now, held->said_boot_ns + held->wait_ns);
	kw_claims_wake(claims, held->next_boot_ns);
}

void kw_claims_judge(struct kw_reconcile *reconcile, struct kw_witnessed *cell, uint32_t news,
		     uint64_t now)
{
	struct kw_case at = {
		.cell = cell,
		.now_boot_ns = now,
		.sees_throttling = reconcile->claims->sees_throttling,
		.memory_localevents = reconcile->options.memory_localevents,
	};

	for (int rule = 0; rule < KW_RULE_COUNT_; rule++) {
		const struct kw_rule_row *row = kw_rules_judge((enum kw_rule)rule, news, &at);

		if (row)
			hold(reconcile->claims, cell, row, now);
	}
}

static void copy_ids(char ids[2][40], const struct kw_mark *first, const struct kw_mark *last)
{
	if (first->boot_ns)
		memcpy(ids[0], first->id, sizeof(ids[0]));
	if (last->boot_ns && strcmp(first->id, last->id) != 0)
		memcpy(ids[1], last->id, sizeof(ids[1]));
}

static int say(struct kw_reconcile *reconcile, struct kw_witnessed *cell,
	       struct kw_verdict_held *held)
{
	const struct kw_rule_row *row = held->due;
	struct kw_crosscheck said = {
		.cell = &cell->cell,
		.rule = row->name,
		.verdict = row->verdict,
		.words = row->words,
		.count = held->count,
		.first_boot_ns = held->first_boot_ns,
		.last_boot_ns = held->last_boot_ns,
		.number_name = row->number_name,
		.number = held->number,
		.state = held->has_state ? &held->state : NULL,
	};
	struct kw_finding finding = { .kind = KW_FINDING_CROSSCHECK,
				      .boot_ns = held->last_boot_ns,
				      .crosscheck = &said };
	int r;

	copy_ids(said.claim_ids, &held->first_claim, &held->last_claim);
	copy_ids(said.host_ids, &held->first_host, &held->last_host);
	r = reconcile->options.finding(reconcile->options.context, &finding);
	if (r < 0)
		return r;
	if (held->said != row)
		held->wait_ns = KW_CROSSCHECK_WAIT_NS;
	else if (held->wait_ns < KW_CROSSCHECK_WAIT_MAX_NS / 2)
		held->wait_ns *= 2;
	else
		held->wait_ns = KW_CROSSCHECK_WAIT_MAX_NS;
	held->said = row;
	held->said_boot_ns = held->last_boot_ns;
	held->due = NULL;
	held->count = 0;
	return 0;
}

/* Says what is due of one cell; all: whatever the time. */
static int say_due(struct kw_reconcile *reconcile, struct kw_witnessed *cell, uint64_t now,
		   bool all)
{
	for (int rule = 0; rule < KW_RULE_COUNT_; rule++) {
		struct kw_verdict_held *held = cell->held[rule];
		int r;

		if (!held || !held->due || (!all && held->next_boot_ns > now))
			continue;
		r = say(reconcile, cell, held);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- observations ---- */

const struct kw_guestclock_estimate *kw_claims_clock(struct kw_reconcile *reconcile,
						     const struct kw_attributed *attributed)
{
	const struct kw_gate_message *frame = attributed->observation->guest;
	struct kw_witnessed *cell =
		attributed->has_cell ? kw_witness_find(reconcile->claims, attributed->cell.handle)
				     : NULL;

	if (!cell || frame->kind != KW_GATE_FRAME)
		return NULL;
	kw_witness_clock(cell, frame);
	return cell->has_estimate ? &cell->estimate : NULL;
}

/* What waits in a cell wakes the room. */
static void wake_for(struct kw_reconcile *reconcile, const struct kw_witnessed *cell)
{
	for (int i = 0; i < KW_WAIT_COUNT_; i++)
		if (cell->wait_boot_ns[i])
			kw_claims_wake(reconcile->claims, cell->wait_boot_ns[i]);
	for (int i = 0; i < KW_RULE_COUNT_; i++)
		if (cell->held[i] && cell->held[i]->due)
			kw_claims_wake(reconcile->claims, cell->held[i]->next_boot_ns);
	kw_claims_wake(reconcile->claims, kw_silence_deadline(reconcile, cell));
}

/* What the host has of it must be newer than its frame. */
static bool is_suspected(const struct kw_witnessed *cell)
{
	uint64_t most = cell->state.known & KW_STATE_PIDS_PEAK ? cell->state.pids_peak
							       : cell->state.pids_max;

	return cell->state_is_stale || cell->empty_since_boot_ns != 0 ||
	       ((cell->frame_flags & KW_TELLS_PROCESSES) && cell->processes > most);
}

static void take(struct kw_reconcile *reconcile, struct kw_witnessed *cell,
		 const struct kw_observation *observation, const char *id)
{
	bool is_guest = observation->kind == KW_OBSERVATION_GUEST;
	uint64_t now = observation->received_boot_ns;
	uint32_t news = is_guest ? kw_witness_frame(cell, observation, id)
				 : kw_witness_host(cell, observation, id);
	bool is_suspect = is_guest && is_suspected(cell);

	if (news & KW_NEWS_FRAME) {
		(void)kw_claims_look(reconcile, cell, now,
				     is_suspect ? LOOK_NS : KW_STATE_FRESH_NS);
		cell->is_over = cell->is_silent;
	}
	if (news)
		kw_claims_judge(reconcile, cell, news, now);
	/* Where this fails it stays due. */
	if (cell->is_over)
		(void)kw_silence_due(reconcile, cell, now);
	(void)say_due(reconcile, cell, now, false);
	wake_for(reconcile, cell);
}

/* Whether the cell's cgroup lies below the one at path: what stalls that stalls the cell. */
static bool lies_below(const struct kw_witnessed *cell, const char *path)
{
	size_t length = strlen(path);

	return length > 1 && path[0] == '/' && path[1] != '/' &&
	       strncmp(cell->cell.cgroup_path, path, length) == 0 &&
	       cell->cell.cgroup_path[length] == '/';
}

void kw_claims_observed(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	const struct kw_observation *observation = attributed->observation;
	struct kw_claims *claims = reconcile->claims;
	struct kw_witnessed *cell, *next;
	char id[40];

	memcpy(id, claims->said_id, sizeof(id));
	claims->said_id[0] = '\0';
	if (observation->kind == KW_OBSERVATION_LOST &&
	    observation->lost->record_kind == KW_RECORD_THROTTLE)
		claims->sees_throttling = false; /* from now on a stall may have been missed */
	if (!claims->cells)
		return;
	if (attributed->has_cell) {
		cell = kw_witness_find(claims, attributed->cell.handle);
		if (cell)
			take(reconcile, cell, observation, id);
	} else if (observation->kind == KW_OBSERVATION_THROTTLE && !attributed->victim.v1) {
		HASH_ITER (hh, claims->cells, cell, next) {
			if (lies_below(cell, attributed->victim.path))
				take(reconcile, cell, observation, id);
		}
	}
}

/* ---- time ---- */

static void judge_waiting(struct kw_reconcile *reconcile, struct kw_witnessed *cell, uint64_t now)
{
	static const uint32_t news[KW_WAIT_COUNT_] = {
		[KW_WAIT_OOM_CLAIM] = KW_NEWS_OOM_CLAIM,
		[KW_WAIT_OOM_KILL] = KW_NEWS_OOM_KILL,
		[KW_WAIT_THROTTLE_CLAIM] = KW_NEWS_THROTTLE_CLAIM,
		[KW_WAIT_THROTTLE] = KW_NEWS_THROTTLE,
		[KW_WAIT_GAP] = KW_NEWS_GAP,
	};

	for (int i = 0; i < KW_WAIT_COUNT_; i++) {
		if (cell->wait_boot_ns[i] == 0 || cell->wait_boot_ns[i] > now)
			continue;
		cell->wait_boot_ns[i] = 0;
		(void)kw_claims_look(reconcile, cell, now, LOOK_NS);
		kw_claims_judge(reconcile, cell, news[i], now);
		if (i != KW_WAIT_GAP)
			continue;
		cell->missing = 0;
		cell->refused = 0;
	}
}

uint64_t kw_claims_deadline(const struct kw_reconcile *reconcile)
{
	return reconcile->claims->next_boot_ns;
}

int kw_claims_due(struct kw_reconcile *reconcile, uint64_t now, bool all)
{
	struct kw_claims *claims = reconcile->claims;
	struct kw_witnessed *cell, *next;

	if (!all && claims->next_boot_ns > now)
		return 0;
	HASH_ITER (hh, claims->cells, cell, next) {
		int r = 0;

		if (!all) {
			judge_waiting(reconcile, cell, now);
			r = kw_silence_due(reconcile, cell, now);
		}
		if (r == 0)
			r = say_due(reconcile, cell, now, all);
		if (r < 0) {
			kw_claims_wake(claims, now);
			return r;
		}
	}
	claims->next_boot_ns = UINT64_MAX;
	HASH_ITER (hh, claims->cells, cell, next)
		wake_for(reconcile, cell);
	return 0;
}

/* ---- the room's door ---- */

void kw_reconcile_said(struct kw_reconcile *reconcile, const struct kw_finding *finding,
		       const char *event_id)
{
	struct kw_claims *claims = reconcile->claims;

	switch (finding->kind) {
	case KW_FINDING_GUEST:
	case KW_FINDING_OOM_KILL:
	case KW_FINDING_THROTTLE:
	case KW_FINDING_CGROUP:
	case KW_FINDING_SILENCE:
		(void)snprintf(claims->said_id, sizeof(claims->said_id), "%s", event_id);
		return;
	default:
		return;
	}
}

void kw_reconcile_cell(struct kw_reconcile *reconcile, enum kw_cell_change change,
		       const struct kw_cell *cell, uint64_t now_boot_ns)
{
	struct kw_claims *claims = reconcile->claims;
	struct kw_witnessed *witnessed;

	switch (change) {
	case KW_CELL_ADDED:
		witnessed = kw_witness_add(claims, cell, now_boot_ns);
		if (!witnessed)
			return;
		kw_silence_resume(claims, witnessed);
		kw_claims_wake(claims, kw_silence_deadline(reconcile, witnessed));
		return;
	case KW_CELL_REMOVED:
		witnessed = kw_witness_find(claims, cell->handle);
		if (!witnessed)
			return;
		(void)say_due(reconcile, witnessed, now_boot_ns, true);
		kw_witness_remove(claims, witnessed);
		return;
	case KW_CELL_REFUSED:
		return;
	default:
		kw_unreachable();
	}
}

void kw_reconcile_sees_throttling(struct kw_reconcile *reconcile)
{
	reconcile->claims->sees_throttling = true;
}
