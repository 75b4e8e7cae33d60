/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose SIGKILLs the programs tell of: map "killers", which outlives the daemon as the programs do. */
#include "user/capture/hooks.h"

#include <errno.h>

#include <bpf/bpf.h>

static bool has(const uint64_t *ids, size_t count, uint64_t id)
{
	for (size_t i = 0; i < count; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* Entries that are not wanted, from a former daemon or of a unit that was restarted. */
static void drop_others(int map, const uint64_t *ids, size_t count)
{
	uint64_t stale[KW_KILLERS_MAX], key, *before = NULL;
	size_t stale_count = 0;

	for (size_t i = 0; i < KW_KILLERS_MAX; i++) {
		if (bpf_map_get_next_key(map, before, &key) < 0)
			break;
		if (!has(ids, count, key))
			stale[stale_count++] = key;
		before = &key;
	}
	for (size_t i = 0; i < stale_count; i++)
		(void)bpf_map_delete_elem(map, &stale[i]);
}

int kw_hooks_set_killers(struct kw_hooks *hooks, const uint64_t *ids, size_t count)
{
	int map = hooks->maps.killers;
	uint64_t one = 1;

	if (map < 0 || !kw_hooks_see(hooks, KW_RECORD_USERSPACE_KILL))
		return -EOPNOTSUPP;
	if (count > KW_KILLERS_MAX)
		return -E2BIG;
	drop_others(map, ids, count);
	for (size_t i = 0; i < count; i++) {
		if (bpf_map_update_elem(map, &ids[i], &one, BPF_ANY) < 0)
			return -errno;
	}
	return 0;
}
