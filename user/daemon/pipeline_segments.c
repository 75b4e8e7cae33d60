/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What becomes of closed segments. Retention takes evidence away, and so does an attacker: the difference is
 * that the ledger says so first. A removal is proposed by the archive's thread, declared here by a gap that
 * carries the tree over everything that is gone, and carried out when that line is on disk. And only when the
 * ledger's head covers a later line: a start checks the line that the head ends with.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/base/log.h"
#include "user/daemon/pipeline.h"

#define LOOK_NS (5 * KW_NSEC_PER_SEC)

int kw_pipeline_segments_open(struct kw_pipeline *pipeline,
			      const struct kw_pipeline_options *options)
{
	const struct kw_archive_policy *policy = options->archive;
	int r;

	pipeline->segment_age_ns = options->segment_age_ns;
	if (options->checkpoint_ns)
		kw_ledger_close_by_caller(pipeline->ledger);
	if (!policy ||
	    !(policy->index || policy->compress || policy->retain_bytes || policy->retain_age_ns))
		return 0;
	r = kw_archive_start(options->ledger, policy, &pipeline->archive);
	return r < 0 ? kw_log_error(r, "cannot look after closed segments") : 0;
}

bool kw_pipeline_segment_is_due(struct kw_pipeline *pipeline)
{
	return kw_ledger_segment_is_due(pipeline->ledger, kw_clock_real_ns(pipeline->clock),
					pipeline->segment_age_ns);
}

static int declare(struct kw_pipeline *pipeline, const struct kw_archive_removal *removal)
{
	uint64_t now = kw_clock_boot_ns(pipeline->clock);
	struct kw_gap_removed removed = {
		.first = removal->first,
		.last = removal->last,
		.unread = removal->unread,
		.reader = removal->reader,
		.tree = &removal->tree.tree,
		.first_hash = removal->tree.first,
		.last_hash = removal->tree.last,
	};
	struct kw_gap gap = { .kind = KW_GAP_REMOVED,
			      .stage = "ledger",
			      .to_boot_ns = now,
			      .lost_known = true,
			      .removed = &removed };
	int used = snprintf(gap.reason, sizeof(gap.reason),
			    "retention removes lines %" PRIu64 " to %" PRIu64 " (%" PRIu64
			    " bytes on disk)",
			    removal->first, removal->last, removal->bytes);

	if (removal->unread)
		(void)snprintf(gap.reason + used, sizeof(gap.reason) - (size_t)used,
			       ", though reader \"%s\" has not passed %" PRIu64 " of them",
			       removal->reader, removal->unread);
	return kw_reconcile_gap(pipeline->reconcile, &gap, now);
}

static void retain(struct kw_pipeline *pipeline)
{
	struct kw_archive_removal removal;

	if (!kw_archive_proposal(pipeline->archive, &removal))
		return;
	if (pipeline->removal_sequence) {
		if (kw_ledger_durable(pipeline->ledger) < pipeline->removal_sequence)
			return;
		pipeline->removal_sequence = 0;
		kw_archive_declared(pipeline->archive);
		kw_log(LOG_INFO,
		       "retention: lines %" PRIu64 " to %" PRIu64 " of the ledger are removed",
		       removal.first, removal.last);
		return;
	}
	if (kw_ledger_kept_head(pipeline->ledger) <= removal.last)
		return;
	/* A ledger that takes no lines is told of by the next finding; this is tried again. */
	if (declare(pipeline, &removal) < 0)
		return;
	pipeline->removal_sequence = kw_attest_head(pipeline->attest).sequence;
	kw_ledger_request_sync(pipeline->ledger);
}

static void report(struct kw_pipeline *pipeline)
{
	int error = kw_archive_error(pipeline->archive);

	if (error == pipeline->archive_error)
		return;
	pipeline->archive_error = error;
	if (error == -ENODATA)
		kw_log(LOG_ERR,
		       "retention removes nothing from \"%s\": segments before its first one are missing, and were not removed by it",
		       pipeline->ledger_path);
	else if (error < 0)
		(void)kw_log_error(
			error,
			"closed segments in \"%s\" cannot be indexed, compressed or removed; tried again",
			pipeline->ledger_path);
}

void kw_pipeline_segments(struct kw_pipeline *pipeline)
{
	uint64_t now = kw_clock_boot_ns(pipeline->clock);
	uint64_t segment = kw_ledger_segment(pipeline->ledger);

	if (!pipeline->archive)
		return;
	retain(pipeline);
	report(pipeline);
	if (segment == pipeline->archive_segment && now - pipeline->archive_boot_ns < LOOK_NS)
		return;
	pipeline->archive_segment = segment;
	pipeline->archive_boot_ns = now;
	kw_archive_look(pipeline->archive, segment, kw_pipeline_clock_settled_ns(pipeline));
}
