/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Cgroups and memory cgroups as they stand at the hook. The path is copied here because it is the
 * only copy that survives an rmdir some milliseconds after the kill.
 */
#include "emit.bpf.h"
#include "flavours.h"

/* The default (v2) hierarchy is registered first and has id 0: the "0::" of /proc/PID/cgroup
 * (Documentation/admin-guide/cgroup-v2.rst). */
#define DEFAULT_HIERARCHY 0

/* Levels of memory cgroups that are walked for memory.oom.group. Deeper: taken as not set. */
#define MEMCG_DEPTH_MAX 64

static __always_inline bool is_default_hierarchy(struct cgroup *cgroup)
{
	return BPF_CORE_READ(cgroup, root, hierarchy_id) == DEFAULT_HIERARCHY;
}

/* A record of this cgroup was not sent, or not whole. */
static __always_inline void count_loss_in(struct cgroup *cgroup, enum kw_record_kind kind,
					  enum kw_loss_reason reason)
{
	if (cgroup)
		count_loss_of(BPF_CORE_READ(cgroup, kn, id), BPF_CORE_READ(cgroup, self.serial_nr),
			      kind, reason);
	else
		count_loss(kind, reason);
}

_Static_assert((KW_CGROUP_PATH_BYTES & (KW_CGROUP_PATH_BYTES - 1)) == 0, "used as a mask");

/*
 * Copies the names from node up to, not including, the root, each with its NUL; all that is not used
 * is zero. Sets KW_CGROUP_TRUNCATED when a name did not fit or could not be read, and counts it.
 * Unrolled: verifiers up to 6.1 refuse a loop whose back edge is not a jump (check_cfg()), and how a
 * loop is laid out is the compiler's affair. Not inlined: there are several callers.
 */
static __noinline void read_path(struct kernfs_node *node, struct kw_cgroup_ref *ref,
				 enum kw_record_kind kind, struct scratch *scratch)
{
	struct kernfs_node *parent = NULL;
	__u64 used = 0, at;
	int depth;

	if (!scratch || !ref)
		return;
	clear_memory(scratch->path, sizeof(scratch->path));
#pragma unroll
	for (depth = 0; depth <= KW_CGROUP_DEPTH_MAX; depth++) {
		long length;

		parent = kernfs_parent(node);
		if (!parent || depth == KW_CGROUP_DEPTH_MAX || used >= KW_CGROUP_PATH_BYTES)
			break;
		at = used;
		barrier_var(at); /* else the mask goes, and a spilled bound is forgotten */
		at &= KW_CGROUP_PATH_BYTES - 1;
		length = bpf_probe_read_kernel_str(&scratch->path[at], NAME_BYTES,
						   BPF_CORE_READ(node, name));
		if (length <= 1 || length > NAME_BYTES)
			break;
		if (used + (__u64)length > KW_CGROUP_PATH_BYTES) {
			clear_memory(&scratch->path[at], NAME_BYTES);
			break;
		}
		used += (__u64)length;
		node = parent;
	}
	if (parent) {
		ref->flags |= KW_CGROUP_TRUNCATED;
		count_loss_of(ref->id, ref->serial, kind, KW_LOSS_PATH_TRUNCATED);
	}
	ref->path_bytes = (__u16)used;
	bpf_probe_read_kernel(ref->path, sizeof(ref->path), scratch->path);
}

/* Fills a cleared ref. kind: for which record a shortened path is counted. scratch: nobody else's. */
static __always_inline void read_cgroup_with(struct cgroup *cgroup, struct kw_cgroup_ref *ref,
					     enum kw_record_kind kind, struct scratch *scratch)
{
	struct kernfs_node *node;

	if (!cgroup)
		return;
	node = BPF_CORE_READ(cgroup, kn);
	if (!node)
		return;
	ref->id = BPF_CORE_READ(node, id);
	/* self's number: there for every cgroup, whichever controllers it has */
	ref->serial = BPF_CORE_READ(cgroup, self.serial_nr);
	ref->level = (__u16)BPF_CORE_READ(cgroup, level);
	ref->flags = KW_CGROUP_KNOWN;
	if (!is_default_hierarchy(cgroup))
		ref->flags |= KW_CGROUP_V1;
	read_path(node, ref, kind, scratch);
}

/* The same under oom_lock, where one scratch is enough for all. */
static __always_inline void read_cgroup(struct cgroup *cgroup, struct kw_cgroup_ref *ref,
					enum kw_record_kind kind)
{
	read_cgroup_with(cgroup, ref, kind, only_entry(&scratches));
}

/* The set's css of the pids controller; NULL when that is disabled. */
static __always_inline struct cgroup_subsys_state *set_pids_css(struct css_set *set)
{
	struct cgroup_subsys_state *css = NULL;

	if (!set || !bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		return NULL;
	bpf_probe_read_kernel(&css, sizeof(css),
			      (char *)set + bpf_core_field_offset(struct css_set, subsys) +
				      bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id) *
					      sizeof(css));
	return css;
}

/* The task's css of the memory controller; NULL when that is disabled. */
static __always_inline struct cgroup_subsys_state *task_memory_css(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *css = NULL;

	if (!set || !bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return NULL;
	bpf_probe_read_kernel(&css, sizeof(css),
			      (char *)set + bpf_core_field_offset(struct css_set, subsys) +
				      bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) *
					      sizeof(css));
	return css;
}

/*
 * The cgroup a task is said to be in: on v2 its leaf, which may lie below the one that has the
 * memory controller; on v1 the one of the memory hierarchy.
 */
static __always_inline struct cgroup *task_cgroup(struct task_struct *task)
{
	struct cgroup_subsys_state *css = task_memory_css(task);
	struct cgroup *cgroup = css ? BPF_CORE_READ(css, cgroup) : NULL;

	if (cgroup && !is_default_hierarchy(cgroup))
		return cgroup;
	return BPF_CORE_READ(task, cgroups, dfl_cgrp);
}

static __always_inline struct mem_cgroup *memcg_of_css(struct cgroup_subsys_state *css)
{
	if (!css)
		return NULL;
	return (void *)((char *)css - bpf_core_field_offset(struct mem_cgroup, css));
}

static __always_inline struct mem_cgroup *task_memcg(struct task_struct *task)
{
	return memcg_of_css(task_memory_css(task));
}

/*
 * The memcg whose oom_kill the kernel moves for this victim: that of its mm's owner, as
 * memcg_memory_event_mm() does (include/linux/memcontrol.h); the task's own where the mm has gone.
 */
static __always_inline struct mem_cgroup *victim_memcg(struct task_struct *victim)
{
	struct mm_struct *mm = BPF_CORE_READ(victim, mm);
	struct task_struct *owner = NULL;

	if (mm && bpf_core_field_exists(mm->owner))
		owner = BPF_CORE_READ(mm, owner);
	return task_memcg(owner ? owner : victim);
}

/* memory_events[] and memory_events_local[] are arrays of atomic_long_t (mm/memcontrol.c). */
static __always_inline __u64 read_event(void *events, __u32 index)
{
	s64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), (char *)events + index * sizeof(value));
	return (__u64)value;
}

#define event_index(name) bpf_core_enum_value(enum memcg_memory_event, name)

static __always_inline bool has_group_kill_event(void)
{
	return bpf_core_enum_value_exists(enum memcg_memory_event, MEMCG_OOM_GROUP_KILL);
}

static __always_inline void *local_events(struct mem_cgroup *memcg)
{
	return (char *)memcg + bpf_core_field_offset(struct mem_cgroup, memory_events_local);
}

static __always_inline void *hierarchical_events(struct mem_cgroup *memcg)
{
	return (char *)memcg + bpf_core_field_offset(struct mem_cgroup, memory_events);
}

static __always_inline void read_events(void *from, struct kw_memory_events *events)
{
	events->max = read_event(from, event_index(MEMCG_MAX));
	events->high = read_event(from, event_index(MEMCG_HIGH));
	events->oom = read_event(from, event_index(MEMCG_OOM));
	events->oom_kill = read_event(from, event_index(MEMCG_OOM_KILL));
	if (has_group_kill_event())
		events->oom_group_kill = read_event(from, event_index(MEMCG_OOM_GROUP_KILL));
}

static __always_inline __u64 local_oom_kill(struct mem_cgroup *memcg)
{
	return read_event(local_events(memcg), event_index(MEMCG_OOM_KILL));
}

/* A limit in pages to bytes; the largest, PAGE_COUNTER_MAX, is LONG_MAX / PAGE_SIZE on 64 bit
 * (include/linux/page_counter.h) and shown as "max". */
static __always_inline __u64 limit_to_bytes(__u64 pages)
{
	return pages >= (~0ULL >> 1) >> page_shift() ? KW_UNLIMITED : pages_to_bytes(pages);
}

/* Fills a cleared state. The swap counter is v2's; on v1 its place holds memory+swap. */
static __always_inline void read_memcg(struct mem_cgroup *memcg, struct kw_memcg_state *to)
{
	struct cgroup *cgroup = BPF_CORE_READ(memcg, css.cgroup);

	to->flags = KW_MEMCG_KNOWN;
	if (BPF_CORE_READ(memcg, oom_group))
		to->flags |= KW_MEMCG_OOM_GROUP;
	if (has_group_kill_event())
		to->flags |= KW_MEMCG_GROUP_KILL_KNOWN;
	to->usage_bytes = pages_to_bytes((__u64)BPF_CORE_READ(memcg, memory.usage.counter));
	to->max_bytes = limit_to_bytes(BPF_CORE_READ(memcg, memory.max));
	to->high_bytes = limit_to_bytes(BPF_CORE_READ(memcg, memory.high));
	if (is_default_hierarchy(cgroup)) {
		to->flags |= KW_MEMCG_SWAP_KNOWN;
		to->swap_usage_bytes =
			pages_to_bytes((__u64)BPF_CORE_READ(memcg, swap.usage.counter));
		to->swap_max_bytes = limit_to_bytes(BPF_CORE_READ(memcg, swap.max));
	}
}

/*
 * Whether memory.oom.group is set anywhere from the victim's memcg up to owner (0: up to the root),
 * as mem_cgroup_get_oom_group() decides (mm/memcontrol.c): v2 only, not for the root itself, and not
 * when the victim is not below owner.
 */
static __always_inline bool is_group_kill(struct task_struct *victim, __u64 owner)
{
	struct cgroup_subsys_state *css = task_memory_css(victim);
	bool found = false;
	int depth;

	if (!css || !is_default_hierarchy(BPF_CORE_READ(css, cgroup)))
		return false;
	for (depth = 0; depth < MEMCG_DEPTH_MAX; depth++) {
		struct mem_cgroup *memcg = memcg_of_css(css);
		struct cgroup_subsys_state *parent = BPF_CORE_READ(css, parent);

		if (!parent)
			return found && !owner;
		if (BPF_CORE_READ(memcg, oom_group))
			found = true;
		if ((__u64)memcg == owner)
			return found;
		css = parent;
	}
	return false;
}
