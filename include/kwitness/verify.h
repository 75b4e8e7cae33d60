/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Verifying a kwitness ledger: the public API of libkwitness. Needs libsodium, nothing of the daemon.
 * Format: docs/ledger.md. Constant memory, whatever the ledger's size. A verifier is used by one thread
 * at a time; a keyring is not changed once it is loaded, and any number of threads may share it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct kw_keyring;
struct kw_verifier;

/* What can be wrong with a line. A line may have several; each is reported. */
enum kw_fault {
	KW_FAULT_MALFORMED,   /* not canonical JSON, or not an event as docs/ledger.md has it */
	KW_FAULT_TOO_LONG,    /* longer than KW_LINE_MAX */
	KW_FAULT_TORN,	      /* the last line has no newline */
	KW_FAULT_UNSIGNED,    /* no dssematerial */
	KW_FAULT_UNKNOWN_KEY, /* key id not in the keyring */
	KW_FAULT_SIGNATURE,   /* the signature does not fit the key */
	KW_FAULT_DIGEST,      /* signature is good, but not for this event: it was changed */
	KW_FAULT_CHAIN,	      /* prevhash is not the hash of the line before */
	KW_FAULT_SEQUENCE_MISSING,  /* numbers are missing: lines were deleted */
	KW_FAULT_SEQUENCE_REPEATED, /* a number stands twice: replayed or copied */
	KW_FAULT_SEQUENCE_ORDER,    /* a number smaller than its predecessor: moved */
	KW_FAULT_SOURCE,	    /* another host's line */
	KW_FAULT_START,	     /* the first line is not the ledger's first, and not declared so */
	KW_FAULT_NOTE,	     /* a checkpoint's note is malformed, unsigned, or not this ledger's */
	KW_FAULT_CHECKPOINT, /* a checkpoint does not fit the lines before it */
	KW_FAULT_SINCE,	     /* the ledger does not extend the checkpoint it was to extend */
	KW_FAULT_COMPRESSED, /* a compressed file is damaged or cut off: its rest could not be had */
	KW_FAULT_VALIDITY,   /* the keyring limits the key to other times or another part */
	KW_FAULT_RETIRED_KEY, /* another key had been put in the place of the one that signed */
	KW_FAULT_ROTATION,    /* a change of keys that does not hold */
	KW_FAULT_COUNT_
};
const char *kw_fault_name(enum kw_fault fault); /* "signature", "digest", … */

struct kw_fault_report {
	enum kw_fault fault;
	const char *file;   /* "-" for standard input; borrowed */
	uint64_t line;	    /* 1-based in file */
	uint64_t sequence;  /* of the line, when it could be read; else 0 */
	const char *detail; /* one sentence; borrowed */
};
typedef void (*kw_fault_fn)(void *context, const struct kw_fault_report *report);

/* Sum of what was read. */
struct kw_verify_result {
	uint64_t lines;
	uint64_t bad_lines;
	uint64_t faults[KW_FAULT_COUNT_];
	uint64_t first_sequence;
	uint64_t last_sequence;
	unsigned char last_hash[32];
	uint64_t gaps;	    /* gap events, by kind below */
	uint64_t gaps_lost; /* sum of their exact losses */
	char first_time[40];
	char last_time[40];
	uint64_t checkpoints;		/* good ones: signed, and over the lines before them */
	uint64_t checkpoints_unchecked; /* signed, but the lines before are not (all) there */
	uint64_t checkpoint_size;	/* lines that the last good one covers */
	char checkpoint_note[1024];	/* and its note: keep it elsewhere; empty: none */
	uint64_t
		removed_to; /* lines up to it were removed by retention, as the ledger says; 0: none */
};

/* Reads {kid: base64url public key}, or {kid: {"key": …, limits}} (docs/ledger.md, "The keyring"):
 * O_NOFOLLOW, duplicate kids refused, small-order and otherwise unusable keys refused. 0; -EBADMSG with *ret_reason (static text); -errno. */
int kw_keyring_load(const char *path, struct kw_keyring **ret_keyring, const char **ret_reason);
int kw_keyring_parse(const char *text, size_t length, struct kw_keyring **ret_keyring,
		     const char **ret_reason);
void kw_keyring_free(struct kw_keyring *keyring);
/* 32 bytes, borrowed; NULL: not in it. */
const unsigned char *kw_keyring_find(const struct kw_keyring *keyring, const char *kid);

/* allow_partial: a first line other than sequence 1 is no fault, whether retention declared
 * that or not. keyring is borrowed. */
int kw_verifier_new(const struct kw_keyring *keyring, bool allow_partial, kw_fault_fn callback,
		    void *context, struct kw_verifier **ret_verifier);
void kw_verifier_free(struct kw_verifier *verifier);
/* Lets so many threads, the caller's among them, check signatures: 1 (as it is without this call) to 64.
 * What is reported, its order, and from which thread (the caller's) do not change. Before the first feed.
 * 0, -EINVAL, -errno: then nothing has changed. */
int kw_verifier_set_threads(struct kw_verifier *verifier, unsigned int threads);
/* A line whose signature is good, and that did not stand before. Borrowed until the callback returns. */
struct kw_signed_line {
	const char *file;
	uint64_t line; /* 1-based in file */
	uint64_t sequence;
	uint64_t time_real_ns;	   /* when it happened: ns since 1970, as the host's clock was */
	uint64_t recorded_real_ns; /* when it was recorded */
	const char *type;	   /* of the event; type_length bytes */
	size_t type_length;
	const char *text; /* all of the line, canonical JSON, without its newline */
	size_t length;
	bool has_fault; /* its place or what it states was reported as a fault */
};
typedef void (*kw_signed_line_fn)(void *context, const struct kw_signed_line *line);
/* Shows each such line, in the ledger's order and from the caller's thread, behind the faults that were
 * reported of it. context is kw_verifier_new()'s. Before the first feed. */
void kw_verifier_set_reader(struct kw_verifier *verifier, kw_signed_line_fn callback);
/* Feeds the next bytes of the ledger; lines may be cut anywhere. */
int kw_verifier_feed(struct kw_verifier *verifier, const char *file, const char *data,
		     size_t length);
/* The rest of file could not be had because it is compressed and damaged: detail, a sentence. */
int kw_verifier_damaged(struct kw_verifier *verifier, const char *file, const char *detail);
/* The file has ended: a last line without newline is torn. Call between files and at the end. */
int kw_verifier_end_of_file(struct kw_verifier *verifier);
/* The ledger must extend this earlier checkpoint (a C2SP signed note, as checkpoint events carry it).
 * Before the first feed. name: for the report; borrowed. 0, -EBADMSG with *ret_reason (static). */
int kw_verifier_set_since(struct kw_verifier *verifier, const char *name, const char *note,
			  size_t length, const char **ret_reason);
/* Nothing follows: says what only the whole ledger shows (KW_FAULT_SINCE, KW_FAULT_START). Once, after the last file. */
int kw_verifier_finish(struct kw_verifier *verifier);
void kw_verifier_result(const struct kw_verifier *verifier, struct kw_verify_result *ret_result);

/* A key, and what was read of the ledger says about it. Sequences; 0: none. */
struct kw_key_use {
	const char *id;		  /* borrowed from the verifier */
	const unsigned char *key; /* 32 bytes, borrowed */
	bool is_given;		  /* of the keyring; else the ledger announced it */
	uint64_t first_used;	  /* first line it signed */
	uint64_t last_used;
	uint64_t announced; /* the line that announced it */
	uint64_t retired;   /* the line, its last, that put another in its place */
	uint64_t
		first_real_ns; /* when the first line it signed was recorded, and the last: ns since 1970 */
	uint64_t last_real_ns;
	/* What it may sign, by the keyring and by the ledger; all included. */
	uint64_t first_sequence; /* 0: from the first line on */
	uint64_t last_sequence;	 /* UINT64_MAX: without an end */
	uint64_t not_before_ns;	 /* 0: not limited */
	uint64_t not_after_ns;	 /* UINT64_MAX: not limited */
};
/* The keys in no order, one after the other: false behind the last. The keyring's, and of those that the
 * ledger announced the last 128. */
bool kw_verifier_key(const struct kw_verifier *verifier, size_t index, struct kw_key_use *ret_use);

/* Verifies one event alone (signature and digest; no chain). 0: good; else 1 + the enum kw_fault,
 * with *ret_reason a static sentence. */
int kw_verify_event(const struct kw_keyring *keyring, const char *json, size_t length,
		    const char **ret_reason);

/* What a good proof proves: this event is line `sequence` of the ledger `origin`, one of `size` lines. */
struct kw_proof_result {
	uint64_t sequence;
	uint64_t size;
	char origin[256];
	char key_id[129]; /* that signed the checkpoint */
	char id[64];	  /* of the event; texts as in its JSON */
	char type[160];
	char time[40];
};

/* Verifies a proof as `kwitness prove` makes it: event, inclusion, checkpoint. 0: good; 1: not, with
 * *ret_reason a static sentence; -errno. */
int kw_proof_verify(const struct kw_keyring *keyring, const char *text, size_t length,
		    struct kw_proof_result *ret_result, const char **ret_reason);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
