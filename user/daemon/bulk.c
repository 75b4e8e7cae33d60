/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bulk ring's turn. Its writers hold a runqueue's lock and wake nobody, so it is asked for a few times
 * a second; below everything else, for it is volume and not evidence.
 */
#include "user/daemon/daemon.h"

#include "user/base/log.h"

#define INTERVAL_USEC 250000ULL
#define RECORDS_PER_TURN 256U

int kw_bulk_turn(struct kw_daemon *daemon)
{
	int r = kw_pipeline_ready(&daemon->pipeline);

	if (r < 0)
		return 0; /* said there; what has been counted waits in the kernel */
	r = kw_hooks_poll_bulk(daemon->hooks, RECORDS_PER_TURN, kw_pipeline_observe,
			       &daemon->pipeline);
	if (r < 0 && daemon->pipeline.blocked == 0)
		(void)kw_log_error(r, "cannot read the bulk ring");
	kw_sweeper_wake(daemon); /* the records of cgroups that came and went were said to it */
	return r < 0 ? 0 : r;
}

static int on_bulk(sd_event_source *source, uint64_t usec, void *context)
{
	(void)kw_bulk_turn(context);
	return sd_event_source_set_time(source, usec + INTERVAL_USEC);
}

int kw_bulk_start(struct kw_daemon *daemon)
{
	sd_event_source *source = NULL;
	int r;

	if (!kw_hooks_see(daemon->hooks, KW_RECORD_THROTTLE) &&
	    !kw_hooks_see(daemon->hooks, KW_RECORD_PIDS) &&
	    !kw_hooks_see(daemon->hooks, KW_RECORD_HIGH) &&
	    !kw_hooks_see(daemon->hooks, KW_RECORD_LIFECYCLE))
		return 0;
	if (kw_hooks_see(daemon->hooks, KW_RECORD_THROTTLE))
		kw_reconcile_sees_throttling(daemon->pipeline.reconcile);
	r = sd_event_add_time_relative(daemon->event, &source, CLOCK_BOOTTIME, INTERVAL_USEC, 10000,
				       on_bulk, daemon);
	if (r >= 0)
		r = sd_event_source_set_priority(source, 15);
	if (r >= 0)
		r = sd_event_source_set_enabled(source, SD_EVENT_ON);
	if (r >= 0)
		r = sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
	return r;
}
