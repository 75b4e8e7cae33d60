/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one queue, of encoded frames in slots of one size: no allocation, and a bound that is known
 * before the guest runs out of memory. What does not fit is counted; the host learns the count with the
 * next frame.
 */
#include <string.h>

#include "user/guest/guest.h"

static bool is_process(const char *probe)
{
	return strncmp(probe, "process.", strlen("process.")) == 0;
}

void kw_queue_put(struct kw_queue *queue, const struct kw_report *report)
{
	unsigned int limit = KW_QUEUE_SLOTS - (is_process(report->probe) ? KW_QUEUE_RESERVED : 0);
	unsigned int at = (queue->first + queue->count) % KW_QUEUE_SLOTS;
	size_t length = 0;

	if (queue->count < limit)
		length = kw_writer_begin(report, queue->boot_id, queue->slots[at]);
	if (length == 0) {
		queue->dropped++;
		return;
	}
	queue->lengths[at] = (uint16_t)length;
	queue->count++;
}

static void tell(struct kw_queue *queue, const char *where, uint64_t lost, uint64_t now_ns)
{
	struct kw_report report = { .probe = "telemetry.dropped",
				    .pid = (uint32_t)getpid(),
				    .comm = "kwitness-guest",
				    .monotonic_ns = now_ns };

	kw_report_add_number(&report, "lost", lost);
	kw_report_add_text(&report, "where", where);
	kw_queue_put(queue, &report);
}

void kw_queue_lost(struct kw_queue *queue, const char *where, uint64_t count, uint64_t now_ns)
{
	queue->dropped += count;
	queue->told += count;
	tell(queue, where, count, now_ns);
}

unsigned char *kw_queue_first(struct kw_queue *queue, size_t *ret_length)
{
	if (queue->count == 0)
		return NULL;
	*ret_length = queue->lengths[queue->first];
	return queue->slots[queue->first];
}

void kw_queue_remove(struct kw_queue *queue)
{
	queue->first = (queue->first + 1) % KW_QUEUE_SLOTS;
	queue->count--;
}

void kw_queue_tell(struct kw_queue *queue, uint64_t now_ns)
{
	uint64_t lost = queue->dropped - queue->told;

	if (lost == 0 || queue->count > KW_QUEUE_SLOTS - KW_QUEUE_RESERVED)
		return;
	queue->told += lost;
	tell(queue, "queue", lost, now_ns);
}
