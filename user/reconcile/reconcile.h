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
#include "user/base/tree.h"

enum kw_finding_kind {
	KW_FINDING_OOM_KILL,
	KW_FINDING_OOM_INCIDENT,
	KW_FINDING_CGROUP, /* probe reading of a registered cell */
	KW_FINDING_GUEST,  /* host-stamped guest frame */
	KW_FINDING_GAP,
	KW_FINDING_THROTTLE,	 /* an episode of CPU throttling starts, goes on, is over */
	KW_FINDING_PIDS,	 /* forks refused by pids.max */
	KW_FINDING_COUNTER_KILL, /* kills that only a counter has seen */
	KW_FINDING_PARITY,	 /* counters of a cgroup against events, when they moved */
	KW_FINDING_ACCOUNT,	 /* where the account of counters stands */
	KW_FINDING_CROSSCHECK,	 /* a guest's word against what the host saw */
	KW_FINDING_SILENCE,	 /* a guest fell silent, or speaks again */
	KW_FINDING_HIGH,	 /* an episode of memory.high throttling starts, goes on, is over */
	KW_FINDING_USERSPACE_KILL, /* a memory manager in user space has killed */
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
	KW_GAP_REMOVED,	 /* closed segments are removed from the ledger, as it was told to */
	KW_GAP_CLOCK,	 /* the wall clock was set, its state has changed, the host was suspended */
	KW_GAP_KIND_COUNT_
};
const char *kw_gap_kind_name(enum kw_gap_kind kind);

/* What retention removes: the ledger's lines first to last, and all before them are gone already. */
struct kw_gap_removed {
	uint64_t first;
	uint64_t last;
	uint64_t unread; /* of them, lines that reader has not passed; 0: none */
	const char *reader;
	const struct kw_tree *tree;	 /* over all lines up to last */
	const unsigned char *first_hash; /* SHA-256 of the ledger's first line, and of line last */
	const unsigned char *last_hash;
};

/* What became of the clocks, and how the wall clock stands from here on. */
struct kw_gap_clock {
	struct kw_clock_sync sync;
	int64_t step_ns; /* forwards: above 0; 0: it was not set */
	uint64_t
		before_real_ns; /* what it would have shown, and what it showed; 0: it was not set */
	uint64_t after_real_ns;
	uint64_t suspended_ns;
	uint64_t error_ns; /* how far off these may be */
};

struct kw_gap {
	enum kw_gap_kind kind;
	char stage[32];	  /* kernel, ring, gate, cells, ledger, poller, daemon */
	char reason[512]; /* in words; bytes from outside are escaped already */
	bool lost_known;
	uint64_t lost;	       /* exact, when lost_known */
	char boot_id[40];      /* start, restart, reboot; else empty */
	uint64_t from_boot_ns; /* 0: not known */
	uint64_t to_boot_ns;
	const struct kw_gap_removed *removed; /* retention; borrowed; NULL: nothing */
	const struct kw_gap_clock *clock;     /* borrowed; NULL: nothing is said of it */
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
	bool context_known;
	struct kw_history history;	  /* limit owner's memory.current before it began */
	struct kw_cgroup_context context; /* the limit owner, when its first record was read */

	enum kw_verdict verdict;
	uint32_t duplicates; /* kernel counts one victim twice in a group kill */
	int64_t unexplained; /* counter moves beyond kills and duplicates */
	char words[512];     /* the verdict for a person */
};

/* An episode of throttling, of CPU or by memory.high, as far as its record knows; sums are since it began.
 * Of memory.high, throttles are calls, unthrottles their returns, and kernel_ns and the periods are 0. */
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

/* ---- parity: every move of a counter explained by events, or declared (docs/parity.md) ---- */

enum kw_parity_verdict {
	KW_PARITY_AGREE,     /* the counter moved as the events say */
	KW_PARITY_LATE,	     /* it does now; for a while one of the two was ahead */
	KW_PARITY_MISSED,    /* it moved and no event says why */
	KW_PARITY_EXTRA,     /* an event said so and it did not move */
	KW_PARITY_REGRESSED, /* it fell: the kernel began to count anew */
	KW_PARITY_VERDICT_COUNT_
};
const char *kw_parity_verdict_name(enum kw_parity_verdict verdict);
/* "oomKill", "oomKillLocal" …; NULL: a counter that is not held against events. */
const char *kw_parity_counter_name(unsigned int counter);

/* One counter's account: kernel == base + explained + arithmetic + by_counter + unexplained, when it is
 * settled. */
struct kw_parity_account {
	uint64_t kernel;     /* the kernel's value, last read */
	uint64_t base;	     /* its value when the account began, modulo 2^64 */
	uint64_t explained;  /* by events of hooks */
	int64_t arithmetic;  /* by what the kernel is known to do without an event */
	uint64_t by_counter; /* kills told by the counter alone */
	int64_t unexplained; /* declared; below 0: events that it did not count */
	uint64_t possible; /* not part of the sum: moves that an event allows and does not demand */
};

/* One counter in a verdict. */
struct kw_parity_item {
	unsigned int counter; /* enum kw_counter */
	enum kw_parity_verdict verdict;
	uint64_t before; /* the kernel's value in the verdict before this one */
	struct kw_parity_account account;
	uint32_t event_count;
	uint32_t events_omitted; /* above KW_PARITY_EVENTS_MAX */
	char event_ids[KW_PARITY_EVENTS_MAX][40];
};

struct kw_parity {
	struct kw_identity cgroup;
	bool gone;
	uint64_t from_boot_ns; /* the verdict is on moves between; 0: not known */
	uint64_t to_boot_ns;
	uint32_t item_count;
	struct kw_parity_item items[KW_COUNTER_COUNT_];
};

/* Kills that moved a counter and that no hook has told in time. */
struct kw_counter_kill {
	struct kw_identity cgroup;
	bool below;	/* in a cgroup below, which is not known */
	uint64_t kills; /* by how far the counter is ahead */
	uint64_t duplicates_at_most;
	uint64_t value;	       /* of oom_kill there, when it was found */
	uint64_t from_boot_ns; /* 0: not known */
	uint64_t to_boot_ns;
};

/* What one cgroup's account is worth keeping of. */
struct kw_parity_row {
	uint64_t id;
	const char *path; /* borrowed */
	bool gone;
	bool throttled; /* an episode of CPU throttling is under way */
	uint32_t mask;	/* bit n: accounts[n] is not all zero */
	uint32_t known; /* bit n: accounts[n].kernel was read */
	uint32_t tolerance_usec;
	struct kw_parity_account accounts[KW_COUNTER_COUNT_];
};

/* Of oom_kill over all cgroups since the account began, each count once. */
struct kw_parity_totals {
	uint64_t cgroups; /* followed now */
	uint64_t kernel;  /* counted by the kernel: the sum of the five below */
	uint64_t by_hook;
	int64_t duplicates; /* counted twice, less kills that are not counted */
	uint64_t by_counter;
	int64_t unexplained;
	int64_t pending;			     /* not settled yet */
	uint64_t verdicts[KW_PARITY_VERDICT_COUNT_]; /* since the start of the daemon */
	uint64_t faults;       /* unexplained moves of all counters, summed without sign */
	uint64_t not_followed; /* cgroups beyond KW_PARITY_CGROUPS_MAX */
};

struct kw_account_part {
	bool full;     /* first of a whole account, or one of its parts: forget what was before */
	bool complete; /* every cgroup had been read: one that is not named stood at zero */
	uint32_t part; /* from 1 */
	bool last;
	uint64_t boot_ns;
	bool is_reboot; /* begins anew because the host was booted */
	bool memory_localevents; /* memory.events showed what is local: the sums over what is below are not known */
	uint64_t omitted;
	struct kw_parity_totals totals;
	uint32_t row_count;
	const struct kw_parity_row *rows;
};

/* An event that is in the ledger, as far as the account needs it. */
enum kw_fact_kind {
	KW_FACT_KILL,
	KW_FACT_COUNTER_KILL,
	KW_FACT_INCIDENT,
	KW_FACT_PIDS,
	KW_FACT_THROTTLE
};

struct kw_fact {
	enum kw_fact_kind kind;
	char event_id[40];
	uint64_t boot_ns;
	uint64_t cgroup_id;	  /* of the victim, the fork, the throttled one */
	char cgroup[KW_PATH_MAX]; /* empty: not known as a whole */
	uint64_t owner_id;
	char owner[KW_PATH_MAX];
	bool owner_known; /* INCIDENT: a limit owner, not the host */
	bool is_group;
	bool is_below;	     /* COUNTER_KILL */
	bool is_unnumbered;  /* KILL: no oom_kill_process() was seen around it */
	uint64_t count;	     /* COUNTER_KILL: kills; PIDS: refusals; THROTTLE: periods */
	uint32_t duplicates; /* INCIDENT */
	uint32_t uncounted;
	bool groups_known; /* INCIDENT: groups is exact at the owner */
	uint64_t groups;
	char of_event_id[40]; /* KILL: the counter's event that has counted it before */
	/* THROTTLE */
	uint32_t phase;
	uint64_t stalled_ns;	     /* since the episode began */
	uint64_t kernel_before_usec; /* throttled_usec and nr_throttled when it began; THROTTLE */
	uint64_t periods_before;
	bool before_known;
	bool is_rounded; /* stalled_ns is whole microseconds */
	/* kernel's own values at the hook, beside the event; 0: not known */
	uint64_t seen_oom_kill_local;
};

/* ---- guests: claims.c, silence.c; docs/crosscheck.md ---- */

enum kw_crosscheck_verdict {
	KW_CROSSCHECK_CONFIRMED,    /* the host saw it too */
	KW_CROSSCHECK_CONTRADICTED, /* what the host saw excludes it */
	KW_CROSSCHECK_UNVERIFIABLE, /* the host cannot tell */
	KW_CROSSCHECK_SILENT,	    /* the guest does not say what the host saw */
	KW_CROSSCHECK_VERDICT_COUNT_
};
const char *kw_crosscheck_verdict_name(enum kw_crosscheck_verdict verdict);

/* One rule's verdict on one cell, for all that came since it was last said. Pointers are borrowed. */
struct kw_crosscheck {
	const struct kw_cell *cell;
	const char *rule;
	enum kw_crosscheck_verdict verdict;
	const char *words; /* what a person should conclude */
	uint64_t count;	   /* of occurrences */
	uint64_t first_boot_ns;
	uint64_t last_boot_ns;
	char claim_ids[2][40]; /* events of the first and the last; empty: none, or the same */
	char host_ids[2][40];
	const char *number_name; /* NULL: none */
	int64_t number;
	const struct kw_state *state; /* of the cell's cgroup, at the last; NULL: not looked at */
};

/* A guest that has said nothing for longer than its window, or speaks again. */
struct kw_silence {
	const struct kw_cell *cell;
	bool is_over;
	uint64_t window_ns;
	uint64_t since_boot_ns; /* its last frame, or its registration; 0: before this daemon */
	uint64_t frames;	/* before that */
	bool sends_heartbeats;
	char frame_id[40];   /* the last frame before, or the one that ends it; empty: none */
	char silence_id[40]; /* is_over: the event that said the silence */
	/* What the host saw of it meanwhile. */
	bool is_judged;	  /* false: it could not see the cell */
	bool is_silenced; /* it saw the cell work, or heartbeats were promised */
	bool cpu_known;
	uint64_t cpu_usec; /* used within cpu_span_ns */
	uint64_t cpu_span_ns;
	const struct kw_state *state; /* NULL: not seen */
	const char *words;
};

/* How a guest's clock lies to the host's, as far as frames can tell (guestclock.c). */
struct kw_guestclock_estimate {
	int64_t offset_ns; /* host CLOCK_BOOTTIME = guest CLOCK_MONOTONIC + this */
	uint64_t error_ns; /* how far that may be off: one frame in a thousand is further */
	uint64_t delay_ns; /* how long this frame was on its way, by this offset */
};

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
	const struct kw_parity *parity;
	const struct kw_counter_kill *counter_kill;
	const struct kw_account_part *account;
	/* OOM_KILL: the KW_FINDING_COUNTER_KILL that has counted this kill already; empty: none */
	char of_event_id[40];
	const struct kw_crosscheck *crosscheck;
	const struct kw_silence *silence;
	const struct kw_guestclock_estimate *guest_clock; /* GUEST; NULL: not known yet */
};

/* Takes a finding: signs and appends it before it returns. 0; 1: an event of that id stands in the
 * ledger already; or -errno. */
typedef int (*kw_finding_fn)(void *context, const struct kw_finding *finding);
/* Reads the three files of a cgroup now; the daemon's. 0, -ENOENT when it is gone, -errno. */
typedef int (*kw_reader_fn)(void *context, const char *path, struct kw_reading *ret_reading);

/* Reads what a cgroup is like now; the daemon's. 0 (also when it is gone) or -errno. */
typedef int (*kw_state_fn)(void *context, const char *path, struct kw_state *ret_state);
/* The last minute of a cgroup's memory.current; the daemon's. 0, -ENODATA: not known. */
typedef int (*kw_history_fn)(void *context, const char *path, struct kw_history *ret_history);

/* How a cgroup stands now; the daemon's. 0, or -errno: not known. */
typedef int (*kw_context_fn)(void *context, const char *path,
			     struct kw_cgroup_context *ret_context);

/* What the kernel's programs have counted of a cgroup; the daemon's. 0, or -errno: nothing. */
typedef int (*kw_cgroup_counts_fn)(void *context, uint64_t cgroup_id,
				   struct kw_cgroup_counts *ret_counts);

struct kw_reconcile_options {
	char boot_id[40];   /* /proc/sys/kernel/random/boot_id */
	uint64_t settle_ns; /* an incident settles this long after its end; default 200 ms, ≤ 2 s */
	kw_finding_fn finding;
	kw_reader_fn reader;
	kw_state_fn state;     /* NULL: nothing is looked at */
	uint64_t silence_ns;   /* a guest that says nothing for longer is told of; 0: none is */
	kw_history_fn history; /* may be NULL */
	kw_context_fn cgroup_context; /* may be NULL */
	void *context;
	bool memory_localevents; /* cgroup2 is mounted so: a limit owner's memory.events leaves out what
				  * is counted in its descendants, and is not held against kills */
	bool pids_localevents; /* pids.events counts where the fork was tried, as up to 6.10 */
	kw_cgroup_counts_fn cgroup_counts; /* may be NULL */
	uint64_t parity_settle_ns; /* how long an event and its count may come apart; default 5 s */
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
/* The finding was said, in an event of this id: what verdicts refer to. For whoever takes findings, from
 * inside its callback. */
void kw_reconcile_said(struct kw_reconcile *reconcile, const struct kw_finding *finding,
		       const char *event_id);
/* A cell was registered (KW_CELL_ADDED: its window of silence begins) or is no longer. */
void kw_reconcile_cell(struct kw_reconcile *reconcile, enum kw_cell_change change,
		       const struct kw_cell *cell, uint64_t now_boot_ns);
/* Every stall by cpu.max is observed from now on: that none was is evidence. */
void kw_reconcile_sees_throttling(struct kw_reconcile *reconcile);
/* A daemon before this one, in the same boot, said the silence of this cell and run at boot_ns, in the
 * event event_id, and not its end: it is not said again. Called before the cell is registered. 0 or
 * -ENOMEM. */
int kw_reconcile_resume_silence(struct kw_reconcile *reconcile, const char *cell_id,
				const char *run_id, const char *event_id, uint64_t boot_ns)
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

/* Frames of guests that were refused and that no gap has declared yet: their turn comes within seconds. */
uint64_t kw_reconcile_open_losses(const struct kw_reconcile *reconcile);

/* ---- the account across restarts: called before the first observation, in the ledger's order ---- */

/* A row of a whole account or of what has changed since; part: of the event that it stands in. 0 or
 * -ENOMEM. */
int kw_reconcile_resume_row(struct kw_reconcile *reconcile, const struct kw_account_part *part,
			    const struct kw_parity_row *row) kw_must_check;
/* A verdict behind it: what it said of the counters in row->mask stands. */
void kw_reconcile_resume_verdict(struct kw_reconcile *reconcile, const struct kw_parity_row *row);
/* An event behind it. */
void kw_reconcile_resume_fact(struct kw_reconcile *reconcile, const struct kw_fact *fact);
/* The account that the ledger has is of another boot: it begins anew, and its first part says so. */
void kw_reconcile_resume_reboot(struct kw_reconcile *reconcile);

/* Every cgroup that there is has been read once: one that is seen first from now on was made since, and
 * its counters began at zero. */
void kw_reconcile_scanned(struct kw_reconcile *reconcile);
/* Says how the account stands, as KW_FINDING_ACCOUNT: what has changed since it was last said, or
 * (full) all of it. 0 or the finding callback's error; then the rest is said the next time. */
int kw_reconcile_account(struct kw_reconcile *reconcile, uint64_t now_boot_ns, bool full)
	kw_must_check;
/* How many bytes a row takes in an account event, at most. */
size_t kw_parity_row_bytes(const struct kw_parity_row *row);
void kw_reconcile_totals(const struct kw_reconcile *reconcile, struct kw_parity_totals *ret_totals);

/* ids.c: UUID v8 from SHA-256 over boot id, a domain word and a number; pure. */
void kw_ids_derive(const char *boot_id, const char *domain, uint64_t number,
		   char ret_id[static 40]);
