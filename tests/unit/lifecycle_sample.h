/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* One sound record of a cgroup that came or went, as the programs write it. */
#include "support.h"

#include <string.h>

#include <kwitness/record.h>

static inline struct kw_record_lifecycle sample_lifecycle(enum kw_lifecycle what)
{
	struct kw_record_lifecycle record;

	memset(&record, 0, sizeof(record));
	record.header = (struct kw_record_header){
		.version = KW_RECORD_VERSION,
		.kind = KW_RECORD_LIFECYCLE,
		.size = sizeof(record),
		.number = 5000,
		.boot_ns = 900700000000,
		.hook = KW_HOOK_RAW_TP_CGROUP,
	};
	record.what = what;
	record.populated = what == KW_LIFECYCLE_POPULATED;
	record.cgroup = (struct kw_cgroup_ref){
		.id = 4711,
		.serial = 12,
		.flags = KW_CGROUP_KNOWN,
		.level = 2,
		.path_bytes = 9,
		.path = "leaf\0top",
	};
	return record;
}
