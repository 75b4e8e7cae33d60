/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * OOM kills. Three places in mm/oom_kill.c (6.1 to 6.18), outermost first:
 *
 *   oom_kill_process(oc, message)	once per OOM: who hit which limit
 *     __oom_kill_process(victim, …)	per kill, and once more for the victim of a group kill
 *       mark_oom_victim(task)		tracepoint oom:mark_victim, once per victim
 *
 * The logic exists once, in inline functions; the programs at the end are shells, one set per tier.
 * All three run under oom_lock, see struct incident.
 */
#include "task.bpf.h"
#include <bpf/bpf_tracing.h>

char kw_license[] SEC("license") = "Dual BSD/GPL";

/* The slot when this thread has an OOM under way, else NULL. */
static __always_inline struct incident *current_incident(void)
{
	struct incident *incident = only_entry(&incidents);

	if (!incident || !incident->pid_tgid || incident->pid_tgid != bpf_get_current_pid_tgid())
		return NULL;
	return incident;
}

/* Who needed the memory: current, at each of these hooks. */
static __always_inline void read_trigger(struct kw_oom_context *oom, enum kw_record_kind kind)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	read_task(task, &oom->trigger);
	read_cgroup(task_cgroup(task), &oom->trigger_cgroup, kind);
}

static __always_inline int begin_incident(struct oom_control *oc)
{
	struct incident *incident = only_entry(&incidents);
	struct kw_bpf_state *common = only_entry(&state);
	struct kw_oom_context *oom;
	struct mem_cgroup *memcg;

	if (!incident || !common)
		return 0;
	clear_memory(incident, sizeof(*incident));
	oom = &incident->oom;
	memcg = BPF_CORE_READ(oc, memcg);
	incident->begin_boot_ns = bpf_ktime_get_boot_ns();
	incident->owner = (__u64)memcg;
	oom->incident = next_number();
	oom->flags = KW_OOM_OWNER_KNOWN;
	if (common->flags & KW_BPF_STATE_KILLS_COUNTED)
		oom->flags |= KW_OOM_COUNTED_KNOWN;
	oom->constraint = BPF_CORE_READ(oc, constraint);
	oom->points = BPF_CORE_READ(oc, chosen_points);
	oom->limit_pages = BPF_CORE_READ(oc, totalpages);
	oom->gfp_flags = BPF_CORE_READ(oc, gfp_mask);
	oom->order = BPF_CORE_READ(oc, order);
	read_trigger(oom, KW_RECORD_OOM_END);
	if (memcg) {
		read_cgroup(BPF_CORE_READ(memcg, css.cgroup), &oom->owner, KW_RECORD_OOM_END);
		read_memcg(memcg, &oom->owner_state);
		read_events(hierarchical_events(memcg), &incident->owner_before);
	} else {
		oom->flags |= KW_OOM_GLOBAL;
	}
	incident->pid_tgid = bpf_get_current_pid_tgid();
	return 0;
}

/* The entry of cgroup id, made when there is none; NULL when the map is full, which is counted. */
static __always_inline struct kw_cgroup_counts *cgroup_counts(__u64 id, enum kw_record_kind kind)
{
	struct kw_cgroup_counts *found = bpf_map_lookup_elem(&counts, &id);
	struct kw_cgroup_counts fresh = {};

	if (found)
		return found;
	bpf_map_update_elem(&counts, &id, &fresh, BPF_NOEXIST);
	found = bpf_map_lookup_elem(&counts, &id);
	if (!found)
		count_loss(kind, KW_LOSS_MAP_FULL);
	return found;
}

static __always_inline void count_owned(struct incident *incident)
{
	struct kw_cgroup_counts *entry;

	if (!incident->owner)
		return;
	entry = cgroup_counts(incident->oom.owner.id, KW_RECORD_OOM_END);
	if (!entry)
		return;
	__sync_fetch_and_add(&entry->owned, 1);
	entry->last_boot_ns = bpf_ktime_get_boot_ns();
}

static __always_inline int end_incident(enum kw_hook hook)
{
	struct incident *incident = current_incident();
	struct kw_record_oom_end *record;

	if (!incident)
		return 0;
	incident->pid_tgid = 0;
	count_owned(incident);
	record = reserve_cleared(struct kw_record_oom_end);
	if (!record) {
		count_loss_of(incident->oom.owner.id, incident->oom.owner.serial, KW_RECORD_OOM_END,
			      KW_LOSS_RING_FULL);
		return 0;
	}
	fill_header(&record->header, KW_RECORD_OOM_END, sizeof(*record), hook);
	bpf_probe_read_kernel(&record->oom, sizeof(record->oom), &incident->oom);
	record->begin_boot_ns = incident->begin_boot_ns;
	record->marked = incident->marked;
	record->lost = incident->lost;
	if (incident->oom.flags & KW_OOM_COUNTED_KNOWN) {
		record->entered = incident->entered;
		record->counted = incident->counted;
	}
	if (incident->owner) {
		record->counters_known = 1;
		record->owner_before = incident->owner_before;
		read_events(hierarchical_events((void *)incident->owner), &record->owner_after);
	}
	submit_record(record);
	return 0;
}

static __always_inline int begin_kill(struct task_struct *victim)
{
	struct incident *incident = current_incident();
	struct mem_cgroup *memcg;

	if (!incident)
		return 0;
	memcg = victim_memcg(victim);
	incident->entered++;
	incident->victim = (__u64)victim;
	incident->victim_memcg = (__u64)memcg;
	incident->oom_kill_before = memcg ? local_oom_kill(memcg) : 0;
	return 0;
}

/*
 * One call counts at most one kill (oom_lock excludes others). Anything else means that the memcg was
 * not the one the kernel counted in or is gone already: then the sum is not known.
 */
static __always_inline int end_kill(void)
{
	struct incident *incident = current_incident();
	__u64 moved = 0;

	if (!incident || !incident->victim)
		return 0;
	incident->victim = 0;
	if (incident->victim_memcg)
		moved = local_oom_kill((void *)incident->victim_memcg) - incident->oom_kill_before;
	if (!incident->victim_memcg || moved > 1)
		incident->oom.flags &= ~KW_OOM_COUNTED_KNOWN;
	else
		incident->counted += (__u32)moved;
	return 0;
}

/*
 * The task the tracepoint speaks of. Its old form gives a thread id only: the task is then the one
 * being killed, or current (out_of_memory() marks current when it is dying anyway); NULL otherwise.
 */
static __always_inline struct task_struct *marked_task(__u64 argument, struct incident *incident)
{
	struct task_struct *current;

	if (mark_victim_gives_task())
		return (void *)argument;
	if (incident && incident->victim)
		return (void *)incident->victim;
	current = (void *)bpf_get_current_task();
	return BPF_CORE_READ(current, pid) == (int)argument ? current : NULL;
}

/*
 * Counted under the cgroup whose counter the kernel moves: the victim's own, or the nearest ancestor
 * that has the memory controller.
 */
static __always_inline void count_marked(struct mem_cgroup *memcg)
{
	struct kw_cgroup_counts *entry;

	entry = cgroup_counts(BPF_CORE_READ(memcg, css.cgroup, kn, id), KW_RECORD_OOM_KILL);
	if (!entry)
		return;
	__sync_fetch_and_add(&entry->marked, 1);
	entry->last_boot_ns = bpf_ktime_get_boot_ns();
	entry->oom_kill_local = local_oom_kill(memcg);
}

static __always_inline void fill_kill(struct kw_record_oom_kill *record, __u64 argument,
				      struct incident *incident)
{
	struct task_struct *task = marked_task(argument, incident);
	struct mem_cgroup *memcg;

	if (incident) {
		bpf_probe_read_kernel(&record->oom, sizeof(record->oom), &incident->oom);
		record->member = incident->marked;
	} else {
		read_trigger(&record->oom, KW_RECORD_OOM_KILL);
	}
	if (!task) {
		/* all there is: a thread id of the host's pid namespace */
		record->victim.task.tid = (__u32)argument;
		return;
	}
	read_victim(task, &record->victim);
	if (!mark_victim_gives_task())
		record->victim.task.tid = (__u32)argument;
	read_cgroup(task_cgroup(task), &record->victim_cgroup, KW_RECORD_OOM_KILL);
	if (is_group_kill(task, incident ? incident->owner : 0))
		record->oom.flags |= KW_OOM_GROUP_KILL;
	memcg = victim_memcg(task);
	if (memcg) {
		record->victim.flags |= KW_VICTIM_EVENTS_KNOWN;
		read_events(local_events(memcg), &record->victim_events_local);
	}
}

/* mark_oom_victim() may be called without oom_kill_process() around it (task_will_free_mem() in
 * out_of_memory()): then nothing of owner and constraint is known here. */
static __always_inline int mark_victim(__u64 argument)
{
	struct incident *incident = current_incident();
	struct kw_record_oom_kill *record;
	struct task_struct *task;
	struct mem_cgroup *memcg;

	if (incident)
		incident->marked++;
	task = marked_task(argument, incident);
	memcg = task ? victim_memcg(task) : NULL;
	if (memcg)
		count_marked(memcg);
	record = reserve_cleared(struct kw_record_oom_kill);
	if (!record) {
		count_loss_in(task ? task_cgroup(task) : NULL, KW_RECORD_OOM_KILL,
			      KW_LOSS_RING_FULL);
		if (incident)
			incident->lost++;
		return 0;
	}
	fill_header(&record->header, KW_RECORD_OOM_KILL, sizeof(*record),
		    KW_HOOK_RAW_TP_MARK_VICTIM);
	fill_kill(record, argument, incident);
	submit_record(record);
	return 0;
}

/* ---- the programs: one shell per hook and tier ---- */

/* raw_tp, not tp_btf: the verifier would refuse one of the argument's two forms. */
SEC("raw_tp/mark_victim")
int raw_tp_mark_victim(struct bpf_raw_tracepoint_args *context)
{
	return mark_victim(context->args[0]);
}

SEC("fentry/oom_kill_process")
int BPF_PROG(fentry_oom_kill_process, struct oom_control *oc)
{
	return begin_incident(oc);
}

SEC("fexit/oom_kill_process")
int BPF_PROG(fexit_oom_kill_process)
{
	return end_incident(KW_HOOK_FENTRY_OOM_KILL_PROCESS);
}

SEC("kprobe/oom_kill_process")
int BPF_KPROBE(kprobe_oom_kill_process, struct oom_control *oc)
{
	return begin_incident(oc);
}

SEC("kretprobe/oom_kill_process")
int BPF_KRETPROBE(kretprobe_oom_kill_process)
{
	return end_incident(KW_HOOK_KPROBE_OOM_KILL_PROCESS);
}

SEC("fentry/__oom_kill_process")
int BPF_PROG(fentry_oom_kill_one, struct task_struct *victim)
{
	return begin_kill(victim);
}

SEC("fexit/__oom_kill_process")
int BPF_PROG(fexit_oom_kill_one)
{
	return end_kill();
}

SEC("kprobe/__oom_kill_process")
int BPF_KPROBE(kprobe_oom_kill_one, struct task_struct *victim)
{
	return begin_kill(victim);
}

SEC("kretprobe/__oom_kill_process")
int BPF_KRETPROBE(kretprobe_oom_kill_one)
{
	return end_kill();
}
