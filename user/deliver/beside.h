/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* The ledger's lines once more, in CellOS envelopes, in segments of the same numbers; private to deliver. */
#include "user/deliver/deliver.h"
#include "user/deliver/sync.h"

struct kw_beside;

/* Opens (making it) "cellos" below the ledger's directory and finds its end; what it has that the ledger does
 * not, down to head, is set aside into its "torn/" and cut off. sync is borrowed. 0; -EBADMSG: it is not this ledger's; -errno. */
int kw_beside_open(int directory, const struct kw_chain_head *head, struct kw_sync *sync,
		   struct kw_beside **ret_beside);
void kw_beside_free(struct kw_beside *beside);
/* Sequence of the last one; 0: none. */
uint64_t kw_beside_sequence(const struct kw_beside *beside);
/* Appends one, newline included, to the segment whose first sequence is segment. All or nothing. 0 or -errno. */
int kw_beside_append(struct kw_beside *beside, uint64_t segment, uint64_t sequence,
		     const void *line, size_t length);
/* The ledger did not take the line: the last one is none either. */
void kw_beside_undo(struct kw_beside *beside);
