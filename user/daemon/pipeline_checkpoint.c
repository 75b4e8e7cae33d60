/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Checkpoints, in two steps, because a disk may be slow and the loop must not wait for it: the tree as it
 * is now goes to the sync thread, which makes the lines durable and then the head; a later turn, when
 * that is done, signs and appends. So no crash and no power cut can leave a signed checkpoint whose lines
 * are gone, and none can be signed that contradicts it.
 */
#include <errno.h>
#include <string.h>

#include "user/base/log.h"
#include "user/daemon/pipeline.h"

#define HEAD_MAX 8192
#define HEARTBEAT_NS (60 * KW_NSEC_PER_SEC)
/* A head that is not on disk by then is asked for anew. */
#define RETRY_NS (30 * KW_NSEC_PER_SEC)

static uint64_t last_sequence(const struct kw_pipeline *pipeline)
{
	return kw_attest_head(pipeline->attest).sequence;
}

/* Lines since the last one, of this run or of the one before. */
static bool is_full(const struct kw_pipeline *pipeline)
{
	uint64_t since = pipeline->checkpoint_sequence ? pipeline->checkpoint_sequence
						       : pipeline->first_sequence - 1;

	return pipeline->checkpoint_events &&
	       last_sequence(pipeline) - since >= pipeline->checkpoint_events;
}

static bool is_due(struct kw_pipeline *pipeline, enum kw_checkpoint_reason *ret_reason)
{
	uint64_t age = kw_clock_boot_ns(pipeline->clock) - pipeline->checkpoint_boot_ns;
	bool changed = last_sequence(pipeline) != pipeline->checkpoint_sequence;

	/* Its last line is a checkpoint already. */
	if (!changed && kw_pipeline_segment_is_due(pipeline))
		kw_ledger_close_segment(pipeline->ledger);
	*ret_reason = changed ? KW_CHECKPOINT_INTERVAL : KW_CHECKPOINT_HEARTBEAT;
	if (changed && kw_pipeline_segment_is_due(pipeline))
		return true;
	if (is_full(pipeline)) {
		*ret_reason = KW_CHECKPOINT_EVENTS;
		return true;
	}
	return age >= (changed ? pipeline->checkpoint_ns : HEARTBEAT_NS);
}

/* Hands the tree as it is now to the disk. */
static int begin(struct kw_pipeline *pipeline, enum kw_checkpoint_reason reason)
{
	const struct kw_attest_tree *tree = kw_attest_current_tree(pipeline->attest);
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, HEAD_MAX);
	if (!tree)
		return -ENODATA;
	kw_attest_tree_write(tree, &text);
	r = kw_bytes_error(&text);
	if (r == 0)
		r = kw_ledger_keep_head(pipeline->ledger, text.data, text.length);
	if (r < 0)
		return r;
	pipeline->checkpoint_tree = *tree;
	pipeline->checkpoint_reason = reason;
	pipeline->checkpoint_pending = true;
	pipeline->checkpoint_begun_boot_ns = kw_clock_boot_ns(pipeline->clock);
	return 0;
}

/* What the kernel or the gate has counted as lost and no gap has declared yet. False: not known. */
static bool count_open_losses(const struct kw_pipeline *pipeline, uint64_t *ret_losses)
{
	uint64_t kernel = 0, held = kw_reconcile_open_losses(pipeline->reconcile);

	if (pipeline->hooks && kw_hooks_open_losses(pipeline->hooks, &kernel) < 0)
		return false;
	if (__builtin_add_overflow(kernel, held, ret_losses))
		*ret_losses = UINT64_MAX;
	return true;
}

static int emit(struct kw_pipeline *pipeline)
{
	struct kw_checkpoint checkpoint = {
		.tree = &pipeline->checkpoint_tree,
		.reason = pipeline->checkpoint_reason,
		.tier = pipeline->tier,
		.totals = pipeline->totals,
	};
	uint64_t sequence = last_sequence(pipeline) + 1;
	struct kw_parity_totals parity;
	struct kw_clock_sync sync;
	int r;

	checkpoint.clock = kw_pipeline_clock_sync(pipeline, &sync);
	checkpoint.open_losses_known = count_open_losses(pipeline, &checkpoint.open_losses);
	if (pipeline->sweep) {
		kw_reconcile_totals(pipeline->reconcile, &parity);
		checkpoint.parity = &parity;
	}
	r = kw_attest_checkpoint(pipeline->attest, &checkpoint, &pipeline->line);

	if (r == 0)
		r = kw_pipeline_append(pipeline, sequence);
	if (r < 0)
		return r;
	kw_attest_commit(pipeline->attest);
	kw_pipeline_sync_line(pipeline);
	pipeline->checkpoint_pending = false;
	pipeline->checkpoint_sequence = sequence;
	pipeline->checkpoint_boot_ns = kw_clock_boot_ns(pipeline->clock);
	if (kw_pipeline_segment_is_due(pipeline))
		kw_ledger_close_segment(pipeline->ledger);
	return 0;
}

void kw_pipeline_checkpoint(struct kw_pipeline *pipeline)
{
	enum kw_checkpoint_reason reason;
	int r = 0;

	if (!pipeline->checkpoint_ns)
		return;
	if (pipeline->checkpoint_pending &&
	    last_sequence(pipeline) - pipeline->checkpoint_tree.tree.size > KW_CHECKPOINT_LAG_MAX)
		pipeline->checkpoint_pending = false; /* no verifier remembers so far back */
	if (!pipeline->checkpoint_pending) {
		if (pipeline->account_sequence == 0 || is_due(pipeline, &reason))
			r = kw_pipeline_account(pipeline, false);
		if (r == 0 && is_due(pipeline, &reason))
			r = begin(pipeline, reason);
	} else if (kw_ledger_kept_head(pipeline->ledger) >= pipeline->checkpoint_tree.tree.size) {
		r = emit(pipeline);
	} else if (kw_clock_boot_ns(pipeline->clock) - pipeline->checkpoint_begun_boot_ns >
		   RETRY_NS) {
		r = begin(pipeline, pipeline->checkpoint_reason); /* it has failed: once more */
	}
	if (r <
	    0) /* a ledger that takes no lines is told of by the next finding; this is tried again */
		kw_log(LOG_DEBUG, "no checkpoint: %s", strerror(-r));
}

void kw_pipeline_checkpoint_early(struct kw_pipeline *pipeline)
{
	if (!pipeline->checkpoint_ns || pipeline->blocked < 0)
		return;
	if (pipeline->checkpoint_pending
		    ? kw_ledger_kept_head(pipeline->ledger) >= pipeline->checkpoint_tree.tree.size
		    : is_full(pipeline))
		kw_pipeline_checkpoint(pipeline);
}

int kw_pipeline_checkpoint_stop(struct kw_pipeline *pipeline)
{
	int r;

	if (!pipeline->checkpoint_ns)
		return 0;
	r = begin(pipeline, KW_CHECKPOINT_STOP);
	if (r < 0)
		return r;
	kw_ledger_wait(pipeline->ledger);
	/* A disk that does not answer for its lines gets no statement about them. */
	if (kw_ledger_kept_head(pipeline->ledger) < pipeline->checkpoint_tree.tree.size)
		return -EIO;
	return emit(pipeline);
}
