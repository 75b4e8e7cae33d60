/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Numbers that were skipped, remembered until it is sure that they do not turn up. Private to the room. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Holes that are remembered. Above: the oldest is reported at once. */
#define KW_HOLES_MAX 64

struct kw_hole {
	uint64_t from, to; /* both missing, and all between */
	uint64_t line;	   /* that stood behind it */
	bool reported;
};

struct kw_holes {
	struct kw_hole holes[KW_HOLES_MAX];
	size_t count;
};

/* Called once for each hole that stays one. */
typedef void (*kw_hole_fn)(void *context, const struct kw_hole *hole);

void kw_holes_add(struct kw_holes *holes, const struct kw_hole *hole, kw_hole_fn report,
		  void *context);
/* Whether sequence was missing so far; then it is no more. */
bool kw_holes_fill(struct kw_holes *holes, uint64_t sequence, kw_hole_fn report, void *context);
/* Nothing can turn up any more: reports what was not reported before. */
void kw_holes_report(struct kw_holes *holes, kw_hole_fn report, void *context);
