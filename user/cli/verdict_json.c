/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdict over a ledger as one JSON object, with everything that the sentences say (kwitness(1) lists its
 * members), and what both need of the keys, the last checkpoint and the conclusion.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/clock.h"
#include "user/cli/summary.h"

bool kw_verdict_is_sound(const struct kw_ledger_verdict *verdict)
{
	/* A ledger begins with its start event: no event at all is no sound ledger. */
	return verdict->faults == 0 && verdict->result.lines > 0;
}

const char *kw_verdict_conclusion(const struct kw_ledger_verdict *verdict)
{
	const struct kw_verify_result *result = &verdict->result;

	if (result->lines == 0)
		return "NOT sound: no event in it, nothing was verified.";
	if (verdict->faults)
		return "this record is NOT sound; the faults say where and how.";
	if (result->removed_to + 1 < result->first_sequence)
		return "this part of a record is sound: from its first line to its last nothing was changed, added, moved or removed unseen, and what was lost or not watched is declared above.";
	return "this record is sound: from its first line to its last nothing was changed, added, moved or removed unseen, and what was lost or not watched is declared above.";
}

static int by_first_use(const void *left, const void *right)
{
	const struct kw_key_use *a = left, *b = right;
	uint64_t from_a = a->first_used ? a->first_used : a->announced;
	uint64_t from_b = b->first_used ? b->first_used : b->announced;

	return from_a < from_b ? -1 : from_a > from_b;
}

size_t kw_verdict_keys(const struct kw_ledger_verdict *verdict,
		       struct kw_key_use ret_keys[static KW_VERDICT_KEYS_MAX],
		       uint64_t *ret_omitted)
{
	static const size_t half = KW_VERDICT_KEYS_MAX / 2;
	struct kw_key_use keys[KW_KEYS_MAX + KW_KEYS_ANNOUNCED_MAX], use;
	size_t count = 0;

	for (size_t i = 0;
	     count < kw_array_size(keys) && kw_verifier_key(verdict->verifier, i, &use); i++) {
		if (use.first_used || use.announced)
			keys[count++] = use;
	}
	qsort(keys, count, sizeof(keys[0]), by_first_use);
	*ret_omitted = 0;
	if (count <= KW_VERDICT_KEYS_MAX) {
		memcpy(ret_keys, keys, count * sizeof(keys[0]));
		return count;
	}
	*ret_omitted = count - KW_VERDICT_KEYS_MAX;
	memcpy(ret_keys, keys, half * sizeof(keys[0]));
	memcpy(ret_keys + half, keys + count - half, half * sizeof(keys[0]));
	return KW_VERDICT_KEYS_MAX;
}

const char *kw_verdict_root(const struct kw_ledger_verdict *verdict, int *ret_length)
{
	/* Origin, size, root: a line each (c2sp.org/tlog-checkpoint). */
	const char *at = strchr(verdict->result.checkpoint_note, '\n');

	at = at ? strchr(at + 1, '\n') : NULL;
	*ret_length = at ? (int)strcspn(at + 1, "\n") : 0;
	return at ? at + 1 : "";
}

/* ---- the object ---- */

/* jansson's integers end at 2^63 - 1: above, that is what stands there. */
static json_t *number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *number_or_null(bool known, uint64_t value)
{
	return known ? number(value) : json_null();
}

static json_t *time_text(uint64_t real_ns)
{
	char text[KW_RFC3339_BYTES];

	kw_clock_format(real_ns, text);
	return json_string(text);
}

static json_t *time_or_null(bool known, uint64_t real_ns)
{
	return known ? time_text(real_ns) : json_null();
}

static bool append(json_t *array, json_t *value)
{
	return json_array_append_new(array, value) == 0;
}

static json_t *count_faults(const struct kw_verify_result *result)
{
	json_t *counts = json_object();

	for (int i = 0; i < KW_FAULT_COUNT_; i++)
		(void)json_object_set_new(counts, kw_fault_name((enum kw_fault)i),
					  number(result->faults[i]));
	return counts;
}

static json_t *pack_types(const struct kw_summary *summary)
{
	json_t *types = json_object();

	for (size_t i = 0; i < summary->type_count; i++)
		(void)json_object_set_new(types, summary->types[i].name,
					  number(summary->types[i].events));
	return types;
}

static json_t *pack_loss(const struct kw_summary_loss *loss)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "kind", loss->kind, "reason", loss->reason,
			 "events", number(loss->events), "records", number(loss->records),
			 "unknown", number(loss->unknown));
}

static json_t *pack_losses(const struct kw_summary *summary)
{
	json_t *list = json_array();

	for (size_t i = 0; i < summary->loss_count; i++)
		(void)append(list, pack_loss(&summary->losses[i]));
	return json_pack("{s:o, s:o, s:o, s:o}", "records", number(summary->records), "unknown",
			 number(summary->unknown), "listed", list, "others",
			 pack_loss(&summary->other_losses));
}

static json_t *pack_gap(const struct kw_summary_gap *gap)
{
	static const char *const ends[] = {
		[KW_SUMMARY_NO_START] = NULL,
		[KW_SUMMARY_IN_ORDER] = "stop",
		[KW_SUMMARY_NOT_IN_ORDER] = "none",
	};

	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:s?}", "sequence", number(gap->sequence),
			 "recorded", time_text(gap->recorded_real_ns), "kind", gap->kind, "reason",
			 gap->reason, "lengthNs", number_or_null(gap->has_length, gap->length_ns),
			 "lost", number_or_null(gap->has_lost, gap->lost), "before",
			 ends[gap->end]);
}

static json_t *pack_gaps(const struct kw_summary *summary)
{
	json_t *list = json_array();

	for (size_t i = 0; i < summary->gap_count; i++)
		(void)append(list, pack_gap(&summary->gaps[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "listed", list, "omitted",
			 number(summary->gaps_omitted), "omittedNs", number(summary->omitted_ns),
			 "unwatched", number(summary->unwatched), "unwatchedNs",
			 number(summary->unwatched_ns), "unmeasured", number(summary->unmeasured));
}

static json_t *pack_key(const struct kw_key_use *use)
{
	bool used = use->first_used > 0;

	return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "keyId", use->id, "given",
			 use->is_given, "announced",
			 number_or_null(use->announced > 0, use->announced), "retired",
			 number_or_null(use->retired > 0, use->retired), "firstSequence",
			 number_or_null(used, use->first_used), "lastSequence",
			 number_or_null(used, use->last_used), "firstRecorded",
			 time_or_null(used, use->first_real_ns), "lastRecorded",
			 time_or_null(used, use->last_real_ns));
}

static json_t *pack_keys(const struct kw_ledger_verdict *verdict)
{
	struct kw_key_use keys[KW_VERDICT_KEYS_MAX];
	json_t *list = json_array();
	uint64_t omitted;
	size_t count = kw_verdict_keys(verdict, keys, &omitted);

	for (size_t i = 0; i < count; i++)
		(void)append(list, pack_key(&keys[i]));
	return json_pack("{s:o, s:o, s:o, s:o}", "listed", list, "omitted", number(omitted),
			 "changes", number(verdict->summary->key_changes), "epochs",
			 number(verdict->summary->epochs));
}

static json_t *pack_checkpoints(const struct kw_ledger_verdict *verdict)
{
	const struct kw_verify_result *result = &verdict->result;
	const struct kw_summary_checkpoint *last = &verdict->summary->checkpoint;
	int length;
	const char *root = kw_verdict_root(verdict, &length);

	return json_pack("{s:o, s:o, s:o, s:s, s:s%, s:o, s:o}", "good",
			 number(result->checkpoints), "unchecked",
			 number(result->checkpoints_unchecked), "lastSize",
			 number(result->checkpoint_size), "lastNote", result->checkpoint_note,
			 "lastRoot", root, (size_t)length, "lastSequence",
			 number_or_null(last->sequence > 0, last->sequence), "lastRecorded",
			 time_or_null(last->sequence > 0, last->recorded_real_ns));
}

static json_t *pack_uncovered(const struct kw_ledger_verdict *verdict)
{
	const struct kw_verify_result *result = &verdict->result;
	const struct kw_summary *summary = verdict->summary;
	const struct kw_summary_checkpoint *last = &summary->checkpoint;
	uint64_t covered = result->checkpoint_size < result->first_sequence && result->lines
				   ? result->first_sequence - 1
				   : result->checkpoint_size;

	return json_pack(
		"{s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "linesBefore",
		number(result->first_sequence > 1 ? result->first_sequence - 1 : 0),
		"linesBeforeDeclared", result->removed_to + 1 >= result->first_sequence,
		"linesAfterLastCheckpoint",
		number(result->last_sequence > covered ? result->last_sequence - covered : 0),
		"segmentsDamaged", number(result->faults[KW_FAULT_COMPRESSED]),
		"killsByCounterOnly", number(summary->counter_kills), "killsUnexplained",
		last->has_parity ? json_integer(last->unexplained) : json_null(), "counterFaults",
		number_or_null(last->has_parity, last->faults), "cgroupsNotFollowed",
		number_or_null(last->has_parity, last->not_followed));
}

/* What was said before there were sentences: scripts know it. */
static json_t *pack_result(const struct kw_ledger_verdict *verdict, json_t *faults)
{
	const struct kw_verify_result *result = &verdict->result;
	char hash[65];

	for (size_t i = 0; i < sizeof(result->last_hash); i++)
		(void)snprintf(hash + 2 * i, 3, "%02x", result->last_hash[i]);
	return json_pack(
		"{s:b, s:o, s:o, s:o, s:o, s:O, s:o, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:o}",
		"sound", kw_verdict_is_sound(verdict), "events", number(result->lines), "badLines",
		number(result->bad_lines), "faultCount", number(verdict->faults), "faultsByKind",
		count_faults(result), "faults", faults, "firstSequence",
		number(result->first_sequence), "lastSequence", number(result->last_sequence),
		"gaps", number(result->gaps), "firstTime", result->first_time, "lastTime",
		result->last_time, "lastHash", hash, "gapsLost", number(result->gaps_lost),
		"checkpoints", pack_checkpoints(verdict), "removedTo", number(result->removed_to));
}

json_t *kw_verdict_json(const struct kw_ledger_verdict *verdict, json_t *faults)
{
	const struct kw_summary *summary = verdict->summary;
	json_t *root = pack_result(verdict, faults);
	json_t *more =
		json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s?}", "source",
			  summary->source, "firstRecorded",
			  time_or_null(summary->events > 0, summary->first_real_ns), "lastRecorded",
			  time_or_null(summary->events > 0, summary->last_real_ns), "eventsByType",
			  pack_types(summary), "eventsOfOtherTypes", number(summary->other_types),
			  "losses", pack_losses(summary), "gapList", pack_gaps(summary),
			  "stoppedInOrder", json_boolean(summary->stopped), "keys",
			  pack_keys(verdict), "notCovered", pack_uncovered(verdict), "conclusion",
			  kw_verdict_conclusion(verdict), "since", verdict->since);

	if (!root || !more || json_object_update(root, more) < 0) {
		json_decref(root);
		json_decref(more);
		return NULL;
	}
	json_decref(more);
	return root;
}
