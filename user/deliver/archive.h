/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What may be removed, and removing it, apart from the thread that does it; private to deliver. */
#include "user/deliver/deliver.h"

/* The oldest segment, when by policy it ought to go: nothing of it is left to anybody's guess, its lines are
 * hashed on from what was removed before. current: first sequence of the one that is being written, which is
 * never removed. 1: it ought to, 0: nothing is to be removed, -ENODATA: lines before it are missing and were
 * not removed by us; -EBADMSG: it is damaged; -errno. */
int kw_archive_propose(int directory, const struct kw_archive_policy *policy, uint64_t current,
		       uint64_t real_ns, struct kw_archive_removal *ret_removal);
/* It was declared: remembers the tree as the file "base", then unlinks. 0 or -errno. */
int kw_archive_remove_now(int directory, const struct kw_archive_removal *removal);
