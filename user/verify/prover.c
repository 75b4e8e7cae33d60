/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Making a proof in one reading of the ledger and constant memory: the tree grows over the lines, and
 * from the wanted one on its siblings are collected, until a checkpoint covers it. Nothing is verified
 * here; whoever gets the proof does that.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/names.h>

#include "user/base/text.h"
#include "user/verify/note.h"

/* A line's last member is its type: canonical order. */
#define CHECKPOINT_END ",\"type\":\"" KW_TYPE_CHECKPOINT "\"}"

struct kw_prover {
	char id[KW_PROVER_WANTED_MAX]; /* empty: by sequence */
	uint64_t sequence;	       /* wanted; 0: not known yet */
	bool found;
	struct kw_tree_path path;
	struct kw_history history;
	struct kw_bytes line; /* the wanted one */
	struct kw_bytes note; /* of the checkpoint that covers it; empty: none yet */
};

int kw_prover_new(const char *wanted, struct kw_prover **ret_prover)
{
	cleanup(kw_prover_freep) struct kw_prover *prover = NULL;
	size_t length = strlen(wanted);

	if (sodium_init() < 0)
		return -EIO;
	if (length == 0 || length >= sizeof(prover->id))
		return -EINVAL;
	prover = calloc(1, sizeof(*prover));
	if (!prover)
		return -ENOMEM;
	kw_bytes_init(&prover->line, KW_LINE_MAX);
	kw_bytes_init(&prover->note, KW_NOTE_BYTES_MAX);
	if (kw_history_init(&prover->history) < 0)
		return -ENOMEM;
	if (kw_text_parse_u64(wanted, length, &prover->sequence) < 0 || prover->sequence == 0) {
		prover->sequence = 0;
		memcpy(prover->id, wanted, length + 1);
	}
	*ret_prover = take_ptr(prover);
	return 0;
}

void kw_prover_free(struct kw_prover *prover)
{
	if (!prover)
		return;
	kw_history_done(&prover->history);
	kw_bytes_done(&prover->line);
	kw_bytes_done(&prover->note);
	free(prover);
}

void kw_prover_begin(struct kw_prover *prover, const struct kw_tree *before)
{
	prover->history.tree = *before;
	prover->history.tree.hash = kw_note_hash;
}

static bool has_id(const struct kw_prover *prover, const char *text, size_t length)
{
	const char *reason;
	struct kw_line line;

	/* Most lines do not hold the id at all, and those that do may only refer to it. */
	return memmem(text, length, prover->id, strlen(prover->id)) &&
	       kw_line_parse(text, length, &line, &reason) == 0 &&
	       kw_read_equals(kw_read_find(&line.members, "id"), prover->id);
}

static bool is_wanted(const struct kw_prover *prover, const char *text, size_t length,
		      uint64_t sequence)
{
	return prover->id[0] ? has_id(prover, text, length) : sequence == prover->sequence;
}

int kw_prover_resume(struct kw_prover *prover, const struct kw_tree *tree,
		     const struct kw_tree_path *path, const char *line, size_t length)
{
	if (prover->id[0] ? !has_id(prover, line, length) : path->index + 1 != prover->sequence)
		return 0;
	kw_prover_begin(prover, tree);
	prover->found = true;
	prover->path = *path;
	prover->history.path = &prover->path;
	kw_bytes_append(&prover->line, line, length);
	return kw_bytes_error(&prover->line) < 0 ? kw_bytes_error(&prover->line) : 1;
}

/* Takes the checkpoint in this line when it covers what is wanted. 1: it does, 0, -errno. */
static int take_checkpoint(struct kw_prover *prover, const char *text, size_t length)
{
	struct kw_members data;
	struct kw_line line;
	struct kw_span value;
	const char *reason;
	uint64_t size;

	if (kw_line_parse(text, length, &line, &reason) < 0 ||
	    kw_read_members(line.data, &data) < 0)
		return 0;
	value = kw_read_find(&data, "size");
	if (!value.data || kw_text_parse_u64(value.data, value.length, &size) < 0 ||
	    size <= prover->path.index || !kw_history_grow(&prover->history, size))
		return 0;
	if (kw_read_decode(kw_read_find(&data, "note"), &prover->note) < 0)
		return kw_bytes_error(&prover->note);
	return 1;
}

int kw_prover_feed(struct kw_prover *prover, const char *line, size_t length)
{
	uint64_t sequence = kw_history_lines(&prover->history) + 1;
	size_t end = strlen(CHECKPOINT_END);
	int r = 0;

	if (prover->found && length > end && memcmp(line + length - end, CHECKPOINT_END, end) == 0)
		r = take_checkpoint(prover, line, length);
	if (r != 0)
		return r;
	if (!prover->found && is_wanted(prover, line, length, sequence)) {
		prover->found = true;
		prover->path.index = sequence - 1;
		prover->history.path = &prover->path;
		kw_bytes_append(&prover->line, line, length);
		if (kw_bytes_error(&prover->line) < 0)
			return kw_bytes_error(&prover->line);
	}
	kw_history_add(&prover->history, line, length);
	return 0;
}

bool kw_prover_found(const struct kw_prover *prover)
{
	return prover->found;
}

static void append_base64(struct kw_bytes *out, const void *data, size_t length)
{
	size_t size = sodium_base64_encoded_len(length, sodium_base64_VARIANT_ORIGINAL);
	cleanup_free char *text = malloc(size);

	if (!text) {
		out->error = -ENOMEM;
		return;
	}
	sodium_bin2base64(text, size, data, length, sodium_base64_VARIANT_ORIGINAL);
	kw_bytes_append(out, text, size - 1);
	kw_bytes_append_char(out, '\n');
}

int kw_prover_append(const struct kw_prover *prover, struct kw_bytes *out)
{
	unsigned char proof[KW_TREE_LEVELS][KW_TREE_HASH_BYTES];
	size_t count = kw_tree_prove(&prover->history.tree, &prover->path, proof);

	if (prover->note.length == 0)
		return -ENODATA;
	kw_bytes_append_string(out, "c2sp.org/tlog-proof@v1\nextra ");
	append_base64(out, prover->line.data, prover->line.length);
	kw_bytes_append_format(out, "index %" PRIu64 "\n", prover->path.index);
	for (size_t i = 0; i < count; i++)
		append_base64(out, proof[i], sizeof(proof[i]));
	kw_bytes_append_char(out, '\n');
	kw_bytes_append(out, prover->note.data, prover->note.length);
	return kw_bytes_error(out);
}
