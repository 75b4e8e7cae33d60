/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Where each cgroup's oom_kill counter should stand, from kernel records alone; private to reconcile.
 *
 * Two counters a cgroup: the hierarchical one of limit owners (its own and every descendant's kills:
 * memory.events), and the local one of victims (memory.events.local), used where no limit owner is
 * seen. A counter about which nothing certain is known is not guessed: it is forgotten, and the next
 * record sets it anew.
 */
#include <stdbool.h>
#include <stdint.h>

#include <kwitness/record.h>

struct kw_account;

/* How far a counter went from before to after; cut to what sums of a few can hold: a counter that went
 * further is no counter. */
static inline int64_t kw_account_difference(uint64_t before, uint64_t after)
{
	const uint64_t most = UINT64_C(1) << 48;

	if (after >= before)
		return (int64_t)(after - before < most ? after - before : most);
	return -(int64_t)(before - after < most ? before - after : most);
}

int kw_account_new(struct kw_account **ret_account);
void kw_account_free(struct kw_account *account);

/* An OOM of owner moved its hierarchical counter from before to after: the owner's is set, those of its
 * ancestors are raised by the difference. path: the owner's, empty when not whole. Returns how far
 * before is from where the counter should have stood: moves between two OOMs that no record explains;
 * 0 when nothing was known. */
int64_t kw_account_owner_moved(struct kw_account *account, const struct kw_cgroup_ref *owner,
			       const char *path, uint64_t before, uint64_t after);
/* The hierarchical counter of owner; false: not known. */
bool kw_account_owner(struct kw_account *account, const struct kw_cgroup_ref *owner,
		      uint64_t *ret_value);
/* Sets it: a move beyond the records has been declared. */
void kw_account_set_owner(struct kw_account *account, const struct kw_cgroup_ref *owner,
			  uint64_t value);

/* count kills were counted in the cgroup at path: raises the hierarchical counters of it and of its
 * ancestors, those strictly below top only (NULL: all). */
void kw_account_raise(struct kw_account *account, const char *path, const char *top,
		      uint64_t count);
/* The hierarchical counters strictly below top (NULL: all) are no longer known. */
void kw_account_forget_below(struct kw_account *account, const char *top);
/* Those of path, its ancestors and its descendants are no longer known. */
void kw_account_forget_around(struct kw_account *account, const char *path);

/* A kill left victim's local counter at value. Returns by how far it moved since the last kill seen
 * there; 1 when nothing was known. */
int64_t kw_account_local_moved(struct kw_account *account, const struct kw_cgroup_ref *victim,
			       const char *path, uint64_t value);
bool kw_account_local(struct kw_account *account, const struct kw_cgroup_ref *victim,
		      uint64_t *ret_value);
void kw_account_set_local(struct kw_account *account, const struct kw_cgroup_ref *victim,
			  uint64_t value);
/* Kills were counted there whose exact number the local counter's next reading could not tell. */
void kw_account_forget_local(struct kw_account *account, const struct kw_cgroup_ref *victim);
/* Whether kills were seen in a descendant of path: its file counts those as well. */
bool kw_account_has_below(struct kw_account *account, const char *path);
