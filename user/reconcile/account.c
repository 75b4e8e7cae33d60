/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The account of counters. A count goes to the memory cgroup of the victim's mm owner and to each of
 * its ancestors but the root (memcg_memory_event(), include/linux/memcontrol.h, 6.12), all of it inside
 * oom_kill_process(), and no two OOMs overlap (oom_lock, mm/oom_kill.c). So records in their order say
 * exactly where each counter stands after each OOM. The kernfs id with the css serial number is the
 * key; paths only relate cgroups to each other. A removed cgroup's entry does no harm: its id never
 * comes again, and the table forgets the longest unused.
 */
#include "user/reconcile/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* Lookups that run out of memory find nothing: the account then knows less, never something wrong. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "user/base/cleanup.h"

struct key {
	uint64_t id;
	uint64_t serial;
};

struct entry {
	struct key key;
	bool owner_known;
	bool local_known;
	uint64_t owner; /* hierarchical oom_kill */
	uint64_t local;
	char *path; /* owned; empty: not known as a whole */
	TAILQ_ENTRY(entry) by_use;
	UT_hash_handle hh;
};

struct kw_account {
	struct entry *entries;
	TAILQ_HEAD(, entry) by_use; /* first: longest unused */
};

/* Whether lower lies strictly below upper. Both whole paths. */
static bool is_below(const char *lower, const char *upper)
{
	size_t length = strlen(upper);

	if (strcmp(upper, "/") == 0)
		return lower[0] == '/' && lower[1] != '\0';
	return length > 0 && strncmp(lower, upper, length) == 0 && lower[length] == '/';
}

static bool is_same_or_below(const char *lower, const char *upper)
{
	return strcmp(lower, upper) == 0 || is_below(lower, upper);
}

static struct entry *find(struct kw_account *account, const struct kw_cgroup_ref *cgroup)
{
	struct key key = { .id = cgroup->id, .serial = cgroup->serial };
	struct entry *entry = NULL;

	HASH_FIND(hh, account->entries, &key, sizeof(key), entry);
	if (entry) {
		TAILQ_REMOVE(&account->by_use, entry, by_use);
		TAILQ_INSERT_TAIL(&account->by_use, entry, by_use);
	}
	return entry;
}

static void drop(struct kw_account *account, struct entry *entry)
{
	HASH_DEL(account->entries, entry);
	TAILQ_REMOVE(&account->by_use, entry, by_use);
	free(entry->path);
	free(entry);
}

static struct entry *find_or_add(struct kw_account *account, const struct kw_cgroup_ref *cgroup,
				 const char *path)
{
	struct entry *entry = find(account, cgroup);

	if (entry)
		return entry;
	if (HASH_COUNT(account->entries) >= KW_ACCOUNTS_MAX)
		drop(account, TAILQ_FIRST(&account->by_use));
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->key = (struct key){ .id = cgroup->id, .serial = cgroup->serial };
	entry->path = strdup(path);
	if (!entry->path) {
		free(entry);
		return NULL;
	}
	HASH_ADD(hh, account->entries, key, sizeof(entry->key), entry);
	if (!entry->hh.tbl) { /* uthash's word for "no memory" */
		free(entry->path);
		free(entry);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&account->by_use, entry, by_use);
	return entry;
}

int kw_account_new(struct kw_account **ret_account)
{
	struct kw_account *account = calloc(1, sizeof(*account));

	if (!account)
		return -ENOMEM;
	TAILQ_INIT(&account->by_use);
	*ret_account = account;
	return 0;
}

void kw_account_free(struct kw_account *account)
{
	if (!account)
		return;
	while (!TAILQ_EMPTY(&account->by_use))
		drop(account, TAILQ_FIRST(&account->by_use));
	free(account);
}

int64_t kw_account_owner_moved(struct kw_account *account, const struct kw_cgroup_ref *owner,
			       const char *path, uint64_t before, uint64_t after)
{
	struct entry *entry = find_or_add(account, owner, path);
	struct entry *other;
	int64_t between = 0;

	if (entry) {
		if (entry->owner_known)
			between = kw_account_difference(entry->owner, before);
		/* Without a path nobody could tell it what happens in its descendants. */
		entry->owner_known = entry->path[0] != '\0';
		entry->owner = after;
	}
	if (path[0] == '\0') {
		kw_account_forget_below(account, NULL); /* which ancestors moved is not known */
		return between;
	}
	TAILQ_FOREACH (other, &account->by_use, by_use) {
		if (is_below(path, other->path))
			other->owner += after - before;
	}
	return between;
}

bool kw_account_owner(struct kw_account *account, const struct kw_cgroup_ref *owner,
		      uint64_t *ret_value)
{
	struct entry *entry = find(account, owner);

	if (!entry || !entry->owner_known)
		return false;
	*ret_value = entry->owner;
	return true;
}

void kw_account_set_owner(struct kw_account *account, const struct kw_cgroup_ref *owner,
			  uint64_t value)
{
	struct entry *entry = find(account, owner);

	if (entry && entry->owner_known)
		entry->owner = value;
}

void kw_account_raise(struct kw_account *account, const char *path, const char *top, uint64_t count)
{
	struct entry *entry;

	TAILQ_FOREACH (entry, &account->by_use, by_use) {
		if (top && !is_below(entry->path, top))
			continue;
		if (is_same_or_below(path, entry->path))
			entry->owner += count;
	}
}

void kw_account_forget_below(struct kw_account *account, const char *top)
{
	struct entry *entry;

	TAILQ_FOREACH (entry, &account->by_use, by_use) {
		if (!top || is_below(entry->path, top))
			entry->owner_known = false;
	}
}

void kw_account_forget_around(struct kw_account *account, const char *path)
{
	struct entry *entry;

	TAILQ_FOREACH (entry, &account->by_use, by_use) {
		if (path[0] == '\0' || is_same_or_below(path, entry->path) ||
		    is_below(entry->path, path))
			entry->owner_known = false;
	}
}

int64_t kw_account_local_moved(struct kw_account *account, const struct kw_cgroup_ref *victim,
			       const char *path, uint64_t value)
{
	struct entry *entry = find_or_add(account, victim, path);
	int64_t moved = 1;

	if (!entry)
		return moved;
	if (entry->local_known)
		moved = kw_account_difference(entry->local, value);
	entry->local_known = true;
	entry->local = value;
	return moved;
}

bool kw_account_local(struct kw_account *account, const struct kw_cgroup_ref *victim,
		      uint64_t *ret_value)
{
	struct entry *entry = find(account, victim);

	if (!entry || !entry->local_known)
		return false;
	*ret_value = entry->local;
	return true;
}

void kw_account_set_local(struct kw_account *account, const struct kw_cgroup_ref *victim,
			  uint64_t value)
{
	struct entry *entry = find(account, victim);

	if (entry && entry->local_known)
		entry->local = value;
}

void kw_account_forget_local(struct kw_account *account, const struct kw_cgroup_ref *victim)
{
	struct entry *entry = find(account, victim);

	if (entry)
		entry->local_known = false;
}

bool kw_account_has_below(struct kw_account *account, const char *path)
{
	const struct entry *entry;

	TAILQ_FOREACH (entry, &account->by_use, by_use) {
		if (is_below(entry->path, path))
			return true;
	}
	return false;
}
