/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A ledger whose oldest segments were removed by retention begins later, and says so in a gap event that comes
 * later still (docs/ledger.md, "Retention"). The event brings the tree over everything that is gone; put before
 * the lines that were read meanwhile it is the ledger's tree, and checkpoints can be compared from there on.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "user/base/text.h"
#include "user/verify/note.h"

static bool read_number(const struct kw_members *members, const char *name, uint64_t *ret_number)
{
	struct kw_span value = kw_read_find(members, name);

	return value.data && kw_text_parse_u64(value.data, value.length, ret_number) == 0;
}

/* Standard base64 of 32 bytes, in its one spelling. */
static bool decode(struct kw_span string, unsigned char ret_hash[static 32])
{
	size_t decoded;

	return kw_read_is_string(string) && string.length == 44 + 2 &&
	       sodium_base642bin(ret_hash, 32, string.data + 1, 44, NULL, &decoded, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       decoded == 32;
}

/* The row of perfect subtrees, the largest first: as many as size has bits set. */
static bool read_peaks(struct kw_span array, uint64_t size, struct kw_tree *tree)
{
	struct kw_span value;
	size_t position = 0;

	kw_tree_init(tree, kw_note_hash);
	tree->size = size;
	for (unsigned int level = KW_TREE_LEVELS; level-- > 0;) {
		if (!(size >> level & 1))
			continue;
		if (!kw_read_element(array, &position, &value) ||
		    !decode(value, tree->peaks[level]))
			return false;
	}
	return !kw_read_element(array, &position, &value);
}

bool kw_retained_read(struct kw_span data, struct kw_retained *ret_retained)
{
	unsigned char said[32], root[KW_TREE_HASH_BYTES];
	struct kw_retained retained;
	struct kw_members gap, removed;

	if (kw_read_members(data, &gap) < 0 ||
	    !kw_read_equals(kw_read_find(&gap, "kind"), "retention") ||
	    kw_read_members(kw_read_find(&gap, "removed"), &removed) < 0)
		return false;
	if (!read_number(&removed, "firstSequence", &retained.first) ||
	    !read_number(&removed, "lastSequence", &retained.last) || retained.first == 0 ||
	    retained.last < retained.first ||
	    !decode(kw_read_find(&removed, "firstHash"), retained.first_hash) ||
	    !decode(kw_read_find(&removed, "lastHash"), retained.last_hash) ||
	    !decode(kw_read_find(&removed, "root"), said) ||
	    !read_peaks(kw_read_find(&removed, "peaks"), retained.last, &retained.before))
		return false;
	kw_tree_root(&retained.before, root);
	if (memcmp(root, said, sizeof(root)) != 0)
		return false;
	*ret_retained = retained;
	return true;
}

bool kw_checkpoints_resume(struct kw_checkpoints *checkpoints, const struct kw_retained *retained,
			   const unsigned char prevhash[static 32])
{
	struct kw_history *history = &checkpoints->history;

	if (!history->partial || retained->last != history->range.begin)
		return false;
	if (memcmp(prevhash, retained->last_hash, 32) != 0)
		return true;
	/* Lost for another reason than that it began later: it stays so. */
	if (kw_history_resume(history, &retained->before) && !checkpoints->unplaced)
		checkpoints->lost = false;
	memcpy(checkpoints->first, retained->first_hash, sizeof(checkpoints->first));
	checkpoints->has_first = true;
	return false;
}
