/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cpu_throttled: an episode of CPU bandwidth throttling starts, goes on, or is over. All sums are since the
 * episode began and over all runqueues of the cgroup, so they can exceed the time that went by. Fields:
 * docs/events.md.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/attest/event.h"

#define PROBE_SOURCE "host.cpu"

struct bar {
	char bound[24];
	uint64_t count;
};

static int by_bound(const void *left, const void *right)
{
	const struct bar *one = left, *other = right;

	return strcmp(one->bound,
		      other->bound); /* digits and letters: byte order is the canonical one */
}

void kw_event_member_histogram(struct kw_json *json, const struct kw_throttled *said)
{
	struct bar bars[KW_THROTTLE_BUCKETS];
	size_t count = 0;

	for (unsigned int i = 0; i < KW_THROTTLE_BUCKETS; i++) {
		if (!said->histogram[i])
			continue;
		bars[count].count = said->histogram[i];
		if (i + 1 < KW_THROTTLE_BUCKETS)
			(void)snprintf(bars[count].bound, sizeof(bars[count].bound), "%llu",
				       1ULL << i);
		else
			(void)snprintf(bars[count].bound, sizeof(bars[count].bound), "inf");
		count++;
	}
	qsort(bars, count, sizeof(bars[0]), by_bound);
	kw_json_key(json, "histogramUsec");
	kw_json_object(json);
	for (size_t i = 0; i < count; i++)
		kw_json_member_u64(json, bars[i].bound, bars[i].count);
	kw_json_end_object(json);
}

static bool has_cpu(const struct kw_throttle *seen, unsigned int cpu)
{
	return cpu / 64 < KW_THROTTLE_CPU_WORDS && seen->cpus[cpu / 64] >> (cpu % 64) & 1;
}

/* As the kernel writes lists of CPUs ("0-3,8"). Returns how many CPUs there are. */
static unsigned int member_cpus(struct kw_json *json, const struct kw_throttle *seen)
{
	cleanup_bytes struct kw_bytes text;
	unsigned int count = 0;

	kw_bytes_init(&text, 16 * 1024);
	for (unsigned int cpu = 0; cpu < 64 * KW_THROTTLE_CPU_WORDS; cpu++) {
		unsigned int first = cpu;
		char range[32];

		if (!has_cpu(seen, cpu))
			continue;
		while (has_cpu(seen, cpu + 1))
			cpu++;
		(void)snprintf(range, sizeof(range), cpu > first ? "%s%u-%u" : "%s%u",
			       count ? "," : "", first, cpu);
		kw_bytes_append_string(&text, range);
		count += cpu - first + 1;
	}
	if (count)
		kw_json_member_string(json, "cpus", text.data);
	return count;
}

/* Of the time that the runqueues could have run, how much they stood still. */
static void member_share(struct kw_json *json, const struct kw_throttled *said, unsigned int cpus)
{
	uint64_t wall_us = (said->last_boot_ns - said->begin_boot_ns) / 1000 * cpus;

	if (wall_us)
		kw_json_member_u64(json, "stalledPermille",
				   said->stalled_ns / wall_us +
					   (said->stalled_ns % wall_us > wall_us / 2));
}

static void throttle_members(struct kw_json *json, const struct kw_finding *finding,
			     const struct kw_clock *clock, const struct kw_cell *cell)
{
	const struct kw_record_throttle *record = finding->attributed->observation->throttle;
	const struct kw_throttle *seen = &record->throttle;
	const struct kw_throttled *said = finding->throttled;
	bool is_end = said->phase == KW_THROTTLE_END;
	unsigned int cpus;

	kw_json_member_u64(json, "bootNs", finding->boot_ns);
	kw_json_member_string(json, "cellId", cell ? cell->cell_id : NULL);
	kw_event_member_cgroup(json, "cgroup", &finding->attributed->victim);
	cpus = member_cpus(json, seen);
	if (seen->flags & KW_THROTTLE_MORE_CPUS)
		kw_json_member_bool(json, "cpusTruncated", true);
	kw_json_member_string(json, "episode", said->episode_id);
	kw_json_member_u64(json, "episodeUsec", (said->last_boot_ns - said->begin_boot_ns) / 1000);
	kw_event_member_histogram(json, said);
	kw_json_member_string(json, "hook", kw_hook_name(record->header.hook));
	kw_event_member_received(json, finding, clock);
	kw_json_member_u64(json, "kernelStalledUsec", said->kernel_ns / 1000);
	kw_json_member_foreign(json, "lastComm", seen->comm, sizeof(seen->comm));
	kw_json_member_u64(json, "periodUsec", seen->bandwidth.period_ns / 1000);
	kw_json_member_u64(json, "periods", said->periods);
	kw_json_member_string(json, "phase", kw_throttle_phase_name(said->phase));
	kw_json_member_string(json, "probeSource", PROBE_SOURCE);
	if (seen->bandwidth.quota_ns == KW_UNLIMITED)
		kw_json_member_string(json, "quotaUsec", "max");
	else
		kw_json_member_u64(json, "quotaUsec", seen->bandwidth.quota_ns / 1000);
	kw_json_member_string(json, "runId", cell ? cell->run_id : NULL);
	kw_json_member_string(json, "specSignatureHash", cell ? cell->spec_signature_hash : NULL);
	member_share(json, said, cpus);
	kw_json_member_u64(json, "stalledUsec", said->stalled_ns / 1000);
	kw_json_member_u64(json, "throttledPeriods", said->throttled_periods);
	kw_json_member_u64(json, "throttles", said->throttles);
	if (is_end)
		kw_json_member_i64(json, "unexplainedUsec",
				   (int64_t)(said->kernel_ns - said->stalled_ns) / 1000);
	kw_json_member_u64(json, "unthrottles", said->unthrottles);
}

int kw_event_throttle(const struct kw_finding *finding, const struct kw_clock *clock,
		      struct kw_event *event)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_cell *cell = kw_event_cell(finding);
	struct kw_json json;

	if (!whose || !whose->observation || !finding->throttled ||
	    whose->observation->kind != KW_OBSERVATION_THROTTLE)
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_CPU_THROTTLED);
	kw_event_subject(event, cell, &whose->victim);
	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	throttle_members(&json, finding, clock, cell);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
