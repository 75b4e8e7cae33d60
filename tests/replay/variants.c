/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What must come out when a recording does not arrive as it was recorded: every record twice, one missing,
 * the daemon killed in between, bytes changed. The victims themselves have said who died, so none of this
 * is held against what this program wrote before.
 */
#include "tests/replay/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* How many of a long recording's records are tried one by one: all of a short one. */
#define TRIED_RECORDS 12U
/* Forged records of one recording: each byte of a short one is changed once. */
#define FORGED_MAX 4000U
/* Those that the decoder refuses all end as the same gap: one in so many goes on to there. */
#define REFUSED_STEP 16U

static int no(char *why, const char *format, ...) kw_printf(2, 3);
static int no(char *why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(why, REPLAY_WHY_BYTES, format, arguments);
	va_end(arguments);
	return -1;
}

/* Odd, because kills and ends alternate in a storm. */
static size_t stride(const struct replay_case *test)
{
	return test->record_count / TRIED_RECORDS | 1U;
}

static int take_range(struct replay_run *run, size_t from, size_t to)
{
	int r = 0;

	for (size_t i = from; r == 0 && i < to; i++)
		r = replay_take(run, &run->test->records[i]);
	return r;
}

/* ---- what holds for every ledger ---- */

static int is_sound(const struct replay_told *told, unsigned int stops, char *why)
{
	if (told->faults > 0)
		return no(why, "the ledger does not verify: %s", told->fault);
	if (told->gaps[KW_GAP_START] != 1 || told->gaps[KW_GAP_STOP] != stops)
		return no(why, "%u starts and %u stops are declared", told->gaps[KW_GAP_START],
			  told->gaps[KW_GAP_STOP]);
	return 0;
}

/* The kills are those that the victims spoke of, each once, but the missing one (0: none). */
static int has_kills(const struct replay_case *test, const struct replay_told *told,
		     uint32_t missing, char *why)
{
	size_t at = 0;

	for (size_t i = 0; i < test->victim_count; i++) {
		if (test->victims[i] == missing)
			continue;
		if (at >= told->kill_count || told->kills[at].tgid != test->victims[i])
			return no(why, "of process %" PRIu32 " there is no kill, or another's",
				  test->victims[i]);
		at++;
	}
	if (at != told->kill_count)
		return no(why, "%zu kills too many", told->kill_count - at);
	return told->repeated[0] ? no(why, "event id %s stands twice", told->repeated) : 0;
}

/* Every incident is explained, but the one of this id (empty: none). */
static int is_explained(const struct replay_told *told, const char *but, char *why)
{
	for (size_t i = 0; i < told->incident_count; i++) {
		const struct replay_incident *incident = &told->incidents[i];

		if (strcmp(incident->id, but) != 0 && strcmp(incident->result, "explained") != 0)
			return no(why, "incident %s is %s: %s", incident->id, incident->result,
				  incident->words);
	}
	return 0;
}

static const struct kw_oom_context *context_of(const struct kw_observation *observation)
{
	return observation->kind == KW_OBSERVATION_OOM_KILL ? &observation->kill->oom
							    : &observation->end->oom;
}

/* ---- as recorded ---- */

int replay_truth(const struct replay_case *test, char *why)
{
	cleanup(replay_done) struct replay_run run;
	cleanup(replay_told_done) struct replay_told told = { .lines = 0 };
	int r = replay_begin(&run, test);

	if (r == 0)
		r = take_range(&run, 0, test->record_count);
	if (r == 0)
		r = replay_finish(&run);
	if (r == 0)
		r = replay_told_read(&told);
	if (r == 0)
		r = is_sound(&told, 1, why);
	if (r == 0)
		r = has_kills(test, &told, 0, why);
	if (r == 0 && told.incident_count == 0)
		r = no(why, "no incident is told");
	return r < 0 ? r : is_explained(&told, "", why);
}

/* ---- every record twice: all of them were appended and none was released ---- */

int replay_twice(const struct replay_case *test, char *why)
{
	cleanup(replay_done) struct replay_run run;
	cleanup(replay_told_done) struct replay_told once = { .lines = 0 }, told = { .lines = 0 };
	int r = replay_begin(&run, test);

	if (r == 0)
		r = take_range(&run, 0, test->record_count);
	if (r == 0)
		r = replay_finish(&run);
	if (r == 0)
		r = replay_told_read(&once);
	if (r == 0)
		r = replay_crash(&run);
	if (r == 0)
		r = take_range(&run, 0, test->record_count);
	if (r == 0)
		r = replay_finish(&run);
	if (r == 0)
		r = replay_told_read(&told);
	if (r == 0)
		r = is_sound(&told, 2, why);
	if (r == 0)
		r = has_kills(test, &told, 0, why);
	if (r < 0)
		return r;
	if (told.incident_count != once.incident_count)
		return no(why, "%zu incidents become %zu", once.incident_count,
			  told.incident_count);
	if (told.gaps[KW_GAP_RESTART] != 1)
		return no(why, "%u restarts are declared", told.gaps[KW_GAP_RESTART]);
	return is_explained(&told, "", why);
}

/* ---- one record missing, and nobody says so ---- */

/* The hole must show in the verdict. Without the hooks of the limit owner (tier tracepoint) the victims'
 * counters are not known before the first kill, so a hole there may not be seen: the ledger then has
 * only what did arrive. */
static int is_noticed(const struct replay_case *test, const struct kw_observation *missing,
		      const struct replay_told *told, char *why)
{
	bool is_kill = missing->kind == KW_OBSERVATION_OOM_KILL;
	const char *expected = is_kill ? "unexplained" : "unverified";
	const struct replay_incident *incident;
	char id[40];
	int r = has_kills(test, told, is_kill ? missing->kill->victim.task.tgid : 0, why);

	if (r < 0 || !(context_of(missing)->flags & KW_OOM_OWNER_KNOWN))
		return r;
	kw_ids_derive(test->boot_id, "incident", context_of(missing)->incident, id);
	incident = replay_told_incident(told, id);
	if (!incident)
		return no(why, "its incident is not told");
	if (strcmp(incident->result, expected) != 0)
		return no(why, "its incident is %s, not %s: %s", incident->result, expected,
			  incident->words);
	return is_explained(told, id, why);
}

static int drop(const struct replay_case *test, size_t missing, char *why)
{
	cleanup(replay_done) struct replay_run run;
	cleanup(replay_told_done) struct replay_told told = { .lines = 0 };
	const struct replay_record *record = &test->records[missing];
	struct kw_observation observation;
	int r = kw_record_decode(record->bytes, record->length, &observation);

	if (r < 0)
		return no(why, "record %zu is none", missing);
	r = replay_begin(&run, test);
	if (r == 0)
		r = take_range(&run, 0, missing);
	if (r == 0)
		r = take_range(&run, missing + 1, test->record_count);
	if (r == 0)
		r = replay_finish(&run);
	if (r == 0)
		r = replay_told_read(&told);
	if (r == 0)
		r = is_sound(&told, 1, why);
	return r < 0 ? r : is_noticed(test, &observation, &told, why);
}

int replay_dropped(const struct replay_case *test, char *why)
{
	char reason[REPLAY_WHY_BYTES / 2] = "";
	int r;

	for (size_t i = 0; i < test->record_count; i += stride(test)) {
		r = drop(test, i, reason);
		if (r < 0)
			return r == -1 ? no(why, "without record %zu: %s", i, reason) : r;
	}
	return 0;
}

/* ---- killed in between ---- */

enum cut {
	CUT_RELEASED, /* the last record's slot was released */
	CUT_APPENDED, /* it was appended, and comes again */
	CUT_TORN,     /* its line was cut short, and it comes again */
};

static int tear(void)
{
	struct stat status;

	if (stat(REPLAY_SEGMENT, &status) < 0 || truncate(REPLAY_SEGMENT, status.st_size - 100) < 0)
		return -errno;
	return 0;
}

static int cut(const struct replay_case *test, size_t at, enum cut how, char *why)
{
	cleanup(replay_done) struct replay_run run;
	cleanup(replay_told_done) struct replay_told told = { .lines = 0 };
	int r = replay_begin(&run, test);

	if (r == 0)
		r = take_range(&run, 0, at);
	if (r == 0 && how == CUT_TORN)
		r = tear();
	if (r == 0)
		r = replay_crash(&run);
	if (r == 0)
		r = take_range(&run, how == CUT_RELEASED ? at : at - 1, test->record_count);
	if (r == 0)
		r = replay_finish(&run);
	if (r == 0)
		r = replay_told_read(&told);
	if (r == 0)
		r = is_sound(&told, 1, why);
	if (r == 0)
		r = has_kills(test, &told, 0, why);
	if (r < 0)
		return r;
	if (told.gaps[KW_GAP_RESTART] != 1 || told.gaps[KW_GAP_TORN] != (how == CUT_TORN))
		return no(why, "%u restarts and %u torn lines are declared",
			  told.gaps[KW_GAP_RESTART], told.gaps[KW_GAP_TORN]);
	if (at > 0 && how != CUT_TORN && told.gaps[KW_GAP_INCIDENT] != 1)
		return no(why, "that an incident was open is not declared");
	/* What the first daemon has seen of the open incident, the second one is told by the ledger. */
	return is_explained(&told, "", why);
}

int replay_restarted(const struct replay_case *test, char *why)
{
	static const char *const words[] = { "released", "appended", "torn" };
	char reason[REPLAY_WHY_BYTES / 2] = "";

	for (size_t at = 0; at <= test->record_count; at += stride(test)) {
		for (int how = CUT_RELEASED; how <= CUT_TORN; how++) {
			struct kw_observation last = {};
			int r = 0;

			if (at > 0)
				r = kw_record_decode(test->records[at - 1].bytes,
						     test->records[at - 1].length, &last);
			/* An end record appends no line at once: its incident has to settle. */
			if (how == CUT_TORN && (r < 0 || last.kind != KW_OBSERVATION_OOM_KILL))
				continue;
			if (how != CUT_RELEASED && at == 0)
				continue;
			r = cut(test, at, (enum cut)how, reason);
			if (r < 0)
				return r == -1 ? no(why, "killed after %zu records (%s): %s", at,
						    words[how], reason)
					       : r;
		}
	}
	return 0;
}

/* ---- forged ---- */

static int forge(struct replay_run *run, const struct replay_record *record, size_t byte)
{
	cleanup_free unsigned char *bytes = malloc(record->length);
	struct replay_record forged = *record;
	struct kw_observation observation;

	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, record->bytes, record->length);
	/* Which bit: all eight come up. */
	bytes[byte] ^= (unsigned char)(1U << (byte / 8 + byte) % 8);
	forged.bytes = bytes;
	if (kw_record_decode(bytes, record->length, &observation) < 0 && byte % REFUSED_STEP)
		return 0;
	return replay_take(run, &forged);
}

static int forge_all(struct replay_run *run)
{
	const struct replay_case *test = run->test;
	size_t total = 0, step, at = 0;
	int r = 0;

	for (size_t i = 0; i < test->record_count; i++)
		total += test->records[i].length;
	step = total / FORGED_MAX | 1U; /* odd: fields are aligned */
	for (size_t i = 0; r == 0 && i < test->record_count; i++) {
		for (; r == 0 && at < test->records[i].length; at += step)
			r = forge(run, &test->records[i], at);
		at -= test->records[i].length; /* goes on where it stood, in the next record */
		if (r == 0)
			r = replay_take(run, &test->records[i]);
	}
	return r;
}

int replay_forged(const struct replay_case *test, char *why)
{
	cleanup(replay_done) struct replay_run run;
	cleanup(replay_told_done) struct replay_told told = { .lines = 0 };
	int r = replay_begin(&run, test);

	if (r == 0)
		r = forge_all(&run);
	if (r == 0)
		r = replay_finish(&run);
	if (r == 0)
		r = replay_told_read(&told);
	if (r == 0)
		r = is_sound(&told, 1, why);
	if (r < 0)
		return r;
	/* Some were refused and some went through: else nothing was tried. */
	if (told.gaps[KW_GAP_LOST] == 0 || told.kill_count + told.incident_count == 0)
		return no(why, "%u refused, %zu kills: nothing was tried", told.gaps[KW_GAP_LOST],
			  told.kill_count);
	return 0;
}
