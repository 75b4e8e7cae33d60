/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Episodes of memory.high throttling. As with CPU throttling, a record carries where all counts stood when
 * its episode began and where they stand now, so an episode needs no memory here; and an event's id is
 * made of what it says, not of which record said it.
 */
#include <errno.h>

#include "user/reconcile/room.h"

static void describe(const struct kw_record_high *record, struct kw_throttled *ret_said)
{
	const struct kw_high *seen = &record->high;
	struct kw_throttled said = {
		.phase = record->phase,
		.begin_boot_ns = seen->begin_boot_ns,
		.last_boot_ns = seen->last_boot_ns,
		.throttles = seen->totals.throttles - seen->before.throttles,
		.unthrottles = seen->totals.unthrottles - seen->before.unthrottles,
		.stalled_ns = seen->totals.stalled_ns - seen->before.stalled_ns,
	};

	for (unsigned int i = 0; i < KW_THROTTLE_BUCKETS; i++)
		said.histogram[i] = seen->totals.histogram[i] - seen->before.histogram[i];
	*ret_said = said;
}

int kw_high_observe(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	static const char *const domains[] = {
		[KW_THROTTLE_START] = "high-start",
		[KW_THROTTLE_CONTINUE] = "high-continue",
		[KW_THROTTLE_END] = "high-end",
	};
	const struct kw_record_high *record = attributed->observation->high;
	struct kw_throttled said;
	struct kw_finding finding = { .kind = KW_FINDING_HIGH,
				      .attributed = attributed,
				      .boot_ns = attributed->observation->boot_ns,
				      .throttled = &said };
	uint64_t number;

	if (!kw_throttle_phase_name(record->phase))
		return -EINVAL;
	describe(record, &said);
	number = record->phase == KW_THROTTLE_CONTINUE ? record->header.number
						       : record->high.episode;
	kw_ids_derive(reconcile->options.boot_id, "high", record->high.episode, said.episode_id);
	kw_ids_derive(reconcile->options.boot_id, domains[record->phase], number, finding.event_id);
	return reconcile->options.finding(reconcile->options.context, &finding);
}
