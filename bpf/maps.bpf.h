/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * All maps, once; weak, so that the linker makes one of what each object brings. State lives in maps
 * only (no .bss, no .rodata): so that programs of one run and the daemon of the next can share it
 * through pins.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <kwitness/record.h>

#include "state.h"

/* A component of a path: NAME_MAX and its NUL (include/uapi/linux/limits.h). */
#define NAME_BYTES 256

/*
 * The OOM under way. One slot is enough: oom_kill_process(), __oom_kill_process() and
 * mark_oom_victim() all run under oom_lock, one mutex for the whole host (mm/oom_kill.c, 6.1 to
 * 6.18; taken in mem_cgroup_out_of_memory(), __alloc_pages_may_oom(), pagefault_out_of_memory() and
 * moom_callback()). The slot is nevertheless only used by the thread that opened it: where an exit
 * went unseen, a stale slot belongs to nobody.
 */
struct incident {
	struct kw_oom_context oom;
	struct kw_memory_events owner_before;
	__u64 owner;	/* struct mem_cgroup *; 0: global */
	__u64 pid_tgid; /* who opened it; 0: closed */
	__u64 begin_boot_ns;
	__u32 marked;
	__u32 entered;
	__u32 counted;
	__u32 lost;
	/* the call of __oom_kill_process() under way */
	__u64 victim;	       /* struct task_struct *; 0: none */
	__u64 victim_memcg;    /* whose counter the kernel moves */
	__u64 oom_kill_before; /* its local oom_kill at entry */
};

/*
 * Scratch for a path. A component is read with room for the longest name, so the area is longer than
 * a path by one component: the verifier cannot relate an offset to the room left behind it.
 */
struct scratch {
	char path[KW_CGROUP_PATH_BYTES + NAME_BYTES];
};

struct zeros {
	char bytes[2048];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, KW_EVIDENCE_RING_BYTES);
} evidence __weak SEC(".maps");

/* What comes in volume. Its writers may hold a runqueue's lock, so nobody is woken: it is polled. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, KW_BULK_RING_BYTES);
} bulk __weak SEC(".maps");

/* Cgroups that come and go; polled as well. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, KW_LIFECYCLE_RING_BYTES);
} lifecycle __weak SEC(".maps");

/* Per cgroup (64-bit kernfs id): its throttling. Allocated at load, because the hooks hold a runqueue's
 * lock, and an allocation could want to wake a task. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_THROTTLES_MAX);
	__type(key, __u64);
	__type(value, struct kw_throttle);
} throttles __weak SEC(".maps");

/* Per cgroup: the last episode whose end was told. Written by the daemon; outlives it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_THROTTLES_MAX);
	__type(key, __u64);
	__type(value, __u64);
} throttles_told __weak SEC(".maps");

/* Per cgroup (64-bit kernfs id): forks that were refused; and of those, told. The second is the daemon's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_REFUSALS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct kw_refusals);
} refusals __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_REFUSALS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u64);
} refusals_told __weak SEC(".maps");

/* Per cgroup (64-bit kernfs id): its memory.high throttling; and the last episode whose end was told, which
 * the daemon writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_HIGHS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct kw_high);
} highs __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_HIGHS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u64);
} highs_told __weak SEC(".maps");

/* Cgroups (64-bit kernfs ids) whose processes are memory managers. Filled by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_KILLERS_MAX);
	__type(key, __u64);
	__type(value, __u64);
} killers __weak SEC(".maps");

/* Losses by cgroup, only ever counted up. Allocated at load: hooks that hold a lock count here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_CGROUP_LOSSES_MAX);
	__type(key, struct kw_cgroup_loss_key);
	__type(value, __u64);
} cgroup_losses __weak SEC(".maps");

/* What of it has been declared; the daemon's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_CGROUP_LOSSES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct kw_cgroup_loss_key);
	__type(value, __u64);
} cgroup_losses_told __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kw_reader_state);
} reader __weak SEC(".maps");

/* [kind * KW_LOSS_REASON_COUNT_ + reason], only ever counted up: losses that are in no cgroup's entry of
 * cgroup_losses. The two add up to all of them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KW_RECORD_KIND_COUNT_ *KW_LOSS_REASON_COUNT_);
	__type(key, __u32);
	__type(value, __u64);
} losses __weak SEC(".maps");

/* What of losses has been declared; the daemon's, kept here so that it outlives the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KW_RECORD_KIND_COUNT_ *KW_LOSS_REASON_COUNT_);
	__type(key, __u32);
	__type(value, __u64);
} losses_told __weak SEC(".maps");

/* Per cgroup (64-bit kernfs id): counts that survive a lost record. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KW_CGROUP_COUNTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct kw_cgroup_counts);
} counts __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kw_bpf_state);
} state __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kw_pin_meta);
} meta __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct incident);
} incidents __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches __weak SEC(".maps");

/* Never written: what memory is cleared with, in one helper call instead of hundreds of stores. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct zeros);
} zeros __weak SEC(".maps");

/* The single entry of an array map. The verifier wants the NULL check; it never happens. */
static __always_inline void *only_entry(void *map)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

/* memset(to, 0, size); size must be a constant and at most 2048. */
#define clear_memory(to, size)                                                                     \
	do {                                                                                       \
		struct zeros *zeros_ = only_entry(&zeros);                                         \
		_Static_assert((size) <= sizeof(struct zeros), "not enough zeros");                \
		if (zeros_)                                                                        \
			bpf_probe_read_kernel((to), (size), zeros_->bytes);                        \
	} while (0)
