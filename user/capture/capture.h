/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * capture: kernel and guests to observations.
 *
 * In: ring records (bytes from BPF programs), cgroup-v2 files, messages from the gate.
 * Out: struct kw_observation, through one callback, in the order in which each source gave them.
 * Owned: descriptors, BPF objects, the gate process. Lent: everything an observation points to is
 * borrowed and valid only during the callback.
 * Promised: a record was checked (version, kind, exact size, terminated strings) before it becomes an
 * observation; a record that fails the check becomes a KW_OBSERVATION_LOST of reason
 * KW_LOST_MALFORMED; a ring slot is released only after the callback has returned.
 * May fail: any hook may be refused by the kernel (kept, with the reason, for doctor).
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <kwitness/gate.h>
#include <kwitness/limits.h>
#include <kwitness/record.h>

#include "user/base/bytes.h"
#include "user/base/clock.h"

enum kw_tier {
	KW_TIER_FENTRY,	    /* everything */
	KW_TIER_KPROBE,	    /* same hooks without BTF trampolines */
	KW_TIER_TRACEPOINT, /* mark_victim only: victim and trigger, no limit owner */
	KW_TIER_FILES,	    /* no BPF at all: counters only */
	KW_TIER_COUNT_
};

/* "fentry", "kprobe", "tracepoint", "files". */
const char *kw_tier_name(enum kw_tier tier);
/* "fentry/oom_kill_process" …; NULL for a hook that is not known. */
const char *kw_hook_name(uint32_t hook);

/* ---- readings of cgroup files (counters.c, poller.c) ---- */

struct kw_flat_pair {
	char key[KW_FLAT_KEY_BYTES];
	uint64_t value;
};

/* One flat key-value file. */
struct kw_flat {
	bool present;	   /* false: the file could not be read; error says why */
	int error;	   /* negative errno, -EBADMSG when the text was refused */
	uint32_t bad_line; /* 1-based line that was refused */
	uint32_t count;
	struct kw_flat_pair pairs[KW_FLAT_KEYS_MAX];
};

enum kw_flat_file {
	KW_FLAT_MEMORY_EVENTS,
	KW_FLAT_CPU_STAT,
	KW_FLAT_PIDS_EVENTS,
	KW_FLAT_FILE_COUNT_
};

/* The three files of one cgroup, read one after the other. */
struct kw_reading {
	char cgroup[KW_PATH_MAX]; /* path below the cgroup root, "/" first */
	char leaf[KW_PATH_MAX];	  /* absolute path of the directory that was read */
	uint64_t boot_ns;
	struct kw_flat files[KW_FLAT_FILE_COUNT_];
};

/* File name of one of the three ("memory.events"). */
const char *kw_flat_file_name(enum kw_flat_file file);

/* Parses flat key-value text as CellOS does (docs/events.md): lines trimmed, blank ones skipped,
 * further tokens ignored, the value a u64 or the whole document is refused with its 1-based line;
 * of a repeated key the last wins. 0; -EBADMSG (ret_flat->bad_line says where); -E2BIG: too many
 * keys; -ENAMETOOLONG: a key too long. */
int kw_counters_parse(const char *text, size_t length, struct kw_flat *ret_flat);

/* Reason for a refused document, as CellOS words it: "flat-kv line 3 value \"x\" not u64" is cut to
 * "flat-kv line 3 refused" where the value is not known any more. */
void kw_counters_describe_error(const struct kw_flat *flat, char *ret_text, size_t size);

/* Value of key; false when the file or the key is not there. */
bool kw_counters_get(const struct kw_flat *flat, const char *key, uint64_t *ret_value);

/* Reads the three files of the cgroup at path (below root_fd, "/" first). Missing files are marked,
 * not errors. 0, or -ENOENT when the directory itself is gone, or -errno. */
int kw_counters_read(int root_fd, const char *root_path, const char *path,
		     const struct kw_clock *clock, struct kw_reading *ret_reading) kw_must_check;

/* ---- poller.c: the cgroups that are read again and again, over descriptors that stay open ---- */

struct kw_poller;

/* root_path: where cgroup v2 is mounted; need not exist (then every add fails with -ENOENT). */
int kw_poller_open(const char *root_path, const struct kw_clock *clock,
		   struct kw_poller **ret_poller) kw_must_check;
void kw_poller_free(struct kw_poller *poller);
KW_DEFINE_CLEANUP(struct kw_poller *, kw_poller_free)
/* Reads path (below the root, "/" first) from now on under handle. A cgroup that does not exist yet is
 * tried again at every round. 0, -EEXIST, -ENAMETOOLONG, -ENOMEM. */
int kw_poller_add(struct kw_poller *poller, uint32_t handle, const char *path) kw_must_check;
void kw_poller_remove(struct kw_poller *poller, uint32_t handle);
/* Begins a round: every cgroup is due once more. */
void kw_poller_begin_round(struct kw_poller *poller);

/* ---- counters of every cgroup: compact, by number instead of by key ---- */

enum kw_counter {
	/* memory.events: hierarchical, unless cgroup2 is mounted with memory_localevents */
	KW_COUNTER_MEMORY_HIGH,
	KW_COUNTER_MEMORY_MAX,
	KW_COUNTER_OOM,
	KW_COUNTER_OOM_KILL,
	KW_COUNTER_OOM_GROUP_KILL,
	/* memory.events.local */
	KW_COUNTER_MEMORY_HIGH_LOCAL,
	KW_COUNTER_MEMORY_MAX_LOCAL,
	KW_COUNTER_OOM_LOCAL,
	KW_COUNTER_OOM_KILL_LOCAL,
	KW_COUNTER_OOM_GROUP_KILL_LOCAL,
	/* cpu.stat */
	KW_COUNTER_CPU_USAGE_USEC,
	KW_COUNTER_CPU_PERIODS,
	KW_COUNTER_CPU_THROTTLED,
	KW_COUNTER_CPU_THROTTLED_USEC,
	/* pids.events, pids.events.local (6.11) */
	KW_COUNTER_PIDS_MAX,
	KW_COUNTER_PIDS_MAX_LOCAL,
	KW_COUNTER_COUNT_
};

/* Files that the counters stand in, in the order in which they are read. */
enum kw_counts_file {
	KW_COUNTS_MEMORY_EVENTS,
	KW_COUNTS_MEMORY_EVENTS_LOCAL,
	KW_COUNTS_CPU_STAT,
	KW_COUNTS_PIDS_EVENTS,
	KW_COUNTS_PIDS_EVENTS_LOCAL,
	KW_COUNTS_FILE_COUNT_
};
/* "memory.events.local" … */
const char *kw_counts_file_name(enum kw_counts_file file);
/* Bits (1 << counter) of all counters of a file. */
uint32_t kw_counts_mask(enum kw_counts_file file);
/* File and key of a counter: "memory.events", "oom_kill". */
const char *kw_counter_source(enum kw_counter counter, const char **ret_key);
/* Text of a file to values[KW_COUNTER_COUNT_] and their bits in known; those of other files are left
 * alone, keys that are not there become unknown. Lines are read as kw_counters_parse() reads them. 0, or
 * -EBADMSG: the document is refused and nothing was changed. Pure. */
int kw_counts_parse(enum kw_counts_file file, const char *text, size_t length, uint64_t *values,
		    uint32_t *known) kw_must_check;

/* What the files of one cgroup said at one time. */
struct kw_counts {
	uint64_t
		cgroup_id; /* inode of the directory (kernfs); tells a cgroup made anew from the one before */
	uint64_t boot_ns; /* before the first file was read */
	uint32_t
		known; /* bit n: value[n] was read; a key or a file that is not there is not known */
	bool is_first; /* first reading of this cgroup by this daemon */
	bool is_gone;  /* the cgroup is gone: values are those of the last reading */
	uint64_t value[KW_COUNTER_COUNT_];
	const char *path; /* below the cgroup root, "/" first; borrowed */
};

/* ---- state.c: what one cgroup is like now, for whoever judges a guest's word ---- */

enum kw_state_known {
	KW_STATE_POPULATED = 1,
	KW_STATE_MEMORY = 2,
	KW_STATE_MEMORY_MAX = 4,
	KW_STATE_CPU = 8,
	KW_STATE_PIDS = 16,
	KW_STATE_PIDS_MAX = 32,
	KW_STATE_PIDS_PEAK = 64,
	KW_STATE_OOM_KILL = 128,
};

struct kw_state {
	uint64_t boot_ns;
	bool is_gone;	   /* there is no such cgroup; nothing else is known */
	uint32_t known;	   /* enum kw_state_known: which of these were read */
	bool is_populated; /* it, or a descendant, holds a process */
	uint64_t memory_bytes;
	uint64_t memory_max_bytes; /* its own limit or an ancestor's; KW_UNLIMITED */
	uint64_t cpu_usec;	   /* usage_usec of cpu.stat */
	uint64_t pids;
	uint64_t pids_max; /* as memory_max_bytes */
	uint64_t pids_peak;
	uint64_t
		oom_kill; /* of memory.events: its own and its descendants', unless mounted otherwise */
};

/* Reads the cgroup at path ("/" first) below root_path. 0, also when it is gone; -ENOTSUP: no cgroup v2 is
 * mounted there, so nothing follows from a directory that is missing; -EINVAL: the root; -errno. */
int kw_state_read(const char *root_path, const char *path, const struct kw_clock *clock,
		  struct kw_state *ret_state) kw_must_check;

/* ---- observations ---- */

enum kw_observation_kind {
	KW_OBSERVATION_OOM_KILL, /* record.kill */
	KW_OBSERVATION_OOM_END,	 /* record.end */
	KW_OBSERVATION_LOST,	 /* lost */
	KW_OBSERVATION_READING,	 /* reading */
	KW_OBSERVATION_GUEST,	 /* guest: a gate message, any kind the gate may send but READY */
	KW_OBSERVATION_THROTTLE, /* record.throttle, or its end as the kernel's map has it */
	KW_OBSERVATION_PIDS,	 /* record.pids, told filled in */
	KW_OBSERVATION_COUNTS, /* counts: a cgroup was seen first, its counters moved, or it is gone */
	KW_OBSERVATION_HIGH,	       /* record.high, or its end as the kernel's map has it */
	KW_OBSERVATION_LIFECYCLE,      /* record.lifecycle: a cgroup was made, removed … */
	KW_OBSERVATION_USERSPACE_KILL, /* record.userspace_kill */
	KW_OBSERVATION_KIND_COUNT_
};

enum kw_lost_reason {
	KW_LOST_RING_FULL,	/* producers refused records: exact number */
	KW_LOST_MAP_FULL,	/* producers could not count per cgroup: exact number */
	KW_LOST_PATH_TRUNCATED, /* nothing lost but components near the root */
	KW_LOST_MALFORMED,	/* a record did not pass the check: a bug or foreign writer */
	KW_LOST_BUDGET,		/* a cgroup sent more than its share: exact number */
	KW_LOST_REASON_COUNT_
};
/* "ring_full" … */
const char *kw_lost_reason_name(enum kw_lost_reason reason);

struct kw_lost {
	uint32_t record_kind; /* enum kw_record_kind; 0: not known */
	enum kw_lost_reason reason;
	uint64_t count; /* since the last report */
	/* Whose they were; KW_CGROUP_KNOWN is not set: nobody's in particular. The path may be missing. */
	struct kw_cgroup_ref cgroup;
};

struct kw_observation {
	enum kw_observation_kind kind;
	uint64_t number;	   /* the record's own number; 0 where there is none */
	uint64_t boot_ns;	   /* when it happened */
	uint64_t received_boot_ns; /* when this daemon read it */
	uint64_t received_real_ns;
	uint32_t hook; /* enum kw_hook; KW_HOOK_NONE */
	union {
		const struct kw_record_oom_kill *kill;
		const struct kw_record_oom_end *end;
		const struct kw_record_throttle *throttle;
		const struct kw_record_pids *pids;
		const struct kw_record_high *high;
		const struct kw_record_lifecycle *lifecycle;
		const struct kw_record_userspace_kill *userspace_kill;
		const struct kw_lost *lost;
		const struct kw_reading *reading;
		const struct kw_gate_message *guest;
		const struct kw_counts *counts;
	};
};

/* Finishes the observation before it returns: signed and appended, or declared lost. 0, or -errno
 * when it could not be finished (the source is then disabled, and the ring keeps the record). */
typedef int (*kw_observation_fn)(void *context, const struct kw_observation *observation);

/* ---- record.c: bytes to observation; pure ---- */

/* Checks data (length bytes from a ring) and fills ret_observation, which borrows data.
 * 0, or -EBADMSG when version, kind, size or a string's end is wrong. Times are the caller's. */
int kw_record_decode(const void *data, size_t length, struct kw_observation *ret_observation)
	kw_must_check;

/* Turns a cgroup_ref's leaf-first components into "/a/b/c" ("/" for the root). Not escaped: bytes as
 * the kernel had them. A truncated path starts with "/…" replaced by "//" so that it can't be taken
 * for a whole one. 0, -ENODATA when the cgroup is not known, -ENAMETOOLONG. */
int kw_record_cgroup_path(const struct kw_cgroup_ref *cgroup, char *ret_path, size_t size)
	kw_must_check;

/* Reads at most limit cgroups that are due; each becomes KW_OBSERVATION_READING. Returns the number of
 * cgroups still due, or the callback's error. A cgroup that is not there is no observation. */
int kw_poller_read_due(struct kw_poller *poller, unsigned int limit, kw_observation_fn callback,
		       void *context) kw_must_check;
/* Reads one cgroup now, whether it is polled or not; for the room that asks. As kw_counters_read(). */
int kw_poller_read_now(struct kw_poller *poller, const char *path, struct kw_reading *ret_reading)
	kw_must_check;

/* ---- mounts.c: how cgroup v2 is mounted ---- */

struct kw_cgroup_mount {
	bool found;		 /* there is a cgroup2 mount */
	bool memory_localevents; /* memory.events means what memory.events.local does */
	bool pids_localevents;	 /* pids.events likewise (6.11) */
};
/* Reads a mountinfo file ("/proc/self/mountinfo"; proc(5)). Options of the superblock are those of the
 * hierarchy, wherever it is mounted. 0 or -errno. */
int kw_cgroup_mount_read(const char *path, struct kw_cgroup_mount *ret_mount) kw_must_check;

/* ---- sweep.c: the counters of every cgroup of the host ---- */

/*
 * Finds every cgroup below the root by itself and reads its counters: at once when inotify tells that
 * memory.events or pids.events was modified, and in rounds. What is news becomes KW_OBSERVATION_COUNTS:
 * a cgroup seen first, an event counter that moved (all but usage_usec and nr_periods), a cgroup that is
 * gone. An observation that the callback does not finish is given again at the next call, never dropped.
 * A directory made anew under an old name is another cgroup: the old one is gone, then the new one is first.
 * Each call does a bounded piece of work and returns; the caller calls again.
 */
struct kw_sweep;

struct kw_sweep_options {
	const char *root_path; /* where cgroup v2 is mounted; need not exist */
	const char *globs;     /* of paths to read, separated by blanks; "*": all, "": none */
	uint32_t descriptors;  /* that may be kept open for reading */
	const struct kw_clock *clock;
	/* Whether the last minute of memory.current is wanted though there is no limit; may be NULL. */
	bool (*is_followed)(void *context, const char *path);
	void *context;
};
/* 0, -EINVAL (too many or too long globs), -ENOMEM, or -errno of inotify. */
int kw_sweep_open(const struct kw_sweep_options *options, struct kw_sweep **ret_sweep)
	kw_must_check;
void kw_sweep_free(struct kw_sweep *sweep);
KW_DEFINE_CLEANUP(struct kw_sweep *, kw_sweep_free)
/* inotify descriptor, for the loop. */
int kw_sweep_fd(const struct kw_sweep *sweep);
/* Every cgroup is due once more. */
void kw_sweep_begin_round(struct kw_sweep *sweep);
/* Takes what inotify has and reads those cgroups. 1: there is more to do; 0: not now; or the callback's
 * error: then call again when it may succeed. */
int kw_sweep_notified(struct kw_sweep *sweep, kw_observation_fn callback, void *context)
	kw_must_check;
/* A slice of the round: reads, and looks for cgroups that are not known yet. As kw_sweep_notified(). */
int kw_sweep_turn(struct kw_sweep *sweep, kw_observation_fn callback, void *context) kw_must_check;
/* What another witness saw: the cgroup at path (below the root, "/" first) was made, or removed. It is
 * looked at in the next kw_sweep_notified(). */
void kw_sweep_appeared(struct kw_sweep *sweep, const char *path);
void kw_sweep_went(struct kw_sweep *sweep, const char *path);
/* lifecycle.c: the same by a record of the programs; what is not of the unified hierarchy, or not said with its
 * whole path, is left to the next walk. */
void kw_sweep_lifecycle(struct kw_sweep *sweep, const struct kw_record_lifecycle *record);
/* Whether kw_sweep_notified() has something to look at though inotify may not have. */
bool kw_sweep_waits(const struct kw_sweep *sweep);

/* How it goes; counts since the start unless they say "now". */
struct kw_sweep_totals {
	uint32_t cgroups;      /* now */
	uint32_t read_kept;    /* now: read over kept descriptors */
	uint32_t not_notified; /* now: no inotify watch, polled only */
	uint32_t descriptors;  /* now */
	uint32_t known;	       /* counters that any cgroup has had: what this kernel counts */
	uint64_t refused;      /* cgroups beyond KW_SWEEP_CGROUPS_MAX, each time one is met */
	uint64_t too_long;     /* paths beyond KW_PATH_MAX */
	uint64_t malformed;    /* files whose text was refused */
	uint64_t overflows;    /* of inotify's queue: everything was read anew */
	uint64_t readings;
	uint64_t rounds; /* that came to their end */
};
void kw_sweep_totals(const struct kw_sweep *sweep, struct kw_sweep_totals *ret_totals);

/* The last minute of a cgroup's memory.current, oldest first. */
struct kw_history {
	uint32_t interval_ms; /* between two samples, at least */
	uint64_t last_boot_ns;
	uint32_t count;
	uint64_t bytes[KW_HISTORY_SAMPLES];
};
/* Of a cgroup with a memory limit, or one that is followed. 0; -ENODATA: none is kept. */
int kw_sweep_history(const struct kw_sweep *sweep, const char *path, struct kw_history *ret_history)
	kw_must_check;

/* ---- context.c: how a cgroup stands now ---- */

/* Pressure stall information of one resource (Documentation/accounting/psi.rst). */
struct kw_pressure {
	uint32_t some_avg10; /* hundredths of a percent */
	uint32_t full_avg10;
	uint64_t some_usec;
	uint64_t full_usec;
};

enum kw_context_bit {
	KW_CONTEXT_MEMORY_CURRENT = 1 << 0,
	KW_CONTEXT_MEMORY_PEAK = 1 << 1,
	KW_CONTEXT_MEMORY_MAX = 1 << 2,
	KW_CONTEXT_MEMORY_HIGH = 1 << 3,
	KW_CONTEXT_SWAP_CURRENT = 1 << 4,
	KW_CONTEXT_SWAP_MAX = 1 << 5,
	KW_CONTEXT_SWAP_HIGH = 1 << 6,
	KW_CONTEXT_SWAP_PEAK = 1 << 7,
	KW_CONTEXT_CPU_MAX = 1 << 8,
	KW_CONTEXT_MEMORY_PRESSURE = 1 << 9,
	KW_CONTEXT_CPU_PRESSURE = 1 << 10,
};

struct kw_cgroup_context {
	uint32_t known; /* enum kw_context_bit; a file that is not there is not known */
	uint64_t boot_ns;
	uint64_t memory_current_bytes;
	uint64_t memory_peak_bytes;
	uint64_t memory_max_bytes; /* UINT64_MAX: "max", no limit; so below */
	uint64_t memory_high_bytes;
	uint64_t swap_current_bytes;
	uint64_t swap_max_bytes;
	uint64_t swap_high_bytes;
	uint64_t swap_peak_bytes;
	uint64_t cpu_quota_usec;
	uint64_t cpu_period_usec;
	struct kw_pressure memory_pressure;
	struct kw_pressure cpu_pressure;
};
/* Reads the files of the cgroup at path now. 0, -ENOENT when it is gone, or -errno. */
int kw_sweep_context(const struct kw_sweep *sweep, const char *path,
		     struct kw_cgroup_context *ret_context) kw_must_check;

/* ---- hooks.c, pins.c, ring.c: the BPF side ---- */

struct kw_hooks;

/* Why a hook runs in the tier it runs in: one per hook and tier tried, for doctor. */
struct kw_hook_attempt {
	const char *hook; /* "oom_kill_process" */
	enum kw_tier tier;
	int error;	  /* 0: attached; negative errno: refused */
	char detail[160]; /* one line in words: what the kernel said, what would change it */
};

struct kw_hooks_options {
	enum kw_tier ceiling; /* best tier that may be tried */
	const char *pin_path; /* KW_PATH_PINS, or NULL: nothing is pinned; outlives the hooks */
	/* Sizes of the rings, powers of two and whole pages; 0: as built. For tests of a full ring. */
	uint32_t evidence_ring_bytes;
	uint32_t bulk_ring_bytes;
	const struct kw_clock *clock;
};

/* Adopts pinned programs of this version, or loads and attaches new ones, hook by hook from the
 * ceiling down, and pins them. Never fails for a refused hook: then the tier is lower.
 * ret_hooks: free with kw_hooks_free(). 0, -ENOMEM, -EEXIST (pins belong to a running daemon).
 * *ret_adopted: true when programs that were recording already were taken over. */
int kw_hooks_open(const struct kw_hooks_options *options, struct kw_hooks **ret_hooks,
		  bool *ret_adopted) kw_must_check;
/* Closes descriptors; pinned programs go on recording. */
void kw_hooks_free(struct kw_hooks *hooks);
KW_DEFINE_CLEANUP(struct kw_hooks *, kw_hooks_free)

/* What the programs of the last daemon have recorded since nobody reads. */
struct kw_unread {
	uint64_t
		read_boot_ns; /* when the ring was last known to be read to its end; 0: not known */
	uint64_t records;     /* that wait */
};

/* Looks at pins without touching them. 0; -ENOENT: there are none; or -errno. */
int kw_hooks_unread(const char *pin_path, struct kw_unread *ret_unread) kw_must_check;

/* Appends what was tried, what is attached and what its programs took of the verifier, as one JSON
 * object {bootId, pid, tier, pinned, hooks, attempts, programs}, to text. 0, or the error of text. */
int kw_hooks_report(const struct kw_hooks *hooks, const char *boot_id, struct kw_bytes *text)
	kw_must_check;

/* What one attached program has cost, as the kernel counts it (struct bpf_prog_info). */
struct kw_hook_cost {
	char program[64]; /* "fexit_oom_kill_process" */
	uint32_t
		verified_insns; /* instructions the verifier went through; 0: not told (below 5.16) */
	uint64_t run_count;	/* counted only while BPF statistics are switched on */
	uint64_t run_time_ns;
};

#define KW_HOOK_COSTS_MAX 18 /* programs that can be attached at once */

/* One entry per attached program; at most max. Returns how many there are, or -errno: -EPERM for programs
 * that were taken over from a build which did not pin them, where the daemon was not started with
 * CAP_SYS_ADMIN (then a program is found by its id). */
int kw_hooks_costs(const struct kw_hooks *hooks, struct kw_hook_cost *ret_costs, size_t max);

/* Whether kernel.bpf_stats_enabled is set. 1, 0 or -errno; of kw_hooks_enable_stats(), by whomever, the sysctl
 * does not know (kernel/bpf/syscall.c, bpf_stats_handler(), 6.1 to 6.18). */
int kw_hooks_stats_enabled(void);

/* Has the kernel count run times as long as the descriptor returned is open; a few ns per run of every
 * BPF program of the host. Or -errno. */
int kw_hooks_enable_stats(void);

/* Removes every pin below pin_path: programs stop once nothing holds them. 0 or -errno. */
int kw_hooks_detach(const char *pin_path);

enum kw_tier kw_hooks_tier(const struct kw_hooks *hooks);
/* Attempts made, in order; borrowed. */
const struct kw_hook_attempt *kw_hooks_attempts(const struct kw_hooks *hooks, size_t *ret_count);

/* Name of hook number index ("oom_kill_process"), and the tier it is attached in; KW_TIER_FILES: it is not.
 * NULL: there are no more. */
const char *kw_hooks_name(const struct kw_hooks *hooks, size_t index, enum kw_tier *ret_tier);

/* Descriptor that polls readable when the evidence ring has records; -1 in tier files. */
int kw_hooks_ring_fd(const struct kw_hooks *hooks);

/* Consumes at most limit records; each goes through record.c to callback, then its slot is released.
 * Returns the number consumed, or the callback's error after which nothing more is consumed. */
int kw_hooks_consume(struct kw_hooks *hooks, unsigned int limit, kw_observation_fn callback,
		     void *context) kw_must_check;

/* Whether a hook is attached that records this kind. */
bool kw_hooks_see(const struct kw_hooks *hooks, enum kw_record_kind kind);

/* killers.c: kills by processes in these cgroups (64-bit kernfs ids, at most KW_KILLERS_MAX) are recorded
 * from now on, and by no others. 0; -EOPNOTSUPP: nothing is hooked that would; or -errno. */
int kw_hooks_set_killers(struct kw_hooks *hooks, const uint64_t *ids, size_t count) kw_must_check;

/* bulk.c: consumes at most limit records of the bulk ring, whose writers wake nobody, so call it a few
 * times a second; when it is empty, finds the episodes of throttling that are over and ends them, and the
 * refused forks that no record has told. Returns
 * the number consumed, or the callback's error: then what was not finished comes again. */
int kw_hooks_poll_bulk(struct kw_hooks *hooks, unsigned int limit, kw_observation_fn callback,
		       void *context) kw_must_check;

/* Bytes waiting in the evidence ring. */
uint64_t kw_hooks_backlog(const struct kw_hooks *hooks);

/* Reads the producers' loss counters; each that moved since the last call becomes an observation
 * KW_OBSERVATION_LOST. base: counters already declared by an earlier run are kept in a pinned map,
 * so nothing is declared twice. 0, or the callback's error, or -errno. */
int kw_hooks_collect_losses(struct kw_hooks *hooks, kw_observation_fn callback, void *context)
	kw_must_check;

/* Losses that the producers have counted and kw_hooks_collect_losses() has not told yet. 0 or -errno. */
int kw_hooks_open_losses(const struct kw_hooks *hooks, uint64_t *ret_losses) kw_must_check;

/* What the programs have counted of one cgroup, by its id, whatever became of records and of the cgroup.
 * 0; -ENOENT: nothing, or there are no programs. */
int kw_hooks_cgroup_counts(const struct kw_hooks *hooks, uint64_t cgroup_id,
			   struct kw_cgroup_counts *ret_counts) kw_must_check;

/* When set, each raw record that is consumed is also appended to fd as u32 little-endian length,
 * u64 received_boot_ns, u64 received_real_ns, bytes: a recording for tests/replay. Not owned. */
void kw_hooks_set_recording(struct kw_hooks *hooks, int fd);

/* ---- gatelink.c: the daemon's end of the gate ---- */

struct kw_gatelink;

/* Starts program (path of kwitness-gate) with one end of a socketpair as fd 3 and nothing else.
 * 0 or -errno. Free with kw_gatelink_free(), which ends the gate. */
int kw_gatelink_open(const char *program, const struct kw_clock *clock,
		     struct kw_gatelink **ret_link) kw_must_check;
void kw_gatelink_free(struct kw_gatelink *link);
KW_DEFINE_CLEANUP(struct kw_gatelink *, kw_gatelink_free)

/* Who may connect to a guest's socket. (uid_t)-1, (gid_t)-1: as this process. */
struct kw_socket_access {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

/* Binds base + KW_GUEST_SOCKET_SUFFIX for access (NULL: this process alone, mode 0600) and hands it to
 * the gate under handle. 0; -EEXIST: something that is no stale socket stands there; -EADDRINUSE: a live
 * listener does; -ELOOP: a symbolic link in the path of its directory; -EINVAL: handle has one; -errno. */
int kw_gatelink_listen_unix(struct kw_gatelink *link, uint32_t handle, const char *base,
			    const struct kw_socket_access *access) kw_must_check;
/* The same with a listening AF_UNIX stream socket that somebody else has bound. fd: borrowed, a copy is
 * kept; its file is not unlinked. 0; -EINVAL: it is none, or handle has one; -errno. */
int kw_gatelink_listen_fd(struct kw_gatelink *link, uint32_t handle, int fd) kw_must_check;
/* The same with the socket that a former daemon has bound for base, as inode: it is ours, and its file is
 * unlinked when it is forgotten. -ENOENT: another file stands there now. */
int kw_gatelink_listen_kept(struct kw_gatelink *link, uint32_t handle, const char *base,
			    uint64_t inode, int fd) kw_must_check;
/* The descriptor of the socket that was bound for handle, borrowed, and its file's inode; -1: none was. */
int kw_gatelink_listener(const struct kw_gatelink *link, uint32_t handle, uint64_t *ret_inode);
/* That of the AF_VSOCK listener; -1: there is none. */
int kw_gatelink_vsock_listener(const struct kw_gatelink *link);
/* Listens on AF_VSOCK, port KW_GUEST_PORT, for all cells, unless it does already; fd: such a listener,
 * borrowed; -1: one is bound. 0; -EAFNOSUPPORT: there is no AF_VSOCK here; -EADDRINUSE; -EINVAL; -errno. */
int kw_gatelink_listen_vsock(struct kw_gatelink *link, int fd) kw_must_check;
/* The peer with this CID is handle's guest, beside or without a socket of its own. 0, -EINVAL: handle
 * has one; -ENOMEM. */
int kw_gatelink_admit(struct kw_gatelink *link, uint32_t handle, uint32_t cid) kw_must_check;
/* Tells the gate to forget handle, and unlinks the socket that was bound for it. */
void kw_gatelink_forget(struct kw_gatelink *link, uint32_t handle);

int kw_gatelink_fd(const struct kw_gatelink *link);
int kw_gatelink_pidfd(const struct kw_gatelink *link);

/* Receives at most limit messages; each is checked against the table of allowed messages, then given
 * to callback as KW_OBSERVATION_GUEST. Returns the number, -EPIPE when the gate is gone, -EPROTO when
 * it sent what no gate of ours sends (the caller restarts it), or the callback's error. */
int kw_gatelink_receive(struct kw_gatelink *link, unsigned int limit, kw_observation_fn callback,
			void *context) kw_must_check;

/* Starts the gate anew after -EPIPE or -EPROTO and hands it the listeners it had. 0 or -errno. */
int kw_gatelink_restart(struct kw_gatelink *link) kw_must_check;
