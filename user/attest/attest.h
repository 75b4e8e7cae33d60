/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * attest: say it so that anyone can check it.
 *
 * In: a finding. Out: one line of bytes: a CloudEvent in canonical JSON (RFC 8785), signed
 * (dssematerial), chained to the line before it. Owned: the only pointer to the private key, in
 * locked memory; the chain's head. Promised: the head moves only when the caller says the line was
 * kept; no line without a signature ever leaves. Format: docs/ledger.md, docs/events.md.
 */
#include <sodium.h>

#include "user/reconcile/reconcile.h"

/* ---- key.c ---- */

struct kw_key; /* private key in sodium_malloc()ed memory */

/* Reads "base64url of the 32-byte seed" from path: regular file, no symbolic link, not readable by
 * group or others, at most 4 KiB; an optional second line "kid: NAME". 0; -EPERM (mode), -EBADMSG
 * (text), -ELOOP, -errno. kid_default: key id when the file names none ("kwitness-<8 hex>" of the
 * public key when NULL). */
int kw_key_load(const char *path, const char *kid_default, struct kw_key **ret_key) kw_must_check;
/* A key from a seed: tests and replay. */
int kw_key_from_seed(const unsigned char seed[static 32], const char *kid, struct kw_key **ret_key)
	kw_must_check;
/* Makes a new key file (0600, never overwrites: -EEXIST). */
int kw_key_generate(const char *path, const char *kid, struct kw_key **ret_key) kw_must_check;
/* Wipes and frees. */
void kw_key_free(struct kw_key *key);
KW_DEFINE_CLEANUP(struct kw_key *, kw_key_free)
const char *kw_key_id(const struct kw_key *key);
const unsigned char *kw_key_public(const struct kw_key *key); /* 32 bytes */
/* Ed25519 over data. */
int kw_key_sign(const struct kw_key *key, const void *data, size_t length,
		unsigned char ret_signature[static 64]) kw_must_check;
/* "{"kid":"base64url"}" and a newline. */
void kw_key_append_keyring(const struct kw_key *key, struct kw_bytes *out);

/* ---- dsse.c: dssematerial of any CloudEvent (docs/ledger.md) ---- */

/* The attributes that are always signed, in the order in which they are hashed. */
enum kw_dsse_attribute {
	KW_DSSE_ID,
	KW_DSSE_SOURCE,
	KW_DSSE_SPECVERSION,
	KW_DSSE_TYPE,
	KW_DSSE_DATACONTENTTYPE,
	KW_DSSE_DATASCHEMA,
	KW_DSSE_SUBJECT,
	KW_DSSE_TIME, /* UTC, whole seconds: "2020-06-18T17:24:53Z" */
	KW_DSSE_DATA, /* the data's bytes */
	KW_DSSE_ATTRIBUTE_COUNT_
};

/* Bytes to be hashed; all zero: not set, which counts as empty. */
struct kw_dsse_field {
	const void *data;
	size_t length;
	const unsigned char *digest; /* their SHA-256 where it is known already, else NULL */
};

#define KW_DSSE_EXTENSIONS_MAX 32

struct kw_dsse_event {
	struct kw_dsse_field core[KW_DSSE_ATTRIBUTE_COUNT_];
	/* Signed extension attributes in the order of signedextattrs: name, value, name, value … */
	struct kw_dsse_field extensions[2 * KW_DSSE_EXTENSIONS_MAX];
	size_t extension_count;
};

/* The 32 bytes that are signed. -E2BIG: more than KW_DSSE_EXTENSIONS_MAX. */
int kw_dsse_material(const struct kw_dsse_event *event, unsigned char ret_material[static 32])
	kw_must_check;
/* Signs material and appends the attribute's value: base64 of the DSSE envelope. 0 or -errno. */
int kw_dsse_append_attribute(const struct kw_key *key, const unsigned char material[static 32],
			     struct kw_bytes *out) kw_must_check;

/* ---- chain.c and the room's work ---- */

/* Where the next line goes: what the ledger found at its end. */
struct kw_chain_head {
	uint64_t sequence;	/* of the last line; 0: the ledger is empty */
	unsigned char hash[32]; /* SHA-256 of the last line's bytes, no newline; zeroes: empty */
};

struct kw_attest;

struct kw_attest_options {
	const struct kw_key *key; /* borrowed */
	const char *source;	  /* "/kwitness/<machine-id>" */
	const struct kw_clock *clock;
	struct kw_chain_head head;
};

int kw_attest_open(const struct kw_attest_options *options, struct kw_attest **ret_attest)
	kw_must_check;
void kw_attest_free(struct kw_attest *attest);
KW_DEFINE_CLEANUP(struct kw_attest *, kw_attest_free)

/* Makes the line for finding into line (cleared first; newline included). The head does not move
 * yet. 0, -EMSGSIZE when the event would pass KW_EVENT_MAX (victims are left out, counted, and it is
 * tried again first), -errno. */
int kw_attest_finding(struct kw_attest *attest, const struct kw_finding *finding,
		      struct kw_bytes *line) kw_must_check;
/* The line last made was kept: the head moves on to it. */
void kw_attest_commit(struct kw_attest *attest);
struct kw_chain_head kw_attest_head(const struct kw_attest *attest);
