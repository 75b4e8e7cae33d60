/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cgroups that come, go, and are called otherwise, so that an id keeps its path past rmdir. All five
 * tracepoints are called with the spinlock that guards the text of their path (trace_cgroup_path_lock,
 * interrupts off: TRACE_CGROUP_PATH(), kernel/cgroup/cgroup-internal.h, 6.1 to 6.18): so one at a time on
 * the whole host, and one scratch is enough; nobody is woken. Raw tracepoints give the same arguments as
 * tp_btf at the same place, and are to be had where no BTF program is: one program for each is enough.
 *
 * A ring of its own: a host that makes and removes a thousand cgroups a second must not push an OOM out of
 * the evidence ring, nor an episode out of the bulk ring. Losing one of these costs a path of a cgroup
 * whose own records lack it; it is counted all the same.
 */
#include "cgroup.bpf.h"
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} lifecycle_scratches SEC(".maps");

/* The unified hierarchy, and where memory is on a v1 hierarchy that one too. By the root's mask, because a
 * cgroup that is being released has lost its css's. */
static __always_inline bool is_followed(struct cgroup *cgroup)
{
	__u32 memory;

	if (is_default_hierarchy(cgroup))
		return true;
	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return false;
	memory = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	return BPF_CORE_READ(cgroup, root, subsys_mask) >> (memory & 31) & 1;
}

/* What may be missed most easily: a cgroup that is filled and emptied again and again moves nothing else. */
static __always_inline bool has_room_for_populated(void)
{
	return bpf_ringbuf_query(&lifecycle, BPF_RB_AVAIL_DATA) <=
	       bpf_ringbuf_query(&lifecycle, BPF_RB_RING_SIZE) / 2;
}

static __noinline int tell(struct cgroup *cgroup, enum kw_lifecycle what, __u32 populated)
{
	struct kw_record_lifecycle *record;

	if (!cgroup || !is_followed(cgroup))
		return 0;
	if (what == KW_LIFECYCLE_POPULATED && !has_room_for_populated()) {
		count_loss(KW_RECORD_LIFECYCLE, KW_LOSS_BUDGET);
		return 0;
	}
	record = bpf_ringbuf_reserve(&lifecycle, sizeof(*record), 0);
	if (!record) {
		/* not by cgroup: it would fill that map with cgroups that are gone */
		count_loss(KW_RECORD_LIFECYCLE, KW_LOSS_RING_FULL);
		return 0;
	}
	clear_memory(record, sizeof(*record));
	fill_header(&record->header, KW_RECORD_LIFECYCLE, sizeof(*record), KW_HOOK_RAW_TP_CGROUP);
	record->what = what;
	record->populated = populated;
	read_cgroup_with(cgroup, &record->cgroup, KW_RECORD_LIFECYCLE,
			 only_entry(&lifecycle_scratches));
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

/* ---- the programs; arguments: (struct cgroup *, const char *path[, int populated]), include/trace/events/cgroup.h ---- */

SEC("raw_tp/cgroup_mkdir")
int raw_tp_cgroup_mkdir(struct bpf_raw_tracepoint_args *context)
{
	return tell((void *)context->args[0], KW_LIFECYCLE_MKDIR, 0);
}

SEC("raw_tp/cgroup_rmdir")
int raw_tp_cgroup_rmdir(struct bpf_raw_tracepoint_args *context)
{
	return tell((void *)context->args[0], KW_LIFECYCLE_RMDIR, 0);
}

SEC("raw_tp/cgroup_release")
int raw_tp_cgroup_release(struct bpf_raw_tracepoint_args *context)
{
	return tell((void *)context->args[0], KW_LIFECYCLE_RELEASE, 0);
}

SEC("raw_tp/cgroup_rename")
int raw_tp_cgroup_rename(struct bpf_raw_tracepoint_args *context)
{
	return tell((void *)context->args[0], KW_LIFECYCLE_RENAME, 0);
}

SEC("raw_tp/cgroup_notify_populated")
int raw_tp_cgroup_populated(struct bpf_raw_tracepoint_args *context)
{
	return tell((void *)context->args[0], KW_LIFECYCLE_POPULATED, context->args[2] != 0);
}
