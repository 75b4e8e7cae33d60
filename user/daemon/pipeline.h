/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * pipeline: attribute, reconcile, attest and the ledger as one machine, apart from what drives it. Nothing
 * here waits for a descriptor, arms a timer or reads a clock of its own, so that the event loop (loop.c)
 * and recorded records with a clock of the test's (tests/replay) go through the same code.
 */
#include "user/base/clockwatch.h"
#include "user/daemon/journal.h"
#include "user/daemon/tally.h"
#include "user/deliver/deliver.h"

/* Cgroups that are read in one turn. */
#define KW_PIPELINE_CGROUPS_PER_TURN 64U

/* When the disk is asked to keep lines; whatever it is, a checkpoint, the end of a segment, a removal, a new
 * key and the end in order ask for themselves. */
enum kw_durability {
	KW_DURABILITY_EVIDENCE, /* at once behind an OOM's records, and each second */
	KW_DURABILITY_ALWAYS,	/* at once behind each line */
	KW_DURABILITY_RELAXED,	/* not else */
	KW_DURABILITY_COUNT_
};

struct kw_pipeline_options {
	const char *ledger;
	enum kw_durability durability;
	uint64_t segment_bytes;
	uint64_t segment_age_ns;		 /* 0: whatever its age */
	const struct kw_archive_policy *archive; /* NULL: closed segments are left alone */
	enum kw_profile profile;
	const char *cells;
	const char *cgroup_root;
	uint64_t settle_ns;
	uint64_t silence_ns;	 /* 0: no silence is told */
	bool memory_localevents; /* cgroup2 is mounted so: memory.events counts locally only */
	bool pids_localevents;	 /* pids.events likewise */
	uint64_t poll_interval_ns;
	const char *boot_id;
	const char *source; /* "/kwitness/<machine-id>" */
	const struct kw_key *key;
	const struct kw_clock *clock;
	/* Between two checkpoints when lines were added; 0: none are made, and no head is kept. */
	uint64_t checkpoint_ns;
	uint64_t checkpoint_events; /* or after so many lines; 0: however many */
	/* What waits in the kernel, when it was asked; NULL: not known. */
	const struct kw_unread *unread;
	/* Hears, in words, when the ledger stops and starts to take lines; may be NULL. */
	void (*status)(const char *words);
};

/* key and clock are borrowed and outlive it. */
struct kw_pipeline {
	const struct kw_clock *clock; /* own_clock */
	struct kw_clock own_clock;    /* the one it was given, and the steps it knows of */
	struct kw_clockwatch clockwatch;
	const char *ledger_path; /* borrowed; for messages */
	const char *cgroup_root; /* borrowed */
	void (*status)(const char *words);
	uint64_t poll_interval_ns;

	struct kw_poller *poller;
	struct kw_sweep *sweep; /* of every cgroup; owned; NULL: none */
	struct kw_cells *cells;
	struct kw_attribute *attribute;
	struct kw_reconcile *reconcile;
	struct kw_attest *attest;
	struct kw_ledger *ledger;
	enum kw_durability durability; /* may change at any time */
	enum kw_profile profile;
	uint64_t first_sequence; /* of this run */

	struct kw_bytes line;	  /* the line being made */
	struct kw_bytes envelope; /* and that in its CellOS envelope, if the profile has one */
	uint64_t profile_missing; /* lines at the ledger's end that have none */
	int blocked;		  /* 0, or why the ledger takes no lines now */
	bool said_full;		  /* and the ledger says that the disk is full */
	uint64_t blocked_boot_ns;
	uint64_t next_poll_boot_ns;

	const char *tier; /* borrowed; set by whoever knows it, NULL before */
	struct kw_totals totals;
	struct kw_tally *tally;	    /* owned; NULL: nobody asks */
	struct kw_journal *journal; /* borrowed; NULL: none is told */
	uint64_t checkpoint_ns;
	uint64_t checkpoint_events;   /* 0: however many lines */
	uint64_t checkpoint_boot_ns;  /* of the last one */
	uint64_t checkpoint_sequence; /* its own line's; 0: none since the start */
	enum kw_checkpoint_reason checkpoint_reason;
	bool checkpoint_pending; /* checkpoint_tree is being made durable */
	uint64_t checkpoint_begun_boot_ns;
	struct kw_attest_tree checkpoint_tree;

	struct kw_archive *archive; /* owned; NULL: none */
	uint64_t segment_age_ns;
	uint64_t archive_boot_ns; /* when it was asked to look */
	uint64_t archive_segment; /* and the segment that was written then */
	int archive_error;	  /* that was logged */
	uint64_t
		removal_sequence; /* of the line that declares a removal; 0: none is to be durable */

	const struct kw_hooks *hooks; /* borrowed; set by whoever has them, NULL before */
	uint64_t account_boot_ns;     /* when the account was last said as a whole */
	uint64_t account_sequence;    /* the line behind that; 0: not yet */
};

/* ---- pipeline_open.c ---- */

/* Opens the ledger and what stands before it, and declares what its end says about the time before.
 * Logs what failed. *pipeline needs no initialisation; kw_pipeline_close() it also after a failure.
 * 0 or -errno. */
int kw_pipeline_open(struct kw_pipeline *pipeline, const struct kw_pipeline_options *options)
	kw_must_check;
/* Closes everything and says nothing: what was appended stays. */
void kw_pipeline_close(struct kw_pipeline *pipeline);

/* ---- pipeline_tree.c ---- */

/* The tree over the lines that the ledger holds, from its kept head and what came behind it. Logs why
 * not. -EBADMSG: the ledger is not the one that the head was made of, or is shorter. *ret_rebuilt: there
 * was no head, all lines were read. */
int kw_pipeline_tree(const struct kw_pipeline *pipeline, const struct kw_chain_head *head,
		     struct kw_attest_tree *ret_tree, bool *ret_rebuilt) kw_must_check;

/* ---- pipeline_checkpoint.c ---- */

/* A turn of housekeeping: begins a checkpoint when one is due, writes it when its head is durable. */
void kw_pipeline_checkpoint(struct kw_pipeline *pipeline);
/* After any turn: the same, when many lines were added or a head has just become durable; else nothing. */
void kw_pipeline_checkpoint_early(struct kw_pipeline *pipeline);
/* The last one, over everything; waits for the disk. 0 or -errno. */
int kw_pipeline_checkpoint_stop(struct kw_pipeline *pipeline) kw_must_check;

/* ---- pipeline_clock.c ---- */

/* Takes the clock over, with room for the steps it will make. */
void kw_pipeline_clock_init(struct kw_pipeline *pipeline, const struct kw_clock *clock);
/* Begins to watch, and lets the gap of a start say how the clock stands; clock is lent to the gap. */
void kw_pipeline_clock_begin(struct kw_pipeline *pipeline, struct kw_gap_clock *clock,
			     struct kw_gap *gap);
/* Declares what has become of the clocks since the last look. 0 or -errno: tried again at the next. */
int kw_pipeline_clock_look(struct kw_pipeline *pipeline) kw_must_check;
/* The wall clock's state as it was declared last, and its error now: ret_sync, or NULL when nobody can tell. */
const struct kw_clock_sync *kw_pipeline_clock_sync(const struct kw_pipeline *pipeline,
						   struct kw_clock_sync *ret_sync);
/* Wall-clock time for what may be removed: a step forwards counts after an hour only. */
uint64_t kw_pipeline_clock_settled_ns(const struct kw_pipeline *pipeline);

/* ---- pipeline_segments.c ---- */

/* Begins to look after closed segments, when options say so. 0 or -errno. */
int kw_pipeline_segments_open(struct kw_pipeline *pipeline,
			      const struct kw_pipeline_options *options) kw_must_check;
/* A turn of housekeeping: has closed segments compressed, declares what retention removes, and lets it. */
void kw_pipeline_segments(struct kw_pipeline *pipeline);
/* Whether the segment that is written ought to be closed; a checkpoint is to be its last line. */
bool kw_pipeline_segment_is_due(struct kw_pipeline *pipeline);

/* ---- pipeline_profile.c ---- */

/* The ledger and attest are open: sees to it that the lines to come can have the profile's form. Logs why
 * not. 0 or -errno. */
int kw_pipeline_profile_open(struct kw_pipeline *pipeline,
			     const struct kw_pipeline_options *options,
			     const struct kw_ledger_found *found) kw_must_check;
/* Declares the lines that have no envelope though the profile wants one. 0 or -errno. */
int kw_pipeline_profile_declare(struct kw_pipeline *pipeline) kw_must_check;
/* Appends the line that was made, whose sequence is sequence, in the form or forms of the profile: all of it or
 * nothing. 0 or -errno. */
int kw_pipeline_append(struct kw_pipeline *pipeline, uint64_t sequence) kw_must_check;

/* ---- pipeline_durability.c ---- */

/* Asks for what was appended to be made durable, unless nobody is in a hurry; returns at once. */
void kw_pipeline_sync(struct kw_pipeline *pipeline);
/* An observation's lines are in the ledger: evidence is synced at once. */
void kw_pipeline_sync_observed(struct kw_pipeline *pipeline, enum kw_observation_kind kind);
/* A line is in the ledger. */
void kw_pipeline_sync_line(struct kw_pipeline *pipeline);

/* ---- pipeline_key.c ---- */

/* Appends the line that puts next in the key's place; what follows is signed by it. 0; -errno: nothing has
 * changed. */
int kw_pipeline_rotate(struct kw_pipeline *pipeline, const struct kw_key *next,
		       enum kw_rotation_reason reason) kw_must_check;

/* ---- pipeline_resume.c ---- */

/* What the programs have counted of a cgroup, for reconcile; a kw_cgroup_counts_fn. */
int kw_pipeline_cgroup_counts(void *context, uint64_t cgroup_id,
			      struct kw_cgroup_counts *ret_counts);
/* Takes the account of counters over from the ledger's lines: the last whole one and everything behind it.
 * Nothing is taken over when there is none, or when it is of another boot. 0 or -errno. */
int kw_pipeline_resume(struct kw_pipeline *pipeline, bool is_same_boot) kw_must_check;

/* ---- pipeline_account.c ---- */

/* A turn of housekeeping: notes when every cgroup has been read once. */
void kw_pipeline_scanned(struct kw_pipeline *pipeline);
/* Says what has changed in the account of counters, or all of it. 0 or -errno. */
int kw_pipeline_account(struct kw_pipeline *pipeline, bool at_end) kw_must_check;

/* ---- pipeline.c ---- */

/* The whole way of an observation; a kw_observation_fn with a struct kw_pipeline as context. */
int kw_pipeline_observe(void *context, const struct kw_observation *observation);
/* Signs and appends a finding; a kw_finding_fn. */
int kw_pipeline_finding(void *context, const struct kw_finding *finding);
/* Reads a cgroup for reconcile; a kw_reader_fn. */
int kw_pipeline_read(void *context, const char *path, struct kw_reading *ret_reading);
/* What a cgroup is like now, for reconcile; a kw_state_fn. */
int kw_pipeline_state(void *context, const char *path, struct kw_state *ret_state);
/* A cgroup's last minute for reconcile; a kw_history_fn. */
int kw_pipeline_history(void *context, const char *path, struct kw_history *ret_history);
/* How a cgroup stands now; a kw_context_fn. */
int kw_pipeline_context(void *context, const char *path, struct kw_cgroup_context *ret_context);
/* Whether the ledger can take a turn's worth of lines. 0 or -errno. */
int kw_pipeline_ready(struct kw_pipeline *pipeline) kw_must_check;
/* Declares a gap now. */
int kw_pipeline_gap(struct kw_pipeline *pipeline, enum kw_gap_kind kind, const char *stage,
		    uint64_t from_boot_ns, const char *format, ...) kw_printf(5, 6);
/* Declares that what (a cell, a cell's file) was refused, and logs it. */
void kw_pipeline_refuse_cell(struct kw_pipeline *pipeline, const char *what, const char *reason);
/* What a change in the registry means here: a cgroup to read or not to read, a refusal to declare. */
void kw_pipeline_cell(struct kw_pipeline *pipeline, enum kw_cell_change change,
		      const struct kw_cell *cell, const char *file, const char *refusal);
/* A turn at kw_reconcile_deadline(): settles what is due. */
void kw_pipeline_due(struct kw_pipeline *pipeline);
/* A turn of the poller: begins a round when its time has come, and reads what is due. */
void kw_pipeline_poll(struct kw_pipeline *pipeline);
/* The end in order: settles everything open and says so. 0 or -errno. */
int kw_pipeline_stop(struct kw_pipeline *pipeline) kw_must_check;
