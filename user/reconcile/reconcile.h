/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * reconcile: do the witnesses agree?
 *
 * In: attributed observations, and the time. Out: findings (none, one, or several an observation):
 * what will be said. Owned: open incidents, per-cgroup accounts of counters, rate limits of gaps.
 * Promised: a kill is said at once; its incident when it has settled; every counter move inside an
 * incident is explained by named kills or declared unexplained. Arms no timer and reads no file
 * itself: it asks for a deadline and for readings through the callbacks it was given.
 */
#include "user/attribute/attribute.h"

enum kw_finding_kind {
	KW_FINDING_OOM_KILL,
	KW_FINDING_OOM_INCIDENT,
	KW_FINDING_CGROUP, /* probe reading of a registered cell */
	KW_FINDING_GUEST,  /* host-stamped guest frame */
	KW_FINDING_GAP,
	KW_FINDING_THROTTLE, /* an episode of CPU throttling starts, goes on, is over */
	KW_FINDING_PIDS,     /* forks refused by pids.max */
	KW_FINDING_KIND_COUNT_
};

enum kw_gap_kind {
	KW_GAP_START,	 /* the ledger begins */
	KW_GAP_RESTART,	 /* nobody read from `from` to `to`; programs may have gone on recording */
	KW_GAP_REBOOT,	 /* another boot since the last line */
	KW_GAP_STOP,	 /* the daemon stops in order */
	KW_GAP_LOST,	 /* records lost: number exact */
	KW_GAP_TORN,	 /* the last line of a segment was cut by a crash and set aside */
	KW_GAP_GUEST,	 /* guest frames refused */
	KW_GAP_CELL,	 /* a cell file was refused */
	KW_GAP_GATE,	 /* the gate died or misbehaved and was restarted */
	KW_GAP_FILE,	 /* a file could not be read */
	KW_GAP_INCIDENT, /* an incident was open when the daemon ended */
	KW_GAP_TIER,	 /* a tier below the best one: what is not seen by it */
	KW_GAP_KIND_COUNT_
};
const char *kw_gap_kind_name(enum kw_gap_kind kind);

struct kw_gap {
	enum kw_gap_kind kind;
	char stage[32];	  /* kernel, ring, gate, cells, ledger, poller, daemon */
	char reason[512]; /* in words; bytes from outside are escaped already */
	bool lost_known;
	uint64_t lost;	       /* exact, when lost_known */
	char boot_id[40];      /* start, restart, reboot; else empty */
	uint64_t from_boot_ns; /* 0: not known */
	uint64_t to_boot_ns;
};

enum kw_verdict {
	KW_VERDICT_EXPLAINED,	/* counters moved exactly as the kills and known arithmetic say */
	KW_VERDICT_UNEXPLAINED, /* they did not; the numbers say how far */
	KW_VERDICT_UNVERIFIED,	/* counters could not be read; reason says why */
};
const char *kw_verdict_name(enum kw_verdict verdict);

/* One victim as its incident remembers it. */
struct kw_incident_victim {
	char event_id[40]; /* of the oom_kill event */
	struct kw_victim victim;
	struct kw_identity cgroup;
};

struct kw_incident {
	uint64_t
		number; /* the kernel's incident number; 0 in tier tracepoint: then the first kill's */
	char id[40];	/* UUID, as oom_kill events carry it */
	uint32_t hook;
	uint64_t begin_boot_ns;
	uint64_t end_boot_ns; /* 0: the end was not seen */
	struct kw_oom_context oom;
	struct kw_identity owner;
	struct kw_identity trigger;
	bool has_cell;
	struct kw_cell cell;

	uint32_t kills;		  /* oom_kill events of this incident */
	uint32_t victims_omitted; /* above KW_INCIDENT_VICTIMS_MAX */
	uint32_t victim_count;
	struct kw_incident_victim *victims;

	bool end_known; /* marked … below are from the kernel's own end record */
	uint32_t marked;
	uint32_t entered;
	uint32_t counted;
	uint32_t lost;
	bool counters_known;
	struct kw_memory_events before; /* limit owner, hierarchical, at the hooks */
	struct kw_memory_events after;
	bool file_known; /* memory.events of the limit owner, read when it had settled */
	struct kw_memory_events file;
	uint64_t file_boot_ns;

	bool history_known;
	struct kw_history history; /* limit owner's memory.current before it began */

	enum kw_verdict verdict;
	uint32_t duplicates; /* kernel counts one victim twice in a group kill */
	int64_t unexplained; /* counter moves beyond kills and duplicates */
	char words[512];     /* the verdict for a person */
};

/* An episode of CPU throttling as far as its record knows; sums are since it began. */
struct kw_throttled {
	uint32_t phase;	     /* enum kw_throttle_phase */
	char episode_id[40]; /* UUID, the same in all events of the episode */
	uint64_t begin_boot_ns;
	uint64_t last_boot_ns;
	uint64_t throttles; /* of runqueues */
	uint64_t unthrottles;
	uint64_t stalled_ns; /* measured at the hooks, all runqueues */
	uint64_t kernel_ns;  /* how far cfs_bandwidth.throttled_time moved */
	uint64_t histogram[KW_THROTTLE_BUCKETS];
	uint32_t periods;
	uint32_t throttled_periods;
};
const char *kw_throttle_phase_name(uint32_t phase);

struct kw_finding {
	enum kw_finding_kind kind;
	const struct kw_attributed *attributed; /* borrowed; NULL for findings of time alone */
	uint64_t boot_ns;			/* when it happened */
	char event_id[40];			/* preset (records); empty: the chain makes one */
	/* OOM_KILL */
	char incident_id[40];
	/* the others; borrowed */
	const struct kw_incident *incident;
	const struct kw_gap *gap;
	const struct kw_throttled *throttled;
};

/* Takes a finding: signs and appends it before it returns. 0 or -errno. */
typedef int (*kw_finding_fn)(void *context, const struct kw_finding *finding);
/* Reads the three files of a cgroup now; the daemon's. 0, -ENOENT when it is gone, -errno. */
typedef int (*kw_reader_fn)(void *context, const char *path, struct kw_reading *ret_reading);

/* The last minute of a cgroup's memory.current; the daemon's. 0, -ENODATA: not known. */
typedef int (*kw_history_fn)(void *context, const char *path, struct kw_history *ret_history);

struct kw_reconcile_options {
	char boot_id[40];   /* /proc/sys/kernel/random/boot_id */
	uint64_t settle_ns; /* an incident settles this long after its end; default 200 ms, ≤ 2 s */
	kw_finding_fn finding;
	kw_reader_fn reader;
	kw_history_fn history; /* may be NULL */
	void *context;
	bool memory_localevents; /* cgroup2 is mounted so: a limit owner's memory.events leaves out what
				  * is counted in its descendants, and is not held against kills */
};

struct kw_reconcile;
int kw_reconcile_open(const struct kw_reconcile_options *options,
		      struct kw_reconcile **ret_reconcile) kw_must_check;
void kw_reconcile_free(struct kw_reconcile *reconcile);
KW_DEFINE_CLEANUP(struct kw_reconcile *, kw_reconcile_free)

/* A daemon before this one, in the same boot, recorded the kill event_id of incident_id and ended before
 * that incident settled: its end record, still in the ring, will then find all its kills. Called before
 * the first observation; beyond KW_LEDGER_TAIL_LINES calls nothing is remembered. 0 or -ENOMEM. */
int kw_reconcile_resume(struct kw_reconcile *reconcile, const char *incident_id,
			const char *event_id) kw_must_check;

/* 0, or the finding callback's error: then the observation is not finished. */
int kw_reconcile_observe(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
	kw_must_check;
/* Boot time at which kw_reconcile_due() wants to be called; UINT64_MAX: never. */
uint64_t kw_reconcile_deadline(const struct kw_reconcile *reconcile);
/* Settles what is due at now. 0 or the finding callback's error. */
int kw_reconcile_due(struct kw_reconcile *reconcile, uint64_t now_boot_ns) kw_must_check;
/* Settles everything open, whatever the time: at the end of the daemon. */
int kw_reconcile_flush(struct kw_reconcile *reconcile, uint64_t now_boot_ns) kw_must_check;
/* Says a gap at once (start, torn line, refused cell …); gap is borrowed. */
int kw_reconcile_gap(struct kw_reconcile *reconcile, const struct kw_gap *gap, uint64_t now_boot_ns)
	kw_must_check;

/* ids.c: UUID v8 from SHA-256 over boot id, a domain word and a number; pure. */
void kw_ids_derive(const char *boot_id, const char *domain, uint64_t number,
		   char ret_id[static 40]);
