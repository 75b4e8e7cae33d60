/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Cgroup id and serial number to path; private to attribute. In: what records said at their hooks, and
 * which cgroups were made, removed, renamed, released. Out: the path, also after rmdir, which is when most
 * OOM records of short-lived cgroups are asked about. At most KW_CGROUPS_REMEMBERED_MAX; then of those that
 * were removed the one that was so first goes, and when there is none, the one that was not asked for
 * longest.
 */
#include <stdbool.h>
#include <stdint.h>

#include "user/base/cleanup.h"

struct kw_cgroups;

int kw_cgroups_new(struct kw_cgroups **ret_cgroups) kw_must_check;
void kw_cgroups_free(struct kw_cgroups *cgroups);
KW_DEFINE_CLEANUP(struct kw_cgroups *, kw_cgroups_free)

/* Remembers a whole path of the unified hierarchy; a later one replaces it. Out of memory it is not
 * remembered. */
void kw_cgroups_learn(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial, const char *path);
/* The same of a v1 hierarchy, whose paths are in a tree of their own. */
void kw_cgroups_learn_v1(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial,
			 const char *path);
/* rmdir: the path stays known, but goes before those of cgroups that live. */
void kw_cgroups_bury(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial);
/* Release: nothing will ask for it again, and the id may be another's soon. */
void kw_cgroups_forget(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial);
/*
 * A cgroup of a v1 hierarchy is called path now, and whatever is below it too. v1 renames within one
 * directory only (cgroup1_rename(), kernel/cgroup/cgroup-v1.c). NULL: its new path is not known whole.
 * Where the old one was not known, everything that may have been below it is forgotten.
 */
void kw_cgroups_rename_v1(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial,
			  const char *path);
/* The path, borrowed until the next learn; NULL: not known. */
const char *kw_cgroups_find(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial);
