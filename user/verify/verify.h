/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * verify: read a ledger as somebody who trusts nothing but a keyring.
 *
 * In: bytes, hostile ones. Out: faults, each told apart, and a sum. Owned: nothing of the daemon's;
 * the public interface is <kwitness/verify.h>. This header adds what the `kwitness` command needs of
 * the same JSON reader: to sign a foreign event it must see exactly the bytes that verify will see.
 */
#include <stdbool.h>
#include <stddef.h>

#include <kwitness/verify.h>

#include "user/base/bytes.h"
#include "user/base/tree.h"

/* A piece of a text; borrowed. data NULL: not there. A JSON string's span has its quotation marks. */
struct kw_span {
	const char *data;
	size_t length;
};

/* ---- jcs.c: any JSON text to its canonical form (RFC 8785) ---- */

/* Appends the canonical form of text to out. 0; -EBADMSG with *ret_reason (static) when text is not
 * JSON as RFC 7493 (I-JSON) has it: a repeated name, a lone surrogate, invalid UTF-8; -errno. */
int kw_jcs_append(struct kw_bytes *out, const char *text, size_t length, const char **ret_reason)
	kw_must_check;

/* ---- read.c: reading text that was checked before ---- */

/* Attributes of one event. Above: refused. */
#define KW_MEMBERS_MAX 64

struct kw_members {
	size_t count;
	struct kw_span names[KW_MEMBERS_MAX];
	struct kw_span values[KW_MEMBERS_MAX];
};

/* All members of an object. 0, -EBADMSG: not an object, -E2BIG: more than KW_MEMBERS_MAX. */
int kw_read_members(struct kw_span object, struct kw_members *ret_members) kw_must_check;
/* Value of the member of this name; data NULL: there is none. */
struct kw_span kw_read_find(const struct kw_members *members, const char *name);
/* Goes through the members of any object: next one's name and value, false at its end. *position: 0
 * to begin with. */
bool kw_read_member(struct kw_span object, size_t *position, struct kw_span *ret_name,
		    struct kw_span *ret_value);
/* Whether the JSON string is exactly text. */
bool kw_read_equals(struct kw_span string, const char *text);
/* Appends what the JSON string means, as UTF-8. 0, -EBADMSG when it is no string, -errno. */
int kw_read_decode(struct kw_span string, struct kw_bytes *out) kw_must_check;
bool kw_read_is_string(struct kw_span value);

/* ---- material.c: the bytes that a CloudEvent's signature covers ---- */

/* The event's data as it is hashed, appended to out: canonical JSON; a string's own bytes where
 * datacontenttype is not JSON; what data_base64 means. 0, -EBADMSG, -errno. */
int kw_material_data(const struct kw_members *event, struct kw_bytes *out) kw_must_check;
/* The event's time as it is hashed: UTC, whole seconds, or nothing. 0, -EBADMSG, -errno. */
int kw_material_time(const struct kw_members *event, struct kw_bytes *out) kw_must_check;
/* Value of an extension attribute as it is hashed: string, or the text of a number or boolean. */
int kw_material_extension(struct kw_span value, struct kw_bytes *out) kw_must_check;
/* Whether name may stand in signedextattrs: [a-z0-9]+, no core attribute, not dssematerial,
 * signedextattrs, data or data_base64. */
bool kw_material_may_sign(const char *name, size_t length);

/* ---- prover.c: from a ledger's lines to the proof of one of them ---- */

struct kw_prover;

/* Bytes of a wanted event's id, with its NUL. */
#define KW_PROVER_WANTED_MAX 256

/* wanted: a sequence in digits, else an event's id. 0, -EINVAL: neither, -errno. */
int kw_prover_new(const char *wanted, struct kw_prover **ret_prover) kw_must_check;
void kw_prover_free(struct kw_prover *prover);
KW_DEFINE_CLEANUP(struct kw_prover *, kw_prover_free)
/* The first line that is fed is the one behind these, which retention removed: the tree over them. Before the
 * first. */
void kw_prover_begin(struct kw_prover *prover, const struct kw_tree *before);
/* The wanted line, its sequence being known, is this one; the tree is that over some lines, at least as many, and
 * path has the siblings in it. Lines that are fed from then on stand behind those; a checkpoint of just so many
 * lines may be fed at once. In place of all that stands before. 1: it is, 0: it is another line; -errno. */
int kw_prover_resume(struct kw_prover *prover, const struct kw_tree *tree,
		     const struct kw_tree_path *path, const char *line, size_t length)
	kw_must_check;
/* The next line, without its newline, from the ledger's first on. 1: the proof is whole, 0: go on,
 * -errno. */
int kw_prover_feed(struct kw_prover *prover, const char *line, size_t length) kw_must_check;
/* Whether the wanted event was met. */
bool kw_prover_found(const struct kw_prover *prover);
/* Appends the proof. 0; -ENODATA: it is not whole; -errno. */
int kw_prover_append(const struct kw_prover *prover, struct kw_bytes *out) kw_must_check;

/* ---- proof.c ---- */

/* Whether the proof leads from its line to the root of its checkpoint. No signature is looked at: for whoever made
 * the proof himself. 1, 0, -errno. */
int kw_proof_holds(const char *text, size_t length) kw_must_check;
