/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forks that a pids.max refused: pids_can_fork() (kernel/cgroup/pids.c, 6.1 to 6.18) has returned -EAGAIN.
 * Each refusal is counted under the cgroup in which the new task would have been. A fork bomb is refused
 * some ten thousand times a second, so only the first one, and then one a second, is told at once; what the
 * count has moved since is found by the daemon. Counts are exact either way.
 *
 * Unlike the OOM hooks this runs in several tasks at once, and can be preempted: a scratch belongs to who
 * has taken it.
 */
#include "pool.bpf.h"
#include "task.bpf.h"
#include <bpf/bpf_tracing.h>

#define EAGAIN 11

/* Levels that are searched for the limit. Deeper: not known. */
#define PIDS_DEPTH_MAX 32

#define SCRATCHES 8

struct pids_scratch {
	__u64 is_taken;
	struct scratch path;
	struct kw_refusals fresh;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, __u32);
	__type(value, struct pids_scratch);
} pids_scratches SEC(".maps");

static __always_inline struct pids_cgroup *pids_of_css(struct cgroup_subsys_state *css)
{
	return (void *)((char *)css - bpf_core_field_offset(struct pids_cgroup, css));
}

/*
 * Whose limit it was: the nearest that is full, as pids_try_charge() goes up, which has taken its charges
 * back by now. The root has no limit. NULL: room has been made in between.
 */
static __always_inline struct pids_cgroup *find_owner(struct cgroup_subsys_state *css)
{
	int depth;

	for (depth = 0; depth < PIDS_DEPTH_MAX; depth++) {
		struct cgroup_subsys_state *parent = BPF_CORE_READ(css, parent);
		struct pids_cgroup *pids = pids_of_css(css);

		if (!parent)
			return NULL;
		if (BPF_CORE_READ(pids, counter.counter) >= BPF_CORE_READ(pids, limit.counter))
			return pids;
		css = parent;
	}
	return NULL;
}

/* The cgroup's entry, made when there is none; NULL when it cannot be had, which is counted. */
static __always_inline struct kw_refusals *refusals_entry(struct cgroup *cgroup, enum kw_hook hook)
{
	__u64 id = BPF_CORE_READ(cgroup, kn, id);
	struct kw_refusals *found = bpf_map_lookup_elem(&refusals, &id);
	struct pids_scratch *scratch;

	if (found)
		return found;
	scratch = take_scratch(&pids_scratches, struct pids_scratch, SCRATCHES);
	if (scratch) {
		clear_memory(&scratch->fresh, sizeof(scratch->fresh));
		scratch->fresh.hook = hook;
		read_cgroup_with(cgroup, &scratch->fresh.cgroup, KW_RECORD_PIDS, &scratch->path);
		bpf_map_update_elem(&refusals, &id, &scratch->fresh, BPF_NOEXIST);
		give_scratch(scratch);
	}
	found = bpf_map_lookup_elem(&refusals, &id);
	if (!found)
		count_loss_in(cgroup, KW_RECORD_PIDS, KW_LOSS_MAP_FULL);
	return found;
}

/* Written only when another cgroup's limit is hit than before: who reads the entry meanwhile finds it whole
 * but for that one moment. */
static __always_inline void set_owner(struct kw_refusals *entry, struct cgroup_subsys_state *css)
{
	struct pids_cgroup *owner = find_owner(css);
	struct pids_scratch *scratch;
	struct cgroup *cgroup;

	if (!owner)
		return;
	entry->max_pids = (__u64)BPF_CORE_READ(owner, limit.counter);
	cgroup = BPF_CORE_READ(owner, css.cgroup);
	if (BPF_CORE_READ(cgroup, kn, id) == entry->owner.id)
		return;
	scratch = take_scratch(&pids_scratches, struct pids_scratch, SCRATCHES);
	if (!scratch)
		return;
	clear_memory(&scratch->fresh.owner, sizeof(scratch->fresh.owner));
	read_cgroup_with(cgroup, &scratch->fresh.owner, KW_RECORD_PIDS, &scratch->path);
	bpf_probe_read_kernel(&entry->owner, sizeof(entry->owner), &scratch->fresh.owner);
	give_scratch(scratch);
}

static __always_inline void send_refusals(struct kw_refusals *entry, enum kw_hook hook)
{
	struct kw_record_pids *record;

	/* half of the evidence ring stays for OOMs, whatever is forked: what is not sent is in the map */
	if (bpf_ringbuf_query(&evidence, BPF_RB_AVAIL_DATA) >
	    bpf_ringbuf_query(&evidence, BPF_RB_RING_SIZE) / 2)
		return;
	record = bpf_ringbuf_reserve(&evidence, sizeof(*record), 0);
	if (!record)
		return;
	fill_header(&record->header, KW_RECORD_PIDS, sizeof(*record), hook);
	record->told = 0;
	bpf_probe_read_kernel(&record->refusals, sizeof(record->refusals), entry);
	record->refusals.hook = hook;
	submit_record(record);
}

static __always_inline int refused(struct cgroup_subsys_state *css, enum kw_hook hook)
{
	__u64 now = bpf_ktime_get_boot_ns(), next;
	struct kw_refusals *entry;
	struct cgroup *cgroup;

	if (!css)
		return 0;
	cgroup = BPF_CORE_READ(css, cgroup);
	entry = refusals_entry(cgroup, hook);
	if (!entry)
		return 0;
	__sync_fetch_and_add(&entry->total, 1);
	entry->last_boot_ns = now;
	next = entry->next_boot_ns;
	if (now < next || __sync_val_compare_and_swap(&entry->next_boot_ns, next,
						      now + KW_REFUSALS_EVERY_NS) != next)
		return 0;
	set_owner(entry, css);
	read_task((void *)bpf_get_current_task(), &entry->task);
	send_refusals(entry, hook);
	return 0;
}

/* ---- the programs: one shell per tier ---- */

/* set: of the new task, which with CLONE_INTO_CGROUP need not be current's; always given since 5.7. */
SEC("fexit/pids_can_fork")
int BPF_PROG(fexit_pids_can_fork, struct task_struct *task, struct css_set *set, int returned)
{
	if (returned != -EAGAIN)
		return 0;
	if (!set)
		set = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), cgroups);
	return refused(set_pids_css(set), KW_HOOK_FENTRY_PIDS);
}

/* Is not told the arguments: takes it that the new task would have been where its parent is. */
SEC("kretprobe/pids_can_fork")
int BPF_KRETPROBE(kretprobe_pids_can_fork, int returned)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (returned != -EAGAIN)
		return 0;
	return refused(set_pids_css(BPF_CORE_READ(task, cgroups)), KW_HOOK_KPROBE_PIDS);
}
