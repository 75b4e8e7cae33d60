/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Records that the BPF programs push through the rings: the border between bpf/ and user/.
 *
 * All fields are fixed width, padding is explicit, every size is asserted below. A reader checks
 * header.version, header.kind and header.size against the kind's exact size before it reads any
 * other field. Compiles in bpf/ (after vmlinux.h) and in user/ (after <linux/types.h>).
 *
 * What is not known is zero together with a cleared flag, so that zero never means a guess.
 */
#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#include "limits.h"

/* Changes whenever a layout below changes; pinned programs of another version are replaced. */
#define KW_RECORD_VERSION 1

enum kw_record_kind {
	KW_RECORD_OOM_KILL = 1, /* one marked victim, complete in itself */
	KW_RECORD_OOM_END = 2,	/* one OOM is over: counts and counters before and after */
	KW_RECORD_THROTTLE = 3, /* CPU bandwidth throttling of a cgroup begins, goes on, is over */
	KW_RECORD_PIDS = 4,	/* forks that a pids.max refused, since the last such record */
	KW_RECORD_HIGH = 5,	/* memory.high throttling of a cgroup begins, goes on, is over */
	KW_RECORD_LIFECYCLE =
		6, /* a cgroup was made, removed, renamed …; maintains a table, is no event */
	KW_RECORD_USERSPACE_KILL = 7, /* a memory manager in user space sent SIGKILL */
	KW_RECORD_KIND_COUNT_
};

/* The kernel hook that saw it. Names in names.h; order is part of the format. */
enum kw_hook {
	KW_HOOK_NONE = 0,
	KW_HOOK_FENTRY_OOM_KILL_PROCESS = 1,
	KW_HOOK_KPROBE_OOM_KILL_PROCESS = 2,
	KW_HOOK_RAW_TP_MARK_VICTIM = 3,
	KW_HOOK_FENTRY_OOM_KILL_ONE = 4, /* __oom_kill_process */
	KW_HOOK_KPROBE_OOM_KILL_ONE = 5,
	KW_HOOK_FENTRY_THROTTLE = 6, /* throttle_cfs_rq, unthrottle_cfs_rq */
	KW_HOOK_KPROBE_THROTTLE = 7,
	KW_HOOK_FENTRY_PIDS = 8, /* pids_can_fork, at its return */
	KW_HOOK_KPROBE_PIDS = 9,
	KW_HOOK_FENTRY_HIGH = 10, /* mem_cgroup_handle_over_high, since 6.18 with two underscores */
	KW_HOOK_KPROBE_HIGH = 11,
	KW_HOOK_RAW_TP_CGROUP = 12, /* cgroup_mkdir and its siblings */
	KW_HOOK_RAW_TP_SIGNAL = 13, /* signal_generate */
	KW_HOOK_COUNT_
};

/* Why a producer could not record something. Index of the loss map: kind * REASONS + reason. */
enum kw_loss_reason {
	KW_LOSS_RING_FULL = 0,	    /* the record is gone; its counts are in the maps */
	KW_LOSS_MAP_FULL = 1,	    /* a per-cgroup count is gone; the record went out */
	KW_LOSS_PATH_TRUNCATED = 2, /* the record went out with a shortened path */
	KW_LOSS_BUDGET = 3,	    /* the cgroup had sent its share; its counts are in the maps */
	KW_LOSS_REASON_COUNT_
};

struct kw_record_header {
	__u16 version; /* KW_RECORD_VERSION */
	__u16 kind;    /* enum kw_record_kind */
	__u32 size;    /* of the whole record, this header included */
	__u64 number;  /* per boot, starts at the boot time in us at load: unique, below 2^53 */
	__u64 boot_ns; /* CLOCK_BOOTTIME at the hook */
	__u32 hook;    /* enum kw_hook */
	__u32 cpu;
};

enum kw_cgroup_flags {
	KW_CGROUP_KNOWN = 1 << 0,
	KW_CGROUP_TRUNCATED = 1 << 1, /* path lacks components near the root */
	KW_CGROUP_V1 =
		1 << 2, /* the memory controller is on a v1 hierarchy; id and path are of that */
};

/* A cgroup as it stood at the hook. Path: leaf-first components, each with its NUL, root's omitted. */
struct kw_cgroup_ref {
	__u64 id;	  /* kernfs node id, 64 bit */
	__u64 serial;	  /* css serial_nr: tells a reused id from the first owner */
	__u32 flags;	  /* enum kw_cgroup_flags */
	__u16 level;	  /* depth below the root; 0 is the root itself */
	__u16 path_bytes; /* used bytes of path */
	char path[KW_CGROUP_PATH_BYTES];
};

/* memory_events[] of one memcg, read at the hook (mm/memcontrol.c: atomic_long_t arrays). */
struct kw_memory_events {
	__u64 max;
	__u64 high;
	__u64 oom;
	__u64 oom_kill;
	__u64 oom_group_kill;
};

enum kw_memcg_flags {
	KW_MEMCG_KNOWN = 1 << 0,
	KW_MEMCG_OOM_GROUP = 1 << 1,
	KW_MEMCG_SWAP_KNOWN = 1 << 2,
	KW_MEMCG_GROUP_KILL_KNOWN = 1 << 3, /* the kernel has MEMCG_OOM_GROUP_KILL (5.17) */
};

/* KW_UNLIMITED: page_counter's maximum, "max" in the file. */
#define KW_UNLIMITED ((__u64)-1)

/* State of the memory cgroup whose limit was hit. Bytes; KW_UNLIMITED for "max". */
struct kw_memcg_state {
	__u32 flags; /* enum kw_memcg_flags */
	__u32 pad;
	__u64 usage_bytes;
	__u64 max_bytes;
	__u64 high_bytes;
	__u64 swap_usage_bytes;
	__u64 swap_max_bytes;
};

struct kw_task_ref {
	__u32 tgid;
	__u32 tid;
	__u32 uid;
	__u32 ns_tgid; /* tgid in the task's own pid namespace; 0: not known */
	char comm[KW_COMM_BYTES];
};

enum kw_victim_flags {
	KW_VICTIM_MM_KNOWN = 1 << 0,	 /* the memory figures below were read */
	KW_VICTIM_EVENTS_KNOWN = 1 << 1, /* the record's victim_events_local were read */
};

struct kw_victim {
	struct kw_task_ref task;
	__u32 flags; /* enum kw_victim_flags */
	__s32 oom_score_adj;
	__u32 parent_tgid;
	__u32 pad;
	char parent_comm[KW_COMM_BYTES];
	__u64 start_boot_ns; /* CLOCK_BOOTTIME at which the process started */
	__u64 total_vm_kb;
	__u64 anon_rss_kb;
	__u64 file_rss_kb;
	__u64 shmem_rss_kb;
	__u64 swap_kb;
	__u64 pgtables_kb;
};

enum kw_oom_flags {
	KW_OOM_OWNER_KNOWN = 1 << 0, /* limit owner, constraint, points, order, gfp were seen */
	KW_OOM_GLOBAL = 1 << 1,	     /* oc->memcg is NULL: the host itself was out of memory */
	KW_OOM_GROUP_KILL = 1 << 2,  /* memory.oom.group is set between victim and limit owner */
	KW_OOM_COUNTED_KNOWN =
		1 << 3, /* __oom_kill_process was hooked: entered and counted are exact */
};

/* What every record of one OOM carries, so that each can stand alone. */
struct kw_oom_context {
	__u64 incident;	   /* per boot, same numbering as header.number; 0: not known */
	__u32 flags;	   /* enum kw_oom_flags */
	__u32 constraint;  /* enum oom_constraint: 0 none, 1 cpuset, 2 memory_policy, 3 memcg */
	__s64 points;	   /* oc->chosen_points */
	__u64 limit_pages; /* oc->totalpages: the limit, never the victim's size */
	__u32 gfp_flags;
	__s32 order;
	struct kw_task_ref trigger; /* current at the hook */
	struct kw_memcg_state owner_state;
	struct kw_cgroup_ref owner;
	struct kw_cgroup_ref trigger_cgroup;
};

/* One per mark_victim: never twice for the same process. */
struct kw_record_oom_kill {
	struct kw_record_header header;
	struct kw_oom_context oom;
	struct kw_victim victim;
	struct kw_cgroup_ref victim_cgroup;
	/* after this kill was counted; of the victim's cgroup, or of its nearest ancestor that has the
	 * memory controller: the one in which the kernel counts */
	struct kw_memory_events victim_events_local;
	__u32 member; /* 1 for the first of an incident; 0: not known */
	__u32 pad;
};

/* One per oom_kill_process, at its return. All kills of an OOM run under oom_lock (mm/oom_kill.c),
 * so the difference of the counters between its entry and its return belongs to this OOM alone. */
struct kw_record_oom_end {
	struct kw_record_header header;
	struct kw_oom_context oom;
	__u64 begin_boot_ns;
	__u32 marked;	      /* mark_victim calls */
	__u32 entered;	      /* __oom_kill_process calls, duplicates and early returns included */
	__u32 counted;	      /* how far the victims' local oom_kill moved inside those calls */
	__u32 lost;	      /* OOM_KILL records of this incident that the ring refused */
	__u32 counters_known; /* 1: owner's events below were read (memcg OOM only) */
	__u32 pad;
	struct kw_memory_events owner_before; /* hierarchical */
	struct kw_memory_events owner_after;
};

_Static_assert(sizeof(struct kw_record_header) == 32, "header layout");
_Static_assert(sizeof(struct kw_cgroup_ref) == 24 + KW_CGROUP_PATH_BYTES, "cgroup layout");
_Static_assert(sizeof(struct kw_memory_events) == 40, "memory events layout");
_Static_assert(sizeof(struct kw_memcg_state) == 48, "memcg layout");
_Static_assert(sizeof(struct kw_task_ref) == 32, "task layout");
_Static_assert(sizeof(struct kw_victim) == 120, "victim layout");
_Static_assert(sizeof(struct kw_oom_context) == 1192, "oom context layout");
_Static_assert(sizeof(struct kw_record_oom_kill) == 1928, "oom_kill layout");
_Static_assert(sizeof(struct kw_record_oom_end) == 1336, "oom_end layout");

/* Per-cgroup counts kept in a kernel map, so that a count survives the record and the cgroup. */
struct kw_cgroup_counts {
	__u64 marked;	      /* mark_victim calls for processes of this cgroup */
	__u64 owned;	      /* OOMs whose limit owner it was */
	__u64 last_boot_ns;   /* of the last change */
	__u64 oom_kill_local; /* memory.events.local oom_kill as last seen in the kernel */
};
_Static_assert(sizeof(struct kw_cgroup_counts) == 32, "counts layout");

/* ---- CPU bandwidth throttling (kernel/sched/fair.c) ---- */

enum kw_throttle_phase {
	KW_THROTTLE_START = 1,
	KW_THROTTLE_CONTINUE = 2,
	KW_THROTTLE_END = 3,
};

/* Of one cgroup, since it was first seen throttled; only ever counted up. */
struct kw_throttle_totals {
	__u64 throttles;   /* runqueues that were throttled */
	__u64 unthrottles; /* runqueues that were let go on */
	/* Runqueue clock at unthrottle less throttled_clock, summed up: what the kernel itself adds to
	 * throttled_time. */
	__u64 stalled_ns;
	__u64 histogram[KW_THROTTLE_BUCKETS]; /* of the stalls' lengths */
};

/* struct cfs_bandwidth of the cgroup, as the kernel counts (cpu.stat) and as it is set (cpu.max). */
struct kw_bandwidth {
	__u64 throttled_ns;
	__u64 quota_ns; /* KW_UNLIMITED: "max" */
	__u64 period_ns;
	__u32 periods;		 /* nr_periods: an int, wraps */
	__u32 throttled_periods; /* nr_throttled */
};

enum kw_throttle_flags {
	KW_THROTTLE_MORE_CPUS = 1 << 0, /* a CPU beyond the set's end was throttled */
};

/* The episode of one cgroup that is under way or was the last. Also the value of map "throttles",
 * which several CPUs write: counts are exact, comm is whichever came last. */
struct kw_throttle {
	__u64 episode; /* same numbering as header.number */
	__u64 begin_boot_ns;
	__u64 last_boot_ns; /* of the last throttle or unthrottle */
	__u64 next_boot_ns; /* when it is told again */
	struct kw_throttle_totals totals;
	struct kw_throttle_totals before; /* totals when the episode began */
	struct kw_bandwidth bandwidth;
	struct kw_bandwidth bandwidth_before;
	__u64 cpus[KW_THROTTLE_CPU_WORDS]; /* set of CPUs whose runqueue was throttled */
	char comm[KW_COMM_BYTES];	   /* who ran last into it; empty: nobody of this cgroup */
	__u32 flags;			   /* enum kw_throttle_flags */
	__u32 hook;			   /* enum kw_hook */
	__u64 window_boot_ns;		   /* budget: when the window ends */
	__u32 window_records;
	__u32 pad;
	struct kw_cgroup_ref cgroup;
};

struct kw_record_throttle {
	struct kw_record_header header;
	__u32 phase; /* enum kw_throttle_phase */
	__u32 pad;
	struct kw_throttle throttle;
};

_Static_assert(sizeof(struct kw_throttle_totals) == 24 + 8 * KW_THROTTLE_BUCKETS, "totals layout");
_Static_assert(sizeof(struct kw_bandwidth) == 32, "bandwidth layout");
_Static_assert(sizeof(struct kw_throttle) == 1232, "throttle layout");
_Static_assert(sizeof(struct kw_record_throttle) == 1272, "throttle record layout");

/* ---- forks refused by pids.max (kernel/cgroup/pids.c) ---- */

/* Refusals of one cgroup since it was first refused. Also the value of map "refusals". */
struct kw_refusals {
	__u64 total;		 /* only ever counted up */
	__u64 last_boot_ns;	 /* of the last refusal */
	__u64 next_boot_ns;	 /* not told before */
	__u64 max_pids;		 /* the limit owner's pids.max */
	struct kw_task_ref task; /* who forked last, when it was last told */
	__u32 hook;		 /* enum kw_hook */
	__u32 pad;
	struct kw_cgroup_ref cgroup; /* that the new task would have been in */
	struct kw_cgroup_ref owner;  /* whose limit it was; not known: nobody's was full any more */
};

struct kw_record_pids {
	struct kw_record_header header;
	__u64 told; /* of total, told before: filled in by the reader */
	struct kw_refusals refusals;
};

_Static_assert(sizeof(struct kw_refusals) == 1144, "refusals layout");
_Static_assert(sizeof(struct kw_record_pids) == 1184, "pids record layout");

/* ---- memory.high (mm/memcontrol.c) ---- */

enum kw_high_flags {
	KW_HIGH_OWNER_CHANGED =
		1 << 0, /* in this episode it was not always the same cgroup's limit */
};

/*
 * The episode of one cgroup whose tasks were held up because a memory.high was passed, under way or the
 * last one. Also the value of map "highs". Its first members are those of struct kw_throttle, so that one
 * reader finds the end of both; in totals, throttles are calls and unthrottles are their returns.
 */
struct kw_high {
	__u64 episode; /* same numbering as header.number */
	__u64 begin_boot_ns;
	__u64 last_boot_ns; /* of the last call or return */
	__u64 next_boot_ns; /* when it is told again */
	struct kw_throttle_totals totals;
	struct kw_throttle_totals before; /* totals when the episode began */
	__u64 high_before; /* owner's own "high" event when it was first seen in this episode */
	__u64 high_events; /* the same, at the last call or return that could read it */
	struct kw_memcg_state owner_state; /* at the last call that found an owner */
	struct kw_task_ref task;	   /* who was held up last */
	__u32 flags;			   /* enum kw_high_flags */
	__u32 hook;			   /* enum kw_hook */
	__u64 window_boot_ns;		   /* budget: when the window ends */
	__u32 window_records;
	__u32 over; /* at the last call: cgroups above their memory.high, from cgroup up to the root */
	struct kw_cgroup_ref cgroup; /* that the tasks' memory is charged to */
	struct kw_cgroup_ref
		owner; /* nearest that was above its memory.high; not known: none was */
};

struct kw_record_high {
	struct kw_record_header header;
	__u32 phase; /* enum kw_throttle_phase */
	__u32 pad;
	struct kw_high high;
};

_Static_assert(sizeof(struct kw_high) == 1656, "high layout");
_Static_assert(sizeof(struct kw_record_high) == 1696, "high record layout");
_Static_assert(__builtin_offsetof(struct kw_high, last_boot_ns) ==
			       __builtin_offsetof(struct kw_throttle, last_boot_ns) &&
		       __builtin_offsetof(struct kw_high, totals) ==
			       __builtin_offsetof(struct kw_throttle, totals),
	       "one reader for both");

/* ---- cgroups that come and go (include/trace/events/cgroup.h) ---- */

enum kw_lifecycle {
	KW_LIFECYCLE_MKDIR = 1,
	KW_LIFECYCLE_RMDIR =
		2, /* the directory is gone; records of its tasks and memory may follow */
	KW_LIFECYCLE_RELEASE = 3,   /* nothing holds it any more: its id may be used again */
	KW_LIFECYCLE_RENAME = 4,    /* v1 only; the path is the new one */
	KW_LIFECYCLE_POPULATED = 5, /* it or a descendant got its first process, or lost its last */
	KW_LIFECYCLE_COUNT_
};

struct kw_record_lifecycle {
	struct kw_record_header header;
	__u32 what;	 /* enum kw_lifecycle */
	__u32 populated; /* POPULATED: 1 first, 0 last; else 0 */
	struct kw_cgroup_ref cgroup;
};

_Static_assert(sizeof(struct kw_record_lifecycle) == 576, "lifecycle record layout");

/* ---- kills by a memory manager in user space (kernel/signal.c) ---- */

/* One per process that was sent SIGKILL, and took it, by a task in a cgroup of map "killers". */
struct kw_record_userspace_kill {
	struct kw_record_header header;
	struct kw_task_ref killer;
	struct kw_victim victim;
	struct kw_memcg_state memory; /* of the victim's memory cgroup */
	struct kw_cgroup_ref killer_cgroup;
	struct kw_cgroup_ref victim_cgroup;
};

_Static_assert(sizeof(struct kw_record_userspace_kill) == 232 + 2 * sizeof(struct kw_cgroup_ref),
	       "userspace kill layout");
