/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * How a guest's CLOCK_MONOTONIC lies to the host's CLOCK_BOOTTIME, told from one-way frames; private to
 * reconcile. Pure: integers in, integers out, no clock is read.
 */
#include <stdbool.h>
#include <stdint.h>

#include <kwitness/limits.h>

#include "user/reconcile/reconcile.h"

/* The least delayed frame of one window. delta = host - guest = offset + delay, and no delay is below 0. */
struct kw_guestclock_point {
	uint64_t host_ns;
	int64_t delta_ns;
};

struct kw_guestclock {
	uint32_t count; /* closed windows, oldest first */
	struct kw_guestclock_point points[KW_GUESTCLOCK_WINDOWS];
	bool is_open; /* a window is being filled */
	uint64_t open_host_ns;
	struct kw_guestclock_point best; /* of the open one */
	/* The line below the points: base_delta_ns at base_host_ns, rising by slope_ppb. */
	bool is_known;
	int64_t slope_ppb;
	uint64_t base_host_ns;
	int64_t base_delta_ns;
	uint64_t spread_ns; /* three times from the line to the median of the points */
	uint64_t newest_ns; /* from the line to the newest point: it waited, or the clock was set */
};

/* All zero is a clock of which nothing is known; so does this. */
void kw_guestclock_reset(struct kw_guestclock *clock);
/* A frame stamped guest_ns was received at host_ns (boot time). A stamp that no clock can show (2^63 and
 * above) and a host time that goes back are left out. */
void kw_guestclock_observe(struct kw_guestclock *clock, uint64_t guest_ns, uint64_t host_ns);
/* For a frame just observed. False: not known yet (fewer than KW_GUESTCLOCK_KNOWN windows). */
bool kw_guestclock_estimate(const struct kw_guestclock *clock, uint64_t guest_ns, uint64_t host_ns,
			    struct kw_guestclock_estimate *ret_estimate);
/* By how much the guest's clock runs fast (negative: slow) against the host's, and how far that may be
 * off; parts in 10^9. False: too little was seen (KW_GUESTCLOCK_RATE_WINDOWS, _RATE_SPAN_NS). */
bool kw_guestclock_rate(const struct kw_guestclock *clock, int64_t *ret_ppb,
			uint64_t *ret_error_ppb);
