/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ledger's memory of itself: before a checkpoint is signed, the tree it is made of is put on disk as
 * the file "head". A ledger that does not go on from it was cut, rolled back or replaced; to go on
 * signing would be to sign two histories, so the daemon does not start.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "user/base/log.h"
#include "user/daemon/pipeline.h"

#define HEAD_MAX 8192

/* There is no head: the tree is made from all lines, behind those that retention removed. 1 or -errno. */
static int begin_anew(const struct kw_pipeline *pipeline, struct kw_attest_tree *ret_tree)
{
	int r = kw_ledger_read_base(pipeline->ledger, ret_tree);

	if (r == -ENOENT)
		kw_attest_tree_init(ret_tree);
	else if (r < 0)
		return kw_log_error(r, "\"%s/base\" cannot be read", pipeline->ledger_path);
	return 1;
}

/* 0; 1: there is none, tree is that of no line or of those that retention removed; -errno. */
static int read_head(const struct kw_pipeline *pipeline, uint64_t sequence,
		     struct kw_attest_tree *ret_tree)
{
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, HEAD_MAX);
	r = kw_ledger_read_head(pipeline->ledger, &text);
	if (r == -ENOENT)
		return begin_anew(pipeline, ret_tree);
	if (r == 0)
		r = kw_attest_tree_read(text.data ? text.data : "", text.length, ret_tree);
	if (r < 0)
		return kw_log_error(
			r,
			"\"%s/head\" cannot be read: restore it, or move the directory away to start a new ledger",
			pipeline->ledger_path);
	if (ret_tree->tree.size <= sequence)
		return 0;
	kw_log(LOG_ERR,
	       "the ledger \"%s\" ends at sequence %llu, but its head covers %llu: lines were cut off or rolled back; restore them, or move the directory away to start a new ledger",
	       pipeline->ledger_path, (unsigned long long)sequence,
	       (unsigned long long)ret_tree->tree.size);
	return -EBADMSG;
}

/* The line that the head ends with must be the one it was made of; by the chain, so are all before. */
static int check_last(const struct kw_pipeline *pipeline, struct kw_cursor *cursor,
		      const struct kw_attest_tree *tree)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	const char *line = NULL;
	size_t length = 0;
	int r = kw_cursor_next(cursor, &line, &length);

	if (r == 1) {
		(void)crypto_hash_sha256(hash, (const unsigned char *)line, length);
		if (memcmp(hash, tree->last, sizeof(hash)) == 0)
			return 0;
	} else if (r < 0 && r != -EMSGSIZE) {
		return kw_log_error(r, "cannot read the ledger \"%s\"", pipeline->ledger_path);
	}
	kw_log(LOG_ERR,
	       "line %llu of the ledger \"%s\" is not the one that its head was made of: the ledger was replaced; restore it, or move the directory away to start a new one",
	       (unsigned long long)tree->tree.size, pipeline->ledger_path);
	return -EBADMSG;
}

static int grow(struct kw_cursor *cursor, uint64_t sequence, struct kw_attest_tree *tree)
{
	int r = 1;

	while (tree->tree.size < sequence) {
		const char *line = NULL;
		size_t length = 0;

		r = kw_cursor_next(cursor, &line, &length);
		if (r <= 0)
			return r < 0 ? r : -EBADMSG;
		kw_attest_tree_add(tree, line, length);
	}
	return 0;
}

int kw_pipeline_tree(const struct kw_pipeline *pipeline, const struct kw_chain_head *head,
		     struct kw_attest_tree *ret_tree, bool *ret_rebuilt)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	struct kw_attest_tree tree;
	int r = read_head(pipeline, head->sequence, &tree);

	if (r < 0)
		return r;
	*ret_rebuilt = r == 1 && head->sequence > 0;
	if (head->sequence > 0) {
		bool has_head = r == 0;

		r = kw_cursor_open(pipeline->ledger_path, tree.tree.size + !has_head, &cursor);
		if (r == 0 && has_head) {
			r = check_last(pipeline, cursor, &tree);
			if (r < 0)
				return r;
		}
		if (r == 0)
			r = grow(cursor, head->sequence, &tree);
		if (r == 0 && memcmp(tree.last, head->hash, sizeof(tree.last)) != 0)
			r = -EBADMSG;
		if (r < 0)
			return kw_log_error(r, "the lines of the ledger \"%s\" are not all there",
					    pipeline->ledger_path);
	}
	*ret_tree = tree;
	return 0;
}
