/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs of another build are replaced without a moment in which nothing is attached: so for some
 * milliseconds both see the same OOM, under numbers of their own. Told once, it is told by the old ones:
 * their ring is read to its end first. What they have told since the first of the new ones was attached
 * is remembered here, and the new ring's records of the same occurrence are dropped. That it is the same
 * can be decided exactly:
 *
 *   - a task is marked at most once (mark_oom_victim(), mm/oom_kill.c, tests and sets the thread's
 *     mm or TIF_MEMDIE), and thread id and start time name it for the whole boot;
 *   - OOMs are serialised by oom_lock, so two ends whose spans of time touch are one OOM.
 *
 * An OOM that the old programs saw begin but not end has its end from the new ones: that is then given
 * the number under which its kills were told.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <string.h>

/* After the old ring was closed, the new programs' records of what stood in it come at once: the two run
 * one after the other on the same CPU. This is for a machine that stands still. */
#define REMEMBER_NS (60 * KW_NSEC_PER_SEC)

struct told_kill {
	uint32_t tid;
	uint64_t start_boot_ns;
	uint64_t incident;
};

struct told_end {
	uint64_t begin_boot_ns;
	uint64_t end_boot_ns;
};

struct kw_handover {
	uint64_t from_boot_ns;
	uint64_t closed_boot_ns; /* 0: the old ring is still being read */
	struct told_kill kills[KW_HANDOVER_KILLS_MAX];
	size_t kill_count;
	struct told_end ends[KW_HANDOVER_KILLS_MAX];
	size_t end_count;
	/* the new programs' incident that was last found to be one of the old ones' */
	uint64_t ours;
	uint64_t theirs;
	union {
		struct kw_record_oom_kill kill;
		struct kw_record_oom_end end;
	} renumbered;
};

int kw_handover_begin(struct kw_hooks *hooks, uint64_t from_boot_ns)
{
	hooks->handover = calloc(1, sizeof(*hooks->handover));
	if (!hooks->handover)
		return -ENOMEM;
	hooks->handover->from_boot_ns = from_boot_ns;
	return 0;
}

void kw_handover_free(struct kw_hooks *hooks)
{
	free(hooks->handover);
	hooks->handover = NULL;
}

void kw_handover_told(struct kw_handover *handover, const struct kw_observation *observation)
{
	if (observation->boot_ns < handover->from_boot_ns)
		return;
	if (observation->kind == KW_OBSERVATION_OOM_KILL &&
	    handover->kill_count < KW_HANDOVER_KILLS_MAX)
		handover->kills[handover->kill_count++] = (struct told_kill){
			.tid = observation->kill->victim.task.tid,
			.start_boot_ns = observation->kill->victim.start_boot_ns,
			.incident = observation->kill->oom.incident,
		};
	if (observation->kind == KW_OBSERVATION_OOM_END &&
	    handover->end_count < KW_HANDOVER_KILLS_MAX)
		handover->ends[handover->end_count++] = (struct told_end){
			.begin_boot_ns = observation->end->begin_boot_ns,
			.end_boot_ns = observation->boot_ns,
		};
}

static bool is_kill_news(struct kw_handover *handover, struct kw_observation *observation)
{
	const struct kw_record_oom_kill *kill = observation->kill;

	for (size_t i = 0; i < handover->kill_count; i++) {
		const struct told_kill *told = &handover->kills[i];

		if (told->tid != kill->victim.task.tid ||
		    told->start_boot_ns != kill->victim.start_boot_ns)
			continue;
		if (kill->oom.incident && told->incident) {
			handover->ours = kill->oom.incident;
			handover->theirs = told->incident;
		}
		return false;
	}
	if (kill->oom.incident && kill->oom.incident == handover->ours) {
		handover->renumbered.kill = *kill;
		handover->renumbered.kill.oom.incident = handover->theirs;
		observation->kill = &handover->renumbered.kill;
	}
	return true;
}

static bool is_end_news(struct kw_handover *handover, struct kw_observation *observation)
{
	const struct kw_record_oom_end *end = observation->end;

	for (size_t i = 0; i < handover->end_count; i++) {
		if (handover->ends[i].begin_boot_ns <= observation->boot_ns &&
		    end->begin_boot_ns <= handover->ends[i].end_boot_ns)
			return false;
	}
	if (end->oom.incident == handover->ours) {
		handover->renumbered.end = *end;
		handover->renumbered.end.oom.incident = handover->theirs;
		observation->end = &handover->renumbered.end;
	}
	return true;
}

bool kw_handover_is_news(struct kw_handover *handover, struct kw_observation *observation)
{
	switch (observation->kind) {
	case KW_OBSERVATION_OOM_KILL:
		return is_kill_news(handover, observation);
	case KW_OBSERVATION_OOM_END:
		return is_end_news(handover, observation);
	default:
		return true;
	}
}

void kw_handover_close(struct kw_handover *handover, uint64_t now_boot_ns)
{
	handover->closed_boot_ns = now_boot_ns;
}

bool kw_handover_is_over(const struct kw_handover *handover, uint64_t now_boot_ns)
{
	return handover->closed_boot_ns && now_boot_ns > handover->closed_boot_ns + REMEMBER_NS;
}
