/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ring records to observations. Pure: bytes in, a borrowed view out. A record is evidence, so it is
 * taken only when every field is one that the programs in bpf/ can have written: exact size, known
 * flags, terminated and cleared strings, nothing said that its flag does not vouch for. Facts on the
 * values: <kwitness/record.h> and bpf/oom.bpf.c.
 */
#include "user/capture/capture.h"

#include <errno.h>
#include <string.h>

/* Numbers start at the boot time in us and count up: a JSON reader may take them as doubles. */
#define NUMBER_MAX ((1ULL << 53) - 1)

/* enum oom_constraint, include/linux/oom.h */
#define CONSTRAINT_LAST 3

/* MAX_ORDER has never been above 64; -1 is what sysrq-f asks with (drivers/tty/sysrq.c). */
#define ORDER_MIN (-1)
#define ORDER_MAX 64

#define CGROUP_FLAGS (KW_CGROUP_KNOWN | KW_CGROUP_TRUNCATED | KW_CGROUP_V1)
#define MEMCG_FLAGS                                                                                \
	(KW_MEMCG_KNOWN | KW_MEMCG_OOM_GROUP | KW_MEMCG_SWAP_KNOWN | KW_MEMCG_GROUP_KILL_KNOWN)
#define OOM_FLAGS (KW_OOM_OWNER_KNOWN | KW_OOM_GLOBAL | KW_OOM_GROUP_KILL | KW_OOM_COUNTED_KNOWN)
#define VICTIM_FLAGS (KW_VICTIM_MM_KNOWN | KW_VICTIM_EVENTS_KNOWN)

static bool is_zero(const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

/* A string, its NUL, and nothing but NULs behind it. */
static bool is_comm(const char comm[static KW_COMM_BYTES])
{
	size_t length = strnlen(comm, KW_COMM_BYTES);

	return length < KW_COMM_BYTES && is_zero(comm + length, KW_COMM_BYTES - length);
}

/* Names of 1 or more bytes without '/', each with its NUL. Returns how many, or -EBADMSG. */
static int count_components(const char *path, size_t length)
{
	int count = 0;

	while (length) {
		const char *end = memchr(path, '\0', length);

		if (!end || end == path || memchr(path, '/', (size_t)(end - path)))
			return -EBADMSG;
		length -= (size_t)(end - path) + 1;
		path = end + 1;
		count++;
	}
	return count;
}

static bool is_cgroup(const struct kw_cgroup_ref *cgroup)
{
	int count;

	if (!(cgroup->flags & KW_CGROUP_KNOWN))
		return is_zero(cgroup, sizeof(*cgroup));
	if (cgroup->flags & ~(__u32)CGROUP_FLAGS || cgroup->path_bytes > sizeof(cgroup->path))
		return false;
	count = count_components(cgroup->path, cgroup->path_bytes);
	if (count < 0 || count > KW_CGROUP_DEPTH_MAX)
		return false;
	if (!is_zero(cgroup->path + cgroup->path_bytes, sizeof(cgroup->path) - cgroup->path_bytes))
		return false;
	return cgroup->flags & KW_CGROUP_TRUNCATED ? count < cgroup->level : count == cgroup->level;
}

static bool is_memcg(const struct kw_memcg_state *memcg)
{
	if (!(memcg->flags & KW_MEMCG_KNOWN))
		return is_zero(memcg, sizeof(*memcg));
	if (memcg->flags & ~(__u32)MEMCG_FLAGS || memcg->pad)
		return false;
	return memcg->flags & KW_MEMCG_SWAP_KNOWN ||
	       (!memcg->swap_usage_bytes && !memcg->swap_max_bytes);
}

static bool is_victim(const struct kw_victim *victim)
{
	if (victim->flags & ~(__u32)VICTIM_FLAGS || victim->pad)
		return false;
	if (!is_comm(victim->task.comm) || !is_comm(victim->parent_comm))
		return false;
	if (victim->flags & KW_VICTIM_MM_KNOWN)
		return true;
	return !victim->total_vm_kb && !victim->anon_rss_kb && !victim->file_rss_kb &&
	       !victim->shmem_rss_kb && !victim->swap_kb && !victim->pgtables_kb;
}

/* What the flags vouch for; without KW_OOM_OWNER_KNOWN only the trigger is. */
static bool is_oom_context(const struct kw_oom_context *oom)
{
	bool is_global = oom->flags & KW_OOM_GLOBAL;

	if (oom->flags & ~(__u32)OOM_FLAGS || oom->incident > NUMBER_MAX)
		return false;
	if (!is_comm(oom->trigger.comm) || !is_cgroup(&oom->trigger_cgroup))
		return false;
	if (!is_cgroup(&oom->owner) || !is_memcg(&oom->owner_state))
		return false;
	if (!(oom->flags & KW_OOM_OWNER_KNOWN))
		return !(oom->flags & (KW_OOM_GLOBAL | KW_OOM_COUNTED_KNOWN)) && !oom->incident &&
		       !oom->constraint && !oom->points && !oom->limit_pages && !oom->gfp_flags &&
		       !oom->order && !oom->owner.flags && !oom->owner_state.flags;
	if (!oom->incident || oom->constraint > CONSTRAINT_LAST || oom->order < ORDER_MIN ||
	    oom->order > ORDER_MAX)
		return false;
	return !is_global || (!oom->owner.flags && !oom->owner_state.flags);
}

static bool is_oom_kill(const void *data)
{
	const struct kw_record_oom_kill *kill = data;

	if (!is_oom_context(&kill->oom) || !is_victim(&kill->victim) ||
	    !is_cgroup(&kill->victim_cgroup) || kill->pad)
		return false;
	if (!(kill->victim.flags & KW_VICTIM_EVENTS_KNOWN) &&
	    !is_zero(&kill->victim_events_local, sizeof(kill->victim_events_local)))
		return false;
	/* a thread id is always known: it is what mark_victim has said since it exists */
	return kill->victim.task.tid && !kill->member == !kill->oom.incident;
}

static bool is_oom_end(const void *data)
{
	const struct kw_record_oom_end *end = data;
	bool is_counted = end->oom.flags & KW_OOM_COUNTED_KNOWN;

	if (!is_oom_context(&end->oom) || !(end->oom.flags & KW_OOM_OWNER_KNOWN) || end->pad)
		return false;
	if (end->oom.flags & KW_OOM_GROUP_KILL) /* said of a victim, not of an OOM */
		return false;
	if (end->lost > end->marked || end->counted > end->entered)
		return false;
	if (!is_counted && end->entered)
		return false;
	if (end->counters_known > 1)
		return false;
	return end->counters_known || (is_zero(&end->owner_before, sizeof(end->owner_before)) &&
				       is_zero(&end->owner_after, sizeof(end->owner_after)));
}

static bool has_grown(const struct kw_throttle_totals *before, const struct kw_throttle_totals *now)
{
	for (unsigned int i = 0; i < KW_THROTTLE_BUCKETS; i++)
		if (before->histogram[i] > now->histogram[i])
			return false;
	return before->throttles <= now->throttles && before->unthrottles <= now->unthrottles &&
	       before->stalled_ns <= now->stalled_ns;
}

/* Several CPUs write the name at once, so that behind its NUL there may be the rest of a longer one. */
static bool is_throttle(const void *data)
{
	const struct kw_record_throttle *record = data;
	const struct kw_throttle *throttle = &record->throttle;

	if (record->phase < KW_THROTTLE_START || record->phase > KW_THROTTLE_END || record->pad ||
	    throttle->pad)
		return false;
	if (throttle->flags & ~(__u32)KW_THROTTLE_MORE_CPUS ||
	    throttle->hook != record->header.hook)
		return false;
	if (!throttle->episode || throttle->episode > NUMBER_MAX ||
	    throttle->begin_boot_ns > throttle->last_boot_ns)
		return false;
	if (!memchr(throttle->comm, '\0', sizeof(throttle->comm)))
		return false;
	return throttle->cgroup.flags & KW_CGROUP_KNOWN && is_cgroup(&throttle->cgroup) &&
	       has_grown(&throttle->before, &throttle->totals);
}

/* told: the reader's, who has it from the same counter at an earlier time. */
static bool is_pids(const void *data)
{
	const struct kw_record_pids *record = data;
	const struct kw_refusals *refusals = &record->refusals;

	if (refusals->pad || refusals->hook != record->header.hook || !refusals->total)
		return false;
	return refusals->cgroup.flags & KW_CGROUP_KNOWN && is_cgroup(&refusals->cgroup) &&
	       is_cgroup(&refusals->owner) &&
	       memchr(refusals->task.comm, '\0', sizeof(refusals->task.comm));
}

/* As of throttling; read while others write it, so that only what the programs keep in order is held to it. */
static bool is_high(const void *data)
{
	const struct kw_record_high *record = data;
	const struct kw_high *high = &record->high;

	if (record->phase < KW_THROTTLE_START || record->phase > KW_THROTTLE_END || record->pad)
		return false;
	if (high->flags & ~(__u32)KW_HIGH_OWNER_CHANGED || high->hook != record->header.hook)
		return false;
	if (!high->episode || high->episode > NUMBER_MAX ||
	    high->begin_boot_ns > high->last_boot_ns)
		return false;
	if (!memchr(high->task.comm, '\0', sizeof(high->task.comm)))
		return false;
	return high->cgroup.flags & KW_CGROUP_KNOWN && is_cgroup(&high->cgroup) &&
	       is_cgroup(&high->owner) && is_memcg(&high->owner_state) &&
	       has_grown(&high->before, &high->totals);
}

static bool is_lifecycle(const void *data)
{
	const struct kw_record_lifecycle *record = data;

	if (record->what < KW_LIFECYCLE_MKDIR || record->what >= KW_LIFECYCLE_COUNT_)
		return false;
	if (record->populated > (record->what == KW_LIFECYCLE_POPULATED))
		return false;
	return record->cgroup.flags & KW_CGROUP_KNOWN && is_cgroup(&record->cgroup);
}

static bool is_userspace_kill(const void *data)
{
	const struct kw_record_userspace_kill *record = data;

	return is_comm(record->killer.comm) && is_victim(&record->victim) &&
	       is_memcg(&record->memory) && is_cgroup(&record->killer_cgroup) &&
	       is_cgroup(&record->victim_cgroup);
}

static const struct {
	enum kw_observation_kind observation;
	uint32_t size;
	uint32_t hooks; /* bit n: enum kw_hook n may emit it */
	bool (*is_sound)(const void *data);
} kinds[KW_RECORD_KIND_COUNT_] = {
	[KW_RECORD_OOM_KILL] =
		{
			.observation = KW_OBSERVATION_OOM_KILL,
			.size = sizeof(struct kw_record_oom_kill),
			.hooks = 1U << KW_HOOK_RAW_TP_MARK_VICTIM,
			.is_sound = is_oom_kill,
		},
	[KW_RECORD_OOM_END] =
		{
			.observation = KW_OBSERVATION_OOM_END,
			.size = sizeof(struct kw_record_oom_end),
			.hooks = 1U << KW_HOOK_FENTRY_OOM_KILL_PROCESS |
				 1U << KW_HOOK_KPROBE_OOM_KILL_PROCESS,
			.is_sound = is_oom_end,
		},
	[KW_RECORD_THROTTLE] =
		{
			.observation = KW_OBSERVATION_THROTTLE,
			.size = sizeof(struct kw_record_throttle),
			.hooks = 1U << KW_HOOK_FENTRY_THROTTLE | 1U << KW_HOOK_KPROBE_THROTTLE,
			.is_sound = is_throttle,
		},
	[KW_RECORD_PIDS] =
		{
			.observation = KW_OBSERVATION_PIDS,
			.size = sizeof(struct kw_record_pids),
			.hooks = 1U << KW_HOOK_FENTRY_PIDS | 1U << KW_HOOK_KPROBE_PIDS,
			.is_sound = is_pids,
		},
	[KW_RECORD_HIGH] =
		{
			.observation = KW_OBSERVATION_HIGH,
			.size = sizeof(struct kw_record_high),
			.hooks = 1U << KW_HOOK_FENTRY_HIGH | 1U << KW_HOOK_KPROBE_HIGH,
			.is_sound = is_high,
		},
	[KW_RECORD_LIFECYCLE] =
		{
			.observation = KW_OBSERVATION_LIFECYCLE,
			.size = sizeof(struct kw_record_lifecycle),
			.hooks = 1U << KW_HOOK_RAW_TP_CGROUP,
			.is_sound = is_lifecycle,
		},
	[KW_RECORD_USERSPACE_KILL] =
		{
			.observation = KW_OBSERVATION_USERSPACE_KILL,
			.size = sizeof(struct kw_record_userspace_kill),
			.hooks = 1U << KW_HOOK_RAW_TP_SIGNAL,
			.is_sound = is_userspace_kill,
		},
};

/* data need not be aligned for the header; a ring record always is (8 bytes). */
static bool is_header(const struct kw_record_header *header, size_t length)
{
	if (header->version != KW_RECORD_VERSION)
		return false;
	if (header->kind >= KW_RECORD_KIND_COUNT_)
		return false;
	/* the kind that does not exist, 0, has size 0, and length is at least a header's */
	if (header->size != kinds[header->kind].size || header->size != length)
		return false;
	if (header->hook >= KW_HOOK_COUNT_ || !(kinds[header->kind].hooks & 1U << header->hook))
		return false;
	return header->number && header->number <= NUMBER_MAX;
}

int kw_record_decode(const void *data, size_t length, struct kw_observation *ret_observation)
{
	const struct kw_record_header *header = data;
	struct kw_observation observation = {};

	if ((uintptr_t)data % _Alignof(struct kw_record_oom_kill) || length < sizeof(*header))
		return -EBADMSG;
	if (!is_header(header, length) || !kinds[header->kind].is_sound(data))
		return -EBADMSG;
	observation.kind = kinds[header->kind].observation;
	observation.number = header->number;
	observation.boot_ns = header->boot_ns;
	observation.hook = header->hook;
	if (observation.kind == KW_OBSERVATION_OOM_KILL)
		observation.kill = data;
	else if (observation.kind == KW_OBSERVATION_OOM_END)
		observation.end = data;
	else if (observation.kind == KW_OBSERVATION_THROTTLE)
		observation.throttle = data;
	else if (observation.kind == KW_OBSERVATION_PIDS)
		observation.pids = data;
	else if (observation.kind == KW_OBSERVATION_HIGH)
		observation.high = data;
	else if (observation.kind == KW_OBSERVATION_USERSPACE_KILL)
		observation.userspace_kill = data;
	else
		observation.lifecycle = data;
	*ret_observation = observation;
	return 0;
}

int kw_record_cgroup_path(const struct kw_cgroup_ref *cgroup, char *ret_path, size_t size)
{
	bool is_truncated = cgroup->flags & KW_CGROUP_TRUNCATED;
	size_t used = cgroup->path_bytes;
	size_t total, at;
	char *to = ret_path;

	if (!(cgroup->flags & KW_CGROUP_KNOWN))
		return -ENODATA;
	if (used > sizeof(cgroup->path) || count_components(cgroup->path, used) < 0)
		return -EBADMSG;
	/* each component swaps its NUL for a '/' before it; "/" alone for the root, "//" truncated */
	total = used + is_truncated + !used + 1;
	if (total > size)
		return -ENAMETOOLONG;
	if (is_truncated)
		*to++ = '/';
	if (!used)
		*to++ = '/';
	for (at = used; at;) {
		size_t begin = at - 1;

		while (begin && cgroup->path[begin - 1])
			begin--;
		*to++ = '/';
		memcpy(to, cgroup->path + begin, at - 1 - begin);
		to += at - 1 - begin;
		at = begin;
	}
	*to = '\0';
	return 0;
}
