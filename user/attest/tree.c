/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tree over a ledger's lines, and the text in which it outlives the daemon. Only the row of perfect
 * subtrees is kept (user/base/tree.h), so a daemon that starts again hashes what came since and not the
 * whole ledger. The text is read back by writing it again: what differs in one byte is refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/attest/attest.h"
#include "user/attest/digest.h"
#include "user/attest/event.h"
#include "user/base/text.h"

#define TITLE "kwitness-head 1\n"
#define HEX_BYTES (2 * KW_TREE_HASH_BYTES)
/* Title, size and 64 + 3 hashes. */
#define TEXT_MAX 8192

void kw_attest_tree_init(struct kw_attest_tree *tree)
{
	memset(tree, 0, sizeof(*tree));
	kw_tree_init(&tree->tree, kw_digest_pieces);
}

void kw_attest_tree_grow(struct kw_attest_tree *tree,
			 const unsigned char leaf[static KW_TREE_HASH_BYTES],
			 const unsigned char hash[static 32])
{
	if (tree->tree.size == 0)
		memcpy(tree->first, hash, sizeof(tree->first));
	memcpy(tree->last, hash, sizeof(tree->last));
	kw_tree_append(&tree->tree, leaf, NULL);
}

void kw_attest_tree_add(struct kw_attest_tree *tree, const void *line, size_t length)
{
	unsigned char leaf[KW_TREE_HASH_BYTES], hash[KW_DIGEST_BYTES];

	kw_digest_sha256(line, length, hash);
	kw_tree_leaf(kw_digest_pieces, line, length, leaf);
	kw_attest_tree_grow(tree, leaf, hash);
}

static void append_hash(struct kw_bytes *out, const char *name, const unsigned char *hash)
{
	char hex[HEX_BYTES + 1];

	sodium_bin2hex(hex, sizeof(hex), hash, KW_TREE_HASH_BYTES);
	kw_bytes_append_format(out, "%s %s\n", name, hex);
}

void kw_attest_tree_write(const struct kw_attest_tree *tree, struct kw_bytes *out)
{
	unsigned char root[KW_TREE_HASH_BYTES];

	kw_tree_root(&tree->tree, root);
	kw_bytes_append_string(out, TITLE);
	kw_bytes_append_format(out, "size %" PRIu64 "\n", tree->tree.size);
	append_hash(out, "root", root);
	append_hash(out, "first", tree->first);
	append_hash(out, "last", tree->last);
	for (unsigned int i = 0; i < KW_TREE_LEVELS; i++) {
		if (tree->tree.size >> i & 1)
			append_hash(out, "peak", tree->tree.peaks[i]);
	}
}

/* The value of the line at *text that begins with name; moves on behind it. NULL: another line. */
static const char *next_value(const char **text, const char *end, const char *name,
			      size_t *ret_length)
{
	size_t skip = strlen(name) + 1;
	const char *newline = *text < end ? memchr(*text, '\n', (size_t)(end - *text)) : NULL;
	const char *value = *text + skip;

	if (!newline || (size_t)(newline - *text) <= skip || strncmp(*text, name, skip - 1) != 0)
		return NULL;
	*ret_length = (size_t)(newline - value);
	*text = newline + 1;
	return value;
}

static bool take_hash(const char **text, const char *end, const char *name, unsigned char *ret_hash)
{
	size_t length, decoded;
	const char *hex = next_value(text, end, name, &length);

	return hex && length == HEX_BYTES &&
	       sodium_hex2bin(ret_hash, KW_TREE_HASH_BYTES, hex, length, NULL, &decoded, NULL) ==
		       0 &&
	       decoded == KW_TREE_HASH_BYTES;
}

int kw_attest_tree_read(const char *text, size_t length, struct kw_attest_tree *ret_tree)
{
	unsigned char root[KW_TREE_HASH_BYTES];
	cleanup_bytes struct kw_bytes again;
	const char *at = text, *end = text + length, *size;
	struct kw_attest_tree tree;
	size_t size_length;

	kw_bytes_init(&again, TEXT_MAX);
	kw_attest_tree_init(&tree);
	if (length < strlen(TITLE) || memcmp(text, TITLE, strlen(TITLE)) != 0)
		return -EBADMSG;
	at += strlen(TITLE);
	size = next_value(&at, end, "size", &size_length);
	if (!size || kw_text_parse_u64(size, size_length, &tree.tree.size) < 0 ||
	    tree.tree.size == 0)
		return -EBADMSG;
	if (!take_hash(&at, end, "root", root) || !take_hash(&at, end, "first", tree.first) ||
	    !take_hash(&at, end, "last", tree.last))
		return -EBADMSG;
	for (unsigned int i = 0; i < KW_TREE_LEVELS; i++) {
		if ((tree.tree.size >> i & 1) && !take_hash(&at, end, "peak", tree.tree.peaks[i]))
			return -EBADMSG;
	}
	kw_attest_tree_write(&tree, &again);
	if (kw_bytes_error(&again) < 0)
		return kw_bytes_error(&again);
	if (again.length != length || memcmp(again.data, text, length) != 0)
		return -EBADMSG;
	*ret_tree = tree;
	return 0;
}
