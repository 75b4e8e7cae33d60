/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * A Merkle tree as RFC 6962 section 2.1 has it, growing at its right edge only: 64 hashes, whatever its
 * size. The caller brings SHA-256: who signs and who verifies use different libraries, and this room
 * uses none.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KW_TREE_HASH_BYTES 32
#define KW_TREE_LEVELS 64

struct kw_tree_piece {
	const void *data;
	size_t length;
};
/* SHA-256 over the pieces, one after the other. */
typedef void (*kw_tree_hash_fn)(const struct kw_tree_piece *pieces, size_t count,
				unsigned char ret_hash[static KW_TREE_HASH_BYTES]);

/* peaks[i] is the root over 2^i leaves where bit i of size is set, and nothing where it is not. */
struct kw_tree {
	kw_tree_hash_fn hash;
	uint64_t size;
	unsigned char peaks[KW_TREE_LEVELS][KW_TREE_HASH_BYTES];
};

/* Siblings on the way from one leaf to the root, collected while the tree grows over it. */
struct kw_tree_path {
	uint64_t index; /* of the leaf, from 0 */
	unsigned char siblings[KW_TREE_LEVELS][KW_TREE_HASH_BYTES];
};

/* An empty tree. */
void kw_tree_init(struct kw_tree *tree, kw_tree_hash_fn hash);
/* Hash of a leaf: SHA-256(0x00 || data). */
void kw_tree_leaf(kw_tree_hash_fn hash, const void *data, size_t length,
		  unsigned char ret_leaf[static KW_TREE_HASH_BYTES]);
/* Appends a leaf by its hash. path may be NULL. A tree of 2^64 - 1 leaves takes no more. */
void kw_tree_append(struct kw_tree *tree, const unsigned char leaf[static KW_TREE_HASH_BYTES],
		    struct kw_tree_path *path);
/* Root over all leaves; SHA-256 of nothing when there are none. */
void kw_tree_root(const struct kw_tree *tree, unsigned char ret_root[static KW_TREE_HASH_BYTES]);

/* Inclusion proof (RFC 6962 2.1.1) of the leaf of path, which the tree grew over: hashes from the leaf's
 * sibling to the root's child. Returns how many. */
size_t kw_tree_prove(const struct kw_tree *tree, const struct kw_tree_path *path,
		     unsigned char ret_proof[static KW_TREE_LEVELS][KW_TREE_HASH_BYTES]);
/* Whether proof leads from leaf at index to root in a tree of size leaves (RFC 9162 2.1.3.2). */
bool kw_tree_includes(kw_tree_hash_fn hash, uint64_t index, uint64_t size,
		      const unsigned char leaf[static KW_TREE_HASH_BYTES],
		      const unsigned char (*proof)[KW_TREE_HASH_BYTES], size_t count,
		      const unsigned char root[static KW_TREE_HASH_BYTES]);

/* Hash of the node over two. ret_node may be one of them. */
void kw_tree_join(kw_tree_hash_fn hash, const unsigned char *left, const unsigned char *right,
		  unsigned char *ret_node);

/* ---- tree_range.c: leaves from begin on, of a tree whose leaves before begin are not known yet ---- */

struct kw_tree_range {
	kw_tree_hash_fn hash;
	uint64_t begin;
	uint64_t end; /* behind the last leaf */
	/* The largest perfect subtrees that lie within, from the left: up to two of each size. */
	unsigned int count;
	unsigned char levels[2 * KW_TREE_LEVELS];
	unsigned char nodes[2 * KW_TREE_LEVELS][KW_TREE_HASH_BYTES];
};

void kw_tree_range_init(struct kw_tree_range *range, kw_tree_hash_fn hash, uint64_t begin);
void kw_tree_range_append(struct kw_tree_range *range,
			  const unsigned char leaf[static KW_TREE_HASH_BYTES]);
/* tree is that over the leaves before range's begin: now it is over all of them. Its size must be begin. */
void kw_tree_extend(struct kw_tree *tree, const struct kw_tree_range *range);
