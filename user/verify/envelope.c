/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The DSSE envelope (secure-systems-lab/dsse v1.0.2: envelope.md, protocol.md) inside dssematerial,
 * and its Ed25519 signatures. libsodium's verification refuses S >= L and R of small order; keys of
 * small order never get into a keyring.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "user/verify/base64.h"
#include "user/verify/keys.h"

#define PAYLOAD_TYPE "https://cloudevents.io/verifiability/dsse/v0.1"
#define ENVELOPE_MAX (16 * 1024)
#define MATERIAL_BYTES 32

/* Exactly so many bytes. */
static bool decode(const char *text, size_t length, unsigned char *ret, size_t size)
{
	size_t decoded;

	return kw_base64_decode(text, length, ret, size, &decoded) && decoded == size;
}

static bool decode_string(struct kw_span string, unsigned char *ret, size_t size)
{
	return kw_read_is_string(string) && decode(string.data + 1, string.length - 2, ret, size);
}

static const char *parse_signature(struct kw_span object, struct kw_signature *ret_signature)
{
	struct kw_members members;
	struct kw_span key_id, sig;

	if (kw_read_members(object, &members) < 0)
		return "a signature that is not an object";
	key_id = kw_read_find(&members, "keyid");
	sig = kw_read_find(&members, "sig");
	if (!kw_read_is_string(key_id) || key_id.length - 2 > KW_KID_MAX)
		return "the signature's keyid is missing or too long";
	/* An id with an escape in it is in no keyring, and so need not be decoded. */
	memcpy(ret_signature->key_id, key_id.data + 1, key_id.length - 2);
	ret_signature->key_id[key_id.length - 2] = '\0';
	if (!decode_string(sig, ret_signature->bytes, sizeof(ret_signature->bytes)))
		return "the signature is not base64 of 64 bytes";
	return NULL;
}

static const char *parse_object(struct kw_span envelope, struct kw_envelope *ret_envelope)
{
	struct kw_span signatures, signature;
	struct kw_members members;
	const char *reason;
	size_t position = 0;

	if (kw_read_members(envelope, &members) < 0)
		return "dssematerial is not a JSON envelope";
	signatures = kw_read_find(&members, "signatures");
	if (!kw_read_equals(kw_read_find(&members, "payloadType"), PAYLOAD_TYPE))
		return "dssematerial has a payloadType that is not known";
	if (!decode_string(kw_read_find(&members, "payload"), ret_envelope->material,
			   MATERIAL_BYTES))
		return "dssematerial's payload is not base64 of 32 bytes";
	ret_envelope->count = 0;
	while (kw_read_element(signatures, &position, &signature)) {
		if (ret_envelope->count == KW_SIGNATURES_MAX)
			return "dssematerial has too many signatures";
		reason = parse_signature(signature, &ret_envelope->signatures[ret_envelope->count]);
		if (reason)
			return reason;
		ret_envelope->count++;
	}
	return ret_envelope->count ? NULL : "dssematerial has no signature";
}

/* Whether text is what our own writer makes of this envelope: nothing more, nothing in another form. */
static bool is_canonical(const struct kw_envelope *envelope, const char *text, size_t length)
{
	char payload[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)];
	char sig[sodium_base64_ENCODED_LEN(64, sodium_base64_VARIANT_ORIGINAL)];
	char expected[512 + KW_KID_MAX];
	int expected_length;

	if (envelope->count != 1)
		return false;
	sodium_bin2base64(payload, sizeof(payload), envelope->material, MATERIAL_BYTES,
			  sodium_base64_VARIANT_ORIGINAL);
	sodium_bin2base64(sig, sizeof(sig), envelope->signatures[0].bytes, 64,
			  sodium_base64_VARIANT_ORIGINAL);
	expected_length = snprintf(expected, sizeof(expected),
				   "{\"payload\":\"%s\",\"payloadType\":\"" PAYLOAD_TYPE
				   "\",\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"%s\"}]}",
				   payload, envelope->signatures[0].key_id, sig);
	return expected_length >= 0 && (size_t)expected_length == length &&
	       memcmp(expected, text, length) == 0;
}

static bool take_text(const char **at, const char *end, const char *text, size_t length)
{
	if ((size_t)(end - *at) < length || memcmp(*at, text, length) != 0)
		return false;
	*at += length;
	return true;
}

static bool take_base64(const char **at, const char *end, size_t length, unsigned char *ret,
			size_t size)
{
	if ((size_t)(end - *at) < length || !decode(*at, length, ret, size))
		return false;
	*at += length;
	return true;
}

/* The one envelope that a ledger has, read by its places instead of as JSON. False: it is another, or none. */
static bool read_canonical(const char *text, size_t length, struct kw_envelope *envelope)
{
	static const char head[] = "{\"payload\":\"";
	static const char middle[] = "\",\"payloadType\":\"" PAYLOAD_TYPE
				     "\",\"signatures\":[{\"keyid\":\"";
	static const char name[] = "\",\"sig\":\"", tail[] = "\"}]}";
	struct kw_signature *signature = &envelope->signatures[0];
	const char *at = text, *end = text + length, *key_id;
	size_t id_length;

	if (!take_text(&at, end, head, sizeof(head) - 1) ||
	    !take_base64(&at, end, 44, envelope->material, MATERIAL_BYTES) ||
	    !take_text(&at, end, middle, sizeof(middle) - 1))
		return false;
	key_id = at;
	at = memchr(at, '"', (size_t)(end - at));
	id_length = at ? (size_t)(at - key_id) : 0;
	if (!at || !kw_keyring_is_id(key_id, id_length) ||
	    !take_text(&at, end, name, sizeof(name) - 1) ||
	    !take_base64(&at, end, 88, signature->bytes, sizeof(signature->bytes)) ||
	    !take_text(&at, end, tail, sizeof(tail) - 1) || at != end)
		return false;
	memcpy(signature->key_id, key_id, id_length);
	signature->key_id[id_length] = '\0';
	envelope->count = 1;
	return true;
}

int kw_envelope_parse(const char *text, size_t length, bool canonical, struct kw_bytes *scratch,
		      struct kw_envelope *ret_envelope, const char **ret_reason)
{
	unsigned char decoded[ENVELOPE_MAX];
	size_t decoded_length;
	const char *reason;
	int r;

	if (!kw_base64_decode(text, length, decoded, sizeof(decoded), &decoded_length)) {
		*ret_reason = "dssematerial is not base64";
		return -EBADMSG;
	}
	if (canonical && read_canonical((const char *)decoded, decoded_length, ret_envelope))
		return 0;
	/* Anything else is looked at as JSON, to say what is wrong with it. */
	kw_bytes_clear(scratch);
	r = kw_jcs_append(scratch, (const char *)decoded, decoded_length, &reason);
	if (r == -EBADMSG) {
		*ret_reason = "dssematerial is not a JSON envelope";
		return r;
	}
	if (r < 0)
		return r;
	reason = parse_object((struct kw_span){ scratch->data, scratch->length }, ret_envelope);
	if (!reason && canonical &&
	    !is_canonical(ret_envelope, (const char *)decoded, decoded_length))
		reason = "dssematerial is not in its canonical form";
	if (!reason)
		return 0;
	*ret_reason = reason;
	return -EBADMSG;
}

enum kw_signed kw_envelope_verify(const struct kw_envelope *envelope,
				  const struct kw_keyring *keyring,
				  const struct kw_trusted_key **ret_key)
{
	/* PAE of protocol.md: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body. */
	unsigned char encoding[sizeof("DSSEv1 46 " PAYLOAD_TYPE " 32 ") - 1 + MATERIAL_BYTES];
	enum kw_signed result = KW_SIGNED_UNKNOWN_KEY;

	memcpy(encoding, "DSSEv1 46 " PAYLOAD_TYPE " 32 ", sizeof(encoding) - MATERIAL_BYTES);
	memcpy(encoding + sizeof(encoding) - MATERIAL_BYTES, envelope->material, MATERIAL_BYTES);
	for (size_t i = 0; i < envelope->count; i++) {
		const struct kw_signature *signature = &envelope->signatures[i];
		const struct kw_trusted_key *key = kw_keyring_key(keyring, signature->key_id);

		if (!key)
			continue;
		if (crypto_sign_verify_detached(signature->bytes, encoding, sizeof(encoding),
						key->bytes) == 0) {
			*ret_key = key;
			return KW_SIGNED_GOOD;
		}
		result = KW_SIGNED_BAD;
	}
	return result;
}
_Static_assert(sizeof(PAYLOAD_TYPE) - 1 == 46, "length in the encoding");
