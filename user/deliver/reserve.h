/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* The file "reserve": blocks that are the ledger's already, for its last words; private to deliver. */
#include <sys/types.h>

/* Makes the reserve, whole. 0; -ENOSPC; -EOPNOTSUPP: a file system that gives no blocks ahead; -errno. */
int kw_reserve_make(int directory);
/* Gives all but keep bytes of it back to the file system, for whoever writes next. 0 or -errno. */
int kw_reserve_release(int directory, off_t keep);
