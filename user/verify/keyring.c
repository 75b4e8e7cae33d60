/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The keyring: {key id: base64url of a raw Ed25519 public key}. It decides whom to believe, so it is
 * read strictly: an id that stands twice, a key of small order (a signature by it fits any message)
 * or off the curve, a symbolic link: refused as a whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/base/file.h"
#include "user/verify/signed.h"

struct entry {
	char id[KW_KID_MAX + 1];
	unsigned char key[crypto_sign_PUBLICKEYBYTES];
};

struct kw_keyring {
	size_t count;
	struct entry entries[KW_KEYS_MAX];
};

/* Printable ASCII without what JSON escapes: an id stands in envelopes as it is. */
static bool is_key_id(const char *id, size_t length)
{
	if (length == 0 || length > KW_KID_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (id[i] <= ' ' || id[i] > '~' || id[i] == '"' || id[i] == '\\')
			return false;
	}
	return true;
}

/* Base64url of 32 bytes, padded or not. */
static bool decode_key(const char *text, size_t length, unsigned char *ret_key)
{
	size_t decoded;

	if (length == 44 && text[43] == '=')
		length--;
	return length == 43 &&
	       sodium_base642bin(ret_key, crypto_sign_PUBLICKEYBYTES, text, length, NULL, &decoded,
				 NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
	       decoded == crypto_sign_PUBLICKEYBYTES;
}

static const char *add(struct kw_keyring *keyring, struct kw_span name, struct kw_span value)
{
	struct entry *entry = &keyring->entries[keyring->count];

	if (keyring->count == KW_KEYS_MAX)
		return "more than 256 keys";
	/* The text is canonical: a name without escapes stands there as it is. */
	if (!is_key_id(name.data + 1, name.length - 2))
		return "a key id that is empty, too long, or has other than printable ASCII characters";
	if (!kw_read_is_string(value) || !decode_key(value.data + 1, value.length - 2, entry->key))
		return "a key that is not base64url of 32 bytes";
	/* On the curve, in the prime-order subgroup, canonical: also refuses every small order. */
	if (!crypto_core_ed25519_is_valid_point(entry->key))
		return "a key that is no point to sign with (small order, or off the curve)";
	memcpy(entry->id, name.data + 1, name.length - 2);
	entry->id[name.length - 2] = '\0';
	keyring->count++;
	return NULL;
}

int kw_keyring_parse(const char *text, size_t length, struct kw_keyring **ret_keyring,
		     const char **ret_reason)
{
	cleanup(kw_keyring_freep) struct kw_keyring *keyring = NULL;
	cleanup_bytes struct kw_bytes canonical;
	struct kw_span name, value;
	const char *reason = "not JSON";
	size_t position = 0;
	int r;

	kw_bytes_init(&canonical, KW_KEYRING_MAX);
	if (sodium_init() < 0)
		return -EIO;
	keyring = calloc(1, sizeof(*keyring));
	if (!keyring)
		return -ENOMEM;
	r = kw_jcs_append(&canonical, text, length, &reason); /* a repeated name is refused here */
	if (r == 0 && canonical.data[0] != '{') {
		reason = "not a JSON object";
		r = -EBADMSG;
	}
	while (r == 0 && kw_read_member((struct kw_span){ canonical.data, canonical.length },
					&position, &name, &value)) {
		reason = add(keyring, name, value);
		if (reason)
			r = -EBADMSG;
	}
	if (r == -EMSGSIZE) {
		reason = "larger than 256 KiB";
		r = -EBADMSG;
	}
	if (r == 0 && keyring->count == 0) {
		reason = "no key in it";
		r = -EBADMSG;
	}
	if (r < 0) {
		if (r == -EBADMSG)
			*ret_reason = reason;
		return r;
	}
	*ret_keyring = take_ptr(keyring);
	return 0;
}

int kw_keyring_load(const char *path, struct kw_keyring **ret_keyring, const char **ret_reason)
{
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, KW_KEYRING_MAX);
	r = kw_file_read(AT_FDCWD, path, &text); /* O_NOFOLLOW, regular files only */
	if (r == -EFBIG) {
		*ret_reason = "larger than 256 KiB";
		return -EBADMSG;
	}
	if (r < 0)
		return r;
	return kw_keyring_parse(text.data ? text.data : "", text.length, ret_keyring, ret_reason);
}

void kw_keyring_free(struct kw_keyring *keyring)
{
	free(keyring);
}

const unsigned char *kw_keyring_find(const struct kw_keyring *keyring, const char *kid)
{
	for (size_t i = 0; i < keyring->count; i++) {
		if (strcmp(keyring->entries[i].id, kid) == 0)
			return keyring->entries[i].key;
	}
	return NULL;
}

const unsigned char *kw_keyring_entry(const struct kw_keyring *keyring, size_t index,
				      const char **ret_id)
{
	if (index >= keyring->count)
		return NULL;
	*ret_id = keyring->entries[index].id;
	return keyring->entries[index].key;
}
