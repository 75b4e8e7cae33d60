/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The room's door: an observation goes to the file that knows its kind, time goes to whoever waits for
 * it. Nothing here or behind it reads a clock or opens a file, so the same inputs give the same findings.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/reconcile/room.h"
#include "user/reconcile/witness.h"

#define SETTLE_DEFAULT_NS (200 * KW_NSEC_PER_MSEC)
#define SETTLE_MAX_NS (2 * KW_NSEC_PER_SEC)
#define PARITY_SETTLE_DEFAULT_NS (5 * KW_NSEC_PER_SEC)

/* What is in the ledger is entered into the books of parity, and nothing else. An event that stood there
 * before this daemon read its record again was entered then. */
int kw_reconcile_say(struct kw_reconcile *reconcile, const struct kw_finding *finding)
{
	int r = reconcile->options.finding(reconcile->options.context, finding);

	if (r == 0)
		kw_parity_told(reconcile, finding);
	return r < 0 ? r : 0;
}

int kw_reconcile_open(const struct kw_reconcile_options *options,
		      struct kw_reconcile **ret_reconcile)
{
	cleanup(kw_reconcile_freep) struct kw_reconcile *reconcile = calloc(1, sizeof(*reconcile));
	int r;

	if (!reconcile)
		return -ENOMEM;
	TAILQ_INIT(&reconcile->incidents);
	reconcile->options = *options;
	if (options->parity_settle_ns == 0)
		reconcile->options.parity_settle_ns = PARITY_SETTLE_DEFAULT_NS;
	if (options->settle_ns == 0)
		reconcile->options.settle_ns = SETTLE_DEFAULT_NS;
	else if (options->settle_ns > SETTLE_MAX_NS)
		reconcile->options.settle_ns = SETTLE_MAX_NS;
	r = kw_account_new(&reconcile->account);
	if (r == 0)
		r = kw_gap_counts_new(&reconcile->gap_counts);
	if (r == 0)
		r = kw_parity_new(&reconcile->parity);
	if (r == 0)
		r = kw_claims_new(&reconcile->claims);
	if (r < 0)
		return r;
	*ret_reconcile = take_ptr(reconcile);
	return 0;
}

void kw_reconcile_free(struct kw_reconcile *reconcile)
{
	struct kw_open_incident *open;

	if (!reconcile)
		return;
	while ((open = TAILQ_FIRST(&reconcile->incidents))) {
		TAILQ_REMOVE(&reconcile->incidents, open, list);
		kw_incident_free(open);
	}
	kw_account_free(reconcile->account);
	kw_gap_counts_free(reconcile->gap_counts);
	kw_parity_free(reconcile->parity);
	kw_claims_free(reconcile->claims);
	free(reconcile->earlier);
	free(reconcile);
}

int kw_reconcile_resume(struct kw_reconcile *reconcile, const char *incident_id,
			const char *event_id)
{
	struct kw_earlier_kill *earlier;

	if (reconcile->earlier_count >= KW_LEDGER_TAIL_LINES)
		return 0;
	if (!reconcile->earlier) {
		reconcile->earlier = calloc(KW_LEDGER_TAIL_LINES, sizeof(*reconcile->earlier));
		if (!reconcile->earlier)
			return -ENOMEM;
	}
	earlier = &reconcile->earlier[reconcile->earlier_count++];
	(void)snprintf(earlier->incident_id, sizeof(earlier->incident_id), "%s", incident_id);
	(void)snprintf(earlier->event_id, sizeof(earlier->event_id), "%s", event_id);
	return 0;
}

/* A probe reading is said for registered cells; other cgroups are read for the account alone. */
static int observe_reading(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	struct kw_finding finding = { .kind = KW_FINDING_CGROUP,
				      .attributed = attributed,
				      .boot_ns = attributed->observation->boot_ns };

	if (!attributed->has_cell)
		return 0;
	return reconcile->options.finding(reconcile->options.context, &finding);
}

static int observe(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	switch (attributed->observation->kind) {
	case KW_OBSERVATION_OOM_KILL:
		return kw_incident_kill(reconcile, attributed);
	case KW_OBSERVATION_OOM_END:
		return kw_incident_end(reconcile, attributed);
	case KW_OBSERVATION_LOST:
		return kw_gaps_lost(reconcile, attributed);
	case KW_OBSERVATION_READING:
		return observe_reading(reconcile, attributed);
	case KW_OBSERVATION_GUEST:
		return kw_gaps_guest(reconcile, attributed);
	case KW_OBSERVATION_THROTTLE:
		return kw_throttle_observe(reconcile, attributed);
	case KW_OBSERVATION_PIDS:
		return kw_pids_observe(reconcile, attributed);
	case KW_OBSERVATION_LIFECYCLE:
		return 0; /* said to attribute and to the poller */
	case KW_OBSERVATION_HIGH:
		return kw_high_observe(reconcile, attributed);
	case KW_OBSERVATION_USERSPACE_KILL:
		return kw_userspace_kill_observe(reconcile, attributed);
	case KW_OBSERVATION_COUNTS:
		return kw_parity_counts(reconcile, attributed);
	case KW_OBSERVATION_KIND_COUNT_:
		break;
	}
	return -EINVAL;
}

int kw_reconcile_observe(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	int r = observe(reconcile, attributed);

	/* Whatever it says of a guest, or a guest says of it, comes behind it. */
	if (r == 0)
		kw_claims_observed(reconcile, attributed);
	return r;
}

uint64_t kw_reconcile_deadline(const struct kw_reconcile *reconcile)
{
	uint64_t deadline = kw_gaps_deadline(reconcile), parity = kw_parity_deadline(reconcile);
	const struct kw_open_incident *open;

	if (kw_claims_deadline(reconcile) < deadline)
		deadline = kw_claims_deadline(reconcile);

	TAILQ_FOREACH (open, &reconcile->incidents, list) {
		if (open->deadline_boot_ns < deadline)
			deadline = open->deadline_boot_ns;
	}
	return parity < deadline ? parity : deadline;
}

static int settle(struct kw_reconcile *reconcile, uint64_t now, bool all)
{
	struct kw_open_incident *open = TAILQ_FIRST(&reconcile->incidents);
	int r;

	while (open) {
		struct kw_open_incident *next = TAILQ_NEXT(open, list);

		if (all || open->deadline_boot_ns <= now) {
			r = kw_incident_settle(reconcile, open, now, !all);
			if (r < 0)
				return r;
		}
		open = next;
	}
	r = kw_gaps_due(reconcile, now, all);
	if (r == 0)
		r = kw_claims_due(reconcile, now, all);
	/* What has not settled when the daemon ends is judged by the next one: the account goes on. */
	return r < 0 ? r : kw_parity_due(reconcile, now);
}

int kw_reconcile_due(struct kw_reconcile *reconcile, uint64_t now_boot_ns)
{
	return settle(reconcile, now_boot_ns, false);
}

int kw_reconcile_flush(struct kw_reconcile *reconcile, uint64_t now_boot_ns)
{
	return settle(reconcile, now_boot_ns, true);
}

int kw_reconcile_gap(struct kw_reconcile *reconcile, const struct kw_gap *gap, uint64_t now_boot_ns)
{
	struct kw_finding finding = { .kind = KW_FINDING_GAP, .boot_ns = now_boot_ns, .gap = gap };

	return reconcile->options.finding(reconcile->options.context, &finding);
}
