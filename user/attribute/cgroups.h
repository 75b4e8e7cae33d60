/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Cgroup id and serial number to path; private to attribute. In: what records said at their hooks. Out:
 * the path, also after rmdir, which is when most OOM records of short-lived cgroups are asked about. At
 * most KW_CGROUPS_REMEMBERED_MAX; then the one that was not asked for longest goes.
 */
#include <stdint.h>

#include "user/base/cleanup.h"

struct kw_cgroups;

int kw_cgroups_new(struct kw_cgroups **ret_cgroups) kw_must_check;
void kw_cgroups_free(struct kw_cgroups *cgroups);
KW_DEFINE_CLEANUP(struct kw_cgroups *, kw_cgroups_free)

/* Remembers a whole path; a later one replaces it. Out of memory it is not remembered. */
void kw_cgroups_learn(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial, const char *path);
/* The path, borrowed until the next learn; NULL: not known. */
const char *kw_cgroups_find(struct kw_cgroups *cgroups, uint64_t id, uint64_t serial);
