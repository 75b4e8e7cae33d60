/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Consumer of one BPF ring buffer (private to the room).
 *
 * In: the descriptor of a BPF_MAP_TYPE_RINGBUF map. Out: its records, in order, one callback each.
 * Promised: a slot is released after the callback has succeeded, and only then; so a record whose
 * callback failed, or during which the process died, is the next one again. The position is kept in
 * the map: whoever opens a pinned ring goes on where the last consumer stopped.
 */
#include <stddef.h>
#include <stdint.h>

#include "user/base/cleanup.h"

struct kw_ring {
	unsigned long *consumer;       /* mapped read-write: how far we are */
	const unsigned long *producer; /* mapped read-only, as is data */
	const unsigned char *data;     /* twice in a row, so that no record is ever split */
	size_t size;
	size_t page;
};

typedef int (*kw_ring_fn)(void *context, const void *record, size_t length);

/* Maps the ring. 0, -EINVAL when map_fd is no ring buffer, or -errno. Close with kw_ring_close(). */
int kw_ring_open(int map_fd, struct kw_ring *ret_ring) kw_must_check;
/* Unmaps; a cleared struct is fine. Does not close the map's descriptor. */
void kw_ring_close(struct kw_ring *ring);

/* Gives at most limit records to callback. Returns how many were released, or callback's error (its
 * record and all later ones stay), or -EIO when the ring's own structure makes no sense. */
int kw_ring_consume(struct kw_ring *ring, unsigned int limit, kw_ring_fn callback, void *context)
	kw_must_check;

/* Records that wait to be read; those that a producer is just writing are not counted. */
uint64_t kw_ring_count(const struct kw_ring *ring);

/* Bytes between consumer and producer, the kernel's headers included. */
uint64_t kw_ring_backlog(const struct kw_ring *ring);
