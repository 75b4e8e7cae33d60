/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Proofs about one event, as C2SP tlog-proof has them (c2sp.org/tlog-proof): the event's line as extra
 * data, its place, the way to the root, the checkpoint. One file and a keyring are enough. The extra data
 * is not authenticated by the format; it is here by being the leaf.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/names.h>

#include "user/base/text.h"
#include "user/verify/note.h"

#define TITLE "c2sp.org/tlog-proof@v1"
#define HASH_CHARS 44

/* ---- reading one ---- */

struct proof {
	struct kw_bytes line;
	uint64_t index;
	size_t count;
	unsigned char hashes[KW_TREE_LEVELS][KW_TREE_HASH_BYTES];
	struct kw_span note;
};

/* The line at *at without its newline; data NULL when there is no whole one. */
static struct kw_span next_line(const char **at, const char *end)
{
	const char *newline = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;
	struct kw_span line = { NULL, 0 };

	if (newline) {
		line = (struct kw_span){ *at, (size_t)(newline - *at) };
		*at = newline + 1;
	}
	return line;
}

/* The text behind word, or data NULL. */
static struct kw_span behind(struct kw_span line, const char *word)
{
	size_t length = strlen(word);

	if (!line.data || line.length <= length || memcmp(line.data, word, length) != 0)
		return (struct kw_span){ NULL, 0 };
	return (struct kw_span){ line.data + length, line.length - length };
}

static int decode_line(struct kw_span text, struct kw_bytes *out)
{
	cleanup_free unsigned char *line = malloc(text.length);
	size_t length;

	if (!line)
		return -ENOMEM;
	if (sodium_base642bin(line, text.length, text.data, text.length, NULL, &length, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0)
		return -EBADMSG;
	kw_bytes_append(out, line, length);
	return kw_bytes_error(out);
}

/* 0, -EBADMSG with *ret_reason, -errno. */
static int parse(const char *text, size_t length, struct proof *proof, const char **ret_reason)
{
	const char *at = text, *end = text + length;
	struct kw_span title = next_line(&at, end), extra, index, hash;
	size_t decoded;
	int r;

	*ret_reason = "not a proof: a C2SP tlog-proof with the event's line as extra data";
	if (title.length != strlen(TITLE) || memcmp(title.data, TITLE, title.length) != 0)
		return -EBADMSG;
	extra = behind(next_line(&at, end), "extra ");
	index = behind(next_line(&at, end), "index ");
	if (!extra.data || !index.data ||
	    kw_text_parse_u64(index.data, index.length, &proof->index) < 0 ||
	    (index.length > 1 && index.data[0] == '0'))
		return -EBADMSG;
	r = decode_line(extra, &proof->line);
	if (r < 0)
		return r;
	for (;;) {
		hash = next_line(&at, end);
		if (!hash.data)
			return -EBADMSG;
		if (hash.length == 0)
			break;
		if (hash.length != HASH_CHARS || proof->count == KW_TREE_LEVELS ||
		    sodium_base642bin(proof->hashes[proof->count++], KW_TREE_HASH_BYTES, hash.data,
				      hash.length, NULL, &decoded, NULL,
				      sodium_base64_VARIANT_ORIGINAL) != 0 ||
		    decoded != KW_TREE_HASH_BYTES)
			return -EBADMSG;
	}
	proof->note = (struct kw_span){ at, (size_t)(end - at) };
	return 0;
}

static void copy_attribute(const struct kw_line *line, const char *name, char *ret, size_t size)
{
	struct kw_span value = kw_read_find(&line->members, name);

	if (!kw_read_is_string(value) || value.length - 2 >= size)
		return;
	memcpy(ret, value.data + 1, value.length - 2);
	ret[value.length - 2] = '\0';
}

/* The event itself: of a ledger, signed, at this place, of this origin's source. */
static int check_event(const struct kw_keyring *keyring, const struct proof *proof,
		       const struct kw_note *note, struct kw_proof_result *result,
		       const char **ret_reason)
{
	cleanup_bytes struct kw_bytes scratch;
	struct kw_line line;
	enum kw_fault fault;
	uint64_t serial;
	size_t source;
	int r;

	kw_bytes_init(&scratch, 2 * KW_LINE_MAX);
	r = kw_line_parse(proof->line.data ? proof->line.data : "", proof->line.length, &line,
			  ret_reason);
	if (r == 0)
		r = kw_line_verify(&line, keyring, true, &scratch, &serial, &fault, ret_reason);
	if (r != 0)
		return r == -EBADMSG ? 1 : r;
	if (line.sequence - 1 != proof->index) {
		*ret_reason = "the event's sequence is not its place in the tree";
		return 1;
	}
	source = line.source.length - 3;
	if (strlen(note->origin) <= source ||
	    memcmp(note->origin, line.source.data + 2, source) != 0 ||
	    note->origin[source] != '/') {
		*ret_reason = "the checkpoint is not of the event's source";
		return 1;
	}
	result->sequence = line.sequence;
	copy_attribute(&line, "id", result->id, sizeof(result->id));
	copy_attribute(&line, "type", result->type, sizeof(result->type));
	copy_attribute(&line, "time", result->time, sizeof(result->time));
	return 0;
}

static bool leads_to(const struct proof *proof, const struct kw_note *note)
{
	unsigned char leaf[KW_TREE_HASH_BYTES];

	kw_tree_leaf(kw_note_hash, proof->line.data, proof->line.length, leaf);
	return kw_tree_includes(kw_note_hash, proof->index, note->size, leaf, proof->hashes,
				proof->count, note->root);
}

static int check(const struct kw_keyring *keyring, const struct proof *proof,
		 struct kw_proof_result *result, const char **ret_reason)
{
	struct kw_note note;
	int r = kw_note_read(proof->note.data, proof->note.length, keyring, &note, ret_reason);

	if (r < 0)
		return r == -EBADMSG ? 1 : r;
	r = check_event(keyring, proof, &note, result, ret_reason);
	if (r != 0)
		return r;
	if (!leads_to(proof, &note)) {
		*ret_reason = "the event is not in the tree that the checkpoint is over";
		return 1;
	}
	result->size = note.size;
	memcpy(result->origin, note.origin, sizeof(note.origin));
	memcpy(result->key_id, note.key_id, sizeof(note.key_id));
	return 0;
}

int kw_proof_verify(const struct kw_keyring *keyring, const char *text, size_t length,
		    struct kw_proof_result *ret_result, const char **ret_reason)
{
	struct kw_proof_result result = { .sequence = 0 };
	struct proof proof = { .count = 0 };
	int r;

	if (sodium_init() < 0)
		return -EIO;
	kw_bytes_init(&proof.line, KW_LINE_MAX);
	r = parse(text, length, &proof, ret_reason);
	if (r == 0)
		r = check(keyring, &proof, &result, ret_reason);
	else if (r == -EBADMSG || r == -EMSGSIZE)
		r = 1;
	kw_bytes_done(&proof.line);
	if (r == 0)
		*ret_result = result;
	return r;
}

int kw_proof_holds(const char *text, size_t length)
{
	struct proof proof = { .count = 0 };
	struct kw_note note;
	const char *reason;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	kw_bytes_init(&proof.line, KW_LINE_MAX);
	r = parse(text, length, &proof, &reason);
	if (r == 0)
		r = kw_note_read_text(proof.note.data, proof.note.length, &note);
	if (r == 0)
		r = leads_to(&proof, &note);
	else if (r == -EBADMSG || r == -EMSGSIZE)
		r = 0;
	kw_bytes_done(&proof.line);
	return r;
}
