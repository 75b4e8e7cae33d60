/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* The segments of a ledger directory, "<first sequence, 20 digits>.jsonl"; private to deliver. */
#include <stddef.h>
#include <stdint.h>

#define KW_SEGMENT_NAME_BYTES 27 /* with its NUL */

void kw_segments_name(uint64_t first, char ret_name[static KW_SEGMENT_NAME_BYTES]);

/* The segment with the greatest first sequence of at most bound (UINT64_MAX: the last one). Names that
 * are no segment's are passed over. 0, -ENOENT when there is none, or -errno. */
int kw_segments_at_most(int directory, uint64_t bound, uint64_t *ret_first);
/* The segment with the smallest first sequence above bound. */
int kw_segments_above(int directory, uint64_t bound, uint64_t *ret_first);

/* Opens a segment: a regular file, no link followed. Returns an fd or -errno. */
int kw_segments_open(int directory, uint64_t first, int flags);
