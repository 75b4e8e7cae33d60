/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What was told since the start, counted for metrics and status: per kind, and kills per systemd unit and per
 * cell. Bounded, whatever the host does: beyond KW_TALLY_LABELS_MAX names the rest is counted together.
 */
#include "user/reconcile/reconcile.h"

struct kw_tally;

int kw_tally_new(struct kw_tally **ret_tally) kw_must_check;
void kw_tally_free(struct kw_tally *tally);
KW_DEFINE_CLEANUP(struct kw_tally *, kw_tally_free)

/* Counts a finding that is in the ledger. tally: may be NULL. */
void kw_tally_finding(struct kw_tally *tally, const struct kw_finding *finding, uint64_t real_ns);

/* Findings of this kind, and when the last one was told (0: never). */
uint64_t kw_tally_count(const struct kw_tally *tally, enum kw_finding_kind kind,
			uint64_t *ret_last_real_ns);
/* "oom_kill", "gap", …; NULL: no such kind. */
const char *kw_tally_kind_name(enum kw_finding_kind kind);

enum kw_tally_label {
	KW_TALLY_UNIT,	/* OOM kills of a systemd unit */
	KW_TALLY_CELL,	/* OOM kills of a registered cell */
	KW_TALLY_STAGE, /* records that a stage has lost */
	KW_TALLY_LABEL_COUNT_
};
/* Each name with its number; name is NULL for the names beyond the cap. */
typedef void (*kw_tally_fn)(void *context, const char *name, uint64_t number);
void kw_tally_each(const struct kw_tally *tally, enum kw_tally_label label, kw_tally_fn callback,
		   void *context);
