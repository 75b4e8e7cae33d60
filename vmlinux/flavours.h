/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Kernel fields that drift: one getter each, so that a change in the kernel is a change in one
 * place. libbpf strips "___old" and "___new" before it looks a type up, and the kernel's BTF decides
 * at load which branch lives. Versions in the comments tell a reader when a branch may go; no code
 * tests them, because fixes are back-ported (6.1.192 has 6.9's tracepoint).
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node___old {
	struct kernfs_node___old *parent;
};
struct kernfs_node___new {
	struct kernfs_node___new *__parent;
};

struct mm_rss_stat___old {
	atomic_long_t count[4];
};
struct mm_struct___old {
	struct mm_rss_stat___old rss_stat;
};
struct percpu_counter {
	s64 count;
};
struct mm_struct___new {
	struct percpu_counter rss_stat[4];
};

struct trace_event_raw_mark_victim___new {
	unsigned long anon_rss;
};

#pragma clang attribute pop

/* include/linux/mm_types_task.h: an enum without a name, so CO-RE cannot look it up; the order has
 * stood since 4.5. */
enum mm_counter {
	MM_FILEPAGES = 0,
	MM_ANONPAGES = 1,
	MM_SWAPENTS = 2,
	MM_SHMEMPAGES = 3,
};

/* kernfs_node.parent up to 6.14; since 6.15 (RCU protected) __parent. NULL for the root. */
static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___new *renamed = (void *)node;
	struct kernfs_node___old *plain = (void *)node;

	if (bpf_core_field_exists(renamed->__parent))
		return (struct kernfs_node *)BPF_CORE_READ(renamed, __parent);
	return (struct kernfs_node *)BPF_CORE_READ(plain, parent);
}

/*
 * One rss counter in pages, as get_mm_counter() gives it to the kernel's own OOM report: since 6.2
 * (f1a7941243c1) percpu_counters of which the shared part is read, before that struct mm_rss_stat.
 * Either may be a few pages per CPU behind. The element size is the running kernel's.
 */
static __always_inline __u64 mm_counter_pages(struct mm_struct *mm, enum mm_counter counter)
{
	struct mm_struct___old *single = (void *)mm;
	s64 pages = 0;

	if (bpf_core_field_exists(single->rss_stat.count)) {
		bpf_probe_read_kernel(
			&pages, sizeof(pages),
			(char *)mm + bpf_core_field_offset(struct mm_struct___old, rss_stat.count) +
				counter * sizeof(pages));
	} else {
		bpf_probe_read_kernel(
			&pages, sizeof(pages),
			(char *)mm + bpf_core_field_offset(struct mm_struct___new, rss_stat) +
				counter * bpf_core_type_size(struct percpu_counter) +
				bpf_core_field_offset(struct percpu_counter, count));
	}
	return pages > 0 ? (__u64)pages : 0;
}

/* oom:mark_victim gives (struct task_struct *, uid_t) since 6.9 and where that was back-ported
 * (6.1.192), and a bare (int pid) before: the event's anon_rss field came with the new form. */
static __always_inline bool mark_victim_gives_task(void)
{
	return bpf_core_field_exists(struct trace_event_raw_mark_victim___new, anon_rss);
}
