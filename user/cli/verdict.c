/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdict over a ledger in whole sentences, for somebody who was not there: what it covers, what it holds,
 * what it says was lost or not watched, whose keys signed it, what its checkpoints prove, what none of that
 * covers, and one conclusion. Nothing is said that was not read from signed lines or computed over bytes.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kwitness/names.h>

#include "user/base/clock.h"
#include "user/cli/summary.h"
#include "user/cli/show.h"

struct words {
	struct kw_bytes *out;
	const struct kw_ledger_verdict *verdict;
};

static void say(const struct words *words, const char *text)
{
	kw_bytes_append_string(words->out, text);
}

/* "1 line", "2 lines". */
static void say_count(const struct words *words, uint64_t count, const char *noun)
{
	kw_bytes_append_format(words->out, "%" PRIu64 " %s%s", count, noun, count == 1 ? "" : "s");
}

static void say_time(const struct words *words, uint64_t real_ns)
{
	time_t seconds = (time_t)(real_ns / KW_NSEC_PER_SEC);
	struct tm parts;
	char zone[16];

	kw_show_append_real(words->out, real_ns, words->verdict->utc);
	/* A local time that does not say how far it is from UTC is no evidence. */
	if (!words->verdict->utc && localtime_r(&seconds, &parts) &&
	    strftime(zone, sizeof(zone), "%z", &parts) > 0)
		say(words, zone);
}

static void say_place(const struct words *words, uint64_t sequence, uint64_t real_ns)
{
	kw_bytes_append_format(words->out, "sequence %" PRIu64 " (", sequence);
	say_time(words, real_ns);
	say(words, ")");
}

static void say_length(const struct words *words, uint64_t ns)
{
	uint64_t seconds = ns / KW_NSEC_PER_SEC, minutes = seconds / 60, hours = minutes / 60;

	if (ns < KW_NSEC_PER_USEC)
		kw_bytes_append_format(words->out, "%" PRIu64 " ns", ns);
	else if (ns < KW_NSEC_PER_SEC)
		kw_bytes_append_format(words->out, "%.3f ms", (double)ns / 1e6);
	else if (seconds < 60)
		kw_bytes_append_format(words->out, "%.3f s", (double)ns / 1e9);
	else if (hours == 0)
		kw_bytes_append_format(words->out, "%" PRIu64 " min %" PRIu64 " s", minutes,
				       seconds % 60);
	else if (hours < 48)
		kw_bytes_append_format(words->out, "%" PRIu64 " h %" PRIu64 " min", hours,
				       minutes % 60);
	else
		kw_bytes_append_format(words->out, "%" PRIu64 " d %" PRIu64 " h", hours / 24,
				       hours % 24);
}

/* ---- what it covers, and what it holds ---- */

static void say_faults(const struct words *words)
{
	const struct kw_verify_result *result = &words->verdict->result;
	const char *before = " (";

	say_count(words, words->verdict->faults, "fault");
	for (int i = 0; i < KW_FAULT_COUNT_; i++) {
		if (result->faults[i] == 0)
			continue;
		kw_bytes_append_format(words->out, "%s%" PRIu64 " %s", before, result->faults[i],
				       kw_fault_name((enum kw_fault)i));
		before = ", ";
	}
	say(words, ") in ");
	say_count(words, result->bad_lines, "line");
}

static void say_extent(const struct words *words)
{
	const struct kw_verify_result *result = &words->verdict->result;
	const struct kw_summary *summary = words->verdict->summary;
	uint64_t faults = words->verdict->faults;

	say(words, faults ? "The record is NOT sound: " : "The record is complete from ");
	if (faults) {
		say_faults(words);
		say(words, summary->events ? "; it was read from " : ", and no line is signed.\n");
	}
	if (summary->events) {
		say_place(words, summary->first_sequence, summary->first_real_ns);
		say(words, " to ");
		say_place(words, summary->last_sequence, summary->last_real_ns);
		say(words, ": ");
		say_count(words, result->lines, faults ? "line" : "event");
		say(words, ".\nIt is a ledger of ");
		say(words, summary->source);
		say(words, ". Times are those of the host's clock when a line was recorded, ");
		say(words,
		    words->verdict->utc ? "in UTC.\n" : "local, with their distance to UTC.\n");
	}
}

static void say_kinds(const struct words *words)
{
	const struct kw_summary *summary = words->verdict->summary;
	size_t prefix = strlen(KW_TYPE_PREFIX);

	for (size_t i = 0; i < summary->type_count; i++) {
		const struct kw_summary_type *type = &summary->types[i];

		kw_bytes_append_format(words->out, "%s%" PRIu64 " ", i ? ", " : "It holds ",
				       type->events);
		kw_show_append(words->out, strncmp(type->name, KW_TYPE_PREFIX, prefix) == 0
						   ? type->name + prefix
						   : type->name);
	}
	if (summary->other_types)
		kw_bytes_append_format(words->out, "%s%" PRIu64 " of types that are not listed",
				       summary->type_count ? ", " : "It holds ",
				       summary->other_types);
	if (summary->events)
		say(words, ".\n");
}

/* ---- losses and gaps ---- */

static void say_loss(const struct words *words, const struct kw_summary_loss *loss)
{
	say(words, "  ");
	if (loss->records || !loss->unknown)
		say_count(words, loss->records, "record");
	if (loss->unknown) {
		say(words, loss->records ? " and an unknown number" : "an unknown number");
		if (loss->unknown != loss->events)
			kw_bytes_append_format(words->out, " (%" PRIu64 " of these events)",
					       loss->unknown);
	}
	say(words, " in ");
	say_count(words, loss->events, "event");
	if (loss->kind[0])
		kw_bytes_append_format(words->out, ", kind %s: %s\n", loss->kind, loss->reason);
	else
		say(words, " of kinds and reasons that are not listed\n");
}

static void say_losses(const struct words *words)
{
	const struct kw_summary *summary = words->verdict->summary;

	if (summary->records == 0 && summary->unknown == 0) {
		say(words, "It declares no record as lost.\n");
		return;
	}
	say(words, "It declares ");
	say_count(words, summary->records, "record");
	say(words, " as lost");
	if (summary->unknown) {
		say(words, ", and ");
		say_count(words, summary->unknown, "event");
		say(words, summary->unknown == 1 ? " says" : " say");
		say(words, " that something was missed without knowing how many records");
	}
	say(words, ":\n");
	for (size_t i = 0; i < summary->loss_count; i++)
		say_loss(words, &summary->losses[i]);
	if (summary->other_losses.events)
		say_loss(words, &summary->other_losses);
}

static void say_gap(const struct words *words, const struct kw_summary_gap *gap)
{
	say(words, "  ");
	say_place(words, gap->sequence, gap->recorded_real_ns);
	kw_bytes_append_format(words->out, ", %s", gap->kind[0] ? gap->kind : "of no kind");
	if (gap->has_length) {
		say(words, ", ");
		say_length(words, gap->length_ns);
	}
	if (gap->end != KW_SUMMARY_NO_START)
		say(words, gap->has_length ? " after the line before" : ", of unknown length");
	if (gap->end == KW_SUMMARY_IN_ORDER)
		say(words, ", which was an orderly stop");
	else if (gap->end == KW_SUMMARY_NOT_IN_ORDER)
		say(words, ", without an orderly stop (crash, kill or power cut)");
	if (gap->has_lost && gap->lost) {
		say(words, ", ");
		say_count(words, gap->lost, "record");
		say(words, " lost");
	}
	kw_bytes_append_format(words->out, ": %s\n",
			       gap->reason[0] ? gap->reason : "no reason given");
}

static void say_gaps(const struct words *words)
{
	const struct kw_summary *summary = words->verdict->summary;
	uint64_t listed = summary->gap_count;

	if (summary->unwatched) {
		say(words, "Nobody recorded ");
		say_count(words, summary->unwatched, "time");
		say(words, ", from a daemon's last line to the next one's first: ");
		say_length(words, summary->unwatched_ns);
		say(words, " in all");
		if (summary->unmeasured)
			kw_bytes_append_format(words->out,
					       ", besides %" PRIu64 " whose length no clock tells",
					       summary->unmeasured);
		say(words, ".\n");
	}
	if (listed) {
		say(words, summary->gaps_omitted ? "The longest of the gaps" : "The gaps");
		say(words, " that it declares, orderly stops apart:\n");
	}
	for (size_t i = 0; i < listed; i++)
		say_gap(words, &summary->gaps[i]);
	if (summary->gaps_omitted) {
		say(words, "  and ");
		say_count(words, summary->gaps_omitted, "gap");
		say(words, " that are not listed, ");
		say_length(words, summary->omitted_ns);
		say(words, " together\n");
	}
}

static void say_end(const struct words *words)
{
	const struct kw_summary *summary = words->verdict->summary;

	if (summary->events == 0)
		return;
	if (summary->stopped)
		kw_bytes_append_format(words->out,
				       "It ends in order: the daemon said at sequence %" PRIu64
				       " that it stops.\n",
				       summary->stop_sequence);
	else
		say(words,
		    "It ends without an orderly stop: the daemon went on, or ended without saying so, or later lines are elsewhere.\n");
}

/* ---- keys and checkpoints ---- */

static void say_key(const struct words *words, const struct kw_key_use *use)
{
	kw_bytes_append_format(words->out, "Key %s, ", use->id);
	if (use->is_given)
		say(words, "of the keyring");
	if (use->is_given && use->announced)
		say(words, " and ");
	if (use->announced)
		kw_bytes_append_format(words->out,
				       "announced at sequence %" PRIu64 " by the key before it",
				       use->announced);
	if (use->first_used) {
		say(words, ", signed ");
		say_place(words, use->first_used, use->first_real_ns);
		say(words, " to ");
		say_place(words, use->last_used, use->last_real_ns);
	} else {
		say(words, ", has signed nothing yet");
	}
	if (use->retired)
		say(words, ", where another took its place");
	say(words, ".\n");
}

static void say_keys(const struct words *words)
{
	struct kw_key_use keys[KW_VERDICT_KEYS_MAX];
	uint64_t omitted, changes = words->verdict->summary->key_changes;
	size_t count = kw_verdict_keys(words->verdict, keys, &omitted);

	for (size_t i = 0; i < count; i++) {
		if (omitted && i == KW_VERDICT_KEYS_MAX / 2) {
			say_count(words, omitted, "key");
			say(words, " between these are not listed.\n");
		}
		say_key(words, &keys[i]);
	}
	if (changes) {
		say(words, "The key changed ");
		say_count(words, changes, "time");
		kw_bytes_append_format(words->out,
				       ", %" PRIu64 " of them because an epoch was over",
				       words->verdict->summary->epochs);
		say(words,
		    "; each change is signed by the key that went and by the one that came.\n");
	}
}

static void say_checkpoints(const struct words *words)
{
	const struct kw_verify_result *result = &words->verdict->result;
	const struct kw_summary_checkpoint *last = &words->verdict->summary->checkpoint;
	int length;
	const char *root = kw_verdict_root(words->verdict, &length);

	if (result->checkpoints) {
		say_count(words, result->checkpoints, "checkpoint");
		say(words, result->checkpoints == 1 ? " holds" : " hold");
		say(words, " against the lines before; the last");
		if (last->sequence) {
			say(words, ", ");
			say_place(words, last->sequence, last->recorded_real_ns);
			say(words, ",");
		}
		say(words, " covers ");
		say_count(words, result->checkpoint_size, "line");
		kw_bytes_append_format(words->out, " with the root %.*s.\n", length, root);
	} else {
		say(words, "No checkpoint was compared with the lines before it.\n");
	}
	if (words->verdict->since) {
		say(words, words->verdict->result.faults[KW_FAULT_SINCE]
				   ? "It does NOT extend the checkpoint that was kept in "
				   : "It extends the checkpoint that was kept in ");
		kw_show_append(words->out, words->verdict->since);
		say(words, ".\n");
	}
}

/* ---- what it does not cover ---- */

static void say_uncovered_lines(const struct words *words)
{
	const struct kw_verify_result *result = &words->verdict->result;

	if (result->first_sequence > 1)
		kw_bytes_append_format(words->out,
				       "  lines 1 to %" PRIu64 ", which were not seen: %s\n",
				       result->first_sequence - 1,
				       result->removed_to >= result->first_sequence - 1
					       ? "removed by retention, as the record declares"
					       : "no retention declares that they were removed");
	if (result->faults[KW_FAULT_COMPRESSED]) {
		say(words, "  the rest of ");
		say_count(words, result->faults[KW_FAULT_COMPRESSED], "compressed segment");
		say(words, " that could not be read to its end\n");
	}
	if (result->checkpoint_size < result->last_sequence)
		kw_bytes_append_format(
			words->out,
			"  lines %" PRIu64 " to %" PRIu64
			", behind what the last checkpoint covers: signed and chained, but in no tree\n",
			result->checkpoint_size < result->first_sequence
				? result->first_sequence
				: result->checkpoint_size + 1,
			result->last_sequence);
	if (result->checkpoints_unchecked) {
		say(words, "  ");
		say_count(words, result->checkpoints_unchecked, "checkpoint");
		say(words,
		    " with a good signature over lines that are not all there to be compared\n");
	}
	kw_bytes_append_format(
		words->out,
		"  whatever was behind sequence %" PRIu64
		": lines that were cut off at the end leave no trace in what is left%s\n",
		result->last_sequence,
		words->verdict->since ? ""
				      : "; compare with a checkpoint kept elsewhere (--since)");
}

static void say_uncovered(const struct words *words)
{
	const struct kw_summary *summary = words->verdict->summary;
	const struct kw_summary_checkpoint *last = &summary->checkpoint;

	say(words, "Not covered:\n");
	say_uncovered_lines(words);
	if (summary->counter_kills) {
		say(words, "  ");
		say_count(words, summary->counter_kills, "kill");
		say(words, " that only a counter has seen: when and where, not who was killed\n");
	}
	if (last->has_parity && (last->unexplained || last->faults)) {
		kw_bytes_append_format(words->out, "  %" PRId64 " kills and ", last->unexplained);
		say_count(words, last->faults, "move");
		kw_bytes_append_format(words->out,
				       " of counters that nothing explains, as of sequence %" PRIu64
				       "\n",
				       last->sequence);
	}
	if (last->has_parity && last->not_followed) {
		say(words, "  counters of ");
		say_count(words, last->not_followed, "cgroup");
		kw_bytes_append_format(words->out, ", not followed as of sequence %" PRIu64 "\n",
				       last->sequence);
	}
}

void kw_verdict_append(struct kw_bytes *out, const struct kw_ledger_verdict *verdict)
{
	const struct words words = { out, verdict };

	if (verdict->result.lines == 0) {
		kw_bytes_append_format(out, "%s\n", kw_verdict_conclusion(verdict));
		return;
	}
	say_extent(&words);
	say_kinds(&words);
	if (verdict->summary->events) {
		say_losses(&words);
		say_gaps(&words);
		say_end(&words);
	}
	say_keys(&words);
	say_checkpoints(&words);
	say_uncovered(&words);
	kw_bytes_append_format(out, "Conclusion: %s\n", kw_verdict_conclusion(verdict));
}
