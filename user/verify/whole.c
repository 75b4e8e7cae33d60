/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What no single line shows, but the whole ledger: whether it extends an earlier checkpoint, whether lines that
 * stood before its first one were removed as it says itself, and where a file could not be read to its end. And
 * what is shown of it, line by line.
 */
#include <inttypes.h>
#include <stdio.h>

#include "user/verify/verifier.h"

int kw_verifier_damaged(struct kw_verifier *verifier, const char *file, const char *detail)
{
	int r = kw_verifier_set_file(verifier, file);

	if (r < 0)
		return r;
	/* What was begun has no end: it is the damage's, not a torn line. */
	verifier->too_long = false;
	kw_bytes_clear(&verifier->line);
	verifier->checkpoints.lost = true;
	verifier->checkpoints.unplaced = true;
	kw_verifier_report_at(verifier, KW_FAULT_COMPRESSED, verifier->line_number + 1, 0, detail);
	return 0;
}

int kw_verifier_set_since(struct kw_verifier *verifier, const char *name, const char *note,
			  size_t length, const char **ret_reason)
{
	struct kw_checkpoints *checkpoints = &verifier->checkpoints;
	int r = kw_note_read(note, length, verifier->keyring, &checkpoints->since, ret_reason);

	if (r < 0)
		return r;
	verifier->since_name = name;
	checkpoints->history.milestone = checkpoints->since.size;
	return 0;
}

void kw_verifier_set_reader(struct kw_verifier *verifier, kw_signed_line_fn callback)
{
	verifier->reader = callback;
}

void kw_verifier_show(const struct kw_verifier *verifier, const struct kw_checked *checked)
{
	const struct kw_line *line = &checked->line;
	struct kw_signed_line shown = {
		.file = verifier->file.data ? verifier->file.data : "-",
		.line = verifier->line_number,
		.sequence = line->sequence,
		.time_real_ns = line->time_real_ns,
		.recorded_real_ns = line->recorded_real_ns,
		.type = line->type.data + 1,
		.type_length = line->type.length - 2,
		.text = checked->text,
		.length = checked->length,
		.has_fault = verifier->line_bad,
	};

	if (verifier->reader && !verifier->line_repeated)
		verifier->reader(verifier->context, &shown);
}

/* A ledger that begins later than at 1 is whole when it says itself that the rest was removed. */
static int judge_start(struct kw_verifier *verifier)
{
	uint64_t before = verifier->start - 1;
	char detail[200];
	int r;

	if (verifier->start == 0 || verifier->allow_partial ||
	    verifier->result.removed_to >= before)
		return 0;
	(void)snprintf(detail, sizeof(detail),
		       "the first line is not the ledger's first: lines %" PRIu64 " to %" PRIu64
		       " are missing, and no retention declares it",
		       verifier->result.removed_to + 1, before);
	r = kw_verifier_set_file(verifier, verifier->start_file.data);
	if (r == 0)
		kw_verifier_report_at(verifier, KW_FAULT_START, 1, verifier->start, detail);
	verifier->result.bad_lines += !verifier->start_bad;
	return r;
}

int kw_verifier_finish(struct kw_verifier *verifier)
{
	struct kw_checkpoints *checkpoints = &verifier->checkpoints;
	char detail[200];
	int r;

	r = judge_start(verifier);
	if (r < 0)
		return r;
	if (!verifier->since_name || kw_checkpoints_extends(checkpoints, detail, sizeof(detail)))
		return 0;
	r = kw_verifier_set_file(verifier, verifier->since_name);
	if (r == 0)
		kw_verifier_report_at(verifier, KW_FAULT_SINCE, 1, checkpoints->since.size, detail);
	return r;
}
