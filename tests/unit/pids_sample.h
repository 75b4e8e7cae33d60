/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* One sound record of refused forks, as the programs write it and the reader completes it. */
#include "support.h"

#include <string.h>

#include <kwitness/record.h>

/* The 8th to the 12th refusal of top/leaf, by the limit of top. */
static inline struct kw_record_pids sample_pids(void)
{
	struct kw_record_pids record;

	memset(&record, 0, sizeof(record));
	record.header = (struct kw_record_header){
		.version = KW_RECORD_VERSION,
		.kind = KW_RECORD_PIDS,
		.size = sizeof(record),
		.number = 3000,
		.boot_ns = 900700000000,
		.hook = KW_HOOK_FENTRY_PIDS,
	};
	record.told = 7;
	record.refusals.total = 12;
	record.refusals.last_boot_ns = 900700000000;
	record.refusals.next_boot_ns = 901700000000;
	record.refusals.max_pids = 5;
	record.refusals.task = (struct kw_task_ref){ .tgid = 42, .tid = 43, .comm = "forks" };
	record.refusals.hook = KW_HOOK_FENTRY_PIDS;
	record.refusals.cgroup = (struct kw_cgroup_ref){
		.id = 4711,
		.serial = 12,
		.flags = KW_CGROUP_KNOWN,
		.level = 2,
		.path_bytes = 9,
		.path = "leaf\0top",
	};
	record.refusals.owner = (struct kw_cgroup_ref){
		.id = 4710,
		.serial = 11,
		.flags = KW_CGROUP_KNOWN,
		.level = 1,
		.path_bytes = 4,
		.path = "top",
	};
	return record;
}
