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

#include "user/base/tree.h"
#include "user/reconcile/reconcile.h"

/* ---- key.c ---- */

struct kw_key; /* private key in sodium_malloc()ed memory */

/* Reads "base64url of the 32-byte seed" from path: regular file, no symbolic link, not readable by
 * others (but as systemd lets a service read its credential), at most 4 KiB; optional lines behind it:
 * "kid: NAME", "epoch: N". 0; -EPERM (mode), -EBADMSG (text), -ELOOP, -errno. kid_default: key id when the file names none ("kwitness-<8 hex>" of the
 * public key when NULL). */
int kw_key_load(const char *path, const char *kid_default, struct kw_key **ret_key) kw_must_check;
/* A key from a seed: tests and replay. */
int kw_key_from_seed(const unsigned char seed[static 32], const char *kid, struct kw_key **ret_key)
	kw_must_check;
/* Makes a new key file (0600, never overwrites: -EEXIST). */
int kw_key_generate(const char *path, const char *kid, struct kw_key **ret_key) kw_must_check;
/* The key of the epoch behind key's, in a new file at path: its seed is made of this one's, and this one's
 * cannot be made of it. 0; -EEXIST; -ENAMETOOLONG: its id, "<id>.<epoch>", is too long; -errno. */
int kw_key_next_epoch(const struct kw_key *key, const char *path, struct kw_key **ret_next)
	kw_must_check;
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

/* ---- cellos.c: a line in the envelope that CellOS signs events in (docs/cellos.md) ---- */

/* In what form lines are handed on. */
enum kw_profile {
	KW_PROFILE_DSSE,   /* as they are */
	KW_PROFILE_CELLOS, /* each in its envelope */
	KW_PROFILE_BOTH,   /* as they are, and once more beside, each in its envelope */
	KW_PROFILE_COUNT_
};
const char *kw_profile_name(enum kw_profile profile);
/* 0 or -EINVAL. */
int kw_profile_parse(const char *name, enum kw_profile *ret_profile) kw_must_check;
/* Signs a ledger's line (without its newline) with the key that it is signed with itself: the envelope, with a
 * newline, into out (cleared first). 0; -EBADMSG: no ledger's line; -errno. */
int kw_cellos_seal(const struct kw_key *key, const char *line, size_t length, struct kw_bytes *out)
	kw_must_check;

/* ---- chain.c and the room's work ---- */

/* Where the next line goes: what the ledger found at its end. */
struct kw_chain_head {
	uint64_t sequence;	/* of the last line; 0: the ledger is empty */
	unsigned char hash[32]; /* SHA-256 of the last line's bytes, no newline; zeroes: empty */
};

/* ---- tree.c: all lines so far as one Merkle tree ---- */

struct kw_attest_tree {
	struct kw_tree tree;	 /* one leaf a line: RFC 6962 over its bytes, no newline */
	unsigned char first[32]; /* SHA-256 of the first line: tells this ledger from every other */
	unsigned char last[32];	 /* and of the last one, as the chain has it */
};

void kw_attest_tree_init(struct kw_attest_tree *tree);
/* Adds the next line, without its newline. */
void kw_attest_tree_add(struct kw_attest_tree *tree, const void *line, size_t length);
/* The tree as the text of a ledger's file "head", from which it can go on growing. */
void kw_attest_tree_write(const struct kw_attest_tree *tree, struct kw_bytes *out);
/* Reads it back: strictly, root and all. 0 or -EBADMSG. */
int kw_attest_tree_read(const char *text, size_t length, struct kw_attest_tree *ret_tree)
	kw_must_check;

struct kw_attest;

struct kw_attest_options {
	const struct kw_key *key; /* borrowed */
	const char *source;	  /* "/kwitness/<machine-id>" */
	const struct kw_clock *clock;
	struct kw_chain_head head;
	/* Over all lines up to head; copied. NULL: none is kept unless the ledger is empty, and no
	 * checkpoint can be made. */
	const struct kw_attest_tree *tree;
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
/* Why another key signs from here on. */
enum kw_rotation_reason {
	KW_ROTATION_WANTED, /* somebody made a new one */
	KW_ROTATION_EPOCH,  /* its time was over */
	KW_ROTATION_REASON_COUNT_
};
const char *kw_rotation_reason_name(enum kw_rotation_reason reason);

/* Makes the line that puts next in the place of the key, signed by both; kw_attest_commit() does it. next
 * is borrowed from then on, and the key is not any more. -EINVAL: it is the same key, or has its id. */
int kw_attest_rotate(struct kw_attest *attest, const struct kw_key *next,
		     enum kw_rotation_reason reason, struct kw_bytes *line) kw_must_check;
/* The key in force. */
const struct kw_key *kw_attest_key(const struct kw_attest *attest);

/* The line last made was kept: the head moves on to it. */
void kw_attest_commit(struct kw_attest *attest);
/* Id of the event in the line last made. */
const char *kw_attest_line_id(const struct kw_attest *attest);
struct kw_chain_head kw_attest_head(const struct kw_attest *attest);
/* The tree over the lines that were committed; borrowed. NULL: none is kept. */
const struct kw_attest_tree *kw_attest_current_tree(const struct kw_attest *attest);

/* ---- checkpoint.c: a signed statement about all lines so far (docs/ledger.md) ---- */

/* A note's text and signature: origin, size, root, blank line, signature line. */
#define KW_NOTE_MAX 1024
#define KW_ORIGIN_MAX 256

enum kw_checkpoint_reason {
	KW_CHECKPOINT_INTERVAL,	 /* lines were added since the last one */
	KW_CHECKPOINT_HEARTBEAT, /* none were, and that is said too */
	KW_CHECKPOINT_STOP,	 /* the daemon stops in order */
	KW_CHECKPOINT_EVENTS,	 /* so many lines were added since the last one */
	KW_CHECKPOINT_REASON_COUNT_
};
const char *kw_checkpoint_reason_name(enum kw_checkpoint_reason reason);

/* What was recorded since the daemon's start. */
struct kw_totals {
	uint64_t kills;
	uint64_t incidents;
	uint64_t explained; /* incidents by their verdicts */
	uint64_t unexplained;
	uint64_t unverified;
	uint64_t guest;
	uint64_t gaps;
	uint64_t lost; /* exact losses that gaps declared */
};

struct kw_checkpoint {
	/* The lines it covers: all, or all but at most KW_CHECKPOINT_LAG_MAX. The caller has made them
	 * and this tree durable before: two checkpoints that contradict each other are never signed. */
	const struct kw_attest_tree *tree;
	enum kw_checkpoint_reason reason;
	const char *tier; /* NULL: not known */
	struct kw_totals totals;
	const struct kw_parity_totals *parity; /* NULL: left out */
	const struct kw_clock_sync *clock;     /* the wall clock's state; NULL: left out */
	bool open_losses_known;		       /* else null */
	uint64_t open_losses;		       /* known here, and not declared by a gap yet */
};

/* "kwitness/<machine-id>/<16 hex digits of the first line's hash>". -EMSGSIZE; -ENODATA: no
 * line; -EINVAL: a source with blanks or '+'. */
int kw_checkpoint_origin(const char *source, const struct kw_attest_tree *tree,
			 char ret_origin[static KW_ORIGIN_MAX]) kw_must_check;
/* The C2SP signed note: tlog-checkpoint, Ed25519 (signature type 0x01). 0 or -errno. */
int kw_checkpoint_note(const struct kw_key *key, const char *origin, const struct kw_tree *tree,
		       struct kw_bytes *out) kw_must_check;
/* Makes the line of a checkpoint event, as kw_attest_finding() does for a finding. */
int kw_attest_checkpoint(struct kw_attest *attest, const struct kw_checkpoint *checkpoint,
			 struct kw_bytes *line) kw_must_check;
