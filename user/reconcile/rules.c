/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules of cross-examination, in one table: on which news a rule is looked at, what must be known for
 * it, when it holds, the verdict and its words. Of one rule the first row that holds counts. Pure.
 * "Contradicted" stands only where the host's evidence excludes what the guest says; the reason stands
 * beside the row. In words, with their limits: docs/crosscheck.md.
 */
#include <errno.h>

#include "user/reconcile/witness.h"

/* What a row needs. */
enum need {
	NEED_SHARED = 1,	 /* the cell runs on the host's kernel */
	NEED_OWN = 2,		 /* it runs on its own */
	NEED_MEMORY = 4,	 /* its memory and its limit were read */
	NEED_PEAK = 8,		 /* pids.peak */
	NEED_PIDS = 16,		 /* pids.current and pids.max */
	NEED_OOM_COUNTER = 32,	 /* memory.events counts below too, and was read before and now */
	NEED_THROTTLE_HOOK = 64, /* every stall by cpu.max is told */
	NEED_POPULATED = 128,	 /* whether anybody lives in the cell's cgroup */
};

/* An event of the host's within so long before a claim, or after it, is what the claim is about. */
#define NEAR_NS (15 * KW_NSEC_PER_SEC)
/* A kill is before the word of it. Only where it was not the kernel that told the host, but a counter,
 * may it be noticed a little later. */
#define NOTICED_NS (2 * KW_NSEC_PER_SEC)
/* Bytes that a process had written before it died are read within this. */
#define DRAIN_NS KW_NSEC_PER_SEC
/* The counter stood still for so long before a claim. */
#define STILL_NS (30 * KW_NSEC_PER_SEC)
#define BUSY_NS (30 * KW_NSEC_PER_SEC)
/* A frame that was late by so much waited for the CPU. */
#define LATE_NS (20 * KW_NSEC_PER_MSEC)
/* Half of one CPU's time. */
#define STALLED_PERMILLE 500

static bool is_near(const struct kw_mark *a, const struct kw_mark *b)
{
	uint64_t apart = a->boot_ns > b->boot_ns ? a->boot_ns - b->boot_ns
						 : b->boot_ns - a->boot_ns;

	return a->boot_ns != 0 && b->boot_ns != 0 && apart <= NEAR_NS;
}

static bool always(const struct kw_case *at)
{
	(void)at;
	return true;
}

/* ---- OOM ---- */

static bool host_killed_too(const struct kw_case *at)
{
	return is_near(&at->cell->oom_claim, &at->cell->oom_kill) &&
	       at->cell->oom_kill.boot_ns <= at->cell->oom_claim.boot_ns + NOTICED_NS;
}

static bool host_killed_nothing(const struct kw_case *at)
{
	const struct kw_witnessed *cell = at->cell;

	return cell->oom_kill.boot_ns == 0 && cell->state.oom_kill == cell->oom_counter &&
	       cell->oom_claim.boot_ns >= cell->oom_counter_since_boot_ns + STILL_NS;
}

static bool memory_is_at_its_bound(const struct kw_case *at)
{
	const struct kw_state *state = &at->cell->state;

	return state->memory_max_bytes != KW_UNLIMITED &&
	       state->memory_bytes >= state->memory_max_bytes - state->memory_max_bytes / 20;
}

static bool memory_is_far_from_it(const struct kw_case *at)
{
	return at->cell->state.memory_bytes < at->cell->state.memory_max_bytes / 2;
}

static bool kill_is_claimed(const struct kw_case *at)
{
	return host_killed_too(at);
}

static bool is_empty(const struct kw_case *at)
{
	return at->cell->empty_since_boot_ns != 0;
}

static bool no_frame_since_kill(const struct kw_case *at)
{
	return at->cell->frame.boot_ns < at->cell->oom_kill.boot_ns;
}

static bool no_frame_and_empty(const struct kw_case *at)
{
	return no_frame_since_kill(at) && is_empty(at);
}

static bool never_spoke(const struct kw_case *at)
{
	return at->cell->frames == 0;
}

/* ---- a cell in which nobody lives ---- */

static bool dead_speaks(const struct kw_case *at)
{
	const struct kw_witnessed *cell = at->cell;

	/* Empty well before the frame, and after it. */
	return cell->empty_since_boot_ns != 0 &&
	       cell->frame.boot_ns > cell->empty_since_boot_ns + DRAIN_NS &&
	       cell->state.boot_ns >= cell->frame.boot_ns;
}

static bool dead_that_lived_speaks(const struct kw_case *at)
{
	return dead_speaks(at) && at->cell->was_populated;
}

/* ---- throttling ---- */

static bool host_stalled_too(const struct kw_case *at)
{
	return is_near(&at->cell->throttle_claim, &at->cell->throttle) ||
	       is_near(&at->cell->throttle_claim, &at->cell->throttle_moved);
}

static bool stall_is_claimed(const struct kw_case *at)
{
	const struct kw_witnessed *cell = at->cell;

	return cell->throttle_claim.boot_ns != 0 &&
	       cell->throttle_claim.boot_ns + KW_NSEC_PER_SEC >= cell->throttle_begin_boot_ns;
}

static bool frames_came_late(const struct kw_case *at)
{
	return at->cell->most_delay_ns >= LATE_NS &&
	       at->cell->most_delay_ns > 4 * at->cell->estimate.error_ns;
}

static bool stall_is_not_shown(const struct kw_case *at)
{
	return at->cell->stalled_permille >= STALLED_PERMILLE &&
	       at->cell->frame.boot_ns > at->cell->throttle_begin_boot_ns;
}

/* ---- processes ---- */

static bool is_at_work(const struct kw_case *at)
{
	const struct kw_witnessed *cell = at->cell;

	return cell->busy_since_boot_ns != 0 &&
	       at->now_boot_ns >= cell->busy_since_boot_ns + BUSY_NS &&
	       cell->frame.boot_ns > cell->busy_since_boot_ns;
}

static bool works_and_claims_none(const struct kw_case *at)
{
	return is_at_work(at) && at->cell->gives_processes && at->cell->processes == 0;
}

static bool works_and_named_none(const struct kw_case *at)
{
	return is_at_work(at) && !at->cell->names_processes && !at->cell->has_processes;
}

/* Named in this frame, and what the host has was read since. */
static bool has_processes(const struct kw_case *at)
{
	return (at->cell->frame_flags & KW_TELLS_PROCESSES) &&
	       at->cell->state.boot_ns >= at->cell->frame.boot_ns;
}

static bool more_than_ever_were(const struct kw_case *at)
{
	return has_processes(at) && at->cell->is_counted &&
	       at->cell->processes > at->cell->state.pids_peak;
}

static bool perhaps_more_than_ever_were(const struct kw_case *at)
{
	return has_processes(at) && at->cell->processes > at->cell->state.pids_peak;
}

static bool more_than_may_be(const struct kw_case *at)
{
	return has_processes(at) && !(at->cell->state.known & KW_STATE_PIDS_PEAK) &&
	       at->cell->processes > at->cell->state.pids_max &&
	       at->cell->processes > at->cell->state.pids;
}

/* ---- frames ---- */

#define DEFINE_FLAG(name, flag)                                                                    \
	static bool name(const struct kw_case *at)                                                 \
	{                                                                                          \
		return at->cell->frame_flags & (flag);                                             \
	}
DEFINE_FLAG(rate_is_wrong, KW_TELLS_CLOCK_RATE)
DEFINE_FLAG(ran_back, KW_TELLS_BACK)
DEFINE_FLAG(ran_back_in_one_boot, KW_TELLS_BACK_SAME)
DEFINE_FLAG(ran_back_maybe_booted, KW_TELLS_BACK_OTHER)
DEFINE_FLAG(is_repeated, KW_TELLS_REPEATED)
DEFINE_FLAG(has_dropped, KW_TELLS_DROPPED)
DEFINE_FLAG(is_new_boot, KW_TELLS_NEW_BOOT)
DEFINE_FLAG(is_old_boot, KW_TELLS_OLD_BOOT)

static bool is_missing(const struct kw_case *at)
{
	return at->cell->missing > at->cell->refused;
}

#define AT(member) offsetof(struct kw_witnessed, member)

static const struct kw_rule_row rows[] = {
	{ KW_RULE_OOM_CLAIMED, "oom_claimed", KW_NEWS_OOM_CLAIM, 0, host_killed_too,
	  KW_CROSSCHECK_CONFIRMED, AT(oom_claim), AT(oom_kill), NULL, 0,
	  "The guest reports an OOM kill, and at that time the host's kernel killed in this cell: the report fits." },
	/* One kernel, one counter: each kill below the cell moves memory.events of the cell. */
	{ KW_RULE_OOM_CLAIMED, "oom_claimed", KW_NEWS_OOM_CLAIM, NEED_SHARED | NEED_OOM_COUNTER,
	  host_killed_nothing, KW_CROSSCHECK_CONTRADICTED, AT(oom_claim), AT(reading), NULL, 0,
	  "The guest reports an OOM kill, but it runs on the host's kernel, and that has counted none in this cell: the report is not true." },
	{ KW_RULE_OOM_CLAIMED, "oom_claimed", KW_NEWS_OOM_CLAIM, NEED_MEMORY,
	  memory_is_at_its_bound, KW_CROSSCHECK_UNVERIFIABLE, AT(oom_claim), AT(reading), NULL, 0,
	  "The guest reports an OOM kill, and the host sees the cell's memory at its bound: it fits, but a guest kernel's own kills move no counter of the host." },
	{ KW_RULE_OOM_CLAIMED, "oom_claimed", KW_NEWS_OOM_CLAIM, NEED_MEMORY, memory_is_far_from_it,
	  KW_CROSSCHECK_UNVERIFIABLE, AT(oom_claim), AT(reading), NULL, 0,
	  "The guest reports an OOM kill while the host sees the cell's memory nowhere near its bound: a limit inside the guest may have been hit, the host's was not." },
	{ KW_RULE_OOM_CLAIMED, "oom_claimed", KW_NEWS_OOM_CLAIM, 0, always,
	  KW_CROSSCHECK_UNVERIFIABLE, AT(oom_claim), AT(reading), NULL, 0,
	  "The guest reports an OOM kill; the host saw none in this cell, and what it saw neither supports nor excludes one inside the guest." },

	{ KW_RULE_OOM_UNSAID, "oom_unsaid", KW_NEWS_OOM_KILL, 0, kill_is_claimed,
	  KW_CROSSCHECK_VERDICT_COUNT_, 0, 0, NULL, 0, NULL },
	{ KW_RULE_OOM_UNSAID, "oom_unsaid", KW_NEWS_OOM_KILL, 0, never_spoke,
	  KW_CROSSCHECK_VERDICT_COUNT_, 0, 0, NULL, 0, NULL },
	{ KW_RULE_OOM_UNSAID, "oom_unsaid", KW_NEWS_OOM_KILL, NEED_POPULATED, no_frame_and_empty,
	  KW_CROSSCHECK_SILENT, AT(frame), AT(oom_kill), NULL, 0,
	  "The host's kernel OOM-killed in this cell, nobody lives in it any more, and the guest has said nothing since: it was killed." },
	{ KW_RULE_OOM_UNSAID, "oom_unsaid", KW_NEWS_OOM_KILL, 0, no_frame_since_kill,
	  KW_CROSSCHECK_SILENT, AT(frame), AT(oom_kill), NULL, 0,
	  "The host's kernel OOM-killed in this cell, and the guest has said nothing since: what was killed may have been its voice." },
	{ KW_RULE_OOM_UNSAID, "oom_unsaid", KW_NEWS_OOM_KILL, NEED_OWN, always,
	  KW_CROSSCHECK_SILENT, AT(frame), AT(oom_kill), NULL, 0,
	  "The host's kernel OOM-killed in this cell, and the guest goes on without a word of it: it has a kernel of its own and may not know." },
	{ KW_RULE_OOM_UNSAID, "oom_unsaid", KW_NEWS_OOM_KILL, 0, always, KW_CROSSCHECK_SILENT,
	  AT(frame), AT(oom_kill), NULL, 0,
	  "The host's kernel OOM-killed in this cell, and the guest goes on without a word of it: do not take its silence for all being well." },

	/* A process in no cgroup of the cell cannot be the cell's; what it had sent before is drained. */
	{ KW_RULE_DEAD_SPEAKS, "dead_speaks", KW_NEWS_FRAME, NEED_POPULATED, dead_that_lived_speaks,
	  KW_CROSSCHECK_CONTRADICTED, AT(frame), AT(oom_kill), NULL, 0,
	  "Frames come from a cell whose processes are all gone: somebody else speaks in its name, do not believe them." },
	{ KW_RULE_DEAD_SPEAKS, "dead_speaks", KW_NEWS_FRAME, NEED_POPULATED, dead_speaks,
	  KW_CROSSCHECK_UNVERIFIABLE, AT(frame), AT(reading), NULL, 0,
	  "Frames come from a cell in whose cgroup no process was ever seen: its processes are elsewhere, or somebody else speaks in its name." },

	{ KW_RULE_THROTTLE_CLAIMED, "throttle_claimed", KW_NEWS_THROTTLE_CLAIM, 0, host_stalled_too,
	  KW_CROSSCHECK_CONFIRMED, AT(throttle_claim), AT(throttle), NULL, 0,
	  "The guest reports throttling, and at that time the host stalled this cell by its quota: the report fits." },
	/* One kernel, and each stall of a cgroup in the cell or above it is told by a hook. */
	{ KW_RULE_THROTTLE_CLAIMED, "throttle_claimed", KW_NEWS_THROTTLE_CLAIM,
	  NEED_SHARED | NEED_THROTTLE_HOOK, always, KW_CROSSCHECK_CONTRADICTED, AT(throttle_claim),
	  AT(reading), NULL, 0,
	  "The guest reports throttling, but it runs on the host's kernel, and no quota stalled this cell: the report is not true." },
	{ KW_RULE_THROTTLE_CLAIMED, "throttle_claimed", KW_NEWS_THROTTLE_CLAIM, 0, always,
	  KW_CROSSCHECK_UNVERIFIABLE, AT(throttle_claim), AT(reading), NULL, 0,
	  "The guest reports throttling, and the host saw no stall by a quota: its own kernel may have throttled it, or the host's CPUs were busy." },

	{ KW_RULE_THROTTLE_UNSAID, "throttle_unsaid", KW_NEWS_THROTTLE, 0, stall_is_claimed,
	  KW_CROSSCHECK_VERDICT_COUNT_, 0, 0, NULL, 0, NULL },
	{ KW_RULE_THROTTLE_UNSAID, "throttle_unsaid", KW_NEWS_THROTTLE, 0, frames_came_late,
	  KW_CROSSCHECK_CONFIRMED, AT(frame), AT(throttle), "delayNs", AT(most_delay_ns),
	  "The host stalled this cell by its quota, and the guest's frames came late meanwhile: its clock shows the stall." },
	{ KW_RULE_THROTTLE_UNSAID, "throttle_unsaid", KW_NEWS_THROTTLE, 0, stall_is_not_shown,
	  KW_CROSSCHECK_SILENT, AT(frame), AT(throttle), "stalledPermille", AT(stalled_permille),
	  "The host stalled this cell for much of its time, and neither the guest's words nor its clock show it: it does not know, or does not tell." },

	/* One kernel: whoever uses the CPU in the cell is a process in it. */
	{ KW_RULE_NO_PROCESS, "no_process", KW_NEWS_READING, NEED_SHARED, works_and_claims_none,
	  KW_CROSSCHECK_CONTRADICTED, AT(process_claim), AT(reading), NULL, 0,
	  "The guest says that no process is there, and the host sees the cell at work: something runs that the guest hides or cannot see." },
	{ KW_RULE_NO_PROCESS, "no_process", KW_NEWS_READING, 0, works_and_claims_none,
	  KW_CROSSCHECK_UNVERIFIABLE, AT(process_claim), AT(reading), NULL, 0,
	  "The guest says that no process is there, and the host sees the cell at work: the guest's kernel or the VMM may be what works." },
	{ KW_RULE_NO_PROCESS, "no_process", KW_NEWS_READING, 0, works_and_named_none,
	  KW_CROSSCHECK_SILENT, AT(frame), AT(reading), NULL, 0,
	  "The host sees the cell at work, and the guest speaks but has named no process: what works there is not in its account." },

	/* pids.peak counts threads as well, so never less than the processes that were there at one time. */
	{ KW_RULE_TOO_MANY_PROCESSES, "too_many_processes", KW_NEWS_FRAME, NEED_SHARED | NEED_PEAK,
	  more_than_ever_were, KW_CROSSCHECK_CONTRADICTED, AT(process_claim), AT(reading),
	  "claimedProcesses", AT(processes),
	  "The guest names more processes than were ever in the cell at one time: some of them do not exist." },
	{ KW_RULE_TOO_MANY_PROCESSES, "too_many_processes", KW_NEWS_FRAME, NEED_SHARED | NEED_PEAK,
	  perhaps_more_than_ever_were, KW_CROSSCHECK_UNVERIFIABLE, AT(process_claim), AT(reading),
	  "claimedProcesses", AT(processes),
	  "The guest names more processes than were ever in the cell at one time, but its frames are not numbered, or not all came: ends of processes may be missing." },
	{ KW_RULE_TOO_MANY_PROCESSES, "too_many_processes", KW_NEWS_FRAME, NEED_SHARED | NEED_PIDS,
	  more_than_may_be, KW_CROSSCHECK_UNVERIFIABLE, AT(process_claim), AT(reading),
	  "claimedProcesses", AT(processes),
	  "The guest names more processes than pids.max allows in the cell and than are in it: only processes that were moved into it could be so many." },

	{ KW_RULE_SILENT_AT_WORK, "silent_at_work", KW_NEWS_SILENCE, 0, always,
	  KW_CROSSCHECK_SILENT, AT(silence), AT(reading), NULL, 0,
	  "The guest has fallen silent, and the host sees the cell at work: its agent was stopped, cut off or starved." },

	/* adjtimex(2) lets no clock run faster or slower than 500 ppm; delays do not grow for ever. */
	{ KW_RULE_CLOCK_RATE, "clock_rate", KW_NEWS_FRAME, 0, rate_is_wrong,
	  KW_CROSSCHECK_CONTRADICTED, AT(frame), 0, "ratePpb", AT(rate_ppb),
	  "The guest's times pass faster or slower than the host's by more than any honest clock: its clock lies, or its frames wait longer and longer; order nothing by its times." },

	/* clock_gettime(2): CLOCK_MONOTONIC does not go back, and no connection survives a boot. */
	{ KW_RULE_CLOCK_BACK, "clock_back", KW_NEWS_FRAME, 0, ran_back, KW_CROSSCHECK_CONTRADICTED,
	  AT(frame), 0, NULL, 0,
	  "The guest's clock ran back within one connection: old frames are sent again, or the times are made up." },
	/* The same, and its boot id says that it did not boot. */
	{ KW_RULE_CLOCK_BACK, "clock_back", KW_NEWS_FRAME, 0, ran_back_in_one_boot,
	  KW_CROSSCHECK_CONTRADICTED, AT(frame), 0, NULL, 0,
	  "The guest's clock ran back within one boot: it was restored from a snapshot or cloned, or old frames are sent again." },
	{ KW_RULE_CLOCK_BACK, "clock_back", KW_NEWS_FRAME, 0, ran_back_maybe_booted,
	  KW_CROSSCHECK_UNVERIFIABLE, AT(frame), 0, NULL, 0,
	  "The guest's clock began anew on another connection: it booted, was restored from a snapshot, or old frames are sent again; it sends no boot id that would tell." },

	/* A stream keeps its order, and an agent numbers each frame of a connection once. */
	{ KW_RULE_REPEATED, "repeated", KW_NEWS_FRAME, 0, is_repeated, KW_CROSSCHECK_CONTRADICTED,
	  AT(frame), 0, NULL, 0,
	  "A frame came whose number was there before on its connection: it is sent again, or made up." },

	{ KW_RULE_MISSING, "missing", KW_NEWS_GAP, 0, is_missing, KW_CROSSCHECK_SILENT, AT(frame),
	  0, "missingFrames", AT(missing),
	  "Numbers are missing between the guest's frames, more than the host has refused: the agent did not send what it had numbered." },
	{ KW_RULE_DROPPED, "dropped", KW_NEWS_FRAME, 0, has_dropped, KW_CROSSCHECK_SILENT,
	  AT(frame), 0, "droppedFrames", AT(dropped),
	  "The guest's agent says that it has dropped frames: what they would have said is not known." },

	/* A boot id is random: one that was over does not come again by booting. */
	{ KW_RULE_BOOT_CHANGED, "boot_changed", KW_NEWS_FRAME, 0, is_old_boot,
	  KW_CROSSCHECK_CONTRADICTED, AT(frame), 0, NULL, 0,
	  "Two boots speak in turns in one run of this cell: it was cloned or restored from a snapshot, or somebody else speaks in its name." },
	{ KW_RULE_BOOT_CHANGED, "boot_changed", KW_NEWS_FRAME, 0, is_new_boot,
	  KW_CROSSCHECK_UNVERIFIABLE, AT(frame), 0, NULL, 0,
	  "Another boot speaks in the same run of this cell: it booted anew, was restored from a snapshot, or another guest took its place." },
};

static bool has(const struct kw_state *state, uint32_t known)
{
	return (state->known & known) == known;
}

static bool is_known(const struct kw_case *at, uint32_t needs)
{
	const struct kw_witnessed *cell = at->cell;
	const struct kw_state empty = { 0 };
	const struct kw_state *state = cell->has_state ? &cell->state : &empty;

	return !((needs & NEED_SHARED) && cell->cell.kernel != KW_KERNEL_SHARED) &&
	       !((needs & NEED_OWN) && cell->cell.kernel != KW_KERNEL_OWN) &&
	       !((needs & NEED_MEMORY) && !has(state, KW_STATE_MEMORY | KW_STATE_MEMORY_MAX)) &&
	       !((needs & NEED_PEAK) && !has(state, KW_STATE_PIDS_PEAK)) &&
	       !((needs & NEED_PIDS) && !has(state, KW_STATE_PIDS | KW_STATE_PIDS_MAX)) &&
	       !((needs & NEED_OOM_COUNTER) && (at->memory_localevents || !cell->has_oom_counter ||
						!has(state, KW_STATE_OOM_KILL))) &&
	       !((needs & NEED_THROTTLE_HOOK) && !at->sees_throttling) &&
	       !((needs & NEED_POPULATED) && !state->is_gone && !has(state, KW_STATE_POPULATED));
}

const struct kw_rule_row *kw_rules_judge(enum kw_rule rule, uint32_t news, const struct kw_case *at)
{
	for (size_t i = 0; i < kw_array_size(rows); i++) {
		const struct kw_rule_row *row = &rows[i];

		if (row->rule != rule || !(row->news & news) || !is_known(at, row->needs) ||
		    !row->holds(at))
			continue;
		/* Said by another rule, or nothing to say. */
		return row->verdict == KW_CROSSCHECK_VERDICT_COUNT_ ? NULL : row;
	}
	return NULL;
}

const struct kw_rule_row *kw_rules_row(size_t index)
{
	return index < kw_array_size(rows) ? &rows[index] : NULL;
}

const char *kw_crosscheck_verdict_name(enum kw_crosscheck_verdict verdict)
{
	static const char *const names[] = {
		[KW_CROSSCHECK_CONFIRMED] = "confirmed",
		[KW_CROSSCHECK_CONTRADICTED] = "contradicted",
		[KW_CROSSCHECK_UNVERIFIABLE] = "unverifiable",
		[KW_CROSSCHECK_SILENT] = "silent",
	};

	return (unsigned int)verdict < kw_array_size(names) ? names[verdict] : NULL;
}
