/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What comes in volume. The programs that write it may hold a runqueue's lock, so they wake nobody; the
 * daemon asks. And as no hook fires when throttling stops, the end of an episode is found here, in map
 * "throttles": the entry that has been quiet for long enough is made into the same record that the
 * programs would have sent. Which ends were told is kept in a map beside it and outlives the daemon.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>

#include <bpf/bpf.h>

/* Entries read by one system call. Hash maps can be read so since 5.6. */
#define BATCH 32U

/* An entry of a cgroup that has long been quiet goes: most likely its cgroup has gone. Late, because a
 * program that is just using the entry would then count into one that is free. */
#define FORGET_NS (600 * KW_NSEC_PER_SEC)

struct scan {
	struct kw_drain_turn turn;
	uint64_t now;
	uint64_t ids[BATCH];
	struct kw_throttle entries[BATCH];
	struct kw_record_throttle record;
	bool is_last; /* the programs go: every episode is over */
	/* too long quiet; deleted after the scan, which a deletion would make begin anew */
	uint64_t idle[BATCH];
	unsigned int idle_count;
};

static bool is_over(const struct kw_throttle *entry, uint64_t now)
{
	bool is_stalled = (int64_t)(entry->totals.throttles - entry->totals.unthrottles) > 0;
	uint64_t quiet = is_stalled ? KW_THROTTLE_STUCK_NS : KW_THROTTLE_QUIET_NS;

	return entry->episode && now > entry->last_boot_ns && now - entry->last_boot_ns >= quiet;
}

/* Tells the end of the entry's episode, once. 0 or the callback's error. */
static int tell_end(struct scan *scan, uint64_t id, const struct kw_throttle *entry)
{
	const struct kw_pins_maps *maps = kw_drain_maps(&scan->turn);
	uint64_t told = 0;
	int r;

	if (bpf_map_lookup_elem(maps->throttles_told, &id, &told) == 0 && told == entry->episode)
		return 0;
	scan->record = (struct kw_record_throttle){
		.header = {
			.version = KW_RECORD_VERSION,
			.kind = KW_RECORD_THROTTLE,
			.size = sizeof(scan->record),
			.number = entry->episode,
			.boot_ns = entry->last_boot_ns,
			.hook = entry->hook,
		},
		.phase = KW_THROTTLE_END,
		.throttle = *entry,
	};
	r = kw_drain_take(&scan->turn, &scan->record, sizeof(scan->record));
	if (r < 0)
		return r;
	told = entry->episode;
	return bpf_map_update_elem(maps->throttles_told, &id, &told, BPF_ANY) < 0 ? -errno : 0;
}

static int look_at(struct scan *scan, uint64_t id, const struct kw_throttle *entry)
{
	int r;

	if (scan->is_last ? !entry->episode : !is_over(entry, scan->now))
		return 0;
	r = tell_end(scan, id, entry);
	if (r == 0 && scan->now - entry->last_boot_ns > FORGET_NS && scan->idle_count < BATCH)
		scan->idle[scan->idle_count++] = id;
	return r;
}

static int scan_throttles(struct scan *scan)
{
	const struct kw_pins_maps *maps = kw_drain_maps(&scan->turn);
	uint32_t position, count;
	void *from = NULL;
	int failed = 0, r;

	/* the bound: entries that come while we read may make the kernel go round */
	for (unsigned int i = 0; i < 2 * KW_THROTTLES_MAX / BATCH && !failed; i++) {
		count = BATCH;
		r = bpf_map_lookup_batch(maps->throttles, from, &position, scan->ids, scan->entries,
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
		(void)bpf_map_delete_elem(maps->throttles, &scan->idle[i]);
		(void)bpf_map_delete_elem(maps->throttles_told, &scan->idle[i]);
	}
	return failed;
}

static int scan_all(const struct kw_drain_turn *turn, bool is_last)
{
	cleanup_free struct scan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		return -ENOMEM;
	scan->turn = *turn;
	scan->now = kw_clock_boot_ns(turn->hooks->clock);
	scan->is_last = is_last;
	return scan_throttles(scan);
}

int kw_hooks_poll_bulk(struct kw_hooks *hooks, unsigned int limit, kw_observation_fn callback,
		       void *context)
{
	struct kw_drain_turn turn = { hooks, false, callback, context };
	int count, r;

	if (!hooks->bulk.consumer)
		return 0;
	count = kw_ring_consume(&hooks->bulk, limit, kw_drain_take, &turn);
	if (count < 0 || (unsigned int)count == limit)
		return count; /* what is still in the ring comes before the end of it */
	r = kw_refusals_scan(&turn);
	if (r >= 0)
		r = scan_all(&turn, false);
	return r < 0 ? r : count;
}

int kw_bulk_finish_previous(struct kw_drain_turn *turn)
{
	const struct kw_pins_maps *maps = kw_drain_maps(turn);
	struct kw_ring ring;
	int r;

	if (!kw_pins_has_all_maps(maps) || kw_ring_open(maps->bulk, &ring) < 0)
		return 0; /* of a build that had none */
	/* more than it can hold: to its end */
	r = kw_ring_consume(&ring, KW_BULK_RING_BYTES / BPF_RINGBUF_HDR_SZ, kw_drain_take, turn);
	kw_ring_close(&ring);
	if (r >= 0)
		r = kw_refusals_scan(turn);
	return r < 0 ? r : scan_all(turn, true);
}
