/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kills by a memory manager in user space. No kernel counter moves, so there is nothing to settle and nothing
 * to agree with. The event's id is made of the process: programs of two builds, both attached for a moment,
 * tell of one kill under one id, and so does a record that is read twice.
 */
#include <inttypes.h>
#include <stdio.h>

#include "user/reconcile/room.h"

int kw_userspace_kill_observe(struct kw_reconcile *reconcile,
			      const struct kw_attributed *attributed)
{
	const struct kw_record_userspace_kill *kill = attributed->observation->userspace_kill;
	struct kw_finding finding = { .kind = KW_FINDING_USERSPACE_KILL,
				      .attributed = attributed,
				      .boot_ns = attributed->observation->boot_ns };
	char domain[40];

	(void)snprintf(domain, sizeof(domain), "userspace-kill-%" PRIu32, kill->victim.task.tgid);
	kw_ids_derive(reconcile->options.boot_id, domain, kill->victim.start_boot_ns,
		      finding.event_id);
	return kw_reconcile_say(reconcile, &finding);
}
