/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* task_struct to what the records say of a process. All targets must be cleared before. */
#include "cgroup.bpf.h"

/* The thread group's number in the innermost pid namespace it is in; 0: not known. */
static __always_inline __u32 task_ns_tgid(struct task_struct *task)
{
	struct pid *pid = NULL;
	__u32 level;
	int number = 0;

	bpf_probe_read_kernel(&pid, sizeof(pid),
			      (char *)BPF_CORE_READ(task, signal) +
				      bpf_core_field_offset(struct signal_struct, pids) +
				      bpf_core_enum_value(enum pid_type, PIDTYPE_TGID) *
					      sizeof(pid));
	if (!pid)
		return 0;
	level = BPF_CORE_READ(pid, level);
	bpf_probe_read_kernel(&number, sizeof(number),
			      (char *)pid + bpf_core_field_offset(struct pid, numbers) +
				      level * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(struct upid, nr));
	return number > 0 ? (__u32)number : 0;
}

/* uid: the real one, as the kernel's OOM report prints it (task_uid(), mm/oom_kill.c). */
static __always_inline void read_task(struct task_struct *task, struct kw_task_ref *to)
{
	to->tgid = (__u32)BPF_CORE_READ(task, tgid);
	to->tid = (__u32)BPF_CORE_READ(task, pid);
	to->uid = BPF_CORE_READ(task, real_cred, uid.val);
	to->ns_tgid = task_ns_tgid(task);
	BPF_CORE_READ_STR_INTO(&to->comm, task, comm);
}

static __always_inline void read_victim(struct task_struct *task, struct kw_victim *to)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);

	read_task(task, &to->task);
	to->oom_score_adj = BPF_CORE_READ(task, signal, oom_score_adj);
	/* real_parent is the thread that forked; a reader wants the process */
	to->parent_tgid = (__u32)BPF_CORE_READ(parent, tgid);
	BPF_CORE_READ_STR_INTO(&to->parent_comm, parent, group_leader, comm);
	to->start_boot_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	if (!mm)
		return;
	to->flags = KW_VICTIM_MM_KNOWN;
	to->total_vm_kb = pages_to_kb(BPF_CORE_READ(mm, total_vm));
	to->anon_rss_kb = pages_to_kb(mm_counter_pages(mm, MM_ANONPAGES));
	to->file_rss_kb = pages_to_kb(mm_counter_pages(mm, MM_FILEPAGES));
	to->shmem_rss_kb = pages_to_kb(mm_counter_pages(mm, MM_SHMEMPAGES));
	to->swap_kb = pages_to_kb(mm_counter_pages(mm, MM_SWAPENTS));
	to->pgtables_kb = (__u64)BPF_CORE_READ(mm, pgtables_bytes.counter) >> 10;
}
