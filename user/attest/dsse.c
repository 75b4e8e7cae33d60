/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * dssematerial: a DSSE 1.0.2 envelope over one SHA-256 digest of an event's attributes and data, as
 * the CloudEvents verifiability extension has it (cloudevents/spec, extensions/verifiability.md, the
 * draft with `signedextattrs` as an attribute). The envelope is canonical JSON, so that one event
 * and one key have one line only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/attest/attest.h"
#include "user/attest/digest.h"

#define PAYLOAD_TYPE "https://cloudevents.io/verifiability/dsse/v0.1"
#define MATERIAL_BYTES 32
#define BASE64_OF_32 (sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL))
#define BASE64_OF_64 (sodium_base64_ENCODED_LEN(64, sodium_base64_VARIANT_ORIGINAL))
/* The envelope's fixed text is 130 bytes. */
#define ENVELOPE_MAX (192 + BASE64_OF_32 + BASE64_OF_64 + KW_KID_MAX)

static void hash_field(const struct kw_dsse_field *field, unsigned char *ret_digest)
{
	if (field->digest)
		memcpy(ret_digest, field->digest, KW_DIGEST_BYTES);
	else
		kw_digest_sha256(field->data ? field->data : "", field->length, ret_digest);
}

int kw_dsse_material(const struct kw_dsse_event *event, unsigned char ret_material[static 32])
{
	unsigned char digests[KW_DSSE_ATTRIBUTE_COUNT_ + 2 * KW_DSSE_EXTENSIONS_MAX]
			     [KW_DIGEST_BYTES];
	size_t count = 0;

	if (event->extension_count > KW_DSSE_EXTENSIONS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < KW_DSSE_ATTRIBUTE_COUNT_; i++)
		hash_field(&event->core[i], digests[count++]);
	for (size_t i = 0; i < 2 * event->extension_count; i++)
		hash_field(&event->extensions[i], digests[count++]);
	kw_digest_sha256(digests, count * KW_DIGEST_BYTES, ret_material);
	return 0;
}

/* DSSE 1.0.2, protocol.md: PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body. */
static int sign_material(const struct kw_key *key, const unsigned char *material,
			 unsigned char ret_signature[static crypto_sign_BYTES])
{
	char encoding[sizeof("DSSEv1 46 " PAYLOAD_TYPE " 32 ") + MATERIAL_BYTES];
	int head = snprintf(encoding, sizeof(encoding), "DSSEv1 %zu %s %d ", strlen(PAYLOAD_TYPE),
			    PAYLOAD_TYPE, MATERIAL_BYTES);

	if (head < 0 || (size_t)head + MATERIAL_BYTES > sizeof(encoding))
		return -EINVAL;
	memcpy(encoding + head, material, MATERIAL_BYTES);
	return kw_key_sign(key, encoding, (size_t)head + MATERIAL_BYTES, ret_signature);
}

int kw_dsse_append_attribute(const struct kw_key *key, const unsigned char material[static 32],
			     struct kw_bytes *out)
{
	unsigned char signature[crypto_sign_BYTES];
	char payload[BASE64_OF_32], sig[BASE64_OF_64], envelope[ENVELOPE_MAX];
	char encoded[sodium_base64_ENCODED_LEN(ENVELOPE_MAX, sodium_base64_VARIANT_ORIGINAL)];
	int length, r;

	r = sign_material(key, material, signature);
	if (r < 0)
		return r;
	sodium_bin2base64(payload, sizeof(payload), material, MATERIAL_BYTES,
			  sodium_base64_VARIANT_ORIGINAL);
	sodium_bin2base64(sig, sizeof(sig), signature, sizeof(signature),
			  sodium_base64_VARIANT_ORIGINAL);
	/* A key id has no character that JSON escapes: key.c sees to it. */
	length = snprintf(envelope, sizeof(envelope),
			  "{\"payload\":\"%s\",\"payloadType\":\"" PAYLOAD_TYPE
			  "\",\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"%s\"}]}",
			  payload, kw_key_id(key), sig);
	if (length < 0 || (size_t)length >= sizeof(envelope))
		return -EMSGSIZE;
	sodium_bin2base64(encoded, sizeof(encoded), (const unsigned char *)envelope, (size_t)length,
			  sodium_base64_VARIANT_ORIGINAL);
	kw_bytes_append_string(out, encoded);
	return kw_bytes_error(out);
}
