/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What a ledger says of itself, gathered while `kwitness verify` reads it: kinds of event, losses, gaps, the last
 * checkpoint. Only lines that a believed key has signed are taken. Memory is fixed: what finds no room is added
 * up, and the verdict says how much that is. Texts are harmless for a terminal.
 */
#include <stdbool.h>

#include <kwitness/limits.h>
#include <kwitness/verify.h>

#include "user/base/bytes.h"

struct kw_summary_type {
	char name[KW_VERDICT_TYPE_BYTES]; /* as it stands in the line */
	uint64_t events;
};

/* Gaps of one kind and, but for the numbers in it, one reason. */
struct kw_summary_loss {
	char kind[KW_VERDICT_KIND_BYTES];
	char reason[KW_VERDICT_TEXT_BYTES];
	uint64_t events;
	uint64_t records; /* the sum where the number is exact */
	uint64_t unknown; /* events that do not know how many */
};

/* How the daemon before a start had ended. */
enum kw_summary_end {
	KW_SUMMARY_NO_START, /* the gap is no start */
	KW_SUMMARY_IN_ORDER,
	KW_SUMMARY_NOT_IN_ORDER,
};

struct kw_summary_gap {
	uint64_t sequence;
	uint64_t recorded_real_ns;
	bool has_length;
	uint64_t length_ns;
	enum kw_summary_end end;
	bool has_lost; /* the number of records is exact */
	uint64_t lost;
	char kind[KW_VERDICT_KIND_BYTES];
	char reason[KW_VERDICT_TEXT_BYTES];
};

/* What the last good checkpoint's event says besides its note. */
struct kw_summary_checkpoint {
	uint64_t sequence; /* 0: there is none */
	uint64_t recorded_real_ns;
	bool has_parity;
	int64_t unexplained;   /* kills that the kernel counted less those that are explained */
	uint64_t faults;       /* unexplained moves of all counters */
	uint64_t not_followed; /* cgroups */
};

struct kw_summary {
	uint64_t events; /* signed, and not a copy of one before */
	uint64_t first_sequence, last_sequence;
	uint64_t first_real_ns, last_real_ns; /* recorded */
	char source[KW_VERDICT_TEXT_BYTES];
	bool stopped; /* the last line is an orderly stop, or the checkpoint behind it */
	uint64_t stop_sequence;

	struct kw_summary_type
		types[KW_VERDICT_TYPES_MAX]; /* the most frequent first, once settled */
	size_t type_count;
	uint64_t other_types; /* events */

	struct kw_summary_loss losses[KW_VERDICT_LOSSES_MAX];
	size_t loss_count;
	struct kw_summary_loss other_losses;
	uint64_t records; /* lost, the sum of what is exact */
	uint64_t unknown; /* events that do not know how many */

	struct kw_summary_gap gaps[KW_VERDICT_GAPS_MAX]; /* the longest, in the ledger's order */
	size_t gap_count;
	uint64_t gaps_omitted;
	uint64_t omitted_ns;
	uint64_t unwatched_ns; /* all times between an end and the start behind it */
	uint64_t unwatched;    /* how many of them */
	uint64_t unmeasured;   /* and starts whose distance to the line before no clock tells */

	uint64_t counter_kills; /* kills that only a counter has seen */
	uint64_t key_changes;	/* announced and in force */
	uint64_t epochs;	/* of them, because an epoch was over */
	struct kw_summary_checkpoint checkpoint;
	struct kw_bytes scratch[2];
};

int kw_summary_new(struct kw_summary **ret_account) kw_must_check;
void kw_summary_free(struct kw_summary *summary);
/* The next signed line, as kw_verifier_set_reader() has it. 0 or -errno. */
int kw_summary_take(struct kw_summary *summary, const struct kw_signed_line *line) kw_must_check;
/* All lines were taken: puts what is listed into the order in which it is said. */
void kw_summary_settle(struct kw_summary *summary);

/* ---- summary_gaps.c ---- */

struct kw_members;
/* A gap event's data. previous_real_ns: when the line before was recorded; 0: there is none. stopped: that an
 * orderly stop is the last thing the ledger had said. 0 or -errno. */
int kw_summary_take_gap(struct kw_summary *summary, const struct kw_signed_line *line,
			const struct kw_members *data, uint64_t previous_real_ns, bool stopped)
	kw_must_check;

/* ---- verdict.c, verdict_json.c: what is said of it ---- */

struct kw_ledger_verdict {
	const struct kw_verifier *verifier;
	const struct kw_summary *summary;
	struct kw_verify_result result;
	uint64_t faults;
	const char *since; /* the checkpoint that it was to extend; NULL: none was given */
	bool utc;
};

/* Whether there is a line, and no fault. */
bool kw_verdict_is_sound(const struct kw_ledger_verdict *verdict);
/* The last sentence. */
const char *kw_verdict_conclusion(const struct kw_ledger_verdict *verdict);
/* The verdict in sentences. */
void kw_verdict_append(struct kw_bytes *out, const struct kw_ledger_verdict *verdict);
/* Keys that signed, in the order in which they began, at most KW_VERDICT_KEYS_MAX of them; *ret_omitted: others. */
size_t kw_verdict_keys(const struct kw_ledger_verdict *verdict,
		       struct kw_key_use ret_keys[static KW_VERDICT_KEYS_MAX],
		       uint64_t *ret_omitted);
/* Root of the last good checkpoint, as its note has it: base64, of *ret_length bytes. Borrowed; "" for none. */
const char *kw_verdict_root(const struct kw_ledger_verdict *verdict, int *ret_length);

struct json_t;
/* The same for a program, with these faults (borrowed); NULL: out of memory. */
struct json_t *kw_verdict_json(const struct kw_ledger_verdict *verdict, struct json_t *faults);
