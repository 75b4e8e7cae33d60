/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * When the disk is asked to keep what was appended. All of it is a request to the sync thread, which makes one
 * fdatasync of those that come while it is at one: no turn of the loop waits, whatever the setting. So "always"
 * does not mean that a line is durable when the next is made, but that nothing puts off asking.
 */
#include "user/daemon/pipeline.h"

void kw_pipeline_sync(struct kw_pipeline *pipeline)
{
	if (pipeline->durability != KW_DURABILITY_RELAXED)
		kw_ledger_request_sync(pipeline->ledger);
}

void kw_pipeline_sync_observed(struct kw_pipeline *pipeline, enum kw_observation_kind kind)
{
	if (kind == KW_OBSERVATION_OOM_KILL || kind == KW_OBSERVATION_OOM_END ||
	    kind == KW_OBSERVATION_USERSPACE_KILL)
		kw_pipeline_sync(pipeline);
}

void kw_pipeline_sync_line(struct kw_pipeline *pipeline)
{
	if (pipeline->durability == KW_DURABILITY_ALWAYS)
		kw_ledger_request_sync(pipeline->ledger);
}
