/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* One sound record of memory.high throttling, as the programs write it, for the tests of several rooms. */
#include "support.h"

#include <string.h>

#include <kwitness/record.h>

/* top/leaf by the limit of top: held up 3 times before this episode and 5 times in it, for 250 ms. */
static inline struct kw_record_high sample_high(enum kw_throttle_phase phase)
{
	struct kw_record_high record;
	struct kw_high *high = &record.high;

	memset(&record, 0, sizeof(record));
	record.header = (struct kw_record_header){
		.version = KW_RECORD_VERSION,
		.kind = KW_RECORD_HIGH,
		.size = sizeof(record),
		.number = 4000,
		.boot_ns = 900700000000,
		.hook = KW_HOOK_FENTRY_HIGH,
	};
	record.phase = phase;
	high->episode = 3999;
	high->begin_boot_ns = 900200000000;
	high->last_boot_ns = 900700000000;
	high->before = (struct kw_throttle_totals){
		.throttles = 3,
		.unthrottles = 3,
		.stalled_ns = 1000000,
		.histogram = { [17] = 3 },
	};
	high->totals = (struct kw_throttle_totals){
		.throttles = 8,
		.unthrottles = 7,
		.stalled_ns = 251000000,
		.histogram = { [16] = 2, [17] = 4, [KW_THROTTLE_BUCKETS - 1] = 1 },
	};
	high->high_before = 10;
	high->high_events = 19;
	high->owner_state = (struct kw_memcg_state){
		.flags = KW_MEMCG_KNOWN | KW_MEMCG_SWAP_KNOWN,
		.usage_bytes = 67112960,
		.max_bytes = KW_UNLIMITED,
		.high_bytes = 67108864,
		.swap_max_bytes = KW_UNLIMITED,
	};
	high->task = (struct kw_task_ref){ .tgid = 42, .tid = 43, .comm = "hog" };
	high->hook = KW_HOOK_FENTRY_HIGH;
	high->over = 1;
	high->cgroup = (struct kw_cgroup_ref){
		.id = 4711,
		.serial = 12,
		.flags = KW_CGROUP_KNOWN,
		.level = 2,
		.path_bytes = 9,
		.path = "leaf\0top",
	};
	high->owner = (struct kw_cgroup_ref){
		.id = 4710,
		.serial = 11,
		.flags = KW_CGROUP_KNOWN,
		.level = 1,
		.path_bytes = 4,
		.path = "top",
	};
	return record;
}
