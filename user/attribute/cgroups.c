/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The memory of cgroups. A kernfs id may be used again after rmdir, css serial_nr never is within a boot
 * (kernel/cgroup/cgroup.c, css_serial_nr_next), so both together are the key. Paths of the unified
 * hierarchy do not change while the cgroup lives: cgroup v2 has no rename
 * (Documentation/admin-guide/cgroup-v2.rst, "Organizing Processes and Threads").
 */
#include "user/attribute/cgroups.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include <kwitness/limits.h>

/* Adding may fail for want of memory; then the entry has no table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct key {
	uint64_t id;
	uint64_t serial;
};

struct entry {
	struct key key;
	char *path; /* shorter than KW_PATH_MAX */
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) of_use;
};

struct kw_cgroups {
	struct entry *table;
	TAILQ_HEAD(use_list, entry) uses; /* longest unused first */
};

static void entry_free(struct kw_cgroups *cgroups, struct entry *entry)
{
	HASH_DEL(cgroups->table, entry);
	TAILQ_REMOVE(&cgroups->uses, entry, of_use);
	free(entry->path);
	free(entry);
}

static struct entry *entry_find(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial)
{
	const struct key key = { id, serial };
	struct entry *entry;

	HASH_FIND(hh, cgroups->table, &key, sizeof(key), entry);
	if (entry) {
		TAILQ_REMOVE(&cgroups->uses, entry, of_use);
		TAILQ_INSERT_TAIL(&cgroups->uses, entry, of_use);
	}
	return entry;
}

int kw_cgroups_new(struct kw_cgroups **ret_cgroups)
{
	struct kw_cgroups *cgroups = calloc(1, sizeof(*cgroups));

	if (!cgroups)
		return -ENOMEM;
	TAILQ_INIT(&cgroups->uses);
	*ret_cgroups = cgroups;
	return 0;
}

void kw_cgroups_free(struct kw_cgroups *cgroups)
{
	if (!cgroups)
		return;
	while (!TAILQ_EMPTY(&cgroups->uses))
		entry_free(cgroups, TAILQ_FIRST(&cgroups->uses));
	free(cgroups);
}

void kw_cgroups_learn(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial, const char *path)
{
	struct entry *entry = entry_find(cgroups, id, serial);
	cleanup_free char *copy = NULL;

	if (strnlen(path, KW_PATH_MAX) == KW_PATH_MAX)
		return;
	if (entry && strcmp(entry->path, path) == 0)
		return;
	copy = strdup(path);
	if (!copy)
		return;
	if (entry) {
		free(entry->path);
		entry->path = take_ptr(copy);
		return;
	}
	if (HASH_COUNT(cgroups->table) >= KW_CGROUPS_REMEMBERED_MAX)
		entry_free(cgroups, TAILQ_FIRST(&cgroups->uses));
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return;
	entry->key = (struct key){ id, serial };
	HASH_ADD(hh, cgroups->table, key, sizeof(entry->key), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return;
	}
	entry->path = take_ptr(copy);
	TAILQ_INSERT_TAIL(&cgroups->uses, entry, of_use);
}

const char *kw_cgroups_find(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial)
{
	const struct entry *entry = entry_find(cgroups, id, serial);

	return entry ? entry->path : NULL;
}
