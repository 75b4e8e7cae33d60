/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What the loader tells the programs, and what it leaves beside the pins for the next loader. Shared
 * by bpf/ and user/capture; not a record, so it is not part of include/kwitness/.
 */
#include <kwitness/record.h>

/* The one entry of map "state". Written by the loader before anything is attached, except flags. */
struct kw_bpf_state {
	__u64 number;	  /* next record or incident: boot time in us at load, then counted up */
	__u32 page_shift; /* log2 of the page size */
	__u32 flags;	  /* enum kw_bpf_state_flags */
};

enum kw_bpf_state_flags {
	KW_BPF_STATE_KILLS_COUNTED = 1 << 0, /* __oom_kill_process is hooked at entry and return */
};

/* The groups of programs that stand and fall together. Index of kw_pin_meta.tier. */
enum kw_hook_group {
	KW_GROUP_OOM_KILL_PROCESS, /* entry and return */
	KW_GROUP_OOM_KILL_ONE,	   /* __oom_kill_process, entry and return */
	KW_GROUP_THROTTLE,	   /* throttle_cfs_rq, unthrottle_cfs_rq; may be missing */
	KW_GROUP_PIDS,		   /* pids_can_fork at its return; may be missing */
	KW_GROUP_HIGH,	      /* mem_cgroup_handle_over_high, entry and return; may be missing */
	KW_GROUP_MARK_VICTIM, /* the last of those that have tiers */
	KW_GROUP_LIFECYCLE,   /* cgroup_mkdir and its siblings; may be missing */
	KW_GROUP_SIGNAL,      /* signal_generate; may be missing */
	KW_GROUP_COUNT_
};

/* Key of map "cgroup_losses": what was not sent, by whose it was. */
struct kw_cgroup_loss_key {
	__u64 cgroup; /* kernfs id */
	__u64 serial; /* css serial_nr: tells a reused id from its first owner */
	__u32 kind;   /* enum kw_record_kind */
	__u32 reason; /* enum kw_loss_reason */
};

/* The one entry of map "reader": the daemon's, kept here so that it outlives the daemon. */
struct kw_reader_state {
	__u64 read_boot_ns; /* when a daemon last knew the evidence ring to be read to its end */
};

/* The one entry of map "meta": whose pins these are. Pinned last, so that it also says: complete. */
struct kw_pin_meta {
	__u32 record_version; /* KW_RECORD_VERSION */
	__u32 ceiling;	      /* enum kw_tier the loader was allowed */
	__u64 build_id;	      /* of the BPF object (FNV-1a over its bytes): tells builds apart */
	__u32 tier[KW_GROUP_COUNT_]; /* enum kw_tier per group; KW_TIER_FILES: not hooked */
};

_Static_assert(sizeof(struct kw_bpf_state) == 16, "state layout");
_Static_assert(sizeof(struct kw_cgroup_loss_key) == 24, "loss key layout");
_Static_assert(sizeof(struct kw_pin_meta) == 48, "meta layout");
