/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What a verifier remembers between lines and files; private to the room. */
#include <sodium.h>

#include "user/verify/batch.h"
#include "user/verify/holes.h"
#include "user/verify/keys.h"
#include "user/verify/note.h"

struct kw_verifier {
	struct kw_keyring *keyring; /* a copy: the ledger's own lines change it */
	bool allow_partial;
	kw_fault_fn callback;
	kw_signed_line_fn reader; /* NULL: nobody wants them */
	void *context;

	struct kw_bytes file;	 /* its name */
	struct kw_bytes line;	 /* begun in an earlier feed */
	struct kw_bytes scratch; /* for the room's functions */
	struct kw_batch *batch;	 /* whole lines of this feed */
	bool too_long;
	crypto_hash_sha256_state long_hash; /* of a line that is too long to keep */
	uint64_t line_number;

	bool started; /* a line was read */
	bool assumed; /* the highest number is that of a bad line: taken for granted only */
	bool previous_bad;
	bool line_bad;
	bool line_repeated;		  /* its number stood before */
	uint64_t start;			  /* number of a first line that is not 1; 0: it is */
	unsigned char start_prevhash[32]; /* and what it is chained to */
	bool start_bad;			  /* another fault was reported with it */
	uint64_t highest;
	struct kw_bytes source;
	struct kw_bytes start_file; /* the first one's name */
	struct kw_holes holes;
	struct kw_checkpoints checkpoints;
	const char *since_name; /* borrowed; NULL: none */
	struct kw_verify_result result;
};

/* A fault of the file that is being read, or of one that is named by kw_verifier_set_file(). */
void kw_verifier_report_at(struct kw_verifier *verifier, enum kw_fault fault, uint64_t line,
			   uint64_t sequence, const char *detail);
/* Shows a line that is signed to whoever wants to read them. */
void kw_verifier_show(const struct kw_verifier *verifier, const struct kw_checked *checked);
/* What follows is of this file. 0 or -ENOMEM. */
int kw_verifier_set_file(struct kw_verifier *verifier, const char *file);
