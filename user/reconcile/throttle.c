/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Episodes of CPU throttling. A record carries where all counts stood when its episode began and where
 * they stand now, so an episode needs no memory here. Two witnesses are compared: the sum of the stalls
 * that the hooks measured, and how far the kernel's own throttled_time moved meanwhile; both add at
 * unthrottle_cfs_rq() and only there (kernel/sched/fair.c, 6.1 to 6.18).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/reconcile/room.h"

static const char *const phase_names[] = {
	[KW_THROTTLE_START] = "start",
	[KW_THROTTLE_CONTINUE] = "continue",
	[KW_THROTTLE_END] = "end",
};

const char *kw_throttle_phase_name(uint32_t phase)
{
	return phase < kw_array_size(phase_names) ? phase_names[phase] : NULL;
}

static void describe(const struct kw_record_throttle *record, struct kw_throttled *ret_said)
{
	const struct kw_throttle *seen = &record->throttle;
	struct kw_throttled said = {
		.phase = record->phase,
		.begin_boot_ns = seen->begin_boot_ns,
		.last_boot_ns = seen->last_boot_ns,
		.throttles = seen->totals.throttles - seen->before.throttles,
		.unthrottles = seen->totals.unthrottles - seen->before.unthrottles,
		.stalled_ns = seen->totals.stalled_ns - seen->before.stalled_ns,
		.kernel_ns = seen->bandwidth.throttled_ns - seen->bandwidth_before.throttled_ns,
		/* int in the kernel: the difference is right even where it wrapped */
		.periods = seen->bandwidth.periods - seen->bandwidth_before.periods,
		.throttled_periods = seen->bandwidth.throttled_periods -
				     seen->bandwidth_before.throttled_periods,
	};

	for (unsigned int i = 0; i < KW_THROTTLE_BUCKETS; i++)
		said.histogram[i] = seen->totals.histogram[i] - seen->before.histogram[i];
	*ret_said = said;
}

/*
 * The same episode has one id in all its events. An event's own id is made of what it says, not of which
 * record said it: the end is found by the daemon, or sent by the kernel when the next episode begins.
 */
static void name(const struct kw_reconcile *reconcile, const struct kw_record_throttle *record,
		 struct kw_throttled *said, struct kw_finding *finding)
{
	static const char *const domains[] = {
		[KW_THROTTLE_START] = "throttle-start",
		[KW_THROTTLE_CONTINUE] = "throttle-continue",
		[KW_THROTTLE_END] = "throttle-end",
	};
	uint64_t number = record->phase == KW_THROTTLE_CONTINUE ? record->header.number
								: record->throttle.episode;

	kw_ids_derive(reconcile->options.boot_id, "throttle", record->throttle.episode,
		      said->episode_id);
	kw_ids_derive(reconcile->options.boot_id, domains[record->phase], number,
		      finding->event_id);
}

int kw_throttle_observe(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	const struct kw_record_throttle *record = attributed->observation->throttle;
	struct kw_throttled said;
	struct kw_finding finding = { .kind = KW_FINDING_THROTTLE,
				      .attributed = attributed,
				      .boot_ns = attributed->observation->boot_ns,
				      .throttled = &said };

	if (!kw_throttle_phase_name(record->phase))
		return -EINVAL;
	describe(record, &said);
	name(reconcile, record, &said, &finding);
	return kw_reconcile_say(reconcile, &finding);
}
