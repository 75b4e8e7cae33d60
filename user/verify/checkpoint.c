/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Checkpoint events: what they say must be what their note says, the note must be signed, by its origin
 * it must be this ledger's, and its root must be that of the lines that stand before it. After a root
 * that does not fit, or lines that cannot be placed, later roots would only repeat it: they are not
 * compared, and counted as such.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"
#include "user/verify/note.h"

#define FIRST_DIGITS 16

static int refuse(enum kw_fault fault, enum kw_fault *ret_fault, char *ret_detail, size_t size,
		  const char *reason)
{
	*ret_fault = fault;
	(void)snprintf(ret_detail, size, "%s", reason);
	return KW_CHECKPOINT_BAD;
}

/* What stands in the event's data beside the note is the note's. */
static const char *compare(const struct kw_members *data, const struct kw_note *note)
{
	struct kw_span size = kw_read_find(data, "size");
	char root[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)];
	uint64_t value;

	sodium_bin2base64(root, sizeof(root), note->root, sizeof(note->root),
			  sodium_base64_VARIANT_ORIGINAL);
	if (!kw_read_equals(kw_read_find(data, "origin"), note->origin) ||
	    !kw_read_equals(kw_read_find(data, "root"), root) || !size.data ||
	    kw_text_parse_u64(size.data, size.length, &value) < 0 || value != note->size)
		return "the event does not say what its note says";
	return NULL;
}

/* The origin is "<source without its '/'>/<16 hex digits of the first line's hash>". */
static const char *check_origin(struct kw_checkpoints *checkpoints, const struct kw_line *line,
				const char *origin)
{
	size_t length = strlen(origin), source = line->source.length - 3;
	char first[FIRST_DIGITS + 1];

	sodium_bin2hex(first, sizeof(first), checkpoints->first, FIRST_DIGITS / 2);
	if (length != source + 1 + FIRST_DIGITS || line->source.data[1] != '/' ||
	    memcmp(origin, line->source.data + 2, source) != 0 || origin[source] != '/')
		return "the checkpoint's origin is not this source's";
	if (checkpoints->has_first && strcmp(origin + source + 1, first) != 0)
		return "the checkpoint is of another ledger: its origin names another first line";
	if (checkpoints->origin[0] && strcmp(origin, checkpoints->origin) != 0)
		return "the checkpoint is of another ledger than the checkpoints before it";
	memcpy(checkpoints->origin, origin, length + 1);
	return NULL;
}

static int check_root(struct kw_checkpoints *checkpoints, const struct kw_note *note,
		      enum kw_fault *ret_fault, char *ret_detail, size_t size)
{
	uint64_t lines = kw_history_lines(&checkpoints->history);
	unsigned char root[KW_TREE_HASH_BYTES];

	if (checkpoints->lost || note->size < checkpoints->history.range.begin)
		return KW_CHECKPOINT_UNCHECKED;
	*ret_fault = KW_FAULT_CHECKPOINT;
	checkpoints->lost = true; /* unless it turns out well */
	if (note->size > lines) {
		(void)snprintf(ret_detail, size,
			       "it covers %" PRIu64 " lines, but %" PRIu64
			       " stand before it: lines were removed",
			       note->size, lines);
		return KW_CHECKPOINT_BAD;
	}
	if (!kw_history_grow(&checkpoints->history, note->size)) {
		(void)snprintf(ret_detail, size,
			       "it covers %" PRIu64 " lines, but %" PRIu64
			       " stand before it: lines were added, or it stood elsewhere",
			       note->size, lines);
		return KW_CHECKPOINT_BAD;
	}
	kw_tree_root(&checkpoints->history.tree, root);
	if (memcmp(root, note->root, sizeof(root)) != 0) {
		(void)snprintf(ret_detail, size,
			       "a line from %" PRIu64 " to %" PRIu64
			       " was changed, moved, added or removed after it was made",
			       checkpoints->last_size + 1, note->size);
		return KW_CHECKPOINT_BAD;
	}
	checkpoints->lost = false;
	checkpoints->last_size = note->size;
	return KW_CHECKPOINT_GOOD;
}

int kw_checkpoints_check(struct kw_checkpoints *checkpoints, const struct kw_line *line,
			 const struct kw_keyring *keyring, struct kw_bytes *scratch,
			 enum kw_fault *ret_fault, char *ret_detail, size_t size)
{
	struct kw_members data;
	struct kw_note note;
	const char *reason = "the event has no note";
	int r;

	kw_bytes_clear(scratch);
	if (kw_read_members(line->data, &data) < 0)
		return refuse(KW_FAULT_NOTE, ret_fault, ret_detail, size, reason);
	r = kw_read_decode(kw_read_find(&data, "note"), scratch);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r == 0)
		r = kw_note_read(scratch->data ? scratch->data : "", scratch->length, keyring,
				 &note, &reason);
	if (r == 0) {
		reason = compare(&data, &note);
		if (!reason)
			reason = check_origin(checkpoints, line, note.origin);
	}
	if (reason)
		return refuse(KW_FAULT_NOTE, ret_fault, ret_detail, size, reason);
	return check_root(checkpoints, &note, ret_fault, ret_detail, size);
}

bool kw_checkpoints_extends(struct kw_checkpoints *checkpoints, char *ret_detail, size_t size)
{
	struct kw_history *history = &checkpoints->history;
	uint64_t lines = kw_history_lines(history);
	const struct kw_note *since = &checkpoints->since;

	if (lines < since->size) {
		(void)snprintf(ret_detail, size,
			       "the ledger ends after %" PRIu64
			       " lines, the checkpoint covers %" PRIu64
			       ": lines were cut off or rolled back",
			       lines, since->size);
		return false;
	}
	(void)kw_history_grow(history, lines);
	if (since->size < history->range.begin) {
		(void)snprintf(ret_detail, size,
			       "lines that the checkpoint covers, up to %" PRIu64
			       ", are not there: whether it is extended cannot be shown",
			       history->range.begin);
		return false;
	}
	if (history->milestone_met &&
	    memcmp(history->milestone_root, since->root, sizeof(since->root)) == 0)
		return true;
	(void)snprintf(ret_detail, size,
		       "its first %" PRIu64
		       " lines are not those of the checkpoint: changed, or another ledger",
		       since->size);
	return false;
}
