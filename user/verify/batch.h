/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What can be said of a line without its neighbours, for many lines at once. Private to the room. */
#include "user/base/cellos.h"
#include "user/base/tree.h"
#include "user/verify/signed.h"

/* Lines at a time. More would not be faster: at 100 us a line a batch takes 10 ms of work. */
#define KW_BATCH_MAX 128

struct kw_checked {
	const char *text; /* without its newline; borrowed until the batch is cleared */
	size_t length;
	int parsed;   /* as kw_line_parse() says: 0, -EBADMSG with reason, -errno */
	int verified; /* parsed is 0: as kw_line_verify() says: 0; 1, fault and reason; -errno */
	enum kw_fault fault;
	const char *reason;
	uint64_t signer; /* verified is 0: serial of the key that signed */
	int enveloped; /* text stood in a CellOS envelope: 1; 0: it did not; -EBADMSG: not in its form */
	bool sealed; /* enveloped is 1: the envelope is signed by the key signer as well */
	struct kw_cellos_envelope envelope;
	struct kw_line line;
	unsigned char hash[32]; /* of the text: what the next line's prevhash is */
	unsigned char leaf[KW_TREE_HASH_BYTES];
};

struct kw_batch;

/* threads: 1 to KW_VERIFY_THREADS_MAX, the caller's among them: none is started for 1. keyring is
 * borrowed. 0 or -errno. */
int kw_batch_new(const struct kw_keyring *keyring, unsigned int threads,
		 struct kw_batch **ret_batch) kw_must_check;
void kw_batch_free(struct kw_batch *batch);
/* Another line. Returns whether the batch is full now. */
bool kw_batch_add(struct kw_batch *batch, const char *text, size_t length);
/* Checks all lines added; returns them, in their order. */
const struct kw_checked *kw_batch_check(struct kw_batch *batch, size_t *ret_count);
void kw_batch_clear(struct kw_batch *batch);

/* ---- profile.c: what is done for the batch ---- */

/* Takes an envelope off, when there is one: text and length are the line's in it then. */
void kw_profile_open(struct kw_checked *line);
/* The line in it was checked: checks the envelope. */
void kw_profile_check(struct kw_checked *line, const struct kw_keyring *keyring);
