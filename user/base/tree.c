/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * RFC 6962 2.1: MTH of n leaves splits at the largest power of two below n, so the tree is a row of
 * perfect subtrees, one for each set bit of n, the largest to the left. Appending a leaf is adding one
 * to a binary number: each carry joins two subtrees of one size. What stands to the right of the leaf
 * of a proof and is no perfect subtree yet is folded from the row.
 */
#include "user/base/tree.h"

#include <string.h>

static const unsigned char leaf_prefix[1] = { 0x00 };
static const unsigned char node_prefix[1] = { 0x01 };

void kw_tree_join(kw_tree_hash_fn hash, const unsigned char *left, const unsigned char *right,
		  unsigned char *ret_node)
{
	const struct kw_tree_piece pieces[] = {
		{ node_prefix, 1 },
		{ left, KW_TREE_HASH_BYTES },
		{ right, KW_TREE_HASH_BYTES },
	};
	unsigned char node[KW_TREE_HASH_BYTES]; /* ret_node may be left or right */

	hash(pieces, 3, node);
	memcpy(ret_node, node, sizeof(node));
}

static bool bit(uint64_t number, unsigned int level)
{
	return level < KW_TREE_LEVELS && (number >> level & 1) != 0;
}

void kw_tree_init(struct kw_tree *tree, kw_tree_hash_fn hash)
{
	memset(tree, 0, sizeof(*tree));
	tree->hash = hash;
}

void kw_tree_leaf(kw_tree_hash_fn hash, const void *data, size_t length,
		  unsigned char ret_leaf[static KW_TREE_HASH_BYTES])
{
	const struct kw_tree_piece pieces[] = { { leaf_prefix, 1 }, { data, length } };

	hash(pieces, 2, ret_leaf);
}

/* node is complete: the index-th of those over 2^level leaves. Is it the right sibling on the path? */
static void watch(struct kw_tree_path *path, unsigned int level, uint64_t index,
		  const unsigned char *node)
{
	uint64_t own = path->index >> level;

	if (!bit(own, 0) && index == own + 1)
		memcpy(path->siblings[level], node, KW_TREE_HASH_BYTES);
}

void kw_tree_append(struct kw_tree *tree, const unsigned char leaf[static KW_TREE_HASH_BYTES],
		    struct kw_tree_path *path)
{
	unsigned char node[KW_TREE_HASH_BYTES];
	uint64_t index = tree->size;
	unsigned int level = 0;

	if (index == UINT64_MAX)
		return;
	/* What stands to the left of the leaf is the row as it is now. */
	if (path && path->index == index)
		memcpy(path->siblings, tree->peaks, sizeof(path->siblings));
	memcpy(node, leaf, sizeof(node));
	for (;; level++) {
		if (path)
			watch(path, level, index >> level, node);
		if (!bit(index, level))
			break;
		kw_tree_join(tree->hash, tree->peaks[level], node, node);
	}
	memcpy(tree->peaks[level], node, sizeof(node));
	tree->size++;
}

/* The row's subtrees below level, folded to one. Returns whether there is any. */
static bool fold(const struct kw_tree *tree, unsigned int level, unsigned char *ret_node)
{
	bool any = false;

	for (unsigned int i = 0; i < level; i++) {
		if (!bit(tree->size, i))
			continue;
		if (any)
			kw_tree_join(tree->hash, tree->peaks[i], ret_node, ret_node);
		else
			memcpy(ret_node, tree->peaks[i], KW_TREE_HASH_BYTES);
		any = true;
	}
	return any;
}

void kw_tree_root(const struct kw_tree *tree, unsigned char ret_root[static KW_TREE_HASH_BYTES])
{
	if (!fold(tree, KW_TREE_LEVELS, ret_root))
		tree->hash(NULL, 0, ret_root);
}

size_t kw_tree_prove(const struct kw_tree *tree, const struct kw_tree_path *path,
		     unsigned char ret_proof[static KW_TREE_LEVELS][KW_TREE_HASH_BYTES])
{
	unsigned int level = KW_TREE_LEVELS;
	uint64_t below = 0; /* leaves of the subtrees to the left */
	size_t count;

	if (path->index >= tree->size)
		return 0;
	/* The subtree of the row that the leaf lies in. */
	do {
		level--;
		if (bit(tree->size, level))
			below += 1ULL << level;
	} while (!bit(tree->size, level) || below <= path->index);
	memcpy(ret_proof, path->siblings, (size_t)level * KW_TREE_HASH_BYTES);
	count = level;
	if (fold(tree, level, ret_proof[count]))
		count++;
	for (level++; level < KW_TREE_LEVELS; level++) {
		if (bit(tree->size, level))
			memcpy(ret_proof[count++], tree->peaks[level], KW_TREE_HASH_BYTES);
	}
	return count;
}

bool kw_tree_includes(kw_tree_hash_fn hash, uint64_t index, uint64_t size,
		      const unsigned char leaf[static KW_TREE_HASH_BYTES],
		      const unsigned char (*proof)[KW_TREE_HASH_BYTES], size_t count,
		      const unsigned char root[static KW_TREE_HASH_BYTES])
{
	unsigned char node[KW_TREE_HASH_BYTES];
	uint64_t own = index, last = size - 1;

	if (index >= size)
		return false;
	memcpy(node, leaf, sizeof(node));
	for (size_t i = 0; i < count; i++) {
		if (last == 0)
			return false;
		if (!bit(own, 0) && own != last) {
			kw_tree_join(hash, node, proof[i], node);
		} else {
			kw_tree_join(hash, proof[i], node, node);
			while (!bit(own, 0) && own != 0) {
				own >>= 1;
				last >>= 1;
			}
		}
		own >>= 1;
		last >>= 1;
	}
	return last == 0 && memcmp(node, root, sizeof(node)) == 0;
}
