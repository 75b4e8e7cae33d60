/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs have to tell: records from the evidence ring, those of programs that are being
 * replaced first.
 */
#include "user/capture/hooks.h"

#include <endian.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

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
	struct kw_handover *handover = turn->hooks->handover;
	struct kw_observation observation = {};
	struct kw_record_pids pids;
	struct kw_lost lost;
	int r;

	r = kw_record_decode(record, length, &observation);
	if (turn->is_previous && turn->hooks->is_previous_foreign) {
		turn->hooks->previous_foreign++;
		return 0;
	}
	if (r == 0 && handover && !turn->is_previous &&
	    !kw_handover_is_news(handover, &observation))
		return 0;
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
	if (r >= 0 && handover && turn->is_previous)
		kw_handover_told(handover, &observation);
	if (r >= 0 && turn->hooks->recording_fd >= 0)
		write_recording(turn->hooks, &observation, record, length);
	return r;
}

/* Records whose layout this build does not know: how many, once. */
static int tell_foreign(struct kw_drain_turn *turn)
{
	struct kw_hooks *hooks = turn->hooks;
	struct kw_lost lost = { .reason = KW_LOST_MALFORMED, .count = hooks->previous_foreign };
	struct kw_observation observation = {
		.kind = KW_OBSERVATION_LOST,
		.boot_ns = kw_clock_boot_ns(hooks->clock),
		.received_real_ns = kw_clock_real_ns(hooks->clock),
		.lost = &lost,
	};
	int r;

	if (lost.count == 0)
		return 0;
	observation.received_boot_ns = observation.boot_ns;
	r = turn->callback(turn->context, &observation);
	if (r >= 0)
		hooks->previous_foreign = 0;
	return r;
}

/*
 * What programs of another build left, first. When their ring is empty, what they have counted is told,
 * and only then do our own take over their pins: whoever dies before that leaves the old ones as they
 * were, and nothing is lost. Returns the number consumed; 0: there is no more.
 */
static int consume_previous(struct kw_hooks *hooks, unsigned int limit, kw_observation_fn callback,
			    void *context)
{
	struct kw_drain_turn turn = { hooks, true, callback, context };
	int r = kw_ring_consume(&hooks->previous, limit, kw_drain_take, &turn);

	if (r != 0)
		return r;
	if (hooks->is_previous_foreign)
		r = tell_foreign(&turn);
	else
		r = kw_bulk_finish_previous(&turn);
	if (r >= 0 && !hooks->is_previous_foreign)
		r = kw_losses_tell(&turn);
	if (r < 0)
		return r;
	kw_ring_close(&hooks->previous);
	kw_hooks_pin(hooks);
	kw_pins_close_maps(&hooks->previous_maps);
	if (hooks->handover)
		kw_handover_close(hooks->handover, kw_clock_boot_ns(hooks->clock));
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
	if (hooks->handover && kw_handover_is_over(hooks->handover, kw_clock_boot_ns(hooks->clock)))
		kw_handover_free(hooks);
	if (!hooks->ring.consumer)
		return 0;
	r = kw_ring_consume(&hooks->ring, limit, kw_drain_take, &turn);
	if (r >= 0)
		kw_reader_mark(hooks);
	return r;
}

uint64_t kw_hooks_backlog(const struct kw_hooks *hooks)
{
	/* a ring that was read to its end but is not closed yet is work still: pins change hands then */
	return kw_ring_backlog(&hooks->previous) + (hooks->previous.consumer != NULL) +
	       kw_ring_backlog(&hooks->ring);
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
