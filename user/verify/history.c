/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tree over the lines of a ledger, for checkpoints that come a little after the lines they cover
 * (docs/ledger.md): leaves are held back, at most KW_CHECKPOINT_LAG_MAX of them, until a checkpoint asks
 * for the root at its size. Sizes only grow, so one tree does, and memory is constant.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/verify/note.h"

int kw_history_init(struct kw_history *history)
{
	memset(history, 0, sizeof(*history));
	kw_tree_init(&history->tree, kw_note_hash);
	history->leaves = calloc(KW_CHECKPOINT_LAG_MAX, sizeof(*history->leaves));
	return history->leaves ? 0 : -ENOMEM;
}

void kw_history_done(struct kw_history *history)
{
	free(history->leaves);
	history->leaves = NULL;
}

void kw_history_begin(struct kw_history *history, uint64_t size)
{
	history->tree.size = size;
	history->partial = true;
	kw_tree_range_init(&history->range, kw_note_hash, size);
}

bool kw_history_resume(struct kw_history *history, const struct kw_tree *before)
{
	if (!history->partial || before->size != history->range.begin)
		return false;
	history->tree = *before;
	kw_tree_extend(&history->tree, &history->range);
	history->partial = false;
	return true;
}

static void grow_by_one(struct kw_history *history)
{
	if (history->partial)
		kw_tree_range_append(&history->range, history->leaves[history->first]);
	kw_tree_append(&history->tree, history->leaves[history->first], history->path);
	history->first = (history->first + 1) % KW_CHECKPOINT_LAG_MAX;
	history->held--;
	if (history->tree.size == history->milestone && !history->partial) {
		kw_tree_root(&history->tree, history->milestone_root);
		history->milestone_met = true;
	}
}

void kw_history_add(struct kw_history *history, const char *line, size_t length)
{
	unsigned char leaf[KW_TREE_HASH_BYTES];

	kw_tree_leaf(kw_note_hash, line, length, leaf);
	kw_history_add_leaf(history, leaf);
}

void kw_history_add_leaf(struct kw_history *history, const unsigned char *leaf)
{
	size_t place;

	if (history->held == KW_CHECKPOINT_LAG_MAX)
		grow_by_one(history);
	place = (history->first + history->held) % KW_CHECKPOINT_LAG_MAX;
	memcpy(history->leaves[place], leaf, KW_TREE_HASH_BYTES);
	history->held++;
}

uint64_t kw_history_lines(const struct kw_history *history)
{
	return history->tree.size + history->held;
}

bool kw_history_grow(struct kw_history *history, uint64_t size)
{
	if (size < history->tree.size || size > kw_history_lines(history))
		return false;
	while (history->tree.size < size)
		grow_by_one(history);
	return true;
}
