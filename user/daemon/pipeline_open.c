/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the pipeline is made of, opened in the order that makes failures clear, and what the ledger's end
 * says about the time before this start.
 */
#include "user/daemon/pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/log.h"

static int open_ledger(struct kw_pipeline *pipeline, const struct kw_pipeline_options *options,
		       struct kw_ledger_found *ret_found)
{
	const char *path = options->ledger;
	int r = kw_ledger_open(path, options->segment_bytes, &pipeline->ledger, ret_found);

	if (r == -EBUSY)
		kw_log(LOG_ERR, "another kwitnessd has the ledger \"%s\"", path);
	else if (r == -EBADMSG)
		kw_log(LOG_ERR,
		       "the last line in \"%s\" is not one of kwitness, or its segment is compressed (zstd -d --rm): move the directory away to start a new ledger",
		       path);
	else if (r < 0)
		(void)kw_log_error(r, "cannot open the ledger \"%s\"", path);
	return r;
}

static int open_attest(struct kw_pipeline *pipeline, const struct kw_pipeline_options *options,
		       const struct kw_ledger_found *found, bool *ret_rebuilt)
{
	struct kw_attest_tree tree = { 0 };
	struct kw_attest_options attest = {
		.key = options->key,
		.source = options->source,
		.clock = pipeline->clock,
		.head = found->head,
		.tree = options->checkpoint_ns ? &tree : NULL,
	};
	int r = 0;

	if (options->checkpoint_ns)
		r = kw_pipeline_tree(pipeline, &found->head, &tree, ret_rebuilt);
	if (r < 0)
		return r;
	r = kw_attest_open(&attest, &pipeline->attest);
	return r < 0 ? kw_log_error(r, "cannot set up signing") : 0;
}

static int open_reconcile(struct kw_pipeline *pipeline, const struct kw_pipeline_options *options)
{
	struct kw_reconcile_options reconcile = {
		.settle_ns = options->settle_ns,
		.memory_localevents = options->memory_localevents,
		.pids_localevents = options->pids_localevents,
		.finding = kw_pipeline_finding,
		.reader = kw_pipeline_read,
		.cgroup_counts = kw_pipeline_cgroup_counts,
		.state = kw_pipeline_state,
		.silence_ns = options->silence_ns,
		.history = kw_pipeline_history,
		.cgroup_context = kw_pipeline_context,
		.context = pipeline,
	};
	int r;

	(void)snprintf(reconcile.boot_id, sizeof(reconcile.boot_id), "%s", options->boot_id);
	r = kw_poller_open(options->cgroup_root, pipeline->clock, &pipeline->poller);
	if (r == 0)
		r = kw_cells_open(options->cells, options->cgroup_root, &pipeline->cells);
	if (r < 0)
		return kw_log_error(r, "cannot open \"%s\"", options->cells);
	r = kw_attribute_open(pipeline->cells, &pipeline->attribute);
	if (r == 0)
		r = kw_reconcile_open(&reconcile, &pipeline->reconcile);
	return r < 0 ? kw_log_error(r, "cannot set up") : 0;
}

/* In words, who wrote last and what lies between. */
static void describe_start(const char *boot_id, const struct kw_ledger_found *found,
			   struct kw_gap *gap)
{
	const char *end = found->stopped ? "stopped in order" : "did not end in order";
	const char *between;
	char last[KW_RFC3339_BYTES];

	if (!found->has_last) {
		gap->kind = KW_GAP_START;
		(void)snprintf(gap->reason, sizeof(gap->reason),
			       "the ledger begins; what happened before is not in it");
		return;
	}
	gap->kind = KW_GAP_RESTART;
	if (strcmp(found->last_boot_id, boot_id) == 0) {
		between = "restart";
	} else if (found->last_boot_id[0]) {
		gap->kind = KW_GAP_REBOOT;
		between = "the host was booted anew";
	} else {
		between = "restart; whether the host was booted meanwhile is not known";
	}
	kw_clock_format(found->last_real_ns, last);
	(void)snprintf(gap->reason, sizeof(gap->reason),
		       "%s: the last daemon %s, its last line was recorded at %s", between, end,
		       last);
}

/* The programs went on recording: since when nobody read, and what waits. */
static void describe_unread(const struct kw_unread *unread, struct kw_gap *gap)
{
	size_t used = strlen(gap->reason);

	if (unread->read_boot_ns < gap->to_boot_ns)
		gap->from_boot_ns = unread->read_boot_ns;
	(void)snprintf(gap->reason + used, sizeof(gap->reason) - used,
		       "; its programs went on recording, %llu records waited",
		       (unsigned long long)unread->records);
}

/*
 * Incidents that were open when the last daemon ended. In the same boot the programs may have gone on,
 * and the end records still come: then each is told as if nothing had happened. Otherwise they are not
 * told any more, and that is declared.
 */
static int resume_incidents(struct kw_pipeline *pipeline, const char *boot_id,
			    const struct kw_ledger_found *found)
{
	size_t count;
	const struct kw_ledger_open_kill *kills = kw_ledger_open_kills(pipeline->ledger, &count);

	if (found->open_incidents == 0)
		return 0;
	if (strcmp(found->last_boot_id, boot_id) != 0)
		return kw_pipeline_gap(
			pipeline, KW_GAP_INCIDENT, "daemon", 0,
			"%u incidents were open when the last daemon ended: their kills are recorded, their summaries are not",
			found->open_incidents);
	/* Newest first; the order of the kills is that of the ledger. */
	while (count-- > 0) {
		int r = kw_reconcile_resume(pipeline->reconcile, kills[count].incident_id,
					    kills[count].event_id);

		if (r < 0)
			return r;
	}
	return kw_pipeline_gap(
		pipeline, KW_GAP_INCIDENT, "daemon", 0,
		"%u incidents were open when the last daemon ended: their kills are recorded; an incident whose end the kernel has kept is told still",
		found->open_incidents);
}

static int resume_silence(void *context, const struct kw_ledger_silence *silence)
{
	struct kw_pipeline *pipeline = context;

	return kw_reconcile_resume_silence(pipeline->reconcile, silence->cell_id, silence->run_id,
					   silence->event_id, silence->boot_ns);
}

/* What the ledger's end says about the time before this start. */
static int declare_start(struct kw_pipeline *pipeline, const struct kw_pipeline_options *options,
			 const struct kw_ledger_found *found)
{
	const char *boot_id = options->boot_id;
	struct kw_gap gap = { .stage = "daemon" };
	struct kw_gap_clock clock;
	int r;

	gap.to_boot_ns = kw_clock_boot_ns(pipeline->clock);
	(void)snprintf(gap.boot_id, sizeof(gap.boot_id), "%s", boot_id);
	describe_start(boot_id, found, &gap);
	if (gap.kind == KW_GAP_RESTART && options->unread)
		describe_unread(options->unread, &gap);
	kw_pipeline_clock_begin(pipeline, &clock, &gap);
	r = kw_reconcile_gap(pipeline->reconcile, &gap, gap.to_boot_ns);
	if (r == 0 && found->torn)
		r = kw_pipeline_gap(
			pipeline, KW_GAP_TORN, "ledger", 0,
			"the last line was cut short by a crash: its %llu bytes are kept as torn/%s",
			(unsigned long long)found->torn_bytes, found->torn_name);
	if (r == 0)
		r = resume_incidents(pipeline, boot_id, found);
	/* A guest of another boot is another guest. */
	if (r == 0 && found->has_last && strcmp(found->last_boot_id, boot_id) == 0)
		r = kw_ledger_open_silences(pipeline->ledger_path, resume_silence, pipeline);
	return r < 0 ? kw_log_error(r, "cannot write to the ledger") : 0;
}

int kw_pipeline_open(struct kw_pipeline *pipeline, const struct kw_pipeline_options *options)
{
	struct kw_ledger_found found = { .has_last = false };
	bool rebuilt = false;
	int r;

	*pipeline = (struct kw_pipeline){
		.ledger_path = options->ledger,
		.durability = options->durability,
		.cgroup_root = options->cgroup_root,
		.status = options->status,
		.poll_interval_ns = options->poll_interval_ns,
		.checkpoint_ns = options->checkpoint_ns,
		.checkpoint_events = options->checkpoint_events,
		.checkpoint_boot_ns = kw_clock_boot_ns(options->clock),
	};
	kw_pipeline_clock_init(pipeline, options->clock);
	kw_bytes_init(&pipeline->line, KW_EVENT_MAX);
	r = kw_tally_new(&pipeline->tally);
	if (r < 0)
		return kw_log_error(r, "cannot set up");
	r = open_ledger(pipeline, options, &found);
	pipeline->first_sequence = found.head.sequence + 1;
	if (r == 0)
		r = open_attest(pipeline, options, &found, &rebuilt);
	if (r == 0)
		r = kw_pipeline_profile_open(pipeline, options, &found);
	if (r == 0)
		r = open_reconcile(pipeline, options);
	if (r == 0 && found.has_last)
		r = kw_pipeline_resume(pipeline, strcmp(found.last_boot_id, options->boot_id) == 0);
	if (r == 0)
		r = declare_start(pipeline, options, &found);
	if (r == 0)
		r = kw_pipeline_profile_declare(pipeline);
	if (r == 0)
		r = kw_pipeline_segments_open(pipeline, options);
	if (r == 0 && rebuilt)
		r = kw_pipeline_gap(
			pipeline, KW_GAP_FILE, "ledger", 0,
			"the ledger's head was not there: whether lines were cut off before this start cannot be told; it was made anew from all %llu lines",
			(unsigned long long)found.head.sequence);
	return r;
}

void kw_pipeline_close(struct kw_pipeline *pipeline)
{
	kw_archive_free(pipeline->archive);
	kw_reconcile_free(pipeline->reconcile);
	kw_attribute_free(pipeline->attribute);
	kw_cells_free(pipeline->cells);
	kw_poller_free(pipeline->poller);
	kw_sweep_free(pipeline->sweep);
	kw_attest_free(pipeline->attest);
	kw_ledger_free(pipeline->ledger);
	kw_tally_free(pipeline->tally);
	kw_bytes_done(&pipeline->line);
	kw_bytes_done(&pipeline->envelope);
}
