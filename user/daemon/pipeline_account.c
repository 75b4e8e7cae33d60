/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The account of counters into the ledger, before the checkpoint that covers it: what has changed each
 * time, all of it every ten minutes, so that the next daemon need not read far back, and at the end. The
 * first one follows the first round of reading at once: a daemon that is killed before its first checkpoint
 * must not leave its successor without a beginning.
 */
#include <errno.h>
#include <string.h>

#include "user/base/log.h"
#include "user/daemon/pipeline.h"

#define WHOLE_NS (600 * KW_NSEC_PER_SEC)
/* Or after so many lines: they are read again at the next start. */
#define WHOLE_LINES 2048

int kw_pipeline_cgroup_counts(void *context, uint64_t cgroup_id,
			      struct kw_cgroup_counts *ret_counts)
{
	const struct kw_pipeline *pipeline = context;

	return pipeline->hooks ? kw_hooks_cgroup_counts(pipeline->hooks, cgroup_id, ret_counts)
			       : -ENOENT;
}

/* Whether the first round is over: before, what was not read yet is not known to be new. */
static bool is_scanned(struct kw_pipeline *pipeline)
{
	struct kw_sweep_totals totals;

	kw_sweep_totals(pipeline->sweep, &totals);
	if (totals.rounds > 0)
		kw_reconcile_scanned(pipeline->reconcile);
	return totals.rounds > 0;
}

void kw_pipeline_scanned(struct kw_pipeline *pipeline)
{
	if (pipeline->sweep)
		(void)is_scanned(pipeline);
}

int kw_pipeline_account(struct kw_pipeline *pipeline, bool at_end)
{
	uint64_t now = kw_clock_boot_ns(pipeline->clock);
	uint64_t sequence = kw_attest_head(pipeline->attest).sequence;
	bool whole = at_end || now - pipeline->account_boot_ns >= WHOLE_NS ||
		     sequence - pipeline->account_sequence >= WHOLE_LINES;
	int r;

	/* Where nobody reads counters there is no account, and none before all were read once. */
	if (!pipeline->sweep || (!is_scanned(pipeline) && !at_end))
		return 0;
	r = kw_reconcile_account(pipeline->reconcile, now, whole && pipeline->account_sequence > 0);
	if (r < 0) {
		kw_log(LOG_DEBUG, "no account: %s", strerror(-r));
		return r;
	}
	if (whole || pipeline->account_sequence == 0) {
		pipeline->account_boot_ns = now;
		pipeline->account_sequence = kw_attest_head(pipeline->attest).sequence;
	}
	return 0;
}
