/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs have to tell: records from the evidence ring, and how many they could not put
 * there. Loss counters only ever grow, and what has been told of them is kept beside them in a map, so
 * that a daemon that comes after this one neither repeats nor forgets.
 */
#include "user/capture/hooks.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include <bpf/bpf.h>

/* Entries of map counts that have not moved for so long may go when it is full. */
#define COUNTS_IDLE_NS (3600 * KW_NSEC_PER_SEC)

/* One frame of the recording, whole or none: what fails ends the recording, never the capture. */
static void write_recording(struct kw_hooks *hooks, const struct kw_observation *observation,
			    const void *record, size_t length)
{
	struct {
		uint32_t length;
		uint64_t received_boot_ns;
		uint64_t received_real_ns;
	} __attribute__((packed)) frame = {
		.length = htole32((uint32_t)length),
		.received_boot_ns = htole64(observation->received_boot_ns),
		.received_real_ns = htole64(observation->received_real_ns),
	};
	struct iovec parts[] = {
		{ .iov_base = &frame, .iov_len = sizeof(frame) },
		{ .iov_base = (void *)(uintptr_t)record, .iov_len = length },
	};

	if (writev(hooks->recording_fd, parts, 2) != (ssize_t)(sizeof(frame) + length))
		hooks->recording_fd = -1;
}

/* A record that does not pass is still a fact: something wrote it, and we cannot tell what it said. */
static void describe_malformed(const void *record, size_t length, struct kw_lost *ret_lost)
{
	const struct kw_record_header *header = record;

	*ret_lost = (struct kw_lost){ .reason = KW_LOST_MALFORMED, .count = 1 };
	if (length >= sizeof(*header) && header->kind < KW_RECORD_KIND_COUNT_)
		ret_lost->record_kind = header->kind;
}

int kw_drain_take(void *context, const void *record, size_t length)
{
	struct kw_drain_turn *turn = context;
	const struct kw_clock *clock = turn->hooks->clock;
	struct kw_observation observation = {};
	struct kw_record_pids pids;
	struct kw_lost lost;
	int r;

	r = kw_record_decode(record, length, &observation);
	if (r == 0 && turn->is_previous && observation.boot_ns > turn->hooks->previous_until_ns)
		return 0; /* in our own ring too */
	if (r == 0 && observation.kind == KW_OBSERVATION_PIDS) {
		if (!kw_refusals_complete(turn, observation.pids, &pids))
			return 0;
		observation.pids = &pids;
		record = &pids;
	}
	observation.received_boot_ns = kw_clock_boot_ns(clock);
	observation.received_real_ns = kw_clock_real_ns(clock);
	if (r < 0) {
		describe_malformed(record, length, &lost);
		observation.kind = KW_OBSERVATION_LOST;
		observation.boot_ns = observation.received_boot_ns;
		observation.lost = &lost;
	}
	r = turn->callback(turn->context, &observation);
	if (r >= 0 && observation.kind == KW_OBSERVATION_PIDS)
		r = kw_refusals_told(turn, &pids);
	if (r >= 0 && turn->hooks->recording_fd >= 0)
		write_recording(turn->hooks, &observation, record, length);
	return r;
}

/* The other build's losses that were not told become ours: told goes back by as much (modulo 2^64, as
 * the difference is taken). Not when its maps are shaped otherwise. */
static void inherit_losses(struct kw_hooks *hooks)
{
	const uint32_t entries = KW_RECORD_KIND_COUNT_ * KW_LOSS_REASON_COUNT_;
	struct bpf_map_info info = {};
	uint32_t info_bytes = sizeof(info);
	uint64_t lost, told, ours;

	if (hooks->maps.losses_told < 0 ||
	    bpf_obj_get_info_by_fd(hooks->previous_maps.losses, &info, &info_bytes) < 0 ||
	    info.type != BPF_MAP_TYPE_ARRAY || info.max_entries != entries ||
	    info.value_size != sizeof(lost))
		return;
	for (uint32_t i = 0; i < entries; i++) {
		if (bpf_map_lookup_elem(hooks->previous_maps.losses, &i, &lost) < 0 ||
		    bpf_map_lookup_elem(hooks->previous_maps.losses_told, &i, &told) < 0 ||
		    bpf_map_lookup_elem(hooks->maps.losses_told, &i, &ours) < 0)
			continue;
		ours -= lost - told;
		(void)bpf_map_update_elem(hooks->maps.losses_told, &i, &ours, BPF_ANY);
	}
}

/* What the last run's programs left, first. Returns the number consumed; 0: there is no more. */
static int consume_previous(struct kw_hooks *hooks, unsigned int limit, kw_observation_fn callback,
			    void *context)
{
	struct kw_drain_turn turn = { hooks, true, callback, context };
	int r;

	r = kw_ring_consume(&hooks->previous, limit, kw_drain_take, &turn);
	if (r != 0)
		return r;
	inherit_losses(hooks);
	kw_ring_close(&hooks->previous);
	kw_pins_close_maps(&hooks->previous_maps);
	return 0;
}

int kw_hooks_consume(struct kw_hooks *hooks, unsigned int limit, kw_observation_fn callback,
		     void *context)
{
	struct kw_drain_turn turn = { hooks, false, callback, context };
	int r;

	if (hooks->previous.consumer) {
		r = consume_previous(hooks, limit, callback, context);
		if (r != 0)
			return r;
	}
	if (!hooks->ring.consumer)
		return 0;
	return kw_ring_consume(&hooks->ring, limit, kw_drain_take, &turn);
}

uint64_t kw_hooks_backlog(const struct kw_hooks *hooks)
{
	return kw_ring_backlog(&hooks->previous) + kw_ring_backlog(&hooks->ring);
}

void kw_hooks_set_recording(struct kw_hooks *hooks, int fd)
{
	hooks->recording_fd = fd;
}

int kw_hooks_cgroup_counts(const struct kw_hooks *hooks, uint64_t cgroup_id,
			   struct kw_cgroup_counts *ret_counts)
{
	if (hooks->maps.counts < 0)
		return -ENOENT;
	return bpf_map_lookup_elem(hooks->maps.counts, &cgroup_id, ret_counts) < 0 ? -errno : 0;
}

/* Makes room in map counts: cgroups that have long been quiet are mostly gone. Their share of the
 * per-boot totals has been told in events; the map is for what was not. */
static void prune_counts(struct kw_hooks *hooks)
{
	uint64_t now = kw_clock_boot_ns(hooks->clock), id = 0, next;
	struct kw_cgroup_counts entry = { 0 };
	const uint64_t *at = NULL;

	for (unsigned int i = 0; i < KW_CGROUP_COUNTS_MAX; i++) {
		if (bpf_map_get_next_key(hooks->maps.counts, at, &next) < 0)
			return;
		if (at && now - entry.last_boot_ns > COUNTS_IDLE_NS)
			(void)bpf_map_delete_elem(hooks->maps.counts, &id);
		id = next;
		at = &id;
		if (bpf_map_lookup_elem(hooks->maps.counts, &id, &entry) < 0)
			entry.last_boot_ns = now;
	}
}

/* Tells what one counter has moved since it was last told. */
static int tell_loss(struct kw_drain_turn *turn, uint32_t kind, uint32_t reason)
{
	static const enum kw_lost_reason reasons[KW_LOSS_REASON_COUNT_] = {
		[KW_LOSS_RING_FULL] = KW_LOST_RING_FULL,
		[KW_LOSS_MAP_FULL] = KW_LOST_MAP_FULL,
		[KW_LOSS_PATH_TRUNCATED] = KW_LOST_PATH_TRUNCATED,
		[KW_LOSS_BUDGET] = KW_LOST_BUDGET,
	};
	const struct kw_pins_maps *maps = &turn->hooks->maps;
	const struct kw_clock *clock = turn->hooks->clock;
	uint32_t index = kind * KW_LOSS_REASON_COUNT_ + reason;
	uint64_t lost, told;
	struct kw_lost news;
	struct kw_observation observation;
	int r;

	if (bpf_map_lookup_elem(maps->losses, &index, &lost) < 0 ||
	    bpf_map_lookup_elem(maps->losses_told, &index, &told) < 0)
		return -errno;
	if (lost == told)
		return 0;
	news = (struct kw_lost){ kind, reasons[reason], lost - told };
	observation = (struct kw_observation){
		.kind = KW_OBSERVATION_LOST,
		.boot_ns = kw_clock_boot_ns(clock),
		.received_real_ns = kw_clock_real_ns(clock),
		.lost = &news,
	};
	observation.received_boot_ns = observation.boot_ns;
	r = turn->callback(turn->context, &observation);
	if (r < 0)
		return r;
	if (reason == KW_LOSS_MAP_FULL)
		prune_counts(turn->hooks);
	return bpf_map_update_elem(maps->losses_told, &index, &lost, BPF_ANY) < 0 ? -errno : 0;
}

int kw_hooks_collect_losses(struct kw_hooks *hooks, kw_observation_fn callback, void *context)
{
	struct kw_drain_turn turn = { hooks, false, callback, context };

	if (hooks->maps.losses < 0)
		return 0;
	for (uint32_t kind = 0; kind < KW_RECORD_KIND_COUNT_; kind++) {
		for (uint32_t reason = 0; reason < KW_LOSS_REASON_COUNT_; reason++) {
			int r = tell_loss(&turn, kind, reason);

			if (r < 0)
				return r;
		}
	}
	return 0;
}
