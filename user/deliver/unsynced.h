/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Copies of the lines that are not known to be on disk; private to deliver. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kw_unsynced;

/* 0 or -ENOMEM. */
int kw_unsynced_new(struct kw_unsynced **ret_unsynced);
void kw_unsynced_free(struct kw_unsynced *unsynced);
/* Keeps a line that was written at offset of a segment; sequence is one more than the last time. The oldest ones are
 * given up when there is no room. */
void kw_unsynced_add(struct kw_unsynced *unsynced, uint64_t sequence, uint64_t segment,
		     off_t offset, const void *line, size_t length);
/* Forgets lines up to durable, which are on disk. */
void kw_unsynced_trim(struct kw_unsynced *unsynced, uint64_t durable);
/* Whether all lines behind durable are kept; durable is not above the last one. */
bool kw_unsynced_covers(const struct kw_unsynced *unsynced, uint64_t durable);
/* First segment that has lines here, above segment; 0: none. */
uint64_t kw_unsynced_segment_above(const struct kw_unsynced *unsynced, uint64_t segment);
/* Writes the lines of one segment to fd, where they were. 0 or -errno. */
int kw_unsynced_rewrite(const struct kw_unsynced *unsynced, uint64_t segment, int fd);
/* Writes what stands before end of fd once more, the last KW_REWRITE_MAX_BYTES at most, and syncs it. 0 or -errno. */
int kw_unsynced_renew(int fd, off_t end);
