/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The forms in which a line leaves: as it is, in the CellOS envelope, or both. The chain, the tree and the
 * checkpoints are over the line itself in every profile, so none of them loses what the ledger proves.
 */
#include "user/daemon/pipeline.h"

#include <errno.h>

#include "user/base/log.h"

int kw_pipeline_profile_open(struct kw_pipeline *pipeline,
			     const struct kw_pipeline_options *options,
			     const struct kw_ledger_found *found)
{
	bool enveloped = options->profile == KW_PROFILE_CELLOS;

	pipeline->profile = options->profile;
	kw_bytes_init(&pipeline->envelope, KW_EVENT_MAX + KW_ENVELOPE_EXTRA_MAX);
	/* A segment has lines of one form only: who reads it can tell a change from a forgery. */
	if (found->has_last && found->enveloped != enveloped)
		kw_ledger_close_segment(pipeline->ledger);
	return 0;
}

/* The line that was made, in its envelope. */
static int seal(struct kw_pipeline *pipeline)
{
	/* Without its newline. The key signs this line as well: another one is in force only behind it. */
	return kw_cellos_seal(kw_attest_key(pipeline->attest), pipeline->line.data,
			      pipeline->line.length - 1, &pipeline->envelope);
}

int kw_pipeline_append(struct kw_pipeline *pipeline, uint64_t sequence)
{
	const struct kw_bytes *line = &pipeline->line, *envelope = &pipeline->envelope;
	int r = pipeline->profile == KW_PROFILE_DSSE ? 0 : seal(pipeline);

	if (r < 0)
		return r;
	if (pipeline->profile == KW_PROFILE_CELLOS)
		line = envelope;
	return kw_ledger_append(pipeline->ledger, sequence, line->data, line->length);
}
