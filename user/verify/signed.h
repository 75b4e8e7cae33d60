/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What a signature covers, and whether it is good: for one event, ledger or not. Private to the room. */
#include <kwitness/limits.h>

#include "user/verify/scan.h"

KW_DEFINE_CLEANUP(struct kw_keyring *, kw_keyring_free)

/* More signatures than any producer of ours makes; a foreign envelope may have several. */
#define KW_SIGNATURES_MAX 4

struct kw_signature {
	char key_id[KW_KID_MAX + 1];
	unsigned char bytes[64];
};

/* The keyring's keys, one after the other; NULL behind the last. Borrowed. */
const unsigned char *kw_keyring_entry(const struct kw_keyring *keyring, size_t index,
				      const char **ret_id);

/* A DSSE envelope with our payload type. */
struct kw_envelope {
	unsigned char material[32];
	size_t count;
	struct kw_signature signatures[KW_SIGNATURES_MAX];
};

/* Parses the dssematerial attribute's value (without quotation marks). canonical: one signature, the
 * envelope and all base64 in their only canonical form. scratch is cleared and used.
 * 0, -EBADMSG with a static reason, -errno. */
int kw_envelope_parse(const char *text, size_t length, bool canonical, struct kw_bytes *scratch,
		      struct kw_envelope *ret_envelope, const char **ret_reason) kw_must_check;

/* What came out for an envelope. */
enum kw_signed {
	KW_SIGNED_GOOD,
	KW_SIGNED_UNKNOWN_KEY, /* no signature by a key of the keyring */
	KW_SIGNED_BAD,	       /* a key of the keyring, but the signature does not fit */
};
struct kw_trusted_key; /* keys.h */
/* *ret_key: whose signature is good; else untouched. */
enum kw_signed kw_envelope_verify(const struct kw_envelope *envelope,
				  const struct kw_keyring *keyring,
				  const struct kw_trusted_key **ret_key);

/* SHA-256 chain over event's attributes and data (docs/ledger.md). scratch is cleared and used.
 * 0, -EBADMSG with a static reason, -errno. */
int kw_material_compute(const struct kw_members *event, struct kw_bytes *scratch,
			unsigned char ret_material[static 32], const char **ret_reason)
	kw_must_check;

/* ---- line.c: one line of a ledger ---- */

struct kw_line {
	struct kw_members members;
	uint64_t sequence;
	unsigned char prevhash[32];
	struct kw_span source; /* these with their quotation marks */
	struct kw_span time;
	struct kw_span type;
	uint64_t time_real_ns;
	bool is_gap;
	uint64_t gap_lost; /* exact losses of a gap event; 0 otherwise */
	bool is_checkpoint;
	bool is_key; /* it says that another key signs from here on */
	uint64_t recorded_real_ns;
	struct kw_span data;
};

/* Checks everything about a line (without newline) that needs no key and no neighbour.
 * 0, -EBADMSG with a static reason, -errno. */
int kw_line_parse(const char *text, size_t length, struct kw_line *ret_line,
		  const char **ret_reason) kw_must_check;
/* Checks signature, digest and the key's limits. canonical: a ledger's line; else an event of which only
 * the members are known. scratch is used. 0: good, *ret_serial: the key's; 1: not, and *ret_fault and
 * *ret_reason say why; -errno. */
int kw_line_verify(const struct kw_line *line, const struct kw_keyring *keyring, bool canonical,
		   struct kw_bytes *scratch, uint64_t *ret_serial, enum kw_fault *ret_fault,
		   const char **ret_reason) kw_must_check;
/* Sequence of a line that could not be parsed, as far as it can be made out; 0: not at all. */
uint64_t kw_line_salvage_sequence(const char *text, size_t length);
