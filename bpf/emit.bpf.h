/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Into the evidence ring. The kernel's ring buffer has no loss counter of its own: whoever is refused
 * counts it here, by kind and reason (Documentation/bpf/ringbuf.rst).
 */
#include "maps.bpf.h"

static __always_inline void count_loss(enum kw_record_kind kind, enum kw_loss_reason reason)
{
	__u32 index = kind * KW_LOSS_REASON_COUNT_ + reason;
	__u64 *lost = bpf_map_lookup_elem(&losses, &index);

	if (lost)
		__sync_fetch_and_add(lost, 1);
}

/* The same for a cgroup that is known; without room for it, for the host as a whole. Not inlined: there
 * are several callers. */
static __noinline int count_loss_of(__u64 cgroup, __u64 serial, __u32 kind, __u32 reason)
{
	struct kw_cgroup_loss_key key = {
		.cgroup = cgroup,
		.serial = serial,
		.kind = kind,
		.reason = reason,
	};
	__u64 none = 0, *lost;

	lost = bpf_map_lookup_elem(&cgroup_losses, &key);
	if (!lost && cgroup) {
		bpf_map_update_elem(&cgroup_losses, &key, &none, BPF_NOEXIST);
		lost = bpf_map_lookup_elem(&cgroup_losses, &key);
	}
	if (lost)
		__sync_fetch_and_add(lost, 1);
	else
		count_loss(kind, reason);
	return 0;
}

/* The next number of records and incidents; 0 when there is no state (never). */
static __always_inline __u64 next_number(void)
{
	struct kw_bpf_state *common = only_entry(&state);

	return common ? __sync_fetch_and_add(&common->number, 1) : 0;
}

/* log2 of the page size; masked so that the verifier knows a shift to be one. */
static __always_inline __u32 page_shift(void)
{
	struct kw_bpf_state *common = only_entry(&state);

	return common ? common->page_shift & 31 : 0;
}

static __always_inline __u64 pages_to_bytes(__u64 pages)
{
	return pages << page_shift();
}

static __always_inline __u64 pages_to_kb(__u64 pages)
{
	return pages_to_bytes(pages) >> 10;
}

static __always_inline void fill_header(struct kw_record_header *header, enum kw_record_kind kind,
					__u32 size, enum kw_hook hook)
{
	header->version = KW_RECORD_VERSION;
	header->kind = (__u16)kind;
	header->size = size;
	header->number = next_number();
	header->boot_ns = bpf_ktime_get_boot_ns();
	header->hook = hook;
	header->cpu = bpf_get_smp_processor_id();
}

/* Room for one record, cleared, or NULL: then it is for the caller to count it as lost. */
#define reserve_cleared(type)                                                                      \
	({                                                                                         \
		type *room_ = bpf_ringbuf_reserve(&evidence, sizeof(type), 0);                     \
		if (room_)                                                                         \
			clear_memory(room_, sizeof(type));                                         \
		room_;                                                                             \
	})

/* The same, and a refusal is counted for the host as a whole: no cgroup is known. */
#define reserve_record(type, kind)                                                                 \
	({                                                                                         \
		type *record_ = reserve_cleared(type);                                             \
		if (!record_)                                                                      \
			count_loss(kind, KW_LOSS_RING_FULL);                                       \
		record_;                                                                           \
	})

/* Evidence is rare and waited for: its reader is woken at once. */
static __always_inline void submit_record(void *record)
{
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
}
