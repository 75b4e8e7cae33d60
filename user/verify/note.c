/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * C2SP signed notes (c2sp.org/signed-note) that are checkpoints (c2sp.org/tlog-checkpoint) of three
 * lines: origin, size, root. Extension lines are refused: nobody here would check them. Signature lines
 * of unknown names and keys are passed over, as the specification wants: witnesses add theirs.
 */
#include "user/verify/note.h"
#include "user/verify/sha256.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "user/base/text.h"
#include "user/verify/keys.h"

#define DASH "\xe2\x80\x94 " /* U+2014 and a blank */
#define SIGNATURE_TYPE_ED25519 0x01
#define KEY_ID_BYTES 4
#define SIGNATURE_BYTES (KEY_ID_BYTES + crypto_sign_BYTES)
#define ROOT_CHARS 44

void kw_note_hash(const struct kw_tree_piece *pieces, size_t count,
		  unsigned char ret_hash[static KW_TREE_HASH_BYTES])
{
	struct kw_sha256 hash;

	kw_sha256_init(&hash);
	for (size_t i = 0; i < count; i++)
		kw_sha256_update(&hash, pieces[i].data, pieces[i].length);
	kw_sha256_final(&hash, ret_hash);
}

static bool decode(struct kw_span text, unsigned char *ret, size_t size)
{
	size_t decoded;

	return sodium_base642bin(ret, size, text.data, text.length, NULL, &decoded, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       decoded == size;
}

/* The line at *at, without its newline; moves on behind it. data NULL: no whole line. */
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

/* What the signed-note specification asks of a key's name; and we of an origin, which is one. */
static bool is_name(struct kw_span text)
{
	if (text.length == 0 || text.length >= KW_NOTE_ORIGIN_MAX)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == '+')
			return false;
	}
	return true;
}

static const char *parse_text(const char **at, const char *end, struct kw_note *ret_note)
{
	struct kw_span origin = next_line(at, end), size = next_line(at, end),
		       root = next_line(at, end), blank = next_line(at, end);

	if (!blank.data || blank.length != 0)
		return "a checkpoint is three lines, a blank one and signatures";
	if (!origin.data || !is_name(origin))
		return "the checkpoint's origin is no name that signs";
	memcpy(ret_note->origin, origin.data, origin.length);
	ret_note->origin[origin.length] = '\0';
	if (kw_text_parse_u64(size.data, size.length, &ret_note->size) < 0 ||
	    (size.length > 1 && size.data[0] == '0'))
		return "the checkpoint's size is not a number";
	if (ret_note->size == 0)
		return "the checkpoint covers no line";
	if (root.length != ROOT_CHARS || !decode(root, ret_note->root, KW_TREE_HASH_BYTES))
		return "the checkpoint's root is not base64 of 32 bytes";
	return NULL;
}

/* c2sp.org/signed-note: SHA-256(name || 0x0A || type || public key)[:4]. */
static bool is_key_of(const unsigned char *key, struct kw_span name, const unsigned char *id)
{
	static const unsigned char infix[] = { '\n', SIGNATURE_TYPE_ED25519 };
	const struct kw_tree_piece pieces[] = {
		{ name.data, name.length },
		{ infix, sizeof(infix) },
		{ key, crypto_sign_PUBLICKEYBYTES },
	};
	unsigned char digest[KW_TREE_HASH_BYTES];

	kw_note_hash(pieces, kw_array_size(pieces), digest);
	return memcmp(digest, id, KEY_ID_BYTES) == 0;
}

/* One signature line. NULL: a good one, or one that does not concern us. */
static const char *check_line(struct kw_span line, struct kw_span text,
			      const struct kw_keyring *keyring, struct kw_note *note)
{
	struct kw_span name = { note->origin, strlen(note->origin) }, encoded;
	unsigned char signature[SIGNATURE_BYTES];
	size_t before = strlen(DASH) + name.length + 1;
	const char *reason;

	if (line.length <= strlen(DASH) || memcmp(line.data, DASH, strlen(DASH)) != 0)
		return "a signature line of the checkpoint is malformed";
	if (line.length <= before || line.data[before - 1] != ' ' ||
	    memcmp(line.data + strlen(DASH), name.data, name.length) != 0)
		return NULL; /* somebody else's */
	encoded = (struct kw_span){ line.data + before, line.length - before };
	if (!decode(encoded, signature, sizeof(signature)))
		return NULL; /* of another type: not Ed25519's length */
	for (size_t i = 0; i < keyring->count; i++) {
		const struct kw_trusted_key *key = &keyring->keys[i];

		if (!is_key_of(key->bytes, name, signature))
			continue;
		if (crypto_sign_verify_detached(signature + KEY_ID_BYTES,
						(const unsigned char *)text.data, text.length,
						key->bytes) != 0)
			return "the checkpoint's signature does not fit the key";
		reason = kw_trust_covers_note(key, note->size);
		if (reason)
			return reason;
		(void)memcpy(note->key_id, key->id, strlen(key->id) + 1);
	}
	return NULL;
}

int kw_note_read(const char *text, size_t length, const struct kw_keyring *keyring,
		 struct kw_note *ret_note, const char **ret_reason)
{
	const char *at = text, *end = text + length, *reason;
	struct kw_note note = { .size = 0 };
	struct kw_span signed_text, line;

	if (length > KW_NOTE_BYTES_MAX) {
		*ret_reason = "larger than 64 KiB";
		return -EBADMSG;
	}
	reason = parse_text(&at, end, &note);
	signed_text = (struct kw_span){ text, (size_t)(at - text) - 1 };
	while (!reason && at < end) {
		line = next_line(&at, end);
		reason = line.data ? check_line(line, signed_text, keyring, &note)
				   : "the checkpoint's last line has no newline";
	}
	if (!reason && !note.key_id[0])
		reason = "no signature of the checkpoint is by a key of the keyring";
	if (reason) {
		*ret_reason = reason;
		return -EBADMSG;
	}
	*ret_note = note;
	return 0;
}

int kw_note_read_text(const char *text, size_t length, struct kw_note *ret_note)
{
	struct kw_note note = { .size = 0 };
	const char *at = text;

	if (length > KW_NOTE_BYTES_MAX || parse_text(&at, text + length, &note) != NULL)
		return -EBADMSG;
	*ret_note = note;
	return 0;
}
