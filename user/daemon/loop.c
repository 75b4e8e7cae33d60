/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One thread, one sd-event loop. sd-event always takes the pending source of the highest priority, so
 * signals and the watchdog stand above evidence (a flood must not make the daemon unstoppable), and
 * evidence stands above guests and timers. Every source has a bound per turn.
 *
 *   −100  SIGTERM, SIGINT, SIGHUP         −30  gate, ≤ 64 messages
 *    −60  the wall clock was set
 *    −50  evidence ring, ≤ 64 records     −20  cells' inotify, drained; cgroups' inotify, ≤ 2 ms
 *     10  incident deadlines, a round      20  housekeeping: losses, polling, checkpoints
 *     15  bulk ring, polled                    a slice of the round of all cgroups, ≤ 2 ms
 *                                          50  status and metrics
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <kwitness/names.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "user/base/file.h"
#include "user/base/log.h"

#define RECORDS_PER_TURN 64U
#define HOUSEKEEPING_USEC 1000000ULL
#define DRAIN_NS (2 * KW_NSEC_PER_SEC)

/* The deadline moves with every observation; one timer is moved along after each turn. */
static int rearm_deadline(struct kw_daemon *daemon)
{
	uint64_t deadline = kw_reconcile_deadline(daemon->pipeline.reconcile);
	int r;

	if (deadline == UINT64_MAX)
		return sd_event_source_set_enabled(daemon->deadline_source, SD_EVENT_OFF);
	/* What is due while the ledger takes no lines stays due: ask once a second, do not spin. */
	if (daemon->pipeline.blocked < 0)
		deadline = kw_clock_boot_ns(daemon->clock) + KW_NSEC_PER_SEC;
	r = sd_event_source_set_time(daemon->deadline_source, deadline / KW_NSEC_PER_USEC + 1);
	return r < 0 ? r : sd_event_source_set_enabled(daemon->deadline_source, SD_EVENT_ONESHOT);
}

static int on_post(sd_event_source *source, void *context)
{
	struct kw_daemon *daemon = context;

	(void)source;
	kw_pipeline_checkpoint_early(&daemon->pipeline);
	return rearm_deadline(daemon);
}

static int on_evidence(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct kw_daemon *daemon = context;

	(void)fd, (void)events;
	/* No room for lines: leave the records in the kernel. Housekeeping switches the source on again. */
	if (kw_pipeline_ready(&daemon->pipeline) < 0)
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	if (kw_hooks_consume(daemon->hooks, RECORDS_PER_TURN, kw_pipeline_observe,
			     &daemon->pipeline) < 0)
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	kw_watchdog_turn(daemon);
	return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	(void)source, (void)info;
	kw_rekey_reload(context);
	kw_reload(context);
	return 0;
}

static int on_cells(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct kw_daemon *daemon = context;
	int r = kw_cells_refresh(daemon->pipeline.cells, kw_cellwatch_change, daemon);

	(void)source, (void)fd, (void)events;
	if (r < 0)
		(void)kw_log_error(r, "cannot read \"%s\"", daemon->settings->cells);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *context)
{
	struct kw_daemon *daemon = context;

	(void)source, (void)usec;
	kw_pipeline_due(&daemon->pipeline);
	return 0;
}

/* Lines that a failed fdatasync left in doubt can only be had back by a start. */
static int end_if_beyond_repair(struct kw_daemon *daemon)
{
	if (daemon->pipeline.blocked != -ENOTRECOVERABLE)
		return 0;
	kw_log(LOG_ERR,
	       "the disk failed to keep lines that are no more in memory: the next start takes them from the page cache");
	return sd_event_exit(daemon->event, KW_EXIT_FAIL);
}

static int on_housekeeping(sd_event_source *source, uint64_t usec, void *context)
{
	struct kw_daemon *daemon = context;
	int r = sd_event_source_set_time(source, usec + HOUSEKEEPING_USEC);

	if (r < 0)
		return r;
	kw_watchdog_turn(daemon);
	if (kw_pipeline_ready(&daemon->pipeline) < 0)
		return end_if_beyond_repair(daemon);
	if (daemon->evidence_source)
		(void)sd_event_source_set_enabled(daemon->evidence_source, SD_EVENT_ON);
	r = kw_hooks_collect_losses(daemon->hooks, kw_pipeline_observe, &daemon->pipeline);
	if (r < 0 && daemon->pipeline.blocked == 0)
		(void)kw_log_error(r, "cannot read the producers' loss counters");
	kw_gatekeeper_retry(daemon);
	kw_sweeper_resume(daemon);
	kw_killers_turn(daemon);
	if (!kw_cells_is_watched(daemon->pipeline.cells))
		(void)on_cells(NULL, -1, 0, daemon);
	kw_pipeline_poll(&daemon->pipeline);
	kw_pipeline_scanned(&daemon->pipeline);
	kw_rekey_turn(daemon);
	kw_pipeline_checkpoint(&daemon->pipeline);
	kw_pipeline_segments(&daemon->pipeline);
	kw_pipeline_sync(&daemon->pipeline);
	kw_http_turn(daemon);
	return 0;
}

static int add_signals(struct kw_daemon *daemon)
{
	/* Without a handler, sd-event ends the loop; the context is its exit code then. */
	static const struct {
		int number;
		sd_event_signal_handler_t handler;
	} signals[] = { { SIGTERM, NULL }, { SIGINT, NULL }, { SIGHUP, on_hangup } };
	sigset_t mask;

	(void)sigemptyset(&mask);
	for (size_t i = 0; i < kw_array_size(signals); i++)
		(void)sigaddset(&mask, signals[i].number);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < kw_array_size(signals); i++) {
		sd_event_source *source = NULL;
		int r = sd_event_add_signal(daemon->event, &source, signals[i].number,
					    signals[i].handler, signals[i].handler ? daemon : NULL);

		if (r < 0)
			return r;
		r = sd_event_source_set_priority(source, -100);
		if (r == 0)
			r = sd_event_source_set_floating(source, true);
		sd_event_source_unref(source);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_io(struct kw_daemon *daemon, int fd, int64_t priority, const char *name,
		  sd_event_io_handler_t handler, sd_event_source **ret_source)
{
	int r = sd_event_add_io(daemon->event, ret_source, fd, EPOLLIN, handler, daemon);

	if (r < 0)
		return r;
	(void)sd_event_source_set_description(*ret_source, name);
	return sd_event_source_set_priority(*ret_source, priority);
}

static int add_timer(struct kw_daemon *daemon, uint64_t usec, int64_t priority, const char *name,
		     sd_event_time_handler_t handler, sd_event_source **ret_source)
{
	int r = sd_event_add_time(daemon->event, ret_source, CLOCK_BOOTTIME, usec, 1000, handler,
				  daemon);

	if (r < 0)
		return r;
	(void)sd_event_source_set_description(*ret_source, name);
	r = sd_event_source_set_priority(*ret_source, priority);
	return r < 0 ? r : sd_event_source_set_enabled(*ret_source, SD_EVENT_ON);
}

static int add_sources(struct kw_daemon *daemon)
{
	sd_event_source *cells = NULL, *post = NULL;
	uint64_t now_usec = kw_clock_boot_ns(daemon->clock) / KW_NSEC_PER_USEC;
	int ring_fd = kw_hooks_ring_fd(daemon->hooks);
	int r = add_signals(daemon);

	if (r == 0 && ring_fd >= 0)
		r = add_io(daemon, ring_fd, -50, "evidence", on_evidence, &daemon->evidence_source);
	if (r >= 0)
		r = add_io(daemon, kw_cells_fd(daemon->pipeline.cells), -20, "cells", on_cells,
			   &cells);
	if (r >= 0)
		r = sd_event_source_set_floating(cells, true);
	sd_event_source_unref(cells);
	if (r >= 0)
		r = add_timer(daemon, now_usec, 10, "deadlines", on_deadline,
			      &daemon->deadline_source);
	if (r >= 0)
		r = add_timer(daemon, now_usec + HOUSEKEEPING_USEC, 20, "housekeeping",
			      on_housekeeping, &daemon->housekeeping_source);
	if (r >= 0)
		r = sd_event_add_post(daemon->event, &post, on_post, daemon);
	if (r >= 0)
		r = sd_event_source_set_floating(post, true);
	sd_event_source_unref(post);
	if (r >= 0)
		r = kw_clockset_start(daemon);
	if (r >= 0)
		r = kw_bulk_start(daemon);
	if (r >= 0)
		r = kw_sweeper_start(daemon);
	return r;
}

/* The copy to stdout is another process with a cursor of its own: a slow reader cannot hold us back. */
static int start_stdout(struct kw_daemon *daemon)
{
	char program[KW_PATH_MAX], from[24];
	char *arguments[] = { program,
			      (char[]){ "tail" },
			      (char[]){ "--json" },
			      (char[]){ "--follow" },
			      (char[]){ "--from" },
			      from,
			      (char[]){ "--ledger" },
			      daemon->settings->ledger,
			      NULL };
	int r = kw_startup_beside("kwitness", program, sizeof(program));
	pid_t pid;

	if (r < 0)
		return r;
	(void)snprintf(from, sizeof(from), "%llu",
		       (unsigned long long)daemon->pipeline.first_sequence);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		sigset_t none;

		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		/* Ctrl-C is ours to hear: the copy ends after our last line, or when we are gone. */
		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		(void)execv(program, arguments);
		_exit(127);
	}
	daemon->stdout_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return daemon->stdout_pidfd < 0 ? -errno : 0;
}

/* Consumes until the rings are empty or the time is over. 0 or -errno. */
static int consume_backlog(struct kw_daemon *daemon)
{
	uint64_t end = kw_clock_boot_ns(daemon->clock) + DRAIN_NS;
	int r = kw_pipeline_ready(&daemon->pipeline);

	while (r >= 0 && kw_hooks_backlog(daemon->hooks) > 0 &&
	       kw_clock_boot_ns(daemon->clock) < end) {
		r = kw_hooks_consume(daemon->hooks, RECORDS_PER_TURN, kw_pipeline_observe,
				     &daemon->pipeline);
		if (r == 0)
			break;
		if (r > 0)
			r = kw_pipeline_ready(&daemon->pipeline);
	}
	return r < 0 ? r : 0;
}

/* SIGTERM: what the kernel has recorded until now still goes in, within DRAIN_NS. */
static int drain(struct kw_daemon *daemon)
{
	int r = consume_backlog(daemon);

	if (r == 0)
		(void)kw_bulk_turn(daemon);
	if (r == 0)
		r = kw_hooks_collect_losses(daemon->hooks, kw_pipeline_observe, &daemon->pipeline);
	/* On a full disk records stay where they are, for the next start; the end is said from the reserve. */
	return r < 0 && r != -ENOSPC ? r : kw_pipeline_stop(&daemon->pipeline);
}

static int stop(struct kw_daemon *daemon)
{
	int r;

	(void)sd_notify(0, "STOPPING=1");
	kw_cellwatch_stop(daemon);
	r = drain(daemon);
	kw_rekey_stop(daemon);
	if (daemon->stdout_pidfd >= 0) {
		(void)syscall(SYS_pidfd_send_signal, daemon->stdout_pidfd, SIGTERM, NULL, 0);
		(void)waitid((idtype_t)P_PIDFD, (id_t)daemon->stdout_pidfd, NULL, WEXITED);
	}
	if (r < 0) {
		(void)kw_log_error(r, "could not record the end in order");
		return KW_EXIT_FAIL;
	}
	kw_log(LOG_INFO, "stopped at sequence %llu",
	       (unsigned long long)kw_attest_head(daemon->pipeline.attest).sequence);
	return KW_EXIT_OK;
}

int kw_loop_run(struct kw_daemon *daemon)
{
	int r = sd_event_default(&daemon->event);

	if (r >= 0)
		r = add_sources(daemon);
	if (r >= 0 && daemon->settings->to_stdout)
		r = start_stdout(daemon);
	if (r < 0) {
		(void)kw_log_error(r, "cannot set up the event loop");
		return KW_EXIT_FAIL;
	}
	if (kw_privileges_drop(daemon->settings->syscall_filter) < 0)
		return KW_EXIT_FAIL;
	kw_watchdog_start(daemon);
	if (kw_gatekeeper_start(daemon) < 0)
		return KW_EXIT_FAIL;
	kw_http_start(daemon);
	(void)on_cells(NULL, -1, 0, daemon);
	if (!kw_cells_is_watched(daemon->pipeline.cells) &&
	    kw_pipeline_gap(
		    &daemon->pipeline, KW_GAP_FILE, "cells", 0,
		    "there is no inotify watch left (fs.inotify.max_user_watches): cell files are looked at once a second") <
		    0)
		return KW_EXIT_FAIL;
	/* The ring of programs that were replaced at this start wakes nobody any more. */
	if (consume_backlog(daemon) < 0 && daemon->pipeline.blocked == 0)
		return KW_EXIT_FAIL;
	kw_pipeline_sync(&daemon->pipeline);
	(void)sd_notify(0, "READY=1\nSTATUS=Recording.");
	kw_log(LOG_INFO, "ready in tier %s, ledger \"%s\"",
	       kw_tier_name(kw_hooks_tier(daemon->hooks)), daemon->settings->ledger);
	r = sd_event_loop(daemon->event);
	if (r < 0) {
		(void)kw_log_error(r, "the event loop failed");
		return KW_EXIT_FAIL;
	}
	return stop(daemon);
}
