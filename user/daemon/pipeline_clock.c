/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The wall clock as a witness that may be wrong: whether it is synchronised, that it was set, that the host was
 * suspended. Looked at before records are read, so that what is read behind a step comes behind the line that
 * declares it, and what happened before it is dated by the clock of then. The order of lines is their sequence;
 * no clock has a part in it.
 */
#include <stdio.h>
#include <string.h>

#include "user/base/log.h"
#include "user/daemon/pipeline.h"

/* A clock that was set forwards is believed after so long, for what is removed by age. */
#define SETTLE_NS (3600 * KW_NSEC_PER_SEC)

void kw_pipeline_clock_init(struct kw_pipeline *pipeline, const struct kw_clock *clock)
{
	pipeline->own_clock = *clock;
	pipeline->own_clock.steps = &pipeline->clockwatch.steps;
	pipeline->clock = &pipeline->own_clock;
}

void kw_pipeline_clock_begin(struct kw_pipeline *pipeline, struct kw_gap_clock *clock,
			     struct kw_gap *gap)
{
	struct kw_clock_reading reading;

	if (kw_clock_read(pipeline->clock, &reading) < 0)
		return;
	kw_clockwatch_begin(&pipeline->clockwatch, &reading);
	*clock = (struct kw_gap_clock){ .sync = reading.sync };
	gap->clock = clock;
}

static void append_seconds(char *text, size_t size, const char *words, uint64_t ns)
{
	size_t used = strlen(text);

	(void)snprintf(text + used, size - used, "%s%s %llu.%09llu s", used ? "; " : "", words,
		       ns / KW_NSEC_PER_SEC, ns % KW_NSEC_PER_SEC);
}

static void describe(const struct kw_clock_change *change, char *reason, size_t size)
{
	int64_t step = change->step_ns;
	size_t used;

	reason[0] = '\0';
	if (change->is_step)
		append_seconds(reason, size,
			       step > 0 ? "the wall clock was set forwards by"
					: "the wall clock was set backwards by",
			       step > 0 ? (uint64_t)step : 0 - (uint64_t)step);
	if (change->is_suspend)
		append_seconds(reason, size, "the host was suspended for", change->suspended_ns);
	if (!change->is_state)
		return;
	used = strlen(reason);
	(void)snprintf(reason + used, size - used, "%s%s", used ? "; " : "",
		       change->reading.sync.state == KW_CLOCK_SYNCHRONISED
			       ? "the wall clock is synchronised now"
		       : change->reading.sync.state == KW_CLOCK_UNSYNCHRONISED
			       ? "the wall clock is not synchronised any more"
			       : "whether the wall clock is synchronised cannot be told any more");
}

int kw_pipeline_clock_look(struct kw_pipeline *pipeline)
{
	struct kw_gap gap = { .kind = KW_GAP_CLOCK, .stage = "daemon", .lost_known = true };
	struct kw_clock_reading reading;
	struct kw_clock_change change;
	struct kw_gap_clock clock;
	int r;

	if (kw_clock_read(pipeline->clock, &reading) < 0)
		return 0;
	if (!kw_clockwatch_look(&pipeline->clockwatch, &reading, &change))
		return 0;
	clock = (struct kw_gap_clock){
		.sync = reading.sync,
		.step_ns = change.step_ns,
		.after_real_ns = change.is_step ? reading.real_ns : 0,
		.before_real_ns = change.is_step ? reading.real_ns - (uint64_t)change.step_ns : 0,
		.error_ns = change.is_step || change.is_suspend ? change.error_ns : 0,
		.suspended_ns = change.suspended_ns,
	};
	gap.clock = &clock;
	gap.from_boot_ns = change.from_boot_ns;
	gap.to_boot_ns = reading.boot_ns;
	describe(&change, gap.reason, sizeof(gap.reason));
	r = kw_reconcile_gap(pipeline->reconcile, &gap, reading.boot_ns);
	if (r < 0)
		return r; /* logged where it failed; it is told again until it was declared */
	kw_clockwatch_accept(&pipeline->clockwatch, &change);
	kw_log(change.is_step ? LOG_WARNING : LOG_NOTICE, "%s", gap.reason);
	return 0;
}

const struct kw_clock_sync *kw_pipeline_clock_sync(const struct kw_pipeline *pipeline,
						   struct kw_clock_sync *ret_sync)
{
	struct kw_clock_reading reading;

	if (kw_clock_read(pipeline->clock, &reading) < 0)
		return NULL;
	*ret_sync = reading.sync;
	/* What was declared last is the state until another is. */
	ret_sync->state = pipeline->clockwatch.base.sync.state;
	return ret_sync;
}

uint64_t kw_pipeline_clock_settled_ns(const struct kw_pipeline *pipeline)
{
	return kw_clock_settled_real_ns(pipeline->clock, SETTLE_NS);
}
