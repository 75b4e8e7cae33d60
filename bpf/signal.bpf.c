/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SIGKILLs that a memory manager in user space sends: systemd-oomd, earlyoom and their like. The kernel's
 * counters know nothing of these kills. Who is a memory manager is for the daemon to say, by cgroup (map
 * "killers"): so of all the signals of a host only these leave a record, and none can be made to by whoever
 * likes to send signals.
 *
 * signal_generate is called in the sender's context with the target's siglock held (__send_signal_locked(),
 * kernel/signal.c, 6.1 to 6.18), for kill(2), pidfd_send_signal(2) and cgroup.kill alike.
 */
#include "pool.bpf.h"
#include "task.bpf.h"
#include <bpf/bpf_tracing.h>

#define SIGKILL 9
#define SEND_SIG_PRIV 1		 /* from the kernel itself: include/linux/sched/signal.h */
#define TRACE_SIGNAL_DELIVERED 0 /* include/trace/events/signal.h */

#define SCRATCHES 8

struct signal_scratch {
	__u64 is_taken;
	struct scratch path;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, __u32);
	__type(value, struct signal_scratch);
} signal_scratches SEC(".maps");

/* Half of the evidence ring stays for the kernel's own kills, whatever user space does. */
static __always_inline bool has_room(void)
{
	return bpf_ringbuf_query(&evidence, BPF_RB_AVAIL_DATA) <=
	       bpf_ringbuf_query(&evidence, BPF_RB_RING_SIZE) / 2;
}

static __always_inline void tell_kill(struct task_struct *victim, struct signal_scratch *scratch)
{
	struct task_struct *killer = (void *)bpf_get_current_task();
	struct cgroup *cgroup = task_cgroup(victim);
	struct kw_record_userspace_kill *record;
	struct mem_cgroup *memcg;

	if (!has_room()) {
		count_loss_in(cgroup, KW_RECORD_USERSPACE_KILL, KW_LOSS_BUDGET);
		return;
	}
	record = reserve_cleared(struct kw_record_userspace_kill);
	if (!record) {
		count_loss_in(cgroup, KW_RECORD_USERSPACE_KILL, KW_LOSS_RING_FULL);
		return;
	}
	fill_header(&record->header, KW_RECORD_USERSPACE_KILL, sizeof(*record),
		    KW_HOOK_RAW_TP_SIGNAL);
	read_task(killer, &record->killer);
	read_victim(victim, &record->victim);
	memcg = victim_memcg(victim);
	if (memcg)
		read_memcg(memcg, &record->memory);
	read_cgroup_with(task_cgroup(killer), &record->killer_cgroup, KW_RECORD_USERSPACE_KILL,
			 &scratch->path);
	read_cgroup_with(cgroup, &record->victim_cgroup, KW_RECORD_USERSPACE_KILL, &scratch->path);
	submit_record(record);
}

/* arguments: (int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result) */
SEC("raw_tp/signal_generate")
int raw_tp_signal_generate(struct bpf_raw_tracepoint_args *context)
{
	struct task_struct *victim = (void *)context->args[2];
	struct signal_scratch *scratch;
	__u64 id;

	if ((int)context->args[0] != SIGKILL || context->args[1] == SEND_SIG_PRIV ||
	    (int)context->args[4] != TRACE_SIGNAL_DELIVERED)
		return 0;
	id = bpf_get_current_cgroup_id();
	if (!bpf_map_lookup_elem(&killers, &id))
		return 0;
	scratch = take_scratch(&signal_scratches, struct signal_scratch, SCRATCHES);
	if (!scratch) {
		count_loss_in(task_cgroup(victim), KW_RECORD_USERSPACE_KILL, KW_LOSS_MAP_FULL);
		return 0;
	}
	tell_kill(victim, scratch);
	give_scratch(scratch);
	return 0;
}
