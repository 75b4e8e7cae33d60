/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The arithmetic of one OOM. What must hold (measured on 6.1 and 6.12, docs/architecture.md):
 *
 *	moves of oom_kill == kills + duplicates - marked without count
 *
 * A group kill counts its chosen victim twice: oom_kill_process() kills it, then scans the group, which
 * it is in (mm/oom_kill.c, 6.12); so at most one duplicate for each move of oom_group_kill.
 * mark_oom_victim() without a count is what oom_kill_process() does to a victim that is exiting already
 * (task_will_free_mem()). Only kills with a record of their own explain a move: a lost record leaves
 * its count unexplained here, whatever else is declared about it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/reconcile/room.h"

const char *kw_verdict_name(enum kw_verdict verdict)
{
	switch (verdict) {
	case KW_VERDICT_EXPLAINED:
		return "explained";
	case KW_VERDICT_UNEXPLAINED:
		return "unexplained";
	case KW_VERDICT_UNVERIFIED:
		return "unverified";
	}
	return NULL;
}

bool kw_verdict_is_hierarchical(const struct kw_open_incident *open, bool memory_localevents)
{
	const struct kw_incident *said = &open->said;
	uint32_t flags = said->oom.owner.flags;

	/* On cgroup v1, and with memory_localevents, a count stays in the victim's own cgroup
	 * (memcg_memory_event(), include/linux/memcontrol.h, 6.12). */
	return said->end_known && said->counters_known && said->oom.flags & KW_OOM_OWNER_KNOWN &&
	       !(said->oom.flags & KW_OOM_GLOBAL) && flags & KW_CGROUP_KNOWN &&
	       !(flags & KW_CGROUP_V1) && !memory_localevents;
}

static void say(struct kw_incident *said, const char *format, ...) kw_printf(2, 3);
static void say(struct kw_incident *said, const char *format, ...)
{
	size_t used = strlen(said->words);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(said->words + used, sizeof(said->words) - used, format, arguments);
	va_end(arguments);
}

static const char *plural(int64_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

/* moved: of oom_kill; group_kills: how many duplicates there can be. Sets duplicates, and returns how
 * many moves no recorded kill explains; *ret_uncounted: marked without count. */
static int64_t balance(struct kw_incident *said, int64_t moved, int64_t group_kills,
		       int64_t *ret_uncounted)
{
	bool exact = said->end_known && said->oom.flags & KW_OOM_COUNTED_KNOWN;
	int64_t marked = said->end_known ? said->marked : said->kills;
	int64_t surplus = (exact ? (int64_t)said->counted : moved) - marked;
	int64_t duplicates = clamp(surplus, 0, group_kills);

	said->duplicates = (uint32_t)duplicates;
	*ret_uncounted = surplus < 0 ? -surplus : 0;
	return moved - ((int64_t)said->kills + duplicates - *ret_uncounted);
}

static void say_moves(struct kw_incident *said, int64_t moved, int64_t uncounted)
{
	if (said->kills == 0)
		say(said, "no kill was recorded");
	else
		say(said, "%" PRIu32 " %s killed", said->kills,
		    plural(said->kills, "process was", "processes were"));
	say(said, ", oom_kill moved by %" PRId64, moved);
	if (said->duplicates > 0)
		say(said, ": a group kill counts its first victim twice");
	if (uncounted > 0)
		say(said, "; %" PRId64 " %s exiting already, which the kernel does not count",
		    uncounted, plural(uncounted, "victim was", "victims were"));
}

static void say_faults(struct kw_open_incident *open, int64_t inside)
{
	struct kw_incident *said = &open->said;

	if (inside > 0)
		say(said, "; %" PRId64 " %s no recorded kill", inside,
		    plural(inside, "move has", "moves have"));
	if (inside < 0)
		say(said, "; %" PRId64 " recorded %s not counted", -inside,
		    plural(-inside, "kill was", "kills were"));
	if (said->lost > 0)
		say(said, " (%" PRIu32 " %s lost)", said->lost,
		    plural(said->lost, "record was", "records were"));
	if (open->between != 0)
		say(said, "; before it oom_kill moved by %" PRId64 " without a kill seen",
		    open->between);
	if (open->beyond != 0)
		say(said, "; after it memory.events moved by %" PRId64 " without a kill seen",
		    open->beyond);
}

static void say_remarks(struct kw_open_incident *open)
{
	struct kw_incident *said = &open->said;

	if (open->cgroup_gone)
		say(said, "; the cgroup was removed before its file could be read");
	else if (open->path_reused)
		say(said, "; another cgroup has its path now");
	else if (open->file_error < 0)
		say(said, "; memory.events could not be read");
	if (open->inferred)
		say(said, "; that these kills are one OOM was inferred");
	if (open->earlier_kills > 0)
		say(said, "; %" PRIu32 " recorded before a restart", open->earlier_kills);
}

static void decide_by(struct kw_open_incident *open, int64_t moved, int64_t group_kills)
{
	struct kw_incident *said = &open->said;
	int64_t uncounted;
	int64_t inside = balance(said, moved, group_kills, &uncounted);
	bool fault = inside != 0 || open->between != 0 || open->beyond != 0;

	said->unexplained = inside + open->between + open->beyond;
	said->verdict = fault ? KW_VERDICT_UNEXPLAINED : KW_VERDICT_EXPLAINED;
	say_moves(said, moved, uncounted);
	say_faults(open, inside);
}

/* No counter to hold against the kills; but kills without a record show even so. */
static void decide_without(struct kw_open_incident *open, const char *reason)
{
	struct kw_incident *said = &open->said;
	int64_t missing = said->end_known ? (int64_t)said->marked - said->kills : 0;

	said->unexplained = missing;
	said->verdict = missing != 0 ? KW_VERDICT_UNEXPLAINED : KW_VERDICT_UNVERIFIED;
	say(said, "not checked against counters: %s", reason);
	say_faults(open, missing);
}

/* Tier tracepoint: the victims' own counters, and their file. */
static void decide_local(struct kw_open_incident *open)
{
	bool group = open->said.oom.flags & KW_OOM_GROUP_KILL;

	if (open->local_cgroup.flags & KW_CGROUP_V1)
		decide_without(open, "cgroup v1 has no memory.events");
	else if (open->local_unknown)
		decide_without(open, "no count was seen in the victim's cgroup");
	else {
		int64_t moved = open->local_moved + open->beyond;

		open->beyond = 0; /* in moved already: it may be the duplicate of a group kill */
		decide_by(open, moved, group ? 1 : 0);
	}
}

static const char *why_not(const struct kw_open_incident *open, bool memory_localevents)
{
	const struct kw_incident *said = &open->said;

	if (!said->end_known)
		return "the record of its end was lost";
	if (said->oom.flags & KW_OOM_GLOBAL)
		return "the host itself was out of memory, and its counts were not seen";
	if (said->oom.owner.flags & KW_CGROUP_V1)
		return "cgroup v1 has no memory.events";
	if (memory_localevents)
		return "the mount option memory_localevents keeps counts out of the limit owner's file";
	return "the limit owner's counters could not be read";
}

void kw_verdict_decide(struct kw_open_incident *open, bool memory_localevents)
{
	struct kw_incident *said = &open->said;

	said->words[0] = '\0';
	if (kw_verdict_is_hierarchical(open, memory_localevents)) {
		int64_t group_kills = said->oom.flags & KW_OOM_GROUP_KILL ? 1 : 0;

		if (said->oom.owner_state.flags & KW_MEMCG_GROUP_KILL_KNOWN)
			group_kills = kw_account_difference(said->before.oom_group_kill,
							    said->after.oom_group_kill);
		decide_by(open, kw_account_difference(said->before.oom_kill, said->after.oom_kill),
			  clamp(group_kills, 0, INT32_MAX));
	} else if (said->end_known && said->oom.flags & KW_OOM_COUNTED_KNOWN) {
		decide_by(open, said->counted, said->oom.flags & KW_OOM_GROUP_KILL ? 1 : 0);
	} else if (!open->numbered) {
		decide_local(open);
	} else {
		decide_without(open, why_not(open, memory_localevents));
	}
	say_remarks(open);
}
