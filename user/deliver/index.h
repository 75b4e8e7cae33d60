/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* One index file: where each line of a closed segment stands, and what the tree over the ledger consists of
 * there; private to deliver. It is a cache: whatever it says is checked by whoever uses it (docs/ledger.md,
 * "The index"). */
#include <stdatomic.h>

#include "user/deliver/deliver.h"

#define KW_INDEX_DIRECTORY "index"
#define KW_INDEX_NAME_BYTES 25 /* "<20 digits>.idx", with its NUL */
#define KW_INDEX_MAGIC "kwitness-index1\n"

/* Subtrees of 2^8 leaves and more are kept; the smaller ones are hashed from the leaves when they are asked for. */
#define KW_INDEX_LEVEL 8U

/* Numbers in a file are little-endian. */
struct kw_index_header {
	char magic[16];
	uint64_t first; /* sequence of the segment's first line */
	uint64_t count; /* of its lines */
	uint64_t text_bytes;
	uint64_t checkpoints;
	uint64_t unused[2]; /* 0 */
};
struct kw_index_record { /* of each line */
	uint64_t offset; /* in the segment's text, as it is without compression */
	unsigned char leaf[KW_TREE_HASH_BYTES];
};
struct kw_index_checkpoint { /* in the order of their lines */
	uint64_t sequence;
	uint64_t size; /* lines that it covers */
};
struct kw_index_id {	   /* in the order of the keys, then of the lines */
	uint64_t key;	   /* the first eight bytes of SHA-256 over the id, the first one highest */
	uint64_t position; /* of the line in the segment, from 0 */
};
_Static_assert(sizeof(struct kw_index_header) == 64, "as in the file");
_Static_assert(sizeof(struct kw_index_record) == 40, "as in the file");

/* An open file, its header checked against its size. */
struct kw_index {
	int fd;
	uint64_t first;
	uint64_t count;
	uint64_t text_bytes;
	uint64_t checkpoints;
	/* Where each part begins: peaks of the tree before the first line (the smallest first), records,
	 * subtrees in the order in which lines completed them, checkpoints, ids. */
	uint64_t at_peaks;
	uint64_t at_records;
	uint64_t at_nodes;
	uint64_t at_checkpoints;
	uint64_t at_ids;
	uint64_t size_bytes;
};

void kw_index_name(uint64_t first, char ret_name[static KW_INDEX_NAME_BYTES]);
/* The parts' places, from first, count and checkpoints. False: no segment has such. */
bool kw_index_layout(struct kw_index *index);
/* indexes: the directory of index files. 0; -ENOENT; -EBADMSG: it is none, or not whole; -errno. */
int kw_index_open(int indexes, uint64_t first, struct kw_index *ret_index) kw_must_check;
void kw_index_close(struct kw_index *index);
/* Subtrees of KW_INDEX_LEVEL and above that a tree of size leaves has had completed. */
uint64_t kw_index_nodes(uint64_t size);
uint64_t kw_index_key(const char *id, size_t length);

/* Each: 0, -EBADMSG or -errno. Root over the 2^level leaves from number * 2^level on; they end in this segment,
 * and below KW_INDEX_LEVEL they lie in it. */
int kw_index_node(const struct kw_index *index, kw_tree_hash_fn hash, unsigned int level,
		  uint64_t number, unsigned char ret_node[static KW_TREE_HASH_BYTES]) kw_must_check;
/* The peak of the tree before the segment's first line at this level: its size has that bit. */
int kw_index_peak(const struct kw_index *index, unsigned int level,
		  unsigned char ret_node[static KW_TREE_HASH_BYTES]) kw_must_check;
/* Where the line begins in the text, and how long it is with its newline. */
int kw_index_place(const struct kw_index *index, uint64_t sequence, uint64_t *ret_offset,
		   uint64_t *ret_length) kw_must_check;
/* 1: found, 0: not in this segment. The first line with this id's key. */
int kw_index_find_id(const struct kw_index *index, uint64_t key, uint64_t *ret_sequence)
	kw_must_check;
/* The first checkpoint in this segment that covers so many lines. 1, 0: none. */
int kw_index_find_checkpoint(const struct kw_index *index, uint64_t size,
			     struct kw_index_checkpoint *ret_checkpoint) kw_must_check;
