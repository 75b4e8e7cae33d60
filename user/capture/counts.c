/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The same files as counters.c, straight to numbered counters: for readings of thousands of cgroups, of
 * which nobody will see the text. Lines are taken by the same rules, so both say the same of the same
 * bytes; keys that nobody asked for are checked and left out. Pure.
 */
#include "user/capture/counters.h"

#include <errno.h>
#include <string.h>

#define KEYS_MAX 5

struct key {
	const char *name;
	size_t length;
	enum kw_counter counter;
};

#define KEY(text, which)                                                                           \
	{                                                                                          \
		(text), sizeof(text) - 1, (which)                                                  \
	}

/* mm/memcontrol.c __memory_events_show(), kernel/sched/core.c cpu_extra_stat_show(),
 * kernel/cgroup/rstat.c cgroup_base_stat_cputime_show(), kernel/cgroup/pids.c; 6.12. */
static const struct {
	const char *name;
	size_t count;
	struct key keys[KEYS_MAX];
} files[KW_COUNTS_FILE_COUNT_] = {
	[KW_COUNTS_MEMORY_EVENTS] = { "memory.events",
				      5,
				      { KEY("high", KW_COUNTER_MEMORY_HIGH),
					KEY("max", KW_COUNTER_MEMORY_MAX),
					KEY("oom", KW_COUNTER_OOM),
					KEY("oom_kill", KW_COUNTER_OOM_KILL),
					KEY("oom_group_kill", KW_COUNTER_OOM_GROUP_KILL) } },
	[KW_COUNTS_MEMORY_EVENTS_LOCAL] = { "memory.events.local",
					    5,
					    { KEY("high", KW_COUNTER_MEMORY_HIGH_LOCAL),
					      KEY("max", KW_COUNTER_MEMORY_MAX_LOCAL),
					      KEY("oom", KW_COUNTER_OOM_LOCAL),
					      KEY("oom_kill", KW_COUNTER_OOM_KILL_LOCAL),
					      KEY("oom_group_kill",
						  KW_COUNTER_OOM_GROUP_KILL_LOCAL) } },
	[KW_COUNTS_CPU_STAT] = { "cpu.stat",
				 4,
				 { KEY("usage_usec", KW_COUNTER_CPU_USAGE_USEC),
				   KEY("nr_periods", KW_COUNTER_CPU_PERIODS),
				   KEY("nr_throttled", KW_COUNTER_CPU_THROTTLED),
				   KEY("throttled_usec", KW_COUNTER_CPU_THROTTLED_USEC) } },
	[KW_COUNTS_PIDS_EVENTS] = { "pids.events", 1, { KEY("max", KW_COUNTER_PIDS_MAX) } },
	[KW_COUNTS_PIDS_EVENTS_LOCAL] = { "pids.events.local",
					  1,
					  { KEY("max", KW_COUNTER_PIDS_MAX_LOCAL) } },
};

const char *kw_counts_file_name(enum kw_counts_file file)
{
	return files[file].name;
}

uint32_t kw_counts_mask(enum kw_counts_file file)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < files[file].count; i++)
		mask |= 1U << files[file].keys[i].counter;
	return mask;
}

const char *kw_counter_source(enum kw_counter counter, const char **ret_key)
{
	for (int file = 0; file < KW_COUNTS_FILE_COUNT_; file++) {
		for (size_t i = 0; i < files[file].count; i++) {
			if (files[file].keys[i].counter == counter) {
				*ret_key = files[file].keys[i].name;
				return files[file].name;
			}
		}
	}
	return NULL;
}

int kw_counts_parse(enum kw_counts_file file, const char *text, size_t length, uint64_t *values,
		    uint32_t *known)
{
	const char *end = text + length, *at = text;
	uint64_t found[KEYS_MAX], value;
	uint32_t seen = 0;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline ? newline : end, *key;
		size_t key_length;
		int r = kw_counters_take_pair(at, line_end, &key, &key_length, &value);

		if (r < 0)
			return r;
		for (size_t i = 0; r > 0 && i < files[file].count; i++) {
			if (files[file].keys[i].length == key_length &&
			    memcmp(files[file].keys[i].name, key, key_length) == 0) {
				found[i] = value; /* of a repeated key the last wins */
				seen |= 1U << i;
				break;
			}
		}
		at = newline ? newline + 1 : end;
	}
	*known &= ~kw_counts_mask(file);
	for (size_t i = 0; i < files[file].count; i++) {
		if (seen & 1U << i) {
			values[files[file].keys[i].counter] = found[i];
			*known |= 1U << files[file].keys[i].counter;
		}
	}
	return 0;
}
