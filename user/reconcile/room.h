/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What the files of reconcile share; private to the room. */
#include <sys/queue.h>

#include "user/reconcile/account.h"
#include "user/reconcile/parity.h"
#include "user/reconcile/reconcile.h"

/* How an incident's counters came to be known, best first. */
enum kw_incident_state {
	KW_INCIDENT_OPEN,   /* kills may follow */
	KW_INCIDENT_ENDED,  /* its end record was read */
	KW_INCIDENT_NO_END, /* kernel gave it a number, but no end record came: lost */
};

struct kw_open_incident {
	struct kw_incident said; /* what its finding will say */
	enum kw_incident_state state;
	bool numbered;		/* false: no hook gave a number (tier tracepoint) */
	bool inferred;		/* several kills, grouped by us and not by the kernel */
	bool decided;		/* verdict and words stand; the finding was refused once */
	bool rechecked;		/* the file was ahead of the records; one more look was given */
	bool cgroup_gone;	/* at settling: the limit owner had been removed */
	bool path_reused;	/* at settling: another cgroup had its path */
	int file_error;		/* why memory.events could not be read; 0 */
	uint32_t earlier_kills; /* recorded before a restart of the daemon */
	uint32_t victims_capacity;
	uint64_t deadline_boot_ns;
	uint64_t last_kill_boot_ns;
	int64_t between;     /* moves between the owner's last OOM and this one, without a record */
	int64_t beyond;	     /* moves of the file beyond every record */
	int64_t local_moved; /* not numbered: moves of the victims' own counters */
	bool local_unknown;  /* a victim's counter could not be read */
	bool local_several;  /* the victims were in more than one cgroup */
	bool local_read;     /* local_file was read */
	uint64_t local_file;
	struct kw_cgroup_ref local_cgroup; /* of the last victim */
	TAILQ_ENTRY(kw_open_incident) list;
};

/* A kill that a daemon before this one has recorded, of an incident that was not settled then. */
struct kw_earlier_kill {
	char incident_id[40];
	char event_id[40];
};

struct kw_gap_counts; /* throttle.c */
int kw_throttle_observe(struct kw_reconcile *reconcile, const struct kw_attributed *attributed);

struct kw_claims; /* witness.h */

/* high.c */
int kw_high_observe(struct kw_reconcile *reconcile, const struct kw_attributed *attributed);

/* pids.c */
int kw_pids_observe(struct kw_reconcile *reconcile, const struct kw_attributed *attributed);

/* ---- userspace_kill.c ---- */

int kw_userspace_kill_observe(struct kw_reconcile *reconcile,
			      const struct kw_attributed *attributed);

/* gaps.c */

struct kw_reconcile {
	struct kw_reconcile_options
		options; /* finding, reader: of this room, which call the daemon's */
	kw_finding_fn say;
	kw_reader_fn read;
	void *context;
	struct kw_account *account;
	struct kw_parity_state *parity;
	TAILQ_HEAD(kw_open_incidents, kw_open_incident) incidents; /* oldest first */
	unsigned int incident_count;
	struct kw_gap_counts *gap_counts;
	struct kw_earlier_kill *earlier; /* at most KW_LEDGER_TAIL_LINES */
	size_t earlier_count;
	struct kw_reading reading; /* scratch: too large for a stack frame */
	struct kw_claims *claims;
};

/* reconcile.c: says a finding that may move a counter's book. 0, or the finding callback's error. */
int kw_reconcile_say(struct kw_reconcile *reconcile, const struct kw_finding *finding)
	kw_must_check;

/* incident.c */
int kw_incident_kill(struct kw_reconcile *reconcile, const struct kw_attributed *attributed);
int kw_incident_end(struct kw_reconcile *reconcile, const struct kw_attributed *attributed);
/* settle.c: says the incident and forgets it; look_again: a file ahead of the records is a reason to
 * wait once more. 1: waits, 0: said, or the finding callback's error (then it stays). */
int kw_incident_settle(struct kw_reconcile *reconcile, struct kw_open_incident *open, uint64_t now,
		       bool look_again);
void kw_incident_free(struct kw_open_incident *open);
/* account.c's view of an incident whose end record was read, or will not come. */
void kw_incident_account_end(struct kw_reconcile *reconcile, struct kw_open_incident *open);
void kw_incident_account_no_end(struct kw_reconcile *reconcile, struct kw_open_incident *open);

/* verdict.c: verdict, duplicates, unexplained and words of open->said; pure. */
void kw_verdict_decide(struct kw_open_incident *open, bool memory_localevents);
/* Whether the owner's hierarchical counters mean something: memcg OOM, cgroup v2, counters read. */
bool kw_verdict_is_hierarchical(const struct kw_open_incident *open, bool memory_localevents);

/* gaps.c */
int kw_gap_counts_new(struct kw_gap_counts **ret_counts);
void kw_gap_counts_free(struct kw_gap_counts *counts);
int kw_gaps_lost(struct kw_reconcile *reconcile, const struct kw_attributed *attributed);
int kw_gaps_guest(struct kw_reconcile *reconcile, const struct kw_attributed *attributed);
uint64_t kw_gaps_deadline(const struct kw_reconcile *reconcile);
/* Says what was held back and is due; all: whatever the time. */
int kw_gaps_due(struct kw_reconcile *reconcile, uint64_t now, bool all);
