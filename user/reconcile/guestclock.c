/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A minimum-delay filter, as NTP's (RFC 5905 section 10) but one way: a frame waits in the guest, in the
 * channel and in the host's queue, and all of that only delays it. So the offset is the lower envelope of
 * what is received, and its frames are those that waited least. The slope of the envelope is the median
 * of the slopes between all pairs of windows (Theil-Sen), which three of ten late windows do not move.
 * A delay that all frames have is not told from the offset by one way alone, and is not in the error.
 */
#include "user/reconcile/guestclock.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/clock.h"

#define PPB 1000000000
/* A slope beyond this is no clock's; it only keeps sums in their range. */
#define SLOPE_MAX_PPB ((int64_t)1000 * PPB)
#define PAIRS (KW_GUESTCLOCK_WINDOWS * (KW_GUESTCLOCK_WINDOWS - 1) / 2)
/* Windows in a row above the line that are no queue any more, but a guest that stood still. */
#define STEP_WINDOWS 3
/* Fewer windows than this lie on any line by chance: they get a level one, and what it may be off by. */
#define FIT_WINDOWS 8
/* The rate that an honest clock may be off by: what adjtimex(2) allows. */
#define HONEST_PPB 500000
#define STEP_NS (100 * KW_NSEC_PER_MSEC)

static int64_t clamp(__int128 value)
{
	if (value > INT64_MAX)
		return INT64_MAX;
	return value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

static uint64_t clamp_distance(__int128 value)
{
	if (value < 0)
		return 0;
	return value > INT64_MAX ? (uint64_t)INT64_MAX : (uint64_t)value;
}

static int compare(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return a < b ? -1 : a > b;
}

/* The upper one of two middles. */
static int64_t median(int64_t *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static int64_t line_at(const struct kw_guestclock *clock, uint64_t host_ns)
{
	__int128 elapsed = (__int128)host_ns - clock->base_host_ns;

	return clamp(clock->base_delta_ns + elapsed * clock->slope_ppb / PPB);
}

static int64_t median_slope(const struct kw_guestclock *clock)
{
	int64_t slopes[PAIRS];
	size_t count = 0;

	for (uint32_t i = 0; i < clock->count; i++) {
		for (uint32_t j = i + 1; j < clock->count; j++) {
			const struct kw_guestclock_point *a = &clock->points[i],
							 *b = &clock->points[j];
			/* Above 0: a window begins after the one before it has ended. */
			__int128 elapsed = (__int128)b->host_ns - a->host_ns;
			int64_t slope =
				clamp(((__int128)b->delta_ns - a->delta_ns) * PPB / elapsed);

			if (slope > SLOPE_MAX_PPB)
				slope = SLOPE_MAX_PPB;
			slopes[count++] = slope < -SLOPE_MAX_PPB ? -SLOPE_MAX_PPB : slope;
		}
	}
	return count > 0 ? median(slopes, count) : 0;
}

/* Lays the line below the points. */
static void fit(struct kw_guestclock *clock)
{
	int64_t above[KW_GUESTCLOCK_WINDOWS], lowest;

	clock->is_known = clock->count >= KW_GUESTCLOCK_KNOWN;
	if (!clock->is_known)
		return;
	clock->slope_ppb = clock->count >= FIT_WINDOWS ? median_slope(clock) : 0;
	clock->base_host_ns = clock->points[0].host_ns;
	clock->base_delta_ns = clock->points[0].delta_ns;
	lowest = INT64_MAX;
	for (uint32_t i = 0; i < clock->count; i++) {
		const struct kw_guestclock_point *point = &clock->points[i];

		above[i] = clamp((__int128)point->delta_ns - line_at(clock, point->host_ns));
		if (above[i] < lowest)
			lowest = above[i];
	}
	clock->newest_ns = clamp_distance((__int128)above[clock->count - 1] - lowest);
	/* Half of the windows lie within the median; the truth lies within three times that, but for one
	 * frame in a thousand (tests/unit/test_reconcile_guestclock.c). */
	clock->spread_ns = clamp_distance(3 * ((__int128)median(above, clock->count) - lowest));
	clock->base_delta_ns = clamp((__int128)clock->base_delta_ns + lowest);
}

/* A guest that was stopped and goes on (a pause, a snapshot) stays above the old line for good. */
static bool has_stepped(const struct kw_guestclock *clock)
{
	if (!clock->is_known || clock->count <= STEP_WINDOWS)
		return false;
	for (uint32_t i = clock->count - STEP_WINDOWS; i < clock->count; i++) {
		const struct kw_guestclock_point *point = &clock->points[i];
		__int128 above = (__int128)point->delta_ns - line_at(clock, point->host_ns);

		if (above <= (__int128)STEP_NS + 4 * (__int128)clock->spread_ns)
			return false;
	}
	return true;
}

static void drop_oldest(struct kw_guestclock *clock, uint32_t count)
{
	clock->count -= count;
	memmove(clock->points, clock->points + count, clock->count * sizeof(clock->points[0]));
}

static void close_window(struct kw_guestclock *clock)
{
	if (clock->count == KW_GUESTCLOCK_WINDOWS)
		drop_oldest(clock, 1);
	clock->points[clock->count++] = clock->best;
	clock->is_open = false;
	if (has_stepped(clock))
		drop_oldest(clock, clock->count - STEP_WINDOWS);
	fit(clock);
}

void kw_guestclock_reset(struct kw_guestclock *clock)
{
	memset(clock, 0, sizeof(*clock));
}

void kw_guestclock_observe(struct kw_guestclock *clock, uint64_t guest_ns, uint64_t host_ns)
{
	struct kw_guestclock_point point = { .host_ns = host_ns };

	if (guest_ns > INT64_MAX || host_ns > INT64_MAX)
		return;
	point.delta_ns = (int64_t)host_ns - (int64_t)guest_ns;
	if (clock->is_open && host_ns < clock->open_host_ns)
		return;
	if (!clock->is_open && clock->count > 0 &&
	    host_ns <= clock->points[clock->count - 1].host_ns)
		return;
	if (clock->is_open && host_ns - clock->open_host_ns >= KW_GUESTCLOCK_WINDOW_NS)
		close_window(clock);
	if (!clock->is_open) {
		clock->is_open = true;
		clock->open_host_ns = host_ns;
		clock->best = point;
	} else if (point.delta_ns < clock->best.delta_ns) {
		clock->best = point;
	}
}

/* How far the slope may be off: both ends of the line by as much as points lie above it. */
static uint64_t slope_error_ppb(const struct kw_guestclock *clock)
{
	uint64_t span = clock->points[clock->count - 1].host_ns - clock->points[0].host_ns;
	__int128 twice = 2 * (__int128)clock->spread_ns;

	if (clock->count < FIT_WINDOWS)
		return HONEST_PPB;
	return clamp_distance(twice * PPB / (span > 0 ? span : 1));
}

bool kw_guestclock_estimate(const struct kw_guestclock *clock, uint64_t guest_ns, uint64_t host_ns,
			    struct kw_guestclock_estimate *ret_estimate)
{
	__int128 delta, line, error, aged, above;

	if (!clock->is_known || guest_ns > INT64_MAX || host_ns > INT64_MAX)
		return false;
	delta = (__int128)host_ns - (__int128)guest_ns;
	line = line_at(clock, host_ns);
	aged = (__int128)host_ns -
	       clock->points[clock->count < FIT_WINDOWS ? 0 : clock->count - 1].host_ns;
	if (aged < 0)
		aged = 0;
	error = clock->spread_ns > clock->newest_ns ? clock->spread_ns : clock->newest_ns;
	/* What the open window has so far: late as well, or below all that was known. */
	above = clock->is_open ? (__int128)clock->best.delta_ns - line : 0;
	if (above < 0)
		above = -above;
	if (above > error)
		error = above;
	error += aged * (__int128)slope_error_ppb(clock) / PPB + 1;
	/* No frame comes before it was sent. */
	ret_estimate->offset_ns = clamp(delta < line ? delta : line);
	ret_estimate->error_ns = clamp_distance(error);
	ret_estimate->delay_ns = clamp_distance(delta - ret_estimate->offset_ns);
	return true;
}

bool kw_guestclock_rate(const struct kw_guestclock *clock, int64_t *ret_ppb,
			uint64_t *ret_error_ppb)
{
	if (!clock->is_known || clock->count < KW_GUESTCLOCK_RATE_WINDOWS ||
	    clock->points[clock->count - 1].host_ns - clock->points[0].host_ns <
		    KW_GUESTCLOCK_RATE_SPAN_NS)
		return false;
	*ret_ppb = -clock->slope_ppb;
	*ret_error_ppb = slope_error_ppb(clock);
	return true;
}
