/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A whole ledger, line by line, in constant memory: each line alone, its link to the one before, and
 * the run of numbers. It goes on after a fault; the chain then continues from the bytes that are
 * there, so that one bad line shows as itself and as the broken link behind it, and not as a ruin.
 *
 * Numbers: a line whose signature is good may be believed its number; of a bad one only that it
 * stands in the place of the next. Numbers that are skipped are remembered as a hole until the file
 * ends, because a line that was moved turns up later: then it is out of order, and nothing is missing.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/clock.h"
#include "user/verify/verifier.h"

KW_DEFINE_CLEANUP(struct kw_verifier *, kw_verifier_free)

int kw_verifier_new(const struct kw_keyring *keyring, bool allow_partial, kw_fault_fn callback,
		    void *context, struct kw_verifier **ret_verifier)
{
	cleanup(kw_verifier_freep) struct kw_verifier *verifier = NULL;

	if (sodium_init() < 0)
		return -EIO;
	verifier = calloc(1, sizeof(*verifier));
	if (!verifier || kw_history_init(&verifier->checkpoints.history) < 0 ||
	    kw_trust_copy(keyring, &verifier->keyring) < 0 ||
	    kw_batch_new(verifier->keyring, 1, &verifier->batch) < 0)
		return -ENOMEM;
	verifier->allow_partial = allow_partial;
	verifier->callback = callback;
	verifier->context = context;
	kw_bytes_init(&verifier->file, 8192);
	kw_bytes_init(&verifier->line, KW_LINE_MAX);
	kw_bytes_init(&verifier->scratch, 2 * KW_LINE_MAX);
	kw_bytes_init(&verifier->source, KW_LINE_MAX);
	kw_bytes_init(&verifier->start_file, 8192);
	*ret_verifier = take_ptr(verifier);
	return 0;
}

void kw_verifier_free(struct kw_verifier *verifier)
{
	if (!verifier)
		return;
	kw_bytes_done(&verifier->file);
	kw_bytes_done(&verifier->line);
	kw_bytes_done(&verifier->scratch);
	kw_bytes_done(&verifier->source);
	kw_bytes_done(&verifier->start_file);
	kw_history_done(&verifier->checkpoints.history);
	kw_batch_free(verifier->batch);
	kw_keyring_free(verifier->keyring);
	free(verifier);
}

int kw_verifier_set_threads(struct kw_verifier *verifier, unsigned int threads)
{
	struct kw_batch *batch;
	int r = kw_batch_new(verifier->keyring, threads, &batch);

	if (r < 0)
		return r;
	kw_batch_free(verifier->batch);
	verifier->batch = batch;
	return 0;
}

void kw_verifier_report_at(struct kw_verifier *verifier, enum kw_fault fault, uint64_t line,
			   uint64_t sequence, const char *detail)
{
	struct kw_fault_report report = {
		.fault = fault,
		.file = verifier->file.data ? verifier->file.data : "-",
		.line = line,
		.sequence = sequence,
		.detail = detail,
	};

	verifier->result.faults[fault]++;
	if (verifier->callback)
		verifier->callback(verifier->context, &report);
}

static void report(struct kw_verifier *verifier, enum kw_fault fault, uint64_t sequence,
		   const char *detail)
{
	if (!verifier->line_bad)
		verifier->result.bad_lines++;
	verifier->line_bad = true;
	kw_verifier_report_at(verifier, fault, verifier->line_number, sequence, detail);
}

/* ---- the run of numbers ---- */

/* A kw_hole_fn. */
static void report_hole(void *context, const struct kw_hole *hole)
{
	struct kw_verifier *verifier = context;
	char detail[160];

	if (hole->from == hole->to)
		(void)snprintf(detail, sizeof(detail),
			       "one line is missing before this one: sequence %" PRIu64,
			       hole->from);
	else
		(void)snprintf(detail, sizeof(detail),
			       "%" PRIu64 " lines are missing before this one: sequence %" PRIu64
			       " to %" PRIu64,
			       hole->to - hole->from + 1, hole->from, hole->to);
	kw_verifier_report_at(verifier, KW_FAULT_SEQUENCE_MISSING, hole->line, hole->from, detail);
}

/* What stood before the first line is not here; retention may tell what its tree was. */
static void begin_later(struct kw_verifier *verifier, uint64_t before)
{
	if (before == 0)
		return;
	verifier->checkpoints.lost = true;
	kw_history_begin(&verifier->checkpoints.history, before);
}

/* A line whose number can be believed. Returns whether it stands where it belongs. */
static bool follow_number(struct kw_verifier *verifier, uint64_t sequence)
{
	uint64_t highest = verifier->highest;

	if (!verifier->started) {
		verifier->result.first_sequence = sequence;
		verifier->start = sequence != 1 ? sequence : 0; /* judged at the end */
		begin_later(verifier, sequence - 1);
	} else if (sequence > highest + 1) {
		struct kw_hole hole = { highest + 1, sequence - 1, verifier->line_number, false };

		kw_holes_add(&verifier->holes, &hole, report_hole, verifier);
	} else if (sequence == highest && verifier->assumed) {
		/* A bad line had been put before it: this one is the real one. */
	} else if (sequence <= highest) {
		if (kw_holes_fill(&verifier->holes, sequence, report_hole, verifier))
			report(verifier, KW_FAULT_SEQUENCE_ORDER, sequence,
			       "it stands behind a line with a greater number: moved");
		else
			verifier->line_repeated = true;
		if (verifier->line_repeated)
			report(verifier, KW_FAULT_SEQUENCE_REPEATED, sequence,
			       "its number stood before: replayed or copied");
		return false;
	}
	verifier->highest = sequence;
	verifier->assumed = false;
	return !verifier->started || sequence <= highest + 1;
}

/* A line that nobody vouches for: it is taken for the next one, whatever it says. */
static void assume_number(struct kw_verifier *verifier, uint64_t claimed)
{
	if (!verifier->started) {
		verifier->result.first_sequence = claimed;
		verifier->highest = claimed ? claimed : 1;
	} else {
		verifier->highest++;
	}
	verifier->assumed = true;
}

/* ---- one line ---- */

static void check_link(struct kw_verifier *verifier, const struct kw_line *line, bool in_place)
{
	static const unsigned char zeroes[32];
	const unsigned char *expected = verifier->result.last_hash;
	const char *detail;

	if (!verifier->started) {
		if (line->sequence != 1) {
			/* Retention may declare it yet. */
			memcpy(verifier->start_prevhash, line->prevhash, 32);
			return;
		}
		expected = zeroes;
	}
	if (memcmp(line->prevhash, expected, 32) == 0)
		return;
	if (!verifier->started)
		detail = "prevhash of the first line is not 32 zero bytes";
	else if (verifier->previous_bad)
		detail = "prevhash does not fit: the line before was changed, or put in its place";
	else if (!in_place)
		detail = "prevhash is of another line: lines were removed, moved or repeated here";
	else
		detail = "prevhash is not the hash of the line before: it was removed or replaced";
	report(verifier, KW_FAULT_CHAIN, line->sequence, detail);
}

static int check_source(struct kw_verifier *verifier, const struct kw_line *line)
{
	struct kw_bytes *source = &verifier->source;

	if (source->length == 0) {
		kw_bytes_append(source, line->source.data, line->source.length);
		return kw_bytes_error(source);
	}
	if (source->length != line->source.length ||
	    memcmp(source->data, line->source.data, source->length) != 0)
		report(verifier, KW_FAULT_SOURCE, line->sequence,
		       "another source than the first line's: a line of another ledger");
	return 0;
}

static void count_good(struct kw_verifier *verifier, const struct kw_line *line)
{
	struct kw_verify_result *result = &verifier->result;

	memcpy(result->last_time, line->time.data + 1, KW_RFC3339_BYTES - 1);
	if (!result->first_time[0])
		memcpy(result->first_time, result->last_time, sizeof(result->first_time));
	if (!line->is_gap)
		return;
	result->gaps++;
	if (__builtin_add_overflow(result->gaps_lost, line->gap_lost, &result->gaps_lost))
		result->gaps_lost = UINT64_MAX;
}

static int check_checkpoint(struct kw_verifier *verifier, const struct kw_line *line)
{
	struct kw_verify_result *result = &verifier->result;
	enum kw_fault fault;
	char detail[200];
	int r = kw_checkpoints_check(&verifier->checkpoints, line, verifier->keyring,
				     &verifier->scratch, &fault, detail, sizeof(detail));

	if (r == KW_CHECKPOINT_BAD) {
		report(verifier, fault, line->sequence, detail);
	} else if (r == KW_CHECKPOINT_UNCHECKED) {
		result->checkpoints_unchecked++;
	} else if (r == KW_CHECKPOINT_GOOD) {
		result->checkpoints++;
		result->checkpoint_size = verifier->checkpoints.last_size;
		if (verifier->scratch.length < sizeof(result->checkpoint_note))
			memcpy(result->checkpoint_note, verifier->scratch.data,
			       verifier->scratch.length + 1);
	}
	return r < 0 ? r : 0;
}

/* A gap may declare that lines were removed. */
static void check_removal(struct kw_verifier *verifier, const struct kw_line *line)
{
	struct kw_retained retained;

	if (!kw_retained_read(line->data, &retained))
		return;
	if (kw_checkpoints_resume(&verifier->checkpoints, &retained, verifier->start_prevhash))
		report(verifier, KW_FAULT_CHAIN, line->sequence,
		       "prevhash of the first line is not the hash of the last line that retention removed");
	else if (retained.last > verifier->result.removed_to)
		verifier->result.removed_to = retained.last;
}

/* A well-formed line. */
static int check_parsed(struct kw_verifier *verifier, const struct kw_checked *checked)
{
	const struct kw_line *line = &checked->line;
	enum kw_fault fault;
	const char *reason;
	bool in_place = true;
	uint64_t signer;
	int r, bad = kw_trust_judge(verifier->keyring, checked, &verifier->scratch, &signer, &fault,
				    &reason);

	if (bad < 0)
		return bad;
	if (bad)
		report(verifier, fault, line->sequence, reason);
	else
		in_place = follow_number(verifier, line->sequence);
	check_link(verifier, line, in_place);
	if (bad) {
		assume_number(verifier, line->sequence);
		return 0;
	}
	r = check_source(verifier, line);
	if (r < 0)
		return r;
	if (!verifier->line_repeated)
		count_good(verifier, line);
	if (line->is_gap)
		check_removal(verifier, line);
	/* One that was copied changes nothing a second time. */
	if (line->is_key && line->sequence == verifier->highest) {
		reason = kw_trust_rotate(verifier->keyring, line, signer, &verifier->scratch);
		if (reason)
			report(verifier, KW_FAULT_ROTATION, line->sequence, reason);
	}
	r = line->is_checkpoint ? check_checkpoint(verifier, line) : 0;
	if (r == 0)
		kw_verifier_show(verifier, checked);
	return r;
}

/* The line as a leaf, whatever it is; the chain's hash of it is known. */
static void remember(struct kw_verifier *verifier, const unsigned char *leaf)
{
	struct kw_checkpoints *checkpoints = &verifier->checkpoints;

	if (!verifier->started && verifier->highest == 1) {
		memcpy(checkpoints->first, verifier->result.last_hash, sizeof(checkpoints->first));
		checkpoints->has_first = true;
	} else if (!verifier->started) {
		begin_later(verifier, verifier->highest - 1);
	}
	kw_history_add_leaf(&checkpoints->history, leaf);
}

static int check_line(struct kw_verifier *verifier, const struct kw_checked *checked)
{
	uint64_t claimed;
	int r = checked->parsed;

	if (r == 0) {
		r = check_parsed(verifier, checked);
	} else if (r == -EBADMSG) {
		claimed = kw_line_salvage_sequence(checked->text, checked->length);
		report(verifier, KW_FAULT_MALFORMED, claimed, checked->reason);
		assume_number(verifier, claimed);
		r = 0;
	}
	if (r < 0)
		return r;
	memcpy(verifier->result.last_hash, checked->hash, sizeof(checked->hash));
	remember(verifier, checked->leaf);
	return 0;
}

static void begin_line(struct kw_verifier *verifier)
{
	verifier->line_number++;
	verifier->result.lines++;
	verifier->line_bad = false;
	verifier->line_repeated = false;
}

static void end_line(struct kw_verifier *verifier)
{
	if (!verifier->started)
		verifier->start_bad = verifier->line_bad;
	verifier->previous_bad = verifier->line_bad;
	verifier->started = true;
	verifier->result.last_sequence = verifier->highest;
}

/* Takes the lines of the batch, one after the other. */
static int flush(struct kw_verifier *verifier)
{
	size_t count;
	const struct kw_checked *lines = kw_batch_check(verifier->batch, &count);
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		begin_line(verifier);
		r = check_line(verifier, &lines[i]);
		if (r == 0)
			end_line(verifier);
	}
	kw_batch_clear(verifier->batch);
	return r;
}

/* The line that was kept is whole. */
static int take_kept(struct kw_verifier *verifier)
{
	int r = 0;

	if (verifier->too_long) {
		begin_line(verifier);
		(void)crypto_hash_sha256_final(&verifier->long_hash, verifier->result.last_hash);
		report(verifier, KW_FAULT_TOO_LONG, 0, "longer than 1 MiB");
		verifier->checkpoints.lost = true; /* its leaf is not known */
		verifier->checkpoints.unplaced = true;
		assume_number(verifier, 0);
		end_line(verifier);
	} else {
		(void)kw_batch_add(verifier->batch, verifier->line.data, verifier->line.length);
		r = flush(verifier);
	}
	verifier->too_long = false;
	kw_bytes_clear(&verifier->line);
	return r;
}

/* Keeps the begin of a line whose end is not there yet. */
static int keep(struct kw_verifier *verifier, const char *text, size_t length)
{
	if (!verifier->too_long && length > KW_LINE_MAX - verifier->line.length) {
		verifier->too_long = true;
		(void)crypto_hash_sha256_init(&verifier->long_hash);
		if (verifier->line.length)
			(void)crypto_hash_sha256_update(&verifier->long_hash,
							(unsigned char *)verifier->line.data,
							verifier->line.length);
		kw_bytes_clear(&verifier->line);
	}
	if (verifier->too_long) {
		(void)crypto_hash_sha256_update(&verifier->long_hash, (const unsigned char *)text,
						length);
		return 0;
	}
	kw_bytes_append(&verifier->line, text, length);
	return kw_bytes_error(&verifier->line);
}

int kw_verifier_set_file(struct kw_verifier *verifier, const char *file)
{
	if (verifier->file.data && strcmp(verifier->file.data, file) == 0)
		return 0;
	kw_bytes_clear(&verifier->file);
	kw_bytes_append_string(&verifier->file, file);
	if (verifier->start_file.length == 0)
		kw_bytes_append_string(&verifier->start_file, file);
	verifier->line_number = 0;
	return kw_bytes_error(&verifier->file);
}

int kw_verifier_feed(struct kw_verifier *verifier, const char *file, const char *data,
		     size_t length)
{
	const char *end = data + length, *newline;
	int r;

	r = kw_verifier_set_file(verifier, file);
	while (r == 0 && data < end) {
		size_t piece;

		newline = memchr(data, '\n', (size_t)(end - data));
		piece = (size_t)((newline ? newline : end) - data);
		if (newline && verifier->line.length == 0 && !verifier->too_long &&
		    piece <= KW_LINE_MAX) {
			/* The usual case: nothing is copied. */
			if (kw_batch_add(verifier->batch, data, piece))
				r = flush(verifier);
		} else {
			r = flush(verifier);
			if (r == 0)
				r = keep(verifier, data, piece);
			if (r == 0 && newline)
				r = take_kept(verifier);
		}
		data += piece + (newline ? 1 : 0);
	}
	return r == 0 ? flush(verifier) : r;
}

int kw_verifier_end_of_file(struct kw_verifier *verifier)
{
	if (verifier->line.length || verifier->too_long) {
		begin_line(verifier);
		/* No hash and no number of it: the chain goes on from the last whole line. */
		report(verifier, KW_FAULT_TORN, 0,
		       "the last line has no newline: it was cut while or after it was written");
		verifier->too_long = false;
		kw_bytes_clear(&verifier->line);
	}
	kw_holes_report(&verifier->holes, report_hole, verifier);
	kw_bytes_done(&verifier->file); /* the next file may have the same name: "-" */
	verifier->line_number = 0;
	return 0;
}

void kw_verifier_result(const struct kw_verifier *verifier, struct kw_verify_result *ret_result)
{
	*ret_result = verifier->result;
}

bool kw_verifier_key(const struct kw_verifier *verifier, size_t index, struct kw_key_use *ret_use)
{
	return kw_trust_key_use(verifier->keyring, index, ret_use);
}
