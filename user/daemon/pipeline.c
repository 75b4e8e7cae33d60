/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole way of an observation, in one function: start reading here.
 *
 * The ledger is the only queue: an observation is signed and appended in the turn in which it was
 * read, and only then is its slot in the kernel's ring released. When the ledger cannot take a line
 * (disk full, I/O error) the observation is not finished: its record stays in the ring, its message
 * with the gate's link, nothing more is consumed, and it is read again when the ledger takes lines.
 */
#include "user/daemon/pipeline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/base/log.h"

/* What one turn may append at most: 64 records, each with a line of usual size. */
#define TURN_BYTES (64U * 8192U)

int kw_pipeline_observe(void *context, const struct kw_observation *observation)
{
	struct kw_pipeline *pipeline = context;
	struct kw_attributed attributed;
	int r;

	if (observation->kind == KW_OBSERVATION_LIFECYCLE && pipeline->sweep)
		kw_sweep_lifecycle(pipeline->sweep, observation->lifecycle);
	kw_attribute_observation(pipeline->attribute, observation, &attributed);
	r = kw_reconcile_observe(pipeline->reconcile, &attributed); /* → kw_pipeline_finding() */
	if (r < 0)
		return r;
	kw_pipeline_sync_observed(pipeline, observation->kind);
	return 0;
}

static void tell(const struct kw_pipeline *pipeline, const char *words, const char *more)
{
	char status[256];

	if (!pipeline->status)
		return;
	(void)snprintf(status, sizeof(status), "%s%s", words, more);
	pipeline->status(status);
}

static void block(struct kw_pipeline *pipeline, int error)
{
	if (pipeline->blocked == 0) {
		pipeline->blocked_boot_ns = kw_clock_boot_ns(pipeline->clock);
		(void)kw_log_error(
			error,
			"the ledger in \"%s\" takes no lines; evidence waits in the kernel's ring until it does",
			pipeline->ledger_path);
		tell(pipeline, "Ledger takes no lines: ", strerror(-error));
	}
	pipeline->blocked = error;
}

static void count(struct kw_totals *totals, const struct kw_finding *finding)
{
	switch (finding->kind) {
	case KW_FINDING_OOM_KILL:
		totals->kills++;
		break;
	case KW_FINDING_OOM_INCIDENT:
		totals->incidents++;
		totals->explained += finding->incident->verdict == KW_VERDICT_EXPLAINED;
		totals->unexplained += finding->incident->verdict == KW_VERDICT_UNEXPLAINED;
		totals->unverified += finding->incident->verdict == KW_VERDICT_UNVERIFIED;
		break;
	case KW_FINDING_GUEST:
		totals->guest++;
		break;
	case KW_FINDING_GAP:
		totals->gaps++;
		if (finding->gap->lost_known &&
		    __builtin_add_overflow(totals->lost, finding->gap->lost, &totals->lost))
			totals->lost = UINT64_MAX;
		break;
	case KW_FINDING_CGROUP:
	case KW_FINDING_THROTTLE:
	case KW_FINDING_PIDS:
	case KW_FINDING_HIGH:
	case KW_FINDING_COUNTER_KILL: /* these three: kw_reconcile_totals() */
	case KW_FINDING_PARITY:
	case KW_FINDING_ACCOUNT:
	case KW_FINDING_CROSSCHECK:
	case KW_FINDING_SILENCE:
	case KW_FINDING_USERSPACE_KILL: /* of its own in the tally: the kernel's are counted above */
	case KW_FINDING_KIND_COUNT_:
		break;
	}
}

int kw_pipeline_finding(void *context, const struct kw_finding *finding)
{
	struct kw_pipeline *pipeline = context;
	uint64_t sequence = kw_attest_head(pipeline->attest).sequence + 1;
	int r;

	/* The same record read twice: the daemon died between append and release of the slot. */
	if (finding->event_id[0] && kw_ledger_has_id(pipeline->ledger, finding->event_id)) {
		kw_reconcile_said(pipeline->reconcile, finding, finding->event_id);
		return 1;
	}
	r = kw_attest_finding(pipeline->attest, finding, &pipeline->line);
	if (r < 0)
		return kw_log_error(r, "cannot make an event of a finding");
	r = kw_pipeline_append(pipeline, sequence);
	if (r < 0) {
		block(pipeline, r);
		return r;
	}
	kw_attest_commit(pipeline->attest);
	kw_pipeline_sync_line(pipeline);
	count(&pipeline->totals, finding);
	kw_reconcile_said(pipeline->reconcile, finding, kw_attest_line_id(pipeline->attest));
	kw_tally_finding(pipeline->tally, finding, kw_clock_real_ns(pipeline->clock));
	kw_journal_finding(pipeline->journal, finding);
	return 0;
}

int kw_pipeline_read(void *context, const char *path, struct kw_reading *ret_reading)
{
	struct kw_pipeline *pipeline = context;

	return kw_poller_read_now(pipeline->poller, path, ret_reading);
}

int kw_pipeline_state(void *context, const char *path, struct kw_state *ret_state)
{
	struct kw_pipeline *pipeline = context;

	return kw_state_read(pipeline->cgroup_root, path, pipeline->clock, ret_state);
}

int kw_pipeline_history(void *context, const char *path, struct kw_history *ret_history)
{
	const struct kw_pipeline *pipeline = context;

	return pipeline->sweep ? kw_sweep_history(pipeline->sweep, path, ret_history) : -ENODATA;
}

int kw_pipeline_context(void *context, const char *path, struct kw_cgroup_context *ret_context)
{
	const struct kw_pipeline *pipeline = context;

	return pipeline->sweep ? kw_sweep_context(pipeline->sweep, path, ret_context) : -ENODATA;
}

/* What a failed fdatasync had put in doubt, in words. */
static const char *describe_doubt(struct kw_pipeline *pipeline, char *text, size_t size)
{
	uint64_t first, last;

	if (!kw_ledger_take_doubt(pipeline->ledger, &first, &last))
		return "";
	(void)snprintf(
		text, size,
		"; lines %llu to %llu had not reached the disk for sure, and were written again",
		(unsigned long long)first, (unsigned long long)last);
	return text;
}

/* Once for each time that the disk is full, so that a ledger which ends there says why. */
static void last_words(struct kw_pipeline *pipeline)
{
	if (pipeline->said_full)
		return;
	pipeline->said_full = true;
	kw_ledger_use_reserve(pipeline->ledger, false);
	if (kw_pipeline_gap(
		    pipeline, KW_GAP_FILE, "ledger", pipeline->blocked_boot_ns,
		    "the disk is full: the ledger takes no lines, and records wait in the kernel's ring until there is room") ==
	    0)
		kw_ledger_request_sync(pipeline->ledger);
}

int kw_pipeline_ready(struct kw_pipeline *pipeline)
{
	size_t forms = pipeline->profile == KW_PROFILE_BOTH ? 2 : 1;
	int r = kw_ledger_has_space(pipeline->ledger, forms * TURN_BYTES);

	if (r < 0) {
		block(pipeline, r);
		if (r == -ENOSPC)
			last_words(pipeline);
		return r;
	}
	if (pipeline->blocked < 0) {
		uint64_t since = pipeline->blocked_boot_ns;
		int why = pipeline->blocked;
		char doubt[160];

		pipeline->blocked = 0;
		pipeline->said_full = false;
		kw_log(LOG_NOTICE, "the ledger takes lines again");
		tell(pipeline, "Recording.", "");
		r = kw_pipeline_gap(
			pipeline, KW_GAP_FILE, "ledger", since,
			"the ledger could not be written (%s); records waited in the kernel's ring, and what did not fit there is declared as lost%s",
			strerror(-why), describe_doubt(pipeline, doubt, sizeof(doubt)));
	}
	return r < 0 ? r : kw_pipeline_clock_look(pipeline);
}

int kw_pipeline_gap(struct kw_pipeline *pipeline, enum kw_gap_kind kind, const char *stage,
		    uint64_t from_boot_ns, const char *format, ...)
{
	uint64_t now = kw_clock_boot_ns(pipeline->clock);
	struct kw_gap gap = { .kind = kind, .from_boot_ns = from_boot_ns, .to_boot_ns = now };
	va_list arguments;
	int r;

	(void)snprintf(gap.stage, sizeof(gap.stage), "%s", stage);
	va_start(arguments, format);
	(void)vsnprintf(gap.reason, sizeof(gap.reason), format, arguments);
	va_end(arguments);
	r = kw_reconcile_gap(pipeline->reconcile, &gap, now);
	if (r < 0)
		return kw_log_error(r, "cannot declare a gap (%s)", gap.reason);
	return 0;
}

void kw_pipeline_refuse_cell(struct kw_pipeline *pipeline, const char *what, const char *reason)
{
	kw_log(LOG_WARNING, "cell %s: %s", what, reason);
	(void)kw_pipeline_gap(pipeline, KW_GAP_CELL, "cells", 0, "cell %s: %s", what, reason);
}

static void add_cell(struct kw_pipeline *pipeline, const struct kw_cell *cell)
{
	int r;

	kw_log(LOG_INFO, "cell %s registered (run %s)", cell->cell_id, cell->run_id);
	if (!cell->cgroup_path[0])
		return;
	r = kw_poller_add(pipeline->poller, cell->handle, cell->cgroup_path);
	if (r < 0)
		kw_pipeline_refuse_cell(pipeline, cell->cell_id, strerror(-r));
}

void kw_pipeline_cell(struct kw_pipeline *pipeline, enum kw_cell_change change,
		      const struct kw_cell *cell, const char *file, const char *refusal)
{
	switch (change) {
	case KW_CELL_ADDED:
		add_cell(pipeline, cell);
		kw_reconcile_cell(pipeline->reconcile, change, cell,
				  kw_clock_boot_ns(pipeline->clock));
		return;
	case KW_CELL_REMOVED:
		kw_log(LOG_INFO, "cell %s unregistered", cell->cell_id);
		kw_poller_remove(pipeline->poller, cell->handle);
		kw_reconcile_cell(pipeline->reconcile, change, cell,
				  kw_clock_boot_ns(pipeline->clock));
		return;
	case KW_CELL_REFUSED:
		kw_pipeline_refuse_cell(pipeline, file, refusal);
		return;
	default:
		kw_unreachable();
	}
}

void kw_pipeline_due(struct kw_pipeline *pipeline)
{
	int r;

	/* An incident that is due waits for the ledger; its deadline stays. */
	if (kw_pipeline_ready(pipeline) < 0)
		return;
	r = kw_reconcile_due(pipeline->reconcile, kw_clock_boot_ns(pipeline->clock));
	if (r < 0 && pipeline->blocked == 0)
		(void)kw_log_error(r, "cannot settle an incident");
	kw_pipeline_sync(pipeline);
}

void kw_pipeline_poll(struct kw_pipeline *pipeline)
{
	uint64_t now = kw_clock_boot_ns(pipeline->clock);

	if (now >= pipeline->next_poll_boot_ns) {
		kw_poller_begin_round(pipeline->poller);
		pipeline->next_poll_boot_ns = now + pipeline->poll_interval_ns;
	}
	if (kw_poller_read_due(pipeline->poller, KW_PIPELINE_CGROUPS_PER_TURN, kw_pipeline_observe,
			       pipeline) < 0)
		pipeline->next_poll_boot_ns =
			now; /* blocked: logged there; a new round when it is over */
}

int kw_pipeline_stop(struct kw_pipeline *pipeline)
{
	int r;

	if (pipeline->blocked == -ENOSPC)
		kw_ledger_use_reserve(pipeline->ledger, true);
	r = kw_reconcile_flush(pipeline->reconcile, kw_clock_boot_ns(pipeline->clock));
	if (r == 0)
		r = kw_pipeline_account(pipeline, true);
	if (r == 0)
		r = kw_pipeline_gap(pipeline, KW_GAP_STOP, "daemon",
				    kw_clock_boot_ns(pipeline->clock), "stopped in order");
	return r < 0 ? r : kw_pipeline_checkpoint_stop(pipeline);
}
