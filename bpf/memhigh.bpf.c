/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * memory.high: a task that has passed it is sent to reclaim and then to sleep, on its way back to user
 * space or while it charges, in mem_cgroup_handle_over_high() (mm/memcontrol.c; 6.18 calls the part that
 * does something __mem_cgroup_handle_over_high()). The time between entry and return is what the task was
 * held up for. Calls with nothing to do (memcg_nr_pages_over_high is 0) are none.
 *
 * Whose limit it was is nowhere kept: the charge stops at the nearest cgroup above its memory.high or
 * memory.swap.high and marks the task (try_charge_memcg()); the handler then reclaims from every one that
 * is above its memory.high at that time, up to the root, and sleeps for the worst of them. So what is said
 * is what stood at entry: the nearest that was above, and how many were.
 *
 * The hook sleeps and runs in several tasks at once: a call under way is kept by thread, and a scratch
 * belongs to who has taken it. Nothing is held, so memory may be allocated.
 */
#include "episode.bpf.h"
#include "pool.bpf.h"
#include "task.bpf.h"
#include <bpf/bpf_tracing.h>

#define SCRATCHES 8

struct high_scratch {
	__u64 is_taken;
	struct scratch path;
	struct kw_high fresh;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, __u32);
	__type(value, struct high_scratch);
} high_scratches SEC(".maps");

/* A call under way. */
struct high_call {
	__u64 begin_boot_ns;
	__u64 cgroup;	/* id */
	__u64 owner;	/* struct mem_cgroup *; 0: none */
	__u64 owner_id; /* of its cgroup */
};

/* By thread. A return may go unseen (a kretprobe has a bounded number of instances), so the oldest goes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KW_HIGH_CALLS_MAX);
	__type(key, __u64);
	__type(value, struct high_call);
} high_calls SEC(".maps");

/* The cgroup's entry, made when there is none; NULL when it cannot be had, which is counted. */
static __always_inline struct kw_high *high_entry(struct cgroup *cgroup, __u64 id)
{
	struct kw_high *found = bpf_map_lookup_elem(&highs, &id);
	struct high_scratch *scratch;

	if (found)
		return found;
	scratch = take_scratch(&high_scratches, struct high_scratch, SCRATCHES);
	if (scratch) {
		clear_memory(&scratch->fresh, sizeof(scratch->fresh));
		read_cgroup_with(cgroup, &scratch->fresh.cgroup, KW_RECORD_HIGH, &scratch->path);
		bpf_map_update_elem(&highs, &id, &scratch->fresh, BPF_NOEXIST);
		give_scratch(scratch);
	}
	found = bpf_map_lookup_elem(&highs, &id);
	if (!found)
		count_loss_in(cgroup, KW_RECORD_HIGH, KW_LOSS_MAP_FULL);
	return found;
}

/* 1: above its memory.high, page_counter_read(&memcg->memory) > memcg->memory.high, as the handler asks; else
 * 0. By the sign of the difference: both are counts of pages, far below 2^63. */
static __always_inline __u64 is_over(struct mem_cgroup *memcg)
{
	__u64 room = BPF_CORE_READ(memcg, memory.high) -
		     (__u64)BPF_CORE_READ(memcg, memory.usage.counter);

	barrier_var(room); /* else the compiler makes a comparison of it again */
	return room >> 63;
}

/*
 * The nearest that is above its memory.high, and how many are; NULL: none. Without branches but the loop's
 * own: verifiers up to 6.1 take every number for one that matters where there are subprograms, and would
 * follow each way through each level. The loop is left in its middle, so that its back edge is a jump: they
 * refuse one that falls through (check_cfg()).
 */
static __always_inline struct mem_cgroup *find_owner(struct mem_cgroup *memcg, __u32 *ret_over)
{
	struct cgroup_subsys_state *css =
		(void *)((char *)memcg + bpf_core_field_offset(struct mem_cgroup, css));
	__u64 owner = 0, over = 0;
	int depth;

	for (depth = 0; depth < MEMCG_DEPTH_MAX; depth++) {
		__u64 before = over - 1;
		__u64 this_over;

		memcg = memcg_of_css(css);
		this_over = is_over(memcg);
		barrier_var(before);
		owner |= (__u64)memcg & -(this_over & (before >> 63)); /* none was before */
		over += this_over;
		barrier_var(over);
		css = BPF_CORE_READ(css, parent);
		if (!css)
			break;
	}
	*ret_over = (__u32)over;
	return (struct mem_cgroup *)owner;
}

static __always_inline __u64 local_high(struct mem_cgroup *memcg)
{
	return read_event(local_events(memcg), event_index(MEMCG_HIGH));
}

static __noinline int send_high(struct kw_high *entry, __u64 now, enum kw_throttle_phase phase)
{
	struct kw_record_high *record;

	if (!entry)
		return 0;
	if (!is_within_budget(&entry->window_boot_ns, &entry->window_records, now)) {
		count_loss_of(entry->cgroup.id, entry->cgroup.serial, KW_RECORD_HIGH,
			      KW_LOSS_BUDGET);
		return 0;
	}
	record = bpf_ringbuf_reserve(&bulk, sizeof(*record), 0);
	if (!record) {
		count_loss_of(entry->cgroup.id, entry->cgroup.serial, KW_RECORD_HIGH,
			      KW_LOSS_RING_FULL);
		return 0;
	}
	fill_header(&record->header, KW_RECORD_HIGH, sizeof(*record), entry->hook);
	record->header.boot_ns = now;
	record->phase = phase;
	record->pad = 0;
	bpf_probe_read_kernel(&record->high, sizeof(record->high), entry);
	record->high.last_boot_ns = now;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Begins an episode when the last one is over; throttle.bpf.c says more on the same. */
static __always_inline bool begin_episode(struct kw_high *entry, __u64 now, enum kw_hook hook)
{
	__u64 last = entry->last_boot_ns;

	if (!is_beginning(&entry->last_boot_ns, &entry->totals, now, last))
		return false;
	if (last && !is_end_told(&highs_told, entry->cgroup.id, entry->episode))
		send_high(entry, last, KW_THROTTLE_END);
	entry->episode = next_number();
	entry->begin_boot_ns = now;
	entry->next_boot_ns = now + KW_THROTTLE_CONTINUE_NS;
	entry->hook = hook;
	entry->flags = 0;
	entry->high_before = entry->high_events;
	bpf_probe_read_kernel(&entry->before, sizeof(entry->before), &entry->totals);
	return true;
}

static __always_inline void tell(struct kw_high *entry, __u64 now, bool begun)
{
	if (begun)
		send_high(entry, now, KW_THROTTLE_START);
	else if (is_telling_again(&entry->next_boot_ns, now))
		send_high(entry, now, KW_THROTTLE_CONTINUE);
}

/* Written only when it is another than before: who reads the entry meanwhile finds it whole but for that
 * one moment. */
static __always_inline void replace_owner(struct kw_high *entry, struct cgroup *cgroup)
{
	struct high_scratch *scratch =
		take_scratch(&high_scratches, struct high_scratch, SCRATCHES);

	if (!scratch)
		return;
	clear_memory(&scratch->fresh.owner, sizeof(scratch->fresh.owner));
	read_cgroup_with(cgroup, &scratch->fresh.owner, KW_RECORD_HIGH, &scratch->path);
	bpf_probe_read_kernel(&entry->owner, sizeof(entry->owner), &scratch->fresh.owner);
	give_scratch(scratch);
}

static __always_inline void set_owner(struct kw_high *entry, struct mem_cgroup *owner, bool begun)
{
	__u64 events = local_high(owner);
	struct cgroup *cgroup = BPF_CORE_READ(owner, css.cgroup);

	if (BPF_CORE_READ(cgroup, self.serial_nr) != entry->owner.serial) {
		if (!begun && entry->owner.serial)
			entry->flags |= KW_HIGH_OWNER_CHANGED;
		replace_owner(entry, cgroup);
		entry->high_before = events;
	} else if (begun) {
		entry->high_before = events;
	}
	entry->high_events = events;
	read_memcg(owner, &entry->owner_state);
}

/* An episode begins without an owner: the last one's is not said again. */
static __always_inline void forget_owner(struct kw_high *entry)
{
	clear_memory(&entry->owner, sizeof(entry->owner));
	clear_memory(&entry->owner_state, sizeof(entry->owner_state));
	entry->high_before = 0;
	entry->high_events = 0;
}

static __always_inline int enter(enum kw_hook hook)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 thread = bpf_get_current_pid_tgid();
	struct high_call call = {};
	struct mem_cgroup *memcg, *owner;
	struct kw_high *entry;
	struct cgroup *cgroup;
	__u32 over = 0;
	bool begun;

	if (!BPF_CORE_READ(task, memcg_nr_pages_over_high))
		return 0;
	memcg = victim_memcg(
		task); /* as get_mem_cgroup_from_mm() finds it: that of the mm's owner */
	cgroup = memcg ? BPF_CORE_READ(memcg, css.cgroup) : NULL;
	if (!cgroup)
		return 0;
	owner = find_owner(memcg, &over);
	/* The root has no limit: its tasks are here for what they have charged to other cgroups. Others without
	 * an owner count: their memory.swap.high holds them up (swap_find_max_overage(), mm/memcontrol.c). */
	if (!owner && !BPF_CORE_READ(memcg, css.parent))
		return 0;
	call.cgroup = BPF_CORE_READ(cgroup, kn, id);
	entry = high_entry(cgroup, call.cgroup);
	if (!entry)
		return 0;
	call.begin_boot_ns = bpf_ktime_get_boot_ns();
	begun = begin_episode(entry, call.begin_boot_ns, hook);
	__sync_fetch_and_add(&entry->totals.throttles, 1);
	entry->last_boot_ns = call.begin_boot_ns;
	entry->over = over;
	if (owner) {
		call.owner = (__u64)owner;
		call.owner_id = BPF_CORE_READ(owner, css.cgroup, kn, id);
		set_owner(entry, owner, begun);
	} else if (begun) {
		forget_owner(entry);
	}
	read_task(task, &entry->task);
	bpf_map_update_elem(&high_calls, &thread, &call, BPF_ANY);
	tell(entry, call.begin_boot_ns, begun);
	return 0;
}

/* The leaf's css has been put by now, but current is still in it, and it holds its ancestors. Where current
 * has just been moved, the id tells whether it is the same still. */
static __always_inline void read_high_events(struct kw_high *entry, struct high_call *call)
{
	struct mem_cgroup *owner = (void *)call->owner;
	__u64 events;

	if (!owner || BPF_CORE_READ(owner, css.cgroup, kn, id) != call->owner_id ||
	    call->owner_id != entry->owner.id)
		return;
	events = local_high(owner);
	if (events > entry->high_events)
		entry->high_events = events;
}

static __always_inline int leave(enum kw_hook hook)
{
	__u64 thread = bpf_get_current_pid_tgid(), now;
	struct high_call *found = bpf_map_lookup_elem(&high_calls, &thread);
	struct high_call call;
	struct kw_high *entry;
	bool begun;

	if (!found)
		return 0;
	call = *found;
	bpf_map_delete_elem(&high_calls, &thread);
	entry = bpf_map_lookup_elem(&highs, &call.cgroup);
	if (!entry)
		return 0;
	now = bpf_ktime_get_boot_ns();
	begun = begin_episode(entry, now, hook);
	__sync_fetch_and_add(&entry->totals.unthrottles, 1);
	count_stall(&entry->totals, now - call.begin_boot_ns);
	entry->last_boot_ns = now;
	read_high_events(entry, &call);
	tell(entry, now, begun);
	return 0;
}

/* ---- the programs: one shell per hook and tier; the loader changes the target where it has the newer
 * name (load.c) ---- */

SEC("fentry/mem_cgroup_handle_over_high")
int BPF_PROG(fentry_over_high)
{
	return enter(KW_HOOK_FENTRY_HIGH);
}

SEC("fexit/mem_cgroup_handle_over_high")
int BPF_PROG(fexit_over_high)
{
	return leave(KW_HOOK_FENTRY_HIGH);
}

SEC("kprobe/mem_cgroup_handle_over_high")
int BPF_KPROBE(kprobe_over_high)
{
	return enter(KW_HOOK_KPROBE_HIGH);
}

SEC("kretprobe/mem_cgroup_handle_over_high")
int BPF_KRETPROBE(kretprobe_over_high)
{
	return leave(KW_HOOK_KPROBE_HIGH);
}
