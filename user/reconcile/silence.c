/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A guest that says nothing for longer than its window: told once a silence, with what the host saw of the
 * cell meanwhile, and once more when it speaks again. An agent that does not send heartbeats says nothing
 * when nothing happens, so its silence is "quiet" where the host saw an idle cell; heartbeats that stop
 * are "silenced" whatever the cell does. The window: elapsed strictly greater.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/reconcile/room.h"
#include "user/reconcile/witness.h"

/* Less says nothing about what a cell does. */
#define SPAN_MIN_NS KW_NSEC_PER_SEC

static uint64_t window_of(const struct kw_reconcile *reconcile, const struct kw_witnessed *cell)
{
	if (cell->cell.silence_seconds)
		return cell->cell.silence_seconds * KW_NSEC_PER_SEC;
	return reconcile->options.silence_ns;
}

static bool has_channel(const struct kw_cell *cell)
{
	return cell->vsock_uds_base[0] || cell->vsock_cid;
}

static uint64_t since(const struct kw_witnessed *cell)
{
	return cell->frames ? cell->frame.boot_ns : cell->registered_boot_ns;
}

uint64_t kw_silence_deadline(const struct kw_reconcile *reconcile, const struct kw_witnessed *cell)
{
	uint64_t window = window_of(reconcile, cell), deadline;

	if (cell->is_over)
		return 0;
	if (cell->is_silent || window == 0 || !has_channel(&cell->cell) ||
	    __builtin_add_overflow(since(cell), window + 1, &deadline))
		return UINT64_MAX;
	return deadline;
}

/* What the cell used of the CPU: since the first reading behind its last frame, else since the last one
 * before it. */
static void measure_cpu(const struct kw_witnessed *cell, struct kw_silence *silence)
{
	uint64_t boot_ns = cell->base_boot_ns, usec = cell->base_cpu_usec;

	if (boot_ns == 0 || cell->state.boot_ns < boot_ns + SPAN_MIN_NS) {
		boot_ns = cell->before_boot_ns;
		usec = cell->before_cpu_usec;
	}
	if (!(cell->state.known & KW_STATE_CPU) || boot_ns == 0 || cell->state.cpu_usec < usec ||
	    cell->state.boot_ns < boot_ns + SPAN_MIN_NS)
		return;
	silence->cpu_known = true;
	silence->cpu_usec = cell->state.cpu_usec - usec;
	silence->cpu_span_ns = cell->state.boot_ns - boot_ns;
}

static bool used_the_cpu(const struct kw_silence *silence)
{
	return silence->cpu_known && silence->cpu_usec >= silence->cpu_span_ns / KW_NSEC_PER_MSEC *
								  KW_SILENCE_WORK_PERMILLE;
}

static void judge(const struct kw_witnessed *cell, struct kw_silence *silence)
{
	uint64_t from = since(cell);

	if (!silence->state) {
		silence->words =
			"The guest says nothing, and the host cannot see its cgroup: why, is not known.";
		return;
	}
	silence->is_judged = true;
	measure_cpu(cell, silence);
	if (cell->empty_since_boot_ns) {
		silence->words =
			"The guest says nothing, and no process is in its cgroup: it has ended, or not begun.";
		return;
	}
	silence->is_silenced = true;
	if (cell->oom_kill.boot_ns > from)
		silence->words =
			"The guest says nothing since the host's kernel OOM-killed in its cell: what was killed may have been its voice.";
	else if (cell->throttle.boot_ns > from)
		silence->words =
			"The guest says nothing, and the host stalls its cell by a quota: it works, or would.";
	else if (used_the_cpu(silence))
		silence->words =
			"The guest says nothing, and the host sees its cell at work: its agent was stopped, cut off or starved.";
	else if (cell->sends_heartbeats)
		silence->words =
			"The guest's heartbeats have stopped, and the host sees its cell idle: the guest is paused, hangs, or its agent is gone.";
	else if (silence->cpu_known) {
		silence->is_silenced = false;
		silence->words =
			"The guest says nothing, and the host sees its cell idle: it may have nothing to say.";
	} else {
		silence->is_judged = false;
		silence->words =
			"The guest says nothing, and the host has not seen long enough whether its cell works.";
	}
}

static int emit(struct kw_reconcile *reconcile, const struct kw_silence *silence, uint64_t boot_ns)
{
	struct kw_finding finding = { .kind = KW_FINDING_SILENCE,
				      .boot_ns = boot_ns,
				      .silence = silence };

	return reconcile->options.finding(reconcile->options.context, &finding);
}

/* Takes the id that the event just said has. */
static void take_id(struct kw_reconcile *reconcile, char ret_id[static 40])
{
	memcpy(ret_id, reconcile->claims->said_id, 40);
	reconcile->claims->said_id[0] = '\0';
}

static int say_begin(struct kw_reconcile *reconcile, struct kw_witnessed *cell, uint64_t now)
{
	struct kw_silence silence = {
		.cell = &cell->cell,
		.window_ns = window_of(reconcile, cell),
		.since_boot_ns = since(cell),
		.frames = cell->frames,
		.sends_heartbeats = cell->sends_heartbeats,
	};
	int r;

	memcpy(silence.frame_id, cell->frame.id, sizeof(silence.frame_id));
	if (kw_claims_look(reconcile, cell, now, 0))
		silence.state = &cell->state;
	judge(cell, &silence);
	r = emit(reconcile, &silence, now);
	if (r < 0)
		return r;
	cell->is_silent = true;
	cell->silence.boot_ns = now;
	take_id(reconcile, cell->silence.id);
	if (silence.is_judged && silence.is_silenced)
		kw_claims_judge(reconcile, cell, KW_NEWS_SILENCE, now);
	return 0;
}

static int say_end(struct kw_reconcile *reconcile, struct kw_witnessed *cell)
{
	struct kw_silence silence = {
		.cell = &cell->cell,
		.is_over = true,
		.window_ns = window_of(reconcile, cell),
		.since_boot_ns = cell->silence.boot_ns,
		.frames = cell->frames,
		.sends_heartbeats = cell->sends_heartbeats,
		.words = "The guest speaks again.",
	};
	int r;

	memcpy(silence.frame_id, cell->frame.id, sizeof(silence.frame_id));
	memcpy(silence.silence_id, cell->silence.id, sizeof(silence.silence_id));
	r = emit(reconcile, &silence, cell->frame.boot_ns);
	if (r < 0)
		return r;
	reconcile->claims->said_id[0] = '\0';
	cell->is_silent = false;
	cell->is_over = false;
	return 0;
}

int kw_silence_due(struct kw_reconcile *reconcile, struct kw_witnessed *cell, uint64_t now)
{
	if (cell->is_over)
		return say_end(reconcile, cell);
	if (kw_silence_deadline(reconcile, cell) > now)
		return 0;
	return say_begin(reconcile, cell, now);
}

/* ---- across a restart of the daemon ---- */

int kw_reconcile_resume_silence(struct kw_reconcile *reconcile, const char *cell_id,
				const char *run_id, const char *event_id, uint64_t boot_ns)
{
	struct kw_claims *claims = reconcile->claims;
	struct kw_earlier_silence *earlier;

	if (claims->earlier_count >= KW_CELLS_MAX)
		return 0;
	if (!claims->earlier)
		claims->earlier = calloc(KW_CELLS_MAX, sizeof(*claims->earlier));
	if (!claims->earlier)
		return -ENOMEM;
	earlier = &claims->earlier[claims->earlier_count++];
	(void)snprintf(earlier->cell_id, sizeof(earlier->cell_id), "%s", cell_id);
	(void)snprintf(earlier->run_id, sizeof(earlier->run_id), "%s", run_id);
	(void)snprintf(earlier->mark.id, sizeof(earlier->mark.id), "%s", event_id);
	earlier->mark.boot_ns = boot_ns;
	return 0;
}

void kw_silence_resume(struct kw_claims *claims, struct kw_witnessed *cell)
{
	for (size_t i = 0; i < claims->earlier_count; i++) {
		struct kw_earlier_silence *earlier = &claims->earlier[i];

		if (earlier->mark.boot_ns == 0 ||
		    strcmp(earlier->cell_id, cell->cell.cell_id) != 0 ||
		    strcmp(earlier->run_id, cell->cell.run_id) != 0)
			continue;
		cell->is_silent = true;
		cell->silence = earlier->mark;
		earlier->mark.boot_ns = 0; /* a later registration of the cell begins anew */
		return;
	}
}
