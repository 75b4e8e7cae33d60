/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Checkpoints as signed notes, and the tree they are about. Private to the room. */
#include "user/base/tree.h"
#include "user/verify/signed.h"

#define KW_NOTE_BYTES_MAX (64 * 1024)
#define KW_NOTE_ORIGIN_MAX 256

/* ---- note.c ---- */

/* SHA-256; a kw_tree_hash_fn. */
void kw_note_hash(const struct kw_tree_piece *pieces, size_t count,
		  unsigned char ret_hash[static KW_TREE_HASH_BYTES]);

/* A checkpoint whose signature is good. */
struct kw_note {
	char origin[KW_NOTE_ORIGIN_MAX];
	uint64_t size;
	unsigned char root[KW_TREE_HASH_BYTES];
	char key_id[KW_KID_MAX + 1]; /* of the keyring's key that signed it */
};

/* Reads a C2SP tlog-checkpoint and verifies it: a signature line of its origin's name by a key of the
 * keyring; lines of other names (witnesses) are passed over. 0; -EBADMSG with a static reason. */
int kw_note_read(const char *text, size_t length, const struct kw_keyring *keyring,
		 struct kw_note *ret_note, const char **ret_reason) kw_must_check;

/* The same without a keyring: what the note says, whoever signed it. */
int kw_note_read_text(const char *text, size_t length, struct kw_note *ret_note) kw_must_check;

/* ---- history.c: the tree over lines that were read, a bounded number of them held back ---- */

struct kw_history {
	struct kw_tree tree; /* over the lines that are not held back */
	size_t first;	     /* of the leaves that are, in a ring */
	size_t held;
	unsigned char (*leaves)[KW_TREE_HASH_BYTES]; /* owned: KW_CHECKPOINT_LAG_MAX of them */
	struct kw_tree_path *path;		     /* borrowed; NULL: no proof is wanted */
	uint64_t milestone;			     /* size at which the root is wanted; 0: none */
	bool milestone_met;
	unsigned char milestone_root[KW_TREE_HASH_BYTES];
	bool partial; /* what stands before the first line is not known: the tree means nothing yet */
	struct kw_tree_range range; /* then: the lines that are not held back */
};

int kw_history_init(struct kw_history *history) kw_must_check;
void kw_history_done(struct kw_history *history);
/* The first line is not the ledger's: size lines stand before it. Before the first leaf. */
void kw_history_begin(struct kw_history *history, uint64_t size);
/* The tree over what stands before the first line: from now on the tree is that of the ledger. Returns whether
 * it is over just those lines, and they were not known before. */
bool kw_history_resume(struct kw_history *history, const struct kw_tree *before);
/* The next line's leaf. */
void kw_history_add(struct kw_history *history, const char *line, size_t length);
void kw_history_add_leaf(struct kw_history *history, const unsigned char *leaf);
/* Lines added so far. */
uint64_t kw_history_lines(const struct kw_history *history);
/* Lets the tree grow to size. Returns whether it has that size now: not when it is larger already, nor
 * when fewer lines were added. */
bool kw_history_grow(struct kw_history *history, uint64_t size);

/* ---- checkpoint.c ---- */

/* What a verifier knows of a ledger's checkpoints. */
struct kw_checkpoints {
	struct kw_history history;
	bool lost;	/* the tree is not that of the ledger: roots mean nothing any more */
	bool unplaced;	/* also with what stands before the first line */
	bool has_first; /* first line's hash is known: so is the origin's end */
	unsigned char first[32];	 /* SHA-256 of the first line */
	char origin[KW_NOTE_ORIGIN_MAX]; /* of the first checkpoint; empty: none yet */
	uint64_t last_size;		 /* of the last good one */
	struct kw_note since; /* an earlier one that the ledger must extend; size 0: none */
};

enum kw_checkpoint_outcome {
	KW_CHECKPOINT_GOOD,
	KW_CHECKPOINT_UNCHECKED, /* signature good, root not comparable */
	KW_CHECKPOINT_BAD,
};

/* The event in line (not added yet) says it is a checkpoint. Bad: *ret_fault, and a sentence in
 * ret_detail. Returns an enum kw_checkpoint_outcome, or -errno. */
int kw_checkpoints_check(struct kw_checkpoints *checkpoints, const struct kw_line *line,
			 const struct kw_keyring *keyring, struct kw_bytes *scratch,
			 enum kw_fault *ret_fault, char *ret_detail, size_t size) kw_must_check;
/* ---- retained.c: what retention removed, as the ledger declares it ---- */

struct kw_retained {
	uint64_t first; /* sequences of the lines that are removed by this one */
	uint64_t last;
	unsigned char first_hash[32]; /* SHA-256 of the ledger's first line, and of line last */
	unsigned char last_hash[32];
	struct kw_tree before; /* over all lines up to last */
};

/* Whether a gap's data declares a removal, and is whole. */
bool kw_retained_read(struct kw_span data, struct kw_retained *ret_retained);
/* Goes on from there, when the ledger's first line is the one behind it. prevhash: of that line. Returns whether
 * the two contradict each other. */
bool kw_checkpoints_resume(struct kw_checkpoints *checkpoints, const struct kw_retained *retained,
			   const unsigned char prevhash[static 32]);

/* All lines were added: whether the ledger extends since. No: a sentence in ret_detail. */
bool kw_checkpoints_extends(struct kw_checkpoints *checkpoints, char *ret_detail, size_t size);
