/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* The one thread beside the loop's: fdatasync, so that a slow disk never holds a turn up; private to
 * deliver. It knows descriptors and sequences, nothing else. */
#include <stddef.h>
#include <stdint.h>

struct kw_sync;

/* durable: what is on disk already. */
int kw_sync_start(uint64_t durable, struct kw_sync **ret_sync);
/* Syncs what was requested, ends the thread. NULL is allowed. */
void kw_sync_free(struct kw_sync *sync);
/* Asks for everything up to sequence, the last line of fd, to be made durable. Requests that come while
 * one is carried out become one. fd is borrowed until kw_sync_retire() or kw_sync_free(). */
void kw_sync_request(struct kw_sync *sync, int fd, uint64_t sequence);
/* fd is written no more: it is synced before anything that is requested later, then closed. */
void kw_sync_retire(struct kw_sync *sync, int fd);
/* fd is written before what is requested later, and synced before it: what is durable is so in both. Borrowed
 * as the other is. */
void kw_sync_beside(struct kw_sync *sync, int fd);
uint64_t kw_sync_durable(struct kw_sync *sync);
/* 0, or why an fdatasync failed: what was written behind durable may be lost with the power, for good, whatever a
 * later one says. Stays until kw_sync_rewritten(). */
int kw_sync_error(struct kw_sync *sync);
/* All lines behind durable have been written again: what is requested from now on may say that they are on disk. */
void kw_sync_rewritten(struct kw_sync *sync);

/* Asks for directory/head to be replaced by these bytes (copied), but only when everything up to
 * sequence, the last line of fd, is durable. A later request takes the place of one that is not carried
 * out yet. directory is borrowed as fd is. 0 or -ENOMEM. */
int kw_sync_keep_head(struct kw_sync *sync, int fd, uint64_t sequence, int directory,
		      const void *text, size_t length);
/* Sequence of the head that is known to be on disk; 0: none since the start. */
uint64_t kw_sync_head(struct kw_sync *sync);
/* Waits until nothing is being carried out and nothing is wanted: at the end of the daemon. */
void kw_sync_wait(struct kw_sync *sync);
