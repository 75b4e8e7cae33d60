/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many records the programs could not send, by kind, reason and, where there was room to count so,
 * cgroup. Each loss is counted in one place: in the entry of its cgroup or among the rest. Counters only
 * ever grow, and what has been told of them is kept beside them in a map, so that a daemon that comes
 * after this one neither repeats nor forgets. Entries of cgroups stay for the boot: one that a program is
 * just counting into cannot be deleted without losing the count.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

/* Entries read by one system call. */
#define BATCH 32U

/* Entries of map counts that have not moved for so long may go when it is full. */
#define COUNTS_IDLE_NS (3600 * KW_NSEC_PER_SEC)

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

static int tell(struct kw_drain_turn *turn, const struct kw_lost *lost)
{
	const struct kw_clock *clock = turn->hooks->clock;
	struct kw_observation observation = {
		.kind = KW_OBSERVATION_LOST,
		.boot_ns = kw_clock_boot_ns(clock),
		.received_real_ns = kw_clock_real_ns(clock),
		.lost = lost,
	};

	observation.received_boot_ns = observation.boot_ns;
	return turn->callback(turn->context, &observation);
}

/* -1: not a reason of this build's. */
static int reason_of(uint32_t reason)
{
	static const enum kw_lost_reason reasons[KW_LOSS_REASON_COUNT_] = {
		[KW_LOSS_RING_FULL] = KW_LOST_RING_FULL,
		[KW_LOSS_MAP_FULL] = KW_LOST_MAP_FULL,
		[KW_LOSS_PATH_TRUNCATED] = KW_LOST_PATH_TRUNCATED,
		[KW_LOSS_BUDGET] = KW_LOST_BUDGET,
	};

	return reason < KW_LOSS_REASON_COUNT_ ? (int)reasons[reason] : -1;
}

/* Tells what one counter has moved since it was last told. */
static int tell_rest(struct kw_drain_turn *turn, uint32_t kind, uint32_t reason)
{
	const struct kw_pins_maps *maps = kw_drain_maps(turn);
	uint32_t index = kind * KW_LOSS_REASON_COUNT_ + reason;
	struct kw_lost news = { .record_kind = kind,
				.reason = (enum kw_lost_reason)reason_of(reason) };
	uint64_t lost, told;
	int r;

	if (bpf_map_lookup_elem(maps->losses, &index, &lost) < 0 ||
	    bpf_map_lookup_elem(maps->losses_told, &index, &told) < 0)
		return -errno;
	if (lost == told)
		return 0;
	news.count = lost - told;
	r = tell(turn, &news);
	if (r < 0)
		return r;
	if (reason == KW_LOSS_MAP_FULL && !turn->is_previous)
		prune_counts(turn->hooks);
	return bpf_map_update_elem(maps->losses_told, &index, &lost, BPF_ANY) < 0 ? -errno : 0;
}

/* The cgroup with its path, where a map of the programs has that; else by its number alone. */
static void find_cgroup(const struct kw_pins_maps *maps, const struct kw_cgroup_loss_key *key,
			struct kw_cgroup_ref *ret_cgroup)
{
	union {
		struct kw_throttle throttle;
		struct kw_refusals refusals;
		struct kw_high high;
	} entry;

	*ret_cgroup = (struct kw_cgroup_ref){
		.id = key->cgroup,
		.serial = key->serial,
		.flags = KW_CGROUP_KNOWN | KW_CGROUP_TRUNCATED,
	};
	if (key->kind == KW_RECORD_THROTTLE &&
	    bpf_map_lookup_elem(maps->throttles, &key->cgroup, &entry.throttle) == 0 &&
	    entry.throttle.cgroup.serial == key->serial)
		*ret_cgroup = entry.throttle.cgroup;
	else if (key->kind == KW_RECORD_PIDS &&
		 bpf_map_lookup_elem(maps->refusals, &key->cgroup, &entry.refusals) == 0 &&
		 entry.refusals.cgroup.serial == key->serial)
		*ret_cgroup = entry.refusals.cgroup;
	else if (key->kind == KW_RECORD_HIGH && maps->highs >= 0 &&
		 bpf_map_lookup_elem(maps->highs, &key->cgroup, &entry.high) == 0 &&
		 entry.high.cgroup.serial == key->serial)
		*ret_cgroup = entry.high.cgroup;
}

static int tell_cgroup(struct kw_drain_turn *turn, const struct kw_cgroup_loss_key *key,
		       uint64_t lost)
{
	const struct kw_pins_maps *maps = kw_drain_maps(turn);
	struct kw_lost news = { .record_kind = key->kind };
	int r, reason = reason_of(key->reason);
	uint64_t told = 0;

	if (bpf_map_lookup_elem(maps->cgroup_losses_told, key, &told) < 0)
		told = 0; /* the first of this cgroup */
	if (lost == told || reason < 0)
		return 0;
	news.reason = (enum kw_lost_reason)reason;
	news.count = lost - told;
	find_cgroup(maps, key, &news.cgroup);
	r = tell(turn, &news);
	if (r < 0)
		return r;
	return bpf_map_update_elem(maps->cgroup_losses_told, key, &lost, BPF_ANY) < 0 ? -errno : 0;
}

static int tell_cgroups(struct kw_drain_turn *turn)
{
	struct kw_cgroup_loss_key keys[BATCH];
	uint32_t position, count;
	uint64_t lost[BATCH];
	void *from = NULL;
	int failed = 0, r;

	/* the bound: entries that come while we read may make the kernel go round */
	for (unsigned int i = 0; i < 2 * KW_CGROUP_LOSSES_MAX / BATCH && !failed; i++) {
		count = BATCH;
		r = bpf_map_lookup_batch(kw_drain_maps(turn)->cgroup_losses, from, &position, keys,
					 lost, &count, NULL);
		if (r < 0 && errno != ENOENT) /* ENOENT: these were the last */
			return -errno;
		for (uint32_t at = 0; at < count && !failed; at++)
			failed = tell_cgroup(turn, &keys[at], lost[at]);
		if (r < 0)
			break;
		from = &position;
	}
	return failed;
}

/* Whether a map is what this build takes it for. Other builds' may not be. */
static bool has_shape(int fd, uint32_t key_bytes, uint32_t value_bytes, uint32_t entries)
{
	struct bpf_map_info info = {};
	uint32_t info_bytes = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &info_bytes) == 0 &&
	       info.key_size == key_bytes && info.value_size == value_bytes &&
	       (!entries || info.max_entries == entries);
}

int kw_losses_tell(struct kw_drain_turn *turn)
{
	const uint32_t entries = KW_RECORD_KIND_COUNT_ * KW_LOSS_REASON_COUNT_;
	const struct kw_pins_maps *maps = kw_drain_maps(turn);
	int r = 0;

	if (has_shape(maps->cgroup_losses, sizeof(struct kw_cgroup_loss_key), sizeof(uint64_t),
		      0) &&
	    maps->cgroup_losses_told >= 0)
		r = tell_cgroups(turn);
	if (!has_shape(maps->losses, sizeof(uint32_t), sizeof(uint64_t), entries))
		return r;
	for (uint32_t kind = 0; kind < KW_RECORD_KIND_COUNT_ && r >= 0; kind++) {
		for (uint32_t reason = 0; reason < KW_LOSS_REASON_COUNT_ && r >= 0; reason++)
			r = tell_rest(turn, kind, reason);
	}
	return r < 0 ? r : 0;
}

int kw_hooks_collect_losses(struct kw_hooks *hooks, kw_observation_fn callback, void *context)
{
	struct kw_drain_turn turn = { hooks, false, callback, context };

	kw_reader_mark(hooks);
	return hooks->maps.losses < 0 ? 0 : kw_losses_tell(&turn);
}

static uint64_t less(uint64_t lost, uint64_t told)
{
	return lost > told ? lost - told : 0;
}

static int sum_cgroups(const struct kw_pins_maps *maps, uint64_t *sum)
{
	struct kw_cgroup_loss_key keys[BATCH];
	uint32_t position, count;
	uint64_t lost[BATCH];
	void *from = NULL;

	for (unsigned int i = 0; i < 2 * KW_CGROUP_LOSSES_MAX / BATCH; i++, from = &position) {
		int r;

		count = BATCH;
		r = bpf_map_lookup_batch(maps->cgroup_losses, from, &position, keys, lost, &count,
					 NULL);
		if (r < 0 && errno != ENOENT) /* ENOENT: these were the last */
			return -errno;
		for (uint32_t at = 0; at < count; at++) {
			uint64_t told = 0;

			if (keys[at].reason == KW_LOSS_PATH_TRUNCATED)
				continue;
			if (bpf_map_lookup_elem(maps->cgroup_losses_told, &keys[at], &told) < 0)
				told = 0; /* the first of this cgroup */
			*sum += less(lost[at], told);
		}
		if (r < 0)
			break;
	}
	return 0;
}

int kw_hooks_open_losses(const struct kw_hooks *hooks, uint64_t *ret_losses)
{
	const struct kw_pins_maps *maps = &hooks->maps;
	uint64_t sum = 0;
	int r = 0;

	if (maps->losses < 0) { /* no program that could lose anything */
		*ret_losses = 0;
		return 0;
	}
	if (has_shape(maps->cgroup_losses, sizeof(struct kw_cgroup_loss_key), sizeof(uint64_t),
		      0) &&
	    maps->cgroup_losses_told >= 0)
		r = sum_cgroups(maps, &sum);
	for (uint32_t index = 0; index < KW_RECORD_KIND_COUNT_ * KW_LOSS_REASON_COUNT_ && r == 0;
	     index++) {
		uint64_t lost, told;

		if (index % KW_LOSS_REASON_COUNT_ == KW_LOSS_PATH_TRUNCATED)
			continue; /* nothing is missing but the path's end */
		if (bpf_map_lookup_elem(maps->losses, &index, &lost) < 0 ||
		    bpf_map_lookup_elem(maps->losses_told, &index, &told) < 0)
			r = -errno;
		else
			sum += less(lost, told);
	}
	if (r == 0)
		*ret_losses = sum;
	return r;
}
