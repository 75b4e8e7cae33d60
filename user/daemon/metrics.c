/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon's figures in Prometheus' text format 0.0.4. Conventions: base units, counters end in _total and start
 * at 0, what is a state is a gauge, what is a word is a label of an _info. No label holds a raw cgroup path.
 */
#include "user/daemon/status.h"

#include <inttypes.h>
#include <string.h>

#include "user/base/text.h"

static void head(struct kw_bytes *out, const char *name, const char *type, const char *help)
{
	kw_bytes_append_format(out, "# HELP kwitness_%s %s\n# TYPE kwitness_%s %s\n", name, help,
			       name, type);
}

static void plain(struct kw_bytes *out, const char *name, const char *type, const char *help,
		  uint64_t value)
{
	head(out, name, type, help);
	kw_bytes_append_format(out, "kwitness_%s %" PRIu64 "\n", name, value);
}

/* Text format 0.0.4: in a label's value a backslash, a quote and a line feed are escaped. Other control
 * characters and bytes that are no UTF-8 are made printable first. */
static void label_value(struct kw_bytes *out, const char *value)
{
	cleanup_bytes struct kw_bytes printable;

	kw_bytes_init(&printable, KW_HTTP_PAGE_MAX);
	kw_text_append_printable(&printable, value, strlen(value));
	for (size_t i = 0; i < printable.length; i++) {
		if (printable.data[i] == '\\' || printable.data[i] == '"')
			kw_bytes_append_char(out, '\\');
		kw_bytes_append_char(out, printable.data[i]);
	}
}

static void seconds(struct kw_bytes *out, uint64_t nanoseconds)
{
	uint64_t whole = nanoseconds / KW_NSEC_PER_SEC, rest = nanoseconds % KW_NSEC_PER_SEC;

	kw_bytes_append_format(out, "%" PRIu64 ".%09" PRIu64 "\n", whole, rest);
}

static void write_events(const struct kw_daemon *daemon, struct kw_bytes *out)
{
	uint64_t last;

	head(out, "events_total", "counter", "Events written to the ledger since the start.");
	for (int i = 0; i < KW_FINDING_KIND_COUNT_; i++)
		kw_bytes_append_format(
			out, "kwitness_events_total{type=\"%s\"} %" PRIu64 "\n",
			kw_tally_kind_name((enum kw_finding_kind)i),
			kw_tally_count(daemon->pipeline.tally, (enum kw_finding_kind)i, &last));
	head(out, "last_event_timestamp_seconds", "gauge",
	     "When the last event of a type was written; absent: none since the start.");
	for (int i = 0; i < KW_FINDING_KIND_COUNT_; i++) {
		(void)kw_tally_count(daemon->pipeline.tally, (enum kw_finding_kind)i, &last);
		if (last == 0)
			continue;
		kw_bytes_append_format(out, "kwitness_last_event_timestamp_seconds{type=\"%s\"} ",
				       kw_tally_kind_name((enum kw_finding_kind)i));
		seconds(out, last);
	}
}

struct labelled {
	struct kw_bytes *out;
	const char *metric;
	const char *label;
};

static void write_label(void *context, const char *name, uint64_t kills)
{
	const struct labelled *labelled = context;

	kw_bytes_append_format(labelled->out, "kwitness_%s{%s=\"", labelled->metric,
			       labelled->label);
	label_value(labelled->out, name ? name : "(other)");
	kw_bytes_append_format(labelled->out, "\"} %" PRIu64 "\n", kills);
}

static void write_kills(const struct kw_daemon *daemon, struct kw_bytes *out)
{
	const struct kw_totals *totals = &daemon->pipeline.totals;
	struct labelled unit = { out, "unit_oom_kills_total", "unit" };
	struct labelled cell = { out, "cell_oom_kills_total", "cell" };
	struct labelled stage = { out, "stage_lost_records_total", "stage" };

	head(out, "oom_incidents_total", "counter",
	     "OOMs since the start, by whether the kernel's counters were explained.");
	kw_bytes_append_format(out,
			       "kwitness_oom_incidents_total{verdict=\"explained\"} %" PRIu64 "\n"
			       "kwitness_oom_incidents_total{verdict=\"unexplained\"} %" PRIu64 "\n"
			       "kwitness_oom_incidents_total{verdict=\"unverified\"} %" PRIu64 "\n",
			       totals->explained, totals->unexplained, totals->unverified);
	head(out, unit.metric, "counter", "Processes of a systemd unit that were OOM-killed.");
	kw_tally_each(daemon->pipeline.tally, KW_TALLY_UNIT, write_label, &unit);
	head(out, cell.metric, "counter", "Processes of a registered cell that were OOM-killed.");
	kw_tally_each(daemon->pipeline.tally, KW_TALLY_CELL, write_label, &cell);
	plain(out, "lost_records_total", "counter",
	      "Records that were lost, as gap events declared them.", totals->lost);
	head(out, stage.metric, "counter", "The same by the stage that lost them.");
	kw_tally_each(daemon->pipeline.tally, KW_TALLY_STAGE, write_label, &stage);
}

/* Where the account of oom_kill stands, and what the poller follows. */
static void write_parity(const struct kw_daemon *daemon, struct kw_bytes *out)
{
	struct kw_parity_totals totals;
	struct kw_sweep_totals sweep;

	if (!daemon->pipeline.sweep)
		return;
	kw_reconcile_totals(daemon->pipeline.reconcile, &totals);
	kw_sweep_totals(daemon->pipeline.sweep, &sweep);
	head(out, "parity_oom_kills", "gauge",
	     "The kernel's oom_kill counts since the account began, by what explains them; pending: not settled yet.");
	kw_bytes_append_format(out,
			       "kwitness_parity_oom_kills{by=\"hook\"} %" PRIu64 "\n"
			       "kwitness_parity_oom_kills{by=\"counter\"} %" PRIu64 "\n"
			       "kwitness_parity_oom_kills{by=\"duplicate\"} %" PRId64 "\n"
			       "kwitness_parity_oom_kills{by=\"nothing\"} %" PRId64 "\n"
			       "kwitness_parity_oom_kills{by=\"pending\"} %" PRId64 "\n",
			       totals.by_hook, totals.by_counter, totals.duplicates,
			       totals.unexplained, totals.pending);
	plain(out, "parity_faults_total", "counter",
	      "Moves of kernel counters of any kind without an event, and events without a move.",
	      totals.faults);
	head(out, "parity_verdicts_total", "counter",
	     "Verdicts on counters that moved, since the start.");
	for (int i = 0; i < KW_PARITY_VERDICT_COUNT_; i++)
		kw_bytes_append_format(
			out, "kwitness_parity_verdicts_total{verdict=\"%s\"} %" PRIu64 "\n",
			kw_parity_verdict_name((enum kw_parity_verdict)i), totals.verdicts[i]);
	plain(out, "polled_cgroups", "gauge", "Cgroups whose counters are read.", sweep.cgroups);
	plain(out, "polled_cgroups_without_watch", "gauge",
	      "Those of which inotify does not tell: they are read in rounds only.",
	      sweep.not_notified);
	plain(out, "refused_cgroups", "gauge", "Cgroups that are not read: there are too many.",
	      sweep.refused);
}

static void write_hooks(const struct kw_daemon *daemon, struct kw_bytes *out)
{
	enum kw_tier tier = KW_TIER_FILES;
	const char *name;

	head(out, "tier_info", "gauge", "The tier that was reached: fentry is the best one.");
	kw_bytes_append_format(out, "kwitness_tier_info{tier=\"%s\"} 1\n",
			       kw_tier_name(kw_hooks_tier(daemon->hooks)));
	head(out, "hook_info", "gauge",
	     "Each kernel hook with the tier it is attached in; files: it is not.");
	for (size_t i = 0; (name = kw_hooks_name(daemon->hooks, i, &tier)); i++)
		kw_bytes_append_format(out, "kwitness_hook_info{hook=\"%s\",tier=\"%s\"} 1\n", name,
				       kw_tier_name(tier));
	plain(out, "evidence_ring_backlog_bytes", "gauge",
	      "Bytes of kernel records that wait to be read.", kw_hooks_backlog(daemon->hooks));
}

void kw_metrics_write_costs(const struct kw_status_costs *costs, struct kw_bytes *out)
{
	if (costs->counting >= 0)
		plain(out, "bpf_stats_enabled", "gauge",
		      "1: the kernel counts runs and run time of BPF programs; 0: the two below stand still.",
		      (uint64_t)costs->counting);
	head(out, "bpf_program_runs_total", "counter",
	     "Runs of an attached BPF program that the kernel has counted.");
	for (int i = 0; i < costs->count; i++)
		kw_bytes_append_format(
			out, "kwitness_bpf_program_runs_total{program=\"%s\"} %" PRIu64 "\n",
			costs->programs[i].program, costs->programs[i].run_count);
	head(out, "bpf_program_run_seconds_total", "counter", "Time those runs took.");
	for (int i = 0; i < costs->count; i++) {
		kw_bytes_append_format(out,
				       "kwitness_bpf_program_run_seconds_total{program=\"%s\"} ",
				       costs->programs[i].program);
		seconds(out, costs->programs[i].run_time_ns);
	}
}

static void write_ledger(const struct kw_daemon *daemon, struct kw_bytes *out)
{
	plain(out, "ledger_sequence", "gauge", "Sequence of the ledger's last line.",
	      kw_attest_head(daemon->pipeline.attest).sequence);
	plain(out, "ledger_durable_sequence", "gauge",
	      "Sequence up to which lines are known to be on disk.",
	      kw_ledger_durable(daemon->pipeline.ledger));
	plain(out, "ledger_blocked", "gauge",
	      "1: the ledger takes no lines, and evidence waits in the kernel's ring.",
	      daemon->pipeline.blocked < 0);
	plain(out, "cells", "gauge", "Registered cells.", kw_cells_count(daemon->pipeline.cells));
}

void kw_metrics_write_clock(const struct kw_clockwatch *watch, const struct kw_clock_sync *sync,
			    struct kw_bytes *out)
{
	if (sync && sync->state != KW_CLOCK_UNKNOWN) {
		plain(out, "clock_synchronised", "gauge",
		      "1: the kernel takes the wall clock for synchronised; absent: it cannot be told.",
		      sync->state == KW_CLOCK_SYNCHRONISED);
		head(out, "clock_max_error_seconds", "gauge",
		     "The kernel's bound of the wall clock's error.");
		kw_bytes_append_string(out, "kwitness_clock_max_error_seconds ");
		seconds(out, sync->max_error_usec * KW_NSEC_PER_USEC);
	}
	plain(out, "clock_steps_total", "counter", "Times the wall clock was set.",
	      watch->steps.count);
	plain(out, "suspends_total", "counter", "Times the host was suspended.", watch->suspends);
}

void kw_metrics_write(const struct kw_daemon *daemon, struct kw_bytes *out)
{
	struct kw_status_costs costs;
	struct kw_clock_sync sync;

	head(out, "build_info", "gauge", "The version that runs.");
	kw_bytes_append_string(out, "kwitness_build_info{version=\"" KW_VERSION "\"} 1\n");
	head(out, "start_timestamp_seconds", "gauge", "When the daemon was started.");
	kw_bytes_append_string(out, "kwitness_start_timestamp_seconds ");
	seconds(out, daemon->start_real_ns);
	write_hooks(daemon, out);
	kw_status_read_costs(daemon, &costs);
	kw_metrics_write_costs(&costs, out);
	write_events(daemon, out);
	write_kills(daemon, out);
	write_parity(daemon, out);
	write_ledger(daemon, out);
	kw_metrics_write_clock(&daemon->pipeline.clockwatch,
			       kw_pipeline_clock_sync(&daemon->pipeline, &sync), out);
}
