/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Compressing a closed segment; private to deliver. */
#include <stdatomic.h>
#include <stdint.h>

/* Puts "<segment>.jsonl.zst" in the place of "<segment>.jsonl": written under another name, read back and
 * compared, on disk, and only then is the plain one removed. stop is looked at all the time. 0; -ECANCELED;
 * -ENOSPC: there is not room for both with something to spare; -EIO: what was read back differed; -errno. What
 * failed leaves the plain one as it was. */
int kw_pack_segment(int directory, uint64_t segment, const atomic_bool *stop);
