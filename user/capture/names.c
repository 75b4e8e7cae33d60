/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names of tiers, hooks and losses as events and `kwitness doctor` show them. They are part of the
 * output format (docs/events.md): a name, once out, stays.
 */
#include "user/capture/capture.h"

static const char *const tier_names[KW_TIER_COUNT_] = {
	[KW_TIER_FENTRY] = "fentry",
	[KW_TIER_KPROBE] = "kprobe",
	[KW_TIER_TRACEPOINT] = "tracepoint",
	[KW_TIER_FILES] = "files",
};

static const char *const hook_names[KW_HOOK_COUNT_] = {
	[KW_HOOK_FENTRY_OOM_KILL_PROCESS] = "fentry/oom_kill_process",
	[KW_HOOK_KPROBE_OOM_KILL_PROCESS] = "kprobe/oom_kill_process",
	[KW_HOOK_RAW_TP_MARK_VICTIM] = "raw_tp/mark_victim",
	[KW_HOOK_FENTRY_OOM_KILL_ONE] = "fentry/__oom_kill_process",
	[KW_HOOK_KPROBE_OOM_KILL_ONE] = "kprobe/__oom_kill_process",
	[KW_HOOK_FENTRY_THROTTLE] = "fentry/throttle_cfs_rq",
	[KW_HOOK_KPROBE_THROTTLE] = "kprobe/throttle_cfs_rq",
	[KW_HOOK_FENTRY_PIDS] = "fexit/pids_can_fork",
	[KW_HOOK_KPROBE_PIDS] = "kretprobe/pids_can_fork",
	[KW_HOOK_FENTRY_HIGH] = "fentry/mem_cgroup_handle_over_high",
	[KW_HOOK_RAW_TP_CGROUP] = "raw_tp/cgroup_mkdir",
	[KW_HOOK_RAW_TP_SIGNAL] = "raw_tp/signal_generate",
	[KW_HOOK_KPROBE_HIGH] = "kprobe/mem_cgroup_handle_over_high",
};

static const char *const lost_reason_names[KW_LOST_REASON_COUNT_] = {
	[KW_LOST_RING_FULL] = "ring_full",
	[KW_LOST_MAP_FULL] = "map_full",
	[KW_LOST_PATH_TRUNCATED] = "path_truncated",
	[KW_LOST_MALFORMED] = "malformed",
	[KW_LOST_BUDGET] = "budget",
};

const char *kw_tier_name(enum kw_tier tier)
{
	return tier < KW_TIER_COUNT_ ? tier_names[tier] : NULL;
}

const char *kw_hook_name(uint32_t hook)
{
	return hook < KW_HOOK_COUNT_ ? hook_names[hook] : NULL;
}

const char *kw_lost_reason_name(enum kw_lost_reason reason)
{
	return reason < KW_LOST_REASON_COUNT_ ? lost_reason_names[reason] : NULL;
}
