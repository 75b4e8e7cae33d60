/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The keyring: {key id: base64url of a raw Ed25519 public key}, or in place of the text an object that
 * limits the key to a time or to a part of a ledger. It decides whom to believe, so it is read strictly:
 * an id that stands twice, a key of small order (a signature by it fits any message) or off the curve, a
 * limit that is not known or that nothing can meet, a symbolic link: refused as a whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/base/clock.h"
#include "user/base/file.h"
#include "user/base/text.h"
#include "user/verify/keys.h"

/* Printable ASCII without what JSON escapes: an id stands in envelopes as it is. */
bool kw_keyring_is_id(const char *id, size_t length)
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

/* What a key may be limited by, and where that goes. */
static const struct {
	const char *name;
	size_t offset;
	bool is_time;
} limits[] = {
	{ "firstSequence", offsetof(struct kw_trusted_key, first_sequence), false },
	{ "lastSequence", offsetof(struct kw_trusted_key, last_sequence), false },
	{ "notAfter", offsetof(struct kw_trusted_key, not_after_ns), true },
	{ "notBefore", offsetof(struct kw_trusted_key, not_before_ns), true },
};

/* Whether the member is a limit with a good value. */
static bool take_limit(struct kw_trusted_key *key, struct kw_span name, struct kw_span value)
{
	for (size_t i = 0; i < kw_array_size(limits); i++) {
		uint64_t number;
		int r;

		if (!kw_read_equals(name, limits[i].name))
			continue;
		if (limits[i].is_time)
			r = kw_read_is_string(value)
				    ? kw_clock_parse(value.data + 1, value.length - 2, &number)
				    : -EINVAL;
		else
			r = kw_text_parse_u64(value.data, value.length, &number);
		if (r < 0 || (!limits[i].is_time && number == 0))
			return false;
		memcpy((char *)key + limits[i].offset, &number, sizeof(number));
		return true;
	}
	return false;
}

/* "base64url", or {"key":"base64url", limits …}. */
static const char *take_value(struct kw_trusted_key *key, struct kw_span value)
{
	struct kw_span name, member, text = value;
	size_t position = 0;

	if (value.data[0] == '{') {
		text = (struct kw_span){ NULL, 0 };
		while (kw_read_member(value, &position, &name, &member)) {
			if (kw_read_equals(name, "key"))
				text = member;
			else if (!take_limit(key, name, member))
				return "a key's limit that is not known, or has no good value (notBefore, notAfter: a time; firstSequence, lastSequence: a number from 1)";
		}
		if (!text.data)
			return "a key's object without its \"key\"";
	}
	if (!kw_read_is_string(text) || !decode_key(text.data + 1, text.length - 2, key->bytes))
		return "a key that is not base64url of 32 bytes";
	/* On the curve, in the prime-order subgroup, canonical: also refuses every small order. */
	if (!crypto_core_ed25519_is_valid_point(key->bytes))
		return "a key that is no point to sign with (small order, or off the curve)";
	if (key->not_before_ns > key->not_after_ns || key->first_sequence > key->last_sequence)
		return "a key whose validity ends before it begins";
	return NULL;
}

static const char *add(struct kw_keyring *keyring, struct kw_span name, struct kw_span value)
{
	struct kw_trusted_key *key = &keyring->keys[keyring->given];
	const char *reason;

	if (keyring->given == KW_KEYS_MAX)
		return "more than 256 keys";
	/* The text is canonical: a name without escapes stands there as it is. */
	if (!kw_keyring_is_id(name.data + 1, name.length - 2))
		return "a key id that is empty, too long, or has other than printable ASCII characters";
	*key = (struct kw_trusted_key){
		.serial = keyring->next_serial,
		.not_after_ns = UINT64_MAX,
		.last_sequence = UINT64_MAX,
	};
	reason = take_value(key, value);
	if (reason)
		return reason;
	memcpy(key->id, name.data + 1, name.length - 2);
	keyring->next_serial++;
	keyring->given++;
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

const struct kw_trusted_key *kw_keyring_key(const struct kw_keyring *keyring, const char *id)
{
	for (size_t i = 0; i < keyring->count; i++) {
		if (strcmp(keyring->keys[i].id, id) == 0)
			return &keyring->keys[i];
	}
	return NULL;
}

const unsigned char *kw_keyring_find(const struct kw_keyring *keyring, const char *kid)
{
	const struct kw_trusted_key *key = kw_keyring_key(keyring, kid);

	return key ? key->bytes : NULL;
}

const unsigned char *kw_keyring_entry(const struct kw_keyring *keyring, size_t index,
				      const char **ret_id)
{
	if (index >= keyring->count)
		return NULL;
	*ret_id = keyring->keys[index].id;
	return keyring->keys[index].bytes;
}
