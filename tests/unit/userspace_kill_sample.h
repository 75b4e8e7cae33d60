/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* One sound record of a kill by user space, as the program writes it. */
#include "support.h"

#include <string.h>

#include <kwitness/record.h>

static inline struct kw_record_userspace_kill sample_userspace_kill(void)
{
	struct kw_record_userspace_kill record;

	memset(&record, 0, sizeof(record));
	record.header = (struct kw_record_header){
		.version = KW_RECORD_VERSION,
		.kind = KW_RECORD_USERSPACE_KILL,
		.size = sizeof(record),
		.number = 6000,
		.boot_ns = 900800000000,
		.hook = KW_HOOK_RAW_TP_SIGNAL,
	};
	record.killer =
		(struct kw_task_ref){ .tgid = 400, .tid = 400, .uid = 998, .comm = "systemd-oomd" };
	record.victim.task = (struct kw_task_ref){ .tgid = 77, .tid = 77, .comm = "hog" };
	record.victim.start_boot_ns = 12345;
	record.memory = (struct kw_memcg_state){ .flags = KW_MEMCG_KNOWN,
						 .usage_bytes = 4096,
						 .max_bytes = KW_UNLIMITED,
						 .high_bytes = 8192 };
	record.killer_cgroup = record.victim_cgroup = (struct kw_cgroup_ref){
		.id = 4711,
		.serial = 12,
		.flags = KW_CGROUP_KNOWN,
		.level = 2,
		.path_bytes = 9,
		.path = "leaf\0top",
	};
	return record;
}
