/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The memory of cgroups. A kernfs id may be used again after rmdir, css serial_nr never is within a boot
 * (kernel/cgroup/cgroup.c, css_serial_nr_next), so both together are the key. Paths of the unified
 * hierarchy do not change while the cgroup lives: only cgroup1_kf_syscall_ops has a rename
 * (kernel/cgroup/cgroup.c and cgroup-v1.c, 6.1 to 6.18), on v2 it is refused with EPERM.
 */
#include "user/attribute/cgroups.h"

#include <errno.h>
#include <stdio.h>
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
	bool v1;
	bool buried; /* was removed: in list buried, not in uses */
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) of_use;
};

struct kw_cgroups {
	struct entry *table;
	TAILQ_HEAD(use_list, entry) uses; /* longest unused first */
	struct use_list buried;		  /* removed first, first */
};

static void entry_free(struct kw_cgroups *cgroups, struct entry *entry)
{
	HASH_DEL(cgroups->table, entry);
	TAILQ_REMOVE(entry->buried ? &cgroups->buried : &cgroups->uses, entry, of_use);
	free(entry->path);
	free(entry);
}

static struct entry *entry_find(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial)
{
	const struct key key = { id, serial };
	struct entry *entry;

	HASH_FIND(hh, cgroups->table, &key, sizeof(key), entry);
	if (entry && !entry->buried) {
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
	TAILQ_INIT(&cgroups->buried);
	*ret_cgroups = cgroups;
	return 0;
}

void kw_cgroups_free(struct kw_cgroups *cgroups)
{
	if (!cgroups)
		return;
	while (!TAILQ_EMPTY(&cgroups->uses))
		entry_free(cgroups, TAILQ_FIRST(&cgroups->uses));
	while (!TAILQ_EMPTY(&cgroups->buried))
		entry_free(cgroups, TAILQ_FIRST(&cgroups->buried));
	free(cgroups);
}

static void make_room(struct kw_cgroups *cgroups)
{
	if (HASH_COUNT(cgroups->table) < KW_CGROUPS_REMEMBERED_MAX)
		return;
	entry_free(cgroups, TAILQ_EMPTY(&cgroups->buried) ? TAILQ_FIRST(&cgroups->uses)
							  : TAILQ_FIRST(&cgroups->buried));
}

static void learn(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial, const char *path,
		  bool v1)
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
	make_room(cgroups);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return;
	entry->key = (struct key){ id, serial };
	entry->v1 = v1;
	HASH_ADD(hh, cgroups->table, key, sizeof(entry->key), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return;
	}
	entry->path = take_ptr(copy);
	TAILQ_INSERT_TAIL(&cgroups->uses, entry, of_use);
}

void kw_cgroups_learn(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial, const char *path)
{
	learn(cgroups, id, serial, path, false);
}

void kw_cgroups_learn_v1(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial, const char *path)
{
	learn(cgroups, id, serial, path, true);
}

void kw_cgroups_bury(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial)
{
	struct entry *entry = entry_find(cgroups, id, serial);

	if (!entry || entry->buried)
		return;
	TAILQ_REMOVE(&cgroups->uses, entry, of_use);
	TAILQ_INSERT_TAIL(&cgroups->buried, entry, of_use);
	entry->buried = true;
}

void kw_cgroups_forget(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial)
{
	struct entry *entry = entry_find(cgroups, id, serial);

	if (entry)
		entry_free(cgroups, entry);
}

/* What follows directory in path, from its '/' on; NULL: it is not below it. */
static const char *below(const char *path, const char *directory, size_t length)
{
	return strncmp(path, directory, length) == 0 && path[length] == '/' ? path + length : NULL;
}

/* Gives what is below old its place below new, or forgets it where new is NULL or makes it too long. What
 * is buried had its old path for as long as it lived, and keeps it. */
static void move_below(struct kw_cgroups *cgroups, const char *old, const char *new)
{
	struct entry *entry, *next;

	HASH_ITER (hh, cgroups->table, entry, next) {
		const char *rest = below(entry->path, old, strlen(old));
		char path[KW_PATH_MAX];
		char *copy = NULL;
		int length;

		if (!entry->v1 || entry->buried || !rest)
			continue;
		length = new ? snprintf(path, sizeof(path), "%s%s", new, rest) : -1;
		if (length >= 0 && (size_t)length < sizeof(path))
			copy = strdup(path);
		if (!copy) {
			entry_free(cgroups, entry);
			continue;
		}
		free(entry->path);
		entry->path = copy;
	}
}

/* The old name is not known: any cgroup two or more levels below the directory may have had it above. */
static void forget_grandchildren(struct kw_cgroups *cgroups, const char *directory, size_t length)
{
	struct entry *entry, *next;

	HASH_ITER (hh, cgroups->table, entry, next) {
		const char *rest = below(entry->path, directory, length);

		if (entry->v1 && !entry->buried && rest && strchr(rest + 1, '/'))
			entry_free(cgroups, entry);
	}
}

void kw_cgroups_rename_v1(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial,
			  const char *path)
{
	struct entry *entry = entry_find(cgroups, id, serial);
	cleanup_free char *old = NULL;

	if (entry) {
		old = take_ptr(entry->path);
		entry->path = NULL;
		HASH_DEL(cgroups->table, entry);
		TAILQ_REMOVE(entry->buried ? &cgroups->buried : &cgroups->uses, entry, of_use);
		free(entry);
		move_below(cgroups, old, path);
	} else {
		const char *name = path ? strrchr(path, '/') : NULL;

		forget_grandchildren(cgroups, name ? path : "", name ? (size_t)(name - path) : 0);
	}
	if (path)
		kw_cgroups_learn_v1(cgroups, id, serial, path);
}

const char *kw_cgroups_find(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial)
{
	const struct entry *entry = entry_find(cgroups, id, serial);

	return entry ? entry->path : NULL;
}
