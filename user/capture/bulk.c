/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What comes in volume. The programs that write it may hold a runqueue's lock, so they wake nobody; the
 * daemon asks. And as no hook fires when throttling stops, the end of an episode is found here, in maps
 * "throttles" and "highs": the entry that has been quiet for long enough is made into the same record that
 * the programs would have sent. Which ends were told is kept in a map beside it and outlives the daemon.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

_Static_assert(offsetof(struct kw_record_high, high) ==
			       offsetof(struct kw_record_throttle, throttle) &&
		       offsetof(struct kw_record_high, phase) ==
			       offsetof(struct kw_record_throttle, phase),
	       "one way to make both");

/* A whole ring in one turn: they make no lines, only change a table. */
#define LIFECYCLE_RECORDS                                                                          \
	(KW_LIFECYCLE_RING_BYTES / (sizeof(struct kw_record_lifecycle) + BPF_RINGBUF_HDR_SZ))

/* Entries read by one system call. Hash maps can be read so since 5.6. */
#define BATCH 32U

/* An entry of a cgroup that has long been quiet goes: most likely its cgroup has gone. Late, because a
 * program that is just using the entry would then count into one that is free. */
#define FORGET_NS (600 * KW_NSEC_PER_SEC)

/* What the entries of a map begin with, whichever limit they are of (<kwitness/record.h>). */
struct head {
	uint64_t episode;
	uint64_t begin_boot_ns;
	uint64_t last_boot_ns;
	uint64_t next_boot_ns;
	struct kw_throttle_totals totals;
};

/* The maps of one kind. Its records are a header, the phase, and an entry. */
struct series {
	enum kw_record_kind kind;
	size_t entry_bytes;
	size_t hook_at; /* where in the entry its hook stands */
	uint32_t entries_max;
	int entries; /* descriptors */
	int told;
};

struct scan {
	struct kw_drain_turn turn;
	struct series series;
	uint64_t now;
	uint64_t ids[BATCH];
	union {
		struct kw_throttle throttles[BATCH];
		struct kw_high highs[BATCH];
		unsigned char bytes[1];
	} entries;
	union {
		struct kw_record_header header;
		struct kw_record_throttle throttle;
		struct kw_record_high high;
	} record;
	bool is_last; /* the programs go: every episode is over */
	/* too long quiet; deleted after the scan, which a deletion would make begin anew */
	uint64_t idle[BATCH];
	unsigned int idle_count;
};

static bool is_over(const struct head *head, uint64_t now)
{
	bool is_stalled = (int64_t)(head->totals.throttles - head->totals.unthrottles) > 0;
	uint64_t quiet = is_stalled ? KW_THROTTLE_STUCK_NS : KW_THROTTLE_QUIET_NS;

	return head->episode && now > head->last_boot_ns && now - head->last_boot_ns >= quiet;
}

/* The record that the programs would have sent. Returns its size. */
static size_t make_end(struct scan *scan, const struct head *head, const unsigned char *entry)
{
	size_t entry_at = offsetof(struct kw_record_throttle, throttle);
	uint32_t phase = KW_THROTTLE_END;
	size_t size = entry_at + scan->series.entry_bytes;
	uint32_t hook;

	memcpy(&hook, entry + scan->series.hook_at, sizeof(hook));
	memset(&scan->record, 0, sizeof(scan->record));
	scan->record.header = (struct kw_record_header){
		.version = KW_RECORD_VERSION,
		.kind = (uint16_t)scan->series.kind,
		.size = (uint32_t)size,
		.number = head->episode,
		.boot_ns = head->last_boot_ns,
		.hook = hook,
	};
	memcpy((unsigned char *)&scan->record + offsetof(struct kw_record_throttle, phase), &phase,
	       sizeof(phase));
	memcpy((unsigned char *)&scan->record + entry_at, entry, scan->series.entry_bytes);
	return size;
}

/* Tells the end of the entry's episode, once. 0 or the callback's error. */
static int tell_end(struct scan *scan, uint64_t id, const struct head *head,
		    const unsigned char *entry)
{
	uint64_t told = 0;
	int r;

	if (bpf_map_lookup_elem(scan->series.told, &id, &told) == 0 && told == head->episode)
		return 0;
	r = kw_drain_take(&scan->turn, &scan->record, make_end(scan, head, entry));
	if (r < 0)
		return r;
	told = head->episode;
	return bpf_map_update_elem(scan->series.told, &id, &told, BPF_ANY) < 0 ? -errno : 0;
}

static int look_at(struct scan *scan, uint64_t id, const unsigned char *entry)
{
	struct head head;
	int r;

	memcpy(&head, entry, sizeof(head));
	if (scan->is_last ? !head.episode : !is_over(&head, scan->now))
		return 0;
	r = tell_end(scan, id, &head, entry);
	if (r == 0 && scan->now - head.last_boot_ns > FORGET_NS && scan->idle_count < BATCH)
		scan->idle[scan->idle_count++] = id;
	return r;
}

static int scan_series(struct scan *scan)
{
	const struct series *series = &scan->series;
	uint32_t position, count;
	void *from = NULL;
	int failed = 0, r;

	scan->idle_count = 0;
	/* the bound: entries that come while we read may make the kernel go round */
	for (unsigned int i = 0; i < 2 * series->entries_max / BATCH && !failed; i++) {
		count = BATCH;
		r = bpf_map_lookup_batch(series->entries, from, &position, scan->ids,
					 scan->entries.bytes, &count, NULL);
		if (r < 0 && errno != ENOENT) /* ENOENT: these were the last */
			return -errno;
		for (uint32_t at = 0; at < count && !failed; at++)
			failed = look_at(scan, scan->ids[at],
					 (const unsigned char *)&scan->entries +
						 at * series->entry_bytes);
		if (r < 0)
			break;
		from = &position;
	}
	for (unsigned int i = 0; i < scan->idle_count; i++) {
		(void)bpf_map_delete_elem(series->entries, &scan->idle[i]);
		(void)bpf_map_delete_elem(series->told, &scan->idle[i]);
	}
	return failed;
}

static int scan_all(const struct kw_drain_turn *turn, bool is_last)
{
	const struct kw_pins_maps *maps = kw_drain_maps(turn);
	const struct series all[] = {
		{ KW_RECORD_THROTTLE, sizeof(struct kw_throttle),
		  offsetof(struct kw_throttle, hook), KW_THROTTLES_MAX, maps->throttles,
		  maps->throttles_told },
		{ KW_RECORD_HIGH, sizeof(struct kw_high), offsetof(struct kw_high, hook),
		  KW_HIGHS_MAX, maps->highs, maps->highs_told },
	};
	cleanup_free struct scan *scan = calloc(1, sizeof(*scan));
	int r = 0;

	if (!scan)
		return -ENOMEM;
	scan->turn = *turn;
	scan->now = kw_clock_boot_ns(turn->hooks->clock);
	scan->is_last = is_last;
	for (size_t i = 0; i < kw_array_size(all) && r >= 0; i++) {
		scan->series = all[i];
		r = scan_series(scan);
	}
	return r;
}

int kw_hooks_poll_bulk(struct kw_hooks *hooks, unsigned int limit, kw_observation_fn callback,
		       void *context)
{
	struct kw_drain_turn turn = { hooks, false, callback, context };
	int count, r;

	if (!hooks->bulk.consumer)
		return 0;
	if (hooks->lifecycle.consumer) {
		r = kw_ring_consume(&hooks->lifecycle, LIFECYCLE_RECORDS, kw_drain_take, &turn);
		if (r < 0)
			return r;
	}
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
	if (r >= 0 && kw_ring_open(maps->lifecycle, &ring) == 0) {
		r = kw_ring_consume(&ring, LIFECYCLE_RECORDS, kw_drain_take, turn);
		kw_ring_close(&ring);
	}
	if (r >= 0)
		r = kw_refusals_scan(turn);
	return r < 0 ? r : scan_all(turn, true);
}
