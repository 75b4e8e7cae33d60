/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Whom to believe, for which lines, and how that changes along a ledger. Private to the room. */
#include "user/verify/batch.h"

struct kw_trusted_key {
	char id[KW_KID_MAX + 1];
	unsigned char bytes[32];
	uint64_t serial;	/* of no other entry, ever: its place may be another's later */
	uint64_t not_before_ns; /* wall clock, both included */
	uint64_t not_after_ns;
	uint64_t first_sequence; /* both included; 0 and UINT64_MAX: not limited by place */
	uint64_t last_sequence;

	/* What one ledger has shown so far. */
	uint64_t first_used; /* sequence of the first line it signed; 0: none */
	uint64_t last_used;
	uint64_t announced;	/* sequence of the line that announced it; 0: none */
	uint64_t retired;	/* sequence of the line that put another in its place; 0: none */
	uint64_t first_real_ns; /* when the first and the last were recorded */
	uint64_t last_real_ns;
};

struct kw_keyring {
	size_t given; /* keys of the file; those that a ledger announced stand behind them, in a ring */
	size_t count;
	uint64_t next_serial;
	uint64_t last_rotation; /* sequence of the last line that changed the key */
	struct kw_trusted_key keys[KW_KEYS_MAX + KW_KEYS_ANNOUNCED_MAX];
};

bool kw_keyring_is_id(const char *id, size_t length);
/* The key of this id, or NULL. */
const struct kw_trusted_key *kw_keyring_key(const struct kw_keyring *keyring, const char *id);

/* ---- trust.c ---- */

/* A copy that may change; kw_keyring_free() it. */
int kw_trust_copy(const struct kw_keyring *keyring, struct kw_keyring **ret_trust) kw_must_check;
/* Why a line of this place and time may not be signed by the key: a static sentence; NULL: it may. */
const char *kw_trust_covers(const struct kw_trusted_key *key, uint64_t sequence, uint64_t real_ns);
/* Why a checkpoint over so many lines may not be signed by the key; NULL: it may. */
const char *kw_trust_covers_note(const struct kw_trusted_key *key, uint64_t size);
/* Who signed the line, by itself and by what the lines before it say about keys. As kw_line_verify():
 * 0, 1 or -errno; a good signer is remembered as one. scratch is used. */
int kw_trust_judge(struct kw_keyring *trust, const struct kw_checked *checked,
		   struct kw_bytes *scratch, uint64_t *ret_signer, enum kw_fault *ret_fault,
		   const char **ret_reason) kw_must_check;
/* The line, good and the last so far, says that another key signs from here on. NULL: so it is now (or was
 * already, by this very line); else a static sentence, and nothing has changed. scratch is used. */
const char *kw_trust_rotate(struct kw_keyring *trust, const struct kw_line *line, uint64_t signer,
			    struct kw_bytes *scratch);
bool kw_trust_key_use(const struct kw_keyring *trust, size_t index, struct kw_key_use *ret_use);
