/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What is known of each registered cell from both sides: what its guest claimed and what the host saw;
 * private to reconcile. witness.c keeps it, rules.c judges it, claims.c says the verdicts, silence.c what
 * is not said.
 */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "user/reconcile/guestclock.h"
#include "user/reconcile/reconcile.h"

/* Something that stands in the ledger, and under which id. boot_ns 0: nothing. */
struct kw_mark {
	uint64_t boot_ns;
	char id[40];
};

/* What has changed, and what is to be looked at again then. */
enum kw_news {
	KW_NEWS_FRAME = 1,     /* a frame came */
	KW_NEWS_READING = 2,   /* the poller read the counters */
	KW_NEWS_OOM_CLAIM = 4, /* a claim of an OOM kill, and the host had time to tell its own */
	KW_NEWS_OOM_KILL = 8,  /* the host killed, and the guest had time to tell */
	KW_NEWS_THROTTLE_CLAIM = 16,
	KW_NEWS_THROTTLE = 32, /* the host stalled the cell, and the guest had time to tell */
	KW_NEWS_GAP = 64,      /* frames are missing, and the gate had time to tell its refusals */
	KW_NEWS_SILENCE = 128, /* a silence was said */
};

/* News that wait for the other side's word. */
enum kw_wait {
	KW_WAIT_OOM_CLAIM,
	KW_WAIT_OOM_KILL,
	KW_WAIT_THROTTLE_CLAIM,
	KW_WAIT_THROTTLE,
	KW_WAIT_GAP,
	KW_WAIT_COUNT_
};

enum kw_rule {
	KW_RULE_OOM_CLAIMED,
	KW_RULE_OOM_UNSAID,
	KW_RULE_DEAD_SPEAKS,
	KW_RULE_THROTTLE_CLAIMED,
	KW_RULE_THROTTLE_UNSAID,
	KW_RULE_NO_PROCESS,
	KW_RULE_TOO_MANY_PROCESSES,
	KW_RULE_SILENT_AT_WORK,
	KW_RULE_CLOCK_RATE,
	KW_RULE_CLOCK_BACK,
	KW_RULE_REPEATED,
	KW_RULE_MISSING,
	KW_RULE_DROPPED,
	KW_RULE_BOOT_CHANGED,
	KW_RULE_COUNT_
};

/* One connection, as its frames have it. number 0: free. */
struct kw_talk {
	uint32_t number;
	bool has_seq;
	uint64_t seq;
	uint64_t monotonic_ns; /* highest */
	uint64_t last_boot_ns;
};

/* What the last frame said that no frame could say before it. */
enum kw_frame_tells {
	KW_TELLS_BACK = 1,	 /* its clock ran back on one connection */
	KW_TELLS_BACK_SAME = 2,	 /* its clock ran back in one boot, over connections */
	KW_TELLS_BACK_OTHER = 4, /* its clock ran back, and no boot id tells whether it booted */
	KW_TELLS_REPEATED = 8,	 /* its number was there before */
	KW_TELLS_DROPPED = 16,	 /* the agent has dropped more */
	KW_TELLS_NEW_BOOT = 32,
	KW_TELLS_OLD_BOOT = 64,	  /* a boot that was over */
	KW_TELLS_PROCESSES = 128, /* how many live processes there are, as the guest has it */
	KW_TELLS_CLOCK_RATE = 256,
};

/* What one rule has to say of one cell. */
struct kw_verdict_held {
	const struct kw_rule_row *said; /* last said; NULL: nothing */
	const struct kw_rule_row *due;	/* to be said; NULL: nothing */
	uint64_t count;			/* of due, not said yet */
	uint64_t first_boot_ns;
	uint64_t last_boot_ns;
	uint64_t next_boot_ns; /* due: not before */
	uint64_t said_boot_ns;
	uint64_t wait_ns; /* before the same is said again */
	int64_t number;	  /* the last */
	struct kw_mark first_claim, last_claim, first_host, last_host;
	bool has_state;
	struct kw_state state;
};

struct kw_witnessed { /* NOLINT(clang-analyzer-optin.performance.Padding): by what belongs together */
	struct kw_cell cell;
	UT_hash_handle hh;
	uint64_t registered_boot_ns;

	/* the guest's side */
	struct kw_guestclock clock;
	bool has_estimate;
	struct kw_guestclock_estimate estimate; /* of the last frame */
	uint64_t frames;
	struct kw_mark frame; /* the last one */
	uint32_t frame_flags; /* of the last one */
	bool sends_heartbeats;
	bool names_processes;
	bool is_numbered; /* its frames carry seq */
	bool is_lossy;	  /* some of them did not come */
	struct kw_talk talks[KW_CONNECTIONS_PER_CELL];
	char boot_id[KW_BOOT_ID_MAX + 1]; /* empty: none was sent */
	char boot_id_before[KW_BOOT_ID_MAX + 1];
	uint64_t monotonic_ns; /* highest of this boot */
	uint64_t dropped;
	uint64_t missing; /* numbers that no frame had, and that were not judged yet */
	uint64_t refused; /* frames that the gate refused meanwhile */
	uint64_t spawned, exited;
	bool gives_processes;	     /* the guest says how many there are */
	bool has_processes;	     /* or names them one by one */
	uint64_t processes;	     /* that are there now, by its word */
	bool is_counted;	     /* that number is exact: given, or counted without a gap */
	uint32_t rate_windows_wrong; /* in a row */
	uint64_t rate_host_ns;
	int64_t rate_ppb;
	uint64_t most_delay_ns; /* of a frame since throttle_begin_boot_ns */
	struct kw_mark oom_claim, throttle_claim, process_claim;

	/* the host's side */
	bool has_state;
	bool state_is_stale; /* something happened since it was read */
	struct kw_state state;
	bool was_populated;
	uint64_t empty_since_boot_ns; /* 0: not seen empty, or populated since */
	struct kw_mark oom_kill;
	struct kw_mark throttle; /* last event of an episode */
	uint64_t throttle_begin_boot_ns;
	uint64_t throttle_end_boot_ns; /* last seen */
	uint64_t stalled_permille;     /* of one CPU's time */
	struct kw_mark throttle_moved; /* the reading in which nr_throttled had moved */
	struct kw_mark reading;
	bool has_counters; /* the four below: of the last reading */
	uint64_t cpu_boot_ns, cpu_usec;
	uint64_t throttled_usec;
	bool has_oom_counter;
	uint64_t oom_counter;
	uint64_t oom_counter_since_boot_ns; /* the first reading that had it so */
	uint64_t busy_since_boot_ns;	    /* 0: not busy at the last reading */

	/* silence */
	bool is_silent; /* it was said */
	bool is_over;	/* and that it is over is to be said */
	struct kw_mark silence;
	uint64_t base_boot_ns, base_cpu_usec; /* the first reading since the last frame; 0: none */
	uint64_t before_boot_ns, before_cpu_usec; /* the last one before it */

	uint64_t wait_boot_ns[KW_WAIT_COUNT_]; /* 0: nothing waits */
	struct kw_verdict_held *held[KW_RULE_COUNT_];
};

/* A silence that a daemon before this one has said, of a cell that is not registered yet. */
struct kw_earlier_silence {
	char cell_id[KW_CELL_ID_MAX + 1];
	char run_id[KW_CELL_ID_MAX + 1];
	struct kw_mark mark;
};

struct kw_claims {
	struct kw_witnessed *cells; /* by handle; at most KW_CELLS_MAX */
	uint64_t
		next_boot_ns; /* not before then is anything due; may be too early, never too late */
	bool sees_throttling;		    /* a hook tells every stall of the host */
	char said_id[40];		    /* of the event that the observation at hand became */
	struct kw_earlier_silence *earlier; /* at most KW_CELLS_MAX */
	size_t earlier_count;
};

/* ---- witness.c ---- */

struct kw_witnessed *kw_witness_find(struct kw_claims *claims, uint32_t handle);
/* NULL: no memory, or KW_CELLS_MAX. */
struct kw_witnessed *kw_witness_add(struct kw_claims *claims, const struct kw_cell *cell,
				    uint64_t now);
void kw_witness_remove(struct kw_claims *claims, struct kw_witnessed *cell);
/* Before its event is made: what the frame says of the guest's clock. */
void kw_witness_clock(struct kw_witnessed *cell, const struct kw_gate_message *frame);
/* Takes down what the observation says; id: of its event. Returns enum kw_news that are to be judged now. */
uint32_t kw_witness_frame(struct kw_witnessed *cell, const struct kw_observation *observation,
			  const char *id);
uint32_t kw_witness_host(struct kw_witnessed *cell, const struct kw_observation *observation,
			 const char *id);
/* Takes down a state that was read. */
void kw_witness_state(struct kw_witnessed *cell, const struct kw_state *state);
/* Begins to wait for the other side's word, unless that wait has begun. */
void kw_witness_wait(struct kw_witnessed *cell, enum kw_wait wait, uint64_t until_boot_ns);

/* ---- rules.c: pure ---- */

struct kw_case {
	const struct kw_witnessed *cell;
	uint64_t now_boot_ns;
	bool sees_throttling;
	bool memory_localevents;
};

/* One way a rule may come out. */
struct kw_rule_row { /* NOLINT(clang-analyzer-optin.performance.Padding): in the order of a row */
	enum kw_rule rule;
	const char *name;
	uint32_t news;	/* enum kw_news on which it is looked at */
	uint32_t needs; /* what must be known, or it is passed over */
	bool (*holds)(const struct kw_case *at);
	enum kw_crosscheck_verdict verdict;
	size_t claim, host;	 /* offsets of the marks in struct kw_witnessed; 0: none */
	const char *number_name; /* NULL: none */
	size_t number;		 /* offset of a u64 or i64 */
	const char *words;	 /* what a person should conclude */
};

/* The first row of rule that is looked at on news, whose needs are met, and that holds; or NULL. */
const struct kw_rule_row *kw_rules_judge(enum kw_rule rule, uint32_t news,
					 const struct kw_case *at);
/* Row by row, for whoever lists them; NULL behind the last. */
const struct kw_rule_row *kw_rules_row(size_t index);

/* ---- claims.c, silence.c ---- */

struct kw_reconcile;

int kw_claims_new(struct kw_claims **ret_claims);
void kw_claims_free(struct kw_claims *claims);
/* Before a frame is said: the clock's estimate with this frame in it; NULL: not known. */
const struct kw_guestclock_estimate *kw_claims_clock(struct kw_reconcile *reconcile,
						     const struct kw_attributed *attributed);
/* After the observation was said. Never fails: a verdict that cannot be said now stays due. */
void kw_claims_observed(struct kw_reconcile *reconcile, const struct kw_attributed *attributed);
/* Judges, and holds what is to be said. */
void kw_claims_judge(struct kw_reconcile *reconcile, struct kw_witnessed *cell, uint32_t news,
		     uint64_t now);
void kw_claims_wake(struct kw_claims *claims, uint64_t boot_ns);
/* Reads the cell's cgroup unless that was done within max_age_ns. False: nothing is known. */
bool kw_claims_look(struct kw_reconcile *reconcile, struct kw_witnessed *cell, uint64_t now,
		    uint64_t max_age_ns);
uint64_t kw_claims_deadline(const struct kw_reconcile *reconcile);
int kw_claims_due(struct kw_reconcile *reconcile, uint64_t now, bool all);

/* When the silence of cell is to be looked at; UINT64_MAX: never. */
uint64_t kw_silence_deadline(const struct kw_reconcile *reconcile, const struct kw_witnessed *cell);
/* Says what is due. 0 or the finding callback's error. */
int kw_silence_due(struct kw_reconcile *reconcile, struct kw_witnessed *cell, uint64_t now);
/* A registration of a cell whose silence was said before a restart. */
void kw_silence_resume(struct kw_claims *claims, struct kw_witnessed *cell);
