/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* The segments of a ledger directory, "<first sequence, 20 digits>.jsonl", and ".jsonl.zst" when they were
 * compressed; private to deliver. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KW_SEGMENT_NAME_BYTES 31 /* the longer one, with its NUL */

void kw_segments_name(uint64_t first, char ret_name[static KW_SEGMENT_NAME_BYTES]);
void kw_segments_packed_name(uint64_t first, char ret_name[static KW_SEGMENT_NAME_BYTES]);

/* Compressed or not: one that is there both ways counts once. The segment with the greatest first sequence of at most bound (UINT64_MAX: the last one). Names that
 * are no segment's are passed over. 0, -ENOENT when there is none, or -errno. */
int kw_segments_at_most(int directory, uint64_t bound, uint64_t *ret_first);
/* The segment with the smallest first sequence above bound. */
int kw_segments_above(int directory, uint64_t bound, uint64_t *ret_first);

/* The one with the smallest first sequence above bound that is not compressed. */
int kw_segments_plain_above(int directory, uint64_t bound, uint64_t *ret_first);

/* Opens a segment that is not compressed: a regular file, no link followed. Returns an fd or -errno. */
int kw_segments_open(int directory, uint64_t first, int flags);
/* Opens one for reading as it is, not compressed if it is there both ways: then the compressing has not
 * come to its end. Returns an fd or -errno. */
int kw_segments_open_any(int directory, uint64_t first, bool *ret_packed);

/* Below the ledger's directory: its lines once more, in CellOS envelopes (beside.h). */
#define KW_BESIDE "cellos"
/* Opens it, no link followed. Returns an fd, -ENOENT when there is none, or -errno. */
int kw_segments_open_beside(int directory);
