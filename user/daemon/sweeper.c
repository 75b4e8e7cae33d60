/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The poller of every cgroup in the loop: what inotify tells at once (−20), a timer that begins a round
 * (10), and slices of it for as long as there is something to do (20). Whoever may make cgroups can make
 * inotify busy: its source may run so often in a tenth of a second and then waits for the next, so that
 * deadlines and housekeeping below it always get their turn.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "user/base/log.h"

/* 20 turns of at most 2 ms: 40 % of the time, and what is left waits at most 60 ms. */
#define RATE_INTERVAL_USEC 100000ULL
#define RATE_BURST 20

/* The poller's share of what this process may open, after raising that to what it may be raised to. */
static uint32_t raise_descriptors(void)
{
	struct rlimit limit;
	rlim_t share;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur <= 2 * KW_SWEEP_DESCRIPTORS_RESERVED)
		return (uint32_t)limit.rlim_cur / 4;
	share = limit.rlim_cur - KW_SWEEP_DESCRIPTORS_RESERVED;
	return share < KW_SWEEP_DESCRIPTORS_MAX ? (uint32_t)share : KW_SWEEP_DESCRIPTORS_MAX;
}

static bool is_cell(void *context, const char *path)
{
	const struct kw_daemon *daemon = context;
	const struct kw_cell *cell = kw_cells_by_cgroup(daemon->pipeline.cells, path);

	return cell && strcmp(cell->cgroup_path, path) == 0;
}

int kw_sweeper_open(struct kw_daemon *daemon)
{
	struct kw_sweep_options options = {
		.root_path = daemon->settings->cgroup_root,
		.globs = daemon->settings->sweep_globs,
		.clock = daemon->clock,
		.is_followed = is_cell,
		.context = daemon,
	};
	int r;

	options.descriptors = raise_descriptors();
	r = kw_sweep_open(&options, &daemon->pipeline.sweep);
	return r < 0 ? kw_log_error(r, "cannot set up the poller of cgroups") : 0;
}

/* What is not seen as it should be: said once each, in the round in which it is first so. */
static void declare_limits(struct kw_daemon *daemon)
{
	struct kw_sweep_totals totals;

	kw_sweep_totals(daemon->pipeline.sweep, &totals);
	if (totals.not_notified > 0 && !daemon->sweep_said_watches)
		daemon->sweep_said_watches =
			kw_pipeline_gap(
				&daemon->pipeline, KW_GAP_FILE, "poller", 0,
				"%u of %u cgroups have no inotify watch (fs.inotify.max_user_watches): their counters are polled only",
				totals.not_notified, totals.cgroups) == 0;
	if (totals.refused > 0 && !daemon->sweep_said_refused)
		daemon->sweep_said_refused =
			kw_pipeline_gap(
				&daemon->pipeline, KW_GAP_FILE, "poller", 0,
				"there are more than %u cgroups: the counters of the others are not read",
				KW_SWEEP_CGROUPS_MAX) == 0;
	if (totals.too_long > 0 && !daemon->sweep_said_too_long)
		daemon->sweep_said_too_long =
			kw_pipeline_gap(
				&daemon->pipeline, KW_GAP_FILE, "poller", 0,
				"there are cgroups whose path is longer than %u bytes: their counters are not read",
				KW_PATH_MAX - 1) == 0;
}

static int go_on(struct kw_daemon *daemon)
{
	return sd_event_source_set_enabled(daemon->sweep_slice_source, SD_EVENT_ON);
}

/* The ledger takes no lines, or an event could not be made: housekeeping asks again. */
static int pause_sweep(struct kw_daemon *daemon)
{
	daemon->sweep_is_paused = true;
	(void)sd_event_source_set_enabled(daemon->sweep_slice_source, SD_EVENT_OFF);
	return sd_event_source_set_enabled(daemon->sweep_watch_source, SD_EVENT_OFF);
}

static int on_notified(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct kw_daemon *daemon = context;
	int r;

	(void)source, (void)fd, (void)events;
	if (kw_pipeline_ready(&daemon->pipeline) < 0)
		return pause_sweep(daemon);
	r = kw_sweep_notified(daemon->pipeline.sweep, kw_pipeline_observe, &daemon->pipeline);
	if (r < 0)
		return pause_sweep(daemon);
	/* New directories are listed, and what this turn left is done, in slices. */
	return go_on(daemon);
}

static int on_slice(sd_event_source *source, void *context)
{
	struct kw_daemon *daemon = context;
	int notified, turned;

	if (kw_pipeline_ready(&daemon->pipeline) < 0)
		return pause_sweep(daemon);
	notified =
		kw_sweep_notified(daemon->pipeline.sweep, kw_pipeline_observe, &daemon->pipeline);
	turned = notified != 0 ? notified
			       : kw_sweep_turn(daemon->pipeline.sweep, kw_pipeline_observe,
					       &daemon->pipeline);
	if (notified < 0 || turned < 0)
		return pause_sweep(daemon);
	return turned > 0 ? 0 : sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static int on_round(sd_event_source *source, uint64_t usec, void *context)
{
	struct kw_daemon *daemon = context;
	uint64_t interval_usec = daemon->settings->sweep_interval_ns / KW_NSEC_PER_USEC;
	uint64_t now_usec = kw_clock_boot_ns(daemon->clock) / KW_NSEC_PER_USEC;
	/* Rounds that were slept through, or that the last one took, are not made up for. */
	uint64_t next_usec = usec + interval_usec > now_usec ? usec + interval_usec
							     : now_usec + interval_usec;
	int r = sd_event_source_set_time(source, next_usec);

	if (r < 0 || kw_pipeline_ready(&daemon->pipeline) < 0)
		return r;
	declare_limits(daemon);
	kw_sweep_begin_round(daemon->pipeline.sweep);
	return go_on(daemon);
}

void kw_sweeper_resume(struct kw_daemon *daemon)
{
	if (!daemon->sweep_is_paused)
		return;
	daemon->sweep_is_paused = false;
	(void)sd_event_source_set_enabled(daemon->sweep_watch_source, SD_EVENT_ON);
	(void)go_on(daemon);
}

void kw_sweeper_wake(struct kw_daemon *daemon)
{
	if (daemon->sweep_slice_source && !daemon->sweep_is_paused &&
	    kw_sweep_waits(daemon->pipeline.sweep))
		(void)go_on(daemon);
}

static int prepare(sd_event_source *source, int64_t priority, const char *name)
{
	(void)sd_event_source_set_description(source, name);
	return sd_event_source_set_priority(source, priority);
}

int kw_sweeper_start(struct kw_daemon *daemon)
{
	int r;

	if (daemon->settings->sweep_globs[0] == '\0')
		return 0;
	r = sd_event_add_io(daemon->event, &daemon->sweep_watch_source,
			    kw_sweep_fd(daemon->pipeline.sweep), EPOLLIN, on_notified, daemon);
	if (r >= 0)
		r = prepare(daemon->sweep_watch_source, -20, "cgroups' inotify");
	if (r >= 0)
		r = sd_event_source_set_ratelimit(daemon->sweep_watch_source, RATE_INTERVAL_USEC,
						  RATE_BURST);
	if (r >= 0)
		r = sd_event_add_time_relative(daemon->event, &daemon->sweep_round_source,
					       CLOCK_BOOTTIME, 0, 1000, on_round, daemon);
	if (r >= 0)
		r = prepare(daemon->sweep_round_source, 10, "polling round");
	if (r >= 0)
		r = sd_event_source_set_enabled(daemon->sweep_round_source, SD_EVENT_ON);
	if (r >= 0)
		r = sd_event_add_defer(daemon->event, &daemon->sweep_slice_source, on_slice,
				       daemon);
	if (r >= 0)
		r = prepare(daemon->sweep_slice_source, 20, "polling slice");
	if (r >= 0)
		r = sd_event_source_set_enabled(daemon->sweep_slice_source, SD_EVENT_OFF);
	return r;
}

void kw_sweeper_stop(struct kw_daemon *daemon)
{
	sd_event_source_unref(daemon->sweep_watch_source);
	sd_event_source_unref(daemon->sweep_round_source);
	sd_event_source_unref(daemon->sweep_slice_source);
}
