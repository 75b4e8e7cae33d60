/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Episodes: when one begins and is told, for all that is stalled by a limit of its cgroup. An entry of a
 * per-cgroup map holds the episode that is under way or was the last. As nothing fires when stalling
 * stops, the end is found by the daemon, or here when the next one begins before the daemon has looked.
 * The members of an entry are handed over one by one: there are several kinds of entries.
 */
#include "emit.bpf.h"

/* Whether the cgroup may send one more. Two CPUs at once may overdraw by one: the bound is soft. */
static __always_inline bool is_within_budget(__u64 *window_boot_ns, __u32 *window_records,
					     __u64 now)
{
	if (now >= *window_boot_ns) {
		*window_boot_ns = now + KW_BULK_BUDGET_WINDOW_NS;
		*window_records = 0;
	}
	if (*window_records >= KW_BULK_BUDGET_RECORDS)
		return false;
	(*window_records)++;
	return true;
}

/* Whether something of the cgroup is stalled still. */
static __always_inline bool is_stalled(struct kw_throttle_totals *totals)
{
	return (__s64)(totals->throttles - totals->unthrottles) > 0;
}

/* Whether the last episode, which was last seen at last, is over, and this is who begins the next one. */
static __always_inline bool is_beginning(__u64 *last_boot_ns, struct kw_throttle_totals *totals,
					 __u64 now, __u64 last)
{
	if (last && now < last + (is_stalled(totals) ? KW_THROTTLE_STUCK_NS : KW_THROTTLE_QUIET_NS))
		return false;
	return __sync_val_compare_and_swap(last_boot_ns, last, now) == last;
}

/* Whether the daemon has told the end of this episode. */
static __always_inline bool is_end_told(void *told_map, __u64 id, __u64 episode)
{
	__u64 *told = bpf_map_lookup_elem(told_map, &id);

	return told && *told == episode;
}

/* Whether an episode has gone on for long enough to be told again, and this is who does. */
static __always_inline bool is_telling_again(__u64 *next_boot_ns, __u64 now)
{
	__u64 next = *next_boot_ns;

	return now >= next && __sync_val_compare_and_swap(next_boot_ns, next,
							  now + KW_THROTTLE_CONTINUE_NS) == next;
}

/* Bucket of a stall: the number of bits of its microseconds. */
static __always_inline __u32 bucket_of(__u64 stall_ns)
{
	__u64 left = stall_ns / 1000;
	__u32 bits = 0, step;

#pragma unroll
	for (step = 32; step; step /= 2) {
		if (left >> step) {
			left >>= step;
			bits += step;
		}
	}
	if (left)
		bits++;
	return bits;
}

static __always_inline void count_stall(struct kw_throttle_totals *totals, __u64 stall_ns)
{
	__u32 bucket = bucket_of(stall_ns);

	if (bucket >= KW_THROTTLE_BUCKETS)
		bucket = KW_THROTTLE_BUCKETS - 1;
	__sync_fetch_and_add(&totals->stalled_ns, stall_ns);
	__sync_fetch_and_add(&totals->histogram[bucket], 1);
}
