/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was missed, said exactly and not too often. A guest chooses how many bad frames it sends, so
 * refusals are said once at once, then at most once in ten seconds for each cell and reason, with the
 * exact number; a refusal that is held back is never forgotten, only added up.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/reconcile/room.h"
#include "user/reconcile/witness.h"

#define WINDOW_NS (10 * KW_NSEC_PER_SEC)

/* What of a guest's channel is counted apart. */
enum refusal {
	REFUSED_FRAMES,	   /* frames; their number is exact */
	CLOSED_CONNECTION, /* a connection was ended by us: what it would have sent is not known */
	UNKNOWN_PEER,	   /* connections from a CID that no cell has */
	FRAMES_OF_NOBODY,  /* frames on a listener whose cell is no longer registered */
};

struct key {
	uint32_t handle;
	uint32_t reason; /* enum kw_gate_reason */
	uint32_t refusal;
};

/* One kind of gap that was said within the last window, and what has come since. */
struct held {
	struct key key;
	uint64_t window_end_boot_ns;
	uint64_t count; /* not said yet */
	uint64_t first_boot_ns;
	uint64_t last_boot_ns;
	uint32_t peer_cid; /* UNKNOWN_PEER: the last */
	char cell_id[KW_CELL_ID_MAX + 1];
	UT_hash_handle hh;
};

struct kw_gap_counts {
	struct held *held; /* in the order in which they were first said */
};

const char *kw_gap_kind_name(enum kw_gap_kind kind)
{
	static const char *const names[KW_GAP_KIND_COUNT_] = {
		[KW_GAP_START] = "start",	[KW_GAP_RESTART] = "restart",
		[KW_GAP_REBOOT] = "reboot",	[KW_GAP_STOP] = "stop",
		[KW_GAP_LOST] = "lost",		[KW_GAP_TORN] = "torn",
		[KW_GAP_GUEST] = "guest",	[KW_GAP_CELL] = "cell",
		[KW_GAP_GATE] = "gate",		[KW_GAP_FILE] = "file",
		[KW_GAP_INCIDENT] = "incident", [KW_GAP_TIER] = "tier",
		[KW_GAP_REMOVED] = "retention", [KW_GAP_CLOCK] = "clock",
	};

	return (unsigned int)kind < KW_GAP_KIND_COUNT_ ? names[kind] : NULL;
}

int kw_gap_counts_new(struct kw_gap_counts **ret_counts)
{
	struct kw_gap_counts *counts = calloc(1, sizeof(*counts));

	if (!counts)
		return -ENOMEM;
	*ret_counts = counts;
	return 0;
}

void kw_gap_counts_free(struct kw_gap_counts *counts)
{
	struct held *held, *next;

	if (!counts)
		return;
	HASH_ITER (hh, counts->held, held, next) {
		HASH_DEL(counts->held, held);
		free(held);
	}
	free(counts);
}

static int emit(struct kw_reconcile *reconcile, const struct kw_attributed *attributed,
		const struct kw_gap *gap)
{
	struct kw_finding finding = { .kind = KW_FINDING_GAP,
				      .attributed = attributed,
				      .boot_ns = gap->to_boot_ns,
				      .gap = gap };

	return reconcile->options.finding(reconcile->options.context, &finding);
}

/* ---- records that the producers could not hand over ---- */

static const char *record_noun(uint32_t kind)
{
	switch (kind) {
	case KW_RECORD_OOM_KILL:
		return "oom_kill";
	case KW_RECORD_OOM_END:
		return "oom_end";
	case KW_RECORD_THROTTLE:
		return "throttle";
	case KW_RECORD_PIDS:
		return "pids";
	case KW_RECORD_HIGH:
		return "memory_high";
	case KW_RECORD_USERSPACE_KILL:
		return "userspace kill";
	case KW_RECORD_LIFECYCLE:
		return "cgroup lifecycle";
	default:
		return "kernel";
	}
}

int kw_gaps_lost(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	const struct kw_lost *lost = attributed->observation->lost;
	struct kw_gap gap = { .kind = KW_GAP_LOST,
			      .stage = "kernel",
			      .lost_known = true,
			      .lost = lost->count,
			      .to_boot_ns = attributed->observation->boot_ns };
	const char *noun = record_noun(lost->record_kind);
	const char *words = NULL;

	switch (lost->reason) {
	case KW_LOST_RING_FULL:
		words = "records were lost: the ring was full";
		break;
	case KW_LOST_MAP_FULL:
		words = lost->record_kind >= KW_RECORD_THROTTLE
				? "calls were not counted: they came from more cgroups than are followed at one time"
				: "records could not be counted for their cgroup: the map was full; the records themselves were taken";
		break;
	case KW_LOST_PATH_TRUNCATED:
		words = "records lack the part of a cgroup path nearest the root; nothing else is missing";
		gap.lost = 0;
		break;
	case KW_LOST_MALFORMED:
		words = "records were not of this version's layout and were dropped";
		(void)snprintf(gap.stage, sizeof(gap.stage), "ring");
		break;
	case KW_LOST_BUDGET:
		words = "records were not sent: their cgroup had sent its share; what they would have counted is in its later ones";
		break;
	case KW_LOST_REASON_COUNT_:
		break;
	}
	if (!words)
		return -EINVAL;
	(void)snprintf(gap.reason, sizeof(gap.reason), "%" PRIu64 " %s %s", lost->count, noun,
		       words);
	return emit(reconcile, attributed, &gap);
}

/* ---- guests ---- */

static void describe(const struct held *held, uint64_t count, struct kw_gap *gap)
{
	const char *reason = kw_gate_reason_name(held->key.reason);
	char who[KW_CELL_ID_MAX + 32];

	if (!reason)
		reason = "unknown";
	if (held->key.handle == KW_GATE_HANDLE_VSOCK)
		(void)snprintf(who, sizeof(who), "AF_VSOCK");
	else if (held->cell_id[0])
		(void)snprintf(who, sizeof(who), "cell %s", held->cell_id);
	else
		(void)snprintf(who, sizeof(who), "listener %" PRIu32, held->key.handle);
	*gap = (struct kw_gap){ .kind = KW_GAP_GUEST,
				.stage = "gate",
				.lost_known = held->key.refusal != CLOSED_CONNECTION &&
					      held->key.refusal != UNKNOWN_PEER,
				.from_boot_ns = held->first_boot_ns,
				.to_boot_ns = held->last_boot_ns };
	if (gap->lost_known)
		gap->lost = count;
	switch ((enum refusal)held->key.refusal) {
	case REFUSED_FRAMES:
		(void)snprintf(gap->reason, sizeof(gap->reason), "%s: %" PRIu64 " refused (%s)",
			       who, count, reason);
		break;
	case CLOSED_CONNECTION:
		(void)snprintf(gap->reason, sizeof(gap->reason),
			       "%s: %" PRIu64 " connections closed (%s)", who, count, reason);
		break;
	case UNKNOWN_PEER:
		(void)snprintf(gap->reason, sizeof(gap->reason),
			       "%s: %" PRIu64 " connections refused, the last from CID %" PRIu32
			       ", which no cell has",
			       who, count, held->peer_cid);
		break;
	case FRAMES_OF_NOBODY:
		(void)snprintf(gap->reason, sizeof(gap->reason),
			       "%s: %" PRIu64 " frames came when its cell was no longer registered",
			       who, count);
		break;
	}
}

/* Says what is held back, if anything. */
static int say_held(struct kw_reconcile *reconcile, struct held *held)
{
	struct kw_gap gap;
	int r;

	if (held->count == 0)
		return 0;
	describe(held, held->count, &gap);
	r = emit(reconcile, NULL, &gap);
	if (r == 0)
		held->count = 0;
	return r;
}

static void forget(struct kw_gap_counts *counts, struct held *held)
{
	HASH_DEL(counts->held, held);
	free(held);
}

static int begin_window(struct kw_reconcile *reconcile, const struct key *key,
			const struct kw_attributed *attributed, struct held **ret_held)
{
	struct kw_gap_counts *counts = reconcile->gap_counts;
	struct held *held;
	int r;

	if (HASH_COUNT(counts->held) >= KW_GAP_COUNTS_MAX) {
		r = say_held(reconcile, counts->held);
		if (r < 0)
			return r;
		forget(counts, counts->held);
	}
	held = calloc(1, sizeof(*held));
	if (!held)
		return -ENOMEM;
	held->key = *key;
	if (attributed->has_cell)
		memcpy(held->cell_id, attributed->cell.cell_id, sizeof(held->cell_id));
	HASH_ADD(hh, counts->held, key, sizeof(held->key), held);
	if (!held->hh.tbl) {
		free(held);
		return -ENOMEM;
	}
	*ret_held = held;
	return 0;
}

/* The first at once, those after it when the window ends. */
static int refuse(struct kw_reconcile *reconcile, const struct kw_attributed *attributed,
		  enum refusal refusal, uint32_t reason, uint64_t count)
{
	const struct kw_observation *observation = attributed->observation;
	struct key key = { .handle = observation->guest->handle,
			   .reason = reason,
			   .refusal = refusal };
	struct held *held = NULL;
	struct kw_gap gap;
	int r;

	HASH_FIND(hh, reconcile->gap_counts->held, &key, sizeof(key), held);
	if (held && held->count == 0 && observation->received_boot_ns >= held->window_end_boot_ns) {
		forget(reconcile->gap_counts, held);
		held = NULL;
	}
	if (held) {
		if (held->count == 0)
			held->first_boot_ns = observation->boot_ns;
		held->last_boot_ns = observation->boot_ns;
		held->peer_cid = observation->guest->peer_cid;
		if (__builtin_add_overflow(held->count, count, &held->count))
			held->count = UINT64_MAX;
		return 0;
	}
	r = begin_window(reconcile, &key, attributed, &held);
	if (r < 0)
		return r;
	held->first_boot_ns = observation->boot_ns;
	held->last_boot_ns = observation->boot_ns;
	held->window_end_boot_ns = observation->received_boot_ns + WINDOW_NS;
	held->peer_cid = observation->guest->peer_cid;
	describe(held, count, &gap);
	r = emit(reconcile, attributed, &gap);
	if (r < 0)
		forget(reconcile->gap_counts, held);
	return r;
}

int kw_gaps_guest(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	const struct kw_gate_message *message = attributed->observation->guest;
	struct kw_finding finding = { .kind = KW_FINDING_GUEST,
				      .attributed = attributed,
				      .boot_ns = attributed->observation->boot_ns };

	switch (message->kind) {
	case KW_GATE_FRAME:
		if (!attributed->has_cell)
			return refuse(reconcile, attributed, FRAMES_OF_NOBODY, KW_GATE_REASON_NONE,
				      1);
		finding.guest_clock = kw_claims_clock(reconcile, attributed);
		return reconcile->options.finding(reconcile->options.context, &finding);
	case KW_GATE_REFUSED:
		return refuse(reconcile, attributed,
			      message->reason == KW_GATE_UNKNOWN_CID ? UNKNOWN_PEER
								     : REFUSED_FRAMES,
			      message->reason, message->count);
	case KW_GATE_CLOSED:
		if (message->reason == KW_GATE_REASON_NONE)
			return 0;
		return refuse(reconcile, attributed, CLOSED_CONNECTION, message->reason, 1);
	default:
		return 0;
	}
}

uint64_t kw_gaps_deadline(const struct kw_reconcile *reconcile)
{
	uint64_t deadline = UINT64_MAX;
	const struct held *held;

	for (held = reconcile->gap_counts->held; held; held = held->hh.next) {
		if (held->count > 0 && held->window_end_boot_ns < deadline)
			deadline = held->window_end_boot_ns;
	}
	return deadline;
}

int kw_gaps_due(struct kw_reconcile *reconcile, uint64_t now, bool all)
{
	struct held *held, *next;

	HASH_ITER (hh, reconcile->gap_counts->held, held, next) {
		bool was_quiet = held->count == 0;
		int r;

		if (!all && held->window_end_boot_ns > now)
			continue;
		r = say_held(reconcile, held);
		if (r < 0)
			return r;
		if (was_quiet)
			forget(reconcile->gap_counts, held);
		else
			held->window_end_boot_ns = now + WINDOW_NS;
	}
	return 0;
}

uint64_t kw_reconcile_open_losses(const struct kw_reconcile *reconcile)
{
	const struct held *held;
	uint64_t sum = 0;

	for (held = reconcile->gap_counts->held; held; held = held->hh.next) {
		if (held->key.refusal != CLOSED_CONNECTION && held->key.refusal != UNKNOWN_PEER &&
		    __builtin_add_overflow(sum, held->count, &sum))
			return UINT64_MAX;
	}
	return sum;
}
