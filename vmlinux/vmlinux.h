/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__
/*
 * Kernel types as far as the BPF programs read them: only the fields used, in any order. What is
 * kernel-internal carries preserve_access_index, so that the loader (libbpf, CO-RE) puts in the true
 * offsets from the running kernel's BTF; a field that is not there makes the load fail by name
 * instead of reading something else. What is user-space ABI (include/uapi/linux/bpf.h) is fixed and
 * stands outside. Fields whose name or type differs between kernels are in flavours.h.
 *
 * Checked against the BTF of 6.1.192, 6.12.117 and 6.18.44.
 */

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u16 __sum16;
typedef __u64 u64;
typedef __s64 s64;
typedef _Bool bool;
enum { false = 0, true = 1 };

/* ---- user-space ABI: include/uapi/linux/bpf.h ---- */

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27, /* 5.8 */
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

enum {
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_RDONLY_PROG = 1U << 7,
};

enum {
	BPF_RB_AVAIL_DATA = 0,
	BPF_RB_RING_SIZE = 1,
};

enum {
	BPF_RB_NO_WAKEUP = 1ULL << 0,
	BPF_RB_FORCE_WAKEUP = 1ULL << 1,
};

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

/* ---- kernel-internal ---- */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* arch/x86/include/asm/ptrace.h: what PT_REGS_PARM1, 2 and PT_REGS_RC read */
struct pt_regs {
	unsigned long di;
	unsigned long si;
	unsigned long ax;
};

/* arch/arm64/include/uapi/asm/ptrace.h */
struct user_pt_regs {
	__u64 regs[31];
};

/* include/linux/types.h (64 bit) */
typedef struct {
	s64 counter;
} atomic64_t;
typedef atomic64_t atomic_long_t;

typedef struct {
	unsigned int val;
} kuid_t;

/* include/linux/kernfs.h; parent: flavours.h */
struct kernfs_node {
	const char *name;
	u64 id;
};

/* include/linux/cgroup-defs.h */
struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
	u64 serial_nr;
};

struct cgroup_root {
	int hierarchy_id;
	unsigned int subsys_mask;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

/* Values differ with the configuration: only through bpf_core_enum_value(). */
enum cgroup_subsys_id {
	memory_cgrp_id = 0,
	pids_cgrp_id = 1,
};

/* include/linux/page_counter.h */
struct page_counter {
	atomic_long_t usage;
	unsigned long high;
	unsigned long max;
};

/* include/linux/memcontrol.h; values through bpf_core_enum_value() */
enum memcg_memory_event {
	MEMCG_HIGH = 1,
	MEMCG_MAX = 2,
	MEMCG_OOM = 3,
	MEMCG_OOM_KILL = 4,
	MEMCG_OOM_GROUP_KILL = 5, /* 5.17 */
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
	struct page_counter swap; /* shares its place with memsw, v1's counter; CO-RE looks into the union */
	bool oom_group;
	atomic_long_t memory_events[1];
	atomic_long_t memory_events_local[1];
};

/* include/linux/pid.h, pid_types.h */
enum pid_type {
	PIDTYPE_TGID = 1,
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

/* include/linux/sched/signal.h, cred.h */
struct signal_struct {
	struct pid *pids[1];
	short oom_score_adj;
};

struct cred {
	kuid_t uid;
};

/* include/linux/mm_types.h (inside an anonymous struct there); rss_stat: flavours.h */
struct task_struct;

struct mm_struct {
	unsigned long total_vm;
	atomic_long_t pgtables_bytes;
	struct task_struct *owner;
};

/* kernel/cgroup/pids.c */
struct pids_cgroup {
	struct cgroup_subsys_state css;
	atomic64_t counter;
	atomic64_t limit; /* int64_t before 5.4: same size, same place of the value */
};

/* kernel/sched/sched.h */
struct task_group;

struct rq {
	u64 clock;
	int cpu;
};

struct cfs_rq {
	struct rq *rq;
	struct task_group *tg;
	u64 throttled_clock;
	int throttled; /* a bit field since 6.18: only through BPF_CORE_READ_BITFIELD_PROBED() */
};

struct cfs_bandwidth {
	s64 period; /* ktime_t */
	u64 quota;
	int nr_periods;
	int nr_throttled;
	u64 throttled_time;
};

struct task_group {
	struct cgroup_subsys_state css;
	struct task_group *parent;
	struct cfs_bandwidth cfs_bandwidth;
};

/* include/linux/sched.h */
struct task_struct {
	int pid;
	int tgid;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	const struct cred *real_cred;
	struct task_group *sched_task_group;
	struct css_set *cgroups;
	unsigned int memcg_nr_pages_over_high;
	u64 start_boottime; /* real_start_time before 5.5: older than the ring buffer */
	char comm[16];
};

/* include/linux/oom.h */
enum oom_constraint {
	CONSTRAINT_NONE,
	CONSTRAINT_CPUSET,
	CONSTRAINT_MEMORY_POLICY,
	CONSTRAINT_MEMCG,
};

struct oom_control {
	struct mem_cgroup *memcg;
	unsigned int gfp_mask;
	int order;
	unsigned long totalpages;
	long chosen_points; /* unsigned before 5.9: CO-RE ignores the sign, values fit */
	enum oom_constraint constraint;
};

#pragma clang attribute pop

#endif
