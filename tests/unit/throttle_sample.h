/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* One sound record of CPU throttling, as the programs write it, for the tests of several rooms. */
#include "support.h"

#include <string.h>

#include <kwitness/record.h>

/* Two runqueues, throttled 3 times before this episode and 5 times in it, 250 ms in all. */
static inline struct kw_record_throttle sample_throttle(enum kw_throttle_phase phase)
{
	struct kw_record_throttle record;
	struct kw_throttle *throttle = &record.throttle;

	memset(&record, 0, sizeof(record));
	record.header = (struct kw_record_header){
		.version = KW_RECORD_VERSION,
		.kind = KW_RECORD_THROTTLE,
		.size = sizeof(record),
		.number = 2000,
		.boot_ns = 900700000000,
		.hook = KW_HOOK_FENTRY_THROTTLE,
	};
	record.phase = phase;
	throttle->episode = 1999;
	throttle->begin_boot_ns = 900200000000;
	throttle->last_boot_ns = 900700000000;
	throttle->before = (struct kw_throttle_totals){
		.throttles = 3,
		.unthrottles = 3,
		.stalled_ns = 1000000,
		.histogram = { [17] = 3 },
	};
	throttle->totals = (struct kw_throttle_totals){
		.throttles = 8,
		.unthrottles = 7,
		.stalled_ns = 251000000,
		.histogram = { [0] = 1, [16] = 2, [17] = 4, [KW_THROTTLE_BUCKETS - 1] = 1 },
	};
	throttle->bandwidth_before = (struct kw_bandwidth){
		.throttled_ns = 5000000,
		.quota_ns = 20000000,
		.period_ns = 100000000,
		.periods = 0xfffffffe, /* wraps within the episode */
		.throttled_periods = 1,
	};
	throttle->bandwidth = throttle->bandwidth_before;
	throttle->bandwidth.throttled_ns += 250000000;
	throttle->bandwidth.periods = 3;
	throttle->bandwidth.throttled_periods = 5;
	throttle->cpus[0] = 0xd; /* 0, 2 and 3 */
	throttle->cpus[1] = 1;
	memcpy(throttle->comm, "spin\0rest", 10); /* of a longer name that came before */
	throttle->hook = KW_HOOK_FENTRY_THROTTLE;
	throttle->cgroup = (struct kw_cgroup_ref){
		.id = 4711,
		.serial = 12,
		.flags = KW_CGROUP_KNOWN,
		.level = 2,
		.path_bytes = 9,
		.path = "leaf\0top",
	};
	return record;
}
