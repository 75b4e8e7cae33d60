/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A proof by the index: some hundred short reads instead of the whole ledger. What no index covers yet, the
 * segment that is being written, is read as it is. Nothing the index says is believed: prove.c checks the
 * finished proof, and reads the ledger when it does not hold.
 */
#include <errno.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/base/text.h"
#include "user/cli/prove.h"
#include "user/deliver/deliver.h"

/* The prover, which has the line, gets the checkpoint that covers it, or what stands behind the index. */
static int finish(struct kw_indexes *indexes, const char *ledger, uint64_t sequence,
		  uint64_t covered, struct kw_prover *prover)
{
	cleanup_bytes struct kw_bytes line;
	int r;

	kw_bytes_init(&line, KW_LINE_MAX);
	if (sequence == 0)
		return kw_cli_prove_feed(ledger, covered + 1, prover);
	r = kw_indexes_read_line(indexes, sequence, &line);
	if (r < 0)
		return r;
	r = kw_prover_feed(prover, line.data, line.length);
	return r == 0 ? -EBADMSG : r; /* no checkpoint after all */
}

static int prove_line(struct kw_indexes *indexes, const char *ledger, uint64_t wanted,
		      struct kw_prover *prover)
{
	struct kw_tree_path path = { .index = wanted - 1 };
	uint64_t checkpoint = 0, covered;
	cleanup_bytes struct kw_bytes line;
	struct kw_tree tree;
	int r;

	kw_bytes_init(&line, KW_LINE_MAX);
	r = kw_indexes_read_line(indexes, wanted, &line);
	if (r == 0)
		r = kw_indexes_find_checkpoint(indexes, wanted, &checkpoint, &covered);
	if (r == 0) /* it stands behind the index */
		r = kw_indexes_end(indexes, &covered);
	if (r >= 0)
		r = kw_indexes_tree(indexes, covered, &tree, &path);
	if (r == 0)
		r = kw_prover_resume(prover, &tree, &path, line.data, line.length);
	if (r <= 0)
		return r == 0 ? -EBADMSG : r; /* the line has another id */
	return finish(indexes, ledger, checkpoint, covered, prover);
}

int kw_cli_prove_indexed(int directory, const char *ledger, const char *wanted,
			 struct kw_prover *prover)
{
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
	uint64_t sequence = 0, end;
	struct kw_tree tree;
	int r = kw_indexes_open(directory, &indexes);

	if (r == 0)
		r = kw_indexes_end(indexes, &end);
	if (r == 0 && kw_text_parse_u64(wanted, strlen(wanted), &sequence) < 0) {
		r = kw_indexes_find_id(indexes, wanted, &sequence);
		if (r == 0)
			sequence = end + 1;
	}
	if (r < 0)
		return r;
	if (sequence <= end)
		return prove_line(indexes, ledger, sequence, prover);
	r = kw_indexes_tree(indexes, end, &tree, NULL);
	if (r < 0)
		return r;
	kw_prover_begin(prover, &tree);
	return kw_cli_prove_feed(ledger, end + 1, prover);
}
