/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The line after which another key signs. */
#include "user/daemon/pipeline.h"

#include <errno.h>

int kw_pipeline_rotate(struct kw_pipeline *pipeline, const struct kw_key *next,
		       enum kw_rotation_reason reason)
{
	uint64_t sequence = kw_attest_head(pipeline->attest).sequence + 1;
	int r = kw_attest_rotate(pipeline->attest, next, reason, &pipeline->line);

	if (r == 0)
		r = kw_pipeline_append(pipeline, sequence);
	if (r == 0) {
		kw_attest_commit(pipeline->attest);
		kw_pipeline_sync_line(pipeline);
	}
	return r;
}
