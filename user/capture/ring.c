/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Consumer of one BPF ring buffer. libbpf has one too, but that counts a record as consumed even
 * when its callback fails (tools/lib/bpf/ringbuf.c, libbpf 1.1 to 1.5), and cannot bound a turn: here
 * the ledger decides when a slot is released. Layout: kernel/bpf/ringbuf.c and
 * include/uapi/linux/bpf.h (BPF_RINGBUF_*), 5.8 to 6.18: a page with the consumer's position, a page
 * with the producer's, then the data mapped twice; each record 8-byte aligned behind an 8-byte header.
 */
#include "user/capture/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

static size_t slot_bytes(uint32_t length)
{
	return ((size_t)length + BPF_RINGBUF_HDR_SZ + 7) & ~(size_t)7;
}

int kw_ring_open(int map_fd, struct kw_ring *ret_ring)
{
	struct bpf_map_info info = {};
	uint32_t info_bytes = sizeof(info);
	struct kw_ring ring = { .page = (size_t)sysconf(_SC_PAGESIZE) };
	void *mapped;

	if (bpf_obj_get_info_by_fd(map_fd, &info, &info_bytes) < 0)
		return -errno;
	if (info.type != BPF_MAP_TYPE_RINGBUF)
		return -EINVAL;
	ring.size = info.max_entries;
	mapped = mmap(NULL, ring.page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (mapped == MAP_FAILED)
		return -errno;
	ring.consumer = mapped;
	mapped = mmap(NULL, ring.page + 2 * ring.size, PROT_READ, MAP_SHARED, map_fd,
		      (off_t)ring.page);
	if (mapped == MAP_FAILED) {
		int r = -errno;

		(void)munmap(ring.consumer, ring.page);
		return r;
	}
	ring.producer = mapped;
	ring.data = (const unsigned char *)mapped + ring.page;
	*ret_ring = ring;
	return 0;
}

void kw_ring_close(struct kw_ring *ring)
{
	if (ring->consumer)
		(void)munmap(ring->consumer, ring->page);
	if (ring->data)
		(void)munmap((void *)(uintptr_t)ring->producer, ring->page + 2 * ring->size);
	*ring = (struct kw_ring){};
}

int kw_ring_consume(struct kw_ring *ring, unsigned int limit, kw_ring_fn callback, void *context)
{
	unsigned long position = *ring->consumer;
	unsigned int count = 0;

	while (count < limit) {
		/* acquire: pairs with the producer's release, so that the header is there */
		unsigned long end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
		const unsigned char *slot = ring->data + (position & (ring->size - 1));
		uint32_t header, length;
		int r;

		if (position == end)
			break;
		/* acquire: without the busy bit the record behind it is complete */
		header = __atomic_load_n((const uint32_t *)(const void *)slot, __ATOMIC_ACQUIRE);
		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		length = header & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
		if (slot_bytes(length) > end - position || end - position > ring->size)
			return -EIO;
		if (!(header & BPF_RINGBUF_DISCARD_BIT)) {
			r = callback(context, slot + BPF_RINGBUF_HDR_SZ, length);
			if (r < 0)
				return r;
			count++;
		}
		position += slot_bytes(length);
		__atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
	}
	return (int)count;
}

uint64_t kw_ring_backlog(const struct kw_ring *ring)
{
	if (!ring->consumer)
		return 0;
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(ring->consumer, __ATOMIC_RELAXED);
}

uint64_t kw_ring_count(const struct kw_ring *ring)
{
	unsigned long position, end;
	uint64_t count = 0;

	if (!ring->consumer)
		return 0;
	position = __atomic_load_n(ring->consumer, __ATOMIC_RELAXED);
	end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
	while (position != end && end - position <= ring->size) {
		const unsigned char *slot = ring->data + (position & (ring->size - 1));
		uint32_t header =
			__atomic_load_n((const uint32_t *)(const void *)slot, __ATOMIC_ACQUIRE);
		uint32_t length = header & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;

		if (header & BPF_RINGBUF_BUSY_BIT || slot_bytes(length) > end - position)
			break;
		count += !(header & BPF_RINGBUF_DISCARD_BIT);
		position += slot_bytes(length);
	}
	return count;
}
