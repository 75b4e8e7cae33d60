/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Refused forks. The kernel's map "refusals" counts them per cgroup and only ever up; a record is but a
 * copy of an entry at some time. How much of a count has been told is kept in a map beside it, which
 * outlives the daemon: so whatever happens to records, the numbers told add up to the count.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

/* Entries read by one system call. */
#define BATCH 32U

/* A cgroup that was not refused for so long is most likely gone: its entry goes too. */
#define FORGET_NS (600 * KW_NSEC_PER_SEC)

struct scan {
	struct kw_drain_turn *turn;
	uint64_t now;
	uint64_t ids[BATCH];
	struct kw_refusals entries[BATCH];
	struct kw_record_pids record;
	uint64_t idle[BATCH];
	unsigned int idle_count;
};

static int told_map(const struct kw_drain_turn *turn)
{
	return kw_drain_maps(turn)->refusals_told;
}

bool kw_refusals_complete(const struct kw_drain_turn *turn, const struct kw_record_pids *record,
			  struct kw_record_pids *ret_record)
{
	uint64_t told = 0;

	if (bpf_map_lookup_elem(told_map(turn), &record->refusals.cgroup.id, &told) < 0)
		told = 0; /* the first of this cgroup */
	*ret_record = *record;
	ret_record->told = told;
	return record->refusals.total > told;
}

int kw_refusals_told(const struct kw_drain_turn *turn, const struct kw_record_pids *record)
{
	return bpf_map_update_elem(told_map(turn), &record->refusals.cgroup.id,
				   &record->refusals.total, BPF_ANY) < 0
		       ? -errno
		       : 0;
}

/* What no record has told, once the second in which the kernel tells nothing more is over. */
static int look_at(struct scan *scan, uint64_t id, const struct kw_refusals *entry)
{
	uint64_t told = 0;

	if ((!scan->turn->is_previous && scan->now < entry->next_boot_ns) || !entry->total)
		return 0;
	if (bpf_map_lookup_elem(told_map(scan->turn), &id, &told) == 0 && told == entry->total) {
		if (scan->now - entry->next_boot_ns > FORGET_NS && scan->idle_count < BATCH)
			scan->idle[scan->idle_count++] = id;
		return 0;
	}
	scan->record = (struct kw_record_pids){
		.header = {
			.version = KW_RECORD_VERSION,
			.kind = KW_RECORD_PIDS,
			.size = sizeof(scan->record),
			.number = entry->total,
			.boot_ns = entry->last_boot_ns,
			.hook = entry->hook,
		},
		.refusals = *entry,
	};
	return kw_drain_take(scan->turn, &scan->record, sizeof(scan->record));
}

int kw_refusals_scan(struct kw_drain_turn *turn)
{
	const struct kw_pins_maps *maps = kw_drain_maps(turn);
	cleanup_free struct scan *scan = calloc(1, sizeof(*scan));
	uint32_t position, count;
	void *from = NULL;
	int failed = 0, r;

	if (!scan)
		return -ENOMEM;
	scan->turn = turn;
	scan->now = kw_clock_boot_ns(turn->hooks->clock);
	for (unsigned int i = 0; i < 2 * KW_REFUSALS_MAX / BATCH && !failed; i++) {
		count = BATCH;
		r = bpf_map_lookup_batch(maps->refusals, from, &position, scan->ids, scan->entries,
					 &count, NULL);
		if (r < 0 && errno != ENOENT) /* ENOENT: these were the last */
			return -errno;
		for (uint32_t at = 0; at < count && !failed; at++)
			failed = look_at(scan, scan->ids[at], &scan->entries[at]);
		if (r < 0)
			break;
		from = &position;
	}
	for (unsigned int i = 0; i < scan->idle_count; i++) {
		(void)bpf_map_delete_elem(maps->refusals, &scan->idle[i]);
		(void)bpf_map_delete_elem(maps->refusals_told, &scan->idle[i]);
	}
	return failed;
}
