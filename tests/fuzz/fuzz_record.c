/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bytes from a ring: refused, or an observation whose every path can be written out. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/capture/capture.h"

static void check_path(const struct kw_cgroup_ref *cgroup)
{
	char path[KW_PATH_MAX];

	if (kw_record_cgroup_path(cgroup, path, sizeof(path)) < 0)
		return;
	fuzz_assert(path[0] == '/' && strnlen(path, sizeof(path)) < sizeof(path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kw_observation observation = { 0 };

	if (kw_record_decode(data, size, &observation) < 0)
		return 0;
	if (observation.kind == KW_OBSERVATION_OOM_KILL) {
		fuzz_assert(size == sizeof(*observation.kill));
		check_path(&observation.kill->victim_cgroup);
		check_path(&observation.kill->oom.owner);
		check_path(&observation.kill->oom.trigger_cgroup);
		fuzz_assert(memchr(observation.kill->victim.task.comm, 0, KW_COMM_BYTES));
	} else if (observation.kind == KW_OBSERVATION_THROTTLE) {
		fuzz_assert(size == sizeof(*observation.throttle));
		check_path(&observation.throttle->throttle.cgroup);
		fuzz_assert(memchr(observation.throttle->throttle.comm, 0, KW_COMM_BYTES));
	} else if (observation.kind == KW_OBSERVATION_PIDS) {
		fuzz_assert(size == sizeof(*observation.pids));
		check_path(&observation.pids->refusals.cgroup);
		check_path(&observation.pids->refusals.owner);
	} else if (observation.kind == KW_OBSERVATION_HIGH) {
		fuzz_assert(size == sizeof(*observation.high));
		check_path(&observation.high->high.cgroup);
		check_path(&observation.high->high.owner);
	} else if (observation.kind == KW_OBSERVATION_USERSPACE_KILL) {
		fuzz_assert(size == sizeof(*observation.userspace_kill));
		check_path(&observation.userspace_kill->victim_cgroup);
		check_path(&observation.userspace_kill->killer_cgroup);
		fuzz_assert(memchr(observation.userspace_kill->killer.comm, 0, KW_COMM_BYTES));
	} else if (observation.kind == KW_OBSERVATION_LIFECYCLE) {
		fuzz_assert(size == sizeof(*observation.lifecycle));
		check_path(&observation.lifecycle->cgroup);
	} else {
		fuzz_assert(observation.kind == KW_OBSERVATION_OOM_END);
		fuzz_assert(size == sizeof(*observation.end));
		check_path(&observation.end->oom.owner);
		check_path(&observation.end->oom.trigger_cgroup);
	}
	return 0;
}
