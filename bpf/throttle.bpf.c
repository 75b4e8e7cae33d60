/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CPU bandwidth throttling. There is no tracepoint, so: throttle_cfs_rq() and unthrottle_cfs_rq()
 * (kernel/sched/fair.c, 6.1 to 6.18), called once per runqueue of a cgroup, under the runqueue's lock
 * with interrupts off. So nothing here wakes a reader or allocates, and what is per CPU is ours alone
 * until we return. Each call is counted into the cgroup's entry of map "throttles"; records are sent
 * only when an episode begins, each ten seconds while it goes on, and when the next one begins before
 * the daemon has seen the end of it: as nothing fires when throttling stops, the daemon finds that out.
 *
 * A stall is measured as the kernel does it, at unthrottle, from the runqueue's clock as
 * unthrottle_cfs_rq() has just updated it, less throttled_clock as it was before. 6.1 always sets
 * that; 6.12 when tasks are queued, and makes it 0 again; a stall of nobody is none.
 */
#include "cgroup.bpf.h"
#include "episode.bpf.h"
#include <bpf/bpf_tracing.h>

/* Ancestors of the current task's group that are looked at, to see if it is of the throttled one. */
#define GROUP_DEPTH_MAX 6

/* A call under way on this CPU. */
struct throttle_call {
	__u64 cfs_rq; /* struct cfs_rq *; 0: none */
	__u64 throttled_clock;
};

struct throttle_scratch {
	struct throttle_call throttle; /* kprobes only: kretprobes are not told the arguments */
	struct throttle_call unthrottle;
	struct kw_throttle fresh;
	struct scratch path;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct throttle_scratch);
} throttle_scratches SEC(".maps");

static __always_inline bool is_throttled(struct cfs_rq *cfs_rq)
{
	return BPF_CORE_READ_BITFIELD_PROBED(cfs_rq, throttled);
}

/* The cgroup's entry, made when there is none; NULL: not a cgroup's, or the map is full (counted). */
static __always_inline struct kw_throttle *throttle_entry(struct cfs_rq *cfs_rq,
							  struct throttle_scratch *scratch)
{
	struct cgroup *cgroup = BPF_CORE_READ(cfs_rq, tg, css.cgroup);
	struct kw_throttle *found;
	__u64 id;

	if (!cgroup)
		return NULL;
	id = BPF_CORE_READ(cgroup, kn, id);
	found = bpf_map_lookup_elem(&throttles, &id);
	if (found)
		return found;
	clear_memory(&scratch->fresh, sizeof(scratch->fresh));
	read_cgroup_with(cgroup, &scratch->fresh.cgroup, KW_RECORD_THROTTLE, &scratch->path);
	bpf_map_update_elem(&throttles, &id, &scratch->fresh, BPF_NOEXIST);
	found = bpf_map_lookup_elem(&throttles, &id);
	if (!found)
		count_loss_in(cgroup, KW_RECORD_THROTTLE, KW_LOSS_MAP_FULL);
	return found;
}

static __noinline int send_throttle(struct kw_throttle *entry, __u64 now,
				    enum kw_throttle_phase phase)
{
	struct kw_record_throttle *record;

	if (!entry)
		return 0;
	if (!is_within_budget(&entry->window_boot_ns, &entry->window_records, now)) {
		count_loss_of(entry->cgroup.id, entry->cgroup.serial, KW_RECORD_THROTTLE,
			      KW_LOSS_BUDGET);
		return 0;
	}
	record = bpf_ringbuf_reserve(&bulk, sizeof(*record), 0);
	if (!record) {
		count_loss_of(entry->cgroup.id, entry->cgroup.serial, KW_RECORD_THROTTLE,
			      KW_LOSS_RING_FULL);
		return 0;
	}
	fill_header(&record->header, KW_RECORD_THROTTLE, sizeof(*record), entry->hook);
	record->header.boot_ns = now;
	record->phase = phase;
	record->pad = 0;
	bpf_probe_read_kernel(&record->throttle, sizeof(record->throttle), entry);
	record->throttle.last_boot_ns = now;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline void read_bandwidth(struct cfs_rq *cfs_rq, struct kw_bandwidth *to)
{
	struct task_group *group = BPF_CORE_READ(cfs_rq, tg);

	to->throttled_ns = BPF_CORE_READ(group, cfs_bandwidth.throttled_time);
	to->quota_ns = BPF_CORE_READ(group, cfs_bandwidth.quota); /* RUNTIME_INF: all ones */
	to->period_ns = (__u64)BPF_CORE_READ(group, cfs_bandwidth.period);
	to->periods = (__u32)BPF_CORE_READ(group, cfs_bandwidth.nr_periods);
	to->throttled_periods = (__u32)BPF_CORE_READ(group, cfs_bandwidth.nr_throttled);
}

/*
 * Begins an episode when the last one is over, on one CPU only: who moves last_boot_ns on. A CPU that
 * comes while the winner is at it may count its call to the episode before; the sum over all episodes is
 * exact, since totals are never set back. stall_ns: what the kernel has already added to its own sum.
 */
static __always_inline bool begin_episode(struct kw_throttle *entry, struct cfs_rq *cfs_rq,
					  __u64 now, __u64 stall_ns, enum kw_hook hook)
{
	__u64 last = entry->last_boot_ns;

	if (!is_beginning(&entry->last_boot_ns, &entry->totals, now, last))
		return false;
	if (last && !is_end_told(&throttles_told, entry->cgroup.id, entry->episode))
		send_throttle(entry, last, KW_THROTTLE_END);
	entry->episode = next_number();
	entry->begin_boot_ns = now;
	entry->next_boot_ns = now + KW_THROTTLE_CONTINUE_NS;
	entry->hook = hook;
	entry->flags = 0;
	bpf_probe_read_kernel(&entry->before, sizeof(entry->before), &entry->totals);
	read_bandwidth(cfs_rq, &entry->bandwidth_before);
	entry->bandwidth_before.throttled_ns -= stall_ns;
	clear_memory(entry->cpus, sizeof(entry->cpus));
	clear_memory(entry->comm, sizeof(entry->comm));
	return true;
}

static __always_inline void mark_cpu(struct kw_throttle *entry, struct cfs_rq *cfs_rq)
{
	__u32 cpu = (__u32)BPF_CORE_READ(cfs_rq, rq, cpu);
	__u32 word = cpu / 64;

	if (word < KW_THROTTLE_CPU_WORDS)
		__sync_fetch_and_or(&entry->cpus[word], 1ULL << (cpu & 63));
	else
		entry->flags |= KW_THROTTLE_MORE_CPUS;
}

/*
 * Who ran into the limit: current, when it is of the cgroup or below. When a task is queued on a runqueue
 * without runtime left (check_enqueue_throttle()), current is whoever woke it: not said.
 */
static __always_inline void mark_current(struct kw_throttle *entry, struct cfs_rq *cfs_rq)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_group *group = BPF_CORE_READ(task, sched_task_group);
	struct task_group *throttled = BPF_CORE_READ(cfs_rq, tg);
	int depth;

	if (!BPF_CORE_READ(task, pid))
		return;
#pragma unroll
	for (depth = 0; depth < GROUP_DEPTH_MAX; depth++) {
		if (group == throttled) {
			bpf_get_current_comm(entry->comm, sizeof(entry->comm));
			return;
		}
		if (!group)
			return;
		group = BPF_CORE_READ(group, parent);
	}
}

/* Tells an episode that began, or that has gone on for long enough: one CPU does. */
static __always_inline void tell(struct kw_throttle *entry, __u64 now, bool begun)
{
	if (begun)
		send_throttle(entry, now, KW_THROTTLE_START);
	else if (is_telling_again(&entry->next_boot_ns, now))
		send_throttle(entry, now, KW_THROTTLE_CONTINUE);
}

/* throttle_cfs_rq() has returned true: it did throttle. */
static __always_inline int throttled(struct cfs_rq *cfs_rq, enum kw_hook hook)
{
	struct throttle_scratch *scratch = only_entry(&throttle_scratches);
	__u64 now = bpf_ktime_get_boot_ns();
	struct kw_throttle *entry;
	bool begun;

	if (!scratch)
		return 0;
	entry = throttle_entry(cfs_rq, scratch);
	if (!entry)
		return 0;
	begun = begin_episode(entry, cfs_rq, now, 0, hook);
	__sync_fetch_and_add(&entry->totals.throttles, 1);
	entry->last_boot_ns = now;
	read_bandwidth(cfs_rq, &entry->bandwidth);
	mark_cpu(entry, cfs_rq);
	mark_current(entry, cfs_rq);
	tell(entry, now, begun);
	return 0;
}

static __always_inline int begin_unthrottle(struct cfs_rq *cfs_rq)
{
	struct throttle_scratch *scratch = only_entry(&throttle_scratches);

	if (!scratch)
		return 0;
	scratch->unthrottle.cfs_rq = (__u64)cfs_rq;
	scratch->unthrottle.throttled_clock =
		is_throttled(cfs_rq) ? BPF_CORE_READ(cfs_rq, throttled_clock) : 0;
	return 0;
}

/* unthrottle_cfs_rq() has returned. 6.18 may have left the runqueue throttled: it had no runtime. */
static __always_inline int end_unthrottle(enum kw_hook hook)
{
	struct throttle_scratch *scratch = only_entry(&throttle_scratches);
	__u64 now = bpf_ktime_get_boot_ns(), clock, since, stall_ns = 0;
	struct kw_throttle *entry;
	struct cfs_rq *cfs_rq;
	bool begun;

	if (!scratch || !scratch->unthrottle.cfs_rq)
		return 0;
	cfs_rq = (void *)scratch->unthrottle.cfs_rq;
	since = scratch->unthrottle.throttled_clock;
	scratch->unthrottle.cfs_rq = 0;
	if (is_throttled(cfs_rq))
		return 0;
	entry = throttle_entry(cfs_rq, scratch);
	if (!entry)
		return 0;
	clock = BPF_CORE_READ(cfs_rq, rq, clock);
	if (since && clock > since)
		stall_ns = clock - since;
	begun = begin_episode(entry, cfs_rq, now, stall_ns, hook);
	__sync_fetch_and_add(&entry->totals.unthrottles, 1);
	if (stall_ns)
		count_stall(&entry->totals, stall_ns);
	entry->last_boot_ns = now;
	read_bandwidth(cfs_rq, &entry->bandwidth);
	mark_cpu(entry, cfs_rq);
	tell(entry, now, begun);
	return 0;
}

/* ---- the programs: one shell per hook and tier ---- */

SEC("fexit/throttle_cfs_rq")
int BPF_PROG(fexit_throttle, struct cfs_rq *cfs_rq, __u64 returned)
{
	/* a bool: only the low byte of the register counts */
	return returned & 0xff ? throttled(cfs_rq, KW_HOOK_FENTRY_THROTTLE) : 0;
}

SEC("fentry/unthrottle_cfs_rq")
int BPF_PROG(fentry_unthrottle, struct cfs_rq *cfs_rq)
{
	return begin_unthrottle(cfs_rq);
}

SEC("fexit/unthrottle_cfs_rq")
int BPF_PROG(fexit_unthrottle)
{
	return end_unthrottle(KW_HOOK_FENTRY_THROTTLE);
}

SEC("kprobe/throttle_cfs_rq")
int BPF_KPROBE(kprobe_throttle, struct cfs_rq *cfs_rq)
{
	struct throttle_scratch *scratch = only_entry(&throttle_scratches);

	if (scratch)
		scratch->throttle.cfs_rq = (__u64)cfs_rq;
	return 0;
}

SEC("kretprobe/throttle_cfs_rq")
int BPF_KRETPROBE(kretprobe_throttle, __u64 returned)
{
	struct throttle_scratch *scratch = only_entry(&throttle_scratches);
	struct cfs_rq *cfs_rq;

	if (!scratch || !scratch->throttle.cfs_rq)
		return 0;
	cfs_rq = (void *)scratch->throttle.cfs_rq;
	scratch->throttle.cfs_rq = 0;
	return returned & 0xff ? throttled(cfs_rq, KW_HOOK_KPROBE_THROTTLE) : 0;
}

SEC("kprobe/unthrottle_cfs_rq")
int BPF_KPROBE(kprobe_unthrottle, struct cfs_rq *cfs_rq)
{
	return begin_unthrottle(cfs_rq);
}

SEC("kretprobe/unthrottle_cfs_rq")
int BPF_KRETPROBE(kretprobe_unthrottle)
{
	return end_unthrottle(KW_HOOK_KPROBE_THROTTLE);
}
