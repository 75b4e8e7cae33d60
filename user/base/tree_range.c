/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A part of a Merkle tree that begins anywhere. Which subtrees it consists of follows from the numbers of its
 * first and last leaf alone (RFC 6962 2.1: a subtree over 2^n leaves begins at a multiple of 2^n), so it can be
 * kept while nothing is known of what stands before it, and be put behind that when it is.
 */
#include <string.h>

#include "user/base/tree.h"

void kw_tree_range_init(struct kw_tree_range *range, kw_tree_hash_fn hash, uint64_t begin)
{
	memset(range, 0, sizeof(*range));
	range->hash = hash;
	range->begin = begin;
	range->end = begin;
}

/* Whether the last two are the halves of one subtree. */
static bool are_halves(const struct kw_tree_range *range)
{
	unsigned int level = range->count < 2 ? KW_TREE_LEVELS : range->levels[range->count - 1];

	return level + 1 < KW_TREE_LEVELS && range->levels[range->count - 2] == level &&
	       (range->end & ((2ULL << level) - 1)) == 0;
}

void kw_tree_range_append(struct kw_tree_range *range,
			  const unsigned char leaf[static KW_TREE_HASH_BYTES])
{
	if (range->end == UINT64_MAX)
		return;
	memcpy(range->nodes[range->count], leaf, KW_TREE_HASH_BYTES);
	range->levels[range->count++] = 0;
	range->end++;
	while (are_halves(range)) {
		unsigned int left = range->count - 2;

		kw_tree_join(range->hash, range->nodes[left], range->nodes[left + 1],
			     range->nodes[left]);
		range->levels[left]++;
		range->count--;
	}
}

void kw_tree_extend(struct kw_tree *tree, const struct kw_tree_range *range)
{
	for (unsigned int i = 0; i < range->count; i++) {
		unsigned char node[KW_TREE_HASH_BYTES];
		unsigned int level = range->levels[i];

		memcpy(node, range->nodes[i], sizeof(node));
		for (; level < KW_TREE_LEVELS - 1 && (tree->size >> level & 1); level++)
			kw_tree_join(tree->hash, tree->peaks[level], node, node);
		memcpy(tree->peaks[level], node, sizeof(node));
		tree->size += 1ULL << range->levels[i];
	}
}
