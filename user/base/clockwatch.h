/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What happened to the clocks between two readings. In: readings of all of them, in order. Out: that the wall
 * clock was set, that the host was suspended, that the clock is or is not synchronised any more. Pure.
 */
#include "user/base/clock.h"

/* Less is not told: two readings are not exact. It is not lost either: small steps add up until they are. */
#define KW_CLOCKWATCH_STEP_MIN_NS (10 * KW_NSEC_PER_MSEC)
/* Who sets the clock all the time is told of once in so long, with the sum. */
#define KW_CLOCKWATCH_QUIET_NS KW_NSEC_PER_SEC

struct kw_clock_change {
	bool is_step;
	bool is_suspend;
	bool is_state;
	int64_t step_ns; /* forwards: above 0 */
	uint64_t suspended_ns;
	uint64_t error_ns;		 /* how far off both may be */
	uint64_t from_boot_ns;		 /* it had not happened then */
	struct kw_clock_reading reading; /* and had here */
};

struct kw_clockwatch {
	struct kw_clock_reading base; /* distances are held against those of this one */
	struct kw_clock_reading last; /* the last one without a change */
	bool has_change;	      /* one was accepted, at changed_boot_ns */
	uint64_t changed_boot_ns;
	uint64_t suspends;
	struct kw_clock_steps steps;
};

/* Begins with a reading: nothing is known of what was before. */
void kw_clockwatch_begin(struct kw_clockwatch *watch, const struct kw_clock_reading *reading);
/* Whether something has changed since; then *ret_change says what, and it is told again until it is accepted. */
bool kw_clockwatch_look(struct kw_clockwatch *watch, const struct kw_clock_reading *reading,
			struct kw_clock_change *ret_change);
/* The change was declared: what comes is held against its reading. */
void kw_clockwatch_accept(struct kw_clockwatch *watch, const struct kw_clock_change *change);
