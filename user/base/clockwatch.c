/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Steps and suspends, from the distances between clocks. CLOCK_MONOTONIC, CLOCK_BOOTTIME and CLOCK_REALTIME run
 * at one rate, which NTP slews for all three; only setting the clock (and a leap second) moves REALTIME against
 * BOOTTIME, and only a suspend moves BOOTTIME against MONOTONIC, with REALTIME going along (kernel/time/timekeeping.c:
 * do_settimeofday64(), timekeeping_inject_offset(), timekeeping_inject_sleeptime64(); 6.1 and 6.12). So a
 * distance that has moved is a step, however slowly the clock is being corrected, and no drift adds up.
 */
#include "user/base/clockwatch.h"

void kw_clockwatch_begin(struct kw_clockwatch *watch, const struct kw_clock_reading *reading)
{
	*watch = (struct kw_clockwatch){ .base = *reading, .last = *reading };
}

/* a's lead over b, now less then. Unsigned: what wraps comes back. */
static int64_t moved(uint64_t a_now, uint64_t b_now, uint64_t a_then, uint64_t b_then)
{
	return (int64_t)((a_now - b_now) - (a_then - b_then));
}

bool kw_clockwatch_look(struct kw_clockwatch *watch, const struct kw_clock_reading *reading,
			struct kw_clock_change *ret_change)
{
	const struct kw_clock_reading *base = &watch->base;
	uint64_t error = base->error_ns + reading->error_ns;
	int64_t least = (int64_t)(KW_CLOCKWATCH_STEP_MIN_NS + error);
	int64_t step = moved(reading->real_ns, reading->boot_ns, base->real_ns, base->boot_ns);
	int64_t suspended =
		moved(reading->boot_ns, reading->monotonic_ns, base->boot_ns, base->monotonic_ns);
	struct kw_clock_change change = {
		.is_step = step >= least || step <= -least,
		.is_suspend = suspended >= least,
		.is_state = reading->sync.state != base->sync.state,
		.error_ns = error,
		.from_boot_ns = watch->last.boot_ns,
		.reading = *reading,
	};

	if (watch->has_change && reading->boot_ns - watch->changed_boot_ns < KW_CLOCKWATCH_QUIET_NS)
		return false;
	if (!change.is_step && !change.is_suspend && !change.is_state) {
		watch->last = *reading;
		return false;
	}
	if (change.is_step)
		change.step_ns = step;
	if (change.is_suspend)
		change.suspended_ns = (uint64_t)suspended;
	*ret_change = change;
	return true;
}

void kw_clockwatch_accept(struct kw_clockwatch *watch, const struct kw_clock_change *change)
{
	struct kw_clock_steps *steps = &watch->steps;

	if (change->is_step) {
		steps->last[steps->count % KW_CLOCK_STEPS_MAX] = (struct kw_clock_step){
			.from_boot_ns = change->from_boot_ns,
			.to_boot_ns = change->reading.boot_ns,
			.by_ns = change->step_ns,
		};
		steps->count++;
	}
	watch->suspends += change->is_suspend;
	/* What is too little to be told goes on adding up. */
	if (change->is_step || change->is_suspend)
		watch->base = change->reading;
	watch->base.sync = change->reading.sync;
	watch->last = change->reading;
	watch->has_change = true;
	watch->changed_boot_ns = change->reading.boot_ns;
}
