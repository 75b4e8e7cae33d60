/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers that a ledger skips. They are remembered as a hole until the file ends, because a line that
 * was moved turns up later: then it is out of order, and nothing is missing.
 */
#include "user/verify/holes.h"

#include <string.h>

static void report_one(struct kw_hole *hole, kw_hole_fn report, void *context)
{
	if (!hole->reported)
		report(context, hole);
	hole->reported = true;
}

void kw_holes_add(struct kw_holes *holes, const struct kw_hole *hole, kw_hole_fn report,
		  void *context)
{
	if (holes->count == KW_HOLES_MAX) {
		report_one(&holes->holes[0], report, context);
		memmove(&holes->holes[0], &holes->holes[1],
			(KW_HOLES_MAX - 1) * sizeof(holes->holes[0]));
		holes->count--;
	}
	holes->holes[holes->count++] = *hole;
}

bool kw_holes_fill(struct kw_holes *holes, uint64_t sequence, kw_hole_fn report, void *context)
{
	for (size_t i = 0; i < holes->count; i++) {
		struct kw_hole *hole = &holes->holes[i], rest = *hole;

		if (sequence < hole->from || sequence > hole->to)
			continue;
		if (hole->from == hole->to) {
			holes->count--;
			memmove(hole, hole + 1, (holes->count - i) * sizeof(*hole));
		} else if (sequence == hole->from) {
			hole->from++;
		} else if (sequence == hole->to) {
			hole->to--;
		} else {
			hole->to = sequence - 1;
			rest.from = sequence + 1;
			kw_holes_add(holes, &rest, report, context);
		}
		return true;
	}
	return false;
}

void kw_holes_report(struct kw_holes *holes, kw_hole_fn report, void *context)
{
	for (size_t i = 0; i < holes->count; i++)
		report_one(&holes->holes[i], report, context);
}
