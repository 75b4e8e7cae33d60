/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs see of cgroups that come and go, said to the poller: where inotify has no watch left
 * (fs.inotify.max_user_watches) a cgroup would else be read for the first time in the next walk, and one
 * that lives for less than that never. A name that is told here is only looked at: what is there decides.
 */
#include "user/capture/capture.h"

void kw_sweep_lifecycle(struct kw_sweep *sweep, const struct kw_record_lifecycle *record)
{
	const uint32_t no_use = KW_CGROUP_V1 | KW_CGROUP_TRUNCATED;
	char path[KW_PATH_MAX];

	if (record->cgroup.flags & no_use ||
	    kw_record_cgroup_path(&record->cgroup, path, sizeof(path)) < 0)
		return;
	if (record->what == KW_LIFECYCLE_MKDIR)
		kw_sweep_appeared(sweep, path);
	else if (record->what == KW_LIFECYCLE_RMDIR)
		kw_sweep_went(sweep, path);
}
