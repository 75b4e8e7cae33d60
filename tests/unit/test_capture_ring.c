/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ring.c on a ring made by hand, laid out as kernel/bpf/ringbuf.c lays it out: order, bounds of a
 * turn, records that are busy or discarded, wrap-around, and that a failed record stays.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "user/capture/ring.h"

#define SIZE 4096UL

struct fake {
	unsigned long consumer;
	unsigned long producer;
	_Alignas(8) unsigned char data[2 * SIZE];
	struct kw_ring ring;
};

struct seen {
	unsigned int count;
	uint64_t values[64];
	size_t lengths[64];
	int fail_at; /* fail on this one, 1-based */
};

static struct fake *fake_new(unsigned long position)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	fake->consumer = position;
	fake->producer = position;
	fake->ring = (struct kw_ring){
		.consumer = &fake->consumer,
		.producer = &fake->producer,
		.data = fake->data,
		.size = SIZE,
	};
	return fake;
}

/* Writes into both images of the data, as one page mapped twice would show it. */
static void fake_store(struct fake *fake, unsigned long position, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		size_t at = (position + i) % SIZE;

		fake->data[at] = ((const unsigned char *)bytes)[i];
		fake->data[at + SIZE] = ((const unsigned char *)bytes)[i];
	}
}

static unsigned long fake_push(struct fake *fake, uint64_t value, uint32_t length, uint32_t flags)
{
	uint32_t header[2] = { length | flags, 0 };
	unsigned long position = fake->producer;

	assert_true(length >= sizeof(value));
	fake_store(fake, position, header, sizeof(header));
	fake_store(fake, position + 8, &value, sizeof(value));
	fake->producer += (length + 8 + 7) & ~7UL;
	return position;
}

static int remember(void *context, const void *record, size_t length)
{
	struct seen *seen = context;

	assert_true(seen->count < 64);
	memcpy(&seen->values[seen->count], record, sizeof(uint64_t));
	seen->lengths[seen->count] = length;
	seen->count++;
	return (int)seen->count == seen->fail_at ? -ENOSPC : 0;
}

static void test_turns_are_bounded(void **state)
{
	struct fake *fake = fake_new(0);
	struct seen seen = {};

	(void)state;
	for (uint64_t i = 0; i < 7; i++)
		fake_push(fake, i, (uint32_t)(8 + i), 0);
	assert_int_equal(kw_ring_backlog(&fake->ring), fake->producer);
	assert_int_equal(kw_ring_consume(&fake->ring, 3, remember, &seen), 3);
	assert_int_equal(seen.count, 3);
	assert_int_equal(kw_ring_consume(&fake->ring, 3, remember, &seen), 3);
	assert_int_equal(kw_ring_consume(&fake->ring, 3, remember, &seen), 1);
	assert_int_equal(kw_ring_consume(&fake->ring, 3, remember, &seen), 0);
	for (uint64_t i = 0; i < 7; i++) {
		assert_int_equal(seen.values[i], i);
		assert_int_equal(seen.lengths[i], 8 + i);
	}
	assert_int_equal(kw_ring_backlog(&fake->ring), 0);
	free(fake);
}

static void test_failed_record_stays(void **state)
{
	struct fake *fake = fake_new(0);
	struct seen seen = { .fail_at = 2 };
	unsigned long second;

	(void)state;
	fake_push(fake, 10, 8, 0);
	second = fake_push(fake, 11, 8, 0);
	fake_push(fake, 12, 8, 0);
	assert_int_equal(kw_ring_consume(&fake->ring, 64, remember, &seen), -ENOSPC);
	assert_int_equal(seen.count, 2);
	assert_int_equal(fake->consumer, second);
	assert_int_equal(kw_ring_consume(&fake->ring, 64, remember, &seen), 2);
	assert_int_equal(seen.values[2], 11);
	assert_int_equal(seen.values[3], 12);
	free(fake);
}

static void test_busy_stops_and_discarded_is_skipped(void **state)
{
	struct fake *fake = fake_new(0);
	struct seen seen = {};
	unsigned long busy;
	uint32_t done = 8;

	(void)state;
	fake_push(fake, 1, 16, BPF_RINGBUF_DISCARD_BIT);
	fake_push(fake, 2, 8, 0);
	busy = fake_push(fake, 3, 8, BPF_RINGBUF_BUSY_BIT);
	fake_push(fake, 4, 8, 0);
	assert_int_equal(kw_ring_consume(&fake->ring, 64, remember, &seen), 1);
	assert_int_equal(seen.values[0], 2);
	assert_int_equal(fake->consumer, busy);
	fake_store(fake, busy, &done, sizeof(done));
	assert_int_equal(kw_ring_consume(&fake->ring, 64, remember, &seen), 2);
	assert_int_equal(seen.values[1], 3);
	assert_int_equal(seen.values[2], 4);
	free(fake);
}

static void test_wraps_around(void **state)
{
	/* also past the end of the position's own range */
	struct fake *fake = fake_new(0UL - 32);
	struct seen seen = {};

	(void)state;
	fake_push(fake, 5, 100, 0);
	fake_push(fake, 6, 8, 0);
	assert_int_equal(kw_ring_consume(&fake->ring, 64, remember, &seen), 2);
	assert_int_equal(seen.values[0], 5);
	assert_int_equal(seen.lengths[0], 100);
	assert_int_equal(seen.values[1], 6);
	assert_int_equal(fake->consumer, fake->producer);
	free(fake);
}

static void test_nonsense_is_refused(void **state)
{
	struct fake *fake = fake_new(0);
	struct seen seen = {};
	uint32_t longer = 100;
	unsigned long at;

	(void)state;
	at = fake_push(fake, 5, 8, 0);
	fake_store(fake, at, &longer, sizeof(longer)); /* beyond the producer */
	assert_int_equal(kw_ring_consume(&fake->ring, 64, remember, &seen), -EIO);
	fake->producer = fake->consumer + SIZE + 8; /* more than the ring holds */
	assert_int_equal(kw_ring_consume(&fake->ring, 64, remember, &seen), -EIO);
	assert_int_equal(seen.count, 0);
	free(fake);
}

static void test_counts_what_waits(void **state)
{
	struct fake *fake = fake_new(SIZE - 24);
	struct seen seen = {};

	(void)state;
	assert_int_equal(kw_ring_count(&fake->ring), 0);
	(void)fake_push(fake, 1, 8, 0);
	(void)fake_push(fake, 2, 8, BPF_RINGBUF_DISCARD_BIT);
	(void)fake_push(fake, 3, 8, 0);
	assert_int_equal(kw_ring_count(&fake->ring), 2);
	assert_int_equal(kw_ring_consume(&fake->ring, 1, remember, &seen), 1);
	assert_int_equal(kw_ring_count(&fake->ring), 1);
	(void)fake_push(fake, 4, 8, BPF_RINGBUF_BUSY_BIT);
	assert_int_equal(kw_ring_count(&fake->ring), 1);
	fake->producer =
		fake->consumer + SIZE + 8; /* more than the ring holds: nothing is believed */
	assert_int_equal(kw_ring_count(&fake->ring), 0);
	free(fake);
}

static void test_not_a_ring(void **state)
{
	struct kw_ring ring = {};

	(void)state;
	assert_true(kw_ring_open(-1, &ring) < 0);
	assert_null(ring.consumer);
	kw_ring_close(&ring);
	assert_int_equal(kw_ring_backlog(&ring), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_turns_are_bounded),
		support_test(test_failed_record_stays),
		support_test(test_busy_stops_and_discarded_is_skipped),
		support_test(test_wraps_around),
		support_test(test_nonsense_is_refused),
		support_test(test_counts_what_waits),
		support_test(test_not_a_ring),
	};

	return cmocka_run_group_tests_name("capture_ring", tests, NULL, NULL);
}
