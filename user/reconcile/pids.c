/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forks refused by pids.max. A record says where its cgroup's count stands and how far it was told, so
 * nothing is remembered here. The event's id is made of the cgroup and of what was told before: the same
 * refusals, read twice because the daemon died in between, are one event.
 */
#include <inttypes.h>
#include <stdio.h>

#include "user/reconcile/room.h"

int kw_pids_observe(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	const struct kw_record_pids *record = attributed->observation->pids;
	struct kw_finding finding = { .kind = KW_FINDING_PIDS,
				      .attributed = attributed,
				      .boot_ns = attributed->observation->boot_ns };
	char domain[40];

	(void)snprintf(domain, sizeof(domain), "pids-%" PRIu64,
		       (uint64_t)record->refusals.cgroup.id);
	kw_ids_derive(reconcile->options.boot_id, domain, record->told, finding.event_id);
	return kw_reconcile_say(reconcile, &finding);
}
